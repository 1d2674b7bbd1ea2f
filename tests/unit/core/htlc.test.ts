import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import {
  claimWitness,
  findPreimage,
  hashPreimage,
  htlcWitnessScript,
  p2wpkhScriptPubKey,
  p2wshScriptPubKey,
  parseHtlcWitnessScript,
  pubkeyHash,
  refundWitness,
  type HtlcTerms,
} from '../../../src/core/htlc.js';
import { parseTransaction } from '../../../src/core/tx.js';
import { blockHeight, hex, paymentHash, preimage, pubkey, type BlockHeight } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import { keyOf, preimageOf, refusal } from './zkp.js';

const vectors = z
  .object({
    preimage: z.string(),
    witness_script: z.string(),
    refund_height: z.number(),
    claim_pubkey: z.string(),
    refund_pubkey: z.string(),
    transactions: z.array(z.object({ kind: z.string(), hex: z.string() })),
  })
  .parse(JSON.parse(readFileSync(new URL('../../vectors/htlc.json', import.meta.url), 'utf8')));

const transactionOf = (kind: string) =>
  parseTransaction(Buffer.from(vectors.transactions.find((entry) => entry.kind === kind)?.hex ?? '', 'hex'));

const hexOf = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString('hex'));
const anyTerms = fc.record({
  paymentHash: hexOf(32).map(paymentHash),
  claimPkh: hexOf(20),
  refundPkh: hexOf(20),
  refundHeight: fc
    .oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 499_999_999 }))
    .map((height) => blockHeight(height)),
});

const TERMS: HtlcTerms = {
  paymentHash: hashPreimage(preimageOf('S')),
  claimPkh: keyOf('claim').pkh,
  refundPkh: keyOf('refund').pkh,
  refundHeight: blockHeight(3_000_000),
};

describe('the witness script', () => {
  it('equals the one that an Elements node enforced', () => {
    const script = htlcWitnessScript({
      paymentHash: hashPreimage(preimage(Buffer.from(vectors.preimage, 'hex'))),
      claimPkh: pubkeyHash(pubkey(vectors.claim_pubkey)),
      refundPkh: pubkeyHash(pubkey(vectors.refund_pubkey)),
      refundHeight: blockHeight(vectors.refund_height),
    });
    expect(script.toString('hex')).toBe(vectors.witness_script);
    const claimed = transactionOf('claim').ins[0];
    expect(claimed?.witness[4]?.equals(script)).toBe(true);
  });
  it('comes back as the terms it was made from', () => {
    fc.assert(
      fc.property(anyTerms, (terms) => {
        expect(parseHtlcWitnessScript(htlcWitnessScript(terms))).toEqual(terms);
      }),
    );
  });
  it.each([
    [1, '51'],
    [16, '60'],
    [17, '0111'],
    [127, '017f'],
    [128, '028000'],
    [32_768, '03008000'],
    [499_999_999, '04ff64cd1d'],
  ])('pushes the refund height %i as %s', (refundHeight, push) => {
    const script = htlcWitnessScript({ ...TERMS, refundHeight: blockHeight(refundHeight) });
    expect(hex(script.subarray(66, script.length - 28))).toBe(push);
  });
  it('is refused when any byte of it differs and it is not another HTLC', () => {
    const script = htlcWitnessScript(TERMS);
    fc.assert(
      fc.property(fc.nat(script.length - 1), fc.integer({ min: 1, max: 255 }), (at, difference) => {
        const changed = Buffer.from(script);
        changed.writeUInt8(changed.readUInt8(at) ^ difference, at);
        try {
          // What parses must say something else than before, and be its own template.
          return htlcWitnessScript(parseHtlcWitnessScript(changed)).equals(changed);
        } catch (error) {
          return error instanceof SwapError && error.code === 'invalid_argument';
        }
      }),
      { numRuns: 500 },
    );
  });

  const script = htlcWitnessScript(TERMS);
  const withPush = (push: string): Buffer =>
    Buffer.concat([script.subarray(0, 66), Buffer.from(push, 'hex'), script.subarray(script.length - 28)]);
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['no refund height', withPush('')],
    ['a refund height of 0', withPush('00')],
    ['a negative refund height', withPush('4f')],
    ['a refund height that is not minimal', withPush('0105')],
    ['a refund height padded with zeros', withPush('04c0c62d00')],
    ['a refund height with sign bit', withPush('0380c0ad')],
    ['a lock by time', withPush('040065cd1d')],
    ['a push that is longer than a number', withPush('050000000001')],
    ['a push by OP_PUSHDATA1', withPush('4c03c0c62d')],
    ['one byte more at the end', Buffer.concat([script, Buffer.of(0x61)])],
    ['one byte less at the end', script.subarray(0, -1)],
    ['another opcode', Buffer.from(script.toString('hex').replace('b175', 'b275'), 'hex')],
  ])('is refused with %s', (_, bytes) => {
    expect(() => parseHtlcWitnessScript(bytes)).toThrow(refusal(''));
  });
  it.each([
    ['a refund height of 0', { refundHeight: blockHeight(0) }, 'refund height: expected at least 1'],
    ['a time instead of a height', { refundHeight: 500_000_000 as BlockHeight }, 'block height'],
    ['a short key hash', { claimPkh: 'ab' }, 'claim public key hash: expected 40'],
    ['an upper-case key hash', { refundPkh: 'AB'.repeat(20) }, 'refund public key hash'],
  ])('is not written with %s', (_, change, message) => {
    expect(() => htlcWitnessScript({ ...TERMS, ...change })).toThrow(refusal(message));
  });
});

describe('output scripts', () => {
  it('hash the witness script and the public key', () => {
    const script = Buffer.from(vectors.witness_script, 'hex');
    const outputs = transactionOf('funding').outs.map((output) => output.script.toString('hex'));
    expect(outputs).toContain(p2wshScriptPubKey(script).toString('hex'));
    // BIP 173's example key
    const key = pubkey('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798');
    expect(p2wpkhScriptPubKey(key).toString('hex')).toBe('0014751e76e8199196d454941c45d1b3a323f1433bd6');
  });
});

describe('the preimage in a witness', () => {
  const secret = preimage(Buffer.from(vectors.preimage, 'hex'));
  const hash = hashPreimage(secret);
  const signature = Buffer.alloc(71, 1);
  const witnessScript = Buffer.from(vectors.witness_script, 'hex');

  it('is found in a claim that a node accepted, and not in a refund', () => {
    expect(findPreimage(transactionOf('claim').ins[0]?.witness ?? [], hash)).toEqual(Uint8Array.from(secret));
    expect(findPreimage(transactionOf('refund').ins[0]?.witness ?? [], hash)).toBeUndefined();
  });
  it('is found wherever it stands', () => {
    expect(findPreimage([Buffer.alloc(32), secret], hash)).toEqual(Uint8Array.from(secret));
    expect(findPreimage([secret, Buffer.alloc(0)], hash)).toEqual(Uint8Array.from(secret));
  });
  it('is not found where only its position fits', () => {
    const { pubkey: claimPubkey } = keyOf('claim');
    const wrong = claimWitness({ signature, claimPubkey, preimage: preimageOf('other'), witnessScript });
    expect(findPreimage(wrong, hash)).toBeUndefined();
    expect(findPreimage([], hash)).toBeUndefined();
  });
  it('stands in a claim witness, which has the five items of the branch', () => {
    const { pubkey: claimPubkey } = keyOf('claim');
    const witness = claimWitness({ signature, claimPubkey, preimage: secret, witnessScript });
    expect(witness.map((item) => item.length)).toEqual([71, 33, 32, 1, witnessScript.length]);
    expect(findPreimage(witness, hash)).toEqual(Uint8Array.from(secret));
  });
  it('does not stand in a refund witness, whose selector is empty', () => {
    const { pubkey: refundPubkey } = keyOf('refund');
    const witness = refundWitness({ signature, refundPubkey, witnessScript });
    expect(witness.map((item) => item.length)).toEqual([71, 33, 0, witnessScript.length]);
    expect(findPreimage(witness, hash)).toBeUndefined();
  });
});
