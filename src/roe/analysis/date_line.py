"""One date on a line of days or of moments, and where conditions about it and a second date change on that line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise

from roe.analysis.dates import DATE, MOMENT, ONE, Calendar, Edge, scope_of
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import CLOCK, Code, Scope
from roe.plan.subjects import Truth

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Scale:
    """Dates as whole numbers: days, or microseconds of a zone."""

    def __init__(self, kind: str, zone: tzinfo | None) -> None:
        self.moments, self.zone = kind == MOMENT, zone or UTC
        self.step = 86_400_000_000 if self.moments else 1  # a day
        self.first = self.number(datetime(1, 1, 3, tzinfo=UTC) if self.moments else date.min)
        self.last = self.number(datetime(9999, 12, 29, tzinfo=UTC) if self.moments else date.max)

    def number(self, at: date) -> int:
        """Days since the year 1, or microseconds since 1970 where the scale is of moments."""
        if not self.moments:
            return at.toordinal()
        moment = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=self.zone)
        return (moment - _EPOCH) // MICROSECOND

    def value(self, number: int) -> date:
        if not self.moments:
            return date.fromordinal(number)
        return (_EPOCH + timedelta(microseconds=number)).astimezone(self.zone)


def truth_along(code: Code, scope: Scope, scale: Scale) -> Callable[[int], Truth]:
    def at(number: int) -> Truth:
        scope["$one"] = scale.value(number)
        value = code(scope)
        return value if isinstance(value, bool) else None

    return at


def first_change(truth: Callable[[int], Truth], low: int, high: int) -> int | None:
    """The first place after `low` where a truth is another one; None if it is the same at both ends."""
    before = truth(low)
    if truth(high) is before:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if truth(middle) is before:
            low = middle
        else:
            high = middle
    return high


def changes_of(codes: list[Code], clock: Clock) -> list[date]:
    """The days, of all that there are, at which conditions about one date change, the last day on which each is as before included."""
    scale = Scale(DATE, None)
    numbers: set[int] = set()
    for code in codes:
        truth = truth_along(code, {CLOCK: clock}, scale)
        inside = (scale.first, *range(date(1900, 1, 1).toordinal(), date(2200, 1, 1).toordinal(), 36_000), scale.last)
        for low, high in pairwise(inside):
            todo = [(low, high)]
            while todo:
                low, high = todo.pop()
                at = first_change(truth, low, high)
                if at is not None:
                    numbers |= {at - 1, at}
                    if at < high and truth(at) is not truth(high):
                        todo.append((at, high))
    return [scale.value(n) for n in sorted(numbers)]


class DateLine:
    """Where some comparisons change, on the line of the first date, for one value of the second after the other."""

    def __init__(self, edges: Sequence[Edge], kind: str, zone: tzinfo | None, calendar: Calendar, moving: bool) -> None:
        self.edges, self.calendar, self.moving = edges, calendar, moving
        self.scale = Scale(kind, zone)
        self._sides: dict[s.Node, Code] = {}
        self.codes = [self._comparison(edge.tree) for edge in edges]
        self.reach = [reach_of(edge.tree) * self.scale.step for edge in edges]
        self._ends: list[tuple[Truth, Truth] | None] = [None] * len(edges)
        self._offsets: list[list[int]] = [[] for _ in edges]  # how far off an edge was before, the last first

    def _comparison(self, tree: s.Compare) -> Code:
        left, right, test = self._side(tree.left), self._side(tree.right), v.COMPARE[tree.op]
        return lambda scope: test(left(scope), right(scope))

    def _side(self, tree: s.Node) -> Code:
        """One side of a comparison, worked out once for each value that it asks for: many comparisons share it, and days return."""
        if tree not in self._sides:
            code = compile_expression(tree)
            nodes = list(s.walk(tree))
            if ONE not in nodes:
                self._sides[tree] = _once(code, f"$side{len(self._sides)}")
            elif not self.scale.moments and not any(isinstance(n, s.Call) or (isinstance(n, s.Name) and n != ONE) for n in nodes):
                self._sides[tree] = _for_each_day(code)
            else:
                self._sides[tree] = code
        return self._sides[tree]

    def edges_at(self, other: Value) -> list[int | None]:
        """Where each edge lies; None for one that lies nowhere."""
        scope, at = scope_of(self.calendar, (None, other), self.moving), self.scale.number(other)
        return [self._edge(i, scope, at) for i in range(len(self.edges))]

    def _edge(self, i: int, scope: Scope, at: int) -> int | None:
        truth = truth_along(self.codes[i], scope, self.scale)
        low, high = max(self.scale.first, at - self.reach[i]), min(self.scale.last, at + self.reach[i])
        ends = self._ends[i]
        if ends is None or low == self.scale.first or high == self.scale.last:
            ends = (truth(low), truth(high))
            self._ends[i] = ends if low > self.scale.first and high < self.scale.last else None
        if ends[0] is ends[1]:
            return None
        offsets = self._offsets[i]
        for k, offset in enumerate(offsets):
            guess = at + offset
            if low < guess <= high and truth(guess - 1) is ends[0] and truth(guess) is ends[1]:
                if k:
                    offsets.insert(0, offsets.pop(k))
                return guess
        number = first_change(truth, low, high)
        if number is not None:
            offsets.insert(0, number - at)
            del offsets[8:]
        return number

    def far(self, other: Value) -> list[int]:
        """The first and the last days that there are, and where sums with them begin to have no value."""
        scope, at = scope_of(self.calendar, (None, other), self.moving), self.scale.number(other)
        first, last = self.scale.first, self.scale.last
        places = {first, last}
        for code, reach in zip(self.codes, self.reach, strict=True):
            truth = truth_along(code, scope, self.scale)
            for low, high in ((first, max(first, at - reach)), (min(last, at + reach), last)):
                number = first_change(truth, low, high)
                if number is not None:
                    places |= {number - 1, number}
        return sorted(places)

    def values(self, other: Value) -> list[Value]:
        """Values of the first date for one of the second: some on each side of every edge, and the last that there are."""
        numbers = [n for n in self.edges_at(other) if n is not None]
        some = sorted({*numbers, *(n - 1 for n in numbers)}) or [self.scale.number(other)]
        return [self.scale.value(n) for n in (*some, *self.far(other))]


def _once(code: Code, name: str) -> Code:
    """The code, run once in a scope, which keeps its value under the name."""

    def once(scope: Scope) -> object:
        if name not in scope:
            scope[name] = code(scope)
        return scope[name]

    return once


def _for_each_day(code: Code) -> Code:
    """Code that asks for the first date and nothing else, run once for each."""
    values: dict[date, Value] = {}

    def of_day(scope: Scope) -> object:
        day = scope[ONE.id]
        if day not in values:
            values[day] = code(scope)
        return values[day]

    return of_day


def reach_of(tree: s.Node) -> int:
    """Days beyond which a comparison of two dates no longer changes."""
    days = 40
    for n in s.walk(tree):
        value = n.value if isinstance(n, s.Literal) else None
        if isinstance(value, v.Months):
            days += 31 * abs(value.months) + 3
        elif isinstance(value, timedelta):
            days += abs(value).days + 2
        elif isinstance(value, v.WorkingDays):
            days += 3 * abs(value.days) + 20
        elif isinstance(value, v.WorkingHours):
            days += int(3 * abs(value.hours)) + 20
        elif v.is_number(value):
            days += int(min(2 * abs(value), 100_000)) + 10
    return days


@lru_cache(maxsize=8_192)
def values_beside(
    edges: tuple[Edge, ...], kind: str, calendar: Calendar, moving: bool, other: object, zone: tzinfo | None, fold: int
) -> tuple[object, ...]:
    """`DateLine.values` of one second date, which many boxes ask for; two moments that are equal may have another `zone` or `fold`."""
    return tuple(DateLine(edges, kind, zone, calendar, moving).values(other))
