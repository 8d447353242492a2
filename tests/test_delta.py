"""Runs as versions of Delta tables: any Delta reader sees the last run that was complete, whole, and the ones before it."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

import roe
from effort import HEAVY
from helpers import AS_OF, EXAMPLES, interrupted, policy_text

pytest.importorskip("deltalake")
pytest.importorskip("pyarrow")
import deltalake
import pyarrow as pa
from pyarrow import parquet

from alike import InPortions, tasks
from roe.cli import main
from roe.run import delta, engines
from roe.run.engine import Engine, Job
from roe.run.engines import ColumnEngine, RowEngine
from roe.run.folder import MARK, STAGED, OutFolder, damaged, files_of, read_mark
from roe.run.run import RunOptions, run
from roe.run.source import Source

ENGINES: dict[str, type[Engine]] = {"rows": RowEngine, "columns": ColumnEngine, "three tasks": tasks(3), "portions": InPortions}
NAMES = [name.removesuffix(delta.SUFFIX) for name in delta.columns_of()]
Lines = list[tuple[str, ...]]


def lines_of(table: Path, version: int | None = None) -> Lines:
    """The lines of a Delta table, with cells as CSV has them."""
    rows = deltalake.DeltaTable(str(table), version=version).to_pyarrow_table().to_pylist()
    return sorted(tuple(x or "" for x in row.values()) for row in rows)


def csv_lines(path: Path) -> Lines:
    with path.open(encoding="utf-8", newline="") as file:
        return sorted(map(tuple, list(csv.reader(file))[1:]))


def tables_in(out: Path) -> dict[str, Lines]:
    return {path.stem: lines_of(path) for path in out.glob("*.delta")}


def decide(name: str, out: Path, as_of: str, engine: type[Engine], form: str) -> None:
    evaluator = roe.compile(roe.load(EXAMPLES / name))
    with mock.patch.dict(engines.PREFERENCES, auto=(engine, RowEngine)):
        job = Job(evaluator, Source(evaluator.policy, EXAMPLES / name / "data"), as_of, form=form)
        run(job, out, RunOptions(str(out.parent / f"{out.name} state")))


def assert_nights_alike(name: str, folder: Path, engine: type[Engine], other: type[Engine]) -> None:
    """Compare each table of two nights with the CSV of another engine; and the night before can still be read."""
    out, before = folder / "delta", dict[str, Lines]()
    nights = (AS_OF[name], str(date.fromisoformat(AS_OF[name][:10]) + timedelta(days=20)))
    for night, as_of in enumerate(nights):
        decide(name, folder / "csv", as_of, other, "csv")
        decide(name, out, as_of, engine, "delta")
        expected = {table: csv_lines(path) for table in NAMES if (path := folder / "csv" / f"{table}.csv").is_file()}
        assert len(expected) >= 4 and expected["allocations"] and expected != before
        assert tables_in(out) == expected
        assert read_mark(out)["delta"] == {f"{table}.delta": night for table in expected} and damaged(out) == []
        assert {table: lines_of(out / f"{table}.delta", 0) for table in before} == before
        before = expected
    said = deltalake.DeltaTable(str(out / "allocations.delta")).history(1)[0]
    assert said["run"] == read_mark(out)["run"] and said["as_of"].startswith(nights[1])


@pytest.mark.parametrize(
    ("name", "engine"),
    [("windows", "columns"), ("windows", "three tasks"), ("wild-west", "rows"), *([("windows", "portions")] if HEAVY else [])],
)
def test_each_table_is_that_of_columns_night_after_night(name: str, engine: str, tmp_path: Path) -> None:
    """With credits, or claims."""
    assert_nights_alike(name, tmp_path, ENGINES[engine], ColumnEngine)


@pytest.mark.parametrize("engine", ["rows", "columns", "three tasks"])
def test_every_engine_writes_parts(engine: str, tmp_path: Path) -> None:
    decide("windows", tmp_path / "parquet", "2026-02-01", ColumnEngine, "parquet")
    decide("windows", tmp_path / "parts", "2026-02-01", ENGINES[engine], "parts")
    for name in ("allocations", "changes", "rollback"):
        found, expected = (
            parquet.read_table(files_of(tmp_path / "parts") / f"{name}.parquet"),
            parquet.read_table(tmp_path / "parquet" / f"{name}.parquet"),
        )
        assert found.schema == expected.schema and sorted(map(str, found.to_pylist())) == sorted(map(str, expected.to_pylist()))
    assert damaged(tmp_path / "parts") == [] and (files_of(tmp_path / "parts") / "credits.csv").is_file()


# --- one folder, without a policy ---------------------------------------------------------------------------------------


def write(folder: OutFolder, run: str, tables: dict[str, list[list[str | None]]], outcome: str = "committed") -> None:
    """A run with parts of tables: the records of each part, all of whose names are that of the run."""
    staged = folder.begin(())
    (staged / "summary.json").write_text(run, "utf-8")
    for name, parts in tables.items():
        (staged / f"{name}.parquet").mkdir()
        for number, records in enumerate(parts):
            columns = {c: pa.nulls(len(records), pa.string()) for c in delta.columns_of()[f"{name}.delta"]}
            columns |= {"record": pa.array(records, pa.string()), "name": pa.array([run] * len(records), pa.string())}
            place = staged / f"{name}.parquet" / f"part-{run}-{number}.parquet"
            parquet.write_table(pa.table(columns), place, row_group_size=2, store_schema=False)
    folder.seal({"run": run, "as_of": "2026-02-01", "outcome": outcome})


def runs_in(place: Path, table: str, version: int | None = None) -> set[str]:
    """The runs of which there are lines in a table; all of a run's are there."""
    found = deltalake.DeltaTable(str(place / f"{table}.delta"), version=version).to_pyarrow_table(columns=["record", "name"]).to_pylist()
    assert sorted(row["record"] for row in found) == ["A1", "A2", "A3"]
    return {row["name"] for row in found}


TWO: dict[str, list[list[str | None]]] = {"allocations": [["A1", "A2"], ["A3"]], "changes": [["A1"], ["A2", "A3"]]}


def test_a_run_that_is_killed_at_any_step_leaves_the_version_before_or_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen = tmp_path / "first", set()
    folder = OutFolder(first, delta=True)
    write(folder, "one", TWO)
    folder.put_in_place()
    for step in range(1, 99):
        place, left = tmp_path / str(step), [step]
        shutil.copytree(first, place)
        folder = OutFolder(place, delta=True)
        with monkeypatch.context() as patch:
            commit = (deltalake.DeltaTable, "create_write_transaction")
            for where, what in (
                commit,
                (os, "replace"),
                (Path, "unlink"),
                (Path, "rmdir"),
                *([(os, "fsync")] if HEAVY else [(folder, "seal")]),
            ):
                patch.setattr(where, what, interrupted(getattr(where, what), left))
            with suppress(KeyboardInterrupt):
                write(folder, "two", TWO)
                folder.put_in_place()
        found = {table: runs_in(place, table) for table in TWO}
        assert all(runs in ({"one"}, {"two"}) for runs in found.values())
        is_sealed = bool(read_mark(folder.staged)) or read_mark(place)["run"] == "two"
        folder.recover(lambda mark: True)
        assert {table: runs_in(place, table) for table in TWO} == dict.fromkeys(TWO, {"two"} if is_sealed else {"one"})
        mark = read_mark(place)
        assert damaged(place) == [] and mark["delta"] == dict.fromkeys(("allocations.delta", "changes.delta"), int(is_sealed))
        assert {table: runs_in(place, table, 0) for table in TWO} == {table: {"one"} for table in TWO}
        assert sorted(p.name for p in place.iterdir()) == sorted(["allocations.delta", "changes.delta", MARK, mark["folder"]])
        seen.add((*sorted(runs for (runs,) in found.values()), is_sealed))
        if left[0] > 0:
            break
    assert seen == {("one", "one", False), ("one", "one", True), ("one", "two", True), ("two", "two", True)}


def test_a_run_that_the_ledger_does_not_have_never_was(tmp_path: Path) -> None:
    folder = OutFolder(tmp_path, delta=True)
    write(folder, "one", TWO)
    folder.put_in_place()
    write(folder, "two", TWO)
    folder.recover(lambda mark: False)
    assert runs_in(tmp_path, "allocations") == {"one"} and not (tmp_path / STAGED).exists() and damaged(tmp_path) == []
    assert len(list((tmp_path / "allocations.delta").glob("*.parquet"))) == 2


@pytest.mark.parametrize("outcome", ["dry", "refused"])
def test_a_run_that_is_not_committed_is_no_version(outcome: str, tmp_path: Path) -> None:
    folder = OutFolder(tmp_path, delta=True)
    write(folder, "one", TWO)
    folder.put_in_place()
    write(folder, "two", TWO, outcome)
    folder.put_in_place()
    assert runs_in(tmp_path, "allocations") == {"one"} and "delta" not in read_mark(tmp_path) and damaged(tmp_path) == []
    assert len(list((files_of(tmp_path) / "allocations.parquet").iterdir())) == 2
    write(folder, "three", TWO)
    folder.put_in_place()
    assert runs_in(tmp_path, "allocations") == {"three"} and read_mark(tmp_path)["delta"]["allocations.delta"] == 1


def test_what_the_log_says_of_each_part(tmp_path: Path) -> None:
    """Ids are ordered by their bytes, as Delta orders them; a part without records has no bounds."""
    parts: list[list[str | None]] = [["b", "Zoë", None, "€2", "a"], [], [None, None], ["only"]]
    folder = OutFolder(tmp_path, delta=True)
    write(folder, "one", {"allocations": parts})
    folder.put_in_place()
    table = deltalake.DeltaTable(str(tmp_path / "allocations.delta"))
    said = {row["path"]: row for row in pa.table(table.get_add_actions(flatten=True)).to_pylist()}
    for number, records in enumerate(parts):
        row, known = said[f"part-one-{number}.parquet"], sorted((x for x in records if x is not None), key=str.encode)
        assert (row["num_records"], row["null_count.record"], row["null_count.owner"]) == (
            len(records),
            len(records) - len(known) if records else 0,
            len(records),
        )
        assert [row["min.record"], row["max.record"]] == ([known[0], known[-1]] if known else [None, None])
        assert row["size_bytes"] == (tmp_path / "allocations.delta" / row["path"]).stat().st_size
    assert table.to_pyarrow_dataset().to_table(filter=pa.compute.field("record") == "€2").num_rows == 1


def test_parts_of_earlier_runs_stay_until_a_delta_tool_clears_them_away(tmp_path: Path) -> None:
    """And the small files of the run before are removed, as those of every run apart; other forms leave the tables alone."""
    folder = OutFolder(tmp_path, delta=True)
    for name in ("one", "two"):
        write(folder, name, TWO)
        folder.put_in_place()
    place = tmp_path / "allocations.delta"
    assert len(list(place.glob("*.parquet"))) == 4 and [x.name for x in tmp_path.glob("run=*")] == [read_mark(tmp_path)["folder"]]
    deltalake.DeltaTable(str(place)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert {path.name for path in place.glob("*.parquet")} == {"part-two-0.parquet", "part-two-1.parquet"}
    assert runs_in(tmp_path, "allocations") == {"two"} and runs_in(tmp_path, "changes", 0) == {"one"} and damaged(tmp_path) == []
    other = OutFolder(tmp_path)
    (other.begin(()) / "allocations.csv").write_text("", "utf-8")
    other.seal({"run": "three"})
    other.put_in_place()
    assert runs_in(tmp_path, "allocations") == {"two"} and not list(tmp_path.glob("run=*"))


def test_a_table_to_which_a_run_has_nothing_to_say_is_empty(tmp_path: Path) -> None:
    folder = OutFolder(tmp_path, delta=True)
    for name, tables in (("one", TWO), ("two", {"allocations": TWO["allocations"]})):
        write(folder, name, tables)
        folder.put_in_place()
    assert lines_of(tmp_path / "changes.delta") == [] and runs_in(tmp_path, "changes", 0) == {"one"}
    assert read_mark(tmp_path)["delta"] == {"allocations.delta": 1, "changes.delta": 1}


# --- what a user may meet -----------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    text = "roe: 1\nname: t\nroles: [ae]\nengagement: {account: {ae: [{name: all, then: open}]}}\n"
    policy_text(tmp_path, text, data__accounts_csv="id\nA1\n")
    return [
        "run",
        str(tmp_path),
        "--data",
        str(tmp_path / "data"),
        "--as-of",
        "2026-02-01",
        "--out",
        str(tmp_path / "out"),
        "--format",
        "delta",
    ]


def test_without_the_package_the_command_says_what_to_install(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.setitem(sys.modules, "deltalake.exceptions", None)
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2 and "R406" in done.output and "pip install 'roe-policy[delta]'" in done.output, done.output
    assert not (tmp_path / "out" / MARK).exists()


def test_a_table_that_cannot_have_another_version_is_named_before_anything_is_decided(command: list[str], tmp_path: Path) -> None:
    place, schema = tmp_path / "out" / "allocations.delta", pa.schema([("entity", pa.string()), ("record", pa.string())])
    for why in ("partitioned by entity", "`delta.appendOnly`", "Json error"):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        partition, settings = (["entity"] if "entity" in why else None), ({"delta.appendOnly": "true"} if "Only" in why else None)
        deltalake.DeltaTable.create(str(place), schema, partition_by=partition, configuration=settings)
        if why == "Json error":
            next((place / "_delta_log").iterdir()).write_text("torn", "utf-8")
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 2 and "R805" in done.output and why in done.output, done.output
        assert not (tmp_path / "out" / MARK).exists() and not (tmp_path / "out" / STAGED).exists()
