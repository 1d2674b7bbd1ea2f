/** The relay policy of Elements Core 23: which scripts are standard, what dust is, what a transaction must pay. */
import { instructions } from './scriptEval.js';
import { isOpTrue, isP2wsh } from './spend.js';
import { explicitValue, isFee, type Output, type Transaction } from './transaction.js';

/** Rates are satoshi per 1000 virtual bytes. */
export type Policy = {
  /** Serialized explicit asset in which fees are paid. */
  readonly policyAsset: Buffer;
  relayFloor: bigint;
  readonly dustRate: bigint;
  readonly incrementalRate: bigint;
  /** Whether the relay fee is measured by the discounted size of confidential transactions. */
  readonly isDiscounted: boolean;
  readonly isDynafed: boolean;
};

export const MAX_STANDARD_WEIGHT = 400_000;
export const MAX_SCRIPT_SIG_BYTES = 1650;
/** Unconfirmed ancestors or descendants of a transaction, itself included. */
export const MAX_CHAIN_LENGTH = 25;
/** Transactions that one replacement may evict. */
export const MAX_REPLACED = 100;

const MAX_NULL_DATA_BYTES = 83;
const MAX_WITNESS_SCRIPT_BYTES = 3600;
const MAX_WITNESS_ITEMS = 100;
const MAX_WITNESS_ITEM_BYTES = 80;
/** Size of the input that would spend an output, as the dust rule counts it. */
const WITNESS_INPUT_BYTES = 67;
const PLAIN_INPUT_BYTES = 148;
const OP_RETURN = 0x6a;

export type ScriptKind = 'fee' | 'true' | 'witness' | 'nullData' | 'pubkeyHash' | 'scriptHash' | 'nonstandard';

function isWitnessProgram(script: Buffer): boolean {
  if (script.length < 4 || script.length > 42) return false;
  const [version = 0xff, length] = script;
  return (version === 0 || (version >= 0x51 && version <= 0x60)) && length === script.length - 2;
}

export function isPushOnly(script: Buffer): boolean {
  try {
    for (const { opcode } of instructions(script)) if (opcode > 0x60) return false;
    return true;
  } catch {
    return false;
  }
}

export function kindOfScript(script: Buffer): ScriptKind {
  if (script.length === 0) return 'fee';
  if (isOpTrue(script)) return 'true';
  if (isWitnessProgram(script)) return 'witness';
  if (script[0] === OP_RETURN && script.length <= MAX_NULL_DATA_BYTES && isPushOnly(script.subarray(1)))
    return 'nullData';
  const text = script.toString('hex');
  if (/^76a914[0-9a-f]{40}88ac$/.test(text)) return 'pubkeyHash';
  if (/^a914[0-9a-f]{40}87$/.test(text)) return 'scriptHash';
  return 'nonstandard';
}

/** Fee for a size at a rate, rounded up as the node does. */
export const feeAt = (vsize: number, rate: bigint): bigint => (BigInt(vsize) * rate + 999n) / 1000n;

/** Whether an explicit policy-asset output costs more to spend than it is worth. Blinded and issued ones never are dust. */
export function isDust(output: Output, policy: Policy): boolean {
  const value = explicitValue(output.value);
  if (value === undefined || !output.asset.equals(policy.policyAsset)) return false;
  const { asset, nonce, script } = output;
  const lengthBytes = script.length < 0xfd ? 1 : 3;
  const outputBytes = asset.length + output.value.length + nonce.length + lengthBytes + script.length;
  const inputBytes = isWitnessProgram(script) ? WITNESS_INPUT_BYTES : PLAIN_INPUT_BYTES;
  return value < feeAt(outputBytes + inputBytes, policy.dustRate);
}

/** Policy asset paid in fee outputs. */
export function feeOf(tx: Transaction, policy: Policy): bigint {
  return tx.outs
    .filter((output) => isFee(output) && output.asset.equals(policy.policyAsset))
    .reduce((sum, output) => sum + (explicitValue(output.value) ?? 0n), 0n);
}

/** Whether the witness stays within what nodes relay for the script it opens. */
export function isStandardWitness(witness: readonly Buffer[], scriptPubKey: Buffer): boolean {
  const witnessScript = witness.at(-1);
  if (witnessScript === undefined) return true;
  if (!isWitnessProgram(scriptPubKey)) return false;
  if (!isP2wsh(scriptPubKey)) return true;
  const items = witness.slice(0, -1);
  return (
    witnessScript.length <= MAX_WITNESS_SCRIPT_BYTES &&
    items.length <= MAX_WITNESS_ITEMS &&
    items.every((item) => item.length <= MAX_WITNESS_ITEM_BYTES)
  );
}
