import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, it } from 'vitest';

import { msat, unixSecs } from '../../src/core/units.js';
import { openSqlite } from '../../src/sqlite.js';
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

const open = (dir: string, migrationsDir = MIGRATIONS): Store =>
  Store.open({ path: join(dir, 'swapd.db'), migrationsDir });
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
  it('keeps what is there and applies only new migrations, in order', () => {
    const dir = newDir();
    {
      using store = open(dir);
      insertNew(store);
    }
    const newer = join(dir, 'migrations');
    cpSync(MIGRATIONS, newer, { recursive: true });
    writeFileSync(join(newer, '0003_second.sql'), 'ALTER TABLE extra ADD COLUMN b INTEGER;');
    writeFileSync(join(newer, '0002_first.sql'), 'CREATE TABLE extra (a INTEGER) STRICT;');
    writeFileSync(join(newer, 'notes.txt'), 'no migration');
    using store = open(dir, newer);
    expect(findSwap(store, intent.id)).toEqual(intent);
    expect(store.all(rawSql('SELECT a, b FROM extra'))).toEqual([]);
    expect(store.all(rawSql<{ name: string }>('SELECT name FROM migrations')).map((row) => row.name)).toEqual([
      '0001_init.sql',
      '0002_first.sql',
      '0003_second.sql',
    ]);
  });
  it('refuses a database of a newer program', () => {
    const dir = newDir();
    {
      using store = open(dir);
      store.run(rawSql(`INSERT INTO migrations VALUES ('0099_future.sql', 0)`));
    }
    expect(() => open(dir)).toThrow(refusal('found 0099_future.sql: a newer program wrote it', 'bad_config'));
  });
  it('leaves nothing of a migration that fails', () => {
    const dir = newDir();
    const broken = join(dir, 'migrations');
    mkdirSync(broken);
    writeFileSync(join(broken, '0001_broken.sql'), 'CREATE TABLE half (a INTEGER) STRICT; SELECT no_such_function();');
    expect(() => open(dir, broken)).toThrow('no such function');
    const raw = openSqlite(join(dir, 'swapd.db'), { readonly: true });
    expect(raw.prepare(`SELECT name FROM sqlite_schema WHERE name = 'half'`).all()).toEqual([]);
    expect(raw.prepare('SELECT * FROM migrations').all()).toEqual([]);
    raw.close();
  });
  it('refuses a damaged file', () => {
    const dir = newDir();
    {
      using store = open(dir);
      insertNew(store);
    }
    const path = join(dir, 'swapd.db');
    const bytes = readFileSync(path);
    bytes.fill(0xff, 4096 * 4, 4096 * 6);
    writeFileSync(path, bytes);
    expect(() => open(dir)).toThrow(refusal('expected an intact file, found', 'bad_config'));
  });
  it('refuses a file that is no database', () => {
    const dir = newDir();
    writeFileSync(join(dir, 'swapd.db'), 'not a database, but long enough to be looked at as one '.repeat(20));
    expect(() => open(dir)).toThrow(refusal('expected a SQLite database of swapd, found', 'bad_config'));
    rmSync(join(dir, 'swapd.db'));
    open(dir)[Symbol.dispose](); // the refused attempt left no lock behind
  });
});

describe('a second process', () => {
  const OPEN_AND_STAY = `
    const [{ Store }, { savePause }] = await Promise.all([import(process.argv[1]), import(process.argv[2])]);
    const store = Store.open({ path: process.argv[3], migrationsDir: process.argv[4] });
    store.tx(() => { savePause(store, 'written by the other process'); });
    console.log('open');
    setInterval(() => undefined, 1000);`;
  const built = (name: string): string => fileURLToPath(new URL(`../../dist/store/${name}.js`, import.meta.url));

  async function openElsewhere(dir: string): Promise<ChildProcess> {
    const args = [built('db'), built('meta'), join(dir, 'swapd.db'), MIGRATIONS];
    const child = spawn(process.execPath, ['--input-type=module', '-e', OPEN_AND_STAY, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = (await once(child.stdout, 'data')) as [Buffer];
    expect(text.toString()).toBe('open\n');
    return child;
  }

  it('is refused while the first one lives, and served at once when that was killed', async () => {
    const dir = newDir();
    const child = await openElsewhere(dir);
    const ended = once(child, 'exit');
    try {
      expect(() => open(dir)).toThrow(refusal('expected to be its only user', 'bad_config'));
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    using store = open(dir);
    expect(findPause(store)).toBe('written by the other process');
  });
  it('is refused in the same process, too', () => {
    using temp = tempStore();
    expect(() => open(temp.dir)).toThrow(refusal('locked', 'bad_config'));
    expect(() => open(temp.dir)).toThrow(refusal('locked', 'bad_config'));
  });
});
