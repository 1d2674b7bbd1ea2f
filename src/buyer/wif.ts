/** Private keys as text (WIF), so that other wallets can read a claim kit. Pure. */
import { decodeBase58Check, encodeBase58Check } from '../core/base58.js';
import type { LiquidNetworkName } from '../core/network.js';
import { SwapError } from '../errors.js';

/** Marks a key whose public key is compressed. */
const COMPRESSED = 1;

const versionOf = (network: LiquidNetworkName): number => (network === 'liquidv1' ? 0x80 : 0xef);

/** Wallet import format of a 32-byte private key with a compressed public key. */
export function encodeWif(privateKey: Uint8Array, network: LiquidNetworkName): string {
  const payload = Buffer.concat([Buffer.of(versionOf(network)), privateKey, Buffer.of(COMPRESSED)]);
  return encodeBase58Check(payload);
}

/**
 * The private key of a WIF text.
 *
 * @throws SwapError `invalid_argument` if it is malformed or of another network; the message does not show it.
 */
export function decodeWif(text: string, network: LiquidNetworkName): Buffer {
  const payload = decodeBase58Check(text);
  if (payload?.length !== 34 || payload[33] !== COMPRESSED || payload[0] !== versionOf(network)) {
    throw new SwapError('invalid_argument', `claim key: expected WIF of ${network}, found another text`);
  }
  return Buffer.from(payload.subarray(1, 33));
}
