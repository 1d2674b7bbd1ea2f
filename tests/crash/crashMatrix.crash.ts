/** The whole crash matrix: every failpoint of every path, then kills at random moments. Run by `npx just crash-matrix`. */
import { afterAll, describe, expect, it, vi } from 'vitest';

import { errorChain } from '../../src/errors.js';
import { runPath, type CaseReport } from './matrix.js';
import { PATHS } from './paths.js';
import { runRandomKills } from './randomKills.js';
import { row, summary } from './report.js';
import { openTheatre, type Theatre } from './stage.js';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 300_000 });

/** `CRASH_PATHS=claim,refund` plays only these; `CRASH_SEED` repeats the random moments. */
const chosen = process.env['CRASH_PATHS']?.split(',');
const seed = Number.parseInt(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 31).toString(), 10);
const KILLS = Number.parseInt(process.env['CRASH_KILLS'] ?? '100', 10);
const SWAPS = 8;

const reports: CaseReport[] = [];
const onReport = (report: CaseReport): void => {
  reports.push(report);
  process.stdout.write(`${row(report)}\n`);
};
const startedAt = Date.now();

afterAll(() => {
  const total = summary(reports);
  process.stdout.write(`${((Date.now() - startedAt) / 1000).toFixed(0)} s\n${total.line}\n`);
});

/** Every path has a stage of its own. A run that breaks off proves nothing, so it counts as lost. */
async function told(
  path: string,
  run: (theatre: Theatre) => Promise<readonly CaseReport[]>,
): Promise<readonly CaseReport[]> {
  const theatre = openTheatre();
  try {
    return await run(theatre);
  } catch (error) {
    const problems = [`broke off: ${errorChain(error)}`];
    onReport({ path, failpoint: undefined, kills: 0, end: '', verdict: 'lost', problems, seconds: 0 });
    throw error;
  } finally {
    await theatre.discard();
  }
}

describe('a seller that is killed', () => {
  const paths = PATHS.filter(({ name }) => chosen?.includes(name) ?? true);
  it.each(paths)('at every failpoint of $name loses nothing and funds once', async (path) => {
    const found = await told(path.name, (theatre) => runPath(theatre, path, { onReport }));
    expect(found.filter(({ verdict }) => verdict === 'lost' || verdict === 'double')).toEqual([]);
  });

  it.runIf(KILLS > 0)('at random moments under concurrent swaps loses nothing and funds once', async () => {
    process.stdout.write(`random moments: CRASH_SEED=${seed}\n`);
    const found = await told('random', (theatre) =>
      runRandomKills(theatre, { seed, kills: KILLS, swaps: SWAPS, onReport }),
    );
    expect(found.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  });
});
