set shell := ["bash", "-euo", "pipefail", "-c"]

export PATH := justfile_directory() / "node_modules/.bin" + ":" + env("PATH")

# what can be done here
default:
    @just --list

# format everything
fmt:
    prettier --write .
    buf format -w

# style, bugs, architecture, unused code
lint:
    prettier --check .
    eslint . --max-warnings=0
    depcruise src --config .dependency-cruiser.cjs
    knip

typecheck:
    tsc -p .

# generate code from the protos
proto:
    buf generate

# protos are well formed, formatted, and the generated code is the committed one
proto-check:
    buf lint
    buf format -d --exit-code
    tests/tools/check-generated.sh

build:
    npm run -s build

# all tests with coverage gates
test:
    npm test

# one layer: just test-unit, test-vectors, test-contract, test-store, test-flow, test-e2e, test-daemons
[private]
test-layer layer: build
    vitest run -c tests/vitest.config.ts tests/{{layer}}/

test-unit: (test-layer "unit")

test-vectors: (test-layer "vectors")

test-contract: (test-layer "contract")

test-store: (test-layer "store")

test-flow: (test-layer "flow")

test-e2e: (test-layer "e2e")

# on real lnd and btcd, if `just daemons` has built them
test-daemons: (test-layer "daemons")

# lnd and btcd for tests/daemons: built once with Go into a cache folder; minutes, then nothing
daemons:
    node tests/tools/daemons.mjs

# unit, store and the main contract tests on Node 24 (installed into a cache folder)
test-node24:
    tests/tools/test-node24.sh

# what test-node24 needs, alone
[private]
install-node24:
    tests/tools/test-node24.sh --install

# a whole swap, step by step
demo:
    npm run -s demo

# kills the seller at every failpoint of every path, then at random moments: minutes; the last line tells how it went
crash-matrix: build
    vitest run -c tests/crash/vitest.config.ts

# 500 payments over three Lightning nodes that are killed at random moments: minutes; the last line tells how it went
ln-soak: build
    vitest run -c tests/soak/vitest.config.ts

# swaps on a real Elements node and electrs: ELEMENTSD_EXE=... ELECTRS_EXE=... just e2e-regtest
e2e-regtest: build
    vitest run -c tests/regtest/vitest.config.ts

# kills the buyer's program at every step of a purchase, then at random moments: minutes
buyer-kills: build
    vitest run -c tests/buyerKills/vitest.config.ts

# a seller and servers that lie, one lie at a time, as a table; the last line tells how many were refused
lies: build
    vitest run -c tests/lies/vitest.config.ts

# figures as ratios against a baseline of the same run; `just bench lightning`: lnnoded and lnd side by side, nothing else
bench only="": build
    {{ if only == "" { "vitest bench --run -c tests/vitest.config.ts" } else { "" } }}
    vitest run -c tests/bench/vitest.config.ts {{ if only == "" { "" } else { "tests/bench/" + only + ".figures.ts" } }}

# the gate without the tests
check: proto-check typecheck lint build

# the one gate
ci: check test
