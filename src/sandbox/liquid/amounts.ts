/**
 * Whether a transaction creates or destroys nothing: commitments balance to zero, every blinded value has a range proof
 * and every blinded asset a surjection proof (Elements, confidential_validation.cpp).
 *
 * A value commitment is the point v*H(asset) + r*G, so inputs minus outputs must be the zero point. The library has no
 * tally, so the points are added here. Reissuance and blinded issuance fail closed.
 */
import { secp256k1 } from '@noble/curves/secp256k1';
import { calculateAsset, calculateReissuanceToken, generateEntropy } from 'liquidjs-lib/src/issuance.js';

import { MAX_MONEY } from '../../core/units.js';
import { sha256 } from './digests.js';
import {
  explicitValue,
  hasAnyWitness,
  issuanceProofs,
  isUnspendable,
  rangeProofOf,
  surjectionProofOf,
  type Input,
  type Output,
  type Transaction,
} from './transaction.js';
import type { Zkp } from './zkp.js';

const { Point } = secp256k1;
type Point = typeof Point.ZERO;
const field = Point.Fp;

const EXPLICIT = 1;
const VALUE_PREFIX = 8;
const GENERATOR_PREFIX = 10;
const ZERO = Buffer.alloc(32);
const MAX_REMEMBERED_PROOFS = 100_000;

/** Range proofs that were found valid, so that none is verified twice (20 ms each). */
export type ProofCache = Set<string>;

/** Raised inside this file for anything that is out of balance; callers see `false`. */
class Imbalance extends Error {}

function fail(): never {
  throw new Imbalance('value in != value out');
}

/**
 * The point of a 33-byte commitment or generator. The prefix tells whether y is a square (`evenPrefix`) or not.
 * The square root that the field gives is itself a square, because p = 3 mod 4.
 */
function decodePoint(bytes: Buffer, evenPrefix: number): Point {
  const x = BigInt(`0x${bytes.subarray(1).toString('hex')}`);
  if (bytes.length !== 33 || x >= field.ORDER) fail();
  const y = field.sqrt(field.add(field.mul(field.sqr(x), x), 7n));
  return Point.fromAffine({ x, y: bytes[0] === evenPrefix ? y : field.neg(y) });
}

const hasPrefix = (bytes: Buffer, prefix: number): boolean => bytes[0] === prefix || bytes[0] === prefix + 1;

/** The generator of an asset field: hashed from an explicit id, or the blinded generator itself. */
function generatorOf(zkp: Zkp, asset: Buffer): Buffer {
  if (asset[0] === EXPLICIT) return Buffer.from(zkp.generator.generate(asset.subarray(1)));
  return hasPrefix(asset, GENERATOR_PREFIX) ? asset : fail();
}

/** Inputs minus outputs so far: explicit values by generator (hex), commitments as one point. */
type Tally = { readonly explicit: Map<string, bigint>; committed: Point };

function count(tally: Tally, value: Buffer, generator: Buffer, sign: 1n | -1n): void {
  const explicit = explicitValue(value);
  if (explicit === undefined) {
    if (!hasPrefix(value, VALUE_PREFIX)) fail();
    const point = decodePoint(value, VALUE_PREFIX);
    tally.committed = tally.committed.add(sign > 0n ? point : point.negate());
    return;
  }
  if (explicit === 0n || explicit > MAX_MONEY) fail();
  const key = generator.toString('hex');
  tally.explicit.set(key, (tally.explicit.get(key) ?? 0n) + sign * explicit);
}

/** Explicit values only cost a multiplication of points where they do not cancel by themselves. */
function isBalanced({ explicit, committed }: Tally): boolean {
  let total = committed;
  for (const [generator, net] of explicit) {
    if (net === 0n) continue;
    const point = decodePoint(Buffer.from(generator, 'hex'), GENERATOR_PREFIX).multiply(net > 0n ? net : -net);
    total = total.add(net > 0n ? point : point.negate());
  }
  return total.equals(Point.ZERO);
}

/** Counts what an input issues; returns the generators of the new assets. */
function countIssued(zkp: Zkp, tx: Transaction, input: Input, tally: Tally): Buffer[] {
  if (issuanceProofs(input).some((proof) => proof.length > 0)) fail();
  const { issuance } = input;
  if (issuance === undefined) return [];
  if (!hasAnyWitness(tx)) fail(); // as Elements, which looks for the proofs of what is issued even where none is needed
  if (!issuance.assetBlindingNonce.equals(ZERO)) fail();
  const entropy = generateEntropy({ txHash: input.hash, vout: input.index }, issuance.assetEntropy);
  const amounts: readonly [Buffer, Buffer][] = [
    [issuance.assetAmount, calculateAsset(entropy)],
    [issuance.tokenAmount, calculateReissuanceToken(entropy, false)],
  ];
  return amounts.flatMap(([amount, assetTag]) => {
    if (amount.equals(Buffer.of(0))) return [];
    if (explicitValue(amount) === undefined) fail();
    const generator = Buffer.from(zkp.generator.generate(assetTag));
    count(tally, amount, generator, 1n);
    return [generator];
  });
}

/** Counts the inputs; returns the generators of all assets that come in, in the order surjection proofs refer to. */
function countInputs(zkp: Zkp, tx: Transaction, coins: readonly Output[], tally: Tally): Buffer[] {
  return tx.ins.flatMap((input, index) => {
    const coin = coins[index] ?? fail();
    const generator = generatorOf(zkp, coin.asset);
    count(tally, coin.value, generator, 1n);
    return [generator, ...countIssued(zkp, tx, input, tally)];
  });
}

function countOutputs(zkp: Zkp, tx: Transaction, tally: Tally): void {
  for (const output of tx.outs) {
    const generator = generatorOf(zkp, output.asset);
    if (explicitValue(output.value) === 0n && isUnspendable(output.script)) continue;
    count(tally, output.value, generator, -1n);
  }
}

function assertRangeProof(zkp: Zkp, output: Output, proven: ProofCache): void {
  const proof = rangeProofOf(output);
  if (explicitValue(output.value) !== undefined) {
    if (proof.length > 0) fail();
    return;
  }
  if (proof.length === 0) fail();
  const key = sha256(Buffer.concat([output.value, output.asset, sha256(output.script), proof])).toString('hex');
  if (proven.has(key)) return;
  const isValid = zkp.rangeproof.verify(proof, output.value, generatorOf(zkp, output.asset), output.script);
  const mayBeZero = isValid && zkp.rangeproof.info(proof).minValue === '0';
  if (!isValid || (mayBeZero && !isUnspendable(output.script))) fail();
  if (proven.size >= MAX_REMEMBERED_PROOFS) proven.clear();
  proven.add(key);
}

function assertSurjectionProof(zkp: Zkp, output: Output, inputGenerators: readonly Buffer[]): void {
  const proof = surjectionProofOf(output);
  if (output.asset[0] === EXPLICIT) {
    if (proof.length > 0) fail();
    return;
  }
  if (proof.length === 0 || !zkp.surjectionproof.verify(proof, [...inputGenerators], output.asset)) fail();
}

/**
 * Whether the amounts of all assets balance.
 *
 * @param coins the coins that the inputs spend, in order
 * @param proven remembers valid range proofs
 */
export function amountsBalance(zkp: Zkp, tx: Transaction, coins: readonly Output[], proven: ProofCache): boolean {
  try {
    const tally: Tally = { explicit: new Map(), committed: Point.ZERO };
    const generators = countInputs(zkp, tx, coins, tally);
    countOutputs(zkp, tx, tally);
    if (!isBalanced(tally)) return false;
    for (const output of tx.outs) {
      assertRangeProof(zkp, output, proven);
      assertSurjectionProof(zkp, output, generators);
    }
    return true;
  } catch {
    return false; // an imbalance, or bytes that noble or zkp refuse to read: both are refused alike
  }
}
