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


Relation = Callable[[v.Range, v.Range], bool]


def _meets(a: v.Range, b: v.Range) -> bool:
    return a.high_closed and b.low_closed and _eq(a.high, b.low)


def _overlaps(a: v.Range, b: v.Range) -> bool:
    return not _before(a, b) and not _before(b, a)


def _coincides(a: v.Range, b: v.Range) -> bool:
    return _starts(a, b) and _finishes(a, b)


def _inverse(relation: Relation) -> Relation:
    return lambda a, b: relation(b, a)


# of the two arguments, those that may be points, and the parameters' names
BOTH, FIRST, SECOND, NEITHER = ("point1", "point2"), ("point", "range"), ("range", "point"), ("range1", "range2")


def _range_function(name: str, points: tuple[str, str], run: Relation, example: str, doc: str) -> None:
    def call(a: object, b: object) -> bool | None:
        for argument, may_be in zip((a, b), points, strict=True):
            if argument is None or not (may_be.startswith("point") or isinstance(argument, v.Range)):
                return None
        return v.attempt(lambda: run(_ends(a), _ends(b)))

    function(name, f"{points[0]}: any, {points[1]}: any", "boolean", example, "true", doc)(call)


_range_function("before", BOTH, _before, "before([1..5], 10)", "whether the first ends before the second begins")
_range_function("after", BOTH, _inverse(_before), "after(10, [1..5])", "whether the first begins after the second ends")
_range_function("meets", NEITHER, _meets, "meets([1..5], [5..10])", "whether the first ends where the second begins")
_range_function("met_by", NEITHER, _inverse(_meets), "met_by([5..10], [1..5])", "whether the first begins where the second ends")
_range_function("overlaps", NEITHER, _overlaps, "overlaps([1..5], [3..8])", "whether the two share a point")
_range_function(
    "overlaps_before",
    NEITHER,
    _overlaps_before,
    "overlaps_before([1..5], [3..8])",
    "whether the first begins first and ends inside the second",
)
_range_function(
    "overlaps_after",
    NEITHER,
    _overlaps_after,
    "overlaps_after([3..8], [1..5])",
    "whether the first begins inside the second and ends after it",
)
_range_function("finishes", FIRST, _finishes, "finishes(5, [1..5])", "whether the first is the end of the second")
_range_function("finished_by", SECOND, _inverse(_finishes), "finished_by([1..5], 5)", "whether the second is the end of the first")
_range_function("includes", SECOND, _includes, "includes([1..10], 5)", "whether the first holds all of the second")
_range_function("during", FIRST, _inverse(_includes), "during(5, [1..10])", "whether the second holds all of the first")
_range_function("starts", FIRST, _starts, "starts(1, [1..5])", "whether the first is the beginning of the second")
_range_function("started_by", SECOND, _inverse(_starts), "started_by([1..5], 1)", "whether the second is the beginning of the first")
_range_function("coincides", BOTH, _coincides, "coincides([1..5], [1..5])", "whether the two are the same")
