/**
 * Transactions that wait for a block, and the rule by which a better paid one replaces others (BIP125 without the
 * signalling that Bitcoin Core no longer asks for).
 */
import type { Transaction } from 'bitcoinjs-lib';

import { outpointKey, txid as asTxid, type Txid } from '../../core/units.js';
import { txidOf } from './block.js';
import { BitcoinRpcError, RPC_CODES } from './rpcError.js';
import { type Coin, relayFeeFor, spentKeys } from './validate.js';

/** A transaction with what its miner earns. */
export type MempoolEntry = {
  readonly tx: Transaction;
  readonly txid: Txid;
  /** Satoshi. */
  readonly fee: bigint;
  readonly vsize: number;
};

const TXID_DIGITS = 64;
/** The transaction part of an outpoint key. */
const txidOfKey = (key: string): Txid => asTxid(key.slice(0, TXID_DIGITS));

const MAX_REPLACED = 100;

/** @returns the entry of a checked transaction. */
export const mempoolEntry = (tx: Transaction, fee: bigint): MempoolEntry => ({
  tx,
  txid: txidOf(tx),
  fee,
  vsize: tx.virtualSize(),
});

/** The set of unconfirmed transactions; iteration order is arrival, so parents come before children. */
export class Mempool {
  readonly #entries = new Map<Txid, MempoolEntry>();
  readonly #spentBy = new Map<string, Txid>();

  get(txid: Txid): MempoolEntry | undefined {
    return this.#entries.get(txid);
  }

  entries(): MempoolEntry[] {
    return [...this.#entries.values()];
  }

  isSpent(key: string): boolean {
    return this.#spentBy.has(key);
  }

  /** An output made by an unconfirmed transaction. `height` is that of the next block. */
  coin(key: string, height: number): Coin | undefined {
    const output = this.#entries.get(txidOfKey(key))?.tx.outs[Number(key.slice(TXID_DIGITS + 1))];
    return output && { value: output.value, script: output.script, height, isCoinbase: false };
  }

  /** Adds a checked transaction and drops what it replaces. */
  add(entry: MempoolEntry): void {
    this.removeConflicts(entry.tx);
    this.#entries.set(entry.txid, entry);
    for (const key of spentKeys(entry.tx)) this.#spentBy.set(key, entry.txid);
  }

  /** Takes one transaction out and leaves its children: it is in a block now. */
  confirm(txid: Txid): void {
    const entry = this.#entries.get(txid);
    if (entry === undefined) return;
    this.#entries.delete(txid);
    for (const key of spentKeys(entry.tx)) this.#spentBy.delete(key);
  }

  /** Drops every transaction that spends what `tx` spends, with its descendants. */
  removeConflicts(tx: Transaction): void {
    for (const entry of this.#withDescendants(this.#directConflicts(tx))) this.confirm(entry.txid);
  }

  clear(): void {
    this.#entries.clear();
    this.#spentBy.clear();
  }

  /** @throws BitcoinRpcError -26 if the transaction conflicts with others and does not pay enough to replace them. */
  assertReplaces(entry: MempoolEntry): void {
    const direct = this.#directConflicts(entry.tx);
    if (direct.length === 0) return;
    const refuse = (reason: string): never => {
      throw new BitcoinRpcError(RPC_CODES.rejected, reason);
    };
    const replaced = this.#withDescendants(direct);
    if (replaced.length > MAX_REPLACED) refuse('too many potential replacements');
    const knownParents = new Set(direct.flatMap(({ tx }) => this.#unconfirmedParents(tx)));
    for (const parent of this.#unconfirmedParents(entry.tx)) {
      if (replaced.some(({ txid }) => txid === parent)) refuse('bad-txns-spends-conflicting-tx');
      if (!knownParents.has(parent)) refuse('replacement-adds-unconfirmed');
    }
    const replacedFee = replaced.reduce((sum, { fee }) => sum + fee, 0n);
    const isRateBetter = direct.every((old) => entry.fee * BigInt(old.vsize) > old.fee * BigInt(entry.vsize));
    const neededFee = replacedFee + relayFeeFor(entry.vsize);
    if (!isRateBetter || entry.fee < neededFee) {
      refuse(`insufficient fee, rejecting replacement ${entry.txid}: pays ${entry.fee} sat, needs ${neededFee} sat`);
    }
  }

  #directConflicts(tx: Transaction): MempoolEntry[] {
    const ids = new Set(spentKeys(tx).map((key) => this.#spentBy.get(key)));
    return this.entries().filter(({ txid }) => ids.has(txid));
  }

  /** The given transactions and everything that spends their outputs, directly or not. */
  #withDescendants(roots: readonly MempoolEntry[]): MempoolEntry[] {
    const found = new Set(roots);
    for (const { tx, txid } of found) {
      tx.outs.forEach((_, vout) => {
        const child = this.#spentBy.get(outpointKey({ txid, vout }));
        const entry = child && this.#entries.get(child);
        if (entry) found.add(entry);
      });
    }
    return [...found];
  }

  #unconfirmedParents(tx: Transaction): Txid[] {
    return spentKeys(tx)
      .map(txidOfKey)
      .filter((id) => this.#entries.has(id));
  }
}
