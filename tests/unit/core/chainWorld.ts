/** The smallest chain on which a funding, its self-spend, a stranger's conflict, claims and refunds can meet. */
import { FINAL_CONFS } from '../../../src/core/timelock.js';
import { txid, type Txid } from '../../../src/core/units.js';

/** `input` is the wallet coin that the funding spends; the other two are the HTLC's outpoints. */
export type CoinName = 'input' | 'asset' | 'subsidy';
export type WorldTx = {
  readonly id: Txid;
  readonly kind: 'funding' | 'abort' | 'conflict' | 'claim' | 'refund';
  readonly spends: readonly CoinName[];
  readonly fee: number;
};

const MEMPOOL = 0;
const HTLC: readonly CoinName[] = ['asset', 'subsidy'];
let count = 0;

/** A txid that nothing else has. */
export function freshTxid(): Txid {
  count += 1;
  return txid(count.toString(16).padStart(64, '0'));
}

export class ChainWorld {
  height = 1_000;
  /** Height of the block of every transaction that is on the chain, 0 in the mempool. */
  readonly #places = new Map<WorldTx, number>();
  /** Had its final depth once: it may leave its block, but comes back. */
  readonly #final = new Set<WorldTx>();

  isSeen(id: Txid): boolean {
    return [...this.#places.keys()].some((tx) => tx.id === id);
  }

  confs(tx: WorldTx): number {
    const at = this.#places.get(tx) ?? MEMPOOL;
    return at === MEMPOOL ? 0 : this.height - at + 1;
  }

  spender(coin: CoinName): WorldTx | undefined {
    return [...this.#places.keys()].find((tx) => tx.spends.includes(coin));
  }

  /** What spends the funding's coin and is not the funding, if it has its final depth. */
  get isFundingLost(): boolean {
    const tx = this.spender('input');
    return tx !== undefined && tx.kind !== 'funding' && this.confs(tx) >= FINAL_CONFS;
  }

  /** Takes it into the mempool as nodes do: its coins exist, and it pays more than all that it replaces. */
  broadcast(tx: WorldTx): void {
    if (this.isSeen(tx.id)) return;
    const isFunded = this.spender('input')?.kind === 'funding';
    if (!tx.spends.includes('input') && !isFunded) return;
    const replaced = this.#withChildren([...this.#places.keys()].filter((other) => sharesCoin(tx, other)));
    const mayReplace = replaced.every((other) => this.#places.get(other) === MEMPOOL && !this.#final.has(other));
    if (!mayReplace || tx.fee <= replaced.reduce((sum, other) => sum + other.fee, 0)) return;
    for (const other of replaced) this.#places.delete(other);
    this.#places.set(tx, MEMPOOL);
  }

  mine(options: { readonly isEmpty: boolean }): void {
    this.height += 1;
    for (const [tx, at] of this.#places) {
      if (at === MEMPOOL && !options.isEmpty) this.#places.set(tx, this.height);
      if (this.confs(tx) >= FINAL_CONFS) this.#final.add(tx);
    }
  }

  /** The last blocks are replaced by empty ones. */
  reorg(depth: number): void {
    for (const [tx, at] of this.#places) if (at > this.height - depth) this.#places.set(tx, MEMPOOL);
  }

  loseMempool(): void {
    const lost = [...this.#places].filter(([tx, at]) => at === MEMPOOL && !this.#final.has(tx)).map(([tx]) => tx);
    for (const tx of this.#withChildren(lost)) if (!this.#final.has(tx)) this.#places.delete(tx);
  }

  /** A stranger's spend of the funding's coin gets into a block: of a funding that is in none, or by an incident. */
  conflict(options: { readonly isIncident: boolean }): boolean {
    const spender = this.spender('input');
    const isFree = spender === undefined || (this.#places.get(spender) === MEMPOOL && !this.#final.has(spender));
    if (!isFree && !options.isIncident) return false;
    const tx: WorldTx = { id: freshTxid(), kind: 'conflict', spends: ['input'], fee: 0 };
    this.#places.clear(); // everything builds on that coin
    this.mine({ isEmpty: true });
    this.#places.set(tx, this.height);
    return true;
  }

  /** With what builds on them: the spends of the HTLC build on the funding. */
  #withChildren(txs: readonly WorldTx[]): readonly WorldTx[] {
    if (!txs.some((tx) => tx.kind === 'funding')) return txs;
    const children = [...this.#places.keys()].filter((tx) => tx.spends.some((coin) => HTLC.includes(coin)));
    return [...new Set([...txs, ...children])];
  }
}

const sharesCoin = (a: WorldTx, b: WorldTx): boolean => a.spends.some((coin) => b.spends.includes(coin));
