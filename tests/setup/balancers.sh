#!/bin/bash
# Installs haproxy and nginx for the tests. Debian would start both as services; nothing is started.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

packages haproxy=haproxy nginx=nginx-light
