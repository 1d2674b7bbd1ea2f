/** Writes BOLT 11 texts field by field, so that tests can make what no library agrees to write. */
import { createHash } from 'node:crypto';

import { signRecoverable } from 'tiny-secp256k1';

const CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];

/** Field types of BOLT 11. */
export const FIELD = {
  paymentHash: 1,
  features: 5,
  expiry: 6,
  description: 13,
  secret: 16,
  payee: 19,
  descriptionHash: 23,
  finalCltv: 24,
} as const;

export type Field = readonly [type: number, words: readonly number[]];

function polymod(words: readonly number[]): number {
  let checksum = 1;
  for (const word of words) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ word;
    GENERATOR.forEach((factor, i) => {
      if ((top >> i) & 1) checksum ^= factor;
    });
  }
  return checksum;
}

function bech32(prefix: string, words: readonly number[]): string {
  const codes = [...Buffer.from(prefix, 'ascii')];
  const expanded = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
  const checksum = polymod([...expanded, ...words, 0, 0, 0, 0, 0, 0]) ^ 1;
  const tail = [25, 20, 15, 10, 5, 0].map((shift) => (checksum >>> shift) & 31);
  return `${prefix}1${[...words, ...tail].map((word) => CHARSET.charAt(word)).join('')}`;
}

/** Bits regrouped, padded with zeros. */
function regroup(values: readonly number[], from: number, to: number): number[] {
  const bits = values.map((value) => value.toString(2).padStart(from, '0')).join('');
  const groups = bits.match(new RegExp(`.{1,${to}}`, 'g')) ?? [];
  return groups.map((group) => Number.parseInt(group.padEnd(to, '0'), 2));
}

export const bytesField = (bytes: Uint8Array): number[] => regroup([...bytes], 8, 5);

/** An integer in as many words as given. */
export const integerField = (value: number, words: number): number[] =>
  regroup(
    Array.from(value.toString(2).padStart(words * 5, '0'), (bit) => (bit === '1' ? 1 : 0)),
    1,
    5,
  );

/** Feature bits, bit 0 last. */
export function featuresField(bits: readonly number[]): number[] {
  const length = Math.ceil((Math.max(...bits) + 1) / 5) * 5;
  const text = Array.from({ length }, (_, i) => (bits.includes(length - 1 - i) ? 1 : 0));
  return regroup(text, 1, 5);
}

/** Order of secp256k1. */
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

type Unsigned = { readonly prefix: string; readonly createdAt: number; readonly fields: readonly Field[] };

/** What is hashed with SHA256 and signed, and how a signature of it (64 bytes) makes an invoice. */
export function unsignedInvoice({ prefix, createdAt, fields }: Unsigned): {
  readonly message: Buffer;
  readonly withSignature: (signature: Uint8Array, recoveryId: number) => string;
} {
  const words = [
    ...integerField(createdAt, 7),
    ...fields.flatMap(([type, data]) => [type, ...integerField(data.length, 2), ...data]),
  ];
  return {
    message: Buffer.concat([Buffer.from(prefix, 'ascii'), Uint8Array.from(regroup(words, 5, 8))]),
    withSignature: (signature, recoveryId) => bech32(prefix, [...words, ...regroup([...signature, recoveryId], 8, 5)]),
  };
}

/** A signed invoice of these fields; `isHighS` turns the signature into its non-canonical twin. */
export function rawInvoice(
  options: Unsigned & { readonly privateKey: Uint8Array; readonly isHighS?: boolean },
): string {
  const { message, withSignature } = unsignedInvoice(options);
  const digest = createHash('sha256').update(message).digest();
  const { signature, recoveryId } = signRecoverable(digest, options.privateKey);
  if (options.isHighS !== true) return withSignature(signature, recoveryId);
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
  const twin = Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex');
  return withSignature(Buffer.concat([signature.subarray(0, 32), twin]), recoveryId ^ 1);
}
