-- What the service keeps beside the entries, in the same transaction. `seq` counts commits: another server reads what is newer than its own.
CREATE TABLE service (one INTEGER PRIMARY KEY CHECK (one = 1), seq BIGINT NOT NULL);
INSERT INTO service (one, seq) VALUES (1, 0);
CREATE TABLE mirror (
  entity TEXT NOT NULL, id TEXT NOT NULL, fields TEXT NOT NULL, versions TEXT NOT NULL, deleted INTEGER NOT NULL, seq BIGINT NOT NULL,
  PRIMARY KEY (entity, id)
);
CREATE INDEX mirror_seq ON mirror (seq);
CREATE TABLE known (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT, seq BIGINT NOT NULL, PRIMARY KEY (kind, key));
CREATE INDEX known_seq ON known (seq);

-- Times are in milliseconds since 1970.
CREATE TABLE answer (key TEXT PRIMARY KEY, digest TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL, at BIGINT NOT NULL);
CREATE INDEX answer_at ON answer (at);
CREATE TABLE inbox (source TEXT NOT NULL, message TEXT NOT NULL, subject TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (source, message));
CREATE INDEX inbox_at ON inbox (at);
CREATE TABLE outbox (
  number BIGINT PRIMARY KEY, receiver TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, at BIGINT NOT NULL,
  due BIGINT NOT NULL, attempts INTEGER NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due) WHERE state = 'waiting';
CREATE INDEX outbox_order ON outbox (receiver, subject, number);
