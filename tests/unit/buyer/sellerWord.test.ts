/** A seller that contradicts itself: before anything is paid that ends the purchase. */
import { describe, expect, it } from 'vitest';

import type { SellerWord } from '../../../src/buyer/record.js';
import { isSameWord, judgeWord, wordOf } from '../../../src/buyer/sellerWord.js';
import { reversedBytes, swapId } from '../../../src/core/units.js';
import { PaymentStatus, Swap, SwapStatus } from '../../../src/gen/ln_liquid_swap/v1/swap.js';

const ID = swapId('5a'.repeat(16));
const FUNDING = `${'0a'.repeat(31)}0b`;
const SCRIPT = '63ff';

const answer = (change: Partial<Swap> = {}): Swap =>
  Swap.fromPartial({
    swapId: Buffer.from(ID, 'hex'),
    status: SwapStatus.FUNDED,
    paymentStatus: PaymentStatus.OPEN,
    bolt11: 'lnbcrt1',
    fundingTxid: reversedBytes(FUNDING),
    witnessScript: Buffer.from(SCRIPT, 'hex'),
    ...change,
  });
const said = (change: Partial<Swap> = {}): SellerWord => wordOf(answer(change), undefined);
const codeOf = (swap: Swap, before?: SellerWord): string | undefined => judgeWord(swap, ID, before)?.code;
const NOTHING = { fundingTxid: Buffer.alloc(0), witnessScript: Buffer.alloc(0), bolt11: '' };

describe('an answer of the seller', () => {
  it('is remembered in short, and what it leaves out stands as before', () => {
    const before = said();
    expect(before).toEqual({ status: 2, paymentStatus: 2, fundingTxid: FUNDING, witnessScript: SCRIPT });
    const later = wordOf(
      answer({ ...NOTHING, status: SwapStatus.UNRECOGNIZED, paymentStatus: PaymentStatus.HELD }),
      before,
    );
    expect(later).toEqual({ ...before, paymentStatus: PaymentStatus.HELD });
    expect([isSameWord(before, said()), isSameWord(before, later), isSameWord(undefined, later)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it.each<[string, Partial<Swap>, Partial<Swap> | undefined]>([
    ['the first, funded and with its invoice', {}, undefined],
    ['funded after created', {}, { ...NOTHING, status: SwapStatus.CREATED, paymentStatus: PaymentStatus.NONE }],
    [
      'ended after created, with looks missed',
      { status: SwapStatus.CLAIMED },
      { status: SwapStatus.CREATED, bolt11: '' },
    ],
    ['without an invoice, once it can no longer be paid', { bolt11: '', paymentStatus: PaymentStatus.CANCELED }, {}],
    [
      'settled after canceled, which a node may report',
      { paymentStatus: PaymentStatus.SETTLED },
      { paymentStatus: PaymentStatus.CANCELED },
    ],
    ['of a status that this program does not know', { status: SwapStatus.UNRECOGNIZED, bolt11: '' }, {}],
  ])('%s is in order', (_, now, before) => {
    expect(codeOf(answer(now), before === undefined ? undefined : said(before))).toBeUndefined();
  });

  it.each<[string, string, Partial<Swap>, Partial<Swap>?]>([
    ['with an invoice while CREATED', 'invoice_before_funding', { status: SwapStatus.CREATED }],
    ['with an invoice and an unknown status', 'invoice_before_funding', { status: SwapStatus.UNSPECIFIED }],
    ['with an invoice and no funding', 'invoice_before_funding', { fundingTxid: Buffer.alloc(0) }],
    ['with an invoice and no script', 'invoice_before_funding', { witnessScript: Buffer.alloc(0) }],
    ['about another swap', 'seller_swap_changed', { swapId: Buffer.alloc(16, 1) }],
    ['with another funding', 'seller_swap_changed', { fundingTxid: Buffer.alloc(32, 1) }, {}],
    ['with another script', 'seller_swap_changed', { witnessScript: Buffer.alloc(2, 1) }, {}],
    ['CREATED after FUNDED', 'seller_state_backwards', { status: SwapStatus.CREATED, bolt11: '' }, {}],
    ['FUNDED after REFUNDED', 'seller_state_backwards', {}, { status: SwapStatus.REFUNDED }],
    [
      'REFUNDED after CLAIMED',
      'seller_state_backwards',
      { status: SwapStatus.REFUNDED },
      { status: SwapStatus.CLAIMED },
    ],
    ['OPEN after HELD', 'seller_state_backwards', {}, { paymentStatus: PaymentStatus.HELD }],
    ['OPEN after CANCELED', 'seller_state_backwards', {}, { paymentStatus: PaymentStatus.CANCELED }],
    [
      'CANCELING after SETTLING',
      'seller_state_backwards',
      { paymentStatus: PaymentStatus.CANCELING },
      { paymentStatus: PaymentStatus.SETTLING },
    ],
    ['NONE after OPEN', 'seller_state_backwards', { paymentStatus: PaymentStatus.NONE }, {}],
  ])('%s is a lie', (_, code, now, before) => {
    expect(codeOf(answer(now), before === undefined ? undefined : said(before))).toBe(code);
  });
});
