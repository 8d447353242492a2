"""Leads that are decided after accounts, in tasks: each gets its account with the owner that another task gave it, and all is as a run by rows has it."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import tries
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, assert_alike_in_nights, tasks
from in_tasks import InTasks
from made_features import KINDS
from made_policies import LEAD, _rules
from made_worlds import World as RandomWorld
from made_worlds import write_csv, write_parquet

RULES = """roe: 1
name: after
roles: [ae, sdr]
timezone: America/New_York
data: {account: {complete: true}, lead: {complete: true}}
define: {account.calls: count(account.activities), lead.calls: count(lead.activities)}
windows: {protection: {lasts: 20 days, renewed_by: 'type = "call"', grace: 5 days}}
invariants:
  - {name: owned, every: lead, holds: account.owner.ae != null or lead.owner.sdr != null, severity: warn}
  - {name: called, every: account, holds: account.calls > 0, severity: warn}
  - {name: few, every: run, holds: moved_share < 0.1 and customers_moved = 0, severity: warn}
  - {name: stays, every: run, holds: vanished = 0 and changed_in_crm = 0, severity: warn}
pools:
  desk: {members: 'rep.team = "A" or rep.team = lead.email', caps: {per_day: 9}, fallback: late, sla: {within: 1 day, worked_by: 'type = "call"', escalate: vp}}
  late: {members: 'rep.team != "A"', sticky: lead.owner}
engagement:
  account:
    ae:
      - {name: protected, when: 'account.protection_state in ("protected", "grace")', then: keep}
      - {name: family, when: account.parent.owner.ae != null, then: {assign: account.parent.owner.ae}, because: "with {account.parent.name}"}
      - {name: us, when: 'account.country = "US"', then: {assign: '"ann"'}}
      - {name: asked, when: account.calls > 2, then: {refer: vp, within: 2 days}}
      - {name: old, when: account.former_owner.ae != null, then: {assign: account.former_owner.ae}}
      - {name: new, when: account.country = null, then: {assign: '"Nobody Listed"'}}
      - {name: rest, then: {assign: '"bob"'}}
  lead:
    sdr:
      - {name: since, when: account.owner_since.ae = today, then: {assign: account.owner.ae}, because: "{account.name} has {account.owner.ae} since {account.owner_since.ae}, before {account.former_owner.ae}"}
      - {name: kin, when: account.parent.owner.ae != account.owner.ae and lead.calls > 1, then: {assign: account.parent.owner.ae}}
      - {name: busy, when: account.calls > 1 and account.protection_state = "protected", then: {assign: account.owner.ae}}
      - {name: asked, when: 'lead.activities[1].account.country = "DE"', then: {refer: vp}}
      - {name: own, when: lead.calls > 0 and account.owner.ae != null, then: {assign: account.owner}, because: "{account.owner_from.ae} {account.owner_by.ae}"}
      - {name: turn, then: {route: desk}, else: open}
"""


class World:
    """Accounts with parents, leads of some of them, and activities of both, of either or of nobody."""

    def __init__(self, seed: int, folder: Path, form: str) -> None:
        self.rng, self.folder, self.form = random.Random(seed), folder, form
        self.ids = [f"A{i:02}" for i in range(40)]
        one = self.rng.choice
        self.tables: dict[str, list[dict[str, Any]]] = {
            "accounts": [
                {"id": x, "name": f"N{x}", "country": one(["US", "DE", "FR", None]), "parent": one([*self.ids[:9], "nowhere", *[None] * 20]), "type": one(["Customer", None]),
                 "owner": one(["ann", "bob", "cy", "ghost", None]), "owner_since": one(["2026-01-20", "2025-12-01", None]), "former_owner": one(["cy", None]), "deleted": "yes" if self.rng.random() < 0.1 else None}
                for x in self.ids
            ],
            "leads": [
                {"id": f"L{i:02}", "email": one(["a@acme.com", "b@bolt.de", "c@gmail.com"]), "account": one([*self.ids, "gone", *[None] * 20]), "created": f"2026-01-{1 + i % 28:02}",
                 "owner_sdr": one(["ann", "dee", None, None]), "deleted": "yes" if self.rng.random() < 0.05 else None}
                for i in range(60)
            ],
            "activities": [
                {"id": f"T{i}", "account": one([*self.ids, "gone", None]), "lead": one([*(f"L{k:02}" for k in range(60)), "gone", None, None]), "type": one(["call", "mail"]),
                 "date": one(["2026-01-30", "2026-01-10", "2026-02-01"]), "rep": one(["ann", "dee"])}
                for i in range(100)
            ],
            "reps": [{"id": x, "name": x.title(), "team": one("AB")} for x in ("ann", "bob", "cy", "dee")],
        }  # fmt: skip
        self.tables["leads"] += [{**self.tables["leads"][3], "email": "other@acme.com"}, dict(self.tables["leads"][5])]
        self.tables["accounts"] += [{**self.tables["accounts"][3], "name": "twice"}, dict(self.tables["accounts"][5])]

    def write(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        for name, rows in self.tables.items():
            (write_parquet if self.form == "parquet" else write_csv)(self.folder / "data" / f"{name}.{self.form}", list(rows[0]), rows)

    def a_day_passes(self, decided: list[dict[str, str]]) -> None:
        loads = {(x["entity"], x["record"]): x["owner"] for x in decided if self.rng.random() < 0.6}
        for entity, name, column in (("account", "accounts", "owner"), ("lead", "leads", "owner_sdr")):
            rows = [x for x in self.tables[name] if self.rng.random() > 0.05]
            self.tables[name] = [
                {**x, column: loads.get((entity, x["id"]), self.rng.choice(["ann", "cy", x[column]])) or None} for x in rows
            ]


@pytest.mark.parametrize("seed", range(tries(1, 4, 200)))
def test_leads_after_accounts_night_after_night(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator, world = roe.compile(roe.load(policy_text(tmp_path, RULES))), World(seed, tmp_path, ("csv", "parquet")[seed % 2])
    monkeypatch.setattr("roe.share.kind.MANY", 8)  # records of a task
    name, shared = sorted(TASKS.items())[seed % len(TASKS)]
    for night in range(tries(2, 3, 3)):
        world.write()
        found = assert_alike(
            {**ROWS, **COLUMNS, name: shared}, evaluator, tmp_path / "data", f"2026-02-0{night + 1}", tmp_path, remembers=seed % 5 < 4
        )
        assert shared.together == ""
        world.a_day_passes(allocations(found))


class LeadsToo(RandomWorld):
    """A random world whose accounts are decided first, and then leads of some of them, which look at the accounts."""

    def _of_kind(self, policy: dict[str, Any]) -> None:
        super()._of_kind(policy)
        rng, asked = (
            self.rng,
            [
                "account.employees > {n}",
                "account.owner_since.ae = today",
                'account.territory.region = "R1"',
                "account.parent.owner.ae != null",
            ],
        )
        policy["engagement"]["lead"] = {"sdr": _rules(rng, [*LEAD, *LEAD, *asked], "lead")}
        policy["pools"] = {
            "desk": {"members": 'rep.team = "SMB" or rep.team = "Mid"', "caps": {"per_day": rng.choice([1, 3, 50])}, "fallback": "late"},
            "late": {"members": ["eve", "stranger"]},
            "weighted": {"members": "rep.active != false", "strategy": "weighted", "weight": "rep.ramp", "caps": {"open_leads": rng.choice([4, 40])}, "hours": "working",
                         "sla": {"within": "2 days", "escalate": "vp"}},
            "best": {"members": "rep.active != false", "strategy": "top_score", "score": "rep.capacity", "together": rng.choice(["lead.company", "lead.account.country"]), "debt": 1},
            "level": {"members": 'rep.role = "SDR"', "strategy": "least_loaded", "together": "never"},
            "own": {"members": "rep.team = account.segment", "caps": {"per_day": 4}, "fallback": "boss"},
        }  # fmt: skip


@pytest.mark.parametrize("first", range(tries(1, 4, 200)))
def test_random_leads_after_random_accounts(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.share.kind.MANY", 8)
    world = LeadsToo(KINDS.index("accounts") + len(KINDS) * first, tmp_path / "world")
    name, shared = sorted(TASKS.items())[first % len(TASKS)]
    assert_alike_in_nights(world, {**ROWS, **COLUMNS, name: shared}, first)
    if first < 3:  # in which nothing is that keeps records together
        assert shared.together == ""


def shared_in_three(folder: Path, rules: str, leads: str, accounts: str, **data: str) -> tuple[str, list[dict[str, str]]]:
    """Why three tasks decide all records at once, empty if they do not, and the allocations, which are those of rows."""
    texts = {f"data__{name}_csv": text for name, text in {"leads": leads, "accounts": accounts, **data}.items()}
    evaluator = roe.compile(roe.load(policy_text(folder, f"roe: 1\nname: t\nroles: [ae, sdr]\n{rules}", **texts)))
    shared: type[InTasks] = tasks(3)
    found = assert_alike({**ROWS, **COLUMNS, "tasks": shared}, evaluator, folder / "data", "2026-02-01", folder, remembers=False)
    return shared.together, allocations(found)


ALL = "engagement: {account: {ae: [{name: us, when: 'account.country = \"US\"', then: {assign: ann}}, {name: rest, then: keep}]}, lead: {sdr: [%s, {name: rest, then: open}]}}\n"
OWNER = "{name: owner, when: account.owner.ae != null, then: {assign: account.owner.ae}}"
ACCOUNTS, LEADS = "id,country,owner,parent\nA1,US,bob,\nA2,DE,bob,A1\nA3,DE,,A2\n", "id,account\nL1,A1\nL2,A2\nL3,A3\nL4,\nL5,gone\n"


def owners(lines: list[dict[str, str]]) -> list[str]:
    return [x["owner"] for x in lines if x["entity"] == "lead"]


def test_a_lead_gets_the_owner_that_its_account_has_got(tmp_path: Path) -> None:
    together, lines = shared_in_three(tmp_path, ALL % OWNER, LEADS, ACCOUNTS)
    assert (together, owners(lines)) == ("", ["ann", "bob", "", "", ""])


def test_a_lead_sees_the_owners_of_the_accounts_above_its_own(tmp_path: Path) -> None:
    rule = "{name: head, when: account.ultimate_parent.owner.ae != null, then: {assign: account.ultimate_parent.owner.ae}}"
    together, lines = shared_in_three(tmp_path, ALL % rule, LEADS, ACCOUNTS)
    assert (together, owners(lines)) == ("", ["ann", "ann", "ann", "", ""])


def test_an_activity_of_a_lead_and_of_its_account_counts_once_for_each(tmp_path: Path) -> None:
    rule = "{name: once, when: count(lead.activities) = 1 and count(account.activities) = 1, then: {assign: cy}}"
    activities = "id,lead,account\nT1,L1,A1\nT2,L2,A2\nT3,,A2\nT4,L3,\n"
    together, lines = shared_in_three(tmp_path, ALL % rule, LEADS, ACCOUNTS, activities=activities)
    assert (together, owners(lines)) == ("", ["cy", "", "", "", ""])


def test_a_pool_keeps_the_leads_of_one_account_together(tmp_path: Path) -> None:
    """The task that gives out turns has the accounts of those who wait: without them a lead of an account is one of its e-mail domain."""
    pool = "pools: {p: {members: [dee, eve, flo]}}\n"
    leads = "id,account,email\nL1,A1,a@x.com\nL2,A2,b@y.com\nL3,A1,c@z.com\nL4,,d@x.com\n"
    together, lines = shared_in_three(tmp_path, pool + ALL % "{name: turn, then: {route: p}}", leads, ACCOUNTS)
    assert (together, owners(lines)) == ("", ["dee", "eve", "dee", "flo"])


def test_a_lead_sees_the_place_of_its_account_among_all(tmp_path: Path) -> None:
    rank, rule = "scores: {place: {rank: {of: account.revenue}}}\n", "{name: third, when: account.place.rank = 3, then: {assign: cy}}"
    accounts = "id,country,owner,revenue\nA1,DE,,3\nA2,DE,,1\nA3,DE,,2\n"
    together, lines = shared_in_three(tmp_path, rank + ALL % rule, LEADS, accounts)
    assert (together, owners(lines)) == ("", ["", "cy", "", "", ""])


def test_records_of_a_kind_of_which_there_are_none_take_all_others(tmp_path: Path) -> None:
    assert shared_in_three(tmp_path, ALL % OWNER, "id,account\n", ACCOUNTS)[0] == "there are no lead records"


TURN = "{name: turn, then: {route: p}}"


@pytest.mark.parametrize(("sections", "rule", "reason"), [
    ("", "{name: other, when: lead.twin.form != null, then: keep}", "lead records look at each other, and at account records"),
    ("", "{name: many, when: count(account.inbound) > 1, then: keep}", "account.inbound leads to lead records, which are decided after account records"),
    ("scores: {place: {rank: {of: account.revenue, within: account.owner.ae.team}}}\n", "{name: first, when: account.place.rank = 1, then: keep}", "account.place rests on owners, which lead records see once they are decided"),
    ("pools: {p: {members: [dee], caps: {open_accounts: 3}}}\n", TURN, "the pool `p` counts account records"),
    ("pools: {p: {members: [dee], sticky: account.owner}}\n", TURN, "a pool looks at account.owner, which is not in the data alone"),
    ("pools: {p: {members: [dee]}}\n", TURN + "]}, account: {sdr: [" + TURN, "both account and lead records wait for pools"),
])  # fmt: skip
def test_what_keeps_leads_and_accounts_together_is_named(sections: str, rule: str, reason: str, tmp_path: Path) -> None:
    fields = "fields: {lead: {twin: lead}, account: {inbound: {many: lead, by: 'domain(lead.email)', equals: account.domain}}}\n"
    rules = ALL % rule if "account: {sdr" not in rule else "engagement: {lead: {sdr: [" + rule + "]}}\n"
    assert shared_in_three(tmp_path, fields + sections + rules, LEADS, ACCOUNTS)[0] == reason


CLAIMED = """claims: {for: %s, role: %s, caps: {open: 1}, lasts: 20 days}
engagement:
  account: {ae: [{name: claimed, when: %s, then: {assign: %s}}, {name: rest, then: keep}]}
  lead:
    sdr:
      - {name: claim, when: %s, then: {assign: %s}, because: "{%s.claim.reason}"}
      - {name: owner, when: account.owner.ae != null, then: {assign: account.owner.ae}}
      - {name: rest, then: open}
"""
ANN_TWICE = "at,rep,{0}\n2026-01-30T09:00,ann,{1}1\n2026-01-30T08:00,ann,{1}2\n2026-01-30T10:00,bob,{1}3\n"


def claims_on(entity: str) -> str:
    """Ann may have one claim: her first is on the second record, though her other one comes first in the file."""
    header, *lines = ANN_TWICE.format(entity, entity[0].upper()).splitlines()
    return "\n".join([f"id,{header}", *(f"K{n},{line}" for n, line in enumerate(lines, 1)), ""])


def test_a_lead_sees_which_claim_on_its_account_was_granted(tmp_path: Path) -> None:
    """The answers to claims come to the tasks of leads as well, with the accounts; the cap counts claims at other tasks."""
    rules = CLAIMED % (
        "account",
        "ae",
        "account.claim != null",
        "account.claim.rep",
        'account.claim != null and account.claim.rep.id = "bob"',
        "cy",
        "account",
    )
    data = {"claims": claims_on("account"), "reps": "id,name\nann,Ann\nbob,Bob\ncy,Cy\n"}
    together, lines = shared_in_three(tmp_path, rules, LEADS, "id,country,owner,parent\nA1,US,,\nA2,DE,,\nA3,DE,,\n", **data)
    assert together == ""
    assert [x["owner"] for x in lines if x["entity"] == "account"] == ["", "ann", "bob"]
    assert owners(lines) == ["", "ann", "cy", "", ""]


def test_leads_are_claimed_after_their_accounts_are_decided(tmp_path: Path) -> None:
    rules = CLAIMED % ("lead", "sdr", "false", "bob", "lead.claim != null", "lead.claim.rep", "lead")
    data = {"claims": claims_on("lead"), "reps": "id,name\nann,Ann\nbob,Bob\n"}
    together, lines = shared_in_three(tmp_path, rules, LEADS, ACCOUNTS, **data)
    assert (together, owners(lines)) == ("", ["bob", "ann", "bob", "", ""])


def test_credits_for_accounts_and_for_leads_are_by_the_owners_that_both_have_got(tmp_path: Path) -> None:
    credits = """credits:
  account_credit: {for: account, rules: [{name: all, shares: {account.owner.ae: 100}}]}
  lead_credit: {for: lead, rules: [{name: all, when: account.owner.ae != null, shares: {account.owner.ae: 60, lead.owner.sdr: 40}}]}
"""
    together, _ = shared_in_three(tmp_path, credits + ALL % OWNER, LEADS, ACCOUNTS)
    assert together == ""
    with (tmp_path / "tasks" / "out" / "credits.csv").open(encoding="utf-8") as file:
        said = {(x["entity"], x["record"], x["rep"], x["share"]) for x in csv.DictReader(file)}
    assert said == {
        ("account", "A1", "ann", "100"), ("account", "A2", "bob", "100"), ("account", "A3", "", "100"),
        *(("lead", lead, rep, share) for lead, rep in (("L1", "ann"), ("L2", "bob")) for share in ("60", "40")),
    }  # fmt: skip
