"""Several axes as one, whose cells are the combinations that can occur; see `together.py`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_

from roe.analysis.axis import Axis
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.printer import show
from roe.plan.bitsets import bits


class JoinedAxis(Axis):
    """Several axes as one. The value of a cell is the cells of the others; `parts` are those."""

    __slots__ = ("cell_by_parts", "parts")

    def __init__(self, parts: Sequence[Axis], cells: Sequence[tuple[int, ...]]) -> None:
        self.parts = tuple(parts)
        self.cell_by_parts = {own: i for i, own in enumerate(cells)}
        trues = [reduce(and_, (axis.true[c] for axis, c in zip(parts, own, strict=True))) for own in cells]
        uses = 0
        for axis in parts:
            uses |= axis.uses
        node = s.ListOf(tuple(axis.node for axis in parts))
        super().__init__(show(node), node, [(own, true, False) for own, true in zip(cells, trues, strict=True)], uses)

    def ordered(self) -> bool:
        return False

    def cell_of(self, value: Value) -> int | None:
        if not isinstance(value, (list, tuple)) or len(value) != len(self.parts):
            return None
        cells = [axis.cell_of(x) for axis, x in zip(self.parts, value, strict=True)]
        return self.cell_by_parts.get(tuple(c for c in cells if c is not None))


def apart(needed: Sequence[tuple[Axis, int]], most: int) -> Iterator[list[tuple[Axis, int]]]:
    """Cells of some axes as cells of axes that are not put together: several ways, in each of which any cells may be taken."""
    joined = [(axis, cells) for axis, cells in needed if isinstance(axis, JoinedAxis)]
    plain = [(axis, cells) for axis, cells in needed if not isinstance(axis, JoinedAxis)]
    ways = itertools.product(*(itertools.islice(bits(cells), most) for _, cells in joined))
    for way in itertools.islice(ways, most):
        own = [
            (part, 1 << c)
            for (axis, _), cell in zip(joined, way, strict=True)
            for part, c in zip(axis.parts, axis.values[cell], strict=True)
        ]
        yield [*plain, *own]
