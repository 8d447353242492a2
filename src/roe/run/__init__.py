"""One run: who owns each record, by whichever engine can decide it, and the files that say so."""
