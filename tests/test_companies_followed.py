"""The companies of records that somebody has, followed change by change, are those that a new binding works out of the same records."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import seeds, tries
from helpers import policy_text
from roe.companies.index import NameIndex
from roe.evaluator.engine import Evaluator
from roe.evaluator.kept_matches import KeptMatches
from roe.evaluator.live import Live
from roe.evaluator.together import Existing

POLICY = """
roe: 1
name: follow
roles: [sdr]
matching: MATCHING
define:
  account.group: if account.parent = null then account.id else account.parent.id
  lead.firm: if lead.account = null then lower_case(lead.company) else lead.account.domain
pools: {desk: {members: [ann, bo, cy]COMPANY}}
engagement:
  lead:
    sdr:
      - {name: in, then: {route: desk}}
"""
OWN = """
  methods:
    - {name: domain, match: domain(lead.email) = account.domain, unless: lead.country != account.country}
    - {name: alike, match: 'similarity(lead.company, account.name) >= 0.6'}
    - {name: place, match: lead.city = account.city and account.employees > 5}
    - {name: large, match: lead.employees < account.employees}
    - {name: lists, match: 'domain(lead.website) in split(account.other_domains, ";")'}
  tie_break:
    - {most: count(account.opportunities)}
    - {least: account.employees}
    - {most: account.parent.employees}
"""
MATCHED = {
    "the standard one": ("default", "", True),
    "of a group": ("group", "", True),
    "a field of the account": ("default", ", together: lead.account.domain", True),
    "a definition": ("default", ", together: lead.firm", True),
    "own methods": (OWN, "", True),
    "no match": ("default", ", together: lower_case(lead.company)", True),
    "the account's parent": ("default", ", together: lead.account.group", False),  # which is another record's answer: all is asked again
    "the uppermost parent": ("default", ", together: lead.account.ultimate_parent.id", False),
}
NAMES = ("Blue Health", "Blue Health GmbH", "North Software", "Northern Software AG", "Acme Foods", "Acme Bank", "Delta", "Delta Energy")
DOMAINS = ("blue.com", "north.de", "acme.com", "acme.de", "delta.io", "gmail.com", None)
COUNTRIES = ("DE", "US", None, None)
CITIES = ("Berlin", "Bonn", None, None)


class World:
    """Made-up records, as they are now, and a binding that has seen each of them come, change and go."""

    def __init__(self, evaluator: Evaluator, seed: int) -> None:
        self.evaluator, self.chance = evaluator, random.Random(seed)
        self.records: dict[str, dict[str, dict[str, Any]]] = {
            "rep": {x: {"id": x, "name": x, "active": "yes"} for x in ("ann", "bo", "cy")},
            "account": {}, "lead": {}, "opportunity": {},
        }  # fmt: skip
        self.live = self.fresh()
        for _ in range(12):
            self.put("account", self.account())
        for _ in range(30):
            self.put("lead", self.lead())

    def fresh(self) -> Live:
        return self.evaluator.live({entity: list(rows.values()) for entity, rows in self.records.items()}, as_of="2026-02-01")

    def put(self, entity: str, record: dict[str, Any]) -> None:
        self.records[entity][record["id"]] = record
        self.live.put(entity, record)

    def account(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"A{self.chance.randrange(16)}", "name": pick(NAMES), "domain": pick(DOMAINS), "website": pick(DOMAINS),
            "country": pick(COUNTRIES), "city": pick(CITIES), "employees": self.chance.randrange(12), "phone": pick((None, None, "030 12345")),
            "parent": pick((None, None, "A1", "A2", "Delta")), "other_domains": pick((None, "blue.com; acme.de", "delta.io")),
            "owner": pick(("ann", "bo", "")),
        }  # fmt: skip

    def lead(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"L{self.chance.randrange(45)}", "company": pick((*NAMES, None)), "email": f"x@{pick(DOMAINS)}", "website": pick(DOMAINS),
            "country": pick(COUNTRIES), "city": pick(CITIES), "employees": self.chance.randrange(14), "phone": pick((None, None, "+49 30 12345")),
            "account": pick((None, None, None, "A1", "A3", "Delta", "blue.com")),
            "owner": pick(("ann", "bo", "cy", "")), "created": f"2026-01-0{self.chance.randrange(1, 9)}",
        }  # fmt: skip

    def change(self) -> None:
        """One record comes, changes in a few of its fields, or goes; or somebody else has it; or one account takes over another's domain."""
        chance, entity = self.chance, self.chance.choice(("account", "account", "account", "lead", "opportunity"))
        kind, known = chance.random(), self.records[entity]
        if kind < 0.2 and known:
            id = chance.choice(sorted(known))
            del known[id]
            self.live.remove(entity, id)
        elif entity == "opportunity":
            self.put(
                entity, {"id": f"O{chance.randrange(6)}", "account": f"A{chance.randrange(16)}", "is_closed": chance.choice(("yes", "no"))}
            )
        elif entity == "account" and kind < 0.3 and len(known) > 1:  # two are merged, or a domain moves
            one, other = chance.sample(sorted(known), 2)
            self.put(entity, {**known[one], "domain": known[other]["domain"]})
            if chance.random() < 0.5:
                del known[other]
                self.live.remove(entity, other)
            else:
                self.put(entity, {**known[other], "domain": None})
        else:
            made = self.account() if entity == "account" else self.lead()
            before = known.get(made["id"])
            if before is not None and kind < 0.9:
                made = {**before, **{name: made[name] for name in chance.sample(sorted(made), 2)}, "id": made["id"]}
            self.put(entity, made)


def companies(live: Live) -> dict[Any, list[Existing]]:
    with live.world.as_before("lead"):
        known = live.pools.together.existing(live.pools.pools["desk"], "lead", "sdr")
    return {company: records for company, records in known.of.items() if records}


def accounts(live: Live) -> dict[str, Any]:
    """What a decision sees of each lead's account, asked some at a time, as decisions are."""
    with live.world.as_before("lead"):
        return {lead["id"]: lead["account"] and lead["account"]["id"] for lead in live.world.rows["lead"]}


@pytest.mark.parametrize("seed", seeds(1, 2, 40))
@pytest.mark.parametrize("name", MATCHED)
def test_companies_are_those_of_a_new_binding_after_every_change(name: str, seed: int, tmp_path: Path) -> None:
    matching, company, is_followed = MATCHED[name]
    policy_text(tmp_path, POLICY.replace("MATCHING", matching).replace("COMPANY", company))
    world = World(roe.compile(roe.load(tmp_path)), seed)
    assert companies(world.live)
    known = world.live.pools.together.existing(world.live.pools.pools["desk"], "lead", "sdr")
    assert (known.followed is not None) is is_followed
    seen = set()
    for _ in range(changes := tries(30, 120, 120)):
        for _ in range(world.chance.choice((1, 1, 1, 2, 5))):
            world.change()
        now, fresh = companies(world.live), world.fresh()
        assert now == companies(fresh)
        assert accounts(world.live) == accounts(fresh)
        seen.add(str(now))
    assert len(seen) > changes / 12


@pytest.mark.parametrize("matching", ["default", OWN])
def test_a_new_lead_asks_for_no_other_lead_again(matching: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each lead costs more than the one before; a change of what a tiebreaker reads does ask again."""
    policy_text(tmp_path, POLICY.replace("MATCHING", matching).replace("COMPANY", ""))
    world = World(roe.compile(roe.load(tmp_path)), 1)
    companies(world.live)
    asked: list[Any] = []
    ask = KeptMatches._ask

    def noted(self: KeptMatches, answer: Any, row: Any, scope: Any) -> None:
        asked.append(row)
        ask(self, answer, row, scope)

    monkeypatch.setattr(KeptMatches, "_ask", noted)
    world.put("lead", {**world.lead(), "id": "new"})
    companies(world.live)
    assert {row["id"] for row in asked} <= {"new"}
    world.put("opportunity", {"id": "O1", "account": "A1", "is_closed": "no"})
    companies(world.live)
    assert {row["id"] for row in asked} - {"new"}


def test_a_match_is_found_once_for_the_decision_and_for_the_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy_text(tmp_path, POLICY.replace("MATCHING", "default").replace("COMPANY", ""))
    world = World(roe.compile(roe.load(tmp_path)), 1)
    companies(world.live)
    searched: list[str] = []
    search = NameIndex.search

    def noted(self: NameIndex, name: str, *rest: Any) -> Any:
        searched.append(name)
        return search(self, name, *rest)

    monkeypatch.setattr(NameIndex, "search", noted)
    lead = {"id": "new", "company": "Bluest Health Inc", "email": "x@bluest.com"}
    assert world.live.decide(lead).owner is not None
    world.live.decide({"id": "next", "company": "Other", "email": "x@other.com"})  # by which the first one's company is taken up
    assert searched.count("Bluest Health Inc") == 1  # without a city no method but the one by name alone can find it


def test_what_a_new_name_makes_doubtful_is_asked_again_while_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy_text(tmp_path, POLICY.replace("MATCHING", "default").replace("COMPANY", ""))
    world = World(roe.compile(roe.load(tmp_path)), 1)
    companies(world.live)
    assert not world.live.world.is_behind
    world.put("account", {"id": "new", "name": "Blue Health Holding"})
    rounds = 0
    while world.live.world.is_behind:
        world.live.world.catch_up(2)
        rounds += 1
    assert rounds > 1
    monkeypatch.setattr(KeptMatches, "_ask", None)  # the next decision asks for no other lead
    known = companies(world.live)
    monkeypatch.undo()
    assert known == companies(world.fresh())


def test_after_a_restart_matches_are_asked_for_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy_text(tmp_path, POLICY.replace("MATCHING", "default").replace("COMPANY", ""))
    world = World(roe.compile(roe.load(tmp_path)), 1)
    started, plain = world.fresh(), companies(world.fresh())
    while started.world.is_behind:
        started.world.catch_up(4)
    monkeypatch.setattr(KeptMatches, "_ask", None)  # the first decision asks for no match of others
    assert companies(started) == plain
