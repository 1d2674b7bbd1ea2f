/**
 * Spending an HTLC: the buyer's claim and the seller's refund. Pure.
 *
 * Both take a set of outpoints of one witness script, pay the asset to one script, the fee out of the L-BTC among them,
 * and the rest of that back. The same outpoints at a higher rate give a replacement.
 */
import type { Transaction } from 'liquidjs-lib';

import { SwapError } from '../errors.js';
import { isConfidential, type RandomBytes, type Zkp } from './blind.js';
import { claimWitness, hashPreimage, parseHtlcWitnessScript, pubkeyHash, publicKeyOf, refundWitness } from './htlc.js';
import { buildTransaction, explicitInput, explicitValueBytes, feeFor, fullVsize, SEQUENCE_REPLACEABLE } from './tx.js';
import { isHtlcSignature, signHtlcInput, type HtlcOutpoint, type TxInput, type TxOutput } from './tx.js';
import { assetAmount, sat, type AssetId, type Preimage, type Pubkey, type Sat, type SatPerKvb } from './units.js';

/** What a claim and a refund have in common. */
export type HtlcSpendOptions = {
  readonly zkp: Zkp;
  /** The HTLC's explicit outputs to spend: the asset's, L-BTC's, or both. */
  readonly outpoints: readonly HtlcOutpoint[];
  readonly witnessScript: Uint8Array;
  /** Private key of the branch, 32 bytes. */
  readonly privateKey: Uint8Array;
  /** Where asset and change go. */
  readonly payoutScript: Uint8Array;
  /** Blinds asset and change for the payout script's owner. */
  readonly blindingPubkey?: Pubkey;
  readonly policyAsset: AssetId;
  readonly feeRate: SatPerKvb;
  /** The fee never exceeds this, whatever the rate. */
  readonly maxFeeSat: Sat;
  /**
   * L-BTC coins of a wallet that help to pay the fee. They follow the HTLC's inputs; the caller signs them afterwards,
   * as P2WPKH. A confidential one needs `blindingPubkey`.
   */
  readonly feeInputs?: readonly TxInput[];
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

/** Outputs for a given fee; without change all L-BTC is fee. */
function outputsFor(
  options: HtlcSpendOptions,
  parts: { asset: readonly TxInput[]; changeSat: bigint; feeSat: bigint },
): TxOutput[] {
  const { payoutScript, blindingPubkey, policyAsset } = options;
  const { asset, changeSat, feeSat } = parts;
  const blinding = blindingPubkey === undefined ? {} : { blindingPubkey };
  const first = asset[0];
  const total = asset.reduce((sum, input) => sum + input.value, 0n);
  const payouts = [
    ...(first === undefined ? [] : [{ assetId: first.assetId, value: assetAmount(total) }]),
    ...(changeSat === 0n ? [] : [{ assetId: policyAsset, value: assetAmount(changeSat) }]),
  ];
  return [
    ...payouts.map((payout) => ({ ...payout, scriptPubKey: payoutScript, ...blinding })),
    { scriptPubKey: Buffer.alloc(0), assetId: policyAsset, value: assetAmount(feeSat) },
  ];
}

/** Virtual size with the longest possible witnesses: never below that of the signed transaction. */
function sizeOf(unsigned: Transaction, branch: Branch, htlcInputs: number): number {
  const tx = unsigned.clone();
  const htlcWitness = branch.witness(Buffer.alloc(MAX_SIGNATURE_BYTES));
  const keyWitness = [Buffer.alloc(MAX_SIGNATURE_BYTES), Buffer.alloc(33)];
  tx.ins.forEach((_, i) => {
    tx.setWitness(i, i < htlcInputs ? htlcWitness : keyWitness);
  });
  return fullVsize(tx);
}

/** The unsigned transaction: with change if 500 sat or more are left for it, else all the L-BTC is fee. */
function buildUnsigned(options: HtlcSpendOptions, branch: Branch): HtlcSpend {
  const { zkp, outpoints, feeRate, maxFeeSat, randomBytes, feeInputs = [] } = options;
  const inputs = [...outpoints.map((outpoint) => explicitInput(outpoint, branch.sequence)), ...feeInputs];
  const { lbtcSat, asset } = sortInputs(inputs, options.policyAsset);
  const build = (changeSat: bigint, feeSat: bigint): Transaction => {
    const outputs = outputsFor(options, { asset, changeSat, feeSat });
    return buildTransaction(zkp, { inputs, outputs, locktime: branch.locktime, randomBytes });
  };
  const feeOf = (tx: Transaction): Sat => feeFor(sizeOf(tx, branch, outpoints.length), feeRate);
  if (lbtcSat > MIN_CHANGE_SAT) {
    const feeSat = feeOf(build(lbtcSat - 1n, 1n));
    if (lbtcSat - feeSat >= MIN_CHANGE_SAT) {
      if (feeSat > maxFeeSat) tooExpensive(feeSat, `at most ${maxFeeSat.toString()} allowed`);
      return { tx: build(lbtcSat - feeSat, feeSat), feeSat };
    }
    if (asset.length === 0) tooExpensive(feeSat, `${lbtcSat.toString()} there, of which 500 must remain`);
  }
  if (asset.length === 0) refuse('L-BTC to spend', `more than ${MIN_CHANGE_SAT.toString()} sat`, lbtcSat.toString());
  if (lbtcSat === 0n) refuse('inputs', 'L-BTC to pay the fee', 'the asset alone');
  const tx = build(0n, lbtcSat);
  const needed = feeOf(tx);
  if (needed > lbtcSat) tooExpensive(needed, `${lbtcSat.toString()} there`);
  if (lbtcSat > maxFeeSat) tooExpensive(lbtcSat, `at most ${maxFeeSat.toString()} allowed`);
  return { tx, feeSat: lbtcSat };
}

function buildSpend(options: HtlcSpendOptions, branch: Branch): HtlcSpend {
  const { outpoints, witnessScript, privateKey, feeInputs = [] } = options;
  if (outpoints.length === 0) refuse('outpoints', 'at least one', 'none');
  if (options.blindingPubkey === undefined && feeInputs.some(isConfidential)) {
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
