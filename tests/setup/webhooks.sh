#!/bin/bash
# Puts the reference implementation of Standard Webhooks (npm) under CACHE/webhooks, for the tests to
# check our signatures with. Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

npm_package "$CACHE/webhooks" standardwebhooks@1.1.1
echo "$CACHE/webhooks"
