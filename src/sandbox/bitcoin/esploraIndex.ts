/** What Esplora knows beside the chain itself: where a transaction is, what spent an output, the history of a script. */
import { createHash } from 'node:crypto';

import type { Transaction } from 'bitcoinjs-lib';

import { txid as asTxid, type Txid } from '../../core/units.js';
import { type BitcoinBlock, txidOf } from './block.js';
import type { BitcoinChain } from './chain.js';
import { spentKeys } from './validate.js';

/** A spending input. */
export type Spender = { readonly txid: Txid; readonly vin: number };

/** Follows a chain lazily: every question first brings the index to the tip. */
export class EsploraIndex {
  readonly #chain: BitcoinChain;
  readonly #blocks: BitcoinBlock[] = [];
  readonly #blockOf = new Map<Txid, BitcoinBlock>();
  readonly #spenderOf = new Map<string, Spender>();
  /** Confirmed transactions that pay a script or spend from it, oldest first; by the script's hash. */
  readonly #history = new Map<string, Set<Txid>>();

  constructor(chain: BitcoinChain) {
    this.#chain = chain;
  }

  blockOf(txid: Txid): BitcoinBlock | undefined {
    this.#update();
    return this.#blockOf.get(txid);
  }

  /** The transaction that spends an output, in a block or in the mempool. */
  spenderOf(key: string): Spender | undefined {
    this.#update();
    const confirmed = this.#spenderOf.get(key);
    if (confirmed !== undefined) return confirmed;
    for (const txid of this.#chain.mempoolTxids()) {
      const tx = this.#chain.transaction(txid);
      const vin = tx === undefined ? -1 : spentKeys(tx).indexOf(key);
      if (vin >= 0) return { txid, vin };
    }
    return undefined;
  }

  /** Transactions of a script by the hex of its SHA256, as Esplora lists them: unconfirmed ones, then the newest first. */
  history(scriptHash: string): { readonly unconfirmed: Txid[]; readonly confirmed: Txid[] } {
    this.#update();
    const unconfirmed = this.#chain.mempoolTxids().filter((txid) => {
      const tx = this.#chain.transaction(txid);
      return tx !== undefined && this.#scriptsOf(tx).includes(scriptHash);
    });
    return { unconfirmed, confirmed: [...(this.#history.get(scriptHash) ?? [])].reverse() };
  }

  #update(): void {
    for (
      let last = this.#blocks.at(-1);
      last !== undefined && !this.#chain.isActive(last);
      last = this.#blocks.at(-1)
    ) {
      this.#disconnect(last);
      this.#blocks.pop();
    }
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#connect(next);
      this.#blocks.push(next);
    }
  }

  #next(): BitcoinBlock | undefined {
    return this.#chain.blockAt(this.#blocks.length);
  }

  #connect(block: BitcoinBlock): void {
    block.transactions.forEach((tx, position) => {
      const txid = txidOf(tx);
      this.#blockOf.set(txid, block);
      if (position > 0) spentKeys(tx).forEach((key, vin) => this.#spenderOf.set(key, { txid, vin }));
      for (const script of this.#scriptsOf(tx)) {
        const known = this.#history.get(script) ?? new Set();
        this.#history.set(script, known.add(txid));
      }
    });
  }

  #disconnect(block: BitcoinBlock): void {
    block.transactions.forEach((tx, position) => {
      const txid = txidOf(tx);
      this.#blockOf.delete(txid);
      if (position > 0) for (const key of spentKeys(tx)) this.#spenderOf.delete(key);
      for (const known of this.#history.values()) known.delete(txid);
    });
  }

  /** Hashes of the scripts that a transaction pays or spends from. */
  #scriptsOf(tx: Transaction): string[] {
    const spent = tx.isCoinbase() ? [] : spentKeys(tx).map((key) => this.#outputScript(key));
    return [...tx.outs.map(({ script }) => script), ...spent.filter((script) => script !== undefined)].map(
      scriptHashOf,
    );
  }

  #outputScript(key: string): Uint8Array | undefined {
    const [txid = '', vout = ''] = key.split(':');
    return this.#chain.transaction(asTxid(txid))?.outs[Number(vout)]?.script;
  }
}

/** Hex of a script's SHA256, as Esplora names a script. */
const scriptHashOf = (script: Uint8Array): string => createHash('sha256').update(script).digest('hex');
