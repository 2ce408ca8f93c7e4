#!/usr/bin/env python3
"""An HTTP API direct, through two nginx TLS hops, and through hoopctl without and with masks, side by side in one run.

Usage: benches/calls.py [--rounds 5] [--seconds 5] [--megabytes 200] [--bin target/release/hoopctl]

Starts its own nginx as the API, two more as the peers, an OpenID provider and a broker on 127.0.0.1, measures in
interleaved rounds, prints the median and the spread of each, and stops everything again. The peers and hoopctl have the
same number of TLS hops (one: all speak plain to the API on loopback). hoopctl runs its full path: loopback with the
session's secret, TLS, a verdict for each call, ledger, recording of what the client is shown.

Needs: what benches/setup.sh sets up.
"""
import json
import os
import subprocess
import threading
import time
import urllib.parse

import compare
from compare import BROKER, PROVIDER, cell, clean_environment, find, retry, wait_port

ORIGIN, FAR, NEAR, PLAIN, MASKED = range(25460, 25465)
PATHS = ("direct", "nginx", "hoopctl", "masked")


class Stack(compare.Stack):
    """The same provider and broker as for PostgreSQL, before an API."""

    def __init__(self, work, args):
        self.work, self.args, self.children, self.broker = work, args, [], None

    def start(self):
        files = self.work / "files"
        files.mkdir()
        trace = {"id": 7, "project": "billing-copilot", "agent": "planner", "api_key": "tracekey." + "a" * 28,
                 "customer_id": "cust-1000-10000", "steps": [{"step": n, "text": "x" * 180} for n in range(4)]}
        (files / "small.json").write_text(json.dumps(trace))
        line = json.dumps(trace) + "\n"
        self.big = len(line) * (self.args.megabytes * 1_000_000 // len(line))
        with open(files / "big.ndjson", "w") as out:
            for _ in range(self.big // len(line)):
                out.write(line)
        self.nginx("origin", f"server {{ listen 127.0.0.1:{ORIGIN}; root {files}; }}")
        self.peers()
        calls = [("direct", ORIGIN, None), ("nginx", NEAR, None)]
        return {name: (f"http://127.0.0.1:{port}", secret) for name, port, secret in calls + self.hoopctl()}

    def nginx(self, name, servers):
        place = self.work / name
        place.mkdir()
        temporary = "".join(f"{kind}_temp_path {place}/{kind}; " for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        conf = place / "nginx.conf"
        conf.write_text(f"daemon off; pid {place}/pid; error_log stderr; worker_processes 2;\n"
                        "events { worker_connections 1024; }\n"
                        "http { access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000;\n"
                        f"types {{ application/json json; application/x-ndjson ndjson; }} {temporary}\n{servers} }}\n")
        self.spawn([find("nginx"), "-e", "stderr", "-c", conf], name=name)

    def peers(self):
        key, certificate = self.work / "peer.key", self.work / "peer.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
        onward = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_max_temp_file_size 0;'
        self.nginx("far", f"upstream api {{ server 127.0.0.1:{ORIGIN}; keepalive 64; keepalive_requests 100000000; }}\n"
                   f"server {{ listen 127.0.0.1:{FAR} ssl; ssl_protocols TLSv1.3; ssl_certificate {certificate};\n"
                   f"ssl_certificate_key {key}; location / {{ {onward} proxy_pass http://api; }} }}")
        self.nginx("near", f"upstream far {{ server 127.0.0.1:{FAR}; keepalive 64; keepalive_requests 100000000; }}\n"
                   f"server {{ listen 127.0.0.1:{NEAR}; location / {{ {onward} proxy_pass https://far;\n"
                   "proxy_ssl_protocols TLSv1.3; proxy_ssl_verify on; proxy_ssl_name localhost;\n"
                   f"proxy_ssl_trusted_certificate {certificate}; }} }}")
        for port in (ORIGIN, FAR, NEAR):
            wait_port(port)

    def hoopctl(self):
        self.provider()
        retry(self.fetch_token)
        threading.Thread(target=self.keep_token, daemon=True).start()
        (self.work / "policy.cedar").write_text(
            '@id("bench")\npermit(principal in Hoop::Group::"ci/bench",\n'
            '    action in [Hoop::Action::"connect", Hoop::Action::"call"], resource);\n')
        target = (f'[[target]]\nname = "{{}}"\nprotocol = "http"\nbase = "http://127.0.0.1:{ORIGIN}"\n'
                  'record = "full"\nmax_connections = 64\n[target.issuer]\nkind = "none"\n')
        mask = '[[target.mask]]\npath = "$..api_key"\nmask = "full"\n[[target.mask]]\npath = "$..customer_id"\nmask = "full"\n'
        config = self.work / "broker.toml"
        config.write_text(f"""
[broker]
data_dir = "{self.work}/broker"
listen = "127.0.0.1:{BROKER}"
public_url = "https://127.0.0.1:{BROKER}"
[[workload]]
name = "ci"
issuer = "http://127.0.0.1:{PROVIDER}"
audience = "urn:hoopctl:broker"
[[workload.rule]]
claims = {{ client_id = "robot" }}
groups = ["bench"]
session_max = "8h"
[policy]
files = ["policy.cedar"]
{target.format("hoopctl")}{target.format("masked")}{mask}""")
        self.broker = self.spawn([self.args.bin, "broker", "serve", "--config", config], name="broker")
        wait_port(BROKER)
        env = dict(clean_environment(), HOOPCTL_HOME=str(self.work / "home"), HOOPCTL_CREDENTIAL_STORE="file",
                   HOOPCTL_BROKER=f"https://127.0.0.1:{BROKER}", HOOPCTL_WORKLOAD=f"token-file:{self.work / 'token'}",
                   HOOPCTL_BROKER_PIN=compare.pin(self.work / "broker/pki/ca.pem"))
        return [(name, port, self.listen(env, name, port)) for name, port in (("hoopctl", PLAIN), ("masked", MASKED))]

    def listen(self, env, target, port):
        told = self.work / f"{target}.out"
        self.spawn([self.args.bin, "--output", "json", "connect", target, "--listen", f"127.0.0.1:{port}"], env=env,
                   name="connect", stdout=open(told, "w"))
        wait_port(port)
        url = retry(lambda: json.loads(told.read_text().splitlines()[0])["url"])
        return urllib.parse.unquote(urllib.parse.urlparse(url).password)


def measure(paths, stack, args):
    results = {}
    for number in range(args.rounds):
        for name, (url, secret) in paths.items():
            header = ["-H", f"Hoop-Session: {secret}"] if secret else []
            for clients in (1, 8):
                told = results.setdefault(f"small JSON, {clients} client{'s' * (clients > 1)}, calls/s", {})
                told.setdefault(name, []).append(calls(f"{url}/small.json", header, clients, args.seconds))
            told = results.setdefault(f"{args.megabytes} MB of JSON lines, MB/s", {})
            told.setdefault(name, []).append(download(f"{url}/big.ndjson", header, stack))
        print(f"round {number + 1} of {args.rounds}", flush=True)
    return results


def calls(url, header, clients, seconds):
    out = subprocess.run([find("wrk"), "-t1", f"-c{clients}", f"-d{seconds}s", *header, url], check=True,
                         capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        raise SystemExit(f"not all calls were answered:\n{out}")
    return float(next(line for line in out.splitlines() if line.startswith("Requests/sec")).split()[1])


def download(url, header, stack):
    """By the API's bytes: a masked document is shorter."""
    began = time.monotonic()
    subprocess.run(["curl", "-q", "-sS", "--fail", "--noproxy", "*", "-o", "/dev/null", *header, url], check=True)
    return stack.big / 1_000_000 / (time.monotonic() - began)


def report(results, _, args):
    print(f"\n{args.rounds} interleaved rounds of {args.seconds} s; median (lowest to highest)\n")
    print(f"| | {' | '.join(PATHS)} | hoopctl of nginx | masked of nginx |\n|{'---|' * (len(PATHS) + 3)}")
    for what, by_path in results.items():
        median = {name: sorted(values)[len(values) // 2] for name, values in by_path.items()}
        shares = [f"{median[name] / median['nginx']:.2f}" for name in ("hoopctl", "masked")]
        print(f"| {what} | {' | '.join(cell(by_path[name]) for name in PATHS)} | {' | '.join(shares)} |")


if __name__ == "__main__":
    compare.run(Stack, compare.parser(__doc__, rounds=5, seconds=5, megabytes=200).parse_args(), measure, report)
