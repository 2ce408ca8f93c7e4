#!/bin/bash
# Puts SQLAlchemy and the drivers it speaks through under CACHE/sqlalchemy/python, and its own tests under
# CACHE/sqlalchemy/tests. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

SQLALCHEMY=2.1.9
PYTHON=("sqlalchemy==$SQLALCHEMY" "psycopg[binary]==3.3.9" "asyncpg==0.32.0" "greenlet==3.5.6" "pytest==9.2.0")
place=$CACHE/sqlalchemy

need python3 python3
wanted="${PYTHON[*]}"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    need_venv
    rm -rf "$place"
    mkdir -p "$place/source"
    python3 -m venv "$place/python"
    pip=("$place/python/bin/pip" --quiet --disable-pip-version-check)
    "${pip[@]}" install "${PYTHON[@]}" >&2
    # the tests are in the source only, and load parts of the library from beside them
    "${pip[@]}" download --no-deps --no-binary sqlalchemy --dest "$place/source" "sqlalchemy==$SQLALCHEMY" >&2
    mkdir "$place/tests"
    tar -xzf "$place"/source/sqlalchemy-*.tar.gz -C "$place/tests" --strip-components=1 \
        --wildcards '*/test/*' '*/lib/*' '*/setup.cfg' '*/pyproject.toml'
    rm -rf "$place/source"
    echo "$wanted" >"$place/version"
fi
echo "$place"
