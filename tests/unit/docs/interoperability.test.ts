import { describe, expect, it } from 'vitest';

import { differences, pageWith, rowOf, rowsOn, type Ran, type Row } from '../../support/interoperabilityPage.js';

const EMPTY = 'before\n\n<!-- prettier-ignore-start -->\n<!-- prettier-ignore-end -->\n\nafter\n';
const SUITE = 'tests/daemons/one.test.ts';

const row = (change: Partial<Row> = {}): Row => ({
  ours: 'lnnoded',
  beside: 'btcd 1.0.0, lnd 2.0.0',
  what: 'payments',
  tests: '7',
  suite: SUITE,
  node: '20',
  ...change,
});
const ran = (rows: readonly Row[], wholeSuites: readonly string[] = []): Ran => ({
  rows,
  brought: [],
  wholeSuites,
  node: '20',
});

describe('the table of what ran beside other software', () => {
  const other = row({ suite: 'tests/daemons/other.test.ts', tests: '3' });
  const page = pageWith(EMPTY, ran([row(), other]));

  it('names every program once, in one order', () => {
    const software = ['lnd', 'btcd', 'lnd'].map((program) => ({ program, version: '1' }));
    const played = { ours: ['swapd', 'lnnoded', 'swapd'], what: 'payments', software };
    expect(rowOf(played, { suite: SUITE, node: '20', tests: 7 })).toEqual(
      row({ ours: 'lnnoded, swapd', beside: 'btcd 1, lnd 1' }),
    );
  });
  it('is read as it was written, and agrees with the run that wrote it', () => {
    expect(rowsOn(page)).toEqual([row(), other]);
    expect(differences(page, ran([row(), other], [SUITE]))).toEqual([]);
    expect(page.startsWith('before\n')).toBe(true);
    expect(page.endsWith('\nafter\n')).toBe(true);
    expect(pageWith(page, ran([other, row()]))).toBe(page);
  });
  it.each([
    ['another version', { beside: 'btcd 1.0.0, lnd 2.0.1' }, 'lnd 2.0.1'],
    ['another number of tests', { tests: '6' }, '| 6 |'],
    ['a group of tests that it does not have', { what: 'refunds' }, 'not on the page'],
  ])('disagrees with %s, until that is written', (_, change, words) => {
    const found = ran([row(change)]);
    expect(differences(page, found)).toEqual([expect.stringContaining(words)]);
    const anew = pageWith(page, found);
    expect(differences(anew, found)).toEqual([]);
    expect(rowsOn(anew)).toContainEqual(other);
  });
  it('does not take two groups for one', () => {
    expect(differences(page, ran([row(), row()]))).toEqual([expect.stringContaining('cannot be told apart')]);
  });
  it('keeps a line of a group that did not run, unless its whole file ran without it', () => {
    const refunds = row({ what: 'refunds' });
    const both = pageWith(page, ran([refunds]));
    expect(differences(both, ran([row()]))).toEqual([]);
    const whole = ran([row()], [SUITE]);
    expect(differences(both, whole)).toEqual([expect.stringContaining('no longer played: lnnoded')]);
    expect(rowsOn(pageWith(both, whole))).toEqual([row(), other]);
  });
  it('does not mind another version, or a missing line, of a program that somebody brought; but fewer tests', () => {
    const brought = (change: Partial<Row>): Ran => {
      const rows = [row(change)];
      return { ...ran(rows), brought: rows };
    };
    expect(differences(page, brought({ beside: 'bitcoind 9' }))).toEqual([]);
    expect(differences(page, brought({ what: 'refunds' }))).toEqual([]);
    expect(differences(page, brought({ beside: 'bitcoind 9', tests: '6' }))).toHaveLength(1);
    expect(rowsOn(pageWith(page, brought({ beside: 'bitcoind 9' })))[0]?.beside).toBe('bitcoind 9');
  });
  it('has lines of their own for another line of Node.js, and says nothing about one that it does not have', () => {
    const found: Ran = { ...ran([row({ node: '24', tests: '1' })], [SUITE]), node: '24' };
    expect(differences(page, found)).toEqual([]);
    expect(rowsOn(pageWith(page, found))).toHaveLength(3);
  });
  it.each(['', 'text | text\n'])('is missing in a page without its place', (text) => {
    expect(() => rowsOn(text)).toThrow('<!-- prettier');
  });
});
