"""Pools whose records are shared out: tasks find out who waits, one task gives out all turns, and tasks take their own records' back.

Between them go the waiting records, and those that somebody has, with the columns that pools rest on; nothing else of them. The task that
gives out the turns runs what a local run would: the same queue, standings, slots and ledger. So the turns are the same, however the
records are shared out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Refs
from roe.columns.one_by_one import reason_one_by_one
from roe.columns.pool_column import Handed
from roe.columns.raw import Raw
from roe.columns.role import RoleRows
from roe.columns.role_run import RoleRun
from roe.columns.run import ColumnRun
from roe.columns.table import RecordTable
from roe.columns.turn_files import lines_of, write_turns
from roe.columns.turns import Turns
from roe.columns.world import ColumnWorld
from roe.data.coerce import MODIFIED, telling
from roe.data.headers import columns_of
from roe.dynamic import Array
from roe.evaluator.bound import Bound
from roe.evaluator.data_owner import MODIFIED_BY
from roe.evaluator.engine import Evaluator
from roe.evaluator.pool import OPEN_CAPS
from roe.evaluator.recorded import pools_json
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered
from roe.plan.outcome import Outcome, RoleSteps
from roe.policy.model import Policy
from roe.share.memory import Change, changes_between
from roe.share.parcels import LINE, flat, table_of
from roe.share.plan import Share
from roe.share.tasks import HANDED, SAID

WAITS = "$waits "  # before a role: which of its outcomes a record waits for
GIVEN = ("$rep ", "$pool ", "$why ")  # before a role: what a record got
ROLE = "$role"
GIVES = pa.schema([(LINE, pa.int64()), (ROLE, pa.string()), *((name, pa.string()) for name in GIVEN)])


@dataclass(frozen=True)
class TurnFiles:
    """Where the task that gives out turns writes them itself, and in which form; without one they go to the driver."""

    folder: str
    form: str


def columns_for_pools(policy: Policy, how: Share, header: Iterable[str]) -> list[str]:
    """The columns of the records that pools rest on, who has them, and what they are known by."""
    fields = policy.model.entities[how.entity]
    needed = {
        "id",
        "country",
        MODIFIED,
        MODIFIED_BY,
        *telling(how.entity, True),
        *(how.handed_out_by or ()),
        *(f.name for f in fields.values() if f.required),
    }
    held = columns_of(how.entity, fields, header, policy.model.roles())
    return sorted({column for name, column in held.items() if name in needed or name.startswith("owner")})


def outcomes_of_pools(steps: RoleSteps) -> list[Outcome]:
    """Every outcome of a role that asks a pool, in an order that all tasks know."""
    outcomes: dict[int, Outcome] = {}
    for number in range(len(steps.rules.rules)):
        outcome: Outcome | None = steps.of(number)
        while outcome is not None:
            if outcome.pool:
                outcomes.setdefault(id(outcome), outcome)
            outcome = outcome.otherwise
    return list(outcomes.values())


# --- who waits ----------------------------------------------------------------------------------------------------------


class _RulesAlone(ColumnRun):
    """A run that stops where pools would be asked."""

    def _entity(self, entity: str) -> None:
        self.parts = [RoleRun(self.bound, self.world.tables[entity], role) for role in self.bound.roles(entity)]


def waiting(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, entity: str, columns: list[str]) -> pa.Table:
    """The records of a task that wait, those that somebody has if pools or the memory ask for them, and those that a pool assigned, as they
    are in the data: some columns, and what each waits for in each role.
    """
    run = _RulesAlone.of(evaluator, tables, as_of=as_of, state=state)
    table, raw = run.world.tables[entity], tables[entity]
    counts = np.zeros(table.listed, bool)
    waits = {}
    for part in run.parts:
        known = {id(outcome): i for i, outcome in enumerate(outcomes_of_pools(part.steps))}
        code = np.full(table.listed, -1, np.int64)
        for rows, outcome in part.waiting:
            code[rows] = known[id(outcome)]
        waits[WAITS + part.role] = code
        counts |= code >= 0
    for role in run.world.policy.roles if state or _ask_who_has_what(run.world.policy) else ():
        owner = table.owner(role)
        if isinstance(owner, Refs):
            counts |= owner.at[: table.listed] >= 0
    assigned = pa.array([key_parts(key)[1] for key in state.get("assigned", {}) if key.startswith(f"{entity}|")], pa.string())
    if len(assigned):
        counts |= pc.is_in(table.ids.cast(pa.string()), value_set=assigned).to_numpy(zero_copy_only=False)[: table.listed]
    lines = table.typed.lines[: table.listed][counts]
    at = np.searchsorted(raw.lines, lines)
    held = {name: raw.columns[name] for name in columns}
    given = {name: [c[i] for i in at.tolist()] if isinstance(c, list) else c.take(pa.array(at)) for name, c in held.items()}
    return table_of(Raw({**given, **{name: pa.array(code[counts]) for name, code in waits.items()}}, len(lines), lines))


def _ask_who_has_what(policy: Policy) -> bool:
    """Whether pools look at records that do not wait: at how many a rep has, or at who has others of the same company."""
    pools = policy.plan.pools.values()
    return any(pool.together is not None or pool.strategy == "least_loaded" or not OPEN_CAPS.keys().isdisjoint(pool.caps) for pool in pools)


# --- all turns ----------------------------------------------------------------------------------------------------------


def hand_out(
    evaluator: Evaluator,
    as_of: str,
    tables: dict[str, Raw],
    state: Remembered,
    *,
    entity: str,
    files: TurnFiles | None,
    remembers: bool = False,
) -> dict[str, pa.Table]:
    """The turns of all waiting records (`HANDED`, rows of `GIVES`), and texts for the driver (`SAID`): why it cannot be done like this, or
    what pools were and, unless they are written here, every turn; and what the next run is to know of them, if anything `remembers`.
    """
    raw = tables[entity]
    waits = {name.removeprefix(WAITS): np.asarray(raw.columns[name]) for name in raw.columns if name.startswith(WAITS)}
    own = {name: column for name, column in raw.columns.items() if not name.startswith(WAITS)}
    world = ColumnWorld(evaluator.compiled, {**tables, entity: Raw(own, raw.n, raw.lines, raw.origin, raw.habits)}, evaluator.clock(as_of))
    bound = Bound(evaluator, world, state)
    table = world.tables[entity]
    at = np.searchsorted(raw.lines, table.typed.lines)
    parts = [_of_codes(RoleRows(bound, table, role), waits[role][at] if role in waits else None) for role in bound.roles(entity)]
    rows, turns = GIVES.empty_table(), None
    if any(part.waiting for part in parts):
        asked = Turns(table, bound.pools, parts)
        reason = reason_one_by_one(asked)
        if reason:
            return {SAID: _said([json.dumps({"reason": reason})])}
        handed = asked.run()
        until = [bound.pools.due(bound.pools.pools[name], world.clock.now, None) for name in asked.names]
        turns = asked.as_table(handed, 0, until)
        rows = _rows(asked, handed)
        bound.assigned.update(asked.assignments(handed))
    changes = [json.dumps(x) for x in changes_between(state, {"assigned": bound.assigned, **bound.pools.saved()})] if remembers else []
    said = [json.dumps({"pools": pools_json(bound.pools.histories()), "changes": len(changes), "are_written": files is not None}), *changes]
    if files is not None:
        write_turns(Path(files.folder), [] if turns is None else turns, pools_json(bound.pools.histories()), files.form)
    elif turns is not None:
        said += lines_of(turns)
    return {HANDED: rows, SAID: _said(said)}


def _of_codes(part: RoleRows, code: Array | None) -> RoleRows:
    for i, outcome in enumerate(outcomes_of_pools(part.steps)):
        rows = np.flatnonzero(code == i) if code is not None else ()
        if len(rows):
            part.waiting.append((rows, outcome))
    return part


def _rows(turns: Turns, handed: Handed) -> pa.Table:
    """What each waiting record got, by its line and role."""
    reps, names = pa.array(turns.rep_ids, pa.string()), pa.array(turns.names, pa.string())
    roles = pa.array([part.role for part in turns.parts], pa.string())
    columns = [
        turns.table.typed.lines[turns.row], roles.take(pa.array(turns.role)), reps.take(pa.array(handed.rep, mask=handed.rep < 0)),
        names.take(pa.array(handed.pool)), turns.why_given(handed),
    ]  # fmt: skip
    return pa.table(columns, schema=GIVES)


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
            rep, pool, why = (self.given[name + part.role].take(pa.array(at[places])) for name in GIVEN)
            handed.rep[places] = _codes(rep, lambda x: self.world.rep(x).at)  # type: ignore[union-attr]
            handed.pool[places] = _codes(pool, turns.names.index)
            handed.why[places] = _codes(why, lambda x: turns.why(x, handed))
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
