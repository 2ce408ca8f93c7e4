# shellcheck shell=bash
# Shared by the set-up scripts: where things are cached, and how Debian packages get here.

# As root the servers run as somebody who cannot look into /root.
if [ -n "${HOOPCTL_TEST_CACHE:-}" ]; then
    CACHE=$HOOPCTL_TEST_CACHE
elif [ "$(id -u)" = 0 ]; then
    CACHE=/var/cache/hoopctl-tests
else
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hoopctl-tests
fi
mkdir -p "$CACHE"

fail() {
    echo "error: $*" >&2
    exit 1
}

# need PROGRAM PACKAGE
need() {
    command -v "$1" >/dev/null || packages "$2"
}

# packages NAME…: installs what is missing when root, else prints the line to run and stops.
packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        fail "packages are missing; run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    apt-get update -qq >&2
    case " ${missing[*]} " in *" postgresql"*) no_cluster ;; esac
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
    # later installations are the owner's own business again
    rm -f /etc/postgresql-common/createcluster.d/hoopctl.conf
}

# Lets packages that are installed by this script start no service: invoke-rc.d asks policy-rc.d
# first. A machine that has a policy of its own keeps it.
no_services() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
}

# Debian makes a cluster on 5432 and starts it when a server is installed, unless told not to.
no_cluster() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql-common >&2
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/hoopctl.conf
}

# npm_package PLACE NAME@VERSION: puts a package of npm under PLACE, once.
npm_package() {
    local place=$1 package=$2 version=${2##*@}
    need node nodejs
    [ "$(cat "$place/version" 2>/dev/null || true)" != "$version" ] || return 0
    need npm npm
    mkdir -p "$place"
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "$package" >&2)
    echo "$version" >"$place/version"
}
