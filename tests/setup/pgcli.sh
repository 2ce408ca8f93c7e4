#!/bin/bash
# Puts pgcli under CACHE/pgcli. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("pgcli==4.7.1" "pgspecial==2.2.1" "psycopg[binary]==3.3.9")
place=$CACHE/pgcli

need python3 python3
if [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ]; then
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo "${PYTHON[*]}" >"$place/version"
fi
echo "$place"
