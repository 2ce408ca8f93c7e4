#!/usr/bin/env python3
"""What `hoopctl exec` adds to a command, with one, two and three targets, beside the bare command in one run.

Usage: benches/exec.py [--rounds 20] [--bin target/release/hoopctl]

Starts a PostgreSQL, an OpenID provider and a broker on 127.0.0.1, runs each command in turns, prints the median and the
spread of each, and stops everything again. `true` shows what opening and closing the sessions costs; `psql -c 'select 1'`
also what the first connection does. HOOPCTL_TEST_PROGRAM names another build to measure.

Needs: what benches/setup.sh sets up.
"""
import os
import statistics
import sys

import compare
from compare import PASSWORD, PG, cell, clean_environment, parser, run, timed

TARGETS = ("db", "reports", "api")


def arguments():
    line = parser(__doc__, rounds=20, rows=1000)
    line.add_argument("--pg", default=None, help="folder with postgres, initdb, pgbench")
    args = line.parse_args()
    args.bin = os.environ.get("HOOPCTL_TEST_PROGRAM", args.bin)
    return args


class Stack(compare.Stack):
    """The database of the other comparison under two names, and an API that nobody calls."""

    def start(self):
        self.postgres()
        api = '[[target]]\nname = "api"\nprotocol = "http"\nbase = "http://127.0.0.1:9"\n[target.issuer]\nkind = "none"\n'
        self.start_broker("allow-statements", self.target("db", '"SELECT"') + self.target("reports", '"SELECT"') + api)
        self.log_in()
        return dict(clean_environment(), PGHOST="127.0.0.1", PGPORT=str(PG), PGUSER="bench", PGPASSWORD=PASSWORD,
                    PGDATABASE="bench", PGSSLMODE="disable")


def measure(bare, stack, args):
    commands = {"`true`": ["true"], "`psql -c 'select 1'`": [str(compare.psql(stack.pg)), "-Xqc", "select 1"]}
    path = os.environ["PATH"]
    logged_in, workload = (dict(env, PATH=path) for env in (stack.person_env, stack.hoop_env))
    results = {}
    for number in range(args.rounds):
        for what, command in commands.items():
            row = results.setdefault(what, {})
            row.setdefault("bare", []).append(timed(command, dict(bare, PATH=path)))
            for count in range(1, len(TARGETS) + 1):
                through = [args.bin, "exec", *TARGETS[:count], "--", *command]
                row.setdefault(f"{count}, logged in", []).append(timed(through, logged_in))
                # each login with a token that nobody has exchanged yet
                stack.fetch_token()
                row.setdefault(f"{count}, workload", []).append(timed(through, workload))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    return results


def report(results, stack, args):
    print(f"{args.rounds} turns, {args.bin}; ms, median (lowest to highest)\n")
    print("| command | targets, login | ms | more than bare |\n|---|---|---|---|")
    for what, by_way in results.items():
        bare = statistics.median(by_way["bare"])
        for way, values in by_way.items():
            more = "" if way == "bare" else f"+{statistics.median(values) - bare:.1f} ms"
            print(f"| {what} | {way} | {cell(values)} | {more} |")


if __name__ == "__main__":
    run(Stack, arguments(), measure, report)
