"""Files that are loaded back into a CRM: its objects, its columns, changed rows only, and the way back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import roe
from helpers import policy_text, write_run
from roe.columns.run import ColumnRun

POLICY = """
roe: 1
name: crm
profile: {profile}
roles: [ae, csm]
fields:
  account:
    owner: {{column: {owner}}}
engagement:
  account:
    ae: [{{name: all, then: {{assign: '"005B"'}}}}]
    csm: [{{name: all, then: {{assign: '"005C"'}}}}]
"""


@pytest.mark.parametrize(
    ("profile", "key", "owner", "object_"),
    [("salesforce", "Id", "OwnerId", "Account"), ("hubspot", "Record ID", "Company owner", "companies")],
)
def test_changes_have_the_crms_own_names(tmp_path: Path, profile: str, key: str, owner: str, object_: str) -> None:
    policy_text(tmp_path, POLICY.format(profile=profile, owner=owner))
    evaluator = roe.compile(roe.load(tmp_path))
    data = {
        "account": [{key: "1", owner: "005A", "owner_csm": "005C"}, {key: "2", owner: "005B", "owner_csm": ""}],
        "rep": [{"id": f"005{x}"} for x in "ABC"] if profile == "hubspot" else [{"Id": f"005{x}"} for x in "ABC"],
    }
    write_run(evaluator.run(data, as_of="2026-02-01"), tmp_path / "rows")
    write_run(ColumnRun.of(evaluator, data, as_of="2026-02-01"), tmp_path / "columns")
    for name in ("changes.csv", "rollback.csv"):
        assert (tmp_path / "rows" / name).read_text() == (tmp_path / "columns" / name).read_text()
    moves = [
        (r["object"], r["record"], r["field"], r["value"], r["old_value"])
        for r in csv.DictReader((tmp_path / "rows" / "changes.csv").open())
    ]
    assert moves == [(object_, "1", owner, "005B", "005A"), (object_, "2", "owner_csm", "005C", "")]
    back = [(r["record"], r["value"]) for r in csv.DictReader((tmp_path / "rows" / "rollback.csv").open())]
    assert back == [("1", "005A"), ("2", "")]


LOADED = """
roe: 1
name: loaded
profile: salesforce
roles: [ae]
territories:
  rows:
    - {name: dach, country: "DE,AT", rep: eva}
    - {name: us, country: US, rep: ann}
  staffing: [{territory: dach, role: ae, rep: eva}, {territory: us, role: ae, rep: ann}]
engagement:
  account:
    ae:
      - {name: closed, when: 'account.type = "Closed"', then: return}
      - {name: territory, then: {assign: territory_owner}}
crm:
  queues: {account: 00G1}
  territories: {dach: 0MI1, us: 0MI2}
"""


def test_queues_own_what_nobody_owns_and_territories_are_associated(tmp_path: Path) -> None:
    policy_text(tmp_path, LOADED)
    evaluator = roe.compile(roe.load(tmp_path))
    accounts = [("1", "DE", "00G1", ""), ("2", "US", "eva", "Closed"), ("3", "FR", "00G1", ""), ("4", "US", "ann", "")]
    data = {
        "account": [dict(zip(("Id", "BillingCountry", "OwnerId", "Type"), row, strict=True)) for row in accounts],
        "rep": [{"Id": "eva"}, {"Id": "ann"}],
        "association": [
            {"Id": "a1", "ObjectId": "1", "Territory2Id": "0MI2", "AssociationCause": "Territory2Manual"},
            {"Id": "a4", "ObjectId": "4", "Territory2Id": "0MI2", "AssociationCause": "Territory"},
            {"Id": "a5", "ObjectId": "3", "Territory2Id": "0MI9", "AssociationCause": "Territory"},
        ],
    }
    run = evaluator.run(data, as_of="2026-02-01")
    write_run(run, tmp_path / "rows")
    write_run(ColumnRun.of(evaluator, data, as_of="2026-02-01"), tmp_path / "columns")
    for name in ("changes.csv", "rollback.csv", "territories.csv", "allocations.csv"):
        assert (tmp_path / "rows" / name).read_text() == (tmp_path / "columns" / name).read_text(), name
    moves = [(r["record"], r["value"], r["old_value"]) for r in csv.DictReader((tmp_path / "rows" / "changes.csv").open())]
    assert moves == [("1", "eva", "00G1"), ("2", "00G1", "eva")]
    lines = [tuple(r.values()) for r in csv.DictReader((tmp_path / "rows" / "territories.csv").open())]
    assert lines == [
        ("delete", "a1", "1", "0MI2", "Territory2Manual"),
        ("insert", "", "1", "0MI1", "Territory2Manual"),
        ("insert", "", "2", "0MI2", "Territory2Manual"),
    ]


def test_territories_that_the_ultimate_parent_decides_have_ids_and_names_of_their_own_column(tmp_path: Path) -> None:
    """Both were refused: the rows are those of `own_territory`, not of `territory`."""
    text = """
roe: 1
name: t
roles: [ae]
territories:
  rows: [{territory: us, country: US}, {territory: rest, country: "-"}]
  hit: first
  decided_by: {account: account.ultimate_parent}
crm: {territories: {us: 0MI1, rest: 0MI2}}
engagement: {account: {ae: [{name: all, then: open}]}}
"""
    policy_text(tmp_path, text)
    accounts = [{"id": "A1", "country": "US"}, {"id": "A2", "country": "DE", "parent": "A1"}]
    write_run(roe.compile(roe.load(tmp_path)).run({"account": accounts}, as_of="2026-02-01"), tmp_path / "out")
    rows = [list(line.values()) for line in csv.DictReader((tmp_path / "out" / "territories.csv").open())]
    assert [("A1" in row, "A2" in row, "0MI1" in row) for row in rows] == [(True, False, True), (False, True, True)]
