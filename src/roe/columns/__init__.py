"""The batch evaluator: whole tables as columns, with the meaning of the row evaluator (docs/adr/0006)."""
