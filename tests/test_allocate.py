"""Pools: exact shares at every prefix, caps never exceeded, debts repaid, runs that may be split anywhere."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import roe
from helpers import policy_text
from roe.evaluator.engine import Evaluator
from roe.policy.build import build

POLICY = """
roe: 1
name: pools
roles: [sdr]
fields:
  rep: {{weight: {{type: number}}}}
pools:
  p: {{members: 'rep.role = "SDR"', strategy: {strategy}{weight}{caps}}}
engagement:
  lead:
    sdr:
      - {{name: next, then: {{route: p}}}}
"""


def evaluator(folder: Path, strategy: str = "weighted", caps: str = "") -> Evaluator:
    weight = ", weight: rep.weight" if strategy == "weighted" else ""
    policy_text(folder, POLICY.format(strategy=strategy, weight=weight, caps=f", caps: {{{caps}}}" if caps else ""))
    policy, found = build(folder)
    assert policy is not None, found
    return Evaluator(policy)


def reps(weights: list[float]) -> list[dict[str, Any]]:
    return [{"id": f"r{i:02d}", "role": "SDR", "weight": str(w)} for i, w in enumerate(weights)]


def leads(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": f"L{i:05d}", "created": f"2026-01-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}"} for i in range(start, start + count)
    ]


weights = st.one_of(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.lists(st.sampled_from([0.25, 0.5, 0.75, 1]), min_size=1, max_size=8),
    st.just([20] + [1] * 20),
)


@given(weights)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shares_are_within_one_at_every_prefix(tmp_path: Path, given_weights: list[float]) -> None:
    run = evaluator(tmp_path).run({"rep": reps(given_weights), "lead": leads(120)}, as_of="2026-02-01")
    total = sum(Fraction(str(w)) for w in given_weights)
    counts: dict[str, int] = {}
    for turn, decision in enumerate(run.decisions, 1):
        assert decision.owner is not None
        counts[decision.owner] = counts.get(decision.owner, 0) + 1
        for i, w in enumerate(given_weights):
            share = turn * Fraction(str(w)) / total
            assert abs(counts.get(f"r{i:02d}", 0) - share) < 1, (given_weights, turn)


@given(weights, st.integers(0, 60))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_split_in_two_equals_one(tmp_path: Path, given_weights: list[float], cut: int) -> None:
    one = evaluator(tmp_path)
    people = reps(given_weights)
    whole = one.run({"rep": people, "lead": leads(60)}, as_of="2026-02-01")
    first = one.run({"rep": people, "lead": leads(cut)}, as_of="2026-02-01")
    second = one.run({"rep": people, "lead": leads(60 - cut, cut)}, as_of="2026-02-01", state=first.state())
    assert [d.owner for d in whole.decisions] == [d.owner for d in (*first.decisions, *second.decisions)]
    again = one.run({"rep": people, "lead": leads(60)}, as_of="2026-02-01", state=second.state())
    assert [d.owner for d in again.decisions] == [d.owner for d in whole.decisions], "the same lead twice is one assignment"
    assert again.state()["pools"] == second.state()["pools"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_caps_are_never_exceeded(tmp_path: Path, given_weights: list[float], cap: int) -> None:
    run = evaluator(tmp_path, caps=f"per_day: {cap}").run({"rep": reps(given_weights), "lead": leads(40)}, as_of="2026-02-01")
    owners = [d.owner for d in run.decisions if d.owner]
    assert len(owners) == min(40, cap * len(given_weights))
    assert all(owners.count(o) <= cap for o in set(owners))
    for d in run.decisions[len(owners) :]:
        assert d.action == "unassigned" and d.turn and all("per day" in m.skipped for m in d.turn.members)


def test_a_skipped_rep_is_owed_the_turns(tmp_path: Path) -> None:
    """Ann was away for ten leads; when she is back her turns come first until the counts are level."""
    one = evaluator(tmp_path, "round_robin")
    away = [{"id": "ann", "role": "SDR", "active": "no"}, {"id": "bob", "role": "SDR"}]
    back = [{"id": "ann", "role": "SDR"}, {"id": "bob", "role": "SDR"}]
    first = one.run({"rep": away, "lead": leads(10)}, as_of="2026-02-01")
    assert {d.owner for d in first.decisions} == {"bob"}
    second = one.run({"rep": back, "lead": leads(20, 10)}, as_of="2026-02-01", state=first.state())
    owners = [d.owner for d in (*first.decisions, *second.decisions)]
    assert owners.count("ann") == owners.count("bob") == 15


def test_least_loaded_levels_the_load(tmp_path: Path) -> None:
    data = {"rep": reps([1, 1, 1]), "lead": [*leads(9), {"id": "X1", "owner": "r00"}, {"id": "X2", "owner": "r00"}]}
    policy_text(
        tmp_path,
        POLICY.format(strategy="least_loaded", weight="", caps="").replace(
            "      - {name: next", "      - {name: has, when: lead.owner.sdr != null, then: keep}\n      - {name: next"
        ),
    )
    run = roe.compile(roe.load(tmp_path)).run(data, as_of="2026-02-01")
    owners = [d.owner for d in run.decisions]
    assert sorted(owners.count(r) for r in set(owners)) == [3, 4, 4]
