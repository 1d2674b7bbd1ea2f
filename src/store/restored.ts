/** Swaps of a database that may be an old copy: what it knows of fundings, and which only the node's report may end. */
import { swapId, txid, type SwapId, type Txid } from '../core/units.js';
import type { Store } from './db.js';

/** Every known swap with its funding, if that is known. */
export function knownFundings(store: Store): ReadonlyMap<SwapId, Txid | undefined> {
  const rows = store.all(store.q.selectFrom('swaps').select(['swap_id', 'funding_txid']));
  return new Map(
    rows.map((row) => [swapId(row.swap_id), row.funding_txid === null ? undefined : txid(row.funding_txid)]),
  );
}

/** From now on only the node's own report ends the swap's payment. */
export function markRestored(store: Store, id: SwapId): void {
  store.run(store.q.updateTable('swaps').set({ is_restored: 1n }).where('swap_id', '=', id));
}

/** The operator takes the risk that the older database does not know the truth about this swap. */
export function clearRestored(store: Store, id: SwapId): void {
  store.run(store.q.updateTable('swaps').set({ is_restored: 0n }).where('swap_id', '=', id));
}

/** True if SETTLING was ever committed for the swap: then S may have left this process. */
export function wasEverSettling(store: Store, id: SwapId): boolean {
  const query = store.q.selectFrom('swap_events').select('seq').where('swap_id', '=', id);
  return store.first(query.where('to_payment', '=', 'SETTLING')) !== undefined;
}
