/** The short form of the crash matrix (`npx just crash-matrix`): the real daemon, killed where it hurts most. */
import { afterAll, describe, expect, it } from 'vitest';

import { runPath } from '../crash/matrix.js';
import { PATHS } from '../crash/paths.js';
import { runRandomKills } from '../crash/randomKills.js';
import { summary } from '../crash/report.js';
import { openTheatre } from '../crash/stage.js';

const theatre = openTheatre();
afterAll(theatre.discard);

const CHOSEN: readonly [path: string, failpoints: readonly string[]][] = [
  [
    'claim',
    [
      'after commit funding_signed',
      'after call broadcast funding',
      'after commit settle_decided',
      'after call settleInvoice',
    ],
  ],
  ['refund', ['after call cancelInvoice', 'before call broadcast refund']],
];

describe('a seller that is killed by SIGKILL and started again', () => {
  it.each(CHOSEN)('at failpoints of the path "%s" loses nothing and funds once', async (name, failpoints) => {
    const path = PATHS.find((each) => each.name === name);
    if (path === undefined) throw new Error(`no path ${name}`);
    const reports = await runPath(theatre, path, { failpoints });
    expect(reports.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(reports.map(({ kills }) => kills)).toEqual(failpoints.map(() => 1));
  });

  it('at random moments under concurrent swaps loses nothing and funds once', async () => {
    const reports = await runRandomKills(theatre, { seed: 1, kills: 5, swaps: 4 });
    expect(reports.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    expect(summary(reports).line).toMatch(/^0 failpoints x 0 paths, 5 kills: 0 lost, 0 double-funded$/);
  });
});
