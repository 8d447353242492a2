"""Random policies and data for comparing engines: every stage, missing values, odd texts, time zones and ties."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the one in C, where PyYAML has it
TEXTS = ["US", "DE", "Bräu & Söhne", "=1+1", "a,b", 'say "hi"', "line\nbreak", "N/A", "-", " ", "ＡＣＭＥ", "😀", "ß", "null", "x" * 40, "Acme Inc", "ACME", "acme gmbh"]  # fmt: skip
SEGMENTS = ["SMB", "Mid", "Ent"]
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
REPS = ["ann", "bob", "cy", "dee", "eve"]

CONDITIONS = [
    "account.employees >= {n}", "account.employees in [{n}..{m})", "account.employees in ({n}, {m})", "account.employees = null",
    "account.employees != {n}", "not(account.employees < {n})", "account.employees between {n} and {m}", "account.revenue / account.employees > {n}",
    "account.revenue - account.employees * 2 <= {m}", 'account.segment = "{s}"', 'account.segment in ("SMB", "{s}")', 'account.segment not in ("{s}")',
    "account.segment = null", 'account.country = "US"', "account.country = account.parent.country", "account.flag", "not(account.flag)",
    "account.flag = true", "account.created > today - {d} days", "account.created <= today - 3 months", "account.created + 30 days >= today",
    "account.created.year = 2025", "account.seen < now", "account.seen > now - {d} days", "date(account.seen) = today - 1 day",
    "account.parent != null", "account.parent.employees > account.employees", "count(account.activities) > {k}",
    'count(account.activities[type = "call"]) >= {k}', "max(account.activities.date) > today - {d} days",
    'some a in account.activities satisfies a.type = "call" and a.date > today - {d} days', "every a in account.activities satisfies a.date < today",
    "account.activities[1].type = \"call\"", "account.activities[date = max(account.activities.date)][1].rep.name = \"Ann\"", "sum(account.activities.minutes) > {n}",
    "mean(account.activities[minutes > 3].minutes) > {k}", "starts_with(account.name, \"A\")", "lower_case(account.name) = \"acme\"",
    "contains(account.name, account.segment)", "string_length(account.name) > {k}", "account.domain in strategic", "account.owner.ae != null",
    'account.owner.ae.team = "{s}"', "account.owner.ae = account.parent.owner.ae", "account.size_class = \"big\"", "account.points > {k}", "account.label != null",
    "account.best.minutes > {k}", "account.children[employees > {n}][1] != null", "account.ultimate_parent.segment = \"{s}\"",
    "if account.flag then account.employees > {n} else account.revenue > {n}", "(account.employees > {n} or account.segment = \"{s}\") and account.country != \"DE\"",
    "(account.flag or account.employees > {n}) and (account.segment = \"{s}\" or account.created = null)", "territory.region = \"R1\"", "true",
    "account.open_opportunities[amount > {n}][1] != null", "account.protect_state = \"protected\"", "account.employees * 0.1 + 0.2 > {n} / 3",
    "sum(for a in account.activities return a.minutes * 2) > {n}", "min([account.employees, account.revenue]) > {n}", "account.employees in [{n}..{m}] or account.employees in (> 900)",
]  # fmt: skip
DEFINITIONS = {
    "label": [
        "if account.employees > {n} then account.name else null",
        "upper_case(account.segment)",
        'account.name + " " + account.segment',
    ],
    "best": ["account.activities[minutes = max(account.activities.minutes)][1]", 'account.activities[type = "call"][-1]'],
    "recent": ["account.activities[date > today - {d} days]"],
    "ratio": ["account.revenue / account.employees", "floor(account.revenue / 7)", "-account.employees"],
    "due": ["account.created + {d} days", "account.created + 5 working days", "max(account.activities.date)", "today - account.created"],
}
FAMILY = [  # what leads to another account
    *(c for c in CONDITIONS if any(word in c for word in ("parent", "children"))),
    "account.parent.owner.ae = account.owner.ae", 'account.parent.size_class = "big"', "account.parent.points > {k}", "count(account.parent.activities) > {k}",
    "count(account.children) > {k}", "sum(account.children.employees) > {n}", "account.ultimate_parent.owner.ae != null", "count(account.ancestors) > 1",
    'account.parent.territory.region = "R1"', 'account.parent.parent.country = "US"', "account.children[1].owner.ae != null",
    "account.parent.owner_since.ae > today - {d} days", "account.parent.former_owner.ae != null", "account.parent.open_opportunities[amount > {n}][1] != null",
    "count(account.children.activities) > {k}", 'account.parent.place.tier = "A"', "account.place.percentile > {n} / 10", "account.children[1].rung.rank = 1",
    "account.rung.rank <= {k}", 'account.ultimate_parent.rung.tier = "top"',
]  # fmt: skip
LEAD = [
    "lead.account != null", "account.owner.ae != null", "lead.employees > {n}", 'lead.form = "demo"', "lead.form = null", "lead.source = \"inbound\"",
    "lead.created > now - {d} days", "lead.account.points > {k}", "is_freemail(lead.email)", "count(lead.activities) > 0", "lead.created_by = null",
    "lead.account.segment = \"{s}\"", "domain(lead.email) in strategic",
]  # fmt: skip


MODELS: dict[str, Any] = {
    "capped": {
        "criteria": [{"name": "big", "when": "account.employees > 100", "points": 30, "group": "size"}, {"name": "old", "when": "account.created < today", "points": -5}],
        "caps": {"size": 20},
        "signals": [{"name": "calls", "of": "account.activities", "points": 4, "half_life": "30 days", "most": 9}],
        "least": 0,
    },
    "blend": {"weighted": {"a": {"score": "account.employees", "of": 500, "weight": 2}, "b": {"score": "account.points", "of": 10, "weight": 1}}},
    "grade": {"matrix": {"account.points": [5, 1], "account.employees": [500, 100, 10]}},
    "place": {"rank": {"of": "account.employees", "within": "account.segment", "tiers": {"A": 25, "B": 75}}},
    "odds": {"logistic": {"intercept": -1, "parts": {"flag": {"of": "account.flag", "weight": 0.5}, "size": {"of": "account.employees", "weight": 0.001}}}},
    "ideal": {"profile": [{"name": "x", "when": "account.employees > 10"}, {"name": "y", "when": "account.flag", "must": True}]},
}  # fmt: skip


READ = {  # what a rule may ask of each
    "capped": "account.capped > 9", "blend": "account.blend_a > 20", "grade": 'account.grade in ("A1", "B2", "C3")', "place": 'account.place.tier = "A"',
    "odds": "account.odds > 40", "ideal": "account.ideal >= 50",
}  # fmt: skip


def models(rng: random.Random, apart: bool) -> dict[str, Any]:
    """Score models; a rank looks at all records, so not where they are decided apart."""
    return {name: MODELS[name] for name in rng.sample(sorted(MODELS.keys() - ({"place"} if apart else set())), 3)}


def fill(rng: random.Random, text: str) -> str:
    n = rng.choice([0, 1, 10, 99, 100, 500, 1000])
    values = {"n": n, "m": n + rng.choice([1, 50, 900]), "k": rng.randrange(4), "d": rng.choice([1, 30, 200]), "s": rng.choice(SEGMENTS)}
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def condition(rng: random.Random, pool: list[str]) -> str:
    parts = [fill(rng, rng.choice(pool)) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    return rng.choice([" and ", " and ", " or "]).join(f"({p})" for p in parts)


def make_policy(rng: random.Random, folder: Path, apart: bool = False) -> None:
    """A random policy; `apart` leaves out what makes one account's owner depend on other accounts."""
    write_policy(policy_of(rng, apart), folder)


def write_policy(policy: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "strategic.csv").write_text("domain\nacme.com\nexample.de\n", "utf-8")
    (folder / "policy.yaml").write_text(yaml.dump(policy, Dumper=DUMPER, sort_keys=False, allow_unicode=True), "utf-8")


def policy_of(rng: random.Random, apart: bool = False, families: bool = False) -> dict[str, Any]:
    """The sections of a random policy; with `families` accounts that are decided apart look at others of their family."""
    policy: dict[str, Any] = {
        "roe": 1, "name": "random", "timezone": rng.choice(ZONES), "calendar": rng.choice(["", "US", "DE"]), "roles": ["ae", "sdr"],
        "fields": {
            "account": {"segment": {"type": "string", "values": SEGMENTS, "aliases": {"Small": "SMB"}}, "flag": {"type": "boolean"}, "seen": {"type": "datetime"}},
            "activity": {"minutes": {"type": "number"}},
        },
        "lists": {"strategic": {"file": "strategic.csv", "key": "domain"}},
        "define": {f"account.{name}": fill(rng, rng.choice(texts)) for name, texts in DEFINITIONS.items()},
        "scores": {
            "points": {"criteria": [{"name": f"c{i}", "when": condition(rng, CONDITIONS[:24]), "points": rng.choice([-5, 1, 2.5, 10])} for i in range(4)]},
            **(models(rng, apart) if rng.random() < 0.4 else {}),
        },
        "tables": {
            "size_class": {
                "hit": rng.choice(["first", "unique", "any"]),
                "rows": [{"employees": "< 100", "size_class": "small"}, {"employees": f">= {rng.choice([100, 90])}", "segment": rng.choice(["-", "Ent"]), "size_class": "big"}],
            },
            "tags": {"hit": "collect", "rows": [{"country": "US", "tags": "us"}, {"employees": "> 10", "tags": "ten"}]},
        },
        "territories": {
            "hit": rng.choice(["first", "unique"]),
            "rows": [{"territory": f"t{i}", "country": rng.choice(["US", "DE", "-", 'not("US")']), "employees": rng.choice(["-", ">= 100", "< 100", "[10..500]"]), "region": f"R{i % 3}"} for i in range(5)],
        },
        "windows": {"protect": {"lasts": f"{rng.choice([10, 90])} days", "renewed_by": 'type = "call"', "grace": "10 days"}},
        "matching": {
            "methods": [
                {"name": "mail", "match": "domain(lead.email) = account.domain", "unless": "is_freemail(lead.email)"},
                {"name": "name", "match": f"similarity(lead.company, account.name) >= {rng.choice([0.7, 0.9])}", "unless": "contradicts(lead.country, account.country)"},
            ],
            "tie_break": [{"most": "count(account.activities)"}, {"least": "account.employees"}],
        },
        "sources": [{"name": "inbound", "when": "lead.form != null"}, {"name": "outbound", "when": 'lead.created_by.role = "SDR"'}],
        "pools": {
            "desk": {"members": 'rep.team = "SMB" or rep.team = "Mid"', "strategy": "round_robin", "caps": {"per_day": rng.choice([1, 3, 50])}, "fallback": "late"},
            "late": {"members": ["eve", "stranger"]},
            "weighted": {"members": "rep.active != false", "strategy": "weighted", "weight": "rep.ramp", "caps": {"open_leads": rng.choice([4, 4.5, 40])},
                         "sticky": "account.owner", "hours": "working", "sla": {"within": rng.choice(["4 working hours", "2 days"]), "escalate": "vp"}},
            "best": {"members": "rep.active != false", "strategy": "top_score", "score": "rep.capacity", "caps": {"per_week": 7}, "together": "lead.company", "fallback": "desk", "debt": 1},
            "level": {"members": 'rep.role = "SDR"', "strategy": "least_loaded", "together": "never"},
            "own": {"members": "rep.team = account.segment", "caps": {"per_day": 4}, "fallback": "boss"},
        },
    }  # fmt: skip
    if rng.random() < 0.3:
        policy["holdovers"] = {
            "keeps": {"role": rng.choice(["ae", "sdr"]), "credit": [100, 75, 50], "each": rng.choice(["1 month", "30 days"])}
        }
    claimed = not apart and rng.random() < 0.4
    if claimed:
        policy["claims"] = {
            "role": rng.choice(["ae", "sdr"]), "caps": {"open": rng.choice([1, 3]), "per_day": "rep.capacity"}, "lasts": "20 days",
            "work_within": rng.choice(["3 days", "6 working hours"]), "worked_by": 'type in ("call", "meeting")', "wait": "5 working days",
            "blocked_by": [{"name": "big", "when": "account.employees > 400", "because": "{account.name} is big for {rep.name}"},
                           {"name": "owned", "when": "account.owner.ae != null and account.owner.ae != rep"}],
        }  # fmt: skip
    if apart:
        near = [*CONDITIONS, *FAMILY, *FAMILY] if families else [c for c in CONDITIONS if c not in FAMILY]
        rules = {role: [r for r in _rules(rng, near, "account") if "route" not in str(r)] for role in ("ae", "sdr")}
        for rule in (rule for found in rules.values() for rule in found if families and rng.random() < 0.2):
            rule |= {
                "then": {
                    "assign": rng.choice(["account.parent.owner.ae", "account.ultimate_parent.owner", "account.children[1].owner.ae"])
                },
                "because": "as {account.parent.name} of {account.ultimate_parent.owner.ae}",
            }
        policy["engagement"] = {"account": {role: found or [{"name": "all", "then": "keep"}] for role, found in rules.items()}}
        del policy["matching"], policy["pools"]
        _asked(policy)
        return policy
    policy["engagement"] = {
        "account": {"ae": _rules(rng, CONDITIONS, "account"), "sdr": _rules(rng, CONDITIONS, "account")},
        "lead": {"sdr": _rules(rng, [*LEAD, *LEAD, "account.employees > {n}"], "lead")},
    }
    if claimed:
        rule = {"name": "claimed", "when": "account.claim != null", "then": {"assign": "account.claim.rep", "until": "account.claim_until"}}
        policy["engagement"]["account"]["ae"].insert(1, rule)
    _asked(policy)
    return policy


def _asked(policy: dict[str, Any]) -> None:
    """A rule for each score model, before all others."""
    for name in policy["scores"]:
        if name in READ:
            rule = {
                "name": name,
                "when": READ[name],
                "then": {"assign": '"ann"'},
                "because": "{account." + name + ("}" if name != "place" else ".rank}"),
            }
            for role in ("ae", "sdr"):
                policy["engagement"]["account"][role].insert(0, {**rule, "then": {"assign": '"ann"'}})


def _rules(rng: random.Random, pool: list[str], entity: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    for i in range(rng.randrange(2, 12)):
        rule: dict[str, Any] = {"name": f"r{i}", "when": condition(rng, pool)}
        then: list[Any] = ["keep", "open", "hold", "return", {"assign": '"bob"'}, {"assign": f"{entity}.owner.ae"}, {"assign": f"{entity}.owner"},
                {"refer": "vp", "within": "2 working days"}, {"keep": "30 days"}, {"route": "desk"}, {"route": "weighted"}, {"route": "best"}, {"route": "desk"}]  # fmt: skip
        if rng.random() < 0.05:
            then += [{"route": "level"}] * 9 + [{"route": "own"}] * 9
        then += (
            [{"assign": "account.best.rep"}, {"assign": 'if account.employees > 100 then "ann" else account.segment'}]
            if entity == "account"
            else []
        )
        rule["then"] = rng.choice(then)
        if rng.random() < 0.4 and (
            rule["then"] == "keep" or (isinstance(rule["then"], dict) and any(k in rule["then"] for k in ("assign", "keep", "route")))
        ):
            rule["else"] = rng.choice(["open", {"assign": '"nobody known"'}, {"route": "desk"}, {"refer": "boss"}])
        if rng.random() < 0.5:
            rule["because"] = "{" + entity + ".name}: {account.employees} of {account.owner.ae}, {account.created}"
        rules.append(rule)
    return rules


def _some(rng: random.Random, values: list[Any], missing: float = 0.2) -> Any:
    return None if rng.random() < missing else rng.choice(values)


def make_data(rng: random.Random, accounts: int = 60) -> dict[str, list[dict[str, Any]]]:
    days = [f"2025-{m:02d}-{d:02d}" for m in (1, 6, 12) for d in (1, 15, 28)] + ["2026-01-31", "2026-02-01", "2024-02-29", "2026-03-01"]
    times = [f"{day}T{h:02d}:30:00" for day in days for h in (0, 9, 23)] + ["2026-01-31T23:30:00-05:00", "2026-02-01T00:00:00Z"]
    ids = [f"A{rng.randrange(accounts * 2)}" for _ in range(accounts)]
    made: dict[str, list[dict[str, Any]]] = {"account": []}
    for i in ids:
        made["account"].append({
            "id": i, "name": _some(rng, [*TEXTS, "Acme", "Acme Ltd"], 0.1), "domain": _some(rng, ["acme.com", "example.de", "https://www.shop.co.uk/x", "bad", "gmail.com"]),
            "country": _some(rng, ["US", "Germany", "DE", "usa", "Atlantis"]), "segment": _some(rng, [*SEGMENTS, "Small"] * 8 + ["Other"]),
            "employees": _some(rng, [0, "10", "1,000", 99, 100, 100.5, "1e3", 500, 9007199254740993, -1, "lots"] if rng.random() < 0.1 else [0, 10, "99", 100, 500, 1000, 2.5]),
            "revenue": _some(rng, [0, 1e6, "$5,000", 7.25, 1e300]), "flag": _some(rng, ["yes", "no", True, False, "1"]), "created": _some(rng, days),
            "seen": _some(rng, times), "parent": _some(rng, [*ids, "nowhere"], 0.5), "owner": _some(rng, [*REPS, "Ann", "ghost"]), "owner_sdr": _some(rng, REPS, 0.6),
            "owner_since": _some(rng, days), "former_owner": _some(rng, REPS, 0.6),
        })  # fmt: skip
    made["activity"] = [
        {"id": f"T{i}", "account": _some(rng, ids), "lead": _some(rng, [f"L{k}" for k in range(20)]), "type": _some(rng, ["call", "meeting", "mail"]), "date": _some(rng, days), "rep": _some(rng, REPS), "minutes": _some(rng, [1, 2, 2.5, 0.1, 60])}
        for i in range(accounts * 2)
    ]  # fmt: skip
    made["opportunity"] = [
        {"id": f"O{i}", "account": _some(rng, ids), "amount": _some(rng, [10, 100, 5000]), "is_closed": _some(rng, ["true", "false"])}
        for i in range(accounts)
    ]
    made["lead"] = [
        {"id": f"L{i}", "email": _some(rng, ["jo@acme.com", "x@gmail.com", "a@shop.co.uk", "not mail", "jo@acme.com "]), "company": _some(rng, TEXTS), "country": _some(rng, ["US", "DE"]),
         "employees": _some(rng, [1, 100, 5000]), "form": _some(rng, ["demo", "pricing"], 0.5), "created": _some(rng, times), "created_by": _some(rng, REPS), "owner_sdr": _some(rng, REPS, 0.7),
         "converted": _some(rng, ["true", "false"]), "account": _some(rng, ids, 0.8)}
        for i in range(40)
    ]  # fmt: skip
    made["rep"] = [
        {"id": r, "name": r.title(), "team": rng.choice(SEGMENTS), "role": rng.choice(["AE", "SDR"]), "active": _some(rng, ["true", "false"], 0.6), "ramp": _some(rng, [0, 0.5, 1, 2]), "capacity": _some(rng, [5, 10]),
         "starts": _some(rng, days, 0.7), "ends": _some(rng, days, 0.8), "timezone": _some(rng, ["America/New_York", "Asia/Tokyo", "Mars/Olympus"]), "hours": _some(rng, ["00:00-23:59", "08:00-16:00"])}
        for r in REPS
    ]  # fmt: skip
    made["claim"] = [
        {"id": f"K{i}", "account": _some(rng, ids), "rep": _some(rng, REPS), "at": _some(rng, times), "released": _some(rng, times, 0.9)}
        for i in range(accounts // 2)
    ]
    made["leave"] = [
        {
            "id": f"V{i}",
            "rep": _some(rng, REPS),
            "starts": _some(rng, days),
            "until": _some(rng, [*days, "2026-06-01"]),
            "cover": _some(rng, REPS),
        }
        for i in range(rng.randrange(4))
    ]
    for rows in made.values():
        for line, row in enumerate(rows, 2):
            row["$line"] = line
    return made


def ask_a_second_pool(rng: random.Random, pools: dict[str, Any], rules: Iterable[dict[str, Any]]) -> None:
    """Let most rules that ask a pool ask another one behind it, or the same again; and let pools find nobody: without a fallback, and with few
    members, who take few records.
    """
    for pool in pools.values():
        if rng.random() < 0.7:
            pool.pop("fallback", None)
        if rng.random() < 0.2:
            pool["fallback"] = "gone"  # whom the data does not list, or who is not able
        if rng.random() < 0.3:
            pool["caps"] = {"per_day": 2}
        if rng.random() < 0.1:
            pool["members"] = ["nobody"]
    for rule in rules:
        then = rule["then"]
        if isinstance(then, dict) and "route" in then and rng.random() < 0.9:
            rule["else"] = {"route": rng.choice(sorted(pools))}
            if rng.random() < 0.3:
                rule["because"] = "the rule says so"
