/** The unspent outputs of the active chain, with what is needed to take a block back. */
import { outpointKey } from '../../core/units.js';
import type { BitcoinBlock } from './block.js';
import { type Coin, spentKeys } from './validate.js';

const OP_RETURN = 0x6a;

/** Unspent outputs by outpoint key. */
export class CoinSet {
  readonly #coins = new Map<string, Coin>();
  /** What each block on the chain spent, in order of spending. */
  readonly #undo: (readonly (readonly [key: string, coin: Coin])[])[] = [];

  get(key: string): Coin | undefined {
    return this.#coins.get(key);
  }

  entries(): IterableIterator<[key: string, coin: Coin]> {
    return this.#coins.entries();
  }

  connect(block: BitcoinBlock): void {
    const spent: [string, Coin][] = [];
    block.transactions.forEach((tx, position) => {
      const isCoinbase = position === 0;
      for (const key of isCoinbase ? [] : spentKeys(tx)) {
        const coin = this.#coins.get(key);
        if (coin === undefined) throw new Error(`block ${block.hash} spends ${key}, which is not there`);
        spent.push([key, coin]);
        this.#coins.delete(key);
      }
      for (const [key, coin] of outputsOf(block, position, isCoinbase)) this.#coins.set(key, coin);
    });
    this.#undo.push(spent);
  }

  /** Takes the last connected block back. */
  disconnect(block: BitcoinBlock): void {
    const spent = this.#undo.pop() ?? [];
    for (const [key, coin] of spent) this.#coins.set(key, coin);
    block.transactions.forEach((_, position) => {
      for (const [key] of outputsOf(block, position, position === 0)) this.#coins.delete(key);
    });
  }
}

function outputsOf(block: BitcoinBlock, position: number, isCoinbase: boolean): [string, Coin][] {
  const [tx, txid] = [block.transactions[position], block.txids[position]];
  if (tx === undefined || txid === undefined) return [];
  return tx.outs.flatMap(({ script, value }, vout): [string, Coin][] =>
    script[0] === OP_RETURN ? [] : [[outpointKey({ txid, vout }), { value, script, height: block.height, isCoinbase }]],
  );
}
