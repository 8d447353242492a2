"""FEEL's relations between ranges (DMN 1.5, table 78). A point is the range [p..p]."""

from __future__ import annotations

from collections.abc import Callable

from roe.grammar import values as v
from roe.grammar.registry import function


def _ends(x: object) -> v.Range:
    return x if isinstance(x, v.Range) else v.Range(x, x)


def _lt(a: object, b: object) -> bool:
    verdict = v.less(a, b)
    if verdict is None:
        raise TypeError
    return verdict


def _eq(a: object, b: object) -> bool:
    _lt(a, b)
    return v.equal(a, b) is True


def _before(a: v.Range, b: v.Range) -> bool:
    return _lt(a.high, b.low) or (_eq(a.high, b.low) and not (a.high_closed and b.low_closed))


def _includes(a: v.Range, b: v.Range) -> bool:
    low = _lt(a.low, b.low) or (_eq(a.low, b.low) and (a.low_closed or not b.low_closed))
    high = _lt(b.high, a.high) or (_eq(a.high, b.high) and (a.high_closed or not b.high_closed))
    return low and high


def _starts(a: v.Range, b: v.Range) -> bool:
    return _eq(a.low, b.low) and a.low_closed == b.low_closed and _includes(b, a)


def _finishes(a: v.Range, b: v.Range) -> bool:
    return _eq(a.high, b.high) and a.high_closed == b.high_closed and _includes(b, a)


def _overlaps_before(a: v.Range, b: v.Range) -> bool:
    starts = _lt(a.low, b.low) or (_eq(a.low, b.low) and a.low_closed and not b.low_closed)
    meets = _lt(b.low, a.high) or (_eq(b.low, a.high) and a.high_closed and b.low_closed)
    ends = _lt(a.high, b.high) or (_eq(a.high, b.high) and (not a.high_closed or b.high_closed))
    return starts and meets and ends


def _overlaps_after(a: v.Range, b: v.Range) -> bool:
    starts = _lt(b.low, a.low) or (_eq(a.low, b.low) and b.low_closed and not a.low_closed)
    meets = _lt(a.low, b.high) or (_eq(a.low, b.high) and a.low_closed and b.high_closed)
    ends = _lt(b.high, a.high) or (_eq(a.high, b.high) and (a.high_closed or not b.high_closed))
    return starts and meets and ends


def _range_function(name: str, feel: str, points: str, run: Callable[[v.Range, v.Range], bool], example: str, value: str, doc: str) -> None:
    """`points` says which of the two arguments may be a point: 'both', 'first', 'second' or ''."""

    def call(a: object, b: object) -> bool | None:
        first, second = isinstance(a, v.Range), isinstance(b, v.Range)
        allowed = {"both": True, "first": second, "second": first, "": first and second}[points]
        return v.attempt(lambda: run(_ends(a), _ends(b))) if allowed and a is not None and b is not None else None

    names = {"both": ("point1", "point2"), "first": ("point", "range"), "second": ("range", "point"), "": ("range1", "range2")}
    one, two = names[points]
    function(name, f"{one}: any, {two}: any", "boolean", example, value, doc, feel=feel)(call)


_range_function("before", "", "both", _before, "before([1..5], 10)", "true", "whether the first ends before the second begins")
_range_function(
    "after", "", "both", lambda a, b: _before(b, a), "after(10, [1..5])", "true", "whether the first begins after the second ends"
)
_range_function(
    "meets",
    "",
    "",
    lambda a, b: a.high_closed and b.low_closed and _eq(a.high, b.low),
    "meets([1..5], [5..10])",
    "true",
    "whether the first ends where the second begins",
)
_range_function(
    "met_by",
    "met by",
    "",
    lambda a, b: b.high_closed and a.low_closed and _eq(b.high, a.low),
    "met_by([5..10], [1..5])",
    "true",
    "whether the first begins where the second ends",
)
_range_function(
    "overlaps",
    "",
    "",
    lambda a, b: not _before(a, b) and not _before(b, a),
    "overlaps([1..5], [3..8])",
    "true",
    "whether the two share a point",
)
_range_function(
    "overlaps_before",
    "overlaps before",
    "",
    _overlaps_before,
    "overlaps_before([1..5], [3..8])",
    "true",
    "whether the first begins first and ends inside the second",
)
_range_function(
    "overlaps_after",
    "overlaps after",
    "",
    _overlaps_after,
    "overlaps_after([3..8], [1..5])",
    "true",
    "whether the first begins inside the second and ends after it",
)
_range_function("finishes", "", "first", _finishes, "finishes(5, [1..5])", "true", "whether the first is the end of the second")
_range_function(
    "finished_by",
    "finished by",
    "second",
    lambda a, b: _finishes(b, a),
    "finished_by([1..5], 5)",
    "true",
    "whether the second is the end of the first",
)
_range_function("includes", "", "second", _includes, "includes([1..10], 5)", "true", "whether the first holds all of the second")
_range_function(
    "during", "", "first", lambda a, b: _includes(b, a), "during(5, [1..10])", "true", "whether the second holds all of the first"
)
_range_function("starts", "", "first", _starts, "starts(1, [1..5])", "true", "whether the first is the beginning of the second")
_range_function(
    "started_by",
    "started by",
    "second",
    lambda a, b: _starts(b, a),
    "started_by([1..5], 1)",
    "true",
    "whether the second is the beginning of the first",
)
_range_function(
    "coincides",
    "",
    "both",
    lambda a, b: _starts(a, b) and _finishes(a, b),
    "coincides([1..5], [1..5])",
    "true",
    "whether the two are the same",
)
