#!/bin/bash
# What a statement costs the gateway in CPU time, new and seen before, in front of a real PostgreSQL: an everyday query over
# masked tables with 50 rules, and the shares of libpg_query's parser and of Cedar.
#
# Usage: benches/statements.sh [--release]
#
# Nothing is asserted about time.
set -euo pipefail
cd "$(dirname "$0")/.."
said=$(cargo test "$@" --locked --test it rewrite::cost -- --ignored --nocapture --test-threads 1)
grep -E '^(a statement of|\|)' <<<"$said"
