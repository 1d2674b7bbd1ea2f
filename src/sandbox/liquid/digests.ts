/** The hash functions of scripts, transactions and blocks. */
import { createHash } from 'node:crypto';

export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
export const ripemd160 = (bytes: Uint8Array): Buffer => createHash('ripemd160').update(bytes).digest();
/** SHA256 twice: txids, block hashes, merkle trees, signature hashes. */
export const hash256 = (bytes: Uint8Array): Buffer => sha256(sha256(bytes));
/** RIPEMD160 of SHA256: public key hashes. */
export const hash160 = (bytes: Uint8Array): Buffer => ripemd160(sha256(bytes));
