"""A binding that lives on decides as a new one does, whatever its policy reads: ranks, tables, dates, counts, other records' answers.

Policies are put together from expressions of every kind that a pool, a match or a rule can rest on. After every few changes and on every
day, what is known of companies and every decision, with its explanation, is held against a new binding of the same records.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from effort import seeds
from helpers import compiled
from roe.evaluator.engine import Evaluator
from roe.evaluator.live import Live
from roe.ledger.remembered import Remembered
from test_live import shown

POLICY = """
roe: 1
name: made
roles: [ae, sdr]
lists: {strategic: {file: lists/strategic.csv, key: company}}
fields:
  account: {specialist: rep, level: number}
  lead: {points: number, level: number, partner: lead, same: {many: lead, via: company}, partners: {many: lead, via: partner}}
  rep: {cap: number, special: {many: account, via: specialist}}
define:
  account.group: if account.parent = null then account.id else account.parent.id
  account.size: if account.employees > 5 then "large" else "small"
  lead.weekly: if lead.created != null and date(lead.created) > today - 4 days then "new" else "old"
freezes:
  account.frozen: {value: account.size, from: 2026-01-01, every: month}
scores:
  desk: {for: lead, rank: {of: lead.points, within: lead.country, tiers: {A: 30, B: 70}}}
  place: {rank: {of: account.employees, within: account.country, tiers: {A: 30, B: 70}}}
  fit: {criteria: [{name: size, when: account.employees > 4, points: 2}, {name: open, when: count(account.open_opportunities) > 0, points: 1}]}
  band: {table: tables/band.csv, hit: first}
  kind: {for: lead, table: tables/kind.csv, hit: first}
territories:
  hit: first
  table: tables/territories.csv
  cover: leave
  staffing: tables/staffing.csv
windows:
  protection: {lasts: 10 days, renewed_by: type = "meeting", grace: 3 days}
matching: MATCHING
pools:
  desk: {members: 'MEMBERS', weight: 'WEIGHT', strategy: weighted, caps: {open_leads: 'CAP'}, together: 'COMPANY'}
engagement:
  account:
    ae:
      - {name: staffed, when: territory_owner.ae != null and account.employees > 2, then: {assign: territory_owner}}
      - {name: kept, then: keep, else: open}
  lead:
    sdr:
      - {name: special, when: 'RULE', then: {assign: lead.account.owner.ae}, because: "{lead.company} {lead.desk.rank} {lead.account.fit}"}
      - {name: in, then: {route: desk}}
"""
FILES = (
    ("lists__strategic_csv", "company,from,until\nBlue Health,,2026-02-03\nAcme Foods,2026-02-02,\n"),
    ("tables__band_csv", "account.employees,account.frozen,band,from,until\n> 8,-,big,,\n> 3,small,mid,2026-02-03,\n> 3,-,late,,2026-02-03\n-,-,rest,,\n"),
    ("tables__kind_csv", 'lead.desk.tier,lead.account.fit,kind\nA,-,top\n-,>= 2,fitting\n-,-,rest\n'),
    ("tables__territories_csv", 'territory,country,employees\ndach,"DE,AT",\nus,US,\nlarge,,> 8\n'),
    ("tables__staffing_csv", "territory,role,rep,from,until\ndach,ae,ann,,2026-02-03\ndach,ae,bo,2026-02-03,\nus,ae,cy,,\nlarge,ae,eva,,\n"),
)  # fmt: skip
OWN = """
  methods:
    - {name: domain, match: domain(lead.email) = account.domain, unless: account.band = "late"}
    - {name: alike, match: 'similarity(lead.company, account.name) >= 0.6'}
    - {name: tier, match: lead.desk.tier = account.place.tier and lead.country = account.country}
  tie_break:
    - {most: count(account.activities)}
    - {least: account.place.rank}
"""
BY_DAY = """
  methods:
    - {name: domain, match: domain(lead.email) = account.domain, unless: 'account.protection_state = "protected"'}
    - {name: group, match: lead.level = account.level and account.group = "A1"}
    - {name: counted, match: lead.level = count(account.opportunities)}
  tie_break:
    - {most: account.fit}
    - {least: account.parent.place.rank}
"""
MATCHINGS = ("default", "group", OWN, BY_DAY)
COMPANIES = (
    "lead.desk.tier",
    "lead.desk.rank",
    "lead.kind",
    "lead.weekly",
    "lead.account.band",
    "lead.account.fit",
    "lead.account.place.tier",
    "lead.account.place.of",
    "lead.account.territory.territory",
    "lead.account.territory_owner.ae.id",
    "lead.account.owner.ae.id",
    "lead.owner.sdr.name",
    "lead.account.protection_state",
    "lead.account.frozen",
    "lead.account.group",
    "lead.account.ultimate_parent.name",
    "lead.account.parent.band",
    "lead.account.specialist.cap",
    'if lead.account.specialist.able then "able" else "not"',
    "lead.partner.kind",
    "lead.partner.company",
    "lead.partner.account.id",
    "count(lead.same)",
    "count(lead.partners)",
    "count(lead.account.leads)",
    "count(lead.account.open_opportunities)",
    'count(lead.account.activities[type = "meeting" and date > today - 3 days])',
    'if lead.company in strategic then "strategic" else lead.company',
    'if owner_at(lead.account, "ae", today - 2 days) = null then "none" else owner_at(lead.account, "ae", today - 2 days).id',
    'if lead.account.owner_since.ae > today - 3 days then "fresh" else lead.account.id',
    "lead.account.domain",
    "lower_case(lead.company)",
)
MEMBERS = (
    'rep.role = "SDR"', "rep.able", "count(rep.special) < 3", 'rep.leave = null and rep.role = "SDR"', "rep.cap > lead.level",
    "rep.cap > lead.account.fit", "rep.cap >= lead.desk.rank", "some x in rep.special satisfies x.band = lead.account.band",
)  # fmt: skip
WEIGHTS = (
    "1",
    "rep.cap",
    "count(rep.special) + 1",
    'if rep.local_day > @"2026-02-03" then 2 else 1',
    "lead.level + rep.cap",
    "sum(rep.special.fit) + 1",
)
CAPS = ("20", "rep.cap", "rep.cap + count(rep.special)", "rep.cap + lead.level", 'if today > @"2026-02-03" then 2 else 20')
RULES = (
    'lead.account.owner.ae.able and lead.account.place.tier = "A"', 'lead.kind = "top"', "lead.desk.rank <= 2", "count(lead.same) > 2",
    'lead.account.protection_state = "grace"', 'lead.account.band in ("mid", "late")', "lead.weekly = \"new\" and lead.account != null",
    'some x in lead.account.leads satisfies x.kind = "top"', "lead.account.territory_owner.ae.leave != null",
)  # fmt: skip
NAMES = ("Blue Health", "Blue Health GmbH", "North Software", "Acme Foods", "Acme Bank", "Delta Energy")
DOMAINS = ("blue.com", "north.de", "acme.com", "delta.io", "gmail.com", None)
REPS = ("ann", "bo", "cy", "eva")
OWNERS = (None, *REPS, "Ann Lee", "Bo Ray")  # by id or by a name, which may be another rep's later
FIRST_DAY = datetime(2026, 2, 1, 10)


def made(chance: random.Random, company: str) -> Evaluator:
    """A policy of parts by chance, whose pool keeps records together by an expression."""
    text = POLICY
    for name, value in (
        ("MATCHING", chance.choice(MATCHINGS)), ("MEMBERS", chance.choice(MEMBERS)), ("WEIGHT", chance.choice(WEIGHTS)), ("CAP", chance.choice(CAPS)),
        ("RULE", chance.choice(RULES)), ("COMPANY", company),
    ):  # fmt: skip
        text = text.replace(name, value)
    return compiled(text, *FILES)


class Changing:
    """Made-up records, and a binding that has seen each of them come, change and go."""

    def __init__(self, evaluator: Evaluator, chance: random.Random) -> None:
        self.given: dict[
            str, str
        ] = {}  # whom the pool gave a lead: nobody changes it by hand, which whoever drives a binding has to follow
        self.evaluator, self.chance, self.now = evaluator, chance, FIRST_DAY
        self.make = made = {
            "rep": self.rep, "account": self.account, "lead": self.lead, "opportunity": self.opportunity, "activity": self.activity, "leave": self.leave,
        }  # fmt: skip
        self.records: dict[str, dict[str, dict[str, Any]]] = {entity: {} for entity in made}
        for entity, n in (("rep", 8), ("account", 12), ("lead", 18), ("opportunity", 5), ("activity", 8), ("leave", 2)):
            for _ in range(n):
                record = made[entity]()
                self.records[entity][record["id"]] = record
        self.live = self.fresh()
        self.foreseeing, self.telling = random.Random(0), random.Random(1)  # by chances of their own
        self.coming: list[dict[str, Any]] = []  # leads that the binding expects

    def expect(self) -> None:
        """Leads are expected: they come later, as others, or never."""
        if self.foreseeing.random() < 0.1:
            self.live.world.matches.let_go()
            self.coming.clear()
        while self.foreseeing.random() < 0.3:
            chance, self.chance = self.chance, self.foreseeing
            lead = self.lead()
            self.chance = chance
            self.live.world.matches.expect("lead", self.live.world.typed_records("lead", [lead])[0])
            self.coming.append(lead)

    def trust(self, lead: str) -> None:
        """Another binding has told the company of a lead that has just come; now and then there is time to look such leads up."""
        if self.telling.random() < 0.2:
            self.live.catch_up(2)
        if self.telling.random() < 0.5:
            other = self.fresh()
            pool, row = other.pools.pools["desk"], other.world.with_id("lead", lead)
            assert row is not None
            with other.world.as_before("lead"):
                company = other.pools.together.company(pool, row)
            self.live.take_companies(self.live.world._keys["lead"][lead], {pool.company_name: company})

    def fresh(self, state: Remembered | None = None) -> Live:
        given = {entity: list(rows.values()) for entity, rows in self.records.items()}
        return self.evaluator.live(given, as_of=self.now.isoformat(), state=state)

    def go_on(self) -> None:
        """To another moment, later or earlier."""
        self.now = FIRST_DAY + timedelta(days=self.chance.randrange(5), hours=self.chance.randrange(8))

    def day(self, before: int = 8, after: int = 4) -> str:
        return (FIRST_DAY + timedelta(days=self.chance.randint(-before, after))).date().isoformat()

    def rep(self) -> dict[str, Any]:
        chance = self.chance
        return {
            "id": chance.choice(REPS), "name": chance.choice(("Ann Lee", "Bo Ray", "Cy Fox")), "role": chance.choice(("SDR", "SDR", "AE")), "active": chance.choice(("yes", "yes", "yes", "no")),
            "cap": chance.randrange(1, 6), "starts": chance.choice((None, None, self.day())), "ends": chance.choice((None, None, None, self.day(0, 5))),
        }  # fmt: skip

    def account(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"A{self.chance.randrange(14)}", "name": pick(NAMES), "domain": pick(DOMAINS), "country": pick(("DE", "US", "FR", None)),
            "employees": pick((None, *range(12))), "parent": pick((None, "A1", "A2", "A3")), "specialist": pick((None, *REPS)),
            "level": self.chance.randrange(3), "owner": pick(OWNERS), "owner_since": self.day(after=0),
        }  # fmt: skip

    def lead(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"L{self.chance.randrange(16)}", "company": pick((*NAMES, None)), "email": f"x@{pick(DOMAINS)}", "country": pick(("DE", "US", None)),
            "account": pick((None, "A1", "A2", "A3", "A4", "Delta Energy")), "points": pick((None, 1, 2, 3, 4, 5)), "level": self.chance.randrange(3),
            "partner": pick((None, *(f"L{i}" for i in range(16)))), "owner_sdr": pick(OWNERS), "created": self.day(),
        }  # fmt: skip

    def opportunity(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {"id": f"O{self.chance.randrange(9)}", "account": f"A{self.chance.randrange(14)}", "is_closed": pick(("yes", "no"))}

    def activity(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"V{self.chance.randrange(12)}",
            "account": f"A{self.chance.randrange(14)}",
            "type": pick(("meeting", "call")),
            "date": self.day(14),
        }

    def leave(self) -> dict[str, Any]:
        pick = self.chance.choice
        return {
            "id": f"G{self.chance.randrange(4)}",
            "rep": pick(REPS),
            "starts": self.day(),
            "until": pick((None, self.day())),
            "cover": pick((None, *REPS)),
        }

    def change(self) -> None:
        """A record comes, changes in a few of its fields, or goes."""
        self.expect()
        chance, entity = (
            self.chance,
            self.chance.choice(("account", "account", "lead", "lead", "lead", "rep", "opportunity", "activity", "leave")),
        )
        known = self.records[entity]
        if known and chance.random() < 0.2:
            id = chance.choice(sorted(known))
            del known[id]
            self.live.remove(entity, id)
            return
        record = self.coming.pop() if entity == "lead" and self.coming else self.make[entity]()
        before = known.get(record["id"])
        if before is not None and chance.random() < 0.8:
            record = {**before, **{name: record[name] for name in chance.sample(sorted(record), 2)}, "id": record["id"]}
        if entity == "lead" and record["id"] in self.given:
            record["owner_sdr"] = self.given[record["id"]]
        known[record["id"]] = record
        self.live.put(entity, record)
        if entity == "lead":
            self.trust(record["id"])


def companies(bound: Any) -> dict[Any, list[Any]]:
    with bound.world.as_before("lead"):
        known = bound.pools.together.existing(bound.pools.pools["desk"], "lead", "sdr")
    return {company: records for company, records in known.of.items() if records}


@pytest.mark.parametrize("seed", seeds(1, 1, 30))
@pytest.mark.parametrize("company", COMPANIES)
def test_a_binding_that_lives_on_knows_what_a_new_one_does(company: str, seed: int) -> None:
    chance = random.Random(f"{company} {seed}")
    world = Changing(made(chance, company), chance)
    seen: set[str] = set()
    while len(seen) < 8:
        for _ in range(chance.choice((0, 1, 1, 1, 2, 4))):
            world.change()
        if chance.random() < 0.3:
            world.go_on()
        world.live.at(world.now.isoformat())
        now = companies(world.live)
        assert now == companies(world.fresh())
        seen.add(str(now))


@pytest.mark.parametrize("seed", seeds(2, 6, 400))
def test_a_binding_that_lives_on_decides_as_a_new_one_does(seed: int) -> None:
    chance = random.Random(seed)
    world = Changing(made(chance, chance.choice(COMPANIES)), chance)
    pooled = 0
    for _ in range(25):
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            world.change()
        if chance.random() < 0.3:
            world.go_on()
        entity, role = chance.choice((("lead", "sdr"), ("lead", "sdr"), ("account", "ae")))
        key = chance.choice(sorted(world.records[entity]))
        fresh = world.fresh(world.live.current_state())
        decision = world.live.decide(key, role, entity=entity, as_of=world.now.isoformat(), shows=False)
        assert shown(decision) == shown(fresh.decide(key, role, entity=entity, shows=False))
        if decision.turn is not None and decision.owner is not None:
            pooled += 1
            world.records[entity][key]["owner_sdr"] = world.given[key] = decision.owner
            world.live.own(decision.row, role, decision.owner)
    assert pooled > 0
