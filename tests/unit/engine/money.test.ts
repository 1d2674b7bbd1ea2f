import { beforeAll, afterEach, beforeEach, describe, expect, it } from 'vitest';

import { randomScalar, type Zkp } from '../../../src/core/blind.js';
import { findFundingOutputs, fundingOutputs } from '../../../src/core/funding.js';
import { p2wshScriptPubKey, parseHtlcWitnessScript } from '../../../src/core/htlc.js';
import { seedFromMnemonic, walletKey } from '../../../src/core/keys.js';
import { encodeAddress } from '../../../src/core/network.js';
import { isFunded, type FundedSwap, type PaymentStatus, type Swap, type SwapEvent } from '../../../src/core/swap.js';
import {
  buildTransaction,
  explicitValueBytes,
  feeFor,
  fullVsize,
  parseTransaction,
  rawOf,
  signP2wpkhInput,
  txidOf,
} from '../../../src/core/tx.js';
import {
  assetAmount,
  displayHex,
  outpoint,
  outpointKey,
  satPerKvb,
  unixSecs,
  type AssetId,
} from '../../../src/core/units.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { fund } from '../../../src/engine/fund.js';
import { signRefund } from '../../../src/engine/refund.js';
import { withdraw } from '../../../src/engine/withdraw.js';
import { SwapError } from '../../../src/errors.js';
import type { BroadcastOutcome } from '../../../src/liquid/chain.js';
import type { Coin, LiquidWallet } from '../../../src/liquid/wallet.js';
import { findSwap, moveSwap } from '../../../src/store/swaps.js';
import { findSwapTx, pendingTxs, reservedCoins } from '../../../src/store/txs.js';
import { GOLD, LBTC, nextTo, START, type Intent } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, tempStore, type TempStore } from '../../support/tempStore.js';
import { keyOf, loadZkp, randomBytes, refusal } from '../core/zkp.js';
import { chainOf, engineContext, TIP, walletOf } from './testContext.js';

const SEED = seedFromMnemonic(
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about',
);
const NOW = unixSecs(START + 60);
let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

let temp: TempStore;
let ctx: EngineContext;
let feeRate = 100n;
let sent: Buffer[];
let outcome: BroadcastOutcome;
beforeEach(() => {
  temp = tempStore();
  feeRate = 100n;
  sent = [];
  outcome = { kind: 'accepted' };
  useCoins([coin(0, GOLD, 1_000n), coin(1, LBTC, 100_000n)]);
});
afterEach(() => {
  temp[Symbol.dispose]();
});

/** A confidential coin of the wallet. */
function coin(vout: number, asset: AssetId, value: bigint): Coin {
  const amount = assetAmount(value);
  return {
    outpoint: outpoint('aa'.repeat(32), vout),
    assetId: asset,
    value: amount,
    isConfidential: true,
    height: TIP.height - 5,
    scriptPubKey: walletKey(SEED, 'regtest', 0, vout).scriptPubKey,
    valueBytes: explicitValueBytes(amount), // signatures are not judged here
    assetBlinder: randomScalar(zkp, randomBytes),
    valueBlinder: randomScalar(zkp, randomBytes),
    keyChain: 0,
    keyIndex: vout,
  };
}

function useCoins(coins: readonly Coin[]): void {
  let change = 0;
  const wallet: LiquidWallet = {
    ...walletOf(coins),
    changeKey: () => ({ ...walletKey(SEED, 'regtest', 1, (change += 1)), index: change }),
    sign: (tx, used, first = 0) => {
      used.forEach((each, i) => {
        signP2wpkhInput(tx, first + i, {
          ...walletKey(SEED, 'regtest', 0, each.keyIndex),
          prevoutValue: each.valueBytes,
        });
      });
    },
  };
  const chain = chainOf({
    tip: () => Promise.resolve(TIP),
    proveInclusion: () => Promise.resolve(TIP.hash), // every deposit is in a block
    feeRate: () => Promise.resolve(satPerKvb(feeRate)),
    broadcast: (raw) => {
      sent.push(Buffer.from(raw));
      return Promise.resolve(outcome);
    },
  });
  const blind: EngineContext['blind'] = (spec) =>
    Promise.resolve(rawOf(buildTransaction(zkp, { ...spec, randomBytes })));
  ctx = engineContext(temp, { zkp, chain, wallet, blind });
}

type InvoicedSwap = Swap & { readonly state: 'INVOICED' };
const move = (swap: Swap, event: SwapEvent): Swap => temp.store.tx(() => moveSwap(temp.store, swap, event, NOW));

/** The nth swap, with its invoice. */
function invoiced(n: number, over: Partial<Intent> = {}): InvoicedSwap {
  const swap = move(insertNew(temp.store, nthIntent(n, over)), {
    kind: 'invoice_created',
    bolt11: 'lnbcrt1',
    expiresAt: unixSecs(START + 660),
  });
  if (swap.state !== 'INVOICED') throw new Error('expected an invoice');
  return swap;
}
const stored = (swap: Swap): Swap => findSwap(temp.store, swap.id) ?? swap;

async function funded(n: number, over: Partial<Intent> = {}): Promise<FundedSwap> {
  const swap = invoiced(n, over);
  await fund(ctx, swap);
  const signed = stored(swap);
  if (!isFunded(signed)) throw new Error('expected a funding');
  return signed;
}

describe('the funding', () => {
  it('is committed with its coins, its script and T, and sent to nobody', async () => {
    const swap = await funded(1);
    const tx = findSwapTx(temp.store, swap.id, 'funding');
    const parsed = parseTransaction(tx?.raw ?? Buffer.alloc(0));
    expect([swap.state, swap.refundHeight, tx?.txid]).toEqual(['FUNDING_SIGNED', TIP.height + 60, swap.fundingTxid]);
    expect(txidOf(parsed)).toBe(swap.fundingTxid);
    expect(parseHtlcWitnessScript(swap.witnessScript)).toEqual({
      paymentHash: swap.paymentHash,
      claimPkh: keyOf('buyer').pkh,
      refundPkh: expect.any(String) as string,
      refundHeight: swap.refundHeight,
    });
    const scriptPubKey = p2wshScriptPubKey(swap.witnessScript);
    const expected = fundingOutputs({ ...swap, policyAsset: LBTC, scriptPubKey });
    expect(findFundingOutputs(parsed, { scriptPubKey, expected })).toEqual({ ok: true, outpoints: swap.outpoints });
    expect(tx?.feeSat).toBeGreaterThanOrEqual(feeFor(fullVsize(parsed), satPerKvb(feeRate)));
    expect([...reservedCoins(temp.store)].sort()).toEqual(
      [coin(0, GOLD, 1n), coin(1, LBTC, 1n)].map((each) => outpointKey(each.outpoint)),
    );
    expect(sent).toEqual([]);
  });
  it('of two swaps never spends the same coin', async () => {
    useCoins([coin(0, GOLD, 400n), coin(1, LBTC, 100_000n), coin(2, GOLD, 300n), coin(3, LBTC, 90_000n)]);
    const swaps = await Promise.all([1, 2].map((n) => funded(n)));
    const spent = swaps.flatMap((swap) => {
      const raw = findSwapTx(temp.store, swap.id, 'funding')?.raw ?? Buffer.alloc(0);
      return parseTransaction(raw).ins.map((input) => `${displayHex(input.hash)}:${input.index}`);
    });
    expect(new Set(spent).size).toBe(spent.length);
    expect(reservedCoins(temp.store).size).toBe(4);
  });
  it('never spends a deposit that no block is proven to have: the server may have made it up', async () => {
    const noProof = (): Promise<never> => Promise.reject(new SwapError('chain_unavailable', 'no proof'));
    ctx = { ...ctx, chain: { ...ctx.chain, proveInclusion: noProof } };
    const swap = invoiced(1);
    await expect(fund(ctx, swap)).rejects.toMatchObject({ code: 'chain_unavailable' });
    expect([stored(swap), reservedCoins(temp.store).size]).toEqual([swap, 0]);
  });
  it('waits when the coins are gone, and leaves nothing behind', async () => {
    await funded(1);
    const swap = invoiced(2);
    await expect(fund(ctx, swap)).rejects.toMatchObject({ code: 'insufficient_inventory' });
    expect(stored(swap)).toEqual(swap);
    expect(reservedCoins(temp.store).size).toBe(2);
  });
  it('waits above the fee ceiling, and is signed at it', async () => {
    const swap = invoiced(1);
    feeRate = 2_001n;
    await expect(fund(ctx, swap)).rejects.toThrow(
      refusal('expected at most 2000 sat/kvB, found 2001', 'feerate_too_high'),
    );
    feeRate = 2_000n;
    await fund(ctx, swap);
    expect(stored(swap).state).toBe('FUNDING_SIGNED');
  });
  it('of a swap that was canceled meanwhile is thrown away', async () => {
    const swap = invoiced(1);
    const canceled = move(swap, { kind: 'cancel_decided', reason: 'late' });
    await fund(ctx, swap);
    expect(stored(swap)).toEqual(canceled);
    expect([findSwapTx(temp.store, swap.id, 'funding'), reservedCoins(temp.store).size]).toEqual([undefined, 0]);
  });
});

describe('the refund', () => {
  async function ready(payment: PaymentStatus, over: Partial<Intent> = {}): Promise<FundedSwap> {
    let swap: Swap = await funded(1, over);
    swap = move(swap, { kind: 'funding_deep' });
    for (const event of nextTo(swap.payment, payment)) swap = move(swap, event);
    if (!isFunded(swap)) throw new Error('expected a funding');
    return swap;
  }

  it('spends every outpoint to the wallet, locked until T', async () => {
    const swap = await ready('CANCELED');
    await signRefund(ctx, swap);
    const own = findSwapTx(temp.store, swap.id, 'refund');
    const tx = parseTransaction(own?.raw ?? Buffer.alloc(0));
    expect(tx.locktime).toBe(swap.refundHeight);
    expect(tx.ins.map((input) => [displayHex(input.hash), input.index, input.sequence])).toEqual(
      swap.outpoints.map((each) => [each.outpoint.txid, each.outpoint.vout, 0xffff_fffd]),
    );
    expect(own?.feeSat).toBeGreaterThanOrEqual(feeFor(fullVsize(tx), satPerKvb(feeRate)));
    expect(sent).toEqual([]);
  });
  it('never pays more than the ceiling, and never more than the subsidy', async () => {
    const swap = await ready('CANCELED');
    feeRate = 1_000_000n;
    await signRefund(ctx, swap);
    const own = findSwapTx(temp.store, swap.id, 'refund');
    expect(own?.feeSat).toBeLessThanOrEqual(swap.feeSubsidySat);
    expect(own?.feeSat).toBeGreaterThan(0n);
  });
  it('of L-BTC pays more than the subsidy out of what it refunds, and takes no coin', async () => {
    const swap = await ready('CANCELED', { assetId: LBTC, assetAmount: assetAmount(50_000n) });
    useCoins([coin(7, LBTC, 100_000n)]);
    ctx = { ...ctx, feerateCeiling: satPerKvb(50_000n) };
    feeRate = 20_000n;
    await signRefund(ctx, swap);
    const own = findSwapTx(temp.store, swap.id, 'refund');
    expect(own?.feeSat).toBeGreaterThan(swap.feeSubsidySat);
    expect(parseTransaction(own?.raw ?? Buffer.alloc(0)).ins).toHaveLength(1);
  });
  it.each([
    ['unconfirmed', 0, 0],
    ['confirmed', TIP.height, 1],
  ])('dearer than the subsidy takes a coin of the wallet that is %s: %#', async (_name, height, count) => {
    const swap = await ready('CANCELED');
    const change = { ...coin(7, LBTC, 300_000n), outpoint: outpoint(swap.fundingTxid, 7), height };
    useCoins([change]);
    ctx = { ...ctx, feerateCeiling: satPerKvb(50_000n) };
    feeRate = 20_000n;
    const signed = signRefund(ctx, swap);
    if (count === 0) await expect(signed).rejects.toMatchObject({ code: 'feerate_too_high' });
    await signed.catch(() => undefined);
    const own = findSwapTx(temp.store, swap.id, 'refund');
    expect(own === undefined ? 0 : parseTransaction(own.raw).ins.length - 2).toBe(count);
    expect(reservedCoins(temp.store).has(outpointKey(change.outpoint))).toBe(count === 1);
  });
  it('of a subsidy that a buyer left never costs more than that subsidy', async () => {
    const swap = await ready('CANCELED');
    useCoins([coin(7, LBTC, 300_000n)]);
    ctx = { ...ctx, feerateCeiling: satPerKvb(50_000n) };
    feeRate = 20_000n;
    const claimed = { ...swap, state: 'CLAIMED', claimTxid: swap.fundingTxid, isSubsidyOpen: true } as const;
    await expect(signRefund(ctx, claimed)).rejects.toMatchObject({ code: 'feerate_too_high' });
  });
  it.each(['OPEN', 'HELD', 'SETTLING', 'SETTLED', 'CANCELING'] as const)(
    'is not stored while the payment is %s',
    async (payment) => {
      const swap = await ready(payment);
      await signRefund(ctx, swap);
      expect(findSwapTx(temp.store, swap.id, 'refund')).toBeUndefined();
    },
  );
  it('is not stored when the payment turned out as taken in the meantime', async () => {
    const swap = await ready('CANCELED');
    move(swap, { kind: 'payment_settled', heldMsat: swap.priceMsat });
    await signRefund(ctx, swap);
    expect(findSwapTx(temp.store, swap.id, 'refund')).toBeUndefined();
  });
});

describe('a withdrawal', () => {
  const payee = walletKey(SEED, 'regtest', 0, 77);
  const address = encodeAddress(payee, 'regtest');
  const request = { requestId: 'one', address, assetId: GOLD, assetAmount: assetAmount(600n) };

  it('is committed, sent, and sent only once for a request', async () => {
    const first = await withdraw(ctx, request);
    const again = await withdraw(ctx, request);
    expect(again).toEqual(first);
    expect(pendingTxs(temp.store).map((own) => own.txid)).toEqual([first.txid]);
    expect(sent.map((raw) => txidOf(parseTransaction(raw)))).toEqual([first.txid, first.txid]);
    expect(reservedCoins(temp.store).size).toBe(2);
  });
  it.each([
    ['amount', { assetAmount: assetAmount(1n) }],
    ['asset', { assetId: LBTC }],
    ['address', { address: encodeAddress(walletKey(SEED, 'regtest', 0, 78), 'regtest') }],
  ])('is refused when its request id comes with another %s', async (_name, over) => {
    await withdraw(ctx, request);
    await expect(withdraw(ctx, { ...request, ...over })).rejects.toMatchObject({ code: 'request_id_reused' });
    expect(pendingTxs(temp.store)).toHaveLength(1);
  });
  it.each<BroadcastOutcome>([
    { kind: 'unknown', cause: new Error('timeout') },
    { kind: 'rejected', reason: 'other', text: 'no' },
  ])('that may not have arrived stays ours: %o', async (answer) => {
    outcome = answer;
    const { txid } = await withdraw(ctx, request);
    expect(pendingTxs(temp.store).map((own) => own.txid)).toEqual([txid]);
  });
  it('takes nothing that was promised to a swap', async () => {
    invoiced(1); // 250 of 1000
    await expect(withdraw(ctx, { ...request, assetAmount: assetAmount(751n) })).rejects.toThrow(
      refusal('751 needed, 750 free, 250 promised to swaps', 'insufficient_inventory'),
    );
    await withdraw(ctx, { ...request, assetAmount: assetAmount(750n) });
  });
  it.each([
    ['no address', 'nonsense'],
    ['an address of mainnet', encodeAddress(payee, 'liquidv1')],
  ])('is refused to %s', async (_name, wrong) => {
    await expect(withdraw(ctx, { ...request, address: wrong })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect([sent, pendingTxs(temp.store)]).toEqual([[], []]);
  });
});
