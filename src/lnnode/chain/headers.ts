/** Block headers: hash, link and proof of work. Pure. */
import { createHash } from 'node:crypto';

import { blockHash, displayHex, type BlockHash } from '../../core/units.js';

/** Networks that the node runs on. */
export type Network = 'bitcoin' | 'testnet' | 'regtest';

export type Header = {
  readonly hash: BlockHash;
  readonly prevHash: BlockHash;
  /** Compact target as in the header. */
  readonly bits: number;
  readonly bytes: Buffer;
};

/** Easiest target of each network (chainparams of Bitcoin Core). */
const POW_LIMIT: Record<Network, bigint> = {
  bitcoin: (1n << 224n) - 1n,
  testnet: (1n << 224n) - 1n,
  regtest: (1n << 255n) - 1n,
};
/**
 * Easiest target of the block that a new node believes without its past: on mainnet a difficulty of 2^40, exceeded since
 * 2017. Blocks as easy as those of 2009 cost nothing, and a chain may go on from them for ever.
 */
const START_LIMIT: Record<Network, bigint> = { ...POW_LIMIT, bitcoin: (1n << 184n) - 1n };
const RETARGET_BLOCKS = 2016;
const MAX_RETARGET_FACTOR = 4n;

const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest();

/** Reads 80 bytes. @throws Error if the length is wrong or they do not have the proof of work they claim. */
export function parseHeader(bytes: Uint8Array, network: Network): Header {
  const header = Buffer.from(bytes);
  if (header.length !== 80) throw new Error(`block header: expected 80 bytes, found ${header.length}`);
  const hash = blockHash(displayHex(sha256(sha256(header))));
  const bits = header.readUInt32LE(72);
  const target = targetOf(bits);
  if (target <= 0n || target > POW_LIMIT[network]) throw new Error(`block ${hash}: target ${bits} is out of range`);
  if (BigInt(`0x${hash}`) > target) throw new Error(`block ${hash}: proof of work is missing`);
  return {
    hash,
    prevHash: blockHash(displayHex(header.subarray(4, 36))),
    bits,
    bytes: header,
  };
}

/**
 * Checks that `child` may follow `parent`: the link, and on mainnet that the difficulty changes only where it may, by
 * no more than it may. @throws Error
 */
export function assertFollows(
  child: Header,
  parent: { hash: BlockHash; header: Uint8Array },
  height: number,
  network: Network,
): void {
  if (child.prevHash !== parent.hash) throw new Error(`block ${child.hash} does not follow ${parent.hash}`);
  if (network !== 'bitcoin') return; // test networks change the difficulty at will, regtest never
  const parentBits = Buffer.from(parent.header).readUInt32LE(72);
  if (child.bits === parentBits) return;
  if (height % RETARGET_BLOCKS !== 0) throw new Error(`block ${child.hash}: difficulty changed at height ${height}`);
  if (targetOf(child.bits) > targetOf(parentBits) * MAX_RETARGET_FACTOR) {
    throw new Error(`block ${child.hash}: difficulty fell by more than a factor of ${MAX_RETARGET_FACTOR}`);
  }
}

/** @throws Error if a block is too easy to be the first of an own chain. */
export function assertMayStart({ hash, bits }: Header, network: Network): void {
  if (targetOf(bits) > START_LIMIT[network])
    throw new Error(`block ${hash}: too little work for a new node to begin at`);
}

/** Expected number of hashes for a header. */
export const workOf = (header: Uint8Array): bigint =>
  (1n << 256n) / (targetOf(Buffer.from(header).readUInt32LE(72)) + 1n);

function targetOf(bits: number): bigint {
  const size = bits >>> 24;
  const mantissa = BigInt(bits & 0x7fffff);
  if ((bits & 0x800000) !== 0) return 0n; // negative
  return size <= 3 ? mantissa >> (8n * BigInt(3 - size)) : mantissa << (8n * BigInt(size - 3));
}
