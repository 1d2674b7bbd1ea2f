/** Our own transactions and the coins they spend. A row is committed before its bytes are broadcast. */
import type { Selectable } from 'kysely';

import {
  displayHex,
  outpoint,
  outpointKey,
  sat,
  swapId,
  toSafeNumber,
  txid,
  unixSecs,
  type BlockHeight,
  type Outpoint,
  type Sat,
  type SwapId,
  type Txid,
  type UnixSecs,
} from '../core/units.js';
import { parseTransaction } from '../core/tx.js';
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
  /** Liquid tip when it was signed; 0 for rows of older versions. */
  readonly signedHeight: number;
  /** It has its final depth, as far as was seen. */
  readonly isFinal: boolean;
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
  signedHeight: toSafeNumber(row.signed_height),
  isFinal: row.state === 'final',
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
  /** Liquid tip when it was signed. */
  readonly signedHeight: BlockHeight;
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
      signed_height: BigInt(tx.signedHeight),
    }),
  );
  for (const coin of tx.walletInputs) {
    store.run(store.q.insertInto('utxo_reservations').values({ txid: coin.txid, vout: BigInt(coin.vout), tx_id: id }));
  }
}

/** The newest version of a swap's transaction of that kind that may still confirm. */
export function findSwapTx(store: Store, id: SwapId, kind: TxKind): OwnTx | undefined {
  return swapTxs(store, id, kind).find((own) => !own.isConflicted);
}

/** All versions of a swap's transaction of that kind, newest first. */
export function swapTxs(store: Store, id: SwapId, kind: TxKind): (OwnTx & { readonly isConflicted: boolean })[] {
  const query = store.q.selectFrom('txs').selectAll().where('swap_id', '=', id).where('kind', '=', kind);
  const rows = store.all(query.orderBy('version', 'desc'));
  return rows.map((row) => ({ ...fromRow(row), isConflicted: row.state === 'conflicted' }));
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

/** Transactions that are neither final nor excluded for good, parents before children. */
export function pendingTxs(store: Store): OwnTx[] {
  return store.all(store.q.selectFrom('txs').selectAll().where('state', '=', 'signed').orderBy('tx_id')).map(fromRow);
}

/** The transaction has its final depth. */
export function markTxFinal(store: Store, id: bigint): void {
  store.run(store.q.updateTable('txs').set({ state: 'final' }).where('tx_id', '=', id));
}

/** A transaction that was final is not in the chain any more: it is followed again. */
export function reopenTx(store: Store, id: bigint): void {
  store.run(store.q.updateTable('txs').set({ state: 'signed' }).where('tx_id', '=', id).where('state', '=', 'final'));
}

/** A reorganisation may have undone transactions that were final: those signed from that height on are followed again. */
export function reopenTxsFrom(store: Store, signedHeight: number): void {
  const isFinal = store.q.updateTable('txs').set({ state: 'signed' }).where('state', '=', 'final');
  store.run(isFinal.where('signed_height', '>=', BigInt(signedHeight)));
}

/**
 * The transaction can never confirm again: its coins are free, as far as no other version of it spends them. Those stay
 * reserved under that version.
 */
export function markTxConflicted(store: Store, id: bigint): void {
  store.run(store.q.updateTable('txs').set({ state: 'conflicted' }).where('tx_id', '=', id));
  const held = store.all(store.q.selectFrom('utxo_reservations').select(['txid', 'vout']).where('tx_id', '=', id));
  if (held.length === 0) return;
  const heirs = otherVersions(store, id);
  for (const coin of held) {
    const key = outpointKey({ txid: txid(coin.txid), vout: toSafeNumber(coin.vout) });
    const heir = heirs.find(({ raw }) => inputKeys(raw).includes(key));
    const row = ['txid', '=', coin.txid] as const;
    if (heir === undefined) {
      store.run(
        store.q
          .deleteFrom('utxo_reservations')
          .where(...row)
          .where('vout', '=', coin.vout),
      );
    } else {
      const moved = store.q.updateTable('utxo_reservations').set({ tx_id: heir.id });
      store.run(moved.where(...row).where('vout', '=', coin.vout));
    }
  }
}

/** Versions of the same transaction of a swap that may still confirm, or did. */
function otherVersions(store: Store, id: bigint): readonly OwnTx[] {
  const row = store.first(store.q.selectFrom('txs').select(['swap_id', 'kind']).where('tx_id', '=', id));
  if (row?.swap_id == null) return [];
  return swapTxs(store, swapId(row.swap_id), row.kind as TxKind).filter((own) => !own.isConflicted);
}

const inputKeys = (raw: Buffer): string[] =>
  parseTransaction(raw).ins.map((input) => outpointKey(outpoint(displayHex(input.hash), input.index)));

/** The HTLC was spent for good by that transaction: it is final if it is ours, and every other refund is out of the race. */
export function closeRefunds(store: Store, id: SwapId, spentBy: Txid): void {
  const versions = swapTxs(store, id, 'refund');
  for (const own of versions) if (own.txid === spentBy) markTxFinal(store, own.id);
  for (const own of versions) if (own.txid !== spentBy) markTxConflicted(store, own.id);
}

/** True once the swap's funding (or a parent of it) was excluded for good. */
export function isFundingConflicted(store: Store, id: SwapId): boolean {
  return swapTxs(store, id, 'funding').some((own) => own.isConflicted);
}

/** True if the transaction is one of ours that can never confirm again. */
export function isConflictedTx(store: Store, id: Txid): boolean {
  const query = store.q.selectFrom('txs').select('tx_id').where('txid', '=', id).where('state', '=', 'conflicted');
  return store.first(query) !== undefined;
}

/** Keys of all coins that some transaction of ours spends: never to be selected again, whatever a server says. */
export function reservedCoins(store: Store): ReadonlySet<string> {
  const rows = store.all(store.q.selectFrom('utxo_reservations').select(['txid', 'vout']));
  return new Set(rows.map((row) => outpointKey({ txid: txid(row.txid), vout: toSafeNumber(row.vout) })));
}

/** True if the transaction is one of ours. */
export function isOwnTx(store: Store, id: Txid): boolean {
  return store.first(store.q.selectFrom('txs').select('tx_id').where('txid', '=', id)) !== undefined;
}
