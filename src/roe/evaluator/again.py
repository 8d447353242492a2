"""A record that a pool assigned in an earlier run: it stays where it is, unless its rep has left or should have worked it by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from roe.dynamic import Saved
from roe.evaluator.able import reason_left, receiver
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.evaluator.allocation import PoolTurn
    from roe.evaluator.bound import Bound
    from roe.evaluator.row import Row


class Earlier(NamedTuple):
    """What becomes of such a record: the turn that stands for it; without one the pool is asked again, for anybody but some reps."""

    turn: PoolTurn | None
    without: Mapping[str, str]  # why each of these reps must not have it
    tried: list[str] | None  # who had it before, as the next run is to know; None where it stays as it was assigned


def is_late(bound: Bound, earlier: Saved) -> bool:
    """Whether a record should have been worked by now, as far as its rep may still be asked for it."""
    pools, sla, rep = bound.pools, bound.plan.pools[earlier["pool"]].sla, bound.world.rep(earlier["rep"])
    if sla is None or rep is None:
        return False
    pool = pools.pools[earlier["pool"]]
    over = pools.over(pool, pools.due(pool, v.parse_temporal(earlier["at"]), rep))
    return over is not None and over <= bound.world.clock.now and len(_tried(earlier)) <= sla.times + 1


def found_again(bound: Bound, row: Row, role: str, earlier: Saved) -> Earlier:
    """What becomes of a record in a role, by what an earlier run has assigned."""
    pools, pool, rep = bound.pools, earlier["pool"], bound.world.rep(earlier["rep"])
    due = pools.due(pools.pools[pool], v.parse_temporal(earlier["at"]), rep)
    if rep is None:
        return Earlier(pools.kept(pool, rep, earlier, due), {}, None)
    tried, left = _tried(earlier), reason_left(rep)
    if left:  # what a leaver has goes to the next in turn
        return Earlier(None, {rep["id"]: left}, tried[:-1])
    if not is_late(bound, earlier) or bound.was_worked(row, role, earlier):
        return Earlier(pools.kept(pool, rep, earlier, due), {}, None)
    sla, late = bound.plan.pools[pool].sla, f"not worked by {v.readable(due)}"
    assert sla is not None
    if len(tried) <= sla.times:
        return Earlier(None, dict.fromkeys(tried, late), tried)
    to = bound.world.rep(sla.escalate) if sla.escalate else rep
    turn = pools.kept(pool, receiver(to, rep["id"]) or rep, earlier, None)
    turn.repeated, turn.why = "", f"escalated: {rep.label} has {late}"
    return Earlier(turn, {}, tried)


def _tried(earlier: Saved) -> list[str]:
    return [*earlier.get("tried", ()), earlier["rep"]]
