import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { leastReplacementFee, type Replaced } from '../../../src/core/replacement.js';
import { sat } from '../../../src/core/units.js';

const size = fc.integer({ min: 200, max: 3_000 });
const sizes = fc
  .tuple(size, fc.integer({ min: 1, max: 8 }))
  .map(([vsize, part]) => ({ vsize, discountVsize: Math.ceil(vsize / part) }));
const replaced: fc.Arbitrary<Replaced> = fc
  .tuple(sizes, fc.bigInt({ min: 1n, max: 1_000_000n }))
  .map(([measures, fee]) => ({ ...measures, feeSat: sat(fee) }));

/** Satoshi per 1000 bytes, cut as a node cuts it. */
const rate = (fee: bigint, bytes: number): bigint => (fee * 1000n) / BigInt(bytes);

describe('the fee of a replacement', () => {
  it('beats every rule of a node, whichever size it measures by', () => {
    fc.assert(
      fc.property(fc.array(replaced, { minLength: 1, maxLength: 3 }), sizes, (olds, now) => {
        const fee = leastReplacementFee(olds, now);
        for (const old of olds) {
          expect(fee - old.feeSat).toBeGreaterThanOrEqual((BigInt(now.vsize) * 100n + 999n) / 1000n);
          expect(rate(fee, now.vsize)).toBeGreaterThan(rate(old.feeSat, old.vsize));
          expect(rate(fee, now.discountVsize)).toBeGreaterThan(rate(old.feeSat, old.discountVsize));
        }
      }),
    );
  });
  it('of the same size is half as much again', () => {
    const old = { vsize: 400, discountVsize: 400, feeSat: sat(1_000n) };
    expect(leastReplacementFee([old], old)).toBe(1_500n);
  });
  it('is nothing if nothing is replaced', () => {
    expect(leastReplacementFee([], { vsize: 400, discountVsize: 400 })).toBe(0n);
  });
});
