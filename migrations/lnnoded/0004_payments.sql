-- Order of the first attempts: newest first in lists.
ALTER TABLE payments ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
UPDATE payments SET seq = rowid;
CREATE UNIQUE INDEX payments_seq ON payments (seq);

-- Transactions in a block that spend the funding of one of our channels.
CREATE TABLE closings (
  txid   TEXT PRIMARY KEY CHECK (length(txid) = 64),
  height INTEGER NOT NULL CHECK (height >= 0)
) STRICT;

-- Outputs of closings for a payment that went back to the payer in a block: neither preimage nor revocation was shown.
-- payment_hash160 is RIPEMD160 of the payment hash, as it stands in the output's script.
CREATE TABLE timed_out_htlcs (
  txid            TEXT NOT NULL CHECK (length(txid) = 64),
  vout            INTEGER NOT NULL CHECK (vout >= 0),
  payment_hash160 TEXT NOT NULL CHECK (length(payment_hash160) = 40),
  height          INTEGER NOT NULL CHECK (height >= 0),
  PRIMARY KEY (txid, vout)
) STRICT;
CREATE INDEX timed_out_htlcs_hash ON timed_out_htlcs (payment_hash160);
