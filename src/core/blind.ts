/**
 * Confidential outputs: commitments, proofs, and the scalar sum that makes a transaction balance. Pure.
 *
 * Elements commits to an amount v of asset A as v*(H_A + abf*G) + vbf*G. A transaction balances when the sum of
 * v*abf + vbf is the same on both sides, so the last blinded output's vbf is computed, all others are random.
 * Reference: Elements, src/blind.cpp; Confidential Assets, Poelstra et al.
 */
import { createHash } from 'node:crypto';

import type { Secp256k1ZKP } from '@vulpemventures/secp256k1-zkp';

import { SwapError } from '../errors.js';
import { reversedBytes } from './units.js';
import type { AssetAmount, AssetId, Pubkey } from './units.js';

/** The libsecp256k1-zkp instance; loading it is asynchronous, so the caller does it. */
export type Zkp = Secp256k1ZKP;
/** Cryptographically secure random bytes. */
export type RandomBytes = (length: number) => Buffer;

/** An amount with its two blinding factors, 32 bytes each; 32 zero bytes mean explicit. */
export type Blinded = {
  readonly assetId: AssetId;
  readonly value: AssetAmount;
  readonly assetBlinder: Buffer;
  readonly valueBlinder: Buffer;
};

/** The fields of a confidential output as they are serialized. */
export type ConfidentialFields = {
  readonly asset: Buffer;
  readonly value: Buffer;
  readonly nonce: Buffer;
  readonly rangeProof: Buffer;
  readonly surjectionProof: Buffer;
};

/** elementsd's default: hides every amount up to the money range; fewer bits would make us stand out. */
const RANGE_PROOF_BITS = '52';
/** A draw fails once in 2^128; more than one failure means that the source is broken. */
const MAX_DRAWS = 4;
/** Draws of three inputs until one holds the asset: with one in 50 a draw fails 94 times in 100. */
const MAX_DRAWS_OF_INPUTS = 1_000;

export const ZERO_BLINDER: Buffer = Buffer.alloc(32);
const isZero = (scalar: Buffer): boolean => scalar.equals(ZERO_BLINDER);

/** True if the asset or the amount is hidden. */
export const isConfidential = (amount: Blinded): boolean =>
  !isZero(amount.assetBlinder) || !isZero(amount.valueBlinder);

function refuse(what: string, expected: string, found: string): never {
  throw new SwapError('invalid_argument', `${what}: expected ${expected}, found ${found}`);
}

// The library refuses zero as an operand and answers null for a zero sum, so zero is handled here.
function add(zkp: Zkp, a: Buffer, b: Buffer): Buffer {
  if (isZero(a)) return b;
  if (isZero(b)) return a;
  return Buffer.from(zkp.ecc.privateAdd(a, b) ?? ZERO_BLINDER);
}

const negate = (zkp: Zkp, scalar: Buffer): Buffer =>
  isZero(scalar) ? scalar : Buffer.from(zkp.ecc.privateNegate(scalar));

function multiply(zkp: Zkp, scalar: Buffer, value: bigint): Buffer {
  if (isZero(scalar) || value === 0n) return ZERO_BLINDER;
  const factor = Buffer.alloc(32);
  factor.writeBigUInt64BE(value, 24);
  return Buffer.from(zkp.ecc.privateMul(scalar, factor));
}

/** v*abf + vbf (mod n): what an input or output adds to its side of the balance. */
export function blindingSum(zkp: Zkp, amounts: readonly Blinded[]): Buffer {
  return amounts.reduce<Buffer>(
    (sum, { value, assetBlinder, valueBlinder }) =>
      add(zkp, sum, add(zkp, multiply(zkp, assetBlinder, value), valueBlinder)),
    ZERO_BLINDER,
  );
}

/** a - b (mod n). */
const subtractBlinders = (zkp: Zkp, a: Buffer, b: Buffer): Buffer => add(zkp, a, negate(zkp, b));

/** A uniformly random scalar in 1..n-1. */
export function randomScalar(zkp: Zkp, randomBytes: RandomBytes): Buffer {
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const scalar = randomBytes(32);
    if (zkp.ecc.isPrivate(scalar)) return scalar;
  }
  throw new Error(`the source of randomness gave ${MAX_DRAWS} invalid scalars in a row`);
}

/**
 * Blinders of every output, in order; those of the last blinded one make the transaction balance.
 *
 * @param options.outputs those with a blinding key get blinders, the others stay explicit.
 * @throws SwapError `invalid_argument` if a confidential input comes without a blinded output, or if a blinded amount of
 *   0 is alone: its commitment would be to nothing.
 */
export function chooseBlinders(
  zkp: Zkp,
  options: {
    readonly inputs: readonly Blinded[];
    readonly outputs: readonly (Omit<Blinded, 'assetBlinder' | 'valueBlinder'> & {
      readonly blindingPubkey?: Pubkey;
    })[];
    readonly randomBytes: RandomBytes;
  },
): Blinded[] {
  const { inputs, outputs, randomBytes } = options;
  const last = outputs.findLastIndex((output) => output.blindingPubkey !== undefined);
  if (last < 0 && inputs.some(isConfidential)) {
    refuse('outputs', 'a blinded output, since an input is confidential', 'none');
  }
  const chosen: Blinded[] = outputs.map(({ assetId: id, value, blindingPubkey }) => ({
    assetId: id,
    value,
    assetBlinder: blindingPubkey === undefined ? ZERO_BLINDER : randomScalar(zkp, randomBytes),
    valueBlinder: blindingPubkey === undefined ? ZERO_BLINDER : randomScalar(zkp, randomBytes),
  }));
  const lastChosen = chosen[last];
  if (lastChosen === undefined) return chosen;
  const open = { ...lastChosen, valueBlinder: ZERO_BLINDER };
  const others = blindingSum(zkp, chosen.with(last, open));
  const valueBlinder = subtractBlinders(zkp, blindingSum(zkp, inputs), others);
  if (open.value === 0n && valueBlinder.equals(ZERO_BLINDER)) {
    refuse('blinded output of 0', 'another blinded output or a confidential input', 'neither');
  }
  return chosen.with(last, { ...open, valueBlinder });
}

/** An ephemeral key: its public part is the nonce field, and what both sides derive from it opens the range proof. */
function rewindNonce(zkp: Zkp, blindingPubkey: Pubkey, ephemeral: Buffer): { nonce: Buffer; secret: Buffer } {
  const nonce = zkp.ecc.pointFromScalar(ephemeral, true);
  if (nonce === null) throw new Error('the ephemeral key has no public key');
  const shared = zkp.ecdh(Buffer.from(blindingPubkey, 'hex'), ephemeral);
  return { nonce: Buffer.from(nonce), secret: createHash('sha256').update(shared).digest() };
}

function surjectionProof(
  zkp: Zkp,
  options: { amount: Blinded; asset: Buffer; inputs: readonly Blinded[]; seed: Buffer },
): Buffer {
  const { amount, asset, inputs, seed } = options;
  const tags = inputs.map((input) => reversedBytes(input.assetId));
  const { proof, inputIndex } = zkp.surjectionproof.initialize(
    tags,
    reversedBytes(amount.assetId),
    MAX_DRAWS_OF_INPUTS,
    seed,
  );
  const generators = inputs.map((input, i) =>
    zkp.generator.generateBlinded(tags[i] ?? ZERO_BLINDER, input.assetBlinder),
  );
  const inputBlinder = inputs[inputIndex]?.assetBlinder ?? ZERO_BLINDER;
  return Buffer.from(
    zkp.surjectionproof.generate(proof, generators, asset, inputIndex, inputBlinder, amount.assetBlinder),
  );
}

/**
 * Commitments and proofs of one confidential output.
 *
 * The range proof's minimum is 1, or 0 for an amount of 0 (valid only where the output cannot be spent). Its message
 * holds the asset and its blinder, so that the owner of the blinding key can open it.
 */
export function confidentialFields(
  zkp: Zkp,
  options: {
    readonly amount: Blinded;
    readonly scriptPubKey: Buffer;
    readonly blindingPubkey: Pubkey;
    readonly inputs: readonly Blinded[];
    readonly randomBytes: RandomBytes;
  },
): ConfidentialFields {
  const { amount, scriptPubKey, blindingPubkey, inputs, randomBytes } = options;
  const tag = reversedBytes(amount.assetId);
  const value = amount.value.toString();
  const asset = Buffer.from(zkp.generator.generateBlinded(tag, amount.assetBlinder));
  const commitment = Buffer.from(zkp.pedersen.commitment(value, asset, amount.valueBlinder));
  const { nonce, secret } = rewindNonce(zkp, blindingPubkey, randomScalar(zkp, randomBytes));
  const rangeProof = zkp.rangeproof.sign(
    value,
    commitment,
    asset,
    amount.valueBlinder,
    secret,
    amount.value === 0n ? '0' : '1',
    '0',
    RANGE_PROOF_BITS,
    Buffer.concat([tag, amount.assetBlinder]),
    scriptPubKey,
  );
  return {
    asset,
    value: commitment,
    nonce,
    rangeProof: Buffer.from(rangeProof),
    surjectionProof: surjectionProof(zkp, { amount, asset, inputs, seed: randomBytes(32) }),
  };
}
