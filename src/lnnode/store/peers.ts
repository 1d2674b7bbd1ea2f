/** The address book. */
import { pubkey, type Pubkey } from '../../core/units.js';
import type { Database } from './db.js';

export type PeerRows = ReturnType<typeof peerRows>;

/** Statements over the table `peers`. */
export function peerRows(db: Database) {
  const put = db.prepare<[string, string]>('INSERT OR REPLACE INTO peers VALUES (?, ?)');
  const remove = db.prepare<[string]>('DELETE FROM peers WHERE node_id = ?');
  const all = db.prepare<[], { node_id: string; address: string }>('SELECT * FROM peers');
  return {
    put: (nodeId: Pubkey, address: string): void => {
      put.run(nodeId, address);
    },
    remove: (nodeId: Pubkey): void => {
      remove.run(nodeId);
    },
    all: (): { nodeId: Pubkey; address: string }[] =>
      all.all().map((row) => ({ nodeId: pubkey(row.node_id), address: row.address })),
  };
}
