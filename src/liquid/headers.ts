/**
 * Elements block headers and merkle branches. Pure.
 *
 * A header's proof has one of two shapes, told apart by bit 31 of the version: the legacy challenge and solution, or
 * dynamic federation parameters and a signblock witness (Elements, primitives/block.h). The hash leaves out the solution
 * and the witness. There is no work to check: a header is as honest as the server and as the agreement with other servers.
 */
import { createHash } from 'node:crypto';

import {
  blockHash,
  blockHeight,
  displayHex,
  reversedBytes,
  unixSecs,
  type BlockHash,
  type BlockHeight,
  type Txid,
  type UnixSecs,
} from '../core/units.js';
import { SwapError } from '../errors.js';

/** What a header says. */
export type BlockHeader = {
  readonly hash: BlockHash;
  readonly height: BlockHeight;
  readonly time: UnixSecs;
  readonly prevHash: BlockHash;
  /** Root of the tree of txids, 64 hex digits, display order. */
  readonly merkleRoot: string;
  /** Offset of the first byte after the header. */
  readonly end: number;
};

const DYNAMIC_FEDERATION_BIT = 0x8000_0000;
/** More levels than any block has transactions for. */
const MAX_BRANCH_LENGTH = 30;

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const hash256 = (bytes: Uint8Array): Buffer => sha256(sha256(bytes));

type Reader = {
  readonly offset: () => number;
  readonly take: (length: number) => Buffer;
  readonly uint32: () => number;
  readonly compactSize: () => number;
};

function readerOf(bytes: Buffer): Reader {
  let offset = 0;
  const take = (length: number): Buffer => {
    if (length > bytes.length - offset) {
      throw new SwapError('invalid_argument', `block header: ends after ${bytes.length} bytes, expected more`);
    }
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const uint32 = (): number => take(4).readUInt32LE();
  const compactSize = (): number => {
    const first = take(1).readUInt8();
    if (first < 0xfd) return first;
    if (first === 0xfd) return take(2).readUInt16LE();
    if (first === 0xfe) return uint32();
    throw new SwapError('invalid_argument', 'block header: a length above 2^32');
  };
  return { offset: () => offset, take, uint32, compactSize };
}

function skipBytes(reader: Reader): void {
  reader.take(reader.compactSize());
}

function skipStack(reader: Reader): void {
  for (let left = reader.compactSize(); left > 0; left -= 1) skipBytes(reader);
}

/** Dynamic federation parameters: 0 null, 1 compact (script, limit, root), 2 full. */
function skipFederationParams(reader: Reader): void {
  const kind = reader.take(1).readUInt8();
  if (kind === 0) return;
  if (kind > 2) throw new SwapError('invalid_argument', `block header: federation parameters of unknown kind ${kind}`);
  skipBytes(reader); // signblock script
  reader.uint32(); // signblock witness limit
  if (kind === 1) {
    reader.take(32);
    return;
  }
  skipBytes(reader); // fedpeg program
  skipBytes(reader); // fedpeg script
  skipStack(reader); // extension space
}

/**
 * Reads the header at the start of `bytes`; what follows it is left alone (see `end`).
 *
 * @throws SwapError `invalid_argument` if it is cut short or malformed.
 */
export function parseHeader(bytes: Uint8Array): BlockHeader {
  const buffer = Buffer.from(bytes);
  const reader = readerOf(buffer);
  const version = reader.uint32();
  const prevHash = blockHash(displayHex(reader.take(32)));
  const merkleRoot = displayHex(reader.take(32));
  const time = unixSecs(reader.uint32());
  const height = blockHeight(reader.uint32());
  let hashed: number;
  if ((version & DYNAMIC_FEDERATION_BIT) !== 0) {
    skipFederationParams(reader); // current
    skipFederationParams(reader); // proposed
    hashed = reader.offset();
    skipStack(reader); // signblock witness
  } else {
    skipBytes(reader); // challenge
    hashed = reader.offset();
    skipBytes(reader); // solution
  }
  const hash = blockHash(displayHex(hash256(buffer.subarray(0, hashed))));
  return { hash, height, time, prevHash, merkleRoot, end: reader.offset() };
}

/**
 * Root that a merkle branch leads to (Bitcoin's tree of txids), 64 hex digits, display order.
 *
 * @param options.branch siblings from the leaf upwards, 64 hex digits each, display order.
 * @param options.position of the transaction in its block.
 * @throws SwapError `invalid_argument` for a branch of more than 30 levels or a position outside the tree.
 */
export function merkleRootFromBranch(options: {
  readonly txid: Txid;
  readonly branch: readonly string[];
  readonly position: number;
}): string {
  const { txid, branch, position } = options;
  if (branch.length > MAX_BRANCH_LENGTH || branch.some((sibling) => !/^[0-9a-f]{64}$/.test(sibling))) {
    throw new SwapError('invalid_argument', 'merkle branch: expected at most 30 hashes of 64 lower-case hex digits');
  }
  if (!Number.isSafeInteger(position) || position < 0 || position >= 2 ** branch.length) {
    throw new SwapError(
      'invalid_argument',
      `merkle branch: position ${position} is outside a tree of ${branch.length} levels`,
    );
  }
  let hash = reversedBytes(txid);
  branch.forEach((sibling, level) => {
    const other = reversedBytes(sibling);
    const isRight = ((position >> level) & 1) === 1;
    hash = hash256(Buffer.concat(isRight ? [other, hash] : [hash, other]));
  });
  return displayHex(hash);
}
