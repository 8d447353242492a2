"""A stage that nobody has heard of: its file and its line in the list are all that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

import roe
from helpers import policy_text, write_run
from roe import stages
from roe.analysis.diff import changes
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.policy.context import Context, written
from roe.policy.section import Heading
from roe.policy.store import PolicyReader, write_policy
from roe.source import Inline, Text
from roe.stages import STAGES, Stage

# what a file `stages/toys.py` would have: a field `toys` of accounts, and a part of the plan
POLICY = """roe: 1
name: toy
roles: [ae]
description: 3
engagement: {account: {ae: [{name: played, when: account.toys > 2, then: {assign: eva}}, {name: rest, then: open}]}}
"""


def declare(description: Text, cx: Context) -> None:
    cx.model.steps["account", "toys"] = lambda: t.NUMBER


def lower(description: Text, cx: Context) -> None:
    text = Text(str(description), Inline())
    number = s.Literal(int(text), text)
    cx.steps["account", "toys"] = Derive("account", "toys", "toy", written(number, text))


def part(description: Text, cx: Context) -> tuple[str, ...]:
    return (f"{description} toys",)


@pytest.fixture
def with_toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "STAGES", (*STAGES, Stage("toys", (Heading("description", Text),), declare, lower, part)))


@pytest.mark.usefixtures("with_toys")
def test_a_new_stage_is_built_run_kept_and_compared(tmp_path: Path) -> None:
    policy = roe.load(policy_text(tmp_path / "toy", POLICY))
    assert policy.plan.parts["toys"] == ("3 toys",)
    run = roe.compile(policy).run({"account": [{"id": "a"}], "rep": [{"id": "eva"}]}, as_of="2026-02-01")
    write_run(run, tmp_path / "out")
    assert ",eva," in (tmp_path / "out" / "allocations.csv").read_text("utf-8")
    assert PolicyReader(write_policy(policy), policy.root).policy().plan.parts["toys"] == ("3 toys",)
    other = roe.load(policy_text(tmp_path / "other", POLICY.replace("description: 3", "description: 4")))
    assert any("4 toys" in change.after for change in changes(policy, other))


def test_every_stage_has_one_name_and_says_something() -> None:
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    assert all(stage.declare or stage.lower or stage.part for stage in STAGES)
