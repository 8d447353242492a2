"""Pages that are one file: they open offline, run no script, and show nothing that the data could have smuggled in."""
