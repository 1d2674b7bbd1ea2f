import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { openDatabase } from '../../../src/lnnode/store/db.js';
import { openSqlite, readPragma } from '../../../src/sqlite.js';

const FOLDER = new URL('../../../migrations/lnnoded/', import.meta.url);
const NAMES = readdirSync(FOLDER).sort();
const HASH = 'ab'.repeat(32);

let dir: string;
let path: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'migrations-'));
  path = join(dir, 'lnnoded.sqlite');
});
afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** A database as the first version left it, with a peer and an output of a closed channel. */
function databaseOfFirstVersion(): void {
  const db = openSqlite(path);
  db.exec(readFileSync(new URL('0001_init.sql', FOLDER), 'utf8'));
  db.exec('PRAGMA user_version = 1');
  db.prepare(`INSERT INTO peers VALUES (?, 'host:9735')`).run('02'.repeat(33));
  db.prepare(`INSERT INTO spendable_outputs VALUES (?, 1, x'00', NULL, NULL)`).run(HASH);
  db.close();
}

describe('the migrations of the node', () => {
  it('have numbers without a gap: their count is the version of the database', () => {
    const numbers = NAMES.map((name) => Number(name.slice(0, 4)));
    expect(numbers).toEqual(NAMES.map((_, index) => index + 1));
    const db = openDatabase(path);
    expect(Number(readPragma(db, 'user_version'))).toBe(NAMES.length);
    db.close();
  });
  it('keep what a database of the first version has, and are made once', () => {
    databaseOfFirstVersion();
    for (const found of [1, NAMES.length]) {
      const before = openSqlite(path);
      expect(Number(readPragma(before, 'user_version'))).toBe(found);
      before.close();
      const db = openDatabase(path);
      expect(db.prepare('SELECT address FROM peers').pluck().all()).toEqual(['host:9735']);
      expect(db.prepare('SELECT txid, channel_id FROM spendable_outputs').raw().all()).toEqual([[HASH, '']]);
      expect(db.prepare('PRAGMA integrity_check').pluck().all()).toEqual(['ok']);
      db.close();
    }
  });
  it('refuse a database of a later version', () => {
    const db = openDatabase(path);
    db.exec(`PRAGMA user_version = ${NAMES.length + 1}`);
    db.close();
    expect(() => openDatabase(path)).toThrow(`expected version ${NAMES.length} or older`);
  });
});
