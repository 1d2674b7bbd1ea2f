import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  apply,
  isDone,
  isFinalState,
  isFunded,
  PAYMENT_MOVES,
  PUBLIC_STATUS,
  STATE_MOVES,
  type PaymentStatus,
  type Swap,
  type SwapEvent,
  type SwapEventKind,
  type SwapState,
} from '../../../src/core/swap.js';
import { msat, txid, unixSecs } from '../../../src/core/units.js';
import {
  CLAIM_TXID,
  EVENTS,
  FUNDING,
  intent,
  PAYMENTS,
  PRICE,
  REFUND_TXID,
  STATES,
  swapIn,
} from '../../support/swapFixtures.js';
import { renderSwapStates } from './swapStatesDoc.js';

type Moves<Name extends string> = Readonly<Record<Name, Readonly<Partial<Record<SwapEventKind, Name>>>>>;
const stateMoves: Moves<SwapState> = STATE_MOVES;
const paymentMoves: Moves<PaymentStatus> = PAYMENT_MOVES;

/** The protocol's moves, written down once more: whoever changes a table has to mean it. */
const EXPECTED_STATE_MOVES = [
  'INTENT invoice_created INVOICED',
  'INTENT failed FAILED',
  'INVOICED funding_signed FUNDING_SIGNED',
  'INVOICED failed FAILED',
  'FUNDING_SIGNED funding_deep FUNDED',
  'FUNDING_SIGNED abort_started ABORTING',
  'FUNDING_SIGNED failed FAILED',
  'FUNDING_SIGNED funding_lost OWED',
  'ABORTING funding_deep FUNDED',
  'ABORTING failed FAILED',
  'ABORTING funding_lost OWED',
  'FUNDED claim_seen CLAIM_SEEN',
  'FUNDED refund_seen REFUND_SEEN',
  'FUNDED failed FAILED',
  'FUNDED funding_lost OWED',
  'CLAIM_SEEN claim_final CLAIMED',
  'CLAIM_SEEN spend_gone FUNDED',
  'CLAIM_SEEN claim_seen CLAIM_SEEN',
  'CLAIM_SEEN refund_seen REFUND_SEEN',
  'REFUND_SEEN refund_final REFUNDED',
  'REFUND_SEEN spend_gone FUNDED',
  'REFUND_SEEN claim_seen CLAIM_SEEN',
  'REFUND_SEEN refund_seen REFUND_SEEN',
  'CLAIMED subsidy_done CLAIMED',
];
const EXPECTED_PAYMENT_MOVES = [
  'NONE invoice_created OPEN',
  'NONE cancel_decided CANCELING',
  'NONE payment_settled SETTLED',
  'OPEN payment_held HELD',
  'OPEN cancel_decided CANCELING',
  'OPEN payment_canceled CANCELED',
  'OPEN payment_settled SETTLED',
  'HELD settle_decided SETTLING',
  'HELD cancel_decided CANCELING',
  'HELD payment_canceled CANCELED',
  'HELD payment_settled SETTLED',
  'SETTLING payment_settled SETTLED',
  'SETTLING payment_canceled CANCELED',
  'SETTLED preimage_released SETTLED',
  'CANCELING payment_canceled CANCELED',
  'CANCELING payment_settled SETTLED',
  'CANCELED payment_settled SETTLED',
];

const movesOf = (moves: Moves<string>): string[] =>
  Object.entries(moves).flatMap(([from, row]) => Object.entries(row).map(([kind, to]) => `${from} ${kind} ${to}`));
const kindsOf = (moves: Moves<string>): Set<string> => new Set(Object.values(moves).flatMap((row) => Object.keys(row)));
const STATE_KINDS = kindsOf(stateMoves);
const PAYMENT_KINDS = kindsOf(paymentMoves);

/** The swap after the event, or undefined if the tables refuse it. */
function tryApply(swap: Swap, event: SwapEvent): Swap | undefined {
  try {
    return apply(swap, event);
  } catch {
    return undefined;
  }
}

/** One event of every kind, and some with other payloads. */
const CHOICES: readonly SwapEvent[] = [
  ...EVENTS,
  { kind: 'funding_deep', cancelReason: 'late' },
  { kind: 'claim_seen', txid: txid('c2'.repeat(32)) },
  { kind: 'payment_held', heldMsat: msat(1n) },
];

/** All swaps that a life leads through from INTENT; each number picks one of the events that are possible then. */
function lifeOf(picks: readonly number[]): Swap[] {
  let swap: Swap = intent;
  const life = [swap];
  for (const pick of picks) {
    const possible = CHOICES.flatMap((event) => tryApply(swap, event) ?? []);
    const next = possible[pick % possible.length];
    if (next === undefined) break;
    swap = next;
    life.push(swap);
  }
  return life;
}

const anyLife = fc.array(fc.nat({ max: 1_000 }), { maxLength: 40, size: 'max' }).map(lifeOf);

describe('the tables', () => {
  it('hold exactly the moves of the protocol', () => {
    expect(movesOf(stateMoves).sort()).toEqual([...EXPECTED_STATE_MOVES].sort());
    expect(movesOf(paymentMoves).sort()).toEqual([...EXPECTED_PAYMENT_MOVES].sort());
  });
  it('give every kind of event an axis, and invoice_created both', () => {
    const kinds = EVENTS.map((event) => event.kind);
    expect(kinds.filter((kind) => !STATE_KINDS.has(kind) && !PAYMENT_KINDS.has(kind))).toEqual([]);
    expect(kinds.filter((kind) => STATE_KINDS.has(kind) && PAYMENT_KINDS.has(kind))).toEqual(['invoice_created']);
  });

  const pairs = STATES.flatMap((state) =>
    PAYMENTS.flatMap((payment) => EVENTS.map((event) => ({ state, payment, event }))),
  );
  it(`decide all ${pairs.length} triples of state, payment and event: moved as listed, or refused`, () => {
    for (const { state, payment, event } of pairs) {
      const { kind } = event;
      const toState = STATE_KINDS.has(kind) ? stateMoves[state][kind] : state;
      const toPayment = PAYMENT_KINDS.has(kind) ? paymentMoves[payment][kind] : payment;
      const swap = swapIn(state, { payment });
      if (toState === undefined || toPayment === undefined) {
        expect(() => apply(swap, event), `${state}/${payment} ${kind}`).toThrow('is not possible from');
      } else {
        expect(apply(swap, event), `${state}/${payment} ${kind}`).toMatchObject({
          state: toState,
          payment: toPayment,
          version: swap.version + 1,
        });
      }
    }
  });
});

describe('any order of events', () => {
  const holds = (check: (life: readonly Swap[]) => boolean): void => {
    fc.assert(fc.property(anyLife, check), { numRuns: 500 });
  };
  it('reaches every state and every payment status, so that what follows says something', () => {
    const seen = new Set(
      fc.sample(anyLife, 1_000).flatMap((life) => life.flatMap((swap) => [swap.state, swap.payment])),
    );
    expect([...STATES, ...PAYMENTS].filter((name) => !seen.has(name))).toEqual([]);
  });
  it('never leaves a final state', () => {
    holds((life) => {
      const states = life.map((swap) => swap.state);
      const first = states.findIndex(isFinalState);
      return first < 0 || states.slice(first).every((state) => state === states[first]);
    });
  });
  it('never lets SETTLING and CANCELING both happen to one swap', () => {
    holds((life) => {
      const seen = new Set(life.map((swap) => swap.payment));
      return !(seen.has('SETTLING') && seen.has('CANCELING'));
    });
  });
  it('never takes SETTLED back', () => {
    holds((life) => {
      const payments = life.map((swap) => swap.payment);
      const first = payments.indexOf('SETTLED');
      return first < 0 || payments.slice(first).every((payment) => payment === 'SETTLED');
    });
  });
  it('raises the version by one with every move', () => {
    holds((life) => life.every((swap, i) => swap.version === i));
  });
  it('never changes terms, invoice or funding once they are known', () => {
    const keys = ['terms', 'priceMsat', 'bolt11', 'fundingTxid', 'refundHeight', 'witnessScript', 'outpoints'];
    const get = (swap: Swap, key: string): unknown => Object.entries(swap).find(([name]) => name === key)?.[1];
    holds((life) =>
      life.every((swap, i) =>
        keys.every((key) => {
          const before = get(life[i - 1] ?? swap, key);
          return before === undefined || before === get(swap, key);
        }),
      ),
    );
  });
  it('releases the preimage only of a payment that is SETTLED', () => {
    holds((life) => life.every((swap) => !swap.isPreimageReleased || swap.payment === 'SETTLED'));
  });
});

describe('events that carry facts', () => {
  const bolt11 = 'lnbcrt1';
  it('an invoice is stored with its expiry', () => {
    const next = apply(intent, { kind: 'invoice_created', bolt11, expiresAt: unixSecs(9) });
    expect(next).toMatchObject({ state: 'INVOICED', payment: 'OPEN', bolt11, invoiceExpiresAt: 9 });
  });
  it('an invoice that comes after the swap was canceled is refused', () => {
    const canceling = apply(intent, { kind: 'cancel_decided', reason: 'late' });
    expect(() => apply(canceling, { kind: 'invoice_created', bolt11, expiresAt: unixSecs(9) })).toThrow(
      'invoice_created is not possible from CANCELING',
    );
  });
  it('a funding is stored whole', () => {
    expect(apply(swapIn('INVOICED'), { kind: 'funding_signed', funding: FUNDING })).toMatchObject({
      ...FUNDING,
      state: 'FUNDING_SIGNED',
    });
  });
  it.each([
    ['OPEN', 'CANCELING', 'late'],
    ['HELD', 'HELD', ''],
    ['CANCELED', 'CANCELED', ''],
    ['SETTLED', 'SETTLED', ''],
  ] as const)('a funding that is deep too late leaves %s as %s', (payment, after, reason) => {
    const next = apply(swapIn('FUNDING_SIGNED', { payment }), { kind: 'funding_deep', cancelReason: 'late' });
    expect(next).toMatchObject({ state: 'FUNDED', payment: after, reason });
  });
  it('a funding that is deep in time leaves the payment alone', () => {
    expect(apply(swapIn('FUNDING_SIGNED'), { kind: 'funding_deep' })).toMatchObject({
      state: 'FUNDED',
      payment: 'OPEN',
      reason: '',
    });
  });
  it('a claim that replaces another is the one that is watched', () => {
    const other = txid('c2'.repeat(32));
    expect(apply(swapIn('CLAIM_SEEN'), { kind: 'claim_seen', txid: other })).toMatchObject({ claimTxid: other });
    expect(apply(swapIn('REFUND_SEEN'), { kind: 'claim_seen', txid: CLAIM_TXID })).toMatchObject({
      state: 'CLAIM_SEEN',
      claimTxid: CLAIM_TXID,
    });
  });
  it('what was held is kept, also a surplus', () => {
    const heldMsat = msat(PRICE + 1_000n);
    expect(apply(swapIn('FUNDED'), { kind: 'payment_held', heldMsat })).toMatchObject({ payment: 'HELD', heldMsat });
  });
  it('a claim that left the fee subsidy keeps the swap open until the subsidy is spent', () => {
    const seen = swapIn('CLAIM_SEEN', { payment: 'SETTLED', isPreimageReleased: true });
    const left = apply(seen, { kind: 'claim_final', isSubsidyOpen: true });
    expect([left.state, left.isSubsidyOpen, isDone(left)]).toEqual(['CLAIMED', true, false]);
    const done = apply(left, { kind: 'subsidy_done', txid: REFUND_TXID });
    expect([done.state, done.isSubsidyOpen, isDone(done)]).toEqual(['CLAIMED', false, true]);
    expect(isDone(apply(seen, { kind: 'claim_final' }))).toBe(true);
  });
  it('the first reason is kept', () => {
    const canceling = apply(swapIn('FUNDED'), { kind: 'cancel_decided', reason: 'EXPIRED' });
    expect(apply(canceling, { kind: 'payment_canceled', reason: 'by us' }).reason).toBe('EXPIRED');
  });
});

describe('what is shown and when work ends', () => {
  it('every state is shown as one public status', () => {
    expect(PUBLIC_STATUS).toEqual({
      INTENT: 'CREATED',
      INVOICED: 'CREATED',
      FUNDING_SIGNED: 'CREATED',
      ABORTING: 'CREATED',
      FUNDED: 'FUNDED',
      CLAIM_SEEN: 'FUNDED',
      REFUND_SEEN: 'FUNDED',
      CLAIMED: 'CLAIMED',
      REFUNDED: 'REFUNDED',
      FAILED: 'FAILED',
      OWED: 'OWED',
    });
  });
  it('public statuses move as documented and no other way', () => {
    const moves = Object.entries(stateMoves).flatMap(([from, row]) =>
      Object.values(row).map((to) => `${PUBLIC_STATUS[from as SwapState]} ${PUBLIC_STATUS[to]}`),
    );
    const changes = new Set(moves.filter((move) => move.split(' ')[0] !== move.split(' ')[1]));
    expect([...changes].sort()).toEqual([
      'CREATED FAILED',
      'CREATED FUNDED',
      'CREATED OWED',
      'FUNDED CLAIMED',
      'FUNDED FAILED',
      'FUNDED OWED',
      'FUNDED REFUNDED',
    ]);
  });
  it('CLAIMED, REFUNDED, FAILED and OWED are final', () => {
    expect(STATES.filter(isFinalState)).toEqual(['CLAIMED', 'REFUNDED', 'FAILED', 'OWED']);
  });
  it('a swap is done when its state is final and its payment needs nothing', () => {
    const done = PAYMENTS.flatMap((payment) =>
      [false, true]
        .filter((isPreimageReleased) => isDone(swapIn('CLAIMED', { payment, isPreimageReleased })))
        .map((isPreimageReleased) => `${payment} ${isPreimageReleased ? 'released' : 'kept'}`),
    );
    expect(done).toEqual(['NONE kept', 'NONE released', 'SETTLED released', 'CANCELED kept', 'CANCELED released']);
    const payment = 'CANCELED';
    expect(STATES.filter((state) => !isFinalState(state) && isDone(swapIn(state, { payment })))).toEqual([]);
  });
  it('a swap has a funding from FUNDING_SIGNED on, but not when it failed', () => {
    expect(STATES.filter((state) => !isFunded(swapIn(state)))).toEqual(['INTENT', 'INVOICED', 'FAILED']);
  });
});

describe('docs/swap-states.md', () => {
  it('is what the tables say (UPDATE_DOCS=1 writes it anew)', () => {
    const path = fileURLToPath(new URL('../../../docs/swap-states.md', import.meta.url));
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(path, renderSwapStates());
    expect(existsSync(path) ? readFileSync(path, 'utf8') : 'missing').toBe(renderSwapStates());
  });
});
