"""A run on Spark: what each task sends back, and all of it as the files of one run."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from roe.columns.load import Raw
from roe.columns.run import ColumnRun
from roe.columns.turn_files import lines_of
from roe.evaluator.engine import Evaluator
from roe.evaluator.recorded import POOLS_START
from roe.run.columns import batch_of
from roe.run.files import COLUMNS, TABLES, Files, tables_of
from roe.run.summary import Summary, counts_of
from roe.spark.run import MARK, RESULT, WIDTH, SharedOut

ORDER = {"allocations": ("c0", "c1", "c3"), "changes": ("c0", "c1", "c2"), "rollback": ("c0", "c1", "c2")}


def decide(evaluator: Evaluator, as_of: str, tables: dict[str, Raw]) -> pa.Table:
    """What one task decides, as rows of `RESULT`: lines of the tables, turns, rows of other files, and counts for the summary."""
    batch = batch_of(ColumnRun.of(evaluator, tables, as_of=as_of))
    lines = [*lines_of(batch.turns), batch.pools]  # the last one says what the pools were
    return pa.concat_tables(
        [
            *(_rows(name, *table.columns) for name, table in tables_of(batch.portions, evaluator.policy).items()),
            _rows("turns", pa.array([str(i) for i in range(len(lines))], pa.string()), pa.array(lines, pa.string())),
            _rows("extra", pa.array(list(batch.extra), pa.string()), pa.array(map(json.dumps, batch.extra.values()), pa.string())),
            _rows("summary", pa.array([json.dumps(counts_of(batch))], pa.string())),
        ]
    )


def _rows(mark: str, *columns: Any) -> pa.Table:
    n = len(columns[0])
    texts = [c.cast(pa.string()) for c in columns] + [pa.nulls(n, pa.string())] * (WIDTH - len(columns))
    return pa.table([pa.array([mark] * n, pa.string()), *texts], schema=RESULT)


def collect(shared: SharedOut, files: Files) -> None:
    """Fill the files of a run with what all tasks have sent back."""
    from pyspark.sql import functions as f

    results = shared.results.persist()
    try:
        files.summary = Summary(shared.split, shared.origins)
        for row in results.where(f.col(MARK) == "summary").toLocalIterator():
            files.summary.add(json.loads(row["c0"]))
        for name in TABLES:
            some = results.where(f.col(MARK) == name).orderBy(*ORDER[name])
            files.table(name, some.select(*(f.col(f"c{i}").alias(c) for i, c in enumerate(COLUMNS[name]))).toArrow())
        turns = [(int(r["c0"]), r["c1"]) for r in results.where(f.col(MARK) == "turns").toLocalIterator()]
        for r in results.where(f.col(MARK) == "extra").toLocalIterator():
            files.extra.setdefault(r["c0"], []).extend(json.loads(r["c1"]))
    finally:
        results.unpersist()
    lines = [line for _, line in sorted(turns)]
    pools = [line for line in lines if line.startswith(POOLS_START)]  # one of each task; pools take turns in one task alone
    files.turns = [[line for line in lines if not line.startswith(POOLS_START)]]
    files.pools = max(pools, key=len)
