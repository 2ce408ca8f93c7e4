"""paramiko: commands, files, terminals and ports, over the socket of a session."""

import os
import socket
import sys

import paramiko

PORT = int(sys.argv[1])
HERE = os.getcwd()


def connected(way):
    client = paramiko.SSHClient()
    client.load_host_keys(os.environ["HOOP_SSH_KNOWN_HOSTS"])
    client.connect(
        "bastion",
        username=os.environ["HOOP_SSH_USER"],
        key_filename=os.environ["HOOP_SSH_KEY"],
        sock=way,
        allow_agent=False,
        look_for_keys=False,
    )
    return client


way = socket.socket(socket.AF_UNIX)
way.connect(os.environ["HOOP_SSH_SOCKET"])
client = connected(way)


def run(command, typed=b""):
    stdin, stdout, stderr = client.exec_command(command)
    stdin.write(typed)
    stdin.channel.shutdown_write()
    return stdout.read(), stderr.read(), stdout.channel.recv_exit_status()


assert run("cat; echo err >&2; exit 7", b"in") == (b"in", b"err\n", 7)
noise = os.urandom(3_000_000)
assert run("cat", noise)[0] == noise
out, err, code = run("shutdown now")
assert code == 77 and b"it stays up" in err, (err, code)

sftp = client.open_sftp()
assert sftp.normalize(".").startswith("/")
sftp.chdir(HERE)
sftp.mkdir("folder")
with sftp.open("folder/file", "wb") as file:
    file.set_pipelined(True)
    file.write(noise)
with sftp.open("folder/file", "rb") as file:
    file.prefetch()
    assert file.read() == noise
sftp.put("folder/file", HERE + "/put")
sftp.rename("put", "renamed")
sftp.posix_rename("renamed", "kept")
sftp.get("kept", "got")
assert open("got", "rb").read() == noise
assert "kept" in sftp.listdir(".") and sftp.stat("kept").st_size == len(noise)
sftp.chmod("got", 0o600)
sftp.truncate("got", 10)
sftp.symlink("kept", "link")
assert sftp.readlink("link").endswith("kept")
try:
    sftp.remove("kept")
    raise SystemExit("it may not be removed")
except IOError as error:
    assert "what is kept stays" in str(error), error
sftp.remove("folder/file")
sftp.rmdir("folder")
assert os.path.exists("kept") and not os.path.exists("folder")
sftp.close()

channel = client.get_transport().open_session()
channel.get_pty("xterm", 80, 24)
channel.exec_command("stty size; read line; stty size; read line; echo end")


def until(text):
    shown = b""
    while text not in shown:
        piece = channel.recv(4096)
        assert piece, shown
        shown += piece
    return shown


until(b"24 80")
channel.resize_pty(132, 43)
channel.send(b"\n")
until(b"43 132")
channel.send(b"\n")
until(b"end")
assert channel.recv_exit_status() == 0

transport = client.get_transport()
forward = transport.open_channel("direct-tcpip", ("127.0.0.1", PORT), ("127.0.0.1", 0))
assert forward.recv(4) == b"SSH-"
forward.close()
try:
    transport.open_channel("direct-tcpip", ("127.0.0.1", 9), ("127.0.0.1", 0))
    raise SystemExit("no other port")
except paramiko.ChannelException as error:
    assert error.code == 1, error
try:
    transport.request_port_forward("127.0.0.1", 0)
    raise SystemExit("no port of the host's")
except paramiko.SSHException as error:
    assert "denied" in str(error), error
# a request that wants an answer gets one: what keepalives are made of
assert transport.global_request("keepalive@example.com", wait=True) is None
transport.renegotiate_keys()
assert run("echo on")[0] == b"on\n"
client.close()

# where a library takes a command and no socket
client = connected(paramiko.ProxyCommand(os.environ["HOOP_SSH_PROXY"]))
assert run("echo proxied")[0] == b"proxied\n"
client.close()
# and its own reading of ssh's configuration
configured = paramiko.SSHConfig.from_path(os.environ["HOOP_SSH_CONFIG"]).lookup("bastion")
assert configured["user"] == os.environ["HOOP_SSH_USER"], configured
client = connected(paramiko.ProxyCommand(configured["proxycommand"]))
assert run("echo configured")[0] == b"configured\n"
client.close()
print("all")
