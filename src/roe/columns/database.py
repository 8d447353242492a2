"""DuckDB databases whose tables are named after their entities: as Arrow columns or, for large tables, as Parquet files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from roe.columns.raw import Raw
from roe.data.read import lacking, none_found, table_names
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic, PolicyError, user_error
from roe.policy.model import Policy
from roe.progress import phase

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

ROWS_AT_ONCE = 100_000
MEMORY = "512MB"  # that DuckDB may use while tables are copied; left alone it keeps most of the file


def read_database(
    policy: Policy, path: Path, leave_out: Collection[str] = (), complete: bool = False
) -> tuple[dict[str, Raw], list[Diagnostic]]:
    """Every entity's records; those of some entities may be left out. `complete` asks for a table of every entity that the policy decides."""
    tables: dict[str, Raw] = {}
    try:
        with _opened(path) as con:
            names = _tables_of(policy, con)
            for entity, name in names.items():
                if entity not in leave_out:
                    table = _rows(con, name).to_arrow_table()
                    tables[entity] = Raw.of_table(table, origin=_origin(path, name, table.schema))
    except PolicyError as e:
        return {}, e.diagnostics
    if not names:
        return {}, [none_found(policy, path)]
    problems = lacking(policy, path, names) if complete else []
    return tables, [*problems, *(d for entity, raw in tables.items() for d in misshapen(policy, entity, raw.origin, raw.n))]


def as_parquet(
    policy: Policy, path: Path, entities: Collection[str], folder: Path
) -> tuple[dict[str, tuple[Path, TableOrigin]], list[str]]:
    """The tables of some entities as Parquet files in a folder, with their origins, copied some rows at a time in the order of the database;
    and the names of tables that Parquet has no types for. Raises PolicyError if the database cannot be read.
    """
    made: dict[str, tuple[Path, TableOrigin]] = {}
    not_made: list[str] = []
    with _opened(path) as con:
        con.execute(f"SET memory_limit = '{MEMORY}'")
        for entity, name in _tables_of(policy, con).items():
            if entity in entities:
                phase(f"reading {path.name}")
                reader, file = _rows(con, name).to_arrow_reader(ROWS_AT_ONCE), folder / f"{entity}.parquet"
                try:
                    _copy(reader, file)
                except pa.ArrowNotImplementedError:
                    not_made.append(name)
                else:
                    made[entity] = file, _origin(path, name, reader.schema)
    return made, not_made


def _copy(reader: pa.RecordBatchReader, file: Path) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def rows_in_database(policy: Policy, path: Path) -> int:
    """About how many rows the tables of all entities have, as DuckDB says; 0 if it cannot read them."""
    try:
        with _opened(path) as con:
            names = list(_tables_of(policy, con).values())
            query = "SELECT sum(estimated_size) FROM duckdb_tables() WHERE table_name IN (SELECT unnest(?))"
            said = con.execute(query, [names]).fetchone()
    except PolicyError:
        return 0
    return int(said[0] or 0) if said else 0


@contextmanager
def _opened(path: Path) -> Iterator[DuckDBPyConnection]:
    """A connection that only reads. Raises PolicyError for what DuckDB refuses, here or where it is used."""
    try:
        import duckdb
    except ImportError:
        message = "reading a DuckDB database needs the package duckdb"
        raise user_error("R406", message, path, "pip install 'roe-policy[batch]'") from None
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            yield con
    except duckdb.Error as e:
        message = f"`{path}` cannot be read as a DuckDB database: {e}"
        raise user_error("R601", message, path, "name a file that DuckDB wrote") from e


def _tables_of(policy: Policy, con: DuckDBPyConnection) -> dict[str, str]:
    """entity -> its table in the database."""
    held = {name for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    found = {entity: next((n for n in table_names(policy, entity) if n in held), None) for entity in policy.model.entities}
    return {entity: name for entity, name in found.items() if name is not None}


def _rows(con: DuckDBPyConnection, table: str) -> DuckDBPyRelation:
    quoted = table.replace('"', '""')
    return con.sql(f'SELECT * FROM "{quoted}"')


def _origin(path: Path, table: str, schema: pa.Schema) -> TableOrigin:
    return TableOrigin(f"{path}:{table}", tuple(schema.names))
