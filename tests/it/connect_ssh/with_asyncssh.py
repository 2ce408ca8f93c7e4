"""asyncssh: commands, files, terminals, signals and ports, over the configuration of a session."""

import asyncio
import os
import signal
import sys

import asyncssh

PORT = int(sys.argv[1])
HERE = os.getcwd()


async def commands(connection):
    ran = await connection.run("cat; echo err >&2; exit 7", input="in")
    assert (ran.stdout, ran.stderr, ran.exit_status) == ("in", "err\n", 7), ran
    ran = await connection.run("shutdown now")
    assert ran.exit_status == 77 and "it stays up" in ran.stderr, ran
    # its input has ended, and it has still something to say
    process = await connection.create_process("cat; sleep 0.2; echo behind; sleep 0.2; echo more >&2")
    process.stdin.write("first\n")
    process.stdin.write_eof()
    out, err = await process.communicate()
    assert (out, err) == ("first\nbehind\n", "more\n"), (out, err)
    # the host closes its output, and still listens
    process = await connection.create_process(f"exec >&- 2>&-; cat >{HERE}/deaf")
    assert await process.stdout.read() == ""
    process.stdin.write("heard")
    process.stdin.write_eof()
    await process.wait()
    assert open("deaf").read() == "heard"


async def channels(connection):
    """As many at once as a target allows, each waiting for its turn; not one more, and as many again."""
    process = await connection.create_process("true")
    await process.wait()
    processes = await asyncio.gather(*(connection.create_process(f"read line; echo {n} $line") for n in range(200)))
    try:
        await connection.run("true")
        raise SystemExit("one more than is allowed")
    except asyncssh.ChannelOpenError as error:
        assert error.code == asyncssh.OPEN_RESOURCE_SHORTAGE, error
    for process in reversed(processes):
        process.stdin.write("go\n")
    for number, process in enumerate(processes):
        ran = await process.wait()
        assert (ran.stdout, ran.exit_status) == (f"{number} go\n", 0), ran
    assert (await connection.run("echo on")).stdout == "on\n"


async def signals(connection):
    ran = await connection.run("kill -TERM $$")
    assert ran.exit_signal[0] == "TERM", ran
    # also when what ends is the server of files
    mark = f"server-{os.getpid()}"
    process = await connection.create_process("/usr/lib/openssh/sftp-server", env={"HOOPCTL_TEST": mark}, encoding=None)
    process.stdin.write(b"\0\0\0\5\1\0\0\0\3")
    assert (await process.stdout.read(9))[4] == 2
    found = [pid for pid in filter(str.isdigit, os.listdir("/proc")) if is_server(pid, mark)]
    assert len(found) == 1, found
    os.kill(int(found[0]), signal.SIGTERM)
    ran = await process.wait()
    assert ran.exit_signal[0] == "TERM", ran


def is_server(pid, mark):
    try:
        with open(f"/proc/{pid}/environ", "rb") as variables, open(f"/proc/{pid}/comm") as name:
            return name.read() == "sftp-server\n" and mark.encode() in variables.read()
    except OSError:
        return False


async def files(connection):
    noise = os.urandom(3_000_000)
    with open("noise", "wb") as file:
        file.write(noise)
    async with connection.start_sftp_client() as sftp:
        await sftp.chdir(HERE)
        await sftp.put("noise", "put")
        await sftp.rename("put", "kept")
        await sftp.get("kept", "got")
        assert open("got", "rb").read() == noise
        assert "kept" in await sftp.listdir(".") and await sftp.getsize("kept") == len(noise)
        await sftp.makedirs("a/b/c")
        await sftp.copy("kept", "a/b/c/copied")
        assert open("a/b/c/copied", "rb").read() == noise
        await sftp.rmtree("a")
        assert not os.path.exists("a")
        try:
            await sftp.remove("kept")
            raise SystemExit("it may not be removed")
        except asyncssh.SFTPPermissionDenied as error:
            assert "what is kept stays" in error.reason, error
    await asyncssh.scp("noise", (connection, HERE + "/copied"))
    await asyncssh.scp((connection, HERE + "/copied"), "back")
    assert open("back", "rb").read() == noise


async def terminals(connection):
    process = await connection.create_process("stty size; read line; stty size", term_type="xterm", term_size=(80, 24))
    assert (await process.stdout.readline()).strip() == "24 80"
    process.change_terminal_size(132, 43)
    process.stdin.write("\n")
    shown = await process.stdout.read()
    assert "43 132" in shown, shown


async def ports(connection):
    reader, _ = await connection.open_connection("127.0.0.1", PORT)
    assert await reader.readexactly(4) == b"SSH-"
    listener = await connection.forward_local_port("127.0.0.1", 0, "127.0.0.1", PORT)
    reader, _ = await asyncio.open_connection("127.0.0.1", listener.get_port())
    assert await reader.readexactly(4) == b"SSH-"
    try:
        await connection.open_connection("127.0.0.1", 9)
        raise SystemExit("no other port")
    except asyncssh.ChannelOpenError as error:
        assert error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, error
    try:
        await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", PORT)
        raise SystemExit("no port of the host's")
    except asyncssh.ChannelListenError:
        pass


async def main():
    async with asyncssh.connect("bastion", config=[os.environ["HOOP_SSH_CONFIG"]], keepalive_interval=1) as connection:
        for story in (channels, commands, signals, files, terminals, ports):
            await asyncio.wait_for(story(connection), 60)
    # where no configuration is read
    known = dict(
        username=os.environ["HOOP_SSH_USER"],
        client_keys=[os.environ["HOOP_SSH_KEY"]],
        known_hosts=os.environ["HOOP_SSH_KNOWN_HOSTS"],
        config=None,
    )
    async with asyncssh.connect("bastion", proxy_command=os.environ["HOOP_SSH_PROXY"], **known) as connection:
        assert (await connection.run("echo proxied")).stdout == "proxied\n"
    print("all")


asyncio.run(main())
