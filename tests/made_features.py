"""What a random world can have, feature by feature: each is drawn on its own, so a world can be made again without any one of them.

A feature adds sections to a policy, and rules and data that make them matter; `test_alike.py` shows that each does in some world.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from made_policies import LEAD, REPS, ask_a_second_pool, condition
from roe.crm.ids import checksum

Policy = dict[str, Any]
Tables = dict[str, list[dict[str, Any]]]
KINDS = ("all", "accounts", "account pools", "leads")  # what a policy decides
OWN = ("accounts", "account pools")


@dataclass
class Draft:
    """A world that is being made: `entity` is what it decides, `files` are tables of its policy."""

    kind: str
    policy: Policy
    tables: Tables
    files: dict[str, str] = field(default_factory=dict)
    hands: bool = True  # people move records in the CRM

    @property
    def entity(self) -> str:
        return "lead" if self.kind == "leads" else "account"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.tables[self.entity]

    @property
    def decided(self) -> list[str]:
        return sorted(self.policy["engagement"])

    def ids(self, entity: str) -> list[str]:
        return [str(row["id"]) for row in self.tables[entity]]

    def fields(self, entity: str, **more: Any) -> None:
        self.policy["fields"].setdefault(entity, {}).update(more)

    def rule(self, rng: random.Random, name: str, when: str, then: Any, **more: Any) -> None:
        """A rule among the first ones of some role."""
        roles = self.policy["engagement"][self.entity]
        rules = roles[rng.choice(sorted(roles))]
        rules.insert(rng.randrange(min(3, len(rules) + 1)), {"name": name, "when": when.format(e=self.entity), "then": then, **more})

    def column(self, rng: random.Random, entity: str, name: str, values: list[Any]) -> None:
        for row in self.tables[entity]:
            row[name] = rng.choice(values)


@dataclass(frozen=True)
class Feature:
    """`apart` says that records with it can still go to tasks of their own; `file` is where it shows."""

    add: Callable[[Draft, random.Random], None]
    share: float
    kinds: tuple[str, ...]
    apart: bool
    file: str

    def is_in(self, draft: Draft, rng: random.Random) -> bool:
        share = self.share if self.apart or draft.kind == "all" else self.share / 8  # most worlds are to be shared out
        return rng.random() < share and draft.kind in self.kinds


FEATURES: dict[str, Feature] = {}


def feature(
    share: float = 0.3, kinds: tuple[str, ...] = KINDS, apart: bool = True, file: str = "allocations"
) -> Callable[[Callable[[Draft, random.Random], None]], Callable[[Draft, random.Random], None]]:
    def register(add: Callable[[Draft, random.Random], None]) -> Callable[[Draft, random.Random], None]:
        FEATURES[add.__name__] = Feature(add, share, kinds, apart, file)
        return add

    return register


# --- the data -----------------------------------------------------------------------------------------------------------


@feature(0.2)
def long_ids(w: Draft, rng: random.Random) -> None:
    """Ids of Salesforce, of 15 and of 18 characters, also in small letters: one id."""

    def other(at: Any) -> Any:
        if not isinstance(at, str) or not at[1:].isdigit() or at[:1] != w.entity[0].upper():
            return at
        short = f"0015g00000Ab{int(at[1:]):03}"
        full = short + checksum(short)
        return rng.choice([short, full, full, full.lower()])

    for entity, rows in w.tables.items():
        for row in rows:
            for name in {"id"} if entity == w.entity else {w.entity}:
                if name in row:
                    row[name] = other(row[name])
            if entity == w.entity == "account":
                row["parent"] = other(row["parent"])


@feature(0.3)
def normalised(w: Draft, rng: random.Random) -> None:
    """Values in other letters and by other names are one; what is none of them rejects its record."""
    w.fields(w.entity, tier={"type": "string", "normalize": "upper", "values": ["A", "B"], "aliases": {"GOLD": "A"}})
    w.column(rng, w.entity, "tier", ["a", "A ", "b", "GOLD", "gold", None] * 6 + ["C"])
    w.rule(rng, "tier", '{e}.tier = "A"', {"assign": '"dee"'})


@feature(0.4)
def signals(w: Draft, rng: random.Random) -> None:
    """Records that refer to those that are decided: by id, by a unique name or in vain, and some of them rejected."""
    named = {}
    for row in w.rows:
        if rng.random() < 0.5:
            named[str(row["id"])] = row["name"] = f"Company {row['id']}"
    of = [rng.choice([*w.ids(w.entity), "nowhere"]) for _ in range(60)]
    w.tables["signal"] = [
        {"id": f"G{i}", w.entity: named.get(id, id) if rng.random() < 0.7 else id, "date": rng.choice(["2026-01-30", "2026-01-02", None, "soon"]),
         "kind": rng.choice(["intent", "web"]), "weight": rng.choice([1, 2, "many"])} for i, id in enumerate(of)
    ]  # fmt: skip
    asked = [
        "sum({e}.signals.weight) > 1",
        "count({e}.signals) > 0",
        "max({e}.signals.date) > today - 10 days",
        '{e}.signals[kind = "web"][1] != null',
    ]
    w.rule(rng, "signals", rng.choice(asked), {"assign": '"cy"'}, because="{count(" + w.entity + ".signals)}")


@feature(0.3)
def own_entity(w: Draft, rng: random.Random) -> None:
    """Records of the policy's own kind."""
    w.fields("site", **{w.entity: {"type": w.entity, "required": True}, "size": "number"})
    w.fields(w.entity, sites={"many": "site", "via": w.entity})
    w.tables["site"] = [
        {"id": f"S{i}", w.entity: rng.choice([*w.ids(w.entity), None]), "size": rng.choice([1, 5, 9, "big"])} for i in range(30)
    ]
    w.rule(rng, "sites", "some s in {e}.sites satisfies s.size > 4", {"assign": '"eve"'})


@feature(0.3, ("all", *OWN))
def contacts(w: Draft, rng: random.Random) -> None:
    w.tables["contact"] = [
        {"id": f"C{i}", "account": rng.choice(w.ids("account")), "email": rng.choice(["A@acme.com", "b@x.de"])} for i in range(30)
    ]
    w.rule(rng, "people", 'some c in account.contacts satisfies c.email = "a@acme.com"', {"assign": '"bob"'})


@feature(0.2, file="rejects")
def merged(w: Draft, rng: random.Random) -> None:
    w.column(rng, w.entity, "merged_into", [*w.ids(w.entity)[:2], *[None] * 9])


@feature(0.3, ("all", *OWN), apart=False)
def by_key(w: Draft, rng: random.Random) -> None:
    """Records that are found by a value."""
    w.fields("account", inbound={"many": "lead", "by": "domain(lead.email)", "equals": "account.domain"})
    w.rule(rng, "inbound", "count(account.inbound) > 1", {"assign": '"dee"'})


# --- what rules look at -------------------------------------------------------------------------------------------------


@feature(0.4)
def staffing(w: Draft, rng: random.Random) -> None:
    w.policy["territories"] |= {"for": [w.entity], "staffing": [
        {"territory": f"t{i}", "role": role, "rep": rng.choice([*REPS, "gone"]), **rng.choice([{}, {"until": "2026-02-02"}, {"from": "2026-02-02"}])}
        for i in range(5) for role in ("ae", "sdr") if rng.random() < 0.7
    ]}  # fmt: skip
    w.policy["territories"] |= _some(rng, {"cover": "leave", "fallback": {"ae": "eve"}, "levels": ["region"]})
    w.rule(rng, "territory", "territory != null", {"assign": "territory_owner"}, because="{territory.name}", **{"else": "open"})


@feature(0.4, ("all", *OWN))
def overlays(w: Draft, rng: random.Random) -> None:
    rows = [{"name": "one", "segment": "SMB", "region": "R1"}, {"name": "other", "region": "R2"}]
    w.policy["overlays"] = {"area": {"hit": "first", "rows": rows, "staffing": [{"territory": "one", "role": "sdr", "rep": "cy"}]}}
    w.rule(rng, "area", 'account.area.region = "R1"', {"assign": "account.area_owner"})


@feature(0.4, ("all", *OWN))
def freezes(w: Draft, rng: random.Random) -> None:
    day = rng.choice(["2025-02-01", "2025-02-02"])  # the second night is in the same month or the next
    w.policy["freezes"] = {"account.year_segment": {"value": "account.segment", "from": day, "every": "month"}}
    w.rule(rng, "year", rng.choice(['account.year_segment = "SMB"', "account.year_segment != account.segment"]), {"assign": '"ann"'})


@feature(0.3)
def dated(w: Draft, rng: random.Random) -> None:
    """Rows of tables and of lists, rules and windows that count for a time."""
    dates = [{"until": "2026-02-02"}, {"from": "2026-02-02"}]
    rows = [{"country": "US", "season": "old", **dates[0]}, {"country": "-", "season": "new", **dates[1]}]
    w.policy["tables"]["season"] = {
        "for": w.entity,
        "inputs": {"country": f"{w.entity}.country"},
        "outputs": ["season"],
        "hit": "first",
        "rows": rows,
    }
    w.policy["lists"]["lands"] = {"file": "lands.csv", "key": "land"}
    w.files["lands.csv"] = "land,from,until\nDE,,2026-02-02\nUS,2026-02-02,\n"
    w.policy["windows"]["quiet"] = {"for": w.entity, **dates[0], "from": "2026-01-30", "when": f"{w.entity}.employees > 100"}
    w.rule(rng, "season", '{e}.season = "old"', {"assign": '"bob"'}, **rng.choice([{}, *dates]))
    w.rule(rng, "land", "{e}.country in lands", {"assign": '"cy"'})
    w.rule(rng, "quiet", '{e}.quiet_state = "protected"', "keep")


@feature(0.3, ("all", *OWN))
def cool_off(w: Draft, rng: random.Random) -> None:
    w.policy["windows"]["rests"] = {"starts": "account.created", "lasts": "30 days", "grace": "2 days", "cool_off": "200 days", "renewed_by": 'type = "call"'}  # fmt: skip
    w.rule(rng, "rests", f'account.rests_state = "{rng.choice(["cool_off", "expired", "grace"])}"', rng.choice(["open", "return"]))


@feature(0.2)
def hits(w: Draft, rng: random.Random) -> None:
    """The best of several rows, and the sum of all."""
    more = {"for": w.entity, "inputs": {"size": f"{w.entity}.employees", "land": f"{w.entity}.country"}}
    rows = [
        {"size": ">= 10", "land": "-", "class": "C"},
        {"size": ">= 100", "land": "US,DE", "class": "A"},
        {"size": "-", "land": "U*", "class": "B"},
    ]
    w.policy["tables"]["class"] = {**more, "outputs": ["class"], "hit": "priority", "priority": ["A", "B", "C"], "rows": rows}
    sums: list[Policy] = [
        {"size": ">= 10", "land": "-", "worth": 2},
        {"size": "[100..500]", "land": "-", "worth": 3},
        {"size": "-", "land": 'not("DE")', "worth": 4},
    ]
    w.policy["tables"]["worth"] = {**deepcopy(more), "outputs": ["worth"], "hit": "collect sum", "rows": sums}
    w.rule(rng, "class", '{e}.class = "A" or {e}.worth > 6', {"assign": '"dee"'}, because="{" + w.entity + ".worth}")


@feature(0.2)
def fiscal(w: Draft, rng: random.Random) -> None:
    w.policy["fiscal_year"] = rng.choice(["February", {"starts": "December", "named_by": "start"}])
    w.rule(rng, "quarter", "fiscal_year({e}.created) = fiscal_year(today) or fiscal_quarter({e}.created) = 2", {"assign": '"eve"'})


@feature(0.3, ("all", *OWN))
def parents(w: Draft, rng: random.Random) -> None:
    """Whoever is above an account, and territories that the uppermost decides."""
    above = {"account": "account.ultimate_parent", "except": [{"name": "own", "when": "account.flag"}]}
    w.policy["territories"]["decided_by"] = above
    when = [
        "account.ultimate_parent.employees > 100",
        "count(account.ancestors) > 1",
        'account.parent.country = "US"',
        "count(account.children) > 1",
    ]
    w.rule(rng, "above", rng.choice(when), {"assign": rng.choice(['"dee"', "account.parent.owner.ae"])}, **{"else": {"assign": '"eve"'}})
    w.rule(
        rng, "head", "account.territory_decided_by != null", {"assign": '"bob"'}, because="{account.territory_decided_by}, {territory.name}"
    )


@feature(0.4, apart=False)
def strict_ranks(w: Draft, rng: random.Random) -> None:
    of, within = f"{w.entity}.employees", f"{w.entity}.country"
    w.policy["scores"]["standing"] = {"for": w.entity, "rank": {"of": of, "within": within, "ties": "strict"}}
    w.rule(rng, "standing", "{e}.standing.rank <= 3", {"assign": '"dee"'})


@feature(0.4, ("all",))
def default_matching(w: Draft, rng: random.Random) -> None:
    w.policy["matching"] = rng.choice(["default", "group"])


# --- what decides -------------------------------------------------------------------------------------------------------


@feature(0.4, ("all", "leads"))
def two_roles(w: Draft, rng: random.Random) -> None:
    """Leads that have an account executive too."""
    w.policy["engagement"]["lead"]["ae"] = [{"name": "big", "when": condition(rng, alone(LEAD)), "then": "keep"}, {"name": "owners", "then": {"assign": "account.owner.ae"}, "else": {"assign": '"bob"'}}]  # fmt: skip
    w.column(rng, "lead", "owner", [*REPS, None])


@feature(0.4)
def by_hand(w: Draft, rng: random.Random) -> None:
    how = [rng.choice(["keep", {"keep": "1 day"}, {"refer": "vp", "within": "2 days"}, "decide"]) for _ in range(2)]
    role = sorted(w.policy["engagement"][w.entity])[-1]
    w.policy["by_hand"] = {w.entity: {role: how[0]}}


@feature(0.3, file="ledger")
def tracked(w: Draft, rng: random.Random) -> None:
    w.policy["track"] = [f"{w.entity}.employees", f"{w.entity}.country"]
    w.rule(rng, "was", "value_at({e}.employees, today - 1 day) > 50", {"assign": '"bob"'})


@feature(0.5)
def history(w: Draft, rng: random.Random) -> None:
    asked = [
        "{e}.owner_since.sdr > today - 3 days", "{e}.former_owner.sdr != null", '{e}.owner_by.sdr = "hand"', "{e}.returned_on.sdr != null",
        "count({e}.owners) > 1", 'owner_at({e}, "sdr", today - 1 day) != null', "{e}.owner.sdr.may_hold",
    ]  # fmt: skip
    for n in range(rng.randrange(1, 4)):
        then = rng.choice(["keep", "return", {"assign": f"{w.entity}.former_owner.sdr"}, "open"])
        w.rule(rng, f"h{n}", condition(rng, [x.format(e=w.entity) for x in asked]), then)


@feature(0.4)
def for_a_time(w: Draft, rng: random.Random) -> None:
    """Owners for some days, and questions that go on to somebody else."""
    asked = [{"to": rng.choice(["vp", f"{w.entity}.owner.sdr.manager"])}, {"to": "boss", "after": "1 day"}]
    then = rng.choice([{"keep": "40 days"}, {"assign": '"ann"', "until": '@"2026-02-02"'}, {"refer": asked, "within": "2 days"}])
    w.column(rng, "rep", "manager", [*REPS, "gone"])
    w.rule(rng, "some-time", '{e}.country = "US"', then)


@feature(0.4)
def exceptions(w: Draft, rng: random.Random) -> None:
    until = ["2026-02-02", "2026-06-01", "2026-01-01"]
    w.policy["exceptions"] = [{
        "entity": w.entity, "record": rng.choice(w.ids(w.entity)), "role": "sdr", "owner": rng.choice([*REPS, "gone"]),
        "approved_by": "vp", "reason": "a friend", "until": rng.choice(until), **_some(rng, {"credit": "ann 60; bob 40"}),
    } for _ in range(4)]  # fmt: skip


@feature(0.3)
def do_not_route(w: Draft, rng: random.Random) -> None:
    records = rng.sample(w.ids(w.entity), min(5, len(w.rows)))
    w.policy["do_not_route"] = [
        {"entity": w.entity, "record": id, "reason": "a test", **_some(rng, {"until": "2026-02-02"})} for id in records
    ]


@feature(0.4, file="invariants")
def invariants(w: Draft, rng: random.Random) -> None:
    asked = [(w.entity, f"{w.entity}.owner.sdr != null"), ("rep", "owned < 3"), ("run", "moved_share < 0.1"), ("run", "vanished = 0"), ("run", "changed_in_crm = 0")]  # fmt: skip
    w.policy["invariants"] = [{"name": f"i{n}", "every": of, "holds": holds, "severity": "warn"} for n, (of, holds) in enumerate(asked)]


@feature(0.3, file="ledger")
def complete(w: Draft, rng: random.Random) -> None:
    w.policy["data"] = {w.entity: {"complete": True}}


@feature(0.3, file="ledger")
def systems(w: Draft, rng: random.Random) -> None:
    """Integrations that change owners; a queue that owns some records, and a lead that is closed."""
    w.policy.setdefault("crm", {})["systems"] = {"Router": "u9"}
    w.column(rng, w.entity, "modified_by", ["u9", "u1"])


@feature(0.3)
def queues(w: Draft, rng: random.Random) -> None:
    """Queues own some records, and some leads are closed."""
    roles = sorted(w.policy["engagement"][w.entity])
    w.policy.setdefault("crm", {}).update(queues={w.entity: {role: ["Q1", "Old desk"] for role in roles}})
    if w.entity == "lead":
        w.policy["crm"]["open"] = {"lead": 'not(lead.status = "Junk")'}
        w.column(rng, "lead", "status", ["Junk", "New", None])
    for row in w.rows:
        row["owner_sdr"] = rng.choice([row.get("owner_sdr"), row.get("owner_sdr"), "Q1", "Old desk"])


@feature(0.3, ("all", "accounts"), apart=False, file="territories")
def associations(w: Draft, rng: random.Random) -> None:
    """The CRM's own list of territories."""
    w.policy.setdefault("crm", {})["territories"] = {f"t{i}": f"0MI5g00000{i}" for i in range(4)}
    w.tables["association"] = [
        {"id": f"S{i}", "account": rng.choice(w.ids("account")), "territory": f"0MI5g00000{i % 4}"} for i in range(9)
    ]


@feature(0.4, ("account pools", "leads"))
def second_pools(w: Draft, rng: random.Random) -> None:
    """Rules ask a second pool where the first one finds nobody."""
    ask_a_second_pool(rng, w.policy["pools"], [rule for rules in w.policy["engagement"][w.entity].values() for rule in rules])


# --- what looks at all records ------------------------------------------------------------------------------------------


@feature(0.4, apart=False, file="events")
def events(w: Draft, rng: random.Random) -> None:
    e = w.entity
    w.policy["events"] = {f"{e}.big": {"when": f"{e}.employees > 50", "rearm": f"{e}.employees < 50", "because": "{" + e + ".employees}"}}
    w.rule(rng, "fired", "{e}.big", {"assign": '"eve"'})


@feature(0.4, file="credits")
def credits(w: Draft, rng: random.Random) -> None:
    """Shares, and disputes about them, of which a person has settled some."""
    e = w.entity
    rules = [
        {"name": "large", "when": f"{e}.employees > 50", "shares": {f"{e}.owner.sdr": 60, '"bob"': 40}},
        {"name": "rest", "shares": {'"ann"': 100}},
    ]
    w.policy["credits"] = {"sourcing": {"for": e, "rules": rules, "disputes": {"refer": "vp", "within": "2 days"}}}
    w.tables["dispute"] = [
        {"id": f"D{i}", "credit": "sourcing", "record": rng.choice(w.ids(e)), "by": rng.choice(REPS), "opened": "2026-01-30", "reason": "mine",
         "ruling": rng.choice([None, None, "ann 50; bob 50"]), "ruled_by": "vp"} for i in range(6)
    ]  # fmt: skip


@feature(0.4)
def claims(w: Draft, rng: random.Random) -> None:
    """Reps claim accounts or leads, and lose them after a time."""
    e, id_of = w.entity, w.ids(w.entity)
    blocked = [
        {"name": "owned", "when": f"{e}.owner.sdr != null and {e}.owner.sdr != claim.rep"},
        {"name": "big", "when": f"{e}.employees > 400"},
    ]
    w.policy["claims"] = {
        "for": e, "role": "sdr", "caps": {"open": rng.choice([2, 4]), "per_day": 3}, "lasts": "20 days", "work_within": rng.choice(["3 days", "20 days"]),
        "worked_by": 'type in ("call", "meeting")', "wait": "5 working days", "rest": "1 day", "blocked_by": rng.sample(blocked, rng.randrange(3)),
    }  # fmt: skip
    times = [f"2026-01-{day}T{hour:02}:30:00" for day in (12, 20, 28, 31) for hour in (0, 9, 23)]
    w.tables["claim"] = [
        {"id": f"K{i}", e: rng.choice(id_of), "rep": rng.choice([*REPS, None]), "at": rng.choice(times), "released": rng.choice([*[None] * 9, *times])}
        for i in range(len(id_of))
    ]  # fmt: skip
    if "claimed" not in str(w.policy["engagement"][e].get("ae")):
        rule = {"name": "claimed", "when": f"{e}.claim != null", "then": {"assign": f"{e}.claim.rep", "until": f"{e}.claim_until"}}
        w.policy["engagement"][e]["sdr"].insert(0, rule)


@feature(0.3, ("all", *OWN), apart=False)
def books(w: Draft, rng: random.Random) -> None:
    """Books before their first cycle: whose book an account is in as the cycle begins, and whether it can be given to somebody."""
    w.policy["books"] = {"core": {
        "role": "ae", "accounts": "account.flag != true", "reps": 'rep.role = "AE"', "capacity": "rep.capacity", "value": "account.employees",
        "eligible": "rep.team = account.segment", "work": {"counts": 'type = "call"', "touches": 2}, "neglected": "45 days", "rest": "60 days",
    }}  # fmt: skip
    w.rule(
        rng,
        "book",
        "account.core != null or account.core_able or account.core_now.team != null",
        {"assign": '"dee"'},
        because="{account.core_value}",
    )


@feature(0.3, ("all",))
def deals(w: Draft, rng: random.Random) -> None:
    rules = [
        {"name": "follow", "when": "opportunity.amount > 50", "then": {"assign": "opportunity.account.owner.ae"}},
        {"name": "kept", "then": "keep"},
    ]
    w.policy["engagement"]["opportunity"] = {"ae": rules}
    w.policy.setdefault("crm", {})["cascade"] = {"opportunity": "account"}
    w.column(rng, "opportunity", "owner", [*REPS, None])


def alone(conditions: list[str]) -> list[str]:
    """Those that do not look at the activities of accounts, which keep all leads together."""
    return [x for x in conditions if "activities" not in x and "points" not in x]


def _some(rng: random.Random, sections: Policy) -> Policy:
    return {name: section for name, section in sections.items() if rng.random() < 0.4}


@feature(0.3, ("accounts", "account pools", "leads"))
def names_for_ids(w: Draft, rng: random.Random) -> None:
    """References by names, domains and emails, in any letters: of one record, of several, or of one that is rejected."""
    for row in rng.sample(w.rows, len(w.rows) // 2):
        row["name"] = f"Company {rng.randrange(len(w.rows))}"
    known = [str(row[name]) for row in w.rows for name in ("name", "domain", "email") if row.get(name)]
    for row in [row for rows in w.tables.values() for row in rows]:
        for name in (w.entity, "parent"):
            if name in row and known and rng.random() < 0.2:
                text = rng.choice(known)
                row[name] = rng.choice([text, text.upper(), text.lower()])
    w.rule(rng, "calls", "count({e}.activities) > 1", {"assign": '"cy"'})
