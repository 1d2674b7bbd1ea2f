/** Elements' integer and string encodings. */

/** 32-bit little-endian. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** Variable-length count, up to 2^32 - 1. */
export function compactSize(value: number): Buffer {
  if (value < 0xfd) return Buffer.of(value);
  if (value <= 0xffff) return Buffer.of(0xfd, value & 0xff, value >> 8);
  return Buffer.concat([Buffer.of(0xfe), uint32(value)]);
}

/** Bytes with their count in front. */
export const varBytes = (bytes: Uint8Array): Buffer => Buffer.concat([compactSize(bytes.length), bytes]);
