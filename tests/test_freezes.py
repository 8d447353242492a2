"""Values that are frozen for a period: growth waits, new records have their own, columns agree."""

from __future__ import annotations

import json
from pathlib import Path

import roe
from helpers import policy_text
from roe.columns.run import ColumnRun
from roe.ledger.remembered import Remembered

POLICY = """
roe: 1
name: freezes
roles: [ae]
freezes:
  account.segment_now: {value: 'if account.employees >= 100 then "big" else "small"', from: 2025-02-01, every: half-year}
engagement:
  account:
    ae:
      - {name: big, when: account.segment_now = "big", then: {assign: '"bo"'}}
      - {name: small, then: {assign: '"al"'}}
"""


def test_growth_waits_for_the_next_period(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY)
    evaluator = roe.compile(roe.load(tmp_path))
    state: Remembered = {}
    history = [  # the day, employees of A and B, their owners
        ("2026-02-01", 50, None, "al", None),
        ("2026-03-01", 500, None, "al", None),  # A has grown, and waits
        ("2026-07-31", 500, 100, "al", "bo"),  # B is new
        ("2026-08-01", 500, 10, "bo", "al"),  # a new half-year
        ("2027-01-31", 5, 1000, "bo", "al"),
        ("2027-02-01", 5, 1000, "al", "bo"),
    ]
    for day, a, b, *owners in history:
        tables = {"account": [{"id": "A", "employees": a}, *([{"id": "B", "employees": b}] if b is not None else [])]}
        run = evaluator.run(tables, as_of=day, state=state)
        columns = ColumnRun.of(evaluator, tables, as_of=day, state=state)
        assert [d.owner for d in run.decisions] == [o for o in owners if o], day
        assert columns.state() == run.state()
        state = json.loads(json.dumps(run.state()))


def test_the_trace_says_what_is_frozen(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY)
    evaluator = roe.compile(roe.load(tmp_path))
    first = evaluator.run({"account": [{"id": "A", "employees": 50}]}, as_of="2026-02-01")
    later = evaluator.run({"account": [{"id": "A", "employees": 500}]}, as_of="2026-04-01", state=first.state())
    step = next(s for s in later.decisions[0].trace.as_json()["steps"] if s["name"] == "segment_now")
    assert step["value"] == "small"
    assert {"text": "frozen on 2026-02-01, today it is", "type": "string", "value": "big"} in step["parts"]
