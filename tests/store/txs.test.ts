import { Transaction } from 'liquidjs-lib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { rawOf, txidOf } from '../../src/core/tx.js';
import { blockHeight, outpoint, reversedBytes, sat, txid, unixSecs, type Outpoint } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import {
  closeRefunds,
  findRequestTx,
  findSwapTx,
  insertTx,
  markTxConflicted,
  markTxFinal,
  pendingTxs,
  reopenTxsFrom,
  reservedCoins,
  swapTxs,
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
      isFinal: false,
      isConflicted: false,
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
    expect(pendingTxs(store).at(-1)).toEqual(own);
    markTxFinal(store, own?.id ?? 0n);
    expect(pendingTxs(store).map((each) => each.kind)).toEqual(['funding']);
    expect(findRequestTx(store, 'request')).toEqual({ ...own, isFinal: true });
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

describe('versions of a refund that share a coin for the fee', () => {
  const HELPER = outpoint('cc'.repeat(32), 0);
  const OTHER = outpoint('cc'.repeat(32), 1);
  /** A version that spends the HTLC and these coins, of which the free ones are reserved with it. */
  const version = (n: number, coins: readonly Outpoint[], reserve: readonly Outpoint[]): NewTx => {
    const tx = new Transaction();
    tx.version = 2;
    tx.locktime = n;
    for (const coin of [outpoint(FUNDING_TXID, 0), ...coins]) tx.addInput(reversedBytes(coin.txid), coin.vout);
    tx.addOutput(Buffer.of(0x51), Buffer.from('010000000000000001', 'hex'), Buffer.alloc(33, 1), Buffer.of(0));
    const own = { swapId: intent.id, kind: 'refund', version: n, feeSat: sat(1n) } as const;
    return { ...own, txid: txidOf(tx), raw: rawOf(tx), signedHeight: blockHeight(1_000), walletInputs: reserve };
  };
  const [first, second, third] = [
    version(1, [], []),
    version(2, [HELPER], [HELPER]),
    version(3, [HELPER, OTHER], [OTHER]),
  ];
  const key = ({ txid: id, vout }: Outpoint): string => `${id}:${vout}`;
  const close = (spentBy: NewTx['txid']): string[] => {
    for (const tx of [first, second, third]) insertTx(store, tx, NOW);
    expect([...reservedCoins(store)].sort()).toEqual([key(HELPER), key(OTHER)]);
    store.tx(() => {
      closeRefunds(store, intent.id, spentBy);
    });
    return [...reservedCoins(store)].sort();
  };

  it('keep what the winner spends, whichever version reserved it, and free the rest', () => {
    expect(close(third.txid)).toEqual([key(HELPER), key(OTHER)]);
    expect(swapTxs(store, intent.id, 'refund').map((own) => own.isConflicted)).toEqual([false, true, true]);
  });
  it('free what only a losing version spent', () => {
    expect(close(second.txid)).toEqual([key(HELPER)]);
  });
  it('free every coin when the first version wins, or a claim', () => {
    expect(close(first.txid)).toEqual([]);
  });
  it('free every coin when none of them confirmed', () => {
    expect(close(txid('99'.repeat(32)))).toEqual([]);
    expect(findSwapTx(store, intent.id, 'refund')).toBeUndefined();
  });
  it('keep a coin as long as one version may still confirm', () => {
    for (const tx of [second, third]) insertTx(store, tx, NOW);
    markTxConflicted(store, 1n);
    expect(reservedCoins(store).has(key(HELPER))).toBe(true);
    markTxConflicted(store, 2n);
    expect(reservedCoins(store).size).toBe(0);
  });
});

describe('a transaction that a reorganisation undid', () => {
  it('is followed again if it was signed recently; one that was excluded stays excluded', () => {
    insertTx(store, funding, NOW);
    insertTx(store, withdrawal, NOW);
    insertTx(store, { ...funding, kind: 'abort', txid: txid('ab'.repeat(32)), walletInputs: [] }, NOW);
    for (const id of [1n, 2n]) markTxFinal(store, id);
    markTxConflicted(store, 3n);
    reopenTxsFrom(store, 1_001);
    expect(pendingTxs(store)).toEqual([]);
    reopenTxsFrom(store, 1_000);
    expect(pendingTxs(store).map((own) => own.kind)).toEqual(['funding', 'withdraw']);
  });
});
