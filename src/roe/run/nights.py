"""Runs one after another in one memory that ends with them: what policy tests in steps are made of.

Each is the same run as `roe run` makes record by record, and the memory is a ledger like any other, held in memory.
"""

from __future__ import annotations

from roe.evaluator.engine import Evaluator, Run, Tables
from roe.ledger.entries import RunEntry
from roe.ledger.state import past, remembered
from roe.ledger.store import Store, store_in_memory
from roe.run.entries import entries_of
from roe.run.rows import batch_of
from roe.run.run import moment_of


class Nights:
    """A memory, and runs that read it and add to it. Use it as a context, which closes the ledger."""

    def __init__(self) -> None:
        self.store: Store = store_in_memory()
        self._number = 0

    def __enter__(self) -> Nights:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def run(self, evaluator: Evaluator, tables: Tables, as_of: str) -> Run:
        """Decide every record as of a moment, and remember it."""
        before = remembered(self.store) | past(self.store)
        run = evaluator.run(tables, as_of=as_of, state=before)
        self._number += 1
        at = moment_of(evaluator, as_of)
        entries = entries_of(before, run.state(), batch_of(run).portions, at)
        self.store.append(entries, RunEntry(at=at, id=f"night-{self._number}", policy=evaluator.policy.name))
        return run
