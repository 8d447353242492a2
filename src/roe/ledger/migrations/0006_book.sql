-- A rep's book is asked for often: what it says of each record stands in one index, beside who holds it.
ALTER TABLE holding ADD COLUMN word INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holding ADD COLUMN grain INTEGER NOT NULL DEFAULT 0;
ALTER TABLE holding ADD COLUMN last_word INTEGER NOT NULL DEFAULT 0;
UPDATE holding SET
  word = (SELECT e.word FROM entry e WHERE e.number = holding.entry), grain = (SELECT e.grain FROM entry e WHERE e.number = holding.entry),
  last_word = (SELECT e.word FROM entry e WHERE e.number = holding.decision);
DROP INDEX holding_rep;
CREATE INDEX holding_rep ON holding (rep, start, stop, word, grain, last_word) WHERE rep IS NOT NULL;
