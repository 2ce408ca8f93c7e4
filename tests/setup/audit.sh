#!/bin/bash
# Builds implementations of transparency logs that are not ours, as oracles for tests/it/oracles.rs: crates
# (tests/clients/tlog) and Go's own. Under CACHE/audit; a second run takes a second.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/setup/common.sh
. tests/setup/common.sh

packages golang-go golang-golang-x-mod-dev
place=$CACHE/audit
mkdir -p "$place/bin"
cargo build --locked --quiet --manifest-path tests/clients/tlog/Cargo.toml --target-dir "$place/target" >&2
cp -u "$place/target/debug/tlog" "$place/bin/tlog"
if [ ! -e "$place/bin/x-mod" ] || [ tests/clients/tlog/oracle.go -nt "$place/bin/x-mod" ]; then
    GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-trimpath GOCACHE=$CACHE/go-build \
        go build -o "$place/bin/x-mod" tests/clients/tlog/oracle.go
fi
echo "$place/bin"
