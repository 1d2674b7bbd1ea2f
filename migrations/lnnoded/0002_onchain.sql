-- Channels since their funding. details: what LDK said about the channel then, in its own encoding. A closed channel has
-- a reason; it is resolved once all its coins are back in a wallet (a reorg may take that back).
CREATE TABLE channels (
  channel_id      TEXT PRIMARY KEY CHECK (length(channel_id) = 64),
  details         BLOB NOT NULL,
  close_reason    TEXT,
  resolved_height INTEGER
) STRICT;

ALTER TABLE spendable_outputs ADD COLUMN channel_id TEXT NOT NULL DEFAULT '';
ALTER TABLE spendable_outputs ADD COLUMN value_sat INTEGER NOT NULL DEFAULT 0;

-- When a sweep was last sent; one that waits too long is replaced by a better paid one.
CREATE TABLE sweeps (
  txid        TEXT PRIMARY KEY CHECK (length(txid) = 64),
  sent_height INTEGER NOT NULL
) STRICT;

-- Payments of callers. fee_rate_sat_per_kvb is what the caller asked for, 0 for an estimate.
CREATE TABLE sends (
  idempotency_key      TEXT PRIMARY KEY,
  address              TEXT NOT NULL,
  amount_sats          INTEGER NOT NULL CHECK (amount_sats >= 0),
  is_all               INTEGER NOT NULL CHECK (is_all IN (0, 1)),
  fee_rate_sat_per_kvb INTEGER NOT NULL CHECK (fee_rate_sat_per_kvb >= 0)
) STRICT;

-- Their transactions: the first and its replacements, in order.
CREATE TABLE send_txs (
  seq                  INTEGER PRIMARY KEY AUTOINCREMENT,
  txid                 TEXT NOT NULL UNIQUE CHECK (length(txid) = 64),
  idempotency_key      TEXT NOT NULL REFERENCES sends (idempotency_key),
  fee_sats             INTEGER NOT NULL CHECK (fee_sats > 0),
  fee_rate_sat_per_kvb INTEGER NOT NULL CHECK (fee_rate_sat_per_kvb > 0),
  height               INTEGER
) STRICT;

-- Coins that pay the fees of one claim of LDK on an anchor channel; the same ones again when it asks for a higher fee.
CREATE TABLE claim_coins (
  claim_id TEXT NOT NULL CHECK (length(claim_id) = 64),
  txid     TEXT NOT NULL CHECK (length(txid) = 64),
  vout     INTEGER NOT NULL CHECK (vout >= 0),
  PRIMARY KEY (claim_id, txid, vout)
) STRICT;
