/**
 * Spending an HTLC: the buyer's claim and the seller's refund. Pure.
 *
 * Both take a set of outpoints of one witness script, pay the asset to one script, the fee out of the L-BTC among them,
 * and the rest of that back. The same outpoints at a higher rate give a replacement.
 */
import type { Transaction } from 'liquidjs-lib';

import { SwapError } from '../errors.js';
import { isConfidential, type RandomBytes, type Zkp } from './blind.js';
import { leastReplacementFee, sizesOf as signedSizes, type Replaced, type Sizes } from './replacement.js';
import { claimWitness, hashPreimage, parseHtlcWitnessScript, pubkeyHash, publicKeyOf, refundWitness } from './htlc.js';
import { outputsFor, type PayoutOptions } from './htlcOutputs.js';
import { buildTransaction, explicitInput, explicitValueBytes, feeFor, SEQUENCE_REPLACEABLE } from './tx.js';
import { isHtlcSignature, signHtlcInput, type HtlcOutpoint, type TxInput } from './tx.js';
import { sat, type AssetId, type Preimage, type Pubkey, type Sat, type SatPerKvb } from './units.js';

/** What a claim and a refund have in common. */
export type HtlcSpendOptions = PayoutOptions & {
  readonly zkp: Zkp;
  /** The HTLC's explicit outputs to spend: the asset's, L-BTC's, or both. */
  readonly outpoints: readonly HtlcOutpoint[];
  readonly witnessScript: Uint8Array;
  /** Private key of the branch, 32 bytes. */
  readonly privateKey: Uint8Array;
  readonly feeRate: SatPerKvb;
  /** The fee never exceeds this, whatever the rate. */
  readonly maxFeeSat: Sat;
  /** Transactions that this one has to replace, whatever the rate. */
  readonly replaces?: readonly Replaced[];
  /** Where the L-BTC does not suffice for the rate, all that may be paid is, if it still replaces what it has to. */
  readonly isBestEffort?: boolean;
  readonly randomBytes: RandomBytes;
};

/** A signed transaction (but for `feeInputs`) and its fee. */
export type HtlcSpend = { readonly tx: Transaction; readonly feeSat: Sat };

/** No output of L-BTC below this: nodes with the old dust relay fee would not relay it. */
const MIN_CHANGE_SAT = 500n;
/** DER with 33-byte r and 32-byte s, and the hash type: no signature we make is longer. */
const MAX_SIGNATURE_BYTES = 72;

/** How the spent branch differs: its lock time and sequence, and the witness around a signature. */
type Branch = {
  readonly locktime: number;
  readonly sequence: number;
  readonly witness: (signature: Uint8Array) => Buffer[];
};

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

/** The public key of the branch's private key, checked against the hash in the script. */
function branchPubkey(privateKey: Uint8Array, pkh: string): Pubkey {
  const key = publicKeyOf(privateKey);
  if (key === undefined || pubkeyHash(key) !== pkh) refuse('private key', 'that of the branch', 'another');
  return key;
}

function tooExpensive(feeSat: bigint, limit: string): never {
  throw new SwapError('feerate_too_high', `fee in sat: ${feeSat.toString()} needed, ${limit}`);
}

/** What the inputs hold: L-BTC, and one other asset at most. */
function sortInputs(inputs: readonly TxInput[], policyAsset: AssetId): { lbtcSat: Sat; asset: TxInput[] } {
  const asset = inputs.filter((input) => input.assetId !== policyAsset);
  if (new Set(asset.map((input) => input.assetId)).size > 1) refuse('outpoints', 'one asset and L-BTC', 'two assets');
  const lbtc = inputs.filter((input) => input.assetId === policyAsset);
  return { lbtcSat: sat(lbtc.reduce((sum, input) => sum + input.value, 0n)), asset };
}

/** Sizes with the longest possible witnesses: never below those of the signed transaction. */
function sizeOf(unsigned: Transaction, branch: Branch, htlcInputs: number): Sizes {
  const tx = unsigned.clone();
  const htlcWitness = branch.witness(Buffer.alloc(MAX_SIGNATURE_BYTES));
  const keyWitness = [Buffer.alloc(MAX_SIGNATURE_BYTES), Buffer.alloc(33)];
  tx.ins.forEach((_, i) => {
    tx.setWitness(i, i < htlcInputs ? htlcWitness : keyWitness);
  });
  return signedSizes(tx);
}

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** The fee by the rate, or what replacing costs; `most` if that is less, suffices to replace and is allowed to do. */
function feeWithin(options: HtlcSpendOptions, size: Sizes, most: bigint): Sat {
  const byRate = feeFor(size.vsize, options.feeRate);
  const toReplace = leastReplacementFee(options.replaces ?? [], size);
  const needed = byRate > toReplace ? byRate : toReplace;
  return options.isBestEffort === true && most < needed && most >= toReplace && most > 0n ? sat(most) : needed;
}

/** The unsigned transaction: with change if 500 sat or more are left for it, else all the L-BTC is fee. */
function buildUnsigned(options: HtlcSpendOptions, branch: Branch): HtlcSpend {
  const { zkp, outpoints, maxFeeSat, randomBytes, feeInputs = [] } = options;
  const inputs = [...outpoints.map((outpoint) => explicitInput(outpoint, branch.sequence)), ...feeInputs];
  const { lbtcSat, asset } = sortInputs(inputs, options.policyAsset);
  const build = (changeSat: bigint, feeSat: bigint): Transaction => {
    const outputs = outputsFor(options, { asset, changeSat, feeSat });
    return buildTransaction(zkp, { inputs, outputs, locktime: branch.locktime, randomBytes });
  };
  const feeOf = (tx: Transaction, most: bigint): Sat => feeWithin(options, sizeOf(tx, branch, outpoints.length), most);
  if (lbtcSat > MIN_CHANGE_SAT) {
    // With an asset to pay out, a best effort leaves no change.
    const most = lesser(maxFeeSat, asset.length === 0 ? lbtcSat - MIN_CHANGE_SAT : maxFeeSat);
    const feeSat = feeOf(build(lbtcSat - 1n, 1n), most);
    if (lbtcSat - feeSat >= MIN_CHANGE_SAT) {
      if (feeSat > maxFeeSat) tooExpensive(feeSat, `at most ${maxFeeSat.toString()} allowed`);
      return { tx: build(lbtcSat - feeSat, feeSat), feeSat };
    }
    if (asset.length === 0) tooExpensive(feeSat, `${lbtcSat.toString()} there, of which 500 must remain`);
  }
  if (asset.length === 0) refuse('L-BTC to spend', `more than ${MIN_CHANGE_SAT.toString()} sat`, lbtcSat.toString());
  if (lbtcSat === 0n) refuse('inputs', 'L-BTC to pay the fee', 'the asset alone');
  const tx = build(0n, lbtcSat);
  const needed = feeOf(tx, lbtcSat);
  if (needed > lbtcSat) tooExpensive(needed, `${lbtcSat.toString()} there`);
  if (lbtcSat > maxFeeSat) tooExpensive(lbtcSat, `at most ${maxFeeSat.toString()} allowed`);
  return { tx, feeSat: lbtcSat };
}

function buildSpend(options: HtlcSpendOptions, branch: Branch): HtlcSpend {
  const { outpoints, witnessScript, privateKey, feeInputs = [] } = options;
  if (outpoints.length === 0) refuse('outpoints', 'at least one', 'none');
  const { blindingPubkey, changeBlindingPubkey } = options;
  if (blindingPubkey === undefined && changeBlindingPubkey === undefined && feeInputs.some(isConfidential)) {
    refuse('blinding key', 'one, since a fee input is confidential', 'none');
  }
  const { tx, feeSat } = buildUnsigned(options, branch);
  outpoints.forEach(({ value }, i) => {
    const signature = signHtlcInput(tx, i, { witnessScript, privateKey, prevoutValue: explicitValueBytes(value) });
    tx.setWitness(i, branch.witness(signature));
  });
  return { tx, feeSat };
}

/**
 * The buyer's claim.
 *
 * @param options.sequence 0xfffffffd (replaceable), or 0xffffffff when the refund height is near.
 * @throws SwapError `feerate_too_high` if the fee exceeds the L-BTC among the inputs or `maxFeeSat`;
 *   `invalid_argument` if script, key and preimage do not belong together, or an amount is out of range.
 */
export function buildClaim(
  options: HtlcSpendOptions & { readonly preimage: Preimage; readonly sequence: number },
): HtlcSpend {
  const { preimage, witnessScript, sequence } = options;
  const terms = parseHtlcWitnessScript(witnessScript);
  if (hashPreimage(preimage) !== terms.paymentHash) refuse('preimage', 'the one of the payment hash', 'another');
  const claimPubkey = branchPubkey(options.privateKey, terms.claimPkh);
  return buildSpend(options, {
    locktime: 0,
    sequence,
    witness: (signature) => claimWitness({ signature, claimPubkey, preimage, witnessScript }),
  });
}

/**
 * The seller's refund: lock time is the script's refund height, replaceable. A node takes it from that height on.
 *
 * @throws SwapError `feerate_too_high` if the fee exceeds the L-BTC among the inputs or `maxFeeSat`;
 *   `invalid_argument` if script and key do not belong together, or an amount is out of range.
 */
export function buildRefund(options: HtlcSpendOptions): HtlcSpend {
  const { witnessScript } = options;
  const terms = parseHtlcWitnessScript(witnessScript);
  const refundPubkey = branchPubkey(options.privateKey, terms.refundPkh);
  return buildSpend(options, {
    locktime: terms.refundHeight,
    sequence: SEQUENCE_REPLACEABLE,
    witness: (signature) => refundWitness({ signature, refundPubkey, witnessScript }),
  });
}

/**
 * True if the input spends the HTLC outpoint by a refund that the key signed. A txid says nothing about witnesses, so only
 * the signature tells a refund of ours from what a server made up.
 */
export function isRefundBy(
  tx: Transaction,
  index: number,
  options: { readonly outpoint: HtlcOutpoint; readonly witnessScript: Uint8Array; readonly refundPubkey: Pubkey },
): boolean {
  const { outpoint, witnessScript, refundPubkey } = options;
  const signature = tx.ins[index]?.witness[0];
  if (signature === undefined) return false;
  const prevoutValue = explicitValueBytes(outpoint.value);
  return isHtlcSignature(tx, index, { witnessScript, pubkey: refundPubkey, prevoutValue, signature });
}
