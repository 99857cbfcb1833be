-- The ledger of usage: a file of its own, so that nothing that is written here keeps identity waiting.

-- Everything of a row that repeats, once: a row of `usage` is then some 60 bytes. `names` is a JSON
-- list of all of it; the columns beside it are for filters.
CREATE TABLE series (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  names TEXT NOT NULL UNIQUE,
  agent TEXT NOT NULL,
  team TEXT,
  upstream TEXT NOT NULL
) STRICT;

CREATE TABLE usage (
  call BLOB NOT NULL,
  part INTEGER NOT NULL,
  at INTEGER NOT NULL,
  series INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  millis INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (call, part)
) STRICT;

CREATE INDEX usage_at ON usage (at);

-- The sums of each day, kept by the trigger below: in the same transaction as the rows, and only for
-- rows that were new.
CREATE TABLE days (
  day INTEGER NOT NULL,
  series INTEGER NOT NULL,
  calls INTEGER NOT NULL,
  tokens_in INTEGER NOT NULL,
  tokens_out INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  millis INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  cost INTEGER NOT NULL,
  PRIMARY KEY (day, series)
) STRICT, WITHOUT ROWID;

-- A sum beyond 64 bits becomes a floating number, which the cast brings back to the largest integer.
CREATE TRIGGER usage_added AFTER INSERT ON usage BEGIN
  INSERT INTO days VALUES (
    new.at / 86400000, new.series, new.calls, new.tokens_in, new.tokens_out, new.bytes, new.millis,
    CASE new.outcome WHEN 0 THEN 0 ELSE new.calls END, new.cost
  )
  ON CONFLICT (day, series) DO UPDATE SET
    calls = CAST(calls + excluded.calls AS INTEGER),
    tokens_in = CAST(tokens_in + excluded.tokens_in AS INTEGER),
    tokens_out = CAST(tokens_out + excluded.tokens_out AS INTEGER),
    bytes = CAST(bytes + excluded.bytes AS INTEGER),
    millis = CAST(millis + excluded.millis AS INTEGER),
    errors = CAST(errors + excluded.errors AS INTEGER),
    cost = CAST(cost + excluded.cost AS INTEGER);
END;
