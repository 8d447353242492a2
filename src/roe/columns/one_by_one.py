"""Why the records that wait for pools must go one by one through the row evaluator's allocation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roe.columns.kinds import kinds_of

if TYPE_CHECKING:
    from roe.columns.turns import Turns


def reason_one_by_one(turns: Turns) -> str:
    """Why the records must go one by one through the row evaluator's allocation; empty if pools treat them by kinds."""
    for name in sorted(turns.used()):
        pool = turns.pools.pools[name]
        if not pool.classed:
            return f"the pool `{name}` must decide each {turns.table.entity} separately"
        kinds = kinds_of(pool, turns)
        if kinds is None:
            return f"the pool `{name}` would have to tell too many kinds of {turns.table.entity}s apart"
        turns.kinds[name] = kinds
    return ""
