import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { blockHeight, outpoint, sat, txid, unixSecs } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import {
  findRequestTx,
  findSwapTx,
  insertTx,
  closeRefunds,
  markTxFinal,
  pendingTxs,
  reservedCoins,
  type NewTx,
} from '../../src/store/txs.js';
import { FUNDING_TXID, intent, START } from '../support/swapFixtures.js';
import { insertNew, nthIntent, rawSql, tempStore, type TempStore } from '../support/tempStore.js';

let temp: TempStore;
let store: Store;
beforeEach(() => {
  temp = tempStore();
  store = temp.store;
  insertNew(store);
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const NOW = unixSecs(START);
const COIN = outpoint('aa'.repeat(32), 3);
const funding: NewTx = {
  swapId: intent.id,
  kind: 'funding',
  version: 1,
  txid: FUNDING_TXID,
  raw: Buffer.from('c0ffee', 'hex'),
  feeSat: sat(250n),
  signedHeight: blockHeight(1_000),
  walletInputs: [COIN, outpoint('aa'.repeat(32), 4)],
};
const withdrawal: NewTx = {
  kind: 'withdraw',
  version: 1,
  requestId: 'request',
  bodyHash: 'hash',
  txid: txid('dd'.repeat(32)),
  raw: Buffer.from('dd', 'hex'),
  feeSat: sat(30n),
  signedHeight: blockHeight(1_000),
  walletInputs: [outpoint('bb'.repeat(32), 0)],
};

describe('a transaction of ours', () => {
  it('comes back byte for byte, and its coins are reserved', () => {
    insertTx(store, funding, NOW);
    expect(findSwapTx(store, intent.id, 'funding')).toEqual({
      id: 1n,
      swapId: intent.id,
      kind: 'funding',
      version: 1,
      txid: FUNDING_TXID,
      raw: Buffer.from('c0ffee', 'hex'),
      feeSat: 250n,
      createdAt: NOW,
      bodyHash: undefined,
      signedHeight: 1_000,
    });
    expect(findSwapTx(store, intent.id, 'refund')).toBeUndefined();
    expect([...reservedCoins(store)].sort()).toEqual([`${COIN.txid}:3`, `${COIN.txid}:4`]);
  });
  it('that spends a reserved coin is refused whole', () => {
    insertTx(store, funding, NOW);
    expect(() => {
      store.tx(() => {
        insertTx(store, { ...withdrawal, walletInputs: [...withdrawal.walletInputs, COIN] }, NOW);
      });
    }).toThrow('UNIQUE constraint failed: utxo_reservations');
    expect(findRequestTx(store, 'request')).toBeUndefined();
    expect(reservedCoins(store).size).toBe(2);
    expect(store.isReadOnly).toBe(false);
  });
  it.each<[string, Partial<NewTx>, string]>([
    ['another funding of the swap', { txid: txid('ee'.repeat(32)) }, 'txs.swap_id, txs.kind, txs.version'],
    ['the same transaction', { kind: 'refund' }, 'txs.txid'],
  ])('is stored once: %s', (_name, over, columns) => {
    insertTx(store, funding, NOW);
    expect(() => {
      insertTx(store, { ...funding, ...over, walletInputs: [] }, NOW);
    }).toThrow(`UNIQUE constraint failed: ${columns}`);
  });
  it('of a swap belongs to one, and a withdrawal to none', () => {
    expect(() => {
      insertTx(store, { ...withdrawal, kind: 'funding' }, NOW);
    }).toThrow('CHECK constraint failed');
    expect(() => {
      insertTx(store, { ...withdrawal, swapId: intent.id }, NOW);
    }).toThrow('CHECK constraint failed');
    expect(() => {
      insertTx(store, { ...funding, swapId: nthIntent(1).id }, NOW);
    }).toThrow('FOREIGN KEY constraint failed');
  });
  it('of a final swap is final; those of others are not', () => {
    const other = insertNew(store, nthIntent(1));
    insertTx(store, funding, NOW);
    insertTx(store, { ...funding, swapId: other.id, txid: txid('e3'.repeat(32)), walletInputs: [] }, NOW);
    markSwapTxsFinal(store, intent.id);
    const states = store.all(rawSql<{ state: string }>('SELECT state FROM txs ORDER BY tx_id')).map((row) => row.state);
    expect(states).toEqual(['final', 'signed']);
    expect(reservedCoins(store).size).toBe(2);
  });
  it('is found in its newest version', () => {
    const refund: NewTx = { ...funding, kind: 'refund', walletInputs: [] };
    insertTx(store, { ...refund, version: 2, txid: txid('e2'.repeat(32)) }, NOW);
    insertTx(store, { ...refund, version: 1, txid: txid('e1'.repeat(32)) }, NOW);
    expect(findSwapTx(store, intent.id, 'refund')?.version).toBe(2);
  });
});

describe('a withdrawal', () => {
  it('is found by its request and pending until it is final; its coins stay reserved', () => {
    insertTx(store, funding, NOW);
    insertTx(store, withdrawal, NOW);
    const own = findRequestTx(store, 'request');
    expect(own).toMatchObject({ kind: 'withdraw', swapId: undefined, bodyHash: 'hash' });
    expect(pendingWalletTxs(store)).toEqual([own]);
    markTxFinal(store, own?.id ?? 0n);
    expect(pendingWalletTxs(store)).toEqual([]);
    expect(findRequestTx(store, 'request')).toEqual(own);
    expect(reservedCoins(store)).toContain(`${'bb'.repeat(32)}:0`);
  });
  it('is made once a request', () => {
    insertTx(store, withdrawal, NOW);
    expect(() => {
      insertTx(store, { ...withdrawal, txid: txid('ee'.repeat(32)), walletInputs: [] }, NOW);
    }).toThrow('UNIQUE constraint failed: txs.request_id');
  });
  it('with an unknown kind is refused by the database', () => {
    insertTx(store, withdrawal, NOW);
    expect(() => store.run(rawSql(`UPDATE txs SET kind = 'gift'`))).toThrow('CHECK constraint failed');
    expect(() => store.run(rawSql(`UPDATE txs SET state = 'gone'`))).toThrow('CHECK constraint failed');
  });
});
