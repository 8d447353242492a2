"""What a store asks of a database. SQL is written with `?`; the two databases differ in little else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from roe.diagnostics import user_error

MISSING, BUSY, NEWER, CHANGED = "R641", "R642", "R643", "R644"


SqlValue = str | int | float | bytes | None
Row = tuple[Any, ...]  # of a query: what its columns hold, in their order
Query = tuple[str, Sequence[SqlValue]]


class Database(Protocol):
    """One connection. Outside a transaction every statement stands alone, and none is left open."""

    dialect: str
    url: str

    def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]: ...
    def together(self, queries: Sequence[Query]) -> list[list[Row]]:
        """The rows of each of several queries. A database that is far away is asked for them at once."""

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> None: ...
    def many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None: ...
    def begin(self, wait: float, queries: Sequence[Query] = ()) -> list[list[Row]]:
        """Take the one lock of the ledger; then the rows of the queries, as `together` gives them."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def scrub(self) -> list[str]: ...
    def close(self) -> None: ...


def refuse(code: str, message: str, place: str, help: str) -> NoReturn:
    raise user_error(code, message, place, help)


SPELLINGS = {  # of the migrations, which are written in the types of PostgreSQL
    "sqlite": (("BIGINT", "INTEGER"), ("BYTEA", "BLOB")),
    "postgres": ((" WITHOUT ROWID", ""),),
}


def migrations(dialect: str, after: int = 0) -> list[tuple[int, list[str]]]:
    """The numbered migrations after one of them, each as its statements in a dialect."""
    return [(number, _statements(file.read_text("utf-8"), dialect)) for number, file in _files() if number > after]


def _files() -> list[tuple[int, Path]]:
    folder = Path(__file__).parent / "migrations"
    return sorted((int(p.name.split("_")[0]), p) for p in folder.glob("*.sql"))


def _statements(text: str, dialect: str) -> list[str]:
    """The statements of a migration. What follows a line `-- sqlite` or `-- postgres` is of that dialect alone, up to `-- both`."""
    of, lines = "both", []
    for line in text.splitlines():
        if line.startswith("--"):
            of = line[3:] if line[3:] in (*SPELLINGS, "both") else of
        elif of in (dialect, "both"):
            lines.append(line)
    sql = "\n".join(lines)
    for written, spelt in SPELLINGS[dialect]:
        sql = sql.replace(written, spelt)
    return [statement.strip() for statement in sql.split(";\n") if statement.strip().rstrip(";")]


def migrate(db: Database, wait: float) -> None:
    """Bring a ledger to this program's version, each step whole or not at all. A newer ledger is refused."""
    newest = _files()[-1][0]
    if _version(db) == newest:
        return
    db.begin(wait)
    try:
        version = _version(db)
        if version > newest:
            refuse(NEWER, f"the ledger has version {version}, and this roe knows versions up to {newest}", db.url, "upgrade roe")
        if version == 0:
            db.run("CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY)")
        for number, statements in migrations(db.dialect, after=version):
            for statement in statements:
                db.run(statement)
            db.run("INSERT INTO migration (version) VALUES (?)", (number,))
        db.commit()
    except BaseException:
        db.rollback()
        raise


def _version(db: Database) -> int:
    if not _has_table(db, "migration"):
        return 0
    return int(db.rows("SELECT max(version) FROM migration")[0][0] or 0)


def _has_table(db: Database, name: str) -> bool:
    if db.dialect == "sqlite":
        return bool(db.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))
    # a scan, not to_regclass: whoever has waited for the lock would read there what it knew before
    return bool(db.rows("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = ?", (name,)))
