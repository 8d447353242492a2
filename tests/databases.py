"""Databases that run the SQL of tests: DuckDB, SQLite, and a PostgreSQL that is started for them."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from roe.evaluator.row import Row
from roe.policy.standard import FILES

Tables = dict[str, tuple[list[str], list[str], list[list[Any]]]]
Found = list[dict[str, Any]]


def staged(world: Any) -> Tables:
    """The sources that the SQL reads: (columns, types, rows) by table; references and owners as ids."""
    out = {}
    for entity, fields in world.policy.model.entities.items():
        names = [n for n, f in fields.items() if not f.via and f.type.name != "owners"]
        types = {"number": "DOUBLE PRECISION", "boolean": "BOOLEAN", "date": "DATE", "date and time": "TIMESTAMPTZ"}
        kinds = [types.get(fields[n].type.name, "VARCHAR") for n in names] + ["VARCHAR"] * len(world.policy.roles)
        rows = [
            [_cell(dict.get(row, n)) for n in names]
            + [_cell(row["owner"].get(r)) if "owner" in fields else None for r in world.policy.roles]
            for row in world.rows[entity]
        ]
        out[FILES.get(entity, (entity + "s",))[0]] = ([*names, *(f"owner_{r}" for r in world.policy.roles)], kinds, rows)
    return out


def _cell(value: Any) -> Any:
    return value["id"] if isinstance(value, Row) else value


def _found(cursor: Any) -> Found:
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def on_duckdb(sql: str, tables: Tables) -> Found:
    duckdb = pytest.importorskip("duckdb")
    con = duckdb.connect()
    for name, (columns, kinds, rows) in tables.items():
        declared = ", ".join(f'"{c}" {k}' for c, k in zip(columns, kinds, strict=True))
        con.execute(f"CREATE TABLE {name} ({declared})")
        if rows:
            con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    return _found(con.execute(sql))


def on_sqlite(sql: str, tables: Tables) -> Found:
    con = sqlite3.connect(":memory:")
    for name, (columns, _, rows) in tables.items():
        declared = ", ".join(f'"{c}"' for c in columns)
        con.execute(f"CREATE TABLE {name} ({declared})")
        plain = [
            [x.isoformat(" ") if isinstance(x, datetime) else x.isoformat() if isinstance(x, date) else x for x in row] for row in rows
        ]
        con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", plain)
    return _found(con.execute(sql))


def on_postgres(sql: str, tables: Tables) -> Found:
    import psycopg

    with psycopg.connect(postgres()) as con:
        for name, (columns, kinds, rows) in tables.items():
            declared = ", ".join(f'"{c}" {k}' for c, k in zip(columns, kinds, strict=True))
            con.execute(f'CREATE TEMPORARY TABLE "{name}" ({declared})')
            if rows:
                with con.cursor().copy(f'COPY "{name}" FROM STDIN') as copy:
                    for row in rows:
                        copy.write_row(row)
        found = _found(con.execute(sql))
        con.rollback()
    return found


def postgres_programs() -> Path | None:
    """Where Debian's package `postgresql` puts initdb and pg_ctl; None without it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: [int(x) for x in p.parts[4].split(".") if x.isdigit()])
    return found[-1].parent if found else None


PATIENCE = "300"  # seconds that a start or a stop may take: the machine may be busy with others


class Postgres:
    """A PostgreSQL of the tests: one folder with its data and its socket, run as nobody of importance."""

    def __init__(self) -> None:
        programs = postgres_programs()
        if programs is None:
            if "CI" in os.environ:
                pytest.fail("PostgreSQL is missing: apt-get install postgresql, as .ci/run does")
            pytest.skip("PostgreSQL is missing: apt-get install postgresql")
        self.programs, self.folder = programs, Path(tempfile.mkdtemp(prefix="roe-postgres-"))
        self.data, self.address = self.folder / "data", f"host={self.folder} user=postgres dbname=postgres"
        self._drop: list[str] = []
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            shutil.chown(self.folder, "postgres", "postgres")
            self._drop = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--init-groups",
                "env",
                "-u",
                "PYTHONPATH",
                f"HOME={self.folder}",
            ]
        atexit.register(self.remove)

    def run(self, program: str, *args: str) -> None:
        done = subprocess.run([*self._drop, str(self.programs / program), *args], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def init(self, *more: str) -> Postgres:
        self.run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", *more)
        return self

    def copy_of(self, primary: Postgres) -> Postgres:
        """A standby that follows a running primary."""
        self.run(
            "pg_basebackup",
            "-D",
            str(self.data),
            "-h",
            str(primary.folder),
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        )
        return self

    def start(self, *more: str) -> Postgres:
        settings = (
            "listen_addresses=",
            f"unix_socket_directories={self.folder}",
            "fsync=off",
            "full_page_writes=off",
            "max_connections=100",  # servers that were killed hold theirs until PostgreSQL notices
        )
        options = " ".join(f"-c {setting}" for setting in (*settings, *more))
        self.run("pg_ctl", "-D", str(self.data), "-o", options, "-l", str(self.folder / "log"), "-w", "-t", PATIENCE, "start")
        return self

    def stop(self) -> None:
        """End at once, as in a crash."""
        self.run("pg_ctl", "-D", str(self.data), "-m", "immediate", "-t", PATIENCE, "stop")

    def end(self) -> None:
        """The same where it may have ended by itself: what a test has found is not hidden by that."""
        with contextlib.suppress(AssertionError, FileNotFoundError):  # it has ended, or is removed already
            self.stop()

    def remove(self) -> None:
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def postgres() -> str:
    """The address of a PostgreSQL that lives as long as the tests."""
    return Postgres().init().start().address


ENGINES: tuple[tuple[str, Callable[[str, Tables], Found]], ...] = (
    ("duckdb", on_duckdb),
    ("sqlite", on_sqlite),
    ("postgres", on_postgres),
)
