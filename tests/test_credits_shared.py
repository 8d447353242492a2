"""Credits for records that are shared out: for those that are decided, for those that go with them, and for those that every task has."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, tasks
from effort import tries
from made_worlds import write_csv
from roe.share.plan import share

REPS = ("ann", "bob", "cy")
RULES = """roe: 1
name: credits
roles: [ae]
credits:
  sourcing:
    for: account
    rules:
      - {name: handed, when: account.former_owner != null, shares: {account.former_owner: 30, account.owner.ae: 70}, because: "{account.former_owner.name} had it"}
      - {name: all, shares: {account.owner.ae: 100}}
    disputes: {refer: vp, within: 2 days}
  closing:
    rules:
      - {name: family, when: opportunity.account.parent.name = "NA01", shares: {'"cy"': 100}, because: "of {opportunity.account.parent.name}"}
      - {name: large, when: opportunity.amount > 50, shares: {opportunity.account.owner.ae: 60, opportunity.partner.owner.ae: 40}, because: "{opportunity.account.owner.ae.name} owns it today"}
      - {name: small, when: opportunity.amount > 5, shares: {opportunity.owner.ae: 50, '"bob"': 50}}
    disputes: {refer: vp, within: 2 days}
  met:
    for: contact
    rules: [{name: all, when: contact.rep != null, shares: {contact.rep: 100}}]
fields: {opportunity: {partner: {type: account}}, contact: {rep: {type: rep}}}
engagement:
  account:
    ae:
      - {name: moved, when: 'account.country = "DE"', then: {assign: '"ann"'}}
      - {name: kept, then: keep}
"""  # fmt: skip


ALONE = RULES.replace("opportunity.partner.owner.ae", "'\"ann\"'")  # the owner of another account is asked for after the run


def written(folder: Path, seed: int, more: list[dict[str, Any]]) -> None:
    """Tables with disputes, of which a person has settled some; `more` are others."""
    rng = random.Random(seed)
    ids = [f"A{i:02}" for i in range(30)]
    tables: dict[str, list[dict[str, Any]]] = {
        "accounts": [
            {"id": x, "name": f"N{x}", "parent": rng.choice([*ids[:3], ""]), "owner": rng.choice([*REPS, ""]), "country": rng.choice(["DE", "US"]),
             "former_owner": rng.choice([*REPS, "", ""])} for x in ids
        ],
        "opportunities": [
            {"id": f"O{i}", "name": f"Deal {i}", "account": rng.choice(ids), "partner": rng.choice([*ids, "", ""]), "owner": rng.choice([*REPS, ""]),
             "amount": rng.choice([3, 20, 100, ""])} for i in range(40)
        ],
        "contacts": [{"id": f"C{i}", "rep": rng.choice([*REPS, ""])} for i in range(9)],
        "disputes": [
            {"id": f"D{i}", "credit": ("closing", "sourcing")[i % 2], "record": (f"O{i}", f"A0{i}")[i % 2], "by": "bob", "opened": "2026-01-30",
             "reason": "mine", "ruling": ("", "ann 50; bob 50", "bob")[i % 3], "ruled_by": "vp"} for i in range(9)
        ] + more,
        "reps": [{"id": x, "name": x.title()} for x in REPS],
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", list(rows[0]), rows)


@pytest.mark.parametrize("rules", ["all", "of other families"])
@pytest.mark.parametrize("seed", tries(range(1), range(4), range(30)))
def test_credits_are_those_of_records_that_are_all_together(seed: int, rules: str, tmp_path: Path) -> None:
    """Of accounts, their opportunities, and contacts, which are at every task. A partner's owner is asked for after the run, so it keeps all together."""
    text = ALONE if rules == "all" else RULES
    evaluator = roe.compile(roe.load(policy_text(tmp_path, text)))
    name, some = sorted(TASKS.items())[seed % len(TASKS)]
    for night in range(2):
        written(tmp_path / "data", seed + night, [])
        found = assert_alike({**ROWS, **COLUMNS, name: some}, evaluator, tmp_path / "data", f"2026-02-0{night + 1}", tmp_path)
        assert {x["rule"] for x in allocations(found)} == {"moved", "kept"}
        said = found["credits.csv"]
        for part in ("had it", "of NA01", "owns it today", ",contact,", "disputes it", "ruled by vp", "is not a split"):
            assert part in said, part
    assert some.together == ("" if rules == "all" else "the credit `closing` may look at owners of other accounts once they are decided")


def test_a_dispute_may_name_its_record_instead_of_giving_the_id(tmp_path: Path) -> None:
    evaluator, shared = roe.compile(roe.load(policy_text(tmp_path, ALONE))), tasks(3)
    for text in ("deal 7", "nothing"):
        dispute = {"id": "D99", "credit": "closing", "record": text, "by": "cy", "opened": "2026-01-31", "reason": "by name"}
        written(tmp_path / "data", 1, [dispute])
        found = assert_alike({**ROWS, "tasks": shared}, evaluator, tmp_path / "data", "2026-02-01", tmp_path, remembers=False)
        assert ("by name" in found["credits.csv"]) == (text == "deal 7")
        assert shared.together == ""


def test_what_is_credited_goes_with_the_record_that_its_rules_look_at(tmp_path: Path) -> None:
    found = share(roe.load(policy_text(tmp_path, ALONE)))
    assert not isinstance(found, str)
    assert found.children == {"opportunity": "account"}


def test_what_is_asked_after_a_run_sees_whom_it_took_records_from(tmp_path: Path) -> None:
    """Columns told only the rules of what is decided later."""
    text = """roe: 1
name: t
roles: [ae]
credits: {c: {for: account, rules: [{name: handed, when: account.former_owner != null, shares: {account.former_owner: 100}}]}}
invariants: [{name: same, every: account, holds: account.former_owner.ae = null and account.owner_since.ae != today, severity: warn}]
events: {account.handed: {when: account.former_owner != null, because: "{account.former_owner.name}"}}
engagement: {account: {ae: [{name: all, then: {assign: '"ann"'}}]}}
"""
    data = {"data__accounts_csv": "id,owner\nA1,bob\nA2,ann\nA3,\n", "data__reps_csv": "id\nann\nbob\n"}
    evaluator = roe.compile(roe.load(policy_text(tmp_path, text, **data)))
    found = assert_alike({**ROWS, **COLUMNS, "tasks": tasks(2)}, evaluator, tmp_path / "data", "2026-02-01", tmp_path)
    assert [x.split(",")[2:5] for x in found["credits.csv"].splitlines()[1:]] == [["A1", "", "bob"]]
    assert found["broken"]
