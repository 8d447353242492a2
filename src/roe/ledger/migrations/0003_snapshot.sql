-- A copy of the open holdings up to an entry, in pieces, so that a run in columns reads them at once. It can be thrown away.
CREATE TABLE snapshot (piece INTEGER PRIMARY KEY, number BIGINT NOT NULL, epoch TEXT NOT NULL, body BYTEA NOT NULL);
