"""Tasks of this process, one after the other: what waits for them is on disk, so that memory does not grow with the data.

A parcel is appended to one file when it is made, and a table says where the parcels of each task are. So nothing is sorted or merged, and the
rows are not converted: to shuffle is to write everything once, and to read it once for each step that needs it.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from roe.columns.raw import Raw
from roe.dynamic import Cell
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered
from roe.share.carrier import Decides, Frame, Task
from roe.share.common import Here
from roe.share.parcels import PARCEL
from roe.share.result import TaskResult

Batches = Iterator[pa.RecordBatch]
Places = Callable[[], Iterator[Batches]]
T = TypeVar("T")


class Local:
    """The carrier of one process. `scratch` is the folder for what waits, by default that of temporary files. Until it is closed, what was
    there before it, as the whole policy, is not gone through when a task's world is cleared away.
    """

    in_order = True

    def __init__(self, scratch: Path | None = None) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="roe-portions-", dir=scratch)
        self.files = 0
        gc.collect()
        gc.freeze()

    @property
    def scratch(self) -> Path:
        return Path(self.folder.name)

    def common(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> Here:
        return Here(evaluator, as_of, tables, state)

    def numbers(self, n: int) -> Rows:
        return Rows(self, lambda: (iter([pa.record_batch({"number": [i]})]) for i in range(n)))

    def parcels(self, table: pa.Table) -> Rows:
        return Rows(self, lambda: iter([iter(table.to_batches())]))

    def stored(self, batches: Iterable[pa.RecordBatch]) -> Spill:
        """Parcels, on disk."""
        self.files += 1
        return Spill.of(self.scratch / str(self.files), batches)

    def close(self) -> None:
        gc.unfreeze()
        self.folder.cleanup()


@dataclass
class Spill:
    """A file of parcels, and where those of each task are: their kind, where they begin, and how long they are."""

    path: Path
    places: dict[int, list[tuple[str, int, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, batches: Iterable[pa.RecordBatch]) -> Spill:
        spill, end = cls(path), 0
        with path.open("wb") as file:
            for batch in batches:
                for bucket, of, rows in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    file.write(rows)
                    spill.places.setdefault(bucket, []).append((of, end, len(rows)))
                    end += len(rows)
        return spill

    def read(self, bucket: int, only: str) -> Batches:
        """The parcels of a task, of one kind if one is named."""
        with self.path.open("rb") as file:
            for of, start, n in self.places.get(bucket, ()):
                if only in ("", of):
                    file.seek(start)
                    yield pa.record_batch([[bucket], [of], [file.read(n)]], schema=PARCEL)


def _cleared(tasks: Iterator[T]) -> Iterator[T]:
    """Tasks one after the other, and the world of each cleared away once it is done: its records hold each other, and left to itself Python
    keeps those of some ten tasks.
    """
    for task in tasks:
        yield task
        gc.collect()


class Rows:
    """Rows that are computed each time that somebody asks, place by place (see `Frame`)."""

    def __init__(self, carrier: Local, places: Places) -> None:
        self.carrier, self.places = carrier, places

    def each(self, task: Task, schema: pa.Schema) -> Rows:
        return Rows(self.carrier, lambda: _cleared(task(batches) for batches in self.places()))

    def results(self, task: Decides) -> Iterator[TaskResult]:
        return chain.from_iterable(_cleared(task(batches) for batches in self.places()))

    def in_one(self) -> Rows:
        return Rows(self.carrier, lambda: iter([chain.from_iterable(self.places())]))

    def rows(self) -> Iterator[Mapping[str, Cell]]:
        for batches in self.places():
            for batch in batches:
                yield from batch.to_pylist()

    def joined(self, other: Frame) -> Rows:
        assert isinstance(other, Rows)
        return Joined(self, other)

    def at_buckets(self, number: int) -> Rows:
        return self.on_disk

    def kept(self) -> Rows:
        return self.on_disk

    def only(self, of: str) -> Rows:
        return self.on_disk.only(of)

    @cached_property
    def on_disk(self) -> Stored:
        """The same parcels once they are made: whoever asks again reads them."""
        return Stored(self.carrier, ((self.carrier.stored(chain.from_iterable(self.places())), ""),))


class Joined(Rows):
    """Rows of two frames. What one of them has on disk is not written again."""

    def __init__(self, one: Rows, other: Rows) -> None:
        super().__init__(one.carrier, lambda: chain(one.places(), other.places()))
        self.both = one, other

    @cached_property
    def on_disk(self) -> Stored:
        one, other = self.both
        return Stored(self.carrier, one.on_disk.parts + other.on_disk.parts)


class Stored(Rows):
    """Parcels on disk, each of them at the place of its task: all in some spills, or those of one kind."""

    def __init__(self, carrier: Local, parts: tuple[tuple[Spill, str], ...]) -> None:
        super().__init__(carrier, self._read)
        self.parts = parts

    @property
    def on_disk(self) -> Stored:
        return self

    def only(self, of: str) -> Stored:
        return Stored(self.carrier, tuple((spill, of) for spill, _ in self.parts))

    def _read(self) -> Iterator[Batches]:
        for bucket in sorted({bucket for spill, _ in self.parts for bucket in spill.places}):
            yield chain.from_iterable(spill.read(bucket, only) for spill, only in self.parts)
