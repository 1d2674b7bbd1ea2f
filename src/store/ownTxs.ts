/** Our own transactions as parents: what of them may be built upon before it is buried. */
import { txid, type Txid } from '../core/units.js';
import type { Store } from './db.js';
import type { TxKind } from './txs.js';

/** How a transaction of ours stands. */
export type OwnTxStanding = {
  readonly kind: TxKind;
  readonly state: 'signed' | 'final' | 'conflicted';
  /** True while the swap it funds is being given up: a self-spend competes with it. */
  readonly isBeingAborted: boolean;
};

/** The transaction of ours with this id, if there is one. */
export function findOwnTxStanding(store: Store, id: Txid): OwnTxStanding | undefined {
  const row = store.first(
    store.q
      .selectFrom('txs')
      .leftJoin('swaps', 'swaps.swap_id', 'txs.swap_id')
      .select(['txs.kind', 'txs.state', 'swaps.state as swap_state'])
      .where('txs.txid', '=', id),
  );
  if (row === undefined) return undefined;
  return {
    kind: row.kind as TxKind,
    state: row.state as OwnTxStanding['state'],
    isBeingAborted: row.swap_state === 'ABORTING',
  };
}

/** Raw bytes of our transaction with this id. */
export function findOwnRaw(store: Store, id: Txid): Buffer | undefined {
  return store.first(store.q.selectFrom('txs').select('raw').where('txid', '=', txid(id)))?.raw;
}
