import { defineConfig } from 'vitest/config';

import { daemonBinary } from './support/daemons/binaries.js';

const floor = { lines: 80 };
/** Run on real lnd only. */
const lndAdapter = daemonBinary('lnd') === undefined ? ['src/lightning/lnd.ts', 'src/lightning/lnd/**'] : [];

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['tests/**/*.test.ts'],
    benchmark: { include: ['tests/bench/**/*.bench.ts'] },
    pool: 'forks', // better-sqlite3 is a native addon; keep it out of worker threads
    maxWorkers: 3, // many files wait more than they work; a whole world of processes runs behind some
    // Longer than all waits in a test, which say what they waited for. A limit costs nothing while all is well.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 40_000 } },
    reporters: ['default', new URL('support/plainReporter.ts', import.meta.url).pathname],
    coverage: {
      provider: 'v8',
      reporter: ['text-summary', 'json-summary', 'text'],
      include: ['src/**'],
      exclude: ['src/gen/**', ...lndAdapter],
      thresholds: {
        'src/core/**': { lines: 90 },
        'src/{store,engine,rpc,liquid,lightning,buyer}/**': floor,
      },
    },
  },
});
