"""Taking turns, exactly: who is next among reps with weights, and what a rep who was skipped is owed.

Turns follow the quota method of Balinski and Young ("The Quota Method of Apportionment", American Mathematical Monthly
82, 1975), told in *credit*: at every turn each rep gains their share of it (weight / sum of the weights), and the one who
takes it pays one. Of the reps whose credit is then above zero, the next is the one who would first be owed a whole turn.
With fixed weights and nobody skipped every credit stays between -1 and 1: each rep's count is within one of the exact
share at every prefix. Round robin is the case of equal weights. Ties go by the rep's id.

Whoever is skipped goes on gaining credit, up to a limit: that is the debt, and it comes first once the rep is able again.
Among those who are able, credit is compared as if it were level (its sum spread by weight), so that one rep who joins,
leaves or waits changes nothing between the others.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from operator import itemgetter

from roe.dynamic import Value

LARGEST = 10**15  # of the denominators that credit is counted in; beyond it, credit is rounded
FINE = 1000  # units of a whole turn that each unit of weight is worth at least, where shares are rounded


@dataclass(frozen=True, slots=True)
class Seat:
    """A rep in a turn: the weight, and why the rep cannot take it; `owed` if the turn is made up for later."""

    rep: str
    weight: Fraction
    skipped: str = ""
    owed: bool = False

    def __hash__(self) -> int:
        return hash((self.rep, self.skipped))  # that of a fraction takes ten times as long

    def as_json(self) -> list[Value]:
        return [self.rep, str(self.weight), self.skipped, self.owed]


class Standing:
    """Who takes part in a turn, in the order of their ids; weights become whole numbers without a common divisor."""

    def __init__(self, seats: Iterable[Seat]) -> None:
        self.seats = tuple(seats)
        ratios = [s.weight.as_integer_ratio() for s in self.seats]
        scale = math.lcm(*{d for _, d in ratios})
        whole = [n * (scale // d) for n, d in ratios]
        common = math.gcd(*whole) or 1
        shares = [(s.rep, w // common, s) for s, w in zip(self.seats, whole, strict=True)]
        self.able = [(rep, w) for rep, w, s in shares if not s.skipped]
        self.total = sum(w for _, w in self.able)
        self.owed = [(rep, w) for rep, w, s in shares if s.skipped and s.owed]
        self.reps, self.weights = tuple(rep for rep, _ in self.able), tuple(w for _, w in self.able)
        self.is_even = len(set(self.weights)) < 2  # whether all of the able have one weight
        common = math.lcm(*set(self.weights))
        self.fewer: dict[tuple[tuple[str, str], ...], Standing] = {}  # by reps and reasons, the standing for records that these cannot take
        self.slowness = [common // w for w in self.weights]  # of each of the able, in proportion to the time between two turns

    @cached_property
    def pick(self) -> Callable[[Mapping[str, int]], tuple[int, ...]]:
        """What each of the able has, in their order; raises KeyError if one has nothing there."""
        first, *others = self.reps
        return itemgetter(*self.reps) if others else lambda units: (units[first],)

    @cached_property
    def able_reps(self) -> frozenset[str]:
        return frozenset(rep for rep, _ in self.able)

    def without(self, reps: Mapping[str, str]) -> list[Seat]:
        """The seats for one record that some reps cannot take, by their reasons: nobody owes them that turn."""
        return [Seat(s.rep, s.weight, reps[s.rep]) if s.rep in reps and not s.skipped else s for s in self.seats]


class Ledger:
    """The credit of each rep of a pool, as whole units of 1 / `scale` of a turn. No debt grows beyond `limit` turns."""

    def __init__(self, limit: int, credits: Mapping[str, Fraction] | None = None) -> None:
        self.limit = limit
        given = credits or {}
        self.scale = math.lcm(*(c.denominator for c in given.values()))
        self.units = {rep: c.numerator * (self.scale // c.denominator) for rep, c in given.items()}

    def copy(self) -> Ledger:
        other = Ledger(self.limit)
        other.scale, other.units = self.scale, dict(self.units)
        return other

    def credit(self, rep: str) -> Fraction:
        return Fraction(self.units.get(rep, 0), self.scale)

    def credits(self) -> dict[str, Fraction]:
        return {rep: Fraction(n, self.scale) for rep, n in sorted(self.units.items()) if n}

    def written(self) -> dict[str, str]:
        """The credits as texts, such as 1/3."""
        texts = {}
        for rep, n in sorted(self.units.items()):
            if n:
                common = math.gcd(n, self.scale)
                texts[rep] = str(n // common) if common == self.scale else f"{n // common}/{self.scale // common}"
        return texts

    def of(self, standing: Standing) -> tuple[int, ...]:
        """The units of the able, in their order."""
        if not standing.reps:
            return ()
        try:
            return standing.pick(self.units)
        except KeyError:  # of somebody new
            self.units = dict.fromkeys(standing.reps, 0) | self.units
            return standing.pick(self.units)

    def settle(self, standing: Standing, turns: int, taken: Mapping[str, int]) -> None:
        """Book `turns` turns of one standing: everybody's share, and those that each rep took."""
        left = turns
        while left:
            owed = [(rep, w) for rep, w in standing.owed if self.units.get(rep, 0) < self.limit * self.scale]
            total = standing.total + sum(w for _, w in owed)
            self._divide(total)
            able = self.of(standing)
            units, full, step = self.units, self.limit * self.scale, self.scale // total
            now = min([left, *(-(-(full - units.get(rep, 0)) // (w * step)) for rep, w in owed)])
            share = now * step
            for rep, n, w in zip(standing.reps, able, standing.weights, strict=True):
                units[rep] = n + share * w
            for rep, w in owed:
                units[rep] = units.get(rep, 0) + share * w
            left -= now
        for rep, n in taken.items():
            self.units[rep] = self.units.get(rep, 0) - n * self.scale

    def give_back(self, standing: Standing, rep: str) -> None:
        """As if a rep had not taken a turn: the rep is owed it, and those who take part have not earned their shares of it."""
        shares = [*standing.able, *standing.owed]
        total = sum(w for _, w in shares)
        if total:
            self._divide(total)
        for other, w in shares:
            self.units[other] = self.units.get(other, 0) - w * (self.scale // total)
        self.units[rep] = self.units.get(rep, 0) + self.scale

    def _divide(self, total: int) -> None:
        """Make each share of a turn a whole number of units."""
        found = finer(self.scale, total, self.units.values())
        if found is not None:
            common, factor = found
            if found != (1, 1):
                self.scale = self.scale // common * factor
                self.units = {rep: n // common * factor for rep, n in self.units.items()}
        else:
            scale = total * max(1, LARGEST // total)
            self.units = {rep: (2 * n * scale + self.scale) // (2 * self.scale) for rep, n in self.units.items()}
            self.scale = scale


def is_finest(scale: int, total: int) -> bool:
    """Whether shares of a turn are rounded, since the scale cannot grow."""
    return scale > LARGEST // 2 and scale // total >= FINE


def finer(scale: int, total: int, units: Collection[int]) -> tuple[int, int] | None:
    """How to divide a scale, and all units, and by what to multiply them then, so that a share of a turn is a whole number of units.

    Where the scale would grow too large, it is as large as it may be, and shares are rounded down. All are by the same part, so among those who
    take part nothing changes. None if weights are too large for that.
    """
    if scale % total == 0 or is_finest(scale, total):
        return 1, 1
    common, factor = 1, math.lcm(scale, total) // scale
    if scale * factor > LARGEST:
        common = math.gcd(scale, *units)
        scale //= common
        factor = math.lcm(scale, total) // scale
    if scale * factor > LARGEST:
        factor = max(1, LARGEST // scale)
        if scale * factor // total < FINE:
            return None
    return common, factor


class Slots:
    """The turns of one standing from now on, one after the other, without booking them.

    Often somebody else takes part in the turn after the next, so what only a second turn needs is made when it is asked for.
    """

    def __init__(self, standing: Standing, ledger: Ledger) -> None:
        self.able, self.total, self.turn = standing.able, standing.total, 0
        self._scale, self._slowness = ledger.scale, standing.slowness
        self._is_even, self._units = standing.is_even, ledger.of(standing)
        self._level = sum(self._units)
        self.taken = [0] * len(self.able)

    def next(self) -> int:
        """The place of the next rep among the able."""
        self.turn += 1
        if self.turn == 1:
            i = self._first()
            self.taken[i] += 1
            return i
        if self.turn == 2:
            self._prepare()
        while self._soon and self._soon[0][0] <= self.turn:
            i = heapq.heappop(self._soon)[1]
            heapq.heappush(self._ready, (self._due[i], i))
        i = heapq.heappop(self._ready)[1]  # somebody is ready: the credits of the able sum to one
        self.taken[i] += 1
        self._due[i] += self._late[i]
        heapq.heappush(self._soon, (self._from(i), i))
        return i

    def _first(self) -> int:
        """Of those with credit above zero after one turn's share, whoever is first owed a whole turn."""
        if self._is_even:  # whoever has the most credit has more than none, since the credits of the able sum to one
            return self._units.index(max(self._units))
        scale, total, slowness = self._scale, self.total, self._slowness
        rest = scale - self._level
        best, soonest = -1, 0
        for i, (n, (_, w)) in enumerate(zip(self._units, self.able, strict=True)):
            if n * total + w * rest > 0:
                due = (scale - n) * slowness[i]
                if best < 0 or due < soonest:
                    best, soonest = i, due
        return best

    def _prepare(self) -> None:
        """What the second turn and all later ones need."""
        able, total, scale, units = self.able, self.total, self._scale, self._units
        # what each has at the start, in units of 1 / (scale * total) of a turn, and pays for one
        self._start = [n * total - self._level * w for n, (_, w) in zip(units, able, strict=True)]
        self._price = scale * total
        self._gain = [w * scale for _, w in able]
        self._late = [scale * slow for slow in self._slowness]
        # when each is owed a whole turn, in an order that holds at every turn
        self._due = [(scale * (1 + taken) - n) * slow for n, slow, taken in zip(units, self._slowness, self.taken, strict=True)]
        self._ready: list[tuple[int, int]] = []
        self._soon = [(self._from(i), i) for i in range(len(able))]
        heapq.heapify(self._soon)

    def _from(self, i: int) -> int:
        """The turn from which a rep has credit above zero."""
        return (self.taken[i] * self._price - self._start[i]) // self._gain[i] + 1


@dataclass(slots=True)
class TurnHistory:
    """The turns that a pool has taken in a run, in order, from which the pool at any of them is worked out again."""

    limit: int
    credits: Mapping[str, Fraction]
    counts: Mapping[str, int]
    position: int  # turns taken before the run
    unlogged: int = 0  # turns taken in columns before those of the log
    log: list[tuple[Standing, str]] = field(default_factory=list)
    first: int = 0  # which turn the log begins with
    marks: list[tuple[int, Ledger, Counter[str]]] = field(default_factory=list)

    EVERY = 256

    @property
    def taken(self) -> int:
        """How many turns were taken in the run."""
        return self.unlogged + len(self.log)

    def begin(self, index: int, ledger: Ledger, counts: Counter[str]) -> None:
        """Begin the log at a turn before which credit and counts are known."""
        self.first = index
        self.marks = [(index, ledger, counts)]

    def at(self, index: int) -> tuple[Ledger, Counter[str]]:
        """Credit, and turns taken in all, just before one of the turns."""
        if not self.marks:
            self.marks.append((0, Ledger(self.limit, self.credits), Counter(self.counts)))
        while index - self.marks[-1][0] >= self.EVERY:
            last = self.marks[-1]
            self.marks.append(self._on(*last, (last[0] // self.EVERY + 1) * self.EVERY))
        mark = self.marks[bisect_right(self.marks, index, key=lambda mark: mark[0]) - 1]
        return self._on(*mark, index)[1:]

    def _on(self, start: int, ledger: Ledger, counts: Counter[str], until: int) -> tuple[int, Ledger, Counter[str]]:
        ledger, counts = ledger.copy(), counts.copy()
        log = self.log
        while start < until:
            standing, end = log[start - self.first][0], start
            while end < until and log[end - self.first][0] is standing:
                end += 1
            taken = Counter(rep for _, rep in log[start - self.first : end - self.first])
            ledger.settle(standing, end - start, taken)
            counts.update(taken)
            start = end
        return until, ledger, counts
