#!/bin/sh
# Builds hoopctl from this clone and installs it, or shows the demo.
#
#   ./install.sh               build and install (program, man pages, completions)
#   ./install.sh --demo        build and perform the demo's tour; installs nothing of ours
#   ./install.sh --uninstall   remove what an earlier run installed
#
# --prefix DIR   where to install; ~/.local by default, /usr/local as root
# --yes          do not ask before installing Debian packages
set -eu

main() {
    prefix=
    action=install
    yes=
    while [ $# -gt 0 ]; do
        case "$1" in
            --demo) action=demo ;;
            --uninstall) action=uninstall ;;
            --yes | -y) yes=1 ;;
            --prefix)
                [ $# -ge 2 ] || usage
                prefix=$2
                shift
                ;;
            --prefix=*) prefix=${1#*=} ;;
            --help | -h) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 0 ;;
            *) usage ;;
        esac
        shift
    done
    if [ -z "$prefix" ]; then
        if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=$HOME/.local; fi
    fi
    # as seen from where it was typed, not from the clone
    case $prefix in
        /*) ;;
        *) prefix=$PWD/$prefix ;;
    esac
    cd "$(dirname "$0")"
    case $action in
        uninstall) uninstall ;;
        demo)
            check_rust
            packages libclang-dev gcc libc6-dev postgresql-client postgresql curl openssh-client openssh-server
            build
            demo
            ;;
        install)
            check_rust
            packages libclang-dev gcc libc6-dev postgresql-client
            build
            install_files
            ;;
    esac
}

usage() {
    fail "usage: ./install.sh [--demo | --uninstall] [--prefix DIR] [--yes]" 64
}

fail() {
    echo "error: $1" >&2
    exit "${2:-1}"
}

# Before anything is installed: without Rust nothing else helps.
check_rust() {
    command -v cargo >/dev/null 2>&1 || fail "no cargo here; install Rust $RUST or newer (https://rustup.rs), then run this again"
    found=$(cargo --version | cut -d' ' -f2)
    major=${found%%.*}
    rest=${found#*.}
    minor=${rest%%.*}
    if [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt "${RUST#*.}" ]; }; then
        fail "Rust $RUST or newer is needed, this is $found; run: rustup update stable"
    fi
}

# packages NAME…: whatever of these is missing, after asking.
packages() {
    if ! command -v dpkg-query >/dev/null 2>&1; then
        echo "This is not Debian: make sure that a C compiler, libclang, psql and, for the demo, servers of PostgreSQL and OpenSSH are here." >&2
        return 0
    fi
    missing=
    for name in "$@"; do
        present "$name" || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    line="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        sudo=
    elif command -v sudo >/dev/null 2>&1; then
        sudo=sudo
    else
        fail "packages are missing; as root run: $line"
    fi
    echo "These Debian packages are missing:$missing" >&2
    if [ -n "$sudo" ] && [ -z "$yes" ]; then
        # without a terminal there is nobody to ask, and without root nothing to do
        [ -t 0 ] || sudo -n true 2>/dev/null || fail "packages are missing; run: sudo $line"
    fi
    if [ -z "$yes" ] && [ -t 0 ]; then
        printf 'Install them with %s? [y/N] ' "${sudo:-apt-get}" >&2
        read -r answer
        case $answer in
            [yY]*) ;;
            *) fail "packages are missing; run: ${sudo:+sudo }$line" ;;
        esac
    fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq >&2 || fail "apt-get update failed"
    # an interrupted run must not decide over later installations either
    trap as_before EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    case " $missing " in
        *" postgresql "*) no_cluster ;;
    esac
    case " $missing " in
        *" openssh-server "*) no_sshd ;;
    esac
    installed=1
    # shellcheck disable=SC2086 # a list of names
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >&2 ||
        installed=
    as_before
    trap - EXIT INT TERM HUP
    [ -n "$installed" ] || fail "the packages could not be installed; run: ${sudo:+sudo }$line"
}

# A package, or a program that makes it unnecessary.
present() {
    case $1 in
        curl) command -v curl >/dev/null 2>&1 && return 0 ;;
        gcc) command -v cc >/dev/null 2>&1 && return 0 ;;
        openssh-client) command -v ssh >/dev/null 2>&1 && command -v scp >/dev/null 2>&1 && return 0 ;;
        openssh-server)
            [ -z "${HOOPCTL_DEMO_SSHD:-}" ] || return 0
            [ ! -x "$SSHD" ] || return 0
            ;;
        postgresql-client) command -v psql >/dev/null 2>&1 && return 0 ;;
        postgresql)
            [ -z "${HOOPCTL_DEMO_PG_BIN:-}" ] || return 0
            for server in "$CLUSTERS"/*/bin/postgres; do
                [ -x "$server" ] && return 0
            done
            ;;
    esac
    dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'
}

# Debian makes a cluster on 5432 and starts it when a server is installed, unless told not to.
no_cluster() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql-common >&2
    $sudo mkdir -p "${NO_CLUSTER%/*}"
    echo 'create_main_cluster = false' | $sudo tee "$NO_CLUSTER" >/dev/null
}

# Debian starts OpenSSH's server on port 22 when it is installed, now and at each start of the machine, unless told not
# to: units that are masked are not started by systemd, and the others ask policy-rc.d. One that is the owner's stays.
no_sshd() {
    masked=
    for unit in ssh.service ssh.socket; do
        if [ -e "$UNITS/$unit" ] || [ -L "$UNITS/$unit" ]; then continue; fi
        masked="$masked $unit"
        $sudo mkdir -p "$UNITS"
        $sudo ln -s /dev/null "$UNITS/$unit"
    done
    if [ ! -e "$POLICY_RC" ]; then
        policy=1
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$POLICY_RC" >/dev/null
        $sudo chmod 755 "$POLICY_RC"
    fi
    sshd=1
}

# Later installations are the owner's own business again; a server that came with this one stays off until they turn it on.
as_before() {
    $sudo rm -f "$NO_CLUSTER"
    [ -z "${policy:-}" ] || $sudo rm -f "$POLICY_RC"
    policy=
    for unit in ${masked:-}; do
        $sudo rm -f "$UNITS/$unit"
    done
    masked=
    [ -n "${sshd:-}" ] || return 0
    sshd=
    # whichever of the two starts services here
    $sudo update-rc.d ssh disable >/dev/null 2>&1 || true
    $sudo systemctl disable --quiet ssh.service ssh.socket >/dev/null 2>&1 || true
    # what the installation has enabled, where there is no systemctl
    $sudo rm -f "$UNITS/multi-user.target.wants/ssh.service" "$UNITS/sockets.target.wants/ssh.socket" "$UNITS/sshd.service"
}

build() {
    echo "Building; this takes some minutes the first time." >&2
    # as .cargo/config.toml has it, which cargo finds by the folder that it is started in
    AWS_LC_SYS_NO_JITTER_ENTROPY=1 cargo build --release --locked --bin hoopctl
}

demo() {
    target/release/hoopctl demo --tour
    cat <<'END'

That was the tour. To type yourself:

    target/release/hoopctl demo

and to install:

    ./install.sh
END
}

install_files() {
    bin=$prefix/bin
    man=$prefix/share/man/man1
    mkdir -p "$bin" "$man" "$prefix/share/bash-completion/completions" \
        "$prefix/share/zsh/site-functions" "$prefix/share/fish/vendor_completions.d"
    # a new file under the old name: a running program keeps its own
    cp target/release/hoopctl "$bin/.hoopctl.new"
    chmod 755 "$bin/.hoopctl.new"
    mv -f "$bin/.hoopctl.new" "$bin/hoopctl"
    for page in man/*.1; do
        [ -e "$page" ] || continue
        cp "$page" "$man/"
    done
    copy_if_there completions/hoopctl.bash "$prefix/share/bash-completion/completions/hoopctl"
    copy_if_there completions/_hoopctl "$prefix/share/zsh/site-functions/_hoopctl"
    copy_if_there completions/hoopctl.fish "$prefix/share/fish/vendor_completions.d/hoopctl.fish"
    echo "installed $bin/hoopctl ($("$bin/hoopctl" --version))"
    case ":$PATH:" in
        *":$bin:"*) ;;
        *) echo "hint: $bin is not on your PATH" >&2 ;;
    esac
}

copy_if_there() {
    [ ! -e "$1" ] || cp "$1" "$2"
}

uninstall() {
    rm -f "$prefix/bin/hoopctl" "$prefix"/share/man/man1/hoopctl.1 "$prefix"/share/man/man1/hoopctl-*.1 \
        "$prefix/share/bash-completion/completions/hoopctl" "$prefix/share/zsh/site-functions/_hoopctl" \
        "$prefix/share/fish/vendor_completions.d/hoopctl.fish"
    echo "removed hoopctl from $prefix"
    echo "hint: logins stay until \`hoopctl logout\`; state is in \${XDG_STATE_HOME:-~/.local/state}/hoopctl" >&2
}

RUST=1.95
# where Debian has what matters here
CLUSTERS=/usr/lib/postgresql
SSHD=/usr/sbin/sshd
NO_CLUSTER=/etc/postgresql-common/createcluster.d/hoopctl.conf
POLICY_RC=/usr/sbin/policy-rc.d
UNITS=/etc/systemd/system
main "$@"
