/** A buyer that would pay, and everything that a seller or a server may tell it: see `npx just lies`. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { PaymentStatus } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { ANSWER_LIES, QUOTE_LIES } from './answerLies.js';
import { FUNDING_LIES } from './fundingLies.js';
import { INVOICE_LIES } from './invoiceLies.js';
import type { Lie } from './lie.js';
import { SCRIPT_LIES } from './scriptLies.js';
import { LONE_SERVER_LIES, SERVER_LIES } from './serverLies.js';
import { Stage } from './stage.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 });

const GROUPS: readonly (readonly [string, readonly Lie[]])[] = [
  ['another script', SCRIPT_LIES],
  ['another funding', FUNDING_LIES],
  ['another invoice', INVOICE_LIES],
  ['a quote', QUOTE_LIES],
  ['a server beside an honest one', SERVER_LIES],
  ['a lone server', LONE_SERVER_LIES],
  ['words', ANSWER_LIES],
];
const ALL = GROUPS.flatMap(([, lies]) => lies);

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open(ALL);
});
afterAll(async () => {
  await stage.close();
});

describe.each(GROUPS)('%s', (_, lies) => {
  it.each(lies)('$name', async (lie) => {
    expect(await stage.paymentStatus()).toBe(PaymentStatus.OPEN);
    const scene = await stage.scene(lie);
    const before = await stage.money(scene);
    const outcome = await stage.run(lie);
    expect(outcome.codes).toEqual(lie.codes);
    expect(await stage.money(scene)).toEqual(before);
    expect(await stage.paymentStatus()).toBe(PaymentStatus.OPEN);
    expect(outcome.payments).toBe(0);
  });
});
