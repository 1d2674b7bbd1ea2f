/** Rows of the on-chain wallet: keys, coins, own transactions, outputs to sweep. */
import { txid, type Txid } from '../../core/units.js';
import type { Database } from './db.js';

export type CoinRow = {
  readonly txid: Txid;
  readonly vout: number;
  readonly valueSat: bigint;
  readonly keyIndex: number;
  readonly isCoinbase: boolean;
  /** Undefined while in no block. */
  readonly height: number | undefined;
};

/** An output of a closed channel; `descriptor` is LDK's encoding. */
export type SpendableRow = {
  readonly txid: Txid;
  readonly vout: number;
  readonly descriptor: Buffer;
  readonly channelId: string;
  readonly valueSat: bigint;
};

type Coin = {
  txid: string;
  vout: bigint;
  value_sat: bigint;
  key_index: bigint;
  is_coinbase: bigint;
  height: bigint | null;
};

const convert = (row: Coin): CoinRow => ({
  txid: txid(row.txid),
  vout: Number(row.vout),
  valueSat: row.value_sat,
  keyIndex: Number(row.key_index),
  isCoinbase: row.is_coinbase === 1n,
  height: row.height === null ? undefined : Number(row.height),
});

type Spendable = { txid: string; vout: bigint; descriptor: Buffer; channel_id: string; value_sat: bigint };

const spendable = (row: Spendable): SpendableRow => ({
  txid: txid(row.txid),
  vout: Number(row.vout),
  descriptor: row.descriptor,
  channelId: row.channel_id,
  valueSat: row.value_sat,
});

/** Own transactions are forgotten when this deep. */
const KEPT_BLOCKS = 144;

export type WalletRows = ReturnType<typeof walletRows>;

/** Statements; writes join the turn's transaction. */
export function walletRows(db: Database) {
  return {
    ...keyStatements(db),
    ...coinStatements(db),
    ...claimStatements(db),
    ...transactionStatements(db),
    ...spendableStatements(db),
  };
}

function keyStatements(db: Database) {
  const keys = db.prepare<[], { key_index: bigint; script_pub_key: string }>('SELECT * FROM wallet_keys');
  const putKey = db.prepare<[number, string]>('INSERT INTO wallet_keys VALUES (?, ?)');
  return {
    keys: (): { keyIndex: number; script: string }[] =>
      keys.all().map((row) => ({ keyIndex: Number(row.key_index), script: row.script_pub_key })),
    putKey: (keyIndex: number, script: string): void => {
      putKey.run(keyIndex, script);
    },
  };
}

function coinStatements(db: Database) {
  const putCoin = db.prepare<[Record<string, unknown>]>(
    `INSERT INTO wallet_coins (txid, vout, value_sat, key_index, is_coinbase, height)
     VALUES (@txid, @vout, @valueSat, @keyIndex, @isCoinbase, @height)
     ON CONFLICT DO UPDATE SET height = coalesce(excluded.height, height)`,
  );
  const unspent = db.prepare<[], Coin>('SELECT * FROM wallet_coins WHERE spent_txid IS NULL ORDER BY value_sat DESC');
  const spend = db.prepare<[Record<string, unknown>]>(
    `UPDATE wallet_coins SET spent_txid = @by, spent_height = @height
     WHERE txid = @txid AND vout = @vout AND (spent_height IS NULL OR @height IS NOT NULL)`,
  );
  const unspend = db.prepare<[string]>(
    'UPDATE wallet_coins SET spent_txid = NULL WHERE spent_txid = ? AND spent_height IS NULL',
  );
  const unclaim = db.prepare<[string]>(
    'DELETE FROM claim_coins WHERE (txid, vout) IN (SELECT txid, vout FROM wallet_coins WHERE spent_txid = ?)',
  );
  const dropCoins = db.prepare<[string]>('DELETE FROM wallet_coins WHERE txid = ? AND height IS NULL');
  const spender = db.prepare<[string, number], { spent_txid: string }>(
    `SELECT spent_txid FROM wallet_coins
     WHERE txid = ? AND vout = ? AND spent_txid IS NOT NULL AND spent_height IS NULL`,
  );
  const reserved = db.prepare<[], { spent_txid: string }>(
    `SELECT DISTINCT spent_txid FROM wallet_coins WHERE spent_txid IS NOT NULL AND spent_height IS NULL
       AND spent_txid NOT IN (SELECT txid FROM own_txs)`,
  );
  const coin = db.prepare<[string, number], Coin>('SELECT * FROM wallet_coins WHERE txid = ? AND vout = ?');
  return {
    /** An output to one of our keys, spent or not. */
    coin: (point: { txid: string; vout: number }): CoinRow | undefined => {
      const row = coin.get(point.txid, point.vout);
      return row && convert(row);
    },
    putCoin: (coin: CoinRow): void => {
      putCoin.run({ ...coin, isCoinbase: coin.isCoinbase ? 1 : 0, height: coin.height ?? null });
    },
    unspent: (): CoinRow[] => unspent.all().map(convert),
    /** `height` is undefined while the spending transaction is in no block. */
    spend: (coin: { txid: string; vout: number }, by: string, height: number | undefined): void => {
      spend.run({ by, height: height ?? null, txid: coin.txid, vout: coin.vout });
    },
    /** The transaction in no block that takes a coin. */
    waitingSpender: (point: { txid: string; vout: number }): string | undefined =>
      spender.get(point.txid, point.vout)?.spent_txid,
    /** Outputs of a transaction that no block has do not count. */
    dropCoins: (id: string): void => {
      dropCoins.run(id);
    },
    /** Takes back a transaction that never will confirm: its inputs are free, its outputs gone. */
    forget: (id: string): void => {
      unclaim.run(id);
      unspend.run(id);
      dropCoins.run(id);
    },
    /** Transactions that reserved coins and were never sent. */
    reservedOnly: (): string[] => reserved.all().map((row) => row.spent_txid),
  };
}

function claimStatements(db: Database) {
  const put = db.prepare<[string, string, number]>('INSERT OR IGNORE INTO claim_coins VALUES (?, ?, ?)');
  // free, or in a transaction that no block has yet: then it is one of the same claim
  const coins = db.prepare<[string], Coin>(
    `SELECT wallet_coins.* FROM claim_coins JOIN wallet_coins USING (txid, vout)
     WHERE claim_id = ? AND height IS NOT NULL AND spent_txid IS NOT NULL AND spent_height IS NULL
     ORDER BY claim_coins.rowid`,
  );
  return {
    putClaimCoin: (claimId: string, coin: { txid: string; vout: number }): void => {
      put.run(claimId, coin.txid, coin.vout);
    },
    /** Coins in use for a claim of LDK that is not decided. */
    claimCoins: (claimId: string): CoinRow[] => coins.all(claimId).map(convert),
  };
}

function transactionStatements(db: Database) {
  const putTx = db.prepare<[string, Uint8Array]>('INSERT OR IGNORE INTO own_txs (txid, raw) VALUES (?, ?)');
  const has = db.prepare<[string], { txid: string }>('SELECT txid FROM own_txs WHERE txid = ?');
  const raw = db.prepare<[string], { raw: Buffer }>('SELECT raw FROM own_txs WHERE txid = ?');
  const waiting = db.prepare<[], { txid: string; raw: Buffer }>(
    'SELECT txid, raw FROM own_txs WHERE height IS NULL AND conflict_height IS NULL ORDER BY rowid',
  );
  const confirm = db.prepare<[number, string]>('UPDATE own_txs SET height = ? WHERE txid = ?');
  const confirmSend = db.prepare<[number, string]>('UPDATE send_txs SET height = ? WHERE txid = ?');
  const conflict = db.prepare<[number, string]>('UPDATE own_txs SET conflict_height = ? WHERE txid = ?');
  const prune = db.prepare<[number, number]>('DELETE FROM own_txs WHERE height < ? OR conflict_height < ?');
  const undo = [
    'DELETE FROM wallet_coins WHERE height = ? AND is_coinbase = 1',
    'UPDATE wallet_coins SET height = NULL WHERE height = ?',
    `UPDATE wallet_coins SET spent_height = NULL,
       spent_txid = CASE WHEN spent_txid IN (SELECT txid FROM own_txs) THEN spent_txid END WHERE spent_height = ?`,
    'UPDATE own_txs SET height = NULL WHERE height = ?',
    'UPDATE send_txs SET height = NULL WHERE height = ?',
    'UPDATE own_txs SET conflict_height = NULL WHERE conflict_height = ?',
    'UPDATE spendable_outputs SET spent_height = NULL WHERE spent_height = ?',
  ].map((text) => db.prepare<[number]>(text));
  return {
    putTransaction: (id: string, raw: Uint8Array): void => {
      putTx.run(id, raw);
    },
    hasTransaction: (id: string): boolean => has.get(id) !== undefined,
    rawTransaction: (id: string): Buffer | undefined => raw.get(id)?.raw,
    unconfirmed: (): { txid: string; raw: Buffer }[] => waiting.all(),
    confirm: (id: string, height: number): void => {
      confirm.run(height, id);
      confirmSend.run(height, id);
    },
    conflict: (id: string, height: number): void => {
      conflict.run(height, id);
    },
    prune: (tipHeight: number): void => {
      prune.run(tipHeight - KEPT_BLOCKS, tipHeight - KEPT_BLOCKS);
    },
    undoBlock: (height: number): void => {
      for (const statement of undo) statement.run(height);
    },
  };
}

function spendableStatements(db: Database) {
  const put = db.prepare<[Record<string, unknown>]>(
    `INSERT OR IGNORE INTO spendable_outputs (txid, vout, descriptor, channel_id, value_sat)
     VALUES (@txid, @vout, @descriptor, @channelId, @valueSat)`,
  );
  const waiting = db.prepare<[], Spendable>(
    'SELECT * FROM spendable_outputs WHERE sweep_txid IS NULL AND spent_height IS NULL ORDER BY rowid',
  );
  const sweptBy = db.prepare<[string], Spendable>(
    'SELECT * FROM spendable_outputs WHERE sweep_txid = ? AND spent_height IS NULL ORDER BY rowid',
  );
  const putSweep = db.prepare<[string, number]>('INSERT OR IGNORE INTO sweeps (txid, sent_height) VALUES (?, ?)');
  const stuck = db.prepare<[number], { sweep_txid: string }>(
    `SELECT DISTINCT sweep_txid FROM spendable_outputs JOIN sweeps ON sweeps.txid = sweep_txid
     WHERE spent_height IS NULL AND sent_height <= ?`,
  );
  const unspent = db.prepare<[string], { count: bigint }>(
    'SELECT count(*) AS count FROM spendable_outputs WHERE channel_id = ? AND spent_height IS NULL',
  );
  const sweep = db.prepare<[string, string, number]>(
    'UPDATE spendable_outputs SET sweep_txid = ? WHERE txid = ? AND vout = ?',
  );
  const spent = db.prepare<[number, string, number]>(
    'UPDATE spendable_outputs SET spent_height = ? WHERE txid = ? AND vout = ?',
  );
  const unsweep = db.prepare<[string]>(
    'UPDATE spendable_outputs SET sweep_txid = NULL WHERE sweep_txid = ? AND spent_height IS NULL',
  );
  return {
    putSpendable: (row: SpendableRow): void => {
      put.run(row);
    },
    unswept: (): SpendableRow[] => waiting.all().map(spendable),
    /** How many outputs of a closed channel are not in the wallet yet. */
    unspentSpendable: (channelId: string): number => Number(unspent.get(channelId)?.count ?? 0n),
    sweptBy: (id: string): SpendableRow[] => sweptBy.all(id).map(spendable),
    putSweep: (id: string, height: number): void => {
      putSweep.run(id, height);
    },
    /** Sweeps in no block that were sent at a height or below. */
    stuckSweeps: (sentHeight: number): string[] => stuck.all(sentHeight).map((row) => row.sweep_txid),
    swept: (row: SpendableRow, by: string): void => {
      sweep.run(by, row.txid, row.vout);
    },
    spendableSpent: (output: { txid: string; vout: number }, height: number): void => {
      spent.run(height, output.txid, output.vout);
    },
    unsweep: (id: string): void => {
      unsweep.run(id);
    },
  };
}
