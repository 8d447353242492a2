"""Records that nothing touches, deadlines by a rep's own working time, and the grace after them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpers import policy_text
from roe.cache import load_policy
from roe.evaluator.engine import Evaluator
from test_columns import both

POLICY = """
roe: 1
name: court
timezone: UTC
roles: [ae]
do_not_route:
  - {record: A1, reason: in court, until: 2026-03-01}
  - {record: A2, reason: in court, until: 2026-03-01}
exceptions:
  - {record: A1, role: ae, owner: ben, approved_by: vp, reason: asked for, until: 2026-12-31}
pools:
  new: {members: "rep.role = \\"AE\\"", sla: {within: 4 working hours, grace: 1 hour}}
engagement:
  account:
    ae:
      - {name: all, then: {route: new}}
"""
REPS = [
    {"id": "ann", "role": "AE", "active": "yes", "timezone": "America/New_York"},
    {"id": "ben", "role": "boss", "active": "yes"},
    {"id": "gone", "active": "no"},
]
ACCOUNTS = [{"id": "A1", "owner": "gone"}, {"id": "A2"}, {"id": "A3"}]


@pytest.fixture
def evaluator(tmp_path: Path) -> Evaluator:
    policy, found = load_policy(policy_text(tmp_path / "policy", POLICY))
    assert policy is not None, found
    return Evaluator(policy)


def test_a_record_that_nothing_touches_stays_with_whoever_has_it_until_its_day(evaluator: Evaluator, tmp_path: Path) -> None:
    def owners(as_of: str) -> dict[str, tuple[str | None, str]]:
        tables = {"account": ACCOUNTS, "rep": REPS}
        rows, _ = both(evaluator, tables, as_of, tmp_path / as_of)
        return {d.id: (d.owner, d.rule) for d in rows.decisions}

    assert owners("2026-02-02T10:00") == {
        "A1": ("gone", "do-not-route"), "A2": (None, "do-not-route"), "A3": ("ann", "all"),
    }  # fmt: skip
    assert owners("2026-03-01") == {"A1": ("ben", "exception"), "A2": ("ann", "all"), "A3": ("ann", "all")}


def test_working_hours_of_a_deadline_are_the_reps_own(evaluator: Evaluator) -> None:
    run = evaluator.run({"account": [{"id": "A3"}], "rep": REPS}, as_of="2026-02-02T10:00")
    (d,) = run.decisions
    assert d.until == datetime(2026, 2, 2, 18, 0, tzinfo=UTC)  # four hours after nine in New York


def test_a_record_stays_while_the_grace_runs(evaluator: Evaluator) -> None:
    reps = [*REPS, {"id": "cid", "role": "AE", "active": "yes"}]
    first = evaluator.run({"account": [{"id": "A3"}], "rep": reps}, as_of="2026-02-02T10:00")
    assert first.decisions[0].owner == "ann"

    def later(as_of: str) -> str | None:
        return evaluator.run({"account": [{"id": "A3", "owner": "ann"}], "rep": reps}, as_of=as_of, state=first.state()).decisions[0].owner

    assert later("2026-02-02T18:59") == "ann"
    assert later("2026-02-02T19:00") == "cid"
