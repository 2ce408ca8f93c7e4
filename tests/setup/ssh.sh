#!/bin/bash
# Installs OpenSSH's server and clients, and what speaks over them, for the tests. Under CACHE/ssh go other
# people's SSH: `python` (paramiko, asyncssh, ansible, libgit2 with libssh2) and `newest` (OpenSSH and Dropbear of
# Debian's unstable branch, with the libraries that they were built for). Nothing is started; a second run ends
# at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

PYTHON=("paramiko==5.1.0" "asyncssh==2.24.1" "ansible-core==2.19.14" "pygit2==1.21.0")

main() {
    packages ssh=openssh-client scp=openssh-client rsync=rsync git=git /usr/sbin/sshd=openssh-server \
        /usr/lib/openssh/sftp-server=openssh-sftp-server
    # where a server that root starts puts its other half; Debian's own service makes it at its start
    if [ "$(id -u)" = 0 ]; then install -d -m 755 /run/sshd; fi
    mkdir -p "$CACHE/ssh"
    libraries
    newest
}

libraries() {
    local place=$CACHE/ssh/python
    [ "$(cat "$place/version" 2>/dev/null || true)" != "${PYTHON[*]}" ] || return 0
    need_venv
    rm -rf "$place"
    python3 -m venv "$place"
    "$place/bin/pip" install --quiet --disable-pip-version-check "${PYTHON[@]}" >&2
    echo "${PYTHON[*]}" >"$place/version"
}

# Twenty megabytes beside the system, which stays as it is: apt with lists and a status of its own resolves
# them, and patchelf makes the programs find these libraries.
newest() {
    local place=$CACHE/ssh/newest work names program
    [ ! -e "$place/ready" ] || return 0
    need patchelf patchelf
    work=$(mktemp -d)
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    : >"$work/status"
    echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main' >"$work/sources"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work"
        -o "Dir::Cache::archives=$work/archives" -o APT::Install-Recommends=false
        -o "APT::Sandbox::User=$(id -un)")
    "${apt[@]}" update >&2
    # of all that would be installed, what the programs are linked with
    names=$("${apt[@]}" install -y --print-uris openssh-server openssh-client openssh-sftp-server dropbear-bin |
        awk '{ print $2 }' | sed 's/_.*//' | grep -E '^(lib.*[0-9]|lib.*t64|openssh-.*|zlib1g|libpam0g|dropbear-bin)$' |
        grep -v -e modules -e perl -e gconv)
    # shellcheck disable=SC2086 # one word for each package
    (cd "$work/archives" && "${apt[@]}" download $names >&2)
    rm -rf "$place"
    mkdir -p "$place"
    for name in "$work"/archives/*.deb; do dpkg -x "$name" "$place"; done
    local libraries loader
    libraries=$(echo "$place"/usr/lib/*-linux-gnu)
    loader=$(echo "$libraries"/ld-linux-*.so.*)
    for program in usr/sbin/{sshd,dropbear} usr/bin/{ssh,scp,sftp,ssh-keygen,dbclient,dropbearkey,dropbearconvert} \
        usr/lib/openssh/{sshd-session,sshd-auth,sftp-server}; do
        patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$place/$program"
    done
    rm -rf "$work"
    "$place/usr/bin/ssh" -V 2>&1 | tee "$place/ready" >&2
}

main
