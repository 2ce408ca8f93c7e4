#!/bin/bash
# Installs OpenSSH's server and clients, and what speaks over them, for the tests.
# Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

if [ "$(id -u)" = 0 ]; then no_services; fi
need ssh openssh-client
need scp openssh-client
need rsync rsync
need git git
[ -x /usr/sbin/sshd ] || packages openssh-server
[ -x /usr/lib/openssh/sftp-server ] || packages openssh-sftp-server
# where a server that root starts puts its other half; Debian's own service makes it at its start
if [ "$(id -u)" = 0 ]; then install -d -m 755 /run/sshd; fi
