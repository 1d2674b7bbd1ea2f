import { defineConfig } from 'vitest/config';

/** The full soak, which takes minutes: not part of `npm test`. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['tests/soak/**/*.soak.ts'],
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: [new URL('../crash/quietReporter.ts', import.meta.url).pathname],
  },
});
