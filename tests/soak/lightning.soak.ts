/** The whole soak of three Lightning nodes. Run by `npx just ln-soak`; the last line tells how it went. */
import { expect, it, vi } from 'vitest';

import { errorChain } from '../../src/errors.js';
import { soakLines } from './report.js';
import { runSoak } from './soak.js';

vi.setConfig({ testTimeout: 3_600_000 });

/** `SOAK_SEED` repeats the payments and the choice of nodes and moments. */
const seed = Number.parseInt(process.env['SOAK_SEED'] ?? Math.floor(Math.random() * 2 ** 31).toString(), 10);
const PAYMENTS = Number.parseInt(process.env['SOAK_PAYMENTS'] ?? '500', 10);
const MIN_KILLS = Number.parseInt(process.env['SOAK_KILLS'] ?? '30', 10);

it('nodes that are killed at random moments lose no channel, no payment and no held payment', async () => {
  process.stdout.write(`SOAK_SEED=${seed}\n`);
  const report = await runSoak({ seed, payments: PAYMENTS, lasting: 4, minKills: MIN_KILLS }).catch(
    (error: unknown) => {
      process.stdout.write(`PROBLEM broke off: ${errorChain(error)}\n`);
      throw error;
    },
  );
  process.stdout.write(`${soakLines(report).join('\n')}\n`);
  expect(report.problems).toEqual([]);
});
