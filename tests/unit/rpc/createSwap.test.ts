import { randomUUID } from 'node:crypto';

import { Metadata } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { signClaimProof } from '../../../src/core/terms.js';
import {
  assetAmount,
  hex,
  msat,
  outpoint,
  quoteId,
  reversedBytes,
  sat,
  satPerKvb,
  unixSecs,
  type AssetId,
} from '../../../src/core/units.js';
import { CreateSwapRequest, type Swap as SwapMessage } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import { SwapError } from '../../../src/errors.js';
import type { HistoryEntry } from '../../../src/liquid/chain.js';
import type { Coin } from '../../../src/liquid/wallet.js';
import type { BuyerCall, RpcContext } from '../../../src/rpc/context.js';
import { createSwap } from '../../../src/rpc/createSwap.js';
import { createQuote, getQuote, listOffers } from '../../../src/rpc/quotes.js';
import { getSwap, watchSwap } from '../../../src/rpc/swaps.js';
import { savePause } from '../../../src/store/meta.js';
import { saveOfferChange } from '../../../src/store/quotes.js';
import { findSwap, listSwaps, moveSwap } from '../../../src/store/swaps.js';
import { insertTx } from '../../../src/store/txs.js';
import { eventually } from '../../support/eventually.js';
import { FUNDING_TXID, GOLD, LBTC, pathTo, REFUND_TXID, START } from '../../support/swapFixtures.js';
import { rawSql, storeMoved, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf, refusal } from '../core/zkp.js';
import { chainOf, nodeOf, rpcContext, TIP, walletOf } from '../engine/testContext.js';

const NODE = { nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true } as const;
const BUYER = keyOf('buyer');
const NOW = START + 60;

const coin = (vout: number, asset: AssetId, value: bigint): Coin => ({
  outpoint: outpoint('aa'.repeat(32), vout),
  assetId: asset,
  value: assetAmount(value),
  isConfidential: false,
  height: 900,
  scriptPubKey: Buffer.alloc(22),
  valueBytes: Buffer.alloc(9),
  assetBlinder: Buffer.alloc(32),
  valueBlinder: Buffer.alloc(32),
  keyChain: 0,
  keyIndex: 0,
});

let temp: TempStore;
let ctx: RpcContext;
let now = NOW;
beforeEach(() => {
  temp = tempStore();
  now = NOW;
  ctx = rpcContext(temp, {
    now: () => unixSecs(now),
    wallet: walletOf([coin(0, GOLD, 1_000n), coin(1, LBTC, 1_000_000n)]),
    chain: chainOf({ feeRate: () => Promise.resolve(satPerKvb(100n)) }),
    lightning: nodeOf({
      getInfo: () => Promise.resolve(NODE),
      inboundCapacityMsat: () => Promise.resolve(msat(10n ** 12n)),
    }),
    health: {
      tip: TIP,
      degradedReason: undefined,
      node: NODE,
      lightningProblem: undefined,
      fence: undefined,
      alarms: [],
    },
  });
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const as = (principal: string): BuyerCall => ({
  principal,
  answerBy: Date.now(),
  metadata: Metadata(),
  peer: 'test',
  header: Metadata(),
  trailer: Metadata(),
  sendHeader: () => undefined,
  signal: new AbortController().signal,
});
const alice = as('alice');

const quoteOf = async (amount: bigint, call = alice) =>
  (await createQuote(ctx, { assetId: reversedBytes(GOLD), assetAmount: amount }, call)).quote;

/** A good request for that quote. */
function requestFor(quote: Uint8Array, over: Partial<CreateSwapRequest> = {}): CreateSwapRequest {
  const requestId = over.requestId ?? randomUUID();
  const claimProof = signClaimProof(BUYER.privateKey, {
    genesis: ctx.genesis,
    sellerNodeId: NODE.nodeId,
    requestId,
    quoteId: quoteId(hex(quote)),
    claimPubkey: BUYER.pubkey,
  });
  const claimPubkey = Buffer.from(BUYER.pubkey, 'hex');
  const rest = { maxPriceMsat: 10n ** 10n, minFundingConfs: 2, waitUntilFunded: false };
  return { requestId, quoteId: Buffer.from(quote), claimPubkey, claimProof, ...rest, ...over };
}

const swapFor = async (amount: bigint, call = alice): Promise<SwapMessage> => {
  const { quoteId: id } = await quoteOf(amount, call);
  return (await createSwap(ctx, requestFor(id), call)).swap;
};
const countSwaps = (): number => ctx.store.all(rawSql('SELECT swap_id FROM swaps')).length;

describe('a quote', () => {
  it('fixes price, subsidy and depths for 60 s, and is shown to its own buyer only', async () => {
    const quote = await quoteOf(500n);
    expect(quote).toMatchObject({ assetAmount: 500n, feeSubsidySats: 1_000n, profile: 'regtest', isUsed: false });
    expect(quote.expiresAtUnixSecs).toBe(BigInt(NOW + 60));
    expect(await getQuote(ctx, quote, alice)).toEqual({ quote });
    await expect(getQuote(ctx, quote, as('bob'))).rejects.toThrow(refusal('none with id', 'quote_not_found'));
  });
  it.each<[string, () => void, bigint, string]>([
    ['more than one swap may take', () => undefined, 1_001n, 'invalid_argument'],
    ['nothing', () => undefined, 0n, 'invalid_argument'],
    [
      'while paused',
      () => {
        savePause(ctx.store, 'x');
      },
      100n,
      'paused',
    ],
    [
      'while degraded',
      () => {
        ctx.health.degradedReason = 'x';
      },
      100n,
      'degraded',
    ],
    [
      'before the first look at the chain',
      () => {
        ctx.health.tip = undefined;
      },
      100n,
      'chain_unavailable',
    ],
    [
      'while the database may be an old copy',
      () => {
        ctx.health.fence = 'an unknown bundle';
      },
      100n,
      'fenced',
    ],
    [
      'while the Lightning node is away',
      () => {
        ctx.health.lightningProblem = 'no answer';
      },
      100n,
      'lightning_unavailable',
    ],
    [
      'what is not there',
      () => {
        ctx = { ...ctx, wallet: walletOf([coin(0, GOLD, 99n), coin(1, LBTC, 10_000n)]) };
      },
      100n,
      'insufficient_inventory',
    ],
    [
      'without L-BTC for the subsidy',
      () => {
        ctx = { ...ctx, wallet: walletOf([coin(0, GOLD, 100n), coin(1, LBTC, 999n)]) };
      },
      100n,
      'insufficient_inventory',
    ],
    [
      'with L-BTC for the subsidy, but none for the fee of a refund',
      () => {
        const wallet = walletOf([coin(0, GOLD, 100n), coin(1, LBTC, 1_399n)]);
        ctx = { ...ctx, wallet, feeReserveSatPerSwap: sat(400n) };
      },
      100n,
      'insufficient_inventory',
    ],
    [
      'above the fee ceiling',
      () => {
        ctx = { ...ctx, chain: chainOf({ feeRate: () => Promise.resolve(satPerKvb(2_001n)) }) };
      },
      100n,
      'feerate_too_high',
    ],
  ])('is refused: %s', async (_name, spoil, amount, code) => {
    spoil();
    await expect(quoteOf(amount)).rejects.toMatchObject({ code });
    expect(ctx.store.all(rawSql('SELECT quote_id FROM quotes'))).toEqual([]);
  });
  it('of an asset that is not for sale is refused', async () => {
    const request = { assetId: reversedBytes(LBTC), assetAmount: 1n };
    await expect(createQuote(ctx, request, alice)).rejects.toMatchObject({ code: 'offer_not_found' });
  });
  it("carries a subsidy by the seller's own fee rate, one to one in the price", async () => {
    const low = await quoteOf(100n);
    ctx = { ...ctx, chain: chainOf({ feeRate: () => Promise.resolve(satPerKvb(2_000n)) }) };
    const high = await quoteOf(100n);
    expect([low, high].map((quote) => quote.feeSubsidySats)).toEqual([1_000n, 2_400n]); // 3 x 400 vB
    expect(high.priceMsat - low.priceMsat).toBe(1_400_000n);
  });
  it('follows the live price, and keeps its own when that changes', async () => {
    const before = await quoteOf(100n);
    const [offer] = ctx.offers;
    if (offer === undefined) throw new Error('expected an offer');
    saveOfferChange(ctx.store, { ...offer, priceMsatNumerator: 2_000_000n }, unixSecs(NOW));
    expect((await quoteOf(100n)).priceMsat).toBeGreaterThan(before.priceMsat);
    expect((await createSwap(ctx, requestFor(before.quoteId), alice)).swap.priceMsat).toBe(before.priceMsat);
  });
});

describe('CreateSwap', () => {
  it('stores the swap with terms that bind quote, keys and price', async () => {
    const quote = await quoteOf(100n);
    const { swap } = await createSwap(ctx, requestFor(quote.quoteId), alice);
    expect(swap).toMatchObject({ assetAmount: 100n, priceMsat: quote.priceMsat, minFundingConfs: 2, version: 0n });
    expect(swap.terms).toContain(`quote_id=${hex(quote.quoteId)}\n`);
    expect(swap.terms).toContain(`payment_hash=${hex(swap.paymentHash)}\n`);
    expect(swap.terms).toContain(`claim_pkh=${BUYER.pkh}\n`);
    expect((await getQuote(ctx, quote, alice)).quote.isUsed).toBe(true);
  });
  it('answers the same request with the same swap, also in parallel, late, and with a new proof', async () => {
    const request = requestFor((await quoteOf(100n)).quoteId);
    const answers = await Promise.all([1, 2, 3].map(() => createSwap(ctx, request, alice)));
    now += 1_000;
    savePause(ctx.store, 'no new business');
    answers.push(await createSwap(ctx, { ...request, claimProof: Buffer.alloc(64, 9) }, alice));
    expect(new Set(answers.map(({ swap }) => hex(swap.swapId))).size).toBe(1);
    expect(countSwaps()).toBe(1);
  });
  it('means the same request whatever the case of its id', async () => {
    const request = requestFor((await quoteOf(100n)).quoteId);
    const first = await createSwap(ctx, request, alice);
    const again = await createSwap(ctx, { ...request, requestId: request.requestId.toUpperCase() }, alice);
    expect(again.swap.swapId).toEqual(first.swap.swapId);
  });
  it.each<[string, Partial<CreateSwapRequest>]>([
    ['price limit', { maxPriceMsat: 10n ** 10n + 1n }],
    ['depth', { minFundingConfs: 3 }],
    ['claim key', { claimPubkey: Buffer.from(keyOf('other').pubkey, 'hex') }],
    ['quote', { quoteId: Buffer.alloc(16) }],
  ])('refuses a request id that comes with another %s', async (_name, over) => {
    const request = requestFor((await quoteOf(100n)).quoteId);
    await createSwap(ctx, request, alice);
    await expect(createSwap(ctx, { ...request, ...over }, alice)).rejects.toMatchObject({ code: 'request_id_reused' });
  });
  it('lets two buyers use the same request id', async () => {
    const requestId = randomUUID();
    const bob = as('bob');
    const [mine, theirs] = [await quoteOf(10n), await quoteOf(10n, bob)];
    const first = await createSwap(ctx, requestFor(mine.quoteId, { requestId }), alice);
    const second = await createSwap(ctx, requestFor(theirs.quoteId, { requestId }), bob);
    expect(second.swap.swapId).not.toEqual(first.swap.swapId);
  });
  it('uses a quote once, whoever comes first', async () => {
    const { quoteId: id } = await quoteOf(100n);
    const outcomes = await Promise.allSettled([1, 2].map(() => createSwap(ctx, requestFor(id), alice)));
    expect(outcomes.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((each) => each.status === 'rejected')?.reason).toMatchObject({ code: 'quote_used' });
    expect(countSwaps()).toBe(1);
  });
  it.each<[string, (id: Uint8Array) => Promise<unknown>, string]>([
    ['a quote of somebody else', (id) => createSwap(ctx, requestFor(id), as('bob')), 'quote_not_found'],
    [
      'a price above the limit',
      (id) => createSwap(ctx, requestFor(id, { maxPriceMsat: 1n }), alice),
      'price_limit_exceeded',
    ],
    [
      'a depth out of bounds',
      (id) => createSwap(ctx, requestFor(id, { minFundingConfs: 6 }), alice),
      'invalid_argument',
    ],
    [
      'a proof of another key',
      (id) => createSwap(ctx, requestFor(id, { claimPubkey: Buffer.from(keyOf('x').pubkey, 'hex') }), alice),
      'invalid_argument',
    ],
    [
      'a proof of another request',
      (id) => createSwap(ctx, { ...requestFor(id), requestId: randomUUID() }, alice),
      'invalid_argument',
    ],
    [
      'a node that can receive nothing',
      (id) =>
        createSwap(
          { ...ctx, lightning: nodeOf({ ...ctx.lightning, inboundCapacityMsat: () => Promise.resolve(msat(0n)) }) },
          requestFor(id),
          alice,
        ),
      'no_inbound_capacity',
    ],
    [
      'a node that does not answer',
      (id) => createSwap({ ...ctx, lightning: nodeOf() }, requestFor(id), alice),
      'lightning_unavailable',
    ],
  ])('refuses %s, and stores nothing', async (_name, call, code) => {
    const { quoteId: id } = await quoteOf(100n);
    await expect(call(id)).rejects.toMatchObject({ code });
    expect(countSwaps()).toBe(0);
    await createSwap(ctx, requestFor(id), alice);
  });
  it('takes a quote until it expires, not a second longer', async () => {
    const [late, tooLate] = [await quoteOf(10n), await quoteOf(10n)];
    now = NOW + 60;
    await createSwap(ctx, requestFor(late.quoteId), alice);
    now = NOW + 61;
    await expect(createSwap(ctx, requestFor(tooLate.quoteId), alice)).rejects.toMatchObject({ code: 'quote_expired' });
  });
  it('gives every swap a refund key and a payment hash of its own', async () => {
    const [first, second] = [await swapFor(10n), await swapFor(10n)];
    expect(first.paymentHash).not.toEqual(second.paymentHash);
    expect(first.terms.match(/refund_pkh=.*/)?.[0]).not.toBe(second.terms.match(/refund_pkh=.*/)?.[0]);
  });
});

describe('who may start how much', () => {
  it('a buyer has two unpaid swaps at a time; others are not held up', async () => {
    await swapFor(10n);
    await swapFor(10n);
    await expect(swapFor(10n)).rejects.toThrow(refusal('you have 2 unpaid swaps', 'too_many_open_swaps'));
    await swapFor(10n, as('bob'));
  });
  it('a buyer that let a swap expire has one more besides it, until it is refunded', async () => {
    ctx = { ...ctx, limits: { ...ctx.limits, maxOpenUnpaidPerPrincipal: 4 } };
    storeMoved(ctx.store, 1, pathTo('FUNDED', 'CANCELED'));
    await swapFor(10n);
    await expect(swapFor(10n)).rejects.toThrow(
      refusal('you have 2 unpaid swaps, 1 of them expired, at most 2', 'too_many_open_swaps'),
    );
    await swapFor(10n, as('bob'));
    const expired = listSwaps(ctx.store, { limit: 1, states: ['FUNDED'] });
    for (const swap of expired) {
      const seen = moveSwap(ctx.store, swap, { kind: 'refund_seen', txid: REFUND_TXID }, unixSecs(NOW));
      await expect(swapFor(10n)).rejects.toMatchObject({ code: 'too_many_open_swaps' });
      moveSwap(ctx.store, seen, { kind: 'refund_final' }, unixSecs(NOW));
    }
    await swapFor(10n);
  });
  it('every open swap keeps the fee of its refund in the wallet', async () => {
    const wallet = walletOf([coin(0, GOLD, 1_000n), coin(1, LBTC, 2_799n)]);
    ctx = { ...ctx, wallet, feeReserveSatPerSwap: sat(400n) };
    await swapFor(10n); // takes 1000 of it and keeps 400; the next one would need 1000 + 2 x 400
    await expect(quoteOf(10n, as('bob'))).rejects.toThrow(
      refusal('1000 needed, 999 for sale', 'insufficient_inventory'),
    );
  });
  it('one buyer that asks a thousand times locks two swaps and 5 % of an asset', async () => {
    const limits = { ...ctx.limits, maxInflightSwaps: 100, maxAssetSharePerPrincipalPpm: 50_000 };
    ctx = { ...ctx, limits };
    let refused = 0;
    for (let i = 0; i < 1_000; i += 1) {
      await swapFor(i % 2 === 0 ? 30n : 20n).catch(() => (refused += 1));
    }
    expect([countSwaps(), refused]).toEqual([2, 998]);
    const amounts = listSwaps(ctx.store, { limit: 9 }).map((swap): bigint => swap.assetAmount);
    expect(amounts).toEqual([20n, 30n]);
  });
  it('all buyers together have four', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await swapFor(10n, as(name));
    await expect(swapFor(10n, as('e'))).rejects.toThrow(
      refusal('the seller has 4 swaps under way', 'too_many_open_swaps'),
    );
  });
  it('a buyer ties up half of an asset at most, to the unit', async () => {
    await swapFor(300n);
    await expect(swapFor(201n)).rejects.toThrow(
      refusal('would tie up 501 of the asset, at most 500', 'too_many_open_swaps'),
    );
    await swapFor(200n);
  });
  it('all buyers together tie up four fifths', async () => {
    await swapFor(500n);
    await expect(swapFor(301n, as('bob'))).rejects.toThrow(
      refusal('would tie up 801 of the asset, at most 800', 'too_many_open_swaps'),
    );
    await swapFor(300n, as('bob'));
  });
  it('what is promised is not sold twice', async () => {
    ctx = { ...ctx, limits: { ...ctx.limits, maxAssetSharePerPrincipalPpm: 1_000_000, maxAssetSharePpm: 1_000_000 } };
    await swapFor(600n);
    await expect(quoteOf(401n, as('bob'))).rejects.toMatchObject({ code: 'insufficient_inventory' });
    await quoteOf(400n, as('bob'));
    expect((await listOffers(ctx)).offers.map((offer) => offer.availableAssetAmount)).toEqual([400n]);
  });
});

describe('GetSwap and WatchSwap', () => {
  it('show a swap to its own buyer only', async () => {
    const swap = await swapFor(10n);
    expect((await getSwap(ctx, swap, alice)).swap).toEqual(swap);
    await expect(getSwap(ctx, swap, as('bob'))).rejects.toMatchObject({ code: 'swap_not_found' });
    await expect(watchSwap(ctx, swap, as('bob')).next()).rejects.toMatchObject({ code: 'swap_not_found' });
  });
  it('tell the present state, then every change, and end with a final one', async () => {
    const { swapId } = await swapFor(10n);
    const id = [...ctx.store.all(rawSql<{ swap_id: string }>('SELECT swap_id FROM swaps'))][0]?.swap_id;
    const move = (event: Parameters<typeof moveSwap>[2]): void => {
      const swap = findSwap(ctx.store, id as Parameters<typeof findSwap>[1]);
      if (swap === undefined) throw new Error('expected the swap');
      ctx.store.tx(() => moveSwap(ctx.store, swap, event, unixSecs(NOW)));
      ctx.changes.emit('swap', swap.id);
    };
    const seen: bigint[] = [];
    for await (const { swap } of watchSwap(ctx, { swapId }, alice)) {
      seen.push(swap.version);
      if (swap.version === 0n) {
        ctx.changes.emit('block'); // nothing changed: nothing is told
        move({ kind: 'cancel_decided', reason: 'late' });
      } else if (swap.version === 1n) {
        move({ kind: 'payment_canceled', reason: 'late' }); // a slow reader misses this one
        move({ kind: 'failed', reason: 'late' });
      }
    }
    expect(seen).toEqual([0n, 1n, 3n]);
    expect(ctx.changes.listenerCount('swap')).toBe(0);
  });
  it('keep the depth that was shown while the server is silent, and tell a real fall', async () => {
    const { swapId: id } = await swapFor(10n);
    const stored = listSwaps(ctx.store, { limit: 1 })[0];
    if (stored === undefined) throw new Error('expected the swap');
    const signed = pathTo('FUNDED', 'OPEN').reduce(
      (swap, event) => ctx.store.tx(() => moveSwap(ctx.store, swap, event, unixSecs(NOW))),
      stored,
    );
    insertTx(
      ctx.store,
      {
        swapId: signed.id,
        kind: 'funding',
        version: 1,
        txid: FUNDING_TXID,
        raw: Buffer.of(1),
        feeSat: sat(1n),
        signedHeight: TIP.height,
        walletInputs: [],
      },
      unixSecs(NOW),
    );
    let height: number | undefined = TIP.height - 1;
    let asked = 0;
    const history = (): Promise<HistoryEntry[]> => {
      asked += 1;
      if (height === undefined) return Promise.reject(new SwapError('chain_unavailable', 'silent'));
      return Promise.resolve([{ txid: FUNDING_TXID, height }]);
    };
    ctx = { ...ctx, chain: chainOf({ tip: () => Promise.resolve(TIP), history }) };
    const block = async (next: number | undefined): Promise<void> => {
      const before = asked;
      height = next;
      ctx.shownHtlcs.clear();
      ctx.changes.emit('block');
      await eventually('a look at the chain', () => asked > before);
    };
    const stream = watchSwap(ctx, { swapId: id }, alice);
    const depth = async (): Promise<number | undefined> => {
      const step: IteratorResult<{ swap: SwapMessage }, undefined> = await stream.next();
      return step.value?.swap.fundingConfs;
    };
    const depths = [await depth()];
    for (const next of [TIP.height - 2, 0]) {
      const told = depth();
      await block(undefined);
      await block(next);
      depths.push(await told);
    }
    expect(depths).toEqual([2, 3, 0]);
    await stream.return(undefined);
  });
  it('end when the caller goes away', async () => {
    const swap = await swapFor(10n);
    const stop = new AbortController();
    const stream = watchSwap(ctx, swap, { ...alice, signal: stop.signal });
    expect((await stream.next()).done).toBe(false);
    const next = stream.next();
    stop.abort();
    expect((await next).done).toBe(true);
    expect(ctx.changes.listenerCount('block')).toBe(0);
  });
});
