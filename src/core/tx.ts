/**
 * Liquid transactions: build, blind, parse, sign, weigh. Pure: entropy and the zkp instance are parameters.
 */
import { crypto, script, Transaction } from 'liquidjs-lib';
import { sign, verify } from 'tiny-secp256k1';

import { SwapError } from '../errors.js';
import { chooseBlinders, confidentialFields, ZERO_BLINDER, type Blinded, type RandomBytes, type Zkp } from './blind.js';
import {
  assetAmount,
  assetId,
  blockHeight,
  MAX_MONEY,
  outpoint,
  outpointKey,
  pubkey,
  reversedBytes,
  sat,
} from './units.js';
import {
  txid,
  type AssetAmount,
  type AssetId,
  type Outpoint,
  type Pubkey,
  type Sat,
  type SatPerKvb,
  type Txid,
} from './units.js';

/** An input with what its previous output holds; both blinders are 32 zero bytes when that output is explicit. */
export type TxInput = Blinded & { readonly outpoint: Outpoint; readonly sequence: number };

/** An output; an empty script is the fee, a blinding key makes it confidential. */
export type TxOutput = {
  readonly scriptPubKey: Uint8Array;
  readonly assetId: AssetId;
  readonly value: AssetAmount;
  readonly blindingPubkey?: Pubkey;
};

/** An explicit output that pays an HTLC. */
export type HtlcOutpoint = { readonly outpoint: Outpoint; readonly assetId: AssetId; readonly value: AssetAmount };

/** Opt-in replaceable (BIP125), lock time active, no relative lock. */
export const SEQUENCE_REPLACEABLE = 0xffff_fffd;

const SIGHASH_ALL = 1;
const OP_RETURN = 0x6a;
/** The two upper bits of an input's index flag issuances and peg-ins. */
const MAX_VOUT = 0x3fff_ffff;
/** Surjection proofs over 70 and more inputs trap the library ("memory access out of bounds"). */
const MAX_INPUTS = 64;
const EXPLICIT_NONCE = Buffer.of(0);

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

/** 01 and the amount, 8 bytes big endian: an explicit value as serialized and as signed. */
export function explicitValueBytes(value: AssetAmount): Buffer {
  const bytes = Buffer.alloc(9, 1);
  bytes.writeBigUInt64BE(assetAmount(value), 1);
  return bytes;
}

/** 01 and the asset id in internal order. */
const explicitAssetBytes = (id: AssetId): Buffer => Buffer.concat([Buffer.of(1), reversedBytes(assetId(id))]);

/** An input whose previous output is explicit. */
export function explicitInput(point: HtlcOutpoint, sequence: number): TxInput {
  return { ...point, sequence, assetBlinder: ZERO_BLINDER, valueBlinder: ZERO_BLINDER };
}

function checkInputs(inputs: readonly TxInput[]): void {
  if (inputs.length < 1 || inputs.length > MAX_INPUTS) refuse('inputs', `1..${MAX_INPUTS}`, inputs.length.toString());
  const seen = new Set<string>();
  for (const input of inputs) {
    const point = outpoint(input.outpoint.txid, input.outpoint.vout);
    if (point.vout > MAX_VOUT) refuse('output index', `at most ${MAX_VOUT}`, point.vout.toString());
    if (!Number.isInteger(input.sequence) || input.sequence < 0 || input.sequence > 0xffff_ffff) {
      refuse('sequence', '0..4294967295', input.sequence.toString());
    }
    if (seen.has(outpointKey(point))) refuse('inputs', 'each outpoint once', `${outpointKey(point)} twice`);
    seen.add(outpointKey(point));
  }
}

function checkOutputs(outputs: readonly TxOutput[]): void {
  let explicitTotal = 0n;
  outputs.forEach((output, i) => {
    const isFee = output.scriptPubKey.length === 0;
    const isBlinded = output.blindingPubkey !== undefined;
    assetAmount(output.value);
    if (output.blindingPubkey !== undefined) pubkey(output.blindingPubkey);
    if (isBlinded && isFee) refuse(`output ${i}`, 'an explicit fee', 'a blinded one');
    // Consensus: an amount of 0 is allowed only where it cannot be spent.
    const mayBeZero = isBlinded && output.scriptPubKey[0] === OP_RETURN;
    if (output.value === 0n && !mayBeZero) refuse(`output ${i}`, 'an amount above 0', '0');
    if (!isBlinded) explicitTotal += output.value;
  });
  if (explicitTotal > MAX_MONEY) {
    refuse('explicit outputs', `at most ${MAX_MONEY.toString()} together`, explicitTotal.toString());
  }
}

const totalOf = (amounts: readonly { assetId: AssetId; value: AssetAmount }[], id: AssetId): bigint =>
  amounts.reduce((sum, amount) => (amount.assetId === id ? sum + assetAmount(amount.value) : sum), 0n);

function checkBalance(inputs: readonly TxInput[], outputs: readonly TxOutput[]): void {
  for (const id of new Set([...inputs, ...outputs].map((amount) => amount.assetId))) {
    const [paidIn, paidOut] = [totalOf(inputs, id), totalOf(outputs, id)];
    if (paidIn !== paidOut) refuse(`asset ${id}`, `outputs of ${paidIn.toString()}`, paidOut.toString());
  }
}

/**
 * An unsigned, blinded transaction of version 2. Outputs keep their order; the fee is an output with an empty script.
 *
 * A blinded output of 0 is allowed on an OP_RETURN script: it satisfies the rule that a confidential input needs a
 * blinded output when no change is left.
 *
 * @param options.locktime height below 500 000 000, 0 for none.
 * @throws SwapError `invalid_argument` if any asset does not balance, an outpoint is used twice, an amount is 0 or
 *   above the money range (alone, or all explicit ones together), a confidential input comes without a blinded output,
 *   or a blinding key is not a point.
 */
export function buildTransaction(
  zkp: Zkp,
  options: {
    readonly inputs: readonly TxInput[];
    readonly outputs: readonly TxOutput[];
    readonly locktime: number;
    readonly randomBytes: RandomBytes;
  },
): Transaction {
  const { inputs, outputs, randomBytes } = options;
  checkInputs(inputs);
  checkOutputs(outputs);
  checkBalance(inputs, outputs);
  const blinders = chooseBlinders(zkp, options);
  const tx = new Transaction();
  tx.version = 2;
  tx.locktime = blockHeight(options.locktime);
  for (const { outpoint: point, sequence } of inputs) {
    tx.addInput(reversedBytes(point.txid), point.vout, sequence, Buffer.alloc(0));
  }
  outputs.forEach((output, i) => {
    const scriptPubKey = Buffer.from(output.scriptPubKey);
    const amount = blinders[i];
    if (amount === undefined || output.blindingPubkey === undefined) {
      tx.addOutput(scriptPubKey, explicitValueBytes(output.value), explicitAssetBytes(output.assetId), EXPLICIT_NONCE);
      return;
    }
    const { blindingPubkey } = output;
    const fields = confidentialFields(zkp, { amount, scriptPubKey, blindingPubkey, inputs, randomBytes });
    const { value, asset, nonce, rangeProof, surjectionProof } = fields;
    tx.addOutput(scriptPubKey, value, asset, nonce, rangeProof, surjectionProof);
  });
  return tx;
}

/**
 * A transaction out of untrusted bytes.
 *
 * @throws SwapError `invalid_argument` if the bytes are not exactly one transaction in its one serialization.
 */
export function parseTransaction(raw: Uint8Array): Transaction {
  const bytes = Buffer.from(raw);
  let tx: Transaction;
  try {
    tx = Transaction.fromBuffer(bytes);
    if (tx.toBuffer().equals(bytes)) return tx;
  } catch (cause) {
    throw new SwapError(
      'invalid_argument',
      `transaction: expected Elements' serialization, found ${bytes.length} other bytes`,
      { cause },
    );
  }
  return refuse('transaction', 'bytes that serialize back to themselves', 'another encoding');
}

/** Transaction id; witnesses do not change it. */
export const txidOf = (tx: Transaction): Txid => txid(tx.getId());

/** The bytes to broadcast and to store. */
export const rawOf = (tx: Transaction): Buffer => tx.toBuffer();

/**
 * Virtual size without the discount that some nodes give to confidential outputs, in vB: a fee by this size is
 * relayed everywhere.
 */
export const fullVsize = (tx: Transaction): number => tx.virtualSize(false);

/** Fee of `vsize` virtual bytes, rounded up. */
export const feeFor = (vsize: number, rate: SatPerKvb): Sat => sat((BigInt(vsize) * rate + 999n) / 1000n);

/** DER and hash type. tiny-secp256k1 derives the nonce by RFC 6979 and gives low S. */
function signature(
  tx: Transaction,
  options: { index: number; scriptCode: Buffer; prevoutValue: Uint8Array; privateKey: Uint8Array },
): Buffer {
  const { index, scriptCode, prevoutValue, privateKey } = options;
  const digest = tx.hashForWitnessV0(index, scriptCode, Buffer.from(prevoutValue), SIGHASH_ALL);
  return script.signature.encode(Buffer.from(sign(digest, privateKey)), SIGHASH_ALL);
}

/**
 * Signs a P2WPKH input (BIP143, SIGHASH_ALL) and sets its witness.
 *
 * @param options.prevoutValue the previous output's value as serialized: 9 bytes explicit, 33 bytes confidential.
 */
export function signP2wpkhInput(
  tx: Transaction,
  index: number,
  options: { readonly pubkey: Pubkey; readonly privateKey: Uint8Array; readonly prevoutValue: Uint8Array },
): void {
  const key = Buffer.from(options.pubkey, 'hex');
  tx.setWitness(index, [signature(tx, { index, scriptCode: p2wpkhScriptCode(key), ...options }), key]);
}

/** OP_DUP OP_HASH160 <pkh> OP_EQUALVERIFY OP_CHECKSIG */
const p2wpkhScriptCode = (key: Buffer): Buffer =>
  Buffer.concat([Buffer.of(0x76, 0xa9, 20), crypto.hash160(key), Buffer.of(0x88, 0xac)]);

/** True if the P2WPKH input is signed with that key over exactly this transaction (SIGHASH_ALL). */
export function isP2wpkhSignedBy(
  tx: Transaction,
  index: number,
  options: { readonly pubkey: Pubkey; readonly prevoutValue: Uint8Array },
): boolean {
  const witness = tx.ins[index]?.witness[0];
  if (witness === undefined) return false;
  const witnessScript = p2wpkhScriptCode(Buffer.from(options.pubkey, 'hex'));
  return isHtlcSignature(tx, index, { witnessScript, signature: witness, ...options });
}

/**
 * Signs an HTLC input (BIP143, SIGHASH_ALL); the caller puts it into a claim or refund witness.
 *
 * @returns DER and hash type, at most 72 bytes.
 */
export function signHtlcInput(
  tx: Transaction,
  index: number,
  options: { readonly witnessScript: Uint8Array; readonly privateKey: Uint8Array; readonly prevoutValue: Uint8Array },
): Buffer {
  return signature(tx, { index, scriptCode: Buffer.from(options.witnessScript), ...options });
}

/** True if `signature` (DER and hash type) signs exactly this transaction's HTLC input with that key. */
export function isHtlcSignature(
  tx: Transaction,
  index: number,
  options: {
    readonly witnessScript: Uint8Array;
    readonly pubkey: Pubkey;
    readonly prevoutValue: Uint8Array;
    readonly signature: Uint8Array;
  },
): boolean {
  const scriptCode = Buffer.from(options.witnessScript);
  const digest = tx.hashForWitnessV0(index, scriptCode, Buffer.from(options.prevoutValue), SIGHASH_ALL);
  try {
    const decoded = script.signature.decode(Buffer.from(options.signature));
    return decoded.hashType === SIGHASH_ALL && verify(digest, Buffer.from(options.pubkey, 'hex'), decoded.signature);
  } catch {
    return false; // not DER: whoever made it has no key of ours
  }
}
