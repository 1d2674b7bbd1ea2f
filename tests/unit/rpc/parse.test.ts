import { describe, expect, it } from 'vitest';

import { reversedBytes } from '../../../src/core/units.js';
import { SwapError } from '../../../src/errors.js';
import {
  createQuoteSchema,
  createSwapSchema,
  getQuoteSchema,
  parseRequest,
  swapIdSchema,
} from '../../../src/rpc/parse.js';
import { GOLD, intent } from '../../support/swapFixtures.js';

const swapRequest = {
  requestId: '123e4567-e89b-42d3-a456-426614174000',
  quoteId: Buffer.from(intent.quoteId, 'hex'),
  claimPubkey: Buffer.from(intent.claimPubkey, 'hex'),
  claimProof: Buffer.alloc(64, 1),
  maxPriceMsat: 50_000_000n,
  minFundingConfs: 2,
  waitUntilFunded: false,
};

/** Field and description of every violation. */
function violationsOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof SwapError) || error.code !== 'invalid_argument') throw error;
    const texts = error.violations.map((each) => `${each.field}: ${each.description}`);
    expect(error.message).toBe(texts.join('; '));
    return texts;
  }
  return [];
}

describe('a request', () => {
  it('becomes branded values; ids are shown as hex, assets turned to display order', () => {
    expect(parseRequest(createSwapSchema, swapRequest)).toEqual({
      ...swapRequest,
      quoteId: intent.quoteId,
      claimPubkey: intent.claimPubkey,
    });
    expect(parseRequest(createQuoteSchema, { assetId: reversedBytes(GOLD), assetAmount: 1n })).toEqual({
      assetId: GOLD,
      assetAmount: 1n,
    });
    const asset = `01${'00'.repeat(31)}`;
    expect(parseRequest(createQuoteSchema, { assetId: reversedBytes(asset), assetAmount: 1n }).assetId).toBe(asset);
    expect(parseRequest(getQuoteSchema, { quoteId: new Uint8Array(16) }).quoteId).toBe('00'.repeat(16));
    expect(parseRequest(swapIdSchema, { swapId: Buffer.alloc(16, 0xab) }).swapId).toBe('ab'.repeat(16));
  });
  it('names a UUID in any case, and means one', () => {
    const requestId = swapRequest.requestId.toUpperCase();
    expect(parseRequest(createSwapSchema, { ...swapRequest, requestId }).requestId).toBe(swapRequest.requestId);
  });
  it('tells every wrong field at once, with what was expected and found', () => {
    const wrong = {
      requestId: 'again',
      quoteId: Buffer.alloc(15),
      claimPubkey: Buffer.alloc(32),
      claimProof: Buffer.alloc(0),
      maxPriceMsat: 0n,
      minFundingConfs: 0,
      waitUntilFunded: false,
    };
    expect(violationsOf(() => parseRequest(createSwapSchema, wrong))).toEqual([
      'request_id: expected a UUID like 123e4567-e89b-42d3-a456-426614174000',
      'quote_id: expected 16 bytes, found 15',
      'claim_pubkey: expected 33 bytes, found 32',
      'claim_proof: expected 64 bytes, found 0',
      'max_price_msat: expected at least 1',
      'min_funding_confs: expected at least 1',
    ]);
  });
  it.each<[string, object, string]>([
    [
      'a point that is not on the curve',
      { claimPubkey: Buffer.alloc(33, 2).fill(0xff, 1) },
      'claim_pubkey: public key: expected a compressed point',
    ],
    [
      'an uncompressed prefix',
      { claimPubkey: Buffer.alloc(33, 4) },
      'claim_pubkey: public key: expected a compressed point',
    ],
    [
      'a price beyond all money',
      { maxPriceMsat: 2n ** 64n - 1n },
      'max_price_msat: millisatoshi: expected 0..2100000000000000000',
    ],
    ['a depth beyond reason', { minFundingConfs: 101 }, 'min_funding_confs: expected at most 100'],
    ['a UUID with braces', { requestId: `{${swapRequest.requestId}}` }, 'request_id: expected a UUID'],
    ['a UUID and a line', { requestId: `${swapRequest.requestId}\n` }, 'request_id: expected a UUID'],
  ])('is refused with %s', (_name, over, violation) => {
    const found = violationsOf(() => parseRequest(createSwapSchema, { ...swapRequest, ...over }));
    expect(found).toEqual([expect.stringContaining(violation)]);
  });
  it.each([0n, 2_100_000_000_000_001n, 2n ** 64n - 1n])('is refused for an amount of %s', (assetAmount) => {
    expect(violationsOf(() => parseRequest(createQuoteSchema, { assetId: Buffer.alloc(32), assetAmount }))).toEqual([
      expect.stringMatching(/^asset_amount: /),
    ]);
  });
  it('takes the greatest amount there is', () => {
    const request = { assetId: Buffer.alloc(32), assetAmount: 2_100_000_000_000_000n };
    expect(parseRequest(createQuoteSchema, request).assetAmount).toBe(2_100_000_000_000_000n);
  });
});
