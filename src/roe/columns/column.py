"""Columns: the values of many rows at once, one small class per way of holding them.

A column never decides what a value means. Whatever is not plain arithmetic goes through `lookup`: the row evaluator's own
function is asked once per distinct combination of values, so both evaluators agree by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from roe.dynamic import Array, Value
from roe.grammar import values as v
from roe.node import node

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld


EPOCH = date(1970, 1, 1).toordinal()
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
NO_DAY = np.iinfo(np.int64).min  # in place of a day or a moment that is null


class ByRow(Exception):
    """This has no form over columns: ask the row evaluator, row by row."""


class Column:
    """`n` values."""

    n: int

    def take(self, at: Array) -> Column:
        """The values at some positions; null where the position is -1."""
        raise NotImplementedError

    def values(self) -> list[Value]:
        """The language's values, one per row."""
        raise NotImplementedError

    def encode(self) -> tuple[Array, Dictionary]:
        """(codes from 0 on, what each code means); null is a code like any other. Two codes may mean one value; by default each row has its own."""
        return np.arange(self.n), Dictionary(self.values())

    def one(self, row: int) -> Value:
        """The value of one row."""
        return self.take(np.array([row])).values()[0]

    def nulls(self) -> Array:
        """Where the value is null, as booleans; nowhere by default."""
        return np.zeros(self.n, bool)


class Dictionary:
    """What codes mean: Python values, made from an Arrow array when somebody asks."""

    def __init__(self, items: Sequence[Value] | pa.Array, null_first: bool = False) -> None:
        self.items, self.null_first = items, null_first

    def __len__(self) -> int:
        return len(self.items) + self.null_first

    @property
    def is_text(self) -> bool:
        """Whether the values are texts, by the first one."""
        if isinstance(self.items, pa.Array) and not self.null_first:
            return bool(pa.types.is_string(self.items.type))
        return isinstance(next(iter(self.list), None), str)

    @cached_property
    def list(self) -> list[Value]:
        items = self.items.to_pylist() if isinstance(self.items, pa.Array) else list(self.items)
        return [None, *items] if self.null_first else items

    def __getitem__(self, code: int) -> Value:
        if "list" not in self.__dict__ and isinstance(self.items, pa.Array):  # the others need not become Python values
            at = code - self.null_first
            return self.items[at].as_py() if at >= 0 else None
        return self.list[code]


def _gather(values: Array, at: Array, fill: Value) -> Array:
    gathered = values[at] if len(values) else np.full(len(at), fill, values.dtype)
    missing = at < 0
    if missing.any():
        gathered[missing] = fill
    return gathered


@node(frozen=False)
class Constant(Column):
    """One value for every row."""

    value: Value
    n: int

    def take(self, at: Array) -> Column:
        if self.value is None or not (at < 0).any():
            return Constant(self.value, len(at))
        from roe.columns.make import from_values

        return from_values([self.value]).take(np.where(at < 0, -1, 0))

    def values(self) -> list[Value]:
        return [self.value] * self.n

    def encode(self) -> tuple[Array, Dictionary]:
        return np.zeros(self.n, np.int64), Dictionary([self.value])

    def nulls(self) -> Array:
        return np.full(self.n, self.value is None)


@node(frozen=False)
class Plain(Column):
    """Values in one array, in which `null` stands for null."""

    data: Array
    null: ClassVar[Value]

    @property
    def n(self) -> int:  # type: ignore[override]
        return len(self.data)

    def of(self, data: Array) -> Column:
        """A column of the same kind."""
        return replace(self, data=data)

    def take(self, at: Array) -> Column:
        return self.of(_gather(self.data, at, self.null))

    def nulls(self) -> Array:
        return np.asarray(self.data == self.null)


@node(frozen=False)
class Numbers(Plain):
    """64-bit floats; NaN is null, which the language itself has no NaN to confuse with."""

    null = np.nan

    def values(self) -> list[Value]:
        return [_number(x) for x in self.data.tolist()]

    def encode(self) -> tuple[Array, Dictionary]:
        data = self.data
        if len(data) > 10_000:  # small whole numbers need no sorting
            low, high = (np.nanmin(data), np.nanmax(data)) if not np.isnan(data).all() else (0.0, 0.0)
            if high - low < 4 * len(data) and low >= -v.EXACT and high <= v.EXACT:
                whole = np.where(np.isnan(data), low - 1, data)
                if (np.floor(whole) == whole).all():
                    codes, values = compact((whole - (low - 1)).astype(np.int64), int(high - low) + 2)
                    return codes, Dictionary([None if c == 0 else int(low) - 1 + c for c in values.tolist()])
        unique, codes = np.unique(data, return_inverse=True)
        return codes, Dictionary([_number(x) for x in unique.tolist()])

    def nulls(self) -> Array:
        return np.isnan(self.data)


def _number(x: float) -> Value:
    if x != x:
        return None
    return int(x) if -v.EXACT <= x <= v.EXACT and x == int(x) else x


SAMPLE = 1 << 15  # numbers in which a few that are spread evenly all occur


def occurring(numbers: Array, below: int = 0) -> Array:
    """The numbers from 0 on that occur, in order; many times faster than `np.unique` where they are small.

    If all are `below` some number and it is small, often the first of them say it already: all of those occur.
    """
    if below and 8 * below < SAMPLE < len(numbers) and np.bincount(numbers[:SAMPLE], minlength=below).all():
        return np.arange(below)
    return np.flatnonzero(np.bincount(numbers))


def compact(codes: Array, size: int) -> tuple[Array, Array]:
    """(codes renumbered without holes, the old code of each new one)."""
    used = np.zeros(size, bool)
    used[codes] = True
    codes_used = np.flatnonzero(used)
    again = np.empty(size, np.int64)
    again[codes_used] = np.arange(len(codes_used))
    return again[codes], codes_used


@node(frozen=False)
class Truths(Plain):
    """1 true, 0 false, -1 unknown; 8-bit integers."""

    null = -1

    def values(self) -> list[Value]:
        return [_TRUTHS[x] for x in self.data.tolist()]

    def encode(self) -> tuple[Array, Dictionary]:
        return self.data.astype(np.int64) + 1, Dictionary([None, False, True])


_TRUTHS = {1: True, 0: False, -1: None}


@node(frozen=False)
class Days(Plain):
    """Dates as days since 1970-01-01, 64-bit integers; `NO_DAY` is null."""

    null = NO_DAY

    def values(self) -> list[Value]:
        codes, meaning = self.encode()
        return list(map(meaning.list.__getitem__, codes.tolist()))

    def encode(self) -> tuple[Array, Dictionary]:
        unique, codes = np.unique(self.data, return_inverse=True)
        return codes, Dictionary([None if d == NO_DAY else date.fromordinal(d + EPOCH) for d in unique.tolist()])


@node(frozen=False)
class Instants(Plain):
    """Date-times of one zone as microseconds since 1970 UTC, 64-bit integers; `NO_DAY` is null."""

    null = NO_DAY
    zone: tzinfo

    def values(self) -> list[Value]:
        return [None if x == NO_DAY else instant(x, self.zone) for x in self.data.tolist()]

    def encode(self) -> tuple[Array, Dictionary]:
        unique, codes = np.unique(self.data, return_inverse=True)
        return codes, Dictionary(Instants(unique, self.zone).values())


def instant(microseconds: int, zone: tzinfo) -> datetime:
    return (_START + timedelta(microseconds=microseconds)).astimezone(zone)


def microseconds(at: datetime) -> int:
    return (at - _START) // _MICROSECOND


@node(frozen=False)
class Coded(Column):
    """Any values as codes into a dictionary: texts above all, and what tables give. -1 is null; 32-bit integers."""

    codes: Array
    meaning: Dictionary

    @property
    def n(self) -> int:  # type: ignore[override]
        return len(self.codes)

    def take(self, at: Array) -> Column:
        return Coded(_gather(self.codes, at, -1), self.meaning)

    def values(self) -> list[Value]:
        codes, meaning = self.codes, self.meaning
        if len(meaning) <= 2 * self.n + 16:
            items = [*meaning.list, None]
            return list(map(items.__getitem__, codes.tolist()))
        if isinstance(meaning.items, pa.Array) and not meaning.null_first:  # the others need not become Python values
            return list(meaning.items.take(pa.array(codes, mask=codes < 0)).to_pylist())
        return [None if code < 0 else meaning[code] for code in codes.tolist()]

    def one(self, row: int) -> Value:
        code = int(self.codes[row])
        return None if code < 0 else self.meaning[code]

    def encode(self) -> tuple[Array, Dictionary]:
        if len(self.meaning) > 2 * self.n + 16:
            used, codes = np.unique(self.codes, return_inverse=True)
            items = self.meaning.list
            return codes, Dictionary([None if c < 0 else items[c] for c in used.tolist()])
        return self.codes.astype(np.int64) + 1, Dictionary(self.meaning.items, True)

    def nulls(self) -> Array:
        return np.asarray(self.codes < 0)

    def arrow(self) -> pa.Array:
        """The texts as an Arrow array."""
        items = self.meaning.items
        held = items if isinstance(items, pa.Array) else pa.array(self.meaning.list, pa.string())
        if len(held) == self.n and self.n and self.codes[0] == 0 and (self.codes == np.arange(self.n)).all():
            return held
        return held.take(pa.array(self.codes, mask=self.codes < 0))


@node(frozen=False)
class Refs(Column):
    """Records of an entity by their row there, -1 for none; 32-bit integers. `every` says that row i refers to row i."""

    entity: str
    at: Array
    world: ColumnWorld
    every: bool = False

    @property
    def n(self) -> int:  # type: ignore[override]
        return len(self.at)

    def take(self, at: Array) -> Column:
        if self.every:
            return Refs(self.entity, at, self.world)
        return Refs(self.entity, _gather(self.at, at, -1), self.world)

    def values(self) -> list[Value]:
        row = self.world.tables[self.entity].row
        return [None if i < 0 else row(i) for i in self.at.tolist()]

    def encode(self) -> tuple[Array, Dictionary]:
        unique, codes = np.unique(self.at, return_inverse=True)
        return codes, Dictionary(Refs(self.entity, unique, self.world).values())

    def nulls(self) -> Array:
        return np.asarray(self.at < 0)


@node(frozen=False)
class OwnersColumn(Column):
    """`record.owner`: the owners of records, a column per role behind it."""

    records: Refs

    @property
    def n(self) -> int:  # type: ignore[override]
        return self.records.n

    def take(self, at: Array) -> Column:
        records = self.records.take(at)
        assert isinstance(records, Refs)
        return OwnersColumn(records)

    def values(self) -> list[Value]:
        return [None if row is None else row["owner"] for row in self.records.values()]

    def nulls(self) -> Array:
        return self.records.nulls()


class Later(Column):
    """A stored column that is made when somebody asks for it (see `RecordTable.given`)."""

    def __init__(self, n: int, make: Callable[[], Column]) -> None:
        self.n, self.make = n, make


@node(frozen=False)
class Lists(Column):
    """A list per row: `items` in the order of the rows that they belong to, and that row for each."""

    rows: Array
    items: Column
    n: int

    def bounds(self) -> tuple[Array, Array]:
        """Where each row's items begin and end."""
        counts = np.bincount(self.rows, minlength=self.n)
        ends = np.cumsum(counts)
        return ends - counts, ends

    def take(self, at: Array) -> Column:
        if (at < 0).any():
            return opaque([None if i < 0 else x for i, x in zip(at.tolist(), self._some(at), strict=True)])
        starts = np.searchsorted(self.rows, at)
        counts = np.searchsorted(self.rows, at, "right") - starts
        rows = np.repeat(np.arange(len(at)), counts)
        first = np.cumsum(counts) - counts
        inside = np.arange(len(rows)) - first[rows]
        return Lists(rows, self.items.take(starts[rows] + inside), len(at))

    def one(self, row: int) -> Value:
        start, end = np.searchsorted(self.rows, (row, row + 1)).tolist()
        return self.items.take(np.arange(start, end)).values() if start < end else []

    def _some(self, at: Array) -> list[Value]:
        whole = self.values()
        return [None if i < 0 else whole[i] for i in at.tolist()]

    def values(self) -> list[Value]:
        starts, ends = self.bounds()
        items = self.items.values()
        return [items[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]


def opaque(values: list[Value]) -> Column:
    """Values of any kind, each for itself."""
    codes = np.arange(len(values), dtype=np.int32)
    codes[[i for i, x in enumerate(values) if x is None]] = -1
    return Coded(codes, Dictionary(values))
