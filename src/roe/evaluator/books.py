"""A cycle of dynamic books: who stays, what returns and rests, and what is distributed, with a reason for every move.

The records say what an account is worth, to whom it may go, and what ends its time in a book (`Solve` and its steps); the
solver finds the plan. A plan is data that a person reviews; `state` is what an applied plan leaves for runs and the next cycle.
"""

from __future__ import annotations

from collections.abc import Sequence

from roe.dynamic import Json
from roe.evaluator.book_plan import digest
from roe.evaluator.bound import Bound
from roe.evaluator.cycle import BookCycle
from roe.evaluator.others import Others
from roe.grammar import values as v


def plan_books(bound: Bound, only: Sequence[str] = (), fast: bool = False, reviewed: bool = False) -> Json:
    """The plan of every book, or of those that are named, as JSON. `fast` is the greedy plan; if `reviewed`, with what reviewers ask."""
    applied = bound.state.get("books", {})
    planned: Json = {}
    for name, step in bound.plan.books.items():
        if only and name not in only:
            continue
        others = Others(bound, step, {n: planned[n] if n in planned else applied.get(n, {}) for n in bound.plan.books if n != name})
        planned[name] = BookCycle(bound, step, applied.get(name, {}), fast, others, reviewed).plan().as_json()
    return {
        "roe": 1, "policy": bound.policy.name, "as_of": v.literal(bound.world.clock.now), "base": digest(applied), "books": planned,
    }  # fmt: skip
