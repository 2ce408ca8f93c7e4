#!/usr/bin/env python3
"""Direct, two bare TLS relays, pgbouncer and hoopctl, side by side in one run.

Usage: benches/compare.py [--rounds 7] [--seconds 2] [--bin target/release/hoopctl] [--pg BINDIR] [--only pgbench,select,copy,first]

Seven rounds take about ten minutes. What is printed is the table of docs/benchmarks.md.

Starts its own PostgreSQL, stunnel pair, pgbouncer, OpenID provider and broker on 127.0.0.1, measures
in interleaved rounds, prints the median and the spread of each, and stops everything again. The relays
and hoopctl have the same number of TLS hops (one: both speak plain to PostgreSQL on loopback). hoopctl
runs its full path: loopback with the session's secret, TLS, verdicts, ledger, recording, and a mask on
one column of the large table.

Needs: what benches/setup.sh sets up.
"""
import argparse
import base64
import hashlib
import http.cookiejar
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PG, RELAY, SERVER, BOUNCER, BROKER, PROVIDER, LOOP = range(25432, 25439)
PASSWORD = "bench"
FIRST_PERSON = "`psql -c 'select 1'`, logged in, ms"
FIRST_WORKLOAD = "the same with a workload's login, ms"
LISTING = "`hoopctl list`, ms"


def run(make, args, measure, report):
    """Starts a stack, measures its paths, prints the report and stops the stack whatever happens."""
    work = Path(tempfile.mkdtemp(prefix="hoopctl-bench-"))
    os.chmod(work, 0o755)
    stack = make(work, args)
    try:
        report(measure(stack.start(), stack, args), stack, args)
    finally:
        stack.stop()
        shutil.rmtree(work, ignore_errors=True)


def parser(about, **numbers):
    """Of a command line with these numbers, and the program to measure."""
    line = argparse.ArgumentParser(description=about.splitlines()[0])
    for name, value in numbers.items():
        line.add_argument(f"--{name}", type=int, default=value)
    line.add_argument("--bin", default=str(ROOT / "target/release/hoopctl"))
    return line


def arguments():
    line = parser(__doc__, rounds=7, seconds=2, rows=1_000_000)
    line.add_argument("--pg", default=None, help="folder with postgres, initdb, pgbench")
    line.add_argument("--only", default="pgbench,select,copy,first")
    line.add_argument("--paths", default="direct,relays,pgbouncer,hoopctl")
    line.add_argument("--json", default=None, help="write the raw numbers here")
    return line.parse_args()


class Stack:
    """Everything that has to run, and stops again."""

    def __init__(self, work, args):
        self.work, self.args, self.children = work, args, []
        self.pg = Path(args.pg) if args.pg else newest_postgres()
        self.user = "postgres" if os.getuid() == 0 else None
        self.broker = None

    def start(self):
        self.postgres()
        paths = {"direct": {"PGPORT": str(PG), "PGUSER": "bench", "PGPASSWORD": PASSWORD}}
        wanted = self.args.paths.split(",")
        if "relays" in wanted:
            self.relays()
            paths["relays"] = dict(paths["direct"], PGPORT=str(RELAY))
        if "pgbouncer" in wanted:
            self.pgbouncer()
            paths["pgbouncer"] = dict(paths["direct"], PGPORT=str(BOUNCER))
        if "hoopctl" in wanted:
            paths["hoopctl"] = self.hoopctl()
        return {name: dict(clean_environment(), PGHOST="127.0.0.1", PGDATABASE="bench", PGSSLMODE="disable", **env)
                for name, env in paths.items()}

    def postgres(self):
        data = self.work / "pg"
        data.mkdir()
        if self.user:
            shutil.chown(data, self.user)
        secret = self.work / "pg-password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run_as([self.pg / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256",
                     f"--pwfile={secret}", "--no-sync", "--no-locale", "-E", "UTF8"])
        self.spawn([self.pg / "postgres", "-D", data, "-p", str(PG), "-c", "listen_addresses=127.0.0.1",
                    "-c", f"unix_socket_directories={data}", "-c", "fsync=off", "-c", "shared_buffers=512MB",
                    "-c", "max_connections=200"], user=self.user, name="postgres", stop=signal.SIGINT)
        wait_port(PG)
        admin = dict(clean_environment(), PGHOST="127.0.0.1", PGPORT=str(PG), PGUSER="postgres",
                     PGPASSWORD=PASSWORD, PGDATABASE="postgres")
        retry(lambda: self.psql(admin, "select 1"))
        self.psql(admin, f"CREATE ROLE bench LOGIN PASSWORD '{PASSWORD}'")
        self.psql(admin, "CREATE DATABASE bench OWNER bench")
        bench = dict(admin, PGUSER="bench", PGDATABASE="bench")
        subprocess.run([self.pg / "pgbench", "-i", "-q", "-s", "10"], env=bench, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.psql(bench, "CREATE TABLE wide (id int, name text, secret text, note text)")
        self.psql(bench, "INSERT INTO wide SELECT g, md5(g::text), md5((g+1)::text), repeat('x', 24) "
                         f"FROM generate_series(1, {self.args.rows}) g")
        # what goes in is what came out
        self.psql(bench, "CREATE UNLOGGED TABLE intake (LIKE wide)")
        with open(self.work / "wide.tsv", "w") as out:
            subprocess.run([psql(self.pg), "-Xqc", "COPY wide TO STDOUT"], env=bench, check=True, stdout=out)
        self.psql(dict(bench, PGUSER="postgres"), "VACUUM ANALYZE")
        self.psql(dict(bench, PGUSER="postgres"), "CHECKPOINT")

    def psql(self, env, sql):
        subprocess.run([psql(self.pg), "-Xqv", "ON_ERROR_STOP=1", "-c", sql], env=env, check=True,
                       stdout=subprocess.DEVNULL)

    def relays(self):
        pem = self.work / "relay.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-keyout", pem, "-out", self.work / "relay.crt",
                        "-subj", "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
        with open(pem, "a") as out:
            out.write((self.work / "relay.crt").read_text())
        shared = "foreground = yes\nsyslog = no\ndebug = 3\npid =\nsslVersion = TLSv1.3\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        server = self.work / "relay-server.conf"
        server.write_text(f"{shared}cert = {pem}\n[pg]\naccept = 127.0.0.1:{SERVER}\nconnect = 127.0.0.1:{PG}\n")
        client = self.work / "relay-client.conf"
        client.write_text(f"{shared}client = yes\n[pg]\naccept = 127.0.0.1:{RELAY}\nconnect = 127.0.0.1:{SERVER}\n"
                          f"CAfile = {self.work / 'relay.crt'}\nverifyPeer = yes\n")
        for conf in (server, client):
            self.spawn([find("stunnel4", "stunnel"), conf], name="stunnel")
        wait_port(SERVER)
        wait_port(RELAY)

    def pgbouncer(self):
        (self.work / "users").write_text(f'"bench" "{PASSWORD}"\n')
        (self.work / "bouncer.ini").write_text(
            f"[databases]\nbench = host=127.0.0.1 port={PG} dbname=bench\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {BOUNCER}\nauth_type = scram-sha-256\nauth_file = {self.work / 'users'}\n"
            "unix_socket_dir =\npool_mode = session\nmax_client_conn = 100\ndefault_pool_size = 50\n"
            "ignore_startup_parameters = extra_float_digits\n")
        self.spawn([find("pgbouncer"), self.work / "bouncer.ini"], user=self.user or None, name="pgbouncer")
        wait_port(BOUNCER)

    def hoopctl(self):
        self.start_broker("allow-statements", self.target(
            "db", '"SELECT", "INSERT", "UPDATE", "DELETE"', 'record = "full"\nmax_connections = 64\n') + """
[[target.mask]]
column = "public.wide.secret"
mask = "full"
""")
        return self.listen("db", LOOP)

    def target(self, name, privileges, settings=""):
        """The database as a target, with roles that have these privileges."""
        return f"""
[[target]]
name = "{name}"
protocol = "postgres"
host = "127.0.0.1"
port = {PG}
database = "bench"
tls = "disable"
{settings}[target.issuer]
kind = "postgres-role"
admin = "postgres"
admin_password = {{ file = "{self.work}/secret" }}
[[target.grant]]
privileges = [{privileges}]
on = "public.*"
"""

    def listen(self, target, port):
        """A session on a target that programs reach at this port."""
        said = self.work / f"{target}.out"
        with open(said, "w") as out:
            self.spawn([self.args.bin, "--output", "json", "connect", target, "--listen", f"127.0.0.1:{port}"],
                       env=self.hoop_env, name="connect", stdout=out)
        wait_port(port)
        ready = json.loads(retry(lambda: said.read_text().splitlines()[0]))
        url = urllib.parse.urlparse(ready["url"])
        return {"PGPORT": str(port), "PGUSER": urllib.parse.unquote(url.username),
                "PGPASSWORD": urllib.parse.unquote(url.password)}

    def start_broker(self, preset, targets, rules=""):
        """A provider, and a broker with these targets; whoever calls it is allowed everything there."""
        self.provider()
        retry(self.fetch_token)
        threading.Thread(target=self.keep_token, daemon=True).start()
        (self.work / "secret").write_text(PASSWORD)
        (self.work / "secret").chmod(0o600)
        (self.work / "policy.cedar").write_text(
            '@id("bench.connect")\npermit(principal, action == Hoop::Action::"connect", resource)\n'
            'when { principal in Hoop::Group::"ci/bench" || principal in Hoop::Group::"corp/dba" };\n' + rules)
        config = self.work / "broker.toml"
        config.write_text(f"""
[broker]
data_dir = "{self.work}/broker"
listen = "127.0.0.1:{BROKER}"
public_url = "https://127.0.0.1:{BROKER}"
[[provider]]
name = "corp"
issuer = "http://127.0.0.1:{PROVIDER}"
client_id = "hoopctl"
scopes = ["openid", "profile", "groups", "offline_access"]
groups = ["dba"]
[[workload]]
name = "ci"
issuer = "http://127.0.0.1:{PROVIDER}"
audience = "urn:hoopctl:broker"
[[workload.rule]]
claims = {{ client_id = "robot" }}
groups = ["bench"]
session_max = "8h"
[policy]
presets = ["{preset}"]
files = ["policy.cedar"]
{targets}""")
        self.broker = self.spawn([self.args.bin, "broker", "serve", "--config", config], name="broker")
        wait_port(BROKER)
        self.hoop_env = dict(
            clean_environment(), HOOPCTL_HOME=str(self.work / "home"), HOOPCTL_CREDENTIAL_STORE="file",
            HOOPCTL_BROKER=f"https://127.0.0.1:{BROKER}", HOOPCTL_WORKLOAD=f"token-file:{self.work / 'token'}",
            HOOPCTL_BROKER_PIN=pin(self.work / "broker/pki/ca.pem"))
        self.person_env = {k: v for k, v in self.hoop_env.items() if k != "HOOPCTL_WORKLOAD"}

    def provider(self):
        # what is missing is told on standard error
        setup = subprocess.run(["bash", ROOT / "tests/setup/oidc-provider.sh"], stdout=subprocess.PIPE, text=True)
        if setup.returncode != 0:
            raise SystemExit("no OpenID provider here; run benches/setup.sh")
        place = Path(setup.stdout.split()[-1])
        # where the machine's Node is too old, the script has put another one beside
        own = place.parent / "node/bin/node"
        self.spawn([own if own.exists() else "node", place / "server.mjs"], name="provider",
                   env=dict(os.environ, PORT=str(PROVIDER)), stdin=subprocess.PIPE)
        wait_port(PROVIDER)

    def log_in(self):
        """A person signs in, as they do in the morning."""
        child = subprocess.Popen([self.args.bin, "login"], env=self.person_env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = ""
        for line in child.stdout:
            said += line
            if page := re.search(r"http\S+user_code=\S+", line):
                approve(page.group(), "alice")
        if child.wait():
            raise SystemExit(f"`hoopctl login` failed:\n{said}")

    def fetch_token(self):
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "broker"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{PROVIDER}/token", form)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"robot:robot-secret").decode())
        token = json.load(urllib.request.urlopen(request))["access_token"]
        path = self.work / "token"
        path.with_suffix(".new").write_text(token)
        path.with_suffix(".new").chmod(0o600)
        path.with_suffix(".new").rename(path)

    def keep_token(self):
        """A token lives five minutes, as a CI system's would; the runs take longer."""
        while True:
            time.sleep(120)
            self.fetch_token()

    def run_as(self, command):
        subprocess.run([*map(str, as_user(self.user)), *map(str, command)], check=True, stdout=subprocess.DEVNULL,
                       cwd="/")

    def spawn(self, command, user=None, name="", env=None, stop=signal.SIGTERM, stdout=None, stdin=subprocess.DEVNULL):
        log = open(self.work / f"{name}-{len(self.children)}.log", "w")
        child = subprocess.Popen([*map(str, as_user(user)), *map(str, command)], env=env, cwd="/",
                                 stdout=stdout or log, stderr=log, stdin=stdin)
        self.children.append((child, stop, name, log.name))
        return child

    def stop(self):
        for child, how, name, log in reversed(self.children):
            if child.poll() not in (None, 0) and name != "connect":
                print(f"{name} ended with {child.returncode}:\n{Path(log).read_text()[-2000:]}", file=sys.stderr)
            child.send_signal(how)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def measure(paths, stack, args):
    results, only = {}, args.only.split(",")
    plans = []
    if "pgbench" in only:
        for mode in ("simple", "extended", "prepared"):
            for clients in (1, 8):
                plans.append((f"pgbench -S {mode}, {clients} client{'s' * (clients > 1)}, tps",
                              lambda env, m=mode, c=clients: pgbench(stack, env, m, c, args.seconds)))
    if "select" in only:
        plans.append((f"SELECT of {args.rows:,} rows, thousand rows/s", lambda env: rows(stack, env, "SELECT * FROM wide", args)))
    if "copy" in only:
        plans.append((f"COPY out of {args.rows:,} rows, thousand rows/s",
                      lambda env: rows(stack, env, "COPY (SELECT id, name, secret, note FROM wide) TO STDOUT", args)))
        plans.append((f"COPY in of {args.rows:,} rows, thousand rows/s", lambda env: intake(stack, env, paths["direct"], args)))
    for number in range(args.rounds):
        for what, run in plans:
            for name, env in paths.items():
                results.setdefault(what, {}).setdefault(name, []).append(run(env))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    if "first" in only and "hoopctl" in paths:
        first_rows(results, paths, stack, args)
    return results


def first_rows(results, paths, stack, args):
    """One program at a time; five turns for each round."""
    query = ["-Xqc", "select 1"]
    path = f"{psql(stack.pg).parent}:{os.environ['PATH']}"
    person, workload = (dict(env, PATH=path) for env in (stack.person_env, stack.hoop_env))
    through = [args.bin, "connect", "db", "--", *query]
    stack.log_in()
    logged_in, token, listing = (results.setdefault(what, {}) for what in (FIRST_PERSON, FIRST_WORKLOAD, LISTING))
    for _ in range(args.rounds * 5):
        direct = timed([str(psql(stack.pg)), *query], paths["direct"])
        for by_path in (logged_in, token):
            by_path.setdefault("direct", []).append(direct)
        logged_in.setdefault("hoopctl", []).append(timed(through, person))
        listing.setdefault("hoopctl", []).append(timed([args.bin, "list"], person))
        # a workload's token is good for one key, and each process has a key of its own
        stack.fetch_token()
        token.setdefault("hoopctl", []).append(timed(through, workload))


def pgbench(stack, env, mode, clients, seconds):
    out = subprocess.run([stack.pg / "pgbench", "-n", "-S", "-M", mode, "-c", str(clients), "-j", "2" if clients > 1 else "1",
                          "-T", str(seconds)], env=env, check=True, capture_output=True, text=True).stdout
    line = next(line for line in out.splitlines() if line.startswith("tps ="))
    return float(line.split()[2])


def rows(stack, env, sql, args):
    """Rows, not bytes: a masked value is shorter than the value."""
    began = time.monotonic()
    with subprocess.Popen([psql(stack.pg), "-XAtq", "-c", sql], env=env, stdout=subprocess.PIPE) as child:
        while child.stdout.read(1 << 20):
            pass
    if child.returncode:
        raise SystemExit(f"`{sql}` failed")
    return args.rows / 1000 / (time.monotonic() - began)


def intake(stack, env, direct, args):
    """Into an empty table each time."""
    stack.psql(direct, "TRUNCATE intake")
    rate = args.rows / timed([psql(stack.pg), "-Xqc", f"\\copy intake FROM '{stack.work}/wide.tsv'"], env)
    count = subprocess.run([psql(stack.pg), "-XAtqc", "SELECT count(*) FROM intake"], env=direct, check=True,
                           capture_output=True, text=True).stdout
    if int(count) != args.rows:
        raise SystemExit(f"{count.strip()} of {args.rows} rows arrived")
    return rate


def timed(command, env):
    began = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


def report(results, stack, args):
    print(f"{args.rounds} interleaved rounds of {args.seconds} s; median (lowest to highest)\n")
    print("| | direct | relays | pgbouncer | hoopctl | of relays | of direct |\n|---|---|---|---|---|---|---|")
    for what, by_path in results.items():
        median = {name: statistics.median(values) for name, values in by_path.items()}
        cells = [cell(by_path.get(name)) for name in ("direct", "relays", "pgbouncer", "hoopctl")]
        for floor in ("relays", "direct"):
            known = floor in median and "hoopctl" in median
            cells.append("" if not known else f"+{median['hoopctl'] - median[floor]:.1f} ms" if what.endswith("ms")
                         else f"{median['hoopctl'] / median[floor]:.2f}")
        print(f"| {what} | {' | '.join(cells)} |")
    if stack.broker:
        status = Path(f"/proc/{stack.broker.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        print(f"\nbroker's peak memory: {int(peak.split()[1]) / 1024:.0f} MiB")
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1))


def cell(values):
    if not values:
        return ""
    digits = 1 if max(values) < 1000 else 0
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def approve(page, person):
    """Signs in and consents through the provider's own forms."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    answer, body = browser.open(page), None
    extra = {"confirm": "yes"}
    for _ in range(6):
        body = answer.read().decode()
        if "Sign-in Success" in body:
            return
        form = re.search(r"<form(.*?)</form>", body, re.S).group(1)
        action = re.search(r'action="([^"]*)"', form).group(1).replace("&amp;", "&")
        fields = {tag[1]: tag[2] for tag in re.finditer(r'<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"', form)}
        if 'value="login"' in form:
            fields.update(login=person, password="any")
        fields.update(extra)
        extra = {}
        url = urllib.parse.urljoin(answer.url, action)
        answer = browser.open(url, urllib.parse.urlencode(fields).encode())
    raise SystemExit(f"the sign-in did not come to an end: {body}")


def pin(ca):
    """What HOOPCTL_BROKER_PIN takes: the SHA-256 of the CA's public key."""
    key = subprocess.run(["openssl", "x509", "-in", ca, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True, capture_output=True)
    return "sha256:" + hashlib.sha256(der.stdout).hexdigest()


def newest_postgres():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise SystemExit("no PostgreSQL server below /usr/lib/postgresql; run benches/setup.sh, or give --pg BINDIR")
    return found[-1].parent


def psql(pg):
    return pg / "psql" if (pg / "psql").exists() else Path(shutil.which("psql"))


def find(*names):
    for name in names:
        if path := shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin"):
            return path
    raise SystemExit(f"{names[0]} is not installed: run benches/setup.sh")


def as_user(user):
    if not user:
        return []
    pwd.getpwnam(user)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "HOOPCTL_"))}


def wait_port(port):
    def there():
        socket.create_connection(("127.0.0.1", port), 1).close()
    retry(there)


def retry(what, seconds=30):
    until = time.monotonic() + seconds
    while True:
        try:
            return what()
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    run(Stack, arguments(), measure, report)
