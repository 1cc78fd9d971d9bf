#!/bin/sh
# Install bubblewrap, in which untrusted code runs, where it is missing and we may; else say what to install.
set -eu
command -v bwrap >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing bubblewrap"
    log=$(mktemp)
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends bubblewrap; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 3 "$log" >&2
fi
echo "bubblewrap is missing: install it with \`apt-get install bubblewrap\` (as root), then run this again" >&2
exit 1
