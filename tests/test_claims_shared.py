"""Claims on records that are shared out: one task decides all of them, by what each says, and the result is that of any other engine."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, tasks
from effort import tries
from made_worlds import write_csv
from roe.columns.evidence import RunEvidence
from roe.data.read import read_tables

RULES = """roe: 1
name: claims
roles: [ae]
invariants: [{name: few, every: account, holds: account.parent.claim = null, severity: warn}]
claims:
  role: ae
  caps: {open: 'if rep.id = "ann" then 3 else rep.capacity', per_day: 2}
  work_within: 3 days
  lasts: 20 days
  wait: 5 working days
  rest: 2 days
  worked_by: type = "call"
  blocked_by:
    - {name: family, when: account.parent.owner.ae != null and account.parent.owner.ae != claim.rep, because: "{account.parent.owner.ae.name} has {account.parent.name}"}
engagement:
  account:
    ae:
      - {name: family, when: account.parent.claim != null, then: {assign: account.parent.claim.rep}, because: "{account.parent.claim.reason}"}
      - {name: claimed, when: account.claim != null, then: {assign: account.claim.rep, until: account.claim_until}, because: "{account.claim.reason}"}
      - {name: lapsed, when: account.owner.ae != null and count(account.claims) > 0, then: return, because: '{count(account.claims[status = "ended"])}'}
      - {name: free, then: open}
"""  # fmt: skip
LEADS = (
    RULES[: RULES.index("invariants")].replace("[ae]", "[sdr]")
    + """claims: {for: lead, role: sdr, caps: {open: 2}, lasts: 10 days, worked_by: type = "call"}
engagement: {lead: {sdr: [{name: claimed, when: lead.claim != null, then: {assign: lead.claim.rep}, because: "{lead.claim.reason}"}, {name: free, then: open}]}}
"""
)
POOL = "pools: {desk: {members: [ann, bob, cy], caps: {per_day: 3}}}\n"
REPS = ("ann", "bob", "cy", "dee", "eve")


class Claims:
    """Accounts or leads, and claims on them that come night after night."""

    def __init__(self, seed: int, of: str = "account") -> None:
        self.rng, self.of = random.Random(seed), of
        rng = self.rng
        ids = [f"{of[0].upper()}{i:02}" for i in range(40)]
        self.records: list[dict[str, Any]] = [
            {"id": x, "name": f"N{x}", "parent": rng.choice([*ids[:4], *[""] * 8]), "owner": rng.choice([*REPS, "", ""])} for x in ids
        ]
        self.reps: list[dict[str, Any]] = [
            {"id": x, "name": x.title(), "capacity": n, "active": "yes", "ends": "2026-01-25" if x == "eve" else ""}
            for n, x in enumerate(REPS)
        ]
        self.claims: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.number = 0

    def write(self, folder: Path) -> str:
        """The data of the next night, and when that is."""
        rng, self.number = self.rng, self.number + 1
        today = date(2026, 1, 29) + timedelta(days=self.number)
        for i in range(50 if self.number == 1 else 10):
            day = today - timedelta(days=rng.choice([0, 4, 10, 18]) if self.number == 1 else rng.randrange(-1, 1))  # also some of tomorrow
            claim = {"id": f"K{self.number}{i:02}", self.of: rng.choice(self.records)["id"], "rep": rng.choice([*REPS, "ghost", ""])}
            self.claims.append(claim | {"at": f"{day}T{rng.choice(('09:00', '09:00', '23:30'))}:00", "released": rng.choice([*[""] * 6, "2026-01-29"])})  # fmt: skip
        self.calls += [
            {
                "id": f"T{self.number}{i}",
                self.of: c[self.of],
                "rep": c["rep"],
                "type": rng.choice(["call", "mail"]),
                "at": f"{today - timedelta(days=1)}T10:00",
            }
            for i, c in enumerate(rng.sample(self.claims, 9))
        ]
        if self.number > 1:
            self.claims = [c for c in self.claims if rng.random() > 0.05]
            rng.choice(self.reps)["active"] = "no"
        folder.mkdir(exist_ok=True)
        for name, rows in ((f"{self.of}s", self.records), ("claims", self.claims), ("activities", self.calls), ("reps", self.reps)):
            write_csv(folder / f"{name}.csv", list(rows[0]), rows)
        return f"{today}T08:00"

    def loads(self, found: dict[str, Any]) -> None:
        """The CRM loads what was decided."""
        owners = {x["record"]: x["owner"] for x in allocations(found)}
        for row in self.records:
            row["owner"] = owners.get(row["id"], "")


@pytest.mark.parametrize("of", ["account", "account, with a pool", "lead"])
@pytest.mark.parametrize("seed", tries(range(1), range(4), range(40)))
def test_claims_night_after_night(seed: int, of: str, tmp_path: Path) -> None:
    """With caps, families, releases, reps who have left, claims of tomorrow, and claims that are gone."""
    text = LEADS if of == "lead" else RULES
    if "pool" in of:
        text = text.replace("{name: free, then: open}", "{name: free, then: {route: desk}}") + POOL
    evaluator, claims = roe.compile(roe.load(policy_text(tmp_path, text))), Claims(seed, of.partition(",")[0])
    name, some = sorted(TASKS.items())[(seed + len(of)) % len(TASKS)]
    statuses = set[str]()
    for _ in range(2):
        as_of = claims.write(tmp_path / "data")
        found = assert_alike({**ROWS, name: some}, evaluator, tmp_path / "data", as_of, tmp_path)
        assert "refused" not in found, found
        assert some.together == ""
        statuses |= {line.split(",")[4] for line in found["claims.csv"].splitlines()[1:]}
        claims.loads(found)
    assert {"refused", "ended"} <= statuses


def test_every_reason_to_refuse_a_claim_is_met(tmp_path: Path) -> None:
    """Else no difference would show in it."""
    evaluator, claims = roe.compile(roe.load(policy_text(tmp_path, RULES))), Claims(0)
    texts = []
    for _ in range(3):
        as_of = claims.write(tmp_path / "data")
        found = assert_alike(ROWS, evaluator, tmp_path / "data", as_of, tmp_path)
        texts.append(found["claims.csv"])
        claims.loads(found)
    for reason in ("left on", "holds it since", "may claim it again", "it rests until", "open claims", "claims that day", "there is no rep", " has N", "gave it back"):  # fmt: skip
        assert any(reason in text for text in texts), reason


def test_claims_with_one_id_are_looked_at_together(tmp_path: Path) -> None:
    """Each of two tasks would take its own for the only one; all that differ are rejected."""
    evaluator, claims, shared = roe.compile(roe.load(policy_text(tmp_path, RULES))), Claims(1), tasks(3)
    claims.write(tmp_path / "data")
    rows = claims.claims
    rows[0] |= {"account": "A00"}
    rows[1] |= {"account": "A39", "id": rows[0]["id"]}
    write_csv(tmp_path / "data" / "claims.csv", list(rows[0]), rows)
    found = assert_alike({**ROWS, **COLUMNS, "tasks": shared}, evaluator, tmp_path / "data", "2026-01-30", tmp_path)
    assert "have this id and differ" in found["rejects.csv"]
    assert shared.together == "some claim rows share an id, but belong to different account records"


def test_claims_that_no_rule_asks_about_are_settled_by_the_owners_before_the_run(tmp_path: Path) -> None:
    """Only the files ask what became of these, once everything is decided."""
    text = """roe: 1
name: t
roles: [ae, sdr]
claims: {role: sdr, blocked_by: [{name: owned, when: account.owner.ae != null}]}
engagement: {account: {ae: [{name: all, then: {assign: '"ann"'}}]}}
"""
    data = {
        "data__accounts_csv": "id,owner\nA1,\nA2,ann\nA3,\n",
        "data__reps_csv": "id\nann\n",
        "data__claims_csv": "id,account,rep,at\nK1,A1,ann,2026-01-01\nK2,A2,ann,2026-01-01\n",
    }
    evaluator, shared = roe.compile(roe.load(policy_text(tmp_path, text, **data))), tasks(2)
    found = assert_alike({**ROWS, **COLUMNS, "tasks": shared}, evaluator, tmp_path / "data", "2026-02-01", tmp_path)
    assert [line.split(",")[4] for line in found["claims.csv"].splitlines()[1:]] == ["granted", "refused"]
    assert shared.together == ""


def test_any_trace_is_made_from_what_tasks_have_kept(tmp_path: Path) -> None:
    evaluator, claims, shared = roe.compile(roe.load(policy_text(tmp_path, RULES))), Claims(2), tasks(3)
    as_of = claims.write(tmp_path / "data")
    assert_alike({"tasks": shared}, evaluator, tmp_path / "data", as_of, tmp_path, remembers=False, traces=True)
    evidence, (tables, _) = RunEvidence(tmp_path / "tasks" / "out"), read_tables(evaluator.policy, tmp_path / "data")
    for n, d in enumerate(evaluator.bind(tables, as_of=as_of).decide_all()):
        if n % 5 == 0:
            assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == d.trace.as_json(), d.id
    assert shared.together == ""


def test_claims_on_records_that_are_not_decided_are_named(tmp_path: Path) -> None:
    from roe.share.plan import share

    text = LEADS.replace("for: lead, role: sdr", "role: sdr").replace("lead.claim", "lead.account.claim")
    assert share(roe.load(policy_text(tmp_path, text))) == "claims are not about lead records"


@pytest.mark.parametrize("claimed", tries(("A03", "A17"), ("A03", "A13", "A17"), tuple(f"A{n:02}" for n in range(20))))
def test_companies_stay_together_whichever_task_has_a_claim(claimed: str, tmp_path: Path) -> None:
    """Of a task without claims the waiting records ask for their companies at tasks with some, and the other way round."""
    text = """roe: 1
name: together
roles: [ae]
pools: {desk: {members: [ann, bob], together: account.name}}
claims: {role: ae, lasts: 20 days}
engagement: {account: {ae: [{name: claimed, when: 'account.claim.rep.id = "cy"', then: keep}, {name: owned, when: account.owner.ae != null, then: keep}, {name: free, then: {route: desk}}]}}
"""
    evaluator, data = roe.compile(roe.load(policy_text(tmp_path / "policy", text))), tmp_path / "data"
    data.mkdir()
    owners = {number: ("bob", "bob", "ann")[number % 3] for number in range(10)}  # of the first record of each company
    rows = [{"id": f"A{n:02}", "name": f"Company {n % 10}", "owner": owners.get(n, "")} for n in range(20)]
    write_csv(data / "accounts.csv", list(rows[0]), rows)
    write_csv(
        data / "claims.csv", ["id", "account", "rep", "at"], [{"id": "K1", "account": claimed, "rep": "bob", "at": "2026-01-30T09:00:00"}]
    )
    write_csv(data / "reps.csv", ["id"], [{"id": x} for x in ("ann", "bob", "cy")])
    found = assert_alike({**ROWS, **COLUMNS, **TASKS}, evaluator, data, "2026-02-01", tmp_path, remembers=False)
    assert {x["record"]: x["owner"] for x in allocations(found)} == {row["id"]: owners[n % 10] for n, row in enumerate(rows)}
    assert all(some.together == "" for some in TASKS.values())
