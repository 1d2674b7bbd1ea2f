-- Rises in every turn that writes; a file outside the database has the same number, so an older copy is recognized.
-- is_restore_accepted: the operator said that this older database counts; its channels are given up at the next start.
CREATE TABLE generation (
  id                  INTEGER PRIMARY KEY CHECK (id = 1),
  number              INTEGER NOT NULL CHECK (number >= 0),
  is_restore_accepted INTEGER NOT NULL CHECK (is_restore_accepted IN (0, 1))
) STRICT;
INSERT INTO generation VALUES (1, 0, 0);

-- Channels of a restored database, by their funding. Their commitment transactions may be revoked: none is ever sent.
CREATE TABLE given_up_channels (
  txid TEXT NOT NULL CHECK (length(txid) = 64),
  vout INTEGER NOT NULL CHECK (vout >= 0),
  PRIMARY KEY (txid, vout)
) STRICT;
