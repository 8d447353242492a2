"""A made-up day of a service: leads, work, claims, returns, moves by hand, leave, accounts that change, and policies that take over."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from roe.serve import events, intake
from roe.serve.desk import Desk
from roe.serve.problems import Refused
from roe.serve.writer import Reply

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
REPS = tuple(f"rep{n:02d}" for n in range(8))
WORDS = ("Blue", "North", "Acme", "Delta", "River", "Stone", "Cloud", "Iron")
ENDS = ("Health", "Software", "Foods", "Energy", "Bank")
POLICY = """
roe: 1
name: day
timezone: Europe/Berlin
calendar: DE
working_hours: 08:00-18:00
roles: [ae, sdr]
matching: default
do_not_route: [{entity: lead, record: L13, reason: a test}]
pools:
  inbound:
    members: rep.role = "SDR"
    caps: {per_day: 400, open_leads: 300}
    sla: {within: WITHIN, times: 1, escalate: boss, grace: 5 minutes}
    fallback: rest
  rest:
    members: rep.role = "SDR" or rep.role = "AE"
    strategy: weighted
    weight: if rep.role = "AE" then 1 else 2
    caps: {per_week: 2000}
  enterprise:
    members: rep.role = "AE"
    strategy: least_loaded
    hours: working
engagement:
  lead:
    sdr:
      - {name: asks, when: lead.form = "ask", then: {refer: boss, within: 1 day}}
      - {name: customer, when: account.owner.ae != null, then: {assign: account.owner.ae}, because: "{account.name} is a customer"}
      - {name: big, when: lead.employees > BIG, then: {route: enterprise}}
      - {name: rest, then: {route: inbound}}
"""


def policies() -> tuple[str, ...]:
    """The texts of the policies that take turns in being in force."""
    return tuple(POLICY.replace("WITHIN", within).replace("BIG", big) for within, big in (("1 hour", "500"), ("40 minutes", "800")))


Request = tuple[str, str, dict[str, Any]]  # method, address and body
Ask = Callable[[Desk], Request | None]  # a request, which may rest on what is known; None where there is nothing to ask


@dataclass(frozen=True, slots=True)
class Happening:
    """One request at a moment; with a `policy`, that one takes over before it. `sent` is what was asked when it was handled last."""

    at: datetime
    name: str
    ask: Ask
    policy: int | None = None
    sent: list[Request | None] = field(default_factory=list)

    def act(self, desk: Desk, at: datetime) -> Reply:
        request = self.ask(desk)
        self.sent[:] = [request]
        if request is None:
            raise Refused(404, "R904", "there is no such lead")
        _, address, body = request
        if address == "/v1/events":
            return 200, _said(**events.handle(desk, {**body, "by": body.get("by", "")}, at))
        if address == "/v1/leads":
            id, known, stale = desk.route("lead", body, "", at)
            return 200, lambda: {**desk.answer("lead", id), "known": known, "stale": stale}
        _, _, entity, id = address.split("/")
        return 200, _said(stale=intake.patch(desk, entity, id, body, "", at))


def fill(desk: Desk, at: datetime) -> Reply:
    """The reps and accounts of the day's beginning."""
    for n, rep in enumerate(REPS):
        zone = {"timezone": "America/New_York"} if n == 3 else {}
        intake.put(desk, "rep", {"id": rep, "name": f"Rep {n}", "role": "AE" if n % 4 == 0 else "SDR", "active": "yes", **zone}, "", at)
    intake.put(desk, "rep", {"id": "boss", "name": "Boss", "role": "head", "active": "yes"}, "", at)
    for n in range(40):
        owner = {"owner_ae": REPS[n % 8]} if n % 2 else {}
        intake.put(desk, "account", {"id": f"A{n}", "name": f"{WORDS[n % 8]} {ENDS[n // 8]}", "domain": f"d{n}.com", **owner}, "", at)
    return 200, dict


def happenings(number: int, seed: int) -> list[Happening]:
    """So many requests over twelve hours, in the order of time; some at one moment."""
    chance = random.Random(seed)
    made: list[Happening] = []
    at, leads, current = START, 0, 0
    for n in range(number):
        if chance.random() < 0.8:
            at += timedelta(seconds=chance.expovariate(number / 43_200) * 1.2)
            at = at.replace(microsecond=0)
        swap = None
        if chance.random() < 3 / number:
            swap = current = 1 - current
        kind = chance.random()
        lead, rep = f"L{chance.randrange(max(leads, 1))}", chance.choice(REPS)
        if kind < 0.45 or not leads:
            leads += 1
            made.append(Happening(at, f"{n} lead", _lead(f"L{leads - 1}", chance), swap))
        else:
            made.append(Happening(at, f"{n} other", _other(kind, lead, rep, at, chance), swap))
    return made


def _lead(id: str, chance: random.Random) -> Ask:
    n = chance.randrange(80)
    values = {
        "id": id, "email": f"p{id}@d{n}.com", "company": f"{WORDS[n % 8]} {chance.choice(ENDS)}", "employees": chance.randrange(1000),
        "form": chance.choice(["demo", "demo", "demo", "demo", "ask"]),
    }  # fmt: skip
    return lambda desk: ("POST", "/v1/leads", values)


def _other(kind: float, lead: str, rep: str, at: datetime, chance: random.Random) -> Ask:
    back = at - timedelta(minutes=chance.choice([0, 0, 1, 30, 70]))
    if kind < 0.65:
        return _event({"event": "worked", "id": lead, "rep": rep, "at": back.isoformat()}, of_owner=True)
    if kind < 0.70:
        return _event({"event": "returned", "id": lead, "rep": rep, "reason": "not mine"}, of_owner=True)
    if kind < 0.74:
        return _event({"event": "claimed", "id": lead, "rep": rep})
    if kind < 0.78:
        return _event({"event": "answered", "id": lead, "rep": rep, "by": "boss"})
    if kind < 0.83:
        return _event({"event": "unavailable", "rep": rep, "until": (at + timedelta(minutes=chance.randrange(5, 120))).isoformat()})
    if kind < 0.86:
        return _event({"event": "available", "rep": rep})
    if kind < 0.91:
        return _patch("lead", lead, {"owner_sdr": rep})
    if kind < 0.93:
        return _patch("lead", lead, {"owner_sdr": ""})
    if kind < 0.955:
        return _patch("rep", rep, {"active": chance.choice(["yes", "yes", "no"])})
    n = chance.randrange(60)
    values = {"name": f"{WORDS[n % 8]} {chance.choice(ENDS)}", "domain": f"d{n}.com", "owner_ae": chance.choice([*REPS, ""])}
    return _patch("account", f"A{n}", values)


def _patch(entity: str, id: str, values: dict[str, Any]) -> Ask:
    def ask(desk: Desk) -> Request | None:
        return None if entity == "lead" and not desk.record(entity, id).fields else ("PATCH", f"/v1/{entity}/{id}", values)

    return ask


def _event(event: dict[str, Any], of_owner: bool = False) -> Ask:
    def ask(desk: Desk) -> Request:
        owner = desk.state.get("owner", f"lead|{event.get('id')}|sdr")
        return "POST", "/v1/events", {**event, "rep": owner["owner"]} if of_owner and owner is not None and owner["owner"] else event

    return ask


def _said(**values: Any) -> Callable[[], dict[str, Any]]:
    return lambda: values
