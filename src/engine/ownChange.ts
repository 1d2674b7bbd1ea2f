/**
 * Change of our own may be spent before it is in a block, but not without end: whatever takes a parent away takes all
 * its descendants along, and a node relays only short chains.
 */
import { parseTransaction } from '../core/tx.js';
import { displayHex, txid, type Txid } from '../core/units.js';
import { findOwnRaw, findOwnTxStanding, type OwnTxStanding } from '../store/ownTxs.js';
import type { Store } from '../store/db.js';

/** So many transactions of ours in a row may wait for a block. */
const MAX_CHAIN = 10;
/** Depth of what must not be built upon, however short the chain. */
const NEVER = Number.POSITIVE_INFINITY;

/** Inputs of a transaction cannot change: each is parsed once. */
const parents = new Map<Txid, readonly Txid[]>();
const MAX_PARSED = 2_000;

function parentsOf(store: Store, id: Txid): readonly Txid[] {
  const known = parents.get(id);
  if (known !== undefined) return known;
  const raw = findOwnRaw(store, id);
  if (raw === undefined) throw new Error(`transaction ${id} vanished`);
  const found = [...new Set(parseTransaction(raw).ins.map((input) => txid(displayHex(input.hash))))];
  if (parents.size >= MAX_PARSED) parents.clear();
  parents.set(id, found);
  return found;
}

/** A self-spend or a refund may be replaced by a dearer one; what competes with a self-spend may lose. */
function isReplaceable({ kind, state, isBeingAborted }: OwnTxStanding): boolean {
  return state === 'conflicted' || isBeingAborted || kind === 'abort' || kind === 'refund';
}

/**
 * Tells for one moment which own transactions may be built upon; the answers are remembered for that moment.
 *
 * @returns `isSafe(id, isConfirmed)`: true if an output of that transaction may be spent although it is not deep.
 */
export function ownChangeRule(store: Store): (id: Txid, isConfirmed: boolean) => boolean {
  const depths = new Map<Txid, number>();
  /** Transactions of ours, not final, from the first of its chain to this one; 0 for what is not ours or final. */
  const depthOf = (id: Txid): number => {
    const known = depths.get(id);
    if (known !== undefined) return known;
    const own = findOwnTxStanding(store, id);
    const depth =
      own === undefined || own.state === 'final'
        ? 0
        : isReplaceable(own)
          ? NEVER
          : 1 + Math.max(0, ...parentsOf(store, id).map(depthOf));
    depths.set(id, depth);
    return depth;
  };
  return (id, isConfirmed) => {
    const own = findOwnTxStanding(store, id);
    if (own === undefined) return false;
    if (isConfirmed) return own.state !== 'conflicted' && !own.isBeingAborted;
    const depth = depthOf(id);
    return depth > 0 && depth <= MAX_CHAIN;
  };
}
