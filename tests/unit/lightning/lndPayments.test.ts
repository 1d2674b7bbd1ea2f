import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';

import { SwapError } from '../../../src/errors.js';
import { paymentAnswer, type PaymentAnswer } from '../../../src/lightning/lnd/answers.js';
import { meaningOf, unavailable } from '../../../src/lightning/lnd/errors.js';
import { toPaymentResult } from '../../../src/lightning/lnd/payments.js';

const PREIMAGE = Buffer.alloc(32, 5);
const HASH = createHash('sha256').update(PREIMAGE).digest('hex');
const payment = (change: Partial<PaymentAnswer>): PaymentAnswer => ({
  payment_hash: HASH,
  payment_preimage: '00'.repeat(32),
  status: 'IN_FLIGHT',
  failure_reason: 'FAILURE_REASON_NONE',
  fee_msat: 7n,
  ...change,
});

describe('a payment of lnd', () => {
  it.each(['INITIATED', 'IN_FLIGHT', 'UNKNOWN'] as const)('that is %s is in flight', (state) => {
    expect(toPaymentResult(payment({ status: state }))).toEqual({ state: 'IN_FLIGHT' });
    // A reason is stored before the last HTLC is back.
    const failing = payment({ status: state, failure_reason: 'FAILURE_REASON_TIMEOUT' });
    expect(toPaymentResult(failing)).toEqual({ state: 'IN_FLIGHT' });
  });
  it('with its preimage is made, also while parts are out', () => {
    for (const state of ['SUCCEEDED', 'IN_FLIGHT'] as const) {
      const paid = payment({ status: state, payment_preimage: PREIMAGE.toString('hex') });
      expect(toPaymentResult(paid)).toEqual({ state: 'SUCCEEDED', preimage: PREIMAGE, feeMsat: 7n });
    }
  });
  it('that is called made with another preimage is unknown', () => {
    const lie = payment({ status: 'SUCCEEDED', payment_preimage: '11'.repeat(32) });
    expect(() => toPaymentResult(lie)).toThrow(SwapError);
  });
  it.each([
    ['FAILURE_REASON_NO_ROUTE', 'ROUTE_NOT_FOUND'],
    ['FAILURE_REASON_INCORRECT_PAYMENT_DETAILS', 'RECIPIENT_REJECTED'],
    ['FAILURE_REASON_SOMETHING_NEW', 'FAILURE_REASON_SOMETHING_NEW'],
  ])('that failed for %s says %s', (reason, told) => {
    const failed = payment({ status: 'FAILED', failure_reason: reason });
    expect(toPaymentResult(failed)).toEqual({ state: 'FAILED', reason: told });
  });
  it('in a state that nobody knows is refused', () => {
    expect(paymentAnswer.safeParse({ ...payment({}), fee_msat: '7', status: 'DONE' }).success).toBe(false);
  });
});

describe('an error of lnd', () => {
  const error = (code: status, details: string) => Object.assign(new Error(details), { code, details });

  it('means something only for its call, its code and its text', () => {
    const absent = error(status.NOT_FOUND, 'unable to locate invoice');
    expect(meaningOf('LookupInvoice', absent)).toBe('absent');
    expect(meaningOf('LookupInvoice', error(status.NOT_FOUND, 'no such page'))).toBeUndefined();
    expect(meaningOf('LookupInvoice', error(status.UNKNOWN, 'unable to locate invoice'))).toBeUndefined();
    expect(meaningOf('TrackPaymentV2', absent)).toBeUndefined();
    expect(meaningOf('TrackPaymentV2', error(status.NOT_FOUND, "payment isn't initiated"))).toBe('absent');
  });
  it('that is of no connection, or is no error of gRPC, is never "absent"', () => {
    for (const cause of [
      error(status.UNAVAILABLE, 'unable to locate invoice'),
      error(status.DEADLINE_EXCEEDED, 'Deadline exceeded'),
      error(status.UNIMPLEMENTED, 'unknown method LookupInvoice'),
      error(status.CANCELLED, ''),
      new Error('unable to locate invoice'),
      'unable to locate invoice',
      undefined,
    ]) {
      expect(meaningOf('LookupInvoice', cause)).not.toBe('absent');
      expect(unavailable('LookupInvoice', cause)).toMatchObject({ code: 'lightning_unavailable' });
    }
  });
  it('is told to people in one sentence', () => {
    const locked = error(status.UNKNOWN, 'wallet locked, unlock it to enable full RPC access');
    expect(unavailable('GetInfo', locked).message).toBe(
      'lnd: GetInfo failed: its wallet is locked: unlock it (lncli unlock)',
    );
    expect(unavailable('GetInfo', new Error('?')).message).toContain('not known here');
  });
});
