/** Private keys as text (WIF), so that other wallets can read a claim kit. Pure. */
import { createHash } from 'node:crypto';

import type { LiquidNetworkName } from '../core/network.js';
import { SwapError } from '../errors.js';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
/** Marks a key whose public key is compressed. */
const COMPRESSED = 1;

const versionOf = (network: LiquidNetworkName): number => (network === 'liquidv1' ? 0x80 : 0xef);

const checksum = (payload: Uint8Array): Buffer =>
  createHash('sha256').update(createHash('sha256').update(payload).digest()).digest().subarray(0, 4);

function toBase58(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (; value > 0n; value /= 58n) text = ALPHABET.charAt(parseInt((value % 58n).toString(), 10)) + text;
  return text;
}

function fromBase58(text: string): Buffer {
  let value = 0n;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return Buffer.alloc(0);
    value = value * 58n + BigInt(digit);
  }
  const digits = value.toString(16);
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
}

/** Wallet import format of a 32-byte private key with a compressed public key. */
export function encodeWif(privateKey: Uint8Array, network: LiquidNetworkName): string {
  const payload = Buffer.concat([Buffer.of(versionOf(network)), privateKey, Buffer.of(COMPRESSED)]);
  return toBase58(Buffer.concat([payload, checksum(payload)]));
}

/**
 * The private key of a WIF text.
 *
 * @throws SwapError `invalid_argument` if it is malformed or of another network; the message does not show it.
 */
export function decodeWif(text: string, network: LiquidNetworkName): Buffer {
  const bytes = fromBase58(text);
  const payload = bytes.subarray(0, -4);
  const isWhole = payload.length === 34 && payload[33] === COMPRESSED && checksum(payload).equals(bytes.subarray(-4));
  if (!isWhole || payload[0] !== versionOf(network)) {
    throw new SwapError('invalid_argument', `claim key: expected WIF of ${network}, found another text`);
  }
  return Buffer.from(payload.subarray(1, 33));
}
