"""A moment in the world: a UTC instant that knows how precise it is and in which time zone it was meant.

A day is its first moment. Where the clocks jump over a local time the next valid moment counts, where they repeat it the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

_START = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, order=True)
class At:
    """`instant` is in microseconds since 1970 UTC; `day` says that only the day is known; `zone` is a name such as Europe/Berlin, or an
    offset such as +01:00."""

    instant: int
    day: bool = False
    zone: str = "UTC"

    @classmethod
    def of(cls, value: date | datetime | str | At, zone: str = "UTC") -> At:
        """A date, a date-time, or the ISO text of one. Raises ValueError for a text that is neither."""
        if isinstance(value, At):
            return value
        if isinstance(value, str):
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            return cls(ticks(first_valid(datetime.combine(value, time()), zone_of(zone))), True, zone)
        aware = value if value.tzinfo is not None else first_valid(value, zone_of(zone))
        return cls(ticks(aware), False, zone)

    @property
    def utc(self) -> datetime:
        return _START + self.instant * _TICK

    @property
    def local(self) -> datetime:
        return self.utc.astimezone(zone_of(self.zone))

    @property
    def date(self) -> date:
        """The day in the moment's own zone."""
        return _day(self.instant, self.zone)

    def __str__(self) -> str:
        """`2026-03-02` for a day; else `2026-03-02T09:30:00+01:00`."""
        return str(self.date) if self.day else self.local.isoformat()


@lru_cache(maxsize=4096)
def _day(instant: int, zone: str) -> date:
    """The day of an instant in a zone: entries share few of them."""
    return At(instant, False, zone).local.date()


@cache
def zone_of(name: str) -> tzinfo:
    if name[:1] in "+-" and name:
        hours, _, minutes = name[1:].partition(":")
        return timezone(timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if name[0] == "-" else 1))
    return ZoneInfo(name)


def ticks(moment: datetime) -> int:
    """An aware date-time in microseconds since 1970 UTC."""
    return (moment - _START) // _TICK


def first_valid(local: datetime, zone: tzinfo) -> datetime:
    """A local time in a zone: the first of two where the clocks repeat it, the next valid moment where they jump over it."""
    first = local.replace(tzinfo=zone, fold=0)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local:
        return first
    before, after = ticks(local.replace(tzinfo=zone, fold=1).astimezone(UTC)), ticks(first.astimezone(UTC))
    offset = (_START + before * _TICK).astimezone(zone).utcoffset()
    while after - before > 1:  # the clocks jump between these two instants
        middle = (before + after) // 2
        if (_START + middle * _TICK).astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return (_START + after * _TICK).astimezone(zone)
