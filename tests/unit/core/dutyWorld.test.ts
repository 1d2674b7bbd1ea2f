import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Swap } from '../../../src/core/swap.js';
import { anyAction, DutyWorld, type Action } from './dutyWorld.js';

const anyActions = fc.array(anyAction, { minLength: 10, maxLength: 90, size: 'max' });
/** Minutes within which every swap ends: T is at most 60 blocks after the funding, the invoice lives 10 minutes. */
const ROUNDS = 150;

function worldAfter(actions: readonly Action[]): DutyWorld {
  const world = new DutyWorld();
  for (const action of actions) world.act(action);
  return world;
}

const outcomeOf = (swap: Swap): string => `${swap.state} ${swap.payment}`;

describe('a swap in a world that loses answers, calls and the process itself', () => {
  it('never gives both the asset and the payment away, whatever the order of events', () => {
    fc.assert(
      fc.property(anyActions, fc.boolean(), (actions, willClaim) => {
        const world = worldAfter(actions);
        expect(world.broken).toBeUndefined();
        world.calmDown(ROUNDS, { willClaim });
        expect(world.broken).toBeUndefined();
        if (world.spendKind === 'claim') expect(world.isPaid).toBe(true);
        if (world.spendKind === 'refund') expect(world.isPaid).toBe(false);
      }),
      { numRuns: 600 },
    );
  });
  it('comes to an end once everybody answers', () => {
    fc.assert(
      fc.property(anyActions, (actions) => {
        const world = worldAfter(actions);
        expect(world.calmDown(ROUNDS, { willClaim: true })).toBe(true);
        expect(outcomeOf(world.swap)).toBe(
          world.isPaid ? 'CLAIMED SETTLED' : world.spendKind === 'refund' ? 'REFUNDED CANCELED' : 'FAILED CANCELED',
        );
      }),
      { numRuns: 400 },
    );
  });
  it('stays open, costing nothing, when the buyer paid and never claims', () => {
    fc.assert(
      fc.property(anyActions, (actions) => {
        const world = worldAfter(actions.filter((action) => action.kind !== 'claim'));
        expect(world.calmDown(ROUNDS, { willClaim: false })).toBe(true);
        if (world.isPaid) expect(outcomeOf(world.swap)).toBe('FUNDED SETTLED');
      }),
      { numRuns: 200 },
    );
  });
  it('sees every outcome, so that the above says something', () => {
    const seen = new Map<string, number>();
    for (const actions of fc.sample(anyActions, { numRuns: 300, seed: 7 })) {
      const world = worldAfter(actions);
      world.calmDown(ROUNDS, { willClaim: true });
      const outcome = outcomeOf(world.swap);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    const common = [...seen].filter(([, count]) => count >= 20).map(([outcome]) => outcome);
    expect(common.sort()).toEqual(['CLAIMED SETTLED', 'FAILED CANCELED', 'REFUNDED CANCELED']);
  });
});
