/**
 * Branded units and identifiers with checked constructors. Pure.
 *
 * Amounts are bigint, heights and times are safe integers, identifiers are lower-case hex. Arithmetic drops the brand, so
 * results are wrapped again, which checks their range. Txids, block hashes and asset ids are in display order here (the
 * reverse of the bytes inside transactions); {@link reversedBytes} converts.
 */
import { isPoint } from 'tiny-secp256k1';

import { SwapError } from '../errors.js';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Satoshi of L-BTC or BTC, 0..2.1e15. */
export type Sat = Brand<bigint, 'Sat'>;
/** Millisatoshi, 0..2.1e18. */
export type Msat = Brand<bigint, 'Msat'>;
/** Smallest units of any Liquid asset, 0..2.1e15 (consensus limit of an explicit value). */
export type AssetAmount = Brand<bigint, 'AssetAmount'>;
/** Fee rate, satoshi per 1000 virtual bytes. */
export type SatPerKvb = Brand<bigint, 'SatPerKvb'>;
/** Height of a block that exists or may come, 0..499_999_999 (above that a locktime is a time). */
export type BlockHeight = Brand<number, 'BlockHeight'>;
/** Seconds since 1970. */
export type UnixSecs = Brand<number, 'UnixSecs'>;
/** Transaction id, 64 hex digits, display order. */
export type Txid = Brand<string, 'Txid'>;
/** Block hash, 64 hex digits, display order. */
export type BlockHash = Brand<string, 'BlockHash'>;
/** Asset id, 64 hex digits, display order. */
export type AssetId = Brand<string, 'AssetId'>;
/** SHA256 of a preimage, 64 hex digits. */
export type PaymentHash = Brand<string, 'PaymentHash'>;
/** Swap id: 128 random bits, 32 hex digits. */
export type SwapId = Brand<string, 'SwapId'>;
/** Quote id: 128 random bits, 32 hex digits. */
export type QuoteId = Brand<string, 'QuoteId'>;
/** Compressed secp256k1 public key, 66 hex digits; a point of the curve. */
export type Pubkey = Brand<string, 'Pubkey'>;
/** 32 secret bytes whose SHA256 is the payment hash. Bytes, not text, so that no log prints it by accident. */
export type Preimage = Brand<Uint8Array, 'Preimage'>;

/** One output of a transaction. */
export type Outpoint = { readonly txid: Txid; readonly vout: number };

/** Greatest amount of one output and of all explicit outputs of a transaction together. */
export const MAX_MONEY = 2_100_000_000_000_000n;
const MAX_MSAT = MAX_MONEY * 1000n;
const LOCKTIME_THRESHOLD = 500_000_000;

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

function bigintIn(what: string, value: bigint, max: bigint): bigint {
  if (value < 0n || value > max) refuse(what, `0..${max.toString()}`, value.toString());
  return value;
}

function integerIn(what: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) refuse(what, `an integer 0..${max}`, value.toString());
  return value;
}

function hexOfBytes(what: string, value: string, bytes: number): string {
  if (value.length !== bytes * 2 || !/^[0-9a-f]*$/.test(value)) {
    refuse(what, `${bytes} bytes of lower-case hex`, `${value.length} characters`);
  }
  return value;
}

/** @throws SwapError `invalid_argument` outside 0..2.1e15. */
export const sat = (value: bigint): Sat => bigintIn('satoshi', value, MAX_MONEY) as Sat;
/** @throws SwapError `invalid_argument` outside 0..2.1e18. */
export const msat = (value: bigint): Msat => bigintIn('millisatoshi', value, MAX_MSAT) as Msat;
/** @throws SwapError `invalid_argument` outside 0..2.1e15. */
export const assetAmount = (value: bigint): AssetAmount => bigintIn('asset amount', value, MAX_MONEY) as AssetAmount;
/** @throws SwapError `invalid_argument` outside 0..1e9 sat/kvB. */
export const satPerKvb = (value: bigint): SatPerKvb => bigintIn('fee rate', value, 1_000_000_000n) as SatPerKvb;
/** @throws SwapError `invalid_argument` if not an integer below 500 000 000. */
export const blockHeight = (value: number): BlockHeight =>
  integerIn('block height', value, LOCKTIME_THRESHOLD - 1) as BlockHeight;
/** @throws SwapError `invalid_argument` if not a non-negative integer below 2^40. */
export const unixSecs = (value: number): UnixSecs => integerIn('Unix time', value, 2 ** 40) as UnixSecs;
/** @throws SwapError `invalid_argument` if not 64 lower-case hex digits. */
export const txid = (value: string): Txid => hexOfBytes('txid', value, 32) as Txid;
/** @throws SwapError `invalid_argument` if not 64 lower-case hex digits. */
export const blockHash = (value: string): BlockHash => hexOfBytes('block hash', value, 32) as BlockHash;
/** @throws SwapError `invalid_argument` if not 64 lower-case hex digits. */
export const assetId = (value: string): AssetId => hexOfBytes('asset id', value, 32) as AssetId;
/** @throws SwapError `invalid_argument` if not 64 lower-case hex digits. */
export const paymentHash = (value: string): PaymentHash => hexOfBytes('payment hash', value, 32) as PaymentHash;
/** @throws SwapError `invalid_argument` if not 32 lower-case hex digits. */
export const swapId = (value: string): SwapId => hexOfBytes('swap id', value, 16) as SwapId;
/** @throws SwapError `invalid_argument` if not 32 lower-case hex digits. */
export const quoteId = (value: string): QuoteId => hexOfBytes('quote id', value, 16) as QuoteId;

/** @throws SwapError `invalid_argument` if not a compressed point of the curve. */
export function pubkey(value: string): Pubkey {
  hexOfBytes('public key', value, 33);
  if (!isPoint(Buffer.from(value, 'hex'))) refuse('public key', 'a compressed point of secp256k1', value);
  return value as Pubkey;
}

/** @throws SwapError `invalid_argument` if not 32 bytes; the message does not show them. */
export function preimage(value: Uint8Array): Preimage {
  if (value.length !== 32) refuse('preimage', '32 bytes', `${value.length} bytes`);
  return value as Preimage;
}

/** @throws SwapError `invalid_argument` if the txid or the index (0..2^32-1) is malformed. */
export const outpoint = (id: string, vout: number): Outpoint => ({
  txid: txid(id),
  vout: integerIn('output index', vout, 0xffff_ffff),
});

/** `txid:vout`, the key of an outpoint in maps and logs. */
export const outpointKey = (point: Outpoint): string => `${point.txid}:${point.vout}`;

/** Millisatoshi to satoshi, rounded up. */
export const msatCeilToSat = (value: Msat): Sat => sat((value + 999n) / 1000n);
/** Satoshi to millisatoshi, exact. */
export const satToMsat = (value: Sat): Msat => msat(value * 1000n);

/** Bytes of a display-order identifier as they stand inside a transaction, and the way back. */
export const reversedBytes = (displayHex: string): Buffer => Buffer.from(displayHex, 'hex').reverse();
/** Display-order hex of 32 internal-order bytes. */
export const displayHex = (internal: Uint8Array): string => Buffer.from(internal).reverse().toString('hex');
/** Lower-case hex of bytes. */
export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** A bigint that is known to be small, as a number. @throws SwapError `invalid_argument` above 2^53 - 1. */
export function toSafeNumber(value: bigint): number {
  const result = Number(value);
  if (!Number.isSafeInteger(result)) refuse('integer', 'at most 2^53 - 1', value.toString());
  return result;
}
