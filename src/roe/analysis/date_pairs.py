"""Pairs of dates enough to meet every way in which some conditions about both can be true or not.

What differs from one second date to the next is only how far off the days are at which the conditions change, since months have 28 to
31 days: so the second date goes through days enough to meet every pattern of months, leap years and weekdays.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from roe.analysis.date_line import MICROSECOND, DateLine, reach_of
from roe.analysis.dates import DATE, MOMENT, Calendar, Edge
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v

Pair = tuple[Value, Value]
Pairs = tuple[Pair, ...]
MOST_PAIRS = 20_000
MOST_LOOKED_AT = 3_000_000  # conditions times days times times of day
HOLIDAYS = (1990, 2060)  # the years whose holidays are looked at, where working days meet calendar days
CHANGE = timedelta(hours=4)  # twice what clocks are ever changed by


class _Counted:
    """What conditions about two dates count: months, weekdays, working time, and by which functions."""

    def __init__(self, edges: Sequence[Edge]) -> None:
        nodes = [n for edge in edges for n in s.walk(edge.tree)]
        self.spans = [n.value for n in nodes if isinstance(n, s.Literal) and n.value is not None]
        self.functions = {n.function for n in nodes if isinstance(n, s.Call)}
        self.working = {type(x) for x in self.spans if isinstance(x, (v.WorkingDays, v.WorkingHours))}
        self.months = any(isinstance(x, v.Months) for x in self.spans) or "years_and_months_duration" in self.functions
        self.by_week = bool(self.working) or "working_days_between" in self.functions

    def one_working_time_alone(self) -> bool:
        """Whether working days, or working hours, are all that is counted."""
        others = self.months or self.functions or any(isinstance(x, timedelta) and x for x in self.spans)
        return len(self.working) == 1 and not others


@lru_cache(maxsize=512)
def pairs_of(edges: tuple[Edge, ...], kinds: tuple[str, str], moving: bool, calendar: Calendar) -> Pairs | None:
    """Pairs of dates, one for each way in which the edges can lie to each other; None where that cannot be told for certain."""
    counted = _Counted(edges)
    if calendar.holidays and counted.one_working_time_alone() and _alone(edges):
        calendar = Calendar(calendar.zone, "", calendar.hours)  # holidays put all of them off alike: their order stays
    if calendar.holidays and v.WorkingHours in counted.working:
        return None
    days = list(_days(counted, any(_two_units(edge.tree) for edge in edges), _reach(edges), bool(calendar.holidays) and counted.by_week))
    times = _times(counted.spans, calendar) if kinds[1] == MOMENT or (moving and MOMENT in kinds) else [None]
    if len(days) * len(times) * len(edges) > MOST_LOOKED_AT:
        return None
    by_day = counted.months or counted.by_week or "date" in counted.functions or DATE in kinds or _names_today(edges)
    strict = MOMENT in kinds and calendar.zone != "UTC" and by_day
    return _pairs(edges, kinds, moving, calendar, [_joint(day, at) for day in days for at in times], strict)


def _reach(edges: Sequence[Edge]) -> int:
    """Days beyond which no comparison changes any longer."""
    return max((reach_of(edge.tree) for edge in edges), default=0)


def _pairs(
    edges: tuple[Edge, ...], kinds: tuple[str, str], moving: bool, calendar: Calendar, others: list[date], strict: bool
) -> Pairs | None:
    """One pair of dates for every pattern that the edges make over these values of the second date."""
    line = DateLine(edges, kinds[0], UTC, calendar, moving)
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
    margin = CHANGE // MICROSECOND
    return any(b - a <= margin and one != other for (a, one), (b, other) in pairwise(known))


def _extremes(kind: str) -> list[date]:
    """The first and the last days with which conditions can still be asked."""
    first, last = date(1, 1, 3), date(9999, 12, 29)
    if kind == MOMENT:
        return [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in (first, last)]
    return [date.min, date.max - timedelta(days=1), first, date.max]


def _joint(day: date, at: timedelta | None) -> date:
    """A day, or the moment of that day at a time since its midnight in UTC."""
    return day if at is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + at


def _days(counted: _Counted, mixed: bool, reach: int, holidays: bool) -> list[date]:
    """Days enough for every pattern of month lengths and, where they count, weekdays and holidays, as far as the conditions reach.

    The calendar repeats itself every 28 years but for 2100, 2200 and 2300, which are not leap years.
    """
    if holidays:
        return list(_all_days(range(HOLIDAYS[0], HOLIDAYS[1] + 1)))
    by_week = counted.by_week
    if not counted.months:
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


def _times(spans: Sequence[object], calendar: Calendar) -> list[timedelta]:
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
    return sorted({(x + e * MICROSECOND) % day for x in starts for e in (-1, 0, 1)})


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
    return any("today" in s.names(edge.tree) for edge in edges)
