"""Some records of a Parquet file or a DuckDB database, found by texts that stand in them (see `roe.data.lookup`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from roe.data.coerce import RawRecords
from roe.data.lookup import MANY, CannotLookUp, parts_of
from roe.data.scan import TableOrigin
from roe.dynamic import Cell
from roe.progress import phase

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


LINE = "$line"
_SPELT = re.compile(r"[0-9._+&/@-]+")  # what has no small letters
LOOKED_UP = ("VARCHAR", "BIGINT", "INTEGER", "SMALLINT", "UUID")  # types of columns whose cells are texts as they are shown


class SqlLookup:
    """A table that DuckDB reads. `numbered` is a query of all its rows, each with its number from 1 as `$line`. Raises CannotLookUp."""

    def __init__(self, connection: DuckDBPyConnection, numbered: str, shown: str) -> None:
        self.connection, self.table, self.shown = connection, f"({numbered})", shown
        with _searching(shown):
            described = connection.execute(f"DESCRIBE {numbered}").fetchall()
            self.number = int(connection.execute(f"SELECT count(*) FROM {self.table}").fetchall()[0][0])
        self.types = {str(row[0]): str(row[1]) for row in described}
        if len(self.types) < len(described):
            raise CannotLookUp(f"`{Path(shown).name}` has a column `{LINE}`")
        del self.types[LINE]
        self.origin = TableOrigin(shown, tuple(self.types))

    def having(self, texts: Iterable[str], columns: Collection[str]) -> list[dict[str, object]]:
        phase(f"searching {Path(self.shown).name}")
        odd = [c for c in columns if self.types[c] not in LOOKED_UP]
        if odd:
            raise CannotLookUp(f"the column `{odd[0]}` of `{Path(self.shown).name}` is not text")
        tests, values = _tests([parts_of(text) for text in texts], [quoted(c) for c in columns])
        if not tests or not columns:
            return []
        with _searching(self.shown):
            lines = [int(line) for (line,) in self.connection.execute(f"{self._select(LINE)} WHERE {tests}", values).fetchall()]
        if not lines:
            return []
        if len(lines) > MANY:
            raise CannotLookUp(f"too many records of `{Path(self.shown).name}` match the search")
        listed = ", ".join(map(str, lines))
        return self._rows(f"WHERE {quoted(LINE)} IN ({listed})")

    def all(self) -> RawRecords:
        phase(f"reading {Path(self.shown).name}")
        return RawRecords(self._rows(), self.origin)

    def _select(self, column: str) -> str:
        return f"SELECT {quoted(column)} FROM {self.table}"

    def _rows(self, where: str = "") -> list[dict[str, Cell]]:
        with _searching(self.shown):
            return rows_of(self.connection, f"SELECT * FROM {self.table} {where} ORDER BY {quoted(LINE)}")

    def texts_of(self, column: str) -> Iterable[str]:
        phase(f"reading {column} of {Path(self.shown).name}")
        if self.types[column] != "VARCHAR":
            return ()
        with _searching(self.shown):
            rows = self.connection.execute(f"SELECT DISTINCT {quoted(column)} FROM {self.table}").fetchall()
        return [x for (x,) in rows if x is not None]


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


def rows_of(connection: DuckDBPyConnection, query: str) -> list[dict[str, Cell]]:
    """The rows that a query gives."""
    done = connection.execute(query)
    names = [column[0] for column in done.description]
    return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


def quoted_text(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def quoted_path(path: Path) -> str:
    """A file to be read, and no other: in a path DuckDB takes `*`, `?` and `[` for patterns."""
    return quoted_text(re.sub(r"([*?\[])", r"[\1]", str(path)))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parquet_lookup(path: Path) -> SqlLookup:
    """A Parquet file. Raises CannotLookUp where DuckDB is not installed, or cannot read it."""
    rows = f"FROM read_parquet({quoted_path(path)}, file_row_number = true)"
    return SqlLookup(connection(), f'SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS "{LINE}" {rows}', str(path))


def database_lookups(path: Path, tables: Iterable[tuple[str, str]]) -> Iterator[tuple[str, SqlLookup]]:
    """(entity, its table) of a DuckDB database, by (entity, the table's name). Raises CannotLookUp."""
    con = _connect(path)
    for entity, name in tables:
        yield entity, SqlLookup(con, f'SELECT *, row_number() OVER () AS "{LINE}" FROM {quoted(name)}', f"{path}:{name}")


def names_in(path: Path) -> list[str]:
    """The tables of a DuckDB database. Raises CannotLookUp."""
    return [str(name) for (name,) in _connect(path).execute("SELECT table_name FROM information_schema.tables").fetchall()]


@cache
def connection() -> DuckDBPyConnection:
    """DuckDB without a database of its own. Raises CannotLookUp."""
    return _connect(None)


def _connect(path: Path | None) -> DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as e:
        raise CannotLookUp("searching Parquet files or a database needs the package duckdb") from e
    with _searching(str(path)):
        con = duckdb.connect(str(path) if path is not None else ":memory:", read_only=path is not None)
        con.execute("SET enable_progress_bar = false; SET memory_limit = '200MB'; SET TimeZone = 'UTC'")
    return con


@contextmanager
def _searching(shown: str) -> Iterator[None]:
    """What DuckDB cannot do is for the ordinary reader."""
    import duckdb

    try:
        yield
    except duckdb.Error as e:
        raise CannotLookUp(f"`{Path(shown).name}` cannot be searched by DuckDB") from e
