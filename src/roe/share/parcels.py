"""Records on their way to tasks: those of one table that go to the same task are a parcel, one row with the records as bytes.

So whoever carries them moves a few large values: it need not know the columns, and converts no record from Arrow and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.cells import ColumnReader, Problems
from roe.columns.load import texts_of
from roe.columns.raw import Raw
from roe.columns.raw import table_of as columns_as_table
from roe.data.cells import cells_of
from roe.data.coerce import INSTEAD, PERSON
from roe.data.habits import Habits
from roe.data.headers import columns_of
from roe.data.reading import Reading
from roe.data.scan import TableOrigin
from roe.dynamic import Array
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource, Field, Policy

LINE, KEY = "$line", "$key"
LINK, TO = "$link", "$to"  # parcels of references: which record (`KEY`) leads to which (`TO`)
IDS = "$ids "  # before what rows are: parcels of their own ids (`KEY`), each with its record (`TO`)
WANTED, FOR = "$wanted ", "$for"  # before the number of a round: parcels of ids (`KEY`), each with the task that asks for it
RANKS = "$ranks"  # parcels of places among all records, by line and the name of the step
CLAIMS = "$claims"  # parcels of claims, by id, with the reasons why they are refused
DECIDED = "$decided"  # parcels of the owners that records got, for those that are decided later
NAMES_ALIKE = "$alike"  # parcels of names among those of all records that are like some that a task looks for
GUEST = "$guest "  # before what rows are: copies that are there to be read
BUCKET, OF, ROWS = "bucket", "of", "rows"  # the task; what the rows are; the rows as bytes
PARCEL = pa.schema([(BUCKET, pa.int32()), (OF, pa.string()), (ROWS, pa.binary())])
NAMED = ("name", "email", "domain", *PERSON, *INSTEAD)  # what a record without an id of some text may be found by
AS_IT_IS = DataSource()  # of an entity for which the policy says nothing of its file
MOST = 20_000  # rows of a parcel, which Spark's JVM holds as one value
WIDTH = 128  # bytes of an id that say which range it is in


@dataclass(frozen=True)
class Named:
    """Texts by which records are referred to instead of their ids, and the id of the first record that each may mean (`roe.share.names`)."""

    texts: pa.Array
    ids: pa.Array

    def ids_of(self, texts: pa.Array) -> pa.Array:
        """References with ids in place of names."""
        return pc.coalesce(self.ids.take(pc.index_in(texts, value_set=self.texts)), texts)


@dataclass(frozen=True)
class Key:
    """How the rows of a table say to which record they belong: by a column, read as its field reads it; without a field it has ids as records
    have them. Without a column no row belongs to a record. Some may say it by a name (`named`).
    """

    column: str | None = None
    field: Field | None = None
    entity: str = ""
    source: DataSource = AS_IT_IS
    zone: str = "UTC"
    named: Named | None = None

    def of(self, rows: pa.Table) -> pa.Array:
        """The id of each row's record, as the evaluator has it; null where there is none."""
        if self.column is None:
            return pa.nulls(rows.num_rows, pa.string())
        values = Raw.of_table(rows.select([self.column])).columns[self.column]
        if self.field is None:
            return values
        zone = zone_of(self.zone)
        cells = cells_of(self.field, zone, self.source, None, self.entity)
        texts = texts_of(ColumnReader(self.column, cells, zone, None, Reading(self.entity), Problems(rows.num_rows)).read(values))
        return texts if self.named is None else self.named.ids_of(texts.cast(pa.string()))


def key_of(policy: Policy, entity: str, field: str, columns: Iterable[str]) -> Key:
    """How rows with these columns name their record in a field."""
    fields = policy.model.entities[entity]
    column = columns_of(entity, fields, [name for name in columns if name != LINE], policy.model.roles()).get(field)
    source = policy.data.get(entity, AS_IT_IS)
    return Key() if column is None else Key(column, fields[field], entity, source, policy.timezone)


class Buckets(Protocol):
    """Which task gets which record, by its id: rows of one record, and rows of none, have the same."""

    @property
    def number(self) -> int: ...

    def of(self, keys: pa.Array) -> Array:
        """The task of each row."""


@dataclass(frozen=True)
class Hashed:
    """Tasks of as many records each, in no order."""

    number: int

    def of(self, keys: pa.Array) -> Array:
        if self.number == 1:
            return np.zeros(len(keys), np.int32)
        codes = np.array([crc32(key) for key in pc.fill_null(keys.cast(pa.binary()), b"").to_pylist()], np.int64)
        return (codes % self.number).astype(np.int32)


@dataclass(frozen=True)
class Ranged:
    """Tasks of successive ids: each but the first begins with one of `starts`. What tasks decide, one after the other, is in order.

    Only so many bytes of an id are looked at (`WIDTH`): ids that have these in common go to the same task.
    """

    starts: tuple[bytes, ...] = ()

    @classmethod
    def of_sample(cls, keys: Iterable[bytes], number: int) -> Ranged:
        """So many ranges, or fewer, with about as many of some sample of ids in each. At least one of the sample is in every range."""
        distinct = sorted({key[:WIDTH] for key in keys})
        places = {len(distinct) * i // number for i in range(1, number)} - {0}
        return cls(tuple(distinct[place] for place in sorted(places)))

    @property
    def number(self) -> int:
        return len(self.starts) + 1

    def of(self, keys: pa.Array) -> Array:
        if not self.starts:
            return np.zeros(len(keys), np.int32)
        texts = pc.fill_null(pc.binary_slice(keys.cast(pa.binary()), 0, WIDTH), b"").to_pylist()
        return np.searchsorted(np.array(self.starts), np.array(texts, np.bytes_), "right").astype(np.int32)


# --- tables -------------------------------------------------------------------------------------------------------------


def table_of(raw: Raw) -> pa.Table:
    """A table as it was read, with its lines."""
    return columns_as_table(raw.columns).append_column(LINE, pa.array(raw.lines, pa.int64()))


def raw_of(table: pa.Table, origin: TableOrigin, habits: Mapping[str, Habits] | None = None) -> Raw:
    """A table as it was read, of one with its lines."""
    return Raw.of_table(table.drop_columns([LINE]), table[LINE].to_numpy(), origin, habits)


def flat(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table as one array."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)


def as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def of_bytes(text: bytes) -> pa.Table:
    return pa.ipc.open_stream(text).read_all()


# --- parcels ------------------------------------------------------------------------------------------------------------


def packed(of: str, table: pa.Table, bucket: Array, most: int | None = None) -> pa.Table:
    """The rows of a table as parcels of `most` rows, in their order; `bucket` has the task of each."""
    order = np.argsort(bucket, kind="stable")
    numbers, starts, counts = np.unique(bucket[order], return_index=True, return_counts=True)
    table = _without_dictionaries(table)
    rows = table.take(pa.array(order)) if len(numbers) > 1 else table
    cuts = [
        (number, first, min(most or n, start + n - first))
        for number, start, n in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True)
        for first in range(start, start + n, most or n)
    ]
    parts = [as_bytes(rows.slice(first, n)) for _, first, n in cuts]
    return pa.table([[number for number, _, _ in cuts], [of] * len(cuts), parts], schema=PARCEL)


def _without_dictionaries(table: pa.Table) -> pa.Table:
    """Columns of plain values: a dictionary would go whole with every parcel."""
    plain = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in table.schema]
    return table.cast(pa.schema(plain, table.schema.metadata))


def each_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, str, pa.Table]]:
    """Parcels as they come: the task, what the rows are, and the rows."""
    for batch in batches:
        for bucket, of, rows in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield bucket, of, of_bytes(rows)


def opened(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """The tables in parcels, task by task, each in the order of its lines if those of one parcel follow those of another."""
    held: dict[int, dict[str, list[pa.Table]]] = {}
    for bucket, of, rows in each_of(batches):
        held.setdefault(bucket, {}).setdefault(of, []).append(rows)
    for bucket in sorted(held):
        yield bucket, {of: _joined(tables) for of, tables in held.pop(bucket).items()}


def _joined(tables: list[pa.Table]) -> pa.Table:
    if LINE in tables[0].column_names:
        tables = sorted(tables, key=lambda table: table[LINE][0].as_py())
    return pa.concat_tables(tables)


def keys_in(batches: Iterable[pa.RecordBatch], entity: str) -> Iterator[tuple[bool, list[str], list[str]]]:
    """Of the keys in parcels, task by task: whether every row of the entity has its own; those of all others that are not among these; and of
    which tables rows of different records have one id.
    """
    for _, tables in opened(batches):
        own = flat(tables.pop(entity)[KEY]) if entity in tables else pa.array([], pa.string())
        known, lost = own.drop_null(), set[str]()
        ids = {of.removeprefix(IDS): tables.pop(of) for of in [*tables] if of.startswith(IDS)}
        for keys in (flat(t[KEY]).drop_null() for of, t in tables.items() if of != LINK):
            lost.update(pc.unique(keys.filter(pc.invert(pc.is_in(keys, value_set=known)))).to_pylist())
        yield len(pc.unique(known)) == len(own), sorted(lost), [of for of, rows in ids.items() if _is_at_several(rows)]


def _is_at_several(ids: pa.Table) -> bool:
    """Whether rows of different records, or of one and of none, have one id."""
    counts = ids.filter(ids[KEY].is_valid()).group_by(KEY).aggregate([(TO, "count_distinct", pc.CountOptions(mode="all"))])
    return bool(pc.any(pc.greater(counts[f"{TO}_count_distinct"], 1), min_count=0).as_py())
