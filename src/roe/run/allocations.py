"""The columns of allocations.csv: one row each, with its form in rows and in columns.

A new column is a row here. Every engine, format and back end writes the columns of this list, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roe.grammar import values as v

if TYPE_CHECKING:
    import pyarrow as pa

    from roe.evaluator.decision import Decision
    from roe.evaluator.world import World
    from roe.run.columns import DecidedColumns


@dataclass(frozen=True, slots=True)
class AllocationColumn:
    """`cell` is the text of one decision, None where there is nothing; `array` has the texts of all decisions of a portion."""

    name: str
    cell: Callable[[Decision, World], str | None]
    array: Callable[[DecidedColumns], pa.Array]


def _id(rep: str | None, world: World) -> str | None:
    row = world.rep(rep)
    return None if row is None else row.written


def _name(rep: str | None, world: World) -> str | None:
    row = world.rep(rep)
    return None if row is None else row.label


ALLOCATION_COLUMNS = (
    AllocationColumn("entity", lambda d, _: d.entity, lambda a: a.same(a.of.entity)),
    AllocationColumn("record", lambda d, _: d.row.written, lambda a: a.of.table.written_ids),
    AllocationColumn("name", lambda d, _: d.name, lambda a: a.names()),
    AllocationColumn("role", lambda d, _: d.role, lambda a: a.same(a.of.role)),
    AllocationColumn("owner", lambda d, world: _id(d.owner, world), lambda a: a.rep_ids(a.of.owner)),
    AllocationColumn("owner_name", lambda d, world: _name(d.owner, world), lambda a: a.rep_names(a.of.owner)),
    AllocationColumn("previous_owner", lambda d, world: _id(d.previous, world), lambda a: a.rep_ids(a.of.previous)),
    AllocationColumn("previous_owner_name", lambda d, world: _name(d.previous, world), lambda a: a.rep_names(a.of.previous)),
    AllocationColumn("action", lambda d, _: d.action, lambda a: a.actions()),
    AllocationColumn("rule", lambda d, _: d.rule or None, lambda a: a.rules()),
    AllocationColumn("territory", lambda d, _: d.territory, lambda a: a.texts(a.of.territory)),
    AllocationColumn("pool", lambda d, _: d.pool or None, lambda a: a.pools()),
    AllocationColumn("window", lambda d, _: d.window or None, lambda a: a.texts(a.of.window)),
    AllocationColumn("expires", lambda d, _: None if d.until is None else str(v.string(d.until)), lambda a: a.ends()),
    AllocationColumn("reason", lambda d, _: d.reason, lambda a: a.of.reason),
)
ALLOCATIONS = tuple(column.name for column in ALLOCATION_COLUMNS)
