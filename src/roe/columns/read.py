"""Tables as Arrow columns: Parquet, large CSV files, and DuckDB databases whose tables are named after their entities.

A large CSV file in UTF-8 is read in blocks; any other as rows are, so that both have the same records. JSON is read in blocks where not all of its
records are to be in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from roe.columns.csv_blocks import CsvBlocks, NotInBlocks
from roe.columns.database import read_database
from roe.columns.json_blocks import JsonBlocks
from roe.columns.raw import Raw, habits_of, mixed_in, values_of
from roe.data.content import pieces
from roe.data.encoding import Unreadable
from roe.data.habits import Habits, is_open
from roe.data.headers import columns_of, field_of
from roe.data.read import LINES_OF_JSON, files_of, is_database, kind_of, read_file, read_sheet, unreadable_parquet
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic
from roe.policy.model import DataSource, Policy
from roe.progress import phase

if TYPE_CHECKING:
    import pyarrow.parquet as pq


def read_columns(
    policy: Policy, folder: Path, leave_out: Collection[str] = (), complete: bool = False
) -> tuple[dict[str, Raw], list[Diagnostic]]:
    """Every entity's records in a folder, or in a DuckDB database file; those of some entities may be left out.

    `complete` asks for records of every entity that the policy decides.
    """
    if is_database(folder):
        return read_database(policy, folder, leave_out, complete)
    paths, diagnostics = files_of(policy, folder, complete)
    tables: dict[str, Raw] = {}
    for entity, path in paths.items():
        if entity not in leave_out:
            tables[entity], problems = read_table(path, policy.data.get(entity, DataSource()))
            diagnostics += problems or misshapen(policy, entity, tables[entity].origin, tables[entity].n)
    return tables, diagnostics


def read_table(path: Path, source: DataSource) -> tuple[Raw, list[Diagnostic]]:
    """The records of one file as columns."""
    phase(f"reading {path.name}")
    kind = kind_of(path)
    if kind == ".parquet":
        from pyarrow import parquet

        try:
            table = parquet.ParquetFile(path).read().replace_schema_metadata()
        except (pa.ArrowException, OSError) as e:
            return Raw({}, 0), [unreadable_parquet(path, e)]
        return Raw.of_table(table, origin=TableOrigin(str(path), tuple(table.column_names))), []
    if kind in (".json", *LINES_OF_JSON):
        rows, problems = read_file(path, source)
        return Raw.of_rows(rows), problems
    try:
        large = CsvBlocks.of(path, source)
        if large is not None:
            with suppress(NotInBlocks):
                tables, lines = zip(*large.records(), strict=True)
                return Raw.of_table(pa.concat_tables(tables), np.concatenate(lines), large.origin), []
        return Raw.of_sheet(read_sheet(path, source)), []
    except Unreadable as e:
        return Raw({}, 0, origin=TableOrigin(str(path))), [e.diagnostic(str(path))]


def in_blocks(path: Path, source: DataSource) -> CsvBlocks | JsonBlocks | None:
    """A large file of texts that is read some records at a time; None for any other file."""
    return CsvBlocks.of(path, source) or JsonBlocks.of(path, source)


def rows_about(path: Path) -> int:
    """About how many rows a file has: Parquet says it itself, in texts is counted what each row has. 0 for one that cannot be read."""
    from pyarrow import parquet

    kind = kind_of(path)
    with suppress(pa.ArrowException, OSError, Unreadable):
        if kind == ".parquet":
            return int(parquet.read_metadata(path).num_rows)
        mark = b"{" if kind == ".json" else b"\n"
        return sum(piece.count(mark) for piece in pieces(path, 1 << 20))
    return 0


def habits_of_file(policy: Policy, entity: str, file: pq.ParquetFile, header: Iterable[str]) -> dict[str, Habits]:
    """What these columns of a Parquet file settle, read in portions: for whoever decides it in portions."""
    fields = policy.model.entities[entity]
    names = columns_of(entity, fields, header, policy.model.roles())
    habits: dict[str, Habits] = {}
    for name, column in names.items():
        f = field_of(fields, name)
        kind = file.schema_arrow.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if is_open(f) and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            habits[column] = Habits()
            for batch in file.iter_batches(batch_size=1 << 20, columns=[column]):
                texts = batch.column(0)
                habits[column].merge(habits_of(f, values_of(texts) if column in mixed_in(file.schema_arrow) else texts))
    return habits
