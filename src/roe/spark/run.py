"""`roe run --engine spark`: tables shared out by record, the batch evaluator in each task, the same files at the end.

A task gets the records of one bucket with everything that refers to them, the other tables whole, and the policy's own
files. It runs what a local run would on that much data. What cannot be shared out runs in one task, and says so.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from roe.columns.raw import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.data.coerce import MODIFIED
from roe.data.habits import Habits
from roe.data.headers import columns_of, field_of
from roe.data.read import files_of, kind_of, unreadable_parquet
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered
from roe.policy.model import DataSource, Policy
from roe.spark.memory import MEMORY, RECORD, others_owned, rest_of, rows_of, sent_state, with_newest
from roe.spark.parcels import BUCKET, LINE, OF, PARCEL_SQL, ROWS, Key, key_of, of_bytes, table_of
from roe.spark.plan import Share, share
from roe.spark.pools import Said, TurnFiles, columns_for_pools, hand_out, waiting
from roe.spark.tasks import (
    HANDED,
    KEYS_SAY,
    ROWS_A_TASK,
    SAID,
    WAITING,
    Decide,
    Piece,
    Shared,
    of_all,
    of_bucket,
    of_keys,
    of_pieces,
    of_records,
    parcels_of,
    sent,
    sent_policy,
    to_buckets,
)  # fmt: skip

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEYS_A_TASK = 1_000_000
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # tasks are Python: Java is to start soon, and has little to do
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
    """The tables of a run on Spark: those that are shared out, with the pieces of the Parquet files, and the rows of other files; all others
    whole; and the number of rows that are shared out.
    """

    shared: dict[str, Shared] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    held: dict[str, pa.Table] = field(default_factory=dict)
    origins: dict[str, TableOrigin] = field(default_factory=dict)  # of what is shared out: what its reading said
    broadcast: dict[str, Raw] = field(default_factory=dict)
    rows: int = 0


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
    state, entity = work.state or {}, how.entity
    why = kept_together(work.evaluator, state, how)
    if why:
        return why
    cut = _tables(work.evaluator, work.data, how)
    if isinstance(cut, str):
        return cut
    work.check({**cut.broadcast, **{of: Raw({}, 0, None, origin) for of, origin in cut.origins.items()}})
    memory = rows_of(state, entity)
    is_own, is_closed = _looked_at(work, cut, entity)
    if not is_closed:
        return "some references are not ids, and are looked for in all records"
    policy = work.evaluator.policy
    state = with_newest(state, policy, entity, _dated(cut.shared[entity], cut.held.get(entity), policy, entity))
    others, rest = sent(cut.broadcast), sent_state(rest_of(state, entity))
    if is_own and set(cut.shared) == {entity} and cut.pieces and how.handed_out_by is None and not memory.num_rows:
        read = of_pieces(decide, work.policy, work.as_of, others, rest, cut.shared[entity], cut.pieces)
        return SharedOut(_numbered(work, cut.pieces).mapInArrow(read, work.schema), {entity}, cut.origins, others=cut.broadcast)
    number = buckets or max(1, cut.rows // ROWS_A_TASK)
    if work.evaluator.policy.data.get(entity, DataSource()).complete:  # a task without a record would not know what is gone
        number = min(number, max(1, cut.rows // MANY))
    parcels = _parcels(work, cut, number, memory)
    bucket = (work.policy, work.as_of, others, rest, entity, cut.shared)
    said = handed = None
    if how.handed_out_by is not None:
        columns = columns_for_pools(work.evaluator.policy, how, [c for c in cut.shared[entity].schema.names if c != LINE])
        ask = of_bucket(partial(waiting, entity=entity, columns=columns), *bucket, sends=WAITING)
        give = partial(hand_out, entity=entity, files=turn_files, remembers=work.state is not None)
        task = of_records(give, work.policy, work.as_of, others, sent_state(state), cut.shared[entity], entity)
        handed = _by_task(parcels, number).mapInArrow(ask, PARCEL_SQL).repartition(1).mapInArrow(task, PARCEL_SQL).persist()
        said = Said.of(of_bytes(bytes(handed.where(f"`{OF}` = '{SAID}'").first()[ROWS])))
        if said.reason:
            handed.unpersist()
            return said.reason
        parcels = parcels.union(handed.where(f"`{OF}` = '{HANDED}'"))
    results = _by_task(parcels, number).mapInArrow(of_bucket(decide, *bucket), work.schema)
    return SharedOut(results, {entity, *how.children}, cut.origins, turns=said, held=handed, others=cut.broadcast)


def _dated(shared: Shared, held: pa.Table | None, policy: Policy, entity: str) -> Iterator[Raw]:
    """The rows of an entity that is shared out, at least with the column that says when the CRM last changed them: of a Parquet file some at a
    time, since the driver is not to hold a column of all.
    """
    if held is not None:
        yield Raw.of_table(held, habits=shared.habits)
        return
    from pyarrow import parquet

    column = columns_of(entity, policy.model.entities[entity], shared.schema.names, policy.model.roles()).get(MODIFIED)
    if column is None:
        return
    try:
        with parquet.ParquetFile(shared.shown) as file:
            for batch in file.iter_batches(ROWS_A_TASK, columns=[column]):
                yield Raw.of_table(pa.Table.from_batches([batch]), habits=shared.habits)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(Path(shared.shown), e)]) from e


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
    builder = builder.config("spark.driver.extraJavaOptions", JAVA).config("spark.executor.extraJavaOptions", JAVA)
    builder = builder.config("spark.driver.memory", "3g").config("spark.log.level", "ERROR")
    return builder.config(map=dict(more)).getOrCreate()


def _let_executors_start() -> None:
    """Say where Spark is and for which Scala it was made: executors of this machine are started by its own scripts, which must be told. They
    write into that folder: each process has one of its own, with links to Spark's files, so that it can be removed at the end.
    """
    import pyspark

    if "SPARK_HOME" in os.environ:
        return
    spark, home = Path(pyspark.__file__).parent, Path(tempfile.mkdtemp(prefix="roe-spark-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for path in spark.iterdir():
        (home / path.name).symlink_to(path)
    scala = next(spark.glob("jars/spark-core_*.jar")).name.removeprefix("spark-core_").partition("-")[0]
    os.environ["SPARK_HOME"] = str(home)
    for name, value in (("SPARK_SCALA_VERSION", scala), ("SPARK_LOCAL_IP", "127.0.0.1")):
        os.environ.setdefault(name, value)


# --- sharing out ----------------------------------------------------------------------------------------------------


def _tables(evaluator: Evaluator, data: Path, how: Share) -> _Cut | str:
    """The tables, cut up; or why their records must stay together."""
    policy, cut = evaluator.policy, _Cut()
    paths, problems = files_of(policy, data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    for entity, path in paths.items():
        if entity != how.entity and entity not in how.children:
            cut.broadcast[entity] = _one(evaluator, data, entity)
            continue
        if kind_of(path) == ".parquet":
            schema, habits = _of_parquet(policy, entity, path, cut)
        else:
            schema, habits = _held_here(evaluator, entity, data, cut)
        key = key_of(policy, entity, "id" if entity == how.entity else how.children[entity], schema.names)
        cut.shared[entity] = Shared(str(path), schema, key, habits)
    if not cut.rows:
        return "there are none"
    return (
        cut
        if how.entity in cut.shared and cut.shared[how.entity].key.column is not None
        else f"no column has the ids of {how.entity} records"
    )


def _of_parquet(policy: Policy, entity: str, path: Path, cut: _Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """A Parquet file in pieces of some 200,000 rows, where row groups are no larger."""
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        habits = habits_of_file(policy, entity, file)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(path, e)]) from e
    origin = cut.origins[entity] = TableOrigin(str(path), tuple(file.schema_arrow.names))
    problems = misshapen(policy, entity, origin, file.metadata.num_rows)
    if errors(problems):
        raise PolicyError(problems)
    first, before, rows = 0, 0, 0
    for group in range(file.metadata.num_row_groups):
        rows += file.metadata.row_group(group).num_rows
        if rows >= ROWS_A_TASK or group == file.metadata.num_row_groups - 1:
            cut.pieces.append(Piece(entity, str(path.resolve()), first, group + 1, before))
            first, before, rows = group + 1, before + rows, 0
    cut.rows += file.metadata.num_rows
    return file.schema_arrow.append(pa.field(LINE, pa.int64())), habits


def _held_here(evaluator: Evaluator, entity: str, data: Path, cut: _Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """Any other file, read whole."""
    raw, policy = _one(evaluator, data, entity), evaluator.policy
    fields = policy.model.entities[entity]
    columns = columns_of(entity, fields, raw.columns, policy.model.roles())
    cut.origins[entity], cut.held[entity] = raw.origin, table_of(raw)
    cut.rows += raw.n
    return cut.held[entity].schema, {c: h for name, c in columns.items() if (h := raw.habits_of(c, field_of(fields, name))) is not None}


def _looked_at(work: _Work, cut: _Cut, entity: str) -> tuple[bool, bool]:
    """Whether each row of an entity has its own record, and whether all other rows refer to one of these."""
    number = max(1, cut.rows // KEYS_A_TASK)
    keys = _parcels(work, cut, number, None)
    found = _by_task(keys, number).mapInArrow(of_keys(entity), ", ".join(f"`{x}` boolean" for x in KEYS_SAY)).collect()
    is_own, is_closed = (all(row[name] for row in found) for name in KEYS_SAY)
    return is_own, is_closed


def _numbered(work: _Work, pieces: list[Piece]) -> DataFrame:
    """A row, and a task, for each piece."""
    return work.spark.range(0, len(pieces), numPartitions=len(pieces))


def _parcels(work: _Work, cut: _Cut, number: int, memory: pa.Table | None) -> DataFrame:
    """All rows that are shared out as parcels for so many tasks, and what the ledger knows of their records. Without a memory only the keys
    of the rows.
    """
    keys_alone = memory is None
    here = [parcels_of(entity, cut.shared[entity].key, rows, number, keys_alone) for entity, rows in cut.held.items()]
    if memory is not None and memory.num_rows:
        here.append(parcels_of(MEMORY, Key(RECORD), memory, number))
    frames = [work.spark.createDataFrame(pa.concat_tables(here), PARCEL_SQL)] if here else []
    if cut.pieces:
        frames.append(_numbered(work, cut.pieces).mapInArrow(to_buckets(cut.pieces, cut.shared, number, keys_alone), PARCEL_SQL))
    return reduce(lambda a, b: a.union(b), frames)


def _by_task(parcels: DataFrame, number: int) -> DataFrame:
    """Parcels at the tasks that they are for."""
    from pyspark.sql import functions as f

    by_id = getattr(parcels, "repartitionById", None)  # since Spark 4.1; before, a task may get several numbers, and another one none
    return by_id(number, f.col(BUCKET)) if by_id is not None else parcels.repartition(number, BUCKET)


def _one(evaluator: Evaluator, data: Path, entity: str) -> Raw:
    others = {e for e in evaluator.policy.model.entities if e != entity}
    tables, problems = read_columns(evaluator.policy, data, leave_out=others)
    if errors(problems):
        raise PolicyError(problems)
    return tables[entity]
