/** A funding that is given up, and a funding that can never confirm: the Abort rule of docs/protocol.md section 3. */
import { describe, expect, it } from 'vitest';

import type { Facts } from '../../../src/core/facts.js';
import { isFunded, type PaymentStatus, type Swap } from '../../../src/core/swap.js';
import { unixSecs } from '../../../src/core/units.js';
import { isInvoiceVisible } from '../../../src/rpc/convert.js';
import { fundedWith, htlcAt, report, START, swapIn } from '../../support/swapFixtures.js';
import { at, drive, HTLCS, left, lineOf, reasonOf, REPORTS, SIGNED, STUCK, type ReportName } from './dutyCases.js';

/** The buyer asked for five confirmations, so that a funding can be final and still not deep enough. */
const C = 5;
const signed = swapIn('FUNDING_SIGNED', { minFundingConfs: C });
const aborting = swapIn('ABORTING', { payment: 'CANCELED', minFundingConfs: C });
const depth = (confs: number): Partial<Facts> => ({ htlc: htlcAt({ confs }) });
const UNSEEN: Partial<Facts> = { htlc: HTLCS.unseen };
const line = (swap: Swap, over: Partial<Facts>): string => lineOf(drive(swap, over));

describe('a funding that is not deep enough', () => {
  const GIVEN_UP = 'cancel_decided, cancel, abort_started';
  const CANCELED = 'payment_canceled, abort_started';
  const SPENT_BACK = 'sign_abort, broadcast_abort';

  it.each<[string, Partial<Facts>, inTime: string, late: string, canceled: string]>([
    ['nowhere', UNSEEN, 'broadcast_funding', `${GIVEN_UP}, ${SPENT_BACK}`, `${CANCELED}, ${SPENT_BACK}`],
    ['in the mempool', depth(0), '', `${GIVEN_UP}, ${SPENT_BACK}`, `${CANCELED}, ${SPENT_BACK}`],
    ['in one block', depth(1), '', GIVEN_UP, CANCELED],
    ['final, one block short of C', depth(4), '', `${GIVEN_UP}, funding_deep`, `${CANCELED}, funding_deep`],
    ['at C', depth(C), 'funding_deep', 'funding_deep, cancel', 'payment_canceled, funding_deep'],
  ])('%s: "%s" 300 s before the invoice ends, "%s" a second later', (_name, where, inTime, late, canceled) => {
    expect(line(signed, { ...where, ...at(300) })).toBe(inTime);
    expect(line(signed, { ...where, ...at(301) })).toBe(late);
    expect(line(signed, { ...where, invoice: REPORTS.CANCELED })).toBe(canceled);
  });
  it('cancels a payment that is held too early when the invoice ends, and keeps it a second before', () => {
    const held = swapIn('FUNDING_SIGNED', { payment: 'HELD', minFundingConfs: C });
    expect(line(held, { ...depth(4), ...at(300), invoice: REPORTS.HELD })).toBe('');
    expect(line(held, { ...depth(1), ...at(301), invoice: REPORTS.HELD })).toBe(GIVEN_UP);
    expect(reasonOf(held, { ...depth(1), ...at(301), invoice: REPORTS.HELD })).toBe(
      'the funding was not deep enough 300 s before the invoice expires',
    );
  });
  it('decides nothing before the chain answers, except at the expiry itself', () => {
    expect(line(signed, { ...at(301), htlc: undefined })).toBe('');
    expect(line(signed, { ...at(600), htlc: undefined })).toBe('cancel_decided, cancel');
  });
  it('is given up also when the payment cannot be finally refused yet: S can no longer leave', () => {
    const canceling = swapIn('FUNDING_SIGNED', { payment: 'CANCELING', minFundingConfs: C });
    expect(line(canceling, { ...depth(0), invoice: undefined })).toBe(`cancel, abort_started, ${SPENT_BACK}`);
  });
  it.each<[string, Partial<Facts>, string, string]>([
    ['FENCED: neither is broadcast', { isFenced: true }, '', GIVEN_UP],
    ['READ_ONLY: the funding goes on, giving up waits for a commit', { isReadOnly: true }, 'broadcast_funding', ''],
    ['DEGRADED', { isDegraded: true }, 'broadcast_funding', `${GIVEN_UP}, ${SPENT_BACK}`],
    ['PAUSED', { isPaused: true }, 'broadcast_funding', `${GIVEN_UP}, ${SPENT_BACK}`],
  ])('%s', (_name, mode, inTime, late) => {
    expect(line(signed, { ...UNSEEN, ...mode })).toBe(inTime);
    if (mode.isReadOnly === true) {
      const canceled = swapIn('FUNDING_SIGNED', { payment: 'CANCELED', minFundingConfs: C });
      expect(line(canceled, { ...UNSEEN, ...mode, invoice: REPORTS.CANCELED })).toBe(late);
    } else expect(line(signed, { ...UNSEEN, ...mode, ...at(301) })).toBe(late);
  });
});

describe('a funding that is being spent back', () => {
  const abort = { ...SIGNED, isSeen: false };
  it.each<[string, Partial<Facts>, string]>([
    ['is spent back while no block has it', depth(0), 'sign_abort, broadcast_abort'],
    ['is not spent back while a block has it', depth(1), ''],
    ['is kept when it is final, though not at C', depth(2), 'funding_deep'],
    ['is spent back again when it falls out of its block', { ...UNSEEN, abort }, 'broadcast_abort'],
    ['waits while the self-spend is out', { ...UNSEEN, abort: { ...abort, isSeen: true } }, ''],
    [
      'is spent back at a higher fee when no block takes the self-spend',
      { ...UNSEEN, abort: { ...STUCK, isSeen: true } },
      'sign_abort, broadcast_abort',
    ],
    ['is left alone while nobody answers', { htlc: undefined }, ''],
    ['is left alone while fenced', { ...UNSEEN, abort, isFenced: true }, ''],
    ['has its stored self-spend broadcast while read-only', { ...UNSEEN, abort, isReadOnly: true }, 'broadcast_abort'],
    ['has no new self-spend while read-only', { ...UNSEEN, isReadOnly: true }, ''],
    [
      'has no higher self-spend while read-only',
      { ...UNSEEN, abort: { ...STUCK, isSeen: true }, isReadOnly: true },
      '',
    ],
  ])('%s', (_name, over, expected) => {
    expect(line(aborting, { invoice: REPORTS.CANCELED, ...over })).toBe(expected);
  });
  it('is not spent back any more once the node reports that it was paid for', () => {
    const paid = { ...UNSEEN, abort, invoice: REPORTS.SETTLED };
    expect(line(aborting, paid)).toBe('payment_settled!, preimage_released, broadcast_funding');
    expect(line(aborting, { ...paid, htlc: HTLCS.shallow })).toBe('payment_settled!, preimage_released');
    expect(line(aborting, { ...paid, isFenced: true })).toBe('payment_settled!, preimage_released');
  });
  it('keeps its payment when it is funded after all: the invoice stays hidden and the refund comes at T', () => {
    for (const [payment, invoice] of [
      ['CANCELED', REPORTS.CANCELED],
      ['CANCELING', undefined],
    ] as const) {
      const { end } = drive(swapIn('ABORTING', { payment, minFundingConfs: C }), { ...depth(2), invoice });
      expect([end.state, end.payment, isInvoiceVisible(end)]).toEqual(['FUNDED', payment, false]);
    }
    const { end } = drive(aborting, { ...depth(2), invoice: REPORTS.CANCELED });
    expect(line(end, { ...left(1), invoice: REPORTS.CANCELED })).toBe('');
    expect(line(end, { ...left(0), invoice: REPORTS.CANCELED })).toBe('sign_refund, broadcast_refund');
    expect(isInvoiceVisible(fundedWith('OPEN'))).toBe(true);
  });
  it('is deep with an invoice that can be paid, or that is canceled in the same commit', () => {
    const { end } = drive(signed, { ...depth(C), ...at(300) });
    expect([end.state, isInvoiceVisible(end)]).toEqual(['FUNDED', true]);
    const late = drive(signed, { ...depth(C), ...at(301) }).end;
    expect([late.state, late.payment, isInvoiceVisible(late)]).toEqual(['FUNDED', 'CANCELING', false]);
  });
});

describe('a funding that can never confirm', () => {
  const LOST: Partial<Facts> = { ...UNSEEN, isFundingLost: true };
  const CANCEL = 'cancel_decided, cancel';
  it.each<[PaymentStatus, ReportName, string, Swap['state'] | 'waits']>([
    ['OPEN', 'OPEN', CANCEL, 'waits'],
    ['OPEN', 'CANCELED', 'payment_canceled, failed', 'FAILED'],
    ['OPEN', 'unknown_hash', 'cancel_decided, payment_canceled, failed', 'FAILED'],
    ['OPEN', 'nothing', CANCEL, 'waits'],
    ['HELD', 'HELD', CANCEL, 'waits'],
    ['HELD', 'CANCELED', 'payment_canceled, failed', 'FAILED'],
    ['HELD', 'nothing', CANCEL, 'waits'],
    ['SETTLING', 'HELD', 'settle', 'waits'],
    ['SETTLING', 'SETTLED', 'payment_settled, preimage_released, funding_lost!', 'OWED'],
    ['SETTLING', 'CANCELED', 'payment_canceled, failed', 'FAILED'],
    ['SETTLING', 'unknown_hash', '', 'waits'],
    ['SETTLED', 'SETTLED', 'preimage_released, funding_lost!', 'OWED'],
    ['SETTLED', 'nothing', 'funding_lost!', 'OWED'],
    ['CANCELING', 'OPEN', 'cancel', 'waits'],
    ['CANCELING', 'HELD', 'cancel', 'waits'],
    ['CANCELING', 'SETTLED', 'payment_settled!, preimage_released, funding_lost!', 'OWED'],
    ['CANCELING', 'CANCELED', 'payment_canceled, failed', 'FAILED'],
    ['CANCELING', 'unknown_hash', 'payment_canceled, failed', 'FAILED'],
    ['CANCELING', 'nothing', 'cancel', 'waits'],
    ['CANCELED', 'HELD', 'cancel', 'waits'],
    ['CANCELED', 'CANCELED', 'failed', 'FAILED'],
    ['CANCELED', 'nothing', 'failed', 'FAILED'],
  ])('%s, with a node that says %s: "%s", %s', (payment, name, expected, end) => {
    for (const state of ['FUNDING_SIGNED', 'ABORTING', 'FUNDED'] as const) {
      // OPEN and HELD were canceled before an abort could begin.
      if (state === 'ABORTING' && !['CANCELING', 'CANCELED', 'SETTLED'].includes(payment)) continue;
      const outcome = drive(swapIn(state, { payment }), { ...LOST, invoice: REPORTS[name] });
      const words = lineOf(outcome).replace(', abort_started', '');
      expect(words, state).toBe(expected);
      const isOver = outcome.end.state === 'FAILED' || outcome.end.state === 'OWED';
      expect(isOver ? outcome.end.state : 'waits', state).toBe(end);
    }
  });
  it('fails nothing in an older copy before the node itself reports CANCELED', () => {
    const canceled = fundedWith('CANCELED');
    for (const invoice of [undefined, 'unknown_hash'] as const) {
      expect(line(canceled, { ...LOST, invoice, isFenced: true })).toBe('');
      expect(line({ ...canceled, isRestored: true }, { ...LOST, invoice })).toBe('');
    }
    expect(line(canceled, { ...LOST, invoice: REPORTS.CANCELED, isFenced: true })).toBe('failed');
    expect(line({ ...canceled, isRestored: true }, { ...LOST, invoice: REPORTS.CANCELED })).toBe('failed');
  });
  it('is not broadcast any more, and the loss of a paid one names what to do', () => {
    expect(line(fundedWith('SETTLED'), { ...UNSEEN, invoice: undefined })).toBe('broadcast_funding');
    const { end } = drive(fundedWith('SETTLED'), { ...LOST, invoice: undefined });
    expect([end.state, end.reason, isFunded(end)]).toEqual(['OWED', 'another spend of its coins confirmed', true]);
  });
});

describe('before anything is signed', () => {
  const intent = swapIn('INTENT', { payment: 'NONE' });
  const invoiced = swapIn('INVOICED');
  it.each<[string, Swap, Partial<Facts>, string]>([
    ['no invoice is made while fenced', intent, { isFenced: true }, ''],
    ['no invoice is made while read-only', intent, { isReadOnly: true }, ''],
    ['no funding is made while fenced', invoiced, { isFenced: true }, ''],
    ['no funding is made while read-only', invoiced, { isReadOnly: true }, ''],
    ['a restored swap is never funded again', { ...invoiced, isRestored: true }, {}, 'cancel_decided, cancel'],
    [
      'a restored swap that the node does not know does not fail by that',
      { ...intent, isRestored: true },
      { invoice: 'unknown_hash' },
      'cancel_decided, cancel',
    ],
    [
      'a restored swap fails when the node reports CANCELED',
      { ...invoiced, isRestored: true },
      { invoice: report('CANCELED') },
      'payment_canceled, failed',
    ],
    [
      'a canceled swap does not fail while the node shows its invoice open',
      swapIn('INVOICED', { payment: 'CANCELED', reason: 'late' }),
      { invoice: report('OPEN') },
      'cancel',
    ],
    [
      'a late one is canceled while fenced',
      invoiced,
      { now: unixSecs(START + 121), isFenced: true },
      'cancel_decided, cancel',
    ],
  ])('%s', (_name, swap, over, expected) => {
    expect(line(swap, over)).toBe(expected);
  });
});
