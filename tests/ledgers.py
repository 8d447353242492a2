"""Both stores of a ledger, for tests: a folder, and a schema of its own in PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from databases import postgres

STORES = ("sqlite", "postgres")
_schemas = itertools.count()


def place(kind: str, folder: Path) -> str:
    """The `--state` of a new, empty ledger."""
    if kind == "sqlite":
        return str(folder / "state")
    import os

    psycopg = pytest.importorskip("psycopg")
    address = postgres()
    schema = f"ledger_{os.getpid()}_{next(_schemas)}"
    with psycopg.connect(address, autocommit=True) as con:
        con.execute(f"CREATE SCHEMA {schema}")
    host = address.split()[0].removeprefix("host=")
    return f"postgresql:///postgres?host={quote(host, safe='')}&user=postgres&options={quote(f'-c search_path={schema}')}"


class Ticks:
    """A clock that goes on by a second each time it is read, so that a ledger is the same each time it is written."""

    def __init__(self, start: int = 1_772_000_000_000_000) -> None:
        self.now = start

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


Make = Callable[[], str]
