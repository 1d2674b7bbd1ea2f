/**
 * The seller while its Lightning node is away: streams that are lost, calls that nobody answers, and processes that are
 * killed in the middle. Whatever the outage was, the money ends on the right side and nothing waits for ever.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { createSwapRequest } from '../../src/buyer/purchase.js';
import { PaymentStatus } from '../../src/gen/ln_liquid_swap/v1/swap.js';
import { readRows } from '../crash/sellerDatabase.js';
import { buy } from '../crash/stage.js';
import type { LightningProxyRules, NodeMethod } from '../support/lightningProxy.js';
import {
  bought,
  endClaimed,
  endRefunded,
  GIVEN_BACK,
  money,
  openLightningStage,
  pay,
  payHeld,
  paymentIs,
  restartSeller,
  TAKEN,
  verified,
  type Bought,
  type LightningStage,
} from '../support/lightningStage.js';
import { eventually, startTestPurchase } from '../support/testWorld.js';

/** The seller looks every 10 s, whatever it hears: one look and what follows it end in less than this. */
const POLL_MS = 25_000;
/** Less than the 10 s of a call to the silent node: a caller of the seller does not wait for one. */
const PROMPT_MS = 8_000;

let stage: LightningStage;
let rules: LightningProxyRules;

beforeAll(async () => {
  stage = await openLightningStage();
  ({ rules } = stage.lightning);
});
afterEach(async () => {
  stage.lightning.reset();
  await stage.admin.resume({});
  expect(stage.watch.leaks).toEqual([]);
});
afterAll(async () => {
  await stage.close();
});

const buying = (): Promise<Bought> => bought(stage);
const books = async (swap: Bought): Promise<string> => (await money(stage, swap)).books;
/** What the node tells of one payment is a msat short, so that it is canceled. */
const shortOf =
  (swap: Bought): LightningProxyRules['changeInvoice'] =>
  (invoice) =>
    invoice.heldMsat > 0n && invoice.paymentHash.toString('hex') === swap.hash
      ? { ...invoice, heldMsat: invoice.heldMsat - 1n }
      : invoice;
const promptly = async (ask: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await ask();
  return performance.now() - start;
};

describe('a stream of invoices', () => {
  it.each(['refuse', 'mute'] as const)(
    'that is lost around HELD and settling (%s) costs no payment',
    async (stream) => {
      const swap = await bought(stage);
      rules.stream = stream;
      if (stream === 'refuse') stage.lightning.cutStreams();
      const start = Date.now();
      await pay(stage, swap);
      await eventually('the payment', async () => {
        return (await stage.payer.lookupPayment(swap.hash))?.state === 'SUCCEEDED' ? true : undefined;
      });
      expect(Date.now() - start).toBeLessThan(POLL_MS);
      expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
    },
  );
});

describe('calls that are never answered', () => {
  it('leave the outcome unknown, lose nothing, hold up nobody, and the swaps end right afterwards', async () => {
    const [looked, settled, canceled, held] = await Promise.all([buying(), buying(), buying(), buying()]);
    const refused = await startTestPurchase(stage.world, stage.buyer);
    const about = (swap: Bought, method: NodeMethod) => `${method} ${swap.hash}`;
    const stalled = new Set([
      about(looked, 'lookupInvoice'),
      about(settled, 'settleInvoice'),
      about(canceled, 'cancelInvoice'),
    ]);
    let perform = (): void => undefined;
    const late = new Promise<void>((resolve) => (perform = resolve));
    const orders: string[] = [];
    rules.fate = ({ method, hash }) => {
      if (method !== 'createHoldInvoice') return stalled.has(`${method} ${hash}`) ? 'stall' : undefined;
      orders.push(hash);
      return orders.length === 1 ? late : undefined;
    };
    rules.changeInvoice = shortOf(canceled);
    stage.watch.restart();
    const slow = buy(stage);
    await Promise.all([looked, settled, canceled].map((swap) => pay(stage, swap)));
    await paymentIs(stage, settled, 'SETTLING');
    await paymentIs(stage, canceled, 'CANCELING');
    await eventually('the order', () => Promise.resolve(orders[0]));
    const isAsked = (method: NodeMethod, { hash }: Bought): boolean => stage.lightning.count(method, hash) > 0;
    await eventually('both decisions at the node', () =>
      Promise.resolve((isAsked('settleInvoice', settled) && isAsked('cancelInvoice', canceled)) || undefined),
    );

    // From now on nobody hears of the node itself, its channels or its changes either.
    const before = rules.fate;
    rules.fate = (call) =>
      call.method === 'getNodeInfo' || call.method === 'listChannels' || call.method === 'listInvoices'
        ? 'stall'
        : before(call);
    rules.stream = 'mute';
    const { buyer } = stage.buyer;
    const refusal = expect(buyer.seller.createSwap(createSwapRequest(buyer, refused))).rejects.toMatchObject({
      code: 'lightning_unavailable',
    });
    const stored = readRows(stage.database).swaps.length;
    await payHeld(stage, held);
    await paymentIs(stage, held, 'HELD');
    expect(await promptly(() => stage.admin.getStatus({}))).toBeLessThan(PROMPT_MS);
    // Settling is not repeated while the node does not say where it is.
    await eventually('calls that ran into their deadlines', () => {
      const { count } = stage.lightning;
      const isRepeated =
        count('settleInvoice', settled.hash) > 0 && count('cancelInvoice', canceled.hash) > 1 && orders.length > 1;
      return Promise.resolve(isRepeated || undefined);
    });
    const seen: string[] = [];
    for (const swap of [looked, settled, canceled, held]) seen.push(await books(swap));
    expect(seen).toEqual(['FUNDED/OPEN', 'FUNDED/SETTLING', 'FUNDED/CANCELING', 'FUNDED/HELD']);
    expect(stage.watch.slowestMs()).toBeLessThan(PROMPT_MS);
    await refusal;
    expect(readRows(stage.database).swaps).toHaveLength(stored);

    stage.lightning.reset();
    const created = await slow;
    perform();
    const bargain = await verified(stage, created);
    expect(new Set(orders).size).toBe(1);
    expect(await pay(stage, bargain)).not.toBe('FAILED');
    expect(await endClaimed(stage, [looked, settled, held, bargain])).toEqual([TAKEN, TAKEN, TAKEN, TAKEN]);
    expect(await endRefunded(stage, canceled)).toEqual(GIVEN_BACK);
  });
});

describe.each([['swapd'], ['lnnoded-seller'], ['swapd and lnnoded-seller']])('SIGKILL of %s', (victims) => {
  it('while payments are held, being settled and being canceled ends each on its side', async () => {
    const [held, settling, canceling] = await Promise.all([buying(), buying(), buying()]);
    rules.fate = ({ method }) => (method === 'settleInvoice' || method === 'cancelInvoice' ? 'fail' : undefined);
    rules.changeInvoice = shortOf(canceling);
    await Promise.all([settling, canceling].map((swap) => payHeld(stage, swap)));
    await paymentIs(stage, settling, 'SETTLING');
    await paymentIs(stage, canceling, 'CANCELING');
    rules.changeInfo = (info) => ({ ...info, isSynced: false });
    await payHeld(stage, held);
    await paymentIs(stage, held, 'HELD');
    if (victims.includes('swapd')) await stage.seller.down();
    if (victims.includes('lnnoded-seller')) {
      await stage.world.ask({ command: 'kill', name: 'lnnoded-seller' });
      await stage.world.ask({ command: 'start', name: 'lnnoded-seller' });
    }
    stage.lightning.reset();
    if (victims.includes('swapd')) await restartSeller(stage);
    expect(await endClaimed(stage, [held, settling])).toEqual([TAKEN, TAKEN]);
    expect(await endRefunded(stage, canceling)).toEqual(GIVEN_BACK);
  });
});

describe('a seller that starts while its node is silent', () => {
  it('serves all the same and goes on when the node answers', async () => {
    const swap = await bought(stage);
    rules.fate = () => 'stall';
    rules.stream = 'refuse';
    await stage.seller.down();
    await payHeld(stage, swap);
    await restartSeller(stage);
    const { swap: shown } = await stage.buyer.buyer.seller.getSwap({ swapId: Buffer.from(swap.id, 'hex') });
    expect(shown?.paymentStatus).toBe(PaymentStatus.OPEN);
    expect(await promptly(() => stage.admin.getStatus({}))).toBeLessThan(PROMPT_MS);
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });
});
