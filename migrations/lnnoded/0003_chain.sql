-- Last good fee estimate of each confirmation target.
CREATE TABLE fee_rates (
  target_blocks INTEGER PRIMARY KEY CHECK (target_blocks > 0),
  sat_per_kvb   INTEGER NOT NULL CHECK (sat_per_kvb > 0)
) STRICT;

-- The gossip snapshot in use, as it was fetched.
CREATE TABLE gossip (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  made_at  INTEGER NOT NULL CHECK (made_at > 0),
  snapshot BLOB NOT NULL
) STRICT;
