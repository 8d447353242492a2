"""The records of one entity in one role, and those of them that wait for a pool: all that the turns of pools ask of a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import Column, Lists, OwnersColumn, Refs
from roe.columns.row import place_of
from roe.columns.staffed import StaffedOwners
from roe.columns.table import RecordTable
from roe.columns.vector import Frame
from roe.columns.world import ColumnWorld
from roe.dynamic import Array
from roe.plan.outcome import Outcome

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound


class RoleRows:
    """`previous` is today's owner of each record as a row of the rep table, -1 for nobody; `waiting` are rows with the outcome that asks a pool."""

    def __init__(self, bound: Bound, table: RecordTable, role: str) -> None:
        self.bound, self.table, self.role = bound, table, role
        assert isinstance(bound.world, ColumnWorld)
        self.world: ColumnWorld = bound.world
        self.steps = bound.evaluator.compiled.role(table.entity, role)
        owner = table.owner(role)
        self.previous = owner.at[: table.listed].astype(np.int64) if isinstance(owner, Refs) else np.full(table.listed, -1, np.int64)
        self.waiting: list[tuple[Array, Outcome]] = []

    def frame(self, rows: Array) -> Frame:
        """The role's records at some rows."""
        return self.table.frame if self._is_all(rows) else self._frame_of(rows, {})

    def _is_all(self, rows: Array) -> bool:
        return len(rows) == self.table.n and bool((rows == np.arange(len(rows))).all())

    def _frame_of(self, rows: Array, names: Mapping[str, Column]) -> Frame:
        records = Refs(self.table.entity, rows.astype(np.int32), self.world, every=self._is_all(rows))
        return Frame(self.world, len(rows), {self.table.entity: records, **names}, (records,))

    def assignee(self, rows: Array, values: Column) -> Array:
        """The reps whom the values of an `assign` mean."""
        if isinstance(values, OwnersColumn):
            values = self.table.frame.field(values, self.role)
        if isinstance(values, StaffedOwners):
            values = values.role(self.role)
        if isinstance(values, Refs):
            return values.at.astype(np.int64)
        if isinstance(values, Lists):
            return np.full(len(rows), -1)
        codes, meaning = values.encode()
        reps = [self.world.assignee(x, self.role) for x in meaning.list]
        return np.array([place_of(rep) for rep in reps], np.int64)[codes]
