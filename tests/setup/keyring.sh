#!/bin/bash
# Installs a Secret Service for the tests of the credential store: GNOME's keyring and a session bus.
# Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

packages gnome-keyring-daemon=gnome-keyring dbus-daemon=dbus-daemon dbus-send=dbus-bin secret-tool=libsecret-tools
