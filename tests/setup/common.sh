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

# A Node that an earlier run has put here, see need_node.
[ ! -x "$CACHE/node/bin/node" ] || export PATH=$CACHE/node/bin:$PATH

# need PROGRAM PACKAGE
need() {
    packages "$1=$2"
}

# packages WHAT…: installs what is missing when root, else prints one line to run for all of it and stops. WHAT is a package, or
# PROGRAM=PACKAGE where any program of that name will do.
packages() {
    local missing=() what name
    for what in "$@"; do
        name=${what#*=}
        if [ "$what" != "$name" ] && command -v "${what%%=*}" >/dev/null; then continue; fi
        # two programs may be of one package
        case " ${missing[*]} " in *" $name "*) continue ;; esac
        dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        fail "packages are missing; run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    apt-get update -qq >&2
    trap as_before EXIT
    no_services
    case " ${missing[*]} " in *" postgresql"*) no_cluster ;; esac
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >&2
    stay_off "${missing[@]}"
    as_before
}

# Lets packages that are installed by this script start no service: invoke-rc.d asks policy-rc.d
# first. A machine that has a policy of its own keeps it.
no_services() {
    [ ! -e "$POLICY_RC" ] || return 0
    printf '#!/bin/sh\nexit 101\n' >"$POLICY_RC"
    chmod +x "$POLICY_RC"
    OUR_POLICY=1
}

# Debian makes a cluster on 5432 and starts it when a server is installed, unless told not to.
no_cluster() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql-common >&2
    mkdir -p "${NO_CLUSTER%/*}"
    echo 'create_main_cluster = false' >"$NO_CLUSTER"
}

# stay_off PACKAGE…: what came just now is not started with the machine either; whichever of the two starts services here.
stay_off() {
    local name unit
    for name in "$@"; do
        case $name in
            haproxy | pgbouncer | stunnel4) unit=$name ;;
            nginx-light) unit=nginx ;;
            openssh-server) unit=ssh ;;
            *) continue ;;
        esac
        update-rc.d "$unit" disable >/dev/null 2>&1 || true
        systemctl disable --quiet "$unit" >/dev/null 2>&1 || true
    done
}

# Later installations are the owner's own business again.
as_before() {
    [ -z "${OUR_POLICY:-}" ] || rm -f "$POLICY_RC"
    OUR_POLICY=
    rm -f "$NO_CLUSTER"
}

# A virtual environment needs more of Python than Debian installs with it.
need_venv() {
    python3 -m ensurepip --version >/dev/null 2>&1 || packages python3-venv
}

# A Node that runs what is here: the machine's, or, where that is too old (Debian 12 has 18), one that npm's registry has as a
# package, below CACHE and first on the PATH from here on.
need_node() {
    need node nodejs
    if node_is_new; then return 0; fi
    local arch place=$CACHE/npm/node
    case "$(uname -m)" in
        x86_64) arch=x64 ;;
        aarch64) arch=arm64 ;;
        *) fail "Node 22 is needed, this is $(node --version); put Node 22 first on the PATH" ;;
    esac
    echo "Node 22 is needed, this is $(node --version); fetching $NODE_VERSION from npm" >&2
    need npm npm
    mkdir -p "$place" "$CACHE/node/bin"
    echo '{"private":true}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "node-linux-$arch@$NODE_VERSION" >&2) ||
        fail "npm cannot install node-linux-$arch; put Node 22 first on the PATH"
    ln -sfn "$place/node_modules/node-linux-$arch/bin/node" "$CACHE/node/bin/node"
    # the tests' servers may run as somebody else
    chmod -R a+rX "$place" "$CACHE/node"
    export PATH=$CACHE/node/bin:$PATH
    hash -r
    node_is_new || fail "the Node of npm does not run here; put Node 22 first on the PATH"
}

# What the OpenID provider uses of it: Node 22, and the last ones of 20.
node_is_new() {
    [ "$(node -p 'typeof URL.parse == "function" && typeof require("crypto").hash == "function"' 2>/dev/null)" = true ]
}

# npm_package PLACE NAME@VERSION: puts a package of npm under PLACE, once.
npm_package() {
    local place=$1 package=$2 version=${2##*@}
    need_node
    [ "$(cat "$place/version" 2>/dev/null || true)" != "$version" ] || return 0
    need npm npm
    mkdir -p "$place"
    echo '{"private":true,"type":"module"}' >"$place/package.json"
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "$package" >&2)
    echo "$version" >"$place/version"
}

NODE_VERSION=22.23.3
NO_CLUSTER=/etc/postgresql-common/createcluster.d/hoopctl.conf
POLICY_RC=/usr/sbin/policy-rc.d
