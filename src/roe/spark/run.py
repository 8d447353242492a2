"""`roe run --engine spark`: tables shared out by record, the batch evaluator in each task, the same files at the end.

A task gets the records of one bucket with everything that refers to them, the other tables whole, and the policy's own
files. It runs what a local run would on that much data. What cannot be shared out runs in one task, and says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from roe.columns.raw import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.columns.stream import PLAIN_ID
from roe.crm.ids import LONG, SHORT
from roe.data.cells import cells_of
from roe.data.headers import columns_of, field_of
from roe.data.read import files_of, kind_of, unreadable_parquet
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.grammar.clock import zone_of
from roe.ledger.remembered import Remembered
from roe.policy.model import DataSource, Policy
from roe.spark.memory import MEMORY, RECORD, others_owned, rest_of, rows_of, sent_state
from roe.spark.plan import Share, share
from roe.spark.pools import GIVEN, HANDED, ROLE, SAID, WAITS, Said, TurnFiles, columns_for_pools, hand_out, waiting
from roe.spark.tasks import LINE, ROWS_A_TASK, Chunk, Decide, of_all, of_bucket, of_records, of_row_groups, sent, sent_policy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructType

MANY = 1000  # records of a task, of which there is at least one
MARK = "$portion"  # what a row is: a line of a table, or anything else that a task has to say
Check = Callable[[Mapping[str, Raw]], None]


@dataclass
class SharedOut:
    """Results of all tasks, as one Spark frame with the columns of `result`; the entities that tasks share out; what the reading of those
    said, where no task has it; why the records stayed together, if they did; and what one task said of all turns, if it gave them out.
    """

    results: DataFrame
    split: set[str]
    origins: dict[str, TableOrigin]
    together: str = ""
    turns: Said | None = None
    held: DataFrame | None = None  # what Spark keeps for them
    others: dict[str, Raw] = field(default_factory=dict)  # the tables that every task has


@dataclass
class _Cut:
    """The tables of a run on Spark: frames of those that are shared out, and of each of these a table without rows that says what its whole
    columns settle and what its reading said; all others whole; and the number of rows that are shared out.
    """

    frames: dict[str, DataFrame] = field(default_factory=dict)
    portions: dict[str, Raw] = field(default_factory=dict)
    broadcast: dict[str, Raw] = field(default_factory=dict)
    rows: int = 0

    @property
    def origins(self) -> dict[str, TableOrigin]:
        return {entity: raw.origin for entity, raw in self.portions.items()}


def share_out(
    evaluator: Evaluator, data: Path, as_of: str, decide: Decide, result: pa.Schema, session: SparkSession | None = None, buckets: int | None = None,
    turn_files: TurnFiles | None = None, state: Remembered | None = None, check: Check = lambda tables: None,
) -> SharedOut:  # fmt: skip
    """Let tasks decide every record; what they send back are rows of `result`. `session` is a SparkSession; `local[2]` if none is given. `turn_files` is for the turns of pools, if
    they are not to return to the driver. `state` is what the last run left; None where nothing is remembered. `check` sees the tables
    first, those that are shared out without their rows. Raises PolicyError for data that cannot be read.
    """
    spark = session or local_session()
    work = _Work(spark, evaluator, data, as_of, result, sent_policy(evaluator.policy), state, check)
    how = share(evaluator.policy)
    shared = how if isinstance(how, str) else _in_buckets(work, how, decide, buckets, turn_files)
    return _in_one_task(work, decide, shared) if isinstance(shared, str) else shared


@dataclass(frozen=True)
class _Work:
    """What all tasks of a run are about."""

    spark: SparkSession
    evaluator: Evaluator
    data: Path
    as_of: str
    result: pa.Schema
    policy: bytes
    state: Remembered | None
    check: Check

    @property
    def schema(self) -> str:
        return ", ".join(f"`{name}` string" for name in self.result.names)


def _in_one_task(work: _Work, decide: Decide, reason: str) -> SharedOut:
    raws, problems = read_columns(work.evaluator.policy, work.data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    work.check(raws)
    task = of_all(decide, work.policy, work.as_of, sent(raws), sent_state(work.state or {}))
    results = work.spark.range(1, numPartitions=1).mapInArrow(task, work.schema)
    return SharedOut(results, set(work.evaluator.policy.model.entities), {}, reason)


def _in_buckets(work: _Work, how: Share, decide: Decide, buckets: int | None, turn_files: TurnFiles | None) -> SharedOut | str:
    """Tasks for some of the records each; or why these must stay together."""
    state = work.state or {}
    why = kept_together(work.evaluator, state, how)
    if why:
        return why
    cut = _tables(work.spark, work.evaluator, work.data, how)
    work.check({**cut.broadcast, **cut.portions})
    memory = rows_of(state, how.entity)
    keyed = _side_by_side(work.evaluator, cut, how)
    if keyed is None:
        return "some references are not ids, and are looked for in all records"
    if memory.num_rows and not _are_plain(keyed, how.entity):
        return "some ids are written in more than one way, and the ledger knows them by one"
    keyed = _with_memory(work.spark, keyed, memory, len(cut.frames))
    number, others = buckets or max(1, cut.rows // ROWS_A_TASK), sent(cut.broadcast)
    if work.evaluator.policy.data.get(how.entity, DataSource()).complete:  # a task without a record would not know what is gone
        number = min(number, max(1, cut.rows // MANY))
    rest = sent_state(rest_of(state, how.entity))
    bucket = (work.policy, work.as_of, others, rest, how.entity)
    whole = {entity: (raw.habits, raw.origin.shown) for entity, raw in cut.portions.items()}
    if how.handed_out_by is not None:
        frame = cut.frames[how.entity]
        columns = columns_for_pools(work.evaluator.policy, how, [c for c in frame.columns if c != LINE])
        ask = of_bucket(partial(waiting, entity=how.entity, columns=columns), *bucket, whole)
        waits = keyed.repartition(number, "$key").mapInArrow(ask, _waiting_schema(work.evaluator, frame, how.entity, columns))
        give = partial(hand_out, entity=how.entity, files=turn_files, remembers=work.state is not None)
        task = of_records(give, work.policy, work.as_of, others, sent_state(state), whole[how.entity], how.entity)
        handed = waits.repartition(1).mapInArrow(task, _handed_schema()).persist()
        said = Said.of(row[SAID] for row in handed.where(f"`{SAID}` is not null").select(f"`{SAID}`").collect())
        if said.reason:
            handed.unpersist()
            return said.reason
        cut.frames[how.entity] = _with_turns(work.evaluator, frame, how.entity, handed)
        again = _side_by_side(work.evaluator, cut, how)
        assert again is not None  # it was the first time
        keyed = _with_memory(work.spark, again, memory, len(cut.frames))
        results = keyed.repartition(number, "$key").mapInArrow(of_bucket(decide, *bucket, whole), work.schema)
        return SharedOut(results, {how.entity, *how.children}, cut.origins, turns=said, held=handed, others=cut.broadcast)
    alone = _alone(work.evaluator, work.data, how, keyed, cut.portions) if not memory.num_rows else None
    if alone is not None:
        chunks = _chunks(alone)
        read = of_row_groups(decide, work.policy, work.as_of, others, rest, whole[how.entity], (how.entity, str(alone.resolve()), chunks))
        results = work.spark.range(0, len(chunks), numPartitions=len(chunks)).mapInArrow(read, work.schema)
        return SharedOut(results, {how.entity}, cut.origins, others=cut.broadcast)
    task = of_bucket(decide, *bucket, whole)
    results = keyed.repartition(number, "$key").mapInArrow(task, work.schema)  # all rows of a record in one task
    return SharedOut(results, {how.entity, *how.children}, cut.origins, others=cut.broadcast)


def kept_together(evaluator: Evaluator, state: Remembered, how: Share) -> str:
    """Why what the ledger knows keeps the records together; empty if it does not."""
    other = others_owned(state, how.entity)
    if other:
        return f"the ledger knows owners of {other} records, too"
    id_field = evaluator.policy.model.entities[how.entity]["id"]
    if state and (id_field.normalize or id_field.aliases):
        return "the ids of the data are not those of the ledger"
    if state.get("assigned") and any(pool.credit_back for pool in evaluator.policy.plan.pools.values()):
        return "what stands in a record may give its turn back"
    return ""


def local_session(master: str = "local[2]", more: Mapping[str, str] = MappingProxyType({})) -> SparkSession:
    """A session of this machine; `more` settings go before its own. The driver's memory is settled by the first one of a process."""
    from pyspark.sql import SparkSession

    import roe

    if master.startswith("local-cluster"):
        _let_executors_start()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need this environment's packages, whatever is on the PATH
    source = str(Path(roe.__file__).resolve().parents[1])
    builder = SparkSession.builder.master(master).appName("roe").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "4").config("spark.executorEnv.PYTHONPATH", source)
    builder = builder.config("spark.pyspark.python", sys.executable).config("spark.sql.session.timeZone", "UTC")
    builder = builder.config("spark.driver.memory", "3g").config("spark.log.level", "ERROR")
    return builder.config(map=dict(more)).getOrCreate()


def _let_executors_start() -> None:
    """Say where Spark is and for which Scala it was made: executors of this machine are started by its own scripts, which must be told."""
    import pyspark

    home = Path(pyspark.__file__).parent
    scala = next(home.glob("jars/spark-core_*.jar")).name.removeprefix("spark-core_").partition("-")[0]
    for name, value in (("SPARK_HOME", str(home)), ("SPARK_SCALA_VERSION", scala), ("SPARK_LOCAL_IP", "127.0.0.1")):
        os.environ.setdefault(name, value)


# --- sharing out ----------------------------------------------------------------------------------------------------


def _tables(spark: SparkSession, evaluator: Evaluator, data: Path, how: Share) -> _Cut:
    """The tables, cut up."""
    from pyspark.sql import functions as f

    policy, cut = evaluator.policy, _Cut()
    paths, problems = files_of(policy, data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    for entity, path in paths.items():
        if entity != how.entity and entity not in how.children:
            cut.broadcast[entity] = _one(evaluator, data, entity)
            continue
        if kind_of(path) == ".parquet":
            plain = spark.read.parquet(str(path.resolve()))
            cut.frames[entity] = plain.withColumn(LINE, f.col("_metadata.row_index") + 1)
            cut.portions[entity] = _whole_columns(policy, entity, path)
        else:
            raw = _one(evaluator, data, entity)
            fields = policy.model.entities[entity]
            held = columns_of(entity, fields, raw.columns, policy.model.roles())
            habits = {c: h for name, c in held.items() if (h := raw.habits_of(c, field_of(fields, name))) is not None}
            cut.portions[entity] = Raw({}, 0, None, raw.origin, habits)
            table = pa.table({**{k: pa.array(x) if isinstance(x, list) else x for k, x in raw.columns.items()}, LINE: raw.lines})
            cut.frames[entity] = spark.createDataFrame(table)
        cut.rows += cut.frames[entity].count()
    return cut


def _side_by_side(evaluator: Evaluator, cut: _Cut, how: Share) -> DataFrame | None:
    """One frame of the shared tables' rows with their records' ids; None if a reference is not an id."""
    from pyspark.sql import functions as f

    if how.entity not in cut.frames:
        return None
    keyed: dict[str, DataFrame] = {}
    for entity, frame in cut.frames.items():
        with_keys = _keyed(evaluator, entity, frame, how)
        if with_keys is None:
            return None
        keyed[entity] = with_keys
    ids = keyed[how.entity].select(f.col("$key").alias("$known")).distinct()
    for entity, frame in keyed.items():
        if entity != how.entity:
            strays = frame.where(f.col("$key").isNotNull()).join(ids, f.col("$key") == f.col("$known"), "left_anti")
            if strays.limit(1).count():
                return None
    whole: DataFrame | None = None
    for number, (entity, frame) in enumerate(keyed.items()):
        names = [c for c in frame.columns if c != "$key"]
        shaped = frame.select(f.col("$key"), f.lit(entity).alias("$entity"), *(f.col(f"`{c}`").alias(f"{number}|{c}") for c in names))
        whole = shaped if whole is None else whole.unionByName(shaped, allowMissingColumns=True)
    return whole


def _are_plain(keyed: DataFrame, entity: str) -> bool:
    """Whether every id means itself, so that the ledger has it as the data has it."""
    from pyspark.sql import functions as f

    own = keyed.where((f.col("$entity") == entity) & f.col("$key").isNotNull())
    return bool(own.where(~f.col("$key").rlike(PLAIN_ID)).limit(1).count() == 0)


def _with_memory(spark: SparkSession, keyed: DataFrame, memory: pa.Table, number: int) -> DataFrame:
    """The rows of the shared tables, and beside them what the ledger knows of their records."""
    from pyspark.sql import functions as f

    if not memory.num_rows:
        return keyed
    frame = spark.createDataFrame(memory)
    shaped = frame.select(
        _short(f.col(f"`{RECORD}`")).alias("$key"),
        f.lit(MEMORY).alias("$entity"),
        *(f.col(f"`{c}`").alias(f"{number}|{c}") for c in frame.columns),
    )
    return keyed.unionByName(shaped, allowMissingColumns=True)


def _short(text: Column) -> Column:
    """Ids by which records go to tasks: both forms of one go to the same."""
    from pyspark.sql import functions as f

    return f.when(f.length(text) == LONG, f.substring(text, 1, SHORT)).otherwise(text)


def _waiting_schema(evaluator: Evaluator, frame: DataFrame, entity: str, columns: list[str]) -> StructType:
    """What tasks send of the records that wait."""
    from pyspark.sql.types import LongType, StructField, StructType

    roles = [role for of, role in evaluator.policy.plan.engagement if of == entity]
    numbers = [StructField(name, LongType()) for name in (LINE, *(WAITS + role for role in roles))]
    return StructType([*(StructField(c, frame.schema[c].dataType) for c in columns), *numbers])


def _handed_schema() -> str:
    return ", ".join(f"`{name}` {'bigint' if name == LINE else 'string'}" for name in HANDED.names)


def _with_turns(evaluator: Evaluator, frame: DataFrame, entity: str, handed: DataFrame) -> DataFrame:
    """The rows of an entity with what pools gave them, role by role."""
    from pyspark.sql import functions as f

    for role in [role for of, role in evaluator.policy.plan.engagement if of == entity]:
        own = handed.where(f.col(f"`{ROLE}`") == role).select(LINE, *(f.col(f"`{name}`").alias(name + role) for name in GIVEN))
        frame = frame.join(own, LINE, "left")
    return frame


def _whole_columns(policy: Policy, entity: str, path: Path) -> Raw:
    """What the columns of a Parquet file settle for all its rows."""
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        header = tuple(file.schema_arrow.names)
        habits = habits_of_file(policy, entity, file)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(path, e)]) from e
    origin = TableOrigin(str(path), header)
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


def _keyed(evaluator: Evaluator, entity: str, frame: DataFrame, how: Share) -> DataFrame | None:
    """The rows with the id of the record that they belong to; None if that is not a column of texts."""
    from pyspark.sql import functions as f

    policy = evaluator.policy
    names = columns_of(
        entity, policy.model.entities[entity], [c for c in frame.columns if c != LINE and not c.startswith(GIVEN)], policy.model.roles()
    )
    key = names.get("id" if entity == how.entity else how.children[entity])
    if key is None:
        return frame.withColumn("$key", f.lit(None).cast("string")) if entity != how.entity else None
    if dict(frame.dtypes)[key] != "string":
        return None
    text = _short(f.trim(f.col(f"`{key}`")))
    of = policy.model.entities[entity]["id" if entity == how.entity else how.children[entity]]
    cells = cells_of(of, zone_of(policy.timezone), policy.data.get(entity, DataSource()), None, entity)
    missing = f.lower(text).isin(*cells.words, "") | text.isin(*cells.exact, "")
    return frame.withColumn("$key", f.when(missing, None).otherwise(text))


def _alone(evaluator: Evaluator, data: Path, how: Share, frame: DataFrame, portions: dict[str, Raw]) -> Path | None:
    """The Parquet file whose records tasks can read themselves, row group by row group: nothing refers to them, and each has its own id."""
    from pyspark.sql import functions as f

    path = files_of(evaluator.policy, data)[0].get(how.entity)
    if path is None or kind_of(path) != ".parquet" or set(portions) != {how.entity}:
        return None
    ids = frame.select(f.col("$key"))
    counts = ids.agg(f.count("*").alias("n"), f.count("$key").alias("known"), f.countDistinct("$key").alias("distinct")).first()
    return path if counts["n"] == counts["known"] == counts["distinct"] else None


def _chunks(path: Path) -> list[Chunk]:
    """The row groups of a file for one task each, of some 200,000 rows where groups are no larger."""
    from pyarrow import parquet

    data = parquet.ParquetFile(path).metadata
    chunks: list[Chunk] = []
    first, before, rows = 0, 0, 0
    for group in range(data.num_row_groups):
        rows += data.row_group(group).num_rows
        if rows >= ROWS_A_TASK or group == data.num_row_groups - 1:
            chunks.append((first, group + 1, before))
            first, before, rows = group + 1, before + rows, 0
    return chunks
