/** Two nodes and a chain from nothing: a channel, an invoice, a payment. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { awaitOnStage, playChannelPayment } from '../support/channelPayment.js';
import { startLnnodedStage } from '../support/lnnodedPrograms.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

let stage: Awaited<ReturnType<typeof startLnnodedStage>>;

beforeAll(async () => {
  stage = await startLnnodedStage();
});
afterAll(async () => {
  await stage.close();
});

it('two nodes open a channel that both can use, and a payment succeeds at both ends', async () => {
  expect(await playChannelPayment(stage)).toEqual({
    outbound: 'SUCCEEDED',
    inbound: 'SUCCEEDED',
    isPreimageRight: true,
    receivedMsat: 25_000_000n,
  });
});

it('a wait that fails names what it waited for and shows the end of every log', async () => {
  const failing = awaitOnStage(stage, { what: 'a miracle', ms: 50 }, () => Promise.reject(new Error('no miracle yet')));
  const { message } = await failing.then(
    () => new Error('it did not fail'),
    (error: unknown) => error as Error,
  );
  expect(message).toContain('not in time: a miracle; the last answer: no miracle yet');
  expect(message).toContain('the end of the log of the Bitcoin chain ---\nin this process; tip');
  expect(message).toMatch(/the end of the log of lnnoded payer ---\n\{.*channel ready/s);
  expect(message).toMatch(/the end of the log of lnnoded payee ---\n\{/);
});
