"""Who may receive records, and who may hold what they have: one notion for rules, territories, pools, claims and books.

A rep *may hold* who is active and has not left. A rep is *able*, and may receive, who has also started and is not on leave, by
the day in the rep's own time zone. Leave takes nothing away. Of a rep whom the data does not list nothing is known, so
nothing speaks against that rep here, not even leave; the run warns of such owners.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.grammar import values as v
from roe.plan.operators import Derive

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


def day_of(rep: Row) -> date:
    """The day that it is where the rep is."""
    clock = rep.world.clock
    return clock.today if rep["timezone"] is None else clock.of(rep["timezone"], None).today


def current_leave(rep: Row, day: date | None = None) -> Row | None:
    """The leave that a rep is on today, or was on another day; of several the one that ends last."""
    day = day or day_of(rep)
    now = [x for x in rep["leaves"] if (x["starts"] is None or x["starts"] <= day) and (x["until"] is None or day < x["until"])]
    return max(now, key=lambda x: (x["until"] is None, str(x["until"]), str(x["id"])), default=None)


def reason_left(rep: Row) -> str:
    """Why a rep may not hold a record, such as `left on 31 January 2026`; empty for one who may."""
    if rep.world.is_stranger(rep):
        return ""
    if rep["active"] is False:
        return "not active"
    ends = rep["ends"]
    return f"left on {v.readable(ends)}" if ends is not None and ends <= day_of(rep) else ""


def reason_not_here(rep: Row) -> str:
    """Why a rep does not work at all today: gone, or not there yet."""
    starts = rep["starts"]
    return reason_left(rep) or (f"starts on {v.readable(starts)}" if starts is not None and starts > day_of(rep) else "")


def reason_on_leave(rep: Row) -> str:
    leave = rep["leave"]
    if leave is None or rep.world.is_stranger(rep):
        return ""
    return "on leave" if leave["until"] is None else f"on leave until {v.readable(leave['until'])}"


def reason_unable(rep: Row) -> str:
    """Why a rep may not receive a record; empty for one who is able."""
    return reason_not_here(rep) or reason_on_leave(rep)


def receiver(rep: Row | None, holder: str | None = None) -> Row | None:
    """The rep, if able to have a record; whoever has it already (`holder`, an id) need only be one who may hold it."""
    if rep is None:
        return None
    return None if (reason_left(rep) if rep["id"] == holder else reason_unable(rep)) else rep


def staffed(world: World, step: Derive, role: str, key: Value, holder: Row | None = None) -> Row | None:
    """The rep of a staffing row, else the fallback; for one of them on leave who covers, if that is asked.

    Only reps who are able count; `holder` has the record, and keeps it on leave.
    """
    for rep in (world.rep(key), world.rep(step.vacant.get(role))):
        if rep is None or reason_left(rep):
            continue
        leave = rep["leave"] if step.cover else None
        cover = receiver(leave["cover"]) if leave is not None else None
        able = cover or receiver(rep, None if holder is None else holder["id"])
        if able is not None:
            return able
    return None
