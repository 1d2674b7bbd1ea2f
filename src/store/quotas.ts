/** What the quotas count: swaps that are not over, and what they tie up. */
import { toSafeNumber, type AssetId } from '../core/units.js';
import type { Store } from './db.js';

const OVER: readonly string[] = ['CLAIMED', 'REFUNDED', 'FAILED', 'OWED'];
const BEFORE_FUNDING: readonly string[] = ['INTENT', 'INVOICED'];
const TAKEN: readonly string[] = ['SETTLING', 'SETTLED'];
const DEAD: readonly string[] = ['CANCELING', 'CANCELED'];

/** What unpaid open swaps tie up of one asset, smallest units: of everybody and of one principal. */
export function unpaidAmounts(store: Store, asset: AssetId, principal: string): { all: bigint; own: bigint } {
  const rows = store.all(
    store.q
      .selectFrom('swaps')
      .select(['principal', 'asset_amount'])
      .where('asset_id', '=', asset)
      .where('state', 'not in', OVER)
      .where('payment', 'not in', TAKEN),
  );
  const sum = (some: typeof rows): bigint => some.reduce((total, row) => total + row.asset_amount, 0n);
  return { all: sum(rows), own: sum(rows.filter((row) => row.principal === principal)) };
}

/** Unpaid swaps of one principal that lock coins or may do so. */
export type OpenUnpaid = {
  readonly open: number;
  /** Those of them whose coins are locked and whose invoice can no longer be paid. */
  readonly expired: number;
};

const NO_SWAPS: OpenUnpaid = { open: 0, expired: 0 };

/** Unpaid swaps of every principal that has some, or of the one named. */
export function openUnpaidByPrincipal(store: Store, name?: string): Map<string, OpenUnpaid> {
  const query = store.q
    .selectFrom('swaps')
    .select(['principal', 'state', 'payment'])
    .where('state', 'not in', OVER)
    .where('payment', 'not in', TAKEN);
  const found = new Map<string, OpenUnpaid>();
  for (const row of store.all(name === undefined ? query : query.where('principal', '=', name))) {
    const old = found.get(row.principal) ?? NO_SWAPS;
    const isExpired = DEAD.includes(row.payment) && !BEFORE_FUNDING.includes(row.state);
    found.set(row.principal, { open: old.open + 1, expired: old.expired + (isExpired ? 1 : 0) });
  }
  return found;
}

/** Unpaid swaps of a principal: the quota's count. */
export const countOpenUnpaid = (store: Store, principal: string): OpenUnpaid =>
  openUnpaidByPrincipal(store, principal).get(principal) ?? NO_SWAPS;

/** Swaps that are not final on the chain and not paid: the inflight cap's count, and those that may need a refund. */
export function countInflight(store: Store): number {
  const row = store.first(
    store.q
      .selectFrom('swaps')
      .select((eb) => eb.fn.countAll<bigint>().as('count'))
      .where('state', 'not in', OVER)
      .where('payment', 'not in', ['SETTLED']),
  );
  return toSafeNumber(row?.count ?? 0n);
}
