"""Which records wait for pools: what tasks find out of theirs, and all of it together at the task that gives out the turns.

That task gets the waiting records with the columns that pools rest on, and nothing else of them. Of the records that somebody has already it
gets those of companies that wait, and of all others how many of them each rep has. So what it holds are some dozens of bytes for each record
that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Column, Refs
from roe.columns.raw import Raw
from roe.columns.role_run import RoleRun
from roe.columns.row import place_of
from roe.columns.run import ColumnRun
from roe.columns.table import RecordTable
from roe.columns.world import ColumnWorld
from roe.data.coerce import INSTEAD, MODIFIED, PERSON
from roe.data.headers import columns_of
from roe.data.local import is_local
from roe.dynamic import Array, Cell, Value
from roe.evaluator.again import is_late
from roe.evaluator.bound import ON_REQUEST, Bound
from roe.evaluator.data_owner import MODIFIED_BY
from roe.evaluator.engine import Evaluator
from roe.evaluator.pool import OPEN_CAPS
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered
from roe.plan.operators import Allocate
from roe.plan.outcome import Outcome, RoleSteps
from roe.policy.model import Policy
from roe.share.parcels import LINE, NAMED, flat, table_of
from roe.share.plan import Share

WAITING, BESIDE, OPEN, GONE = (
    "$waiting",
    "$beside",
    "$open",
    "$gone",
)  # parcels: who waits, whom pools ask about besides, how many open records each rep has, which records the CRM has no longer
READ = "$read "  # before an entity: records to which those that wait lead
WAITS = "$waits "  # before a role: which of its outcomes a record waits for
WORKED = "$worked "  # before a role: whether the rep has worked a record that an earlier run assigned, if anybody is to ask
BACK = "$back "  # before a role: why the turn that a record took is given back
MATCHED = "$matched"  # the record that each is matched to, if pools ask for that
COMPANY = "$company "  # before a number: of which company a record is, as 32 bits
REP, NUMBER, ID = "rep", "n", "id"


def columns_for_pools(policy: Policy, how: Share, header: Iterable[str], remembers: bool, by_name: bool = False) -> list[str]:
    """The columns of the records that pools rest on, who has them, and what they are known by; for a memory also who wrote them, and when; and
    all that names are made of where others refer to the records `by_name`.
    """
    fields = policy.model.entities[how.entity]
    needed = {"id", *(how.handed_out_by or ()), *(f.name for f in fields.values() if f.required)}
    if by_name:
        needed |= {*NAMED}
    if "name" in needed:
        needed |= {*PERSON, *INSTEAD}
    if any(name in fields and is_local(fields[name]) for name in needed):
        needed.add("country")
    if remembers:
        needed |= {MODIFIED, MODIFIED_BY}
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


# --- of one task --------------------------------------------------------------------------------------------------------


class _RulesAlone(ColumnRun):
    """A run that stops where pools would be asked for the records of an entity."""

    def __init__(self, bound: Bound, entity: str) -> None:
        self.parts: list[RoleRun] = []
        self.waiting = entity
        super().__init__(bound)

    def _entity(self, entity: str) -> None:
        if entity == self.waiting:
            self.parts = [RoleRun(self.bound, self.world.tables[entity], role) for role in self.bound.roles(entity)]
        elif not self.parts:  # it is decided before
            super()._entity(entity)

    def pools(self) -> list[Allocate]:
        """The pools that may be asked, with those that they fall back on."""
        plan, names = self.bound.plan, [outcome.pool for part in self.parts for outcome in outcomes_of_pools(part.steps)]
        for name in names:
            after = plan.pools[name].fallback
            if after is not None and str(after) in plan.pools and str(after) not in names:
                names.append(str(after))
        return [plan.pools[name] for name in dict.fromkeys(names)]


def waiting(
    evaluator: Evaluator,
    as_of: str,
    tables: dict[str, Raw],
    state: Remembered,
    *,
    entity: str,
    columns: list[str],
    is_first: bool,
    read: Mapping[str, list[str]] = MappingProxyType({}),
    matched: str = "",
) -> dict[str, pa.Table]:
    """Of a task's records those that wait, with some columns as they are in the data and what each waits for in each role (`WAITING`); of the
    others those that pools may ask about (`BESIDE`); the open records of each rep (`OPEN`), if caps count them; those of the ledger that
    are gone (`GONE`), whom nobody follows; and of guests of other entities the columns that are `read` (`READ`). No earlier run is remembered if it
    `is_first`, whatever a task is told besides.
    """
    run = _RulesAlone(Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of)), state), entity)
    table, pools = run.world.tables[entity], run.pools()
    more, waits = {}, np.zeros(table.listed, bool)
    for part in run.parts:
        known = {id(outcome): i for i, outcome in enumerate(outcomes_of_pools(part.steps))}
        code = np.full(table.listed, -1, np.int32)
        for rows, outcome in part.waiting:
            code[rows] = known[id(outcome)]
        more[WAITS + part.role] = code
        waits |= code >= 0
    beside = _beside(table, state, is_asked=not is_first or any(pool.together is not None for pool in pools)) & ~waits
    beside_too = {**(_companies(table, pools) if is_first else {}), **_of_earlier(run, table), **_matched(table, matched)}
    found = {
        WAITING: _some(waits, table, tables[entity], columns, {**more, **beside_too}),
        BESIDE: _some(beside, table, tables[entity], columns, beside_too),
    }
    if any(pool.strategy == "least_loaded" or not OPEN_CAPS.keys().isdisjoint(pool.caps) for pool in pools):
        counts = run.world.open_of(entity)
        found[OPEN] = pa.table({REP: pa.array(list(counts), pa.string()), NUMBER: pa.array(list(counts.values()), pa.int64())})
    gone = (key.split("|", 1) for key in run.bound.memory.gone)
    found[GONE] = pa.table({ID: pa.array([record for of, record in gone if of == entity], pa.string())})
    for of, names in read.items():
        found[READ + of] = _guests(run.world.tables[of], tables[of].guests, names)
    return {of: rows for of, rows in found.items() if len(rows)}


def _beside(table: RecordTable, state: Remembered, is_asked: bool) -> Array:
    """The records that somebody has, and those that a pool assigned in an earlier run."""
    found = np.zeros(table.listed, bool)
    for role in table.world.policy.roles if is_asked else ():
        owner = table.owner(role)
        if isinstance(owner, Refs):
            found |= owner.at[: table.listed] >= 0
    assigned = pa.array([key_parts(key)[1] for key in state.get("assigned", {}) if key.startswith(f"{table.entity}|")], pa.string())
    if len(assigned):
        found |= pc.is_in(table.ids.cast(pa.string()), value_set=assigned).to_numpy(zero_copy_only=False)[: table.listed]
    return found


def _of_earlier(run: _RulesAlone, table: RecordTable) -> dict[str, pa.Array]:
    """What is asked of records that earlier runs have assigned, and that more of a record says than pools rest on."""
    bound, plan = run.bound, run.bound.plan
    worked, back = ({part.role: list[Value]([None]) * table.listed for part in run.parts} for _ in range(2))
    if any(pool.sla is not None for pool in plan.pools.values()):
        for key, earlier in bound.assigned.items():
            entity, record, role = key_parts(key)
            row = bound.world.find(entity, record) if entity == table.entity and role in worked else None
            if 0 <= place_of(row) < table.listed and earlier["pool"] in plan.pools and is_late(bound, earlier):
                assert row is not None
                worked[role][place_of(row)] = bound.was_worked(row, role, earlier)
    for _, row, role, _ in bound.backs:
        if row.entity == table.entity and role in back and place_of(row) < table.listed:
            said = bound.assigned.get(f"{row.entity}|{row['id']}|{role}", {})  # by now it may be nobody's
            back[role][place_of(row)] = said.get("back") or ON_REQUEST
    return {
        **{f"{WORKED}{role}": pa.array(flags, pa.bool_()) for role, flags in worked.items()},
        **{f"{BACK}{role}": pa.array(texts, pa.string()) for role, texts in back.items()},
    }


def _matched(table: RecordTable, name: str) -> dict[str, pa.Array]:
    """The id of the record that each is matched to by a step, if one is named."""
    if not name:
        return {}
    to = table.column(name)
    assert isinstance(to, Refs)
    at = to.at[: table.listed]
    return {MATCHED: table.world.tables[to.entity].ids.cast(pa.string()).take(pa.array(at, mask=at < 0))}


def _companies(table: RecordTable, pools: Iterable[Allocate]) -> dict[str, pa.Array]:
    """Of which company each record is, by each way in which pools ask that: numbers that few companies share, the same at all tasks."""
    asked = {pool.together.text: pool.together for pool in pools if pool.together is not None}
    return {f"{COMPANY}{i}": _checksums(table.frame.eval(expr.tree))[: table.listed] for i, expr in enumerate(asked.values())}


def _checksums(column: Column) -> pa.Array:
    codes, meaning = column.encode()
    texts = [x if isinstance(x, str) else str(float(x)) if isinstance(x, (int, float)) else None for x in meaning.list]
    sums = pa.array([None if x is None else crc32(x.encode("utf-8", "surrogatepass")) for x in texts], pa.uint32())
    return sums.take(pa.array(codes, mask=codes < 0))


def _some(which: Array, table: RecordTable, raw: Raw, columns: Iterable[str], more: Mapping[str, Array | pa.Array]) -> pa.Table:
    """Some records as the data has them, with what has been found out of each."""
    lines = table.typed.lines[: table.listed][which]
    at = np.searchsorted(raw.lines, lines)
    given = _taken(raw, columns, at)
    return table_of(Raw({**given, **{name: pa.array(x).filter(pa.array(which)) for name, x in more.items()}}, len(lines), lines))


def _taken(raw: Raw, columns: Iterable[str], at: Array) -> dict[str, pa.Array | list[Cell]]:
    """Some rows of some columns."""
    held = {name: raw.columns[name] for name in columns}
    return {name: [c[i] for i in at.tolist()] if isinstance(c, list) else c.take(pa.array(at)) for name, c in held.items()}


def _guests(table: RecordTable, raw: Raw | None, columns: Iterable[str]) -> pa.Table:
    """The guests of a table that were not rejected, as the data has them."""
    if raw is None:
        return pa.table({LINE: pa.array([], pa.int64())})
    at = np.flatnonzero(np.isin(raw.lines, table.typed.lines[table.listed :]))
    return table_of(Raw(_taken(raw, columns, at), len(at), raw.lines[at]))


# --- of all tasks -------------------------------------------------------------------------------------------------------


class Gathered:
    """What tasks have found, parcel by parcel. `waiting_first` says that nobody who waits comes after those beside, which need not all be
    held then until it is known whose companies wait.
    """

    def __init__(self, waiting_first: bool) -> None:
        self.waiting_first = waiting_first
        self.open: dict[str, int] = {}
        self.gone: list[str] = []
        self._tables: list[pa.Table] = []
        self._of_task: list[Array] = []
        self._read: dict[str, list[pa.Table]] = {}
        self._beside: list[tuple[int, pa.Table]] = []
        self._waits: dict[str, Array] | None = None  # by way of asking the companies that wait, in order, once all are known

    def add(self, bucket: int, of: str, rows: pa.Table) -> None:
        if of == OPEN:
            for rep, n in zip(*(rows[name].to_pylist() for name in (REP, NUMBER)), strict=True):
                self.open[rep] = self.open.get(rep, 0) + n
        elif of == GONE:
            self.gone += rows[ID].to_pylist()
        elif of.startswith(READ):
            self._read.setdefault(of.removeprefix(READ), []).append(rows)
        elif of == BESIDE and not self.waiting_first:
            self._beside.append((bucket, rows))
        else:
            self._take(bucket, self._asked_about(rows) if of == BESIDE else rows)

    def has(self, entity: str) -> bool:
        return entity in self._read

    def read(self, entity: str) -> pa.Table:
        """The records of another entity that are there to be read, each once."""
        whole = pa.concat_tables(self._read.pop(entity))
        _, first = np.unique(whole[LINE].to_numpy(), return_index=True)
        return whole.take(pa.array(first))

    def _take(self, bucket: int, rows: pa.Table) -> None:
        if len(rows):
            own = rows.take(pa.array(np.arange(len(rows))))  # which does not keep the bytes of the parcel, with all its columns
            self._tables.append(_numbered(own))
            self._of_task.append(np.full(len(rows), bucket, np.int32))

    def _asked_about(self, rows: pa.Table) -> pa.Table:
        """Those of the records beside whose company may be that of one that waits; all of them if nobody has said which companies these are."""
        ways = [name for name in rows.column_names if name.startswith(COMPANY)]
        if not ways:
            return rows
        if self._waits is None:
            self._waits = {name: np.unique(_known(name, self._tables)) for name in ways}
        wanted = [pc.is_in(rows[name], value_set=pa.array(self._waits[name], pa.uint32()), skip_nulls=True) for name in ways]
        mask = wanted[0]
        for more in wanted[1:]:
            mask = pc.or_(mask, more)
        return rows.filter(mask)

    def tables(self) -> tuple[pa.Table, Array]:
        """All of them as one table, and the task of each row. What was gathered is given up column by column."""
        for bucket, rows in self._beside:
            self._take(bucket, self._asked_about(rows))
        self._beside.clear()
        columns: dict[str, pa.Array] = {}
        tables, buckets = self._tables, np.concatenate([*self._of_task, np.empty(0, np.int32)])
        self._of_task.clear()
        names = [name for name in tables[0].column_names if not name.startswith(COMPANY)] if tables else []
        metadata = tables[0].schema.metadata if tables else None
        for name in names:
            columns[name] = _whole([t[name] if name in t.column_names else pa.chunked_array([pa.repeat(NOT, len(t))]) for t in tables])
            tables[:] = [t.drop_columns([name]) if name in t.column_names and t.num_columns > 1 else t for t in tables]
        tables.clear()
        return pa.table(columns).replace_schema_metadata(metadata), buckets


NOT = pa.scalar(-1, pa.int32())  # in place of an outcome that a record waits for


def _known(name: str, tables: Iterable[pa.Table]) -> Array:
    """The companies in some tables."""
    return np.concatenate([*(t[name].drop_null().to_numpy() for t in tables if name in t.column_names), np.empty(0, np.uint32)])


def _numbered(rows: pa.Table) -> pa.Table:
    """Texts that come again as numbers of these."""
    for i, name in enumerate(rows.column_names):
        if pa.types.is_string(rows[name].type):
            coded = rows[name].combine_chunks().dictionary_encode()
            if len(coded.dictionary) < len(coded) // 2:
                rows = rows.set_column(i, name, coded)
    return rows


def _whole(columns: list[pa.ChunkedArray]) -> pa.Array:
    """A column of many tables as one array: if texts are numbers in some tables, in all."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    if any(pa.types.is_dictionary(chunk.type) for chunk in chunks):
        coded = [chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode() for chunk in chunks]
        return flat(pa.chunked_array(coded).unify_dictionaries())
    return flat(pa.chunked_array(chunks))
