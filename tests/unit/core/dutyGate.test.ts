import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { nextDuty } from '../../../src/core/duty.js';
import type { Facts } from '../../../src/core/facts.js';
import { settleGate } from '../../../src/core/settleGate.js';
import { isFunded } from '../../../src/core/swap.js';
import { PROFILES } from '../../../src/core/timelock.js';
import { blockHeight, msat } from '../../../src/core/units.js';
import {
  factsAt,
  fundedWith,
  htlcAt,
  MIN_CONFS,
  PRICE,
  REFUND_HEIGHT,
  report,
  SETTLE_MIN,
  spend,
  swapIn,
} from '../../support/swapFixtures.js';
import { PAIRS, word, drive, dutyOf, HTLCS, lineOf, reasonOf, left, anyFacts } from './dutyCases.js';

describe('the settle gate', () => {
  const held = fundedWith('HELD');
  const ok: Partial<Facts> = { invoice: report('HELD') };
  const late: Partial<Facts> = { invoice: report('HELD', { claimDeadlineHeight: 105 }) };
  const gate = (over: Partial<Facts>): string => settleGate(held, factsAt({ ...ok, ...over })).kind;

  it('is open when every condition holds, and nothing else decides to settle', () => {
    expect(gate({})).toBe('open');
    expect(dutyOf(held, ok)).toBe('settle_decided');
    fc.assert(
      fc.property(fc.constantFrom(...PAIRS), anyFacts, ([state, payment], facts) => {
        const swap = swapIn(state, { payment });
        const duty = word(nextDuty(swap, facts));
        const isOpen = payment === 'HELD' && isFunded(swap) && settleGate(swap, facts).kind === 'open';
        if (duty === 'settle') return payment === 'SETTLING';
        return !duty.startsWith('settle_decided') || isOpen;
      }),
      { numRuns: 1_000 },
    );
  });
  it.each<[string, Partial<Facts>, string]>([
    ['on the last safe block', left(SETTLE_MIN), 'open'],
    ['one block later', left(SETTLE_MIN - 1), 'closed'],
    [
      'one block later by the highest of disputed tips',
      { ...left(SETTLE_MIN - 1), lowestTip: blockHeight(REFUND_HEIGHT - SETTLE_MIN), isDegraded: true },
      'wait',
    ],
    [
      'one block later by all disputed tips',
      { ...left(0), lowestTip: blockHeight(REFUND_HEIGHT - SETTLE_MIN + 1), isDegraded: true },
      'closed',
    ],
    ['with exactly the price', { invoice: report('HELD', { heldMsat: PRICE }) }, 'open'],
    ['one msat short', { invoice: report('HELD', { heldMsat: msat(PRICE - 1n) }) }, 'closed'],
    ['with a surplus', { invoice: report('HELD', { heldMsat: msat(PRICE + 1n) }) }, 'open'],
    ['6 blocks before the deadline', { invoice: report('HELD', { claimDeadlineHeight: 106 }) }, 'open'],
    ['5 blocks before the deadline', { invoice: report('HELD', { claimDeadlineHeight: 105 }) }, 'closed'],
    ['with an unknown deadline', { invoice: report('HELD', { claimDeadlineHeight: undefined }) }, 'wait'],
    [
      '5 blocks before the deadline of a node that lags',
      { invoice: report('HELD', { claimDeadlineHeight: 105 }), node: { blockHeight: 100, isSynced: false } },
      'closed',
    ],
    [
      '5 blocks before the deadline without a view of the chain',
      { invoice: report('HELD', { claimDeadlineHeight: 105 }), tip: undefined, htlc: undefined, isDegraded: true },
      'closed',
    ],
    [
      'one msat short without a tip',
      { invoice: report('HELD', { heldMsat: msat(PRICE - 1n) }), tip: undefined },
      'closed',
    ],
    ['too late with a node that does not answer', { ...left(SETTLE_MIN - 1), invoice: undefined }, 'closed'],
    ['too late with a node that forgot the invoice', { ...left(SETTLE_MIN - 1), invoice: 'unknown_hash' }, 'closed'],
    ['at depth C', { htlc: htlcAt({ confs: MIN_CONFS }) }, 'open'],
    ['at depth C - 1', { htlc: htlcAt({ confs: MIN_CONFS - 1 }) }, 'wait'],
    ['with a funding nobody sees', { htlc: htlcAt({ isSeen: false }) }, 'wait'],
    ['while degraded', { isDegraded: true }, 'wait'],
    ['while paused', { isPaused: true }, 'open'],
    ['with a node that lags', { node: { blockHeight: 100, isSynced: false } }, 'wait'],
    ['with a node that does not answer', { node: undefined }, 'wait'],
    ['without a tip', { tip: undefined }, 'wait'],
    ['without an answer about the outpoints', { htlc: undefined }, 'wait'],
    ['without a report', { invoice: undefined }, 'wait'],
    ['with a node that forgot the invoice', { invoice: 'unknown_hash' }, 'wait'],
    ['with a payment that went away', { invoice: report('OPEN') }, 'wait'],
    ['5 blocks before the deadline while degraded', { ...late, isDegraded: true }, 'closed'],
    ['5 blocks before the deadline while fenced', { ...late, isFenced: true }, 'closed'],
    [
      '5 blocks before the deadline on a node that lags',
      { ...late, node: { blockHeight: 100, isSynced: false } },
      'closed',
    ],
    ['5 blocks before the deadline with a funding not deep enough', { ...late, htlc: htlcAt({ confs: 1 }) }, 'closed'],
    ['on the last safe block without a report', { ...left(SETTLE_MIN), invoice: undefined }, 'wait'],
    ['one block later without a report', { ...left(SETTLE_MIN - 1), invoice: undefined }, 'closed'],
    ['one block later with a node that forgot', { ...left(SETTLE_MIN - 1), invoice: 'unknown_hash' }, 'closed'],
    ['one block later while degraded', { ...left(SETTLE_MIN - 1), isDegraded: true }, 'closed'],
    ['one block later while fenced', { ...left(SETTLE_MIN - 1), isFenced: true }, 'closed'],
    ['while fenced', { isFenced: true }, 'wait'],
    ['with a funding that is excluded', { isFundingLost: true, htlc: HTLCS.unseen }, 'closed'],
    ['with the asset refunded', { htlc: htlcAt({ spends: [spend('refund', 0), undefined] }) }, 'closed'],
    ['with the subsidy refunded', { htlc: htlcAt({ spends: [undefined, spend('refund', 0)] }) }, 'closed'],
  ])('%s', (_name, over, expected) => {
    expect(gate(over)).toBe(expected);
    const duty = { open: 'settle_decided', closed: 'cancel_decided', wait: 'wait' }[expected];
    expect(word(nextDuty(held, factsAt({ ...ok, ...over }), new Set(['broadcast_funding'])))).toBe(duty);
  });
  it('names what was needed and found when it closes', () => {
    expect(reasonOf(held, { ...ok, ...left(19) })).toBe('refund opens in 19 blocks, settling needs 20');
    const short = report('HELD', { heldMsat: msat(PRICE - 1n) });
    expect(reasonOf(held, { invoice: short })).toBe(`paid 49999999 msat of 50000000`);
    expect(reasonOf(held, { invoice: report('HELD', { claimDeadlineHeight: 105 }) })).toBe(
      'the node fails the payment back in 5 blocks',
    );
  });
  it('opens at once with an alarm when a claim made the preimage public, whatever else is wrong', () => {
    const worst = { ...left(-5), node: undefined, isDegraded: true, isPaused: true, isFenced: true };
    for (const spends of [
      [spend('claim', 0), undefined],
      [undefined, spend('claim', 3)],
    ]) {
      expect(dutyOf(held, { ...worst, invoice: report('HELD'), htlc: htlcAt({ spends }) })).toBe('settle_decided!');
    }
  });
  it('a public preimage and a node that is away: nothing is canceled until it says what is held', () => {
    const htlc = htlcAt({ spends: [spend('claim', 0), undefined] });
    for (const invoice of [undefined, 'unknown_hash'] as const) {
      expect(gate({ ...left(-5), htlc, invoice })).toBe('wait');
    }
  });
  it.each<[string, Partial<Facts>, secret: string, open: string]>([
    ['no mode', {}, 'settle_decided, settle', 'settle_decided!, settle, claim_seen'],
    ['PAUSED', { isPaused: true }, 'settle_decided, settle', 'settle_decided!, settle, claim_seen'],
    ['DEGRADED', { isDegraded: true }, '', 'settle_decided!, settle, claim_seen'],
    ['FENCED', { isFenced: true }, '', 'settle_decided!, settle, claim_seen'],
    ['READ_ONLY', { isReadOnly: true }, '', ''],
  ])('in %s: %j leads to "%s", and to "%s" once a claim shows S', (_name, mode, secret, open) => {
    expect(lineOf(drive(held, { ...ok, ...mode }))).toBe(secret);
    const htlc = htlcAt({ spends: [spend('claim', 0), spend('claim', 0)] });
    expect(lineOf(drive(held, { ...ok, ...mode, htlc }))).toBe(open);
  });
  it('a swap of an older copy that was accepted is settled like any other', () => {
    expect(lineOf(drive({ ...held, isRestored: true }, ok))).toBe('settle_decided, settle');
  });
  it('a decided settling is repeated in every mode, whatever the clock and the chain say', () => {
    const worst = { ...left(-5), ...ok, htlc: HTLCS['refund in a block'], isDegraded: true, isPaused: true };
    for (const mode of [{ isFenced: true }, { isReadOnly: true }, {}]) {
      expect(lineOf(drive(fundedWith('SETTLING'), { ...worst, ...mode }))).toMatch(/^settle(, refund_seen)?$/);
    }
  });
  it('a decided settling that may not have reached the node is not sent to one that lags, before S is public', () => {
    const node = { blockHeight: 100, isSynced: false };
    expect(lineOf(drive(fundedWith('SETTLING'), { ...ok, node }))).toBe('');
    expect(lineOf(drive(fundedWith('SETTLING'), { ...ok, node: undefined }))).toBe('');
    const htlc = htlcAt({ spends: [spend('claim', 0), spend('claim', 0)] });
    expect(lineOf(drive(fundedWith('SETTLING'), { ...ok, node, htlc }))).toBe('settle, claim_seen');
  });
  it('a decided settling is not sent at the claim deadline, when the node gives the payment back by itself', () => {
    const at = (blockHeight: number) => ({
      invoice: report('HELD', { claimDeadlineHeight: 100 }),
      node: { blockHeight, isSynced: true },
    });
    expect(lineOf(drive(fundedWith('SETTLING'), at(99)))).toBe('settle');
    expect(lineOf(drive(fundedWith('SETTLING'), at(100)))).toBe('');
    const htlc = htlcAt({ spends: [spend('claim', 0), spend('claim', 0)] });
    expect(lineOf(drive(fundedWith('SETTLING'), { ...at(100), htlc }))).toBe('settle, claim_seen');
  });
  it('takes no incomplete payment, even then', () => {
    const htlc = htlcAt({ spends: [spend('claim', 0), undefined] });
    const invoice = report('HELD', { heldMsat: msat(PRICE - 1n) });
    expect(dutyOf(held, { invoice, htlc })).toBe('cancel_decided');
  });
  it('cancels a payment that came before the funding', () => {
    expect(reasonOf(swapIn('INVOICED', { payment: 'HELD' }), ok)).toBe('paid before the funding');
  });
  it('keeps every profile apart by its own margin', () => {
    for (const profile of ['routed', 'near', 'direct'] as const) {
      const swap = { ...held, profile };
      expect(settleGate(swap, factsAt({ ...ok, ...left(PROFILES[profile].settleMin) })).kind).toBe('open');
      expect(settleGate(swap, factsAt({ ...ok, ...left(PROFILES[profile].settleMin - 1) })).kind).toBe('closed');
    }
  });
});
