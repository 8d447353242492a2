"""The run's clock: `--as-of` in the policy's time zone, and the calendar of working days. Time is an argument."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roe.grammar.values import WorkingDays, add, attempt, subtract

SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` has a zone; `today` is its date there. A working day is no weekend and none of the calendar's holidays."""

    now: datetime
    calendar: str = ""
    today: date = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "today", self.now.date())

    @classmethod
    def at(cls, as_of: date | datetime | str, zone: str = "UTC", calendar: str = "") -> Clock:
        """A clock for a date (its midnight), a date-time, or the text of either; ValueError if it is neither."""
        if isinstance(as_of, str):
            as_of = datetime.fromisoformat(as_of.strip())
        if not isinstance(as_of, datetime):
            as_of = datetime.combine(as_of, time())
        tz = zone_of(zone)
        return cls(as_of.astimezone(tz) if as_of.tzinfo else as_of.replace(tzinfo=tz), calendar)

    def is_working(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in holidays_of(self.calendar)

    def plus(self, day: Any, amount: WorkingDays) -> Any:
        """The date so many working days on (back, if negative); a time of day is kept."""
        step, left = (1 if amount.days > 0 else -1), abs(amount.days)
        if left > 20_000:
            return None
        while left:
            day = attempt(lambda d=day: d + timedelta(days=step))  # type: ignore[misc]
            if day is None:
                return None
            left -= self.is_working(day.date() if isinstance(day, datetime) else day)
        return day

    def between(self, start: date, end: date) -> int:
        """Working days after `start` up to and including `end`; negative if they are the wrong way round."""
        if end < start:
            return -self.between(end, start)
        days = (end - start).days
        weeks, rest = divmod(days, 7)
        count = weeks * 5 + sum((start + timedelta(days=weeks * 7 + i + 1)).weekday() < SATURDAY for i in range(rest))
        if self.calendar:
            closed = holidays_of(self.calendar)
            for i in range(days):
                day = start + timedelta(days=i + 1)
                count -= day.weekday() < SATURDAY and day in closed
        return count

    def add(self, a: Any, b: Any) -> Any:
        """`a + b`, working days included."""
        if isinstance(b, WorkingDays) and isinstance(a, date):
            return self.plus(a, b)
        if isinstance(a, WorkingDays) and isinstance(b, date):
            return self.plus(b, a)
        return add(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        if isinstance(b, WorkingDays) and isinstance(a, date):
            return self.plus(a, WorkingDays(-b.days))
        return subtract(a, b)


@cache
def zone_of(name: str) -> tzinfo:
    """The IANA zone of that name; ValueError if there is none."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise ValueError(f"no time zone `{name}`") from e


@cache
def holidays_of(calendar: str) -> Container[date]:
    """The public holidays of a country (`US`) or a part of it (`US-CA`); none for ''. ValueError if unknown."""
    if not calendar:
        return frozenset()
    import holidays

    country, _, part = calendar.partition("-")
    try:
        found: Container[date] = holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError as e:
        raise ValueError(f"no calendar `{calendar}`") from e
    return found
