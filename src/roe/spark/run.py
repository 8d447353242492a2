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
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from roe.columns.load import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.columns.run import ColumnRun
from roe.columns.write import Summary, allocations, changes, extra_of, portion, write_rejects, write_tables
from roe.crm.ids import LONG, SHORT
from roe.data.coerce import cells_of, columns_of
from roe.data.extra import write_extra
from roe.data.files import write_whole
from roe.data.read import files_of, kind_of, unreadable_parquet
from roe.data.report import broken, read_report, report_of, write_report
from roe.data.scan import Origin
from roe.data.shape import misshapen
from roe.data.write import ALLOCATIONS, CHANGES, POOLS_START, pools_json, write_turns
from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource
from roe.spark.plan import Share, share

ROWS_A_TASK = 200_000
MARK = "$portion"  # what a row is: an allocation, a change, the way back, or a task's summary
KINDS = {"allocations": ALLOCATIONS, "changes": CHANGES, "rollback": CHANGES}
WIDTH = max(len(names) for names in KINDS.values())
RESULT = pa.schema([(MARK, pa.string()), *((f"c{i}", pa.string()) for i in range(WIDTH))])


def run_spark(
    evaluator: Evaluator, data: Path, as_of: str, out: Path, form: str = "csv", session: Any = None, buckets: int | None = None
) -> tuple[dict[str, Any], str]:
    """Decide every record on Spark; the summary, and why the records stayed together if they did.

    `session` is a SparkSession; `local[2]` if none is given. Raises PolicyError for data that cannot be read, OSError
    for a folder that cannot be written.
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
        task = _task(files, as_of, _sent(broadcast), {entity: (raw.habits, raw.origin.shown) for entity, raw in portions.items()})
        found = frame.repartition(number, "$key").mapInArrow(task, _schema())  # all rows of a record in one task
        split = {how.entity, *how.children}
    else:
        portions = {}
        raws, problems = read_columns(evaluator.policy, data, complete=True)
        if errors(problems):
            raise PolicyError(problems)
        whole = _whole(files, as_of, _sent(raws))
        found = spark.range(1, numPartitions=1).mapInArrow(whole, _schema())
        split = set(evaluator.policy.model.entities)
    summary = _collect(found, evaluator, as_of, out, form, split, {entity: raw.origin for entity, raw in portions.items()})
    return summary, how if isinstance(how, str) else ""


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
            habits = {c: h for name, c in held.items() if (h := raw.habits_of(c, fields[name.partition(".")[0]])) is not None}
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
    from roe.policy.build import build

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        policy, found = build(Path(folder))
    if policy is None:
        raise PolicyError(found)
    return Evaluator(policy)


def _decide(files: tuple[tuple[str, bytes], ...], as_of: str, tables: dict[str, Raw]) -> pa.Table:
    run = ColumnRun.of(_evaluator(files), tables, as_of=as_of)
    whole = allocations(run)
    forth, back = changes(run, whole)
    parts = [_shaped(name, table) for name, table in (("allocations", whole), ("changes", forth), ("rollback", back))]
    said = json.dumps(portion(run, forth.num_rows))
    cells = {f"c{i}": pa.array([said if i == 0 else None], pa.string()) for i in range(WIDTH)}
    lines = run.turn_lines()
    lines.append(pools_json(run.bound.pools.histories()))  # the last one says what the pools were
    order = [str(i) for i in range(len(lines))]
    turned = pa.table(
        {
            MARK: pa.array(["turns"] * len(lines), pa.string()),
            "c0": pa.array(order, pa.string()),
            "c1": pa.array(lines, pa.string()),
            **{f"c{i}": pa.nulls(len(lines), pa.string()) for i in range(2, WIDTH)},
        }
    )
    extra = extra_of(run)
    more = pa.table(
        {
            MARK: pa.array(["extra"] * len(extra), pa.string()),
            "c0": pa.array(list(extra), pa.string()),
            "c1": pa.array([json.dumps(rows) for rows in extra.values()], pa.string()),
            **{f"c{i}": pa.nulls(len(extra), pa.string()) for i in range(2, WIDTH)},
        }
    )
    return pa.concat_tables([*parts, turned.cast(RESULT), more.cast(RESULT), pa.table({MARK: pa.array(["summary"]), **cells}).cast(RESULT)])


def _shaped(name: str, table: pa.Table) -> pa.Table:
    columns: dict[str, Any] = {MARK: pa.array([name] * table.num_rows, pa.string())}
    for i in range(WIDTH):
        held = table.column(i).cast(pa.string()) if i < table.num_columns else pa.nulls(table.num_rows, pa.string())
        columns[f"c{i}"] = held
    return pa.table(columns).cast(RESULT)


def _task(
    files: dict[str, bytes], as_of: str, others: bytes, whole: dict[str, tuple[Any, str]]
) -> Callable[[Iterator[Any]], Iterator[Any]]:
    given = tuple(sorted(files.items()))

    def decide(batches: Iterator[Any]) -> Iterator[Any]:
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
        yield from _decide(given, as_of, tables).to_batches()

    return decide


def _whole(files: dict[str, bytes], as_of: str, tables: bytes) -> Callable[[Iterator[Any]], Iterator[Any]]:
    given = tuple(sorted(files.items()))

    def decide(batches: Iterator[Any]) -> Iterator[Any]:
        for _ in batches:
            pass
        yield from _decide(given, as_of, _received(tables)).to_batches()

    return decide


# --- results --------------------------------------------------------------------------------------------------------


def _collect(
    found: Any, evaluator: Evaluator, as_of: str, out: Path, form: str, split: set[str], origins: dict[str, Origin]
) -> dict[str, Any]:
    from pyspark.sql import functions as f

    out.mkdir(parents=True, exist_ok=True)
    found = found.persist()
    try:
        summary = Summary(split, origins)
        for row in found.where(f.col(MARK) == "summary").toLocalIterator():
            summary.add(json.loads(row["c0"]))
        tables = {}
        for name, columns in KINDS.items():
            keys = ("c0", "c1", "c3") if name == "allocations" else ("c0", "c1", "c2")
            some = found.where(f.col(MARK) == name)
            some = some.orderBy(*keys)
            tables[name] = some.select(*(f.col(f"c{i}").alias(c) for i, c in enumerate(columns))).toArrow()
        turns = [(int(r["c0"]), r["c1"]) for r in found.where(f.col(MARK) == "turns").toLocalIterator()]
        extra: dict[str, list[list[str]]] = {}
        for r in found.where(f.col(MARK) == "extra").toLocalIterator():
            extra.setdefault(r["c0"], []).extend(json.loads(r["c1"]))
    finally:
        found.unpersist()
    report = report_of(summary.readings())
    broken_guards = broken(evaluator.policy, report, read_report(out))
    if broken_guards:
        raise PolicyError(broken_guards)
    write_extra(extra, out)
    write_tables(tables, out, form)
    write_rejects(summary.rejects(evaluator.policy.model.entities), out)
    write_report(report, out)
    lines = [line for _, line in sorted(turns)]
    kept = [line for line in lines if line.startswith(POOLS_START)]  # one of each task; pools take turns in one task alone
    write_turns(max(kept, key=len), (line for line in lines if not line.startswith(POOLS_START)), out)
    whole = summary.as_json(evaluator.policy, evaluator.clock(as_of))
    write_whole(out / "summary.json", json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    return whole
