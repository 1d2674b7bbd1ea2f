/**
 * The chain as served: blocks, mempool, and which transactions touch which script. {@link applyRecord} is the only way it
 * changes, live and when a stored history is replayed, so both end in the same state.
 */
import {
  displayHex,
  satPerKvb,
  txid,
  unixSecs,
  type BlockHash,
  type BlockHeight,
  type Txid,
  type UnixSecs,
} from '../../core/units.js';
import { sha256 } from './digests.js';
import { parseHeader, type BlockHeader } from './header.js';
import { addToMempool, connectBlock, createLedger, disconnectBlock, evict, type Ledger, type Undo } from './ledger.js';
import { merkleRoot } from './merkle.js';
import { GENESIS_HEADER, POLICY_ASSET } from './regtest.js';
import type { ChainRecord } from './storage.js';
import {
  assetBytes,
  isFee,
  isUnspendable,
  parentOf,
  parseTransaction,
  txidOf,
  type Transaction,
} from './transaction.js';
import type { Zkp } from './zkp.js';

/** A block of the best chain. */
export type Block = {
  readonly header: BlockHeader;
  readonly rawHeader: Buffer;
  readonly txids: readonly Txid[];
  readonly undo: Undo;
};

/** A transaction in a block, or waiting (`height` undefined). */
export type KnownTransaction = {
  readonly tx: Transaction;
  readonly rawHex: string;
  readonly height: number | undefined;
  /** Place in its block. */
  readonly position: number;
  /** Scripts that it pays or spends, as Electrum hashes them. */
  readonly scripthashes: readonly string[];
};

export type ChainState = {
  readonly ledger: Ledger;
  readonly blocks: Block[];
  readonly transactions: Map<Txid, KnownTransaction>;
  readonly byScript: Map<string, Set<Txid>>;
  /** Blocks ever made, also those taken back. */
  blocksMade: number;
};

/** End of the best chain. */
export type ChainTip = { readonly height: BlockHeight; readonly hash: BlockHash; readonly time: UnixSecs };

/** The relay policy of Elements Core 23.3 as the vectors' node ran it. */
const DEFAULT_RATE = 100n;
const MEDIAN_SPAN = 11;

/** Electrum's name of a script: reversed SHA256. */
export const scripthashOf = (script: Uint8Array): string => displayHex(sha256(script));

/** A chain of block 0 only. */
export function genesisState(zkp: Zkp): ChainState {
  const ledger = createLedger(zkp, {
    policyAsset: assetBytes(POLICY_ASSET),
    relayFloor: DEFAULT_RATE,
    dustRate: DEFAULT_RATE,
    incrementalRate: DEFAULT_RATE,
    isDiscounted: true,
    isDynafed: true,
  });
  const header = parseHeader(GENESIS_HEADER);
  ledger.tip = { height: 0, medianTime: header.time };
  const genesis: Block = { header, rawHeader: GENESIS_HEADER, txids: [], undo: { txs: [], spent: new Map() } };
  return { ledger, blocks: [genesis], transactions: new Map(), byScript: new Map(), blocksMade: 0 };
}

/** The last block. */
export function tipOf(state: ChainState): BlockHeader {
  const block = state.blocks.at(-1);
  if (block === undefined) throw new Error('a chain has at least block 0');
  return block.header;
}

/** Median time past as seen by the block after `height`. */
export function medianTimeAt(state: ChainState, height: number): UnixSecs {
  const times = state.blocks.slice(Math.max(0, height + 1 - MEDIAN_SPAN), height + 1).map(({ header }) => header.time);
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? unixSecs(0);
}

function scripthashesOf(state: ChainState, tx: Transaction): string[] {
  const spent = tx.ins.flatMap((input) => state.transactions.get(parentOf(input))?.tx.outs[input.index] ?? []);
  const outputs = [...spent, ...tx.outs].filter((output) => !isFee(output) && !isUnspendable(output.script));
  return [...new Set(outputs.map(({ script }) => scripthashOf(script)))];
}

function remember(state: ChainState, tx: Transaction, place: { height: number | undefined; position: number }): void {
  const id = txidOf(tx);
  const known = state.transactions.get(id);
  if (known !== undefined) {
    state.transactions.set(id, { ...known, ...place });
    return;
  }
  const scripthashes = scripthashesOf(state, tx);
  state.transactions.set(id, { tx, rawHex: tx.toHex(), scripthashes, ...place });
  for (const scripthash of scripthashes) {
    const ids = state.byScript.get(scripthash);
    if (ids === undefined) state.byScript.set(scripthash, new Set([id]));
    else ids.add(id);
  }
}

function forget(state: ChainState, ids: Iterable<Txid>): void {
  for (const id of ids) {
    for (const scripthash of state.transactions.get(id)?.scripthashes ?? []) {
      const touching = state.byScript.get(scripthash);
      touching?.delete(id);
      if (touching?.size === 0) state.byScript.delete(scripthash);
    }
    state.transactions.delete(id);
  }
}

function drop(state: ChainState, ids: readonly string[]): void {
  const dropped = ids.map(txid);
  evict(state.ledger, dropped);
  forget(state, dropped);
}

function parsed(rawHex: string): Transaction {
  const tx = parseTransaction(rawHex);
  if (tx === undefined) throw new Error('a stored transaction cannot be read');
  return tx;
}

function applyBlock(state: ChainState, record: Extract<ChainRecord, { op: 'block' }>): void {
  const { ledger, blocks } = state;
  const rawHeader = Buffer.from(record.header, 'hex');
  const header = parseHeader(rawHeader);
  const tip = tipOf(state);
  if (header.prevHash !== tip.hash || header.height !== tip.height + 1) {
    throw new Error(`block ${header.height} ${header.hash} does not follow ${tip.height} ${tip.hash}`);
  }
  if (header.merkleRoot !== merkleRoot(record.txids)) throw new Error(`block ${header.hash}: wrong merkle root`);
  const brought = new Map(record.raw.map(parsed).map((tx) => [txidOf(tx), tx]));
  const txids = record.txids.map(txid);
  const txs = txids.map((id) => {
    const tx = brought.get(id) ?? ledger.mempool.get(id)?.tx;
    if (tx === undefined) throw new Error(`block ${header.hash}: transaction ${id} is unknown`);
    return tx;
  });
  const { undo, evicted } = connectBlock(ledger, txs, ledger.tip.medianTime);
  forget(state, evicted);
  blocks.push({ header, rawHeader, txids, undo });
  ledger.tip = { height: header.height, medianTime: medianTimeAt(state, header.height) };
  state.blocksMade += 1;
  for (const [position, tx] of txs.entries()) remember(state, tx, { height: header.height, position });
}

function takeBlockBack(state: ChainState): void {
  const block = state.blocks.pop();
  if (block === undefined) throw new Error('no block left to take back');
  disconnectBlock(state.ledger, block.undo, medianTimeAt(state, block.header.height - 1));
  forget(state, block.txids.slice(0, 1));
  for (const tx of block.undo.txs.slice(1)) remember(state, tx, { height: undefined, position: 0 });
}

/** Takes one step of the chain's history. The record was checked before it was written; here it is only followed. */
export function applyRecord(state: ChainState, record: ChainRecord): void {
  switch (record.op) {
    case 'tx': {
      const tx = parsed(record.raw);
      forget(state, addToMempool(state.ledger, tx));
      remember(state, tx, { height: undefined, position: 0 });
      return;
    }
    case 'block':
      applyBlock(state, record);
      return;
    case 'reorg':
      for (let left = record.blocks; left > 0; left -= 1) takeBlockBack(state);
      drop(state, record.dropped);
      return;
    case 'floor':
      state.ledger.policy.relayFloor = satPerKvb(BigInt(record.satPerKvb));
      drop(state, record.dropped);
      return;
    default:
      throw new Error(`unknown record ${String(record satisfies never)}`);
  }
}
