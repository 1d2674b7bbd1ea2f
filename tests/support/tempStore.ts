/** A real database in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CompiledQuery, type Compilable } from 'kysely';

import type { Swap, SwapEvent } from '../../src/core/swap.js';
import { unixSecs } from '../../src/core/units.js';
import { Store } from '../../src/store/db.js';
import { insertQuote, type Quote } from '../../src/store/quotes.js';
import { insertSwap, moveSwap } from '../../src/store/swaps.js';
import { intent, START, type Intent } from './swapFixtures.js';

export const MIGRATIONS = fileURLToPath(new URL('../../migrations/swapd', import.meta.url));

/** A new folder; the caller removes it. */
export const tempDir = (): string => mkdtempSync(join(tmpdir(), 'swap-test-'));

/** A statement as text, for what the store itself never does. */
export const rawSql = <Row>(sql: string, parameters: readonly unknown[] = []): Compilable<Row> => ({
  compile: () => CompiledQuery.raw(sql, [...parameters]),
});

export type TempStore = Disposable & { readonly store: Store; readonly path: string; readonly dir: string };

/** An empty database with all migrations. */
export function tempStore(): TempStore {
  const dir = tempDir();
  const path = join(dir, 'swapd.db');
  const store = Store.open({ path, migrationsDir: MIGRATIONS });
  return {
    store,
    path,
    dir,
    [Symbol.dispose]: () => {
      store[Symbol.dispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The quote that a swap of the fixtures was made from. */
export const quoteFor = (swap: Intent, over: Partial<Quote> = {}): Quote => ({
  id: swap.quoteId,
  principal: swap.principal,
  assetId: swap.assetId,
  assetAmount: swap.assetAmount,
  priceMsat: swap.priceMsat,
  feeSubsidySat: swap.feeSubsidySat,
  profile: swap.profile,
  minFundingConfs: 1,
  maxFundingConfs: 5,
  createdAt: unixSecs(START),
  expiresAt: unixSecs(START + 60),
  ...over,
});

/** Stores the swap with its quote, in one commit. */
export function insertNew(store: Store, swap: Intent = intent): Intent {
  store.tx(() => {
    insertQuote(store, quoteFor(swap));
    insertSwap(store, swap);
  });
  return swap;
}

/** The nth swap: like `intent`, with everything unique changed. */
export function nthIntent(n: number, over: Partial<Intent> = {}): Intent {
  const byte = n.toString(16).padStart(2, '0');
  return {
    ...intent,
    id: `a1${byte.repeat(15)}` as Intent['id'],
    quoteId: `b2${byte.repeat(15)}` as Intent['quoteId'],
    paymentHash: `cc${byte.repeat(31)}` as Intent['paymentHash'],
    requestId: `123e4567-e89b-42d3-a456-4266141740${byte}`,
    keyIndex: 100 + n,
    ...over,
  };
}

/** Every funding has a txid of its own, like in the database. */
const withOwnFunding = (event: SwapEvent, byte: string): SwapEvent =>
  event.kind === 'funding_signed'
    ? { ...event, funding: { ...event.funding, fundingTxid: byte.repeat(32) as typeof event.funding.fundingTxid } }
    : event;

/** Stores the nth swap and moves it along, in one commit. */
export function storeMoved(store: Store, n: number, events: readonly SwapEvent[], over: Partial<Intent> = {}): Swap {
  const byte = n.toString(16).padStart(2, '0');
  return store.tx(() =>
    events.reduce<Swap>(
      (swap, event) => moveSwap(store, swap, withOwnFunding(event, byte), unixSecs(START + n)),
      insertNew(store, nthIntent(n, over)),
    ),
  );
}
