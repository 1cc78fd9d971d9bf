#!/bin/sh
# Put uv into ./.uv, by the Python that is given. Debian keeps what makes virtual environments in a package of its own.
set -eu
python=$1
make_venv() { "$python" -m venv --clear .uv >/dev/null 2>&1; }
if ! make_venv; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing python3-venv"
        apt-get update -qq >/dev/null 2>&1 || true
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv >/dev/null 2>&1 || true
    fi
    make_venv || {
        echo "$python can't make a virtual environment: install it with \`apt-get install python3-venv\` (as root), then run this again" >&2
        exit 1
    }
fi
exec .uv/bin/pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'
