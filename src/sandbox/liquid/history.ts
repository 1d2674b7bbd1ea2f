/** What the chain knows about a script, in Electrum's terms. */
import { type Txid } from '../../core/units.js';
import { sha256 } from './digests.js';
import { scripthashOf, type ChainState, type KnownTransaction } from './state.js';
import { parentOf, type Output } from './transaction.js';

/** `height` 0: unconfirmed; -1: unconfirmed with unconfirmed parents. `fee` in satoshi, for unconfirmed ones. */
export type HistoryEntry = { readonly tx_hash: Txid; readonly height: number; readonly fee?: number };

/** An unspent output of a script, mempool included. `height` is 0 while unconfirmed. */
export type UnspentOutput = {
  readonly txid: Txid;
  readonly vout: number;
  readonly height: number;
  readonly output: Output;
};

type Known = KnownTransaction & { readonly id: Txid };

function touching(state: ChainState, scripthash: string): Known[] {
  return [...(state.byScript.get(scripthash) ?? [])].flatMap((id) => {
    const known = state.transactions.get(id);
    return known === undefined ? [] : [{ ...known, id }];
  });
}

/** Confirmed by place in the chain, then unconfirmed by id, so that a restart does not change the order. */
function inChainOrder(a: Known, b: Known): number {
  if (a.height !== b.height) return (a.height ?? Infinity) - (b.height ?? Infinity);
  if (a.height !== undefined) return a.position - b.position;
  return a.id < b.id ? -1 : 1;
}

/** How many transactions touch a script. */
export const historyLength = (state: ChainState, scripthash: string): number =>
  state.byScript.get(scripthash)?.size ?? 0;

/** All transactions that touch a script. */
export function historyOf(state: ChainState, scripthash: string): HistoryEntry[] {
  const { mempool } = state.ledger;
  return touching(state, scripthash)
    .toSorted(inChainOrder)
    .map(({ id, tx, height }) => {
      if (height !== undefined) return { tx_hash: id, height };
      const hasUnconfirmedParent = tx.ins.some((input) => mempool.has(parentOf(input)));
      return { tx_hash: id, height: hasUnconfirmedParent ? -1 : 0, fee: Number(mempool.get(id)?.fee ?? 0n) };
    });
}

/** Electrum's digest of a script's history, or null where there is none. */
export function statusOf(state: ChainState, scripthash: string): string | null {
  const history = historyOf(state, scripthash);
  if (history.length === 0) return null;
  const text = history.map(({ tx_hash: id, height }) => `${id}:${height}:`).join('');
  return sha256(Buffer.from(text)).toString('hex');
}

/** Outputs of a script that nothing spends, confirmed first. */
export function unspentOf(state: ChainState, scripthash: string): UnspentOutput[] {
  const { coins, spenders } = state.ledger;
  return touching(state, scripthash)
    .toSorted(inChainOrder)
    .flatMap(({ id, tx, height }) =>
      tx.outs.flatMap((output, vout) => {
        const key = `${id}:${vout}`;
        const exists = height === undefined || coins.has(key);
        if (!exists || spenders.has(key) || scripthashOf(output.script) !== scripthash) return [];
        return [{ txid: id, vout, height: height ?? 0, output }];
      }),
    );
}
