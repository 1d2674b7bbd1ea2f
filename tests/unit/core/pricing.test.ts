import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { feeSubsidySat, priceMsat, type OfferPrice } from '../../../src/core/pricing.js';
import { assetAmount, sat, satPerKvb } from '../../../src/core/units.js';
import { refusal } from './zkp.js';

const price = (numerator: bigint, denominator: bigint, spreadPpm = 0): OfferPrice => ({
  priceMsatNumerator: numerator,
  priceDenominator: denominator,
  spreadPpm,
});
const priceOf = (offer: OfferPrice, amount: bigint, subsidy = 1000n): bigint =>
  priceMsat({ price: offer, assetAmount: assetAmount(amount), feeSubsidySat: sat(subsidy) });

describe('the price of a swap', () => {
  it.each([
    ['whole satoshi stay as they are', price(1000n, 1n), 20_000n, 21_000_000n],
    ['a fraction of a satoshi is rounded up', price(1n, 3n), 60_000_001n, 21_001_000n],
    ['the spread comes on top', price(1000n, 1n, 5_000), 20_000n, 21_100_000n],
    ['the spread alone can cause the rounding', price(1000n, 1n, 1), 20_000n, 21_001_000n],
    ['the minimum is 10 000 sat with the subsidy', price(1000n, 1n), 9_000n, 10_000_000n],
    ['whole satoshi above 2^53 msat stay as they are', price(2n ** 53n + 8n, 100n), 100n, 2n ** 53n + 1_000_008n],
    ['one msat above them is a satoshi more', price(2n ** 53n + 9n, 100n), 100n, 2n ** 53n + 1_001_008n],
    ['2^53 - 1 msat are rounded up', price(2n ** 53n - 1n, 100n), 100n, 2n ** 53n + 1_000_008n],
    ['a price of 1 in 64-bit numbers is 1', price(2n ** 63n - 1n, 2n ** 63n - 1n), 10n ** 15n, 10n ** 15n + 1_000_000n],
    ['and a little more is more', price(2n ** 63n - 1n, 2n ** 63n - 2n), 10n ** 15n, 10n ** 15n + 1_001_000n],
  ])('%s', (_, offer, amount, expected) => {
    expect(priceOf(offer, amount)).toBe(expected);
  });
  it('is never below the exact price, above it by less than a satoshi, and whole', () => {
    const anyPrice = fc.record({
      priceMsatNumerator: fc.bigInt({ min: 1n, max: 10n ** 9n }),
      priceDenominator: fc.bigInt({ min: 1n, max: 10n ** 9n }),
      spreadPpm: fc.nat(1_000_000),
    });
    const money = fc.bigInt({ min: 0n, max: 10n ** 9n });
    fc.assert(
      fc.property(anyPrice, money, fc.bigInt({ min: 10_000n, max: 10n ** 9n }), (offer, amount, subsidy) => {
        const exactTimesDivisor = amount * offer.priceMsatNumerator * BigInt(1_000_000 + offer.spreadPpm);
        const divisor = offer.priceDenominator * 1_000_000n;
        fc.pre(exactTimesDivisor / divisor < 10n ** 18n);
        const forAsset = priceOf(offer, amount, subsidy) - subsidy * 1000n;
        expect(forAsset % 1000n).toBe(0n);
        expect(forAsset * divisor).toBeGreaterThanOrEqual(exactTimesDivisor);
        expect((forAsset - 1000n) * divisor).toBeLessThan(exactTimesDivisor === 0n ? 1n : exactTimesDivisor);
      }),
    );
  });
  it.each([
    ['one satoshi below the minimum', () => priceOf(price(1000n, 1n), 8_999n), 'at least 10000 sat, found 9999 sat'],
    ['2^63 - 1 msat, beyond the money range', () => priceOf(price(2n ** 63n - 1n, 1n), 1n), 'found 9223372036855776'],
    ['beyond the money range', () => priceOf(price(10n ** 9n, 1n), 10n ** 15n), 'satoshi'],
    ['a price of zero', () => priceOf(price(0n, 1n), 10n ** 6n), 'positive integers'],
    ['a division by zero', () => priceOf(price(1n, 0n), 10n ** 6n), 'positive integers'],
    ['a negative spread', () => priceOf(price(1n, 1n, -1), 10n ** 8n), 'a spread of 0..1000000 ppm'],
    ['a fractional spread', () => priceOf(price(1n, 1n, 0.5), 10n ** 8n), 'a spread of 0..1000000 ppm'],
    ['a spread above the price itself', () => priceOf(price(1n, 1n, 1_000_001), 10n ** 8n), 'ppm'],
  ])('is refused: %s', (_, make, message) => {
    expect(make).toThrow(refusal(message));
  });
});

describe('the fee subsidy', () => {
  it.each([
    [0n, 1_000n],
    [100n, 1_000n],
    [833n, 1_000n],
    [834n, 1_001n],
    [1_000n, 1_200n],
    [100_000n, 120_000n],
  ])('at %i sat/kvB is %i sat', (rate, expected) => {
    expect(feeSubsidySat(satPerKvb(rate))).toBe(expected);
  });
});
