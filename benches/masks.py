#!/usr/bin/env python3
"""What masking costs of a large result: a million rows with each kind of mask, beside the same rows of a target without masks.

Usage: benches/masks.py [--rounds 5] [--rows 1000000] [--bin target/release/hoopctl] [--pg BINDIR]

Both targets are the same database, and both results go through `hoopctl connect`, its tunnel and a broker with ledger and
recording, in interleaved rounds. Prints rows and bytes per second, the median and the spread, and stops everything again.
A mask changes how long a value is, and rows per second is what a person waits for; so that is what the share is of.

Needs: a release build, PostgreSQL, node with oidc-provider (tests/setup/oidc-provider.sh).
"""
import statistics
import subprocess
import sys
import time

import compare
from compare import LOOP, PG, cell, clean_environment, parser, psql, run

# what is asked, and of which table
QUERIES = {
    "`full`": ("whole", "SELECT id, name, secret, note FROM whole"),
    "`null`": ("absent", "SELECT id, name, secret, note FROM absent"),
    "`partial`, the last 4 kept": ("ending", "SELECT id, name, secret, note FROM ending"),
    "`full` at a path of a `jsonb` column": ("document", "SELECT id, document FROM document"),
    "`full` at any depth of a `jsonb` column": ("deep", "SELECT id, document FROM deep"),
    "`full`, and a COPY": ("whole", "COPY (SELECT id, name, secret, note FROM whole) TO STDOUT"),
}
MASKS = """
[[target.mask]]
column = "public.whole.secret"
mask = "full"
[[target.mask]]
column = "public.absent.secret"
mask = "null"
[[target.mask]]
column = "public.ending.secret"
mask = "partial"
keep_last = 4
[[target.mask]]
column = "public.document.document"
path = "$.secret"
mask = "full"
[[target.mask]]
column = "public.deep.document"
path = "$.**.secret"
mask = "full"
"""


def arguments():
    line = parser(__doc__, rounds=5, rows=1_000_000)
    line.add_argument("--pg", default=None, help="folder with postgres, initdb, psql")
    return line.parse_args()


class Stack(compare.Stack):
    """One database as two targets, with and without masks."""

    def start(self):
        self.postgres()
        bench = dict(clean_environment(), PGHOST="127.0.0.1", PGPORT=str(PG), PGUSER="bench", PGPASSWORD=compare.PASSWORD,
                     PGDATABASE="bench")
        for table in ("whole", "absent", "ending"):
            self.psql(bench, f"CREATE TABLE {table} AS TABLE wide")
        for table in ("document", "deep"):
            self.psql(bench, f"CREATE TABLE {table} AS SELECT id, jsonb_build_object('name', name, 'secret', secret, "
                             "'note', note) AS document FROM wide")
        self.psql(dict(bench, PGUSER="postgres"), "VACUUM ANALYZE")
        self.psql(dict(bench, PGUSER="postgres"), "CHECKPOINT")
        targets = [self.target(name, '"SELECT"', 'record = "full"\n') for name in ("open", "masked")]
        self.start_broker("allow-statements", "".join(targets) + MASKS)
        paths = {}
        for at, name in enumerate(("open", "masked")):
            # a workload's token is good for one key, and each process has a key of its own
            self.fetch_token()
            paths[name] = dict(clean_environment(), PGHOST="127.0.0.1", PGDATABASE="bench", PGSSLMODE="disable",
                               **self.listen(name, LOOP + at))
        return paths


def measure(paths, stack, args):
    results = {}
    for number in range(args.rounds):
        for what, (_, sql) in QUERIES.items():
            for name, env in paths.items():
                results.setdefault(what, {}).setdefault(name, []).append(fetched(stack, env, sql, args.rows))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    return results


def fetched(stack, env, sql, rows):
    """Thousand rows and megabytes per second."""
    began, size, lines = time.monotonic(), 0, 0
    with subprocess.Popen([psql(stack.pg), "-XAtq", "-c", sql], env=env, stdout=subprocess.PIPE) as child:
        while piece := child.stdout.read(1 << 20):
            size += len(piece)
            lines += piece.count(b"\n")
    took = time.monotonic() - began
    if child.returncode or lines != rows:
        raise SystemExit(f"`{sql}` ended with {child.returncode} after {lines} rows")
    return rows / 1000 / took, size / 1e6 / took


def report(results, stack, args):
    print(f"{args.rounds} interleaved rounds of {args.rows:,} rows; median (lowest to highest)\n")
    print("| mask | without, thousand rows/s | with | share | without, MB/s | with |\n|---|---|---|---|---|---|")
    for what, by_target in results.items():
        (bare, bare_size), (masked, size) = (zip(*by_target[name]) for name in ("open", "masked"))
        share = statistics.median(masked) / statistics.median(bare)
        print(f"| {what} | {cell(bare)} | {cell(masked)} | {share:.2f} | {statistics.median(bare_size):.0f} "
              f"| {statistics.median(size):.0f} |")


if __name__ == "__main__":
    ARGS = arguments()
    run(Stack, ARGS, measure, report)
