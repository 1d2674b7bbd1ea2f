/**
 * The terms of a swap as canonical text, their hash, and the proof that a buyer holds its claim key. Pure.
 *
 * The invoice commits to the hash, so the Lightning node's signature on it is the seller's signature on the terms.
 * Both texts are fixed by docs/protocol.md, section 1; a change of either is a new version.
 */
import { createHash } from 'node:crypto';

import { sign, verify } from 'tiny-secp256k1';

import { SwapError } from '../errors.js';
import { checkedPkh, publicKeyOf } from './htlc.js';
import type { ProfileName } from './timelock.js';
import { assetAmount, assetId, blockHash, msat, paymentHash, pubkey, quoteId, reversedBytes, sat } from './units.js';
import {
  swapId,
  toSafeNumber,
  type AssetAmount,
  type AssetId,
  type BlockHash,
  type Msat,
  type PaymentHash,
} from './units.js';
import type { Pubkey, QuoteId, Sat, SwapId } from './units.js';

/** What both sides agree on before the invoice exists. */
export type Terms = {
  /** Hash of the Liquid chain's block 0. */
  readonly genesis: BlockHash;
  /** Lightning node that signs the invoice. */
  readonly sellerNodeId: Pubkey;
  readonly swapId: SwapId;
  readonly quoteId: QuoteId;
  readonly paymentHash: PaymentHash;
  readonly assetId: AssetId;
  readonly assetAmount: AssetAmount;
  readonly feeSubsidySat: Sat;
  readonly priceMsat: Msat;
  /** HASH160 of the claim key, 40 hex digits. */
  readonly claimPkh: string;
  /** HASH160 of the refund key, 40 hex digits. */
  readonly refundPkh: string;
  readonly profile: ProfileName;
  /** D: refund height minus tip when the funding is signed, Liquid blocks. */
  readonly refundDeltaBlocks: number;
  /** C: depth at which the invoice becomes visible, Liquid blocks. */
  readonly minFundingConfs: number;
  readonly invoiceExpirySecs: number;
};

/** What a claim proof binds. */
export type ClaimProofContext = {
  readonly genesis: BlockHash;
  readonly sellerNodeId: Pubkey;
  /** UUID, 8-4-4-4-12 lower-case hex digits. */
  readonly requestId: string;
  readonly quoteId: QuoteId;
  readonly claimPubkey: Pubkey;
};

const CLAIM_PROOF_TAG = createHash('sha256').update('ln-liquid-swap/claim-key/v1').digest();
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const PROFILE_NAMES: readonly ProfileName[] = ['routed', 'near', 'direct', 'regtest'];
const DECIMAL = /^(0|[1-9][0-9]{0,18})$/;

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

function count(what: string, value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) refuse(what, 'a non-negative integer', value.toString());
  return value.toString();
}

function profileName(value: string): ProfileName {
  const known = PROFILE_NAMES.find((name) => name === value);
  return known ?? refuse('profile', PROFILE_NAMES.join(' | '), 'another name');
}

/**
 * The terms as ASCII lines `key=value\n` in their fixed order: integers decimal, hex in lower case, ids in display order.
 *
 * @throws SwapError `invalid_argument` if a field is malformed, since the text could then be read in two ways.
 */
export function canonicalTerms(terms: Terms): string {
  const fields: readonly (readonly [key: string, value: string])[] = [
    ['ln-liquid-swap-terms', '1'],
    ['genesis', blockHash(terms.genesis)],
    ['seller_node_id', pubkey(terms.sellerNodeId)],
    ['swap_id', swapId(terms.swapId)],
    ['quote_id', quoteId(terms.quoteId)],
    ['payment_hash', paymentHash(terms.paymentHash)],
    ['asset_id', assetId(terms.assetId)],
    ['asset_amount', assetAmount(terms.assetAmount).toString()],
    ['fee_subsidy_sats', sat(terms.feeSubsidySat).toString()],
    ['price_msat', msat(terms.priceMsat).toString()],
    ['claim_pkh', checkedPkh('claim public key hash', terms.claimPkh)],
    ['refund_pkh', checkedPkh('refund public key hash', terms.refundPkh)],
    ['profile', profileName(terms.profile)],
    ['refund_delta_blocks', count('refund delta', terms.refundDeltaBlocks)],
    ['min_funding_confs', count('funding confirmations', terms.minFundingConfs)],
    ['invoice_expiry_secs', count('invoice expiry', terms.invoiceExpirySecs)],
  ];
  return fields.map(([key, value]) => `${key}=${value}\n`).join('');
}

/**
 * Terms out of their canonical text.
 *
 * @throws SwapError `invalid_argument` unless the text is exactly what {@link canonicalTerms} writes for them.
 */
export function parseTerms(text: string): Terms {
  const fields = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const field = (key: string): string => fields.get(key) ?? refuse('terms', `a line ${key}=`, 'none');
  const integer = (key: string): bigint => {
    const digits = field(key);
    return DECIMAL.test(digits) ? BigInt(digits) : refuse(key, 'a decimal integer', 'another text');
  };
  const terms: Terms = {
    genesis: blockHash(field('genesis')),
    sellerNodeId: pubkey(field('seller_node_id')),
    swapId: swapId(field('swap_id')),
    quoteId: quoteId(field('quote_id')),
    paymentHash: paymentHash(field('payment_hash')),
    assetId: assetId(field('asset_id')),
    assetAmount: assetAmount(integer('asset_amount')),
    feeSubsidySat: sat(integer('fee_subsidy_sats')),
    priceMsat: msat(integer('price_msat')),
    claimPkh: checkedPkh('claim public key hash', field('claim_pkh')),
    refundPkh: checkedPkh('refund public key hash', field('refund_pkh')),
    profile: profileName(field('profile')),
    refundDeltaBlocks: toSafeNumber(integer('refund_delta_blocks')),
    minFundingConfs: toSafeNumber(integer('min_funding_confs')),
    invoiceExpirySecs: toSafeNumber(integer('invoice_expiry_secs')),
  };
  // Order, spelling and the absence of other lines: one text per terms.
  return canonicalTerms(terms) === text ? terms : refuse('terms', 'their canonical text', 'another');
}

/** SHA256 of the canonical text, 64 hex digits: the invoice's description hash. */
export function termsHash(terms: Terms): string {
  return createHash('sha256').update(canonicalTerms(terms), 'ascii').digest('hex');
}

/**
 * The 32 bytes that a claim proof signs: SHA256(t || t || genesis (internal order) || seller node id || request id ||
 * quote id || claim public key), t = SHA256("ln-liquid-swap/claim-key/v1").
 *
 * @throws SwapError `invalid_argument` if the request id is no UUID or another field is malformed.
 */
export function claimProofDigest(context: ClaimProofContext): Buffer {
  const { requestId } = context;
  if (!UUID.test(requestId)) refuse('request id', 'a lower-case UUID', `${requestId.length} other characters`);
  return createHash('sha256')
    .update(CLAIM_PROOF_TAG)
    .update(CLAIM_PROOF_TAG)
    .update(reversedBytes(blockHash(context.genesis)))
    .update(pubkey(context.sellerNodeId), 'hex')
    .update(requestId.replaceAll('-', ''), 'hex')
    .update(quoteId(context.quoteId), 'hex')
    .update(pubkey(context.claimPubkey), 'hex')
    .digest();
}

/**
 * Proves that the buyer can sign with its claim key.
 *
 * @returns 64 bytes, compact ECDSA with low S.
 * @throws SwapError `invalid_argument` if the private key is not that of the claim key.
 */
export function signClaimProof(privateKey: Uint8Array, context: ClaimProofContext): Buffer {
  if (publicKeyOf(privateKey) !== context.claimPubkey) refuse('private key', 'that of the claim key', 'another');
  return Buffer.from(sign(claimProofDigest(context), privateKey));
}

/**
 * Whether the proof was made by the claim key for this request, quote, seller and chain. High S is refused.
 *
 * @throws SwapError `invalid_argument` if the context is malformed; a malformed proof is just false.
 */
export function verifyClaimProof(proof: Uint8Array, context: ClaimProofContext): boolean {
  const digest = claimProofDigest(context);
  if (proof.length !== 64) return false;
  try {
    const isLowSOnly = true;
    return verify(digest, Buffer.from(context.claimPubkey, 'hex'), proof, isLowSOnly);
  } catch {
    return false; // the library throws where r or s is not below the group order
  }
}
