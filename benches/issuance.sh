#!/bin/bash
# What credentials cost that are made for sessions, with 10,000 of a kind alive at once: how many each second and each
# second of a processor (the broker's own time), what one takes in the broker's memory, and how long the broker that
# comes after a kill takes until it has taken all of them back.
#
# Usage: benches/issuance.sh [COUNT] [PROGRAM]
#
# Measures target/release/hoopctl unless told otherwise. Nothing is asserted about it.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-10000}
program=$(realpath "${2:-target/release/hoopctl}")
ulimit -n "$(ulimit -Hn)" || true
said=$(HOOPCTL_LEASES=$count HOOPCTL_TEST_PROGRAM=$program cargo test --locked --test it issuance:: -- --ignored --nocapture)
grep -E '^\| [0-9]+ leases' <<<"$said"
