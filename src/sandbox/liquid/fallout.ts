/** Which unconfirmed transactions a reorganization or a higher relay floor leaves behind. Changes nothing. */
import type { Txid } from '../../core/units.js';
import { isFinal, relativeLocksMet } from './acceptance.js';
import { relayVsizeOf } from './ledger.js';
import { feeAt, feeOf } from './policy.js';
import { medianTimeAt, tipOf, type ChainState } from './state.js';
import { parentOf, txidOf, type Transaction } from './transaction.js';

/** Those that fail the test, and all that build on them; parents stand before their children. */
function fallingOut(txs: readonly Transaction[], stays: (tx: Transaction) => boolean): Txid[] {
  const dropped = new Set<Txid>();
  for (const tx of txs) {
    if (tx.ins.some((input) => dropped.has(parentOf(input))) || !stays(tx)) dropped.add(txidOf(tx));
  }
  return [...dropped];
}

const waitingOf = (state: ChainState): Transaction[] => [...state.ledger.mempool.values()].map(({ tx }) => tx);

/** Mempool transactions below a floor. */
export function belowFloor(state: ChainState, floor: bigint): Txid[] {
  const { policy } = state.ledger;
  return fallingOut(waitingOf(state), (tx) => feeOf(tx, policy) >= feeAt(relayVsizeOf(tx, policy), floor));
}

/**
 * Transactions that do not survive when the last `blocks` blocks are taken back: locks that are not met yet at the lower
 * tip, and on demand all that were in those blocks.
 */
export function leftBehind(state: ChainState, blocks: number, dropTransactions: boolean): Txid[] {
  const tipHeight = tipOf(state).height - blocks;
  const medianTime = medianTimeAt(state, tipHeight);
  const disconnected = state.blocks.slice(tipHeight + 1).flatMap(({ undo }) => undo.txs.slice(1));
  const doomed = new Set(dropTransactions ? disconnected.map(txidOf) : []);
  const heightOfCoin = (parent: Txid): number =>
    Math.min(state.transactions.get(parent)?.height ?? Infinity, tipHeight + 1);
  return fallingOut([...disconnected, ...waitingOf(state)], (tx) => {
    const coinHeights = tx.ins.map((input) => heightOfCoin(parentOf(input)));
    const locksMet = isFinal(tx, tipHeight + 1, medianTime) && relativeLocksMet(tx, coinHeights, tipHeight + 1);
    return locksMet && !doomed.has(txidOf(tx));
  });
}
