"""Why the records that wait for pools must go one by one through the row evaluator's allocation.

Columns hand out what does not depend on who got an earlier record, but for the turns and caps that they count themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Refs, occurring
from roe.columns.kinds import kinds_of
from roe.columns.pool_column import can_be_companies
from roe.evaluator.pool import OPEN_CAPS
from roe.ledger.reconcile import key_parts
from roe.plan.outcome import Outcome

if TYPE_CHECKING:
    from roe.columns.turns import Turns


def reason_one_by_one(turns: Turns) -> str:
    """Why the records must go one by one through the row evaluator's allocation; empty if pools treat them by kinds, and none of them
    comes back from an earlier run.
    """
    used = {name for i in occurring(turns.asked).tolist() for name in turns.chain(turns.names[i])}
    for name in sorted(used):
        pool = turns.pools.pools[name]
        if not pool.classed:
            return f"the pool `{name}` must decide each {turns.table.entity} separately"
        if not turns.pools.due_alike(pool):
            return f"deadlines in the pool `{name}` depend on the rep who gets the record"
        kinds = kinds_of(pool, turns)
        if kinds is None:
            return f"the pool `{name}` would have to tell too many kinds of {turns.table.entity}s apart"
        turns.kinds[name] = kinds
    if any(other.pool for _, outcome in turns.actions for other in _others(outcome)):
        return "a rule asks a second pool if the first one finds nobody"
    if len(occurring(turns.row)) < len(turns.row) and _count_open(turns, used):
        return f"a rep who gets a {turns.table.entity} in two roles has one more open {turns.table.entity}, not two"
    if _are_owned(turns, used):
        return "pool members own some of the records already"
    if _follow_others(turns, used):
        return "reps already own other records of the same companies"
    assigned = turns.parts[0].bound.assigned
    held = pa.array([key_parts(key)[1] for key in assigned if key.startswith(f"{turns.table.entity}|")], pa.string())
    is_back = len(held) and pc.any(pc.is_in(turns.table.ids.take(pa.array(turns.row)), value_set=held)).as_py()
    return "pools assigned some of the records in an earlier run" if is_back else ""


def _count_open(turns: Turns, used: set[str]) -> bool:
    """Whether some pools look at how many records of this entity each rep has open."""
    pools = [turns.pools.pools[name] for name in used]
    counted = {OPEN_CAPS.get(cap) for pool in pools for cap in pool.step.caps} | {"lead" for pool in pools if pool.by_load}
    return turns.table.entity in counted


def _are_owned(turns: Turns, used: set[str]) -> bool:
    """Whether a member of the pools has one of the records, so that its place must not count."""
    pools = turns.pools.pools
    members = {seat.rep for name in used for row in turns.one_of_each(name) for seat in pools[name].fixed_standing(row).seats}
    finder = turns.table.world.finder("rep")
    at = np.array(sorted(finder.rep(rep) for rep in members), np.int64)
    owned = [owner.at for role in turns.table.world.policy.roles if isinstance(owner := turns.table.owner(role), Refs)]
    return any(bool(np.isin(by[turns.row], at).any()) for by in owned)


def _follow_others(turns: Turns, used: set[str]) -> bool:
    """Whether somebody has a record of the same company as one of these."""
    table, roles = turns.table, [part.role for part in turns.parts]
    owned = np.zeros(table.n, bool)
    for owner in map(table.owner, roles):
        if isinstance(owner, Refs):
            owned |= owner.at >= 0
    rows = np.flatnonzero(owned)
    if not len(rows):
        return False
    for pool in (turns.pools.pools[name] for name in used):
        if pool.step.together is not None:
            codes, meaning = table.frame.eval(pool.step.together.tree).encode()
            waits = np.zeros(len(meaning) + 1, bool)
            waits[codes[turns.row]] = True
            waits &= np.append(can_be_companies(meaning), False)
            others = map(table.row, rows[waits[codes[rows]]].tolist())
            if any(turns.pools.together.is_followed(pool, row["created"] or row["owner_since"]) for row in others):
                return True
    return False


def _others(outcome: Outcome) -> Iterable[Outcome]:
    """The outcomes behind one."""
    while outcome.otherwise is not None:
        outcome = outcome.otherwise
        yield outcome
