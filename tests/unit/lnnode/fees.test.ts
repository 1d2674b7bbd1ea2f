import * as ldk from 'lightningdevkit';
import { describe, expect, it } from 'vitest';

import { satPerKvb } from '../../../src/core/units.js';
import type { ChainSource } from '../../../src/lnnode/chain/bitcoind.js';
import { makeFeeRates } from '../../../src/lnnode/chain/fees.js';

const TARGETS = Object.values(ldk.ConfirmationTarget).filter((value) => typeof value === 'number');

/** A server whose estimate for some target is a rate, none, or a failure. */
const estimates = (rates: Record<number, bigint | 'away'>): Pick<ChainSource, 'feeRate'> => ({
  feeRate: (blocks) => {
    const rate = rates[blocks];
    if (rate === 'away') return Promise.reject(new Error('away'));
    return Promise.resolve(rate === undefined ? undefined : satPerKvb(rate));
  },
});

function feeRates(floor: bigint, cached: [number, bigint][] = []) {
  const stored = new Map(cached);
  const known = cached.map(([targetBlocks, rate]) => ({ targetBlocks, rate: satPerKvb(rate) }));
  const store = (targetBlocks: number, rate: bigint): unknown => stored.set(targetBlocks, rate);
  const limits = { floor: satPerKvb(floor), ceiling: satPerKvb(1_000_000n) };
  return { fees: makeFeeRates(limits, { known, store }), stored };
}

describe('fee rates', () => {
  it('are integers of at least 253 for every target of LDK, whatever the server says', async () => {
    for (const rates of [{}, { 2: 0n, 12: 1n, 144: 3n, 1008: 1_000_000_000n }, { 2: 999_999_999n }]) {
      const { fees } = feeRates(1000n);
      await fees.refresh(estimates(rates));
      for (const target of TARGETS) {
        const rate = fees.forTarget(target);
        expect(Number.isSafeInteger(rate)).toBe(true);
        expect(rate).toBeGreaterThanOrEqual(253);
        expect(rate).toBeLessThanOrEqual(1_000_000);
      }
    }
  });
  it('follow the estimates, never below the floor, and keep the last good one', async () => {
    const { fees } = feeRates(2000n);
    expect(fees.rate(12)).toBe(2000n);
    await fees.refresh(estimates({ 2: 50_000n, 12: 20_000n, 144: 1500n }));
    await fees.refresh(estimates({}));
    expect([fees.rate(2), fees.rate(12), fees.rate(144), fees.rate(1008)]).toEqual([50_000n, 20_000n, 2000n, 2000n]);
    expect(fees.perKw(12)).toBe(5000);
  });
  it('allow a peer far less than our own estimate, so that a jump closes no channel', async () => {
    const { fees } = feeRates(1000n);
    await fees.refresh(estimates({ 2: 400_000n, 12: 200_000n, 144: 100_000n, 1008: 40_000n }));
    const { LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee: least } = ldk.ConfirmationTarget;
    const { LDKConfirmationTarget_NonAnchorChannelFee: own } = ldk.ConfirmationTarget;
    expect(fees.forTarget(least) * 4).toBeLessThanOrEqual(fees.forTarget(own));
  });
  it('never exceed the ceiling, also for the wallet', async () => {
    const { fees } = feeRates(1000n);
    await fees.refresh(estimates({ 2: 1_000_000_000n, 12: 1_000_001n }));
    expect([fees.rate(2), fees.rate(12), fees.perKw(2)]).toEqual([1_000_000n, 1_000_000n, 250_000]);
  });
  it('of one target fail alone, and the failure is told', async () => {
    const { fees } = feeRates(1000n);
    await expect(fees.refresh(estimates({ 2: 'away', 12: 20_000n, 144: 0n }))).rejects.toThrow('away');
    expect([fees.rate(2), fees.rate(12), fees.rate(144)]).toEqual([1000n, 20_000n, 1000n]);
  });
  it('outlive the process', async () => {
    const { fees, stored } = feeRates(1000n, [[2, 30_000n]]);
    expect(fees.rate(2)).toBe(30_000n);
    await fees.refresh(estimates({ 12: 20_000n }));
    expect([...stored]).toEqual([
      [2, 30_000n],
      [12, 20_000n],
    ]);
  });
  it('ask no more of a peer than the floor while the server says that fees are high', async () => {
    const { fees } = feeRates(1000n);
    await fees.refresh(estimates({ 2: 900_000n, 12: 900_000n, 144: 900_000n, 1008: 900_000n }));
    const { LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee: plain } = ldk.ConfirmationTarget;
    const { LDKConfirmationTarget_MinAllowedAnchorChannelRemoteFee: anchors } = ldk.ConfirmationTarget;
    expect([fees.forTarget(plain), fees.forTarget(anchors)]).toEqual([253, 253]);
  });
});
