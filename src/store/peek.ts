/** A look into a database that is not opened for work: it may be damaged, or gone. */
import { existsSync } from 'node:fs';

import { swapId, txid, type SwapId, type Txid } from '../core/units.js';
import { openSqlite, readPragma } from '../sqlite.js';

/**
 * Swaps whose funding the database knows. Nothing is written to it.
 *
 * @returns undefined if there is no database, or none that can be relied upon.
 */
export function peekFundings(path: string): ReadonlyMap<SwapId, Txid> | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const database = openSqlite(path, { readonly: true });
    try {
      if (readPragma(database, 'quick_check') !== 'ok') return undefined;
      const rows = database
        .prepare<[], { swap_id: string; funding_txid: string }>(
          'SELECT swap_id, funding_txid FROM swaps WHERE funding_txid IS NOT NULL',
        )
        .all();
      return new Map(rows.map((row) => [swapId(row.swap_id), txid(row.funding_txid)]));
    } finally {
      database.close();
    }
  } catch {
    return undefined; // whatever it is, it is no database of swapd that works
  }
}
