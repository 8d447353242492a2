"""What a value of the language is: its classes beside Python's own, the name of its type, and the numbers that it can be."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeGuard, TypeVar

from roe.dynamic import Value
from roe.node import node

T = TypeVar("T")

LARGEST = int(sys.float_info.max)
EXACT = 2**53  # integers beyond it are floats, as 64-bit engines have them
NUMBERS = frozenset((int, float))


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


Duration = timedelta | Months | WorkingDays | WorkingHours  # what a section of a policy can mean by `90 days`


@node
class Range:
    """`[low..high)`; an end of None is unbounded only where `open_low` or `open_high` says so, else unknown."""

    low: Value
    high: Value
    low_closed: bool = True
    high_closed: bool = True
    open_low: bool = False
    open_high: bool = False


_KINDS: dict[type, str] = {
    bool: "boolean", int: "number", float: "number", str: "string", datetime: "date and time", date: "date",
    time: "time", timedelta: "days and time duration", CalendarDays: "days and time duration", Months: "years and months duration",
    WorkingDays: "working days duration", WorkingHours: "working hours duration", Range: "range", list: "list", tuple: "list", dict: "context",
    type(None): "null",
}  # fmt: skip


def kind(value: object) -> str:
    """The FEEL name of a value's type."""
    name = _KINDS.get(type(value))
    if name:
        return name
    for known in (str, dict, list):
        if isinstance(value, known):
            return _KINDS[known]
    return "any"


def number(value: float) -> int | float | None:
    """A result in the language's number type: no infinity, no NaN, whole numbers exact up to 2^53."""
    if type(value) is int:
        if -EXACT <= value <= EXACT:
            return value
        return float(value) if value.bit_length() <= 1024 and abs(value) <= LARGEST else None
    return value if math.isfinite(value) else None


def is_number(value: object) -> TypeGuard[float]:
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


def attempt(act: Callable[[], T]) -> T | None:
    """A result, or None where Python says that there is none: overflow, division by zero, no such date."""
    try:
        return act()
    except (OverflowError, ZeroDivisionError, ValueError, TypeError):
        return None
