/** Base58 with its checksum of four bytes, as old addresses and private keys are written. Pure. */
import { createHash } from 'node:crypto';

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const CHECKSUM_BYTES = 4;
/** More than any address or key; the time to decode grows with the square of the length. */
const MAX_CHARACTERS = 200;

const checksum = (payload: Uint8Array): Buffer =>
  createHash('sha256').update(createHash('sha256').update(payload).digest()).digest().subarray(0, CHECKSUM_BYTES);

/** Text of a payload with its checksum. */
export function encodeBase58Check(payload: Uint8Array): string {
  const bytes = Buffer.concat([payload, checksum(payload)]);
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (; value > 0n; value /= 58n) text = ALPHABET.charAt(parseInt((value % 58n).toString(), 10)) + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return ALPHABET.charAt(0).repeat(zeros) + text;
}

/** The payload of a text, or undefined if a character or the checksum is wrong. */
export function decodeBase58Check(text: string): Buffer | undefined {
  if (text === '' || text.length > MAX_CHARACTERS) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    value = value * 58n + BigInt(digit);
  }
  const digits = value === 0n ? '' : value.toString(16);
  const zeros = text.search(/[^1]/);
  const bytes = Buffer.concat([
    Buffer.alloc(zeros < 0 ? text.length : zeros),
    Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex'),
  ]);
  const payload = bytes.subarray(0, -CHECKSUM_BYTES);
  return checksum(payload).equals(bytes.subarray(-CHECKSUM_BYTES)) ? payload : undefined;
}
