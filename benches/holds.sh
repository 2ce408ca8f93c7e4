#!/bin/bash
# What held statements cost at the gateway, in front of a real PostgreSQL: how long it takes from the approval
# to the client's answer, with one held at a time and with 1,000, and how much memory each of them takes. What
# holds cost at the broker is in benches/approvals.sh.
#
# Usage: benches/holds.sh [--release]
#
# Nothing is asserted about time. The database gets max_connections = 1200 and takes some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/.."
# three descriptors for each connection; where the limit cannot be raised, the run says what is missing
ulimit -n "$(ulimit -Hn)" || true
said=$(cargo test "$@" --locked --test it holds::cost -- --ignored --nocapture --test-threads 1)
grep -E 'at (once|a time)' <<<"$said"
