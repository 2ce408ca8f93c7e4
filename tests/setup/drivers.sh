#!/bin/bash
# Puts the PostgreSQL drivers of Python (psycopg, asyncpg) and of Node (pg, postgres) under
# CACHE/drivers, and asyncpg's own tests under CACHE/drivers/asyncpg-tests. Nothing is started; a
# second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("psycopg[binary]==3.3.9" "psycopg-pool==3.3.3" "asyncpg==0.32.0")
NODE=("pg@8.23.1" "postgres@3.4.9")
place=$CACHE/drivers

need_node
wanted="${PYTHON[*]} ${NODE[*]} and asyncpg's tests"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    need npm npm
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "${NODE[@]}" >&2)
    # the tests are in the source only; they are to find the installed driver, not the source's
    "$place/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary asyncpg \
        --dest "$place/source" "${PYTHON[2]}" >&2
    tar -xzf "$place"/source/asyncpg-*.tar.gz -C "$place/source"
    mkdir "$place/asyncpg-tests"
    mv "$place"/source/asyncpg-*/tests "$place/asyncpg-tests/tests"
    rm -rf "$place/source"
    echo "$wanted" >"$place/version"
fi
echo "$place"
