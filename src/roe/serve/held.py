"""Records that wait since a pool could give them to nobody, until somebody is able to take them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from roe.evaluator.decision import Decision

if TYPE_CHECKING:
    from roe.serve.desk import Desk

TIMER = "held||all"  # tries them again: a day or somebody's working hours may have begun
EVERY = timedelta(minutes=1)


def keep(desk: Desk, key: str, d: Decision, at: datetime) -> None:
    """Have a record wait if a pool was asked and gave it to nobody, and no longer if not."""
    if d.owner is not None or d.turn is None:
        desk.state.put("held", key, None)
    elif desk.state.get("held", key) is None:
        desk.state.put("held", key, {"pool": d.pool, "since": at.isoformat(), "number": desk.state.count("held")})
        _try_later(desk, at)


def retry(desk: Desk, at: datetime) -> int:
    """Try the records that wait, in the order in which they came; returns how many found an owner.

    Where the members of a pool are the same for every record, one that finds nobody speaks for those behind it.
    """
    desk.able_changed = False
    placed = 0
    full: set[str] = set()
    for key, waiting in sorted(desk.state.all("held").items(), key=lambda item: item[1]["number"]):
        entity, id, role = key.split("|", 2)
        if desk.records.row(entity, id) is None or role not in desk.roles(entity):
            desk.state.put("held", key, None)
        elif waiting["pool"] not in full:
            d = desk.decide(entity, id, at, only=(role,))[0]
            placed += d.owner is not None
            if d.owner is None and d.turn is not None and d.turn.standing is not None and not d.turn.standing.seats:
                full.add(waiting["pool"])
    if desk.state.all("held"):
        _try_later(desk, at)
    return placed


def _try_later(desk: Desk, at: datetime) -> None:
    desk.schedule(TIMER, {"due": (at + EVERY).isoformat(), "kind": "held"})
