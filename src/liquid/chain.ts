/**
 * The port to a Liquid chain server. What comes back was checked as far as bytes allow: headers parse and carry their
 * height, transactions hash to their txid, merkle proofs lead to the header.
 *
 * Every method that asks the server may throw SwapError `chain_unavailable`; the outcome is then unknown.
 */
import type { BlockHash, BlockHeight, Outpoint, SatPerKvb, Txid, UnixSecs } from '../core/units.js';

/** The end of the best chain as the server reports it. */
export type Tip = { readonly height: BlockHeight; readonly hash: BlockHash; readonly time: UnixSecs };

/** A transaction that touches a script. `height` stays signed: 0 is unconfirmed, -1 has unconfirmed parents. */
export type HistoryEntry = { readonly txid: Txid; readonly height: number };

/** See {@link LiquidChain.history}. */
export type HistoryOptions = { readonly isFresh?: boolean };

/** See {@link LiquidChain.transaction}. */
export type TransactionOptions = { readonly fits?: (raw: Buffer) => boolean };

/** An unspent output of a script. Its value and asset are never read from the server. */
export type UnspentEntry = { readonly outpoint: Outpoint; readonly height: number };

/** What a broadcast led to. `unknown` is never "not sent"; `rejected` proves nothing about other servers. */
export type BroadcastOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'rejected'; readonly reason: RejectReason; readonly text: string }
  | { readonly kind: 'unknown'; readonly cause: unknown };

/** Why a node refuses a transaction, read off the text of Elements' answer. */
export type RejectReason =
  | 'missing_inputs'
  | 'conflict'
  | 'insufficient_fee'
  | 'non_final'
  | 'script'
  | 'amounts'
  | 'dust'
  | 'undecodable'
  | 'other';

/** Something changed; a hint to look again. */
export type ChainChange =
  | { readonly kind: 'block'; readonly tip: Tip }
  | { readonly kind: 'script'; readonly scriptPubKeyHex: string }
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected' };

export type LiquidChain = {
  /** Hash of block 0 as served. */
  genesisHash(): Promise<BlockHash>;
  /** The present tip; its header was parsed and carries the height. Of several servers: the highest of {@link tips}. */
  tip(): Promise<Tip>;
  /** The tip of each server that answers, never empty. */
  tips(): Promise<readonly Tip[]>;
  /**
   * The block of that height as served at this moment, never from memory. Several servers must agree.
   * @throws SwapError `chain_unavailable` also when no server has a block of that height, or when servers differ.
   */
  blockAt(height: BlockHeight): Promise<Tip>;
  /** What the servers contradict each other about at present, as a sentence; undefined if nothing is known. */
  disagreement(): string | undefined;
  /**
   * Confirmed entries first, then the mempool. A subscribed script that did not change since it was last asked about may
   * be answered from memory.
   * @param options.isFresh the server is asked in any case.
   * @throws SwapError `history_too_long` if the server refuses because too many transactions touch the script.
   */
  history(scriptPubKey: Uint8Array, options?: HistoryOptions): Promise<readonly HistoryEntry[]>;
  /**
   * Raw bytes that hash to the txid, or undefined if the server does not have the transaction. The txid does not cover
   * witnesses: a server can show the transaction without them, or with others.
   * @param options.fits of what several servers show, bytes that fit are preferred; if none do, any are given.
   */
  transaction(id: Txid, options?: TransactionOptions): Promise<Buffer | undefined>;
  /** Cheap poll: which outputs of the script are unspent (mempool included). */
  unspent(scriptPubKey: Uint8Array): Promise<readonly UnspentEntry[]>;
  /**
   * Proves with a merkle branch that the transaction is in the block of that height.
   * @returns the block's hash.
   * @throws SwapError `chain_unavailable` if the proof does not lead to the header.
   */
  proveInclusion(id: Txid, height: BlockHeight): Promise<BlockHash>;
  broadcast(rawTx: Uint8Array): Promise<BroadcastOutcome>;
  /** max(relay fee, estimate for 2 blocks, 100 sat/kvB). */
  feeRate(): Promise<SatPerKvb>;
  /** Asks for `script` changes of this script from now on, also after reconnects. Repeating is free. */
  subscribe(scriptPubKey: Uint8Array): void;
  unsubscribe(scriptPubKey: Uint8Array): void;
  /** Calls the listener on every change until the returned function is called. The listener must not throw. */
  onChange(listener: (change: ChainChange) => void): () => void;
  close(): void;
};

/**
 * Confirmations of a history entry: tip - height + 1 if 0 < height <= tip, else 0 (a height above the tip is a lie).
 */
export function confirmations(height: number, tipHeight: BlockHeight): number {
  return height > 0 && height <= tipHeight ? tipHeight - height + 1 : 0;
}
