"""Rules that look at other accounts, such as the parent: tasks get these to be read, and write what a run by rows writes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import tries
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, allocations, assert_alike, tasks
from in_tasks import InTasks
from made_worlds import write_csv, write_parquet
from roe.columns import load

RULES = """roe: 1
name: families
roles: [ae]
define: {account.calls: count(account.activities)}
invariants:
  - {name: called, every: account, holds: account.parent.calls > 0, severity: warn}
  - {name: few, every: run, holds: moved_share < 0.1, severity: warn}
  - {name: stays, every: run, holds: vanished = 0, severity: warn}
data: {account: {complete: true}}
engagement:
  account:
    ae:
      - {name: called, when: account.parent.calls > 1, then: {assign: account.parent.owner.ae}, because: "with {account.parent.name}"}
      - {name: family, when: 'account.ultimate_parent.country = "US" and count(account.ancestors) > 1', then: {assign: ann}, because: "of {account.ultimate_parent.name}"}
      - {name: heads, when: count(account.children) > 1, then: {assign: "account.children[1].owner.ae"}}
      - {name: before, when: account.parent.former_owner.ae != null, then: {assign: account.parent.former_owner.ae}}
      - {name: kept, then: keep}
"""
REPS = [{"id": x, "name": x.title()} for x in ("ann", "bob", "cy")]


def family(seed: int) -> list[dict[str, Any]]:
    """Accounts with parents in other tasks and their own, some in circles, some that nobody has, some of rows that are rejected."""
    rng = random.Random(seed)
    ids = [f"A{i:02}" for i in range(60)]
    rows = [
        {
            "id": x, "name": f"N{n}", "country": rng.choice(["US", "DE"]), "parent": rng.choice([*ids[max(0, n - 20) : n] * 4, *ids[:9], "nowhere", *[None] * 20]),
            "owner": rng.choice(["ann", "bob", "cy", None]), "deleted": "yes" if rng.random() < 0.1 else None,
        }
        for n, x in enumerate(ids)
    ]  # fmt: skip
    return [*rows, {**rows[3], "name": "twice"}, dict(rows[5])]


def written(folder: Path, rows: list[dict[str, Any]], calls: list[dict[str, Any]], form: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, table in (("accounts", rows), ("activities", calls), ("reps", REPS)):
        (write_parquet if form == "parquet" else write_csv)(folder / f"{name}.{form}", list(table[0]), table)


FAMILIES = ((1, "csv", 4), (2, "parquet", 7), (3, "parquet", 1))


@pytest.mark.parametrize(("seed", "form", "number"), tries(FAMILIES[:1], FAMILIES, FAMILIES))
def test_other_accounts_of_the_family_are_read_night_after_night(
    seed: int, form: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator, rows, rng = roe.compile(roe.load(policy_text(tmp_path, RULES))), family(seed), random.Random(seed)
    calls = [{"id": f"T{i}", "account": rng.choice([*(x["id"] for x in rows), "gone"])} for i in range(80)]
    monkeypatch.setattr("roe.share.kind.MANY", 5)  # records of a task
    shared, fired = tasks(number), set[str]()
    for night in range(3):
        written(tmp_path / "data", rows, calls, form)
        found = assert_alike({**ROWS, **COLUMNS, "tasks": shared}, evaluator, tmp_path / "data", f"2026-02-0{night + 1}", tmp_path)
        assert shared.together == ""
        fired.update(x["rule"] for x in allocations(found))
        loads = {x["record"]: x["owner"] for x in allocations(found) if rng.random() < 0.6}
        rows = [{**x, "owner": loads.get(x["id"], rng.choice(["ann", "bob", x["owner"]])) or None} for x in rows if rng.random() > 0.05]
    assert fired == {"called", "family", "heads", "before", "kept"}


def test_a_task_gets_those_that_its_own_lead_to_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain of parents each task has what is above its own accounts, with the calls of these."""
    came: list[tuple[str, list[str], list[str]]] = []
    host = load._host

    def seen(table: Any, guests: Any) -> None:
        came.append((table.reading.entity, table.ids.to_pylist(), guests.ids.to_pylist()))
        host(table, guests)

    monkeypatch.setattr(load, "_host", seen)
    rules = "engagement: {account: {ae: [{name: called, when: account.ultimate_parent.calls = 2, then: {assign: ann}}, {name: kept, then: keep}]}}"
    policy = "roe: 1\nname: chain\nroles: [ae]\ndefine: {account.calls: count(account.activities)}\n"
    evaluator = roe.compile(roe.load(policy_text(tmp_path, policy + rules)))
    rows = [{"id": f"A{i}", "parent": f"A{i - 1}" if i % 3 else None} for i in range(9)]  # A0 <- A1 <- A2, A3 <- A4 <- A5, A6 <- A7 <- A8
    written(tmp_path / "data", rows, [{"id": f"T{i}", "account": f"A{i // 2 * 3}"} for i in range(4)], "csv")
    shared = tasks(4)
    found = assert_alike({**ROWS, "tasks": shared}, evaluator, tmp_path / "data", "2026-02-01", tmp_path, remembers=False)
    assert shared.together == ""
    assert [x["record"] for x in allocations(found) if x["owner"] == "ann"] == ["A0", "A1", "A2", "A3", "A4", "A5"]
    accounts = [(own, guests) for entity, own, guests in came if entity == "account"]
    above = {x["id"]: x["parent"] for x in rows}
    for own, guests in accounts:
        wanted = {above[x] for x in own} | {above.get(above[x] or "") for x in own}
        assert sorted(guests) == sorted(x for x in wanted if x is not None and x not in own)
    assert sum(len(guests) for _, guests in accounts) == 3  # A0 and A1 of A2, A3 of A4


def said(rules: str, rows: list[dict[str, Any]], folder: Path) -> str:
    """Why tasks decide all accounts at once, empty if they do not; their files are those of rows."""
    evaluator = roe.compile(roe.load(policy_text(folder, f"roe: 1\nname: t\nroles: [ae]\n{rules}")))
    written(folder / "data", rows, [{"id": "T1", "account": "A1"}], "csv")
    shared: type[InTasks] = tasks(3)
    assert_alike({**ROWS, "tasks": shared}, evaluator, folder / "data", "2026-02-01", folder, remembers=False)
    return shared.together


PARENTS = 'engagement: {account: {ae: [{name: us, when: account.parent.country = "US", then: {assign: ann}}, {name: kept, then: keep}]}}\n'
SIX = [{"id": f"A{i}", "name": f"Name {i}", "country": "US", "owner": "bob", "parent": None} for i in range(6)]


@pytest.mark.parametrize("parent", ["nowhere", "A9", "name 3", "Ünknown", "ÜBER"])
def test_references_that_are_no_ids_lead_nowhere_or_are_names(parent: str, tmp_path: Path) -> None:
    """Neither keeps records together."""
    rows = [*SIX, {**SIX[0], "id": "A6", "name": "über"}, {**SIX[0], "id": "A7", "parent": parent}]
    assert said(PARENTS, rows, tmp_path) == ""


def test_owners_of_others_that_are_asked_for_afterwards_take_all_records(tmp_path: Path) -> None:
    """An invariant looks at what was decided: the owners that a task knows of other accounts are those from before."""
    held = "invariants: [{name: same, every: account, holds: account.owner.ae = account.parent.owner.ae, severity: warn}]\n"
    rows = [*SIX, {**SIX[0], "id": "A7", "parent": "A3"}]
    reason = "the invariant `same` may look at owners of other accounts once they are decided"
    assert said(held + PARENTS, rows, tmp_path) == reason


def test_chains_that_do_not_end_soon_and_families_of_everybody_are_decided_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [{**SIX[0], "id": f"A{i:03}", "parent": f"A{(i * 7 + 7) % 300:03}"} for i in range(299)]
    monkeypatch.setattr("roe.share.guests.ROUNDS", 5)
    rules = PARENTS.replace("account.parent", "account.ultimate_parent")
    assert said(rules, chain, tmp_path) == "references lead on from one account to another more than 5 times"
    monkeypatch.setattr("roe.share.guests.OFTEN", 0)
    assert said(rules, chain, tmp_path / "other") == "most account records are read for many others"


def test_pools_that_look_at_the_parent_take_all_records(tmp_path: Path) -> None:
    rules = "pools: {p: {members: 'rep.name = account.parent.name'}}\nengagement: {account: {ae: [{name: all, then: {route: p}}]}}\n"
    assert said(rules, SIX, tmp_path).startswith("a pool reads more about each account than its own fields")


def test_no_account_has_no_ancestors(tmp_path: Path) -> None:
    rules = "engagement: {account: {ae: [{name: deep, when: count(account.ancestors) > 0, then: {assign: ann}}]}}\n"
    evaluator = roe.compile(roe.load(policy_text(tmp_path, f"roe: 1\nname: t\nroles: [ae]\n{rules}", data__accounts_csv="id,parent\n")))
    found = assert_alike({**ROWS, **COLUMNS, "tasks": tasks(2)}, evaluator, tmp_path / "data", "2026-02-01", tmp_path, remembers=False)
    assert allocations(found) == []


def test_rows_that_are_there_twice_say_when_the_data_was_changed_last(tmp_path: Path) -> None:
    """All engines take the same moment for the one up to which complete data is known."""
    rules = "data: {account: {complete: true}}\nengagement: {account: {ae: [{name: kept, then: keep}]}}\n"
    evaluator = roe.compile(roe.load(policy_text(tmp_path, f"roe: 1\nname: t\nroles: [ae]\n{rules}")))
    row = {"id": "A1", "owner": "ann", "modified_at": "2026-01-10T00:00:00Z"}
    for day, rows in (
        ("2026-02-01", [row, {**row, "id": "A2"}]),
        ("2026-02-02", [row, *({"id": "A3", "owner": x, "modified_at": "2026-01-20T00:00:00Z"} for x in ("ann", "bob"))]),
    ):
        written(tmp_path / "data", rows, [{"id": "T1", "account": "A1"}], "csv")
        found = assert_alike({**ROWS, **COLUMNS, "tasks": tasks(2)}, evaluator, tmp_path / "data", day, tmp_path)
    assert [(x.record, str(x.read_at)[:10]) for x in found["ledger"] if x.KIND == "deleted"] == [("A2", "2026-01-20")]
