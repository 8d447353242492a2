"""The cells of two dates: pairs of days, one for every way in which some conditions about both can be true or not.

For one day of the second date, the conditions change at a few days of the first, found by bisection; between those they stay as they
are. What differs from day to day is only how far off those days are, since months have 28 to 31 days: so the second date goes through
days enough to meet every pattern of months, leap years and weekdays, and each pattern is looked at once. Nothing about months, clocks or
calendars is written here a second time: the evaluator is asked.

With moments, clocks that change make elapsed hours and wall-clock time differ by up to two hours. In a zone whose clocks change,
conditions whose edges come nearer than that to each other are not put together.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import pairwise
from typing import Any

from roe.analysis.axis import Axis
from roe.analysis.dates import DATE, MOMENT, ONE, Calendar, DateTest, Edge, scope_of
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import Code, compile_expression
from roe.plan.subjects import Truth

Pair = tuple[Any, Any]
MOST_PAIRS = 20_000
HOLIDAYS = (1990, 2060)  # the years whose holidays are looked at, where working days meet calendar days
CHANGE = timedelta(hours=4)  # twice what clocks are ever changed by
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Found = tuple[Pair, ...]


class DateAxis(Axis):
    """The cells of two dates. The value of a cell is a pair of them; in the first cell the first date is missing."""

    __slots__ = ("calendar", "cell_by_truths", "edges", "kinds", "moving", "tests")

    def __init__(self, key: str, tests: list[tuple[int, DateTest]], everything: int, pairs: Sequence[Pair]) -> None:
        first = tests[0][1]
        self.tests, self.calendar, self.moving, self.kinds = tests, first.calendar, first.moving, first.kinds
        self.edges = tuple({edge.tree: edge for _, test in tests for edge in test.edges}.values())
        uses = 0
        for bit, _ in tests:
            uses |= 1 << bit
        self.cell_by_truths: dict[Any, int] = {}
        places: list[tuple[Any, int, bool]] = []
        for pair in pairs:
            truths = self._truths(pair)
            if truths not in self.cell_by_truths:
                self.cell_by_truths[truths] = len(places)
                places.append((pair, truths[1] | everything & ~uses, False))
        super().__init__(key, first.subject, places, uses)

    def _truths(self, pair: Pair) -> tuple[tuple[bool, bool], int]:
        """Which of the two are missing, and the tests that are true."""
        true = 0
        for bit, test in self.tests:
            if test.condition(pair) is True:
                true |= 1 << bit
        return (pair[0] is None, pair[1] is None), true

    def ordered(self) -> bool:
        return False

    def cell_of(self, value: Any) -> int | None:
        return self.cell_by_truths.get(self._truths(tuple(value))) if isinstance(value, (list, tuple)) and len(value) == 2 else None

    def missing(self, which: int) -> int:
        """The cells in which the first (0) or the second (1) of the two dates is missing."""
        return sum(1 << i for i, pair in enumerate(self.values) if pair[which] is None)

    def at(self, other: Any, cells: int) -> Iterator[Any]:
        """Values of the first date in some of the cells, where the second has this value."""
        if cells & self.missing(0):
            yield None
        zone = other.tzinfo if isinstance(other, datetime) else None
        for one in _Line(self.edges, self.kinds[0], zone, self.calendar, self.moving).values(other):
            cell = self.cell_of((one, other))
            if cell is not None and cells >> cell & 1:
                yield one


def date_axis(key: str, tests: list[tuple[int, DateTest]], everything: int) -> DateAxis | None:
    """The axis of all tests of two dates; None where their cells cannot be told for certain."""
    first = tests[0][1]
    if any(test.calendar != first.calendar for _, test in tests):  # two versions of a policy, with another calendar each
        return None
    edges = tuple(sorted({edge.tree: edge for _, test in tests for edge in test.edges}.values(), key=lambda edge: sorted(edge.key)))
    pairs = pairs_of(edges, first.kinds, first.moving, first.calendar)
    return None if pairs is None else DateAxis(key, tests, everything, pairs)


# --- a line of days, or of moments ----------------------------------------------------------------------------------


class _Scale:
    """Dates as whole numbers: days, or microseconds of a zone."""

    def __init__(self, kind: str, zone: tzinfo | None) -> None:
        self.moments, self.zone = kind == MOMENT, zone or UTC
        self.step = 86_400_000_000 if self.moments else 1  # a day
        self.first = self.number(datetime(1, 1, 3, tzinfo=UTC) if self.moments else date.min)
        self.last = self.number(datetime(9999, 12, 29, tzinfo=UTC) if self.moments else date.max)

    def number(self, at: date) -> int:
        if not self.moments:
            return at.toordinal()
        moment = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=self.zone)
        return (moment - _EPOCH) // _MICROSECOND

    def value(self, number: int) -> Any:
        if not self.moments:
            return date.fromordinal(number)
        return (_EPOCH + timedelta(microseconds=number)).astimezone(self.zone)


def _truth(code: Code, scope: dict[str, Any], scale: _Scale) -> Callable[[int], Truth]:
    def at(number: int) -> Truth:
        scope["$one"] = scale.value(number)
        found = code(scope)
        return found if isinstance(found, bool) else None

    return at


def _change(truth: Callable[[int], Truth], low: int, high: int) -> int | None:
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
    from roe.grammar.closures import CLOCK

    scale = _Scale(DATE, None)
    found: set[int] = set()
    for code in codes:
        truth = _truth(code, {CLOCK: clock}, scale)
        inside = (scale.first, *range(date(1900, 1, 1).toordinal(), date(2200, 1, 1).toordinal(), 36_000), scale.last)
        for low, high in pairwise(inside):
            todo = [(low, high)]
            while todo:
                low, high = todo.pop()
                at = _change(truth, low, high)
                if at is not None:
                    found |= {at - 1, at}
                    if at < high and truth(at) is not truth(high):
                        todo.append((at, high))
    return [scale.value(n) for n in sorted(found)]


# --- the days that are looked at ------------------------------------------------------------------------------------


class _Line:
    """Where some comparisons change, on the line of the first date, for one value of the second after the other."""

    def __init__(self, edges: Sequence[Edge], kind: str, zone: tzinfo | None, calendar: Calendar, moving: bool) -> None:
        self.edges, self.calendar, self.moving = edges, calendar, moving
        self.scale = _Scale(kind, zone)
        self._sides: dict[s.Node, Code] = {}
        self.codes = [self._comparison(edge.tree) for edge in edges]
        self.reach = [_reach(edge.tree) * self.scale.step for edge in edges]
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

    def edges_at(self, other: Any) -> list[int | None]:
        """Where each edge lies; None for one that lies nowhere."""
        scope, at = scope_of(self.calendar, (None, other), self.moving), self.scale.number(other)
        return [self._edge(i, scope, at) for i in range(len(self.edges))]

    def _edge(self, i: int, scope: dict[str, Any], at: int) -> int | None:
        truth = _truth(self.codes[i], scope, self.scale)
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
        number = _change(truth, low, high)
        if number is not None:
            offsets.insert(0, number - at)
            del offsets[8:]
        return number

    def far(self, other: Any) -> list[int]:
        """The first and the last days that there are, and where sums with them begin to have no value."""
        scope, at = scope_of(self.calendar, (None, other), self.moving), self.scale.number(other)
        first, last = self.scale.first, self.scale.last
        places = {first, last}
        for code, reach in zip(self.codes, self.reach, strict=True):
            truth = _truth(code, scope, self.scale)
            for low, high in ((first, max(first, at - reach)), (min(last, at + reach), last)):
                number = _change(truth, low, high)
                if number is not None:
                    places |= {number - 1, number}
        return sorted(places)

    def values(self, other: Any) -> list[Any]:
        """Values of the first date for one of the second: some on each side of every edge, and the last that there are."""
        numbers = [n for n in self.edges_at(other) if n is not None]
        some = sorted({*numbers, *(n - 1 for n in numbers)}) or [self.scale.number(other)]
        return [self.scale.value(n) for n in (*some, *self.far(other))]


def _once(code: Code, name: str) -> Code:
    """The code, run once in a scope, which keeps its value under the name."""

    def once(scope: dict[str, Any]) -> Any:
        if name not in scope:
            scope[name] = code(scope)
        return scope[name]

    return once


def _for_each_day(code: Code) -> Code:
    """Code that asks for the first date and nothing else, run once for each."""
    values: dict[Any, Any] = {}

    def of_day(scope: dict[str, Any]) -> Any:
        day = scope[ONE.id]
        if day not in values:
            values[day] = code(scope)
        return values[day]

    return of_day


def _reach(tree: s.Node) -> int:
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


@lru_cache(maxsize=512)
def pairs_of(edges: tuple[Edge, ...], kinds: tuple[str, str], moving: bool, calendar: Calendar) -> Found | None:
    """Pairs of dates, one for each way in which the edges can lie to each other; None where that cannot be told for certain."""
    moments = MOMENT in kinds
    spans = [n.value for edge in edges for n in s.walk(edge.tree) if isinstance(n, s.Literal) and n.value is not None]
    counted = {n.function for edge in edges for n in s.walk(edge.tree) if isinstance(n, s.Call)}
    months = any(isinstance(x, v.Months) for x in spans) or "years_and_months_duration" in counted
    working = [x for x in spans if isinstance(x, (v.WorkingDays, v.WorkingHours))]
    by_week = bool(working) or "working_days_between" in counted
    plain = not months and not any(isinstance(x, timedelta) and x for x in spans) and not counted
    if by_week and calendar.holidays and plain and len({type(x) for x in working}) == 1 and _alone(edges):
        calendar = Calendar(calendar.zone, "", calendar.hours)  # holidays put all of them off alike: their order stays
    if any(isinstance(x, v.WorkingHours) for x in spans) and calendar.holidays:
        return None
    mixed = any(_two_units(edge.tree) for edge in edges)
    reach = max((_reach(edge.tree) for edge in edges), default=0)
    days = list(_days(months, by_week, mixed, reach, bool(calendar.holidays) and by_week))
    strict = moments and calendar.zone != "UTC" and (months or by_week or "date" in counted or DATE in kinds or _names_today(edges))
    times = _times(spans, calendar) if moments and (kinds[1] == MOMENT or moving) else [None]
    if len(days) * len(times) * len(edges) > 3_000_000:
        return None
    return _pairs(edges, kinds, moving, calendar, [_joint(day, at) for day in days for at in times], strict)


def _pairs(
    edges: tuple[Edge, ...], kinds: tuple[str, str], moving: bool, calendar: Calendar, others: list[date], strict: bool
) -> Found | None:
    """One pair of dates for every pattern that the edges make over these values of the second date."""
    line = _Line(edges, kinds[0], UTC, calendar, moving)
    scale = line.scale
    pairs: dict[Pair, None] = {(None, others[0]): None}
    if not moving:
        pairs |= {(scale.value(scale.number(others[0])), None): None, (None, None): None}
        others = [*others, *_extremes(kinds[1])]
    seen: set[tuple[int | None, ...]] = set()
    for other in others:
        numbers, at = line.edges_at(other), scale.number(other)
        pattern = tuple(None if n is None else n - at for n in numbers)
        if pattern in seen:
            continue
        seen.add(pattern)
        if strict and _near(edges, numbers):
            return None
        pairs |= {(scale.value(n), other): None for n in _pieces(numbers, at) if scale.first <= n <= scale.last}
        if len(pairs) > MOST_PAIRS:
            return None
    for other in (others[0], *(others[-2:] if not moving else ())):
        pairs |= {(scale.value(n), other): None for n in line.far(other)}
    return tuple(pairs)


def _pieces(numbers: Iterable[int | None], at: int) -> list[int]:
    known = sorted({n for n in numbers if n is not None})
    return [known[0] - 1, *known] if known else [at]


def _near(edges: Sequence[Edge], numbers: Sequence[int | None]) -> bool:
    """Whether edges of different comparisons lie so near that a change of the clocks could put them the other way round."""
    known = sorted((n, sorted(edge.key)) for n, edge in zip(numbers, edges, strict=True) if n is not None)
    margin = CHANGE // _MICROSECOND
    return any(b - a <= margin and one != other for (a, one), (b, other) in pairwise(known))


def _extremes(kind: str) -> list[Any]:
    first, last = date(1, 1, 3), date(9999, 12, 29)
    if kind == MOMENT:
        return [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, last)]
    return [date.min, date.max - timedelta(days=1), first, date.max]


def _joint(day: date, at: timedelta | None) -> Any:
    return day if at is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + at


def _days(months: bool, by_week: bool, mixed: bool, reach: int, holidays: bool) -> list[date]:
    """Days enough for every pattern of month lengths and, where they count, weekdays and holidays, as far as the conditions reach.

    The calendar repeats itself every 28 years but for 2100, 2200 and 2300, which are not leap years.
    """
    if holidays:
        return list(_all_days(range(HOLIDAYS[0], HOLIDAYS[1] + 1)))
    if not months:
        return [date(2026, 1, 1) + timedelta(days=i) for i in range(14 if by_week else 1)]
    years = reach // 365 + 1
    turns = {y for turn in ((2100, 2200, 2300) if by_week else (2100,)) for y in range(turn - years - 4, turn + years + 5)}
    known: dict[object, date] = {}
    lengths: dict[tuple[int, int], tuple[int, ...]] = {}
    for day in _all_days(sorted({*range(2001, 2029 if by_week else 2005), *turns})):
        if not mixed and not by_week and 1 < day.day < 27:
            continue
        month = (day.year, day.month)
        if month not in lengths:
            lengths[month] = _lengths(*month, reach // 28 + 2)
        known.setdefault((day.day, lengths[month], day.weekday() if by_week else 0), day)
    return list(known.values())


def _lengths(year: int, month: int, around: int) -> tuple[int, ...]:
    """How long the months around one are."""
    months = (divmod(year * 12 + month - 1 + i, 12) for i in range(-around, around + 1))
    return tuple(monthrange(y, m + 1)[1] for y, m in months)


def _all_days(years: Iterable[int]) -> Iterator[date]:
    for year in years:
        first = date(year, 1, 1)
        yield from (first + timedelta(days=i) for i in range((date(year + 1, 1, 1) - first).days))


def _times(spans: Sequence[Any], calendar: Calendar) -> list[timedelta]:
    """Times of day between which the edges move together: midnight, and what is a whole number of days from it by some span."""
    day = timedelta(days=1)
    starts = {timedelta(), timedelta(hours=12)}
    for x in spans:
        if isinstance(x, timedelta):
            starts |= {x % day, -x % day}
    if any(isinstance(x, (v.WorkingHours, v.WorkingDays)) for x in spans):
        opens, closes = (timedelta(hours=t.hour, minutes=t.minute) for t in calendar.hours)
        starts |= {opens, closes}
        for x in spans:
            if isinstance(x, v.WorkingHours):
                rest = timedelta(hours=abs(x.hours)) % (closes - opens)
                starts |= {opens + rest, closes - rest}
    return sorted({(x + e * _MICROSECOND) % day for x in starts for e in (-1, 0, 1)})


def _two_units(tree: s.Node) -> bool:
    """Whether months meet days in one comparison, or stand on both sides: then any day of a month can be special."""
    kinds = [type(n.value) for n in s.walk(tree) if isinstance(n, s.Literal) and n.value]
    return len(kinds) > 1 or any(isinstance(n, s.Call) for n in s.walk(tree))


def _alone(edges: Sequence[Edge]) -> bool:
    """Whether in every comparison working time is added to the second date, and nothing to the first."""
    for edge in edges:
        for side in (edge.tree.left, edge.tree.right):
            if side != s.Name("$one") and any(n == s.Name("$one") for n in s.walk(side)):
                return False
    return True


def _names_today(edges: Sequence[Edge]) -> bool:
    return any(isinstance(n, s.Name) and n.id == "today" for edge in edges for n in s.walk(edge.tree))
