"""Equality and order of values, and `in`: true, false, or None where two values cannot be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cmp_to_key

from roe.dynamic import Value
from roe.grammar.values.kinds import NUMBERS, Range, attempt, kind


def zoned(value: time | datetime) -> bool:
    return value.tzinfo is not None


def equal(a: Value, b: Value) -> bool | None:
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
        return since_midnight(a) == since_midnight(b) and zoned(a) == zoned(b)
    if ka == "date and time":
        return bool(moment(a) == moment(b)) if zoned(a) == zoned(b) else None
    return bool(a == b)


_BEGINNING = datetime(1, 1, 1)


def moment(at: datetime) -> Value:
    """What `==`, order and hash of a date-time are those of: the time since the year 1 in UTC; without a zone it is the date-time itself.

    Python compares two date-times of one zone by the faces of their clocks, and finds a time of the repeated hour equal to nothing
    in another zone: neither is what the moments are to each other.
    """
    offset = at.utcoffset()
    return at if offset is None else at.replace(tzinfo=None) - _BEGINNING - offset


def existing(at: datetime) -> datetime:
    """The same moment by a face that the zone's clocks show: in the hour that they skip, the one after it."""
    if at.tzinfo is None:
        return at
    return attempt(lambda: at.astimezone(UTC).astimezone(at.tzinfo)) or at


def _all(results: Iterable[object]) -> bool:
    return all(r is True for r in results)


def since_midnight(value: time) -> int:
    """Microseconds since midnight UTC, or since midnight where there is no zone; not wrapped, so order is kept."""
    offset = value.utcoffset() or timedelta()
    base = (value.hour * 3600 + value.minute * 60 + value.second) * 1_000_000 + value.microsecond
    return base - offset // timedelta(microseconds=1)


_ORDERED = {"number", "string", "date", "date and time", "time", "days and time duration", "years and months duration", "working days duration", "working hours duration"}  # fmt: skip


def less(a: Value, b: Value) -> bool | None:
    """`a < b`, or None where the two have no order."""
    if (type(a) in NUMBERS and type(b) in NUMBERS) or (type(a) is date and type(b) is date):
        return bool(a < b)
    ka = kind(a)
    if ka != kind(b) or ka not in _ORDERED:
        return None
    if ka == "time":
        return since_midnight(a) < since_midnight(b) if zoned(a) == zoned(b) else None
    if ka == "date and time":
        return bool(moment(a) < moment(b)) if zoned(a) == zoned(b) else None
    return bool(a < b)


def compare(op: str, a: object, b: object) -> bool | None:
    return COMPARE[op](a, b)


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def less_equal(a: object, b: object) -> bool | None:
    return _not(less(b, a))


COMPARE: dict[str, Callable[[object, object], bool | None]] = {
    "=": equal,
    "!=": lambda a, b: _not(equal(a, b)),
    "<": less,
    ">": lambda a, b: less(b, a),
    "<=": less_equal,
    ">=": lambda a, b: less_equal(b, a),
}


# The sort key of values that have an order among themselves.
in_order = cmp_to_key(lambda a, b: -1 if less(a, b) else 1 if less(b, a) else 0)


def contains(r: Range, value: object) -> bool | None:
    """Whether a range holds a value; None where an end or the value is unknown."""
    above = True if r.open_low else (less_equal if r.low_closed else less)(r.low, value)
    below = True if r.open_high else (less_equal if r.high_closed else less)(value, r.high)
    return both(above, below)


def both(a: object, b: object) -> bool | None:
    """Kleene `and` of two values; what is not a boolean is unknown."""
    if a is False or b is False:
        return False
    return True if a is True and b is True else None


def passes(value: object, test: object) -> bool | None:
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
