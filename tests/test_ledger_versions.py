"""A ledger that an earlier roe has written is brought up to today's version."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ledgers import STORES, Ticks, place, state
from roe.ledger.audit import verify
from roe.ledger.backup import TABLES
from roe.ledger.database import Database, migrations
from roe.ledger.projections import PROJECTIONS, dump
from roe.ledger.sqlite import SqliteDatabase
from roe.ledger.store import open_store
from test_ledger import EXAMPLES, day, owned

__all__ = ["state"]
VERSIONS = [number for number, _ in migrations("sqlite")][:-1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", STORES)
def test_a_ledger_of_any_earlier_version_is_brought_up(kind: str, version: int, tmp_path: Path) -> None:
    """The same entries, in tables as that version had them, are read, projected and verified as in a ledger of today."""
    state = place(kind, tmp_path / "old")
    with open_store(place(kind, tmp_path / "new"), clock=Ticks()) as new:
        new.append(EXAMPLES)
        new.append([owned("A-1", "r1", "2026-03-20", rule="a"), owned("A-1", "r2", "2026-03-25", rule="b")])
        with database_of(state) as old:
            made_at(old, version)
            for table, (_, columns) in TABLES.items():
                there = [name for name in columns.split(", ") if name in columns_of(old, table)]
                if there:
                    old.run(f"DELETE FROM {table}")
                    rows = new.db.rows(f"SELECT {', '.join(there)} FROM {table}")
                    old.many(f"INSERT INTO {table} ({', '.join(there)}) VALUES ({', '.join('?' * len(there))})", rows)
            if columns_of(old, "projected"):  # otherwise the projections are made again, whatever migrations have made of them
                old.run("UPDATE projected SET version = ?", (PROJECTIONS,))
        with open_store(state) as again:
            assert list(again.entries()) == list(new.entries()) and again.head() == new.head()
            assert dump(again.db) == dump(new.db) and again.rebuild()
            assert verify(again).bad is None
            assert again.book("r1", day("2026-03-21")) == new.book("r1", day("2026-03-21")) != []
            assert again.append([owned("A-1", "r9", "2026-03-29")]) == range(len(EXAMPLES) + 3, len(EXAMPLES) + 4)


def database_of(state: str) -> closing[Any]:
    """A database as it is, without tables."""
    if state.startswith("postgresql:"):
        from roe.ledger.postgres import PostgresDatabase

        return closing(PostgresDatabase(state))
    return closing(SqliteDatabase(Path(state)))


def made_at(db: Database, version: int) -> None:
    """The tables of an earlier version."""
    db.run("CREATE TABLE migration (version INTEGER PRIMARY KEY)")
    for number, statements in migrations(db.dialect):
        for statement in statements if number <= version else ():
            db.run(statement)
        if number <= version:
            db.run("INSERT INTO migration (version) VALUES (?)", (number,))


def columns_of(db: Database, table: str) -> set[str]:
    if db.dialect == "sqlite":
        return {name for _, name, *_ in db.rows(f"PRAGMA table_info({table})")}
    columns = "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = ?"
    return {name for (name,) in db.rows(columns, (table,))}


def test_projections_of_an_earlier_roe_are_made_again(state: str) -> None:
    with open_store(state, clock=Ticks()) as store:
        store.append(EXAMPLES)
        before = dump(store.db)
        store.db.run("UPDATE projected SET version = 1")
        store.db.run("DELETE FROM latest")
        assert dump(store.db) != before
    with open_store(state) as again:
        assert dump(again.db) == before and again.rebuild()


def test_migrations_are_numbered_without_gaps_and_speak_each_dialect() -> None:
    others = {"sqlite": ("BIGINT", "BYTEA", "md5("), "postgres": ("BLOB", "WITHOUT ROWID")}
    for dialect in STORES:
        numbers, statements = zip(*migrations(dialect), strict=True)
        assert numbers == tuple(range(1, len(numbers) + 1))
        text = "\n".join(statement for some in statements for statement in some)
        assert not any(word in text for word in others[dialect])
        assert len(set(re.findall(r"CREATE TABLE (\w+)", text))) == text.count("CREATE TABLE ") > 15
