#!/usr/bin/env python3
"""OpenSSH directly, through a jump host, and through hoopctl, side by side in one run.

Usage: benches/ssh.py [--rounds 5] [--mib 1024] [--execs 200] [--bin target/release/hoopctl]

Starts two sshd (the host, and the jump host of OpenSSH's own `ProxyJump`, which is the fair peer: two hops,
as with hoopctl), an OpenID provider and a broker on 127.0.0.1. Bulk goes through `ssh HOST cat`, so that no
disk is in the way; a command is `ssh HOST true` from its start to its end. hoopctl runs its full path:
session, certificate, verdict, ledger, recording. What is printed is the table of docs/benchmarks.md.

Needs: what benches/setup.sh sets up.
"""
import getpass
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from compare import Stack, cell, clean_environment, parser, run, wait_port

HOST, JUMP = 25442, 25443
RULES = """
@id("bench.exec")
permit(principal, action in [Hoop::Action::"exec", Hoop::Action::"shell", Hoop::Action::"file"], resource);
"""


def arguments():
    args = parser(__doc__, rounds=5, mib=1024, execs=200).parse_args()
    args.pg = "/nonexistent"
    return args


class SshStack(Stack):
    """Two hosts instead of a database."""

    def start(self):
        self.key("host")
        self.key("user")
        public = (self.work / "host.pub").read_text().strip()
        self.start_broker("allow-statements", f"""
[[target]]
name = "bastion"
protocol = "ssh"
host = "127.0.0.1"
port = {HOST}
login = "{getpass.getuser()}"
host_keys = ["{' '.join(public.split()[:2])}"]
record = "full"
[target.issuer]
kind = "ssh-certificate"
""", RULES)
        authority = self.work / "broker/pki/ssh_ca_ed25519"
        with open(self.work / "authority.pub", "w") as out:
            subprocess.run(["ssh-keygen", "-y", "-f", authority], check=True, stdout=out)
        shutil.copy(self.work / "user.pub", self.work / "authorized")
        for port in (HOST, JUMP):
            self.sshd(port)
        known = self.work / "known"
        known.write_text("".join(f"[127.0.0.1]:{port} {public}\n" for port in (HOST, JUMP)))
        options = ["-F", "none", "-i", str(self.work / "user"), "-o", f"UserKnownHostsFile={known}",
                   "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]
        plain = ["ssh", *options, "-p", str(HOST)]
        hop = " ".join(["ssh", *options, "-p", str(JUMP), "-W", "%h:%p", "127.0.0.1"])
        return {"direct": ([*plain, "127.0.0.1"], None),
                "jump": ([*plain, "-o", f"ProxyCommand={hop}", "127.0.0.1"], None),
                "hoopctl": ([self.args.bin, "connect", "bastion", "--"], self.hoop_env)}

    def key(self, name):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.work / name], check=True)

    def sshd(self, port):
        config = self.work / f"sshd-{port}"
        config.write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {self.work}/host\nPidFile none\nUsePAM no\n"
                          f"TrustedUserCAKeys {self.work}/authority.pub\nAuthorizedKeysFile {self.work}/authorized\n"
                          "StrictModes no\nPermitRootLogin prohibit-password\nMaxStartups 100\nPrintMotd no\n")
        os.makedirs("/run/sshd", exist_ok=True)
        self.spawn(["/usr/sbin/sshd", "-D", "-f", config], name="sshd", env=clean_environment())
        wait_port(port)


def measure(paths, stack, args):
    bulk = args.mib << 20
    plans = {
        f"download of {args.mib} MiB, MiB/s": lambda ssh: args.mib / timed(ssh, f"head -c {bulk} /dev/zero"),
        f"upload of {args.mib} MiB, MiB/s": lambda ssh: args.mib / timed(ssh, "cat > /dev/null", bulk),
        f"{args.execs} short commands, ms each": lambda ssh: 1000 * sum(
            timed(ssh, "true") for _ in range(args.execs)) / args.execs,
        "first prompt of a shell, ms": lambda ssh: 1000 * statistics.median(prompted(ssh) for _ in range(5)),
    }
    results = {}
    for number in range(args.rounds):
        for what, run in plans.items():
            for name, path in paths.items():
                stack.fetch_token()
                results.setdefault(what, {}).setdefault(name, []).append(run(path))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    return results


def timed(path, command, upload=0):
    """Seconds from the start of ssh to its end; what comes is read, and `upload` zeroes are sent."""
    ssh, env = path
    began = time.monotonic()
    given = subprocess.PIPE if upload else subprocess.DEVNULL
    # what a connection says of itself goes nowhere
    child = subprocess.Popen([*ssh, command], env=env, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    piece = bytes(1 << 20)
    while upload > 0:
        child.stdin.write(piece[:upload])
        upload -= len(piece)
    if child.stdin:
        child.stdin.close()
    while child.stdout.read(1 << 20):
        pass
    if child.wait():
        raise SystemExit(f"`{command}` failed with {child.returncode} through {' '.join(map(str, ssh))}")
    return time.monotonic() - began


def prompted(path):
    """Seconds from the start of ssh to the first prompt of a shell on a terminal."""
    ssh, env = path
    began = time.monotonic()
    child = subprocess.Popen([*ssh, "-tt"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    shown = b""
    while b"# " not in shown and b"$ " not in shown:
        piece = child.stdout.read1(4096)
        if not piece:
            raise SystemExit(f"no prompt came through {' '.join(map(str, ssh))}: {shown}")
        shown += piece
    took = time.monotonic() - began
    child.stdin.write(b"exit\n")
    child.stdin.close()
    while child.stdout.read(4096):
        pass
    child.wait()
    return took


def report(results, stack, args):
    print(f"{args.rounds} interleaved rounds; median (lowest to highest)\n")
    print("| | direct | ProxyJump | hoopctl | of ProxyJump | of direct |\n|---|---|---|---|---|---|")
    for what, by_path in results.items():
        median = {name: statistics.median(values) for name, values in by_path.items()}
        cells = [cell(by_path[name]) for name in ("direct", "jump", "hoopctl")]
        cells += [f"{median['hoopctl'] / median[floor]:.2f}" for floor in ("jump", "direct")]
        print(f"| {what} | {' | '.join(cells)} |")
    status = Path(f"/proc/{stack.broker.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(f"\nbroker's peak memory: {int(peak.split()[1]) / 1024:.0f} MiB")


if __name__ == "__main__":
    run(SshStack, arguments(), measure, report)
