#!/bin/bash
# Builds a program with the Rust SDK of AWS (tests/clients/rust-sdk) under CACHE/rust-sdk: a few minutes the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/setup/common.sh
. tests/setup/common.sh

cargo build --locked --manifest-path tests/clients/rust-sdk/Cargo.toml --target-dir "$CACHE/rust-sdk"
