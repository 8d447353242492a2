-- Which version of the projections the ledger has. A program that keeps more in them makes them again from the entries.
CREATE TABLE projected (version INTEGER NOT NULL);
INSERT INTO projected (version) VALUES (1);
