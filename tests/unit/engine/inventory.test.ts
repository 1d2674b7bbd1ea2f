import { Transaction } from 'liquidjs-lib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { rawOf, txidOf } from '../../../src/core/tx.js';
import {
  assetAmount,
  outpoint,
  reversedBytes,
  sat,
  txid,
  unixSecs,
  type AssetId,
  type Txid,
} from '../../../src/core/units.js';
import { inventory, spendableCoins, type AssetInventory } from '../../../src/engine/inventory.js';
import type { Coin } from '../../../src/liquid/wallet.js';
import { moveSwap } from '../../../src/store/swaps.js';
import { insertTx, markTxConflicted, markTxFinal, swapTxs, type NewTx, type TxKind } from '../../../src/store/txs.js';
import { GOLD, intent, LBTC, pathTo, START } from '../../support/swapFixtures.js';
import { insertNew, nthIntent, storeMoved, tempStore, type TempStore } from '../../support/tempStore.js';
import { engineContext, TIP, walletOf } from './testContext.js';

const DEPOSIT = txid('aa'.repeat(32));
const NOW = unixSecs(START);

let temp: TempStore;
beforeEach(() => {
  temp = tempStore();
});
afterEach(() => {
  temp[Symbol.dispose]();
});

type CoinFacts = { readonly asset?: AssetId; readonly value?: bigint; readonly height?: number; readonly id?: Txid };

const coin = (vout: number, over: CoinFacts = {}): Coin => ({
  outpoint: outpoint(over.id ?? DEPOSIT, vout),
  assetId: over.asset ?? GOLD,
  value: assetAmount(over.value ?? 100n),
  isConfidential: false,
  height: over.height ?? TIP.height - 1,
  scriptPubKey: Buffer.alloc(22),
  valueBytes: Buffer.alloc(9),
  assetBlinder: Buffer.alloc(32),
  valueBlinder: Buffer.alloc(32),
  keyChain: 0,
  keyIndex: 0,
});
const spendable = (coins: readonly Coin[]): number[] =>
  spendableCoins(engineContext(temp, { wallet: walletOf(coins) }), TIP.height).map((each) => each.outpoint.vout);
const stockOf = (coins: readonly Coin[], asset: AssetId, reserve = 0n): AssetInventory | undefined =>
  inventory(engineContext(temp, { wallet: walletOf(coins), feeReserveSatPerSwap: sat(reserve) }), TIP.height).get(
    asset,
  );

let locktime = 0;
/** Stores a transaction of ours that spends an output of each parent. */
function own(kind: TxKind, parents: readonly Txid[], over: Partial<NewTx> = {}): Txid {
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = locktime += 1;
  for (const parent of parents) tx.addInput(reversedBytes(parent), 0, 0xffff_fffd, Buffer.alloc(0));
  const row = { kind, version: 1, feeSat: sat(1n), signedHeight: TIP.height, walletInputs: [] };
  insertTx(temp.store, { ...row, txid: txidOf(tx), raw: rawOf(tx), ...over }, NOW);
  return txidOf(tx);
}
/** A chain of our own transactions, the first of which spends a deposit. */
function chain(length: number, from = DEPOSIT): Txid[] {
  const ids: Txid[] = [];
  for (let i = 0; i < length; i += 1) ids.push(own('withdraw', [ids.at(-1) ?? from]));
  return ids;
}
const unconfirmed = (ids: readonly Txid[]): Coin[] => ids.map((id, vout) => coin(vout, { id, height: 0 }));

describe('a coin', () => {
  it('that was deposited is spent at two confirmations, not before', () => {
    const heights = [TIP.height - 1, TIP.height, TIP.height + 1, 0, -1];
    expect(spendable(heights.map((height, vout) => coin(vout, { height })))).toEqual([0]);
  });
  it.each<TxKind>(['withdraw', 'split'])('that is change of a %s is spent before it is in a block', (kind) => {
    expect(spendable([...unconfirmed([own(kind, [DEPOSIT])]), coin(1, { height: 0 })])).toEqual([0]);
  });
  it('that a transaction of ours spends is never spent again, whatever the server says', () => {
    own('withdraw', [DEPOSIT], { walletInputs: [outpoint(DEPOSIT, 1)] });
    expect(spendable([coin(0), coin(1), coin(2)])).toEqual([0, 2]);
  });
});

describe('own change that is in no block', () => {
  it('is spent ten transactions deep, not eleven, so that a node still relays what builds on it', () => {
    expect(spendable(unconfirmed(chain(11)))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
  it('counts the longest way to it', () => {
    const [long, short] = [chain(10), chain(3)];
    const [deep, shallow] = [own('withdraw', [DEPOSIT, short[2] ?? DEPOSIT, long[9] ?? DEPOSIT]), own('split', short)];
    expect(spendable(unconfirmed([deep, shallow]))).toEqual([1]);
  });
  it('stands on twelve others of ours at most, so that a node still relays a spend of two such coins', () => {
    const lines = [chain(4), chain(4), chain(3)].map((ids) => ids.at(-1) ?? DEPOSIT);
    const twelve = own('withdraw', lines);
    const thirteen = own('withdraw', [twelve]);
    expect(spendable(unconfirmed([twelve, thirteen]))).toEqual([0]);
  });
  it('does not count parents that are final', () => {
    const ids = chain(12);
    [1n, 2n].forEach((id) => {
      markTxFinal(temp.store, id);
    });
    expect(spendable(unconfirmed(ids.slice(11)))).toEqual([0]);
  });
  it('is spent at any depth once it is in a block', () => {
    expect(spendable([coin(0, { id: chain(15).at(-1) ?? DEPOSIT, height: TIP.height })])).toEqual([0]);
  });
  it('waits as pending, and is not for sale', () => {
    expect(stockOf(unconfirmed(chain(11)), GOLD)).toMatchObject({ available: 1_000n, pending: 100n });
  });
});

describe('what may be taken away again is not built upon', () => {
  const funding = (n: number): Txid => {
    const swap = storeMoved(temp.store, n, pathTo('FUNDING_SIGNED', 'OPEN'));
    return own('funding', [DEPOSIT], { swapId: swap.id });
  };
  it('the change of a funding is spent, until the funding is given up: then neither it nor what builds on it', () => {
    const parent = funding(1);
    const coins = unconfirmed([parent, own('withdraw', [parent])]);
    expect(spendable(coins)).toEqual([0, 1]);
    const swap = storeMoved(temp.store, 2, pathTo('ABORTING', 'CANCELED'));
    const aborted = own('funding', [DEPOSIT], { swapId: swap.id });
    expect(spendable(unconfirmed([aborted, own('withdraw', [aborted])]))).toEqual([]);
    expect(spendable([TIP.height, TIP.height - 1].map((height, vout) => coin(vout, { id: aborted, height })))).toEqual([
      1,
    ]);
  });
  it.each<TxKind>(['abort', 'refund'])('the output of an %s, which a dearer one may replace', (kind) => {
    const swap = storeMoved(temp.store, 1, pathTo('FUNDED', 'CANCELED'));
    const id = own(kind, [DEPOSIT], { swapId: swap.id });
    const child = own('withdraw', [id]);
    expect(spendable(unconfirmed([id, child]))).toEqual([]);
    expect(spendable([coin(0, { id, height: TIP.height })])).toEqual([0]);
    for (const { id: row } of swapTxs(temp.store, swap.id, kind)) markTxFinal(temp.store, row);
    expect(spendable(unconfirmed([child]))).toEqual([0]);
  });
  it('the output of a transaction that can never confirm again, and what builds on it', () => {
    const parent = own('withdraw', [DEPOSIT]);
    const child = own('withdraw', [parent]);
    markTxConflicted(temp.store, 1n);
    expect(spendable(unconfirmed([parent, child]))).toEqual([]);
    expect(spendable([coin(0, { id: parent, height: TIP.height })])).toEqual([]);
  });
  it('the output of a final transaction that a reorganisation threw out', () => {
    const id = own('withdraw', [DEPOSIT]);
    markTxFinal(temp.store, 1n);
    expect(spendable(unconfirmed([id]))).toEqual([]);
  });
});

describe('the inventory', () => {
  it('tells apart what is free, promised, locked and not deep enough', () => {
    insertNew(temp.store, nthIntent(1));
    own('withdraw', [DEPOSIT], { walletInputs: [outpoint(DEPOSIT, 9)] });
    const coins = [
      coin(0, { value: 1_000n }),
      coin(1, { value: 70n, height: 0 }),
      coin(2, { asset: LBTC, value: 600n }),
      coin(9),
    ];
    expect(stockOf(coins, GOLD)).toEqual({ available: 750n, reserved: 250n, locked: 0n, pending: 70n, kept: 0n });
    expect(stockOf(coins, LBTC)).toEqual({ available: 0n, reserved: 1_000n, locked: 0n, pending: 0n, kept: 0n });
  });
  it('knows what swaps tie up of an asset that the wallet does not hold', () => {
    insertNew(temp.store, intent);
    expect(stockOf([], GOLD)).toEqual({ available: 0n, reserved: 250n, locked: 0n, pending: 0n, kept: 0n });
  });
  it('keeps the fee of a refund for every unpaid swap and for the next one; a paid swap needs none', () => {
    const coins = [coin(0, { asset: LBTC, value: 10_000n }), coin(1)];
    expect(stockOf(coins, LBTC, 400n)).toMatchObject({ available: 9_600n, kept: 400n });
    expect(stockOf(coins, GOLD, 400n)).toMatchObject({ available: 100n, kept: 0n });
    const swap = storeMoved(temp.store, 1, pathTo('FUNDED', 'SETTLING'));
    expect(stockOf(coins, LBTC, 400n)).toMatchObject({ available: 9_200n, kept: 800n });
    moveSwap(temp.store, swap, { kind: 'payment_settled', heldMsat: swap.priceMsat }, NOW);
    expect(stockOf(coins, LBTC, 400n)).toMatchObject({ available: 9_600n, kept: 400n });
  });
  it('never keeps more than there is', () => {
    expect(stockOf([coin(0, { asset: LBTC, value: 399n })], LBTC, 400n)).toMatchObject({ available: 0n, kept: 399n });
  });
});
