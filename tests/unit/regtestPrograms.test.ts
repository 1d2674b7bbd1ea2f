import { expect, it } from 'vitest';

import { regtestPrograms } from '../support/regtest/programs.js';

const node = process.execPath;

it('the suite on a real Liquid chain runs on the programs that the environment names', () => {
  const env = { ELEMENTSD_EXE: node, ELECTRS_EXE: node };
  expect(regtestPrograms(env)).toEqual({ elementsd: node, electrs: node });
  expect(regtestPrograms({ ...env, CI: 'true' })).toEqual({ elementsd: node, electrs: node });
});

it('is skipped only where none is named and nobody counts on it', () => {
  expect(regtestPrograms({})).toBeUndefined();
  expect(regtestPrograms({ ELEMENTSD_EXE: '', ELECTRS_EXE: '' })).toBeUndefined();
  expect(() => regtestPrograms({ CI: 'true' })).toThrow('expected both programs in CI');
});

it.each([
  [{ ELEMENTSD_EXE: node }, 'ELECTRS_EXE: expected a program beside the other one'],
  [{ ELECTRS_EXE: node }, 'ELEMENTSD_EXE: expected a program beside the other one'],
  [{ ELEMENTSD_EXE: node, ELECTRS_EXE: '/none' }, 'ELECTRS_EXE: expected a program, found /none'],
  [{ ELEMENTSD_EXE: new URL(import.meta.url).pathname, ELECTRS_EXE: node }, 'ELEMENTSD_EXE: expected a program'],
])('is never skipped by a mistake: %o', (env, message) => {
  expect(() => regtestPrograms(env)).toThrow(message);
});
