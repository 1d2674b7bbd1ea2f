/** Rows of closed channels: their closing transactions, and the payments that went back to the payer. */
import type { Outpoint } from '../../core/units.js';
import type { Database } from './db.js';

export type HtlcEndRows = ReturnType<typeof htlcEndRows>;

/** Statements; writes join the turn's transaction. */
export function htlcEndRows(db: Database) {
  const putClosing = db.prepare<[string, number]>('INSERT OR REPLACE INTO closings VALUES (?, ?)');
  const isClosing = db.prepare<[string], { txid: string }>('SELECT txid FROM closings WHERE txid = ?');
  const putTimedOut = db.prepare<[string, number, string, number]>(
    'INSERT OR REPLACE INTO timed_out_htlcs VALUES (?, ?, ?, ?)',
  );
  const timedOut = db.prepare<[string], { txid: string }>(
    'SELECT txid FROM timed_out_htlcs WHERE payment_hash160 = ? LIMIT 1',
  );
  const undoClosings = db.prepare<[number]>('DELETE FROM closings WHERE height >= ?');
  const undoTimedOut = db.prepare<[number]>('DELETE FROM timed_out_htlcs WHERE height >= ?');
  return {
    putClosing: (txid: string, height: number): void => {
      putClosing.run(txid, height);
    },
    isClosing: (txid: string): boolean => isClosing.get(txid) !== undefined,
    putTimedOut: ({ txid, vout }: Outpoint, paymentHash160: string, height: number): void => {
      putTimedOut.run(txid, vout, paymentHash160, height);
    },
    isTimedOut: (paymentHash160: string): boolean => timedOut.get(paymentHash160) !== undefined,
    /** Forgets a block and those above it. */
    undo: (height: number): void => {
      undoClosings.run(height);
      undoTimedOut.run(height);
    },
  };
}
