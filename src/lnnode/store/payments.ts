/** Rows of outgoing payments. */
import { paymentHash, type PaymentHash } from '../../core/units.js';
import type { Database } from './db.js';

export type PaymentRowState = 'IN_FLIGHT' | 'SUCCEEDED' | 'FAILED';

export type PaymentRow = {
  readonly paymentHash: PaymentHash;
  readonly state: PaymentRowState;
  readonly bolt11: string;
  readonly amountMsat: bigint;
  readonly feeMsat: bigint;
  readonly preimage: Buffer | undefined;
  readonly failureReason: string;
};

type Row = {
  payment_hash: string;
  state: PaymentRowState;
  bolt11: string;
  amount_msat: bigint;
  fee_msat: bigint;
  preimage: Buffer | null;
  failure_reason: string;
};

const convert = (row: Row): PaymentRow => ({
  paymentHash: paymentHash(row.payment_hash),
  state: row.state,
  bolt11: row.bolt11,
  amountMsat: row.amount_msat,
  feeMsat: row.fee_msat,
  preimage: row.preimage ?? undefined,
  failureReason: row.failure_reason,
});

export type PaymentRows = ReturnType<typeof paymentRows>;

/** Statements over the table `payments`; writes join the turn's transaction. */
export function paymentRows(db: Database) {
  const find = db.prepare<[string], Row>('SELECT * FROM payments WHERE payment_hash = ?');
  const inFlight = db.prepare<[], Row>("SELECT * FROM payments WHERE state = 'IN_FLIGHT'");
  const put = db.prepare<[Record<string, unknown>]>(
    `INSERT INTO payments (payment_hash, state, bolt11, amount_msat, fee_msat, preimage, failure_reason, seq)
     VALUES (@paymentHash, @state, @bolt11, @amountMsat, @feeMsat, @preimage, @failureReason,
       (SELECT coalesce(max(seq), 0) + 1 FROM payments))
     ON CONFLICT (payment_hash) DO UPDATE SET state = @state, bolt11 = @bolt11, amount_msat = @amountMsat,
       fee_msat = @feeMsat, preimage = @preimage, failure_reason = @failureReason`,
  );
  const list = db.prepare<[{ limit: number; after: string }], Row>(
    `SELECT * FROM payments WHERE @after = '' OR seq < (SELECT seq FROM payments WHERE payment_hash = @after)
     ORDER BY seq DESC LIMIT @limit`,
  );
  return {
    find: (hash: string): PaymentRow | undefined => {
      const row = find.get(hash);
      return row && convert(row);
    },
    /** Newest first; empty if `after` is unknown. */
    list: (limit: number, after: string): PaymentRow[] => list.all({ limit, after }).map(convert),
    inFlight: (): PaymentRow[] => inFlight.all().map(convert),
    put: (row: PaymentRow): void => {
      put.run({ ...row, preimage: row.preimage ?? null });
    },
  };
}
