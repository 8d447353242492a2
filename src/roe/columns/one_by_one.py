"""Why the records that wait for pools must go one by one through the row evaluator's allocation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roe.columns.column import occurring
from roe.columns.kinds import kinds_of
from roe.plan.outcome import Outcome

if TYPE_CHECKING:
    from roe.columns.turns import Turns


def reason_one_by_one(turns: Turns) -> str:
    """Why the records must go one by one through the row evaluator's allocation; empty if pools treat them by kinds."""
    for name in sorted({name for i in occurring(turns.asked).tolist() for name in turns.chain(turns.names[i])}):
        pool = turns.pools.pools[name]
        if not pool.classed:
            return f"the pool `{name}` must decide each {turns.table.entity} separately"
        kinds = kinds_of(pool, turns)
        if kinds is None:
            return f"the pool `{name}` would have to tell too many kinds of {turns.table.entity}s apart"
        turns.kinds[name] = kinds
    if any(other.pool for _, outcome in turns.actions for other in _others(outcome)):
        return "a rule asks a second pool if the first one finds nobody"
    return ""


def _others(outcome: Outcome) -> Iterable[Outcome]:
    """The outcomes behind one."""
    while outcome.otherwise is not None:
        outcome = outcome.otherwise
        yield outcome
