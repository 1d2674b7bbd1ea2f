/**
 * The seller between a payment that is held and the money on either side: answers that are lost or lie, a node that
 * forgets, lags, or is another one. Real programs; only what the seller's node says is changed on its way.
 */
import { createHash } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { createSwapRequest } from '../../src/buyer/purchase.js';
import { InvoiceState, type CreateHoldInvoiceRequest } from '../../src/gen/lnnode/v1/lnnode.js';
import { readRows } from '../crash/sellerDatabase.js';
import { buy, mineToRefundHeight, swapOf, swapWhen } from '../crash/stage.js';
import type { LightningProxyRules, NodeMethod } from '../support/lightningProxy.js';
import {
  alarmsOf,
  blocksPastRefund,
  bought,
  calledAgain,
  endClaimed,
  endRefunded,
  GIVEN_BACK,
  mineBitcoinTo,
  mineToUnpayable,
  money,
  NEVER_PAID,
  openLightningStage,
  pay,
  payHeld,
  paymentIs,
  releasedPreimage,
  restartSeller,
  shownPreimage,
  TAKEN,
  type Bought,
  type LightningStage,
} from '../support/lightningStage.js';
import { eventually, startTestPurchase } from '../support/testWorld.js';

let stage: LightningStage;
let rules: LightningProxyRules;

beforeAll(async () => {
  stage = await openLightningStage();
  ({ rules } = stage.lightning);
});
afterEach(async () => {
  stage.lightning.reset();
  stage.proxy.setAway(false);
  await stage.admin.resume({});
  expect(stage.watch.leaks).toEqual([]);
});
afterAll(async () => {
  await stage.close();
});

const forget = (...methods: NodeMethod[]): void => {
  rules.fate = ({ method }) => (methods.includes(method) ? 'forget' : undefined);
};
const lag = (): void => {
  rules.changeInfo = (info) => ({ ...info, isSynced: false });
};
const settles = ({ hash }: Bought): number => stage.lightning.count('settleInvoice', hash);
const cancels = ({ hash }: Bought): number => stage.lightning.count('cancelInvoice', hash);
/** The pass over all swaps that follows a lost stream. */
async function lookedAgain(swap: Bought): Promise<void> {
  const seen = stage.lightning.count('lookupInvoice', swap.hash);
  stage.lightning.cutStreams();
  await eventually('a look', () => {
    return Promise.resolve(stage.lightning.count('lookupInvoice', swap.hash) > seen + 1 || undefined);
  });
}
const rowIs = async (swap: Bought): Promise<string> => (await money(stage, swap)).books;
const alarms = (): ReturnType<typeof alarmsOf> => alarmsOf(stage);

describe('settling', () => {
  it('answered OK by a node that never took the payment keeps S in, and the asset comes back', async () => {
    const swap = await bought(stage);
    rules.fate = ({ method }) => (method === 'settleInvoice' ? 'pretend' : undefined);
    const { claimDeadlineHeight = 0 } = await payHeld(stage, swap);
    await paymentIs(stage, swap, 'SETTLING');
    await calledAgain(stage, 'settleInvoice', swap, 2);
    expect(await money(stage, swap)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/SETTLING' });
    await mineBitcoinTo(stage, claimDeadlineHeight);
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(cancels(swap)).toBe(0);
  });

  it('whose answers are lost is repeated until SETTLED is reported, and the payment is taken once', async () => {
    const swap = await bought(stage);
    rules.fate = ({ method }) => (method === 'settleInvoice' ? 'lose_answer' : undefined);
    const far = { claimDeadlineHeight: 1_000_000 };
    rules.changeInvoice = (invoice) =>
      invoice.state === InvoiceState.SETTLED ? { ...invoice, ...far, state: InvoiceState.HELD } : invoice;
    await pay(stage, swap);
    await paymentIs(stage, swap, 'SETTLING');
    await calledAgain(stage, 'settleInvoice', swap, 2);
    expect(await money(stage, swap)).toEqual({ payment: 'SUCCEEDED', outpoint: 'unspent', books: 'FUNDED/SETTLING' });
    stage.lightning.reset();
    const row = await paymentIs(stage, swap, 'SETTLED');
    expect(row.held_msat).toBe(row.price_msat);
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });

  it('is not decided while the node lags behind its chain, and goes on when it has caught up', async () => {
    const swap = await bought(stage);
    lag();
    await payHeld(stage, swap);
    await paymentIs(stage, swap, 'HELD');
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await rowIs(swap)).toBe('FUNDED/HELD');
    expect(settles(swap)).toBe(0);
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });
});

describe('a settled payment that went back to the payer on the Bitcoin chain', () => {
  it('keeps S in and calls the operator, and gives it out when a reorg undoes that', async () => {
    const swap = await bought(stage);
    rules.changeInvoice = (invoice) =>
      invoice.state === InvoiceState.SETTLED ? { ...invoice, isTimedOutOnChain: true } : invoice;
    await pay(stage, swap);
    const row = await paymentIs(stage, swap, 'SETTLED');
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await shownPreimage(stage, swap)).toBe('');
    const { text, modes } = await alarms();
    expect(text).toContain(`swap ${swap.id}: the node took the payment, but it went back to the payer on the chain`);
    expect(modes).toContain('PAUSED');
    await stage.seller.down();
    await restartSeller(stage);
    await mineToRefundHeight(stage, row);
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await shownPreimage(stage, swap)).toBe('');
    expect(await rowIs(swap)).toBe('FUNDED/SETTLED');
    stage.lightning.reset();
    const shown = await releasedPreimage(stage, swap);
    expect(createHash('sha256').update(shown, 'hex').digest('hex')).toBe(swap.hash);
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });

  it('keeps S in while an HTLC for it is pending on any channel, without an alarm', async () => {
    const swap = await bought(stage);
    rules.changeInvoice = (invoice) =>
      invoice.state === InvoiceState.SETTLED ? { ...invoice, isHtlcPending: true } : invoice;
    await pay(stage, swap);
    await paymentIs(stage, swap, 'SETTLED');
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await shownPreimage(stage, swap)).toBe('');
    expect((await alarms()).text).not.toContain(swap.id);
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });
});

describe('canceling', () => {
  it('answered OK by a node that goes on holding lets no refund out before CANCELED is reported', async () => {
    const swap = await bought(stage);
    rules.fate = ({ method }) => (method === 'cancelInvoice' ? 'pretend' : undefined);
    await mineToUnpayable(stage);
    const row = await paymentIs(stage, swap, 'CANCELING');
    await payHeld(stage, swap);
    await calledAgain(stage, 'cancelInvoice', swap, 2);
    await mineToRefundHeight(stage, row);
    await calledAgain(stage, 'cancelInvoice', swap, 2);
    expect(await blocksPastRefund(stage, row)).toBeGreaterThanOrEqual(0);
    expect(await money(stage, swap)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/CANCELING' });
    stage.lightning.reset();
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(settles(swap)).toBe(0);
  });

  it('whose answer is lost ends as the node reports it, and nobody can pay any more', async () => {
    const swap = await bought(stage);
    rules.fate = ({ method }) => (method === 'cancelInvoice' ? 'lose_answer' : undefined);
    await mineToUnpayable(stage);
    await paymentIs(stage, swap, 'CANCELED');
    expect(await pay(stage, swap)).toBe('FAILED');
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(cancels(swap)).toBeGreaterThan(0);
  });

  it('stands when the seller is killed before its refund: a late payment fails', async () => {
    const swap = await bought(stage);
    await mineToUnpayable(stage);
    const row = await paymentIs(stage, swap, 'CANCELED');
    await stage.seller.down();
    await mineToRefundHeight(stage, row);
    expect(await pay(stage, swap)).toBe('FAILED');
    await restartSeller(stage);
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
  });
});

describe('a node that does not know the invoice', () => {
  it('frees the asset of a swap that is canceled', async () => {
    const swap = await bought(stage);
    forget('lookupInvoice', 'cancelInvoice');
    await mineToUnpayable(stage);
    expect(await endRefunded(stage, swap)).toEqual(NEVER_PAID);
  });

  it('moves nothing while the invoice is OPEN or HELD', async () => {
    const swap = await bought(stage);
    forget('lookupInvoice');
    await payHeld(stage, swap);
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await rowIs(swap)).toBe('FUNDED/OPEN');
    stage.lightning.reset();
    lag();
    await paymentIs(stage, swap, 'HELD');
    forget('lookupInvoice');
    rules.changeInfo = (info) => info;
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(await money(stage, swap)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/HELD' });
    expect([settles(swap), cancels(swap)]).toEqual([0, 0]);
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });

  it('does not lock a held swap for ever: it is canceled when it could not be taken any more', async () => {
    const swap = await bought(stage);
    lag();
    const { claimDeadlineHeight = 0 } = await payHeld(stage, swap);
    await paymentIs(stage, swap, 'HELD');
    forget('lookupInvoice', 'cancelInvoice');
    await stage.world.mine(42);
    await paymentIs(stage, swap, 'CANCELED');
    await mineBitcoinTo(stage, claimDeadlineHeight);
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(settles(swap)).toBe(0);
  });

  it('learns no S while it is settled, and nothing is refunded: an alarm calls the operator', async () => {
    const swap = await bought(stage);
    rules.fate = ({ method }) => (method === 'settleInvoice' ? 'pretend' : undefined);
    await payHeld(stage, swap);
    const row = await paymentIs(stage, swap, 'SETTLING');
    forget('lookupInvoice', 'settleInvoice', 'cancelInvoice');
    await calledAgain(stage, 'lookupInvoice', swap, 1);
    const tried = settles(swap);
    await mineToRefundHeight(stage, row);
    await calledAgain(stage, 'lookupInvoice', swap, 2);
    expect(settles(swap)).toBe(tried);
    expect(await money(stage, swap)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/SETTLING' });
    const { text, modes } = await alarms();
    expect(text).toContain(`swap ${swap.id}: the node does not know the invoice that is being settled`);
    expect(modes).toContain('PAUSED');
    stage.lightning.reset();
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });
});

describe('a held payment near its claim deadline is canceled before the node fails it back', () => {
  const TOO_NEAR = 5;

  it('while the funding is not deep enough after a reorganisation', async () => {
    const swap = await bought(stage);
    await stage.world.ask({ command: 'reorg', chain: 'liquid', blocks: 1, drop: true });
    const { claimDeadlineHeight = 0 } = await payHeld(stage, swap);
    await swapWhen(stage, swap.id, 'held', ({ payment }) => payment === 'HELD');
    await mineBitcoinTo(stage, claimDeadlineHeight - TOO_NEAR);
    await lookedAgain(swap);
    const row = await paymentIs(stage, swap, 'CANCELED');
    expect(row.reason).toBe(`the node fails the payment back in ${TOO_NEAR} blocks`);
    expect((await stage.node.lookupInvoice(swap.hash))?.cancelReason).toBe('CANCELED_BY_USER');
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
  });

  it('while no server shows the chain', async () => {
    const swap = await bought(stage);
    stage.proxy.setAway(true);
    const { claimDeadlineHeight = 0 } = await payHeld(stage, swap);
    await swapWhen(stage, swap.id, 'held', ({ payment }) => payment === 'HELD');
    await mineBitcoinTo(stage, claimDeadlineHeight - TOO_NEAR);
    stage.lightning.cutStreams(); // a look at every swap follows
    const row = await swapWhen(stage, swap.id, 'canceled', ({ payment }) => payment.startsWith('CANCEL'));
    expect(row.reason).toBe(`the node fails the payment back in ${TOO_NEAR} blocks`);
    stage.proxy.setAway(false);
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(settles(swap)).toBe(0);
  });
});

describe('a payment of another amount', () => {
  const holding = (more: bigint): void => {
    rules.changeInvoice = (invoice) =>
      invoice.heldMsat > 0n ? { ...invoice, heldMsat: invoice.heldMsat + more } : invoice;
  };

  it('that is one msat short is canceled at once', async () => {
    const swap = await bought(stage);
    holding(-1n);
    await pay(stage, swap);
    const row = await paymentIs(stage, swap, 'CANCELED');
    expect(row.reason).toBe(`paid ${(row.price_msat - 1n).toString()} msat of ${row.price_msat.toString()}`);
    expect(await endRefunded(stage, swap)).toEqual(GIVEN_BACK);
    expect(settles(swap)).toBe(0);
  });

  it('that is more than the price is taken, and the surplus is on record', async () => {
    const swap = await bought(stage);
    holding(7_001n);
    await pay(stage, swap);
    const row = await paymentIs(stage, swap, 'SETTLED');
    expect(row.held_msat).toBe(row.price_msat + 7_001n);
    expect(await endClaimed(stage, [swap])).toEqual([TAKEN]);
  });
});

describe('a node that makes another invoice than it was told', () => {
  it.each<[string, (order: CreateHoldInvoiceRequest) => CreateHoldInvoiceRequest]>([
    ['amount', (order) => ({ ...order, amountMsat: order.amountMsat + 1n })],
    ['expiry', (order) => ({ ...order, expirySecs: order.expirySecs + 1 })],
    ['description hash', (order) => ({ ...order, descriptionHash: Buffer.alloc(32, 7) })],
    ['final CLTV', (order) => ({ ...order, minFinalCltvDelta: 144 })],
  ])('with another %s gets nothing funded, and an alarm calls the operator', async (what, changeOrder) => {
    rules.changeOrder = changeOrder;
    const id = swapOf(await buy(stage));
    const row = await swapWhen(stage, id, 'failed', ({ state }) => state === 'FAILED');
    expect(row).toMatchObject({ payment: 'CANCELED', funding_txid: null, reason: 'the node made a wrong invoice' });
    expect(readRows(stage.database).txs.filter((tx) => tx.swap_id === id)).toEqual([]);
    const { text, modes } = await alarms();
    expect(text).toContain(`swap ${id}: invoice: expected ${what} `);
    expect(modes).toContain('PAUSED');
  });
});

describe('another node behind the address', () => {
  it('that was not noticed yet gets nothing funded: its invoice is signed by a stranger', async () => {
    const { seller } = stage.world.file().lnnoded;
    rules.changeInfo = (info) => ({ ...info, nodeId: Buffer.from(seller.node_id, 'hex') });
    rules.target = 'other';
    const id = swapOf(await buy(stage));
    const row = await swapWhen(stage, id, 'failed', ({ state }) => state === 'FAILED');
    expect(row).toMatchObject({ payment: 'CANCELED', funding_txid: null });
    expect((await alarms()).text).toContain(`swap ${id}: invoice: expected payee ${seller.node_id}`);
  });

  it('gets no new business under the old terms, no S, and no refund of what the first one holds', async () => {
    const held = await bought(stage);
    const quoted = await startTestPurchase(stage.world, stage.buyer);
    lag();
    await payHeld(stage, held);
    await paymentIs(stage, held, 'HELD');
    rules.changeInfo = (info) => info;
    rules.target = 'other';
    const other = stage.world.file().lnnoded.buyer.node_id;
    await eventually('the other node', async () => {
      return (await stage.admin.getStatus({})).nodeId.toString('hex') === other ? true : undefined;
    });
    const { buyer } = stage.buyer;
    const old = buyer.seller.createSwap(createSwapRequest(buyer, quoted));
    await expect(old).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(startTestPurchase(stage.world, stage.buyer)).rejects.toMatchObject({ code: 'seller_node_changed' });
    await calledAgain(stage, 'lookupInvoice', held, 2);
    expect(await money(stage, held)).toEqual({ payment: 'IN_FLIGHT', outpoint: 'unspent', books: 'FUNDED/HELD' });
    expect(settles(held)).toBe(0);
    stage.lightning.reset();
    expect(await endClaimed(stage, [held])).toEqual([TAKEN]);
  });
});
