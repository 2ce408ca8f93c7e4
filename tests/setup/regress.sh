#!/bin/bash
# Puts PostgreSQL's own regression tests under CACHE/regress: Debian's source package of the server of 15 gives the
# texts, its development package the program that runs them. Nothing is started; a second run ends at once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/setup/common.sh
. "$here/common.sh"

MAJOR=15
place=$CACHE/regress

main() {
    "$here/postgres.sh" "$MAJOR" >/dev/null
    packages cc=gcc dpkg-source=dpkg-dev "postgresql-server-dev-$MAJOR" postgresql-contrib
    local version
    # shellcheck disable=SC2016 # dpkg's own variable
    version=$(dpkg-query -W -f '${Version}' "postgresql-$MAJOR")
    if [ "$(cat "$place/version" 2>/dev/null || true)" != "$version" ]; then
        texts
        echo "$version" >"$place/version"
    fi
    echo "$place"
}

texts() {
    local work library
    work=$(mktemp -d)
    # archives drop sources sooner than programs; results are compared with results, so that an older text will do
    source_of "$work" security || source_of "$work" main ||
        fail "the source of PostgreSQL $MAJOR is in none of Debian's archives"
    mkdir "$work/source"
    tar -xf "$work"/postgresql-"$MAJOR"_*.orig.tar.* -C "$work/source" --strip-components=1 --wildcards '*/src/test/regress/*'
    rm -rf "$place"
    mkdir -p "$place"
    cp -r "$work"/source/src/test/regress/{sql,expected,data,parallel_schedule,resultmap,regress.c} "$place"
    cc -shared -fPIC -O1 -w "-I$(pg_config --includedir-server)" -o "$place/regress.so" "$place/regress.c"
    library=$(pg_config --pkglibdir)
    cp "$library/autoinc.so" "$library/refint.so" "$place"
    # the server reads the data, and it is somebody else
    chmod -R a+rX "$place"
    rm -rf "$work"
}

# apt with lists of its own: this machine's do not name sources, and stay as they are.
source_of() {
    local work=$1 release archive=debian suite
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    suite=$release
    if [ "$2" = security ]; then archive=debian-security suite=$release-security; fi
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/$archive $suite main" \
        >"$work/sources"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o "Dir::Cache::archives=$work/archives"
        -o "APT::Sandbox::User=$(id -un)")
    "${apt[@]}" update >&2
    (cd "$work" && "${apt[@]}" source --download-only "postgresql-$MAJOR" >&2)
}

main
