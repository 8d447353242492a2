"""One subject of some rules as an axis: its cells, a value of each, and the alternatives that are true there. Sets are bits of integers.

Thousands of rules cut a number into tens of thousands of cells, and a box holds hundreds of neighbours. What is true somewhere, or
everywhere, in such a run is not worked out cell by cell: it is kept for blocks of cells, pairs of blocks, pairs of pairs and so on, and
a run is put together from a few of those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.bitsets import bits, runs
from roe.plan.cells import ELSE
from roe.plan.subjects import key_of

BLOCK = 8  # cells whose sets are put together one by one
MOST_KEPT = 4096  # sets of cells whose answers an axis keeps


class Spans:
    """Sets over the cells of an axis, joined by `join` (`or_` or `and_`) over any run of cells.

    `levels[0]` has the join of each block, and each level after it has the joins of pairs of the level before.
    """

    __slots__ = ("join", "levels", "sets")

    def __init__(self, sets: Sequence[int], join: Callable[[int, int], int]) -> None:
        self.sets, self.join = sets, join
        blocks = [reduce(join, sets[i : i + BLOCK]) for i in range(0, len(sets) - BLOCK + 1, BLOCK)]
        self.levels = [blocks] if blocks else []
        while self.levels and len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append([join(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def of(self, first: int, last: int, joined: int) -> int:
        """`joined` with the sets of the cells from the first to the last."""
        join, end = self.join, last + 1
        low, high = -(-first // BLOCK), end // BLOCK  # whole blocks
        if low >= high:
            return reduce(join, self.sets[first:end], joined)
        joined = reduce(join, self.sets[first : low * BLOCK], joined)
        joined = reduce(join, self.sets[high * BLOCK : end], joined)
        for level in self.levels:
            if low >= high:
                break
            if low & 1:
                joined = join(joined, level[low])
                low += 1
            if high & 1:
                high -= 1
                joined = join(joined, level[high])
            low, high = low >> 1, high >> 1
        return joined


class Axis:
    """The cells of one subject: a value from each, and the alternatives that are true there."""

    __slots__ = (
        "_all", "_any", "_everywhere", "_held", "_holding", "_somewhere", "full", "key", "node", "points", "true", "uses", "values",
    )  # fmt: skip

    def __init__(
        self, key: str, node: s.Node, places: Sequence[tuple[Value, int, bool]], uses: int, groups: dict[Value, int] | None = None
    ) -> None:
        self.key, self.node, self.uses = key, node, uses
        self.values = [value for value, _, _ in places]
        self.true = [true for _, true, _ in places]
        self.points = {key_of(value): i for i, (value, _, alone) in enumerate(places) if alone}
        if groups is not None:  # whose first stand for the others, after null
            self.points |= {key: 1 + group for key, group in groups.items()}
        self.full = (1 << len(places)) - 1
        self._holding: dict[int, int] | None = None
        self._any: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._all: dict[int, int] = {}
        self._somewhere: Spans | None = None
        self._everywhere: Spans | None = None

    def any(self, cells: int) -> int:
        """The alternatives that are true in some of the cells."""
        joined = self._any.get(cells)
        if joined is None:
            if self._somewhere is None:
                self._somewhere = Spans(self.true, or_)
            joined = self._joined(self._somewhere, cells, 0)
            if cells == self.full or len(self._any) < MOST_KEPT:
                self._any[cells] = joined
        return joined

    def all(self, cells: int) -> int:
        """The alternatives that are true in each of the cells."""
        joined = self._all.get(cells)
        if joined is None:
            if self._everywhere is None:
                self._everywhere = Spans(self.true, and_)
            joined = self._joined(self._everywhere, cells, -1)
            if cells == self.full or len(self._all) < MOST_KEPT:
                self._all[cells] = joined
        return joined

    @staticmethod
    def _joined(spans: Spans, cells: int, joined: int) -> int:
        for first, last in runs(cells):
            joined = spans.of(first, last, joined)
        return joined

    def holding(self, bit: int) -> int:
        """The cells in which an alternative is true."""
        if not self.uses >> bit & 1:
            return self.full
        if self._holding is None:
            self._holding = self._cells_of()
        return self._holding.get(bit, 0)

    def _cells_of(self) -> dict[int, int]:
        """The cells of each alternative that tests this axis, from those cells alone where it begins or ends to be true."""
        began: dict[int, int] = {}
        cells: dict[int, int] = {}
        before = 0
        for i, true in enumerate([*self.true, 0]):
            true &= self.uses
            for b in bits(true ^ before):
                if b in began:
                    cells[b] = cells.get(b, 0) | (1 << i) - (1 << began.pop(b))
                else:
                    began[b] = i
            before = true
        return cells

    def held_by(self, among: int) -> int:
        """The cells in which some of these alternatives are true, of those that test this axis."""
        cells = self._held.get(among)
        if cells is None:
            cells = 0
            for bit in bits(among):
                cells |= self.holding(bit)
            if len(self._held) < 1024:
                self._held[among] = cells
        return cells

    def ordered(self) -> bool:
        """Whether the cells after the first, which is null, stand in the order of their values."""
        return ELSE not in self.values and key_of(True) not in self.points

    def cell_of(self, value: Value) -> int | None:
        """The cell of a value; None if it can be in none, such as a number among texts."""
        if isinstance(value, (dict, list)):  # a record: it is there, and no constant
            return len(self.values) - 1 if self.values[-1] is ELSE else None
        cell = self.points.get(key_of(value))
        if cell is not None or value is None:
            return cell
        if not self.ordered():
            return len(self.values) - 1 if self.values[-1] is ELSE else None
        for i, other in enumerate(self.values[1:], 1):
            less = True if i + 1 == len(self.values) else v.less(value, other if key_of(other) in self.points else self.values[i + 1])
            if less is None:
                return None
            if less and key_of(other) not in self.points:
                return i
        return None
