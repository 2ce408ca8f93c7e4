#!/bin/bash
# Puts the certified OpenID provider `oidc-provider` (npm) and our settings for it under
# CACHE/oidc-provider, for the tests. Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

npm_package "$CACHE/oidc-provider" oidc-provider@9.13.3
cp "$here/oidc-provider.mjs" "$CACHE/oidc-provider/server.mjs"
cp "$here/workload-tokens.mjs" "$CACHE/oidc-provider/"
echo "$CACHE/oidc-provider"
