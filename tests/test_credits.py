"""Credit: sourcing, splits, disputes and approved splits; and a freeze, which is a window of the same days for all."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text, write_run
from roe.columns.run import ColumnRun

POLICY = """
roe: 1
name: credits
roles: [ae]
fields:
  opportunity:
    sourced_by: {type: rep}
credits:
  sourcing:
    for: opportunity
    rules:
      - {name: self-sourced, when: opportunity.sourced_by = opportunity.owner.ae, shares: {opportunity.owner.ae: 100}, because: "{opportunity.sourced_by.name} found it"}
      - {name: hybrid, when: opportunity.sourced_by != null, shares: {opportunity.sourced_by: 60, opportunity.owner.ae: 40}}
    disputes: {refer: sales-ops, within: 5 working days}
windows:
  year_end: {from: 2026-12-15, until: 2027-01-04, when: account.employees > 100}
engagement:
  account:
    ae:
      - {name: frozen, when: 'account.year_end_state = "protected"', then: keep}
      - {name: moves, then: {assign: '"new"'}}
  opportunity:
    ae: [{name: with-account, then: {assign: account.owner.ae}, else: keep}]
exceptions:
  - {record: A, role: ae, owner: ann, approved_by: CRO, reason: shared, until: 2027-06-01, credit: ann 70; ben 30}
"""
DATA: dict[str, list[dict[str, Any]]] = {
    "rep": [{"id": r, "name": r.title()} for r in ("ann", "ben", "cat", "new")],
    "account": [{"id": "A", "owner": "ann", "employees": 500}, {"id": "B", "owner": "ben", "employees": 500},
                {"id": "C", "owner": "ben", "employees": 5}],
    "opportunity": [
        {"id": "1", "account": "A", "sourced_by": "ann"}, {"id": "2", "account": "B", "sourced_by": "cat"},
        {"id": "3", "account": "B", "sourced_by": "cat"}, {"id": "4", "account": "C", "sourced_by": "cat"}, {"id": "5", "account": "A"},
    ],
    "dispute": [
        {"id": "d1", "credit": "sourcing", "record": "2", "by": "ann", "opened": "2026-12-14", "reason": "I called first"},
        {"id": "d2", "credit": "sourcing", "record": "3", "by": "ann", "opened": "2026-12-01", "ruling": "ann 50; cat 50", "ruled_by": "VP"},
        {"id": "d3", "credit": "sourcing", "record": "4", "by": "ben", "opened": "2026-12-01", "reason": "mine", "ruling": "all of it"},
    ],
}  # fmt: skip
EXPECTED = [
    ("exception", "A", "ann", "70", "exception", "2027-06-01"), ("exception", "A", "ben", "30", "exception", "2027-06-01"),
    ("sourcing", "1", "ann", "100", "final", ""),
    ("sourcing", "2", "cat", "60", "disputed", "2026-12-21"), ("sourcing", "2", "ben", "40", "disputed", "2026-12-21"),
    ("sourcing", "3", "ann", "50", "ruled", ""), ("sourcing", "3", "cat", "50", "ruled", ""),
    ("sourcing", "4", "cat", "60", "disputed", "2026-12-08"), ("sourcing", "4", "new", "40", "disputed", "2026-12-08"),
]  # fmt: skip


def test_credit_is_shared_out_and_disputes_have_a_day(tmp_path: Path) -> None:
    text = POLICY
    policy_text(tmp_path, text)
    evaluator = roe.compile(roe.load(tmp_path))
    run = evaluator.run(DATA, as_of="2026-12-16")
    write_run(run, tmp_path / "rows")
    write_run(ColumnRun.of(evaluator, DATA, as_of="2026-12-16"), tmp_path / "columns")
    text = (tmp_path / "rows" / "credits.csv").read_text()
    assert text == (tmp_path / "columns" / "credits.csv").read_text()
    lines = list(csv.DictReader(text.splitlines()))
    assert [(r["credit"], r["record"], r["rep"], r["share"], r["status"], r["until"]) for r in lines] == EXPECTED
    reasons = {(r["record"], r["status"]): r["reason"] for r in lines}
    assert reasons["1", "final"] == "Ann found it"
    assert reasons["2", "disputed"] == "Ann disputes it (I called first): sales-ops must decide by 21 December 2026"
    assert "which is past" in reasons["4", "disputed"]
    assert "`all of it` is not a split" in reasons["4", "disputed"]
    assert reasons["3", "ruled"].startswith("ruled by VP")


@pytest.mark.parametrize(("day", "owner"), [("2026-12-14", "new"), ("2026-12-15", "ben"), ("2027-01-03", "ben"), ("2027-01-04", "new")])
def test_a_freeze_holds_from_its_first_day_up_to_its_last(tmp_path: Path, day: str, owner: str) -> None:
    policy_text(tmp_path, POLICY)
    run = roe.compile(roe.load(tmp_path)).run(DATA, as_of=day)
    owners = {d.id: d.owner for d in run.decisions if d.entity == "account"}
    assert owners == {"A": "ann", "B": owner, "C": "new"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("ann 70; ben 30", "ann 70; ben 20", "R311"),
        ("opportunity.sourced_by: 60, ", "opportunity.sourced_by: 50, ", "R304"),
        ("{opportunity.sourced_by.name} found it", "{opportunity.sourced} found it", "R204"),
        ("until: 2027-01-04", "until: 2026-12-01", "R507"),
        ("for: opportunity", "for: opportunities", "R504"),
    ],
)
def test_mistakes_are_found(tmp_path: Path, old: str, new: str, code: str) -> None:
    text = POLICY
    assert old in text
    policy_text(tmp_path, text.replace(old, new))
    with pytest.raises(roe.PolicyError) as found:
        roe.load(tmp_path)
    assert code in [d.code for d in found.value.diagnostics]
