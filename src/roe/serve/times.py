"""The one place where the service reads the clock, and times as the tables keep them: milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

from roe.grammar.values import existing

MOST_AHEAD = timedelta(hours=36)  # beyond which a moment in the future is a mistake, and not another clock


class Time(Protocol):
    def now(self) -> datetime: ...


class SystemTime:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SetTime:
    """A clock that stands until it is set: for tests and replays."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def first_moment(end: date | datetime, zone: tzinfo) -> datetime:
    """When a deadline is over: a moment itself; of a day its first moment in a zone."""
    if isinstance(end, datetime):
        return end if end.tzinfo is not None else existing(end.replace(tzinfo=zone))
    return existing(datetime.combine(end, time()).replace(tzinfo=zone))
