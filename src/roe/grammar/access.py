"""What is read out of one value: the item at a position, the numbers or days of a range, the year of a date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from roe.dynamic import Value
from roe.grammar import values as v

MAX_ITEMS = 100_000  # of a `for`, and of the pairs that a quantifier visits


def as_list(value: object) -> list[object]:
    """A list as it is, a value as a list of one, null as an empty list."""
    return value if type(value) is list else [] if value is None else [value]


def nth(items: object, position: float) -> object:
    """The item at a 1-based position, negative from the end; a value alone is a list of one."""
    if type(items) is not list:
        items = [items]
    if position != int(position):
        return None
    at = int(position)
    return items[at - 1 if at > 0 else at] if at and abs(at) <= len(items) else None


def unary_range(op: str, bound: object) -> object:
    """The range that `> bound` and the like describe; for `=` the bound itself, and null for `!=`."""
    if op == "=":
        return bound
    if op == "!=":
        return None
    return v.Range(bound, None, op == ">=", False, False, True) if op[0] == ">" else v.Range(None, bound, False, op == "<=", True)


def count_between(start: object, end: object, closed: bool = True, end_closed: bool = True) -> list[int] | list[date] | None:
    """The whole numbers, or the days, from start to end, descending where end is less; None if they cannot be counted."""
    if type(start) is date and type(end) is date:
        days = _whole_numbers(0, (end - start).days, closed, end_closed)
        return None if days is None else [start + timedelta(days=d) for d in days]
    return _whole_numbers(start, end, closed, end_closed) if v.is_number(start) and v.is_number(end) else None


def _whole_numbers(start: float, end: float, closed: bool, end_closed: bool) -> list[int] | None:
    if start != int(start) or end != int(end) or abs(end - start) > MAX_ITEMS:
        return None
    step = 1 if end >= start else -1
    numbers = list(range(int(start), int(end) + step, step))
    return numbers[0 if closed else 1 : len(numbers) if end_closed else -1]


_PROPERTIES: dict[str, dict[str, Callable[[Value], Value]]] = {
    "date": {
        "year": lambda d: d.year, "month": lambda d: d.month, "day": lambda d: d.day, "weekday": lambda d: d.isoweekday(),
    },
    "time": {
        "hour": lambda t: t.hour, "minute": lambda t: t.minute,
        "second": lambda t: t.second + t.microsecond / 1e6 if t.microsecond else t.second,
        "time_offset": lambda t: t.utcoffset(), "timezone": lambda t: getattr(t.tzinfo, "key", None),
    },
    "days and time duration": {
        "days": lambda d: int(abs(d).days) * _sign(d), "hours": lambda d: abs(d).seconds // 3600 * _sign(d),
        "minutes": lambda d: abs(d).seconds // 60 % 60 * _sign(d),
        "seconds": lambda d: v.divide((abs(d).seconds % 60 * 1_000_000 + abs(d).microseconds) * _sign(d), 1_000_000),
    },
    "years and months duration": {
        "years": lambda m: int(m.months / 12), "months": lambda m: m.months - int(m.months / 12) * 12,
    },
    "range": {
        "start": lambda r: r.low, "end": lambda r: r.high,
        "start_included": lambda r: r.low_closed, "end_included": lambda r: r.high_closed,
    },
}  # fmt: skip
_PROPERTIES["date and time"] = _PROPERTIES["date"] | _PROPERTIES["time"]


def _sign(span: timedelta) -> int:
    return -1 if span.days < 0 else 1


def property_of(value: object, name: str) -> object:
    """`.year`, `.weekday`, `.hours` and the like; null where the value has no such property."""
    read = _PROPERTIES.get(v.kind(value), {}).get(name)
    return read(value) if read else None
