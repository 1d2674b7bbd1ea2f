/**
 * Elements transactions as the ledger sees them: parsed and serialized by liquidjs-lib, sized and judged here.
 *
 * Values, assets and nonces stay in their serialized form: prefix 01 is explicit, anything else a commitment.
 */
import { Transaction, type Input, type Output } from 'liquidjs-lib/src/transaction.js';

import { displayHex, txid, type Txid } from '../../core/units.js';
import { compactSize } from './serialize.js';

export { Transaction, type Input, type Output };

const WITNESS_SCALE = 4;
const MAX_SCRIPT_BYTES = 10_000;
const OP_RETURN = 0x6a;
/** Bytes by which a commitment to a value is longer than an explicit value, and a nonce than none. */
const VALUE_COMMITMENT_EXTRA = 33 - 9;
const NONCE_EXTRA = 33 - 1;

/** Hex in its one canonical serialization, as a transaction; undefined where a node would say "TX decode failed". */
export function parseTransaction(rawHex: string): Transaction | undefined {
  if (!/^([0-9a-f]{2})+$/i.test(rawHex)) return undefined;
  let tx: Transaction;
  try {
    tx = Transaction.fromHex(rawHex);
    if (tx.toHex() !== rawHex.toLowerCase()) return undefined;
  } catch {
    return undefined; // the library throws plain errors of many kinds, all of them about the bytes
  }
  if (tx.flag > 1 || (tx.flag === 1 && !hasAnyWitness(tx))) return undefined;
  if (tx.ins.some(({ issuance }) => issuance !== undefined && isNull(issuance.assetAmount, issuance.tokenAmount))) {
    return undefined;
  }
  return tx;
}

const isNull = (...values: Buffer[]): boolean => values.every((value) => value.length === 1);

/** Whether anything follows the transaction's outputs: a witness of an input, or a proof. */
export function hasAnyWitness(tx: Transaction): boolean {
  const inputHas = (input: Input): boolean =>
    input.witness.length > 0 || isPegin(input) || issuanceProofs(input).some((proof) => proof.length > 0);
  const outputHas = (output: Output): boolean =>
    rangeProofOf(output).length > 0 || surjectionProofOf(output).length > 0;
  return tx.ins.some(inputHas) || tx.outs.some(outputHas);
}

const NOTHING = Buffer.alloc(0);

export const rangeProofOf = (output: Output): Buffer => output.rangeProof ?? NOTHING;
export const surjectionProofOf = (output: Output): Buffer => output.surjectionProof ?? NOTHING;
/** Range proofs of an input's issued amounts. */
export const issuanceProofs = (input: Input): Buffer[] => [
  input.issuanceRangeProof ?? NOTHING,
  input.inflationRangeProof ?? NOTHING,
];
/** Whether an input claims coins from Bitcoin, which does not exist here. */
export const isPegin = (input: Input): boolean => input.isPegin === true || (input.peginWitness ?? []).length > 0;

export const txidOf = (tx: Transaction): Txid => txid(tx.getId());
/** `txid:vout` of what an input spends. */
export const spentKey = (input: Input): string => `${displayHex(input.hash)}:${input.index}`;
/** The transaction that an input spends from. */
export const parentOf = (input: Input): Txid => txid(displayHex(input.hash));

/** A fee output has no script. */
export const isFee = (output: Output): boolean => output.script.length === 0;
/** Outputs that never enter the set of coins. */
export const isUnspendable = (script: Uint8Array): boolean =>
  script[0] === OP_RETURN || script.length > MAX_SCRIPT_BYTES;

/** The 64 bits of an explicit value (unsigned, perhaps out of range), or undefined for a commitment. */
export const explicitValue = (value: Buffer): bigint | undefined =>
  value.length === 9 && value[0] === 1 ? value.readBigUInt64BE(1) : undefined;

/** Serialized explicit value. */
export function valueBytes(value: bigint): Buffer {
  const bytes = Buffer.alloc(9, 1);
  bytes.writeBigUInt64BE(value, 1);
  return bytes;
}

/** Serialized explicit asset. */
export const assetBytes = (assetIdHex: string): Buffer =>
  Buffer.concat([Buffer.of(1), Buffer.from(assetIdHex, 'hex').reverse()]);

/** Weight without any discount. */
export const weightOf = (tx: Transaction): number => tx.weight(false);
/** Virtual size without any discount. */
export const vsizeOf = (tx: Transaction): number => Math.ceil(weightOf(tx) / WITNESS_SCALE);

/** Virtual size as if every output were explicit (Elements, ELIP 200): what the relay fee is measured by. */
export function discountVsizeOf(tx: Transaction): number {
  let weight = weightOf(tx);
  for (const output of tx.outs) {
    const proofBytes = proofSize(rangeProofOf(output)) + proofSize(surjectionProofOf(output));
    if (proofBytes > 0) weight -= Math.max(0, proofBytes - 2);
    if (explicitValue(output.value) === undefined) weight -= VALUE_COMMITMENT_EXTRA * WITNESS_SCALE;
    if (output.nonce.length === 33) weight -= NONCE_EXTRA * WITNESS_SCALE;
  }
  return Math.ceil(weight / WITNESS_SCALE);
}

const proofSize = (proof: Buffer): number => compactSize(proof.length).length + proof.length;
