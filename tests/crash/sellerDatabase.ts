/** The seller's database as it lies on the disk, read beside the running daemon. */
import BetterSqlite3 from 'better-sqlite3';
import { z } from 'zod';

const outpointsSchema = z
  .string()
  .transform((text) =>
    z
      .array(z.object({ txid: z.string(), vout: z.int(), asset_id: z.string(), value: z.string() }))
      .parse(JSON.parse(text)),
  );

const swapSchema = z.object({
  swap_id: z.string(),
  state: z.string(),
  payment: z.string(),
  payment_hash: z.string(),
  reason: z.string(),
  asset_amount: z.bigint(),
  price_msat: z.bigint(),
  held_msat: z.bigint(),
  funding_txid: z.string().nullable(),
  refund_height: z.bigint().nullable(),
  outpoints: outpointsSchema.nullable(),
  is_preimage_released: z.bigint(),
  claim_txid: z.string().nullable(),
  refund_txid: z.string().nullable(),
});
const txSchema = z.object({
  swap_id: z.string().nullable(),
  kind: z.string(),
  txid: z.string(),
  raw: z.instanceof(Buffer),
  state: z.string(),
});
const reservationSchema = z.object({ txid: z.string(), vout: z.bigint() });

export type SwapRow = z.output<typeof swapSchema>;
export type SellerRows = {
  readonly swaps: readonly SwapRow[];
  readonly txs: readonly z.output<typeof txSchema>[];
  /** Coins that a transaction reserves. */
  readonly reservations: readonly z.output<typeof reservationSchema>[];
  readonly meta: ReadonlyMap<string, string>;
};

function read<T>(path: string, ask: (database: BetterSqlite3.Database) => T): T {
  const database = new BetterSqlite3(path, { readonly: true });
  try {
    return ask(database.defaultSafeIntegers());
  } finally {
    database.close();
  }
}

/** One swap as stored, undefined before its first commit. */
export const readSwap = (path: string, id: string): SwapRow | undefined =>
  read(path, (database) =>
    swapSchema.optional().parse(database.prepare('SELECT * FROM swaps WHERE swap_id = ?').get(id)),
  );

/** Everything that the judge looks at, of one moment. */
export const readRows = (path: string): SellerRows =>
  read(path, (database) =>
    database.transaction(() => ({
      swaps: z.array(swapSchema).parse(database.prepare('SELECT * FROM swaps').all()),
      txs: z.array(txSchema).parse(database.prepare('SELECT * FROM txs').all()),
      reservations: z.array(reservationSchema).parse(database.prepare('SELECT * FROM utxo_reservations').all()),
      meta: new Map(
        z
          .array(z.object({ key: z.string(), value: z.string() }))
          .parse(database.prepare('SELECT key, value FROM meta').all())
          .map(({ key, value }) => [key, value]),
      ),
    }))(),
  );

/** States of the chain axis that a swap never leaves. */
export const FINAL_STATES: readonly string[] = ['CLAIMED', 'REFUNDED', 'FAILED', 'OWED'];

/** True if nothing about the swap will change any more. */
export const isEnded = ({ state, payment }: SwapRow): boolean =>
  FINAL_STATES.includes(state) && (payment === 'SETTLED' || payment === 'CANCELED');
