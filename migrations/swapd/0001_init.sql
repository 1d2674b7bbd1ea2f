-- Amounts are smallest units (64-bit), times Unix seconds, ids lower-case hex (txids and asset ids in display order).

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- Names of buyers and the SHA256 of their tokens.
CREATE TABLE principals (
  name TEXT PRIMARY KEY,
  token_hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT;

-- What the operator changed live; an asset without a row keeps the configured offer.
CREATE TABLE offers (
  asset_id TEXT PRIMARY KEY,
  price_msat_numerator INTEGER NOT NULL CHECK (price_msat_numerator > 0),
  price_denominator INTEGER NOT NULL CHECK (price_denominator > 0),
  spread_ppm INTEGER NOT NULL CHECK (spread_ppm >= 0),
  min_amount INTEGER NOT NULL CHECK (min_amount > 0),
  max_amount INTEGER NOT NULL CHECK (max_amount >= min_amount),
  updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE quotes (
  quote_id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  asset_id TEXT NOT NULL,
  asset_amount INTEGER NOT NULL CHECK (asset_amount > 0),
  price_msat INTEGER NOT NULL CHECK (price_msat > 0),
  fee_subsidy_sat INTEGER NOT NULL CHECK (fee_subsidy_sat >= 0),
  profile TEXT NOT NULL,
  min_funding_confs INTEGER NOT NULL,
  max_funding_confs INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE swaps (
  swap_id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  request_id TEXT NOT NULL,
  quote_id TEXT NOT NULL UNIQUE REFERENCES quotes (quote_id),
  payment_hash TEXT NOT NULL UNIQUE,
  seller_node_id TEXT NOT NULL,
  key_index INTEGER NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('INTENT', 'INVOICED', 'FUNDING_SIGNED', 'ABORTING', 'FUNDED', 'CLAIM_SEEN',
    'REFUND_SEEN', 'CLAIMED', 'REFUNDED', 'FAILED', 'OWED')),
  payment TEXT NOT NULL CHECK (payment IN ('NONE', 'OPEN', 'HELD', 'SETTLING', 'SETTLED', 'CANCELING', 'CANCELED')),
  version INTEGER NOT NULL,
  asset_id TEXT NOT NULL,
  asset_amount INTEGER NOT NULL CHECK (asset_amount > 0),
  fee_subsidy_sat INTEGER NOT NULL,
  price_msat INTEGER NOT NULL CHECK (price_msat > 0),
  claim_pubkey TEXT NOT NULL,
  profile TEXT NOT NULL,
  min_funding_confs INTEGER NOT NULL CHECK (min_funding_confs > 0),
  terms TEXT NOT NULL,
  terms_hash TEXT NOT NULL,
  fund_by INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  held_msat INTEGER NOT NULL,
  reason TEXT NOT NULL,
  is_preimage_released INTEGER NOT NULL CHECK (is_preimage_released IN (0, 1)),
  bolt11 TEXT,
  invoice_expires_at INTEGER,
  funding_txid TEXT UNIQUE,
  refund_height INTEGER,
  witness_script BLOB,
  outpoints TEXT,
  claim_txid TEXT,
  refund_txid TEXT,
  CHECK (state IN ('INTENT', 'FAILED') OR bolt11 IS NOT NULL),
  CHECK (state IN ('INTENT', 'INVOICED', 'FAILED') OR funding_txid IS NOT NULL)
) STRICT;

CREATE INDEX swaps_by_state ON swaps (state, payment);
CREATE INDEX swaps_by_principal ON swaps (principal, created_at);

-- Idempotency of CreateSwap; outlives the swap.
CREATE TABLE requests (
  principal TEXT NOT NULL,
  request_id TEXT NOT NULL,
  body_hash TEXT NOT NULL,
  swap_id TEXT NOT NULL REFERENCES swaps (swap_id),
  created_at INTEGER NOT NULL,
  PRIMARY KEY (principal, request_id)
) STRICT;

-- Append-only history of every swap.
CREATE TABLE swap_events (
  seq INTEGER PRIMARY KEY,
  swap_id TEXT NOT NULL REFERENCES swaps (swap_id),
  kind TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  from_payment TEXT NOT NULL,
  to_payment TEXT NOT NULL,
  detail TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX swap_events_by_swap ON swap_events (swap_id, seq);

CREATE TRIGGER swap_events_are_not_changed BEFORE UPDATE ON swap_events
BEGIN SELECT RAISE (ABORT, 'swap_events is append-only'); END;

CREATE TRIGGER swap_events_are_not_deleted BEFORE DELETE ON swap_events
BEGIN SELECT RAISE (ABORT, 'swap_events is append-only'); END;

-- Every transaction of ours, committed before it is broadcast. A funding is version 1 and never made again.
CREATE TABLE txs (
  tx_id INTEGER PRIMARY KEY,
  swap_id TEXT REFERENCES swaps (swap_id),
  kind TEXT NOT NULL CHECK (kind IN ('funding', 'abort', 'refund', 'withdraw', 'split')),
  version INTEGER NOT NULL,
  request_id TEXT UNIQUE,
  body_hash TEXT,
  txid TEXT NOT NULL UNIQUE,
  raw BLOB NOT NULL,
  fee_sat INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('signed', 'final', 'conflicted')),
  created_at INTEGER NOT NULL,
  UNIQUE (swap_id, kind, version),
  CHECK ((kind IN ('withdraw', 'split')) = (swap_id IS NULL))
) STRICT;

CREATE INDEX txs_by_state ON txs (state);

-- Wallet coins that a transaction of ours spends. A row goes only when the transaction can never confirm again.
CREATE TABLE utxo_reservations (
  txid TEXT NOT NULL,
  vout INTEGER NOT NULL,
  tx_id INTEGER NOT NULL REFERENCES txs (tx_id),
  PRIMARY KEY (txid, vout)
) STRICT;

-- Unblinded outputs of the wallet, so that no range proof is opened twice.
CREATE TABLE wallet_outputs (
  txid TEXT NOT NULL,
  vout INTEGER NOT NULL,
  asset_id TEXT NOT NULL,
  value INTEGER NOT NULL,
  asset_blinder BLOB NOT NULL,
  value_blinder BLOB NOT NULL,
  PRIMARY KEY (txid, vout)
) STRICT;

-- The last Liquid tip that was accepted; the tip rule measures new ones against it.
CREATE TABLE tips (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  height INTEGER NOT NULL,
  block_hash TEXT NOT NULL,
  accepted_at INTEGER NOT NULL
) STRICT;
