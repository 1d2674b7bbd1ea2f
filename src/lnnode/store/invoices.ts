/** Invoice rows. */
import { paymentHash, type PaymentHash } from '../../core/units.js';
import type { Database } from './db.js';

/** SETTLING: the preimage is committed and the claim under way; callers see it as HELD. */
export type InvoiceRowState = 'OPEN' | 'HELD' | 'SETTLING' | 'SETTLED' | 'CANCELED';
export type CancelReason = '' | 'EXPIRED' | 'CANCELED_BY_USER' | 'DEADLINE';

export type InvoiceRow = {
  readonly paymentHash: PaymentHash;
  readonly bolt11: string;
  readonly state: InvoiceRowState;
  readonly isHold: boolean;
  readonly amountMsat: bigint;
  readonly heldMsat: bigint;
  /** 64 hex digits, or empty when the invoice has a text. */
  readonly descriptionHash: string;
  readonly minFinalCltvDelta: number;
  readonly expirySecs: number;
  readonly expiresAt: number;
  readonly label: string;
  /** 0 unless a payment was held. */
  readonly claimDeadlineHeight: number;
  readonly cancelReason: CancelReason;
  /** Known from the start for invoices of our own preimage, from SettleInvoice on for hold invoices. */
  readonly preimage: Buffer | undefined;
};

type Row = {
  payment_hash: string;
  bolt11: string;
  state: InvoiceRowState;
  is_hold: bigint;
  amount_msat: bigint;
  held_msat: bigint;
  description_hash: string;
  min_final_cltv_delta: bigint;
  expiry_secs: bigint;
  expires_at: bigint;
  label: string;
  claim_deadline_height: bigint;
  cancel_reason: CancelReason;
  preimage: Buffer | null;
};

const convert = (row: Row): InvoiceRow => ({
  paymentHash: paymentHash(row.payment_hash),
  bolt11: row.bolt11,
  state: row.state,
  isHold: row.is_hold === 1n,
  amountMsat: row.amount_msat,
  heldMsat: row.held_msat,
  descriptionHash: row.description_hash,
  minFinalCltvDelta: Number(row.min_final_cltv_delta),
  expirySecs: Number(row.expiry_secs),
  expiresAt: Number(row.expires_at),
  label: row.label,
  claimDeadlineHeight: Number(row.claim_deadline_height),
  cancelReason: row.cancel_reason,
  preimage: row.preimage ?? undefined,
});

export type InvoiceRows = ReturnType<typeof invoiceRows>;

/** Statements over the table `invoices`; writes join the turn's transaction. */
export function invoiceRows(db: Database) {
  const find = db.prepare<[string], Row>('SELECT * FROM invoices WHERE payment_hash = ?');
  const insert = db.prepare<[Record<string, unknown>]>(
    `INSERT INTO invoices (payment_hash, bolt11, state, is_hold, amount_msat, held_msat, description_hash,
       min_final_cltv_delta, expiry_secs, expires_at, label, claim_deadline_height, cancel_reason, preimage)
     VALUES (@paymentHash, @bolt11, @state, @isHold, @amountMsat, @heldMsat, @descriptionHash,
       @minFinalCltvDelta, @expirySecs, @expiresAt, @label, @claimDeadlineHeight, @cancelReason, @preimage)`,
  );
  const update = db.prepare<[Record<string, unknown>]>(
    `UPDATE invoices SET state = @state, held_msat = @heldMsat, claim_deadline_height = @claimDeadlineHeight,
       cancel_reason = @cancelReason, preimage = @preimage WHERE payment_hash = @paymentHash AND state = @from`,
  );
  const due = db.prepare<[number], Row>("SELECT * FROM invoices WHERE state = 'OPEN' AND expires_at <= ?");
  const late = db.prepare<[number], Row>("SELECT * FROM invoices WHERE state = 'HELD' AND claim_deadline_height <= ?");
  const settling = db.prepare<[], Row>("SELECT * FROM invoices WHERE state = 'SETTLING'");
  const list = db.prepare<[{ prefix: string; limit: number; after: string }], Row>(
    `SELECT * FROM invoices WHERE substr(label, 1, length(@prefix)) = @prefix
       AND (@after = '' OR seq < (SELECT seq FROM invoices WHERE payment_hash = @after))
     ORDER BY seq DESC LIMIT @limit`,
  );
  const bind = (row: InvoiceRow) => ({ ...row, isHold: row.isHold ? 1 : 0, preimage: row.preimage ?? null });
  return {
    find: (hash: string): InvoiceRow | undefined => {
      const row = find.get(hash);
      return row && convert(row);
    },
    insert: (row: InvoiceRow): void => {
      insert.run(bind(row));
    },
    /** Compare-and-set on the state. */
    move: (from: InvoiceRowState, row: InvoiceRow): void => {
      if (update.run({ ...bind(row), from }).changes !== 1) throw new Error(`invoice is not ${from} any more`);
    },
    dueToExpire: (now: number): InvoiceRow[] => due.all(now).map(convert),
    pastDeadline: (height: number): InvoiceRow[] => late.all(height).map(convert),
    settling: (): InvoiceRow[] => settling.all().map(convert),
    list: (prefix: string, limit: number, after: string): InvoiceRow[] =>
      list.all({ prefix, limit, after }).map(convert),
  };
}
