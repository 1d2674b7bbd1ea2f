/** Rows of payments to addresses and of the transactions that carried them. */
import { txid, type Txid } from '../../core/units.js';
import type { Database } from './db.js';

export type SendRow = {
  readonly idempotencyKey: string;
  readonly address: string;
  /** 0 with isAll. */
  readonly amountSats: bigint;
  readonly isAll: boolean;
  /** What the caller asked for; 0 for an estimate. */
  readonly feeRateSatPerKvb: bigint;
};

/** The first transaction of a payment, or a replacement. */
export type SendTxRow = {
  readonly txid: Txid;
  readonly idempotencyKey: string;
  readonly feeSats: bigint;
  readonly feeRateSatPerKvb: bigint;
  readonly isConfirmed: boolean;
};

type Send = {
  idempotency_key: string;
  address: string;
  amount_sats: bigint;
  is_all: bigint;
  fee_rate_sat_per_kvb: bigint;
};
type SendTx = {
  txid: string;
  idempotency_key: string;
  fee_sats: bigint;
  fee_rate_sat_per_kvb: bigint;
  height: bigint | null;
};

const version = (row: SendTx): SendTxRow => ({
  txid: txid(row.txid),
  idempotencyKey: row.idempotency_key,
  feeSats: row.fee_sats,
  feeRateSatPerKvb: row.fee_rate_sat_per_kvb,
  isConfirmed: row.height !== null,
});

export type SendRows = ReturnType<typeof sendRows>;

/** Statements; writes join the turn's transaction. */
export function sendRows(db: Database) {
  const put = db.prepare<[Record<string, unknown>]>(
    'INSERT INTO sends VALUES (@idempotencyKey, @address, @amountSats, @isAll, @feeRateSatPerKvb)',
  );
  const get = db.prepare<[string], Send>('SELECT * FROM sends WHERE idempotency_key = ?');
  const putVersion = db.prepare<[Record<string, unknown>]>(
    `INSERT INTO send_txs (txid, idempotency_key, fee_sats, fee_rate_sat_per_kvb)
     VALUES (@txid, @idempotencyKey, @feeSats, @feeRateSatPerKvb)`,
  );
  const keyOf = db.prepare<[string], { idempotency_key: string }>(
    'SELECT idempotency_key FROM send_txs WHERE txid = ?',
  );
  const versions = db.prepare<[string], SendTx>('SELECT * FROM send_txs WHERE idempotency_key = ? ORDER BY seq');
  return {
    put: (row: SendRow): void => {
      put.run({ ...row, isAll: row.isAll ? 1 : 0 });
    },
    get: (key: string): SendRow | undefined => {
      const row = get.get(key);
      return (
        row && {
          idempotencyKey: row.idempotency_key,
          address: row.address,
          amountSats: row.amount_sats,
          isAll: row.is_all === 1n,
          feeRateSatPerKvb: row.fee_rate_sat_per_kvb,
        }
      );
    },
    putVersion: (row: Omit<SendTxRow, 'isConfirmed'>): void => {
      putVersion.run(row);
    },
    /** The payment that a transaction belongs to. */
    keyOf: (id: string): string | undefined => keyOf.get(id)?.idempotency_key,
    /** Transactions of a payment, oldest first. */
    versions: (key: string): SendTxRow[] => versions.all(key).map(version),
  };
}
