"""Holdovers: staged credit after a handover, with an end, that survives from run to run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import roe
from helpers import policy_text, write_run
from roe.columns.run import ColumnRun
from roe.grammar.parser import parse
from roe.ledger.remembered import Remembered
from roe.plan.operators import Choose, Derive
from roe.policy.context import Context
from roe.policy.model import Model
from roe.source import Inline, Text
from roe.stages.holdovers import HoldoverSection, lower

POLICY = """
roe: 1
name: holdovers
roles: [ae]
holdovers:
  handover: {credit: [100, 75, 50], each: 1 month}
engagement:
  account:
    ae:
      - {name: now, when: 'today >= @"2026-02-10"', then: {assign: '"new"'}}
      - {name: before, then: keep}
"""
STAGES = [  # the day, the old owner's share, until when
    ("2026-02-10", "100", "2026-03-10"), ("2026-03-09", "100", "2026-03-10"), ("2026-03-10", "75", "2026-04-10"),
    ("2026-04-10", "50", "2026-05-10"), ("2026-05-09", "50", "2026-05-10"), ("2026-05-10", None, None),
]  # fmt: skip


def test_credit_goes_down_by_stages_and_ends(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY)
    evaluator = roe.compile(roe.load(tmp_path))
    data = {"account": [{"id": "A"}], "rep": [{"id": "old"}, {"id": "new"}]}
    state: Remembered = evaluator.run({**data, "account": [{"id": "A", "owner": "old"}]}, as_of="2026-02-01").state()
    for day, share, until in STAGES:
        run = evaluator.run(data, as_of=day, state=state)
        columns = ColumnRun.of(evaluator, data, as_of=day, state=state)
        write_run(run, tmp_path / "rows")
        write_run(columns, tmp_path / "columns")
        text = (tmp_path / "rows" / "credits.csv").read_text()
        assert text == (tmp_path / "columns" / "credits.csv").read_text()
        found = [(r["rep"], r["share"], r["until"]) for r in csv.DictReader(text.splitlines())]
        assert found == ([("old", share, until), ("new", str(100 - int(share)), until)] if share and until else []), day
        assert columns.state() == run.state()
        state = json.loads(json.dumps(run.state()))


def test_the_data_may_say_who_owned_it(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY)
    accounts = [{"id": "A", "owner": "new", "owner_since": "2026-03-01", "former_owner": "old"}, {"id": "B", "owner": "new"}]
    bound = roe.compile(roe.load(tmp_path)).bind({"account": accounts, "rep": [{"id": "old"}, {"id": "new"}]}, as_of="2026-04-02")
    a, b = bound.world.rows["account"]
    assert (a["handover_credit"], str(a["handover_until"])) == (75, "2026-06-01")
    assert (b["handover_credit"], b["handover_until"]) == (0, None)


@pytest.mark.parametrize(
    ("each", "ends"),
    [
        ("1 month", ["1 month", '@"P2M"', '@"P3M"']),
        ("10 days", ["10 days", '@"P20D"', '@"P30D"']),
        ("5 working days", ["5 working days", "10 working days", "15 working days"]),
    ],
)
def test_stages_are_named_and_what_they_ask_can_be_read(each: str, ends: list[str]) -> None:
    cx = Context(Path(), Model(["ae"]))
    made = lower({Text("handover", Inline()): HoldoverSection(credit=(100.0, 75.0, 50.0), each=Text(each, Inline()))}, cx)
    assert not cx.diagnostics and [(x.name, x.role, x.shares) for x in made] == [("handover", "ae", (100.0, 75.0, 50.0))]
    credit, steps = cx.steps["account", "handover_credit"], cx.steps
    assert isinstance(credit, Choose)
    assert [(str(rule.name), str(rule.conditions[0].text)) for rule in credit.rules[1:]] == [
        (f"stage {i}", f"today < account.owner_since + {end}") for i, end in enumerate(ends, 1)
    ]
    written = [rule.conditions[0] for rule in credit.rules]
    written += [x.expr for x in steps.values() if isinstance(x, Derive) and x.expr is not None]
    assert all(parse(expr.text)[0] == expr.tree for expr in written)
