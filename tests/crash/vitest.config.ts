import { defineConfig } from 'vitest/config';

/** The full crash matrix, which takes minutes: not part of `npm test`. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  test: {
    include: ['tests/crash/**/*.crash.ts'],
    pool: 'forks',
    disableConsoleIntercept: true,
    reporters: [new URL('quietReporter.ts', import.meta.url).pathname],
  },
});
