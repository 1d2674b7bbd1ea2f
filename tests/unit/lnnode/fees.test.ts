import * as ldk from 'lightningdevkit';
import { describe, expect, it } from 'vitest';

import { satPerKvb } from '../../../src/core/units.js';
import type { ChainSource } from '../../../src/lnnode/chain/bitcoind.js';
import { makeFeeRates } from '../../../src/lnnode/chain/fees.js';

const TARGETS = Object.values(ldk.ConfirmationTarget).filter((value) => typeof value === 'number');

const estimates = (rates: Record<number, bigint>): ChainSource => {
  const away = () => Promise.reject(new Error('not asked'));
  return {
    best: away,
    header: away,
    block: away,
    broadcast: away,
    feeRate: (blocks) => Promise.resolve(rates[blocks] === undefined ? undefined : satPerKvb(rates[blocks])),
    close: () => undefined,
  };
};

describe('fee rates', () => {
  it('are integers of at least 253 for every target of LDK, whatever the server says', async () => {
    for (const rates of [{}, { 2: 0n, 12: 1n, 144: 3n, 1008: 1_000_000_000n }, { 2: 999_999_999n }]) {
      const fees = makeFeeRates(satPerKvb(1000n));
      await fees.refresh(estimates(rates));
      for (const target of TARGETS) {
        const rate = fees.forTarget(target);
        expect(Number.isSafeInteger(rate)).toBe(true);
        expect(rate).toBeGreaterThanOrEqual(253);
        expect(rate).toBeLessThanOrEqual(4_000_000);
      }
    }
  });
  it('follow the estimates, never below the floor, and keep the last good one', async () => {
    const fees = makeFeeRates(satPerKvb(2000n));
    expect(fees.rate(12)).toBe(2000n);
    await fees.refresh(estimates({ 2: 50_000n, 12: 20_000n, 144: 1500n }));
    await fees.refresh(estimates({}));
    expect([fees.rate(2), fees.rate(12), fees.rate(144), fees.rate(1008)]).toEqual([50_000n, 20_000n, 2000n, 2000n]);
    expect(fees.perKw(12)).toBe(5000);
  });
  it('allow a peer far less than our own estimate, so that a jump closes no channel', async () => {
    const fees = makeFeeRates(satPerKvb(1000n));
    await fees.refresh(estimates({ 2: 400_000n, 12: 200_000n, 144: 100_000n, 1008: 40_000n }));
    const { LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee: least } = ldk.ConfirmationTarget;
    const { LDKConfirmationTarget_NonAnchorChannelFee: own } = ldk.ConfirmationTarget;
    expect(fees.forTarget(least) * 4).toBeLessThanOrEqual(fees.forTarget(own));
  });
});
