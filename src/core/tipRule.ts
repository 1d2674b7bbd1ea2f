/**
 * The tip rule: when a server's word about the chain's height may decide about money. Pure.
 *
 * A lie of a million blocks would make a swap look safe for years, so a tip must be fresh, must not grow faster than one
 * block a minute, and two servers must agree where that is worth something.
 */

import type { LiquidNetworkName } from './network.js';
import { blockHeight, type BlockHeight, type UnixSecs } from './units.js';

/** A server's tip, read from its header. */
export type ReportedTip = { readonly height: BlockHeight; readonly time: UnixSecs };

/** A tip that passed the rule, and when. */
export type AcceptedTip = { readonly height: BlockHeight; readonly at: UnixSecs };

/** Header times may differ from our clock by this much, seconds. */
const MAX_CLOCK_DIFFERENCE_SECS = 600;
/** Blocks that a tip may be ahead of one block a minute since the last accepted tip. */
const GROWTH_SLACK_BLOCKS = 60;
/** No run of so many blocks may be faster than 1.2 blocks a minute. */
export const PACE_BLOCKS = 60;
const MIN_PACE_SECS = 3_000;
/** Servers may be this many blocks apart. */
const MAX_TIP_DIFFERENCE_BLOCKS = 2;
/** 2018-09-27, the day Liquid started. */
const LIQUID_START_SECS = 1_538_006_400;

/** The height to reckon with (the highest), or what is wrong. */
export type TipVerdict =
  { readonly ok: true; readonly height: BlockHeight } | { readonly ok: false; readonly problem: string };

/**
 * Judges the tips of all servers that answer. On regtest blocks carry no time, so only their agreement counts.
 *
 * @param options.serversNeeded fewer than these decide nothing; default 1.
 */
export function judgeTips(options: {
  readonly tips: readonly ReportedTip[];
  readonly serversNeeded?: number;
  readonly network: LiquidNetworkName;
  readonly now: UnixSecs;
  readonly lastAccepted: AcceptedTip | undefined;
}): TipVerdict {
  const { tips, network, now, lastAccepted } = options;
  if (tips.length === 0) return { ok: false, problem: 'no server told its tip' };
  const { serversNeeded = 1 } = options;
  if (tips.length < serversNeeded) {
    return { ok: false, problem: `expected ${serversNeeded} servers to agree, found ${tips.length} that answers` };
  }
  const heights = tips.map((tip) => tip.height);
  const highest = blockHeight(Math.max(...heights));
  const lowest = Math.min(...heights);
  if (highest - lowest > MAX_TIP_DIFFERENCE_BLOCKS) {
    return { ok: false, problem: `servers are ${highest - lowest} blocks apart (${lowest} and ${highest})` };
  }
  if (network === 'regtest') return { ok: true, height: highest };
  for (const tip of tips) {
    if (Math.abs(tip.time - now) > MAX_CLOCK_DIFFERENCE_SECS) {
      return { ok: false, problem: `the header of block ${tip.height} is ${Math.abs(tip.time - now)} s off our clock` };
    }
  }
  const limit =
    lastAccepted === undefined
      ? Math.floor((now - LIQUID_START_SECS) / 60)
      : lastAccepted.height + Math.floor(Math.max(0, now - lastAccepted.at) / 60) + GROWTH_SLACK_BLOCKS;
  if (highest > limit) return { ok: false, problem: `height ${highest} is above ${limit}, one block a minute` };
  return { ok: true, height: highest };
}

/** What is wrong if {@link PACE_BLOCKS} blocks came faster than the federation makes them, or undefined. Not for regtest. */
export function paceProblem(older: ReportedTip, tip: ReportedTip): string | undefined {
  const secs = tip.time - older.time;
  if (tip.height - older.height < PACE_BLOCKS || secs >= MIN_PACE_SECS) return undefined;
  return `${tip.height - older.height} blocks in ${secs} s: expected at most 1.2 a minute`;
}
