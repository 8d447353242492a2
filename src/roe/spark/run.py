"""What carries records to tasks on Spark: the driver's side of `roe run --engine spark`.

Spark shuffles parcels, which it does not look into, and runs tasks on them in Python.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from roe.columns.raw import Raw
from roe.dynamic import Cell
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered
from roe.share.carrier import Decides, Frame, Task
from roe.share.common import Sent
from roe.share.parcels import BUCKET, OF, PARCEL
from roe.share.result import TaskResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # tasks are Python: Java is to start soon, and has little to do
TYPES = {pa.int32(): "int", pa.bool_(): "boolean", pa.string(): "string", pa.binary(): "binary"}


@dataclass(frozen=True)
class Wire:
    """How results return to the driver: as rows of a schema, and from those of all tasks."""

    schema: pa.Schema
    rows_of: Callable[[TaskResult], pa.Table]
    results_in: Callable[[DataFrame], Iterator[TaskResult]]


class OnSpark:
    """The carrier of a Spark session; `local[2]` if none is given. `folder` is where all tasks can read what is put there."""

    in_order = False

    def __init__(self, wire: Wire, folder: Path, session: SparkSession | None = None) -> None:
        self.wire, self.spark = wire, session or local_session()
        self.folder = tempfile.TemporaryDirectory(prefix="roe-portions-", dir=folder)

    @property
    def scratch(self) -> Path:
        return Path(self.folder.name)

    def common(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> Sent:
        return Sent.of(evaluator, as_of, tables, state)

    @cached_property
    def has_task_numbers(self) -> bool:
        """Whether the session can send a row to the task of its number: Spark can since 4.1, in the client and in the server, and Sail cannot. If
        not, rows of a number are together all the same, but a task may get several numbers, and another one none: it needs more memory.
        """
        from pyspark.errors import PySparkException

        numbers = self.spark.range(1).selectExpr("int(id) as id")
        try:
            return bool(numbers.repartitionById(1, "id").columns)
        except (AttributeError, PySparkException):
            return False

    def numbers(self, n: int) -> SparkFrame:
        return SparkFrame(self, self.spark.range(0, n, numPartitions=n))

    def parcels(self, table: pa.Table) -> SparkFrame:
        some = [batch for batch in table.to_batches() if batch.num_rows]  # Spark takes an empty batch for the end
        return SparkFrame(self, self.spark.createDataFrame(pa.Table.from_batches(some, table.schema), sql_of(PARCEL)))

    def close(self) -> None:
        self.folder.cleanup()


class SparkFrame:
    """Rows of a Spark frame (see `Frame`)."""

    def __init__(self, carrier: OnSpark, frame: DataFrame) -> None:
        self.carrier, self.frame = carrier, frame

    def each(self, task: Task, schema: pa.Schema) -> SparkFrame:
        return SparkFrame(self.carrier, self.frame.mapInArrow(task, sql_of(schema)))

    def results(self, task: Decides) -> Iterable[TaskResult]:
        wire = self.carrier.wire
        return wire.results_in(self.frame.mapInArrow(_as_rows(task, wire.rows_of), sql_of(wire.schema)))

    def joined(self, other: Frame) -> SparkFrame:
        assert isinstance(other, SparkFrame)
        return SparkFrame(self.carrier, self.frame.union(other.frame))

    def at_buckets(self, number: int) -> SparkFrame:
        by = self.frame.repartitionById if self.carrier.has_task_numbers else self.frame.repartition
        return SparkFrame(self.carrier, by(number, BUCKET))

    def in_one(self) -> SparkFrame:
        return SparkFrame(self.carrier, self.frame.repartition(1))

    def kept(self) -> SparkFrame:
        return SparkFrame(self.carrier, kept(self.frame))

    def only(self, of: str) -> SparkFrame:
        return SparkFrame(self.carrier, self.frame.where(f"`{OF}` = '{of}'"))

    def rows(self) -> Iterable[Mapping[str, Cell]]:
        return (row.asDict() for row in self.frame.collect())


def kept(frame: DataFrame) -> DataFrame:
    """The same rows, computed now and only once: Spark forgets how they were made, so that a plan which has them twice is no longer than they
    are, and drops them when nobody refers to them. Of all ways to keep rows, Sail knows this one alone: `persist` does nothing there.
    """
    return frame.localCheckpoint()


def sql_of(schema: pa.Schema) -> str:
    """A schema in Spark's words."""
    return ", ".join(f"`{f.name}` {TYPES[f.type]}" for f in schema)


def _as_rows(task: Decides, rows_of: Callable[[TaskResult], pa.Table]) -> Task:
    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for result in task(batches):
            yield from rows_of(result).to_batches()

    return rows


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
