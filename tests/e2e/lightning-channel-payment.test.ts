/** Two nodes and a chain from nothing: a channel, an invoice, a payment. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { playChannelPayment } from '../support/channelPayment.js';
import { lnnodedOn, startSandboxChain } from '../support/lnnodedPrograms.js';
import { startProgramStage, type ProgramStage, type Starters } from '../support/programStage.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

/** Every combination of programs that the scenario is played with. */
const KINDS: Readonly<Record<string, Starters>> = {
  'lnnoded on blocks of a full node': {
    chain: startSandboxChain,
    payer: lnnodedOn('bitcoind'),
    payee: lnnodedOn('bitcoind'),
  },
  'lnnoded on proofs of an Esplora server': {
    chain: startSandboxChain,
    payer: lnnodedOn('esplora'),
    payee: lnnodedOn('esplora'),
  },
};

/** The message of what has to fail. */
const messageOf = (failing: Promise<unknown>): Promise<string> =>
  failing.then(
    () => 'it did not fail',
    (error: unknown) => (error as Error).message,
  );

describe.each(Object.entries(KINDS))('%s', (_, starters) => {
  let stage: ProgramStage;

  beforeAll(async () => {
    stage = await startProgramStage(starters);
  });
  afterAll(async () => {
    await stage.close();
  });

  it('opens a channel that both can use, and a payment succeeds at both ends', async () => {
    expect(await playChannelPayment(stage)).toEqual({
      outbound: 'SUCCEEDED',
      inbound: 'SUCCEEDED',
      isPreimageRight: true,
      receivedMsat: 25_000_000n,
    });
  });

  it.each<[string, (late: { what: string; ms: number }) => Promise<unknown>, string]>([
    [
      'a condition that never holds',
      (late) => stage.until(late, () => Promise.reject(new Error('no miracle yet'))),
      'no miracle yet',
    ],
    [
      'a question without an answer',
      (late) => stage.until(late, () => new Promise(() => undefined)),
      'no answer within',
    ],
    ['a call without an answer', (late) => stage.step(late, () => new Promise(() => undefined)), 'no answer within'],
  ])('shows the end of every log when a wait fails: %s', async (_name, wait, why) => {
    const message = await messageOf(wait({ what: 'a miracle', ms: 50 }));
    expect(message).toContain('failed: a miracle: ');
    expect(message).toContain(why);
    expect(message).toContain('the end of the log of chain ---\nin this process; tip');
    expect(message).toMatch(/the end of the log of payer ---\n\{.*channel ready/s);
    expect(message).toMatch(/the end of the log of payee ---\n\{/);
  });
});

it('a program that does not start shows the end of its log, and nothing is left running', async () => {
  const isStopped: string[] = [];
  const failing = startProgramStage(
    {
      chain: startSandboxChain,
      payer: ({ name, started }) => {
        started({ log: () => 'why it does not start', stop: () => Promise.resolve(void isStopped.push(name)) });
        return new Promise(() => undefined);
      },
      payee: lnnodedOn('bitcoind'),
    },
    { startMs: 200 },
  );
  const message = await messageOf(failing);
  expect(message).toContain('failed: the start of the payer: no answer within 200 ms');
  expect(message).toContain('the end of the log of payer ---\nwhy it does not start');
  expect(isStopped).toEqual(['payer']);
});
