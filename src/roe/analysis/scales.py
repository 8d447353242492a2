"""The values that an expression can have at all, whatever the record: no date has a thirteenth month, and nothing is 120 % similar."""

from __future__ import annotations

from math import floor, inf

from roe.analysis.axis import Axis
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions.dates import DAYS
from roe.grammar.types import Type

PARTS = {  # of dates and times
    "month": range(1, 13), "day": range(1, 32), "weekday": range(1, 8), "hour": range(24), "minute": range(60), "second": range(60),
}  # fmt: skip
GIVES: dict[str, tuple[Value, ...]] = {  # functions with few values
    "fiscal_quarter": tuple(range(1, 5)), "week_of_year": tuple(range(1, 54)), "day_of_year": tuple(range(1, 367)),
    "day_of_week": DAYS, "month_of_year": v.MONTHS,
}  # fmt: skip
COUNTS = ("count", "string_length")
BETWEEN = {"similarity": (0, 1), "abs": (0, inf), "sqrt": (0, inf), "stddev": (0, inf), "distance_km": (0, inf)}
RANKS = {"rank": (1, inf, True), "of": (1, inf, True), "percentile": (0, 100, False)}  # of a place among others: from, to, whole
_MADE = ("date", "date_and_time", "time", "today", "now")  # calls that give a date or a time


def values(node: s.Node, base: Type | None) -> tuple[Value, ...] | None:
    """All values of an expression, where they are few; `base` is the type of what it is a part of."""
    if isinstance(node, s.Call):
        return GIVES.get(node.function)
    if not isinstance(node, s.Path) or node.field not in PARTS:
        return None
    made = isinstance(node.base, s.Call) and node.base.function in _MADE
    now = isinstance(node.base, s.Name) and node.base.id in ("today", "now")
    return tuple(PARTS[node.field]) if made or now or (base is not None and base.name in ("date", "date and time", "time")) else None


def bounds(node: s.Node, base: Type | None) -> tuple[float, float, bool] | None:
    """The least and the greatest number that an expression can be, and whether it is a whole one."""
    if isinstance(node, s.Call):
        low, high = (0, inf) if node.function in COUNTS else BETWEEN.get(node.function, (None, inf))
        return None if low is None else (low, high, node.function in COUNTS)
    place = isinstance(node, s.Path) and base is not None and base.fields is not None and "percentile" in base.fields
    return RANKS.get(node.field) if place and isinstance(node, s.Path) else None


def outside(axis: Axis, low: float, high: float, whole: bool) -> int:
    """The cells of an axis in which no number of such a scale lies."""
    cells = 0
    ordered = axis.ordered()
    for i, value in enumerate(axis.values):
        if not v.is_number(value) or (value not in axis.points and not ordered):
            continue
        if value in axis.points:
            inside = low <= value <= high and (not whole or float(value).is_integer())
        else:  # what lies between two points, without them
            below, above = axis.values[i - 1], axis.values[i + 1] if i + 1 < len(axis.values) else None
            least, most = -inf if below is None else below, inf if above is None else above
            inside = max(low, floor(least) + 1 if least > -inf else low) < most if whole else least < high and low < most
        cells |= 0 if inside else 1 << i
    return cells
