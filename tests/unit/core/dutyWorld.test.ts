import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Swap } from '../../../src/core/swap.js';
import { anyAction, anyDisaster, CALM, type Action } from './dutyActions.js';
import { DutyWorld } from './dutyWorld.js';

const listOf = (action: fc.Arbitrary<Action>): fc.Arbitrary<Action[]> =>
  fc.array(action, { minLength: 10, maxLength: 100, size: 'max' });
/** The funding is signed at once, and the invoice ends before it is deep enough. */
const anyAbort = listOf(anyAction).map((actions): Action[] => [
  { kind: 'pass', pass: CALM },
  { kind: 'secs', n: 301 },
  ...actions,
]);
/** Funded at depth 2, or given up for one at depth 5 that is final before. */
const anyDepth = fc.constantFrom(2, 5);
/** Minutes within which every swap ends: T is at most 60 blocks after the funding, the invoice lives 10 minutes. */
const ROUNDS = 150;

function worldAfter(actions: readonly Action[], minFundingConfs = 2): DutyWorld {
  const world = new DutyWorld({ minFundingConfs });
  for (const action of actions) world.act(action);
  return world;
}

const outcomeOf = (swap: Swap): string => `${swap.state} ${swap.payment}`;

describe('a swap in a world that loses answers, calls, commits and the process itself', () => {
  it.each([
    ['any order of events', listOf(anyAction)],
    ['with a funding that comes too late', anyAbort],
    ['also when an older database is put back and final fundings are undone', listOf(anyDisaster)],
  ])('never gives both the asset and the payment away, and is funded once: %s', (_name, anyActions) => {
    fc.assert(
      fc.property(anyActions, anyDepth, fc.boolean(), (actions, minFundingConfs, willClaim) => {
        const world = worldAfter(actions, minFundingConfs);
        expect(world.broken).toBeUndefined();
        world.calmDown(ROUNDS, { willClaim });
        expect(world.broken).toBeUndefined();
        if (world.assetSpend === 'claim') expect(world.isPaid).toBe(true);
        if (world.assetSpend === 'refund') expect(world.isPaid).toBe(false);
      }),
      { numRuns: 800 },
    );
  });
  it('comes to an end once everybody answers', () => {
    fc.assert(
      fc.property(fc.oneof(listOf(anyAction), anyAbort), anyDepth, (actions, minFundingConfs) => {
        const world = worldAfter(actions, minFundingConfs);
        const isOver = world.calmDown(ROUNDS, { willClaim: true });
        if (world.needsOperator) return;
        expect(isOver).toBe(true);
        expect(outcomeOf(world.swap)).toBe(
          world.isPaid ? 'CLAIMED SETTLED' : world.assetSpend === 'refund' ? 'REFUNDED CANCELED' : 'FAILED CANCELED',
        );
      }),
      { numRuns: 500 },
    );
  });
  it('comes to an end after every disaster, or waits for the operator', () => {
    fc.assert(
      fc.property(listOf(anyDisaster), anyDepth, (actions, minFundingConfs) => {
        const world = worldAfter(actions, minFundingConfs);
        const isOver = world.calmDown(ROUNDS, { willClaim: true });
        if (world.needsOperator) return;
        expect(isOver).toBe(true);
        const ends = world.isPaid ? ['CLAIMED SETTLED', 'OWED SETTLED'] : ['REFUNDED CANCELED', 'FAILED CANCELED'];
        expect(ends).toContain(outcomeOf(world.swap));
      }),
      { numRuns: 500 },
    );
  });
  it('stays open, costing nothing, when the buyer paid and never claims', () => {
    fc.assert(
      fc.property(listOf(anyAction), (actions) => {
        const world = worldAfter(actions.filter((action) => !action.kind.startsWith('claim')));
        const isOver = world.calmDown(ROUNDS, { willClaim: false });
        if (world.isPaid) expect([isOver, outcomeOf(world.swap)]).toEqual([true, 'FUNDED SETTLED']);
      }),
      { numRuns: 200 },
    );
  });
  it('sees every outcome, so that the above says something', () => {
    const seen = new Map<string, number>();
    const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);
    for (const actions of fc.sample(fc.oneof(listOf(anyDisaster), anyAbort), { numRuns: 1_000, seed: 7 })) {
      const world = new DutyWorld({ minFundingConfs: actions.length % 2 === 0 ? 2 : 5 });
      let wasAborting = false;
      for (const action of actions) {
        world.act(action);
        wasAborting ||= world.swap.state === 'ABORTING';
      }
      world.calmDown(ROUNDS, { willClaim: true });
      count(outcomeOf(world.swap));
      if (wasAborting) count(`${world.swap.state} after an abort`);
      if (world.swap.isRestored) count('restored');
    }
    const common = [...seen].filter(([, times]) => times >= 5).map(([outcome]) => outcome);
    expect(common).toEqual(
      expect.arrayContaining([
        'CLAIMED SETTLED',
        'FAILED CANCELED',
        'REFUNDED CANCELED',
        'OWED SETTLED',
        'FAILED after an abort',
        'REFUNDED after an abort',
        'restored',
      ]),
    );
  });
});
