/** Rows that LDK reads and writes. */
import type { Database } from './db.js';

export type LdkRows = ReturnType<typeof ldkRows>;

type Key = [primary: string, secondary: string, key: string];

/** Statements over the table `ldk`; they join the turn's transaction. */
export function ldkRows(db: Database) {
  const get = db.prepare<Key, { value: Buffer }>(
    'SELECT value FROM ldk WHERE primary_namespace = ? AND secondary_namespace = ? AND key = ?',
  );
  const put = db.prepare<[...Key, Uint8Array]>('INSERT OR REPLACE INTO ldk VALUES (?, ?, ?, ?)');
  const remove = db.prepare<Key>('DELETE FROM ldk WHERE primary_namespace = ? AND secondary_namespace = ? AND key = ?');
  const list = db.prepare<[string, string], { key: string }>(
    'SELECT key FROM ldk WHERE primary_namespace = ? AND secondary_namespace = ?',
  );
  const removeOrphans = db.prepare(
    `DELETE FROM ldk WHERE primary_namespace = 'monitor_updates' AND secondary_namespace NOT IN
       (SELECT key FROM ldk WHERE primary_namespace = 'monitors')`,
  );
  return {
    get: (...key: Key): Uint8Array | undefined => get.get(...key)?.value,
    put: (key: Key, value: Uint8Array): void => {
      put.run(...key, value);
    },
    remove: (...key: Key): void => {
      remove.run(...key);
    },
    /** Updates of monitors that are archived. */
    removeOrphanedUpdates: (): void => {
      removeOrphans.run();
    },
    list: (primary: string, secondary: string): string[] => list.all(primary, secondary).map((row) => row.key),
  };
}
