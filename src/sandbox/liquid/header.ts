/**
 * Elements block headers (primitives/block.h). The proof has one of two shapes, told apart by bit 31 of the version: the
 * legacy challenge and solution, or dynamic federation parameters and a signblock witness. The hash leaves out the
 * solution and the witness.
 */
import {
  blockHash,
  blockHeight,
  displayHex,
  reversedBytes,
  unixSecs,
  type BlockHash,
  type BlockHeight,
  type UnixSecs,
} from '../../core/units.js';
import { hash256 } from './digests.js';
import { uint32, varBytes } from './serialize.js';

/** `merkleRoot` is 64 hex digits in display order. */
export type BlockHeader = {
  readonly hash: BlockHash;
  readonly prevHash: BlockHash;
  readonly merkleRoot: string;
  readonly time: UnixSecs;
  readonly height: BlockHeight;
};

const DYNAMIC_FEDERATION_BIT = 0x8000_0000;
const BLOCK_VERSION = 0x2000_0000;
const NULL_PARAMS = 0;
const COMPACT_PARAMS = 1;
const FULL_PARAMS = 2;

/** Regtest's compact federation parameters: blocks are signed by anyone (P2WSH of OP_TRUE). */
const FEDERATION_PARAMS = Buffer.concat([
  Buffer.of(COMPACT_PARAMS),
  varBytes(Buffer.from('00204ae81572f06e1b88fd5ced7a1a000945432e83e1551e6f721ee9c00b8cc33260', 'hex')),
  uint32(0x4a), // weight limit of the signblock witness
  Buffer.from('fbee9cea00d8efdc49cfbec328537e0d7032194de6ebf3cf42e5c05bb89a08b1', 'hex'),
]);
/** One item: the witness script OP_TRUE. */
const SIGNBLOCK_WITNESS = Buffer.from('010151', 'hex');

/** Serializes a dynafed header, as Liquid's main chain has them. */
export function encodeHeader(header: Omit<BlockHeader, 'hash'>): Buffer {
  return Buffer.concat([
    uint32(BLOCK_VERSION | DYNAMIC_FEDERATION_BIT),
    reversedBytes(header.prevHash),
    reversedBytes(header.merkleRoot),
    uint32(header.time),
    uint32(header.height),
    FEDERATION_PARAMS,
    Buffer.of(NULL_PARAMS), // nothing is proposed
    SIGNBLOCK_WITNESS,
  ]);
}

/** Reads bytes from the front. */
class Reader {
  readonly #bytes: Buffer;
  offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    const end = this.offset + length;
    if (end > this.#bytes.length) throw new Error(`header: expected ${end} bytes, found ${this.#bytes.length}`);
    const taken = this.#bytes.subarray(this.offset, end);
    this.offset = end;
    return taken;
  }

  uint32(): number {
    return this.take(4).readUInt32LE();
  }

  compactSize(): number {
    const first = this.take(1).readUInt8();
    if (first < 0xfd) return first;
    if (first === 0xfd) return this.take(2).readUInt16LE();
    if (first === 0xfe) return this.uint32();
    throw new Error('header: a length above 2^32');
  }

  skipBytes(): void {
    this.take(this.compactSize());
  }

  skipList(): void {
    for (let left = this.compactSize(); left > 0; left -= 1) this.skipBytes();
  }
}

function skipFederationParams(reader: Reader): void {
  const kind = reader.take(1).readUInt8();
  if (kind === NULL_PARAMS) return;
  if (kind !== COMPACT_PARAMS && kind !== FULL_PARAMS) throw new Error(`header: federation parameters of kind ${kind}`);
  reader.skipBytes(); // signblock script
  reader.uint32(); // weight limit of the signblock witness
  if (kind === COMPACT_PARAMS) {
    reader.take(32); // root of the rest
    return;
  }
  reader.skipBytes(); // fedpeg program
  reader.skipBytes(); // fedpeg script
  reader.skipList(); // extension space
}

/** Reads a header. @throws Error if it is cut short, too long or malformed. */
export function parseHeader(bytes: Buffer): BlockHeader {
  const reader = new Reader(bytes);
  const isDynafed = (reader.uint32() & DYNAMIC_FEDERATION_BIT) !== 0;
  const prevHash = blockHash(displayHex(reader.take(32)));
  const merkleRoot = displayHex(reader.take(32));
  const time = unixSecs(reader.uint32());
  const height = blockHeight(reader.uint32());
  if (isDynafed) {
    skipFederationParams(reader); // current
    skipFederationParams(reader); // proposed
  } else {
    reader.skipBytes(); // challenge
  }
  const hash = blockHash(displayHex(hash256(bytes.subarray(0, reader.offset))));
  if (isDynafed) reader.skipList();
  else reader.skipBytes();
  if (reader.offset !== bytes.length) throw new Error(`header: ${bytes.length - reader.offset} bytes too many`);
  return { hash, prevHash, merkleRoot, time, height };
}
