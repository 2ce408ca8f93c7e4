#!/bin/bash
# Ceph's RADOS gateway: S3, IAM and an STS that enforces session policies, which moto's does not.
#
#   tests/setup/ceph.sh                           installs it (Debian packages); nothing is started
#   tests/setup/ceph.sh start FOLDER HTTP MON     starts one in FOLDER: its HTTP port, and the first of two for its monitor
#   tests/setup/ceph.sh stop FOLDER               stops it and removes what it stored
#
# One node whose storage is memory: 13 seconds to start and 430 MB on a machine with nothing else to do. `start` ends when it
# answers, and prints ENDPOINT ACCESS_KEY SECRET_KEY of a user who may make roles.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

readonly ACCESS_KEY=HOOPCTLBROKER SECRET_KEY=hoopctl-broker-secret

main() {
    case "${1:-}" in
        "") install_it ;;
        start) start "${2:?a folder}" "${3:?a port}" "${4:?a port}" ;;
        stop) stop "${2:?a folder}" ;;
        *) fail "usage: tests/setup/ceph.sh [start FOLDER HTTP MON | stop FOLDER]" ;;
    esac
}

install_it() {
    packages ceph-mon ceph-osd ceph-mgr ceph-common radosgw uuid-runtime
}

start() {
    local at=$1 http=$2 mon=$3 fsid osd
    command -v radosgw >/dev/null || fail "no radosgw here; run: tests/setup/ceph.sh"
    mkdir -p "$at"/{mon,mgr,osd,run,log}
    at=$(cd "$at" && pwd)
    fsid=$(uuidgen)
    configuration "$at" "$http" "$mon" "$fsid" >"$at/ceph.conf"
    keys "$at"
    monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$((mon + 1))]" \
        --clobber "$at/monmap" >/dev/null
    # whoever reads what this prints would wait for the daemons' end if they had it too
    exec 3>&1 4>&2 1>"$at/log/start" 2>&1
    # shellcheck disable=SC2064 # the folder is known now
    trap "failed '$at'" ERR
    ceph-mon -c "$at/ceph.conf" -i a --mkfs --monmap "$at/monmap" --keyring "$at/mon.keyring"
    ceph-mon -c "$at/ceph.conf" -i a 3>&- 4>&-
    ceph-mgr -c "$at/ceph.conf" -i x 3>&- 4>&-
    osd=$(uuidgen)
    timeout 60 ceph -c "$at/ceph.conf" osd new "$osd" 0
    ceph-osd -c "$at/ceph.conf" -i 0 --mkfs --osd-uuid "$osd"
    ceph-osd -c "$at/ceph.conf" -i 0 3>&- 4>&-
    radosgw -c "$at/ceph.conf" -n client.rgw 3>&- 4>&-
    answers "$http"
    radosgw-admin -c "$at/ceph.conf" -n client.rgw user create --uid=broker --display-name=broker \
        --access-key="$ACCESS_KEY" --secret="$SECRET_KEY"
    radosgw-admin -c "$at/ceph.conf" -n client.rgw caps add --uid=broker \
        --caps='roles=*;oidc-provider=*;user-policy=*'
    echo "http://127.0.0.1:$http $ACCESS_KEY $SECRET_KEY" >&3
}

# Says why, to whoever called.
failed() {
    tail -n 20 "$1"/log/* >&4
    stop "$1"
    exit 1
}

stop() {
    local at=$1 file
    # the gateway first: it waits for the others otherwise
    for file in "$at"/run/client.rgw*.pid "$at"/run/osd.0.pid "$at"/run/mgr.x.pid "$at"/run/mon.a.pid; do
        [ -e "$file" ] || continue
        kill -KILL "$(cat "$file")" 2>/dev/null || true
    done
    rm -rf "$at"/{mon,mgr,osd,run}
}

# All data is lost when it stops, so nothing is replicated, and nothing is checked that a cluster would be asked for.
configuration() {
    local at=$1 http=$2 mon=$3 fsid=$4
    cat <<EOF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon,v1:127.0.0.1:$((mon + 1))]
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = $at/keyring
auth allow insecure global id reclaim = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 536870912
mon allow pool size one = true
mon max pg per osd = 2000
# a full disk is the machine's business: below 5 % the monitor would not start
mon data avail crit = 0
mon data avail warn = 0
run dir = $at/run
log file = $at/log/\$name.log
admin socket = $at/run/\$name.asok
pid file = $at/run/\$name.pid
[mon.a]
mon data = $at/mon
[mgr.x]
mgr data = $at/mgr
mgr initial modules =
[osd.0]
osd data = $at/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$http
rgw s3 auth use sts = true
rgw sts key = $(head -c 8 /dev/urandom | od -An -tx1 | tr -d ' \n')
EOF
}

keys() {
    local ring=$1/keyring
    ceph-authtool --create-keyring "$ring" --gen-key -n client.admin \
        --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
    ceph-authtool "$ring" --gen-key -n mgr.x --cap mon 'allow profile mgr' --cap osd 'allow *' >/dev/null
    ceph-authtool "$ring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' >/dev/null
    ceph-authtool "$ring" --gen-key -n client.rgw \
        --cap mon 'allow rw' --cap mgr 'allow rw' --cap osd 'allow rwx' >/dev/null
    cp "$ring" "$1/mon.keyring"
    ceph-authtool "$1/mon.keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
}

# answers PORT: waits until it does.
answers() {
    local try
    for try in $(seq 480); do
        ! curl -sf "http://127.0.0.1:$1/" >/dev/null || return 0
        sleep 0.25
    done
    echo "no answer after $try tries"
    return 1
}

main "$@"
