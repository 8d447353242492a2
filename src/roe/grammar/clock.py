"""The run's clock: `--as-of` in the policy's time zone, and the calendar of working days and hours. Time is an argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from roe.dynamic import Value
from roe.grammar.holidays import Holidays
from roe.grammar.values import CalendarDays, WorkingDays, WorkingHours, add, attempt, existing, subtract
from roe.node import node

T = TypeVar("T")

SATURDAY = 5
OFFICE = (time(9), time(17))
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)


@node
class Fiscal:
    """The fiscal year: the month (1 to 12) that it starts in, and whether the year in which it ends names it, or the one in which it starts."""

    starts: int = 1
    named_by_end: bool = True

    def year_of(self, day: date) -> int:
        begun = day.year if day.month >= self.starts else day.year - 1
        return begun + (self.named_by_end and self.starts > 1)

    def quarter_of(self, day: date) -> int:
        return (day.month - self.starts) % 12 // 3 + 1


CALENDAR_YEAR = Fiscal()


@node
class Clock:
    """`now` has a zone; `today` is its date there. A working day is not a weekend and none of the calendar's holidays.

    `hours` are when work begins and ends on such a day, by the clocks of the zone.
    """

    now: datetime
    calendar: str = ""
    hours: tuple[time, time] = OFFICE
    fiscal: Fiscal = CALENDAR_YEAR
    today: date = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "today", self.now.date())

    @classmethod
    def at(
        cls,
        as_of: date | datetime | str,
        zone: str = "UTC",
        calendar: str = "",
        hours: tuple[time, time] = OFFICE,
        fiscal: Fiscal = CALENDAR_YEAR,
    ) -> Clock:
        """A clock for a date (its midnight), a date-time, or the text of either; ValueError if it is neither."""
        if isinstance(as_of, str):
            as_of = datetime.fromisoformat(as_of.strip())
        if not isinstance(as_of, datetime):
            as_of = datetime.combine(as_of, time())
        tz = zone_of(zone)
        return cls(as_of.astimezone(tz) if as_of.tzinfo else existing(as_of.replace(tzinfo=tz)), calendar, hours, fiscal)

    def of(self, zone: str | None, calendar: str | None) -> Clock:
        """The same moment by somebody else's clock and holidays; what is not known is as it is here."""
        tz = _known(zone_of, zone)
        theirs = self.calendar if calendar is None or _known(holidays_of, calendar) is None else calendar
        return Clock(self.now if tz is None else self.now.astimezone(tz), theirs, self.hours, self.fiscal)

    def of_rep(self, zone: str | None, calendar: str | None, hours: str | None) -> Clock:
        """The same moment by a rep's clock and holidays, with the rep's own working hours."""
        theirs = self.of(zone, calendar)
        own = hours_of(hours or "")
        return theirs if own is None else Clock(theirs.now, theirs.calendar, own, theirs.fiscal)

    def here(self, moment: datetime) -> datetime:
        """A moment as the clocks of this zone show it; one without a zone stays as it is."""
        return moment.astimezone(self.now.tzinfo) if moment.tzinfo is not None else moment

    def is_open(self, hours: str | None = None) -> bool:
        """Whether it is working time now, by the clock's own hours or by others such as `08:00-16:30`."""
        start, end = hours_of(hours or "") or self.hours
        return self.is_working(self.today) and start <= self.now.time() < end

    def is_working(self, day: date) -> bool:
        return _is_working(day, self.calendar)

    def after(self, moment: date, amount: WorkingHours) -> datetime | None:
        """The moment so many working hours on (back, if negative), by the faces of the zone's clocks."""
        zone = moment.tzinfo if isinstance(moment, datetime) else self.now.tzinfo
        at = moment.replace(tzinfo=None) if isinstance(moment, datetime) else datetime.combine(moment, time())
        start, end = self.hours
        left = timedelta(hours=abs(amount.hours))
        forward = amount.hours >= 0
        for _ in range(20_000):
            day = at.date()
            opens, closes = datetime.combine(day, start), datetime.combine(day, end)
            if self.is_working(day):
                room = closes - max(at, opens) if forward else min(at, closes) - opens
                if room >= left:
                    return (max(at, opens) + left if forward else min(at, closes) - left).replace(tzinfo=zone)
                left -= max(room, timedelta())
            moved = attempt(lambda d=day: d + timedelta(days=1 if forward else -1))  # type: ignore[misc]
            if moved is None:
                return None
            at = datetime.combine(moved, time() if forward else time.max)
        return None

    def plus(self, day: date, amount: WorkingDays) -> date | None:
        """The date so many working days on (back, if negative); a time of day is kept."""
        step, left = (1 if amount.days > 0 else -1), abs(amount.days)
        if left > 20_000:
            return None
        one_on = timedelta(days=step)
        calendar = self.calendar
        try:
            while left:
                day += one_on
                left -= _is_working(day.date() if isinstance(day, datetime) else day, calendar)
        except OverflowError:  # past the calendar's last day, or before its first
            return None
        return existing(day) if isinstance(day, datetime) else day

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

    def add(self, a: object, b: object) -> Value:
        """`a + b`, calendar days and working time included."""
        if isinstance(b, CalendarDays) and isinstance(a, datetime):
            return attempt(lambda: existing(self.here(a) + b))
        if isinstance(b, WorkingHours) and isinstance(a, date):
            return self.after(a, b)
        if isinstance(a, WorkingHours) and isinstance(b, date):
            return self.after(b, a)
        if isinstance(b, WorkingDays) and isinstance(a, date):
            return self.plus(a, b)
        if isinstance(a, WorkingDays) and isinstance(b, date):
            return self.plus(b, a)
        return add(a, b)

    def subtract(self, a: object, b: object) -> Value:
        if isinstance(b, WorkingHours) and isinstance(a, date):
            return self.after(a, WorkingHours(-b.hours))
        if isinstance(b, WorkingDays) and isinstance(a, date):
            return self.plus(a, WorkingDays(-b.days))
        return subtract(a, b)


@lru_cache(maxsize=1 << 16)
def _is_working(day: date, calendar: str) -> bool:
    """Looking a day up among holidays costs twenty times as much, and the same days are asked for again and again."""
    return day.weekday() < SATURDAY and day not in holidays_of(calendar)


def hours_of(text: str) -> tuple[time, time] | None:
    """When work begins and ends, from `09:00-17:30`; None if it says no such thing."""
    m = _HOURS.fullmatch(text.strip())
    hours = attempt(lambda: (time(int(m[1]), int(m[2])), time(int(m[3]), int(m[4])))) if m else None
    return hours if hours and hours[0] < hours[1] else None


def _known(act: Callable[[str], T], name: str | None) -> T | None:
    """What a name stands for, or None for none and for one that is not known."""
    try:
        return act(name) if name else None
    except ValueError:
        return None


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
    return Holidays(calendar)
