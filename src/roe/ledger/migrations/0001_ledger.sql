-- What is said once: kinds, roles, rules and so on as words; records, reps and claims as subjects, which can be erased.
-- sqlite
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE subject (id INTEGER PRIMARY KEY, entity INTEGER, record TEXT, salt BLOB, digest BLOB NOT NULL);
-- postgres
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE UNIQUE INDEX word_text ON word (md5(text));
CREATE TABLE subject (id INTEGER PRIMARY KEY, entity INTEGER, record TEXT COLLATE "C", salt BYTEA, digest BYTEA NOT NULL);
-- both
CREATE UNIQUE INDEX subject_record ON subject (record, entity);

-- The chain. `word` and `fact` are the skeleton's own values, `digest` stands for those that can be erased.
-- sqlite
CREATE TABLE entry (
  number INTEGER PRIMARY KEY, run INTEGER NOT NULL, kind INTEGER NOT NULL, subject INTEGER, name INTEGER NOT NULL, at INTEGER NOT NULL,
  grain INTEGER NOT NULL, until INTEGER, recorded INTEGER NOT NULL, target INTEGER, former INTEGER, word INTEGER NOT NULL, fact TEXT,
  digest BLOB, hash BLOB NOT NULL
);
-- postgres
CREATE TABLE entry (
  number BIGINT PRIMARY KEY, at BIGINT NOT NULL, until BIGINT, recorded BIGINT NOT NULL, run BIGINT NOT NULL, kind INTEGER NOT NULL,
  subject INTEGER, name INTEGER NOT NULL, grain INTEGER NOT NULL, target INTEGER, former INTEGER, word INTEGER NOT NULL, fact TEXT,
  digest BYTEA, hash BYTEA NOT NULL
);
-- both
CREATE INDEX entry_subject ON entry (subject) WHERE subject IS NOT NULL;
CREATE TABLE value (number BIGINT PRIMARY KEY, salt BYTEA NOT NULL, value BYTEA NOT NULL);
CREATE TABLE evidence (number BIGINT PRIMARY KEY, salt BYTEA NOT NULL, value BYTEA NOT NULL);
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, number BIGINT NOT NULL, hash BYTEA NOT NULL, label TEXT NOT NULL);
CREATE TABLE policy (digest TEXT PRIMARY KEY, files BYTEA NOT NULL);

-- Projections: everything below is made from the entries, and can be made again.
CREATE TABLE run (number BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, last BIGINT NOT NULL);
CREATE TABLE holding (
  subject INTEGER NOT NULL, role INTEGER NOT NULL, start BIGINT NOT NULL, stop BIGINT, rep INTEGER, queue INTEGER NOT NULL,
  entry BIGINT NOT NULL, decision BIGINT NOT NULL, base_rep INTEGER, base_queue INTEGER, base_at BIGINT, decided TEXT, PRIMARY KEY (subject, role, start)
) WITHOUT ROWID;
CREATE UNIQUE INDEX holding_open ON holding (subject, role) WHERE stop IS NULL;
CREATE INDEX holding_rep ON holding (rep, start, stop) WHERE rep IS NOT NULL;
CREATE TABLE latest (
  kind INTEGER NOT NULL, subject INTEGER NOT NULL, name INTEGER NOT NULL, entry BIGINT NOT NULL, open INTEGER NOT NULL, due BIGINT,
  PRIMARY KEY (kind, subject, name)
) WITHOUT ROWID;
CREATE INDEX latest_due ON latest (due) WHERE due IS NOT NULL AND open = 1;
CREATE INDEX latest_subject ON latest (subject);
CREATE TABLE day (rep INTEGER NOT NULL, day TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (rep, day)) WITHOUT ROWID;

-- What the ledger knows of itself, such as how many lines of the list of forgotten subjects it has applied.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
