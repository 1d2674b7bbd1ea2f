/** What a durable move of a swap costs, as a ratio to the bare commit that it cannot do without. */
import { join } from 'node:path';

import BetterSqlite3 from 'better-sqlite3';
import { bench, describe } from 'vitest';

import { unixSecs } from '../../src/core/units.js';
import { findSwap, moveSwap } from '../../src/store/swaps.js';
import { CLAIM_TXID, pathTo, START } from '../support/swapFixtures.js';
import { insertNew, tempDir, tempStore } from '../support/tempStore.js';

describe('one durable move', () => {
  const { store } = tempStore();
  const { id } = insertNew(store);
  const move = (event: Parameters<typeof moveSwap>[2]): void => {
    store.tx(() => {
      const swap = findSwap(store, id);
      if (swap === undefined) throw new Error('no swap');
      moveSwap(store, swap, event, unixSecs(START));
    });
  };
  for (const event of pathTo('CLAIM_SEEN', 'SETTLED')) move(event);

  const baseline = new BetterSqlite3(join(tempDir(), 'baseline.db'));
  baseline.pragma('journal_mode = WAL');
  baseline.pragma('synchronous = FULL');
  baseline.exec('CREATE TABLE one (n INTEGER NOT NULL) STRICT; INSERT INTO one VALUES (0)');
  const update = baseline.prepare('UPDATE one SET n = n + 1');

  bench('baseline: one commit that changes one row', () => {
    baseline.transaction(() => update.run()).immediate();
  });
  bench('load, apply, compare-and-set and history row in one commit', () => {
    move({ kind: 'claim_seen', txid: CLAIM_TXID });
  });
});
