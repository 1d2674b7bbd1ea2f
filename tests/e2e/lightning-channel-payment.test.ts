/** Two nodes and a chain from nothing: a channel, payments, restarts, the close. Real daemons: tests/daemons. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { describeChannelLife } from '../support/channelScenario.js';
import { lnnodedOn, startSandboxChain } from '../support/lnnodedPrograms.js';
import { startProgramStage, type ProgramStage, type Starters } from '../support/programStage.js';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 400_000 });

/** Every combination of our own programs that the scenario is played with. */
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

for (const [title, starters] of Object.entries(KINDS)) describeChannelLife(title, starters);

/** How clients of lnd reject. */
const REJECTION = [503, 'NoMiracleYet', {}] as unknown as Error;

/** The message of what has to fail. */
const messageOf = (failing: Promise<unknown>): Promise<string> =>
  failing.then(
    () => 'it did not fail',
    (error: unknown) => (error as Error).message,
  );

describe('a wait that fails', () => {
  let stage: ProgramStage;

  beforeAll(async () => {
    stage = await startProgramStage({
      chain: startSandboxChain,
      payer: lnnodedOn('bitcoind'),
      payee: lnnodedOn('esplora'),
    });
  });
  afterAll(async () => {
    await stage.close();
  });

  type Late = { readonly what: string; readonly ms: number };
  it.each<[string, (late: Late) => Promise<unknown>, string]>([
    [
      'a condition that never holds',
      (late) => stage.until(late, () => Promise.reject(new Error('no miracle yet'))),
      'no miracle yet',
    ],
    [
      'a client that rejects with an array, as those of lnd do',
      (late) => stage.until(late, () => Promise.reject(REJECTION)),
      '503 NoMiracleYet\n',
    ],
    [
      'a question without an answer',
      (late) => stage.until(late, () => new Promise(() => undefined)),
      'no answer within',
    ],
    ['a call without an answer', (late) => stage.step(late, () => new Promise(() => undefined)), 'no answer within'],
    [
      'a wait in a longer one',
      ({ ms, ...late }) =>
        stage.step({ what: 'the story' }, () => stage.step({ ...late, ms }, () => new Promise(() => undefined))),
      'no answer within 50 ms',
    ],
  ])('says what it waited for and shows the end of every log, once: %s', async (_name, wait, why) => {
    const message = await messageOf(wait({ what: 'a miracle', ms: 50 }));
    expect(message).toMatch(/^failed: a miracle: /);
    expect(message).toContain(why);
    expect(message).toContain('the end of the log of chain ---\nin this process; tip');
    expect(message).toMatch(/the end of the log of payer ---\n\{/);
    expect(message).toMatch(/the end of the log of payee ---\n\{/);
    expect(message.match(/the end of the log of/g)).toHaveLength(3);
  });
});

it('a program that does not start shows the end of its log, and nothing is left running', async () => {
  const isStopped: string[] = [];
  let isTooLate: Promise<unknown> | undefined;
  const failing = startProgramStage(
    {
      chain: startSandboxChain,
      payer: async ({ started }) => {
        await new Promise<void>((resolve) => {
          const stop = (): Promise<void> => {
            isStopped.push('first');
            resolve();
            return Promise.resolve();
          };
          started({ log: () => 'why it does not start', stop });
        });
        isTooLate = Promise.resolve().then(() => {
          started({ log: () => '', stop: () => Promise.resolve(void isStopped.push('one more attempt')) });
        });
        return new Promise(() => undefined);
      },
      payee: lnnodedOn('bitcoind'),
    },
    { startMs: 200 },
  );
  const message = await messageOf(failing);
  expect(message).toContain('failed: the start of the payer: no answer within 200 ms');
  expect(message).toContain('the end of the log of payer ---\nwhy it does not start');
  await expect(isTooLate).rejects.toThrow('the stage is closed');
  expect(isStopped).toEqual(['first', 'one more attempt']);
});
