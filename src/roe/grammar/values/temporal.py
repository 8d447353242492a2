"""Dates, times and durations read from their ISO 8601 text; None where a text is not such a value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache

from roe.dynamic import Value
from roe.grammar.values.kinds import Months, attempt

_DATE = r"(\d{4})-(\d{2})-(\d{2})"
_TIME = r"(\d{2}):(\d{2}):(\d{2})(\.\d+)?(Z|[+-]\d{2}:\d{2}(?::\d{2})?)?"
_DATE_RE, _TIME_RE, _DATETIME_RE = (re.compile(p, re.ASCII) for p in (_DATE, _TIME, f"{_DATE}T{_TIME}"))
_DURATION_RE = re.compile(r"(-)?P(?!$)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?!$)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(\.\d*)?S)?)?", re.ASCII)


@lru_cache(maxsize=4096)  # the days of a table are few
def parse_date(text: str) -> date | None:
    m = _DATE_RE.fullmatch(text)
    return attempt(lambda: date(*map(int, m.groups()))) if m else None


def parse_time(text: str) -> time | None:
    m = _TIME_RE.fullmatch(text)
    return attempt(lambda: _time_of(m.groups())) if m else None


def parse_datetime(text: str) -> datetime | None:
    m = _DATETIME_RE.fullmatch(text)
    if m:
        day = parse_date(text[:10])
        if text[11:19] == "24:00:00" and not (m[7] or "").strip(".0"):  # ISO 8601: the end of the day
            start = parse_datetime(f"{text[:11]}00{text[13:]}")
            return attempt(lambda: start + timedelta(days=1)) if start else None
        at = attempt(lambda: _time_of(m.groups()[3:]))
        return datetime.combine(day, at) if day and at is not None else None
    day = parse_date(text)
    return datetime.combine(day, time()) if day else None


def _time_of(parts: Sequence[str]) -> time:
    hour, minute, second, fraction, zone = parts
    micro = int((fraction or ".0")[1:7].ljust(6, "0"))
    return time(int(hour), int(minute), int(second), micro, _zone(zone))


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if text == "Z":
        return UTC
    hours, minutes, *seconds = (int(p) for p in text[1:].split(":"))
    if hours > 14 or minutes > 59:
        raise ValueError(text)
    offset = timedelta(hours=hours, minutes=minutes, seconds=seconds[0] if seconds else 0)
    return timezone(-offset if text[0] == "-" else offset)


def parse_duration(text: str) -> timedelta | Months | None:
    m = _DURATION_RE.fullmatch(text)
    if not m:
        return None
    sign, years, months, days, hours, minutes, seconds, fraction = m.groups()
    months_part = years is not None or months is not None
    time_part = any(p is not None for p in (days, hours, minutes, seconds))
    if months_part == time_part:
        return None
    if months_part:
        total = int(years or 0) * 12 + int(months or 0)
        return Months(-total if sign else total)
    micro = int((fraction or ".0")[1:7].ljust(6, "0") or 0)
    parts = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
    span: timedelta | None = attempt(lambda: timedelta(microseconds=micro, **{k: int(v or 0) for k, v in parts.items()}))
    return -span if span is not None and sign else span


@lru_cache(maxsize=4096)  # what a service remembers of a record is read again with each decision on it
def parse_temporal(text: str) -> Value:
    """The value of `@"…"`: a date, a time, a date-time or a duration; None if it is none of them."""
    for parse in (parse_date, parse_time, parse_datetime, parse_duration):
        value = parse(text)
        if value is not None:
            return value
    return None
