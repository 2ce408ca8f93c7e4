#!/bin/bash
# What sessions cost that do nothing: 2,000 of each kind, in front of a real PostgreSQL, OpenSSH and HTTP API. Memory is the
# broker's own (the gateway is in it), for each session, and for each session with a connection that was used once.
#
# Usage: benches/idle.sh [COUNT] [--release]
#
# Nothing is asserted about it. The servers behind take some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."
count=2000
case "${1:-}" in
    [0-9]*) count=$1 && shift ;;
esac
# five descriptors for each session; where the limit cannot be raised, the run says what is missing
ulimit -n "$(ulimit -Hn)" || true
said=$(HOOPCTL_IDLE=$count cargo test "$@" --locked --test it idle:: -- --ignored --nocapture --test-threads 1)
grep -E '^\| [0-9]+ idle' <<<"$said"
