"""Some records of a Parquet file or a DuckDB database, found by texts that stand in them (see `roe.data.lookup`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from roe.data.coerce import Records
from roe.data.lookup import MANY, CannotLookUp, parts_of
from roe.data.scan import Origin
from roe.progress import phase

LINE = "$line"
_SPELT = re.compile(r"[0-9._+&/@-]+")  # what has no small letters
LOOKED_UP = ("VARCHAR", "BIGINT", "INTEGER", "SMALLINT", "UUID")  # types of columns whose cells are texts as they are shown


class SqlLookup:
    """A table that DuckDB reads: `table` is what stands after FROM, `number` the expression of a row's place from 0."""

    def __init__(self, connection: Any, table: str, number: str, shown: str) -> None:
        self.connection, self.table, self.place, self.shown = connection, table, number, shown
        described = connection.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        self.types = {str(row[0]): str(row[1]) for row in described if row[0] != "file_row_number"}
        self.origin = Origin(shown, tuple(self.types))
        self.number = int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def having(self, texts: Iterable[str], columns: Collection[str]) -> list[dict[str, Any]]:
        phase(f"searching {Path(self.shown).name}")
        odd = [c for c in columns if self.types[c] not in LOOKED_UP]
        if odd:
            raise CannotLookUp(f"the column `{odd[0]}` of `{Path(self.shown).name}` is not text")
        tests, values = _tests([parts_of(text) for text in texts], [quoted(c) for c in columns])
        if not tests or not columns:
            return []
        places = f"SELECT {self.place} AS place FROM {self.table} WHERE {tests}"
        found = [int(row[0]) for row in self.connection.execute(places, values).fetchall()]
        if not found:
            return []
        if len(found) > MANY:
            raise CannotLookUp(f"too many records of `{Path(self.shown).name}` match the search")
        listed = ", ".join(map(str, found))
        return self._rows(f'SELECT *, {self.place} + 1 AS "{LINE}" FROM {self.table} WHERE {self.place} IN ({listed})')

    def all(self) -> Records:
        phase(f"reading {Path(self.shown).name}")
        return Records(self._rows(f'SELECT *, {self.place} + 1 AS "{LINE}" FROM {self.table} ORDER BY {self.place}'), self.origin)

    def _rows(self, query: str) -> list[dict[str, Any]]:
        rows = rows_of(self.connection, query)
        for row in rows:
            row.pop("file_row_number", None)
        return sorted(rows, key=lambda row: int(row[LINE]))

    def texts_of(self, column: str) -> Iterable[str]:
        phase(f"reading {column} of {Path(self.shown).name}")
        if self.types[column] != "VARCHAR":
            return ()
        return [x for (x,) in self.connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {self.table}").fetchall() if x is not None]


def _tests(wanted: list[list[str]], columns: list[str]) -> tuple[str, list[str]]:
    """(the condition that one of the columns has all parts of one of the texts, its values)."""
    cells = [f"{c}::VARCHAR" for c in columns]
    tests, values = [], []
    for parts in wanted:
        for cell in cells if len(parts) == 1 else [f"concat_ws(' ', {', '.join(cells)})"]:
            own = []
            for part in parts:
                plain = max(_SPELT.findall(part), key=len, default="")
                # looking for what has no letters is several times as fast as looking in whatever case
                own.append(f"contains({cell}, ?)" if len(plain) > 3 else f"{cell} ILIKE ? ESCAPE '\\'")
                values.append(plain if len(plain) > 3 else f"%{_escaped(part)}%")
            tests.append(" AND ".join(own))
    return " OR ".join(f"({x})" for x in tests), values


def _escaped(part: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", part)


def rows_of(connection: Any, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows that a query gives."""
    done = connection.execute(query, list(values))
    names = [column[0] for column in done.description]
    return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


def quoted_text(text: Any) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parquet_lookup(path: Path) -> SqlLookup:
    """A Parquet file. Raises CannotLookUp where DuckDB is not installed, or cannot read it."""
    con = connection()
    import duckdb

    try:
        return SqlLookup(con, f"read_parquet({quoted_text(path)}, file_row_number = true)", "file_row_number", str(path))
    except duckdb.Error as e:
        raise CannotLookUp(f"`{path.name}` cannot be searched by DuckDB") from e


def database_lookups(path: Path, tables: Iterable[tuple[str, str]]) -> Iterator[tuple[str, SqlLookup]]:
    """(entity, its table) of a DuckDB database, by (entity, the table's name). Raises CannotLookUp."""
    con = _connect(path)
    for entity, name in tables:
        numbered = f"(SELECT *, row_number() OVER () - 1 AS file_row_number FROM {quoted(name)})"
        yield entity, SqlLookup(con, numbered, "file_row_number", f"{path}:{name}")


def names_in(path: Path) -> list[str]:
    """The tables of a DuckDB database. Raises CannotLookUp."""
    return [str(name) for (name,) in _connect(path).execute("SELECT table_name FROM information_schema.tables").fetchall()]


@cache
def connection() -> Any:
    """DuckDB without a database of its own. Raises CannotLookUp."""
    return _connect(None)


def _connect(path: Path | None) -> Any:
    try:
        import duckdb
    except ImportError as e:
        raise CannotLookUp("searching Parquet files or a database needs the package duckdb") from e
    try:
        con = duckdb.connect(str(path) if path is not None else ":memory:", read_only=path is not None)
        con.execute("SET enable_progress_bar = false; SET memory_limit = '200MB'; SET TimeZone = 'UTC'")
    except duckdb.Error as e:
        raise CannotLookUp("DuckDB cannot read it") from e
    return con
