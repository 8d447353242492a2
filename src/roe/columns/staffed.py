"""The owners that a step gives by role, where the staffing of territories names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import ByRow, Column, Constant, Refs
from roe.columns.row import place_of
from roe.dynamic import Array, Value
from roe.evaluator.able import staffed
from roe.evaluator.row import OwnersOfRow
from roe.plan.operators import Derive

if TYPE_CHECKING:
    from roe.columns.table import RecordTable


class StaffedOwners(Column):
    """A step that reads other steps as one record of owners."""

    def __init__(self, table: RecordTable, step: Derive, at: Array) -> None:
        self.table, self.step, self.at = table, step, at
        self.group = step.group or {}

    @property
    def n(self) -> int:  # type: ignore[override]
        return len(self.at)

    def role(self, role: str) -> Column:
        name = self.group.get(role)
        if name is None:
            return Constant(None, self.n)
        world = self.table.world
        key = (self.table.entity, f"{name}\0rep")
        owners = world.references.get(key)
        if owners is None:
            texts = self.table.column(name)
            named = world.refer(texts, "rep", self.table.n, None)
            owner = self.table.owner(role)
            holder = owner.at if isinstance(owner, Refs) else np.full(self.table.n, -1, np.int32)
            n = world.tables["rep"].n + 1
            pairs, codes = np.unique((named.at.astype(np.int64) + 1) * n + holder + 1, return_inverse=True)
            rows = [[world.rep_row(i - 1) if i else None for i in divmod(pair, n)] for pair in pairs.tolist()]
            reps = [staffed(world, self.step, role, *pair) for pair in rows]
            stand_in = np.array([place_of(rep) for rep in reps], np.int32)
            owners = Refs("rep", stand_in[codes] if len(reps) else named.at, world)
            world.references[key] = owners
        return owners.take(self.at)

    def take(self, at: Array) -> Column:
        if (at < 0).any():
            raise ByRow
        return StaffedOwners(self.table, self.step, self.at[at])

    def values(self) -> list[Value]:
        roles = {role: self.role(role).values() for role in self.group}
        return [OwnersOfRow({role: roles[role][i] for role in roles}) for i in range(self.n)]
