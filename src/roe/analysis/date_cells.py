"""The cells of two dates: pairs of days, one for every way in which some conditions about both can be true or not.

For one day of the second date, the conditions change at a few days of the first, found by bisection; between those they stay as they
are. What differs from day to day is only how far off those days are, since months have 28 to 31 days: so the second date goes through
days enough to meet every pattern of months, leap years and weekdays, and each pattern is looked at once. Nothing about months, clocks or
calendars is written here a second time: the evaluator is asked.

With moments, clocks that change make elapsed hours and wall-clock time differ by up to two hours. In a zone whose clocks change,
conditions whose edges come nearer than that to each other are not put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from roe.analysis.axis import Axis
from roe.analysis.date_line import values_beside
from roe.analysis.date_pairs import Pair, pairs_of
from roe.analysis.dates import DateTest
from roe.dynamic import Value

Truths = tuple[tuple[bool, bool], int]  # which of the two are missing, and a bit for each test that is true


class DateAxis(Axis):
    """The cells of two dates. The value of a cell is a pair of them; in the first cell the first date is missing."""

    __slots__ = ("_bits", "calendar", "cell_by_truths", "edges", "kinds", "moving", "tests")

    def __init__(self, key: str, tests: list[tuple[int, DateTest]], everything: int, pairs: Sequence[Pair]) -> None:
        first = tests[0][1]
        self.tests, self.calendar, self.moving, self.kinds = tests, first.calendar, first.moving, first.kinds
        self.edges = tuple({edge.tree: edge for _, test in tests for edge in test.edges}.values())
        bits: dict[int, int] = {}  # by the identity of a test, which many alternatives share
        for bit, test in tests:
            bits[id(test)] = bits.get(id(test), 0) | 1 << bit
        self._bits = [(test, bits.pop(id(test))) for _, test in tests if id(test) in bits]
        uses = 0
        for _, own in self._bits:
            uses |= own
        self.cell_by_truths: dict[Truths, int] = {}
        places: list[tuple[Value, int, bool]] = []
        for pair in pairs:
            truths = self._truths(pair)
            if truths not in self.cell_by_truths:
                self.cell_by_truths[truths] = len(places)
                places.append((pair, truths[1] | everything & ~uses, False))
        super().__init__(key, first.subject, places, uses)

    def _truths(self, pair: Pair) -> Truths:
        """Which of the two are missing, and the tests that are true."""
        true = 0
        for test, bits in self._bits:
            if test.condition(pair) is True:
                true |= bits
        return (pair[0] is None, pair[1] is None), true

    def ordered(self) -> bool:
        return False

    def cell_of(self, value: Value) -> int | None:
        return self.cell_by_truths.get(self._truths(tuple(value))) if isinstance(value, (list, tuple)) and len(value) == 2 else None

    def missing(self, which: int) -> int:
        """The cells in which the first (0) or the second (1) of the two dates is missing."""
        return sum(1 << i for i, pair in enumerate(self.values) if pair[which] is None)

    def at(self, other: Value, cells: int) -> Iterator[Value]:
        """Values of the first date in some of the cells, where the second has this value."""
        if cells & self.missing(0):
            yield None
        zone, fold = (other.tzinfo, other.fold) if isinstance(other, datetime) else (None, 0)
        for one in values_beside(self.edges, self.kinds[0], self.calendar, self.moving, other, zone, fold):
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
