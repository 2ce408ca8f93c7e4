#!/bin/bash
# Puts the certified OpenID provider `oidc-provider` (npm) and our settings for it under
# CACHE/oidc-provider, for the tests. Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

VERSION=9.13.3
place=$CACHE/oidc-provider

need node nodejs
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$VERSION" ]; then
    need npm npm
    mkdir -p "$place"
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "oidc-provider@$VERSION" >&2)
    echo "$VERSION" >"$place/version"
fi
cp "$here/oidc-provider.mjs" "$place/server.mjs"
echo "$place"
