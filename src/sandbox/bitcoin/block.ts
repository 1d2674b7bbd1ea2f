/**
 * Blocks of a Bitcoin regtest chain: the genesis block, and building a block that real parsers and nodes accept.
 *
 * Sources: Bitcoin Core chainparams.cpp (regtest), BIP34 (height in the coinbase), BIP141 (witness commitment).
 */
import { Block, Transaction } from 'bitcoinjs-lib';

import { type BlockHash, blockHash, displayHex, reversedBytes, txid, type Txid } from '../../core/units.js';

const GENESIS_HEX =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3' +
  '888a51323a9fb8aa4b1e5e4adae5494dffff7f200200000001010000000100000000000000000000000000000000000000000000000000' +
  '00000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e' +
  '206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe' +
  '5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b' +
  '6bf11d5fac00000000';

/** Compact difficulty target of regtest: every second hash is good enough. */
export const REGTEST_BITS = 0x207fffff;
/** Expected hashes per block at that target, for chainwork. */
export const WORK_PER_BLOCK = 2n;
const BLOCK_VERSION = 0x20000000;
const HALVING_INTERVAL = 150;
const INITIAL_SUBSIDY_SAT = 5_000_000_000n;
const MAX_FINAL_SEQUENCE = 0xffff_ffff;
/** OP_RETURN, push 36, tag of the witness commitment. */
const COMMITMENT_PREFIX = Buffer.from('6a24aa21a9ed', 'hex');

/** A block with what the chain and the RPC ask of it most. */
export type BitcoinBlock = {
  readonly hash: BlockHash;
  readonly height: number;
  /** Unix seconds. */
  readonly time: number;
  readonly block: Block;
  readonly transactions: readonly Transaction[];
  readonly txids: readonly Txid[];
};

/** The id of a transaction, display order. */
export const txidOf = (tx: Transaction): Txid => txid(tx.getId());

/** Wraps a parsed block. */
export function bitcoinBlock(block: Block, height: number): BitcoinBlock {
  const transactions = block.transactions ?? [];
  return {
    hash: blockHash(block.getId()),
    height,
    time: block.timestamp,
    block,
    transactions,
    txids: transactions.map(txidOf),
  };
}

/** Block 0 of every Bitcoin regtest chain. */
export const genesisBlock = (): BitcoinBlock => bitcoinBlock(Block.fromHex(GENESIS_HEX), 0);

/** What a miner of block `height` may create, satoshi. */
export function subsidyAt(height: number): bigint {
  const halvings = Math.floor(height / HALVING_INTERVAL);
  return halvings >= 64 ? 0n : INITIAL_SUBSIDY_SAT >> BigInt(halvings);
}

/** What a new block is made of. */
export type BlockTemplate = {
  readonly prevHash: BlockHash;
  readonly height: number;
  /** Unix seconds; must be later than the median of the last eleven blocks. */
  readonly time: number;
  readonly transactions: readonly Transaction[];
  readonly coinbaseScript: Uint8Array;
  /** Subsidy and fees, satoshi. */
  readonly coinbaseValue: bigint;
  /** Makes blocks of the same height on two branches different. */
  readonly extraNonce: number;
};

/** Builds a block and finds its proof of work. */
export function mineBlock(template: BlockTemplate): BitcoinBlock {
  const coinbase = coinbaseTransaction(template);
  const transactions = [coinbase, ...template.transactions];
  const commitment = Block.calculateMerkleRoot(transactions, true); // already hashed with the coinbase's reserved value
  coinbase.addOutput(Buffer.concat([COMMITMENT_PREFIX, commitment]), 0n);

  const block = new Block();
  block.version = BLOCK_VERSION;
  block.prevHash = reversedBytes(template.prevHash);
  block.merkleRoot = Block.calculateMerkleRoot(transactions);
  block.timestamp = template.time;
  block.bits = REGTEST_BITS;
  block.nonce = 0;
  block.transactions = transactions;
  block.witnessCommit = commitment;
  while (!block.checkProofOfWork()) block.nonce += 1;
  return bitcoinBlock(block, template.height);
}

function coinbaseTransaction(template: BlockTemplate): Transaction {
  const coinbase = new Transaction();
  coinbase.version = 2;
  const extra = Buffer.alloc(8);
  extra.writeBigUInt64LE(BigInt(template.extraNonce));
  const script = Buffer.concat([heightPush(template.height), Buffer.from([extra.length]), extra]);
  coinbase.addInput(Buffer.alloc(32), MAX_FINAL_SEQUENCE, MAX_FINAL_SEQUENCE, script);
  coinbase.setWitness(0, [Buffer.alloc(32)]);
  coinbase.addOutput(template.coinbaseScript, template.coinbaseValue);
  return coinbase;
}

/** The height as a script number, as BIP34 wants it first in the coinbase. */
function heightPush(height: number): Buffer {
  if (height <= 16) return Buffer.from([height === 0 ? 0 : 0x50 + height]);
  const digits: number[] = [];
  for (let rest = height; rest > 0; rest = Math.floor(rest / 256)) digits.push(rest % 256);
  if ((digits.at(-1) ?? 0) >= 0x80) digits.push(0);
  return Buffer.from([digits.length, ...digits]);
}

/** Internal-order id of the block before, as display hex. */
export const prevHashOf = (block: BitcoinBlock): BlockHash =>
  blockHash(displayHex(block.block.prevHash ?? new Uint8Array(32)));
