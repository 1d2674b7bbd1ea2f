/** Stored block headers. */
import { blockHash, type BlockHash } from '../../core/units.js';
import type { Database } from './db.js';

/** A header that was checked. */
export type StoredHeader = {
  readonly hash: BlockHash;
  readonly height: number;
  readonly header: Buffer;
  readonly isBest: boolean;
};

type Row = { hash: string; height: bigint; header: Buffer; is_best: bigint };

/** Heights below tip - KEPT are pruned. */
const KEPT = 2016;

export type HeaderRows = ReturnType<typeof headerRows>;

/** Statements over the table `headers`; writes join the turn's transaction. */
export function headerRows(db: Database) {
  const tip = db.prepare<[], Row>('SELECT * FROM headers WHERE is_best = 1 ORDER BY height DESC LIMIT 1');
  const find = db.prepare<[string], Row>('SELECT * FROM headers WHERE hash = ?');
  const at = db.prepare<[number], Row>('SELECT * FROM headers WHERE is_best = 1 AND height = ?');
  const put = db.prepare<[string, number, Uint8Array]>(
    'INSERT INTO headers VALUES (?, ?, ?, 1) ON CONFLICT (hash) DO UPDATE SET is_best = 1',
  );
  const leave = db.prepare<[string]>('UPDATE headers SET is_best = 0 WHERE hash = ?');
  const prune = db.prepare<[number]>('DELETE FROM headers WHERE height < ?');
  const convert = (row: Row | undefined): StoredHeader | undefined =>
    row && {
      hash: blockHash(row.hash),
      height: Number(row.height),
      header: row.header,
      isBest: row.is_best === 1n,
    };
  return {
    tip: () => convert(tip.get()),
    find: (hash: string) => convert(find.get(hash)),
    at: (height: number) => convert(at.get(height)),
    connect: (block: { readonly hash: string; readonly height: number; readonly header: Uint8Array }): void => {
      put.run(block.hash, block.height, block.header);
      prune.run(block.height - KEPT);
    },
    disconnect: (hash: string): void => {
      leave.run(hash);
    },
  };
}
