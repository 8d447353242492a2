"""A table as it was read, in columns, before anything is known of its fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.cells import FEW
from roe.data.coerce import RawRecords
from roe.data.habits import Habits, is_open
from roe.data.scan import Sheet, TableOrigin
from roe.dynamic import Array, Cell, Record
from roe.policy.model import Field

ALIKE = pa.schema(
    [("number", pa.int32()), ("group", pa.bool_()), ("name", pa.binary()), ("other", pa.binary()), ("score", pa.float64())]
)  # rows of `Raw.alike`
MIXED = b"roe.mixed"  # in a table's metadata: the columns that are JSON, since no Arrow type holds their values


class Raw:
    """A table as it was read: Arrow arrays by column, or plain lists where no Arrow type holds a column's values.

    `origin` is its file and what the reading of it said. Of a portion of a table `habits` are what its whole columns settle, and `guests` are
    rows of other portions that are here to be read. `ranks` are places among all records: line, rank, of, below, and the name of the step.
    `decided` are the owners that guests got, where these are decided before the records that look at them (see `roe.columns.decided`).
    `alike` are names of all records that are like some that are looked for, where guests are searched by name (see `SearchedNames`).
    `matched` are the records that these are matched to, by line and id, where that is known already.
    """

    guests: Raw | None = None
    ranks: pa.Table | None = None
    decided: pa.Table | None = None
    alike: pa.Table | None = None
    matched: pa.Table | None = None

    def __init__(
        self,
        columns: Mapping[str, pa.Array | list[Cell]],
        n: int,
        lines: Array | None = None,
        origin: TableOrigin | None = None,
        habits: Mapping[str, Habits] | None = None,
    ) -> None:
        self.columns, self.n = columns, n
        self.lines = np.arange(1, n + 1) if lines is None else lines
        self.origin, self.habits = origin or TableOrigin(""), habits

    @classmethod
    def of(cls, given: object) -> Raw | None:
        """Records in any of the forms in which a run may be given them: read already, as an Arrow table, or as dictionaries."""
        if given is None or isinstance(given, Raw):
            return given
        return cls.of_table(given) if isinstance(given, pa.Table) else cls.of_rows(cast("Iterable[Record]", given))

    @classmethod
    def of_table(
        cls, table: pa.Table, lines: Array | None = None, origin: TableOrigin | None = None, habits: Mapping[str, Habits] | None = None
    ) -> Raw:
        columns: dict[str, pa.Array | list[Cell]] = {name: _flat(table.column(name)) for name in table.column_names}
        columns |= {name: values_of(columns[name]) for name in mixed_in(table.schema) if name in columns}
        return cls(columns, table.num_rows, lines, origin, habits)

    @classmethod
    def of_rows(cls, rows: Iterable[Record]) -> Raw:
        """Records as the row evaluator reads them, with `$line` for where they stand."""
        origin = rows.origin if isinstance(rows, RawRecords) else TableOrigin("")
        rows = list(rows)
        keys = dict.fromkeys((*origin.header, *(k for row in rows for k in row if k != "$line")))
        columns = {key: column_of([row.get(key) for row in rows]) for key in keys}
        lines = [line if type(line := row.get("$line")) is int and line > 0 else i for i, row in enumerate(rows, 1)]
        return cls(columns, len(rows), np.array(lines, np.int64), origin)

    @classmethod
    def of_sheet(cls, sheet: Sheet) -> Raw:
        """The rows of a file of texts."""
        held = zip(*sheet.rows, strict=True) if sheet.rows else ([] for _ in sheet.header)
        columns = {name: column_of(list(cells)) for name, cells in zip(sheet.header, held, strict=True)}
        return cls(columns, len(sheet.rows), np.array(sheet.lines, np.int64), sheet.origin)

    def habits_of(self, column: str, f: Field) -> Habits | None:
        """What a column settles for a field whose texts may have two readings."""
        if not is_open(f):
            return None
        if self.habits is not None and column in self.habits:
            return self.habits[column]
        return habits_of(f, self.columns[column])

    def some(self, name: str, rows: Array) -> list[Cell]:
        column = self.columns[name]
        return [column[i] for i in rows.tolist()] if isinstance(column, list) else column.take(pa.array(rows)).to_pylist()


def habits_of(f: Field, column: pa.Array | list[Cell]) -> Habits:
    """The votes of a column's texts."""
    habits = Habits()
    if isinstance(column, list):
        habits.add(f, {x for x in column if isinstance(x, str)})
        return habits
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return habits
    texts = pc.unique(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    if len(texts) > FEW and f.type.name == "number":  # whole numbers have nothing to say, plain fractions vote for the point
        texts = texts.filter(pc.invert(pc.match_substring_regex(texts, r"^-?\d+$")))
        pointed = pc.match_substring_regex(texts, r"^\d+\.(\d{1,2}|\d{4,})$")
        habits.add(f, texts.filter(pointed)[:1].to_pylist())
        texts = texts.filter(pc.invert(pointed))
    habits.add(f, texts.to_pylist())
    return habits


def table_of(columns: Mapping[str, pa.Array | list[Cell]]) -> pa.Table:
    """Columns as they were read as a table: JSON for those of mixed values."""
    arrays = {name: pa.array([json.dumps(x) for x in c], pa.string()) if isinstance(c, list) else c for name, c in columns.items()}
    mixed = json.dumps([name for name, c in columns.items() if isinstance(c, list)])
    return pa.table(arrays).replace_schema_metadata({MIXED: mixed})


def mixed_in(schema: pa.Schema) -> list[str]:
    """The columns of a table that are JSON."""
    names: list[str] = json.loads((schema.metadata or {}).get(MIXED, b"[]"))
    return names


def values_of(texts: pa.Array) -> list[Cell]:
    """The values of a column that is JSON."""
    values: list[Cell] = json.loads(f"[{','.join(texts.to_pylist())}]")  # at once: a tenth of the time that one after the other takes
    return values


def column_of(values: list[Cell]) -> pa.Array | list[Cell]:
    """Values as texts, if all of them are."""
    kinds = {type(x) for x in values if x is not None}
    if kinds == {str}:
        try:
            return pa.array(values, pa.string())
        except (ValueError, pa.ArrowException):  # a lone surrogate is not valid UTF-8
            return values
    return values


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole.cast(pa.string()) if pa.types.is_large_string(whole.type) or pa.types.is_string_view(whole.type) else whole


def as_bytes(name: str) -> bytes:
    """A name as a cell of a table: it may have half a character, which no Arrow text has."""
    return name.encode("utf-8", "surrogatepass")
