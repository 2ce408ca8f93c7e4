#!/bin/bash
# Puts the PostgreSQL drivers of Java (pgjdbc, and the pool HikariCP) and of Go (pgx) here, from Debian, with their compilers; what
# Go has compiled is kept under CACHE/go-build. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

# a compiler for Java as well: a single file is compiled where it is run
packages libpostgresql-jdbc-java libhikaricp-java golang-go golang-github-jackc-pgx-v4-dev javac=default-jdk-headless
GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS=-trimpath GOCACHE=$CACHE/go-build \
    go build github.com/jackc/pgx/v4/pgxpool
echo "$CACHE/go-build"
