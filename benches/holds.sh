#!/bin/sh
# What a held statement costs at the gateway, in front of a real PostgreSQL: how long it takes from the
# approval to the client's answer, and how much memory each of many that are held at once takes.
set -eu
cd "$(dirname "$0")/.."
exec cargo test --release --test it -- --ignored --nocapture --exact holds::what_a_hold_costs
