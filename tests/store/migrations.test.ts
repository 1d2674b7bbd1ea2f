import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openSqlite } from '../../src/sqlite.js';
import { Store } from '../../src/store/db.js';
import { findSwap } from '../../src/store/swaps.js';
import { intent } from '../support/swapFixtures.js';
import { insertNew, MIGRATIONS, rawSql, tempDir, tempStore } from '../support/tempStore.js';
import { refusal } from '../unit/core/zkp.js';

type Db = ReturnType<typeof openSqlite>;
type Row = Readonly<Record<string, unknown>>;

let dir: string;
let path: string;
beforeEach(() => {
  dir = tempDir();
  path = join(dir, 'swapd.db');
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

const NAMES = readdirSync(MIGRATIONS)
  .filter((name) => name.endsWith('.sql'))
  .sort();

/** A folder with the first `count` migrations, and with further ones. */
function migrationsUpTo(count: number, further: Readonly<Record<string, string>> = {}): string {
  const folder = join(dir, `migrations-${count}-${Object.keys(further).length}`);
  mkdirSync(folder);
  for (const name of NAMES.slice(0, count)) copyFileSync(join(MIGRATIONS, name), join(folder, name));
  for (const [name, sql] of Object.entries(further)) writeFileSync(join(folder, name), sql);
  return folder;
}

const open = (migrationsDir = MIGRATIONS): Store => Store.open({ path, migrationsDir });

/** Does something to the database as SQLite's own program would. */
function withRaw<T>(work: (db: Db) => T): T {
  const db = openSqlite(path);
  try {
    db.defaultSafeIntegers(true);
    return work(db);
  } finally {
    db.close();
  }
}

const tablesOf = (db: Db): { readonly name: string; readonly sql: string }[] =>
  db
    .prepare(`SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
    .all() as { name: string; sql: string }[];

const columnsOf = (db: Db, table: string): { readonly name: string; readonly type: string }[] =>
  db.prepare('SELECT name, type FROM pragma_table_info(?)').all(table) as { name: string; type: string }[];

/** A value that the constraints of a column allow: the first word of its list, what it refers to, or anything. */
function valueFor(db: Db, table: { readonly name: string; readonly sql: string }, column: Row): unknown {
  const name = String(column['name']);
  const words = new RegExp(`CHECK \\(${name} IN \\(\\s*'([^']+)'`).exec(table.sql);
  if (words !== null) return words[1];
  const parent = db
    .prepare('SELECT "table" AS t, "to" AS c FROM pragma_foreign_key_list(?) WHERE "from" = ?')
    .get(table.name, name) as { t: string; c: string } | undefined;
  if (parent !== undefined && parent.t !== table.name) {
    const into = tablesOf(db).find((each) => each.name === parent.t);
    const of = columnsOf(db, parent.t).find((each) => each.name === parent.c);
    if (into !== undefined && of !== undefined) return valueFor(db, into, of);
  }
  if (column['type'] === 'INTEGER') return 1n;
  return column['type'] === 'BLOB' ? Buffer.from(`${table.name}.${name}`) : `${table.name}.${name}`;
}

/** One row in every table, with a value in every column. */
function fillEveryTable(db: Db): void {
  db.exec('BEGIN; PRAGMA defer_foreign_keys = ON');
  for (const table of tablesOf(db)) {
    if (table.name === 'migrations') continue;
    const columns = columnsOf(db, table.name);
    const places = columns.map(() => '?').join(', ');
    const names = columns.map((column) => column.name).join(', ');
    const values = columns.map((column) => valueFor(db, table, column));
    db.prepare(`INSERT INTO ${table.name} (${names}) VALUES (${places})`).run(...values);
  }
  db.exec('COMMIT');
}

const everyRow = (db: Db): Readonly<Record<string, readonly Row[]>> =>
  Object.fromEntries(tablesOf(db).map(({ name }) => [name, db.prepare(`SELECT * FROM ${name}`).all() as Row[]]));

/** Copies the rows of a database of today into one that has fewer columns. */
function copyRows(from: string, tables: readonly string[]): void {
  withRaw((db) => {
    db.prepare('ATTACH ? AS today').run(from);
    for (const table of tables) {
      const names = columnsOf(db, table)
        .map((column) => column.name)
        .join(', ');
      db.exec(`INSERT INTO main.${table} (${names}) SELECT ${names} FROM today.${table}`);
    }
  });
}

describe('a database of an earlier version', () => {
  it.each(NAMES.map((name, i) => [name, i + 1] as const))(
    'of %s keeps every row and every reference',
    (_name, count) => {
      open(migrationsUpTo(count))[Symbol.dispose]();
      const before = withRaw((db) => {
        fillEveryTable(db);
        return everyRow(db);
      });
      expect(Object.values(before).filter((rows) => rows.length === 0)).toEqual([]);
      open()[Symbol.dispose]();
      withRaw((db) => {
        const after = everyRow(db);
        for (const [table, rows] of Object.entries(before)) {
          if (table !== 'migrations') expect(after[table], table).toMatchObject(rows);
        }
        expect(after['migrations']?.map((row) => row['name'])).toEqual(NAMES);
        expect(db.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
        expect(db.prepare('PRAGMA integrity_check').pluck().all()).toEqual(['ok']);
      });
    },
  );
  it.each(NAMES.map((name, i) => [name, i + 1] as const))('of %s has its swaps read as before', (_name, count) => {
    using temp = tempStore();
    insertNew(temp.store);
    open(migrationsUpTo(count))[Symbol.dispose]();
    copyRows(temp.path, ['quotes', 'swaps', 'requests', 'swap_events']);
    using store = open();
    expect(findSwap(store, intent.id)).toEqual(intent);
  });
  it('gets only the migrations it has not got, in the order of their numbers', () => {
    open(migrationsUpTo(1))[Symbol.dispose]();
    const folder = migrationsUpTo(1, {
      '0003_second.sql': 'ALTER TABLE extra ADD COLUMN b INTEGER;',
      '0002_first.sql': 'CREATE TABLE extra (a INTEGER) STRICT;',
      'notes.txt': 'no migration',
    });
    open(folder)[Symbol.dispose]();
    open(folder)[Symbol.dispose](); // once more: nothing is applied twice
    withRaw((db) => {
      expect(columnsOf(db, 'extra').map((column) => column.name)).toEqual(['a', 'b']);
      expect(db.prepare('SELECT name FROM migrations').pluck().all()).toEqual([
        '0001_init.sql',
        '0002_first.sql',
        '0003_second.sql',
      ]);
    });
  });
});

describe('a migration that fails half-way', () => {
  const HALF = `CREATE TABLE half (a INTEGER) STRICT; DELETE FROM meta; DROP INDEX swaps_by_state; SELECT no_such_function();`;
  const schemaAndRows = (): unknown =>
    withRaw((db) => [db.prepare('SELECT type, name, sql FROM sqlite_schema').all(), everyRow(db)]);

  it('leaves the database as it was, and the next start goes on when it is mended', () => {
    open()[Symbol.dispose]();
    withRaw(fillEveryTable);
    const before = schemaAndRows();
    const broken = migrationsUpTo(NAMES.length, { '9998_broken.sql': HALF });
    expect(() => open(broken)).toThrow(refusal('no such function', 'bad_config'));
    expect(schemaAndRows()).toEqual(before);
    writeFileSync(join(broken, '9998_broken.sql'), 'CREATE TABLE half (a INTEGER) STRICT;');
    using store = open(broken);
    expect(store.all(rawSql('SELECT * FROM half'))).toEqual([]);
  });
  it('keeps those before it', () => {
    const folder = migrationsUpTo(NAMES.length, {
      '9998_fine.sql': 'CREATE TABLE fine (a INTEGER) STRICT;',
      '9999_broken.sql': HALF,
    });
    expect(() => open(folder)).toThrow(refusal('no such function', 'bad_config'));
    const tables = withRaw((db) => tablesOf(db).map((table) => table.name));
    expect(tables).toContain('fine');
    expect(tables).not.toContain('half');
  });
});

describe('a database of a later version', () => {
  it('is refused by an older program', () => {
    open()[Symbol.dispose]();
    withRaw((db) => db.exec(`INSERT INTO migrations VALUES ('9999_future.sql', 0)`));
    expect(() => open()).toThrow(refusal('found 9999_future.sql: a newer program wrote it', 'bad_config'));
  });
});
