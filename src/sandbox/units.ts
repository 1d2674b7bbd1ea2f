/** Amounts as people type them: whole units with decimals, to and from smallest units. */
import { assetAmount } from '../core/units.js';
import { WorldError } from './problem.js';

/** Decimal places of BTC and L-BTC. */
export const BITCOIN_PRECISION = 8;

/**
 * `25` or `0.001` with `precision` decimal places, in smallest units.
 *
 * @throws WorldError `invalid_argument` if it is no positive number, has too many decimals or is above 2.1e15 units.
 */
export function parseUnits(text: string, precision: number): bigint {
  const match = /^(\d{1,16})(?:\.(\d+))?$/.exec(text);
  const [whole, decimals] = [match?.[1], match?.[2] ?? ''];
  if (whole === undefined || decimals.length > precision) {
    throw new WorldError(
      'invalid_argument',
      `amount: expected whole units with at most ${precision} decimals such as 25 or 0.5, found "${text}"`,
    );
  }
  const amount = BigInt(whole + decimals.padEnd(precision, '0'));
  if (amount === 0n) throw new WorldError('invalid_argument', `amount: expected more than 0, found "${text}"`);
  return assetAmount(amount);
}

/** Smallest units as whole units with all decimals, e.g. `25.00000000`. */
export function formatUnits(amount: bigint, precision: number): string {
  const digits = amount.toString().padStart(precision + 1, '0');
  return precision === 0 ? digits : `${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
}
