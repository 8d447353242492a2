"""Every engine says the same of random worlds, night after night: files, ledger, invariants, and what explains any decision.

Every day a few worlds, with ROE_HEAVY=1 200 of them. One that differs is `world_of(seed, folder)`. Below them are the differences that were
found so, each as the smallest policy that shows it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import HEAVY, tries
from helpers import AS_OF, policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, assert_alike_in_nights, assert_example_alike
from made_features import FEATURES, KINDS
from made_pools import Nights
from made_without import WITHOUT
from made_worlds import world_of
from roe.columns.evidence import RunEvidence
from roe.columns.explained import decide
from roe.columns.run import ColumnRun
from roe.columns.world import ColumnWorld
from roe.evaluator.bound import Bound
from roe.evaluator.reps import misnamed
from roe.ledger.role_tables import of_mapping
from roe.ledger.state import OwnersByKey
from told import assert_told, assert_traces, before

BLOCK, BLOCKS = tries(len(KINDS), 2 * len(KINDS), 20), tries(1, 1, 10)


@pytest.mark.parametrize("first", range(0, BLOCK * BLOCKS, BLOCK))
def test_rows_columns_and_tasks_night_after_night(first: int, tmp_path: Path) -> None:
    """The CRM loads most of what was decided between two nights."""
    for seed in range(first, first + BLOCK):
        some = TASKS if HEAVY else dict([sorted(TASKS.items())[(seed + seed // len(TASKS)) % len(TASKS)]])
        assert_alike_in_nights(world_of(seed, tmp_path / str(seed)), {**ROWS, **COLUMNS, **some}, seed)


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_examples_night_after_night(name: str, tmp_path: Path) -> None:
    """The second night has the data of the first one and its ledger."""
    some = TASKS if HEAVY else {"portions": TASKS["portions"]}
    form = ("csv", "parquet")[len(name) % 2]
    assert_example_alike(name, tmp_path, {**ROWS, **COLUMNS, **some}, form=form)


@pytest.mark.parametrize("first", range(0, BLOCK * BLOCKS, BLOCK) if HEAVY else [0])
def test_pools_night_after_night(first: int, tmp_path: Path) -> None:
    """Reps have some of the records of waiting companies already; nobody decides all records in one task."""
    for seed in range(first, first + (BLOCK if HEAVY else 3)):
        nights = Nights(seed, tmp_path / str(seed))
        name, tasks = sorted(TASKS.items())[seed % len(TASKS)]
        try:
            for _ in range(3):
                nights.write()
                engines = {**ROWS, **COLUMNS, name: tasks}
                found = assert_alike(engines, nights.evaluator, nights.data, nights.as_of, nights.folder, remembers=seed % 4 > 0)
                assert tasks.together == ""
                nights.a_day_passes(allocations(found))
        except AssertionError as e:
            raise AssertionError(f"nights {seed}: {e}") from e


@pytest.mark.parametrize("first", range(0, BLOCK * BLOCKS, BLOCK) if HEAVY else [2])
def test_explanations_tell_what_runs_decide(first: int, tmp_path: Path) -> None:
    """Before the ledger knows anything, and on the night after."""
    looked_at, some = 0, 3 if HEAVY else 1
    for seed in range(first, first + (BLOCK if HEAVY else 1)):
        world = world_of(seed, tmp_path / str(seed))
        try:
            for _ in range(2):
                world.write()
                told = before(world, world.folder / "rows" / "state", some)
                looked_at += assert_traces(world, some)
                found = assert_alike(ROWS, world.evaluator, world.data, world.as_of, world.folder, **world.options)
                if "refused" in found:
                    break
                looked_at += assert_told(told, allocations(found))
                world.a_day_passes(allocations(found))
        except AssertionError as e:
            raise AssertionError(f"world {seed}: {e}") from e
    assert looked_at


# --- what worlds have ----------------------------------------------------------------------------------------------------


def nights(seed: int, folder: Path, leave_out: str = "") -> dict[str, list[str]]:
    """What rows say of two nights of a world: each file, the invariants and the ledger, as texts."""
    world, said = world_of(seed, folder, leave_out), dict[str, list[str]]()
    for _ in range(2):
        world.write()
        found = assert_alike(ROWS, world.evaluator, world.data, world.as_of, folder, **world.options)
        for part, content in found.items():
            said.setdefault(part.partition(".")[0], []).append(str(content))
        assert "refused" not in found, found
        world.a_day_passes(allocations(found))
    return said


def test_every_feature_is_in_some_worlds(tmp_path: Path) -> None:
    """And not in all of those of its kind, but for what the rules themselves have."""
    worlds = [world_of(seed, tmp_path / str(seed)) for seed in range(80)]
    for name in FEATURES.keys() | WITHOUT.keys():
        assert 3 <= sum(name in world.features for world in worlds) <= (70 if name in FEATURES else 80), name


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1")
@pytest.mark.parametrize("name", [*FEATURES, *WITHOUT])
def test_every_feature_changes_what_is_decided(name: str, tmp_path: Path) -> None:
    """Somewhere: else no difference between engines would show in it."""
    part = FEATURES[name].file if name in FEATURES else WITHOUT[name][1]
    for seed in range(200):
        if name in world_of(seed, tmp_path / "look").features:
            with_it, without = nights(seed, tmp_path / f"{seed}"), nights(seed, tmp_path / f"{seed} without", name)
            if with_it.get(part) != without.get(part):
                return
    raise AssertionError(f"{name} never matters")


# --- what was found ------------------------------------------------------------------------------------------------------


def both(folder: Path, **more: Any) -> dict[str, Any]:
    """A run by rows, with whose files those in columns are compared."""
    evaluator = roe.compile(roe.load(folder))
    return assert_alike({**ROWS, **COLUMNS}, evaluator, folder / "data", "2026-02-01", folder, remembers=False, **more)


RULES = "engagement: {lead: {sdr: [{name: all, then: {route: p}}]}}\n"


def test_texts_of_parquet_are_texts_and_nothing_is_null_whoever_decides(tmp_path: Path) -> None:
    """Else files of two nights cannot be read as one table."""
    policy_text(tmp_path, "roe: 1\nname: t\nroles: [sdr]\npools: {p: {members: [ann]}}\n" + RULES, data__leads_csv="id\nL1\nL2\n")
    schema, rows = both(tmp_path, form="parquet")["allocations.parquet"]
    assert "dictionary" not in schema
    assert [(row["record"], row["owner"], row["territory"], row["window"]) for row in rows] == [("L1", "ann", None, None), ("L2", "ann", None, None)]  # fmt: skip


def test_leads_of_one_name_are_of_one_company_though_the_name_stands_elsewhere(tmp_path: Path) -> None:
    """Without a column of names a lead is called by its company, and columns have a code for each lead, not for each name."""
    pools = "pools: {p: {members: [ann, ben, cy], together: lead.name}}\n"
    policy_text(
        tmp_path, f"roe: 1\nname: t\nroles: [sdr]\n{pools}{RULES}", data__leads_csv="id,company\nL1,Acme\nL2,Bolt\nL3,Acme\nL4,Cone\n"
    )
    found = both(tmp_path)
    assert [x["owner"] for x in allocations(found)] == ["ann", "ben", "ann", "cy"]


def test_a_record_without_a_name_is_called_by_its_id_as_the_data_has_it(tmp_path: Path) -> None:
    """Rows named it by the short form of the id, columns by the long one."""
    rules = "engagement: {account: {ae: [{name: all, then: keep, because: '{account.owner.ae}, {account}'}]}}\n"
    text = "roe: 1\nname: t\nroles: [ae]\n" + rules
    data = "id,name,owner\n0015g00000Ab001AAB,,0055g00000AbCdEIAV\n"
    policy_text(tmp_path, text, data__accounts_csv=data, data__reps_csv="id,name\n0055g00000AbCdEIAV,\n")
    (line,) = allocations(both(tmp_path))
    assert [line[x] for x in ("record", "name", "owner_name")] == ["0015g00000Ab001AAB"] * 2 + ["0055g00000AbCdEIAV"]
    assert line["reason"] == "0055g00000AbCdEIAV, 0015g00000Ab001AAB"


def in_tasks_too(folder: Path, as_of: str = "2026-02-01") -> dict[str, Any]:
    """A night by rows with a ledger, with which all others are compared."""
    return assert_alike({**ROWS, **COLUMNS, **TASKS}, roe.compile(roe.load(folder)), folder / "data", as_of, folder)


def test_accounts_without_a_name_are_of_one_company_by_their_domain_in_tasks_too(tmp_path: Path) -> None:
    """The task that gives out turns gets only the columns that pools rest on, and a name that is missing rests on others."""
    rules = "pools: {p: {members: [ann, ben, cy], together: account.name}}\nengagement: {account: {ae: [{name: all, then: {route: p}}]}}\n"
    data = "id,name,domain\nA1,,acme.com\nA2,Bolt,bolt.com\nA3,,acme.com\nA4,Cone,cone.com\n"
    policy_text(tmp_path, "roe: 1\nname: t\nroles: [ae]\n" + rules, data__accounts_csv=data)
    assert [x["owner"] for x in allocations(in_tasks_too(tmp_path))] == ["ann", "ben", "ann", "cy"]


def test_whoever_is_asked_stays_asked_where_a_pool_gives_out_turns_in_tasks(tmp_path: Path) -> None:
    """The task that gives out turns has other records only, and must not take the referral for settled."""
    rules = (
        "pools: {p: {members: [ann, ben]}}\n"
        'engagement: {lead: {sdr: [{name: asked, when: lead.form = "ask", then: {refer: boss, within: 9 days}}, {name: rest, then: {route: p}}]}}\n'
    )
    policy_text(tmp_path, "roe: 1\nname: t\nroles: [sdr]\n" + rules, data__leads_csv="id,form\nL1,ask\nL2,other\n")
    in_tasks_too(tmp_path)
    (tmp_path / "data" / "leads.csv").write_text("id,form\nL1,ask\nL3,other\n")
    second = in_tasks_too(tmp_path, "2026-02-02")["ledger"]
    assert [x.record for x in second if x.KIND == "referred"] == ["L1"]
    assert [x for x in second if x.KIND == "answered"] == []


def test_open_leads_of_a_pool_that_was_tried_first_are_in_the_explanation(tmp_path: Path) -> None:
    pools = "pools:\n  p: {members: [ann], strategy: least_loaded, caps: {open_leads: 1}, fallback: q, together: never}\n  q: {members: [ben], together: never}\n"
    policy_text(
        tmp_path, f"roe: 1\nname: t\nroles: [sdr]\n{pools}{RULES}", data__leads_csv="id,created\nL1,2026-01-01\nL2,2026-01-02\n", data__reps_csv="id\nann\nben\n"
    )  # fmt: skip
    turns = [json.loads(line) for line in both(tmp_path)["turns.jsonl"].splitlines()]
    assert [(x["rep"], x["loads"]) for x in turns] == [("ann", {"ann": 0}), ("ben", {"ann": 1})]
    evaluator = roe.compile(roe.load(tmp_path))
    assert_alike(COLUMNS, evaluator, tmp_path / "data", "2026-02-01", tmp_path / "kept", remembers=False, traces=True)
    trace = RunEvidence(tmp_path / "kept" / "columns" / "out").decision("lead", "L2", "sdr").trace.as_json()
    steps = [step["details"] for step in trace["steps"] if "details" in step and "before" in step["details"]]
    assert [(x["members"][0]["load"], x["before"]["members"][0]["load"]) for x in steps] == [(None, 1)]


def test_columns_know_the_records_that_nobody_had_from_any_memory() -> None:
    """An owner whom the data shows of one of them was given by hand, also where columns explain one record with a memory by key."""
    owners = of_mapping(OwnersByKey({"lead|L1|sdr": {"rep": "ann", "since": None}}, {"lead|L2|sdr"}, {}))
    assert (list(owners), list(owners.unowned)) == (["lead|L1|sdr"], ["lead|L2|sdr"])


def test_what_is_explained_among_all_begins_with_the_data_as_it_was_read(tmp_path: Path) -> None:
    """Not with what the ledger has made of it: reps who are not listed come in another order there, and the CRM seems to have loaded all."""
    rules = """engagement:
  account:
    ae:
      - {name: kept, when: 'today < @"2026-02-02"', then: keep}
      - {name: rest, then: {route: p}, because: "after {account.former_owner.name}"}
"""
    policy_text(tmp_path, "roe: 1\nname: t\nroles: [ae]\npools: {p: {members: [ann, Ben Oh]}}\n" + rules)
    evaluator = roe.compile(roe.load(tmp_path))
    state: Any = {}
    told, decided = [], []
    for day, owner in (("2026-02-01", "old"), ("2026-02-02", "new"), ("2026-02-03", "new")):  # changed in the CRM, which then loads nothing
        tables: dict[str, Any] = {"account": [{"id": "A1", "owner": owner}], "rep": [{"id": "ann", "name": "Ann"}]}
        bound = Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(day)), state)
        assert not misnamed(bound.world)  # looks at the names of all reps
        (explained,) = decide(bound, "account", "A1", ["ae"])
        told.append((explained.owner, explained.reason, explained.in_crm))
        run = evaluator.run(tables, as_of=day, state=state)
        decided += [(d.owner, d.reason, d.in_crm) for d in run.decisions]
        state = ColumnRun.of(evaluator, tables, as_of=day, state=state).state()
    assert told == decided
    assert [in_crm for _, _, in_crm in told] == ["old", "new", "new"]
    assert told[1][1] == "after old; this undoes the change to new that was made in the CRM"


def test_a_trace_made_from_a_run_knows_what_its_ledger_knew(tmp_path: Path) -> None:
    """Whom somebody in the CRM gave the record, and who had it before."""
    rules = """engagement: {account: {ae: [{name: all, then: {assign: ann}, because: "by {account.owner_by.ae} after {account.former_owner.name}"}]}}
"""
    policy_text(tmp_path, f"roe: 1\nname: t\nroles: [ae]\n{rules}", data__reps_csv="id,name\nann,Ann\n")
    evaluator = roe.compile(roe.load(tmp_path))
    for day, owner in (("2026-02-01", "ann"), ("2026-02-02", "ben")):
        (tmp_path / "data" / "accounts.csv").write_text(f"id,owner\nA1,{owner}\n", "utf-8")
        made = assert_alike({**COLUMNS, **TASKS}, evaluator, tmp_path / "data", day, tmp_path, traces=True)
    assert [x["reason"] for x in allocations(made)] == ["by hand after Ann; this undoes the change to ben that was made in the CRM"]
    for name in {**COLUMNS, **TASKS}:
        decision = RunEvidence(tmp_path / name / "out").decision("account", "A1", "ae")
        assert [decision.reason] == [x["reason"] for x in allocations(made)], name


@pytest.mark.parametrize("number", (1, 3))
def test_nobody_follows_a_record_that_the_crm_has_no_longer(number: int, tmp_path: Path) -> None:
    """The task that gives out turns has no row of it."""
    text = """roe: 1
name: gone
roles: [ae]
pools: {desk: {members: 'rep.id in ("ann", "bob")', together: {by: account.country, within: 2 months}}}
engagement: {account: {ae: [{name: desk, then: {route: desk}}]}}
"""
    evaluator, data = roe.compile(roe.load(policy_text(tmp_path / "policy", text))), tmp_path / "data"
    data.mkdir()
    (data / "reps.csv").write_text("id\nann\nbob\n", "utf-8")
    nights = {
        "2026-02-01": "id,country,deleted\nA1,DE,\n",
        "2026-02-02": "id,country,deleted\nA1,DE,yes\nB1,DE,\nB2,FR,\n",
    }
    in_tasks = TASKS[f"{number} tasks"]
    for as_of, accounts in nights.items():
        (data / "accounts.csv").write_text(accounts, "utf-8")
        found = allocations(assert_alike({**ROWS, **COLUMNS, "tasks": in_tasks}, evaluator, data, as_of, tmp_path))
        assert in_tasks.together == ""
    assert {x["record"]: x["owner"] for x in found} == {"B1": "bob", "B2": "ann"}


AT_SEVERAL = "some activity rows share an id, but belong to different account records"


@pytest.mark.parametrize(
    ("second", "busy", "together"),
    [("K1,A2", "A3", AT_SEVERAL), ("K1,", "A3", AT_SEVERAL), ("K1,A1", "A1 A3", ""), ("K2,A2", "A1 A2 A3", "")],
)
def test_rows_of_one_id_are_rejected_though_their_records_go_to_different_tasks(
    second: str, busy: str, together: str, tmp_path: Path
) -> None:
    rules = "engagement: {account: {ae: [{name: busy, when: count(account.activities) > 0, then: {assign: ann}}]}}\n"
    data = {"accounts": "id\n" + "".join(f"A{i}\n" for i in range(9)), "activities": f"id,account\nK1,A1\n{second}\nK3,A3\n"}
    policy_text(
        tmp_path, "roe: 1\nname: t\nroles: [ae]\n" + rules, data__reps_csv="id\nann\n", **{f"data__{k}_csv": x for k, x in data.items()}
    )
    found = in_tasks_too(tmp_path)
    assert [x["record"] for x in allocations(found) if x["owner"]] == busy.split()
    assert TASKS["7 tasks"].together == together
