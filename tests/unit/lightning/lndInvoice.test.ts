import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { msat, paymentHash, unixSecs } from '../../../src/core/units.js';
import { invoiceAnswer, type InvoiceAnswer } from '../../../src/lightning/lnd/answers.js';
import { differenceTo, toHoldInvoice } from '../../../src/lightning/lnd/invoice.js';
import type { HoldInvoiceRequest } from '../../../src/lightning/node.js';

const HASH = 'ab'.repeat(32);
const NOTHING = { isPending: false, isTimedOutOnChain: false };

type Htlc = InvoiceAnswer['htlcs'][number];
const htlc = (amount: bigint, change: Partial<Htlc> = {}): Htlc => ({
  chan_id: 1n,
  amt_msat: amount,
  expiry_height: 500,
  state: 'ACCEPTED',
  ...change,
});

const invoice = (change: Partial<InvoiceAnswer> = {}): InvoiceAnswer => ({
  memo: 'label',
  r_hash: HASH,
  r_preimage: '',
  value_msat: 1000n,
  amt_paid_msat: 0n,
  creation_date: 1_700_000_000n,
  expiry: 600n,
  cltv_expiry: 42n,
  description_hash: 'cd'.repeat(32),
  payment_request: 'lnbcrt1',
  is_amp: false,
  state: 'OPEN',
  htlcs: [],
  ...change,
});

const tell = (change: Partial<InvoiceAnswer>, now = 1_700_000_100) =>
  toHoldInvoice(invoice(change), { fate: NOTHING, holdExpiryDelta: 12, now: unixSecs(now) });

describe('an invoice of lnd', () => {
  it('is OPEN without a payment', () => {
    expect(tell({})).toEqual({
      paymentHash: HASH,
      bolt11: 'lnbcrt1',
      state: 'OPEN',
      amountMsat: 1000n,
      heldMsat: 0n,
      claimDeadlineHeight: undefined,
      isHtlcPending: false,
      isTimedOutOnChain: false,
      label: 'label',
      cancelReason: '',
      expiresAt: 1_700_000_600,
    });
  });
  it('is HELD with a complete set until its first HTLC comes near its timeout, a canceled one aside', () => {
    const htlcs = [
      htlc(400n, { expiry_height: 510 }),
      htlc(600n),
      htlc(1000n, { expiry_height: 300, state: 'CANCELED' }),
    ];
    const held = tell({ state: 'ACCEPTED', amt_paid_msat: 1000n, htlcs });
    expect(held).toMatchObject({ state: 'HELD', heldMsat: 1000n, claimDeadlineHeight: 488 });
  });
  it('is HELD with all that is held when it is more than was asked', () => {
    const held = tell({ state: 'ACCEPTED', amt_paid_msat: 3000n, htlcs: [htlc(3000n)] });
    expect(held).toMatchObject({ state: 'HELD', heldMsat: 3000n, amountMsat: 1000n });
  });
  it('is HELD with less than was asked when parts of it are too small to be taken on the chain', () => {
    const price = { state: 'ACCEPTED', value_msat: 10_000_000n, amt_paid_msat: 10_000_000n } as const;
    const most = htlc(10_000_000n - 1_062_000n);
    expect(tell({ ...price, htlcs: [most, htlc(1_062_000n)] })).toMatchObject({ heldMsat: 10_000_000n });
    const dusty = { ...price, amt_paid_msat: 9_999_999n, value_msat: 9_999_999n, htlcs: [most, htlc(1_061_999n)] };
    expect(tell(dusty)).toMatchObject({ state: 'HELD', heldMsat: most.amt_msat });
    expect(tell({ ...dusty, state: 'SETTLED' })).toMatchObject({ heldMsat: 9_999_999n });
    const canceled = htlc(1n, { state: 'CANCELED' });
    expect(tell({ ...price, htlcs: [htlc(10_000_000n), canceled] })).toMatchObject({ heldMsat: 10_000_000n });
  });
  it.each<[string, Partial<InvoiceAnswer>]>([
    ['a part in an open invoice', { state: 'OPEN', htlcs: [htlc(500n)] }],
    ['the whole amount in an open invoice', { state: 'OPEN', htlcs: [htlc(1000n)] }],
    ['an accepted set of less', { state: 'ACCEPTED', amt_paid_msat: 999n, htlcs: [htlc(999n)] }],
    ['a total without the HTLCs', { state: 'ACCEPTED', amt_paid_msat: 1000n, htlcs: [htlc(999n)] }],
    ['HTLCs without the total', { state: 'ACCEPTED', amt_paid_msat: 999n, htlcs: [htlc(1000n)] }],
  ])('is not HELD for %s', (_name, change) => {
    expect(tell(change)).toMatchObject({ state: 'OPEN', heldMsat: 0n, claimDeadlineHeight: undefined });
  });
  it('is HELD only with at least the amount in HTLCs, whatever lnd sends', () => {
    const amounts = fc.bigInt({ min: 0n, max: 3000n });
    fc.assert(
      fc.property(fc.array(amounts, { maxLength: 4 }), amounts, (parts, total) => {
        const { state } = tell({ state: 'ACCEPTED', amt_paid_msat: total, htlcs: parts.map((part) => htlc(part)) });
        const sum = parts.reduce((left, right) => left + right, 0n);
        expect(state === 'HELD').toBe(sum >= 1000n && total >= 1000n);
      }),
    );
  });
  it.each<[string, number, Htlc[]]>([
    ['CANCELED_BY_USER', 1_700_000_599, []],
    ['EXPIRED', 1_700_000_600, []],
    ['CANCELED with a payment held', 1_700_000_600, [htlc(1000n, { state: 'CANCELED' })]],
  ])('is CANCELED as %s', (reason, now, htlcs) => {
    const { state, cancelReason } = tell({ state: 'CANCELED', htlcs }, now);
    expect({ state, cancelReason }).toEqual({
      state: 'CANCELED',
      cancelReason: expect.stringContaining(reason) as string,
    });
  });
  it('is refused when a field is none', () => {
    const answer = {
      ...invoice(),
      r_hash: Buffer.alloc(32),
      r_preimage: Buffer.alloc(0),
      description_hash: Buffer.alloc(32),
    };
    const text = {
      ...answer,
      value_msat: '1000',
      amt_paid_msat: '0',
      creation_date: '1',
      expiry: '600',
      cltv_expiry: '42',
    };
    expect(invoiceAnswer.parse(text)).toMatchObject({ value_msat: 1000n, r_hash: '00'.repeat(32) });
    for (const [field, value] of [
      ['value_msat', '-1'],
      ['value_msat', '1.5'],
      ['amt_paid_msat', ''],
      ['state', 'HELD'],
      ['r_hash', 'aa'],
    ] as const) {
      expect(invoiceAnswer.safeParse({ ...text, [field]: value }).success).toBe(false);
    }
  });
});

describe('an invoice that exists', () => {
  const request: HoldInvoiceRequest = {
    paymentHash: paymentHash(HASH),
    amountMsat: msat(1000n),
    descriptionHash: 'cd'.repeat(32),
    expirySecs: 600,
    minFinalCltvDelta: 42,
    label: 'label',
  };
  it('is the one that was asked for, whatever became of it', () => {
    expect(differenceTo(invoice(), request)).toBeUndefined();
    expect(differenceTo(invoice({ state: 'CANCELED', r_preimage: '00'.repeat(32) }), request)).toBeUndefined();
    expect(differenceTo(invoice({ state: 'SETTLED', r_preimage: '11'.repeat(32) }), request)).toBeUndefined();
  });
  it.each<[string, Partial<InvoiceAnswer>]>([
    ['kind', { r_preimage: '11'.repeat(32) }],
    ['amount_msat', { value_msat: 1001n }],
    ['description_hash', { description_hash: '' }],
    ['expiry_secs', { expiry: 86_400n }],
    ['min_final_cltv_delta', { cltv_expiry: 80n }],
    ['label', { memo: '' }],
    ['payment_hash', { r_hash: '00'.repeat(32) }],
  ])('with another %s is another', (field, change) => {
    expect(differenceTo(invoice(change), request)).toBe(field);
  });
});
