/**
 * What a swap costs on Lightning. Pure, integers only.
 */
import { SwapError } from '../errors.js';
import { sat, satToMsat, type AssetAmount, type Msat, type Sat, type SatPerKvb } from './units.js';

/** Price of one smallest unit: numerator / denominator msat, raised by the spread. */
export type OfferPrice = {
  readonly priceMsatNumerator: bigint;
  readonly priceDenominator: bigint;
  /** Parts per million on top, 0..1 000 000. */
  readonly spreadPpm: number;
};

const PPM = 1_000_000;
const MIN_PRICE_SAT = 10_000n;
const MIN_SUBSIDY_SAT = 1_000n;
/** A claim is 392 vB with explicit change; three times that absorbs a fee rise between funding and claim. */
const CLAIM_VSIZE = 400n;
const SUBSIDY_FACTOR = 3n;

const ceilDiv = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;

function checkPrice({ priceMsatNumerator, priceDenominator, spreadPpm }: OfferPrice): void {
  const spreadIsValid = Number.isInteger(spreadPpm) && spreadPpm >= 0 && spreadPpm <= PPM;
  if (priceMsatNumerator > 0n && priceDenominator > 0n && spreadIsValid) return;
  throw new SwapError(
    'invalid_argument',
    `price: expected positive integers and a spread of 0..${PPM} ppm, found ` +
      `${priceMsatNumerator.toString()} / ${priceDenominator.toString()} + ${spreadPpm} ppm`,
  );
}

/**
 * Price of a swap, a whole number of satoshi: the asset's price rounded up, plus the fee subsidy one to one.
 *
 * @throws SwapError `invalid_argument` below 10 000 sat, above the money range, or for a price that is not positive.
 */
export function priceMsat(options: {
  readonly price: OfferPrice;
  readonly assetAmount: AssetAmount;
  readonly feeSubsidySat: Sat;
}): Msat {
  const { price, assetAmount, feeSubsidySat: subsidy } = options;
  checkPrice(price);
  const dividend = assetAmount * price.priceMsatNumerator * BigInt(PPM + price.spreadPpm);
  const total = sat(ceilDiv(dividend, price.priceDenominator * BigInt(PPM) * 1000n) + subsidy);
  if (total < MIN_PRICE_SAT) {
    throw new SwapError(
      'invalid_argument',
      `price: expected at least ${MIN_PRICE_SAT.toString()} sat, found ${total.toString()} sat`,
    );
  }
  return satToMsat(total);
}

/** L-BTC that goes with the asset so that the buyer can pay the claim's fee: max(1000, 3 x 400 vB x rate). */
export function feeSubsidySat(feeRate: SatPerKvb): Sat {
  const scaled = ceilDiv(SUBSIDY_FACTOR * CLAIM_VSIZE * feeRate, 1000n);
  return sat(scaled > MIN_SUBSIDY_SAT ? scaled : MIN_SUBSIDY_SAT);
}
