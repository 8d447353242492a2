"""What carries records to tasks, and tasks to where they run: Spark, or one process that keeps on disk what waits.

A carrier knows parcels and tasks, and nothing of what these are about. Nothing is computed before somebody asks for rows or results,
or wants rows kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from roe.columns.raw import Raw
from roe.dynamic import Cell
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered
from roe.share.result import TaskResult

Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
Decides = Callable[[Iterator[pa.RecordBatch]], Iterator[TaskResult]]


class Common(Protocol):
    """What every task has: the policy and as of when it decides, tables that go whole to all tasks, and what is remembered."""

    @property
    def as_of(self) -> str: ...

    def evaluator(self) -> Evaluator: ...

    def tables(self) -> dict[str, Raw]: ...

    def state(self) -> Remembered: ...

    def knowing(self, state: Remembered) -> Common:
        """The same with another memory."""


class Frame(Protocol):
    """Rows at the places where tasks get them."""

    def each(self, task: Task, schema: pa.Schema) -> Frame:
        """The rows, of this schema, that a task makes of those at each place."""

    def joined(self, other: Frame) -> Frame:
        """These rows and others."""

    def at_buckets(self, number: int) -> Frame:
        """Parcels at the tasks that they are for."""

    def in_one(self) -> Frame:
        """All rows at one place."""

    def kept(self) -> Frame:
        """The same parcels, computed now, and once until the carrier closes."""

    def only(self, of: str) -> Frame:
        """The parcels of one kind."""

    def rows(self) -> Iterable[Mapping[str, Cell]]:
        """All rows, here."""

    def results(self, task: Decides) -> Iterable[TaskResult]:
        """What a task decides at each place, as it comes."""


class Carrier(Protocol):
    """Where tasks run. `in_order`: results come in the order of the buckets, and are wanted in the order of the records. `scratch`: a folder
    that all tasks can read, for what a large file is made into.
    """

    in_order: bool

    @property
    def scratch(self) -> Path: ...

    def common(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> Common: ...

    def numbers(self, n: int) -> Frame:
        """The numbers from 0 on, each at a place of its own."""

    def parcels(self, table: pa.Table) -> Frame:
        """Parcels that are here."""

    def close(self) -> None:
        """Give back what was kept."""
