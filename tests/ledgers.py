"""Both stores of a ledger, for tests: a folder, and a schema of its own in PostgreSQL."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import roe
from databases import postgres
from helpers import policy_text
from roe.ledger.audit import verify
from roe.ledger.store import open_store
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source

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


class Engines:
    """One policy night after night, by rows and in columns, each with its own ledger: both must say the same in every file and entry."""

    def __init__(self, kind: str, folder: Path, policy: str, heads: Mapping[str, str]) -> None:
        self.evaluator = roe.compile(roe.load(policy_text(folder / "policy", policy)))
        self.folder, self.heads, self.lines = folder, heads, dict[str, list[str]]()
        self.states = {engine: place(kind, folder / engine) for engine in ("rows", "columns")}
        (folder / "data").mkdir()

    def night(self, day: str, **lines: list[str]) -> dict[str, list[dict[str, str]]]:
        """The lines of each file that a run writes; a table of the data that is not given is as it was."""
        self.lines |= lines
        for name, rows in self.lines.items():
            (self.folder / "data" / f"{name}.csv").write_text("\n".join([self.heads[name], *rows, ""]), "utf-8")
        found = {}
        for engine, state in self.states.items():
            out = self.folder / f"out-{engine}"
            run(Job(self.evaluator, Source(self.evaluator.policy, self.folder / "data"), day), out, RunOptions(state, engine))
            files = sorted(p for p in out.iterdir() if p.suffix == ".csv")
            found[engine] = {p.stem: list(csv.DictReader(p.read_text("utf-8").splitlines())) for p in files}
        assert found["rows"] == found["columns"], day
        return found["rows"]

    def entries(self) -> list[Any]:
        """What the ledgers have, but for runs and evidence; they can be verified, and rebuilt."""
        said = {}
        for engine, state in self.states.items():
            with open_store(state) as store:
                assert verify(store).bad is None and store.rebuild()
                said[engine] = [x.entry for x in store.entries() if x.kind not in ("run", "evidence")]
        assert said["rows"] == said["columns"]
        return said["rows"]


Make = Callable[[], str]
