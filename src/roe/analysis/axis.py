"""One subject of some rules as an axis: its cells, a value of each, and the alternatives that are true there. Sets are bits of integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.bitsets import bits, of_bits
from roe.plan.index import ELSE
from roe.plan.subjects import key_of


class Axis:
    """The cells of one subject: a value from each, and the alternatives that are true there."""

    __slots__ = ("_all", "_any", "_held", "_holding", "full", "key", "node", "points", "true", "uses", "values")

    def __init__(
        self, key: str, node: s.Node, places: Sequence[tuple[Any, int, bool]], uses: int, groups: dict[Any, int] | None = None
    ) -> None:
        self.key, self.node, self.uses = key, node, uses
        self.values = [value for value, _, _ in places]
        self.true = [true for _, true, _ in places]
        self.points = {key_of(value): i for i, (value, _, alone) in enumerate(places) if alone}
        if groups is not None:  # whose first stand for the others, after null
            self.points |= {key: 1 + group for key, group in groups.items()}
        self.full = (1 << len(places)) - 1
        self._holding: dict[int, int] = {}
        self._any: dict[int, int] = {}
        self._held: dict[int, int] = {}
        self._all: dict[int, int] = {}

    def any(self, cells: int) -> int:
        """The alternatives that are true in some of the cells."""
        found = self._any.get(cells)
        if found is None:
            found = 0
            for i in bits(cells):
                found |= self.true[i]
            if cells == self.full or len(self._any) < 4096:
                self._any[cells] = found
        return found

    def all(self, cells: int) -> int:
        """The alternatives that are true in each of the cells."""
        found = self._all.get(cells)
        if found is None:
            found = -1
            for i in bits(cells):
                found &= self.true[i]
            if cells == self.full or len(self._all) < 4096:
                self._all[cells] = found
        return found

    def holding(self, bit: int) -> int:
        """The cells in which an alternative is true."""
        if not self.uses >> bit & 1:
            return self.full
        if not self._holding:
            cells: dict[int, list[int]] = {}
            for i, true in enumerate(self.true):
                for b in bits(true & self.uses):
                    cells.setdefault(b, []).append(i)
            self._holding = {b: of_bits(places) for b, places in cells.items()}
        return self._holding.get(bit, 0)

    def held_by(self, among: int) -> int:
        """The cells in which some of these alternatives are true, of those that test this axis."""
        found = self._held.get(among)
        if found is None:
            found = 0
            for bit in bits(among):
                found |= self.holding(bit)
            if len(self._held) < 1024:
                self._held[among] = found
        return found

    def ordered(self) -> bool:
        """Whether the cells after the first, which is null, stand in the order of their values."""
        return ELSE not in self.values and key_of(True) not in self.points

    def cell_of(self, value: Any) -> int | None:
        """The cell of a value; None if it can be in none, such as a number among texts."""
        if isinstance(value, (dict, list)):  # a record: it is there, and no constant
            return len(self.values) - 1 if self.values[-1] is ELSE else None
        found = self.points.get(key_of(value))
        if found is not None or value is None:
            return found
        if not self.ordered():
            return len(self.values) - 1 if self.values[-1] is ELSE else None
        for i, other in enumerate(self.values[1:], 1):
            less = True if i + 1 == len(self.values) else v.less(value, other if key_of(other) in self.points else self.values[i + 1])
            if less is None:
                return None
            if less and key_of(other) not in self.points:
                return i
        return None
