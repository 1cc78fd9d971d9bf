#!/bin/sh
# Build the charts' library, flows/page/vendor/echarts.min.js, of what package-lock.json pins by checksum. Needs node and npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vendor="$here/../../flows/page/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here/package.json" "$here/package-lock.json" "$here/entry.js" "$work"
cd "$work"
npm ci --silent --ignore-scripts --no-audit --no-fund
node_modules/.bin/esbuild entry.js --bundle --minify --format=iife --global-name=echarts --target=es2020 --charset=ascii \
    --legal-comments=none '--define:process.env.NODE_ENV="production"' --log-level=warning --outfile=echarts.min.js
cp echarts.min.js "$vendor/echarts.min.js"
{
    cat node_modules/echarts/LICENSE
    printf '\n%s\n\n' '--- NOTICE ---'
    cat node_modules/echarts/NOTICE
    printf '\n%s\n\n' '--- zrender ---'
    cat node_modules/zrender/LICENSE
    printf '\n%s\n\n' '--- tslib ---'
    cat node_modules/tslib/LICENSE.txt
} | tr -d '\r' >"$vendor/echarts.LICENSE"
version() { node -p "require('./node_modules/$1/package.json').version"; }
cat >"$vendor/echarts.json" <<END
{
  "name": "echarts",
  "version": "$(version echarts)",
  "with": {"tslib": "$(version tslib)", "zrender": "$(version zrender)"},
  "license": "Apache-2.0 AND BSD-3-Clause AND 0BSD",
  "built_with": "esbuild $(version esbuild)",
  "sha256": "$(sha256sum echarts.min.js | cut -d ' ' -f 1)"
}
END
