"""What the pages keep between requests, for all processes that serve them: who is signed in, sign-ins under way, plans, what a link means.

Values are JSON by kind and key, each with an end. A service keeps them beside its ledger (a file of their own in the folder, or a table in
PostgreSQL), so that every worker knows them and a restart signs nobody out; `roe ui` without a ledger keeps them in memory.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from roe.dynamic import Value
from roe.ledger.database import Row, SqlValue

FILE = "pages.sqlite"
MOST = 10_000  # values of one kind: the ones that end first go
SWEEP = 600.0  # seconds between clean-ups
_TABLE = "CREATE TABLE IF NOT EXISTS page_kept (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, ends DOUBLE PRECISION NOT NULL, PRIMARY KEY (kind, key))"
_PUT = (
    "INSERT INTO page_kept (kind, key, body, ends) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, ends = excluded.ends"
)


class RowsOf(Protocol):
    """A statement that stands alone: its rows, none if it only writes."""

    def __call__(self, sql: str, values: tuple[SqlValue, ...] = ()) -> list[Row]: ...


class Kept:
    """See above. `clock` gives seconds; tests set it."""

    def __init__(self, rows: RowsOf, clock: Callable[[], float] = time.time) -> None:
        self._rows, self.clock, self._swept = rows, clock, 0.0
        self._lock = threading.Lock()  # one connection, one statement at a time
        rows(_TABLE)

    def put(self, kind: str, key: str, value: object, seconds: float) -> None:
        """Keep a value for some seconds from now."""
        now = self.clock()
        with self._lock:
            self._rows(_PUT, (kind, key, json.dumps(value, ensure_ascii=False), now + seconds))
            if now - self._swept > SWEEP:
                self._swept = now
                self._rows("DELETE FROM page_kept WHERE ends <= ?", (now,))
                self._rows(
                    "DELETE FROM page_kept WHERE kind = ? AND key IN (SELECT key FROM page_kept WHERE kind = ? ORDER BY ends DESC LIMIT 1000000 OFFSET ?)",
                    (kind, kind, MOST),
                )

    def get(self, kind: str, key: str) -> Value:
        """The value, or None where there is none any more."""
        with self._lock:
            rows = self._rows("SELECT body, ends FROM page_kept WHERE kind = ? AND key = ?", (kind, key))
        return json.loads(rows[0][0]) if rows and rows[0][1] > self.clock() else None

    def take(self, kind: str, key: str) -> Value:
        """The value, which is then gone: of several who ask, one gets it."""
        with self._lock:
            rows = self._rows("DELETE FROM page_kept WHERE kind = ? AND key = ? RETURNING body, ends", (kind, key))
        return json.loads(rows[0][0]) if rows and rows[0][1] > self.clock() else None

    def all(self, kind: str) -> list[tuple[str, Value]]:
        """(key, value) of a kind, those that end first first."""
        with self._lock:
            rows = self._rows("SELECT key, body FROM page_kept WHERE kind = ? AND ends > ? ORDER BY ends, key", (kind, self.clock()))
        return [(key, json.loads(body)) for key, body in rows]

    def drop(self, kind: str, key: str) -> None:
        with self._lock:
            self._rows("DELETE FROM page_kept WHERE kind = ? AND key = ?", (kind, key))


def in_memory(clock: Callable[[], float] = time.time) -> Kept:
    return Kept(_sqlite(":memory:"), clock)


def beside(state: str) -> Kept:
    """What is kept beside a ledger: in a folder, or in the schema of its database."""
    if state.startswith(("postgresql:", "postgres:")):
        return Kept(_postgres(state))
    folder = Path(state)
    folder.mkdir(parents=True, exist_ok=True)
    return Kept(_sqlite(str(folder / FILE)))


def _sqlite(place: str) -> RowsOf:
    con = sqlite3.connect(place, timeout=10, isolation_level=None, check_same_thread=False)
    if place != ":memory:":
        con.execute("PRAGMA journal_mode = WAL").fetchall()
        con.execute("PRAGMA synchronous = NORMAL")
        con.execute("PRAGMA secure_delete = ON").fetchall()
        Path(place).chmod(0o600)

    def rows(sql: str, values: tuple[SqlValue, ...] = ()) -> list[Row]:
        return con.execute(sql, values).fetchall()

    return rows


def _postgres(url: str) -> RowsOf:
    from roe.ledger.postgres import PostgresDatabase

    opened: list[PostgresDatabase] = []

    def rows(sql: str, values: tuple[SqlValue, ...] = ()) -> list[Row]:
        """On one connection, which is opened again if it was lost."""
        if not opened or opened[0].con.closed:
            opened[:] = [PostgresDatabase(url)]
        try:
            if sql.startswith(("SELECT", "DELETE")) and ("RETURNING" in sql or sql.startswith("SELECT")):
                return opened[0].rows(sql, values)
            opened[0].run(sql, values)
            return []
        except Exception:
            opened[0].close()
            raise

    return rows
