-- What finds the records of the mirror as of a commit, in pieces, so that a server starts without reading them all. It can be thrown away.
CREATE TABLE prepared (piece INTEGER PRIMARY KEY, seq BIGINT NOT NULL, made_by TEXT NOT NULL, body BYTEA NOT NULL);
