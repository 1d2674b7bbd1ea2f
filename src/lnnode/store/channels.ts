/** Rows of channels that were funded, also of those that are closed. */
import type { Database } from './db.js';

/** A closed channel whose coins are not all back, or only since a few blocks. */
export type ClosedRow = {
  /** 64 hex digits. */
  readonly channelId: string;
  /** LDK's encoding. */
  readonly details: Buffer;
  readonly reason: string;
  readonly isResolved: boolean;
};

type Row = { channel_id: string; details: Buffer; close_reason: string; resolved_height: bigint | null };

export type ChannelRows = ReturnType<typeof channelRows>;

/** Statements; writes join the turn's transaction. */
export function channelRows(db: Database) {
  const put = db.prepare<[string, Uint8Array]>('INSERT OR IGNORE INTO channels (channel_id, details) VALUES (?, ?)');
  const has = db.prepare<[string], { channel_id: string }>('SELECT channel_id FROM channels WHERE channel_id = ?');
  const close = db.prepare<[string, string]>(
    'UPDATE channels SET close_reason = ? WHERE channel_id = ? AND close_reason IS NULL',
  );
  const closed = db.prepare<[number], Row>(
    `SELECT * FROM channels WHERE close_reason IS NOT NULL AND (resolved_height IS NULL OR resolved_height >= ?)
     ORDER BY rowid`,
  );
  const resolve = db.prepare<[number | null, string]>('UPDATE channels SET resolved_height = ? WHERE channel_id = ?');
  return {
    put: (channelId: string, details: Uint8Array): void => {
      put.run(channelId, details);
    },
    has: (channelId: string): boolean => has.get(channelId) !== undefined,
    close: (channelId: string, reason: string): void => {
      close.run(reason, channelId);
    },
    /** Closed channels that were not resolved below a height. */
    closed: (sinceHeight: number): ClosedRow[] =>
      closed.all(sinceHeight).map((row) => ({
        channelId: row.channel_id,
        details: row.details,
        reason: row.close_reason,
        isResolved: row.resolved_height !== null,
      })),
    /** `height` is undefined if a reorg took it back. */
    resolve: (channelId: string, height: number | undefined): void => {
      resolve.run(height ?? null, channelId);
    },
  };
}
