/** The short form of the buyer's kills (`npx just buyer-kills`): the real `swap buy`, killed where it hurts most. */
import { afterAll, describe, expect, it } from 'vitest';

import { killAtFailpoints, killAtRandom, killSummary } from '../buyerKills/kills.js';
import { seededRandom } from '../support/seededRandom.js';
import { openTheatre } from '../crash/stage.js';

const theatre = openTheatre();
afterAll(theatre.discard);

const CHOSEN = [
  'after save quoted',
  'after call createSwap',
  'after save verified',
  'before call pay',
  'after call pay',
  'after save paid',
  'before call broadcast claim',
  'after call broadcast claim',
  'after evidence',
];

describe('swap buy that is killed by SIGKILL and resumed', () => {
  it('at its failpoints is claimed once and paid once', async () => {
    const reports = await killAtFailpoints(await theatre.stage(), CHOSEN);
    expect(reports.filter(({ problems }) => problems.length > 0)).toEqual([]);
    expect(reports.map(({ end }) => end)).toEqual(CHOSEN.map(() => 'claimed'));
    expect(killSummary(reports)).toBe(
      `${CHOSEN.length} purchases of swap buy, ${CHOSEN.length} kills: 0 stuck or lost`,
    );
  });

  it('at random moments is claimed once and paid once, or not at all', async () => {
    const options = { random: seededRandom(1), purchases: 3 };
    const reports = await killAtRandom(await theatre.stage(), options);
    expect(reports.filter(({ problems }) => problems.length > 0)).toEqual([]);
  });
});
