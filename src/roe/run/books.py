"""A plan of books, applied: its places become entries of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roe import __version__
from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator.books import applied, digest
from roe.ledger.entries import Run
from roe.ledger.legacy import moment_of
from roe.ledger.state import entries_between
from roe.run.inputs import run_id
from roe.run.memory import opened
from roe.source import Span


def apply_plan(plan: Mapping[str, Any], shown: str, state: str, wait: float) -> None:
    """Append what a plan changes. Raises PolicyError if the books have changed since it was made."""
    at = moment_of(plan["as_of"])
    with opened(state, at.zone, wait) as memory, memory.committing() as commit:
        before = memory.read()
        base = digest(before.get("books", {}))
        if plan["base"] != base:
            help = "plan again, from the ledger as it is now"
            raise PolicyError([Diagnostic("R610", "the books have changed since this plan was made", Span(shown, 1, 1, 2), help)])
        name = run_id(plan["as_of"], plan["policy"], base, str(memory.number), __version__)
        run = Run(at=at, id=name, what="books", policy=plan["policy"], version=__version__)
        commit.append(run, {}, entries_between(before, applied(before, plan), at))
