/**
 * The seller's database: one SQLite file under WAL, one connection, one writer process.
 *
 * Queries are built with kysely, compiled, and run synchronously on cached statements, so nothing can come between the
 * statements of a transaction.
 */
import { readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import BetterSqlite3 from 'better-sqlite3';
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type Compilable } from 'kysely';

import { errorChain, SwapError } from '../errors.js';
import { makeDurable, openSqlite, readPragma } from '../sqlite.js';
import type { Tables } from './schema.js';

/** Builds queries only; nothing is ever executed through it. */
const queries = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

/** File systems on which the locks or the shared memory of WAL are not safe, by the magic number of statfs(2). */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB2'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x786f4256, 'VirtualBox shared folder'],
]);

/** Name of a network file system, undefined for a local one. @param type `f_type` of statfs(2), of either sign. */
export const networkFileSystem = (type: number): string | undefined => NETWORK_FILE_SYSTEMS.get(type >>> 0);

export class Store implements Disposable {
  /** Query builder of the tables. */
  readonly q = queries;
  readonly #raw: BetterSqlite3.Database;
  readonly #statements = new Map<string, BetterSqlite3.Statement>();
  readonly #lock: BetterSqlite3.Database;
  #isBroken = false;

  private constructor(raw: BetterSqlite3.Database, lock: BetterSqlite3.Database) {
    this.#raw = raw;
    this.#lock = lock;
  }

  /**
   * Opens or makes the database, applies migrations and checks its integrity.
   *
   * @throws SwapError `bad_config` if another process has it, the file system is a network one, or the file is damaged.
   */
  static open(options: { readonly path: string; readonly migrationsDir: string }): Store {
    const path = realPath(options.path);
    refuseNetworkFileSystem(dirname(path));
    const lock = takeLock(`${path}.lock`);
    try {
      return new Store(openDatabase(path, options.migrationsDir), lock);
    } catch (cause) {
      lock.close();
      if (cause instanceof SwapError) throw cause;
      throw new SwapError(
        'bad_config',
        `database ${path}: expected a SQLite database of swapd, found: ${errorChain(cause)}`,
        { cause },
      );
    }
  }

  /** Rows of a query. */
  all<Row>(query: Compilable<Row>): Row[] {
    const { sql, parameters } = query.compile();
    return this.#prepare(sql).all(...parameters) as Row[];
  }

  /** The first row of a query, if any. */
  first<Row>(query: Compilable<Row>): Row | undefined {
    const { sql, parameters } = query.compile();
    return this.#prepare(sql).get(...parameters) as Row | undefined;
  }

  /** Runs a statement. @returns the number of rows it changed. */
  run(query: Compilable): number {
    return this.#write(query).changes;
  }

  /** Runs an insert. @returns the new row id. */
  insert(query: Compilable): bigint {
    return BigInt(this.#write(query).lastInsertRowid);
  }

  /**
   * BEGIN IMMEDIATE ... COMMIT around a synchronous body. A failed commit makes the store read-only for this process,
   * because nobody can know what the disk will do next.
   */
  tx<T>(body: () => T extends PromiseLike<unknown> ? never : T): T {
    if (this.#isBroken)
      throw new SwapError('read_only', 'the database refused a commit; restart after the disk is fixed');
    const progress = { isBodyDone: false };
    const run = () => {
      const result = body();
      progress.isBodyDone = true;
      return result;
    };
    try {
      return this.#raw.transaction(run).immediate();
    } catch (error) {
      if (progress.isBodyDone || isDiskError(error)) {
        this.#isBroken = true;
        throw new SwapError('read_only', 'the database refused a commit', { cause: error });
      }
      throw error;
    }
  }

  /** True after a failed commit: no side effect may follow any more. */
  get isReadOnly(): boolean {
    return this.#isBroken;
  }

  /** True inside the body of {@link tx}. */
  get isInTransaction(): boolean {
    return this.#raw.inTransaction;
  }

  /**
   * Writes a copy to a file that is missing or empty, as it is after the last commit; 1.5 ms a megabyte. Not SQLite's
   * backup calls: their object cannot be kept (docs/adr/0010).
   *
   * @throws Error if it cannot be written, or what was written is not intact.
   */
  copyTo(path: string): void {
    this.#prepare('VACUUM INTO ?').run(path);
    const copy = openSqlite(path, { readonly: true });
    const check = readPragma(copy, 'quick_check');
    copy.close();
    if (check !== 'ok') throw new Error(`expected an intact copy, found: ${String(check)}`);
  }

  [Symbol.dispose](): void {
    this.#raw.close();
    this.#lock.close();
  }

  /** A lone statement is a transaction, too: its commit may fail like any other. */
  #write(query: Compilable): BetterSqlite3.RunResult {
    const { sql, parameters } = query.compile();
    const write = (): BetterSqlite3.RunResult => this.#prepare(sql).run(...parameters);
    return this.#raw.inTransaction ? write() : this.tx<BetterSqlite3.RunResult>(write);
  }

  #prepare(sql: string): BetterSqlite3.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#raw.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function isDiskError(error: unknown): boolean {
  return (
    error instanceof BetterSqlite3.SqliteError &&
    /^SQLITE_(FULL|IOERR|READONLY|CORRUPT|CANTOPEN|NOTADB)/.test(error.code)
  );
}

function openDatabase(path: string, migrationsDir: string): BetterSqlite3.Database {
  const raw = openSqlite(path); // not closed when it is refused: closing writes to a damaged file
  makeDurable(raw);
  const check = readPragma(raw, 'quick_check');
  if (check !== 'ok') {
    throw new SwapError('bad_config', `database ${path}: expected an intact file, found: ${String(check)}`);
  }
  migrate(raw, migrationsDir);
  return raw;
}

/** A database has one lock, whatever links lead to it. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not there yet, or not readable: opening it tells
  }
}

function refuseNetworkFileSystem(dir: string): void {
  let type: number;
  try {
    type = statfsSync(dir).type;
  } catch (cause) {
    throw new SwapError('bad_config', `database.path: expected an existing folder, found none at ${dir}`, { cause });
  }
  const network = networkFileSystem(type);
  if (network !== undefined) {
    throw new SwapError('bad_config', `database.path: expected a local file system, found ${network} at ${dir}`);
  }
}

/**
 * Holds the lock of a database without opening it, so that no daemon uses it meanwhile.
 *
 * @throws SwapError `bad_config` if another process has it.
 */
export function lockDatabase(path: string): Disposable {
  const lock = takeLock(`${realPath(path)}.lock`);
  return {
    [Symbol.dispose]: () => {
      lock.close();
    },
  };
}

/**
 * One process a database. The lock is SQLite's own on a file beside it: the system frees it with the process, whatever
 * ended it.
 */
function takeLock(path: string): BetterSqlite3.Database {
  let lock: BetterSqlite3.Database | undefined;
  try {
    lock = openSqlite(path, { timeout: 0 });
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (cause) {
    lock?.close();
    const isLocked = cause instanceof BetterSqlite3.SqliteError && cause.code === 'SQLITE_BUSY';
    const found = isLocked ? `${path} locked by another process` : `${path}: ${errorChain(cause)}`;
    throw new SwapError('bad_config', `database.path: expected to be its only user, found ${found}`, { cause });
  }
}

/** Forward-only SQL files `NNNN_name.sql`, each applied once in its own transaction. */
function migrate(raw: BetterSqlite3.Database, dir: string): void {
  raw.exec('CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT');
  const applied = new Set(raw.prepare('SELECT name FROM migrations').pluck().all());
  const names = readdirSync(dir).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name));
  const known = new Set(names);
  for (const name of applied) {
    if (!known.has(String(name))) {
      throw new SwapError(
        'bad_config',
        `database: expected only known migrations, found ${String(name)}: a newer program wrote it`,
      );
    }
  }
  for (const name of names.sort()) {
    if (applied.has(name)) continue;
    raw
      .transaction(() => {
        raw.exec(readFileSync(join(dir, name), 'utf8'));
        raw.prepare('INSERT INTO migrations (name, applied_at) VALUES (?, unixepoch())').run(name);
      })
      .immediate();
  }
}
