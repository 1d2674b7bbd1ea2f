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
/** So many of ours in all may a coin stand on: a node relays 25 together, and most spends take two coins. */
const MAX_FAMILY = 12;

/** Transactions of ours that are not final and that an output stands on, itself included. */
type Family = {
  readonly members: ReadonlySet<Txid>;
  /** Those in a row, the longest way. */
  readonly chain: number;
  /** False if one of them must not be built upon, however few they are. */
  readonly isSafe: boolean;
};
const NO_FAMILY: Family = { members: new Set(), chain: 0, isSafe: true };

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
  const families = new Map<Txid, Family>();
  const familyOf = (id: Txid): Family => {
    const known = families.get(id);
    if (known !== undefined) return known;
    const own = findOwnTxStanding(store, id);
    const family = own === undefined || own.state === 'final' ? NO_FAMILY : grown(id, own);
    families.set(id, family);
    return family;
  };
  const grown = (id: Txid, own: OwnTxStanding): Family => {
    if (isReplaceable(own)) return { members: new Set([id]), chain: 1, isSafe: false };
    const above = parentsOf(store, id).map(familyOf);
    return {
      members: new Set([id, ...above.flatMap(({ members }) => [...members])]),
      chain: 1 + Math.max(0, ...above.map(({ chain }) => chain)),
      isSafe: above.every(({ isSafe }) => isSafe),
    };
  };
  return (id, isConfirmed) => {
    const own = findOwnTxStanding(store, id);
    if (own === undefined) return false;
    if (isConfirmed) return own.state !== 'conflicted' && !own.isBeingAborted;
    const { members, chain, isSafe } = familyOf(id);
    return isSafe && chain > 0 && chain <= MAX_CHAIN && members.size <= MAX_FAMILY;
  };
}
