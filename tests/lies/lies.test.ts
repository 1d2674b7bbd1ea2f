/** A buyer that would pay, and everything that a seller or a server may tell it. `npx just lies` prints it as a table. */
import { afterAll, beforeAll, describe, expect, it, vi, type TestContext } from 'vitest';

import type { PurchaseRecord } from '../../src/buyer/record.js';
import { PaymentStatus } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { AFTER_PAYMENT_LIES, buysHonestly, holdPayment, letSettle, tellHeld } from './afterPayment.js';
import { QUOTE_LIES } from './answerLies.js';
import { ALL_LIES, GROUPS, verdictOf } from './catalogue.js';
import { swapBuy } from './cliLies.js';
import type { Lie } from './lie.js';
import { Stage } from './stage.js';
import type { Row } from './tableReporter.js';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** Told to the program itself; each is refused at once, without the patience that blocks could reward. */
const TO_THE_PROGRAM = [
  'refund open already',
  'amount minus one',
  'signed by another node',
  'invoice shown before the funding',
];

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(ALL_LIES);
});
afterAll(async () => {
  await stage.close();
});

/** With their names in front, for the titles. */
const named = <T extends { readonly name: string }>(lies: readonly T[]): [name: string, lie: T][] =>
  lies.map((lie) => [lie.name, lie]);

const tell = ({ task }: TestContext, row: Row): void => void Object.assign(task.meta, { row });

/** A buyer, its node and the seller's node before a lie; the returned function expects them unchanged after it. */
async function unpaid(lie: Lie): Promise<() => Promise<void>> {
  expect(await stage.paymentStatus()).toBe(PaymentStatus.OPEN);
  const scene = await stage.scene(lie);
  const before = await stage.money(scene);
  return async () => {
    expect(await stage.money(scene)).toEqual(before);
    expect(await stage.paymentStatus()).toBe(PaymentStatus.OPEN);
  };
}

for (const { group, lies } of GROUPS) {
  describe(group, () => {
    for (const lie of lies) {
      it(lie.name, async (context) => {
        const isRefused = lie.codes.length > 0;
        tell(context, { codes: lie.codes, verdict: verdictOf(lie) });
        const expectUnpaid = await unpaid(lie);
        const { codes, step, payments } = await stage.run(lie);
        expect(codes).toEqual(lie.codes);
        expect(payments).toBe(0);
        expect(step).toBe(isRefused ? (lie.step ?? 'unpaid') : 'verified');
        await expectUnpaid();
      });
    }
  });
}

describe('the program', () => {
  it.for(named(ALL_LIES.filter(({ name }) => TO_THE_PROGRAM.includes(name))))(
    'swap buy: %s',
    async ([, lie], context) => {
      tell(context, { codes: lie.codes, verdict: 'refused' });
      const expectUnpaid = await unpaid(lie);
      stage.hand(lie, await stage.scene(lie));
      const ended = await swapBuy(stage, stage.copy(), ['--resume', '0']);
      stage.parts.liar.tell({});
      expect(ended).toMatchObject({ code: 3 });
      for (const code of lie.codes) expect(ended.stderr).toContain(code);
      await expectUnpaid();
    },
  );

  it.for(named(QUOTE_LIES.filter(({ name }) => name.includes('20 sat'))))('swap buy: %s', async ([, lie], context) => {
    tell(context, { codes: lie.codes, verdict: 'refused' });
    const expectUnpaid = await unpaid(lie);
    stage.parts.liar.tell(lie.quote ?? {});
    const ended = await swapBuy(stage, stage.copy(), ['--asset', 'USDT', '--amount', '25']);
    stage.parts.liar.tell({});
    expect(ended).toMatchObject({ code: 3, stderr: expect.stringContaining(lie.codes.join()) as string });
    await expectUnpaid();
  });
});

describe('after all lies', () => {
  let held: PurchaseRecord | undefined;

  it('control: the honest swap, through the same seller', async (context) => {
    tell(context, { codes: [], verdict: 'claimed' });
    expect(await buysHonestly(stage)).toBe('claimed');
  });

  it('control: another swap, paid and held', async (context) => {
    tell(context, { codes: [], verdict: 'held' });
    held = await holdPayment(stage);
  });

  it.for(named(AFTER_PAYMENT_LIES))('after the payment: %s', async ([, lie], context) => {
    tell(context, { codes: [], verdict: 'ignored' });
    expect(held).toBeDefined();
    if (held !== undefined) expect(await tellHeld(stage, held, lie)).toBe('paying');
  });

  it('control: the held payment is taken, the swap claimed', async (context) => {
    tell(context, { codes: [], verdict: 'claimed' });
    expect(held).toBeDefined();
    if (held !== undefined) expect(await letSettle(stage, held)).toBe('claimed');
  });
});
