#!/bin/bash
# Speed, precision and recall of detectors, and Presidio's precision and recall on the same labelled rows, in one run:
#   benches/detectors.sh              a release build, then some ten minutes, most of them Presidio's
set -euo pipefail
cd "$(dirname "$0")/.."

presidio=$(tests/setup/presidio.sh)
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
HOOPCTL_DETECTED_ROWS=$rows cargo bench --quiet --bench detectors
"$presidio/python/bin/python" benches/detectors.py "$rows"
