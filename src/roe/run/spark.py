"""A run on Spark: what each task sends back, and all of it as the files of one run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from roe.columns.evidence import FOLDER, begin, seen, stored
from roe.columns.raw import Raw
from roe.columns.turn_files import lines_of
from roe.columns.world import ColumnWorld
from roe.dynamic import Json, Value
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.recorded import POOLS_START
from roe.run.columns import batch_of
from roe.run.files import COLUMNS, PARTS, TABLES, Files, tables_of
from roe.run.invariants import Broken, Tally
from roe.run.result import Batch
from roe.run.summary import Summary, counts_of
from roe.spark.plan import share
from roe.spark.pools import run_of
from roe.spark.run import MARK, SharedOut

WIDTH = max(len(COLUMNS[name]) for name in TABLES)
RESULT = pa.schema([(MARK, pa.string()), *((f"c{i}", pa.string()) for i in range(WIDTH))])
ORDER = {"allocations": ("c0", "c1", "c3"), "changes": ("c0", "c1", "c2"), "rollback": ("c0", "c1", "c2")}


@dataclass(frozen=True)
class TaskFiles:
    """What tasks write themselves, to a folder that all of them can write to: the tables (`parts`), and what explains them (`traces`)."""

    folder: str
    parts: bool = False
    traces: bool = False


def decide(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], *, own: TaskFiles, whole: bool = False) -> pa.Table:
    """What one task decides, as rows of `RESULT`: lines of the tables, turns, rows of other files, and counts for the summary.

    `whole`: it has all records. Of the files that it writes itself it sends back the names. A task that runs twice writes twice, under
    names of their own: a run has only the files that are sent back.
    """
    run = run_of(evaluator, as_of, tables)
    batch = batch_of(run)
    lines = tables_of(batch.portions, evaluator.policy)
    files = {f"{name}.parquet": table for name, table in lines.items()} if own.parts else {}
    if own.traces:
        how = share(evaluator.policy)
        entities = None if whole or isinstance(how, str) else {how.entity, *how.children}
        files |= {f"{FOLDER}/{name}.parquet": table for name, table in seen(run, lines["allocations"], entities)}
    names = [_written(table, Path(own.folder, name)) for name, table in files.items()]
    sent = [] if own.parts else [_rows(name, *table.columns) for name, table in lines.items()]
    return pa.concat_tables([*sent, _rows(PARTS, pa.array(names, pa.string())), *_rest(batch, whole)])


def _written(table: pa.Table, folder: Path) -> str:
    """The file of one task in the folder of a table, by its name."""
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{uuid.uuid4().hex}.parquet"
    parquet.write_table(table, path, compression="snappy")
    return path.name


def _rest(batch: Batch, whole: bool) -> list[pa.Table]:
    """What a task sends back besides tables: turns, rows of other files, counts for the summary, and what invariants have met."""
    lines = [*lines_of(batch.turns), batch.pools]  # the last one says what the pools were
    return [
        _rows("turns", pa.array([str(i) for i in range(len(lines))], pa.string()), pa.array(lines, pa.string())),
        _rows("extra", pa.array(list(batch.extra), pa.string()), pa.array(map(json.dumps, batch.extra.values()), pa.string())),
        _rows("summary", pa.array([json.dumps(counts_of(batch))], pa.string())),
        _rows("invariants", pa.array([json.dumps(_tally(batch, whole))], pa.string())),
    ]


def _tally(batch: Batch, whole: bool) -> Json:
    """What invariants have met in a task. One that has all records knows what is asked of reps and of the run as well."""
    tally = Tally(batch.bound.policy)
    if tally.policy.plan.invariants:
        tally.add(batch)
        if whole:
            tally.broken = tally.close(batch.bound.world)
    return tally.as_json()


def _rows(mark: str, *columns: Value) -> pa.Table:
    n = len(columns[0])
    texts = [c.cast(pa.string()) for c in columns] + [pa.nulls(n, pa.string())] * (WIDTH - len(columns))
    return pa.table([pa.array([mark] * n, pa.string()), *texts], schema=RESULT)


def collect(shared: SharedOut, files: Files, evaluator: Evaluator, as_of: str) -> list[Broken]:
    """Fill the files of a run with what all tasks have sent back, and return the invariants that do not hold."""
    tally = Tally(evaluator.policy)
    try:
        if files.traced:
            keep_others(shared.others, files.folder, evaluator, as_of)
        _collect(shared, files, tally)
    finally:
        if shared.held is not None:
            shared.held.unpersist()
    if shared.together or not evaluator.policy.plan.invariants:
        return tally.broken
    broken = {(id(b.invariant), b.entity, b.record): b for b in tally.broken}  # what all tasks have is asked in each of them
    tally.broken = sorted(broken.values(), key=lambda b: b.record.encode())
    return tally.close(ColumnWorld(evaluator.compiled, shared.others, evaluator.clock(as_of)))


def keep_others(others: dict[str, Raw], folder: Path, evaluator: Evaluator, as_of: str) -> None:
    """What all tasks saw alike, beside what each of them keeps of its own records."""
    from pyarrow import parquet

    own = begin(folder, evaluator, as_of)
    world = Bound(evaluator, ColumnWorld(evaluator.compiled, others, evaluator.clock(as_of)), {}).world
    assert isinstance(world, ColumnWorld)
    for entity in others:
        if world.tables[entity].listed:
            parquet.write_table(stored(world, entity), own / f"{entity}.parquet", compression="snappy")


def _collect(shared: SharedOut, files: Files, tally: Tally) -> None:
    if files.form == PARTS:  # a few rows of each task; they are computed once, since a task writes each time that it runs
        _fill(shared, files, tally, shared.results.collect())
        return
    from pyspark.sql import functions as f

    results = shared.results.persist()
    try:
        for name in TABLES:
            some = results.where(f.col(MARK) == name).orderBy(*ORDER[name])
            files.table(name, some.select(*(f.col(f"c{i}").alias(c) for i, c in enumerate(COLUMNS[name]))).toArrow())
        _fill(shared, files, tally, results.where(~f.col(MARK).isin(*TABLES)).toLocalIterator())
    finally:
        results.unpersist()


def _fill(shared: SharedOut, files: Files, tally: Tally, rows: Iterable[Value]) -> None:
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
