"""A binding that lives on decides as a new binding of the same records does, whatever came, changed and went in between."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import seeds
from helpers import AS_OF, EXAMPLES, compiled, example, policy_text, tables
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.live import Live
from roe.grammar import values as v
from roe.ledger.remembered import Remembered
from roe.plan.operators import Relate

SEEDS = seeds(1, 3, 30)
Raw = dict[str, dict[str, dict[str, Any]]]  # entity -> id -> raw record


def shown(decision: Decision) -> dict[str, Any]:
    """Everything that a decision says, its whole explanation included."""
    names = ("entity", "id", "role", "action", "owner", "previous", "rule", "territory", "pool", "window", "until", "reason", "unknown")
    return {name: v.plain(getattr(decision, name)) for name in names} | {
        "trace": json.loads(json.dumps(decision.trace.as_json(), default=str))
    }


def fresh(evaluator: Evaluator, raw: Raw, as_of: str, state: Remembered | None, entity: str, key: str, role: str) -> dict[str, Any]:
    bound = evaluator.bind({e: list(rows.values()) for e, rows in raw.items()}, as_of=as_of, state=state)
    row = bound.world.find(entity, key)
    assert row is not None
    return shown(bound.decide(row, role))


def keyed(evaluator: Evaluator, given: Any) -> Raw:
    """The records of tables by the ids that they are known by."""
    world = evaluator.bind(given, as_of="2026-01-01").world
    raw: Raw = {}
    for entity, rows in given.items():
        by_line = {row["$line"]: str(row["id"]) for row in world.rows[entity]}
        raw[entity] = {}
        for number, row in enumerate(rows, 1):
            key = by_line.get(row.get("$line", number))
            if key is not None:
                has_id = any(str(x) == key for x in row.values())
                raw[entity][key] = {k: x for k, x in row.items() if k != "$line"} | ({} if has_id else {"id": key})
    return raw


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(AS_OF))
def test_decides_as_a_new_binding_would(name: str, seed: int) -> None:
    rng = random.Random(f"{name} {seed}")
    evaluator = example(name)
    everything = keyed(evaluator, tables(evaluator, EXAMPLES / name / "data"))
    now: Raw = {entity: {k: row for k, row in rows.items() if rng.random() < 0.6} for entity, rows in everything.items()}
    live = evaluator.live({e: list(rows.values()) for e, rows in now.items()}, as_of=AS_OF[name])
    decided = [(e, role) for e, role in evaluator.policy.plan.engagement]
    for _ in range(25):
        for _ in range(rng.randrange(4)):
            change(rng, everything, now, live)
        entity, role = rng.choice(decided)
        if not now.get(entity):
            continue
        key = rng.choice(sorted(now[entity]))
        as_of = later(AS_OF[name], rng.randrange(3))
        state = live.current_state()
        expected = fresh(evaluator, now, as_of, state, entity, key, role)
        row = live.world.find(entity, key)
        assert row is not None
        decision = live.decide(row, role, as_of=as_of)
        assert shown(decision) == expected
        columns = (live.world.owner_column(entity, role), "owner_since")
        if decision.turn is not None and decision.owner != decision.previous and now[entity][key].get(columns[0]):
            now[entity][key] |= {c: x for c, x in zip(columns, (decision.owner, as_of[:10])) if c in now[entity][key]}


def later(as_of: str, days: int) -> str:
    return (datetime.fromisoformat(as_of) + timedelta(days=days)).isoformat()


def change(rng: random.Random, everything: Raw, now: Raw, live: Any) -> None:
    """Insert, update or delete a record, in the live binding and in the raw records."""
    entity = rng.choice([e for e, rows in everything.items() if rows])
    key = rng.choice(sorted(everything[entity]))
    if key in now[entity] and entity != "rep" and rng.random() < 0.3:
        del now[entity][key]
        live.remove(entity, key)
        return
    row = dict(everything[entity][key])
    if rng.random() < 0.6:  # a value of another record
        other = everything[entity][rng.choice(sorted(everything[entity]))]
        row |= {k: other[k] for k in rng.sample(sorted(other), min(2, len(other))) if k in row and not is_id(k)}
    now[entity][key] = row
    assert str(live.put(entity, row)["id"]) == key


def is_id(column: str) -> bool:
    return column.lower().replace(" ", "") in ("id", "email", "recordid", "userid", "account", "name", "opportunity_id", "sales_agent")


MATCHING = """
roe: 1
name: live
roles: [sdr]
matching: default
pools:
  desk: {strategy: round_robin, members: [ann, bo]}
engagement:
  lead:
    sdr:
      - {name: matched, when: lead.account.owner.sdr != null, then: {assign: lead.account.owner.sdr}}
      - {name: desk, then: {route: desk}}
"""
WORDS = ("Norrsken", "Kaltmeer", "Vetri", "Halden", "Group", "Systems", "Bank", "Energy", "Hamburg", "Chile")
FORMS = ("AB", "GmbH", "AG", "Inc", "Ltd", "")


def test_matches_as_a_new_binding_would_while_accounts_come_and_go(tmp_path: Path) -> None:
    """Rarity, the closest names and the candidates of each method are those of the accounts that are there now."""
    policy_text(tmp_path, MATCHING)
    evaluator = roe.compile(roe.load(tmp_path))
    rng = random.Random(3)

    def name() -> str:
        return " ".join(filter(None, [*rng.sample(WORDS, rng.randint(1, 3)), rng.choice(FORMS)]))

    raw: Raw = {"account": {}, "lead": {}, "rep": {r: {"id": r, "name": r} for r in ("ann", "bo")}}
    live = evaluator.live({e: list(rows.values()) for e, rows in raw.items()}, as_of="2026-02-01")
    for step in range(150):
        for _ in range(rng.randint(1, 3)):
            key = f"A{rng.randrange(60)}"
            if key in raw["account"] and rng.random() < 0.4:
                del raw["account"][key]
                live.remove("account", key)
            else:
                row = {
                    "id": key,
                    "name": name(),
                    "domain": rng.choice(("", f"c{rng.randrange(20)}.com")),
                    "owner": rng.choice(("ann", "bo")),
                }
                raw["account"][key] = row
                live.put("account", row)
        if step >= 40:
            del raw["lead"][f"L{step - 40}"]
            live.remove("lead", f"L{step - 40}")
        lead = {"id": f"L{step}", "company": name(), "email": f"x@c{rng.randrange(60)}.com", "owner": ""}
        raw["lead"][lead["id"]] = lead
        state = live.current_state()
        expected = fresh(evaluator, raw, "2026-02-01", state, "lead", lead["id"], "sdr")
        decision = live.decide(lead, as_of="2026-02-01")
        assert shown(decision) == expected
        matchers = [live.world.matcher(step) for step in evaluator.policy.plan.steps.values() if isinstance(step, Relate)]
        for matcher in matchers:
            found = matcher.best(decision.row)  # what a decision computes finds what a trace shows
            assert matcher.match(decision.row).row is found


def test_a_record_that_cannot_be_read_changes_nothing() -> None:
    evaluator = example("inbound")
    live = evaluator.live(tables(evaluator, EXAMPLES / "inbound" / "data"), as_of=AS_OF["inbound"])
    before = len(live.world.rows["lead"])
    for record in ({"id": "new", "created": "no date"}, {"created": "2026-02-01"}):
        with pytest.raises(ValueError, match=r"created|id"):
            live.put("lead", record)
    assert len(live.world.rows["lead"]) == before
    with pytest.raises(KeyError, match="nobody"):
        live.decide("nobody")
    with pytest.raises(KeyError, match="nobody"):
        live.remove("lead", "nobody")


def test_a_pool_goes_on_where_it_was_whatever_changes(tmp_path: Path) -> None:
    policy_text(tmp_path, MATCHING)
    evaluator = roe.compile(roe.load(tmp_path))
    live = evaluator.live(
        {"rep": [{"id": "ann", "name": "Ann"}, {"id": "bo", "name": "Bo"}], "account": [], "lead": []}, as_of="2026-02-01"
    )
    owners = []
    for i in range(6):
        owners.append(live.decide({"id": f"L{i}", "company": f"Firm {i}"}, as_of=f"2026-02-0{1 + i}").owner)
        live.put("account", {"id": "A", "name": f"Other {i}"})
    assert owners == ["ann", "bo"] * 3
    assert live.decide("L0").owner == "ann"  # the same lead again is the same assignment, and no turn
    assert live.current_state()["pools"]["desk"]["turns"] == 6


def test_a_company_stays_together_to_the_second(tmp_path: Path) -> None:
    """Cy's leads of both companies came at 10:00:30. Others follow them for a day: at 10:00:10 of the next day still, at 10:00:40 no more."""
    text = MATCHING.replace("members: [ann, bo]", "members: [ann, bo, cy], together: {by: lead.company, within: 1 day}")
    policy_text(tmp_path, text)
    evaluator = roe.compile(roe.load(tmp_path))
    older = {key: {"id": key, "company": key, "created": "2026-02-01T10:00:30", "owner": "cy"} for key in ("Acme", "Birch")}
    raw: Raw = {"rep": {r: {"id": r, "name": r} for r in ("ann", "bo", "cy")}, "account": {}, "lead": older}
    live = evaluator.live({e: list(rows.values()) for e, rows in raw.items()}, as_of="2026-02-01T10:00:30")
    owners = []
    for key, company, at in (("L1", "Acme", "2026-02-02T10:00:10"), ("L2", "Birch", "2026-02-02T10:00:40")):
        lead = raw["lead"][key] = {"id": key, "company": company, "created": at}
        expected = fresh(evaluator, raw, at, live.current_state(), "lead", key, "sdr")
        decision = live.decide(lead, as_of=at)
        assert shown(decision) == expected
        owners.append(decision.owner)
    assert owners == ["cy", "ann"]


FOLLOW = """
roe: 1
name: follow
roles: [sdr]
pools: {desk: {members: [ann, bo, cy], together: COMPANY}}
engagement: {lead: {sdr: [{name: has, when: lead.owner.sdr != null, then: keep}, {name: in, then: {route: desk}}]}}
"""
FIRST = {"id": "L0", "company": "Acme", "account": "A", "created": "2026-01-01", "owner": "cy"}
SECOND = {"id": "L9", "company": "Acme", "account": "A", "created": "2026-01-02", "owner": "ann"}


@pytest.mark.parametrize(
    ("company", "changes", "asked", "owner"),
    [
        ("lead.company", [("lead", FIRST)], "Acme", "cy"),  # the oldest counts
        ("lead.company", [("lead", FIRST | {"company": "Birch"})], "Acme", "ann"),  # it is another company's now
        ("lead.company", [("lead", FIRST | {"company": "Birch"})], "Birch", "cy"),
        ("lead.company", [("lead", FIRST | {"company": None})], "Acme", "ann"),
        ("lead.company", [("lead", "L0")], "Acme", "ann"),  # it is gone
        ("lead.company", [("lead", "L0"), ("lead", "L9")], "Acme", "bo"),  # nobody is left to follow
        ("lead.company", [("lead", FIRST | {"owner": "bo"})], "Acme", "bo"),
        ("lead.company", [("lead", FIRST | {"owner": None})], "Acme", "ann"),  # nobody has it any more
        ("lead.company", [("lead", FIRST | {"created": "2026-01-03"})], "Acme", "ann"),  # the other is older now
        ("lead.company", [("lead", FIRST | {"id": "L8", "created": "2025-01-03", "owner": "bo"})], "Acme", "bo"),  # an older one comes
        ("lead.company", [("lead", FIRST)], "Elsewhere", "ann"),  # what the pool gave
        ("lead.company", [("account", {"id": "A", "domain": "other.com", "name": "Acme"})], "Acme", "cy"),
        ("lead.account.domain", [("account", {"id": "A", "domain": "acme.com", "name": "Other"})], "Acme", "cy"),  # nobody asks for its name
        ("lead.account.domain", [("account", {"id": "A", "domain": "other.com", "name": "Acme"})], "Acme", "bo"),
        ("lead.account.domain", [("account", {"id": "A", "domain": "other.com"}), ("lead", FIRST | {"account": "B"})], "Acme", "cy"),
    ],
)  # fmt: skip
def test_a_lead_follows_those_of_its_company_as_they_are_now(
    company: str, changes: list[tuple[str, Any]], asked: str, owner: str, tmp_path: Path
) -> None:
    """L1 is of another company and takes ann's turn, so that the companies are known before they change, and bo is next. B has the domain
    that A has.
    """
    policy_text(tmp_path, FOLLOW.replace("COMPANY", company))
    accounts = [{"id": key, "domain": domain, "name": key} for key, domain in (("A", "acme.com"), ("B", "acme.com"), ("X", "else.com"))]
    raw: Raw = {
        "rep": {r: {"id": r, "name": r} for r in ("ann", "bo", "cy")},
        "account": {str(x["id"]): x for x in accounts},
        "lead": {str(x["id"]): x for x in (FIRST, SECOND)},
    }
    evaluator = roe.compile(roe.load(tmp_path))
    live = evaluator.live({e: list(rows.values()) for e, rows in raw.items()}, as_of="2026-02-01")
    assert live.decide({"id": "L1", "company": "Elsewhere", "account": "X", "created": "2026-01-31"}).owner == "ann"
    for entity, record in changes:
        if isinstance(record, str):
            live.remove(entity, record)
        else:
            live.put(entity, {key: value for key, value in record.items() if value is not None})
    assert live.decide({"id": "L2", "company": asked, "account": "B", "created": "2026-02-01"}).owner == owner


ABOUT_REPS = """
roe: 1
name: away
roles: [sdr]
pools: {p: {members: 'rep.role = "SDR"', strategy: top_score, score: rep.level}}
fields: {rep: {level: number}}
engagement: {lead: {sdr: [{name: all, then: {route: p}}]}}
"""


@pytest.mark.parametrize("asks", ["rep.leave = null", "rep.able", "rep.may_hold", 'rep.local_day < @"2026-02-05"', "rep.starts <= today"])
@pytest.mark.parametrize("place", ["members", "score"])
def test_a_pool_knows_on_each_day_who_is_there(asks: str, place: str) -> None:
    """Nothing about a rep has changed when a leave is over, or when the rep has left."""
    members, score = f"members: '{asks}'", f"score: 'if {asks} then 1 else 0'"
    text = (
        ABOUT_REPS.replace("members: 'rep.role = \"SDR\"'", members)
        if place == "members"
        else ABOUT_REPS.replace("score: rep.level", score)
    )
    tables: dict[str, Any] = {
        "lead": [{"id": x} for x in "ABCD"],
        "rep": [{"id": "ann", "role": "SDR", "ends": "2026-02-05", "level": 1}, {"id": "ben", "role": "SDR", "level": 1}, {"id": "cid", "role": "SDR", "starts": "2026-02-05", "level": 1}],
        "leave": [{"id": "l", "rep": "ben", "starts": "2026-02-03", "until": "2026-02-05"}],
    }  # fmt: skip
    days = ("2026-02-04T12:00", "2026-02-05T12:00", "2026-02-04T13:00")
    live = Live(compiled(text), tables, days[0])
    for day, lead in zip(days, "ABC", strict=True):
        assert seats(live.decide(lead, as_of=day)) == seats(Live(compiled(text), tables, day).decide("D")), day


def seats(decision: Decision) -> list[tuple[str, Any, str]]:
    """Who takes part in a turn: (rep, weight, why the rep is skipped)."""
    assert decision.turn is not None and decision.turn.standing is not None
    return [(seat.rep, seat.weight, seat.skipped) for seat in decision.turn.standing.seats]
