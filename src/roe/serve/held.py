"""Records that wait since nobody is able to take them: nobody in a pool, or not the reps whom a rule names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.able import reason_unable
from roe.evaluator.decision import Decision
from roe.serve.known import Waiting

if TYPE_CHECKING:
    from roe.serve.desk import Desk

TIMER = "held||all"  # tries them again: a day or somebody's working hours may have begun
EVERY = timedelta(minutes=1)
AGAIN = timedelta(minutes=10)  # after which a record is decided itself: by its account or the time, its rules may ask for something else
MOST_AGAIN = 50  # of those, at one time


def keep(desk: Desk, key: str, d: Decision, at: datetime) -> None:
    """Have a record wait if nobody is able to take it, and no longer if not."""
    unable = sorted(desk.records.live.unable(d)) if d.owner is None and d.turn is None and d.action == "unassigned" else []
    if d.owner is not None or (d.turn is None and not unable):
        desk.state.put("held", key, None)
        return
    asked, before = d.turn, desk.state.get("held", key)
    while asked is not None and asked.before is not None:
        asked = asked.before
    waiting: Waiting = {
        "pool": d.pool, "policy": desk.policy.digest,
        "since": at.isoformat() if before is None else before["since"],
        "tried": at.isoformat() if before is None or _is_due(before, at) else before["tried"],
        "number": desk.state.count("held") if before is None else before["number"],
    }  # fmt: skip
    if asked is not None:
        waiting["asked"] = asked.pool
    else:
        waiting["unable"] = unable
    desk.state.put("held", key, waiting)
    if before is None:
        _try_later(desk, at)


def changed(desk: Desk, key: str) -> None:
    """A record has changed: if it waits, its rules may name another pool now."""
    waiting = desk.state.get("held", key)
    if waiting is not None:
        desk.state.put("held", key, {name: x for name, x in waiting.items() if name not in ("asked", "policy")})


def retry(desk: Desk, at: datetime) -> int:
    """Try the records that wait, in the order in which they came; returns how many found an owner.

    One that finds nobody speaks for those behind it which are alike to the pools that are asked, for some time.
    """
    desk.able_changed = False
    placed = 0
    full: set[Value] = set()
    again = _spoken_for_long(desk, at)
    live = desk.records.at(at)
    for key, waiting in sorted(desk.state.all("held").items(), key=lambda item: item[1]["number"]):
        entity, id, role = key.split("|", 2)
        row = desk.records.row(entity, id)
        if row is None or role not in desk.roles(entity):
            desk.state.put("held", key, None)
            continue
        is_asked = key in again or waiting.get("policy") != desk.policy.digest
        if not is_asked and (
            live.kind_to_pools(row, waiting["asked"]) in full if "asked" in waiting else all(reasons(desk, waiting).values())
        ):
            continue
        d = desk.decide(entity, id, at, only=(role,))[0]
        placed += d.owner is not None
        still = desk.state.get("held", key)
        kind = None if still is None or "asked" not in still else live.kind_to_pools(row, still["asked"])
        if kind is not None:
            full.add(kind)
    if desk.state.all("held"):
        _try_later(desk, at)
    return placed


def reasons(desk: Desk, waiting: Waiting) -> dict[str, str]:
    """Why the reps whom a rule names cannot take a record that waits, by their ids; empty for one who can."""
    reps = ((rep, desk.records.row("rep", rep)) for rep in waiting.get("unable", ()))
    return {rep: reason_unable(row) for rep, row in reps if row is not None}


def _spoken_for_long(desk: Desk, at: datetime) -> set[str]:
    """The records whose own rules have not been asked for the longest, of those that are due."""
    due = sorted((waiting.get("tried", ""), key) for key, waiting in desk.state.all("held").items() if _is_due(waiting, at))
    return {key for _, key in due[:MOST_AGAIN]}


def _is_due(waiting: Waiting, at: datetime) -> bool:
    return "tried" not in waiting or datetime.fromisoformat(waiting["tried"]) + AGAIN <= at


def _try_later(desk: Desk, at: datetime) -> None:
    desk.schedule(TIMER, {"due": (at + EVERY).isoformat(), "kind": "held"})
