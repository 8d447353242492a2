"""Claims on leads: whoever asks first gets the lead, within limits, as with accounts."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from roe.cache import load_policy
from roe.evaluator.engine import Evaluator
from roe.policy.reads import reads
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from test_cli import roe as command

POLICY = """
roe: 1
name: lead-claims
roles: [ae, sdr]
claims:
  for: lead
  role: sdr
  caps: {open: 2}
  work_within: 4 hours
  lasts: 14 days
  rest: 1 day
  worked_by: type = "call"
  blocked_by: [{name: customer, when: account.type = "Customer", because: "{account.name} is a customer"}]
engagement:
  lead:
    sdr:
      - {name: claimed, when: lead.claim != null, then: {assign: lead.claim.rep, until: lead.claim_until}, because: "{lead.claim.reason}"}
      - {name: lapsed, when: lead.owner.sdr != null, then: return, because: "{count(lead.claims)} claims"}
      - {name: free, then: open, because: free to claim}
"""
DATA = {
    "reps": "id,name\nann,Ann\nben,Ben\n",
    "accounts": "id,name,type\nA1,Acme,Customer\n",
    "leads": "id,email,account,created\nL1,a@x.example,,2026-03-01\nL2,b@y.example,,2026-03-01\nL3,c@acme.example,A1,2026-03-01\nL4,d@z.example,,2026-03-01\n",
    "claims": "id,lead,rep,at\nC1,L1,ben,2026-03-02T09:01\nC2,L1,ann,2026-03-02T09:00\nC3,L3,ann,2026-03-02T09:02\nC4,L2,ann,2026-03-02T09:03\nC5,L4,ann,2026-03-02T09:04\n",
    "activities": "id,lead,rep,type,at\nT1,L1,ann,call,2026-03-02T10:00\n",
}


def night(folder: Path, as_of: str, engine: str, **changed: str) -> dict[str, list[dict[str, str]]]:
    (folder / "policy").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "policy" / "policy.yaml").write_text(POLICY, "utf-8")
    for name, text in (DATA | changed).items():
        (folder / "data" / f"{name}.csv").write_text(text, "utf-8")
    policy, problems = load_policy(folder / "policy")
    assert policy is not None, problems
    run(
        Job(Evaluator(policy), Source(policy, folder / "data"), as_of),
        folder / "out",
        RunOptions(state=str(folder / "state"), engine=engine),
    )
    found: dict[str, Any] = {}
    for name in ("allocations", "claims"):
        with (folder / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found[name] = list(csv.DictReader(file))
    return found


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_the_first_claim_on_a_lead_wins_until_it_ends(engine: str, tmp_path: Path) -> None:
    first = night(tmp_path, "2026-03-02T11:00", engine)
    assert {x["record"]: x["owner"] for x in first["allocations"]} == {"L1": "ann", "L2": "ann", "L3": "", "L4": ""}
    status = {x["claim"]: (x["entity"], x["record"], x["status"], x["reason"]) for x in first["claims"]}
    assert status["C2"][:3] == ("lead", "L1", "granted") and status["C1"][2:] == (
        "refused",
        "Ann holds it since 2 March 2026, 09:00, until 16 March 2026, 10:00",
    )
    assert status["C3"][2:] == ("refused", "Acme is a customer")
    assert status["C5"][2:] == ("refused", "Ann has 2 open claims, and the cap is 2")
    # nobody called L2 within four hours: it returns and rests a day, and then Ben may have it
    claims = DATA["claims"] + "C6,L2,ben,2026-03-03T12:00\nC7,L2,ben,2026-03-03T14:10\n"
    second = night(tmp_path, "2026-03-02T14:00", engine)
    assert {x["record"]: (x["owner"], x["rule"]) for x in second["allocations"]}["L2"] == ("", "lapsed")
    third = night(tmp_path, "2026-03-03T14:30", engine, claims=claims)
    assert {x["record"]: x["owner"] for x in third["allocations"]} == {"L1": "ann", "L2": "ben", "L3": "", "L4": ""}
    assert {x["claim"]: x["status"] for x in third["claims"]} | {"C1": "refused", "C2": "granted", "C6": "refused", "C7": "granted"} == {
        x["claim"]: x["status"] for x in third["claims"]
    }


@pytest.mark.parametrize(("entity", "code"), [("activity", "R504"), ("contact", "R504"), ("leed", "R504")])
def test_what_cannot_be_claimed_is_said(entity: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY.replace("for: lead", f"for: {entity}"), "utf-8")
    policy, problems = load_policy(tmp_path)
    assert policy is None and code in {p.code for p in problems}, problems


def test_one_lead_alone_is_explained_with_the_work_and_the_claims_that_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but `claims:` itself asks for the lead of a claim, the lead's activities and its country."""
    (tmp_path / "policy").mkdir()
    (tmp_path / "data").mkdir()
    rules = "      - {name: claimed, when: lead.claim != null, then: {assign: lead.claim.rep}}\n      - {name: free, then: open}\n"
    blocked = "[{name: far, when: 'lead.country = \"NZ\"'}]"
    text = POLICY.partition("  blocked_by:")[0] + f"  blocked_by: {blocked}\n" + "engagement:\n  lead:\n    sdr:\n" + rules
    (tmp_path / "policy" / "policy.yaml").write_text(text, "utf-8")
    for name, rows in DATA.items():
        (tmp_path / "data" / f"{name}.csv").write_text(rows, "utf-8")
    policy, problems = load_policy(tmp_path / "policy")
    assert policy is not None, problems
    assert {("lead", "country"), ("lead", "activities"), ("claim", "lead")} <= reads(policy)
    monkeypatch.setattr("roe.run.source.LARGE", 0)
    at = (str(tmp_path / "policy"), "--data", str(tmp_path / "data"), "--as-of", "2026-03-02T14:00")
    command("run", *at, "--out", str(tmp_path / "out"))
    with (tmp_path / "out" / "allocations.csv").open(encoding="utf-8", newline="") as file:
        decided = {row["record"]: row["owner"] for row in csv.DictReader(file)}
    assert decided == {"L1": "ann", "L2": "", "L3": "", "L4": ""}  # worked at ten, refused by the cap, not worked in four hours, refused
    monkeypatch.setattr("roe.run.record.SMALL", 0)
    monkeypatch.setattr("roe.run.record.FEW", 0)
    monkeypatch.setattr("roe.data.lookup.TAIL", 0)
    found = {id: json.loads(command("explain", id, *at, "--format", "json").stdout) for id in decided}
    assert {id: said["outcome"]["owner"] or "" for id, said in found.items()} == decided
