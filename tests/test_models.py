"""Score models: what they are worth, what they keep to, and that columns say the same as rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roe
from effort import tries
from helpers import policy_text, write_run
from roe.columns.run import ColumnRun
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered

RANKED = """
roe: 1
name: ranked
roles: [ae]
fields: {account: {points: number}}
scores:
  place: {rank: {of: account.points, within: account.segment, tiers: {A: 10, B: 40, C: 50}}}
events:
  account.mqa: {when: account.points >= 60, rearm: account.points < 40}
engagement: {account: {ae: [{name: best, when: 'account.place.tier = "A"', then: {assign: '"ann"'}}, {name: rest, then: open}]}}
"""


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    return roe.compile(roe.load(policy_text(tmp_path_factory.mktemp("ranked"), RANKED)))


def places(evaluator: Evaluator, points: list[Any], segments: list[str]) -> list[Any]:
    rows = [{"id": f"a{i:03}", "points": p, "segment": s} for i, (p, s) in enumerate(zip(points, segments, strict=True))]
    world = evaluator.bind({"account": rows}, as_of="2026-01-01").world
    return [row["place"] for row in world.rows["account"]]


POINTS = st.lists(st.one_of(st.none(), st.integers(0, 20)), min_size=1, max_size=30)


@settings(max_examples=tries(15, 60, 600))
@given(points=POINTS, at=st.integers(0, 29), more=st.integers(1, 9))
def test_a_higher_score_never_worsens_a_rank(ranked: Evaluator, points: list[int | None], at: int, more: int) -> None:
    at %= len(points)
    segments = ["x" if i % 3 else "y" for i in range(len(points))]
    before = places(ranked, points, segments)
    raised = [(p or 0) + more if i == at else p for i, p in enumerate(points)]
    after = places(ranked, raised, segments)
    for i, (p, s) in enumerate(zip(points, segments, strict=True)):  # by hand
        others = [q for q, z in zip(points, segments, strict=True) if z == s and q is not None]
        if p is None:
            assert before[i] is None
            continue
        assert before[i]["rank"] == 1 + sum(q > p for q in others) and before[i]["of"] == len(others)
        wanted = 100 if len(others) == 1 else 100 * sum(q < p for q in others) / (len(others) - 1)
        assert before[i]["percentile"] == pytest.approx(wanted)
        first = -(-len(others) * 10 // 100)
        assert (before[i]["tier"] == "A") == (before[i]["rank"] <= first)
    if before[at] is not None:
        assert after[at]["rank"] <= before[at]["rank"] and after[at]["percentile"] >= before[at]["percentile"]


def test_an_event_is_raised_once_and_armed_again(ranked: Evaluator, tmp_path: Path) -> None:
    state: Remembered = {}
    seen = []
    for day, points in enumerate([50, 60, 55, 70, 39, 61], 1):
        data: dict[str, list[dict[str, Any]]] = {"account": [{"id": "A", "points": points}], "rep": [{"id": "ann"}]}
        as_of = f"2026-01-{day:02}"
        run, columns = ranked.run(data, as_of=as_of, state=state), ColumnRun.of(ranked, data, as_of=as_of, state=state)
        write_run(run, tmp_path / "rows")
        write_run(columns, tmp_path / "columns")
        text = (tmp_path / "rows" / "events.csv").read_text()
        assert text == (tmp_path / "columns" / "events.csv").read_text() and run.state() == columns.state()
        seen.append([line.split(",")[3:5] for line in text.splitlines()[1:]])
        state = json.loads(json.dumps(run.state()))
    assert seen == [[], [["2026-01-02", "raised"]], [["2026-01-02", "up"]], [["2026-01-02", "up"]], [], [["2026-01-06", "raised"]]]


@pytest.mark.parametrize(
    ("score", "code"),
    [
        ("{criteria: [{name: a, when: account.employees > 1, points: 5}], caps: {web: 3}}", "R201"),
        ("{signals: [{name: a, points: 5}]}", "R304"),
        ("{signals: [{name: a, points: 5, of: account.signals, half_life: 2 months}]}", "R311"),
        ("{signals: [{name: a, points: 5, of: account.employees}]}", "R205"),
        ("{matrix: {account.employees: [10, 20], account.revenue: [5]}}", "R304"),
        ("{signals: [{name: a, points: 5, of: account.signals, weight: wieght}]}", "R204"),
        ("{rank: {of: account.name}}", "R205"),
        ("{rank: {of: account.employees, tiers: {A: 10, B: 10}}}", "R304"),
        ("{weighted: {size: {score: account.emploees, weight: 1}}}", "R204"),
        ("{logistic: {intercept: 1, parts: {size: {of: account.name, weight: 1}}}}", "R205"),
        ("{profile: [{name: a, when: account.emploees > 1}]}", "R204"),
        ("{profile: [{name: a, when: account.employees > 1}], weighted: {size: {score: account.employees, weight: 1}}}", "R304"),
    ],
)
def test_mistakes_are_found(tmp_path: Path, score: str, code: str) -> None:
    policy_text(tmp_path, f"roe: 1\nname: wrong\nroles: [ae]\nscores:\n  fit: {score}\n")
    with pytest.raises(roe.PolicyError) as found:
        roe.load(tmp_path)
    assert code in [d.code for d in found.value.diagnostics], found.value


def test_what_a_policy_says_may_have_comments_and_tiny_numbers(tmp_path: Path) -> None:
    text = """
roe: 1
name: odd
roles: [ae]
scores:
  size: {weighted: {a: {score: "account.employees // people", weight: 0.0000001}, b: {score: account.revenue, weight: 2e-7}}}
  odds: {logistic: {intercept: -1e-9, parts: {a: {of: "account.employees // people", weight: -3e-8}}}}
  place: {rank: {of: "account.employees /* all */"}}
  ideal: {profile: [{name: a, when: "account.employees > 1 // one", must: true}]}
  heat: {signals: [{name: a, points: -5e-8, of: "account.activities // all", step: {minus: 1e-9, every: 7 days}}]}
books:
  core: {reps: "rep.active // now", capacity: 2, value: "account.employees // people", accounts: "true // all", hold: "false // none"}
"""
    policy_text(tmp_path, text)
    row = roe.compile(roe.load(tmp_path)).bind({"account": [{"id": "A", "employees": 60}]}, as_of="2026-01-01").world.rows["account"][0]
    assert (row["size"], row["ideal"], row["core_value"], row["place"]["rank"]) == (pytest.approx(20), 100, 60, 1)
