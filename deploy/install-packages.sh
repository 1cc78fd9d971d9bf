#!/bin/sh
# Install what Python can't: bubblewrap, in which untrusted code runs, and the OpenMP library that llama.cpp is linked with. Where
# we may not, say what to install. `install-packages.sh browser` asks for Chromium too, in which tests read the report.
set -eu
missing=
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing="$missing libgomp1"
if [ "${1:-}" = browser ]; then
    command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086 # a list of words
    if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -n 3 "$log" >&2
fi
echo "missing:$missing. Install with \`apt-get install$missing\` (as root), then run this again" >&2
exit 1
