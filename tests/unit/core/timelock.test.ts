import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  assertPayable,
  payerMinBlocks,
  PROFILES,
  refundHeightFor,
  requiredRefundDelta,
  safeTotalCltvDelta,
  worstCaseMinutes,
} from '../../../src/core/timelock.js';
import { blockHeight } from '../../../src/core/units.js';

describe('worst-case minutes', () => {
  it.each([
    [48, 1_648],
    [84, 2_423],
    [164, 4_005],
    [468, 9_492],
  ])('%i Bitcoin blocks take at most %i minutes', (blocks, minutes) => {
    expect(worstCaseMinutes(blocks)).toBe(minutes);
  });
});

describe('profiles', () => {
  it.each([
    ['routed', 9_732, 9_762],
    ['near', 4_245, 4_275],
    ['direct', 2_663, 2_693],
    ['regtest', 30, 55],
  ] as const)('%s keeps the offer inequality', (name, payerMin, required) => {
    const profile = PROFILES[name];
    expect(profile.payerMin).toBe(payerMin);
    expect(requiredRefundDelta(profile)).toBe(required);
    expect(profile.refundDeltaBlocks).toBeGreaterThanOrEqual(required);
  });
});

describe('a payer', () => {
  const tip = blockHeight(3_000_000);
  const refundHeight = refundHeightFor(PROFILES.routed, tip);
  const lastSafeTip = refundHeight - PROFILES.routed.payerMin - 2;

  it('may still send on the last safe block', () => {
    expect(() => {
      assertPayable(PROFILES.routed, refundHeight, blockHeight(lastSafeTip));
    }).not.toThrow();
  });
  it('is refused one block later, and told both numbers', () => {
    expect(() => {
      assertPayable(PROFILES.routed, refundHeight, blockHeight(lastSafeTip + 1));
    }).toThrow('refund opens in 9733 blocks, a payment needs at least 9734');
  });
  it('never allows itself a CLTV that could outlive the refund', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 18, max: 80 }),
        (blocksLeft, finalCltvDelta) => {
          const delta = safeTotalCltvDelta({ blocksLeft, finalCltvDelta, regtest: false });
          return delta === undefined || (delta >= finalCltvDelta + 3 && payerMinBlocks(delta) + 2 <= blocksLeft);
        },
      ),
    );
  });
});
