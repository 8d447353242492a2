"""The columns of allocations.csv: one row each, with its form in rows and in columns.

A new column is a row here, from which `tools/schema.py` writes the schema of a line. Every engine, format and back end writes the columns of this list, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from roe.grammar import values as v
from roe.node import node

if TYPE_CHECKING:
    import pyarrow as pa

    from roe.evaluator.decision import Decision
    from roe.evaluator.world import World
    from roe.run.columns import DecidedColumns


@node
class AllocationColumn:
    """`cell` is the text of one decision, None where there is nothing; `array` has the texts of all decisions of a portion. `form` is what
    `schemas/allocations.schema.json` says of a cell that is not empty; one that is `always` there never is.
    """

    name: str
    cell: Callable[[Decision, World], str | None]
    array: Callable[[DecidedColumns], pa.Array]
    form: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})
    always: bool = False


def _id(rep: str | None, world: World) -> str | None:
    row = world.rep(rep)
    return None if row is None else row.written


def _name(rep: str | None, world: World) -> str | None:
    row = world.rep(rep)
    return None if row is None else row.label


ACTIONS = ("keep", "assign", "route", "open", "hold", "return", "refer", "exception", "unassigned")
ALLOCATION_COLUMNS = (
    AllocationColumn("entity", lambda d, _: d.entity, lambda a: a.same(a.of.entity), always=True),
    AllocationColumn("record", lambda d, _: d.row.written, lambda a: a.own(a.of.table.written_ids), always=True),
    AllocationColumn("name", lambda d, _: d.name, lambda a: a.names()),
    AllocationColumn("role", lambda d, _: d.role, lambda a: a.same(a.of.role), always=True),
    AllocationColumn("owner", lambda d, world: _id(d.owner, world), lambda a: a.rep_ids(a.of.owner)),
    AllocationColumn("owner_name", lambda d, world: _name(d.owner, world), lambda a: a.rep_names(a.of.owner)),
    AllocationColumn("previous_owner", lambda d, world: _id(d.previous, world), lambda a: a.rep_ids(a.of.previous)),
    AllocationColumn("previous_owner_name", lambda d, world: _name(d.previous, world), lambda a: a.rep_names(a.of.previous)),
    AllocationColumn("action", lambda d, _: d.action, lambda a: a.actions(), {"enum": ACTIONS}, always=True),
    AllocationColumn("rule", lambda d, _: d.rule or None, lambda a: a.rules()),
    AllocationColumn("territory", lambda d, _: d.territory or None, lambda a: a.texts(a.of.territory)),
    AllocationColumn("pool", lambda d, _: d.pool or None, lambda a: a.pools()),
    AllocationColumn("window", lambda d, _: d.window or None, lambda a: a.texts(a.of.window)),
    AllocationColumn(
        "expires",
        lambda d, _: None if d.until is None else str(v.string(d.until)),
        lambda a: a.ends(),
        {"type": "string", "description": "the first day on which it no longer holds"},
    ),
    AllocationColumn("reason", lambda d, _: d.reason, lambda a: a.of.reason, {"type": "string", "minLength": 1}, always=True),
)
ALLOCATIONS = tuple(column.name for column in ALLOCATION_COLUMNS)
