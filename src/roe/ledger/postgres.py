"""The ledger in PostgreSQL, for teams: the same tables, READ COMMITTED, one advisory lock.

The lock is a statement of its own. One that locked and read at once would see the head as it was before it waited.

Whoever writes has the lock, and others wait for it. So statements go to the server together: writes wait for the next read, or for the commit.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import NoReturn

from roe.ledger.database import BUSY, MISSING, Query, Row, SqlValue, refuse

LOCK = 0x726F65  # "roe"
ERASED = (
    "value",
    "evidence",
    "subject",
    "snapshot",
    "prepared",
    "mirror",
    "known",
    "answer",
    "inbox",
    "outbox",
    "page_kept",
)  # tables with what can be erased
LINE = {  # how long nothing is heard of the database's machine until it counts as gone; an address may say otherwise
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000,
}  # fmt: skip
# what is acknowledged is on disk, also where the database is set not to wait for that
DURABLE = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
SCRUB = 10  # seconds that scrubbing waits for transactions of others
COPIED = 50  # rows from which on COPY is quicker, though it takes ways of its own to the server


class PostgresDatabase:
    dialect = "postgres"

    def __init__(self, url: str, create: bool = True) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ImportError:
            refuse("R406", "a ledger in PostgreSQL needs the package psycopg", _shown(url), "pip install 'roe-policy[postgres]'")
        self.url = _shown(url)
        self._begun = False  # whether a transaction is open
        self._waiting: list[tuple[str, list[Sequence[SqlValue]]]] = []  # writes of the transaction that are not sent yet
        self.error: type[Exception] = psycopg.Error
        # the database cannot be used: it is gone, its disk is full, it takes no writes (a standby, or one that its provider has locked), or it is damaged
        self.lost: tuple[type[Exception], ...] = (psycopg.OperationalError, psycopg.InternalError)
        self._aborted: type[Exception] = psycopg.errors.PipelineAborted
        try:
            self.con = psycopg.connect(make_conninfo("", **{**LINE, **conninfo_to_dict(url)}), autocommit=True)
        except psycopg.Error as e:
            refuse(
                MISSING, f"the ledger's database cannot be reached: {_first(e)}", self.url, "check the address and that the server is up"
            )
        if not create and not self.rows("SELECT to_regclass('migration') IS NOT NULL")[0][0]:
            refuse(MISSING, "there is no ledger in this database", self.url, "name the --state of a `roe run`")

    def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        return self.together([(sql, values)])[0]

    def together(self, queries: Sequence[Query]) -> list[list[Row]]:
        try:
            if len(queries) == 1 and not self._waiting:
                return [self.con.execute(_spelt(sql), values).fetchall() for sql, values in queries]
            return self._sent((), queries)
        except self.lost as e:
            self._said(e)

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> None:
        if values and self._begun:
            self._waiting.append((sql, [values]))
            return
        self._send()
        try:
            self.con.execute(_spelt(sql), values)
        except self.lost as e:
            self._said(e)

    def many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        rows = list(rows)
        if not rows:
            return
        is_copied = sql.startswith("INSERT INTO") and "ON CONFLICT" not in sql and len(rows) >= COPIED
        if not is_copied and self._begun:
            self._waiting.append((sql, rows))
            return
        self._send()
        try:
            with self.con.cursor() as cursor:
                if is_copied:
                    with cursor.copy(_copy(sql)) as copy:
                        for row in rows:
                            copy.write_row(row)
                    return
                cursor.executemany(_spelt(sql), rows)
        except self.lost as e:
            self._said(e)

    def _send(self) -> None:
        """Send the writes that wait."""
        if self._waiting:
            self.together(())

    def _sent(self, before: Sequence[str] = (), queries: Sequence[Query] = (), after: Sequence[str] = ()) -> list[list[Row]]:
        """Send commands, the writes that wait, queries, and further commands, all on one way to the server; the rows of the queries."""
        waiting, self._waiting = self._waiting, []
        try:
            with self.con.pipeline(), self.con.cursor() as cursor:
                for command in before:
                    self.con.execute(command)
                for sql, rows in waiting:
                    cursor.executemany(_spelt(sql), rows)
                asked = [self.con.execute(_spelt(sql), values) for sql, values in queries]
                for command in after:
                    self.con.execute(command)
            return [query.fetchall() for query in asked]
        except self.error as e:
            raise self._first_of(e) from None

    def _first_of(self, e: BaseException) -> BaseException:
        """What failed first: all that was sent after it fails, too."""
        while isinstance(e, self._aborted) and e.__context__ is not None:
            e = e.__context__
        return e

    def _said(self, e: Exception) -> NoReturn:
        refuse(MISSING, f"the ledger's database cannot be used: {_first(e)}", self.url, "check the server; nothing was written")

    def begin(self, wait: float, queries: Sequence[Query] = ()) -> list[list[Row]]:
        """A ledger is a schema. PostgreSQL lets those who wait for the lock in, in the order in which they came."""
        lock = (
            "BEGIN ISOLATION LEVEL READ COMMITTED",
            f"SET LOCAL lock_timeout = '{max(1, int(wait * 1000))}ms'",
            DURABLE,
            f"SELECT pg_advisory_xact_lock({LOCK}, hashtext(current_schema()))",
        )
        try:
            found = self._sent(lock, queries)
            self._begun = True
            return found
        except self.lost as e:
            self.rollback()
            if getattr(e, "sqlstate", "") != "55P03":
                self._said(e)
            refuse(
                BUSY, f"another run is writing to the ledger, also after {wait:g} seconds", self.url,
                "try again when it is done, or wait longer: --wait 600",
            )  # fmt: skip

    def commit(self) -> None:
        self._begun = False
        try:
            self._sent(after=("COMMIT",))
        except self.lost as e:
            self._said(e)

    def rollback(self) -> None:
        self._begun, self._waiting = False, []
        try:
            self.con.rollback()
        except self.error:
            self.con.close()

    def scrub(self) -> list[str]:
        """Leave nothing in the tables of what was erased, nor in what PostgreSQL notes of their columns. What stays is said, each in a line."""
        is_free = self._is_seen_by_nobody()
        there = {name for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")}
        for table in sorted(there & set(ERASED)):
            self.run(f"VACUUM (FULL, ANALYZE) {table}")
        is_free &= self._is_seen_by_nobody()  # what was noted of columns until now
        left = [] if is_free else ["rows that an open transaction still sees: end it, and run `VACUUM FULL`"]
        owns = "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
        if self.rows(owns)[0][0]:
            self.run("VACUUM FULL pg_catalog.pg_statistic")
        else:
            left.append("what PostgreSQL notes of columns: its owner has to run `VACUUM FULL pg_statistic` in this database")
        return left

    def _is_seen_by_nobody(self) -> bool:
        """Whether no transaction sees the rows that were just erased, also after some waiting; PostgreSQL's own that count values are some, too."""
        until = time.monotonic() + SCRUB
        seen = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_xmin IS NOT NULL AND age(backend_xmin) > 0 AND backend_type IN ('client backend', 'autovacuum worker')"
        )
        while self.rows(seen)[0][0]:
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def close(self) -> None:
        self.con.close()


def _spelt(sql: str) -> str:
    return sql.replace("?", "%s")


def _copy(sql: str) -> str:
    """`INSERT INTO t (a, b) VALUES (?, ?)` as a COPY, which is ten times as fast."""
    return "COPY " + sql.removeprefix("INSERT INTO ").partition(" VALUES")[0] + " FROM STDIN"


def _first(e: Exception) -> str:
    return next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)


def _shown(url: str) -> str:
    """An address without its password."""
    start, at, rest = url.rpartition("@")
    if not at:
        return url
    scheme, _, who = start.partition("://")
    return f"{scheme}://{who.partition(':')[0]}@{rest}"
