"""Every decision of a run in a few plain values, so that tables can be filtered, counted and paged without explaining anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import NamedTuple, TypeVar

from roe.evaluator.decision import Decision

T = TypeVar("T")


class RecordOutcome(NamedTuple):
    """Who owns a record in a role, and what decided it. `owner` and `previous` are ids of reps, or None for nobody."""

    entity: str
    id: str
    name: str
    role: str
    action: str
    owner: str | None
    owner_name: str
    previous: str | None
    previous_name: str
    rule: str
    territory: str
    pool: str
    window: str
    until: date | datetime | None
    reason: str

    @property
    def moved(self) -> bool:
        """Whether the record changes hands; on hold, or while somebody must decide, it stays where it is."""
        return self.owner != self.previous and self.action not in ("hold", "refer")


class Outcomes:
    """All outcomes of a run, and where those of a record or of a rep are."""

    def __init__(self, outcomes: Iterable[RecordOutcome]) -> None:
        self.all: list[RecordOutcome] = list(outcomes)
        self._by_record: dict[tuple[str, str], list[int]] = {}
        self._by_rep: dict[str, list[int]] = {}
        for number, o in enumerate(self.all):
            self._by_record.setdefault((o.entity, o.id), []).append(number)
            for rep in {o.owner, o.previous} - {None}:
                self._by_rep.setdefault(str(rep), []).append(number)
        self.moved: list[RecordOutcome] = [o for o in self.all if o.moved]
        self.held: list[RecordOutcome] = [o for o in self.all if o.action == "hold"]
        self.referred: list[RecordOutcome] = [o for o in self.all if o.action == "refer"]
        self.rules: Counter[tuple[str, str, str]] = Counter((o.entity, o.role, o.rule) for o in self.all)

    def of(self, entity: str, record: str) -> list[RecordOutcome]:
        return [self.all[i] for i in self._by_record.get((entity, record), ())]

    def touching(self, rep: str) -> list[RecordOutcome]:
        """The outcomes of records that a rep owns or owned until now."""
        return [self.all[i] for i in self._by_rep.get(rep, ())]

    def owned(self, rep: str) -> list[RecordOutcome]:
        return [o for o in self.touching(rep) if o.owner == rep]


def outcome(d: Decision, rep_name: Callable[[str | None], str]) -> RecordOutcome:
    """A decision's plain values; `rep_name` gives the name of a rep's id."""
    return RecordOutcome(
        d.entity, d.id, d.name, d.role, d.action, d.owner, d.owner_name, d.previous, rep_name(d.previous), d.rule, d.territory, d.pool,
        d.window, d.until, d.reason,
    )  # fmt: skip


def page_of(rows: Sequence[T], number: int, size: int) -> tuple[Sequence[T], int, int]:
    """(the rows of a page, its number from 1, how many pages there are); a number out of range is the nearest page."""
    pages = max(1, -(-len(rows) // size))
    number = min(max(1, number), pages)
    return rows[(number - 1) * size : number * size], number, pages


def moment(until: date | datetime | None, now: datetime) -> datetime:
    """A day or a moment for comparing with now."""
    if isinstance(until, datetime):
        return until if until.tzinfo is not None else until.replace(tzinfo=now.tzinfo)
    assert until is not None
    return datetime.combine(until, datetime.min.time(), now.tzinfo)
