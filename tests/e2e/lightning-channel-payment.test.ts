/** Two nodes and a chain from nothing: a channel, payments, restarts, the close. Real daemons: tests/daemons. */
import { expect, it, vi } from 'vitest';

import { awaitOnStage } from '../support/channelPayment.js';
import { describeChannelLife } from '../support/channelScenario.js';
import { startLnnoded, startSandboxChain } from '../support/lnnodedPrograms.js';
import { startStage } from '../support/stage.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const start = () => startStage({ chain: startSandboxChain, payer: startLnnoded, payee: startLnnoded });

describeChannelLife('the sandbox, lnnoded to lnnoded', start);

it('a wait that fails names what it waited for and shows the end of every log', async () => {
  const stage = await start();
  try {
    const miracle = { what: 'a miracle', ms: 50 };
    const failing = awaitOnStage(stage, miracle, () => Promise.reject(new Error('no miracle yet')));
    const { message } = await failing.then(
      () => new Error('it did not fail'),
      (error: unknown) => error as Error,
    );
    expect(message).toContain('not in time: a miracle; the last answer: no miracle yet');
    expect(message).toContain('the end of the log of the Bitcoin chain ---\nin this process; tip');
    expect(message).toMatch(/the end of the log of lnnoded payer ---\n\{/);
    expect(message).toMatch(/the end of the log of lnnoded payee ---\n\{/);
  } finally {
    await stage.close();
  }
});
