"""Tables as Arrow columns: Parquet, large CSV files, and DuckDB databases whose tables are named after their entities."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import numpy as np
import pyarrow as pa

from roe.columns.load import Raw
from roe.data.read import DATABASES, file_of, none_found, read_file
from roe.diagnostics import Diagnostic
from roe.policy.model import Policy
from roe.policy.standard import FILES
from roe.progress import phase
from roe.source import Span

LARGE = 8 << 20  # bytes of CSV above which Arrow reads it


def read_columns(policy: Policy, folder: Path, leave_out: Container[str] = ()) -> tuple[dict[str, Raw], list[Diagnostic]]:
    """Every entity's records in a folder, or in a DuckDB database file; those of some entities may be left out."""
    if folder.is_file() and folder.suffix in DATABASES:
        return _read_database(policy, folder)
    if not folder.is_dir():
        return {}, [none_found(policy, folder)]
    tables: dict[str, Raw] = {}
    found: list[Diagnostic] = []
    for entity in policy.model.entities:
        if entity in leave_out:
            continue
        path, problems = file_of(policy, entity, folder)
        found += problems
        if path is not None:
            tables[entity], problems = _read(path)
            found += problems
    if not tables and not found and not leave_out:
        found.append(none_found(policy, folder))
    return tables, found


def _read(path: Path) -> tuple[Raw, list[Diagnostic]]:
    phase(f"reading {path.name}")
    if path.suffix == ".parquet":
        from pyarrow import parquet

        try:
            return Raw.of_table(parquet.read_table(path)), []
        except (pa.ArrowException, OSError) as e:
            help = "write it again"
            return Raw({}, 0), [Diagnostic("R601", f"`{path}` cannot be read as Parquet: {e}", Span(str(path), 1, 1, 1), help)]
    if path.suffix == ".csv" and path.stat().st_size > LARGE:
        raw = _large_csv(path)
        if raw is not None:
            return raw, []
    rows, problems = read_file(path)
    return Raw.of_rows(rows), problems


def _large_csv(path: Path) -> Raw | None:
    """A well-formed CSV file as text columns; None leaves it, and what is wrong with it, to the ordinary reader."""
    from pyarrow import csv

    with path.open("rb") as file:
        first = file.readline().decode("utf-8-sig", "replace")
    delimiter = max(",;\t", key=lambda d: (first.count(d), d == ","))
    if '"' in first or "\r" in first.rstrip("\r\n"):
        return None
    header = [h.strip() for h in first.rstrip("\r\n").split(delimiter)]
    if len(set(header)) < len(header):
        return None
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(column_names=header, skip_rows=1),
            csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):
        return None
    with path.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        file.seek(-1, 2)
        lines += file.read(1) != b"\n"
    if lines != table.num_rows + 1:  # a cell with a line break, or an empty line: which line is whose?
        return None
    return Raw.of_table(table, np.arange(2, table.num_rows + 2))


def _read_database(policy: Policy, path: Path) -> tuple[dict[str, Raw], list[Diagnostic]]:
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
                source = policy.data.get(entity)
                asked = (source.file,) if source and source.file else FILES.get(entity, (entity + "s", entity))
                name = next((n for n in asked if n in held), None)
                if name is not None:
                    quoted = name.replace('"', '""')
                    tables[entity] = Raw.of_table(con.sql(f'SELECT * FROM "{quoted}"').to_arrow_table())
    except duckdb.Error as e:
        return {}, [Diagnostic("R601", f"`{path}` cannot be read as a DuckDB database: {e}", here, "name a file that DuckDB wrote")]
    return tables, [] if tables else [none_found(policy, path)]
