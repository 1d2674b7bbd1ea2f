import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { assetAmount, quoteId, unixSecs } from '../../src/core/units.js';
import type { Store } from '../../src/store/db.js';
import {
  deleteExpiredQuotes,
  findOfferChanges,
  findQuote,
  insertQuote,
  isQuoteUsed,
  saveOfferChange,
  type OfferChange,
} from '../../src/store/quotes.js';
import { GOLD, intent, LBTC, START } from '../support/swapFixtures.js';
import { insertNew, quoteFor, rawSql, tempStore, type TempStore } from '../support/tempStore.js';

let temp: TempStore;
let store: Store;
beforeEach(() => {
  temp = tempStore();
  store = temp.store;
});
afterEach(() => {
  temp[Symbol.dispose]();
});

const quote = quoteFor(intent);

describe('a quote', () => {
  it('comes back as it was, for its own buyer only', () => {
    insertQuote(store, quote);
    expect(findQuote(store, 'alice', quote.id)).toEqual(quote);
    expect(findQuote(store, 'bob', quote.id)).toBeUndefined();
    expect(findQuote(store, 'alice', quoteId('00'.repeat(16)))).toBeUndefined();
  });
  it('is used from the moment a swap refers to it', () => {
    insertQuote(store, { ...quote, id: quoteId('00'.repeat(16)) });
    expect(isQuoteUsed(store, quote.id)).toBe(false);
    insertNew(store);
    expect(isQuoteUsed(store, quote.id)).toBe(true);
    expect(isQuoteUsed(store, quoteId('00'.repeat(16)))).toBe(false);
  });
  it('is forgotten after it expired, but never when it was used', () => {
    insertNew(store);
    const unused = { ...quote, id: quoteId('00'.repeat(16)) };
    insertQuote(store, unused);
    expect(deleteExpiredQuotes(store, quote.expiresAt)).toBe(0);
    expect(deleteExpiredQuotes(store, unixSecs(quote.expiresAt + 1))).toBe(1);
    expect(findQuote(store, 'alice', unused.id)).toBeUndefined();
    expect(findQuote(store, 'alice', quote.id)).toEqual(quote);
  });
  it('with a profile of another program is a bug, not a quote', () => {
    insertQuote(store, quote);
    store.run(rawSql(`UPDATE quotes SET profile = 'constructor'`));
    expect(() => findQuote(store, 'alice', quote.id)).toThrow('unknown profile constructor');
  });
});

describe('a live change of an offer', () => {
  const change: OfferChange = {
    assetId: GOLD,
    priceMsatNumerator: 2n ** 62n,
    priceDenominator: 3n,
    spreadPpm: 5_000,
    minAmount: assetAmount(1n),
    maxAmount: assetAmount(2_100_000_000_000_000n),
  };
  it('comes back exactly, and the last one counts', () => {
    saveOfferChange(store, change, unixSecs(START));
    saveOfferChange(store, { ...change, assetId: LBTC }, unixSecs(START));
    saveOfferChange(store, { ...change, spreadPpm: 0 }, unixSecs(START + 1));
    expect(findOfferChanges(store).find((each) => each.assetId === GOLD)).toEqual({ ...change, spreadPpm: 0 });
    expect(findOfferChanges(store)).toHaveLength(2);
  });
  it.each<Partial<OfferChange>>([{ priceDenominator: 0n }, { maxAmount: assetAmount(0n) }, { spreadPpm: -1 }])(
    'is refused by the database itself: %o',
    (over) => {
      expect(() => {
        saveOfferChange(store, { ...change, ...over }, unixSecs(START));
      }).toThrow('CHECK constraint failed');
    },
  );
});
