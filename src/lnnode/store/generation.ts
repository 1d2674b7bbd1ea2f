/** Rows that tell a restored database from the newest one. */
import type { Database } from './db.js';

export type GenerationRows = ReturnType<typeof generationRows>;

/** Statements over the tables `generation` and `given_up_channels`; they join the transaction of their caller. */
export function generationRows(db: Database) {
  const get = db.prepare<[], { number: bigint; is_restore_accepted: bigint }>('SELECT * FROM generation');
  const save = db.prepare<[bigint]>('UPDATE generation SET number = ?');
  const accept = db.prepare<[number]>('UPDATE generation SET is_restore_accepted = ?');
  const changes = db.prepare<[], bigint>('SELECT total_changes()').pluck();
  const giveUp = db.prepare<[string, number]>('INSERT OR IGNORE INTO given_up_channels VALUES (?, ?)');
  const givenUp = db.prepare<[], { txid: string; vout: bigint }>('SELECT * FROM given_up_channels');
  return {
    number: (): bigint => get.get()?.number ?? 0n,
    save: (number: bigint): void => {
      save.run(number);
    },
    /** Rows that this connection has written since it was opened. */
    changes: (): bigint => changes.get() ?? 0n,
    isRestoreAccepted: (): boolean => get.get()?.is_restore_accepted === 1n,
    setRestoreAccepted: (isAccepted: boolean): void => {
      accept.run(isAccepted ? 1 : 0);
    },
    giveUp: (channel: { readonly txid: string; readonly vout: number }): void => {
      giveUp.run(channel.txid, channel.vout);
    },
    givenUp: (): { txid: string; vout: number }[] =>
      givenUp.all().map(({ txid, vout }) => ({ txid, vout: Number(vout) })),
  };
}
