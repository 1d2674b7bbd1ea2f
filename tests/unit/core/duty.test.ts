import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { isRefundAllowed } from '../../../src/core/chainDuty.js';
import { alarmsOf, nextDuty } from '../../../src/core/duty.js';
import type { Duty, Facts } from '../../../src/core/facts.js';
import { apply, type PaymentStatus, type Swap } from '../../../src/core/swap.js';
import { msat, txid } from '../../../src/core/units.js';
import {
  factsAt,
  fundedWith,
  htlcAt,
  MIN_CONFS,
  PAYER_MIN,
  PAYMENTS,
  PRICE,
  REFUND_HEIGHT,
  report,
  SETTLE_MIN,
  swapIn,
} from '../../support/swapFixtures.js';
import {
  word,
  dutyOf,
  reasonOf,
  left,
  at,
  REPORTS,
  REPORT_NAMES,
  HTLCS,
  PAIRS,
  SIGNED,
  STUCK,
  anyFacts,
  drive,
  lineOf,
} from './dutyCases.js';

describe('what the node reports', () => {
  /** Payment status of a funded swap with every margin kept, down; report, across. */
  const MATRIX = {
    NONE: ['wait', 'wait', 'payment_settled!', 'wait', 'wait', 'wait'],
    OPEN: ['wait', 'payment_held', 'payment_settled!', 'payment_canceled', 'wait', 'wait'],
    HELD: ['wait', 'settle_decided', 'payment_settled!', 'payment_canceled', 'wait', 'wait'],
    SETTLING: ['settle', 'settle', 'payment_settled', 'payment_canceled', 'wait', 'settle'],
    SETTLED: ['wait', 'wait', 'preimage_released', 'wait', 'wait', 'wait'],
    CANCELING: ['cancel', 'cancel', 'payment_settled!', 'payment_canceled', 'payment_canceled', 'cancel'],
    CANCELED: ['cancel', 'cancel', 'payment_settled!', 'wait', 'wait', 'wait'],
  } as const satisfies Record<PaymentStatus, readonly string[]>;

  const cells = PAYMENTS.flatMap((payment) =>
    REPORT_NAMES.map((name, i) => [payment, name, MATRIX[payment][i]] as const),
  );
  it.each(cells)('%s with a node that says %s: %s', (payment, name, expected) => {
    expect(dutyOf(fundedWith(payment), { invoice: REPORTS[name] })).toBe(expected);
  });
  it('a decided settling is neither canceled nor refunded because the node forgot the invoice', () => {
    const swap = fundedWith('SETTLING');
    const facts = factsAt({ ...left(0), invoice: 'unknown_hash' });
    const tried = new Set<Duty['kind']>(['settle']);
    expect(word(nextDuty(swap, facts, tried))).toBe('wait');
  });
  it('a final report that could not be stored lets nothing be decided, and S does not leave after it', () => {
    const readOnly = { ...left(0), isReadOnly: true };
    for (const payment of ['CANCELED', 'SETTLING', 'CANCELING'] as const) {
      expect(lineOf(drive(fundedWith(payment), { ...readOnly, invoice: REPORTS.SETTLED }))).toBe('');
    }
    expect(lineOf(drive(fundedWith('SETTLING'), { ...readOnly, invoice: REPORTS.CANCELED }))).toBe('');
    expect(lineOf(drive(fundedWith('CANCELED'), { ...readOnly, invoice: REPORTS.CANCELED }))).toBe('sign_refund');
  });
  it.each([
    ['HELD', 'broadcast_funding'],
    ['SETTLED', 'broadcast_funding'],
    ['CANCELED', ''],
  ] as const)('the funding of a payment that is %s, which cannot be stored: "%s"', (name, expected) => {
    const facts = { invoice: REPORTS[name], htlc: HTLCS.unseen, isReadOnly: true };
    expect(lineOf(drive(swapIn('FUNDING_SIGNED'), facts))).toBe(expected);
  });
  it('a node without the invoice proves nothing before canceling was committed', () => {
    const held = fundedWith('HELD');
    expect(dutyOf(held, { ...left(0), invoice: 'unknown_hash' })).not.toContain('payment_canceled');
    expect(dutyOf(fundedWith('OPEN'), { ...left(-5), invoice: 'unknown_hash' })).toBe('cancel_decided');
    expect(reasonOf(fundedWith('CANCELING'), { invoice: 'unknown_hash' })).toBe('the node has no such invoice');
  });
  it('SETTLED is recorded in every state, with an alarm unless settling was decided', () => {
    for (const [state, payment] of PAIRS) {
      if (payment === 'SETTLED') continue;
      const expected = payment === 'SETTLING' ? 'payment_settled' : 'payment_settled!';
      expect(dutyOf(swapIn(state, { payment }), { invoice: REPORTS.SETTLED }), `${state} ${payment}`).toBe(expected);
    }
  });
  it('the preimage is kept while an HTLC of the payment is pending, and released once', () => {
    const invoice = report('SETTLED', { isHtlcPending: true });
    expect(dutyOf(fundedWith('SETTLED'), { invoice })).toBe('wait');
    const released = { ...fundedWith('SETTLED'), isPreimageReleased: true };
    expect(dutyOf(released, { invoice: REPORTS.SETTLED })).toBe('wait');
  });
  it('the preimage is kept, with an alarm, when the payment went back on the chain, and released if a reorg undoes that', () => {
    const invoice = report('SETTLED', { isTimedOutOnChain: true });
    expect(dutyOf(fundedWith('SETTLED'), { invoice })).toBe('wait');
    expect(dutyOf(fundedWith('SETTLED'), { invoice: REPORTS.SETTLED })).toBe('preimage_released');
    for (const payment of ['SETTLING', 'SETTLED'] as const) {
      expect(alarmsOf(fundedWith(payment), factsAt({ invoice }))).toEqual([expect.stringContaining('S stays in')]);
      expect(alarmsOf(fundedWith(payment), factsAt({ invoice: REPORTS.SETTLED }))).toEqual([]);
    }
    // lnd does not tell one HTLC from another of the same amount that ended in the channel later.
    expect(alarmsOf({ ...fundedWith('SETTLED'), isPreimageReleased: true }, factsAt({ invoice }))).toEqual([]);
  });
  it('a cancel by the node itself keeps its reason', () => {
    expect(reasonOf(fundedWith('OPEN'), { invoice: report('CANCELED') })).toBe('EXPIRED');
    const silent = report('CANCELED', { cancelReason: '' });
    expect(reasonOf(fundedWith('OPEN'), { invoice: silent })).toBe('canceled by the node');
  });
  it('a surplus is recorded as what was held', () => {
    const heldMsat = msat(PRICE + 5n);
    expect(nextDuty(fundedWith('OPEN'), factsAt({ invoice: report('HELD', { heldMsat }) }))).toEqual({
      kind: 'record',
      event: { kind: 'payment_held', heldMsat },
    });
  });
});

describe('the refund', () => {
  const isRefund = (swap: Swap, facts: Facts): boolean =>
    /refund$/.test(nextDuty(swap, facts, new Set<Duty['kind']>(['settle', 'cancel', 'broadcast_funding'])).kind);

  it('is signed only when canceled, at T or later, and with every outpoint seen and unspent', () => {
    const allowed: string[] = [];
    for (const [state, payment] of PAIRS) {
      for (const name of REPORT_NAMES) {
        for (const blocks of [1, 0, -1]) {
          for (const [where, htlc] of Object.entries(HTLCS)) {
            const facts = factsAt({ ...left(blocks), invoice: REPORTS[name], htlc });
            if (isRefund(swapIn(state, { payment }), facts)) {
              allowed.push(`${state} ${payment} ${blocks} ${where}`);
              // HELD and OPEN ask for a cancel first, which is "tried" here; SETTLED is recorded first.
              expect(name).not.toBe('SETTLED');
            }
          }
        }
      }
    }
    expect([...new Set(allowed)].sort()).toEqual([
      'FUNDED CANCELED -1 shallow',
      'FUNDED CANCELED -1 unspent',
      'FUNDED CANCELED 0 shallow',
      'FUNDED CANCELED 0 unspent',
    ]);
  });
  it('waits while the node shows the canceled invoice OPEN or HELD: it may know S since an earlier settling', () => {
    for (const name of ['OPEN', 'HELD'] as const) {
      expect(lineOf(drive(fundedWith('CANCELED'), { ...left(0), invoice: REPORTS[name] }))).toBe('cancel');
      expect(isRefundAllowed(fundedWith('CANCELED'), factsAt({ ...left(0), invoice: REPORTS[name] }))).toBe(false);
    }
  });
  it('is bumped when no block takes it, and the higher one goes out', () => {
    const gone = { ...left(0), invoice: REPORTS.CANCELED, refund: STUCK };
    expect(lineOf(drive(fundedWith('CANCELED'), gone))).toBe('sign_refund, broadcast_refund');
    const inMempool = { ...gone, htlc: HTLCS['refund in the mempool'] };
    const seen = swapIn('REFUND_SEEN', { payment: 'CANCELED' });
    const higher = { txid: txid('77'.repeat(32)), isStuck: false };
    expect(lineOf(drive(seen, { ...inMempool, refund: SIGNED }))).toBe('');
    expect(lineOf(drive(seen, inMempool))).toBe('sign_refund');
    expect(lineOf(drive(seen, { ...inMempool, refund: higher }))).toBe('broadcast_refund');
    expect(lineOf(drive(seen, { ...inMempool, htlc: HTLCS['refund in a block'] }))).toBe('');
  });
  it('is bumped only while the payment stays finally unpaid', () => {
    const over = { ...left(0), invoice: undefined, refund: STUCK, htlc: HTLCS['refund in the mempool'] };
    const seen = swapIn('REFUND_SEEN', { payment: 'CANCELED' });
    expect(lineOf(drive(seen, over))).toBe('sign_refund');
    expect(lineOf(drive({ ...seen, isRestored: true }, over))).toBe('');
    expect(lineOf(drive(seen, { ...over, isFenced: true }))).toBe('');
    expect(lineOf(drive(seen, { ...over, invoice: REPORTS.HELD }))).toBe('cancel');
    expect(lineOf(drive(swapIn('REFUND_SEEN', { payment: 'SETTLED' }), over))).toBe('');
  });
  it('is signed once and broadcast again while nobody shows it', () => {
    const swap = fundedWith('CANCELED');
    const facts = { ...left(0), invoice: REPORTS.CANCELED };
    expect(dutyOf(swap, facts)).toBe('sign_refund');
    expect(dutyOf(swap, { ...facts, refund: SIGNED })).toBe('broadcast_refund');
    expect(dutyOf(swap, { ...left(1), invoice: REPORTS.CANCELED, refund: SIGNED })).toBe('wait');
  });
  it('goes on while paused or degraded, and while the Lightning node is away', () => {
    const facts = { ...left(0), invoice: undefined, node: undefined, isPaused: true, isDegraded: true };
    expect(dutyOf(fundedWith('CANCELED'), facts)).toBe('sign_refund');
  });
  it('waits for a tip and for an answer about the outpoints', () => {
    const swap = fundedWith('CANCELED');
    expect(dutyOf(swap, { tip: undefined, invoice: REPORTS.CANCELED })).toBe('wait');
    expect(dutyOf(swap, { ...left(0), htlc: undefined, invoice: REPORTS.CANCELED })).toBe('wait');
    const atT = factsAt({ tip: REFUND_HEIGHT, invoice: REPORTS.CANCELED });
    expect(isRefundAllowed(swap, atT)).toBe(true);
    expect(isRefundAllowed(swap, { ...atT, tip: undefined })).toBe(false);
    expect(isRefundAllowed(swap, { ...atT, htlc: HTLCS.unseen })).toBe(false);
  });
  it('is not broadcast again once the node reports SETTLED after all', () => {
    const facts = { ...left(0), invoice: REPORTS.SETTLED, refund: SIGNED };
    expect(dutyOf(fundedWith('CANCELED'), facts)).toBe('payment_settled!');
    expect(dutyOf({ ...fundedWith('SETTLED'), isPreimageReleased: true }, facts)).toBe('wait');
  });
});

describe('an unpaid invoice', () => {
  const open = fundedWith('OPEN');
  it.each<[string, Partial<Facts>, string]>([
    ['a second before it expires', at(599), 'wait'],
    ['when it expires', at(600), 'cancel_decided'],
    ['on the last block that a payer may use', left(PAYER_MIN), 'wait'],
    ['one block later', left(PAYER_MIN - 1), 'cancel_decided'],
    ['without a tip', { tip: undefined }, 'wait'],
    [
      'when it expires and the chain does not answer',
      { ...at(600), tip: undefined, htlc: undefined },
      'cancel_decided',
    ],
    ['when it expires and the node does not answer: it may be held by now', { ...at(600), invoice: undefined }, 'wait'],
    [
      'on the last block on which a held one could be taken, with a silent node',
      { ...left(SETTLE_MIN), invoice: undefined },
      'wait',
    ],
    ['one block later, with a silent node', { ...left(SETTLE_MIN - 1), invoice: undefined }, 'cancel_decided'],
    ['when it expires while degraded and paused', { ...at(600), isDegraded: true, isPaused: true }, 'cancel_decided'],
  ])('%s: %s', (_name, over, expected) => {
    expect(dutyOf(open, over)).toBe(expected);
  });
  it('is told apart by its reason', () => {
    expect(reasonOf(open, at(600))).toBe('EXPIRED');
    expect(reasonOf(open, left(29))).toBe('refund opens in 29 blocks, a payment needs at least 30');
  });
  it('is not canceled any more when the payment is held: expiry and payer_min alone decide nothing', () => {
    const htlc = htlcAt({ confs: MIN_CONFS - 1 });
    const facts = { ...at(50_000), ...left(SETTLE_MIN), htlc, invoice: report('HELD') };
    expect(dutyOf(fundedWith('HELD'), facts)).toBe('wait');
  });
});

describe('every state with every answer', () => {
  /** Longest chain of duties that the same facts may cause. */
  const MAX_STEPS = 12;
  it('proposes only moves that the tables allow, and comes to rest', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PAIRS), anyFacts, ([state, payment], facts) => {
        let swap = swapIn(state, { payment });
        const tried = new Set<Duty['kind']>();
        for (let step = 0; step < MAX_STEPS; step += 1) {
          const duty = nextDuty(swap, facts, tried);
          if (duty.kind === 'wait') return true;
          if (duty.kind === 'record') swap = apply(swap, duty.event);
          else tried.add(duty.kind);
        }
        return false;
      }),
      { numRuns: 3_000 },
    );
  });
});
