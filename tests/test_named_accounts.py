"""Reps in lists, tables, staffing and exceptions: a numeric id, a long one, one with zeros in front, a name, from CSV and from a sheet."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import policy_text
from roe.data.read import read_tables
from roe.evaluator.engine import Evaluator
from roe.stages.build import build
from workbooks import saved

POLICY = """roe: 1
name: x
roles: [ae, sdr, csm]
lists: {{held: {{file: "{held}", key: rep}}}}
tables: {{named: {{table: "{named}", hit: first, outputs: [rep]}}}}
territories: {{table: "{territories}", hit: first, outputs: [lead], staffing: "{staffing}"}}
engagement:
  account:
    ae:
      - {{name: named, when: account.named != null, then: {{assign: account.named}}}}
      - {{name: lead, when: territory != null, then: {{assign: territory.lead}}}}
    sdr: [{{name: staffed, then: {{assign: territory_owner.sdr}}}}]
    csm: [{{name: held, when: account.owner.csm.id in held, then: keep}}, {{name: free, then: open}}]
exceptions: "{exceptions}"
"""
REPS = [("1001", "1002"), ("4876876000000327001", "4876876000000327002"), ("0012", "0013"), ("1001", "ann")]


def tables(one: str, two: str) -> dict[str, list[list[str]]]:
    return {
        "held": [["rep"], [one]],
        "named": [["domain", "rep"], ["acme.com", one], ["delta.io", two]],
        "territories": [["name", "country", "lead"], ["us", "US", one], ["de", "DE", two]],
        "staffing": [["territory", "role", "rep"], ["us", "sdr", one], ["de", "sdr", two]],
        "exceptions": [["record", "role", "owner", "approved_by", "reason", "until"], ["4", "ae", two, one, "x", "2030-01-01"]],
    }


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize(("one", "two"), REPS)
def test_a_rep_is_the_same_rep_in_every_file(tmp_path: Path, one: str, two: str, by_name: bool, kind: str) -> None:
    names = {one: "Tina Thomas", two: "Ann Lee"}
    for name, rows in tables(*((names[one], names[two]) if by_name else (one, two))).items():
        if name == "held" and by_name:
            rows[1][0] = one  # `in` compares texts, and this one compares ids
        if kind == "xlsx":  # ids of up to 15 digits as Excel keeps them, as numbers
            cells = [[int(c) if c.isdigit() and c[0] != "0" and len(c) <= 15 else c for c in row] for row in rows]
            saved(tmp_path / f"{name}.xlsx", cells)
        else:
            (tmp_path / f"{name}.csv").write_text("".join(",".join(row) + "\n" for row in rows), "utf-8")
    policy_text(tmp_path, POLICY.format(**{name: f"{name}.{kind}" for name in tables(one, two)}))
    data = tmp_path / "data"
    data.mkdir()
    accounts = "1,acme.com,US,\n2,delta.io,DE,\n3,zen.io,DE,\n4,acme.com,US,\n"
    (data / "accounts.csv").write_text(
        "id,domain,country,owner_csm\n" + accounts.replace("1,acme.com,US,", f"1,acme.com,US,{one}", 1), "utf-8"
    )
    (data / "reps.csv").write_text(f"id,name\n{one},Tina Thomas\n{two},Ann Lee\n", "utf-8")
    policy, found = build(tmp_path)
    assert policy is not None, found
    read, problems = read_tables(policy, data)
    assert not problems
    run = Evaluator(policy).run(read, as_of="2026-02-01")
    owners = {(d.id, d.role): d.owner for d in run.decisions}
    assert [owners[str(i), "ae"] for i in (1, 2, 3, 4)] == [one, two, two, two]
    assert [owners[str(i), "sdr"] for i in (1, 2)] == [one, two]
    assert {d.id: d.rule for d in run.decisions if d.role == "csm"} == {"1": "held", "2": "free", "3": "free", "4": "free"}
