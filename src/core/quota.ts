/** The quota of unpaid swaps. Pure. */

/** What a buyer may have besides a swap that it let expire, until that one is refunded. */
const BESIDES_AN_EXPIRED_SWAP = 1;

/**
 * Unpaid swaps that a buyer may have in all. After one unpaid expiry it may have one more besides it: coins are locked
 * for days, and who lets them be locked for nothing gets no second helping.
 *
 * @param options.configured the operator's limit, swaps.
 * @param options.expired unpaid swaps of the buyer whose invoice is dead and whose coins are still locked.
 */
export function openUnpaidLimit(options: { readonly configured: number; readonly expired: number }): number {
  return options.expired === 0 ? options.configured : Math.min(options.configured, 1 + BESIDES_AN_EXPIRED_SWAP);
}
