#!/bin/bash
# Puts what judges exports under CACHE/exports: the schema of OCSF and two validators of PyPI, the HAR validator of npm, and
# Debian's asciinema. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("ocsf-json-schema==1.2.0" "jsonschema==4.26.0" "ocsf-emitter==0.3.0" "pydantic==2.14.3")
place=$CACHE/exports

packages asciinema=asciinema python3=python3 script=bsdutils
if [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ]; then
    need_venv
    rm -rf "$place/python"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo "${PYTHON[*]}" >"$place/version"
fi
npm_package "$place/har" har-validator@5.1.5
chmod -R a+rX "$place"
echo "$place"
