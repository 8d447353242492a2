"""A whole run in columns: every decision of every record, and what it says of them.

The order of authority is the row evaluator's. Rules, owners, windows, the turns of pools and sentences are columns; where a
pool reads more of a record than can be told by kinds, records go, in their places in the queue, through the row evaluator's allocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import pyarrow as pa

from roe.columns.column import Refs
from roe.columns.decided import given_to_guests
from roe.columns.role_run import Allocations, RoleRun
from roe.columns.table import RecordTable
from roe.columns.world import ColumnWorld
from roe.dynamic import Array
from roe.evaluator.bound import EXCLUSIVE, Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.memory import Facts, given_by
from roe.ledger.remembered import Remembered
from roe.plan.operators import Choose
from roe.plan.outcome import ACTIONS

if TYPE_CHECKING:
    from roe.columns.handed import Handed
    from roe.columns.turns import Turns
    from roe.evaluator.memory import DecisionValues


class Given(NamedTuple):
    """Who has each record in a role after a run, and before it, as rows of reps; and by which action."""

    role: str
    owner: Array
    previous: Array
    action: Array


class ColumnRun:
    """All allocations of a run, by entity and role, and the world they were made in."""

    def __init__(self, bound: Bound) -> None:
        assert isinstance(bound.world, ColumnWorld)
        self.bound, self.world = bound, bound.world
        self.allocations: list[Allocations] = []
        self.handed: list[tuple[Turns, Handed]] = []  # what was handed out as columns
        bound.settle_claims()
        for entity in bound.entities():
            self._entity(entity)

    @classmethod
    def of(
        cls, evaluator: Evaluator, tables: Mapping[str, object], *, as_of: date | datetime | str, state: Remembered | None = None
    ) -> Self:
        """Decide every record. `tables` are Arrow tables, or raw records, by entity. Raises `Circle` (see there)."""
        return cls(Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of)), state or {}))

    def state(self) -> Remembered:
        """What the next run needs; the row evaluator's, from columns."""
        for turns, handed in self.handed:
            self.bound.assigned.update(turns.assignments(handed))
        return self.bound.saved(self._decided())

    def _decided(self) -> Iterator[DecisionValues]:
        """The decisions that the memory must know: on records that the run leaves otherwise than it found them, gives back or refers."""
        reps = [None if x is None else str(x) for x in self.world.tables["rep"].ids.to_pylist()]
        by = [given_by(kind) for kind in ACTIONS]
        noted = [ACTIONS.index("return"), ACTIONS.index("refer")]
        for allocations in self.allocations:
            alone = self.world.columns_memory.is_left_alone(allocations.entity, allocations.role, allocations.owner, allocations.previous)
            some = np.flatnonzero(~alone | np.isin(allocations.action, noted))
            since = self.world.columns_memory.since_in_data(allocations.entity, allocations.role)
            days = [None] * len(some) if since is None else since.take(some).values()
            stamps = self.world.columns_memory.stamps(allocations.table, some)
            ids = allocations.table.ids.take(pa.array(some)).to_pylist()
            self.world.columns_memory.learn(allocations.entity, allocations.role, some, ids)
            rows = zip(
                ids,
                allocations.owner[some].tolist(),
                allocations.previous[some].tolist(),
                days,
                allocations.action[some].tolist(),
                stamps,
                strict=True,
            )
            for record, owner, previous, day, action, read_at in rows:
                who, before = (reps[at] if at >= 0 else None for at in (owner, previous))
                yield allocations.entity, record, allocations.role, who, before, day, ACTIONS[action], by[action], read_at

    def _entity(self, entity: str) -> None:
        table = self.world.tables[entity]
        roles = self.bound.roles(entity)
        role_runs = [RoleRun(self.bound, table, role) for role in roles]
        self._turns(table, role_runs)
        done = [one.finish() for one in role_runs]
        for (e, name), step in self.bound.plan.steps.items():
            if e == entity and isinstance(step, Choose) and step.hit in EXCLUSIVE:
                table.column(name)
        given = [self._given(table, one) for one in done]
        self._know(table, given)
        for one in given:
            table.set_owner(one.role, Refs("rep", one.owner.astype(np.int32), self.world))
        self.allocations += done
        self.world.forget()

    def _given(self, table: RecordTable, of: Allocations) -> Given:
        """Who got the records of a table in one role: by this run, or as guests of it by another one."""
        own, guests = Given(of.role, of.owner, of.previous, of.action), given_to_guests(table, of.role)
        if guests is None:
            return own
        rows, owners, actions = guests
        known = table.owner(of.role)
        before = known.at[of.table.listed : table.typed.n] if isinstance(known, Refs) else np.full(table.typed.guests, -1)
        owner, action = np.append(own.owner, before), np.append(own.action, np.zeros(len(before), own.action.dtype))
        owner[rows], action[rows] = owners, actions
        return Given(of.role, owner, np.append(own.previous, before), action)

    def _know(self, table: RecordTable, given: list[Given]) -> None:
        """Let what is decided later, and what is asked once all is decided, see since when and after whom records have their new owners."""
        plan = self.bound.plan
        afterwards = plan.credits or plan.events or plan.invariants or plan.crm.territories
        is_asked = bool(afterwards) or table.entity != self.bound.entities()[-1]
        if not (is_asked and self.bound.evaluator.compiled.asks_for_history) and not plan.holdovers:
            return
        for role, facts in [(one.role, self.moved(table, one)) for one in given]:
            if facts:
                self.world.know_rows(table.entity, role, facts)

    def moved(self, table: RecordTable, given: Given | Allocations) -> dict[int, Facts]:
        """What is known of the new owners of the records that change hands, by row."""
        rows = np.flatnonzero(given.owner != given.previous)
        since = table.column(f"owner_since.{given.role}")
        days = [None] * len(rows) if since is None else since.take(rows).values()
        ids, reps = table.ids.take(pa.array(rows)).to_pylist(), self.world.tables["rep"].ids.to_pylist()
        facts_of = {}
        for at, record, day in zip(rows.tolist(), ids, days, strict=True):
            owner, previous = (None if i < 0 else str(reps[i]) for i in (int(given.owner[at]), int(given.previous[at])))
            facts = self.bound.memory.of(table.entity, record, given.role, previous, day)
            facts_of[at] = facts.moved_to(owner, self.world.clock.today, given_by(ACTIONS[given.action[at]]))
        return facts_of

    def _turns(self, table: RecordTable, role_runs: list[RoleRun]) -> None:
        """The turns of all pools, in the order of the queue, and of the roles for one record."""
        if not any(len(rows) for role_run in role_runs for rows, _ in role_run.waiting):
            return
        from roe.columns.one_by_one import reason_one_by_one
        from roe.columns.turns import Turns

        turns = Turns(table, self.bound.pools, role_runs)
        turns.leave_out_assigned()
        if reason_one_by_one(turns):
            turns.put_back()
            for row, role, action in zip(turns.row.tolist(), turns.role.tolist(), turns.action.tolist(), strict=True):
                role_runs[role].turn(row, turns.actions[action][1])
            return
        handed = turns.run()
        self.handed.append((turns, handed))
        self._take_over(turns, handed, role_runs)

    def _take_over(self, turns: Turns, handed: Handed, role_runs: list[RoleRun]) -> None:
        """Let the roles know what became of the records that waited."""
        for i, (k, action) in enumerate(turns.actions):
            role_runs[k].handed(turns, handed, np.flatnonzero(turns.action == i), action)

    def turns(self) -> pa.Table:
        """What pools did, as the run's records have it (see `turn_files`), in the order in which they did it."""
        from roe.columns import turn_files

        bound = self.bound
        by_row = [
            d.turn.record(bound.key(d)) for allocations in self.allocations for d in allocations.decisions.values() if d.turn is not None
        ]
        tables = [table for turns, handed in self.handed for table in turns.as_tables(handed)]
        if not by_row:  # those that were handed out as columns are in order already
            return pa.concat_tables(tables) if tables else turn_files.schema().empty_table()
        return pa.concat_tables([*tables, turn_files.table_of(by_row)], promote_options="permissive").unify_dictionaries().sort_by("n")
