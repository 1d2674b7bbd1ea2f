-- A swap that was open when the operator accepted an older database: only the node's own report ends its payment.
ALTER TABLE swaps ADD COLUMN is_restored INTEGER NOT NULL DEFAULT 0 CHECK (is_restored IN (0, 1));
-- A claimed swap whose fee subsidy the buyer left: it is refunded after T.
ALTER TABLE swaps ADD COLUMN is_subsidy_open INTEGER NOT NULL DEFAULT 0 CHECK (is_subsidy_open IN (0, 1));

-- Tip when the transaction was signed: one that is in no block some blocks later gets a higher fee. 0: not known.
ALTER TABLE txs ADD COLUMN signed_height INTEGER NOT NULL DEFAULT 0;

-- The last Liquid blocks that were seen, so that a reorganisation is noticed, also after a restart.
CREATE TABLE recent_blocks (
  height INTEGER PRIMARY KEY,
  block_hash TEXT NOT NULL,
  time INTEGER NOT NULL
) STRICT;

-- What this database should know and does not: signs that it is an old copy. Accepted ones are not reported again.
CREATE TABLE fence_findings (
  kind TEXT NOT NULL CHECK (kind IN ('generation', 'bundle', 'spend', 'invoice')),
  id TEXT NOT NULL,
  text TEXT NOT NULL,
  is_accepted INTEGER NOT NULL CHECK (is_accepted IN (0, 1)),
  found_at INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT;
