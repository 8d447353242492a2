"""A run on Spark: what each task sends back, and all of it as the files of one run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pyarrow as pa

from roe.columns.evidence import FOLDER
from roe.columns.evidence_writer import begin, seen, stored
from roe.columns.raw import Raw
from roe.columns.run import ColumnRun
from roe.columns.turn_files import lines_of
from roe.columns.world import ColumnWorld
from roe.data.arrow_files import ROW_GROUP
from roe.data.headers import columns_of
from roe.diagnostics import PolicyError
from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.recorded import POOLS_START
from roe.evaluator.reps import misnamed
from roe.ledger.decided import Decided
from roe.ledger.moment import At
from roe.ledger.remembered import Remembered
from roe.run.columns import batch_of, decided_anew
from roe.run.engines import Job
from roe.run.entries import DECIDED, decision_of
from roe.run.files import COLUMNS, PARTS, TABLES, Files, tables_of
from roe.run.guards import lacking_owners
from roe.run.invariants import Broken, Tally
from roe.run.result import Batch
from roe.run.run import moment_of
from roe.run.summary import Summary, counts_of
from roe.spark.memory import CENTRAL, Change, changes_between, lost_columns
from roe.spark.plan import Share, share
from roe.spark.pools import run_of
from roe.spark.run import MARK, SharedOut

WIDTH = max(len(COLUMNS[name]) for name in TABLES)
RESULT = pa.schema([(MARK, pa.string()), *((f"c{i}", pa.string()) for i in range(WIDTH))])
ORDER = {"allocations": ("c0", "c1", "c3"), "changes": ("c0", "c1", "c2"), "rollback": ("c0", "c1", "c2")}


@dataclass(frozen=True)
class Wanted:
    """What a task gives besides what it always sends back: files in a folder that all tasks can write to, of the tables (`parts`) and of
    what explains them (`traces`), and what the next run is to know (`remembers`).
    """

    folder: str
    parts: bool = False
    traces: bool = False
    remembers: bool = False


def decide(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, wanted: Wanted, whole: bool = False) -> pa.Table:
    """What one task decides, as rows of `RESULT`: lines of the tables, turns, rows of other files, and counts for the summary.

    `whole`: it has all records. Of the files that it writes itself it sends back the names. A task that runs twice writes twice, under
    names of their own: a run has only the files that are sent back.
    """
    how = share(evaluator.policy)
    takes_turns = not whole and isinstance(how, Share) and how.handed_out_by is not None  # which another task has given out
    run = run_of(evaluator, as_of, tables, state, how.entity if takes_turns and isinstance(how, Share) else "")
    batch = batch_of(run)
    lines = tables_of(batch.portions, evaluator.policy)
    files = {f"{name}.parquet": table for name, table in lines.items()} if wanted.parts else {}
    if wanted.traces:
        entities = None if whole or isinstance(how, str) else {how.entity, *how.children}
        files |= {f"{FOLDER}/{name}.parquet": table for name, table in seen(run, lines["allocations"], entities)}
    names = [_written(table, Path(wanted.folder, name)) for name, table in files.items()]
    sent = [] if wanted.parts else [_rows(name, *table.columns) for name, table in lines.items()]
    if wanted.remembers:
        sent += _remembered(run, batch, state, moment_of(evaluator, as_of), CENTRAL if takes_turns else ())
    return pa.concat_tables([*sent, _rows(PARTS, pa.array(names, pa.string())), *_rest(batch, state, whole)])


def _remembered(run: ColumnRun, batch: Batch, state: Remembered, at: At, without: Iterable[str]) -> list[pa.Table]:
    """What a task leaves in the memory, the decisions that say something new, and what is to be said of loads."""
    changes = list(changes_between(state, run.state(), without))
    memory = run.world.columns_memory
    some = [portion.lines.take(pa.array(decided_anew(portion, memory, at), pa.int64())) for portion in batch.portions]
    late = [(record, str(day)) for record, day in memory.pending()]
    return [
        _rows("memory", *(pa.array(column, pa.string()) for column in zip(*changes, strict=True))) if changes else RESULT.empty_table(),
        *(_rows("decided", *lines.select(DECIDED).columns) for lines in some),
        _rows("older", pa.array(sorted(memory.older), pa.string())),
        _rows("late", *(pa.array(column, pa.string()) for column in zip(*late, strict=True))) if late else RESULT.empty_table(),
    ]


def _written(table: pa.Table, folder: Path) -> str:
    """The file of one task in the folder of a table, by its name."""
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{uuid.uuid4().hex}.parquet"
    parquet.write_table(table, path, row_group_size=ROW_GROUP, compression="snappy")
    return path.name


def _rest(batch: Batch, state: Remembered, whole: bool) -> list[pa.Table]:
    """What a task sends back besides tables: turns, rows of other files, counts for the summary, and what invariants have met."""
    lines = [*lines_of(batch.turns), batch.pools]  # the last one says what the pools were
    return [
        _rows("turns", pa.array([str(i) for i in range(len(lines))], pa.string()), pa.array(lines, pa.string())),
        _rows("extra", pa.array(list(batch.extra), pa.string()), pa.array(map(json.dumps, batch.extra.values()), pa.string())),
        _rows("summary", pa.array([json.dumps(counts_of(batch))], pa.string())),
        _rows("invariants", pa.array([json.dumps(_tally(batch, state, whole))], pa.string())),
    ]


def _tally(batch: Batch, state: Remembered, whole: bool) -> Json:
    """What invariants have met in a task. One that has all records knows what is asked of reps and of the run as well."""
    tally = Tally(batch.bound.policy, state.get("owners", {}))
    if tally.policy.plan.invariants:
        tally.add(batch)
        if whole:
            tally.broken = tally.close(batch.bound.world)
        else:
            tally.facts["vanished"] = tally.vanished()  # of the records whose memory is here
    return tally.as_json()


def _rows(mark: str, *columns: Value) -> pa.Table:
    n = len(columns[0])
    texts = [c.cast(pa.string()) for c in columns] + [pa.nulls(n, pa.string())] * (WIDTH - len(columns))
    return pa.table([pa.array([mark] * n, pa.string()), *texts], schema=RESULT)


def check(job: Job, tables: Mapping[str, Raw]) -> None:
    """Raises PolicyError where a rep whom the policy names is not one rep of the data, or an owner's column is missing that the ledger has
    seen. Of tables that are shared out only the headers are asked.
    """
    policy, compiled = job.evaluator.policy, job.evaluator.compiled
    reps = {entity: raw for entity, raw in tables.items() if entity == "rep"}
    problems = misnamed(ColumnWorld(compiled, reps, job.evaluator.clock(job.as_of)))
    held = {
        entity: columns_of(entity, policy.model.entities[entity], raw.origin.header or raw.columns, policy.model.roles())
        for entity, raw in tables.items()
    }
    lost = lost_columns(job.state, lambda entity, role: entity not in held or f"owner.{role}" in held[entity]) if job.remembers else []
    problems = problems or lacking_owners(lost)
    if problems:
        raise PolicyError(problems)


@dataclass
class Left:
    """What all tasks of a run leave: invariants that do not hold, and for the ledger the changes, the decisions that say something new, and
    the earlier ones that the CRM has not loaded, and records whose rows are older than what the CRM has shown.
    """

    broken: list[Broken] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    late: list[tuple[str, date]] = field(default_factory=list)
    older: set[str] = field(default_factory=set)


def collect(shared: SharedOut, files: Files, evaluator: Evaluator, as_of: str, state: Remembered) -> Left:
    """Fill the files of a run with what all tasks have sent back."""
    tally, left = Tally(evaluator.policy), Left()
    try:
        if files.traced:
            keep_others(shared.others, files.folder, evaluator, as_of, state)
        _collect(shared, files, tally, left)
    finally:
        if shared.held is not None:
            shared.held.unpersist()
    if shared.turns is not None:
        left.changes += shared.turns.changes
    left.broken = _broken(shared, tally, evaluator, as_of, state)
    return left


def _broken(shared: SharedOut, tally: Tally, evaluator: Evaluator, as_of: str, state: Remembered) -> list[Broken]:
    """The invariants that do not hold, of what tasks have found and of all of it together."""
    if shared.together or not evaluator.policy.plan.invariants:
        return tally.broken
    broken = {(id(b.invariant), b.entity, b.record): b for b in tally.broken}  # what all tasks have is asked in each of them
    tally.broken = sorted(broken.values(), key=lambda b: b.record.encode())
    return tally.close(_world_of(shared.others, evaluator, as_of, state))


def _world_of(others: dict[str, Raw], evaluator: Evaluator, as_of: str, state: Remembered) -> ColumnWorld:
    """The tables that all tasks have."""
    world = ColumnWorld(evaluator.compiled, others, evaluator.clock(as_of))
    Bound(evaluator, world, {"records": state["records"]} if "records" in state else {})
    return world


def keep_others(others: dict[str, Raw], folder: Path, evaluator: Evaluator, as_of: str, state: Remembered) -> None:
    """What all tasks saw alike, beside what each of them keeps of its own records."""
    from pyarrow import parquet

    own = begin(folder, evaluator, as_of)
    world = _world_of(others, evaluator, as_of, state)
    for entity in others:
        if world.tables[entity].listed:
            parquet.write_table(stored(world, entity), own / f"{entity}.parquet", row_group_size=ROW_GROUP, compression="snappy")


def _collect(shared: SharedOut, files: Files, tally: Tally, left: Left) -> None:
    if files.form == PARTS:  # a few rows of each task; they are computed once, since a task writes each time that it runs
        _fill(shared, files, tally, left, shared.results.collect())
        return
    from pyspark.sql import functions as f

    results = shared.results.persist()
    try:
        for name in TABLES:
            some = results.where(f.col(MARK) == name).orderBy(*ORDER[name])
            files.table(name, some.select(*(f.col(f"c{i}").alias(c) for i, c in enumerate(COLUMNS[name]))).toArrow())
        _fill(shared, files, tally, left, results.where(~f.col(MARK).isin(*TABLES)).toLocalIterator())
    finally:
        results.unpersist()


def _fill(shared: SharedOut, files: Files, tally: Tally, left: Left, rows: Iterable[Value]) -> None:
    """Everything but the tables."""
    files.summary = Summary(shared.split, shared.origins)
    turns: list[tuple[int, str]] = []
    parts = set()
    for row in rows:
        if row[MARK] == "summary":
            files.summary.add(json.loads(row["c0"]))
        elif row[MARK] == "invariants":
            tally.merge(json.loads(row["c0"]))
        elif row[MARK] == "turns":
            turns.append((int(row["c0"]), row["c1"]))
        elif row[MARK] == "memory":
            left.changes.append((row["c0"], row["c1"], row["c2"]))
        elif row[MARK] == "decided":
            left.decided.append(decision_of(*(row[f"c{i}"] for i in range(len(DECIDED)))))
        elif row[MARK] == "older":
            left.older.add(row["c0"])
        elif row[MARK] == "late":
            left.late.append((row["c0"], date.fromisoformat(row["c1"])))
        elif row[MARK] == PARTS:
            parts.add(row["c0"])
        else:
            files.extra.setdefault(row["c0"], []).extend(json.loads(row["c1"]))
    _only(files.folder, parts)
    if shared.turns is not None:
        files.turns, files.pools = [shared.turns.turns], shared.turns.pools
        files.turns_are_written = files.form == PARTS
        return
    lines = [line for _, line in sorted(turns)]
    pools = [line for line in lines if line.startswith(POOLS_START)]  # one of each task; pools take turns in one task alone
    files.turns = [[line for line in lines if not line.startswith(POOLS_START)]]
    files.pools = max(pools, key=len)


def _only(folder: Path, parts: set[str]) -> None:
    """Remove the files of tasks that were run again: only what was sent back belongs to the run."""
    for path in folder.rglob("*.parquet/part-*.parquet"):
        if path.name not in parts:
            path.unlink()
