import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { randomScalar, type Zkp } from '../../../src/core/blind.js';
import { seedFromMnemonic, walletKey } from '../../../src/core/keys.js';
import { encodeAddress } from '../../../src/core/network.js';
import {
  buildTransaction,
  explicitValueBytes,
  feeFor,
  fullVsize,
  parseTransaction,
  rawOf,
  signP2wpkhInput,
} from '../../../src/core/tx.js';
import type { TxOutput } from '../../../src/core/tx.js';
import {
  assetAmount,
  blockHeight,
  displayHex,
  hex,
  outpoint,
  sat,
  satPerKvb,
  type AssetId,
} from '../../../src/core/units.js';
import type { EngineContext } from '../../../src/engine/context.js';
import { split } from '../../../src/engine/split.js';
import { withdraw } from '../../../src/engine/withdraw.js';
import type { Coin } from '../../../src/liquid/wallet.js';
import { pendingTxs, reservedCoins } from '../../../src/store/txs.js';
import { GOLD, LBTC } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, tempStore, type TempStore } from '../../support/tempStore.js';
import { loadZkp, randomBytes, refusal } from '../core/zkp.js';
import { chainOf, engineContext, TIP, walletOf } from './testContext.js';

const SEED = seedFromMnemonic(
  'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about',
);
let zkp: Zkp;
beforeAll(async () => {
  zkp = await loadZkp();
});

let temp: TempStore;
let sent: string[];
/** Outputs of the last transaction that was built. */
let outputs: readonly TxOutput[];
beforeEach(() => {
  temp = tempStore();
  sent = [];
  outputs = [];
});
afterEach(() => {
  temp[Symbol.dispose]();
});

/** A confidential deposit. */
const coin = (vout: number, asset: AssetId, value: bigint): Coin => ({
  outpoint: outpoint('aa'.repeat(32), vout),
  assetId: asset,
  value: assetAmount(value),
  isConfidential: true,
  height: TIP.height - 5,
  scriptPubKey: walletKey(SEED, 'regtest', 0, vout).scriptPubKey,
  valueBytes: explicitValueBytes(assetAmount(value)),
  assetBlinder: randomScalar(zkp, randomBytes),
  valueBlinder: randomScalar(zkp, randomBytes),
  keyChain: 0,
  keyIndex: vout,
});

function contextWith(coins: readonly Coin[], over: Partial<EngineContext> = {}): EngineContext {
  let change = 0;
  const wallet = {
    ...walletOf(coins),
    changeKey: () => ({ ...walletKey(SEED, 'regtest', 1, (change += 1)), index: change }),
    sign: (tx: Parameters<EngineContext['wallet']['sign']>[0], used: readonly Coin[]) => {
      used.forEach((each, i) => {
        signP2wpkhInput(tx, i, { ...walletKey(SEED, 'regtest', 0, each.keyIndex), prevoutValue: each.valueBytes });
      });
    },
  };
  const chain = chainOf({
    tip: () => Promise.resolve(TIP),
    proveInclusion: () => Promise.resolve(TIP.hash), // every deposit is in a block
    feeRate: () => Promise.resolve(satPerKvb(100n)),
    broadcast: (raw) => {
      sent.push(hex(raw));
      return Promise.resolve({ kind: 'accepted' });
    },
  });
  const blind: EngineContext['blind'] = (spec) => {
    ({ outputs } = spec);
    return Promise.resolve(rawOf(buildTransaction(zkp, { ...spec, randomBytes })));
  };
  return engineContext(temp, { zkp, chain, wallet, blind, ...over });
}

const valuesOf = (asset: AssetId): bigint[] =>
  outputs.filter((each) => each.assetId === asset && each.scriptPubKey.length > 0).map((each) => each.value);

describe('a split', () => {
  it('makes equal blinded coins of the wallet, each with a key of its own, and keeps the rest as change', async () => {
    const ctx = contextWith([coin(0, GOLD, 600n), coin(1, GOLD, 405n), coin(2, LBTC, 50_000n)]);
    await split(ctx, { requestId: 'one', assetId: GOLD, parts: 4 });
    expect(valuesOf(GOLD)).toEqual([251n, 251n, 251n, 251n, 1n]);
    const paid = outputs.filter((each) => each.scriptPubKey.length > 0);
    expect(paid.every((each) => each.blindingPubkey !== undefined)).toBe(true);
    expect(new Set(paid.map((each) => hex(each.scriptPubKey))).size).toBe(paid.length);
  });
  it('is committed with its coins before it is sent, and done once for a request', async () => {
    const ctx = contextWith([coin(0, GOLD, 600n), coin(1, LBTC, 50_000n)]);
    const first = await split(ctx, { requestId: 'one', assetId: GOLD, parts: 2 });
    expect(await split(ctx, { requestId: 'one', assetId: GOLD, parts: 2 })).toEqual(first);
    const [own, ...more] = pendingTxs(temp.store);
    expect([own?.kind, own?.txid, more]).toEqual(['split', first.txid, []]);
    expect(new Set(sent)).toEqual(new Set([hex(own?.raw ?? Buffer.alloc(0))]));
    const inputs = parseTransaction(own?.raw ?? Buffer.alloc(0)).ins;
    expect([...reservedCoins(temp.store)].sort()).toEqual(
      inputs.map((input) => `${displayHex(input.hash)}:${input.index}`).sort(),
    );
  });
  it('is refused when its request id comes with something else, also a withdrawal', async () => {
    const ctx = contextWith([coin(0, GOLD, 600n), coin(1, LBTC, 50_000n)]);
    const request = { requestId: 'one', assetId: GOLD, parts: 2 };
    await split(ctx, request);
    const reused = { code: 'request_id_reused' };
    await expect(split(ctx, { ...request, parts: 3 })).rejects.toMatchObject(reused);
    await expect(split(ctx, { ...request, assetId: LBTC })).rejects.toMatchObject(reused);
    const address = encodeAddress(walletKey(SEED, 'regtest', 0, 77), 'regtest');
    const withdrawal = withdraw(ctx, { ...request, address, assetAmount: assetAmount(1n) });
    await expect(withdrawal).rejects.toMatchObject(reused);
    expect(pendingTxs(temp.store)).toHaveLength(1);
  });
  it('counts no confirmation that only the server with the highest tip has: its deposit could still be replaced', async () => {
    const ctx = contextWith([coin(0, GOLD, 600n), coin(1, LBTC, 50_000n)]);
    const tipAt = (confs: number) => ({ ...TIP, height: blockHeight(TIP.height - 5 + confs - 1) });
    ctx.chain.tip = () => Promise.resolve(tipAt(3));
    ctx.chain.tips = () => Promise.resolve([tipAt(1), tipAt(3)]);
    const request = { requestId: 'one', assetId: GOLD, parts: 2 };
    await expect(split(ctx, request)).rejects.toMatchObject({ code: 'insufficient_inventory' });
    ctx.chain.tips = () => Promise.resolve([tipAt(2), tipAt(3)]);
    await split(ctx, request);
    expect(sent).toHaveLength(1);
  });
  it('of L-BTC pays its own fee, and leaves what is promised or kept for refunds', async () => {
    insertNew(temp.store, nthIntent(1)); // 1000 sat of subsidy
    const ctx = contextWith([coin(0, LBTC, 100_000n)], { feeReserveSatPerSwap: sat(400n) });
    const { feeSat } = await split(ctx, { requestId: 'one', assetId: LBTC, parts: 3 });
    const [a, b, c, change, ...more] = valuesOf(LBTC);
    expect([b, c, more]).toEqual([a, a, []]);
    expect((a ?? 0n) * 3n + (change ?? 0n) + feeSat).toBe(100_000n);
    expect(change).toBeGreaterThanOrEqual(1_000n + 2n * 400n);
    expect(change).toBeLessThan(4_000n);
  });
  it('into 20 out of 40 coins pays enough for its real size', async () => {
    const coins = Array.from({ length: 40 }, (_, i) => coin(i, LBTC, 10_000n));
    const { feeSat } = await split(contextWith(coins), { requestId: 'one', assetId: LBTC, parts: 20 });
    const [own] = pendingTxs(temp.store);
    const vsize = fullVsize(parseTransaction(own?.raw ?? Buffer.alloc(0)));
    expect(feeSat).toBeGreaterThanOrEqual(feeFor(vsize, satPerKvb(100n)));
  });
  it('takes 40 coins at most, the largest', async () => {
    const coins = Array.from({ length: 45 }, (_, i) => coin(i, GOLD, i < 40 ? 100n : 1n));
    await split(contextWith([...coins, coin(99, LBTC, 90_000n)]), { requestId: 'one', assetId: GOLD, parts: 2 });
    expect(valuesOf(GOLD)).toEqual([2_000n, 2_000n]);
  });
  it.each<[string, () => Coin[], AssetId]>([
    ['of an asset that is not there', () => [coin(1, LBTC, 50_000n)], GOLD],
    ['into parts of nothing', () => [coin(0, GOLD, 1n), coin(1, LBTC, 50_000n)], GOLD],
    ['into dust', () => [coin(1, LBTC, 2_500n)], LBTC],
    ['without L-BTC for the fee', () => [coin(0, GOLD, 100n)], GOLD],
  ])('%s is refused, and leaves nothing behind', async (_name, coins, assetId) => {
    const request = { requestId: 'one', assetId, parts: 2 };
    await expect(split(contextWith(coins()), request)).rejects.toMatchObject({ code: 'insufficient_inventory' });
    expect([pendingTxs(temp.store), reservedCoins(temp.store).size, sent]).toEqual([[], 0, []]);
  });
  it('is refused while the database may be an old copy: its coins may be spent already', async () => {
    const ctx = contextWith([coin(0, GOLD, 600n), coin(1, LBTC, 50_000n)]);
    ctx.health.fence = 'an unknown bundle';
    await expect(split(ctx, { requestId: 'one', assetId: GOLD, parts: 2 })).rejects.toThrow(
      refusal('an unknown bundle', 'fenced'),
    );
    expect(sent).toEqual([]);
  });
});
