/** Rapid Gossip Sync snapshots, version 1, as a server makes them. Integers are big-endian. */
import { reversedBytes } from '../../src/core/units.js';

const REGTEST_GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206';

/** LDK ignores an update with more than there are bitcoins. */
const MAX_HTLC_MSAT = 900_000_000n;

type SnapshotChannel = {
  readonly scid: bigint;
  /** 33-byte keys, hex. */
  readonly between: readonly [string, string];
  readonly feeBaseMsat: number;
  readonly cltvDelta: number;
};

type SnapshotOptions = {
  /** Unix seconds. */
  readonly madeAt: number;
  readonly channels: readonly SnapshotChannel[];
  /** Display order. */
  readonly genesis?: string;
};

const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
function bigSize(value: bigint): Buffer {
  if (value < 0xfdn) return Buffer.from([Number(value)]);
  if (value <= 0xffffn) return Buffer.concat([Buffer.from([0xfd]), u16(Number(value))]);
  if (value <= 0xffff_ffffn) return Buffer.concat([Buffer.from([0xfe]), u32(Number(value))]);
  return Buffer.concat([Buffer.from([0xff]), u64(value)]);
}

/** The number by which gossip names a channel. */
export const shortChannelId = (height: number, position: number, vout: number): bigint =>
  (BigInt(height) << 40n) | (BigInt(position) << 16n) | BigInt(vout);

/** Both directions of every channel, with the same terms. */
export function rgsSnapshot({ madeAt, channels, genesis = REGTEST_GENESIS }: SnapshotOptions): Buffer {
  const nodes = [...new Set(channels.flatMap(({ between }) => between))].sort();
  const sorted = [...channels].sort((a, b) => (a.scid < b.scid ? -1 : 1));
  const first = sorted[0];
  const parts = [Buffer.from([76, 68, 75, 1]), reversedBytes(genesis), u32(madeAt)];
  parts.push(u32(nodes.length), ...nodes.map((key) => Buffer.from(key, 'hex')), u32(sorted.length));
  let last = 0n;
  for (const { scid, between } of sorted) {
    const [a, b] = between.map((key) => BigInt(nodes.indexOf(key))).sort((x, y) => Number(x - y));
    parts.push(u16(0), bigSize(scid - last), bigSize(a ?? 0n), bigSize(b ?? 0n));
    last = scid;
  }
  parts.push(u32(sorted.length * 2));
  if (first === undefined) return Buffer.concat(parts);
  // defaults of CLTV delta, least HTLC, base fee, proportional fee and greatest HTLC
  parts.push(u16(first.cltvDelta), u64(1n), u32(first.feeBaseMsat), u32(0), u64(MAX_HTLC_MSAT));
  last = 0n;
  for (const { scid, feeBaseMsat, cltvDelta } of sorted) {
    for (const direction of [0, 1]) {
      const isOtherCltv = cltvDelta !== first.cltvDelta;
      const isOtherFee = feeBaseMsat !== first.feeBaseMsat;
      parts.push(bigSize(scid - last), Buffer.from([direction | (isOtherCltv ? 64 : 0) | (isOtherFee ? 16 : 0)]));
      if (isOtherCltv) parts.push(u16(cltvDelta));
      if (isOtherFee) parts.push(u32(feeBaseMsat));
      last = scid;
    }
  }
  return Buffer.concat(parts);
}
