"""Rules that ask for the past: who had a record (`account.owners`, `owner_at`), and what a tracked field was (`value_at`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from roe.cache import load_policy
from roe.evaluator.engine import Evaluator
from roe.ledger.state import past
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source

POLICY = """
roe: 1
name: past
roles: [ae, sdr]
track: [opportunity.stage, account.segment, account.employees, account.created]
define:
  account.first: earliest(account.owners[role = "ae"], from).who
  account.moves: count(account.owners[role = "ae" and from > today - 60 days])
  account.then: owner_at(account, "ae", today - 10 days)
  account.was: value_at(account.segment, today - 10 days)
  account.grew: account.employees - value_at(account.employees, today - 1 day)
engagement:
  account:
    ae:
      - {name: back, when: account.segment = "back" and account.then != null, then: {assign: account.then}, because: "{account.first.name} {account.moves} {account.was}"}
      - {name: us, when: 'account.country = "US"', then: {assign: ann}, because: "{account.first.name} {account.moves} {account.grew}"}
      - {name: rest, then: {assign: ben}, because: '{account.owners[role = "ae"].who.name} {account.owners.from} {account.owners.until} {account.owners[role = "ae"].by}'}
    sdr:
      - {name: keep, then: keep, because: '{owner_at(account, "sdr", account.created)}'}
  opportunity:
    ae:
      - name: stuck
        when: value_at(opportunity.stage, today - 10 days) = opportunity.stage
        then: {assign: 'owner_at(opportunity.account, "ae", today)'}
        because: "in {opportunity.stage} for ten days; {count(opportunity.account.owners)} owners"
      - {name: moving, then: keep, because: '{value_at(opportunity.stage, now)}'}
"""
REPS = "id,name\nann,Ann\nben,Ben\ncy,Cy\n"
NIGHTS = {
    "2026-03-01": (
        "id,country,segment,employees,created,owner,owner_sdr,owner_since\nA1,US,,10,2026-02-01,cy,ben,2026-01-01\nA2,DE,x,,2026-02-01,,,\n",
        "id,account,stage,owner\nO1,A1,open,ben\nO2,A2,new,\n",
    ),
    "2026-03-11": (
        "id,country,segment,employees,created,owner,owner_sdr,owner_since\nA1,DE,,15,2026-02-01,ann,ben,\nA2,DE,y,5,2026-03-02,ben,,\n",
        "id,account,stage,owner\nO1,A1,open,ben\nO2,A2,won,\n",
    ),
    "2026-03-12": (
        "id,country,segment,employees,created,owner,owner_sdr,owner_since\nA1,DE,back,15,2026-02-01,ben,cy,\nA2,US,back,,2026-03-02,ben,,\n",
        "id,account,stage,owner\nO1,A1,won,ben\nO2,A2,won,\n",
    ),
    "2026-03-13": (
        "id,country,segment,employees,created,owner,owner_sdr,owner_since\nA1,DE,,15,2026-02-01,cy,cy,\nA2,FR,z,9,2026-03-02,ann,,\n",
        "id,account,stage,owner\nO1,A1,open,ann\nO2,A2,lost,\n",
    ),
}


def evaluator(folder: Path, text: str = POLICY) -> Evaluator:
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(text, "utf-8")
    policy, problems = load_policy(folder)
    assert policy is not None, problems
    return Evaluator(policy)


def nights(made: Evaluator, folder: Path, engine: str) -> list[str]:
    """The allocations of all nights, as the run writes them."""
    found = []
    for day, (accounts, opportunities) in NIGHTS.items():
        data = folder / f"data-{day}"
        data.mkdir(parents=True)
        for name, text in (("accounts", accounts), ("opportunities", opportunities), ("reps", REPS)):
            (data / f"{name}.csv").write_text(text, "utf-8")
        run(Job(made, Source(made.policy, data), day), folder / "out", RunOptions(state=str(folder / "state"), engine=engine))
        found.append((folder / "out" / "allocations.csv").read_text("utf-8"))
    return found


def test_rows_and_columns_read_the_same_past(tmp_path: Path) -> None:
    made = evaluator(tmp_path / "policy")
    rows, columns = (nights(made, tmp_path / engine, engine) for engine in ("rows", "columns"))
    assert rows == columns
    lines = {line.split(",")[1]: line for line in rows[3].splitlines() if ",ae," in line}
    # cy had it first (by the data), then ann for ten days, ben for a day, ann by the rule that looks ten days back; today cy by hand
    said = lines["A1"].replace('"', "")
    assert "Cy, Ann, Ben, Ann, Cy" in said and "import, rule, rule, rule, hand" in said


def test_the_past_is_what_the_nights_said(tmp_path: Path) -> None:
    """By hand: who had A1 and what the stage of O1 was, day by day."""
    made = evaluator(tmp_path / "policy")
    nights(made, tmp_path / "n", "rows")
    from roe.ledger.store import open_store

    with open_store(tmp_path / "n" / "state") as store:
        known = past(store)["past"]
        assert [x[:3] for x in known["owners"]["account|A1|ae"]] == [
            ["cy", "2026-01-01", "2026-03-01"], ["ann", "2026-03-01", "2026-03-11"], ["ben", "2026-03-11", "2026-03-12"],
            ["ann", "2026-03-12", "2026-03-13"], ["ben", "2026-03-13", None],
        ]  # fmt: skip
        assert known["seen"]["opportunity|O1|stage"] == [["2026-03-01", "open"], ["2026-03-12", "won"], ["2026-03-13", "open"]]
        assert known["seen"]["account|A1|employees"] == [["2026-03-01", 10], ["2026-03-11", 15]]
        assert known["seen"]["account|A2|created"] == [["2026-03-01", "2026-02-01"], ["2026-03-11", "2026-03-02"]]
        assert store.rebuild()


def test_without_a_ledger_only_today_is_known(tmp_path: Path) -> None:
    made = evaluator(tmp_path / "policy")
    tables = {"account": [{"id": "A1", "country": "US", "owner": "cy", "owner_since": "2026-01-05"}], "rep": [{"id": "cy", "name": "Cy"}]}
    row = made.bind(tables, as_of="2026-03-01").world.rows["account"][0]
    assert [(x["who"]["id"], str(x["from"]), x["until"]) for x in row["owners"]] == [("cy", "2026-01-05", None)]
    assert row["then"]["id"] == "cy" and row["was"] is None


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ('value_at(account.country, today) = "US"', "R211"),
        ('value_at(account.contry, today) = "US"', "R204"),
        ('owner_at(account, "csm", today) != null', "R502"),
        ('owner_at(account.country, "ae", today) != null', "R205"),
        ('owner_at(account, "ae", 5) != null', "R205"),
        ('owner_at(account, "ae") != null', "R203"),
        ("account.owners.whom = null", "R204"),
        ("value_at(account.segment, today) > 5", "R205"),
    ],
)
def test_a_wrong_question_is_said(condition: str, code: str, tmp_path: Path) -> None:
    text = POLICY.replace("""account.country = "US"'""", condition.replace("'", "''") + "'")
    (tmp_path / "policy.yaml").write_text(text, "utf-8")
    policy, problems = load_policy(tmp_path)
    assert policy is None and code in {p.code for p in problems}, problems


@pytest.mark.parametrize(
    ("track", "code"), [("deal.stage", "R504"), ("account.stagee", "R204"), ("account.activities", "R205"), ("account.owner", "R205")]
)
def test_a_field_that_cannot_be_tracked_is_said(track: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("track: [", f"track: [{track}, "), "utf-8")
    policy, problems = load_policy(tmp_path)
    assert policy is None and code in {p.code for p in problems}, problems


def test_a_policy_read_back_from_the_cache_asks_the_same(tmp_path: Path) -> None:
    first = evaluator(tmp_path).policy.plan.past
    again, _ = load_policy(tmp_path)
    assert again is not None and again.plan.past == first and first.looks_back
