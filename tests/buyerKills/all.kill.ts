/** Every failpoint of `swap buy`, then kills at random moments. Run by `npx just buyer-kills`. */
import { afterAll, describe, expect, it, vi } from 'vitest';

import { seededRandom } from '../support/seededRandom.js';
import { openTheatre } from '../crash/stage.js';
import { killAtFailpoints, killAtRandom, killRow, killSummary, learnFailpoints, type KillReport } from './kills.js';

vi.setConfig({ testTimeout: 3_600_000, hookTimeout: 300_000 });

/** `KILL_SEED` repeats the random moments, `KILL_PURCHASES` says how many. */
const seed = Number.parseInt(process.env['KILL_SEED'] ?? Math.floor(Math.random() * 2 ** 31).toString(), 10);
const PURCHASES = Number.parseInt(process.env['KILL_PURCHASES'] ?? '30', 10);

const theatre = openTheatre();
const reports: KillReport[] = [];
const onReport = (report: KillReport): void => {
  reports.push(report);
  process.stdout.write(`${killRow(report)}\n`);
};
const startedAt = Date.now();

afterAll(async () => {
  await theatre.discard();
  process.stdout.write(`${((Date.now() - startedAt) / 1000).toFixed(0)} s\n${killSummary(reports)}\n`);
});

describe('swap buy that is killed and resumed', () => {
  it('at every failpoint is claimed once and paid once', async () => {
    const stage = await theatre.stage();
    const found = await killAtFailpoints(stage, await learnFailpoints(stage), onReport);
    expect(found.filter(({ problems }) => problems.length > 0)).toEqual([]);
    expect(found.filter(({ end }) => end !== 'claimed').map(({ name }) => name)).toEqual(['before save quoted']);
  });

  it('at random moments is claimed once and paid once, or not at all', async () => {
    process.stdout.write(`random moments: KILL_SEED=${seed}\n`);
    const options = { random: seededRandom(seed), purchases: PURCHASES };
    const found = await killAtRandom(await theatre.stage(), options, onReport);
    expect(found.filter(({ problems }) => problems.length > 0)).toEqual([]);
  });
});
