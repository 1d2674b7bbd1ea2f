#!/usr/bin/env bash
# Fails when src/gen is not what the protos generate.
set -euo pipefail
cd "$(dirname "$0")/../.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
buf generate -o "$fresh"
diff -r "$fresh/src/gen" src/gen || {
  echo 'src/gen is stale: run "npx just proto"' >&2
  exit 1
}
