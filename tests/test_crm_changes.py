"""Owners that somebody else than a person changes in the CRM: an integration, or the CRM itself, which passes an account's owner on."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import roe
from helpers import policy_text
from ledgers import STORES, Engines
from roe.cli import main
from roe.diagnostics import PolicyError
from roe.ledger.entries import Loaded, Owned, TurnBack
from roe.ledger.store import open_store
from roe.run.adjust import Correction, correct

pytest.importorskip("pyarrow")

POLICY = """roe: 1
name: systems
data: {opportunity: {optional: true}}
roles: [ae]
fields: {account: {wants: rep}}
crm: {systems: {Router: [u7, u8]}, cascade: {opportunity: account}}
by_hand: {account: {ae: {keep: 5 days}}, opportunity: {ae: keep}}
engagement:
  account:
    ae: [{name: wanted, when: account.wants != null, then: {assign: account.wants}}, {name: rest, then: keep}]
  opportunity:
    ae: [{name: big, when: opportunity.amount > 10, then: {assign: cal}}, {name: with, then: {assign: opportunity.account.owner.ae}}]
"""
HEADS = {"accounts": "id,owner,wants,modified_by", "opportunities": "id,account,amount,owner", "reps": "id,name"}
REPS = ["ann,Ann", "ben,Ben", "cal,Cal"]


@pytest.mark.parametrize("kind", STORES)
def test_an_owner_that_the_crm_passes_on_is_not_a_change_by_hand(kind: str, tmp_path: Path) -> None:
    """The CRM passes A's new owner on to O2, which a rule has given to Cal: O2 stays Cal's, and is written again."""
    engines = Engines(kind, tmp_path, POLICY, HEADS)

    def night(day: int, account: str, *owners: str) -> tuple[list[str], dict[str, str]]:
        deals = [f"O{i},A,{amount},{owner}" for i, amount, owner in zip((1, 2), (5, 50), owners, strict=True)]
        found = engines.night(f"2026-03-{day:02}", reps=REPS, accounts=[f"A,{account},u1"], opportunities=deals)
        return [x["owner"] for x in found["allocations"]], {x["record"]: x["value"] for x in found["changes"]}

    assert night(1, "ben,ann", "ben", "ben") == (["ann", "ann", "cal"], {"A": "ann", "O1": "ann", "O2": "cal"})
    assert night(2, "ann,ann", "ann", "ann") == (["ann", "ann", "cal"], {"O2": "cal"})
    assert night(3, "ann,ben", "ann", "cal") == (["ben", "ben", "cal"], {"A": "ben", "O1": "ben"})
    assert night(4, "ben,ben", "ben", "ben") == (["ben", "ben", "cal"], {"O2": "cal"})
    assert night(5, "ben,ben", "ben", "ben") == (["ben", "ben", "cal"], {"O2": "cal"})
    assert night(6, "ben,ben", "ann", "cal") == (["ben", "ann", "cal"], {})  # of O1 that was a person
    deal = [(type(e), e.rep, getattr(e, "by", "")) for e in engines.entries() if isinstance(e, (Owned, Loaded)) and e.record == "O2"]
    assert deal == [
        (Owned, "ben", "import"), (Owned, "cal", "rule"), (Loaded, "ann", ""), (Loaded, "cal", ""), (Loaded, "ben", ""), (Loaded, "cal", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", STORES)
def test_a_change_by_an_integration_has_its_name(kind: str, tmp_path: Path) -> None:
    engines = Engines(kind, tmp_path, POLICY, HEADS)
    accounts = ["A,ben,,u1", "B,ben,ben,u1"], ["A,ann,,u8", "B,cal,ben,u1"], ["A,ann,,u8", "B,ann,ben,u7"], ["A,ann,,u1", "B,ann,ben,u7"]
    said = [
        {x["record"]: (x["owner"], x["rule"]) for x in engines.night(f"2026-03-0{n}", reps=REPS, accounts=rows)["allocations"]}
        for n, rows in enumerate(accounts, 1)
    ]
    assert said[1:] == [
        {"A": ("ann", "by-hand"), "B": ("cal", "by-hand")}, {"A": ("ann", "by-hand"), "B": ("ann", "by-hand")},
        {"A": ("ann", "by-hand"), "B": ("ann", "by-hand")},
    ]  # fmt: skip
    changes = [
        (e.record, e.rep, e.by, e.system) for e in engines.entries() if isinstance(e, Owned) and e.at.date.day > 1 and e.rep != e.former
    ]
    assert sorted(changes) == [("A", "ann", "system", "Router"), ("B", "ann", "system", "Router"), ("B", "cal", "hand", "")]


FOUGHT = """roe: 1
name: fought
roles: [ae]
crm: {systems: {Router: [u7]}}
engagement: {account: {ae: [{name: cal, then: {assign: cal}}]}}
"""


def test_a_record_that_an_integration_and_the_rules_fight_over_is_named(tmp_path: Path) -> None:
    """A is changed by the integration, and B by a person; only A is named, and only when it is changed a second time."""
    policy = policy_text(tmp_path / "policy", FOUGHT)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reps.csv").write_text("\n".join(["id,name", *REPS, ""]), "utf-8")
    said = []
    for n, (a, b) in enumerate((("cal,u1", "cal,u1"), ("ann,u7", "ann,u1"), ("cal,u1", "cal,u1"), ("ben,u7", "ben,u1")), 1):
        (tmp_path / "data" / "accounts.csv").write_text(f"id,owner,modified_by\nA,{a}\nB,{b}\n", "utf-8")
        where = ("--data", tmp_path / "data", "--state", tmp_path / "state", "--out", tmp_path / "out")
        asked = map(str, ("run", policy, "--as-of", f"2026-03-0{n}", *where))
        said.append(CliRunner().invoke(main, list(asked), catch_exceptions=False).output)
    assert ["from each other again" in text for text in said] == [False, False, False, True]
    assert "Router and the rules take 1 record from each other again and again: A;" in " ".join(said[3].split())


def test_the_next_run_decides_on_a_corrected_owner_and_writes_what_the_crm_must_load(tmp_path: Path) -> None:
    engines = Engines("sqlite", tmp_path, POLICY, HEADS)
    engines.night("2026-03-01", reps=REPS, accounts=["A,ben,,u1", "B,cal,,u1"])
    for state in engines.states.values():
        with open_store(state) as store:
            number = store.of_record("account", "A", ("owned",))[0].number
        correct(Correction(number, "cal", "Mia", "a typing error"), state)
    found = [engines.night(f"2026-03-0{n}", accounts=[f"A,{a},,u1", "B,cal,,u1"]) for n, a in ((2, "ben"), (3, "cal"), (4, "ben"))]
    assert [[(x["owner"], x["rule"]) for x in night["allocations"] if x["record"] == "A"] for night in found] == [
        [("cal", "rest")], [("cal", "rest")], [("ben", "by-hand")],
    ]  # fmt: skip
    assert [[x["value"] for x in night["changes"]] for night in found] == [["cal"], [], []]


def test_a_cascade_names_a_record_with_an_owner(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as problem:
        roe.compile(roe.load(policy_text(tmp_path, POLICY.replace("{opportunity: account}", "{opportunity: stage}"))))
    assert "`stage` of opportunity is not a record with an owner" in str(problem.value)


@pytest.mark.parametrize("kind", STORES)
def test_a_load_that_the_crm_refuses_is_told_and_tried_again(kind: str, tmp_path: Path) -> None:
    engines = Engines(kind, tmp_path, POLICY, HEADS)
    state, data = engines.states["columns"], {"reps": REPS, "accounts": ["A,ben,ann,u1", "B,ben,ben,u1"]}
    engines.night("2026-03-01", **data)
    file = tmp_path / "error.csv"
    file.write_text("record,value,reason,ERROR\nA,ann,by a rule,INACTIVE_OWNER: Ann is not active\nB,ben,,x\n", "utf-8")
    asked = ["ledger", "refused", str(file), "--state", state]
    first, second = (CliRunner().invoke(main, asked).output for _ in range(2))
    assert first == "1 refused load noted\n1 record has no decision that waits to be loaded: B\n"
    assert second.startswith("0 refused loads noted")  # the same file says nothing new
    told = CliRunner().invoke(main, ["history", "A", "--state", state]).output
    assert "the CRM refuses to load the decision" in told and "INACTIVE_OWNER: Ann is not active" in told
    found = engines.night("2026-03-02")
    assert [(x["record"], x["value"]) for x in found["changes"]] == [("A", "ann")]  # it stays, and is written again


@pytest.mark.parametrize(("text", "said"), [("name,ERROR\nA,x\n", "no column of records"), ("record,value\nA,x\n", "no column of reasons")])
def test_a_file_that_is_not_a_loaders_is_refused(text: str, said: str, tmp_path: Path) -> None:
    Engines("sqlite", tmp_path, POLICY, HEADS).night("2026-03-01", reps=REPS, accounts=["A,ben,ann,u1"])
    (tmp_path / "error.csv").write_text(text, "utf-8")
    done = CliRunner().invoke(main, ["ledger", "refused", str(tmp_path / "error.csv"), "--state", str(tmp_path / "columns" / "state")])
    assert done.exit_code != 0 and said in done.output


CLOSED = """roe: 1
name: closed
roles: [sdr]
pools: {desk: {members: [ann, ben], together: never}}
engagement: {lead: {sdr: [{name: turn, then: {route: desk}}]}}
"""


@pytest.mark.parametrize("kind", STORES)
def test_a_lead_that_was_cleared_while_it_was_closed_is_given_anew(kind: str, tmp_path: Path) -> None:
    """Its turn is over, and the ledger says so."""
    engines = Engines(kind, tmp_path, CLOSED, {"leads": "id,created,converted,owner_sdr", "reps": "id,name"})
    nights = (("no,", "ann"), ("no,ann", "ann"), ("yes,", ""), ("no,", "ben"))
    for day, (cells, owner) in enumerate(nights, 2):
        found = engines.night(f"2026-03-0{day}", leads=[f"L,2026-03-01,{cells}"], reps=["ann,Ann", "ben,Ben"])
        assert [x["owner"] for x in found["allocations"]] == [owner], day
    assert [(e.at.date.day, e.rep) for e in engines.entries() if isinstance(e, TurnBack)] == [(4, "ann")]


@pytest.mark.parametrize("kind", STORES)
def test_a_row_from_before_a_record_was_first_seen_without_an_owner_changes_nothing(kind: str, tmp_path: Path) -> None:
    """The CRM showed nobody on 3 March; that Ben had the lead two days before is not a change by hand, and the pool's Ann keeps it."""
    engines = Engines(kind, tmp_path, CLOSED, {"leads": "id,created,owner_sdr,modified_at", "reps": "id,name"})
    for day, cells in enumerate((",2026-03-03T08:00Z", "ben,2026-03-01T08:00Z", ",2026-03-03T08:00Z"), 3):
        found = engines.night(f"2026-03-0{day}", leads=[f"L,2026-03-01,{cells}"], reps=["ann,Ann", "ben,Ben"])
        assert [x["owner"] for x in found["allocations"]] == ["ann"], day
    assert [e.by for e in engines.entries() if isinstance(e, Owned)] == ["pool"]
