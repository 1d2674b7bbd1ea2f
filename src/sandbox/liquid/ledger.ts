/**
 * The coins at the tip and the mempool on top of them: bookkeeping only, what may enter is decided in acceptance.ts.
 */
import type { Txid } from '../../core/units.js';
import type { ProofCache } from './amounts.js';
import { feeOf, type Policy } from './policy.js';
import {
  discountVsizeOf,
  isFee,
  isUnspendable,
  parentOf,
  spentKey,
  txidOf,
  vsizeOf,
  type Output,
  type Transaction,
} from './transaction.js';
import type { Zkp } from './zkp.js';

/** An unspent output; `height` is that of its block. */
export type Coin = Output & { readonly height: number };

/** A transaction that waits for a block. */
export type MempoolEntry = {
  readonly txid: Txid;
  readonly tx: Transaction;
  /** Satoshi. */
  readonly fee: bigint;
  readonly vsize: number;
};

export type Ledger = {
  readonly zkp: Zkp;
  readonly policy: Policy;
  readonly proven: ProofCache;
  /** Confirmed unspent outputs by `txid:vout`. */
  readonly coins: Map<string, Coin>;
  /** Parents stand before their children. */
  readonly mempool: Map<Txid, MempoolEntry>;
  /** Which mempool transaction spends an outpoint. */
  readonly spenders: Map<string, Txid>;
  tip: { readonly height: number; readonly medianTime: number };
};

/** What a block changed, so that it can be taken back. */
export type Undo = { readonly txs: readonly Transaction[]; readonly spent: ReadonlyMap<string, Coin> };

export function createLedger(zkp: Zkp, policy: Policy): Ledger {
  return {
    zkp,
    policy,
    proven: new Set(),
    coins: new Map(),
    mempool: new Map(),
    spenders: new Map(),
    tip: { height: -1, medianTime: 0 },
  };
}

const isSpendable = (output: Output): boolean => !isFee(output) && !isUnspendable(output.script);

/** The coin an input may spend, confirmed or not; whether a mempool transaction spends it already is not asked. */
export function coinFor(ledger: Ledger, input: Transaction['ins'][number]): Coin | undefined {
  const confirmed = ledger.coins.get(spentKey(input));
  if (confirmed !== undefined) return confirmed;
  const output = ledger.mempool.get(parentOf(input))?.tx.outs[input.index];
  return output !== undefined && isSpendable(output) ? { ...output, height: ledger.tip.height + 1 } : undefined;
}

/** What the relay fee of a transaction is measured by. */
export const relayVsizeOf = (tx: Transaction, policy: Policy): number =>
  policy.isDiscounted ? discountVsizeOf(tx) : vsizeOf(tx);

const parentsOf = (ledger: Ledger, tx: Transaction): Txid[] =>
  tx.ins.map(parentOf).filter((id) => ledger.mempool.has(id));

const childrenOf = (ledger: Ledger, { txid, tx }: MempoolEntry): Txid[] =>
  tx.outs.flatMap((_, vout) => ledger.spenders.get(`${txid}:${vout}`) ?? []);

function closure(ledger: Ledger, start: Iterable<Txid>, next: (entry: MempoolEntry) => Txid[]): Set<Txid> {
  const found = new Set<Txid>();
  const open = [...start];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const entry = ledger.mempool.get(id);
    if (entry === undefined || found.has(id)) continue;
    found.add(id);
    open.push(...next(entry));
  }
  return found;
}

/** Unconfirmed transactions that `tx` builds on. */
export const ancestorsOf = (ledger: Ledger, tx: Transaction): Set<Txid> =>
  closure(ledger, parentsOf(ledger, tx), (entry) => parentsOf(ledger, entry.tx));

/** The given transactions with all that build on them, as far as they are in the mempool. */
export const withDescendants = (ledger: Ledger, ids: Iterable<Txid>): Set<Txid> =>
  closure(ledger, ids, (entry) => childrenOf(ledger, entry));

/** Mempool transactions that spend a coin of `tx` themselves. */
export function conflictsOf(ledger: Ledger, tx: Transaction): Set<Txid> {
  const own = txidOf(tx);
  const spenders = tx.ins.flatMap((input) => ledger.spenders.get(spentKey(input)) ?? []);
  return new Set(spenders.filter((id) => id !== own));
}

function entryOf(ledger: Ledger, tx: Transaction): MempoolEntry {
  return { txid: txidOf(tx), tx, fee: feeOf(tx, ledger.policy), vsize: vsizeOf(tx) };
}

function insert(ledger: Ledger, entry: MempoolEntry): void {
  ledger.mempool.set(entry.txid, entry);
  for (const input of entry.tx.ins) ledger.spenders.set(spentKey(input), entry.txid);
}

function remove(ledger: Ledger, entry: MempoolEntry): void {
  ledger.mempool.delete(entry.txid);
  for (const input of entry.tx.ins) {
    const key = spentKey(input);
    if (ledger.spenders.get(key) === entry.txid) ledger.spenders.delete(key);
  }
}

/** Takes transactions out of the mempool. */
export function evict(ledger: Ledger, ids: Iterable<Txid>): void {
  for (const id of ids) {
    const entry = ledger.mempool.get(id);
    if (entry !== undefined) remove(ledger, entry);
  }
}

/** Puts an accepted transaction into the mempool; what conflicts with it is evicted and returned. */
export function addToMempool(ledger: Ledger, tx: Transaction): Set<Txid> {
  const evicted = withDescendants(ledger, conflictsOf(ledger, tx));
  evict(ledger, evicted);
  insert(ledger, entryOf(ledger, tx));
  return evicted;
}

/**
 * Connects a block. Its transactions leave the mempool, and so does what conflicts with them, which is returned.
 *
 * @param txs in block order, the coinbase first (its input spends nothing)
 */
export function connectBlock(
  ledger: Ledger,
  txs: readonly Transaction[],
  medianTime: number,
): { readonly undo: Undo; readonly evicted: Set<Txid> } {
  const height = ledger.tip.height + 1;
  const spent = new Map<string, Coin>();
  const evicted = new Set<Txid>();
  for (const tx of txs) {
    const id = txidOf(tx);
    for (const loser of withDescendants(ledger, conflictsOf(ledger, tx))) evicted.add(loser);
    evict(ledger, evicted);
    evict(ledger, [id]);
    for (const key of tx.ins.map(spentKey)) {
      const coin = ledger.coins.get(key);
      if (coin === undefined && !tx.isCoinbase()) throw new Error(`${id} spends ${key}, which does not exist`);
      if (coin === undefined) continue;
      spent.set(key, coin);
      ledger.coins.delete(key);
    }
    for (const [vout, output] of tx.outs.entries()) {
      if (isSpendable(output)) ledger.coins.set(`${id}:${vout}`, { ...output, height });
    }
  }
  ledger.tip = { height, medianTime };
  return { undo: { txs, spent }, evicted };
}

/** Takes the last block back; its transactions, but for the coinbase, return to the front of the mempool. */
export function disconnectBlock(ledger: Ledger, { txs, spent }: Undo, medianTime: number): void {
  for (const tx of txs.toReversed()) {
    const id = txidOf(tx);
    for (const vout of tx.outs.keys()) ledger.coins.delete(`${id}:${vout}`);
    for (const key of tx.ins.map(spentKey)) {
      const coin = spent.get(key);
      if (coin !== undefined) ledger.coins.set(key, coin);
    }
  }
  const waiting = [...ledger.mempool.values()];
  ledger.mempool.clear();
  for (const tx of txs.filter((each) => !each.isCoinbase())) insert(ledger, entryOf(ledger, tx));
  for (const entry of waiting) insert(ledger, entry);
  ledger.tip = { height: ledger.tip.height - 1, medianTime };
}
