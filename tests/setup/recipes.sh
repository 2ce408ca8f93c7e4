#!/bin/bash
# Puts the tools that the recipes of docs/ci.md run under CACHE/recipes: yoyo and alembic. Nothing is started; a second
# run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

PYTHON=("yoyo-migrations==9.0.0" "alembic==1.17.2" "psycopg[binary]==3.3.9" "setuptools==80.9.0")
place=$CACHE/recipes

need python3 python3
need jq jq
if [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ]; then
    python3 -m ensurepip --version >/dev/null 2>&1 || packages python3-venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo "${PYTHON[*]}" >"$place/version"
fi
