import { describe, expect, it } from 'vitest';

import { alarmsOf, nextDuty } from '../../../src/core/duty.js';
import type { Facts, SpendReport } from '../../../src/core/facts.js';
import { apply, type Swap } from '../../../src/core/swap.js';
import { txid, unixSecs } from '../../../src/core/units.js';
import {
  CLAIM_TXID,
  factsAt,
  fundedWith,
  htlcAt,
  MIN_CONFS,
  PAYER_MIN,
  PAYMENTS,
  REFUND_TXID,
  report,
  spend,
  START,
  swapIn,
} from '../../support/swapFixtures.js';
import { word, drive, dutyOf, lineOf, reasonOf, left, at, REPORTS, HTLCS, SIGNED, STUCK } from './dutyCases.js';

describe('before the funding', () => {
  it.each<[string, Swap, Partial<Facts>, string]>([
    ['asks for the invoice', swapIn('INTENT', { payment: 'NONE' }), { htlc: undefined }, 'create_invoice'],
    ['asks for it still at fundBy', swapIn('INTENT', { payment: 'NONE' }), at(120), 'create_invoice'],
    ['gives up after fundBy', swapIn('INTENT', { payment: 'NONE' }), at(121), 'cancel_decided'],
    ['asks for it also while paused', swapIn('INTENT', { payment: 'NONE' }), { isPaused: true }, 'create_invoice'],
    ['asks again for nothing that is being canceled', swapIn('INTENT', { payment: 'CANCELING' }), {}, 'cancel'],
    ['fails once it is canceled', swapIn('INTENT', { payment: 'CANCELED' }), { invoice: undefined }, 'failed'],
    ['funds', swapIn('INVOICED'), {}, 'fund'],
    ['funds still at fundBy', swapIn('INVOICED'), at(120), 'fund'],
    ['does not fund after fundBy', swapIn('INVOICED'), at(121), 'cancel_decided'],
    ['does not fund while paused', swapIn('INVOICED'), { isPaused: true }, 'wait'],
    ['does not fund while degraded', swapIn('INVOICED'), { isDegraded: true }, 'wait'],
    ['does not fund without a tip', swapIn('INVOICED'), { tip: undefined }, 'wait'],
    ['does not fund a paid invoice', swapIn('INVOICED', { payment: 'HELD' }), { invoice: undefined }, 'cancel_decided'],
    ['does not fund what is being canceled', swapIn('INVOICED', { payment: 'CANCELING' }), {}, 'cancel'],
    ['fails once it is canceled', swapIn('INVOICED', { payment: 'CANCELED' }), { invoice: undefined }, 'failed'],
    [
      'records that the node refused the invoice',
      swapIn('INVOICED'),
      { invoice: report('CANCELED') },
      'payment_canceled',
    ],
  ])('%s', (_name, swap, over, expected) => {
    expect(dutyOf(swap, over)).toBe(expected);
  });
  it('funds with two thirds of the invoice left, not a second later', () => {
    const swap = swapIn('INVOICED', { fundBy: unixSecs(START + 1_000) });
    expect(dutyOf(swap, at(200))).toBe('fund');
    expect(reasonOf(swap, at(201))).toBe('less than two thirds of the invoice were left for the funding');
  });
  it('says why it failed', () => {
    const swap = swapIn('INVOICED', { payment: 'CANCELED', reason: 'EXPIRED' });
    expect(reasonOf(swap, { invoice: undefined })).toBe('EXPIRED');
  });
});

describe('a signed funding', () => {
  const signed = swapIn('FUNDING_SIGNED');
  it.each<[string, Partial<Facts>, string]>([
    ['is broadcast while nobody shows it', { htlc: HTLCS.unseen }, 'broadcast_funding'],
    [
      'is broadcast also while paused and degraded',
      { htlc: HTLCS.unseen, isPaused: true, isDegraded: true },
      'broadcast_funding',
    ],
    ['waits in the mempool', { htlc: HTLCS.shallow }, 'wait'],
    ['waits at depth C - 1', { htlc: htlcAt({ confs: MIN_CONFS - 1 }) }, 'wait'],
    ['is funded at depth C', { htlc: htlcAt({ confs: MIN_CONFS }) }, 'funding_deep'],
    ['is not broadcast on a guess', { htlc: undefined }, 'wait'],
    ['waits for a tip', { tip: undefined }, 'wait'],
  ])('%s', (_name, over, expected) => {
    expect(dutyOf(signed, over)).toBe(expected);
  });
  it.each([
    ['300 s before the invoice expires', at(300), undefined],
    ['299 s before', at(301), 'the funding was deep enough only 299 s before the invoice expires'],
    ["with the payer's margin", left(PAYER_MIN), undefined],
  ] as const)('deep enough %s cancels: %s', (_name, over, cancelReason) => {
    expect(nextDuty(signed, factsAt(over))).toEqual({
      kind: 'record',
      event: cancelReason === undefined ? { kind: 'funding_deep' } : { kind: 'funding_deep', cancelReason },
    });
  });
  it("that is deep with less than the payer's margin is canceled first, then funded", () => {
    const facts = factsAt(left(PAYER_MIN - 1));
    const first = nextDuty(signed, facts);
    expect(word(first)).toBe('cancel_decided');
    if (first.kind !== 'record') return;
    const canceling = apply(signed, first.event);
    expect(nextDuty(canceling, facts, new Set(['cancel']))).toEqual({
      kind: 'record',
      event: { kind: 'funding_deep', cancelReason: 'refund opens in 29 blocks, a payment needs at least 30' },
    });
  });
  it('is broadcast again when a reorganisation lost it', () => {
    expect(dutyOf(fundedWith('OPEN'), { htlc: HTLCS.unseen })).toBe('broadcast_funding');
    expect(dutyOf(fundedWith('OPEN'), { htlc: HTLCS.unseen, isFenced: true })).toBe('wait');
  });
});

describe('spends', () => {
  const other = txid('99'.repeat(32));
  it.each<[string, Swap, Facts['htlc'], string]>([
    ['a claim after the payment', fundedWith('SETTLED'), HTLCS['claim in the mempool'], 'claim_seen'],
    ['a claim nobody paid for', fundedWith('CANCELED'), HTLCS['claim in the mempool'], 'claim_seen!'],
    ['a claim of an open swap', fundedWith('OPEN'), HTLCS['claim in a block'], 'claim_seen!'],
    ['a refund', fundedWith('CANCELED'), HTLCS['refund in the mempool'], 'refund_seen'],
    ['a claim of the subsidy alone', fundedWith('SETTLED'), HTLCS['subsidy claimed'], 'wait'],
    ['a claim in one block', swapIn('CLAIM_SEEN', { payment: 'SETTLED' }), HTLCS['claim in a block'], 'wait'],
    [
      'a claim two blocks deep',
      swapIn('CLAIM_SEEN', { payment: 'SETTLED' }),
      htlcAt({ spends: [spend('claim', 2)] }),
      'claim_final',
    ],
    ['a claim that is gone', swapIn('CLAIM_SEEN', { payment: 'SETTLED' }), HTLCS.unspent, 'spend_gone'],
    ['a refund in one block', swapIn('REFUND_SEEN', { payment: 'CANCELED' }), HTLCS['refund in a block'], 'wait'],
    [
      'a refund two blocks deep',
      swapIn('REFUND_SEEN', { payment: 'CANCELED' }),
      htlcAt({ spends: [spend('refund', 2)] }),
      'refund_final',
    ],
    ['a refund that is gone', swapIn('REFUND_SEEN', { payment: 'CANCELED' }), HTLCS.unspent, 'spend_gone'],
    [
      'a claim instead of the refund',
      swapIn('REFUND_SEEN', { payment: 'CANCELED' }),
      HTLCS['claim in a block'],
      'claim_seen!',
    ],
    [
      'a refund instead of the claim',
      swapIn('CLAIM_SEEN', { payment: 'SETTLED' }),
      HTLCS['refund in a block'],
      'refund_seen',
    ],
    ['no answer', swapIn('CLAIM_SEEN', { payment: 'SETTLED' }), undefined, 'wait'],
  ])('%s', (_name, swap, htlc, expected) => {
    const invoice =
      swap.payment === 'SETTLED' ? undefined : swap.payment === 'OPEN' ? report('OPEN') : report('CANCELED');
    expect(dutyOf(swap, { htlc, invoice })).toBe(expected);
  });
  it('a claim while the payment is being settled is expected', () => {
    const facts = factsAt({ htlc: HTLCS['claim in the mempool'], invoice: undefined });
    expect(word(nextDuty(fundedWith('SETTLING'), facts, new Set(['settle'])))).toBe('claim_seen');
  });
  it('a claim made anew with another fee is watched instead', () => {
    const htlc = htlcAt({ spends: [{ kind: 'claim', txid: other, confs: 2 }] });
    const duty = nextDuty(swapIn('CLAIM_SEEN', { payment: 'SETTLED' }), factsAt({ htlc, invoice: undefined }));
    expect(duty).toEqual({ kind: 'record', event: { kind: 'claim_seen', txid: other } });
  });
  it('finality needs the transaction that was seen, and is judged by its own depth', () => {
    expect([CLAIM_TXID, REFUND_TXID].map((id) => id.length)).toEqual([64, 64]);
    const swap = swapIn('REFUND_SEEN', { payment: 'CANCELED' });
    const htlc = htlcAt({ spends: [{ kind: 'refund', txid: other, confs: 9 }] });
    expect(dutyOf(swap, { htlc, invoice: REPORTS.CANCELED })).toBe('refund_seen');
  });
  it('a final swap with a held payment still settles it if it was claimed', () => {
    const htlc = htlcAt({ spends: [spend('claim', 5), spend('claim', 5)] });
    expect(dutyOf(swapIn('CLAIMED', { payment: 'HELD' }), { htlc, invoice: report('HELD') })).toBe('settle_decided!');
  });
});

describe('a fee subsidy that the buyer left', () => {
  const left0 = { ...left(0), invoice: REPORTS.SETTLED };
  const claimed = { ...swapIn('CLAIMED', { payment: 'SETTLED', isPreimageReleased: true }), isSubsidyOpen: true };
  const subsidy = (own: SpendReport | undefined): Partial<Facts> => ({
    htlc: htlcAt({ spends: [spend('claim', 9), own] }),
  });
  it('keeps the swap open when the claim is final', () => {
    const seen = swapIn('CLAIM_SEEN', { payment: 'SETTLED', isPreimageReleased: true });
    const both = drive(seen, { invoice: undefined, htlc: htlcAt({ spends: [spend('claim', 2), spend('claim', 2)] }) });
    const one = drive(seen, { invoice: undefined, htlc: htlcAt({ spends: [spend('claim', 2), undefined] }) });
    const only = drive(seen, { invoice: undefined, htlc: htlcAt({ spends: [spend('claim', 2)] }) });
    expect([both, one, only].map(({ end }) => end.isSubsidyOpen)).toEqual([false, true, false]);
  });
  it.each<[string, Partial<Facts>, string]>([
    ['is left to the buyer one block before T', { ...left0, ...left(1), ...subsidy(undefined) }, ''],
    ['is taken back at T', { ...left0, ...subsidy(undefined) }, 'sign_refund, broadcast_refund'],
    [
      'is taken back while degraded',
      { ...left0, ...subsidy(undefined), isDegraded: true },
      'sign_refund, broadcast_refund',
    ],
    ['is left while read-only: the payment is not CANCELED', { ...left0, ...subsidy(undefined), isReadOnly: true }, ''],
    [
      'is left while fenced: nothing shows it as finally unpaid',
      { ...left0, ...subsidy(undefined), isFenced: true },
      '',
    ],
    ['is left while nobody shows the funding', { ...left0, htlc: htlcAt({ isSeen: false }) }, ''],
    ['waits in the mempool', { ...left0, ...subsidy(spend('refund', 0)), refund: SIGNED }, ''],
    [
      'gets a higher fee when no block takes it',
      { ...left0, ...subsidy(spend('refund', 0)), refund: STUCK },
      'sign_refund',
    ],
    ['waits in one block', { ...left0, ...subsidy(spend('refund', 1)), refund: STUCK }, ''],
    ['is done in two', { ...left0, ...subsidy(spend('refund', 2)) }, 'subsidy_done'],
    ['is done when the buyer took it after all', { ...left0, ...subsidy(spend('claim', 2)) }, 'subsidy_done'],
  ])('%s', (_name, over, expected) => {
    expect(lineOf(drive(claimed, over))).toBe(expected);
  });
  it('of which nothing is left open is never spent', () => {
    expect(lineOf(drive({ ...claimed, isSubsidyOpen: false }, { ...left0, ...subsidy(undefined) }))).toBe('');
  });
});

describe('a fee subsidy that was claimed alone', () => {
  const htlc = HTLCS['subsidy claimed'];
  it('moves nothing, keeps the asset from being refunded, and raises an alarm if nobody decided to settle', () => {
    for (const payment of PAYMENTS) {
      const isPaid = payment === 'SETTLING' || payment === 'SETTLED';
      expect(alarmsOf(fundedWith(payment), factsAt({ htlc })), payment).toHaveLength(isPaid ? 0 : 1);
    }
    expect(lineOf(drive(fundedWith('CANCELED'), { ...left(0), htlc, invoice: REPORTS.CANCELED }))).toBe('');
  });
  it('is no alarm once the asset was claimed too', () => {
    expect(alarmsOf(fundedWith('OPEN'), factsAt({ htlc: HTLCS['claim in a block'] }))).toEqual([]);
  });
  it('a settling that the node knows nothing of is an alarm', () => {
    expect(alarmsOf(fundedWith('SETTLING'), factsAt({ invoice: 'unknown_hash' }))).toHaveLength(1);
    expect(alarmsOf(fundedWith('SETTLING'), factsAt({ invoice: undefined }))).toEqual([]);
  });
});
