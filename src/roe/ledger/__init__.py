"""The ledger: everything that a run decided or noticed and a later run, an explanation or an auditor may need.

`entries` says what there is to say, `store` opens, reads and appends, `projections` has what is so now. Design and reasons: docs/ledger.md.
"""
