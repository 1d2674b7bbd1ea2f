/** What the tests of duties share: words for duties, and all that can be looked up. */
import fc from 'fast-check';

import { nextDuty } from '../../../src/core/duty.js';
import type { Duty, Facts } from '../../../src/core/facts.js';
import { apply, type PaymentStatus, type Swap, type SwapState } from '../../../src/core/swap.js';
import { blockHeight, msat, unixSecs } from '../../../src/core/units.js';
import {
  factsAt,
  htlcAt,
  PAYER_MIN,
  PAYMENTS,
  PRICE,
  REFUND_HEIGHT,
  REFUND_TXID,
  report,
  SETTLE_MIN,
  spend,
  START,
  STATES,
} from '../../support/swapFixtures.js';

/** A duty in a word: the call, or the event that is recorded, with `!` if it raises an alarm. */
export const word = (duty: Duty): string =>
  duty.kind === 'record' ? `${duty.event.kind}${duty.alarm === undefined ? '' : '!'}` : duty.kind;
export const dutyOf = (swap: Swap, over: Partial<Facts> = {}): string => word(nextDuty(swap, factsAt(over)));
export const reasonOf = (swap: Swap, over: Partial<Facts> = {}): string => {
  const duty = nextDuty(swap, factsAt(over));
  return duty.kind === 'record' && 'reason' in duty.event ? duty.event.reason : `no reason in ${word(duty)}`;
};
export const left = (blocks: number): Partial<Facts> => ({ tip: blockHeight(REFUND_HEIGHT - blocks) });
export const at = (secs: number): Partial<Facts> => ({ now: unixSecs(START + secs) });

/** The newest refund of ours, and one that waits for a block for too long. */
export const SIGNED = { txid: REFUND_TXID, isStuck: false } as const;
export const STUCK = { txid: REFUND_TXID, isStuck: true } as const;

export const REPORTS = {
  OPEN: report('OPEN'),
  HELD: report('HELD'),
  SETTLED: report('SETTLED', { isHtlcPending: false }),
  CANCELED: report('CANCELED'),
  unknown_hash: 'unknown_hash',
  nothing: undefined,
} as const satisfies Record<string, Facts['invoice']>;
export type ReportName = keyof typeof REPORTS;
export const REPORT_NAMES = Object.keys(REPORTS) as ReportName[];

export const HTLCS = {
  unseen: htlcAt({ isSeen: false, confs: 0 }),
  unspent: htlcAt(),
  shallow: htlcAt({ confs: 0 }),
  'claim in the mempool': htlcAt({ spends: [spend('claim', 0), spend('claim', 0)] }),
  'claim in a block': htlcAt({ spends: [spend('claim', 1), spend('claim', 1)] }),
  'refund in the mempool': htlcAt({ spends: [spend('refund', 0), spend('refund', 0)] }),
  'refund in a block': htlcAt({ spends: [spend('refund', 1), spend('refund', 1)] }),
  'subsidy claimed': htlcAt({ spends: [undefined, spend('claim', 1)] }),
  'no answer': undefined,
} as const;

/** Pairs that a swap can be in. */
export const PAIRS: readonly (readonly [SwapState, PaymentStatus])[] = STATES.flatMap((state) =>
  PAYMENTS.filter((payment) => {
    if (state === 'INTENT') return ['NONE', 'CANCELING', 'CANCELED'].includes(payment);
    if (state === 'INVOICED') return ['OPEN', 'HELD', 'CANCELING', 'CANCELED'].includes(payment);
    if (state === 'FAILED') return payment === 'CANCELED';
    return payment !== 'NONE';
  }).map((payment) => [state, payment] as const),
);

export const anyFacts: fc.Arbitrary<Facts> = fc.record({
  now: fc.constantFrom(0, 60, 119, 121, 300, 301, 599, 600, 5_000).map((secs) => unixSecs(START + secs)),
  tip: fc.constantFrom(
    undefined,
    ...[60, PAYER_MIN, PAYER_MIN - 1, SETTLE_MIN, SETTLE_MIN - 1, 1, 0, -1].map((blocks) =>
      blockHeight(REFUND_HEIGHT - blocks),
    ),
  ),
  invoice: fc.constantFrom(
    ...Object.values(REPORTS),
    report('HELD', { heldMsat: msat(PRICE - 1n) }),
    report('HELD', { claimDeadlineHeight: 105 }),
    report('SETTLED', { isHtlcPending: true }),
    report('SETTLED', { isTimedOutOnChain: true }),
  ),
  node: fc.constantFrom(undefined, { blockHeight: 100, isSynced: true }, { blockHeight: 100, isSynced: false }),
  htlc: fc.constantFrom(...Object.values(HTLCS)),
  isFundingLost: fc.boolean(),
  abort: fc.constantFrom(
    undefined,
    ...[true, false].flatMap((isStuck) => [true, false].map((isSeen) => ({ ...SIGNED, isStuck, isSeen }))),
  ),
  refund: fc.constantFrom(undefined, SIGNED, STUCK),
  isPaused: fc.boolean(),
  isDegraded: fc.boolean(),
  isReadOnly: fc.boolean(),
  isFenced: fc.boolean(),
});

/** One duty, with the swap as it was stored when the duty was decided. */
type Step = { readonly duty: string; readonly stored: Swap };
export type Outcome = { readonly steps: readonly Step[]; readonly end: Swap };

/** More steps than any path has. */
const MAX_STEPS = 12;

/** What is done until nothing is due. No answer changes: the worst case of every call is that it did nothing. */
export function drive(start: Swap, over: Partial<Facts> = {}): Outcome {
  let swap = start;
  let facts = factsAt(over);
  const tried = new Set<Duty['kind']>();
  const steps: Step[] = [];
  while (steps.length < MAX_STEPS) {
    const duty = nextDuty(swap, facts, tried);
    if (duty.kind === 'wait') return { steps, end: swap };
    if (duty.kind === 'record' && facts.isReadOnly) {
      tried.add('record'); // the commit fails: nothing is stored
      continue;
    }
    steps.push({ duty: word(duty), stored: swap });
    if (duty.kind === 'record') swap = apply(swap, duty.event);
    else tried.add(duty.kind);
    if (duty.kind === 'sign_refund' && !facts.isReadOnly) facts = { ...facts, refund: SIGNED };
    if (duty.kind === 'sign_abort' && !facts.isReadOnly) facts = { ...facts, abort: { ...SIGNED, isSeen: false } };
  }
  throw new Error(`no end of ${steps.map((step) => step.duty).join(', ')}`);
}

/** The duties in one line; empty if there is none. */
export const lineOf = ({ steps }: Outcome): string => steps.map((step) => step.duty).join(', ');
