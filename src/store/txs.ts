/** Our own transactions and the coins they spend. A row is committed before its bytes are broadcast. */
import type { Selectable } from 'kysely';

import {
  swapId,
  toSafeNumber,
  txid,
  unixSecs,
  sat,
  outpointKey,
  type Outpoint,
  type Sat,
  type SwapId,
  type Txid,
  type UnixSecs,
} from '../core/units.js';
import type { Store } from './db.js';
import type { TxRow } from './schema.js';

export type TxKind = 'funding' | 'abort' | 'refund' | 'withdraw' | 'split';

/** A transaction of ours. */
export type OwnTx = {
  readonly id: bigint;
  readonly swapId: SwapId | undefined;
  readonly kind: TxKind;
  readonly version: number;
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly feeSat: Sat;
  readonly createdAt: UnixSecs;
  readonly bodyHash: string | undefined;
};

const fromRow = (row: Selectable<TxRow>): OwnTx => ({
  id: row.tx_id,
  swapId: row.swap_id === null ? undefined : swapId(row.swap_id),
  kind: row.kind as TxKind,
  version: toSafeNumber(row.version),
  txid: txid(row.txid),
  raw: row.raw,
  feeSat: sat(row.fee_sat),
  createdAt: unixSecs(toSafeNumber(row.created_at)),
  bodyHash: row.body_hash ?? undefined,
});

/** A transaction to store. */
export type NewTx = {
  readonly swapId?: SwapId;
  readonly kind: TxKind;
  readonly version: number;
  readonly requestId?: string;
  readonly bodyHash?: string;
  readonly txid: Txid;
  readonly raw: Buffer;
  readonly feeSat: Sat;
  /** Wallet coins it spends; they stay reserved until it can never confirm again. */
  readonly walletInputs: readonly Outpoint[];
};

/**
 * Stores a signed transaction and reserves its coins. Call inside the wallet section's transaction.
 *
 * @throws Error (a unique constraint) if a coin is reserved already: then nothing is stored.
 */
export function insertTx(store: Store, tx: NewTx, now: UnixSecs): void {
  const id = store.insert(
    store.q.insertInto('txs').values({
      swap_id: tx.swapId ?? null,
      kind: tx.kind,
      version: BigInt(tx.version),
      request_id: tx.requestId ?? null,
      body_hash: tx.bodyHash ?? null,
      txid: tx.txid,
      raw: tx.raw,
      fee_sat: tx.feeSat,
      state: 'signed',
      created_at: BigInt(now),
    }),
  );
  for (const coin of tx.walletInputs) {
    store.run(store.q.insertInto('utxo_reservations').values({ txid: coin.txid, vout: BigInt(coin.vout), tx_id: id }));
  }
}

/** The newest version of a swap's transaction of that kind. */
export function findSwapTx(store: Store, id: SwapId, kind: TxKind): OwnTx | undefined {
  const row = store.first(
    store.q
      .selectFrom('txs')
      .selectAll()
      .where('swap_id', '=', id)
      .where('kind', '=', kind)
      .orderBy('version', 'desc')
      .limit(1),
  );
  return row === undefined ? undefined : fromRow(row);
}

/** True if the transaction is one that we signed for the swap. */
export function isSwapTx(store: Store, id: SwapId, txid: Txid): boolean {
  const query = store.q.selectFrom('txs').select('tx_id').where('swap_id', '=', id).where('txid', '=', txid);
  return store.first(query) !== undefined;
}

/** The wallet transaction that a request made before. */
export function findRequestTx(store: Store, requestId: string): OwnTx | undefined {
  const row = store.first(store.q.selectFrom('txs').selectAll().where('request_id', '=', requestId));
  return row === undefined ? undefined : fromRow(row);
}

/** Wallet transactions (withdraw, split) that are not final: they are rebroadcast until they are. */
export function pendingWalletTxs(store: Store): OwnTx[] {
  return store
    .all(store.q.selectFrom('txs').selectAll().where('state', '=', 'signed').where('kind', 'in', ['withdraw', 'split']))
    .map(fromRow);
}

/** The transaction has its final depth. */
export function markTxFinal(store: Store, id: bigint): void {
  store.run(store.q.updateTable('txs').set({ state: 'final' }).where('tx_id', '=', id));
}

/** The swap is final on the chain: its transactions need no attention any more. */
export function markSwapTxsFinal(store: Store, id: SwapId): void {
  store.run(store.q.updateTable('txs').set({ state: 'final' }).where('swap_id', '=', id));
}

/** Keys of all coins that some transaction of ours spends: never to be selected again, whatever a server says. */
export function reservedCoins(store: Store): ReadonlySet<string> {
  const rows = store.all(store.q.selectFrom('utxo_reservations').select(['txid', 'vout']));
  return new Set(rows.map((row) => outpointKey({ txid: txid(row.txid), vout: toSafeNumber(row.vout) })));
}

/** True if the transaction is one of ours: its change may be spent before it confirms. */
export function isOwnTx(store: Store, id: Txid): boolean {
  return store.first(store.q.selectFrom('txs').select('tx_id').where('txid', '=', id)) !== undefined;
}
