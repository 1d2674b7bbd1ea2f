/** The short form of the soak (`npx just ln-soak`): real Lightning nodes A-B-C, killed while payments are under way. */
import { expect, it } from 'vitest';

import { killCount } from '../soak/kills.js';
import { soakLines } from '../soak/report.js';
import { runSoak } from '../soak/soak.js';

it('three nodes that are killed at random moments lose no channel, no payment and no held payment', async () => {
  const report = await runSoak({ seed: 1, payments: 24, lasting: 2, minKills: 4 });
  expect(report.problems, soakLines(report).join('\n')).toEqual([]);
  expect(report.settled + report.canceled).toBe(24);
  expect(report.sentMsat).toBeGreaterThan(0n);
  expect(killCount(report.kills)).toBeGreaterThanOrEqual(4);
  expect(report.kills.heldLooks).toBeGreaterThan(0);
});
