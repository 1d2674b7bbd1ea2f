/**
 * A Liquid regtest chain: takes transactions, makes and takes back blocks, and remembers everything it has told anyone.
 *
 * Every step is written to disk before it is applied, so nobody is served what a crash would undo.
 */
import { blockHeight, unixSecs, type SatPerKvb, type Txid } from '../../core/units.js';
import { SwapError } from '../../errors.js';
import { judge } from './acceptance.js';
import { buildCoinbase } from './coinbase.js';
import { belowFloor, leftBehind } from './fallout.js';
import { encodeHeader } from './header.js';
import { conflictsOf, withDescendants } from './ledger.js';
import { merkleRoot } from './merkle.js';
import type { Refusal } from './refusal.js';
import { applyRecord, genesisState, tipOf, type ChainState, type ChainTip } from './state.js';
import { memoryStorage, openStorage, type ChainRecord, type Storage } from './storage.js';
import { parentOf, parseTransaction, txidOf, type Transaction } from './transaction.js';
import { loadZkp } from './zkp.js';

/** An error of the node's RPC, with its code: what `sendrawtransaction` would answer. */
export class NodeError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'NodeError';
    this.code = code;
  }
}

/** Blocks that can never be taken back: block 0 and the block of the free coins. */
const FIXED_BLOCKS = 2;
const MAX_BLOCKS_AT_ONCE = 10_000;

export type ChainOptions = {
  /** Directory of the stored chain; without it the chain is in memory only. */
  readonly dir?: string;
  /** Seconds since 1970; the machine's clock by default. */
  readonly now?: () => number;
};

/** A running chain. All methods work at once; what they change is on disk when they return. */
export type Chain = {
  /** For reading only: the Electrum server and the faucet look things up here. */
  readonly state: ChainState;
  tip(): ChainTip;
  /**
   * Takes a transaction into the mempool; one that is there already is fine.
   * @throws NodeError with the code and text of Elements' `sendrawtransaction`.
   */
  broadcast(rawHex: string): Txid;
  /**
   * Makes blocks; the first takes the whole mempool.
   * @param options.including a transaction that this miner puts into the first block although it conflicts with the
   *   mempool or is not standard; conflicting mempool transactions are dropped
   */
  mine(blocks: number, options?: { readonly including?: string }): ChainTip;
  /**
   * Takes the last blocks back; mine afterwards to replace them. Their transactions return to the mempool where their
   * locks still allow it, or are dropped on demand.
   * @returns the transactions that were dropped.
   */
  reorg(blocks: number, options?: { readonly dropTransactions?: boolean }): Txid[];
  /** Smallest fee rate that is relayed; what waits with less is dropped and returned. */
  setRelayFloor(rate: SatPerKvb): Txid[];
  /** Calls the listener after every change until the returned function is called. */
  onChange(listener: () => void): () => void;
  close(): void;
};

type Running = {
  readonly state: ChainState;
  readonly storage: Storage;
  readonly now: () => number;
  readonly listeners: Set<() => void>;
};

function take(chain: Running, record: ChainRecord): void {
  chain.storage.append(record);
  applyRecord(chain.state, record);
}

function announce(chain: Running): void {
  for (const listener of chain.listeners) listener();
}

function toTip(chain: Running): ChainTip {
  const { height, hash, time } = tipOf(chain.state);
  return { height, hash, time };
}

function toNodeError({ reason, message }: Refusal): NodeError {
  switch (reason) {
    case 'missing-inputs':
      return new NodeError(-25, 'bad-txns-inputs-missingorspent');
    case 'txn-already-known':
      return new NodeError(-27, 'Transaction already in block chain');
    default:
      return new NodeError(-26, message);
  }
}

function decode(rawHex: string): Transaction {
  const tx = parseTransaction(rawHex);
  if (tx === undefined) throw new NodeError(-22, 'TX decode failed. Make sure the tx has at least one input.');
  return tx;
}

function broadcast(chain: Running, rawHex: string): Txid {
  const tx = decode(rawHex);
  const id = txidOf(tx);
  if (chain.state.ledger.mempool.has(id)) return id;
  const verdict = judge(chain.state.ledger, tx);
  if (!verdict.allowed) throw toNodeError(verdict.refusal);
  take(chain, { op: 'tx', raw: tx.toHex() });
  announce(chain);
  return id;
}

/** A transaction that a miner brings himself, and the mempool transactions that it displaces. */
type Brought = { readonly txs: readonly Transaction[]; readonly displaced: ReadonlySet<Txid> };

const NOTHING_BROUGHT: Brought = { txs: [], displaced: new Set() };

function bring({ state }: Running, rawHex: string): Brought {
  const tx = decode(rawHex);
  if (state.ledger.mempool.has(txidOf(tx))) return NOTHING_BROUGHT;
  const verdict = judge(state.ledger, tx, { isMiner: true });
  if (!verdict.allowed) throw toNodeError(verdict.refusal);
  const displaced = withDescendants(state.ledger, conflictsOf(state.ledger, tx));
  if (tx.ins.some((input) => displaced.has(parentOf(input)))) {
    throw new NodeError(-25, 'bad-txns-inputs-missingorspent');
  }
  return { txs: [tx], displaced };
}

function mineOne(chain: Running, { txs, displaced }: Brought): void {
  const { state, now } = chain;
  const tip = tipOf(state);
  const height = blockHeight(tip.height + 1);
  const coinbase = buildCoinbase(height, state.blocksMade);
  const waiting = [...state.ledger.mempool.keys()].filter((id) => !displaced.has(id));
  const txids = [txidOf(coinbase), ...waiting, ...txs.map(txidOf)];
  const time = unixSecs(Math.max(Math.floor(now()), tip.time));
  const header = encodeHeader({ prevHash: tip.hash, merkleRoot: merkleRoot(txids), time, height });
  const raw = [coinbase, ...txs].map((tx) => tx.toHex());
  take(chain, { op: 'block', header: header.toString('hex'), txids, raw });
}

function assertCount(what: string, count: number, max: number): void {
  if (Number.isSafeInteger(count) && count >= 1 && count <= max) return;
  throw new SwapError('invalid_argument', `${what}: expected an integer 1..${max}, found ${count}`);
}

function mine(chain: Running, blocks: number, including: string | undefined): ChainTip {
  assertCount('blocks to mine', blocks, MAX_BLOCKS_AT_ONCE);
  const brought = including === undefined ? NOTHING_BROUGHT : bring(chain, including);
  for (let made = 0; made < blocks; made += 1) mineOne(chain, made === 0 ? brought : NOTHING_BROUGHT);
  announce(chain);
  return toTip(chain);
}

function reorg(chain: Running, blocks: number, dropTransactions: boolean): Txid[] {
  assertCount('blocks to take back', blocks, chain.state.blocks.length - FIXED_BLOCKS);
  const dropped = leftBehind(chain.state, blocks, dropTransactions);
  take(chain, { op: 'reorg', blocks, dropped });
  announce(chain);
  return dropped;
}

function setRelayFloor(chain: Running, rate: SatPerKvb): Txid[] {
  const dropped = belowFloor(chain.state, rate);
  take(chain, { op: 'floor', satPerKvb: rate.toString(), dropped });
  announce(chain);
  return dropped;
}

function listen({ listeners }: Running, listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/**
 * Opens the chain stored in a directory, or starts a new one: block 0 is Liquid regtest's, block 1 makes the free coins.
 *
 * @throws Error if the stored chain is damaged (a torn last line is not damage).
 */
export async function openChain({ dir, now = () => Date.now() / 1000 }: ChainOptions): Promise<Chain> {
  const state = genesisState(await loadZkp());
  const storage = dir === undefined ? memoryStorage() : openStorage(dir);
  for (const record of storage.replay) applyRecord(state, record);
  const chain: Running = { state, storage, now, listeners: new Set() };
  if (state.blocks.length < FIXED_BLOCKS) mineOne(chain, NOTHING_BROUGHT);
  return {
    state,
    tip: () => toTip(chain),
    broadcast: (rawHex) => broadcast(chain, rawHex),
    mine: (blocks, options) => mine(chain, blocks, options?.including),
    reorg: (blocks, options) => reorg(chain, blocks, options?.dropTransactions ?? false),
    setRelayFloor: (rate) => setRelayFloor(chain, rate),
    onChange: (listener) => listen(chain, listener),
    close: () => {
      storage.close();
    },
  };
}
