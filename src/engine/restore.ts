/**
 * What the operator may say with the daemon stopped: that an older database counts from now on, that the Lightning node is
 * gone for ever, and that an older database is right about a payment. docs/protocol.md sections 2 and 3.
 */
import type { Swap, SwapEvent } from '../core/swap.js';
import type { SwapId } from '../core/units.js';
import { SwapError } from '../errors.js';
import { acceptFindings, openFindings } from '../store/fence.js';
import { saveKeyIndexFloor } from '../store/meta.js';
import { clearRestored, markRestored, wasEverSettling } from '../store/restored.js';
import { findSwap, moveSwap, nextKeyIndex, openSwapIds } from '../store/swaps.js';
import { bundleIds, readBundle } from './bundle.js';
import type { EngineContext } from './context.js';

type Parts = Pick<EngineContext, 'store' | 'generation' | 'bundleDir' | 'now'>;

/** Refund keys left out besides those that bundles name: swaps of the lost time whose bundles are lost, too. */
const KEY_GAP = 10_000;

function refuse(id: SwapId, expected: string, found: string): never {
  throw new SwapError('forbidden', `swap ${id}: expected ${expected}, found ${found}`);
}

/**
 * Accepts the database as it is: one commit. From then on only the node's own report ends the payment of every swap that
 * is still open, no refund key of the lost time is used again, and the same findings do not fence again.
 *
 * @returns the number of those swaps.
 */
export function acceptRestore(parts: Parts): number {
  const { store, bundleDir, generation } = parts;
  const used = bundleIds(bundleDir).flatMap((id): number[] => {
    try {
      return [readBundle(bundleDir, id).keyIndex];
    } catch {
      return []; // damaged: the gap has to do
    }
  });
  return generation.reset(() => {
    const next = used.reduce((highest, index) => Math.max(highest, index + 1), nextKeyIndex(store));
    saveKeyIndexFloor(store, next + KEY_GAP);
    acceptFindings(store);
    const open = openSwapIds(store);
    for (const id of open) markRestored(store, id);
    return open.length;
  });
}

/**
 * The operator says that the node is gone: the swap is finally unpaid if S cannot have left this process, case (c).
 *
 * @throws SwapError `swap_not_found`, `fenced`, `forbidden` if the database does not prove it.
 */
export function sayNodeIsGone(parts: Parts, id: SwapId): void {
  const swap = requireSwap(parts, id);
  if (swap.isRestored) refuse(id, 'one that never passed an accept-restore', 'a restored one');
  if (swap.payment !== 'CANCELING') refuse(id, 'payment CANCELING', swap.payment);
  if (wasEverSettling(parts.store, id)) refuse(id, 'a payment that was never SETTLING', 'one that was');
  move(parts, swap, [{ kind: 'payment_canceled', reason: 'the node is gone, said by the operator' }]);
}

/**
 * The operator takes the risk that a restored swap was paid in the time that the database does not know.
 *
 * @throws SwapError `swap_not_found`, `fenced`, `forbidden` if there is no such risk to take or the payment was taken.
 */
export function acceptPaymentRisk(parts: Parts, id: SwapId): void {
  const swap = requireSwap(parts, id);
  if (!swap.isRestored) refuse(id, 'one that passed an accept-restore', 'one that did not: there is no risk to take');
  const isTaken = swap.payment === 'SETTLED' || swap.payment === 'SETTLING';
  if (isTaken || wasEverSettling(parts.store, id)) refuse(id, 'a payment that was never SETTLING', swap.payment);
  const reason = 'the risk of a payment was accepted by the operator';
  const isDecided = swap.payment === 'CANCELING' || swap.payment === 'CANCELED';
  const decided: readonly SwapEvent[] = isDecided ? [] : [{ kind: 'cancel_decided', reason }];
  const canceled: readonly SwapEvent[] = swap.payment === 'CANCELED' ? [] : [{ kind: 'payment_canceled', reason }];
  move(parts, { ...swap, isRestored: false }, [...decided, ...canceled]);
}

function requireSwap({ store }: Parts, id: SwapId): Swap {
  const [finding] = openFindings(store);
  if (finding !== undefined) {
    throw new SwapError('fenced', `expected a database that is not FENCED, found: ${finding.text}`);
  }
  const swap = findSwap(store, id);
  if (swap === undefined)
    throw new SwapError('swap_not_found', `expected a swap of the database, found none with ${id}`);
  return swap;
}

function move({ store, generation, now }: Parts, swap: Swap, events: readonly SwapEvent[]): void {
  generation.commit(() => {
    if (!swap.isRestored) clearRestored(store, swap.id);
    events.reduce((current, event) => moveSwap(store, current, event, now()), swap);
  });
}
