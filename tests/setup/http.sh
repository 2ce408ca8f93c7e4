#!/bin/bash
# Puts HTTP clients of Python (requests, httpx, aiohttp, HTTPie) and of Node (undici, axios, got), gRPC and WebSockets of
# Python (grpcio, websockets), WebSockets of Node (ws), and an implementation of RFC 9535 that is not ours, under
# CACHE/http. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

PYTHON=(
    "grpcio==1.76.0" "grpcio-health-checking==1.76.0" "websockets==15.0.1" "requests==2.34.2" "httpx==0.28.1"
    "aiohttp==3.14.5" "httpie==3.2.4" "jsonpath-rfc9535==1.0.1"
)
NODE=("ws@8.18.3" "undici@6.29.1" "axios@1.21.1" "got@14.6.6")
place=$CACHE/http

need_node
need wget wget
wanted="${PYTHON[*]} ${NODE[*]}"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    need npm npm
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "${NODE[@]}" >&2)
    echo "$wanted" >"$place/version"
fi
echo "$place"
