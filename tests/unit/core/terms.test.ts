import { readFileSync } from 'node:fs';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import {
  canonicalTerms,
  claimProofDigest,
  parseTerms,
  signClaimProof,
  termsHash,
  verifyClaimProof,
  type ClaimProofContext,
  type Terms,
} from '../../../src/core/terms.js';
import {
  assetAmount,
  assetId,
  blockHash,
  msat,
  paymentHash,
  pubkey,
  quoteId,
  sat,
  swapId,
  toSafeNumber,
} from '../../../src/core/units.js';
import { keyOf, refusal } from './zkp.js';

const profile = z.enum(['routed', 'near', 'direct', 'regtest']);
const digits = z.string().transform(BigInt);
const vectors = z
  .object({
    terms: z.array(
      z.object({
        terms: z.object({
          genesis: z.string(),
          seller_node_id: z.string(),
          swap_id: z.string(),
          quote_id: z.string(),
          payment_hash: z.string(),
          asset_id: z.string(),
          asset_amount: digits,
          fee_subsidy_sats: digits,
          price_msat: digits,
          claim_pkh: z.string(),
          refund_pkh: z.string(),
          profile,
          refund_delta_blocks: digits,
          min_funding_confs: digits,
          invoice_expiry_secs: digits,
        }),
        text: z.string(),
        terms_hash: z.string(),
      }),
    ),
    claim_proofs: z.array(
      z.object({
        private_key: z.string(),
        genesis: z.string(),
        seller_node_id: z.string(),
        request_id: z.string(),
        quote_id: z.string(),
        claim_pubkey: z.string(),
        digest: z.string(),
        proof: z.string(),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL('../../vectors/terms.json', import.meta.url), 'utf8')));

const known = vectors.terms.map(({ terms, text, terms_hash: hash }): { terms: Terms; text: string; hash: string } => ({
  terms: {
    genesis: blockHash(terms.genesis),
    sellerNodeId: pubkey(terms.seller_node_id),
    swapId: swapId(terms.swap_id),
    quoteId: quoteId(terms.quote_id),
    paymentHash: paymentHash(terms.payment_hash),
    assetId: assetId(terms.asset_id),
    assetAmount: assetAmount(terms.asset_amount),
    feeSubsidySat: sat(terms.fee_subsidy_sats),
    priceMsat: msat(terms.price_msat),
    claimPkh: terms.claim_pkh,
    refundPkh: terms.refund_pkh,
    profile: terms.profile,
    refundDeltaBlocks: toSafeNumber(terms.refund_delta_blocks),
    minFundingConfs: toSafeNumber(terms.min_funding_confs),
    invoiceExpirySecs: toSafeNumber(terms.invoice_expiry_secs),
  },
  text,
  hash,
}));

const [FIRST] = known;
if (FIRST === undefined) throw new Error('no vectors');

describe('canonical terms', () => {
  it.each(known)('have the text and hash of the vector for profile $terms.profile', ({ terms, text, hash }) => {
    expect(canonicalTerms(terms)).toBe(text);
    expect(termsHash(terms)).toBe(hash);
    expect(parseTerms(text)).toEqual(terms);
  });
  it('come back from their text', () => {
    const hexOf = (bytes: number) =>
      fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => Buffer.from(value).toString('hex'));
    const money = fc.bigInt({ min: 0n, max: 2_100_000_000_000_000n });
    const count = fc.nat(1_000_000);
    const anyTerms = fc.record({
      genesis: hexOf(32).map(blockHash),
      sellerNodeId: fc.string().map((name) => keyOf(name).pubkey),
      swapId: hexOf(16).map(swapId),
      quoteId: hexOf(16).map(quoteId),
      paymentHash: hexOf(32).map(paymentHash),
      assetId: hexOf(32).map(assetId),
      assetAmount: money.map(assetAmount),
      feeSubsidySat: money.map(sat),
      priceMsat: money.map((value) => msat(value * 1000n)),
      claimPkh: hexOf(20),
      refundPkh: hexOf(20),
      profile: fc.constantFrom(...profile.options),
      refundDeltaBlocks: count,
      minFundingConfs: count,
      invoiceExpirySecs: count,
    });
    fc.assert(
      fc.property(anyTerms, (terms) => {
        expect(parseTerms(canonicalTerms(terms))).toEqual(terms);
      }),
    );
  });
  it('with any character changed, added or left out are refused, or are other terms with another hash', () => {
    const { text, hash } = FIRST;
    const change = fc.record({
      at: fc.nat(text.length),
      removed: fc.nat(2),
      added: fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefx=\n\r \u0000A_')), maxLength: 2 }),
    });
    let read = 0;
    fc.assert(
      fc.property(change, ({ at, removed, added }) => {
        const changed = `${text.slice(0, at)}${added}${text.slice(at + removed)}`;
        if (changed === text) return;
        let terms: Terms;
        try {
          terms = parseTerms(changed);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_argument' });
          return;
        }
        read += 1;
        expect(canonicalTerms(terms)).toBe(changed);
        expect(termsHash(terms)).not.toBe(hash);
      }),
      { numRuns: 3_000 },
    );
    expect(read).toBeGreaterThan(0);
  });
  it('have another hash when any field differs', () => {
    const changes: Partial<Terms>[] = [
      { assetAmount: assetAmount(1001n) },
      { priceMsat: msat(25_000_001n) },
      { feeSubsidySat: sat(1001n) },
      { claimPkh: 'aa'.repeat(20) },
      { minFundingConfs: 2 },
      { refundDeltaBlocks: 61 },
      { invoiceExpirySecs: 601 },
      { profile: 'direct' },
      { swapId: swapId('01'.repeat(16)) },
    ];
    const hashes = changes.map((change) => termsHash({ ...FIRST.terms, ...change }));
    expect(new Set([FIRST.hash, ...hashes]).size).toBe(changes.length + 1);
  });
  it.each([
    ['a fractional count', { minFundingConfs: 1.5 }, 'funding confirmations'],
    ['a negative count', { refundDeltaBlocks: -1 }, 'refund delta'],
    ['a count beyond exact integers', { invoiceExpirySecs: 1e21 }, 'invoice expiry'],
    ['an upper-case key hash', { claimPkh: 'AA'.repeat(20) }, 'claim public key hash'],
  ])('are not written with %s', (_, change, message) => {
    expect(() => canonicalTerms({ ...FIRST.terms, ...change })).toThrow(refusal(message));
  });
  it.each([
    ['an empty text', () => ''],
    ['another version', () => FIRST.text.replace('terms=1', 'terms=2')],
    ['a missing line', () => FIRST.text.replace(/price_msat=.*\n/, '')],
    ['a repeated line', () => `${FIRST.text}profile=regtest\n`],
    ['another line', () => `${FIRST.text}note=x\n`],
    ['lines in another order', () => FIRST.text.split('\n').reverse().join('\n')],
    ['no line end at the end', () => FIRST.text.slice(0, -1)],
    ['carriage returns', () => FIRST.text.replaceAll('\n', '\r\n')],
    ['a leading zero', () => FIRST.text.replace('price_msat=', 'price_msat=0')],
    ['a sign', () => FIRST.text.replace('price_msat=', 'price_msat=+')],
    ['a space', () => FIRST.text.replace('price_msat=', 'price_msat= ')],
    ['upper-case hex', () => FIRST.text.replace('ca21', 'CA21')],
    ['an unknown profile', () => FIRST.text.replace('profile=regtest', 'profile=toString')],
  ])('are not read from %s', (_, text) => {
    expect(() => parseTerms(text())).toThrow(refusal(''));
  });
});

describe('a claim proof', () => {
  const contextOf = (vector: (typeof vectors.claim_proofs)[number]): ClaimProofContext => ({
    genesis: blockHash(vector.genesis),
    sellerNodeId: pubkey(vector.seller_node_id),
    requestId: vector.request_id,
    quoteId: quoteId(vector.quote_id),
    claimPubkey: pubkey(vector.claim_pubkey),
  });
  const [vector] = vectors.claim_proofs;
  if (vector === undefined) throw new Error('no vectors');
  const context = contextOf(vector);
  const privateKey = Buffer.from(vector.private_key, 'hex');
  const proof = signClaimProof(privateKey, context);

  it.each(vectors.claim_proofs)('has the digest and signature of the vector for $request_id', (known) => {
    const knownContext = contextOf(known);
    expect(claimProofDigest(knownContext).toString('hex')).toBe(known.digest);
    expect(signClaimProof(Buffer.from(known.private_key, 'hex'), knownContext).toString('hex')).toBe(known.proof);
    expect(verifyClaimProof(Buffer.from(known.proof, 'hex'), knownContext)).toBe(true);
  });
  it('verifies for any request and key, and for no other request', () => {
    fc.assert(
      fc.property(fc.string(), fc.uuid(), fc.uuid(), (name, requestId, otherId) => {
        const key = keyOf(name);
        const made = { ...context, claimPubkey: key.pubkey, requestId };
        const signed = signClaimProof(key.privateKey, made);
        const isSame = requestId === otherId;
        return verifyClaimProof(signed, made) && verifyClaimProof(signed, { ...made, requestId: otherId }) === isSame;
      }),
      { numRuns: 30 },
    );
  });
  it.each([
    ['chain', { genesis: blockHash('00'.repeat(32)) }],
    ['seller', { sellerNodeId: keyOf('another seller').pubkey }],
    ['request', { requestId: '00112233-4455-6677-8899-aabbccddee00' }],
    ['quote', { quoteId: quoteId('00'.repeat(16)) }],
    ['claim key', { claimPubkey: keyOf('another claimer').pubkey }],
  ])('does not verify for another %s', (_, change) => {
    expect(verifyClaimProof(proof, { ...context, ...change })).toBe(false);
  });
  it('does not verify with high S', () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = order - BigInt(`0x${proof.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([proof.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    expect(verifyClaimProof(twin, context)).toBe(false);
  });
  it.each([
    ['empty', Buffer.alloc(0)],
    ['zero', Buffer.alloc(64)],
    ['out of range', Buffer.alloc(64, 0xff)],
    ['DER', Buffer.alloc(71, 0x30)],
  ])('does not verify when %s', (_, bytes) => {
    expect(verifyClaimProof(bytes, context)).toBe(false);
  });
  it('is not made with another key', () => {
    expect(() => signClaimProof(keyOf('x').privateKey, context)).toThrow(refusal('that of the claim key'));
    expect(() => signClaimProof(Buffer.alloc(32), context)).toThrow(refusal('that of the claim key'));
  });
  it.each(['', 'f81d4fae7dec11d0a76500a0c91e6bf6', 'F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6'])(
    'is not made for the request id "%s"',
    (requestId) => {
      expect(() => claimProofDigest({ ...context, requestId })).toThrow(refusal('request id'));
    },
  );
});
