"""Engines side by side: each runs night after night with a ledger of its own, and all of them must say the same."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from helpers import AS_OF, EXAMPLES, example
from in_tasks import InTasks
from made_worlds import World
from roe.diagnostics import PolicyError
from roe.evaluator.engine import Evaluator
from roe.ledger.entries import RunEntry
from roe.ledger.store import open_store
from roe.run import engines
from roe.run.engine import Engine, Job, Limit
from roe.run.engines import ColumnEngine, PortionEngine, RowEngine, SparkEngine
from roe.run.files import Files, Watch
from roe.run.run import RunOptions, run
from roe.run.shared import SEGMENTS
from roe.run.source import Source


def tasks(number: int) -> type[InTasks]:
    """Records shared out to so many tasks of this process."""
    return type(f"In{number}Tasks", (InTasks,), {"number": number})


class InPortions(PortionEngine):
    """Columns in portions, as of large files: every CSV file is read in blocks of some lines, and rows lie on disk between the steps."""

    together: ClassVar[str] = ""

    def limits(self) -> list[Limit]:
        return []

    def fill(self, files: Files, watch: Watch) -> None:
        self.job.buckets = 4
        with mock.patch("roe.columns.csv_blocks.LARGE", 0), mock.patch("roe.data.plain.BLOCK", 500):
            super().fill(files, watch)
        self.notes.clear()
        type(self).together = self.shared.together


class OnSpark(SparkEngine):
    """Tasks of a session; `together` says of the last run why one task decided all records."""

    session: ClassVar[Any]
    number: ClassVar[int]
    together: ClassVar[str] = ""

    def __init__(self, job: Job) -> None:
        super().__init__(replace(job, session=self.session, buckets=self.number))

    def fill(self, files: Files, watch: Watch) -> None:
        super().fill(files, watch)
        type(self).together = self.shared.together


def on_spark(session: Any, number: int) -> type[OnSpark]:
    """Records shared out to so many tasks of a Spark session."""
    return type("OnSession", (OnSpark,), {"session": session, "number": number})


ROWS: dict[str, type[Engine]] = {"rows": RowEngine}
COLUMNS: dict[str, type[Engine]] = {"columns": ColumnEngine}
TASKS: dict[str, type[InTasks] | type[InPortions]] = {f"{number} tasks": tasks(number) for number in (1, 3, 7)} | {"portions": InPortions}


def files_in(out: Path) -> dict[str, Any]:
    """The files of a run but the one that says how it was made; Parquet as its schema and its rows, whose pages depend on the portions."""
    from pyarrow import parquet

    found: dict[str, Any] = {}
    for path in sorted(p for p in out.iterdir() if p.is_file() and p.name != "run.json"):
        table = parquet.read_table(path) if path.suffix == ".parquet" else None
        found[path.name] = path.read_text("utf-8") if table is None else (str(table.schema), table.to_pylist())
    return found


def by(
    engine: type[Engine], evaluator: Evaluator, data: Path, as_of: str, folder: Path, remembers: bool = True, **more: Any
) -> dict[str, Any]:
    """All that one engine says of one night: its files, invariants, what it read, and every entry of the ledger but the run's own."""
    state, before = str(folder / "state") if remembers else "", engines.PREFERENCES
    engines.PREFERENCES = {"one": (engine, RowEngine)}  # rows where a field rests on itself
    try:
        finished = run(Job(evaluator, Source(evaluator.policy, data), as_of, **more), folder / "out", RunOptions(state, "one"))
    except PolicyError as e:
        return {"refused": [(d.code, d.message) for d in e.diagnostics]}
    finally:
        engines.PREFERENCES = before
    said = {**files_in(folder / "out"), "broken": [d.message for d in finished.broken], "read": finished.report, "since": finished.since}
    assert not [*folder.glob(f"out/**/{SEGMENTS}")]  # what tasks wrote for the ledger is there, and nowhere else
    if remembers:
        with open_store(state) as store:
            said["ledger"] = [x.entry for x in store.entries() if not isinstance(x.entry, RunEntry)]
    return said


def assert_alike(
    named: Mapping[str, type[Engine]], evaluator: Evaluator, data: Path, as_of: str, folder: Path, **more: Any
) -> dict[str, Any]:
    """Run one night on every engine, and compare all that they say with what the first of them says, which is given back."""
    first: dict[str, Any] = {}
    for name, engine in named.items():
        found = by(engine, evaluator, data, as_of, folder / name, **more)
        first = first or found
        assert found.keys() == first.keys(), f"{name}: {found.keys() ^ first.keys()}"
        for part, content in first.items():
            assert content == found[part], f"{name}: {part}: {_first(content, found[part])}"
    return first


def assert_alike_in_nights(world: World, named: Mapping[str, type[Engine]], seed: int) -> None:
    """Compare two nights of a world, between which the CRM loads most of what was decided."""
    try:
        for _ in range(2):
            world.write()
            found = assert_alike(named, world.evaluator, world.data, world.as_of, world.folder, **world.options)
            assert "refused" not in found, found
            world.a_day_passes(allocations(found))
    except AssertionError as e:
        raise AssertionError(f"world {seed}: {e}") from e


def assert_example_alike(name: str, folder: Path, named: Mapping[str, type[Engine]], **more: Any) -> None:
    """Compare two nights of an example, the second with the same data and what the first one remembers."""
    evaluator, first = example(name), AS_OF[name]
    second = str(date.fromisoformat(first[:10]) + timedelta(days=1)) + first[10:]
    for night, as_of in enumerate((first, second)):
        found = assert_alike(named, evaluator, EXAMPLES / name / "data", as_of, folder, **more)
        assert "refused" not in found, (night, found)


def _first(one: Any, other: Any) -> str:
    """Where two texts or lists begin to differ."""
    if isinstance(one, tuple) and one[:1] == other[:1]:  # of Parquet files the rows
        one, other = one[1], other[1]
    a, b = (x.splitlines() if isinstance(x, str) else list(x) if isinstance(x, list | tuple) else [x] for x in (one, other))
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    x, y = ([*rows, None][at] if at <= len(rows) else None for rows in (a, b))
    if isinstance(x, dict) and isinstance(y, dict):
        return f"row {at + 1}: {[(name, x.get(name), y.get(name)) for name in x.keys() | y.keys() if x.get(name) != y.get(name)]} of {x}"
    return f"line {at + 1} of {len(a)} and {len(b)}:\n  {x}\n  {y}"


def allocations(found: dict[str, Any]) -> list[dict[str, str]]:
    """The lines of a night's allocations, whatever their form."""
    if "allocations.parquet" in found:
        rows: list[dict[str, str]] = found["allocations.parquet"][1]
        return rows
    return list(csv.DictReader(found["allocations.csv"].splitlines()))
