/** Fee rates for LDK and the wallet: the last good estimate per target, between a floor and a ceiling. */
import * as ldk from 'lightningdevkit';

import { satPerKvb, type SatPerKvb } from '../../core/units.js';
import type { ChainSource } from './bitcoind.js';

/** Confirmation targets asked for, blocks. */
const TARGETS = [2, 6, 12, 144, 1008] as const;
type Target = (typeof TARGETS)[number];

/** LDK's lowest rate, satoshi per 1000 weight units. */
const MIN_PER_KW = 253;
/** LDK refuses a peer whose rate is above its "maximum" estimate, so ours is generous. */
const GENEROUS_PER_KW = 25_000;

export type FeeLimits = {
  readonly floor: SatPerKvb;
  /** No estimate counts for more, whatever the server says. */
  readonly ceiling: SatPerKvb;
};

/** Where estimates outlive the process. */
export type FeeCache = {
  readonly known: readonly { readonly targetBlocks: number; readonly rate: SatPerKvb }[];
  readonly store: (targetBlocks: number, rate: SatPerKvb) => void;
};

export type FeeRates = ReturnType<typeof makeFeeRates>;

/** Starts at the cached values, or at the floor. */
export function makeFeeRates({ floor, ceiling }: FeeLimits, cache: FeeCache) {
  const rates = new Map<number, SatPerKvb>(cache.known.map(({ targetBlocks, rate }) => [targetBlocks, rate]));
  const rate = (target: Target): SatPerKvb => {
    const known = rates.get(target) ?? floor;
    if (known < floor) return floor;
    return known > ceiling ? ceiling : known;
  };
  const perKw = (target: Target): number => Math.max(MIN_PER_KW, Math.ceil(Number(rate(target)) / 4));
  /** A peer below this is closed on after a day: a lie that estimates are high must not do that. */
  const leastOfPeer = (): number => {
    const lowest = Math.min(...TARGETS.map(perKw));
    return Math.max(MIN_PER_KW, Math.min(Math.floor(lowest / 4), Math.ceil(Number(floor) / 4)));
  };
  return {
    rate,
    perKw,
    /** Keeps the last good value of each target for which the server has none. @throws the first failure, at the end */
    refresh: async (source: Pick<ChainSource, 'feeRate'>): Promise<void> => {
      const failures: unknown[] = [];
      for (const target of TARGETS) {
        try {
          const estimate = await source.feeRate(target);
          if (estimate === undefined || estimate <= 0n || estimate === rates.get(target)) continue;
          rates.set(target, satPerKvb(estimate));
          cache.store(target, estimate);
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw failures[0];
    },
    /** Satoshi per 1000 weight units; always a finite integer, because NaN here stops LDK. */
    forTarget: (target: ldk.ConfirmationTarget): number => forTarget(target, perKw, leastOfPeer),
  };
}

function forTarget(
  target: ldk.ConfirmationTarget,
  perKw: (target: Target) => number,
  leastOfPeer: () => number,
): number {
  switch (target) {
    case ldk.ConfirmationTarget.LDKConfirmationTarget_MaximumFeeEstimate:
      return Math.max(GENEROUS_PER_KW, 4 * perKw(2));
    case ldk.ConfirmationTarget.LDKConfirmationTarget_UrgentOnChainSweep:
      return perKw(2);
    case ldk.ConfirmationTarget.LDKConfirmationTarget_NonAnchorChannelFee:
    case ldk.ConfirmationTarget.LDKConfirmationTarget_OutputSpendingFee:
      return perKw(12);
    case ldk.ConfirmationTarget.LDKConfirmationTarget_ChannelCloseMinimum:
      return perKw(144);
    case ldk.ConfirmationTarget.LDKConfirmationTarget_AnchorChannelFee:
      return perKw(1008);
    case ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee:
      return leastOfPeer();
    case ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedAnchorChannelRemoteFee:
      return MIN_PER_KW;
    default:
      return perKw(12);
  }
}
