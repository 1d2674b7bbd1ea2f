/** What a replacement must pay so that a node takes it in place of others (BIP125 as Elements applies it). Pure. */
import type { Transaction } from 'liquidjs-lib';

import { explicitOutput } from './funding.js';
import { feeFor, fullVsize } from './tx.js';
import { sat, satPerKvb, type Sat } from './units.js';

/** Sizes by which nodes measure a rate: some give a discount to confidential outputs, some do not. */
export type Sizes = { readonly vsize: number; readonly discountVsize: number };

/** A transaction that may be in a mempool and has to go. */
export type Replaced = Sizes & { readonly feeSat: Sat };

/** Elements' incremental relay rate: a replacement pays so much more, for its own size. */
export const RELAY_INCREMENT = satPerKvb(100n);
/** A replacement pays at least half as much again: few steps lead from any fee to any other. */
export const BUMP_NUMERATOR = 3n;
/** Divides {@link BUMP_NUMERATOR}. */
export const BUMP_DENOMINATOR = 2n;

/** Both sizes of a transaction. */
export const sizesOf = (tx: Transaction): Sizes => ({ vsize: fullVsize(tx), discountVsize: tx.virtualSize(true) });

/** Fee of any transaction: its explicit outputs with an empty script. */
export function feeOf(tx: Transaction): Sat {
  const fees = tx.outs.filter((output) => output.script.length === 0);
  return sat(fees.reduce((sum, output) => sum + (explicitOutput(output)?.value ?? 0n), 0n));
}

/** What has to be known of a transaction to replace it. */
export const replacedOf = (tx: Transaction): Replaced => ({ ...sizesOf(tx), feeSat: feeOf(tx) });

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

/**
 * The least fee with which a transaction of that size replaces any one of those: half as much again at the same size,
 * more in proportion if it is larger by either measure, and the relay increment for its own size.
 */
export function leastReplacementFee(replaced: readonly Replaced[], size: Sizes): Sat {
  const least = replaced.map((old) => {
    const pairs = [
      [1, 1],
      [size.vsize, old.vsize],
      [size.discountVsize, old.discountVsize],
    ] as const;
    const scaled = pairs.map(([now, before]) =>
      ceilDiv(old.feeSat * BUMP_NUMERATOR * BigInt(now), BUMP_DENOMINATOR * BigInt(before)),
    );
    return [...scaled, old.feeSat + feeFor(size.vsize, RELAY_INCREMENT)].reduce((a, b) => (a > b ? a : b));
  });
  return sat(least.reduce<bigint>((a, b) => (a > b ? a : b), 0n));
}
