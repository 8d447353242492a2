"""Tables as Arrow columns: Parquet, large CSV files, and DuckDB databases whose tables are named after their entities.

A large CSV file that is plain (UTF-8, as many cells in each row, every quote where it belongs) goes through Arrow at full speed; any
other is read as rows are, so that both have the same records.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.raw import Raw, habits_of
from roe.data.encoding import Unreadable
from roe.data.habits import Habits, is_open
from roe.data.headers import columns_of, field_of
from roe.data.plain import plain_head, plain_lines
from roe.data.read import DATABASES, files_of, kind_of, lacking, none_found, read_file, read_sheet, table_names, unreadable_parquet
from roe.data.scan import TAIL, TableOrigin, marginal
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic
from roe.policy.model import DataSource, Policy
from roe.progress import phase
from roe.source import Span

if TYPE_CHECKING:
    import pyarrow.parquet as pq


LARGE = 8 << 20  # bytes of CSV above which Arrow reads it


def read_columns(
    policy: Policy, folder: Path, leave_out: Container[str] = (), complete: bool = False
) -> tuple[dict[str, Raw], list[Diagnostic]]:
    """Every entity's records in a folder, or in a DuckDB database file; those of some entities may be left out.

    `complete` asks for records of every entity that the policy decides.
    """
    if folder.is_file() and folder.suffix in DATABASES:
        return _read_database(policy, folder, complete)
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
            table = parquet.ParquetFile(path).read()
        except (pa.ArrowException, OSError) as e:
            return Raw({}, 0), [unreadable_parquet(path, e)]
        return Raw.of_table(table, origin=TableOrigin(str(path), tuple(table.column_names))), []
    if kind in (".json", ".jsonl", ".ndjson"):
        rows, problems = read_file(path, source)
        return Raw.of_rows(rows), problems
    if path.suffix.lower() in (".csv", ".tsv") and path.stat().st_size > LARGE and not source.encoding:
        raw = _large_csv(path)
        if raw is not None:
            return raw, []
    try:
        return Raw.of_sheet(read_sheet(path, source)), []
    except Unreadable as e:
        return Raw({}, 0, origin=TableOrigin(str(path))), [e.diagnostic(str(path))]


def habits_of_file(policy: Policy, entity: str, file: pq.ParquetFile) -> dict[str, Habits]:
    """What the columns of a Parquet file settle, read in portions: for whoever decides it in portions."""
    fields = policy.model.entities[entity]
    names = columns_of(entity, fields, file.schema_arrow.names, policy.model.roles())
    habits: dict[str, Habits] = {}
    for name, column in names.items():
        f = field_of(fields, name)
        kind = file.schema_arrow.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if is_open(f) and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            habits[column] = Habits()
            for batch in file.iter_batches(batch_size=1 << 20, columns=[column]):
                habits[column].merge(habits_of(f, batch.column(0)))
    return habits


def _large_csv(path: Path) -> Raw | None:
    """A well-formed CSV file as text columns; None leaves it, and what is wrong with it, to the ordinary reader."""
    from pyarrow import csv

    head = plain_head(path)
    if head is None:
        return None
    delimiter, header = head
    lines = plain_lines(path, delimiter)
    if lines is None:
        return None
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=list(header), skip_rows=1),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
            csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):
        return None
    if lines != table.num_rows + 1:  # an empty line: which line is whose?
        return None
    places = np.arange(2, table.num_rows + 2)
    origin = TableOrigin(str(path), header)
    return Raw.of_table(*_without_marginal(table, places, origin), origin)


def _without_marginal(
    table: pa.Table, lines: np.ndarray[tuple[int], np.dtype[np.int64]], origin: TableOrigin
) -> tuple[pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The table without its blank rows, headers that come again, and the lines that a report adds at the end."""
    if not table.num_rows:
        return table, lines
    header = list(origin.header)
    first = table.column(0)
    odd = pc.or_(pc.equal(first, header[0]), pc.equal(pc.utf8_trim_whitespace(first), ""))
    at = np.union1d(np.flatnonzero(odd.to_numpy()), np.arange(max(0, table.num_rows - 2 * TAIL), table.num_rows))
    rows = list(zip(*(c.to_pylist() for c in table.take(pa.array(at)).columns), strict=True))
    blank = {int(i) for i, row in zip(at, rows, strict=True) if not any(map(str.strip, row))}
    full = [int(i) for i in at if int(i) not in blank]
    tail = set(full[-TAIL:])
    drop = set(blank)
    origin.blank += len(blank)
    for i, row in zip(at.tolist(), rows, strict=True):
        reason = "" if i in blank else marginal(row, header, i in tail)
        if reason:
            drop.add(i)
            origin.rejects.append((int(lines[i]), ", ".join(c for c in row if c.strip())[:200], reason))
    if not drop:
        return table, lines
    keep = np.ones(table.num_rows, bool)
    keep[sorted(drop)] = False
    return table.filter(pa.array(keep)), lines[keep]


def _read_database(policy: Policy, path: Path, complete: bool) -> tuple[dict[str, Raw], list[Diagnostic]]:
    here = Span(str(path), 1, 1, 1)
    try:
        import duckdb
    except ImportError:
        return {}, [Diagnostic("R406", "reading a DuckDB database needs the package duckdb", here, "pip install 'roe-policy[batch]'")]
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            held = {name for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
            tables = {}
            for entity in policy.model.entities:
                name = next((n for n in table_names(policy, entity) if n in held), None)
                if name is not None:
                    quoted = name.replace('"', '""')
                    table = con.sql(f'SELECT * FROM "{quoted}"').to_arrow_table()
                    tables[entity] = Raw.of_table(table, origin=TableOrigin(f"{path}:{name}", tuple(table.column_names)))
    except duckdb.Error as e:
        return {}, [Diagnostic("R601", f"`{path}` cannot be read as a DuckDB database: {e}", here, "name a file that DuckDB wrote")]
    if not tables:
        return tables, [none_found(policy, path)]
    problems = lacking(policy, path, tables) if complete else []
    return tables, [*problems, *(d for entity, raw in tables.items() for d in misshapen(policy, entity, raw.origin, raw.n))]
