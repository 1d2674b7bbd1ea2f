/**
 * The HTLC of a swap: script, output script, witnesses, and the way back. Pure.
 *
 * There is one template; everything that is not byte for byte this template is refused (docs/protocol.md, section 1).
 */
import { createHash } from 'node:crypto';

import { crypto, script } from 'liquidjs-lib';
import { isPrivate, pointFromScalar } from 'tiny-secp256k1';

import { SwapError } from '../errors.js';
import { blockHeight, hex, paymentHash, preimage, pubkey, type BlockHeight, type PaymentHash } from './units.js';
import type { Preimage, Pubkey } from './units.js';

/** What an HTLC binds. The public key hashes are HASH160, 40 lower-case hex digits. */
export type HtlcTerms = {
  readonly paymentHash: PaymentHash;
  readonly claimPkh: string;
  readonly refundPkh: string;
  /** T: the refund branch opens in the block after this height; 1..499 999 999. */
  readonly refundHeight: BlockHeight;
};

/** Opcodes of the template (Bitcoin's numbering). */
const OP = {
  PUSH_1: 0x51,
  PUSH_16: 0x60,
  IF: 0x63,
  ELSE: 0x67,
  ENDIF: 0x68,
  DROP: 0x75,
  DUP: 0x76,
  SIZE: 0x82,
  EQUALVERIFY: 0x88,
  SHA256: 0xa8,
  HASH160: 0xa9,
  CHECKSIG: 0xac,
  CHECKLOCKTIMEVERIFY: 0xb1,
} as const;

const PREIMAGE_BYTES = 32;
/** Fixed bytes before and after the push of T. */
const HEAD_BYTES = 66;
const TAIL_BYTES = 28;
const HASH_AT = 7;
const CLAIM_PKH_AT = 43;
const REFUND_PKH_FROM_END = 23;

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

/** @returns 40 lower-case hex digits. @throws SwapError `invalid_argument` if they are not. */
export function checkedPkh(what: string, value: string): string {
  if (!/^[0-9a-f]{40}$/.test(value)) refuse(what, '40 lower-case hex digits', `${value.length} characters`);
  return value;
}

/** Pushes at most 75 bytes. */
const push = (bytes: Buffer): number[] => [bytes.length, ...bytes];

/** Pushes a positive number the minimal way: one opcode for 1..16, else a script number. */
const pushNumber = (value: number): number[] =>
  value <= 16 ? [OP.PUSH_1 - 1 + value] : push(script.number.encode(value));

/** `OP_DUP OP_HASH160 <pkh> OP_EQUALVERIFY OP_CHECKSIG` */
const payToPubkeyHash = (pkh: string): number[] => [
  ...[OP.DUP, OP.HASH160, ...push(Buffer.from(pkh, 'hex'))],
  ...[OP.EQUALVERIFY, OP.CHECKSIG],
];

/**
 * The witness script of an HTLC.
 *
 * @throws SwapError `invalid_argument` if a hash is malformed or T is 0 or a time (500 000 000 and more).
 */
export function htlcWitnessScript(terms: HtlcTerms): Buffer {
  const refundHeight = blockHeight(terms.refundHeight);
  if (refundHeight < 1) refuse('refund height', 'at least 1', refundHeight.toString());
  // OP_IF
  //   OP_SIZE 32 OP_EQUALVERIFY OP_SHA256 <H> OP_EQUALVERIFY
  //   OP_DUP OP_HASH160 <claim_pkh> OP_EQUALVERIFY OP_CHECKSIG
  // OP_ELSE
  //   <T> OP_CHECKLOCKTIMEVERIFY OP_DROP
  //   OP_DUP OP_HASH160 <refund_pkh> OP_EQUALVERIFY OP_CHECKSIG
  // OP_ENDIF
  return Buffer.from([
    OP.IF,
    ...[OP.SIZE, ...pushNumber(PREIMAGE_BYTES), OP.EQUALVERIFY],
    ...[OP.SHA256, ...push(Buffer.from(paymentHash(terms.paymentHash), 'hex')), OP.EQUALVERIFY],
    ...payToPubkeyHash(checkedPkh('claim public key hash', terms.claimPkh)),
    OP.ELSE,
    ...[...pushNumber(refundHeight), OP.CHECKLOCKTIMEVERIFY, OP.DROP],
    ...payToPubkeyHash(checkedPkh('refund public key hash', terms.refundPkh)),
    OP.ENDIF,
  ]);
}

/** T out of its push: one opcode for 1..16, else a length byte and a positive script number of at most 4 bytes. */
function parseRefundHeight(bytes: Buffer): BlockHeight | undefined {
  const first = bytes[0] ?? 0;
  if (bytes.length === 1 && first >= OP.PUSH_1 && first <= OP.PUSH_16) return blockHeight(first - OP.PUSH_1 + 1);
  if (bytes.length < 2 || bytes.length > 5 || first !== bytes.length - 1) return undefined;
  return blockHeight(bytes.readUIntLE(1, bytes.length - 1));
}

/**
 * What a witness script binds, if it is the template byte for byte.
 *
 * @throws SwapError `invalid_argument` on any deviation: other opcodes, a T that is not minimally pushed or is a time.
 */
export function parseHtlcWitnessScript(witnessScript: Uint8Array): HtlcTerms {
  const bytes = Buffer.from(witnessScript);
  const tailAt = bytes.length - TAIL_BYTES;
  const refundHeight = tailAt > HEAD_BYTES ? parseRefundHeight(bytes.subarray(HEAD_BYTES, tailAt)) : undefined;
  if (refundHeight === undefined) refuse('witness script', 'the HTLC template', `${bytes.length} other bytes`);
  const refundPkhAt = bytes.length - REFUND_PKH_FROM_END;
  const terms: HtlcTerms = {
    paymentHash: paymentHash(hex(bytes.subarray(HASH_AT, HASH_AT + 32))),
    claimPkh: hex(bytes.subarray(CLAIM_PKH_AT, CLAIM_PKH_AT + 20)),
    refundPkh: hex(bytes.subarray(refundPkhAt, refundPkhAt + 20)),
    refundHeight,
  };
  // Whatever the offsets let through is caught here: only the template builds to these bytes.
  if (!htlcWitnessScript(terms).equals(bytes)) refuse('witness script', 'the HTLC template', 'another script');
  return terms;
}

/** `OP_0 <SHA256 of the witness script>`. */
export function p2wshScriptPubKey(witnessScript: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(0, 32), createHash('sha256').update(witnessScript).digest()]);
}

/** `OP_0 <HASH160 of the public key>`. */
export function p2wpkhScriptPubKey(key: Pubkey): Buffer {
  return Buffer.concat([Buffer.of(0, 20), Buffer.from(pubkeyHash(key), 'hex')]);
}

/** HASH160 of a compressed public key, 40 hex digits. */
export function pubkeyHash(key: Pubkey): string {
  return hex(crypto.hash160(Buffer.from(key, 'hex')));
}

/** The compressed public key of 32 private bytes, or undefined if they are no private key. */
export function publicKeyOf(privateKey: Uint8Array): Pubkey | undefined {
  const point = isPrivate(privateKey) ? pointFromScalar(privateKey, true) : null;
  return point === null ? undefined : pubkey(hex(point));
}

/** SHA256 of the preimage. */
export function hashPreimage(secret: Preimage): PaymentHash {
  return paymentHash(createHash('sha256').update(secret).digest('hex'));
}

/** Witness of the claim branch: signature (DER and hash type), public key, S, 01, script. */
export function claimWitness(options: {
  readonly signature: Uint8Array;
  readonly claimPubkey: Pubkey;
  readonly preimage: Preimage;
  readonly witnessScript: Uint8Array;
}): Buffer[] {
  const { signature, claimPubkey, witnessScript } = options;
  const key = Buffer.from(claimPubkey, 'hex');
  return [Buffer.from(signature), key, Buffer.from(options.preimage), Buffer.of(1), Buffer.from(witnessScript)];
}

/** Witness of the refund branch: signature (DER and hash type), public key, nothing, script. */
export function refundWitness(options: {
  readonly signature: Uint8Array;
  readonly refundPubkey: Pubkey;
  readonly witnessScript: Uint8Array;
}): Buffer[] {
  const { signature, refundPubkey, witnessScript } = options;
  return [Buffer.from(signature), Buffer.from(refundPubkey, 'hex'), Buffer.alloc(0), Buffer.from(witnessScript)];
}

/**
 * The preimage of `hash` in the witness of a spend, wherever it stands; undefined means the spend is no claim.
 * Neither the position nor the branch selector is trusted: a claim may carry other items.
 */
export function findPreimage(witness: readonly Uint8Array[], hash: PaymentHash): Preimage | undefined {
  return witness
    .filter((item) => item.length === PREIMAGE_BYTES)
    .map((item) => preimage(Uint8Array.from(item)))
    .find((item) => hashPreimage(item) === hash);
}
