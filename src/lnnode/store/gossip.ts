/** The stored gossip snapshot. */
import type { Database } from './db.js';

/** A snapshot as it was fetched. */
export type StoredSnapshot = { readonly madeAt: number; readonly bytes: Buffer };

export type GossipRows = ReturnType<typeof gossipRows>;

/** Statements over the table `gossip`; writes join the turn's transaction. */
export function gossipRows(db: Database) {
  const get = db.prepare<[], { made_at: bigint; snapshot: Buffer }>('SELECT made_at, snapshot FROM gossip');
  const put = db.prepare<[number, Uint8Array]>('INSERT OR REPLACE INTO gossip VALUES (1, ?, ?)');
  return {
    get: (): StoredSnapshot | undefined => {
      const row = get.get();
      return row && { madeAt: Number(row.made_at), bytes: row.snapshot };
    },
    put: ({ madeAt, bytes }: StoredSnapshot): void => {
      put.run(madeAt, bytes);
    },
  };
}
