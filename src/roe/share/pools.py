"""Pools whose records are shared out: tasks find out who waits, one task gives out all turns, and tasks take their own records' back.

What goes between them is in `roe.share.waiting`. The task that gives out the turns runs what a local run would: the same queue, standings,
slots and ledger. So the turns are the same, however the records are shared out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.handed import Handed, number_in
from roe.columns.one_by_one import reason_one_by_one
from roe.columns.raw import Raw
from roe.columns.role import RoleRows
from roe.columns.role_run import RoleRun
from roe.columns.row import place_of
from roe.columns.run import ColumnRun
from roe.columns.table import RecordTable
from roe.columns.turn_files import form_of, lines_of, write_parquet, write_turns
from roe.columns.turns import Turns
from roe.columns.world import ColumnWorld
from roe.dynamic import Array, Saved, Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.recorded import pools_json
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered, as_remembered
from roe.plan.operators import Allocate
from roe.share.memory import Change, changes_between
from roe.share.parcels import LINE, flat
from roe.share.tasks import HANDED, ROWS_A_TASK, SAID
from roe.share.waiting import BACK, GONE, ID, MATCHED, NUMBER, OPEN, REP, WAITS, WORKED, outcomes_of_pools

FAILED = "$failed "  # before a role: how many of the pools that a record asks found nobody before
GIVEN = ("$rep ", "$pool ", "$why ", "$until ", FAILED)  # before a role: what a record got
ROLE = "$role"
GIVES = pa.schema([(LINE, pa.int64()), (ROLE, pa.string()), *((name, pa.int8() if name == FAILED else pa.string()) for name in GIVEN)])


@dataclass(frozen=True)
class TurnFiles:
    """Where the task that gives out turns writes them itself, and in which form; without one they go to the driver."""

    folder: str
    form: str


# --- all turns ----------------------------------------------------------------------------------------------------------


class _Giving(ColumnWorld):
    """The world of the task that gives out turns: it has some of the records, and is told how many open ones each rep has."""

    def __init__(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], entity: str, open: Mapping[str, int]) -> None:
        super().__init__(evaluator.compiled, tables, evaluator.clock(as_of))
        self.entity, self.open = entity, open

    def open_of(self, entity: str) -> Mapping[str, int]:
        return self.open if entity == self.entity else super().open_of(entity)


class _GivingBound(Bound):
    """What tasks have found out of their records, which that task need not have whole: whether reps have worked them, and whether they give
    turns back.
    """

    def __init__(self, evaluator: Evaluator, world: _Giving, state: Remembered, told: Mapping[str, pa.Array]) -> None:
        self.told, self.lines = told, world.tables[world.entity].typed.lines
        super().__init__(evaluator, world, state)

    def was_worked(self, row: Row, role: str, earlier: Saved) -> bool:
        return self._told(WORKED, row, role) is True

    def reason_to_give_back(self, step: Allocate, row: Row, role: str, rep: str) -> str:
        return str(self._told(BACK, row, role) or "")

    def _told(self, what: str, row: Row, role: str) -> Value:
        return self.told[what + role][int(self.lines[place_of(row)])].as_py()


def hand_out(
    evaluator: Evaluator,
    as_of: str,
    tables: dict[str, Raw],
    state: Remembered,
    *,
    entity: str,
    files: TurnFiles | None,
    remembers: bool = False,
) -> Iterator[tuple[str, pa.Table]]:
    """The turns of all waiting records, some at a time (`HANDED`, rows of `GIVES`), then texts for the driver (`SAID`): why it cannot be done
    like this, or what pools were and, unless they are written here, every turn; and what the next run is to know of them, if anything
    `remembers`. The lines of the given records are their places, and `tables` are used up.
    """
    raw, open_of, gone = tables.pop(entity), tables.pop(OPEN).columns, pa.array(tables.pop(GONE).columns[ID]).to_pylist()
    waits = {name.removeprefix(WAITS): np.asarray(raw.columns[name]) for name in raw.columns if name.startswith(WAITS)}
    told = {name: pa.array(column) for name, column in raw.columns.items() if name.startswith((WORKED, BACK))}
    own = {name: column for name, column in raw.columns.items() if not name.startswith((WAITS, WORKED, BACK, MATCHED))}
    waiting = Raw(own, raw.n, raw.lines, raw.origin, raw.habits)
    if MATCHED in raw.columns:
        waiting.matched = pa.table({"line": raw.lines, "id": pa.array(raw.columns[MATCHED]).cast(pa.string())})
    counts = dict(zip(*(pa.array(open_of[name]).to_pylist() for name in (REP, NUMBER)), strict=True))
    world = _Giving(evaluator, as_of, {**tables, entity: waiting}, entity, counts)
    del raw, own, waiting, tables
    bound = _GivingBound(evaluator, world, _without(state, entity, gone), told)
    table = world.tables[entity]
    parts = [_of_codes(RoleRows(bound, table, role), waits.pop(role, None), table.typed.lines) for role in bound.roles(entity)]
    turns, handed = None, Handed.of(0)
    if any(part.waiting for part in parts):
        turns = Turns(table, bound.pools, parts)
        turns.leave_out_assigned()
        reason = reason_one_by_one(turns)
        if reason:
            yield SAID, _said([json.dumps({"reason": reason})])
            return
        handed = turns.run()
        if remembers:
            bound.assigned.update(turns.assignments(handed))
    lines = _written(turns, handed, files, pools_json(bound.pools.histories()))
    if turns is not None:
        yield from ((HANDED, rows) for rows in _rows(turns, handed))
    changes = [json.dumps(x) for x in changes_between(state, {"assigned": bound.assigned, **bound.pools.saved()})] if remembers else []
    said = {"pools": pools_json(bound.pools.histories()), "changes": len(changes), "are_written": files is not None}
    yield SAID, _said([json.dumps(said), *changes, *lines])


def _without(state: Remembered, entity: str, gone: Iterable[str]) -> Remembered:
    """The memory without what pools assigned of records that are gone."""
    records = {(entity, record) for record in gone}
    return (
        as_remembered({**state, "assigned": {key: x for key, x in state.get("assigned", {}).items() if key_parts(key)[:2] not in records}})
        if records
        else state
    )


def _of_codes(part: RoleRows, code: Array | None, places: Array) -> RoleRows:
    """A role with those who wait, by the numbers of what they wait for; `places` says which number is about which row."""
    if code is not None:
        code = code[places]
        for i, outcome in enumerate(outcomes_of_pools(part.steps)):
            rows = np.flatnonzero(code == i).astype(np.int32)
            if len(rows):
                part.waiting.append((rows, outcome))
    return part


def _written(turns: Turns | None, handed: Handed, files: TurnFiles | None, pools: str) -> list[str]:
    """Write the turns where tasks write them; as lines, where the driver does."""
    tables = turns.as_tables(handed) if turns is not None else iter(())
    n = len(turns.row) if turns is not None else 0
    if files is None or form_of(n, files.form) == "jsonl":
        lines = [line for table in tables for line in lines_of(table)]
        if files is None:
            return lines
        write_turns(Path(files.folder), lines, pools, "jsonl")
    elif turns is None:
        write_turns(Path(files.folder), [], pools, files.form)
    else:
        write_parquet(Path(files.folder), tables, turns.taken(handed), pools)
    return []


def _rows(turns: Turns, handed: Handed) -> Iterator[pa.Table]:
    """What each waiting record got, by its line and role, in the order of the records."""
    reps, names = pa.array(turns.rep_ids, pa.string()), pa.array(turns.names, pa.string())
    roles, untils = pa.array([part.role for part in turns.parts], pa.string()), pa.array(map(v.literal, handed.untils), pa.string())
    order = np.argsort(turns.row, kind="stable").astype(np.int32)
    for first in range(0, len(order), ROWS_A_TASK):
        places = order[first : first + ROWS_A_TASK]
        rep, until = handed.rep[places], handed.until[places]
        columns = [
            turns.table.typed.lines[turns.row[places]], roles.take(pa.array(turns.role[places])), reps.take(pa.array(rep, mask=rep < 0)),
            names.take(pa.array(handed.pool[places])), turns.why_given(handed, places), untils.take(pa.array(until, mask=until < 0)),
            pa.array(handed.failed[places]),
        ]  # fmt: skip
        yield pa.table(columns, schema=GIVES)


def _said(texts: list[str]) -> pa.Table:
    return pa.table({SAID: pa.array(texts, pa.string())})


@dataclass(frozen=True)
class Said:
    """What the task that gave out turns said: why it could not, or what pools were, what it left in the memory, and the turns as lines,
    unless it has written them.
    """

    reason: str
    pools: str
    changes: list[Change]
    turns: list[str]
    are_written: bool

    @classmethod
    def of(cls, table: pa.Table) -> Said:
        head, *rest = table[SAID].to_pylist()
        parts = json.loads(head)
        n = parts.get("changes", 0)
        changes = [(part, key, value) for part, key, value in map(json.loads, rest[:n])]
        return cls(parts.get("reason", ""), parts.get("pools", ""), changes, rest[n:], parts.get("are_written", False))


# --- one's own turns back -----------------------------------------------------------------------------------------------


class _WithTurns(ColumnRun):
    """A run over some of the records, to which the turns of those are given."""

    def __init__(self, bound: Bound, lines: Array, given: Mapping[str, pa.Array]) -> None:
        self.lines, self.given = lines, given
        super().__init__(bound)

    def _turns(self, table: RecordTable, parts: list[RoleRun]) -> None:
        if not any(len(rows) for part in parts for rows, _ in part.waiting):
            return
        turns = Turns(table, self.bound.pools, parts)
        handed = Handed.of(len(turns.row))
        at = np.searchsorted(self.lines, table.typed.lines[turns.row])
        for number, part in enumerate(parts):
            places = np.flatnonzero(turns.role == number)
            rep, pool, why, until, failed = (self.given[name + part.role].take(pa.array(at[places])) for name in GIVEN)
            handed.rep[places] = _codes(rep, lambda x: self.world.rep(x).at)  # type: ignore[union-attr]
            handed.pool[places] = _codes(pool, turns.names.index)
            handed.why[places] = _codes(why, lambda x: turns.why(x, handed))
            handed.failed[places] = pc.fill_null(failed, 0)
            handed.until[places] = _codes(until, lambda x: number_in(self.world.clock.here(v.parse_temporal(x)), handed.untils))
        self._take_over(turns, handed, parts)


def _codes(texts: pa.Array, number: Callable[[str], int]) -> Array:
    """The number of each text, -1 where there is none."""
    coded = texts.dictionary_encode()
    numbers = np.array([*map(number, coded.dictionary.to_pylist()), -1], np.int64)
    return numbers[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]


def run_of(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, entity: str = "") -> ColumnRun:
    """The run over the records of a task. The turns of pools come with them (`HANDED`), if other tasks' records of the `entity` wait as well."""
    own = {of: raw for of, raw in tables.items() if of != HANDED}
    if not entity:
        return ColumnRun.of(evaluator, own, as_of=as_of, state=state)
    bound = Bound(evaluator, ColumnWorld(evaluator.compiled, own, evaluator.clock(as_of)), state)
    return _WithTurns(bound, own[entity].lines, _by_line(bound.roles(entity), own[entity].lines, tables.get(HANDED)))


def _by_line(roles: Iterable[str], lines: Array, handed: Raw | None) -> dict[str, pa.Array]:
    """What the records on some lines got in each role."""
    given: dict[str, pa.Array] = {}
    table = pa.table(handed.columns) if handed is not None else GIVES.empty_table()
    for role in roles:
        own = table.filter(pc.equal(table[ROLE], role))
        at = np.full(len(lines), -1)
        at[np.searchsorted(lines, own[LINE].to_numpy())] = np.arange(len(own))
        given |= {name + role: flat(own[name]).take(pa.array(at, mask=at < 0)) for name in GIVEN}
    return given
