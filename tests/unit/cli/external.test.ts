import { encode } from 'uqr';
import { describe, expect, it } from 'vitest';

import { describeInvoice } from '../../../src/cli/externalPayer.js';
import { invoiceQr } from '../../../src/cli/qr.js';
import { msat, unixSecs } from '../../../src/core/units.js';

const BOLT11 = `lnbcrt261250n1p${'q'.repeat(400)}`;
const INVOICE = {
  bolt11: BOLT11,
  amountMsat: msat(26_125_000n),
  maxTotalCltvDelta: 60,
  payUntil: unixSecs(1_700_000_600),
};
const NOW_MS = 1_700_000_000_000;
const withoutColours = (text: string): string => text.replaceAll(/\x1b\[[0-9;]*m/g, '');

describe('the QR code of an invoice', () => {
  it('has every module of the code, bright on black, two rows in a line', () => {
    const code = encode(BOLT11.toUpperCase(), { ecc: 'L', boostEcc: false, border: 2 });
    const lines = withoutColours(invoiceQr(BOLT11, 200) ?? '').split('\n');
    const isDark = (row: number, column: number): boolean | undefined => {
      const glyph = lines[Math.floor(row / 2)]?.charAt(column) ?? '';
      const [upper, lower] =
        { '█': [false, false], '▀': [false, true], '▄': [true, false], ' ': [true, true] }[glyph] ?? [];
      return row % 2 === 0 ? upper : lower;
    };
    code.data.forEach((row, y) => {
      expect(row.map((_module, x) => isDark(y, x))).toEqual(row);
    });
  });

  it('fits a terminal of 80 columns, and is left out where it does not fit', () => {
    const lines = withoutColours(invoiceQr(BOLT11, 80) ?? '').split('\n');
    expect(lines.length).toBeLessThan(40);
    expect(invoiceQr(BOLT11, 40)).toBeUndefined();
  });
});

describe('what a person is told who pays from another wallet', () => {
  it('is amount, invoice, deadline, the cap, and the honest warning', () => {
    const text = describeInvoice(INVOICE, undefined, NOW_MS);
    expect(text).toContain('Pay this invoice: 26125 sat and not more');
    expect(text).toContain(`\n${BOLT11}\n`);
    expect(text).toContain('2023-11-14T22:23:20.000Z, in 10 minutes');
    expect(text).toContain('to 60 Bitcoin blocks or less');
    expect(text).toContain(
      'if your wallet cannot limit the total CLTV, you are protected only against an honest seller',
    );
  });

  it('has a QR code only where somebody can scan it', () => {
    expect(describeInvoice(INVOICE, undefined, NOW_MS)).not.toContain('▄');
    expect(describeInvoice(INVOICE, 100, NOW_MS)).toContain('▄');
  });
});
