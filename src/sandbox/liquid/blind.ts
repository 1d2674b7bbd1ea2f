/** Blinds the one confidential output of a faucet transaction whose inputs are all explicit. */
import { randomBytes } from 'node:crypto';

import { sha256 } from './digests.js';
import type { Output } from './transaction.js';
import type { Zkp } from './zkp.js';

const RANGE_PROOF_BITS = '52';
const ZERO = Buffer.alloc(32);
const SURJECTION_ATTEMPTS = 100;

/** What is blinded: `assetTag` is the asset id in internal order. */
export type ToBlind = {
  readonly script: Buffer;
  readonly assetTag: Buffer;
  readonly value: bigint;
  readonly blindingPubkey: Buffer;
  /** Assets of all inputs, in order, internal order each. */
  readonly inputTags: readonly Buffer[];
};

function randomScalar(zkp: Zkp): Buffer {
  let scalar = randomBytes(32);
  while (!zkp.ecc.isPrivate(scalar)) scalar = randomBytes(32);
  return scalar;
}

function valueScalar(value: bigint): Buffer {
  const scalar = Buffer.alloc(32);
  scalar.writeBigUInt64BE(value, 24);
  return scalar;
}

/**
 * The output with commitments and proofs. As nothing else is blinded, the value's blinding factor must cancel the
 * asset's: vbf = -value * abf.
 */
export function blindOutput(zkp: Zkp, { script, assetTag, value, blindingPubkey, inputTags }: ToBlind): Output {
  const assetBlinder = randomScalar(zkp);
  const ephemeral = randomScalar(zkp);
  const valueBlinder = zkp.ecc.privateNegate(zkp.ecc.privateMul(assetBlinder, valueScalar(value)));
  const asset = Buffer.from(zkp.generator.generateBlinded(assetTag, assetBlinder));
  const commitment = Buffer.from(zkp.pedersen.commitment(value.toString(), asset, valueBlinder));
  const nonce = zkp.ecc.pointFromScalar(ephemeral, true);
  if (nonce === null) throw new Error('a random scalar has a point');
  const rangeProof = zkp.rangeproof.sign(
    value.toString(),
    commitment,
    asset,
    valueBlinder,
    sha256(zkp.ecdh(blindingPubkey, ephemeral)),
    '1',
    '0',
    RANGE_PROOF_BITS,
    Buffer.concat([assetTag, assetBlinder]), // what the receiver finds when it rewinds the proof
    script,
  );
  return {
    script,
    value: commitment,
    asset,
    nonce: Buffer.from(nonce),
    rangeProof: Buffer.from(rangeProof),
    surjectionProof: surjectionProof(zkp, inputTags, assetTag, assetBlinder),
  };
}

function surjectionProof(zkp: Zkp, inputTags: readonly Buffer[], assetTag: Buffer, assetBlinder: Buffer): Buffer {
  const { proof, inputIndex } = zkp.surjectionproof.initialize(
    [...inputTags],
    assetTag,
    SURJECTION_ATTEMPTS,
    randomBytes(32),
  );
  const inputGenerators = inputTags.map((tag) => zkp.generator.generate(tag));
  const outputGenerator = zkp.generator.generateBlinded(assetTag, assetBlinder);
  return Buffer.from(
    zkp.surjectionproof.generate(proof, inputGenerators, outputGenerator, inputIndex, ZERO, assetBlinder),
  );
}
