"""What `roe explain RECORD` tells, in each of the ways in which it finds out, against what runs decide."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from alike import COLUMNS, TASKS, allocations, by
from made_worlds import World
from roe.cli import main
from roe.data.files import safe
from roe.run.engines import RowEngine

OUTCOME = {"owner": "owner", "action": "action", "rule": "rule", "pool": "pool", "until": "expires", "reason": "reason"}
Key = tuple[str, str, str]  # entity, record, role
Told = dict[tuple[str, str], dict[Key, list[str]]]  # (record, way) -> each role as it was explained


def explain(record: str, *more: str) -> list[Any]:
    """The explanations of a record as the command gives them; none where no record is called so, since its row was rejected."""
    done = CliRunner().invoke(main, ["explain", record, *more, "--format", "json"])
    if done.exit_code == 2 and any(code in done.stderr for code in ("R602", "R604", "R605")):
        return []
    assert done.exit_code == 0, (record, more, done.stderr, done.exception)
    found = json.loads(done.stdout)
    return found if isinstance(found, list) else [found]


def before(world: World, state: Path, some: int) -> Told:
    """Some of tonight's records, explained before the run: among all of them, and taken out of the files as of large data."""
    told: Told = {}
    more = [str(world.folder), "--data", str(world.data), "--as-of", world.as_of, *(["--state", str(state)] if state.exists() else [])]
    with pytest.MonkeyPatch.context() as patch:
        for way in ("among all", "taken out"):
            for record in world.some_ids(some):
                told[record, way] = _by_role(explain(record, *more))
            for name in ("source.LARGE", "record.SMALL", "record.FEW"):
                patch.setattr(f"roe.run.{name}", 0)
    return told


def assert_told(told: Told, lines: Iterable[dict[str, str]]) -> int:
    """Every explanation gives what the run decides of its record; how many there were."""
    decided = {_key(x): [safe((x[name] or "").removeprefix("'")) for name in OUTCOME.values()] for x in lines}
    for (record, way), roles in told.items():
        there = {key: x for key, x in decided.items() if key[1] == record}
        assert set(roles) in (set(there), {key for key in there if key[0] == next(iter(roles), key)[0]}), (record, way)
        for key, found in roles.items():
            assert found == there[key], f"{record}, {way}: {key}: {found} {there[key]}"
    return sum(map(len, told.values()))


def assert_traces(world: World, some: int) -> int:
    """The traces that are made from what columns and tasks have kept are those of a run by rows; how many were looked at."""
    folder, looked_at = world.folder / "traced", 0
    asked: dict[str, Any] = {**world.options, "form": "csv", "traces": True}
    rows = by(RowEngine, world.evaluator, world.data, world.as_of, folder / "rows", **asked)
    others = {
        name: by(engine, world.evaluator, world.data, world.as_of, folder / name, **asked) for name, engine in (COLUMNS | TASKS).items()
    }
    if "refused" in rows:
        return 0
    expected: dict[tuple[str, str], dict[str, Any]] = {}
    for line in rows["trace.jsonl"].splitlines():
        trace = json.loads(line)
        expected.setdefault((trace["record"]["entity"], trace["record"]["id"]), {})[trace["role"]] = trace
    for name, found in others.items():
        assert allocations(found) == allocations(rows), f"{name}: {first_difference(allocations(rows), allocations(found))}"
        if not (folder / name / "out" / "trace" / "run.json").is_file():
            continue  # rows have decided
        for (entity, record), traces in world.rng.sample(sorted(expected.items(), key=lambda x: x[0]), min(some, len(expected))):
            told = {x["role"]: x for x in explain(record, "--run", str(folder / name / "out"))}
            assert not told or told == traces, f"{name}: {entity} {record}: {first_difference(told, traces)}"
            looked_at += len(told)
    return looked_at


def _by_role(traces: list[Any]) -> dict[Key, list[str]]:
    return {
        (x["record"]["entity"], x["record"]["id"], x["role"]): [safe(str(x["outcome"][name] or "")) for name in OUTCOME] for x in traces
    }


def _key(line: dict[str, str]) -> Key:
    return line["entity"], line["record"], line["role"]


def first_difference(one: Any, other: Any, path: str = "") -> str:
    """Where two pieces of JSON differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        key = next(key for key in one if one[key] != other[key])
        return first_difference(one[key], other[key], f"{path}/{key}")
    return f"{path}: {one} is not {other}"
