"""A row of a table of columns, whose fields are read when they are asked for, and what reads a column value by value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from roe.dynamic import Value
from roe.evaluator.row import Row
from roe.plan.operators import Fill

if TYPE_CHECKING:
    from roe.columns.column import Column
    from roe.columns.table import RecordTable
    from roe.columns.world import ColumnWorld


class TableRow(Row):
    """A row of a table: its fields are read from the columns when they are asked for."""

    __slots__ = ("at",)
    at: int
    world: ColumnWorld

    def __init__(self, entity: str, world: ColumnWorld, at: int) -> None:
        super().__init__(entity, world, {})
        self.at = at

    def __bool__(self) -> bool:  # a dict that nobody has read from is empty, and a record all the same
        return True

    @property
    def _table(self) -> RecordTable:
        return self.world.tables[self.entity]

    @property
    def label(self) -> str:
        return str(self["name"] or self.written)

    def is_filled(self, step: Fill) -> bool:
        table = self._table
        entity = self.world.policy.model.entities[self.entity][step.name].type.entity
        return bool(table.reference(step.name, entity).at[self.at] < 0)

    def stored(self) -> Iterable[tuple[str, Value]]:
        return self._table.stored_at(self.at)

    @property
    def written(self) -> str:
        return self._table.written(self.at)


def place_of(row: Row | None) -> int:
    """Where a record stands in its table; -1 for none."""
    if row is None:
        return -1
    assert isinstance(row, TableRow)
    return row.at


class OneByOne:
    """A column that is read here and there: one by one at first, then in blocks."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.block: dict[int, list[Value]] = {}
        self.alone = column.n >> 6  # so many are read before there are blocks

    def __getitem__(self, at: int) -> Value:
        if self.alone > 0:
            self.alone -= 1
            return self.column.one(at)
        start = at >> 6
        values = self.block.get(start)
        if values is None:
            rows = np.arange(start << 6, min(self.column.n, (start + 1) << 6))
            values = self.block[start] = self.column.take(rows).values()
        return values[at & 63]
