#!/bin/bash
# All that the benchmarks want, on a machine with Rust 1.95 or newer: packages of Debian, the OpenID provider, and a release build.
#
# Usage: benches/setup.sh
#
# As root it installs what is missing without asking; otherwise it prints the line to run and stops. No service is started. A second run
# ends at once.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/setup/common.sh
. tests/setup/common.sh

command -v cargo >/dev/null || fail "no cargo here; install Rust 1.95 or newer"
packages cc=gcc libclang-dev python3=python3 node=nodejs npm=npm psql=postgresql-client \
    /usr/lib/postgresql/15/bin/pgbench=postgresql-15 stunnel4=stunnel4 pgbouncer=pgbouncer \
    nginx=nginx-light wrk=wrk curl=curl openssl=openssl ssh=openssh-client /usr/sbin/sshd=openssh-server
tests/setup/postgres.sh 15 >/dev/null
tests/setup/oidc-provider.sh >/dev/null
cargo build --release --locked
