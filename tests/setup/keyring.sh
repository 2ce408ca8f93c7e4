#!/bin/bash
# Installs a Secret Service for the tests of the credential store: GNOME's keyring and a session bus.
# Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

need gnome-keyring-daemon gnome-keyring
need dbus-daemon dbus-daemon
need dbus-send dbus-bin
need secret-tool libsecret-tools
