"""Key figures by hand, targets, periods, and the page."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import roe
from helpers import EXAMPLES, policy_text
from roe.analysis.kpi import kpi_lines, missed, periods, target_of
from roe.cli import main

POLICY = """
roe: 1
name: kpis
working_hours: 09:00-17:00
roles: [ae]
tables:
  size: {inputs: {employees: account.employees}, outputs: [size], rows: [{employees: ">= 100", size: big}, {employees: "< 100", size: small}]}
kpis:
  activity: {counts: 'type in ("call", "meeting")', meeting: 'type = "meeting"'}
  completed: {touches: 2, contacts: 2}
  answer_within: 2 working hours
  targets: tables/targets.csv
"""
TARGETS = "kpi,group,target,benchmark,source\ncoverage,,80 %,,\ncoverage,ann,20%,,new\ntouches,,2,40,a book\nspeed_to_lead,,1,,\n"
DATA: dict[str, list[dict[str, Any]]] = {
    "rep": [{"id": "ann", "team": "East", "capacity": 4}, {"id": "ben", "team": "East", "capacity": 2}],
    "account": [{"id": "A", "owner": "ann", "employees": 500}, {"id": "B", "owner": "ann", "employees": 5}, {"id": "C", "owner": "ben", "employees": 5}, {"id": "D"}],
    "contact": [{"id": "p", "account": "A"}, {"id": "q", "account": "A"}],
    "activity": [
        {"id": "1", "account": "A", "type": "call", "date": "2026-01-05", "contact": "p"},
        {"id": "2", "account": "A", "type": "meeting", "date": "2026-01-31", "contact": "q"},
        {"id": "3", "account": "A", "type": "call", "date": "2026-02-01", "contact": "q"},
        {"id": "4", "account": "C", "type": "note", "date": "2026-01-09"},
        {"id": "5", "account": "D", "type": "call", "date": "2026-01-09"},
        {"id": "6", "lead": "L1", "type": "call", "date": "2026-01-12", "at": "2026-01-12T10:30:00"},
        {"id": "7", "lead": "L2", "type": "call", "date": "2026-01-13", "at": "2026-01-13T16:30:00"},
        {"id": "8", "lead": "L2", "type": "note", "date": "2026-01-12", "at": "2026-01-12T10:30:00"},
    ],
    "opportunity": [{"id": "o", "account": "A", "created": "2026-01-20"}, {"id": "x", "account": "A", "created": "2025-12-31"}],
    "lead": [
        {"id": "L1", "owner": "ann", "created": "2026-01-12T10:00:00"}, {"id": "L2", "owner": "ann", "created": "2026-01-12T10:00:00"},
        {"id": "L3", "owner": "ann", "created": "2026-01-15T10:00:00"}, {"id": "L4", "owner": "ann", "created": "2026-01-31T16:00:00"},
    ],
}  # fmt: skip


@pytest.fixture
def bound(tmp_path: Path) -> Any:
    return roe.compile(roe.load(policy_text(tmp_path, POLICY, tables__targets_csv=TARGETS))).bind(DATA, as_of="2026-01-31T23:00:00")


def test_figures_by_hand(bound: Any) -> None:
    found = {line.group: line.values for line in kpi_lines(bound, "rep", periods(date(2026, 1, 31), "month", 1))}
    ann, ben, everybody = found["ann"], found["ben"], found["all"]
    assert ann == {
        "accounts": 2, "capacity": 4, "capacity_use": 0.5, "coverage": 0.5, "worked": 1, "completed": 1, "touches": 2, "meetings": 1, "opportunities": 1,
        "opportunities_per_worked": 1.0, "leads": 4, "speed_to_lead": (0.5 + 30.5) / 2, "sla_attainment": 1 / 3,
    }  # fmt: skip
    assert (ben["coverage"], ben["worked"], ben["opportunities_per_worked"], ben["sla_attainment"]) == (1.0, 0, None, None)
    assert (everybody["accounts"], everybody["capacity"], everybody["coverage"]) == (3, 6, 2 / 3)


def test_groups_of_accounts(bound: Any) -> None:
    found = {line.group: line.values["accounts"] for line in kpi_lines(bound, "size", periods(date(2026, 1, 31), "month", 1))}
    assert found == {"big": 1, "small": 2, "(none)": 0, "all": 3}


def test_targets_are_a_reps_and_a_groups_own_comes_first(bound: Any) -> None:
    kpis = bound.plan.kpis
    lines = {line.group: line for line in kpi_lines(bound, "rep", periods(date(2026, 1, 31), "month", 1))}
    assert target_of(kpis, "coverage", "ann")[0] == 0.2 and target_of(kpis, "coverage", "ben")[0] == 0.8
    assert target_of(kpis, "touches", "all")[1:] == (40, "a book")
    assert [missed(kpis, n, lines[g]) for n, g in (("coverage", "ann"), ("coverage", "all"), ("touches", "ann"), ("touches", "all"), ("speed_to_lead", "ann"))] == [False, True, False, True, True]  # fmt: skip


@pytest.mark.parametrize(
    ("every", "count", "expected"),
    [
        ("week", 2, ["2026-05-04 to 2026-05-10", "2026-05-11 to 2026-05-13"]),
        ("month", 3, ["2026-03-01 to 2026-03-31", "2026-04-01 to 2026-04-30", "2026-05-01 to 2026-05-13"]),
        ("quarter", 2, ["2026-01-01 to 2026-03-31", "2026-04-01 to 2026-05-13"]),
    ],
)
def test_periods(every: str, count: int, expected: list[str]) -> None:
    assert [str(p) for p in periods(date(2026, 5, 13), every, count)] == expected


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    example = str(EXAMPLES / "kpi")
    command = ["kpi", example, "--data", f"{example}/data", "--as-of", "2026-03-31"]
    text = CliRunner().invoke(main, [*command, "--periods", "3", "--page", str(tmp_path / "kpi.html")]).output
    assert "Grace Gale" in text and "misses its target" in text
    page = (tmp_path / "kpi.html").read_text()
    assert page.count("<svg") == 8 and "<script" not in page
    rows = list(csv.DictReader(CliRunner().invoke(main, [*command, "--by", "target", "--format", "csv"]).output.splitlines()))
    assert [r["target"] for r in rows] == ["ABM", "other", "all"]
    found = json.loads(CliRunner().invoke(main, [*command, "--by", "territory", "--from", "2026-01-01", "--format", "json"]).output)
    assert {x["group"] for x in found} == {"east", "west", "all"} and found[0]["from"] == "2026-01-01"


@pytest.mark.parametrize(("args", "code"), [(["--by", "reps"], "R801"), (["--from", "soon"], "R801"), (["--from", "2027-01-01"], "R801")])
def test_wrong_options_are_said(args: list[str], code: str) -> None:
    example = str(EXAMPLES / "kpi")
    done = CliRunner().invoke(main, ["kpi", example, "--data", f"{example}/data", "--as-of", "2026-03-31", *args])
    assert done.exit_code == 2 and code in done.output


@pytest.mark.parametrize(
    ("targets", "code"), [("kpi,target\ncoverge,1\n", "R201"), ("name,target\nx,1\n", "R403"), ("kpi,target\ncoverage,much\n", "R311")]
)
def test_wrong_targets_are_found(tmp_path: Path, targets: str, code: str) -> None:
    policy_text(tmp_path, POLICY, tables__targets_csv=targets)
    with pytest.raises(roe.PolicyError) as found:
        roe.load(tmp_path)
    assert code in [d.code for d in found.value.diagnostics]
