"""Claims on what was given back, and what a record and a claim say of each other, one row a case (`docs/policy.md`, "Claims")."""

from __future__ import annotations

from typing import Any

import pytest

from helpers import compiled
from roe.evaluator.claims import Settled

POLICY = """
roe: 1
name: claims
roles: [ae]
claims: {lasts: 30 days, WAIT, REST}
engagement: {account: {ae: [{name: claimed, when: account.claim != null, then: {assign: account.claim.rep}}, {name: free, then: open}]}}
"""
BACK = {"account|A|ae": {"rep": "ann", "on": "2026-01-10T00:00:00+00:00"}}


def settled(claims: list[dict[str, Any]], returned: Any = None, now: str = "2026-06-01", wait: str = "60 days", rest: str = "2 days", before: Any = None, **more: Any) -> Settled:  # fmt: skip
    text = POLICY.replace("WAIT", f"wait: {wait}" if wait else "").replace("REST", f"rest: {rest}" if rest else "").replace(", ,", ",").replace(", }", "}")  # fmt: skip
    tables = {"account": [{"id": "A"}, {"id": "B"}], "rep": [{"id": "ann"}, {"id": "ben"}], "claim": claims, **more}
    world = compiled(text).bind(tables, as_of=now, state={"returned": returned or {}, "claims": before or {}}).world
    return world.settled


@pytest.mark.parametrize(
    ("rep", "at", "limits", "reason"),
    [
        ("ann", "2026-01-09T23:59:59", {}, ""),  # before it was given back
        ("ann", "2026-01-10", {}, "ann gave it back on 10 January 2026 and may claim it again from 11 March 2026"),
        ("ann", "2026-03-10T23:59:59", {}, "ann gave it back on 10 January 2026 and may claim it again from 11 March 2026"),
        ("ann", "2026-03-11", {}, ""),
        ("ben", "2026-01-10", {}, "it rests until 12 January 2026"),
        ("ben", "2026-01-11T23:59:59", {}, "it rests until 12 January 2026"),
        ("ben", "2026-01-12", {}, ""),
        ("ann", "2026-01-10", {"wait": ""}, "it rests until 12 January 2026"),
        ("ann", "2026-01-12", {"wait": ""}, ""),
        ("ben", "2026-01-10", {"rest": ""}, ""),
        ("ann", "2026-01-10", {"rest": ""}, "ann gave it back on 10 January 2026 and may claim it again from 11 March 2026"),
        ("ann", "2026-01-10", {"wait": "", "rest": ""}, ""),
    ],
)
def test_what_was_given_back_rests(rep: str, at: str, limits: dict[str, str], reason: str) -> None:
    claim = {"id": "K", "account": "A", "rep": rep, "at": at}
    outcome = settled([claim], BACK, **limits).outcomes["K"]
    assert outcome.status == ("refused" if reason else "ended") and (outcome.reason == reason or not reason)
    assert settled([claim], {"account|A|ae": {"rep": "ann", "on": "2026-01-10"}}, **limits).outcomes["K"].status == outcome.status
    assert settled([claim], {"account|B|ae": BACK["account|A|ae"]}, **limits).outcomes["K"].held, "another account was given back"
    assert settled([claim], {"account|A|ae": {"rep": "ann", "on": ""}}, **limits).outcomes["K"].held, "nobody knows when"


def test_a_claim_that_was_refused_hides_none_that_was_granted() -> None:
    asked = [("K0", "zed", "2025-12-31"), ("K1", "ann", "2026-01-01"), ("K2", "ben", "2026-02-01"), ("K3", "ben", "2026-02-02")]
    outcomes = settled([{"id": key, "account": "A", "rep": rep, "at": at} for key, rep, at in asked], rep=[{"id": "ann"}, {"id": "ben"}, {"id": "zed", "active": False}]).outcomes  # fmt: skip
    assert [outcomes[key].status for key, *_ in asked] == ["refused", "ended", "refused", "ended"]
    assert (outcomes["K0"].reason, outcomes["K2"].reason) == ("zed is not active", "it rests until 2 February 2026")


@pytest.mark.parametrize(("account", "rep"), [("A", None), (None, "ann"), (None, None)])
def test_a_claim_that_was_granted_needs_its_record_and_its_rep(account: str | None, rep: str | None) -> None:
    world = settled([{"id": "K", "account": account, "rep": rep, "at": "2026-05-20"}]).world
    outcome = Settled(world.policy.plan.claims, world, {"K": ""}).outcomes["K"]  # type: ignore[arg-type]
    assert (outcome.status, outcome.reason) == ("refused", "its account or rep is not in the data")


CLAIMS = [
    {"id": "K1", "account": "A", "rep": "ann", "at": "2026-01-01"},
    {"id": "K2", "account": "B", "rep": "ann", "at": "2026-02-01"},
    {"id": "K3", "account": "B", "rep": "ben", "at": "2026-02-02"},
    {"id": "K4", "account": "A", "rep": "ben", "at": "2026-02-20"},
]


@pytest.mark.parametrize(
    ("now", "live", "known"),
    [
        ("2026-01-01", {"A": "K1"}, "K1"),
        ("2026-01-30T23:59:59", {"A": "K1"}, "K1"),
        ("2026-02-01", {"B": "K2"}, "K1 K2"),
        ("2026-02-20", {"A": "K4", "B": "K2"}, "K1 K2 K3 K4"),
        ("2026-03-03", {"A": "K4"}, "K1 K2 K3 K4"),
        ("2026-06-01", {}, "K1 K2 K3 K4"),
    ],
)
def test_records_and_claims_know_each_other(now: str, live: dict[str, str], known: str) -> None:
    claims = settled(CLAIMS, now=now)
    assert {record: outcome.claim["id"] for record, outcome in claims.live.items()} == live
    accounts, rows = claims.world.rows["account"], claims.world.rows["claim"]
    assert {row["id"]: claims.given(row, "")["id"] for row in accounts if claims.given(row, "") is not None} == live
    assert [row["id"] for row in rows if claims.of(row) is not None] == known.split()
    for row in rows:
        outcome = claims.of(row)
        for part in ("status", "reason", "until"):
            assert claims.given(row, part) == (None if outcome is None else getattr(outcome, part))
    assert [[o.claim["id"] for o in claims.on(row)] for row in accounts] == [
        [x for x in known.split() if x in of] for of in ("K1 K4", "K2 K3")
    ]


def test_what_a_run_says_of_claims_and_keeps() -> None:
    claims = settled([*CLAIMS, {"id": "K0", "rep": "ann", "at": "2026-01-05"}], now="2026-02-20")
    assert [(line[0], line[1], line[2], line[4], line[7], line[8]) for line in claims.lines()] == [
        ("K0", None, "ann", "refused", "account", None),
        ("K1", "A", "ann", "ended", "account", "A"),
        ("K2", "B", "ann", "granted", "account", "B"),
        ("K3", "B", "ben", "refused", "account", "B"),
        ("K4", "A", "ben", "granted", "account", "A"),
    ]
    kept = claims.saved()
    assert list(kept) == sorted(kept) and [key for key, reason in kept.items() if not reason] == ["K1", "K2", "K4"]
    assert kept["K3"] == "ann holds it since 1 February 2026, until 3 March 2026" and kept["K0"] == "there is no account of this name"


@pytest.mark.parametrize(
    ("claim", "before", "status", "reason"),
    [
        ({"account": "gone"}, {"K": ""}, "refused", "its account or rep is not in the data"),  # which an earlier run granted
        ({"rep": None}, {"K": ""}, "refused", "its account or rep is not in the data"),
        ({"account": "gone"}, {}, "refused", "there is no account of this name"),
        ({"rep": None}, {}, "refused", "there is no rep of this name"),
        ({}, {"K": "somebody has it"}, "refused", "somebody has it"),
        ({}, {"K": ""}, "granted", "claimed"),
    ],
)
def test_a_claim_whose_account_or_rep_has_left_the_data(claim: dict[str, Any], before: dict[str, str], status: str, reason: str) -> None:
    given = {"id": "K", "account": "A", "rep": "ann", "at": "2026-05-20", **claim}
    outcome = settled([given], before=before).outcomes["K"]
    assert (outcome.status, outcome.reason) == (status, reason)
