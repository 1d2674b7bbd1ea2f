import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Swap, SwapEvent } from '../../src/core/swap.js';
import { unixSecs } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import { countInflight, countOpenUnpaid, openUnpaidByPrincipal, unpaidAmounts } from '../../src/store/quotas.js';
import { allPaths, GOLD, LBTC, pathTo, START, type Intent } from '../support/swapFixtures.js';
import { storeMoved, tempStore, type TempStore } from '../support/tempStore.js';

let temp: TempStore;
let store: Store;
beforeEach(() => {
  temp = tempStore();
  store = temp.store;
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const PATHS = allPaths();
const stored = (n: number, events: readonly SwapEvent[], over: Partial<Intent> = {}): Swap =>
  storeMoved(store, n, events, over);

describe('the quota', () => {
  it('counts every swap that is neither paid nor final, for its own buyer', () => {
    const counted = PATHS.filter(({ end }) => {
      const isFinal = ['CLAIMED', 'REFUNDED', 'FAILED', 'OWED'].includes(end.state);
      return !isFinal && !['SETTLING', 'SETTLED'].includes(end.payment);
    }).length;
    PATHS.forEach(({ events }, n) => stored(n, events, { createdAt: unixSecs(START - n) }));
    stored(200, [], { principal: 'bob' });
    const open = ['alice', 'bob', 'eve'].map((name) => countOpenUnpaid(store, name).open);
    expect(open).toEqual([counted, 1, 0]);
    expect([...openUnpaidByPrincipal(store)].map(([name, { open: count }]) => [name, count])).toEqual([
      ['alice', counted],
      ['bob', 1],
    ]);
  });
  it('keeps counting an unpaid swap until its refund is final', () => {
    const counts = (['FUNDED', 'REFUND_SEEN', 'REFUNDED'] as const).map((state, n) => {
      stored(n, pathTo(state, 'CANCELED'), { principal: state });
      return countOpenUnpaid(store, state).open;
    });
    expect(counts).toEqual([1, 1, 0]);
  });
  it('knows a swap that expired unpaid, until its refund is final; one that was never funded locked nothing', () => {
    const ends = [
      ['FUNDED', 'OPEN', 0],
      ['FUNDED', 'HELD', 0],
      ['FUNDED', 'CANCELING', 1],
      ['FUNDED', 'CANCELED', 1],
      ['REFUND_SEEN', 'CANCELED', 1],
      ['REFUNDED', 'CANCELED', 0],
      ['FAILED', 'CANCELED', 0],
      ['INVOICED', 'CANCELING', 0],
      ['CLAIMED', 'SETTLED', 0],
    ] as const;
    const found = ends.map(([state, payment], n) => {
      stored(n, pathTo(state, payment), { principal: `${state} ${payment}` });
      return [state, payment, countOpenUnpaid(store, `${state} ${payment}`).expired];
    });
    expect(found).toEqual(ends);
  });
  it('adds up the amounts of one asset, of its own buyer and of all, until they are paid or final', () => {
    stored(1, []);
    stored(2, pathTo('FUNDED', 'CANCELED'), { principal: 'bob' });
    stored(3, [], { assetId: LBTC });
    stored(4, pathTo('FUNDED', 'SETTLING'));
    stored(5, pathTo('REFUNDED', 'CANCELED'));
    expect(unpaidAmounts(store, GOLD, 'alice')).toEqual({ all: 500n, own: 250n });
    expect(unpaidAmounts(store, GOLD, 'eve')).toEqual({ all: 500n, own: 0n });
    expect(unpaidAmounts(store, LBTC, 'alice')).toEqual({ all: 250n, own: 250n });
  });
  it('of all buyers together does not count a paid swap that nobody claims', () => {
    stored(1, pathTo('FUNDED', 'SETTLED'));
    stored(2, pathTo('FUNDED', 'SETTLING'));
    stored(3, pathTo('FUNDED', 'OPEN'), { principal: 'bob' });
    stored(4, pathTo('CLAIMED', 'SETTLED'));
    expect(countInflight(store)).toBe(2);
  });
});
