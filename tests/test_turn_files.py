"""The turns of a run as Parquet with marks say what its lines of JSON say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import AS_OF, EXAMPLES, policy_text
from roe.data.read import read_tables
from roe.evaluator.allocation import recorded as turn_of
from test_cli import roe as command

pytest.importorskip("pyarrow")

POLICY = """
roe: 1
name: t
roles: [sdr]
pools:
  desk: {members: 'rep.team = "SDR"', strategy: weighted, weight: rep.ramp, caps: {per_day: rep.capacity}, fallback: rest}
  rest: {members: 'rep.team = "REST"', fallback: mia}
engagement:
  lead:
    sdr: [{name: all, then: {route: desk}}]
"""
REPS = "id,name,team,ramp,capacity\na,A,SDR,1,40\nb,B,SDR,0.5,90\nc,C,SDR,0.3,20\nd,D,REST,,\ne,E,REST,,\nmia,Mia,,,\n"


def _shown(folder: Path, world: Any, key: str) -> Any:
    from roe.columns.turn_reading import read_turns

    turn = turn_of(read_turns(folder, key)[key], world)
    return json.loads(json.dumps([turn.as_json(), turn.position]))


@pytest.fixture
def few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks and row groups that a small run has several of."""
    from roe.columns import turn_files, turn_marks

    monkeypatch.setattr(turn_marks, "EVERY", 16)
    monkeypatch.setattr(turn_files, "GROUP", 32)


@pytest.mark.usefixtures("few_turns")
@pytest.mark.parametrize("name", ["made", "distribution", "inbound"])
def test_every_turn_is_the_same_from_both(name: str, tmp_path: Path) -> None:
    from roe.columns.run import ColumnRun
    from roe.columns.turn_files import MARKS, write_turns
    from roe.columns.turn_reading import read_turns
    from roe.run.columns import batch_of
    from roe.run.rows import batch_of as by_rows

    folder, as_of = EXAMPLES / name, AS_OF.get(name, "2026-02-01")
    if name == "made":
        leads = "id,created\n" + "".join(f"L{i:03},2026-01-{i % 28 + 1:02}\n" for i in range(230))
        folder = policy_text(tmp_path / "p", POLICY, data__leads_csv=leads, data__reps_csv=REPS)
    evaluator = roe.compile(roe.load(folder))
    tables, _ = read_tables(evaluator.policy, folder / "data")
    run = evaluator.run(tables, as_of=as_of)
    rows, columns = by_rows(run), batch_of(ColumnRun.of(evaluator, tables, as_of=as_of))
    for place, turns, form in (("lines", rows.turns, "jsonl"), ("rows", rows.turns, "parquet"), ("columns", columns.turns, "parquet"), ("back", columns.turns, "jsonl")):  # fmt: skip
        (tmp_path / place).mkdir()
        write_turns(tmp_path / place, turns, rows.pools, form)
    assert (tmp_path / "back" / "turns.jsonl").read_text("utf-8") == (tmp_path / "lines" / "turns.jsonl").read_text("utf-8")
    keys = list(read_turns(tmp_path / "lines"))
    assert keys == list(read_turns(tmp_path / "rows")) == list(read_turns(tmp_path / "columns"))
    for key in keys[:: max(1, len(keys) // 40)]:
        expected = _shown(tmp_path / "lines", run.world, key)
        assert _shown(tmp_path / "rows", run.world, key) == _shown(tmp_path / "columns", run.world, key) == expected
    if name == "made":
        from pyarrow import parquet

        marks = parquet.read_table(tmp_path / "columns" / MARKS).to_pylist()
        assert {m["index"] % 16 for m in marks} > {0}  # and where somebody reaches a cap


@pytest.mark.usefixtures("few_turns")
def test_a_run_writes_either_on_request_and_explain_reads_both(tmp_path: Path) -> None:
    at = (str(EXAMPLES / "distribution"), "--data", str(EXAMPLES / "distribution" / "data"), "--as-of", AS_OF["distribution"])
    for form in ("jsonl", "parquet"):
        command("run", *at, "--out", str(tmp_path / form), "--turns", form)
        assert (tmp_path / form / f"turns.{form}").is_file()
    first = json.loads((tmp_path / "jsonl" / "turns.jsonl").read_text("utf-8").splitlines()[-1])
    record = first["key"].split("|")[1]
    told = [command("explain", record, *at, "--run", str(tmp_path / form), "--format", "json").stdout for form in ("jsonl", "parquet")]
    assert told[0] == told[1]
    command("run", *at, "--out", str(tmp_path / "parquet"), "--turns", "jsonl")
    assert not (tmp_path / "parquet" / "turns.parquet").exists()


@pytest.mark.usefixtures("few_turns")
@pytest.mark.parametrize("numbers", ["different", "all the same", "none"])
def test_a_turn_is_found_by_the_number_of_its_key(numbers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are read of the row groups that have its number, or itself where the turns are from before there were numbers."""
    import numpy as np
    from pyarrow import parquet

    from roe.columns import turn_files, turn_reading

    def same_number(keys: Any) -> Any:
        return np.zeros(len(keys), np.uint32)

    if numbers == "all the same":
        monkeypatch.setattr(turn_files, "hashes_of", same_number)
        monkeypatch.setattr(turn_reading, "hashes_of", same_number)
    lines: list[dict[str, Any]] = [
        {"n": i, "pool": "desk", "standing": -1, "index": 0, "rep": "a", "key": f"lead|L{i % 150}|sdr", "why": f"because {i}", "repeated": "",
         "until": None, "before": [], "position": 0}
        for i in range(200)
    ]  # fmt: skip
    turn_files.write_turns(tmp_path, list(map(json.dumps, lines)), '{"pools":{}}', "parquet")
    path = tmp_path / turn_files.TURNS
    if numbers == "none":
        parquet.write_table(parquet.read_table(path, columns=turn_files.schema().names), path, row_group_size=turn_files.GROUP)
    file = parquet.ParquetFile(path)
    read: list[int] = []
    read_row_group, whole = file.read_row_group, turn_files.schema().names

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

        def read_row_group(self, group: int, columns: list[str]) -> Any:
            read.extend([group] if columns == whole else [])
            return read_row_group(group, columns)

    found = turn_reading._Lines(Watched())
    for key, place, groups in (("L149", 149, 3), ("L49", 199, 1), ("L60", 60, 6), ("L150", None, 7)):
        read.clear()
        number, line = found.last(f"lead|{key}|sdr")
        assert line is None if place is None else line is not None and (number, line["n"]) == (place, place)
        assert len(read) == (groups if numbers == "all the same" else int(place is not None))


def test_damaged_turns_are_refused(tmp_path: Path) -> None:
    at = (str(EXAMPLES / "inbound"), "--data", str(EXAMPLES / "inbound" / "data"), "--as-of", AS_OF["inbound"])
    for name in ("turns.parquet", "marks.parquet", "pools.json"):
        (tmp_path / name).write_text("x", "utf-8")
    assert "R608" in command("explain", "L08", *at, "--run", str(tmp_path), code=2).output


def test_a_pool_that_found_nobody_before_another_is_read_back(tmp_path: Path) -> None:
    text = POLICY.replace("fallback: rest", "fallback: nobody-there").replace(
        "then: {route: desk}", "then: {route: desk}, else: {route: rest}"
    )
    leads = "id,created\n" + "".join(f"L{i:03},2026-01-01\n" for i in range(6))
    root = policy_text(
        tmp_path / "p", text, data__leads_csv=leads, data__reps_csv=REPS.replace(",40", ",0").replace(",90", ",0").replace(",20", ",0")
    )
    at = (str(root), "--data", str(root / "data"), "--as-of", "2026-02-01")
    expected = command("explain", "L003", *at, "--format", "json").stdout
    command("run", *at, "--out", str(tmp_path / "out"))
    assert command("explain", "L003", *at, "--run", str(tmp_path / "out"), "--format", "json").stdout == expected
