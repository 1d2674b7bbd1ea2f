/** A QR code made of letters, two rows of modules in one line. */
import { encode, renderUnicodeCompact } from 'uqr';

/** Bright on black, whatever colours the terminal has: a scanner wants dark modules on a light ground. */
const LIGHT_ON_BLACK = '\x1b[97;40m';
const RESET = '\x1b[0m';
/** Light modules around the code; the standard asks four, scanners are content with two. */
const BORDER = 2;

/**
 * The QR code of an invoice, or undefined if a line of it is wider than the terminal.
 *
 * Capital letters take 5.5 bits each instead of 8, and BOLT 11 allows them; the lowest error level keeps it small.
 *
 * @param columns width of the terminal.
 */
export function invoiceQr(bolt11: string, columns: number): string | undefined {
  const text = bolt11.toUpperCase();
  const options = { ecc: 'L', boostEcc: false, border: BORDER } as const;
  if (encode(text, options).size > columns) return undefined;
  return renderUnicodeCompact(text, options)
    .split('\n')
    .map((line) => `${LIGHT_ON_BLACK}${line}${RESET}`)
    .join('\n');
}
