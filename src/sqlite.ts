/**
 * SQLite connections whose objects are never collected.
 *
 * Since Node 24.19 the collection of a better-sqlite3 connection or statement may abort the process (docs/adr/0010). The
 * programs prepare a fixed number of statements, so keeping all of them costs nothing.
 */
import BetterSqlite3 from 'better-sqlite3';

const kept: unknown[] = [];

/** Opens a database; it and its statements live as long as the process. Use {@link readPragma}, never `db.pragma`. */
export function openSqlite(path: string, options: BetterSqlite3.Options = {}): BetterSqlite3.Database {
  const db = new BetterSqlite3(path, options);
  const prepare = db.prepare.bind(db);
  const keep = (sql: string): unknown => {
    const statement = prepare(sql);
    kept.push(statement);
    return statement;
  };
  db.prepare = keep as typeof db.prepare;
  kept.push(db);
  return db;
}

/** Value of a pragma, or what it answers first. */
export const readPragma = (db: BetterSqlite3.Database, name: string): unknown =>
  db.prepare(`PRAGMA ${name}`).pluck().get();

/** The settings that both programs rely on: WAL, every commit on disk, foreign keys, no trust in the schema. */
export function makeDurable(db: BetterSqlite3.Database): void {
  db.defaultSafeIntegers(true);
  db.exec(`
    PRAGMA journal_mode = WAL; -- readers never block the writer
    PRAGMA synchronous = FULL; -- a commit is on disk before the effect that follows it
    PRAGMA busy_timeout = 5000;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
  `);
}
