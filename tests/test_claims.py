"""Claims: first come, first served; caps hold at every moment; nobody holds an account while another does."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from effort import tries
from helpers import EXAMPLES, compiled, example
from roe.data.read import read_tables

POLICY = """
roe: 1
name: claims
roles: [ae]
claims:
  caps: {open: 2, per_day: 3}
  work_within: 5 days
  lasts: 20 days
  worked_by: type = "call"
  wait: 10 days
  rest: 2 days
  blocked_by:
    - {name: customer, when: 'account.type = "Customer"'}
engagement:
  account:
    ae:
      - {name: claimed, when: account.claim != null, then: {assign: account.claim.rep, until: account.claim_until}}
      - {name: free, then: open}
"""
NOW = "2026-03-01"
moments = st.integers(0, 60 * 24).map(lambda h: (datetime(2026, 1, 1) + timedelta(hours=h)).isoformat())
claims = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["A", "B", "C"]),
            "rep": st.sampled_from(["r", "s", "t"]),
            "at": moments,
            "released": st.one_of(st.none(), st.none(), moments),
        }
    ),
    max_size=25,
)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["A", "B", "C"]),
            "rep": st.sampled_from(["r", "s", "t"]),
            "type": st.sampled_from(["call", "mail"]),
            "at": moments,
        }
    ),
    max_size=12,
)


def tables(asked: list[dict[str, Any]], worked: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {
        "account": [{"id": a, "type": "Customer" if a == "C" else "Prospect"} for a in "ABC"],
        "rep": [{"id": r} for r in "rst"],
        "claim": [{"id": f"K{i:02d}", **c} for i, c in enumerate(asked)],
        "activity": [{"id": f"T{i}", **c} for i, c in enumerate(worked)],
    }


@given(claims, calls, st.randoms())
@settings(max_examples=tries(15, 60, 600))
def test_claims_never_overlap_and_caps_always_hold(asked: Any, worked: Any, rng: random.Random) -> None:
    evaluator = compiled(POLICY)
    data = tables(asked, worked)
    world = evaluator.bind(data, as_of=NOW).world
    found = world.settled
    lines = found.lines()
    assert len(lines) == sum(c["at"] <= f"{NOW}T00:00:00" for c in asked) and all(line[6] for line in lines)  # each says why
    held = [o for o in found.outcomes.values() if o.held]
    spans = [(o.claim["at"], o.until, o.claim["account"]["id"], o.claim["rep"]["id"]) for o in held if o.until is not None]
    assert len(spans) == len(held) and all(start <= end for start, end, _, _ in spans) and all(account != "C" for _, _, account, _ in spans)
    for start, _, account, rep in spans:
        others = [s for s in spans if s[0] < start]
        assert not [s for s in others if s[2] == account and start < s[1]], "one account, two holders"
        assert sum(s[3] == rep and start < s[1] for s in others) < 2
        assert sum(s[3] == rep and s[0].date() == start.date() for s in others) < 3
        assert not [s for s in others if s[2:] == (account, rep) and start < s[1] + timedelta(days=10)]
    for o in found.outcomes.values():
        assert (o.status == "granted") == (o.held and o.until is not None and o.until > world.clock.now)
    for rows in data.values():
        rng.shuffle(rows)
    assert evaluator.bind(data, as_of=NOW).world.settled.lines() == lines


@given(claims, calls, st.integers(1, 59))
@settings(max_examples=tries(8, 30, 300))
def test_a_settled_claim_stays_settled(asked: Any, worked: Any, day: int) -> None:
    """Run on some day and again later, claims are what one run says: rules that rest on time stamps do not depend on when."""
    evaluator = compiled(POLICY)
    early = (datetime(2026, 1, 1) + timedelta(days=day)).date().isoformat()
    seen = tables(asked, [a for a in worked if a["at"] <= early])
    first = evaluator.run(seen, as_of=early)
    second = evaluator.run(tables(asked, worked), as_of=NOW, state=json.loads(json.dumps(first.state())))
    whole = evaluator.run(tables(asked, worked), as_of=NOW)
    assert {k: o.held for k, o in second.world.settled.outcomes.items()} == {k: o.held for k, o in whole.world.settled.outcomes.items()}


def test_traces_after_a_run_are_those_of_the_moment(tmp_path: Path) -> None:
    """A trace that is read when every owner has changed still says what the rules saw."""
    for name in ("wild-west", "inbound", "static"):
        evaluator = example(name)
        data, _ = read_tables(evaluator.policy, EXAMPLES / name / "data")
        as_of = "2026-02-02T10:00"
        during = [d.trace.as_json() for d in evaluator.bind(data, as_of=as_of).decide_all()]
        after = [d.trace.as_json() for d in evaluator.run(data, as_of=as_of).decisions]
        assert during == after
