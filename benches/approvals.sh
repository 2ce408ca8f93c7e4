#!/bin/sh
# What approvals cost: the inbox with 10,000 open requests, and 1,000 statements held at once.
#
# Usage: benches/approvals.sh [--release]
#
# Runs the broker's own API in this process over SQLite on the disk, and prints. Nothing is asserted
# about time; the aims are a p99 below 50 ms and memory that does not grow with what is held.
set -eu
cd "$(dirname "$0")/.."
cargo test "$@" --locked --lib broker::approvals::measure -- --ignored --nocapture --test-threads 1 |
    grep -E ' (open|held)'
