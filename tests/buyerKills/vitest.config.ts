import { defineConfig } from 'vitest/config';

/** Every failpoint of `swap buy`, and many random moments: not part of `npm test`. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['tests/buyerKills/**/*.kill.ts'],
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: [new URL('../crash/quietReporter.ts', import.meta.url).pathname],
  },
});
