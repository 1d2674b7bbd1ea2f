import { Metadata, type CallContext } from 'nice-grpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { assetAmount, msat, outpoint, reversedBytes, unixSecs, type AssetId } from '../../../src/core/units.js';
import type { SetOfferRequest } from '../../../src/gen/ln_liquid_swap/v1/admin.js';
import { SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';
import type { Coin } from '../../../src/liquid/wallet.js';
import { adminService } from '../../../src/rpc/admin.js';
import type { RpcContext } from '../../../src/rpc/context.js';
import { listOffers } from '../../../src/rpc/quotes.js';
import { moveSwap } from '../../../src/store/swaps.js';
import { GOLD, LBTC, pathTo, START } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf } from '../core/zkp.js';
import { nodeOf, rpcContext, TIP, walletOf } from '../engine/testContext.js';

const NODE = { nodeId: keyOf('node').pubkey, network: 'regtest', blockHeight: 100, isSynced: true } as const;
const call: CallContext = {
  metadata: Metadata(),
  peer: 'test',
  header: Metadata(),
  trailer: Metadata(),
  sendHeader: () => undefined,
  signal: new AbortController().signal,
};
const coin = (vout: number, asset: AssetId, value: bigint, height = 900): Coin => ({
  outpoint: outpoint('aa'.repeat(32), vout),
  assetId: asset,
  value: assetAmount(value),
  isConfidential: false,
  height,
  scriptPubKey: Buffer.alloc(22),
  valueBytes: Buffer.alloc(9),
  assetBlinder: Buffer.alloc(32),
  valueBlinder: Buffer.alloc(32),
  keyChain: 0,
  keyIndex: 0,
});

let temp: TempStore;
let ctx: RpcContext;
beforeEach(() => {
  temp = tempStore();
  ctx = rpcContext(temp, {
    wallet: walletOf([coin(0, GOLD, 1_000n), coin(1, LBTC, 5_000n), coin(2, GOLD, 70n, 0)]),
    lightning: nodeOf({ inboundCapacityMsat: () => Promise.resolve(msat(9n)) }),
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

/** Stores the nth swap and moves it to where the path leads. */
function stored(n: number, events: ReturnType<typeof pathTo>): void {
  const txid = n.toString(16).padStart(2, '0').repeat(32);
  ctx.store.tx(() =>
    events.reduce<Parameters<typeof moveSwap>[1]>(
      (swap, event) =>
        moveSwap(
          ctx.store,
          swap,
          event.kind === 'funding_signed'
            ? { ...event, funding: { ...event.funding, fundingTxid: txid as typeof event.funding.fundingTxid } }
            : event,
          unixSecs(START),
        ),
      insertNew(ctx.store, nthIntent(n, { createdAt: unixSecs(START + n) })),
    ),
  );
}

describe('the status', () => {
  it('has no modes when all is well', async () => {
    expect(await adminService(ctx).getStatus({}, call)).toMatchObject({
      network: 'regtest',
      liquidHeight: TIP.height,
      modes: [],
      isLightningReady: true,
      inboundCapacityMsat: 9n,
      openSwaps: 0,
      alarms: [],
    });
  });
  it('names every mode with its reason', async () => {
    await adminService(ctx).pause({ reason: 'holiday' }, call);
    ctx.health.degradedReason = 'old tip';
    ctx.health.lightningProblem = 'away';
    ctx = { ...ctx, lightning: nodeOf() };
    expect(await adminService(ctx).getStatus({}, call)).toMatchObject({
      modes: ['PAUSED', 'DEGRADED', 'LIGHTNING'],
      modeReasons: ['holiday', 'old tip', 'away'],
      isLightningReady: false,
      inboundCapacityMsat: 0n,
    });
  });
});

describe('the pause', () => {
  it('stops new business until it is lifted, and buyers see it', async () => {
    const admin = adminService(ctx);
    await admin.pause({ reason: '' }, call);
    expect((await admin.getStatus({}, call)).modeReasons).toEqual(['paused by the operator']);
    expect((await listOffers(ctx)).paused).toBe(true);
    await admin.resume({}, call);
    expect((await listOffers(ctx)).paused).toBe(false);
  });
  it('has a reason of 200 characters at most', async () => {
    await expect(adminService(ctx).pause({ reason: 'x'.repeat(201) }, call)).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });
});

describe('the balance', () => {
  it('tells per asset what is free, promised, locked and pending', async () => {
    stored(1, []);
    stored(2, pathTo('FUNDED', 'OPEN'));
    const { balances } = await adminService(ctx).getBalance({}, call);
    expect(balances).toEqual([
      expect.objectContaining({
        assetId: reversedBytes(LBTC),
        ticker: 'L-BTC',
        precision: 8,
        availableAmount: 4_000n,
        reservedAmount: 1_000n,
        lockedAmount: 1_000n,
        pendingAmount: 0n,
      }),
      expect.objectContaining({
        assetId: reversedBytes(GOLD),
        ticker: 'GOLD',
        precision: 2,
        availableAmount: 750n,
        reservedAmount: 250n,
        lockedAmount: 250n,
        pendingAmount: 70n,
      }),
    ]);
  });
  it('is unknown before the first look at the chain', async () => {
    ctx.health.tip = undefined;
    await expect(adminService(ctx).getBalance({}, call)).rejects.toMatchObject({ code: 'chain_unavailable' });
  });
});

describe('the list of swaps', () => {
  beforeEach(() => {
    stored(1, []);
    stored(2, pathTo('FUNDED', 'OPEN'));
    stored(3, pathTo('CLAIM_SEEN', 'SETTLED'));
    stored(4, pathTo('REFUNDED', 'CANCELED'));
  });
  it.each<[keyof typeof SwapStatus, number, string[]]>([
    ['UNSPECIFIED', 0, ['REFUNDED', 'CLAIM_SEEN', 'FUNDED', 'INTENT']],
    ['UNSPECIFIED', 2, ['REFUNDED', 'CLAIM_SEEN']],
    ['FUNDED', 0, ['CLAIM_SEEN', 'FUNDED']],
    ['CREATED', 0, ['INTENT']],
    ['OWED', 0, []],
  ])('%s, limit %i', async (status, limit, states) => {
    const { swaps } = await adminService(ctx).listSwaps({ status: SwapStatus[status], limit }, call);
    expect(swaps?.map((each) => each.internalState)).toEqual(states);
    expect(swaps?.every((each) => each.principal === 'alice')).toBe(true);
  });
  it('has 1000 entries at most', async () => {
    const request = { status: SwapStatus.UNSPECIFIED, limit: 1_001 };
    await expect(adminService(ctx).listSwaps(request, call)).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

describe('a live change of an offer', () => {
  const set = (over: Partial<SetOfferRequest>) =>
    adminService(ctx).setOffer({ assetId: reversedBytes(GOLD), ...over }, call);

  it('changes what is given and keeps the rest', async () => {
    await set({ priceMsatNumerator: 7n });
    expect((await set({ maxAssetAmount: 500n })).offer).toMatchObject({
      priceMsatNumerator: 7n,
      priceDenominator: 1n,
      minAssetAmount: 1n,
      maxAssetAmount: 500n,
      availableAssetAmount: 500n,
    });
    expect((await listOffers(ctx)).offers[0]).toMatchObject({ priceMsatNumerator: 7n, maxAssetAmount: 500n });
  });
  it.each<[Partial<SetOfferRequest>, string]>([
    [{ priceDenominator: 0n }, 'price_denominator'],
    [{ priceMsatNumerator: 2n ** 62n + 1n }, 'price_msat_numerator'],
    [{ spreadPpm: 1_000_001 }, 'spread_ppm'],
    [{ maxAssetAmount: 2_100_000_000_000_001n }, 'max_asset_amount'],
    [{ minAssetAmount: 1_001n }, 'max_asset_amount'],
    [{ assetId: Buffer.alloc(31) }, 'asset_id'],
  ])('is refused: %o', async (over, field) => {
    await expect(set(over)).rejects.toMatchObject({ code: 'invalid_argument', violations: [{ field }] });
    expect((await listOffers(ctx)).offers[0]).toMatchObject({ priceMsatNumerator: 1_000_000n, maxAssetAmount: 1_000n });
  });
  it('of an asset that is not for sale is refused', async () => {
    await expect(set({ assetId: reversedBytes(LBTC) })).rejects.toMatchObject({ code: 'offer_not_found' });
  });
});

describe('a withdrawal', () => {
  it('needs a request id, an address and an amount', async () => {
    const request = { requestId: 'x', address: '', assetId: reversedBytes(GOLD), assetAmount: 0n };
    await expect(adminService(ctx).withdraw(request, call)).rejects.toMatchObject({
      code: 'invalid_argument',
      violations: [{ field: 'request_id' }, { field: 'address' }, { field: 'asset_amount' }],
    });
  });
});
