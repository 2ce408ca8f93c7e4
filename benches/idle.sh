#!/bin/bash
# What sessions cost that do nothing: 2,000 of each kind, in front of a real PostgreSQL, OpenSSH and HTTP API. Memory is the
# broker's own (the gateway is in it), for each session, and for each session with a connection that was used once.
#
# Usage: benches/idle.sh [COUNT] [PROGRAM]
#
# Measures target/release/hoopctl unless told otherwise. Nothing is asserted about it. The servers behind take
# some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."
count=${1:-2000}
program=$(realpath "${2:-target/release/hoopctl}")
# five descriptors for each session; where the limit cannot be raised, the run says what is missing
ulimit -n "$(ulimit -Hn)" || true
said=$(HOOPCTL_IDLE=$count HOOPCTL_TEST_PROGRAM=$program cargo test --locked --test it idle:: -- --ignored --nocapture)
grep -E '^\| [0-9]+ idle' <<<"$said"
