import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { PaymentStatus, Swap, SwapState } from '../../../src/core/swap.js';
import { msat, sat, unixSecs, type PaymentHash } from '../../../src/core/units.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { createReconciler } from '../../../src/engine/reconcile.js';
import { SwapError } from '../../../src/errors.js';
import type { HoldInvoice, HoldInvoiceRequest, LightningNode } from '../../../src/lightning/node.js';
import { findPause } from '../../../src/store/meta.js';
import { findSwap, moveSwap } from '../../../src/store/swaps.js';
import { findSwapTx, insertTx } from '../../../src/store/txs.js';
import { FUNDING_TXID, intent, pathTo, PRICE, REFUND_HEIGHT, START } from '../../support/swapFixtures.js';
import { insertNew, rawSql, tempStore, type TempStore } from '../../support/tempStore.js';
import { bytesField, FIELD, integerField, rawInvoice, type Field } from '../core/rawInvoice.js';
import { keyOf } from '../core/zkp.js';
import { chainOf, engineContext, nodeOf, TIP } from './testContext.js';

let temp: TempStore;
/** Calls to the outside, in order. */
let calls: string[];
beforeEach(() => {
  temp = tempStore();
  calls = [];
  insertNew(temp.store);
});
afterEach(() => {
  temp[Symbol.dispose]();
});

/** Moves the stored swap there. */
function put(state: SwapState, payment: PaymentStatus): Swap {
  const { store } = temp;
  return store.tx(() => {
    const swap = pathTo(state, payment).reduce<Swap>(
      (at, event) => moveSwap(store, at, event, unixSecs(START)),
      intent,
    );
    const tx = {
      swapId: intent.id,
      kind: 'funding',
      version: 1,
      txid: FUNDING_TXID,
      raw: Buffer.from('aa', 'hex'),
    } as const;
    if ('fundingTxid' in swap)
      insertTx(store, { ...tx, feeSat: sat(1n), signedHeight: TIP.height, walletInputs: [] }, unixSecs(START));
    return swap;
  });
}

const stored = (): Swap => {
  const swap = findSwap(temp.store, intent.id);
  if (swap === undefined) throw new Error('expected the swap');
  return swap;
};

/** A node that has an invoice in that state, or none. */
const nodeWith = (state: HoldInvoice['state'] | undefined, over: Partial<LightningNode> = {}): LightningNode =>
  nodeOf({
    lookupInvoice: () => Promise.resolve(state === undefined ? undefined : invoiceIn(state)),
    settleInvoice: () => {
      calls.push('settle');
      return Promise.resolve();
    },
    cancelInvoice: () => {
      calls.push('cancel');
      return Promise.resolve();
    },
    getInfo: () =>
      Promise.resolve({ nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true }),
    ...over,
  });

const invoiceIn = (state: HoldInvoice['state']): HoldInvoice => ({
  paymentHash: intent.paymentHash,
  bolt11: 'lnbcrt1',
  state,
  amountMsat: PRICE,
  heldMsat: state === 'HELD' || state === 'SETTLED' ? PRICE : msat(0n),
  claimDeadlineHeight: state === 'HELD' ? 130 : undefined,
  isHtlcPending: state === 'HELD',
  isTimedOutOnChain: false,
  label: 'label',
  cancelReason: '',
  expiresAt: unixSecs(START + 660),
});

/** A chain on which the funding is unspent, with this many confirmations. */
const chainWith = (confs: number, over: Parameters<typeof chainOf>[0] = {}) =>
  chainOf({
    tip: () => Promise.resolve(TIP),
    history: () =>
      Promise.resolve(confs < 0 ? [] : [{ txid: FUNDING_TXID, height: confs === 0 ? 0 : TIP.height - confs + 1 }]),
    proveInclusion: () => Promise.resolve(TIP.hash),
    broadcast: () => {
      calls.push('broadcast');
      return Promise.resolve({ kind: 'accepted' });
    },
    ...over,
  });

async function reconcile(over: Partial<EngineContext>): Promise<EngineContext> {
  const ctx = engineContext(temp, over);
  await createReconciler(ctx).reconcile(intent.id);
  return ctx;
}

describe('a pass over one swap', () => {
  it('makes each call once and looks up what it led to', async () => {
    put('FUNDED', 'SETTLING');
    let state: HoldInvoice['state'] = 'HELD';
    const lightning = nodeWith(undefined, {
      lookupInvoice: () => Promise.resolve(invoiceIn(state)),
      settleInvoice: () => {
        calls.push('settle');
        state = 'SETTLED';
        return Promise.resolve();
      },
    });
    await reconcile({ chain: chainWith(3), lightning });
    expect(calls).toEqual(['settle']);
    expect(stored()).toMatchObject({ payment: 'SETTLED', isPreimageReleased: true, heldMsat: PRICE });
  });
  it('takes an OK answer for no report: the swap stays where it is and is tried again', async () => {
    put('FUNDED', 'CANCELING');
    await reconcile({ chain: chainWith(3), lightning: nodeWith('OPEN') });
    await reconcile({ chain: chainWith(3), lightning: nodeWith('OPEN') });
    expect(calls).toEqual(['cancel', 'cancel']);
    expect(stored().payment).toBe('CANCELING');
  });
  it('goes on with the chain when the node is away', async () => {
    put('FUNDING_SIGNED', 'OPEN');
    await reconcile({ chain: chainWith(-1) });
    expect(calls).toEqual(['broadcast']);
    expect(existsSync(join(temp.dir, `${intent.id}.json`))).toBe(true);
  });
  it('broadcasts nothing before the recovery bundle is on disk', async () => {
    put('FUNDING_SIGNED', 'OPEN');
    await reconcile({ chain: chainWith(-1), bundleDir: join(temp.dir, 'missing') });
    expect(calls).toEqual([]);
  });
  it('pauses new business in the same commit as the move that alarms', async () => {
    put('FUNDED', 'OPEN');
    const ctx = await reconcile({ chain: chainWith(3), lightning: nodeWith('SETTLED') });
    expect(stored().payment).toBe('SETTLED');
    expect(findPause(temp.store)).toContain('settling was never decided');
    expect(ctx.health.alarms).toHaveLength(1);
  });
  it('never throws, whatever the backends do', async () => {
    put('FUNDED', 'HELD');
    const lightning = nodeOf({ lookupInvoice: () => Promise.reject(new TypeError('bug')) });
    await reconcile({ lightning });
    expect(stored().payment).toBe('HELD');
  });
  it('leaves a swap alone that is done', async () => {
    put('REFUNDED', 'CANCELED');
    await reconcile({ chain: chainWith(3), lightning: nodeWith('HELD') });
    expect(calls).toEqual([]);
  });
  it('refunds nothing while the invoice may still be paid', async () => {
    put('FUNDED', 'OPEN');
    const tip = { ...TIP, height: REFUND_HEIGHT };
    const chain = chainWith(3, { tip: () => Promise.resolve(tip) });
    await reconcile({ chain, lightning: nodeWith('OPEN') });
    expect(stored()).toMatchObject({ state: 'FUNDED', payment: 'CANCELING' });
    expect(calls).toEqual(['cancel']);
    expect(findSwapTx(temp.store, intent.id, 'refund')).toBeUndefined();
  });
});

describe('two passes at once', () => {
  it('are one after the other, and what changed meanwhile is seen by one more', async () => {
    put('FUNDED', 'OPEN');
    let running = 0;
    let lookups = 0;
    const lookupInvoice = async (): Promise<HoldInvoice> => {
      running += 1;
      expect(running).toBe(1);
      lookups += 1;
      await Promise.resolve();
      running -= 1;
      return invoiceIn('OPEN');
    };
    const ctx = engineContext(temp, { chain: chainWith(3), lightning: nodeWith('OPEN', { lookupInvoice }) });
    const reconciler = createReconciler(ctx);
    await Promise.all([1, 2, 3].map(() => reconciler.reconcile(intent.id)));
    expect(lookups).toBe(2);
    await reconciler.idle();
  });
});

describe('a disk that refuses a commit', () => {
  it('stops what was not committed, and lets a committed settling go on', async () => {
    put('FUNDED', 'HELD');
    const { store } = temp;
    store.all(rawSql('PRAGMA max_page_count = 1'));
    const full = (): void => {
      store.tx(() => {
        store.run(rawSql(`INSERT INTO meta VALUES ('x', zeroblob(0) || hex(zeroblob(100000)))`));
      });
    };
    expect(full).toThrow('the database refused a commit');
    await reconcile({ chain: chainWith(3), lightning: nodeWith('HELD') });
    expect([calls, stored().payment]).toEqual([[], 'HELD']);
  });
  it('does not keep a committed settling from being repeated', async () => {
    put('FUNDED', 'SETTLING');
    const { store } = temp;
    store.all(rawSql('PRAGMA max_page_count = 1'));
    expect(() => {
      store.tx(() => {
        store.run(rawSql(`INSERT INTO meta VALUES ('x', hex(zeroblob(100000)))`));
      });
    }).toThrow('the database refused a commit');
    await reconcile({ chain: chainWith(3), lightning: nodeWith('HELD') });
    expect(calls).toEqual(['settle']);
  });
});

describe('the invoice', () => {
  const NOW = START + 60;
  const fields = (over: Partial<Record<'hash' | 'terms' | 'cltv' | 'expiry', string | number>> = {}): Field[] => [
    [FIELD.paymentHash, bytesField(Buffer.from(String(over.hash ?? intent.paymentHash), 'hex'))],
    [FIELD.secret, bytesField(Buffer.alloc(32, 7))],
    [FIELD.descriptionHash, bytesField(Buffer.from(String(over.terms ?? intent.termsHash), 'hex'))],
    [FIELD.expiry, integerField(Number(over.expiry ?? 600), 2)],
    [FIELD.finalCltv, integerField(Number(over.cltv ?? 42), 2)],
    [FIELD.features, [16, 8, 0]],
  ];
  /** 50 000 sat, or what the prefix says. */
  const invoice = (options: { fields?: Field[]; prefix?: string; node?: string; createdAt?: number } = {}): string =>
    rawInvoice({
      prefix: options.prefix ?? 'lnbcrt500u',
      createdAt: options.createdAt ?? NOW,
      fields: options.fields ?? fields(),
      privateKey: keyOf(options.node ?? 'node').privateKey,
    });
  const createWith = async (bolt11: string): Promise<HoldInvoiceRequest[]> => {
    const requests: HoldInvoiceRequest[] = [];
    const createHoldInvoice = (request: HoldInvoiceRequest): Promise<HoldInvoice> => {
      requests.push(request);
      return Promise.resolve({ ...invoiceIn('OPEN'), bolt11 });
    };
    await reconcile({ lightning: nodeWith('OPEN', { createHoldInvoice }) });
    return requests;
  };

  it('is asked for with the hash alone and stored when it says what was asked for', async () => {
    const requests = await createWith(invoice());
    expect(stored()).toMatchObject({ state: 'INVOICED', payment: 'OPEN', bolt11: invoice() });
    expect(requests).toEqual([
      {
        paymentHash: intent.paymentHash,
        amountMsat: PRICE,
        descriptionHash: intent.termsHash,
        expirySecs: 600,
        minFinalCltvDelta: 42,
        label: `ln-liquid-swap/test/${intent.id}`,
      },
    ]);
  });
  it.each<[string, string]>([
    ['another hash', invoice({ fields: fields({ hash: 'ab'.repeat(32) }) })],
    ['other terms', invoice({ fields: fields({ terms: 'ab'.repeat(32) }) })],
    ['another amount', invoice({ prefix: 'lnbcrt501u' })],
    ['another network', invoice({ prefix: 'lntb500u' })],
    ['another node', invoice({ node: 'stranger' })],
    ['another final CLTV', invoice({ fields: fields({ cltv: 80 }) })],
    ['another expiry', invoice({ fields: fields({ expiry: 601 }) })],
    ['a clock 31 s ahead', invoice({ createdAt: NOW + 31 })],
    ['a clock from before the swap', invoice({ createdAt: START - 31 })],
    ['no invoice at all', 'lnbcrt500u1'],
  ])('with %s is canceled, never stored, and alarms', async (_name, bolt11) => {
    await createWith(bolt11);
    expect(stored()).toMatchObject({ state: 'INTENT', payment: 'CANCELING', reason: 'the node made a wrong invoice' });
    expect(calls).toEqual(['cancel']);
    expect(findPause(temp.store)).toContain('alarm');
  });
  it.each([NOW + 30, START - 30])('of a node whose clock is 30 s off is taken', async (createdAt) => {
    await createWith(invoice({ createdAt }));
    expect(stored()).toMatchObject({ state: 'INVOICED', payment: 'OPEN' });
  });
  it('of a hash that the node uses for something else ends the swap', async () => {
    const createHoldInvoice = (): Promise<never> => Promise.reject(new SwapError('payment_hash_reused', 'in use'));
    await reconcile({ lightning: nodeWith(undefined, { createHoldInvoice }) });
    expect(stored()).toMatchObject({ state: 'FAILED', payment: 'CANCELED' });
    expect(findPause(temp.store)).toContain('in use');
  });
  it('that the node did not answer about is asked for again', async () => {
    await reconcile({ lightning: nodeOf() });
    expect(stored()).toEqual(intent);
    await createWith(invoice());
    expect(stored().state).toBe('INVOICED');
  });
  it('tells whoever waits for the swap', async () => {
    const seen: string[] = [];
    const ctx = engineContext(temp, { lightning: nodeWith('CANCELED') });
    put('INVOICED', 'OPEN');
    ctx.changes.on('swap', (id) => seen.push(id));
    await createReconciler(ctx).reconcile(intent.id);
    expect(stored()).toMatchObject({ state: 'FAILED', payment: 'CANCELED' });
    expect(seen).toEqual([intent.id, intent.id]);
    expect(intent.paymentHash satisfies PaymentHash).toHaveLength(64);
  });
});
