"""The values of the language and what operators do to them, as the DMN standard (1.5, chapter 10) says.

Every operation is *total*: where FEEL has no answer (mixed types, null, a month 13) the answer is `None`. Values are
Python's own: `bool`, `int | float`, `str`, `date`, `datetime`, `time`, `timedelta`, `list`, `dict`; plus the three
classes here. Naive date-times and times have no zone; the two kinds do not compare.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cmp_to_key, lru_cache
from typing import Any

LARGEST = int(sys.float_info.max)
EXACT = 2**53  # integers beyond it are floats, as 64-bit engines have them


@dataclass(frozen=True, slots=True, order=True)
class Months:
    """A years-and-months duration, in months."""

    months: int

    def __str__(self) -> str:
        years, months = divmod(abs(self.months), 12)
        text = (f"{years}Y" if years else "") + (f"{months}M" if months or not years else "")
        return ("-" if self.months < 0 else "") + "P" + text


@dataclass(frozen=True, slots=True, order=True)
class WorkingDays:
    """A number of working days: roe's own, it needs a calendar to be added to a date."""

    days: int

    def __str__(self) -> str:
        return f"{self.days} working days"


@dataclass(frozen=True, slots=True, order=True)
class WorkingHours:
    """Hours within working time: roe's own, they need a calendar and its hours to be added to a moment."""

    hours: float

    def __str__(self) -> str:
        return f"{show_number(self.hours)} working hours"


class CalendarDays(timedelta):
    """Days by the calendar, as a section of a policy means `30 days`: a moment keeps its time of day, though clocks change in between.

    An expression never has one: there `30 days` are 720 hours, as FEEL says. See `Clock.add`.
    """

    def __eq__(self, other: object) -> bool:
        return type(other) is CalendarDays and super().__eq__(other)

    __hash__ = timedelta.__hash__


@dataclass(frozen=True, slots=True)
class Range:
    """`[low..high)`; an end of None is unbounded only where `open_low` or `open_high` says so, else unknown."""

    low: Any
    high: Any
    low_closed: bool = True
    high_closed: bool = True
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: Any) -> bool:
        return contains(self, value) is True


_KINDS: dict[type[Any], str] = {
    bool: "boolean", int: "number", float: "number", str: "string", datetime: "date and time", date: "date",
    time: "time", timedelta: "days and time duration", CalendarDays: "days and time duration", Months: "years and months duration",
    WorkingDays: "working days duration", WorkingHours: "working hours duration", Range: "range", list: "list", tuple: "list", dict: "context",
    type(None): "null",
}  # fmt: skip


def kind(value: Any) -> str:
    """The FEEL name of a value's type."""
    found = _KINDS.get(type(value))
    if found:
        return found
    for known in (str, dict, list):
        if isinstance(value, known):
            return _KINDS[known]
    return "any"


# --- numbers --------------------------------------------------------------------------------------------------------


def number(value: float) -> int | float | None:
    """A result in the language's number type: no infinity, no NaN, whole numbers exact up to 2^53."""
    if type(value) is int:
        if -EXACT <= value <= EXACT:
            return value
        return float(value) if value.bit_length() <= 1024 and abs(value) <= LARGEST else None
    return value if math.isfinite(value) else None


def is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def show_number(value: float) -> str:
    """As FEEL's `string` prints it: no exponent, no `.0`."""
    if type(value) is int or value == int(value):
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    from decimal import Decimal

    return format(Decimal(text), "f")


# --- equality and order ---------------------------------------------------------------------------------------------


def zoned(value: time | datetime) -> bool:
    return value.tzinfo is not None


def equal(a: Any, b: Any) -> bool | None:
    """FEEL equality: null equals null alone; values of different types are incomparable (None)."""
    if a is None or b is None:
        return a is b
    ka, kb = kind(a), kind(b)
    if ka != kb:
        return None
    if ka == "list":
        if len(a) != len(b):
            return False
        return _all(equal(x, y) for x, y in zip(a, b, strict=True))
    if ka == "context":
        if a is b:
            return True
        if type(a) is not dict or type(b) is not dict:  # a record of an entity is itself and nothing else
            return False
        if a.keys() != b.keys():
            return False
        return _all(equal(a[k], b[k]) for k in a)
    if ka == "range":
        same = (a.low_closed, a.high_closed, a.open_low, a.open_high) == (b.low_closed, b.high_closed, b.open_low, b.open_high)
        return same and _all((equal(a.low, b.low), equal(a.high, b.high)))
    if ka == "time":
        return _clock(a) == _clock(b) and zoned(a) == zoned(b)
    if ka == "date and time":
        return bool(moment(a) == moment(b)) if zoned(a) == zoned(b) else None
    return bool(a == b)


_BEGINNING = datetime(1, 1, 1)


def moment(at: datetime) -> Any:
    """What `==`, order and hash of a date-time are those of: the time since the year 1 in UTC; without a zone it is the date-time itself.

    Python compares two date-times of one zone by the faces of their clocks, and finds a time of the repeated hour equal to nothing
    in another zone: neither is what the moments are to each other.
    """
    offset = at.utcoffset()
    return at if offset is None else at.replace(tzinfo=None) - _BEGINNING - offset


def existing(at: datetime) -> datetime:
    """The same moment by a face that the zone's clocks show: in the hour that they skip, the one after it."""
    found: datetime = attempt(lambda: at.astimezone(UTC).astimezone(at.tzinfo)) if at.tzinfo is not None else at
    return at if found is None else found


def _all(results: Any) -> bool:
    return all(r is True for r in results)


def _clock(value: time) -> int:
    """Microseconds since midnight UTC, or since midnight where there is no zone; not wrapped, so order is kept."""
    offset = value.utcoffset() or timedelta()
    base = (value.hour * 3600 + value.minute * 60 + value.second) * 1_000_000 + value.microsecond
    return base - offset // timedelta(microseconds=1)


_ORDERED = {"number", "string", "date", "date and time", "time", "days and time duration", "years and months duration", "working days duration", "working hours duration"}  # fmt: skip


NUMBERS = frozenset((int, float))


def less(a: Any, b: Any) -> bool | None:
    """`a < b`, or None where the two have no order."""
    if type(a) in NUMBERS and type(b) in NUMBERS:
        return bool(a < b)
    ka = kind(a)
    if ka != kind(b) or ka not in _ORDERED:
        return None
    if ka == "time":
        return _clock(a) < _clock(b) if zoned(a) == zoned(b) else None
    if ka == "date and time":
        return bool(moment(a) < moment(b)) if zoned(a) == zoned(b) else None
    return bool(a < b)


def compare(op: str, a: Any, b: Any) -> bool | None:
    return COMPARE[op](a, b)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def less_equal(a: Any, b: Any) -> bool | None:
    return _not(less(b, a))


COMPARE: dict[str, Callable[[Any, Any], bool | None]] = {
    "=": equal,
    "!=": lambda a, b: _not(equal(a, b)),
    "<": less,
    ">": lambda a, b: less(b, a),
    "<=": less_equal,
    ">=": lambda a, b: less_equal(b, a),
}


# The sort key of values that have an order among themselves.
in_order = cmp_to_key(lambda a, b: -1 if less(a, b) else 1 if less(b, a) else 0)


def contains(r: Range, value: Any) -> bool | None:
    """Whether a range holds a value; None where an end or the value is unknown."""
    above = True if r.open_low else (less_equal if r.low_closed else less)(r.low, value)
    below = True if r.open_high else (less_equal if r.high_closed else less)(value, r.high)
    return both(above, below)


def both(a: Any, b: Any) -> bool | None:
    """Kleene `and` of two values; what is not a boolean is unknown."""
    if a is False or b is False:
        return False
    return True if a is True and b is True else None


def passes(value: Any, test: Any) -> bool | None:
    """`value in test` for an evaluated test: equal, inside the range, or a member of the list."""
    if isinstance(test, Range):
        inside = contains(test, value)
        return equal(value, test) if inside is None and isinstance(value, Range) else inside
    if isinstance(test, (list, tuple)):
        for item in test:
            hit = equal(value, item)
            if hit is not True and isinstance(item, Range):
                hit = passes(value, item)
            if hit is True:
                return True
        return isinstance(value, list) and equal(value, test) is True
    return equal(value, test)


# --- arithmetic -----------------------------------------------------------------------------------------------------


def add(a: Any, b: Any) -> Any:
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


def subtract(a: Any, b: Any) -> Any:
    ka, kb = kind(a), kind(b)
    if ka == kb == "number":
        return number(a - b)
    if (ka, kb) in _MINUS:
        return attempt(lambda: _MINUS[ka, kb](a, b))
    if "duration" in kb and (ka, kb) in _PLUS:
        return attempt(lambda: _PLUS[ka, kb](a, negate(b)))
    return None


def multiply(a: Any, b: Any) -> Any:
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


def divide(a: Any, b: Any) -> Any:
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


def power(a: Any, b: Any) -> Any:
    if not (is_number(a) and is_number(b)):
        return None
    result = attempt(lambda: float(a) ** float(b))
    if not isinstance(result, float) or not math.isfinite(result):
        return None
    whole = type(a) is int and type(b) is int and abs(result) <= EXACT and result == int(result)
    return int(result) if whole else result


def negate(a: Any) -> Any:
    if is_number(a) or isinstance(a, timedelta):
        return attempt(lambda: -a)
    if isinstance(a, Months):
        return Months(-a.months)
    if isinstance(a, WorkingHours):
        return WorkingHours(-a.hours)
    return WorkingDays(-a.days) if isinstance(a, WorkingDays) else None


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "**": power,
}


def attempt(act: Callable[[], Any]) -> Any:
    """A result, or None where Python says that there is none: overflow, division by zero, no such date."""
    try:
        return act()
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        return None


def add_months(day: Any, months: int) -> Any:
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
_PLUS: dict[tuple[str, str], Callable[[Any, Any], Any]] = {
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


def _zones_agree(a: Any, b: Any, act: Callable[[], Any]) -> Any:
    return act() if zoned(a) == zoned(b) else None


_MINUS: dict[tuple[str, str], Callable[[Any, Any], Any]] = {
    ("date", "date"): lambda a, b: a - b,
    (_DT, _DT): lambda a, b: _zones_agree(a, b, lambda: _elapsed(a, b)),
    (_DT, "date"): lambda a, b: _zones_agree(a, midnight(b), lambda: a - midnight(b)),
    ("date", _DT): lambda a, b: _zones_agree(midnight(a), b, lambda: midnight(a) - b),
    ("time", "time"): lambda a, b: _zones_agree(a, b, lambda: timedelta(microseconds=_clock(a) - _clock(b))),
    (_DTD, _DTD): lambda a, b: a - b,
    (_YMD, _YMD): lambda a, b: Months(a.months - b.months),
}


# --- temporal text --------------------------------------------------------------------------------------------------

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


def _time_of(parts: tuple[Any, ...]) -> time:
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


def parse_temporal(text: str) -> Any:
    """The value of `@"…"`: a date, a time, a date-time or a duration; None if it is none of them."""
    for parse in (parse_date, parse_time, parse_datetime, parse_duration):
        value = parse(text)
        if value is not None:
            return value
    return None


# --- text of values -------------------------------------------------------------------------------------------------


def show_duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    clock = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M")) if n)
    clock += f"{seconds}{fraction}S" if seconds or fraction else ""
    text = (f"{value.days}D" if value.days else "") + (f"T{clock}" if clock else "")
    return f"{sign}P{text or 'T0S'}"


def show_clock(value: time | datetime) -> str:
    text = value.replace(tzinfo=None).isoformat()
    text = text.rstrip("0") if "." in text else text
    offset = value.utcoffset()
    if offset is None:
        return text
    if not offset:
        return text + "Z"
    total = int(abs(offset).total_seconds())
    zone = f"{total // 3600:02d}:{total // 60 % 60:02d}" + (f":{total % 60:02d}" if total % 60 else "")
    return f"{text}{'-' if offset < timedelta() else '+'}{zone}"


def string(value: Any) -> str | None:
    """FEEL's `string(value)`: text as it is, everything else as a literal without quotes."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return literal(value)


def readable(value: Any, zone: tzinfo | None = None) -> str:
    """A value in a sentence: a day as people read it, `24 February 2026`, with the time of day in a zone where there is one that matters."""
    if isinstance(value, date):
        if isinstance(value, datetime) and value.tzinfo is not None and zone is not None:
            value = attempt(lambda: value.astimezone(zone)) or value
        day = f"{value.day} {MONTHS[value.month - 1]} {value.year}"
        if not isinstance(value, datetime) or (value.hour, value.minute, value.second) == (0, 0, 0):
            return day
        return f"{day}, {value:%H:%M}"
    return string(value) or ""


MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def literal(value: Any) -> str:
    """A value as text that reads as the value: strings quoted, temporal values in their ISO form."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return show_number(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (datetime, time)):
        return show_clock(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return show_duration(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    if isinstance(value, Range):
        return _show_range(value)
    if hasattr(value, "label"):  # a record: its fields may lead back to it
        return str(value.label)
    if isinstance(value, dict):
        found = value.as_json() if hasattr(value, "as_json") else value
        return "{" + ", ".join(f"{k}: {literal(v)}" for k, v in found.items()) + "}"
    return str(value)


def _show_range(r: Range) -> str:
    if r.open_low:
        return f"({'<=' if r.high_closed else '<'} {literal(r.high)})"
    if r.open_high:
        return f"({'>=' if r.low_closed else '>'} {literal(r.low)})"
    return f"{'[' if r.low_closed else '('}{literal(r.low)}..{literal(r.high)}{']' if r.high_closed else ')'}"


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else f"\\U{ord(c):06X}") for c in text) + '"'


def plain(value: Any) -> Any:
    """A value as JSON has it: temporal values, durations and ranges as text, records as objects."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return literal(value)
