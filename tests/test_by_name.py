"""References by a name, a domain or an email instead of an id: tasks find the record that a run on one machine finds."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike
from in_tasks import InTasks

HEAD = "roe: 1\nname: t\nroles: [ae, sdr]\n"
CALLED = "engagement: {account: {ae: [{name: called, when: count(account.activities) > 0, then: {assign: ann}}, {name: rest, then: {assign: bob}}]}}\n"
REPS = "id\nann\nbob\ncy\n"
ACCOUNTS = """id,name,domain,employees
A1,Acme,acme.com,
A2,Bolt,bolt.com,
A3,ACME,,
A4,Cone,cone.com,
A5,Über,,
A6,Dune,,many
A7,dune,,
A8,Echo,echo.com,
A9,echo.com,,
"""
MEANT = {  # what some texts mean, by docs/data.md: an id, or a name, email or domain that only one record has
    "A2": "A2", "bolt": "A2", "BOLT.COM": "A2", "über": "A5", "acme": None, "acme.com": "A1", "nobody": None,
    "dune": "A7",  # A6 is rejected: its employees are no number
    "echo.com": None,  # the domain of one, the name of another
}  # fmt: skip


def owned(folder: Path, text: str, **data: str) -> tuple[dict[str, str], str]:
    """The owners of all records, which are the same by every engine; and why three tasks decided all at once, empty if they did not."""
    evaluator = roe.compile(roe.load(policy_text(folder, HEAD + text, **{f"data__{name}_csv": rows for name, rows in data.items()})))
    found = assert_alike({**ROWS, **COLUMNS, **TASKS}, evaluator, folder / "data", "2026-02-01", folder, remembers=False)
    shared = TASKS["3 tasks"]
    assert issubclass(shared, InTasks)
    return {x["record"]: x["owner"] for x in allocations(found)}, shared.together


@pytest.mark.parametrize("text", MEANT)
def test_an_activity_goes_with_the_account_that_it_names(text: str, tmp_path: Path) -> None:
    """Whichever task the others of that name are at."""
    found, together = owned(tmp_path, CALLED, accounts=ACCOUNTS, reps=REPS, activities=f"id,account\nT1,{text}\n")
    assert together == ""
    assert [record for record, owner in found.items() if owner == "ann"] == [x for x in [MEANT[text]] if x]


@pytest.mark.parametrize("text", MEANT)
def test_a_parent_and_its_owner_are_read_by_name(text: str, tmp_path: Path) -> None:
    """Also by an account above the one that names it, and by the list of children."""
    rules = """engagement:
  account:
    ae:
      - {name: above, when: account.parent.name != null and account.parent.parent = null, then: {assign: account.parent.owner.ae}}
      - {name: two-above, when: account.parent.parent.name != null, then: {assign: cy}}
      - {name: has-children, when: count(account.children) > 0, then: {assign: ann}}
      - {name: rest, then: open}
"""
    header, *lines = ACCOUNTS.splitlines()
    accounts = "\n".join([f"{header},owner,parent", *(f"{line},bob," for line in lines), f"B1,Bee,,,bob,{text}", "B2,,,,bob,B1", ""])
    found, together = owned(tmp_path, rules, accounts=accounts, reps=REPS)
    assert together == ""
    meant = MEANT[text]
    assert (found["B1"], found["B2"]) == (("bob", "cy") if meant else ("ann", "bob"))
    assert [x for x in found if x[0] == "A" and found[x] == "ann"] == ([meant] if meant else [])


LEADS = """engagement:
  account: {ae: [{name: large, when: account.employees > 10, then: {assign: ann}}, {name: rest, then: {assign: bob}}]}
  lead: {sdr: [{name: with-account, when: account.owner.ae != null, then: {assign: account.owner.ae}}, {name: rest, then: %s}]}
"""
SIZES = "id,name,domain,employees\nA1,Acme,,50\nA2,Bolt,bolt.com,5\nA3,Twice,,50\nA4,twice,,5\n"


def test_a_lead_that_names_its_account_gets_the_owner_that_this_is_given(tmp_path: Path) -> None:
    leads = "id,account\nL1,acme\nL2,A2\nL3,BOLT.com\nL4,Twice\nL5,nobody\n"
    found, together = owned(tmp_path, LEADS % "open", accounts=SIZES, reps=REPS, leads=leads)
    assert together == ""
    assert [found[f"L{n}"] for n in range(1, 6)] == ["ann", "bob", "bob", "", ""]


def test_a_pool_keeps_leads_together_that_name_their_account_in_different_ways(tmp_path: Path) -> None:
    """The task that gives out turns has the names of the accounts, too. Those who mean nobody take turns on their own."""
    rules = "pools: {p: {members: [ann, bob, cy], together: lead.account.id}}\nengagement:\n  account: {ae: [{name: rest, then: keep}]}\n  lead: {sdr: [{name: turn, then: {route: p}}]}\n"
    leads = "id,account\nL1,acme\nL2,A2\nL3,ACME\nL4,Twice\nL5,A1\nL6,twice\n"
    found, together = owned(tmp_path, rules, accounts=SIZES, reps=REPS, leads=leads)
    assert together == ""
    assert [found[f"L{n}"] for n in range(1, 7)] == ["ann", "bob", "ann", "cy", "ann", "ann"]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("MOST_LOST", "more than 1 references to account records are not ids, and may be names"),
        ("MOST_NAMES", "more than 1 different references to account records are names"),
        ("MOST_OF_A_NAME", "more than 1 account records have the same name, and others refer to it"),
    ],
)
def test_too_many_names_are_decided_at_once(limit: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"roe.share.names.{limit}", 1)
    found, together = owned(tmp_path, CALLED, accounts=ACCOUNTS, reps=REPS, activities="id,account\nT1,Acme\nT2,Bolt\n")
    assert together == reason
    assert [record for record, owner in found.items() if owner == "ann"] == ["A2"]


@pytest.mark.parametrize("text", MEANT)
def test_an_exception_and_a_dispute_hold_for_the_record_that_they_name(text: str, tmp_path: Path) -> None:
    """They are at every task. Where several records have the name, a task with one of them would take it for the only one."""
    rules = f"""exceptions: [{{entity: account, record: "{text}", role: ae, owner: ann, approved_by: vp, reason: a friend, until: 2026-06-01}}]
credits: {{sourcing: {{for: account, rules: [{{name: all, shares: {{account.owner.ae: 100}}}}], disputes: {{refer: vp, within: 2 days}}}}}}
engagement: {{account: {{ae: [{{name: rest, then: {{assign: bob}}}}]}}}}
"""
    disputes = f"id,credit,record,by,opened,reason\nD1,sourcing,{text},cy,2026-01-30,mine\n"
    found, together = owned(tmp_path, rules, accounts=ACCOUNTS, reps=REPS, disputes=disputes)
    assert [record for record, owner in found.items() if owner == "ann"] == [x for x in [MEANT[text]] if x]
    with (tmp_path / "3 tasks" / "out" / "credits.csv").open(encoding="utf-8") as file:
        assert {x["record"] for x in csv.DictReader(file) if "disputes it" in x["reason"]} == {x for x in [MEANT[text]] if x}
    several = "an exception or a dispute gives a name that several account records have"
    assert together == (several if text in ("acme", "dune", "echo.com") else "")
