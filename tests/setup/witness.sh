#!/bin/bash
# Puts a witness, a client of witnesses and a verifier of cosignatures that are not ours (PyPI: aics-witness, aics-tlog) under
# CACHE/witness, for tests/it/witnesses.rs. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("aics-witness==0.1.0" "aics-tlog==0.2.1" "cryptography==50.0.2" "cffi==2.1.1" "pycparser==3.12")
place=$CACHE/witness

need python3 python3
if [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ]; then
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    # they ask for Python 3.12 and use nothing of it that 3.11, which Debian 12 has, lacks
    "$place/python/bin/pip" install --quiet --disable-pip-version-check --ignore-requires-python "${PYTHON[@]}" >&2
    echo "${PYTHON[*]}" >"$place/version"
fi
echo "$place"
