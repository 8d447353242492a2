"""What a run refuses on a ledger, and what it warns of: frozen values, another policy, a lost column, loads that do not come."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("pyarrow")
from helpers import policy_text
from ledgers import STORES, place
from roe.cli import main
from roe.ledger.entries import Activated
from roe.ledger.store import open_store

POLICY = """roe: 1
name: NAME
roles: [ae, csm]
engagement:
  account:
    ROLE:
      - {name: big, when: account.employees > 100, then: {assign: ann}}
      - {name: small, then: {assign: ben}}
"""
FROZEN = """roe: 1
name: frozen
roles: [ae]
freezes: {account.yearly: {value: account.segment, from: 2026-01-01, every: year}}
engagement: {account: {ae: [{name: all, when: account.yearly = "A", then: {assign: ann}}]}}
"""
ENGINES = ("rows", "columns")


class Place:
    def __init__(self, folder: Path, state: str) -> None:
        self.folder, self.state = folder, state
        (folder / "data").mkdir()
        (folder / "data" / "reps.csv").write_text("id,name\nann,Ann\nben,Ben\n", "utf-8")

    def policy(self, name: str, role: str = "ae") -> Path:
        return policy_text(self.folder / name, POLICY.replace("NAME", name).replace("ROLE", role))

    def accounts(self, text: str) -> None:
        (self.folder / "data" / "accounts.csv").write_text(text, "utf-8")

    def run(self, policy: str, day: str, *more: str, code: int = 0) -> Result:
        arguments = [
            "run",
            str(self.folder / policy),
            "--data",
            str(self.folder / "data"),
            "--as-of",
            day,
            "--out",
            str(self.folder / "out"),
        ]
        done = CliRunner().invoke(main, [*arguments, *(["--state", self.state] if self.state else []), *more])
        assert done.exit_code == code, (done.output, done.exception)
        return done


@pytest.mark.parametrize("engine", ENGINES)
def test_a_frozen_value_needs_a_ledger(engine: str, tmp_path: Path) -> None:
    at = Place(tmp_path, "")
    policy_text(tmp_path / "frozen", FROZEN)
    at.accounts("id,segment\nA1,A\n")
    assert "R649" in at.run("frozen", "2026-03-02", "--engine", engine, code=2).output
    at.state = str(tmp_path / "state")
    at.run("frozen", "2026-03-02", "--engine", engine)


@pytest.mark.parametrize("kind", STORES)
def test_one_policy_decides_a_role_of_a_ledger(kind: str, tmp_path: Path) -> None:
    at = Place(tmp_path, place(kind, tmp_path))
    for name, role in (("east", "ae"), ("west", "ae"), ("success", "csm")):
        at.policy(name, role)
    at.accounts("id,employees,owner,owner_csm\nA1,500,ben,\n")
    at.run("east", "2026-03-02")
    at.run("success", "2026-03-02")  # another role of the same records
    assert "R650" in at.run("west", "2026-03-03", code=2).output
    at.run("east", "2026-03-03")
    at.run("west", "2026-03-04", "--activate", "--accept", "Ann: the new year")
    at.run("west", "2026-03-05")
    at.run("success", "2026-03-05")
    assert "R650" in at.run("east", "2026-03-06", code=2).output
    with open_store(at.state) as store:
        (x,) = store.entries(kinds=("activated",))
        assert isinstance(x.entry, Activated) and (x.entry.policy, x.entry.by) == ("west", "Ann: the new year")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_column_of_an_owner_must_not_vanish(engine: str, tmp_path: Path) -> None:
    at = Place(tmp_path, str(tmp_path / "state"))
    at.policy("east")
    at.accounts("id,employees,owner\nA1,500,ben\n")
    at.run("east", "2026-03-02", "--engine", engine)
    at.accounts("id,employees\nA1,500\n")
    output = at.run("east", "2026-03-03", "--engine", engine, code=2).output
    assert "R651" in output and "the ae of account records" in output
    at.accounts("id,employees,owner\nA1,500,ann\n")
    at.run("east", "2026-03-03", "--engine", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_data_that_never_had_owners_is_no_reason_to_stop(engine: str, tmp_path: Path) -> None:
    at = Place(tmp_path, str(tmp_path / "state"))
    at.policy("east")
    at.accounts("id,employees\nA1,500\n")
    for day in ("2026-03-02", "2026-03-03"):
        at.run("east", day, "--engine", engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_decision_that_the_crm_does_not_load_is_reported(engine: str, tmp_path: Path) -> None:
    at = Place(tmp_path, str(tmp_path / "state"))
    at.policy("east")
    at.accounts("id,employees,owner\nA1,500,ben\nA2,5,ben\n")
    at.run("east", "2026-03-02", "--engine", engine)
    for day, said in (("2026-03-03", False), ("2026-03-04", False), ("2026-03-05", True), ("2026-03-09", True)):
        output = at.run("east", day, "--engine", engine).output
        assert ("has not loaded the decision on 1 record for 3 days; it is in changes.csv again: A1" in " ".join(output.split())) is said
    at.accounts("id,employees,owner\nA1,500,ann\nA2,5,ben\n")
    assert "has not loaded" not in at.run("east", "2026-03-10", "--engine", engine).output


@pytest.mark.parametrize("engine", ENGINES)
def test_changes_in_the_crm_that_rules_take_back_are_counted(engine: str, tmp_path: Path) -> None:
    at = Place(tmp_path, str(tmp_path / "state"))
    at.policy("east")
    at.accounts("id,employees,owner\nA1,500,ann\nA2,5,ben\n")
    at.run("east", "2026-03-02", "--engine", engine)
    at.accounts("id,employees,owner\nA1,500,ben\nA2,5,ben\n")
    output = at.run("east", "2026-03-03", "--engine", engine).output
    assert "1 by rules, 1 by hand, 0 by time; rules have undone 1 change in the CRM" in output
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["undone"] == 1
