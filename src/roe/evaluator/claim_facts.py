"""What a claim says by itself: whether its rep may have the record, what its rules say, and when it ends. Each part is computed when asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from roe.evaluator.able import current_leave, reason_left
from roe.evaluator.claim_order import NEVER, When
from roe.grammar import values as v
from roe.grammar.scopes import IMPLICIT
from roe.plan.operators import Claims

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World

MOST = 1 << 62  # a cap that nobody reaches


class ClaimOfRow:
    """A claim of a world's records (see `roe.evaluator.claim_order.Claim`)."""

    def __init__(self, step: Claims, world: World, row: Row) -> None:
        self.step, self.world, self.row = step, world, row
        self.id = str(row["id"])
        self.of: Row | None = row[step.entity]
        self.by: Row | None = row["rep"]
        self.at = _number(row["at"])

    @cached_property
    def day(self) -> int:
        return self.world.clock.here(self.row["at"]).date().toordinal()

    @cached_property
    def since(self) -> str:
        return _day(self.row["at"])

    @property
    def record(self) -> str | None:
        return None if self.of is None else str(self.of["id"])

    @property
    def rep(self) -> str | None:
        return None if self.by is None else str(self.by["id"])

    @property
    def who(self) -> str:
        return "" if self.by is None else self.by.label

    # --- why it cannot be granted -----------------------------------------------------------------------------------

    @cached_property
    def unfit(self) -> str:
        record, rep = self.of, self.by
        if record is None or rep is None:
            return f"there is no {self.step.entity if record is None else 'rep'} of this name"
        unable = self._unable(rep, self.row["at"])
        if unable:
            return f"{rep.label} {unable}"
        return "the policy keeps it where it is (`do_not_route:`)" if self.world.is_untouched(self.step.entity, record["id"]) else ""

    def _unable(self, rep: Row, at: datetime) -> str:
        """Why a rep could not receive a record at the time of the claim."""
        if rep["active"] is False and not self.world.is_stranger(rep):
            return "is not active"
        day = self.world.clock.here(at).date() if rep["timezone"] is None else self.world.clock.of(rep["timezone"], None).here(at).date()
        if rep["starts"] is not None and day < rep["starts"]:
            return f"starts on {_day(rep['starts'])}"
        if rep["ends"] is not None and rep["ends"] <= day:
            return f"left on {_day(rep['ends'])}"
        away = current_leave(rep, day)
        return "" if away is None else "was on leave that day"

    @cached_property
    def returned(self) -> str:
        """Why a record that a rule returned cannot be claimed yet."""
        if self.of is None or self.by is None:
            return ""
        at: datetime = self.row["at"]
        given = self.world.returned.get(f"{self.step.entity}|{self.of['id']}|{self.step.role}")
        on = None if given is None else _moment(v.parse_temporal(given["on"]), self.world.clock.now)
        if given is None or on is None or at < on:
            return ""
        again = None if self.step.wait is None else self.world.clock.add(on, self.step.wait)
        if given["rep"] == self.by["id"] and again is not None and at < again:
            return f"{self.by.label} gave it back on {_day(on)} and may claim it again from {_day(again)}"
        rested = None if self.step.rest is None else self.world.clock.add(on, self.step.rest)
        return f"it rests until {_day(rested)}" if rested is not None and at < rested else ""

    @cached_property
    def limits(self) -> Mapping[str, tuple[int, str]]:
        scope = self.world.scope(self.row)
        scope["rep"] = self.by
        found = {}
        for cap, expr in self.step.caps.items():
            limit = self.world.compiled.code(expr)(scope)
            if v.is_number(limit):
                found[cap] = (MOST if limit > MOST else math.ceil(limit), v.literal(limit))
        return found

    @cached_property
    def blocked(self) -> str:
        """The first rule of the policy against the claim."""
        if self.of is None or self.by is None:
            return ""
        scope = self.world.scope(self.of)
        scope[self.row.entity], scope["rep"] = self.row, self.by
        for rule in self.step.blocked_by:
            if all(self.world.compiled.code(c)(scope) is True for c in rule.conditions):
                return self.world.fill(rule.because, scope) if rule.because else f"`{rule.name}` holds"
        return ""

    # --- when it ends -----------------------------------------------------------------------------------------------

    @cached_property
    def ends(self) -> When:
        return _when(self.end[0])

    @cached_property
    def again(self) -> When:
        return self._after(self.step.wait)

    @cached_property
    def rested(self) -> When:
        return self._after(self.step.rest)

    def _after(self, time: v.Duration | None) -> When:
        until = self.end[0]
        return None if time is None or until is None else _when(self.world.clock.add(until, time))

    @cached_property
    def end(self) -> tuple[datetime | None, str]:
        """When the claim ends once it is granted, by what is known today, and why."""
        if self.of is None or self.by is None:
            return None, ""
        until, why = self._held(self.of, self.by)
        left = reason_left(self.by)
        gone = self._gone(self.by) if left else None
        if gone is not None and (until is None or until > gone):
            return gone, f"{self.by.label} is {left}" if left == "not active" else f"{self.by.label} {left}"
        return until, why

    def _held(self, record: Row, rep: Row) -> tuple[datetime | None, str]:
        step, clock = self.step, self.world.clock
        start = clock.here(self.row["at"])
        first = step.work_within if step.work_within is not None else step.lasts
        until = clock.add(start, first) if first is not None else None
        worked = None
        for when in self._worked(record, rep, start):
            if until is not None and when >= until:
                break
            worked, until = when, clock.add(when, step.lasts) if step.lasts is not None else None
        released = _moment(self.row["released"], start)
        if released is not None and (until is None or released < until):
            return max(released, start), f"released by {rep.label}"
        if worked is not None:
            return until, f"worked on {_day(worked)}"
        if step.work_within is None:
            return until, "claimed"
        return until, "to be worked by then" if until is None or until > clock.now else "not worked in time"

    def _worked(self, record: Row, rep: Row, start: datetime) -> list[datetime]:
        """When the rep worked the record after the claim, by the activities that count."""
        counts, now = self.step.worked_by, self.world.clock.now
        moments = []
        for activity in record["activities"] or ():
            when = activity["at"] if activity["at"] is not None else _moment(activity["date"], start)
            if activity["rep"] is not rep or when is None or not start.replace(hour=0, minute=0, second=0, microsecond=0) <= when <= now:
                continue
            scope = self.world.scope(activity)
            scope |= {"account": activity["account"], record.entity: record}
            scope[IMPLICIT] = activity
            if counts is None or self.world.compiled.code(counts)(scope) is True:
                moments.append(max(when, start))
        return sorted(moments)

    def _gone(self, rep: Row) -> datetime:
        """When a rep who has left no longer held a claim: the day of leaving, else now."""
        now = self.world.clock.now
        ends = _moment(rep["ends"], now)
        return max(self.world.clock.here(self.row["at"]), now if ends is None else min(ends, now))


def _number(at: datetime) -> int:
    """A moment as microseconds."""
    return v.moment(at) // timedelta(microseconds=1)  # type: ignore[no-any-return]


def _when(at: datetime | None) -> When:
    return None if at is None else (_number(at), _day(at))


def _moment(day: object, like: datetime) -> datetime | None:
    """A date as the start of that day by the same clock."""
    if day is None or isinstance(day, datetime):
        return day
    return datetime(day.year, day.month, day.day, tzinfo=like.tzinfo) if isinstance(day, date) else None


def _day(at: object) -> str:
    return NEVER if at is None else v.readable(at)
