/** A pause is pressed when something looks wrong: it must stop new business, and must move no money by itself. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { nextDuty } from '../../../src/core/duty.js';
import type { Duty } from '../../../src/core/facts.js';
import { swapIn } from '../../support/swapFixtures.js';
import { anyFacts, dutyOf, left, PAIRS, REPORTS } from './dutyCases.js';

describe('a pause', () => {
  it('keeps a funding from being signed, and changes nothing else: it neither settles, cancels nor refunds', () => {
    const kinds = new Set<Duty['kind']>();
    fc.assert(
      fc.property(fc.constantFrom(...PAIRS), anyFacts, ([state, payment], facts) => {
        const swap = swapIn(state, { payment });
        const usual = nextDuty(swap, { ...facts, isPaused: false });
        const paused = nextDuty(swap, { ...facts, isPaused: true });
        kinds.add(usual.kind);
        expect(paused).toEqual(usual.kind === 'fund' ? { kind: 'wait' } : usual);
      }),
      { numRuns: 5_000 },
    );
    expect([...kinds]).toEqual(expect.arrayContaining(['settle', 'cancel', 'record', 'wait']));
    // Too rare among any facts to be counted on.
    const ready = swapIn('INVOICED', { payment: 'OPEN' });
    expect([true, false].map((isPaused) => dutyOf(ready, { isPaused }))).toEqual(['wait', 'fund']);
    const unpaid = swapIn('FUNDED', { payment: 'CANCELED' });
    expect(
      [true, false].map((isPaused) => dutyOf(unpaid, { ...left(0), invoice: REPORTS.CANCELED, isPaused })),
    ).toEqual(['sign_refund', 'sign_refund']);
  });
});
