/**
 * A Bitcoin regtest chain with its mempool: one process is all the miners and all the nodes.
 *
 * Blocks are real (headers, proof of work, merkle roots, witness commitments). Inputs, amounts, locktimes, relay fees,
 * replacement and segwit version 0 scripts are checked; other script types can be paid but not spent. History is
 * appended to a journal before a caller learns of it, so a Lightning node never sees a chain that it has to forget.
 */
import { join } from 'node:path';

import { Block, Transaction } from 'bitcoinjs-lib';

import { type BlockHash, type Txid } from '../../core/units.js';
import { type BitcoinBlock, bitcoinBlock, genesisBlock, mineBlock, prevHashOf, subsidyAt, txidOf } from './block.js';
import { CoinSet } from './coins.js';
import { FAUCET_SCRIPT, faucetTransaction } from './faucet.js';
import { type Journal, type JournalRecord, memoryJournal, openJournal } from './journal.js';
import { Mempool, mempoolEntry } from './mempool.js';
import { BitcoinRpcError, RPC_CODES } from './rpcError.js';
import { checkTransaction, type CoinView, relayFeeFor, spentKeys } from './validate.js';

const RECORD = { block: 1, disconnect: 2, transaction: 3 } as const;
const MEDIAN_BLOCKS = 11;
/** Mined at birth, so that the faucet has mature coins (a coinbase needs 100 blocks on it). */
const PREMINED_BLOCKS = 120;
const PREMINE_INTERVAL_SECS = 60;
/** Room for transactions in a block, virtual bytes; the limit less a coinbase. */
const MAX_BLOCK_VSIZE = 990_000;

export type BitcoinChainOptions = {
  /** Folder of the journal; without it the chain lives in memory. */
  readonly dir?: string | undefined;
  /** Wall clock, Unix seconds. */
  readonly now?: () => number;
};

/** Opens the chain of a folder, or makes a new one with {@link PREMINED_BLOCKS} blocks. */
export function openBitcoinChain(options: BitcoinChainOptions = {}): BitcoinChain {
  const journal = options.dir === undefined ? memoryJournal() : openJournal(join(options.dir, 'bitcoin.journal'));
  try {
    return new BitcoinChain(journal, options.now ?? (() => Math.floor(Date.now() / 1000)));
  } catch (error) {
    journal.close();
    throw error;
  }
}

/** The chain. All methods are synchronous: nobody sees a state in between. */
export class BitcoinChain {
  readonly #journal: Journal;
  readonly #now: () => number;
  readonly #active: BitcoinBlock[] = [];
  /** Every block ever mined, also those that a reorg took off the chain. */
  readonly #byHash = new Map<BlockHash, BitcoinBlock>();
  readonly #confirmed = new Map<Txid, Transaction>();
  readonly #coins = new CoinSet();
  readonly #mempool = new Mempool();
  #storeFailure: unknown;

  constructor(journal: Journal, now: () => number) {
    this.#journal = journal;
    this.#now = now;
    this.#connect(genesisBlock());
    for (const record of journal.replay) this.#replay(record);
    if (journal.replay.length === 0) this.#premine();
  }

  get tip(): BitcoinBlock {
    const tip = this.#active.at(-1);
    if (tip === undefined) throw new Error('a chain has a genesis block');
    return tip;
  }

  blockAt(height: number): BitcoinBlock | undefined {
    return this.#active[height];
  }

  /** Also finds blocks that are no longer on the chain, see {@link isActive}. */
  blockByHash(hash: BlockHash): BitcoinBlock | undefined {
    return this.#byHash.get(hash);
  }

  isActive(block: BitcoinBlock): boolean {
    return this.#active[block.height] === block;
  }

  /** Median time of a block and the ten before it, Unix seconds. */
  medianTime(block: BitcoinBlock): number {
    const times: number[] = [];
    for (let at: BitcoinBlock | undefined = block; at && times.length < MEDIAN_BLOCKS;) {
      times.push(at.time);
      at = this.#byHash.get(prevHashOf(at));
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? block.time;
  }

  /** A transaction of the chain or the mempool. */
  transaction(txid: Txid): Transaction | undefined {
    return this.#confirmed.get(txid) ?? this.#mempool.get(txid)?.tx;
  }

  /** Ids of the unconfirmed transactions, oldest first. */
  mempoolTxids(): Txid[] {
    return this.#mempool.entries().map(({ txid }) => txid);
  }

  /**
   * Takes a transaction into the mempool; one that is there already is fine.
   *
   * @throws BitcoinRpcError -22 (malformed), -25 (inputs), -26 (refused), -27 (in a block already).
   */
  submit(raw: Uint8Array): Txid {
    this.assertUsable();
    const tx = parseTransaction(raw);
    const txid = txidOf(tx);
    if (this.#mempool.get(txid)) return txid;
    if (this.#confirmed.has(txid)) {
      throw new BitcoinRpcError(RPC_CODES.alreadyInChain, 'Transaction outputs already in utxo set');
    }
    const entry = mempoolEntry(tx, checkTransaction(tx, this.#view()));
    const relayFee = relayFeeFor(entry.vsize);
    if (entry.fee < relayFee) {
      throw new BitcoinRpcError(RPC_CODES.rejected, `min relay fee not met, ${entry.fee} < ${relayFee}`);
    }
    this.#mempool.assertReplaces(entry);
    this.#mempool.add(entry);
    this.#commit([{ kind: RECORD.transaction, payload: raw }]);
    return txid;
  }

  /**
   * Pays an address of the regtest network from coins that anyone could spend. The payment waits in the mempool.
   *
   * @param amountSat satoshi, at least 294 (below that it is dust).
   * @throws SwapError `invalid_argument` for a wrong address or amount, or if the faucet has less.
   */
  faucet(address: string, amountSat: bigint): Txid {
    this.assertUsable();
    const coins = [...this.#coins.entries()]
      .filter(([key, coin]) => FAUCET_SCRIPT.equals(coin.script) && !this.#mempool.isSpent(key))
      .map(([key, coin]) => ({ key, coin }));
    const tx = faucetTransaction({ coins, nextHeight: this.tip.height + 1, address, amountSat });
    return this.submit(tx.toBuffer());
  }

  /** Mines blocks with everything in the mempool. @returns their hashes, oldest first. */
  mine(count: number): BlockHash[] {
    this.assertUsable();
    return this.#extend(count, () => this.#now());
  }

  /**
   * Replaces the last `depth` blocks by `depth + 1` others. Their transactions go back to the mempool and are mined
   * again in the first new block as far as they are still valid.
   */
  reorg(depth: number): BlockHash[] {
    this.assertUsable();
    if (depth < 1 || depth > this.tip.height - PREMINED_BLOCKS) {
      throw new BitcoinRpcError(
        RPC_CODES.invalidParameter,
        `reorg depth: expected 1..${this.tip.height - PREMINED_BLOCKS}, found ${depth}`,
      );
    }
    this.#disconnect(depth);
    const payload = Buffer.alloc(4);
    payload.writeUInt32LE(depth);
    return this.#extend(depth + 1, () => this.#now(), [{ kind: RECORD.disconnect, payload }]);
  }

  /** @throws Error after a write to the journal failed: what memory holds then must not be served. */
  assertUsable(): void {
    if (this.#storeFailure === undefined) return;
    throw new Error('the Bitcoin chain cannot be stored any more', { cause: this.#storeFailure });
  }

  close(): void {
    this.#journal.close();
  }

  #extend(count: number, timeOf: (index: number) => number, before: readonly JournalRecord[] = []): BlockHash[] {
    const mined = Array.from({ length: count }, (_, index) => {
      const block = this.#nextBlock(timeOf(index));
      this.#connect(block);
      return block;
    });
    const records = mined.map(({ block }) => ({ kind: RECORD.block, payload: block.toBuffer() }));
    this.#commit([...before, ...records]);
    return mined.map(({ hash }) => hash);
  }

  #nextBlock(wishedTime: number): BitcoinBlock {
    const entries = [];
    let room = MAX_BLOCK_VSIZE;
    for (const entry of this.#mempool.entries()) {
      room -= entry.vsize;
      if (room < 0) break; // in order of arrival, so no child goes in without its parent
      entries.push(entry);
    }
    const height = this.tip.height + 1;
    return mineBlock({
      prevHash: this.tip.hash,
      height,
      time: Math.max(wishedTime, this.medianTime(this.tip) + 1),
      transactions: entries.map(({ tx }) => tx),
      coinbaseScript: FAUCET_SCRIPT,
      coinbaseValue: entries.reduce((sum, { fee }) => sum + fee, subsidyAt(height)),
      extraNonce: this.#byHash.size,
    });
  }

  #premine(): void {
    const end = this.#now();
    this.#extend(PREMINED_BLOCKS, (index) => end - (PREMINED_BLOCKS - 1 - index) * PREMINE_INTERVAL_SECS);
  }

  #connect(block: BitcoinBlock): void {
    if (block.height > 0) this.#coins.connect(block); // by consensus the genesis coin cannot be spent
    this.#active.push(block);
    this.#byHash.set(block.hash, block);
    block.transactions.forEach((tx, position) => {
      const txid = block.txids[position];
      if (txid === undefined) return;
      this.#confirmed.set(txid, tx);
      this.#mempool.confirm(txid);
      if (position > 0) this.#mempool.removeConflicts(tx);
    });
  }

  #disconnect(depth: number): void {
    const removed: BitcoinBlock[] = [];
    for (let index = 0; index < depth; index++) {
      const block = this.tip;
      this.#active.pop();
      this.#coins.disconnect(block);
      for (const txid of block.txids) this.#confirmed.delete(txid);
      removed.unshift(block);
    }
    const waiting = this.#mempool.entries().map(({ tx }) => tx);
    this.#mempool.clear();
    for (const tx of [...removed.flatMap(({ transactions }) => transactions.slice(1)), ...waiting]) {
      this.#readmit(tx);
    }
  }

  /** Puts a transaction back after a reorg if it is still valid; its fee was good enough before. */
  #readmit(tx: Transaction): void {
    if (spentKeys(tx).some((key) => this.#mempool.isSpent(key))) return;
    try {
      this.#mempool.add(mempoolEntry(tx, checkTransaction(tx, this.#view())));
    } catch (error) {
      if (!(error instanceof BitcoinRpcError)) throw error;
    }
  }

  #replay({ kind, payload }: JournalRecord): void {
    switch (kind) {
      case RECORD.block:
        this.#connect(bitcoinBlock(Block.fromBuffer(payload), this.tip.height + 1));
        return;
      case RECORD.disconnect:
        this.#disconnect(Buffer.from(payload).readUInt32LE());
        return;
      case RECORD.transaction: {
        const tx = parseTransaction(payload);
        this.#mempool.add(mempoolEntry(tx, checkTransaction(tx, this.#view())));
        return;
      }
      default:
        throw new Error(`the Bitcoin journal has a record of unknown kind ${kind}`);
    }
  }

  #commit(records: readonly JournalRecord[]): void {
    try {
      this.#journal.append(records);
    } catch (error) {
      this.#storeFailure = error;
      throw error;
    }
  }

  #view(): CoinView {
    const nextHeight = this.tip.height + 1;
    return {
      nextHeight,
      coin: (key) => this.#coins.get(key) ?? this.#mempool.coin(key, nextHeight),
      medianTimeAt: (height) => this.medianTime(this.#active[height] ?? this.tip),
    };
  }
}

function parseTransaction(raw: Uint8Array): Transaction {
  try {
    return Transaction.fromBuffer(raw);
  } catch (cause) {
    throw new BitcoinRpcError(
      RPC_CODES.deserialization,
      `TX decode failed (${cause instanceof Error ? cause.message : 'malformed'})`,
    );
  }
}
