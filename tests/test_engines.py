"""Which engine decides a run is asked of the policy, the source and the options, before anything is computed."""

from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import tries
from helpers import EXAMPLES, ROOT, example_policy, policy_text
from made_policies import make_data, make_policy
from roe.diagnostics import PolicyError
from roe.evaluator.row import Circle
from roe.policy.circles import circles
from roe.run import engines
from roe.run.engine import Job
from roe.run.engines import ColumnEngine, PortionEngine, RowEngine, SparkEngine, choose
from roe.run.source import Source

pytest.importorskip("pyarrow")
from roe.columns.run import ColumnRun

UP = "[{name: up, when: 'account.parent.fit > 0', points: 1}, {name: own, when: 'account.employees > 5', points: 2}]"
CASES = {  # sections, and whether account.fit rests on itself
    "a score of the parent's": ("scores: {fit: {criteria: " + UP + "}}", True),
    "through another score": (
        "scores: {fit: {criteria: [{name: up, when: 'account.parent.other > 0', points: 1}]}, "
        "other: {criteria: [{name: own, when: 'account.fit > 0', points: 1}]}}",
        True,
    ),
    "through a definition": (
        "define: {account.likes: 'account.fit > 1'}\nscores: {fit: {criteria: [{name: up, when: account.parent.likes, points: 1}]}}",
        True,
    ),
    "through the children": (
        "scores: {fit: {criteria: [{name: down, when: 'some a in account.children satisfies a.fit > 0', points: 1}]}}",
        True,
    ),
    "the parent's plain field": ("scores: {fit: {criteria: [{name: up, when: 'account.parent.employees > 0', points: 1}]}}", False),
    "the parent's other computed field": (
        "define: {account.big: 'account.employees > 5'}\nscores: {fit: {criteria: [{name: up, when: account.parent.big, points: 1}]}}",
        False,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_field_that_rests_on_itself_is_seen_in_the_policy(name: str, tmp_path: Path) -> None:
    sections, expected = CASES[name]
    rules = "engagement: {account: {ae: [{name: x, when: 'account.fit > 0', then: open}, {name: rest, then: hold}]}}"
    policy = roe.load(policy_text(tmp_path, f"roe: 1\nname: t\nroles: [ae]\n{sections}\n{rules}\n"))
    assert bool(circles(policy)) == expected
    rows = [{"id": i, "parent": p, "employees": n} for i, p, n in (("A", "B", 1), ("B", "C", 2), ("C", "", 9))]
    try:
        ColumnRun.of(roe.compile(policy), {"account": rows}, as_of="2026-02-01")
    except Circle:
        assert expected
    else:
        assert not expected


def test_columns_never_meet_a_circle_that_the_policy_does_not_show(tmp_path: Path) -> None:
    """And the examples, none of which has one, are not kept from columns."""
    assert {p.parent.name for p in EXAMPLES.glob("*/policy.yaml") if circles(roe.load(p.parent))} == set()
    clear = 0
    for seed in range(many := tries(6, 15, 60)):
        rng = random.Random(seed)
        make_policy(rng, tmp_path / str(seed))
        policy = roe.load(tmp_path / str(seed))
        if not circles(policy):
            ColumnRun.of(roe.compile(policy), make_data(rng), as_of="2026-02-01")
            clear += 1
    assert clear > many / 2


def job(name: str = "static", **more: Any) -> Job:
    policy = example_policy(name)
    return Job(roe.compile(policy), Source(policy, EXAMPLES / name / "data"), "2026-02-01", **more)


def lacks(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name in names else find_spec(name))


def test_an_engine_says_what_it_cannot_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def what(engine: Any) -> list[str]:
        return [limit.what for limit in engine.limits()]

    assert what(RowEngine(job())) == [] and what(ColumnEngine(job())) == ["size"] and what(PortionEngine(job())) == ["portions"]
    lacks(monkeypatch, "pyarrow", "pyspark")
    assert what(RowEngine(job())) == [] and what(RowEngine(job(form="parquet"))) == ["packages"]
    assert what(ColumnEngine(job())) == ["packages"] and what(PortionEngine(job())) == ["portions"]
    assert what(SparkEngine(job(remembers=True, traces=True))) == ["packages"]


def test_the_first_that_can_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("auto", job()).name == "rows"  # small data
    assert choose("auto", job(form="parquet")).name == "columns"
    assert choose("columns", job()).name == "columns"
    monkeypatch.setattr("roe.run.source.LARGE", 1)
    assert choose("auto", job()).name == "columns"
    lacks(monkeypatch, "numpy")
    assert choose("auto", job()).name == "rows"
    for asked, form in (("columns", "csv"), ("auto", "parquet"), ("rows", "parquet")):
        with pytest.raises(PolicyError) as refused:
            choose(asked, job(form=form))
        assert [d.code for d in refused.value.diagnostics] == ["R406"]


def test_nothing_of_a_run_is_found_out_by_catching_a_circle() -> None:
    for path in (ROOT / "src").rglob("*.py"):
        assert "except Circle" not in path.read_text("utf-8"), path


# a policy that is kept needs no parser, and nothing of a run needs pandas
NEVER = ["lark", "pandas", "jsonschema", "importlib.metadata", "roe.stages"]
HEAVY_ONES = ["numpy", "pyarrow", "duckdb"]
PLAIN_DATACLASSES = [
    "At",
    "DecidedColumns",
    "Job",
    "Months",
    "Portioned",
    "WorkingDays",
    "WorkingHours",
]  # they have an order, or a cached property
DEFINED = """
from roe.node import is_node
classes = {x for name, module in list(sys.modules.items()) if name.startswith("roe.") for x in vars(module).values() if isinstance(x, type)}
print(sorted(x.__name__ for x in classes if x.__module__.startswith("roe.") and "__dataclass_fields__" in vars(x) and not is_node(x)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("command", "engine", "more"), [("explain", "", HEAVY_ONES), ("run", "rows", [*HEAVY_ONES, "roe.ledger.entries"]), ("run", "columns", ["duckdb"])]
)  # fmt: skip
def test_nothing_is_imported_that_a_command_does_not_use(command: str, engine: str, more: list[str], tmp_path: Path) -> None:
    root = EXAMPLES / "static"
    args = [command, *(["A04"] if command == "explain" else []), str(root), "--data", str(root / "data"), "--as-of", "2026-02-01"]
    args += ["--out", str(tmp_path / "out"), "--engine", engine] if command == "run" else []
    asked = f"{DEFINED}print([x for x in {[*NEVER, *more]} if x in sys.modules], file=sys.stderr)"
    script = f"import sys\nfrom roe.cli import entry\ntry:\n    entry()\nfinally:\n    exec({asked!r})"
    env = {**os.environ, "ROE_CACHE": str(tmp_path / "cache")}
    (tmp_path / "cache").mkdir(mode=0o700)
    for _ in range(2):  # the first one keeps the policy
        done = subprocess.run([sys.executable, "-c", script, *args], env=env, capture_output=True, text=True, check=True)
    classes, imported = done.stderr.splitlines()[-2:]
    assert imported == "[]"
    assert set(ast.literal_eval(classes)) <= set(
        PLAIN_DATACLASSES
    )  # every other class is a node, which takes a tenth of the time to define
