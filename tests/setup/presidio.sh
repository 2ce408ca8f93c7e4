#!/bin/bash
# Puts Microsoft Presidio's analyzer under CACHE/presidio/python. spaCy comes with it, its models do not: they are no
# packages of PyPI. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("presidio-analyzer==2.2.366")
place=$CACHE/presidio

need python3 python3
wanted="${PYTHON[*]}"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    python3 -m ensurepip --version >/dev/null 2>&1 || packages python3-venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" --quiet --disable-pip-version-check install "${PYTHON[@]}" >&2
    echo "$wanted" >"$place/version"
fi
echo "$place"
