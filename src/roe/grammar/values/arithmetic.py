"""What `+`, `-`, `*`, `/` and `**` do to values; None where there is no result."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from roe.dynamic import Value
from roe.grammar.values.kinds import EXACT, NUMBERS, Months, WorkingDays, WorkingHours, attempt, is_number, kind, number
from roe.grammar.values.order import existing, since_midnight, zoned

D = TypeVar("D", date, datetime)


def add(a: Value, b: Value) -> Value:
    if type(a) in NUMBERS and type(b) in NUMBERS:
        return number(a + b)
    ka, kb = kind(a), kind(b)
    if ka == kb == "number":
        return number(a + b)
    if ka == kb == "string":
        return a + b
    if "duration" in ka and "duration" not in kb:
        a, b, ka, kb = b, a, kb, ka
    return attempt(lambda: _PLUS[ka, kb](a, b)) if (ka, kb) in _PLUS else None


def subtract(a: Value, b: Value) -> Value:
    ka, kb = kind(a), kind(b)
    if ka == kb == "number":
        return number(a - b)
    if (ka, kb) in _MINUS:
        return attempt(lambda: _MINUS[ka, kb](a, b))
    if "duration" in kb and (ka, kb) in _PLUS:
        return attempt(lambda: _PLUS[ka, kb](a, negate(b)))
    return None


def multiply(a: Value, b: Value) -> Value:
    ka, kb = kind(a), kind(b)
    if ka == kb == "number":
        return number(a * b)
    if ka == "number":
        a, b, ka, kb = b, a, kb, ka
    if kb != "number":
        return None
    if ka == "days and time duration":
        return attempt(lambda: a * b)
    if ka == "years and months duration":
        return attempt(lambda: Months(int(a.months * b)))
    return None


def divide(a: Value, b: Value) -> Value:
    ka, kb = kind(a), kind(b)
    if ka == kb == "number":
        if b == 0:
            return None
        return attempt(lambda: number(a // b if type(a) is type(b) is int and a % b == 0 else a / b))
    if ka == "days and time duration":
        return attempt(lambda: number(a / b) if kb == ka else a / b) if kb in ("number", ka) else None
    if ka == "years and months duration":
        if kb == ka:
            return attempt(lambda: number(a.months / b.months))
        return attempt(lambda: Months(int(a.months / b))) if kb == "number" else None
    return None


def power(a: object, b: object) -> object:
    if not (is_number(a) and is_number(b)):
        return None
    result = attempt(lambda: float(a) ** float(b))
    if not isinstance(result, float) or not math.isfinite(result):
        return None
    whole = type(a) is int and type(b) is int and abs(result) <= EXACT and result == int(result)
    return int(result) if whole else result


def negate(a: object) -> Value:
    if is_number(a) or isinstance(a, timedelta):
        return attempt(lambda: -a)
    if isinstance(a, Months):
        return Months(-a.months)
    if isinstance(a, WorkingHours):
        return WorkingHours(-a.hours)
    return WorkingDays(-a.days) if isinstance(a, WorkingDays) else None


ARITHMETIC: dict[str, Callable[[object, object], object]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "**": power,
}


def add_months(day: D, months: int) -> D:
    """The same day so many months on, or the month's last day where it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    first = date(year, month + 1, 1)
    last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(1)).day if (year, month) != (9999, 11) else 31
    return day.replace(year=first.year, month=first.month, day=min(day.day, last))


def _clock_plus(at: time, span: timedelta) -> time:
    return (datetime.combine(date(2000, 1, 3), at) + span % timedelta(days=1)).timetz()


def _date_plus(day: date, span: timedelta) -> date:
    """A date plus a duration is a date: the time of day that results is dropped, as FEEL says."""
    return (datetime.combine(day, time()) + span).date()


def _later(at: datetime, span: timedelta) -> datetime:
    """A moment plus time that passes: 24 hours over a change of the clocks end at another hour of the day."""
    return at + span if at.tzinfo is None else (at.astimezone(UTC) + span).astimezone(at.tzinfo)


def _elapsed(a: datetime, b: datetime) -> timedelta:
    """The time between two moments; Python's own difference within one zone is that of the faces of the clocks."""
    return a - b if a.tzinfo is None else a.astimezone(UTC) - b.astimezone(UTC)


_DTD, _YMD, _DT = "days and time duration", "years and months duration", "date and time"
_PLUS: dict[tuple[str, str], Callable[[Value, Value], Value]] = {
    (_DTD, _DTD): lambda a, b: a + b,
    (_YMD, _YMD): lambda a, b: Months(a.months + b.months),
    ("date", _DTD): _date_plus,
    ("date", _YMD): lambda a, b: add_months(a, b.months),
    (_DT, _DTD): lambda a, b: _later(a, b),
    (_DT, _YMD): lambda a, b: existing(add_months(a, b.months)),
    ("time", _DTD): _clock_plus,
}


def midnight(day: date) -> datetime:
    """A date as a date-time: midnight UTC, which is how FEEL compares and subtracts the two."""
    return datetime.combine(day, time(), UTC)


def _zones_agree(a: datetime | time, b: datetime | time, act: Callable[[], timedelta]) -> timedelta | None:
    return act() if zoned(a) == zoned(b) else None


_MINUS: dict[tuple[str, str], Callable[[Value, Value], Value]] = {
    ("date", "date"): lambda a, b: a - b,
    (_DT, _DT): lambda a, b: _zones_agree(a, b, lambda: _elapsed(a, b)),
    (_DT, "date"): lambda a, b: _zones_agree(a, midnight(b), lambda: a - midnight(b)),
    ("date", _DT): lambda a, b: _zones_agree(midnight(a), b, lambda: midnight(a) - b),
    ("time", "time"): lambda a, b: _zones_agree(a, b, lambda: timedelta(microseconds=since_midnight(a) - since_midnight(b))),
    (_DTD, _DTD): lambda a, b: a - b,
    (_YMD, _YMD): lambda a, b: Months(a.months - b.months),
}
