"""`roe run --engine spark`: tables shared out by record, the batch evaluator in each task, the same files at the end.

A task gets the records of one bucket with everything that refers to them, the other tables whole, and the policy's own
files. It runs what a local run would on that much data. What cannot be shared out runs in one task, and says so.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from roe.columns.raw import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.crm.ids import LONG, SHORT
from roe.data.cells import cells_of
from roe.data.headers import columns_of, field_of
from roe.data.read import files_of, kind_of, unreadable_parquet
from roe.data.scan import Origin
from roe.data.shape import misshapen
from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource
from roe.spark.plan import Share, share

ROWS_A_TASK = 200_000
MARK = "$portion"  # what a row is: a line of a table, or anything else that a task has to say
WIDTH = 15  # columns of the widest table
RESULT = pa.schema([(MARK, pa.string()), *((f"c{i}", pa.string()) for i in range(WIDTH))])


@dataclass
class SharedOut:
    """Results of all tasks, as one Spark frame with the columns of `RESULT`; the entities that tasks share out; what the reading of those
    said, where no task has it; and why the records stayed together, if they did.
    """

    results: Any
    split: set[str]
    origins: dict[str, Origin]
    together: str


Decide = Callable[[Evaluator, str, dict[str, Raw]], pa.Table]  # as of a moment, tables by entity -> rows of `RESULT`


def share_out(evaluator: Evaluator, data: Path, as_of: str, decide: Decide, session: Any = None, buckets: int | None = None) -> SharedOut:
    """Let tasks decide every record. `session` is a SparkSession; `local[2]` if none is given. Raises PolicyError for data that cannot
    be read.
    """
    spark = session or local_session()
    how = share(evaluator.policy)
    frame: Any
    portions: dict[str, Raw] = {}
    frame, broadcast, rows = _tables(spark, evaluator, data, how, portions) if isinstance(how, Share) else (None, {}, 0)
    if isinstance(how, Share) and frame is None:
        how = "some references are not ids, and are looked for in all records"
    files = _policy_files(evaluator.policy.root, evaluator.policy.files)
    if isinstance(how, Share):
        number = buckets or max(1, rows // ROWS_A_TASK)
        whole = {entity: (raw.habits, raw.origin.shown) for entity, raw in portions.items()}
        alone = _alone(evaluator, data, how, frame, portions)
        if alone is not None:
            chunks = _chunks(alone)
            read = _reading(decide, files, as_of, _sent(broadcast), whole[how.entity], (how.entity, str(alone.resolve()), chunks))
            results = spark.range(0, len(chunks), numPartitions=len(chunks)).mapInArrow(read, _schema())
            return SharedOut(results, {how.entity}, {entity: raw.origin for entity, raw in portions.items()}, "")
        task = _task(decide, files, as_of, _sent(broadcast), whole)
        results = frame.repartition(number, "$key").mapInArrow(task, _schema())  # all rows of a record in one task
        return SharedOut(results, {how.entity, *how.children}, {entity: raw.origin for entity, raw in portions.items()}, "")
    raws, problems = read_columns(evaluator.policy, data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    results = spark.range(1, numPartitions=1).mapInArrow(_whole(decide, files, as_of, _sent(raws)), _schema())
    return SharedOut(results, set(evaluator.policy.model.entities), {}, how)


def local_session() -> Any:
    from pyspark.sql import SparkSession

    import roe

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need this environment's packages, whatever is on the PATH
    source = str(Path(roe.__file__).resolve().parents[1])
    builder = SparkSession.builder.master("local[2]").appName("roe").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "4").config("spark.executorEnv.PYTHONPATH", source)
    builder = builder.config("spark.pyspark.python", sys.executable).config("spark.sql.session.timeZone", "UTC")
    return builder.config("spark.driver.memory", "3g").config("spark.log.level", "ERROR").getOrCreate()


def _schema() -> str:
    return ", ".join(f"`{name}` string" for name in RESULT.names)


def _policy_files(root: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in {"policy.yaml", *names}}


# --- sharing out ----------------------------------------------------------------------------------------------------


def _tables(spark: Any, evaluator: Evaluator, data: Path, how: Share, portions: dict[str, Raw]) -> tuple[Any, dict[str, Raw], int]:
    """(one frame of the shared tables' rows side by side, the other tables, how many rows); no frame if a reference is not an id.

    `portions` gets what the whole columns of each shared table settle, and what its reading said, in a table without rows.
    """
    from pyspark.sql import functions as f

    policy = evaluator.policy
    broadcast: dict[str, Raw] = {}
    frames: dict[str, Any] = {}
    rows = 0
    paths, problems = files_of(policy, data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    for entity, path in paths.items():
        if entity != how.entity and entity not in how.children:
            broadcast[entity] = _one(evaluator, data, entity)
            continue
        if kind_of(path) == ".parquet":
            plain = spark.read.parquet(str(path.resolve()))
            frames[entity] = plain.withColumn("$line", f.col("_metadata.row_index") + 1)
            portions[entity] = _whole_columns(policy, entity, path)
        else:
            raw = _one(evaluator, data, entity)
            fields = policy.model.entities[entity]
            held = columns_of(entity, fields, raw.columns, policy.model.roles())
            habits = {c: h for name, c in held.items() if (h := raw.habits_of(c, field_of(fields, name))) is not None}
            portions[entity] = Raw({}, 0, None, raw.origin, habits)
            table = pa.table({**{k: pa.array(x) if isinstance(x, list) else x for k, x in raw.columns.items()}, "$line": raw.lines})
            frames[entity] = spark.createDataFrame(table)
        rows += frames[entity].count()
    if how.entity not in frames:
        return None, broadcast, 0
    keyed = {entity: _keyed(evaluator, entity, frame, how) for entity, frame in frames.items()}
    if any(frame is None for frame in keyed.values()):
        return None, broadcast, 0
    ids = keyed[how.entity].select(f.col("$key").alias("$known")).distinct()
    for entity, frame in keyed.items():
        if entity != how.entity:
            strays = frame.where(f.col("$key").isNotNull()).join(ids, f.col("$key") == f.col("$known"), "left_anti")
            if strays.limit(1).count():
                return None, broadcast, 0
    whole = None
    for number, (entity, frame) in enumerate(keyed.items()):
        names = [c for c in frame.columns if c != "$key"]
        shaped = frame.select(f.col("$key"), f.lit(entity).alias("$entity"), *(f.col(f"`{c}`").alias(f"{number}|{c}") for c in names))
        whole = shaped if whole is None else whole.unionByName(shaped, allowMissingColumns=True)
    return whole, broadcast, rows


def _whole_columns(policy: Any, entity: str, path: Path) -> Raw:
    """What the columns of a Parquet file settle for all its rows."""
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        header = tuple(file.schema_arrow.names)
        habits = habits_of_file(policy, entity, file)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(path, e)]) from e
    origin = Origin(str(path), header)
    problems = misshapen(policy, entity, origin, file.metadata.num_rows)
    if errors(problems):
        raise PolicyError(problems)
    return Raw({}, 0, None, origin, habits)


def _one(evaluator: Evaluator, data: Path, entity: str) -> Raw:
    others = {e for e in evaluator.policy.model.entities if e != entity}
    tables, problems = read_columns(evaluator.policy, data, leave_out=others)
    if errors(problems):
        raise PolicyError(problems)
    return tables[entity]


def _keyed(evaluator: Evaluator, entity: str, frame: Any, how: Share) -> Any:
    """The rows with the id of the record that they belong to; None if that is not a column of texts."""
    from pyspark.sql import functions as f

    policy = evaluator.policy
    names = columns_of(entity, policy.model.entities[entity], [c for c in frame.columns if c != "$line"], policy.model.roles())
    key = names.get("id" if entity == how.entity else how.children[entity])
    if key is None:
        return frame.withColumn("$key", f.lit(None).cast("string")) if entity != how.entity else None
    if dict(frame.dtypes)[key] != "string":
        return None
    text = f.trim(f.col(f"`{key}`"))
    text = f.when(f.length(text) == LONG, f.substring(text, 1, SHORT)).otherwise(text)  # both forms of an id go to one task
    of = policy.model.entities[entity]["id" if entity == how.entity else how.children[entity]]
    cells = cells_of(of, zone_of(policy.timezone), policy.data.get(entity, DataSource()), None, entity)
    missing = f.lower(text).isin(*cells.words, "") | text.isin(*cells.exact, "")
    return frame.withColumn("$key", f.when(missing, None).otherwise(text))


def _alone(evaluator: Evaluator, data: Path, how: Share, frame: Any, portions: dict[str, Raw]) -> Path | None:
    """The Parquet file whose records tasks can read themselves, row group by row group: nothing refers to them, and each has its own id."""
    from pyspark.sql import functions as f

    path = files_of(evaluator.policy, data)[0].get(how.entity)
    if path is None or kind_of(path) != ".parquet" or set(portions) != {how.entity}:
        return None
    ids = frame.select(f.col("$key"))
    counts = ids.agg(f.count("*").alias("n"), f.count("$key").alias("known"), f.countDistinct("$key").alias("distinct")).first()
    return path if counts["n"] == counts["known"] == counts["distinct"] else None


Chunk = tuple[int, int, int]  # the first row group, the one after the last, and the rows before them


def _chunks(path: Path) -> list[Chunk]:
    """The row groups of a file for one task each, of some 200,000 rows where groups are no larger."""
    from pyarrow import parquet

    data = parquet.ParquetFile(path).metadata
    found: list[Chunk] = []
    first, before, rows = 0, 0, 0
    for group in range(data.num_row_groups):
        rows += data.row_group(group).num_rows
        if rows >= ROWS_A_TASK or group == data.num_row_groups - 1:
            found.append((first, group + 1, before))
            first, before, rows = group + 1, before + rows, 0
    return found


# --- tasks ----------------------------------------------------------------------------------------------------------


def _sent(tables: dict[str, Raw]) -> bytes:
    """Tables as bytes that any process can read: Arrow where it can, JSON for columns of mixed values."""
    held = []
    for entity, raw in tables.items():
        arrays = {k: pa.array([json.dumps(x) for x in c]) if isinstance(c, list) else c for k, c in raw.columns.items()}
        table = pa.table({**arrays, "$line": raw.lines}).replace_schema_metadata(
            {"mixed": json.dumps([k for k, c in raw.columns.items() if isinstance(c, list)])}
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        o = raw.origin
        held.append([entity, sink.getvalue().to_pybytes().hex(), [o.shown, o.header, o.rejects, o.blank, o.notes]])
    return json.dumps(held).encode()


def _received(sent: bytes) -> dict[str, Raw]:
    out = {}
    for entity, text, (path, header, rejects, blank, notes) in json.loads(sent):
        table = pa.ipc.open_stream(bytes.fromhex(text)).read_all()
        mixed = json.loads((table.schema.metadata or {}).get(b"mixed", b"[]"))
        raw = Raw.of_table(table.drop_columns(["$line"]), table["$line"].to_numpy())
        columns = {k: [json.loads(x) for x in pa.array(c).to_pylist()] if k in mixed else c for k, c in raw.columns.items()}
        origin = Origin(path, tuple(header), [(line, what, why) for line, what, why in rejects], blank, notes)
        out[entity] = Raw(columns, table.num_rows, raw.lines, origin)
    return out


@lru_cache(maxsize=2)
def _evaluator(files: tuple[tuple[str, bytes], ...]) -> Evaluator:
    """The policy, from its files' contents: once for each Python worker."""
    from roe.stages.build import build

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        policy, found = build(Path(folder))
    if policy is None:
        raise PolicyError(found)
    return Evaluator(policy)


def _task(
    decide: Decide, files: dict[str, bytes], as_of: str, others: bytes, whole: dict[str, tuple[Any, str]]
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    given = tuple(sorted(files.items()))

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow.compute as pc

        held = list(batches)
        if not held:
            return
        table = pa.Table.from_batches(held)
        tables = _received(others)
        for entity in pc.unique(table["$entity"]).to_pylist():
            mine = table.filter(pc.equal(table["$entity"], entity))
            prefix = next(
                c.split("|", 1)[0] for c in mine.column_names if "|" in c and c.endswith("|$line") and mine[c].null_count < mine.num_rows
            )
            own = {c.split("|", 1)[1]: mine[c] for c in mine.column_names if c.startswith(prefix + "|")}
            lines = own.pop("$line").combine_chunks().to_numpy(zero_copy_only=False)
            order = lines.argsort(kind="stable")
            raw = pa.table(own).take(pa.array(order))
            habits, path = whole[entity]
            tables[entity] = Raw.of_table(raw, lines[order], Origin(path), habits)
        yield from decide(_evaluator(given), as_of, tables).to_batches()

    return task


def _whole(decide: Decide, files: dict[str, bytes], as_of: str, tables: bytes) -> Callable[[Iterator[Any]], Iterator[Any]]:
    given = tuple(sorted(files.items()))

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        for _ in batches:
            pass
        yield from decide(_evaluator(given), as_of, _received(tables)).to_batches()

    return task


def _reading(
    decide: Decide, files: dict[str, bytes], as_of: str, others: bytes, whole: tuple[Any, str], place: tuple[str, str, list[Chunk]]
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """A task that reads its row groups itself, and decides them in portions: no record goes through the JVM."""
    given = tuple(sorted(files.items()))
    (habits, shown), (entity, path, chunks) = whole, place

    def task(batches: Iterator[Any]) -> Iterator[Any]:
        from pyarrow import parquet

        for number in [n for batch in batches for n in batch.column(0).to_pylist()]:
            first, after, before = chunks[number]
            rows = parquet.ParquetFile(path).read_row_groups(list(range(first, after)))
            for start in range(0, max(rows.num_rows, 1), ROWS_A_TASK):
                some = rows.slice(start, ROWS_A_TASK)
                lines = np.arange(before + start + 1, before + start + some.num_rows + 1)
                tables = {**_received(others), entity: Raw.of_table(some, lines, Origin(shown), habits)}
                yield from decide(_evaluator(given), as_of, tables).to_batches()

    return task
