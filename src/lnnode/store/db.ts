/** The node's database: one connection, one open transaction per turn. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Database } from 'better-sqlite3';

import { SwapError } from '../../errors.js';
import { makeDurable, openSqlite, readPragma } from '../../sqlite.js';

export type { Database } from 'better-sqlite3';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/lnnoded', import.meta.url));

/** Opens (and creates or migrates) the database. @throws SwapError `bad_config` if it is of a newer version. */
export function openDatabase(path: string): Database {
  const db = openSqlite(path);
  makeDurable(db);
  migrate(db);
  return db;
}

function migrate(db: Database): void {
  const files = readdirSync(MIGRATIONS)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort();
  const done = Number(readPragma(db, 'user_version'));
  if (done > files.length) {
    throw new SwapError('bad_config', `database: expected version ${files.length} or older, found ${done}`);
  }
  files.slice(done).forEach((name, index) => {
    db.transaction(() => {
      db.exec(readFileSync(join(MIGRATIONS, name), 'utf8'));
      db.exec(`PRAGMA user_version = ${done + index + 1}`);
    }).immediate();
  });
}

/**
 * Takes the data directory for this process. The lock is the operating system's and ends with the process, however it
 * ends. @throws SwapError `bad_config` if another process has it.
 */
export function lockDataDir(dataDir: string): { release(): void } {
  const lock = openSqlite(join(dataDir, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw new SwapError(
      'bad_config',
      `node.data_dir: expected a free directory, found ${dataDir} in use by another lnnoded`,
      { cause },
    );
  }
  return {
    release: () => {
      lock.close();
    },
  };
}
