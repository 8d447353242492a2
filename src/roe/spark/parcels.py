"""Records on their way to tasks: those of one table that go to the same task are a parcel, one row of a Spark frame with the records as bytes.

So Spark shuffles a few large values: it need not know the columns, and converts no record from Arrow and back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.raw import Raw
from roe.columns.stream import PLAIN_ID
from roe.crm.ids import fold_all
from roe.data.cells import cells_of
from roe.data.habits import Habits
from roe.data.headers import columns_of
from roe.data.scan import TableOrigin
from roe.dynamic import Array
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource, Policy

LINE, KEY = "$line", "$key"
BUCKET, OF, ROWS = "bucket", "of", "rows"  # the task; what the rows are; the rows as bytes
PARCEL = pa.schema([(BUCKET, pa.int32()), (OF, pa.string()), (ROWS, pa.binary())])
PARCEL_SQL = f"`{BUCKET}` int, `{OF}` string, `{ROWS}` binary"
MOST = 20_000  # rows of a parcel, which the JVM holds as one value
MIXED = "mixed"  # in a table's metadata: the columns that are JSON, since no Arrow type holds their values


@dataclass(frozen=True)
class Key:
    """How the rows of a table say to which record they belong: by a column of texts, of which some mean that there is none. Without such a
    column no row belongs to one.
    """

    column: str | None = None
    words: frozenset[str] = frozenset()  # in small letters
    exact: frozenset[str] = frozenset()

    def of(self, rows: pa.Table) -> pa.Array:
        """The record of each row, by the one form of its id; null where there is none."""
        if self.column is None:
            return pa.nulls(rows.num_rows, pa.string())
        texts = fold_all(pc.utf8_trim(flat(rows[self.column]).cast(pa.string()), " "))
        is_word = pc.is_in(pc.utf8_lower(texts), value_set=pa.array([*self.words, ""]))
        is_missing = pc.or_(is_word, pc.is_in(texts, value_set=pa.array([*self.exact, ""])))
        return pc.if_else(is_missing, pa.scalar(None, pa.string()), texts)


def key_of(policy: Policy, entity: str, field: str, schema: pa.Schema) -> Key | None:
    """How rows with these columns name their record in a field; None where that is a column of something else than texts."""
    fields = policy.model.entities[entity]
    column = columns_of(entity, fields, [name for name in schema.names if name != LINE], policy.model.roles()).get(field)
    if column is None:
        return Key()
    if column in _mixed(schema) or not _is_text(schema.field(column).type):
        return None
    cells = cells_of(fields[field], zone_of(policy.timezone), policy.data.get(entity, DataSource()), None, entity)
    return Key(column, frozenset(cells.words), frozenset(cells.exact))


def _mixed(schema: pa.Schema) -> list[str]:
    names: list[str] = json.loads((schema.metadata or {}).get(MIXED.encode(), b"[]"))
    return names


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def buckets_of(keys: pa.Array, number: int) -> Array:
    """The task of each row: rows of one record, and rows of none, have the same."""
    if number == 1:
        return np.zeros(len(keys), np.int32)
    codes = np.array([crc32(key) for key in pc.fill_null(keys.cast(pa.binary()), b"").to_pylist()], np.int64)
    return (codes % number).astype(np.int32)


# --- tables -------------------------------------------------------------------------------------------------------------


def table_of(raw: Raw) -> pa.Table:
    """A table as it was read, with its lines: JSON for columns of mixed values."""
    columns = {name: pa.array([json.dumps(x) for x in c]) if isinstance(c, list) else c for name, c in raw.columns.items()}
    mixed = json.dumps([name for name, c in raw.columns.items() if isinstance(c, list)])
    return pa.table({**columns, LINE: pa.array(raw.lines, pa.int64())}).replace_schema_metadata({MIXED: mixed})


def raw_of(table: pa.Table, origin: TableOrigin, habits: Mapping[str, Habits] | None = None) -> Raw:
    lines = table[LINE].to_numpy()
    raw = Raw.of_table(table.drop_columns([LINE]), lines, origin, habits)
    values = {name: [json.loads(x) for x in pa.array(raw.columns[name]).to_pylist()] for name in _mixed(table.schema)}
    return Raw({**raw.columns, **values}, raw.n, lines, origin, habits)


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
    rows = table.take(pa.array(order)) if len(numbers) > 1 else table
    cuts = [
        (number, first, min(most or n, start + n - first))
        for number, start, n in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True)
        for first in range(start, start + n, most or n)
    ]
    parts = [as_bytes(rows.slice(first, n)) for _, first, n in cuts]
    return pa.table([[number for number, _, _ in cuts], [of] * len(cuts), parts], schema=PARCEL)


def opened(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, dict[str, pa.Table]]]:
    """The tables in parcels, task by task, each in the order of its lines if those of one parcel follow those of another."""
    held: dict[int, dict[str, list[pa.Table]]] = {}
    for batch in batches:
        for bucket, of, rows in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            held.setdefault(bucket, {}).setdefault(of, []).append(of_bytes(rows))
    for bucket in sorted(held):
        yield bucket, {of: _joined(tables) for of, tables in held.pop(bucket).items()}


def _joined(tables: list[pa.Table]) -> pa.Table:
    if LINE in tables[0].column_names:
        tables = sorted(tables, key=lambda table: table[LINE][0].as_py())
    return pa.concat_tables(tables)


def keys_in(batches: Iterable[pa.RecordBatch], entity: str, are_known: bool) -> Iterator[tuple[bool, bool, bool]]:
    """Of the keys in parcels, task by task: whether every row of the entity has its own, whether all others are among these, and, where the
    ledger knows some (`are_known`), whether each means itself.
    """
    for _, tables in opened(batches):
        own = flat(tables.pop(entity)[KEY]) if entity in tables else pa.array([], pa.string())
        known = own.drop_null()
        is_closed = all(pc.all(pc.is_in(t[KEY].drop_null(), value_set=known), min_count=0).as_py() for t in tables.values())
        is_plain = not are_known or pc.all(pc.match_substring_regex(known, PLAIN_ID), min_count=0).as_py()
        yield len(pc.unique(known)) == len(own), is_closed, is_plain
