#!/bin/bash
# Installs haproxy and nginx for the tests. Debian would start both as services; nothing is started.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

if command -v haproxy >/dev/null && command -v nginx >/dev/null; then exit 0; fi
if [ "$(id -u)" = 0 ]; then no_services; fi
packages haproxy nginx-light
