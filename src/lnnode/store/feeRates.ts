/** Stored fee estimates. */
import { satPerKvb, type SatPerKvb } from '../../core/units.js';
import type { Database } from './db.js';

/** Statements over the table `fee_rates`; writes join the turn's transaction. */
export function feeRateRows(db: Database) {
  const all = db.prepare<[], { target_blocks: bigint; sat_per_kvb: bigint }>('SELECT * FROM fee_rates');
  const put = db.prepare<[number, bigint]>('INSERT OR REPLACE INTO fee_rates VALUES (?, ?)');
  return {
    all: (): { targetBlocks: number; rate: SatPerKvb }[] =>
      all.all().map((row) => ({ targetBlocks: Number(row.target_blocks), rate: satPerKvb(row.sat_per_kvb) })),
    put: (targetBlocks: number, rate: SatPerKvb): void => {
      put.run(targetBlocks, rate);
    },
  };
}
