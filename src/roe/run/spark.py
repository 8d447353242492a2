"""How results return from Spark to the driver: rows of texts, in the order of the files where these are wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from roe.columns.turn_files import lines_of
from roe.dynamic import Value
from roe.run.files import COLUMNS, IN_PARTS, PARTS, TABLES
from roe.share.result import TaskResult
from roe.spark.run import Wire, kept

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MARK = "$portion"  # what a row is: a line of a table, or anything else that a task has to say
WIDTH = max(len(COLUMNS[name]) for name in TABLES)
ID, PLACE = "$id", "$place"  # the lines of a record come from one task: they are ordered by record, and then as they stand there
RESULT = pa.schema([(MARK, pa.string()), (ID, pa.string()), (PLACE, pa.int32()), *((f"c{i}", pa.string()) for i in range(WIDTH))])


def wire(form: str) -> Wire:
    """The way back for files of a form."""
    return Wire(RESULT, rows_of, _of_parts if form in IN_PARTS else _in_order)


# --- in a task ----------------------------------------------------------------------------------------------------------


def rows_of(result: TaskResult) -> pa.Table:
    """What a task says, as rows of `RESULT`."""
    turns = [line for some in result.turns for line in (some if isinstance(some, list) else lines_of(some))]
    return pa.concat_tables(
        [
            *(_rows(name, *table.columns, ids=result.ids.get(name)) for name, table in result.lines.items()),
            _of_texts(PARTS, zip(result.parts, strict=True)),
            _of_texts("turns", ((str(i), line) for i, line in enumerate(turns))),
            _of_texts("pools", zip(result.pools, strict=True)),
            _of_texts("extra", ((name, json.dumps(rows)) for name, rows in result.extra.items())),
            _of_texts("summary", ((json.dumps(counts),) for counts in result.counts)),
            _of_texts("invariants", ((json.dumps(tally),) for tally in result.tallies)),
            _of_texts("segments", zip(result.segments, strict=True)),
            _of_texts("memory", result.changes),
            _of_texts("late", result.late),
            _of_texts("older", zip(result.older, strict=True)),
        ]
    )


def _of_texts(mark: str, rows: Iterable[tuple[Value, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return _rows(mark, *(pa.array(column, pa.string()) for column in columns)) if columns else RESULT.empty_table()


def _rows(mark: str, *columns: Value, ids: pa.ChunkedArray | None = None) -> pa.Table:
    n = len(columns[0])
    order = [pa.nulls(n, pa.string()) if ids is None else ids.cast(pa.string()), pa.array(np.arange(n), pa.int32())]
    texts = [c.cast(pa.string()) for c in columns] + [pa.nulls(n, pa.string())] * (WIDTH - len(columns))
    return pa.table([pa.array([mark] * n, pa.string()), *order, *texts], schema=RESULT)


# --- on the driver ------------------------------------------------------------------------------------------------------


def _of_parts(results: DataFrame) -> Iterator[TaskResult]:
    """A few rows of each task; they are computed once, since a task writes each time that it runs."""
    yield result_of(results.collect())


def _in_order(results: DataFrame) -> Iterator[TaskResult]:
    from pyspark.sql import functions as f

    results = kept(results)
    for name in TABLES:
        some = results.where(f.col(MARK) == name).orderBy(ID, PLACE)
        yield TaskResult({name: some.select(*(f.col(f"c{i}").alias(c) for i, c in enumerate(COLUMNS[name]))).toArrow()})
    yield result_of(results.where(~f.col(MARK).isin(*TABLES)).toLocalIterator())


def result_of(rows: Iterable[Value]) -> TaskResult:
    """What all tasks say besides the lines of tables."""
    said, turns = TaskResult(), []
    for row in rows:
        mark, first, second = row[MARK], row["c0"], row["c1"]
        if mark == PARTS:
            said.parts.append(first)
        elif mark == "turns":
            turns.append((int(first), second))
        elif mark == "pools":
            said.pools.append(first)
        elif mark == "extra":
            said.extra.setdefault(first, []).extend(json.loads(second))
        elif mark == "summary":
            said.counts.append(json.loads(first))
        elif mark == "invariants":
            said.tallies.append(json.loads(first))
        elif mark == "memory":
            said.changes.append((first, second, row["c2"]))
        elif mark == "segments":
            said.segments.append(first)
        elif mark == "late":
            said.late.append((first, second))
        else:
            said.older.append(first)
    said.turns = [[line for _, line in sorted(turns)]]
    return said
