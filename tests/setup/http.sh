#!/bin/bash
# Puts gRPC and WebSockets of Python (grpcio, websockets) and WebSockets of Node (ws) under CACHE/http. Nothing is
# started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=("grpcio==1.76.0" "grpcio-health-checking==1.76.0" "websockets==15.0.1")
NODE=("ws@8.18.3")
place=$CACHE/http

need node nodejs
wanted="${PYTHON[*]} ${NODE[*]}"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    need npm npm
    python3 -m ensurepip --version >/dev/null 2>&1 || packages python3-venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "${NODE[@]}" >&2)
    echo "$wanted" >"$place/version"
fi
echo "$place"
