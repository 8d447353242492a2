"""A rule asks a second pool where the first one, with the pools that it falls back on, finds nobody: worked out by hand from docs/policy.md."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, by
from roe.run.engines import ColumnEngine
from told import explain

POLICY = """
roe: 1
name: second
timezone: UTC
roles: [sdr]
pools:
  first: {members: [ann, dan], caps: {per_day: 1}, together: never, fallback: extra}
  extra: {members: [eve], caps: {per_day: 1}, together: never}
  second: {members: [ben, cy], together: lead.company, sla: {within: 3 days}}
engagement:
  lead:
    sdr: [{name: all, then: {route: first}, else: {route: second}}]
"""
REPS = "id,name\n" + "".join(f"{rep.lower()},{rep}\n" for rep in ("Ann", "Ben", "Cy", "Dan", "Eve"))
LEADS = [(f"L{i}", f"2026-01-0{i}", "Acme" if i in (4, 6) else "") for i in range(1, 8)]
OLDER = [(f"K{i}", f"2025-12-0{i}", "") for i in range(1, 5)]
# On the first night ann, dan and, behind them, eve take one lead each; ben and cy take turns with all others but L6, which follows L4 of its company.
FIRST = {
    "L1": ("ann", "first", ""), "L2": ("dan", "first", ""), "L3": ("eve", "extra", ""), "L4": ("ben", "second", "2026-02-04T00:00:00Z"),
    "L5": ("cy", "second", "2026-02-04T00:00:00Z"), "L6": ("ben", "second", "2026-02-04T00:00:00Z"), "L7": ("ben", "second", "2026-02-04T00:00:00Z"),
}  # fmt: skip
# On the second night older leads come first: they take what ann, dan and eve can take, and the fourth gets the next turn of the second pool.
SECOND = {
    "K1": ("ann", "first", ""), "K2": ("dan", "first", ""), "K3": ("eve", "extra", ""), "K4": ("cy", "second", "2026-02-05T00:00:00Z"),
}  # fmt: skip


@pytest.mark.parametrize("tasks", sorted(TASKS))
def test_the_second_pool_gives_turns_of_its_own_and_its_deadline(tasks: str, tmp_path: Path) -> None:
    """Its assignments stand on the next night, when the first pool finds nobody for these leads again."""
    folder = policy_text(tmp_path / "policy", POLICY, data__reps_csv=REPS)
    evaluator, data = roe.compile(roe.load(folder)), folder / "data"
    write(data, LEADS, {})
    engines = {**ROWS, **COLUMNS, tasks: TASKS[tasks]}
    found = assert_alike(engines, evaluator, data, "2026-02-01", tmp_path)
    assert decided(found) == FIRST
    reasons = {x["record"]: x["reason"] for x in allocations(found)}
    assert reasons["L4"] == "Ben is next in the pool `second`, by rule `all`"
    assert reasons["L6"] == "Ben has it from the pool `second`, by rule `all`: lead L4 of the same company went there"
    assert TASKS[tasks].together == ""
    write(data, [*OLDER, *LEADS], {record: owner for record, (owner, *_) in FIRST.items()})
    found = assert_alike(engines, evaluator, data, "2026-02-02", tmp_path)
    assert decided(found) == FIRST | SECOND
    assert all("assigned on 1 February 2026 already" in x["reason"] for x in allocations(found) if x["record"] in FIRST)


def test_what_stands_of_the_second_pool_is_explained_by_that_pool(tmp_path: Path) -> None:
    """Not by the first one, which has no deadline."""
    folder = policy_text(tmp_path / "policy", POLICY, data__reps_csv=REPS)
    evaluator, data = roe.compile(roe.load(folder)), folder / "data"
    owners: dict[str, str] = {}
    for as_of in ("2026-02-01", "2026-02-02"):
        write(data, LEADS if not owners else [*OLDER, *LEADS], owners)
        found = by(ColumnEngine, evaluator, data, as_of, tmp_path, traces=True)
        owners = {record: owner for record, (owner, *_) in FIRST.items()}
    for x in allocations(found):
        (told,) = explain(x["record"], "--run", str(tmp_path / "out"))
        shown = told["outcome"]
        assert [shown["pool"], shown["until"] or "", shown["reason"]] == [x["pool"], x["expires"], x["reason"]]


def write(data: Path, leads: list[tuple[str, str, str]], owners: dict[str, str]) -> None:
    with (data / "leads.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "created", "company", "owner"])
        rows.writerows([*lead, owners.get(lead[0], "")] for lead in leads)


def decided(found: dict[str, object]) -> dict[str, tuple[str, str, str]]:
    return {x["record"]: (x["owner"], x["pool"], x["expires"]) for x in allocations(found)}
