"""Turns of pools: taken with a decision, and given back, so that the rep is owed one."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from roe.dynamic import Saved
from roe.evaluator.decision import Decision
from roe.ledger.entries import FREE, Turn
from roe.ledger.moment import At

if TYPE_CHECKING:
    from roe.serve.desk import Desk


def take(desk: Desk, d: Decision, at: datetime) -> None:
    """Make the turn of a decision an entry."""
    turn = d.turn
    assert turn is not None
    given: Saved = desk.state.get("assigned", f"{d.entity}|{d.id}|{d.role}") or {}
    if turn.rep is None:
        return
    entry = Turn(
        at=desk.moment(at), entity=d.entity, record=d.id, role=d.role, rep=d.owner,
        until=None if turn.until is None else At.of(turn.until, desk.zone), pool=turn.pool, asked=str(given.get("pool", turn.pool)),
        why=turn.why, number=turn.position, company=given.get("company"), tried=tuple(given.get("tried", ())),
        credit=FREE if given.get("free") else "",
    )  # fmt: skip
    desk.entries.append(entry)


def give_back(desk: Desk, pool: str, rep: str, day: str) -> None:
    """A turn of a day does not count any more: the rep is owed one."""
    desk.records.keep_pools()
    known = desk.state.get("pool", pool)
    if known is not None:
        credit = Fraction(known["credits"].get(rep, "0")) + 1
        counts = {**known["counts"], rep: max(0, known["counts"].get(rep, 0) - 1)}
        desk.state.put("pool", pool, {**known, "counts": counts, "credits": {**known["credits"], rep: str(credit)}})
    days = desk.state.get("days", rep)
    if days is not None and days.get(day):
        desk.state.put("days", rep, {**days, day: days[day] - 1})
    desk.records.recall(())
