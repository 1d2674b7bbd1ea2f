-- Hashes, txids and node ids are lower-case hex (txids and block hashes in display order); amounts are integers in the
-- unit of the column's name; times are Unix seconds.

-- What LDK persists: channel monitors and their updates by its own keys, and the channel manager as ('', '', 'manager').
CREATE TABLE ldk (
  primary_namespace   TEXT NOT NULL,
  secondary_namespace TEXT NOT NULL,
  key                 TEXT NOT NULL,
  value               BLOB NOT NULL,
  PRIMARY KEY (primary_namespace, secondary_namespace, key)
) STRICT;

-- Checked headers: the best chain, and for a while the branches that lost (a channel monitor may still stand on one).
CREATE TABLE headers (
  hash    TEXT PRIMARY KEY CHECK (length(hash) = 64),
  height  INTEGER NOT NULL CHECK (height >= 0),
  header  BLOB NOT NULL CHECK (length(header) = 80),
  is_best INTEGER NOT NULL CHECK (is_best IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX headers_best ON headers (height) WHERE is_best = 1;
CREATE INDEX headers_height ON headers (height);

CREATE TABLE wallet_keys (
  key_index      INTEGER PRIMARY KEY CHECK (key_index >= 0),
  script_pub_key TEXT NOT NULL UNIQUE
) STRICT;

-- Outputs to our own keys. height and spent_height are NULL while the transaction is in no block.
CREATE TABLE wallet_coins (
  txid         TEXT NOT NULL CHECK (length(txid) = 64),
  vout         INTEGER NOT NULL CHECK (vout >= 0),
  value_sat    INTEGER NOT NULL CHECK (value_sat >= 0),
  key_index    INTEGER NOT NULL REFERENCES wallet_keys (key_index),
  is_coinbase  INTEGER NOT NULL CHECK (is_coinbase IN (0, 1)),
  height       INTEGER,
  spent_txid   TEXT,
  spent_height INTEGER,
  PRIMARY KEY (txid, vout)
) STRICT;

-- Transactions that this node sent, repeated until they are in a block (height) or lost to another (conflict_height).
CREATE TABLE own_txs (
  txid            TEXT PRIMARY KEY CHECK (length(txid) = 64),
  raw             BLOB NOT NULL,
  height          INTEGER,
  conflict_height INTEGER
) STRICT;

-- Outputs of closed channels that only LDK's keys can spend; swept to the wallet.
CREATE TABLE spendable_outputs (
  txid         TEXT NOT NULL CHECK (length(txid) = 64),
  vout         INTEGER NOT NULL CHECK (vout >= 0),
  descriptor   BLOB NOT NULL,
  sweep_txid   TEXT,
  spent_height INTEGER,
  PRIMARY KEY (txid, vout)
) STRICT;

-- Address book for reconnects.
CREATE TABLE peers (
  node_id TEXT PRIMARY KEY CHECK (length(node_id) = 66),
  address TEXT NOT NULL
) STRICT;

-- The row decides, LDK only executes. SETTLING: the preimage is committed, the claim is not yet reported.
CREATE TABLE invoices (
  seq                   INTEGER PRIMARY KEY AUTOINCREMENT,
  payment_hash          TEXT NOT NULL UNIQUE CHECK (length(payment_hash) = 64),
  bolt11                TEXT NOT NULL,
  state                 TEXT NOT NULL CHECK (state IN ('OPEN', 'HELD', 'SETTLING', 'SETTLED', 'CANCELED')),
  is_hold               INTEGER NOT NULL CHECK (is_hold IN (0, 1)),
  amount_msat           INTEGER NOT NULL CHECK (amount_msat > 0),
  held_msat             INTEGER NOT NULL CHECK (held_msat >= 0),
  description_hash      TEXT NOT NULL,
  min_final_cltv_delta  INTEGER NOT NULL,
  expiry_secs           INTEGER NOT NULL,
  expires_at            INTEGER NOT NULL,
  label                 TEXT NOT NULL,
  claim_deadline_height INTEGER NOT NULL,
  cancel_reason         TEXT NOT NULL CHECK (cancel_reason IN ('', 'EXPIRED', 'CANCELED_BY_USER', 'DEADLINE')),
  preimage              BLOB CHECK (preimage IS NULL OR length(preimage) = 32),
  CHECK ((state = 'CANCELED') = (cancel_reason <> '')),
  CHECK (state NOT IN ('SETTLING', 'SETTLED') OR preimage IS NOT NULL)
) STRICT;
CREATE INDEX invoices_open ON invoices (expires_at) WHERE state = 'OPEN';
CREATE INDEX invoices_held ON invoices (claim_deadline_height) WHERE state IN ('HELD', 'SETTLING');
CREATE INDEX invoices_label ON invoices (label);

CREATE TABLE payments (
  payment_hash   TEXT PRIMARY KEY CHECK (length(payment_hash) = 64),
  state          TEXT NOT NULL CHECK (state IN ('IN_FLIGHT', 'SUCCEEDED', 'FAILED')),
  bolt11         TEXT NOT NULL,
  amount_msat    INTEGER NOT NULL CHECK (amount_msat > 0),
  fee_msat       INTEGER NOT NULL CHECK (fee_msat >= 0),
  preimage       BLOB CHECK (preimage IS NULL OR length(preimage) = 32),
  failure_reason TEXT NOT NULL,
  CHECK ((state = 'SUCCEEDED') = (preimage IS NOT NULL)),
  CHECK ((state = 'FAILED') = (failure_reason <> ''))
) STRICT;
