/** docs/lies.md is what the suite of lies tells and expects. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { CHECK_CODES } from '../../../src/buyer/check.js';
import { ALL_LIES, GROUPS, verdictOf } from '../../lies/catalogue.js';

const PAGE = readFileSync(new URL('../../../docs/lies.md', import.meta.url), 'utf8');

const cell = (codes: readonly string[]): string => codes.map((code) => `\`${code}\``).join(' ');

describe('docs/lies.md', () => {
  it.each(GROUPS)('lists every lie of "$group" with its codes, and no other', ({ group, lies }) => {
    const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${group}\n`)) ?? '';
    const rows = section.split('\n').filter((line) => /^\| (?!lie |---)/.test(line));
    expect(rows).toEqual(lies.map((lie) => `| ${lie.name} | ${cell(lie.codes)} | ${verdictOf(lie)} |`));
  });
});

describe('the suite of lies', () => {
  it('has a lie for every check of the buyer', () => {
    const told = new Set(ALL_LIES.flatMap((lie) => lie.codes));
    expect(Object.keys(CHECK_CODES).filter((code) => !told.has(code))).toEqual([]);
  });

  it('names every lie once', () => {
    expect(new Set(ALL_LIES.map((lie) => lie.name)).size).toBe(ALL_LIES.length);
  });
});
