"""Records of a run in columns, each as it was before its entity was decided: the worlds in which single records are explained.

A run gives owners to the accounts before leads are decided. To explain a lead, accounts have these, and leads have the data's own.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from roe.columns.column import Refs
from roe.columns.run import ColumnRun
from roe.columns.table import RecordTable
from roe.columns.turn_files import write_turns
from roe.columns.turn_reading import read_turns
from roe.columns.world import ColumnWorld
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.recorded import pools_json


def again(bound: Bound) -> Bound:
    """The same records in another world of columns, before anything is decided."""
    first = bound.world
    assert isinstance(first, ColumnWorld)
    world = ColumnWorld(first.compiled, {}, first.clock)
    for entity, typed in first.columns_of.items():
        world.columns_of[entity], world.tables[entity] = typed, RecordTable(entity, world, typed)
    world.rejects = first.rejects
    world.rows["rep"] = [world.tables["rep"].row(i) for i in range(world.tables["rep"].n)]
    return Bound(bound.evaluator, world, bound.state)


def settle(run: ColumnRun, entity: str, bound: Bound) -> None:
    """Give the records that are decided before an entity the owners of a run."""
    world = bound.world
    assert isinstance(world, ColumnWorld)
    reps = run.world.tables["rep"]
    for stranger in reps.stranger_names:
        world.rep(stranger)
    place = np.array([world.finder("rep").one(str(x)) for x in reps.ids.to_pylist()], np.int32)
    place[place < 0] = [world.finder("rep").rep(x) for x, at in zip(reps.ids.to_pylist(), place.tolist(), strict=True) if at < 0]
    for allocations in run.allocations:
        if allocations.entity == entity:
            break
        at = np.where(allocations.owner >= 0, np.append(place, np.int32(-1))[allocations.owner], -1)
        if run.bound.evaluator.compiled.asks_for_history and (known := run.moved(allocations.table, allocations)):
            world.know_rows(allocations.entity, allocations.role, known)
        world.tables[allocations.entity].set_owner(allocations.role, Refs("rep", at.astype(np.int32), world))
    world.forget()


def decide(bound: Bound, entity: str, record: str, roles: list[str], run: Path | None = None) -> list[Decision]:
    """The decisions on one record, as a run in columns makes them; `run` is the folder of one that has the turns of pools."""
    before = again(bound)
    order = bound.entities()
    if order.index(entity) or bound.plan.takes_turns(entity):
        columns = ColumnRun(bound)
        settle(columns, entity, before)
        with tempfile.TemporaryDirectory() as scratch:
            if run is None:
                write_turns(Path(scratch), columns.turns(), pools_json(columns.bound.pools.histories()))
            before.turns = read_turns(run or Path(scratch))
    row = before.world.find(entity, record)
    assert row is not None
    return [before.decide_alone(row, role) for role in roles]
