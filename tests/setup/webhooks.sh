#!/bin/bash
# Puts the reference implementation of Standard Webhooks (npm) under CACHE/webhooks, for the tests to
# check our signatures with. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

VERSION=1.1.1
place=$CACHE/webhooks

need node nodejs
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$VERSION" ]; then
    need npm npm
    mkdir -p "$place"
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "standardwebhooks@$VERSION" >&2)
    echo "$VERSION" >"$place/version"
fi
echo "$place"
