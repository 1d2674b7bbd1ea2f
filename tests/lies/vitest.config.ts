import { defineConfig } from 'vitest/config';

/** The suite of lies alone, as a table. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['tests/lies/**/*.test.ts'],
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: [new URL('tableReporter.ts', import.meta.url).pathname],
  },
});
