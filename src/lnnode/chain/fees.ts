/** Fee rates for LDK and the wallet: the last good estimate per target, never below the floor. */
import * as ldk from 'lightningdevkit';

import { satPerKvb, type SatPerKvb } from '../../core/units.js';
import type { ChainSource } from './bitcoind.js';

/** Confirmation targets asked for, blocks. */
const TARGETS = [2, 12, 144, 1008] as const;
type Target = (typeof TARGETS)[number];

/** LDK's lowest rate, satoshi per 1000 weight units. */
const MIN_PER_KW = 253;
const MAX_PER_KW = 1_000_000;
/** LDK refuses a peer whose rate is above its "maximum" estimate, so ours is generous. */
const GENEROUS_PER_KW = 25_000;

export type FeeRates = ReturnType<typeof makeFeeRates>;

/** Starts at the floor until the first `refresh`. */
export function makeFeeRates(floor: SatPerKvb) {
  const rates = new Map<Target, SatPerKvb>();
  const rate = (target: Target): SatPerKvb => {
    const known = rates.get(target) ?? floor;
    return known > floor ? known : floor;
  };
  const perKw = (target: Target): number =>
    Math.min(MAX_PER_KW, Math.max(MIN_PER_KW, Math.ceil(Number(rate(target)) / 4)));
  return {
    rate,
    perKw,
    /** Keeps the last good value of each target if the server has none. */
    refresh: async (source: ChainSource): Promise<void> => {
      for (const target of TARGETS) {
        const estimate = await source.feeRate(target);
        if (estimate !== undefined) rates.set(target, satPerKvb(estimate));
      }
    },
    /** Satoshi per 1000 weight units; always a finite integer, because NaN here stops LDK. */
    forTarget: (target: ldk.ConfirmationTarget): number => forTarget(target, perKw),
  };
}

function forTarget(target: ldk.ConfirmationTarget, perKw: (target: Target) => number): number {
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
    // A peer below this is closed on after a day, so it must stay far under any estimate.
    case ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedNonAnchorChannelRemoteFee:
      return Math.max(MIN_PER_KW, Math.floor(perKw(1008) / 4));
    case ldk.ConfirmationTarget.LDKConfirmationTarget_MinAllowedAnchorChannelRemoteFee:
      return MIN_PER_KW;
    default:
      return perKw(12);
  }
}
