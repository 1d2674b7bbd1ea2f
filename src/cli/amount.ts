/** Amounts as people write them: exact decimals with an asset's precision. Pure. */
import { MAX_MONEY } from '../core/units.js';
import { SwapError } from '../errors.js';

const DECIMAL = /^([0-9]{1,16})(?:\.([0-9]{1,18}))?$/;

/**
 * Smallest units of a decimal text, exactly.
 *
 * @throws SwapError `invalid_argument` for signs, exponents, separators, too many decimals, 0, or more than 2.1e15 units.
 */
export function parseAmount(what: string, text: string, precision: number): bigint {
  const match = DECIMAL.exec(text);
  const [, whole = '', fraction = ''] = match ?? [];
  const refuse = (expected: string): never => {
    throw new SwapError('invalid_argument', `${what}: expected ${expected}, found "${text.slice(0, 40)}"`);
  };
  if (match === null) return refuse('a decimal number like 12.5');
  if (fraction.length > precision) return refuse(`at most ${precision} decimals`);
  const units = BigInt(whole + fraction.padEnd(precision, '0'));
  if (units === 0n) return refuse('more than 0');
  return units > MAX_MONEY ? refuse(`at most ${formatAmount(MAX_MONEY, precision)}`) : units;
}

/** Whole units with all decimals of the asset. */
export function formatAmount(units: bigint, precision: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(precision + 1, '0');
  const sign = units < 0n ? '-' : '';
  if (precision === 0) return sign + digits;
  return `${sign}${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
}

/** Human units with the exact integer beside them. */
export const describeAmount = (units: bigint, precision: number, ticker: string): string =>
  `${formatAmount(units, precision)} ${ticker} (${units})`;

/** Satoshi with the exact millisatoshi beside them. */
export const describeMsat = (msat: bigint): string =>
  `${formatAmount(msat, 3).replace(/\.000$/, '')} sat (${msat} msat)`;

/** A number with its noun. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
