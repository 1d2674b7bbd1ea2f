import { defineConfig } from 'vitest/config';

/** Swaps on a real Elements node and electrs, which the environment must name: not part of `npm test`. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['tests/regtest/**/*.regtest.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ['verbose', new URL('../support/plainReporter.ts', import.meta.url).pathname],
  },
});
