import { beforeEach, afterEach, describe, expect, it } from 'vitest';

import { isDone, type Swap, type SwapEvent } from '../../src/core/swap.js';
import { assetAmount, sat, unixSecs, type PaymentHash, type SwapId } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import { insertQuote } from '../../src/store/quotes.js';
import {
  findRequest,
  findSwap,
  insertRequest,
  insertSwap,
  listSwaps,
  moveSwap,
  nextKeyIndex,
  openSwapIds,
  swapIdOfHash,
  tiedUp,
} from '../../src/store/swaps.js';
import { allPaths, GOLD, intent, LBTC, pathTo, START, type Intent } from '../support/swapFixtures.js';
import { insertNew, nthIntent, quoteFor, rawSql, tempStore, type TempStore } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

let temp: TempStore;
let store: Store;
beforeEach(() => {
  temp = tempStore();
  store = temp.store;
});
afterEach(() => {
  temp[Symbol.dispose]();
});

/** Every funding has a txid of its own, like in the database. */
const withOwnFunding = (event: SwapEvent, byte: string): SwapEvent =>
  event.kind === 'funding_signed'
    ? { ...event, funding: { ...event.funding, fundingTxid: byte.repeat(32) as typeof event.funding.fundingTxid } }
    : event;

/** Stores the nth swap and moves it along, in one commit. */
function stored(n: number, events: readonly SwapEvent[], over: Partial<Intent> = {}): Swap {
  const byte = n.toString(16).padStart(2, '0');
  return store.tx(() =>
    events.reduce<Swap>(
      (swap, event) => moveSwap(store, swap, withOwnFunding(event, byte), unixSecs(START + n)),
      insertNew(store, nthIntent(n, over)),
    ),
  );
}

const PATHS = allPaths();

/** One swap in every state it can reach; each is older than the one before. */
const storeAll = (): Swap[] =>
  store.tx(() => PATHS.map(({ events }, n) => stored(n, events, { createdAt: unixSecs(START - n) })));

describe('a stored swap', () => {
  it('comes back as it was, in every state it can reach', () => {
    expect(PATHS.length).toBeGreaterThan(50);
    const swaps = storeAll();
    swaps.forEach((swap, n) => {
      expect([swap.state, swap.payment]).toEqual([PATHS[n]?.end.state, PATHS[n]?.end.payment]);
      expect(findSwap(store, swap.id)).toEqual(swap);
    });
  });
  it('is found by its payment hash, and not by another', () => {
    insertNew(store);
    expect(swapIdOfHash(store, intent.paymentHash)).toBe(intent.id);
    expect(swapIdOfHash(store, 'ee'.repeat(32) as PaymentHash)).toBeUndefined();
    expect(findSwap(store, 'ee'.repeat(16) as SwapId)).toBeUndefined();
  });
  it.each<[string, Partial<Intent>, string]>([
    ['id', { id: intent.id }, 'swaps.swap_id'],
    ['payment hash', { paymentHash: intent.paymentHash }, 'swaps.payment_hash'],
    ['quote', { quoteId: intent.quoteId }, 'swaps.quote_id'],
    ['refund key', { keyIndex: intent.keyIndex }, 'swaps.key_index'],
  ])('shares its %s with no other', (_name, over, column) => {
    insertNew(store);
    const twin = nthIntent(1, over);
    if (over.quoteId === undefined) insertQuote(store, quoteFor(twin));
    expect(() => {
      insertSwap(store, twin);
    }).toThrow(`UNIQUE constraint failed: ${column}`);
  });
  it('shares its funding with no other', () => {
    stored(1, pathTo('FUNDING_SIGNED', 'OPEN'));
    const other = stored(2, pathTo('INVOICED', 'OPEN'));
    const [, signed] = pathTo('FUNDING_SIGNED', 'OPEN');
    if (signed === undefined) throw new Error('the path is shorter than expected');
    expect(() => store.tx(() => moveSwap(store, other, withOwnFunding(signed, '01'), unixSecs(START)))).toThrow(
      'UNIQUE constraint failed: swaps.funding_txid',
    );
  });
  it('needs a quote that is stored', () => {
    expect(() => {
      insertSwap(store, intent);
    }).toThrow('FOREIGN KEY constraint failed');
  });
});

describe('a move', () => {
  const cancel: SwapEvent = { kind: 'cancel_decided', reason: 'late' };
  const settle: SwapEvent = { kind: 'settle_decided' };

  it('wins once: whoever read the same version loses with version_conflict', () => {
    const held = stored(1, pathTo('FUNDED', 'HELD'));
    store.tx(() => moveSwap(store, held, settle, unixSecs(START)));
    expect(() => store.tx(() => moveSwap(store, held, cancel, unixSecs(START)))).toThrow(
      refusal('expected version', 'version_conflict'),
    );
    expect(findSwap(store, held.id)?.payment).toBe('SETTLING');
    expect(store.isReadOnly).toBe(false);
  });
  it('that loses leaves no history', () => {
    const held = stored(1, pathTo('FUNDED', 'HELD'));
    store.tx(() => moveSwap(store, held, settle, unixSecs(START)));
    const count = (): number => store.all(rawSql('SELECT seq FROM swap_events')).length;
    const before = count();
    expect(() => store.tx(() => moveSwap(store, held, settle, unixSecs(START)))).toThrow('expected version');
    expect(count()).toBe(before);
  });
  it('that the tables refuse stores nothing', () => {
    const swap = insertNew(store);
    expect(() => store.tx(() => moveSwap(store, swap, { kind: 'claim_final' }, unixSecs(START)))).toThrow(
      'claim_final is not possible from INTENT',
    );
    expect(findSwap(store, swap.id)).toEqual(swap);
  });
  it('is written down with both sides of it', () => {
    const swap = stored(1, pathTo('INVOICED', 'OPEN'));
    store.tx(() => moveSwap(store, swap, cancel, unixSecs(START + 9)));
    const rows = store.all(rawSql('SELECT * FROM swap_events ORDER BY seq DESC LIMIT 1'));
    expect(rows).toEqual([
      expect.objectContaining({
        swap_id: swap.id,
        kind: 'cancel_decided',
        from_state: 'INVOICED',
        to_state: 'INVOICED',
        from_payment: 'OPEN',
        to_payment: 'CANCELING',
        detail: 'late',
        created_at: BigInt(START + 9),
      }),
    ]);
  });
  it.each(['UPDATE swap_events SET kind = kind', 'DELETE FROM swap_events'])(
    'stays in the history: %s is refused',
    (sql) => {
      stored(1, pathTo('INVOICED', 'OPEN'));
      expect(() => store.run(rawSql(sql))).toThrow('swap_events is append-only');
    },
  );
});

describe('the swaps that need work', () => {
  it('are exactly those that are not done, oldest first', () => {
    const swaps = storeAll();
    const open = swaps.filter((swap) => !isDone(swap)).map((swap) => swap.id);
    expect(openSwapIds(store)).toEqual(open.reverse());
    expect(open.length).toBeLessThan(swaps.length);
  });
  it('are listed newest first, by state, and no more than asked for', () => {
    const times = [5, 7, 7, 6];
    const swaps = times.map((secs, n) =>
      stored(n, n === 3 ? pathTo('INVOICED', 'OPEN') : [], { createdAt: unixSecs(secs) }),
    );
    const ids = (list: readonly Swap[]): number[] => list.map((swap) => swaps.findIndex((each) => each.id === swap.id));
    expect(ids(listSwaps(store, { limit: 9 }))).toEqual([2, 1, 3, 0]);
    expect(ids(listSwaps(store, { limit: 2 }))).toEqual([2, 1]);
    expect(ids(listSwaps(store, { limit: 9, states: ['INVOICED', 'FUNDED'] }))).toEqual([3]);
    expect(listSwaps(store, { limit: 9, states: [] })).toEqual([]);
  });
});

describe('refund keys', () => {
  it('are never given out twice, also after the newest swap failed', () => {
    expect(nextKeyIndex(store)).toBe(0);
    stored(1, pathTo('FAILED', 'CANCELED'), { keyIndex: 41 });
    expect(nextKeyIndex(store)).toBe(42);
    stored(2, [], { keyIndex: 12 });
    expect(nextKeyIndex(store)).toBe(42);
  });
});

describe('what swaps tie up', () => {
  it('is promised before the funding, locked after it, and free when final', () => {
    stored(1, []);
    stored(2, pathTo('INVOICED', 'OPEN'));
    stored(3, pathTo('FUNDING_SIGNED', 'OPEN'));
    stored(4, pathTo('FUNDED', 'CANCELED'));
    stored(5, pathTo('REFUND_SEEN', 'CANCELED'));
    for (const [n, end] of [
      [6, pathTo('CLAIMED', 'SETTLED')],
      [7, pathTo('REFUNDED', 'CANCELED')],
      [8, pathTo('FAILED', 'CANCELED')],
    ] as const)
      stored(n, end);
    expect([...tiedUp(store, LBTC)]).toEqual([
      [GOLD, { reserved: 500n, locked: 750n }],
      [LBTC, { reserved: 2_000n, locked: 3_000n }],
    ]);
  });
  it('adds subsidy and amount when L-BTC is sold', () => {
    stored(1, [], { assetId: LBTC, assetAmount: assetAmount(70_000n), feeSubsidySat: sat(1_500n) });
    expect([...tiedUp(store, LBTC)]).toEqual([[LBTC, { reserved: 71_500n, locked: 0n }]]);
  });
  it('is nothing without swaps', () => {
    expect(tiedUp(store, LBTC).size).toBe(0);
  });
});

describe('a request', () => {
  const bodyHash = 'ab'.repeat(32);
  it('is remembered for its own buyer, with what it asked for', () => {
    insertNew(store);
    insertRequest(store, intent, bodyHash);
    expect(findRequest(store, 'alice', intent.requestId)).toEqual({ swapId: intent.id, bodyHash });
    expect(findRequest(store, 'bob', intent.requestId)).toBeUndefined();
    expect(findRequest(store, 'alice', 'another')).toBeUndefined();
  });
  it('can be used once a buyer, and by two buyers', () => {
    insertNew(store);
    insertRequest(store, intent, bodyHash);
    const second = insertNew(store, nthIntent(1));
    expect(() => {
      insertRequest(store, { ...second, requestId: intent.requestId }, bodyHash);
    }).toThrow('UNIQUE constraint failed');
    insertRequest(store, { ...second, requestId: intent.requestId, principal: 'bob' }, bodyHash);
    expect(findRequest(store, 'bob', intent.requestId)?.swapId).toBe(second.id);
  });
});
