#!/bin/bash
# What approvals cost at the broker: the inbox with 10,000 open requests, and 1,000 statements held at once.
#
# Usage: benches/approvals.sh [--release]
#
# Runs the broker's own API in this process over SQLite on the disk, and prints. Nothing is asserted
# about time; the aims are a p99 below 50 ms and memory that does not grow with what is held.
set -euo pipefail
cd "$(dirname "$0")/.."
said=$(cargo test "$@" --locked --lib broker::approvals::measure -- --ignored --nocapture --test-threads 1)
# the figures stand behind the name of their test
grep -oE '(inbox, .* ms|[0-9]+ held: .* each)' <<<"$said"
