/** What happened to a swap: its moves and our transactions, as the operator looks them up. */
import { toSafeNumber, txid, unixSecs, type SwapId, type Txid, type UnixSecs } from '../core/units.js';
import type { Store } from './db.js';

/** One move of a swap. */
export type StoredEvent = {
  readonly kind: string;
  readonly fromState: string;
  readonly toState: string;
  readonly fromPayment: string;
  readonly toPayment: string;
  /** A reason or a txid. */
  readonly detail: string;
  readonly createdAt: UnixSecs;
};

/** The moves of a swap, oldest first. */
export function listEvents(store: Store, id: SwapId): StoredEvent[] {
  const query = store.q.selectFrom('swap_events').selectAll().where('swap_id', '=', id).orderBy('seq');
  return store.all(query).map((row) => ({
    kind: row.kind,
    fromState: row.from_state,
    toState: row.to_state,
    fromPayment: row.from_payment,
    toPayment: row.to_payment,
    detail: row.detail,
    createdAt: unixSecs(toSafeNumber(row.created_at)),
  }));
}

/** A transaction that was signed for a swap. */
export type StoredTx = {
  readonly kind: string;
  readonly version: number;
  readonly txid: Txid;
  readonly state: string;
  readonly feeSat: bigint;
  readonly signedHeight: number;
  readonly createdAt: UnixSecs;
  readonly raw: Buffer;
};

/** All transactions of a swap, in whatever state, oldest first. */
export function listSwapTxs(store: Store, id: SwapId): StoredTx[] {
  const query = store.q.selectFrom('txs').selectAll().where('swap_id', '=', id).orderBy('tx_id');
  return store.all(query).map((row) => ({
    kind: row.kind,
    version: toSafeNumber(row.version),
    txid: txid(row.txid),
    state: row.state,
    feeSat: row.fee_sat,
    signedHeight: toSafeNumber(row.signed_height),
    createdAt: unixSecs(toSafeNumber(row.created_at)),
    raw: row.raw,
  }));
}
