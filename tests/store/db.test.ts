import { rmSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { msat, unixSecs } from '../../src/core/units.js';
import { Store } from '../../src/store/db.js';
import { findPause, savePause } from '../../src/store/meta.js';
import { findQuote, insertQuote } from '../../src/store/quotes.js';
import { findSwap, moveSwap } from '../../src/store/swaps.js';
import { intent, START } from '../support/swapFixtures.js';
import { insertNew, MIGRATIONS, quoteFor, rawSql, tempDir, tempStore } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

const dirs: string[] = [];
const newDir = (): string => {
  const dir = tempDir();
  dirs.push(dir);
  return dir;
};
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

const open = (dir: string): Store => Store.open({ path: join(dir, 'swapd.db'), migrationsDir: MIGRATIONS });
const pragma = (store: Store, name: string): unknown =>
  Object.values(store.first(rawSql<Record<string, unknown>>(`PRAGMA ${name}`)) ?? {})[0];

describe('an opened database', () => {
  it('keeps commits through a power cut, and its constraints on', () => {
    using temp = tempStore();
    const found = ['journal_mode', 'synchronous', 'foreign_keys', 'trusted_schema', 'busy_timeout'].map((name) =>
      pragma(temp.store, name),
    );
    expect(found).toEqual(['wal', 2n, 1n, 0n, 5000n]);
  });
  it('has strict tables only, so that no text slips into an amount', () => {
    using temp = tempStore();
    const { store } = temp;
    const sql = `SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'`;
    const tables = store.all(rawSql<{ name: string; strict: bigint }>(sql));
    expect(tables.length).toBeGreaterThan(10);
    expect(tables.filter((table) => table.strict !== 1n)).toEqual([]);
    insertNew(store);
    expect(() => store.run(rawSql(`UPDATE swaps SET asset_amount = '1e3x'`))).toThrow('cannot store TEXT value');
  });
  it.each([
    [`UPDATE swaps SET state = 'PAID'`, 'CHECK constraint failed'],
    [`UPDATE swaps SET payment = 'PAID'`, 'CHECK constraint failed'],
    [`UPDATE swaps SET state = 'INVOICED'`, 'CHECK constraint failed'],
    [`UPDATE swaps SET state = 'FUNDED', bolt11 = 'lnbc'`, 'CHECK constraint failed'],
    [`UPDATE swaps SET asset_amount = 0`, 'CHECK constraint failed'],
    [`UPDATE swaps SET terms = NULL`, 'NOT NULL constraint failed'],
    [`DELETE FROM quotes`, 'FOREIGN KEY constraint failed'],
  ])('refuses %s', (sql, problem) => {
    using temp = tempStore();
    insertNew(temp.store);
    expect(() => temp.store.run(rawSql(sql))).toThrow(problem);
  });
  it('keeps integers above 2^53 exactly', () => {
    using temp = tempStore();
    const { store } = temp;
    const priceMsat = msat(2n ** 53n + 1n);
    insertQuote(store, quoteFor(intent, { priceMsat }));
    expect(findQuote(store, 'alice', intent.quoteId)?.priceMsat).toBe(9_007_199_254_740_993n);
  });
});

describe('a transaction', () => {
  it('stores all of its body or nothing', () => {
    using temp = tempStore();
    const { store } = temp;
    expect(() =>
      store.tx(() => {
        savePause(store, 'half');
        throw new Error('crash');
      }),
    ).toThrow('crash');
    expect(findPause(store)).toBeUndefined();
    expect(store.isReadOnly).toBe(false);
    store.tx(() => {
      savePause(store, 'whole');
    });
    expect(findPause(store)).toBe('whole');
  });
  it('makes the store read-only when the disk is full: nothing is stored, no side effect may follow', () => {
    const dir = newDir();
    {
      using store = open(dir);
      insertNew(store);
      store.all(rawSql(`PRAGMA max_page_count = ${String(pragma(store, 'page_count'))}`));
      expect(() => {
        store.tx(() => {
          savePause(store, 'x'.repeat(100_000));
        });
      }).toThrow(refusal('the database refused a commit', 'read_only'));
      expect(store.isReadOnly).toBe(true);
      expect(() =>
        store.tx(() => moveSwap(store, intent, { kind: 'cancel_decided', reason: 'x' }, unixSecs(START))),
      ).toThrow(refusal('restart after the disk is fixed', 'read_only'));
      expect(findSwap(store, intent.id)).toEqual(intent);
    }
    using again = open(dir);
    expect(again.isReadOnly).toBe(false);
    expect([findSwap(again, intent.id), findPause(again)]).toEqual([intent, undefined]);
  });
  it('stays read-only when there is room again, until a restart', () => {
    using temp = tempStore();
    const { store } = temp;
    store.all(rawSql(`PRAGMA max_page_count = ${String(pragma(store, 'page_count'))}`));
    expect(() => {
      savePause(store, 'x'.repeat(100_000)); // a lone statement commits, too
    }).toThrow(refusal('the database refused a commit', 'read_only'));
    store.all(rawSql('PRAGMA max_page_count = 1000000'));
    expect(() => {
      savePause(store, 'small');
    }).toThrow(refusal('restart after the disk is fixed', 'read_only'));
    expect([store.isReadOnly, findPause(store)]).toEqual([true, undefined]);
  });
  it('is known from inside', () => {
    using temp = tempStore();
    const { store } = temp;
    expect([store.isInTransaction, store.tx(() => store.isInTransaction), store.isInTransaction]).toEqual([
      false,
      true,
      false,
    ]);
  });
  it('makes the store read-only when the commit itself fails', () => {
    using temp = tempStore();
    const { store } = temp;
    expect(() => {
      store.tx(() => {
        store.run(rawSql('PRAGMA defer_foreign_keys = ON')); // the constraint is checked by COMMIT
        store.run(rawSql(`INSERT INTO utxo_reservations VALUES ('${'aa'.repeat(32)}', 0, 99)`));
      });
    }).toThrow(refusal('the database refused a commit', 'read_only'));
    expect(store.isReadOnly).toBe(true);
    expect(store.all(rawSql('SELECT * FROM utxo_reservations'))).toEqual([]);
  });
});

describe('opening', () => {
  it('wants an existing folder', () => {
    expect(() => open(join(newDir(), 'missing'))).toThrow(refusal('expected an existing folder', 'bad_config'));
  });
});
