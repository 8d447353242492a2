"""What of the state a decision reads and leaves: exceptions that stand in the ledger, and assignments of pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta

from roe.dynamic import Json
from roe.grammar import values as v
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered
from roe.plan.parts import ExceptionRow
from roe.source import Inline, Text

STATE = 2  # the version of what a run leaves to the next


def granted(state: Remembered) -> Iterator[ExceptionRow]:
    """The exceptions that stand in the ledger, beside those of the policy's own files and before them."""
    for key, x in state.get("granted", {}).items():
        yield exception_of(key, x["rep"], x["by"], x["reason"], x["until"], x["start"])


def exception_of(key: str, rep: str | None, by: str, reason: str, until: str, start: str = "") -> ExceptionRow:
    """An exception for the record and role of a key, `entity|record|role`, that stands in no file."""
    entity, record, role = key_parts(key)
    texts = [Text(text, Inline()) for text in (record, role, rep or "", by, reason)]
    return ExceptionRow(
        entity, texts[0], texts[1], texts[2], texts[3], texts[4], v.parse_date(start) if start else None, v.parse_date(until)
    )


def held_back(state: Remembered) -> Iterator[ExceptionRow]:
    """The records that stay where they were before a run that was undone, as approved exceptions."""
    for key, x in state.get("held", {}).items():
        yield exception_of(key, x["rep"], x["by"], f"the run {x['run']} was undone", x["until"])


def days_that_count(days: Mapping[str, Mapping[str, int]], today: date) -> Json:
    """What caps count, by rep and day; days older than two weeks count nowhere any more."""
    oldest = str(v.subtract(today, timedelta(days=14)))
    left = {rep: {day: n for day, n in sorted(by.items()) if day >= oldest} for rep, by in sorted(days.items())}
    return {rep: by for rep, by in left.items() if by}


def empty_state(as_of: str) -> Remembered:
    """The state before the first run."""
    return {"version": STATE, "as_of": as_of, "owners": {}, "assigned": {}, "pools": {}, "days": {}}


def assignment(rep: str, pool: str, by: str, at: datetime, position: int, company: object, tried: list[str], is_free: bool) -> Json:
    """What the state keeps of an assignment: `pool` was asked, and `by` is it or the one it fell back on. A free one used no turn."""
    assignment = {"rep": rep, "pool": pool, "by": by, "on": str(at.date()), "at": v.literal(at), "position": position}
    if company is not None:
        assignment["company"] = company
    if is_free:
        assignment["free"] = True
    return {**assignment, "tried": tried} if tried else assignment
