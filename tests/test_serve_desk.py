"""The service's core in one process: routing, events, timers and the mirror, on a clock that the tests set.

Where a scenario of the service's list is meant, the name of the test has its number.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from starlette.testclient import TestClient

from helpers import EXAMPLES, policy_text
from ledgers import STORES, place
from roe.data.read import read_tables
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Run
from roe.ledger.entries import Loaded, RunEntry
from roe.ledger.remembered import Remembered
from roe.ledger.store import open_store
from roe.serve import asked, held
from roe.serve.app import build_app
from roe.serve.desk import Desk
from roe.serve.events import FIELDS
from roe.serve.letters import KINDS as LETTERS
from roe.serve.letters import Receiver
from roe.serve.openapi import SCHEMAS
from roe.serve.policies import load
from roe.serve.server import Server
from roe.serve.settings import Settings
from roe.serve.times import SetTime
from roe.serve.versions import parse_version
from roe.serve.writer import Act, Reply
from services import MONDAY, POLICY, Service, fill, policy, ready, service

BERLIN = ZoneInfo("Europe/Berlin")
NOWHERE = "https://127.0.0.1:9/never"  # an address that nothing is sent to, for which no network is asked


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


# --- routing ----------------------------------------------------------------------------------------------------------


def test_turns_go_round_and_a_known_lead_keeps_its_owner_without_a_turn(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        assert [desk.route(f"L{i}", email=f"a@x{i}.com")["owner"] for i in range(4)] == ["ann", "ben", "cid", "ann"]
        again = desk.route("L1", email="a@x1.com", country="DE")
        assert (again["owner"], again["known"]) == ("ben", True)
        assert desk.route("L9", email="a@x9.com")["owner"] == "ben"
        assert [t.number for t in desk.entries("turn")] == [1, 2, 3, 4, 5]


def test_an_answer_names_decision_policy_rule_sentence_and_end(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        answer = desk.route("L1", email="a@x1.com")
        owned = [x for x in desk.entries("owned") if x.record == "L1"]
        assert answer["rule"] == "rest" and answer["sentence"] and answer["policy"] == desk.ready.digest
        assert datetime.fromisoformat(answer["until"]) == MONDAY + timedelta(hours=2)
        assert (owned[0].rep, owned[0].rule, owned[0].sentence) == (answer["owner"], "rest", answer["sentence"])


def test_a_stream_through_the_desk_is_the_stream_decided_one_by_one(state: str, tmp_path: Path) -> None:
    """The same leads, one after the other, with nothing but the engine and the state it leaves: owners, rules and sentences are the same."""
    ready = load(EXAMPLES / "inbound")
    tables, _ = read_tables(ready.evaluator.policy, EXAMPLES / "inbound" / "data")
    desk = Service(state, ready, datetime(2026, 2, 2, 16, 0, tzinfo=UTC))
    plain = {entity: [{k: x for k, x in row.items() if k[0] != "$"} for row in rows] for entity, rows in tables.items()}
    for entity in ("rep", "account"):
        for row in plain[entity]:
            desk.put(entity, **row)
    memory: Remembered = {}
    leads: list[dict[str, Any]] = []
    for lead in plain["lead"]:
        leads.append(lead)
        bound = ready.evaluator.bind({**plain, "lead": leads}, as_of=desk.time.at, state=memory)
        record = bound.world.find("lead", lead["id"])
        assert record is not None
        expected = bound.decide_alone(record, "sdr")
        memory = Run(bound, [expected]).state()
        answer = desk.route(lead["id"], **{k: x for k, x in lead.items() if k != "id"})
        assert (answer["owner"], answer["rule"], answer["sentence"]) == (expected.owner, expected.rule or None, expected.reason), lead
    desk.close()


def test_an_entity_without_rules_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        answer = desk.local.route("account", {"id": "A1", "name": "Acme"})[1]
        assert answer["code"] == "R504" and "PUT" in answer["help"]
        assert desk.do(lambda d, at: (200, lambda: {"n": len(list(d.records.live.world.all("account")))})) == {"n": 0}


def test_a_record_that_cannot_be_read_is_refused_with_its_field(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        answer = desk.route("L1", created="soon")
        assert (answer["code"], answer["field"], answer["value"]) == ("R602", "created", "soon")
        assert not desk.entries("owned")


# --- the mirror -------------------------------------------------------------------------------------------------------


def test_an_older_version_never_overwrites_a_newer_one(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        assert desk.put("account", version="000000000000002", id="A1", name="New")["stale"] is False
        assert desk.put("account", version="000000000000001", id="A1", name="Old")["stale"] is True
        assert desk.patch("account", "A1", version="000000000000001", city="Bonn", name="Old")["stale"] is True
        assert desk.patch("account", "A1", version="000000000000003", city="Bonn")["stale"] is False
        assert desk.patch("account", "A1", version="000000000000004", name="Newer")["stale"] is False
        assert desk.put("account", version="000000000000003", id="A1", name="Between", city="Ulm")["stale"] is False
        fields = desk.do(lambda d, at: (200, lambda: dict(d.records.row("account", "A1") or {})))
        assert (fields["name"], fields["city"]) == ("Newer", "Ulm")
        assert desk.delete("account", "A1", version="000000000000003")["stale"] is True
        assert desk.delete("account", "A1", version="000000000000005")["stale"] is False
        assert desk.put("account", version="000000000000004", id="A1", name="Ghost")["stale"] is True
        assert desk.do(lambda d, at: (200, lambda: {"n": d.records.row("account", "A1")})) == {"n": None}


def test_another_process_reads_what_this_one_has_committed(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as one:
        two = Service(state, one.ready)
        owners = [(one if i % 2 else two).route(f"L{i}", email=f"a@x{i}.com")["owner"] for i in range(6)]
        assert owners == ["ann", "ben", "cid"] * 2
        one.event("unavailable", rep="ann")
        assert two.route("L7", email="a@x7.com")["owner"] == "ben"
        assert [t.number for t in two.entries("turn")] == [1, 2, 3, 4, 5, 6, 7]
        two.close()


def test_a_restart_reads_every_record_by_its_own_columns_and_texts(state: str, tmp_path: Path) -> None:
    """Whoever sends a record writes its fields in one of several ways; what others sent must not change what it means."""
    sent: list[dict[str, Any]] = [
        {"id": "A1", "owner_ae": "ann", "created": "13/04/2026", "employees": "1.234.567,5"},
        {"id": "A2", "owner": "ben", "created": "04/13/2026", "employees": "1,234,567.5"},
        {"id": "A3", "Account Owner": "cid", "created": "2026-04-13", "employees": 7},
    ]

    def read(live: Service) -> list[tuple[Any, ...]]:
        def ask(desk: Desk, at: datetime) -> Reply:
            rows = [*map(desk.records.live.world.all, ("account", "lead"))]
            values = [(r["id"], r["owner"]["ae"] and r["owner"]["ae"]["id"], r["created"], r["employees"]) for x in rows for r in x]
            return 200, lambda: {"rows": values}

        rows: list[tuple[Any, ...]] = live.do(ask)["rows"]
        return rows

    with service(state, tmp_path) as desk:
        for fields in sent:
            desk.put("account", **fields)
        desk.do(lambda d, at: (200, lambda: {"id": d.route("lead", {"email": "a@x.com"}, "", at)[0]}))  # without an id the e-mail is one
        before = read(desk)
    assert [(row[0], row[1]) for row in before] == [("A1", "ann"), ("A2", "ben"), ("A3", "cid"), ("a@x.com", None)]
    other = Service(state, desk.ready)
    try:
        assert read(other) == before
    finally:
        other.close()


def test_a_restart_shows_rules_and_pools_the_owners_of_before(state: str, tmp_path: Path) -> None:
    """Since when and after whom a lead has its owner, and what its pool remembers, whatever the CRM still shows."""

    def read(live: Service) -> dict[str, Any]:
        def ask(desk: Desk, at: datetime) -> Reply:
            row, bound = desk.records.row("lead", "L1"), desk.records.live
            assert row is not None
            former = row["former_owner"]
            now = [row["owner"].as_json(), row["owner_since"], former and former["id"]]
            return 200, lambda: {"now": now, "assigned": bound.assigned["lead|L1|sdr"]}

        return live.do(ask)

    with service(state, tmp_path, at=MONDAY.replace(hour=23, minute=30)) as desk:  # half past midnight in Berlin
        first = desk.route("L1", email="a@x.com", owner_sdr="cid")["owner"]
        assert first == "ann" and read(desk)["now"][1] == MONDAY.date() + timedelta(days=1)
        desk.patch("lead", "L1", owner_sdr="ben")
        assert desk.owner("L1") == "ben"  # by hand; the deadline runs on
        states = [read(desk)]
        desk.after(hours=24)
        states.append(read(desk))
        assert states[1]["now"][0] == {"sdr": desk.owner("L1")} != {"sdr": "ben"}
        desk.event("returned", id="L1", rep=desk.owner("L1"))
        states.append(read(desk))
        other = Service(state, desk.ready, desk.time.at)
        try:
            assert read(other) == states[-1]
        finally:
            other.close()


def test_a_customer_of_the_mirror_is_seen_by_the_next_lead(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.put("account", id="A1", name="Acme", domain="acme.com", owner_ae="boss")
        desk.put("lead", id="L1", email="a@acme.com", account="A1")
        assert desk.route("L1", email="a@acme.com", account="A1")["owner"] == "boss"
        desk.patch("account", "A1", owner_ae="")
        assert desk.route("L2", email="b@acme.com", account="A1")["owner"] == "ann"


# --- changes in the CRM -----------------------------------------------------------------------------------------------


def test_an_owner_changed_by_hand_is_an_entry_and_keeps_the_deadline(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        before = desk.route("L1", email="a@x1.com")
        desk.patch("lead", "L1", owner_sdr="")  # the CRM has nobody yet: still to be loaded
        assert desk.owner("L1") == "ann"
        desk.patch("lead", "L1", owner_sdr="ann")  # loaded
        assert desk.entries("loaded")[0].rep == "ann"
        desk.patch("lead", "L1", owner_sdr="Ben")
        shown = desk.shown("L1")
        assert (shown["owner"], shown["by"], shown["former"]) == ("ben", "hand", "ann")
        assert desk.entries("owned")[-1].by == "hand"
        desk.to(datetime.fromisoformat(before["until"]))
        assert desk.owner("L1") not in ("ben", "ann")  # ben has not worked it either


def test_a_decision_that_the_crm_takes_over_late_is_not_a_change_by_hand(state: str, tmp_path: Path) -> None:
    """Ann missed the lead and ben has it when the CRM shows ann: that is our own decision, late. Ann after ben is somebody's change."""
    with service(state, tmp_path) as desk:
        before = desk.route("L1", email="a@x1.com")
        desk.to(datetime.fromisoformat(before["until"]))
        assert desk.owner("L1") == "ben"
        desk.patch("lead", "L1", owner_sdr="ann")
        assert (desk.owner("L1"), desk.shown("L1")["by"]) == ("ben", "rule")
        desk.patch("lead", "L1", owner_sdr="ben")
        assert [x.rep for x in desk.entries("loaded")] == ["ann", "ben"]
        with open_store(state) as store:
            assert store.rebuild()
        desk.patch("lead", "L1", owner_sdr="ann")
        assert (desk.owner("L1"), desk.shown("L1")["by"]) == ("ann", "hand")


def test_what_a_run_saw_loaded_is_the_base_of_the_service(state: str, tmp_path: Path) -> None:
    """A run has seen ann, whom the service decided: so nobody in the CRM is a change, and not a decision that is still to be loaded."""
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        with open_store(state) as store, store.writing(1.0) as commit:
            at = next(x.entry.at for x in store.entries(kinds=("owned",)))
            commit.append([Loaded(at=at, entity="lead", record="L1", role="sdr", rep="ann")])
        desk.patch("lead", "L1", owner_sdr="")
        assert [(x.by, x.rep) for x in desk.entries("owned")] == [("rule", "ann"), ("hand", None), ("rule", "ben")]


def test_a_lead_that_was_cleared_by_hand_is_decided_anew(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.patch("lead", "L1", owner_sdr="ann")
        desk.patch("lead", "L1", owner_sdr="")
        assert desk.owner("L1") == "ben"
        assert [(x.by, x.rep) for x in desk.entries("owned")] == [("rule", "ann"), ("hand", None), ("rule", "ben")]


# --- timers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", STORES)
def test_scenario_13_due_times_follow_the_working_calendar(kind: str, tmp_path: Path) -> None:
    """Two working hours from Friday 16:30 in Berlin end on Monday at 10:30, also across both changes of the clocks."""
    cases = [
        (datetime(2026, 3, 27, 16, 30), datetime(2026, 3, 30, 10, 30)),
        (datetime(2026, 10, 23, 16, 30), datetime(2026, 10, 26, 10, 30)),
    ]
    cases.append((datetime(2026, 4, 2, 16, 0), datetime(2026, 4, 7, 10, 0)))  # Easter between
    for n, (start, end) in enumerate(cases):
        with service(place(kind, tmp_path / f"s{n}"), tmp_path / str(n), start.replace(tzinfo=BERLIN)) as desk:
            assert datetime.fromisoformat(desk.route("L1", email="a@x.com")["until"]) == end.replace(tzinfo=BERLIN)


@pytest.mark.parametrize("kind", STORES)
def test_scenario_13_a_cap_of_a_day_counts_the_days_of_23_and_25_hours(kind: str, tmp_path: Path) -> None:
    for n, day in enumerate(((2026, 3, 29), (2026, 10, 25))):
        first = datetime(*day, tzinfo=BERLIN)
        with service(place(kind, tmp_path / f"s{n}"), tmp_path / str(n), first, per_day=2) as desk:
            given = [desk.route(f"A{i}", email=f"a@x{i}.com")["owner"] for i in range(3)]
            desk.to(first.replace(hour=23, minute=59))
            given += [desk.route(f"B{i}", email=f"a@y{i}.com")["owner"] for i in range(4)]
            assert sorted(filter(None, given)) == ["ann", "ann", "ben", "ben", "cid", "cid"]
            desk.to(datetime(*day, tzinfo=BERLIN) + timedelta(days=1))
            assert desk.route("C1", email="a@z.com")["owner"] is not None


def test_a_lead_that_is_not_worked_goes_to_the_next_and_then_up(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.to(MONDAY + timedelta(hours=2) - timedelta(seconds=1))
        assert desk.owner("L1") == "ann"
        desk.after(seconds=1)
        assert desk.owner("L1") == "ben"
        desk.after(hours=2)
        assert (desk.owner("L1"), desk.shown("L1")["sentence"].count("boss") + desk.shown("L1")["sentence"].count("Boss")) == ("boss", 1)
        desk.after(days=30)
        assert desk.owner("L1") == "boss"
        assert [x.rep for x in desk.entries("owned")] == ["ann", "ben", "boss"]


def test_scenario_14_a_timer_that_was_due_while_the_service_was_down_fires_once_late_and_marked(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.close()
        later = Service(state, desk.ready, MONDAY + timedelta(hours=2, minutes=30))
        later.local.do()
        assert (later.owner("L1"), later.shown("L1")["late"]) == ("ben", 1800)
        later.local.do()
        assert [x.rep for x in later.entries("owned")] == ["ann", "ben"]
        later.close()


def test_scenario_15_two_servers_one_timer(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as one:
        two = Service(state, one.ready)
        for i in range(6):
            one.route(f"L{i}", email=f"a@x{i}.com")
        two.local.do()
        one.time.at = two.time.at = MONDAY + timedelta(hours=2)
        both = threading.Barrier(2)

        def fire(server: Service) -> None:
            both.wait()
            server.local.do()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fire, (one, two)))
        two.local.do()
        assert len([x for x in one.entries("owned") if x.record == "L0"]) == 2
        assert len(one.entries("turn")) == 12
        two.close()


@contextmanager
def two_servers(state: str, tmp_path: Path, receivers: tuple[Receiver, ...]) -> Iterator[tuple[list[TestClient], SetTime]]:
    """Two servers of one ledger, over HTTP, on one clock."""
    clock, rules = SetTime(MONDAY), policy(tmp_path / "policy")
    with ExitStack() as stack:
        both = [Server(Settings(rules, state, receivers=receivers), clock) for _ in range(2)]
        clients = [stack.enter_context(TestClient(build_app(server))) for server in both]
        for server in both:
            ready(server)
        fill(clients[0])
        yield clients, clock


def counted(clients: list[TestClient], name: str) -> int:
    """What all servers together count under a name."""
    lines = [line for c in clients for line in c.get("/metrics").text.splitlines()]
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(f"{name}_total "))


Said = tuple[str, str | None, list[str], list[tuple[str, str]], list[str]]


def said_of(clients: list[TestClient], id: str) -> Said:
    """Whom a lead belongs to and who has missed it, by all that is said of it: the answer, its history, its timer and its letters."""
    shown = [c.get(f"/v1/leads/{id}").json() for c in clients]
    assert shown[0] == shown[1]
    entries = clients[1].get(f"/v1/leads/{id}/history").json()["entries"]
    letters = clients[0].get("/v1/letters", params={"state": "waiting"}).json()["letters"]
    return (
        shown[0]["owner"],
        (shown[0].get("missed") or {}).get("rep"),
        [e["rep"] for e in entries if e["kind"] == "owned"],
        [(e["kind"], e["rep"]) for e in entries if e["kind"] in ("turn", "turn-back")],
        [x["kind"] for x in letters if x["subject"] == f"lead|{id}"],
    )


def test_scenario_16_worked_or_missed_and_never_both(state: str, tmp_path: Path) -> None:
    """Reps work their leads as the deadline comes, on two servers: before it the lead is worked, at it and after it missed, whatever is asked."""
    due, moment = MONDAY + timedelta(hours=2), timedelta(milliseconds=1)
    crm = Receiver("crm", NOWHERE, (), tuple(LETTERS))
    with two_servers(state, tmp_path, (crm,)) as (clients, clock):
        owners = {
            f"L{n}": clients[n % 2].post("/v1/leads", json={"id": f"L{n}", "email": f"a@x{n}.com"}).json()["owner"] for n in range(24)
        }

        def work(id: str, server: int, **more: str) -> Any:
            return clients[server].post("/v1/events", json={"event": "worked", "id": id, "rep": owners[id], **more}).json()

        def check(id: str, answer: Any) -> None:
            rep = owners[id]
            owner, missed, owned, turns, letters = said_of(clients, id)
            if answer["worked"]:
                assert (answer["owner"], answer["reason"]) == (rep, None)
                assert (owner, missed, owned, turns, letters) == (rep, None, [rep], [("turn", rep)], ["assigned"])
            else:
                assert owner != rep and answer["owner"] == owner
                assert (missed, owned, letters) == (rep, [rep, owner], ["assigned", "assigned", "missed"])
                assert turns == [("turn", rep), ("turn", owner)]

        clock.at = due - moment
        early = {id: work(id, n) for n, id in enumerate(("L0", "L1"))}
        assert all(answer["worked"] for answer in early.values())
        ids, start = [f"L{n}" for n in range(2, 20)], threading.Barrier(19)

        def race(id: str) -> Any:
            start.wait()
            return work(id, int(id[1:]) % 2)

        def tick() -> None:
            start.wait()
            clock.at = due

        with ThreadPoolExecutor(19) as pool:
            racing = [pool.submit(race, id) for id in ids]
            pool.submit(tick).result()
            answers = {id: r.result() for id, r in zip(ids, racing, strict=True)}
        at_it = {id: work(id, n % 2, at=due.isoformat()) for n, id in enumerate(("L20", "L21"))}
        clock.at = due + moment
        after = {id: work(id, n % 2) for n, id in enumerate(("L22", "L23"))}
        assert not any(answer["worked"] for answer in (*at_it.values(), *after.values()))
        everything = {**early, **answers, **at_it, **after}
        for id, answer in everything.items():
            check(id, answer)
        missed = sum(not answer["worked"] for answer in everything.values())
        assert (counted(clients, "roe_missed"), counted(clients, "roe_late_proofs")) == (missed, 0)


def test_scenario_16_a_proof_that_comes_late_takes_the_miss_back(state: str, tmp_path: Path) -> None:
    """L0 goes back to its rep. L1 was worked by its new owner, who keeps it; the first is not said to have missed it either."""
    crm = Receiver("crm", NOWHERE, (), tuple(LETTERS))
    with two_servers(state, tmp_path, (crm,)) as (clients, clock):
        first = {id: clients[0].post("/v1/leads", json={"id": id, "email": f"a@{id}.com"}).json()["owner"] for id in ("L0", "L1")}
        clock.at = MONDAY + timedelta(hours=2)
        second = {id: clients[1].post("/v1/leads", json={"id": id, "email": f"a@{id}.com"}).json()["owner"] for id in first}
        clock.at += timedelta(minutes=1)
        worked = {"event": "worked", "id": "L1", "rep": second["L1"]}
        assert clients[0].post("/v1/events", json=worked).json()["worked"] is True
        at = (MONDAY + timedelta(hours=1)).isoformat()
        for n, (id, rep) in enumerate(first.items()):
            answer = clients[n].post("/v1/events", json={"event": "worked", "id": id, "rep": rep, "at": at}).json()
            assert (answer["worked"], answer["given_back"]) == (True, id == "L0")
        turn, back = ("turn", first["L0"]), ("turn-back", second["L0"])
        assert said_of(clients, "L0") == (
            first["L0"], None, [first["L0"], second["L0"], first["L0"]], [turn, ("turn", second["L0"]), back],
            ["assigned", "assigned", "missed", "returned"],
        )  # fmt: skip
        assert said_of(clients, "L1") == (
            second["L1"], None, [first["L1"], second["L1"]], [("turn", first["L1"]), ("turn", second["L1"])],
            ["assigned", "assigned", "missed", "proved"],
        )  # fmt: skip
        assert (counted(clients, "roe_missed"), counted(clients, "roe_late_proofs")) == (2, 2)


def test_a_late_proof_of_whoever_missed_it_first_gives_the_lead_back(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        worked = desk.time.at + timedelta(hours=1)
        desk.after(hours=2)
        desk.after(hours=2)
        assert desk.owner("L1") == "boss" and [m["rep"] for m in desk.shown("L1")["missed"]["earlier"]] == ["ann"]
        assert desk.event("worked", id="L1", rep="ann", at=worked.isoformat())["given_back"] is True
        assert desk.owner("L1") == "ann" and "missed" not in desk.shown("L1")


@pytest.mark.parametrize("why", ["before it was the rep's", "not what the pool counts as work"])
def test_an_activity_that_proves_nothing_gives_no_lead_back(why: str, tmp_path: Path) -> None:
    text = POLICY.replace("within: 2 working hours", 'within: 2 working hours, worked_by: activity.type = "call"')
    with service(str(tmp_path / "s"), tmp_path, text=text) as desk:
        desk.route("L1", email="a@x1.com")
        desk.after(hours=2)
        at, kind = (MONDAY - timedelta(hours=1), "call") if why.startswith("before") else (MONDAY + timedelta(hours=1), "email")
        answer = desk.event("worked", id="L1", rep="ann", at=at.isoformat(), activity={"type": kind})
        assert (answer["worked"], answer["owner"], desk.owner("L1")) == (False, "ben", "ben")
        assert desk.event("worked", id="L1", rep="ann", at=(MONDAY + timedelta(hours=1)).isoformat(), activity={"type": "call"})[
            "given_back"
        ]


def test_a_late_proof_gives_the_lead_back_unless_the_new_owner_has_worked_it(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        for i in range(2):
            desk.route(f"L{i}", email=f"a@x{i}.com")
        worked = MONDAY + timedelta(hours=1)
        desk.after(hours=2)
        second = desk.owner("L1")
        assert (desk.owner("L0"), second) == ("cid", "cid")  # ben cannot have his own again, and cid has waited longer than ann
        desk.event("worked", id="L1", rep=second)
        desk.after(minutes=1)
        assert desk.event("worked", id="L0", rep="ann", at=worked.isoformat())["given_back"] is True
        assert desk.event("worked", id="L1", rep="ben", at=worked.isoformat())["given_back"] is False
        assert (desk.owner("L0"), desk.owner("L1")) == ("ann", second)
        assert [(x.record, x.rep) for x in desk.entries("turn-back")] == [("L0", "cid")]
        assert desk.route("L9", email="a@z.com")["owner"] == "cid"  # who is owed the turn


def test_an_activity_that_keeps_no_deadline_says_why(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.route("L2", email="a@x2.com", form="partner")  # a pool without a service level
        other, none, kept = (
            desk.event("worked", **about)
            for about in ({"id": "L1", "rep": "ben"}, {"id": "L2", "rep": desk.owner("L2")}, {"id": "L1", "rep": "ann"})
        )
        assert (other["worked"], other["reason"]) == (False, "Ann owns it, and not Ben")
        assert (none["worked"], none["reason"]) == (False, "no deadline runs for the lead: it is noted as an activity")
        assert (kept["worked"], kept["reason"]) == (True, None)


def test_an_event_names_what_it_does_not_know(tmp_path: Path) -> None:
    assert set(SCHEMAS["Event"]["properties"]) == set(FIELDS)
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        assert desk.event("returned", id="L1", rep="ann", reasn="no fit")["not_understood"] == ["reasn"]
        assert "not_understood" not in desk.event("available", rep="ann")
        wrong = desk.event("unavailable", rep="ann", until="03/04/2027")
        assert (wrong["detail"], wrong["help"]) == (
            "`until` must be a day or a moment with a time zone",
            "write 2026-03-02, or 2026-03-02T09:30:00Z",
        )


@pytest.mark.parametrize("who", ["the same server", "a server that was started anew", "another server", "a new policy"])
def test_scenario_12_a_clock_that_goes_back_keeps_the_order_and_fires_nothing_twice(who: str, state: str, tmp_path: Path) -> None:
    """Half an hour after L1 was missed the clock of whoever goes on says it is an hour earlier: what follows in the ledger is not before what is there."""
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.route("L2", email="a@x2.com")
        desk.after(hours=3)
        assert (desk.owner("L1"), desk.owner("L2")) == ("cid", "cid")
        desk.after(minutes=30)
        desk.route("L4", email="a@x4.com")
        back = desk.time.at - timedelta(hours=1)
        ready = load(policy(tmp_path / "new", POLICY.replace("times: 1", "times: 2"))) if who == "a new policy" else desk.ready
        other = desk if who == "the same server" else Service(state, ready, back, activate=who == "a new policy")
        if who == "a server that was started anew":
            desk.close()
        other.time.at = back
        other.local.do()
        assert other.event("returned", id="L1", rep="cid", reason="not mine")["owner"] == "ben"
        other.route("L3", email="a@x3.com")
        other.after(minutes=59)
        assert [x.rep for x in other.entries("owned") if x.record == "L1"] == ["ann", "cid", None, "ben"]
        assert [x.rep for x in other.entries("owned") if x.record == "L2"] == ["ben", "cid"]
        entries = [x for x in other.entries() if not isinstance(x, RunEntry)]
        moments = [x.at.instant for x in entries]
        assert moments == sorted(moments)
        with open_store(state) as store:
            assert [(h.rep, h.stop is None) for h in store.history_of("lead", "L1")][-1] == ("ben", True)
            assert {h.rep for h in store.history_of("lead", "L1")} >= {"ann", "cid", "ben"}
            assert store.rebuild()
        if other is not desk:
            other.close()


def test_a_clock_that_was_days_ahead_is_not_followed(state: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with service(state, tmp_path) as desk:
        desk.time.at += timedelta(days=400)
        desk.route("L1", email="a@x1.com")
        desk.time.at -= timedelta(days=400)
        with caplog.at_level(logging.ERROR):
            desk.route("L2", email="a@x2.com")
        assert "one of them is wrong" in caplog.text
        assert datetime.fromisoformat(desk.shown("L2")["until"]) == MONDAY + timedelta(hours=2)


def test_a_referral_becomes_overdue_once_and_keeps_its_day(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        asked = desk.route("L1", email="a@x.com", form="ask")
        assert (asked["action"], asked["owner"]) == ("refer", None)
        desk.after(days=3)
        assert desk.shown("L1")["overdue"] is True and desk.shown("L1")["until"] == asked["until"]
        desk.after(days=3)
        assert [x.lapsed for x in desk.entries("answered")] == [True]
        assert (
            desk.event("answered", id="L1", rep="cid", answer="hers", by="boss", until="2026-03-01")["code"] == "R903"
        )  # that day is over
        assert desk.owner("L1") is None  # as before
        assert desk.event("answered", id="L1", rep="cid", answer="hers", by="boss")["owner"] == "cid"
        assert desk.event("answered", id="L1", rep="ann")["code"] == "R903"


# --- nobody able ------------------------------------------------------------------------------------------------------


def test_held_leads_are_visible_and_go_first(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("H1", email="a@x1.com", form="wait")
        desk.route("H2", email="a@x2.com", form="wait")
        answer = desk.do(lambda d, at: (200, lambda: d.answer("lead", "H1")))
        assert answer["held"] is True and answer["owner"] is None
        desk.put("rep", id="gus", name="Gus", role="ghost", active="yes")
        assert desk.route("H3", email="a@x3.com", form="wait")["owner"] == "gus"
        turns = [(x.record, x.number) for x in desk.entries("turn") if x.pool == "nobody"]
        assert turns == [("H1", 1), ("H2", 2), ("H3", 3)]


def test_one_record_that_waits_speaks_for_those_that_are_alike_to_the_pool(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[str] = []
    decide = Desk.decide

    def noted(desk: Desk, entity: str, id: str, *args: Any, **more: Any) -> list[Decision]:
        decided.append(id)
        return decide(desk, entity, id, *args, **more)

    monkeypatch.setattr(Desk, "decide", noted)
    with service(state, tmp_path) as desk:
        for n in range(4):
            desk.route(f"H{n}", email=f"a@x{n}.com", form="wait")
        decided.clear()
        desk.after(minutes=1)
        assert decided == ["H0"]
        desk.patch("lead", "H2", form="demo")  # its rules name another pool now
        decided.clear()
        desk.after(minutes=1)
        assert decided == ["H0", "H2"]
        assert desk.owner("H2") is not None
        desk.put("rep", id="gus", name="Gus", role="ghost", active="yes")
        assert [desk.owner(f"H{n}") for n in (0, 1, 3)] == ["gus", "gus", "gus"]


def test_a_record_that_waits_goes_where_its_account_sends_it_though_an_earlier_one_still_waits(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_AGAIN", 1)
    customer = '      - {name: large, when: account.name = "Large", then: {assign: ann}}\n      - {name: waits,'
    with service(state, tmp_path, text=POLICY.replace("      - {name: waits,", customer)) as desk:
        for n in range(3):
            desk.put("account", id=f"A{n}", name="Small")
            desk.route(f"H{n}", account=f"A{n}", form="wait")
        desk.put("account", id="A2", name="Large")
        owners = []
        for _ in range(13):
            desk.after(minutes=1)
            owners.append(desk.owner("H2"))
        assert owners == [None] * 11 + ["ann"] * 2  # after ten minutes they are decided one by one
        assert (desk.owner("H0"), desk.owner("H1")) == (None, None)


def test_a_record_whose_rules_name_a_rep_on_leave_waits_and_says_why(state: str, tmp_path: Path) -> None:
    crm = Receiver("crm", NOWHERE, (), tuple(LETTERS))
    with service(state, tmp_path, receivers=(crm,)) as desk:
        desk.put("account", id="A1", name="Acme", owner_ae="ben")
        desk.event("unavailable", rep="ben", until="2026-03-04")
        found = desk.route("L1", email="a@acme.com", account="A1")
        assert (found["owner"], found["held"], found["unable"]) == (None, True, {"ben": "on leave until 4 March 2026"})
        (waiting,) = desk.do(lambda d, at: (200, lambda: asked.held(d)))["held"]
        assert (waiting["id"], waiting["unable"]) == ("L1", found["unable"])
        desk.to(datetime(2026, 3, 3, 23, 59, tzinfo=BERLIN))
        assert desk.owner("L1") is None
        desk.to(datetime(2026, 3, 4, tzinfo=BERLIN))
        assert desk.owner("L1") == "ben" and "unable" not in desk.shown("L1")
        with open_store(state) as store:
            said = [(kind, json.loads(body)["timestamp"]) for kind, body in store.db.rows("SELECT kind, body FROM outbox ORDER BY number")]
        assert said == [("held", MONDAY.astimezone(BERLIN).isoformat()), ("assigned", datetime(2026, 3, 4, tzinfo=BERLIN).isoformat())]
        desk.event("unavailable", rep="ben")
        assert desk.route("L2", email="b@acme.com", account="A1")["unable"] == {"ben": "on leave"}
        desk.patch("rep", "ben", active="no")
        assert desk.shown("L2")["unable"] == {"ben": "not active"}
        desk.patch("account", "A1", owner_ae="cid")
        desk.after(minutes=11)
        assert desk.owner("L2") == "cid"  # it is decided again now and then


def test_reps_who_are_away_take_nothing_and_come_back_by_themselves(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        for rep in ("ann", "ben", "cid"):
            desk.event("unavailable", rep=rep, until=(MONDAY + timedelta(hours=1)).isoformat())
        assert desk.route("L1", email="a@x.com")["held"] is True
        desk.after(minutes=59)
        assert desk.owner("L1") is None
        desk.after(minutes=1)
        assert desk.owner("L1") is not None
        desk.event("unavailable", rep="ann", until="2026-03-09")
        assert {desk.route(f"M{i}", email=f"a@y{i}.com")["owner"] for i in range(4)} == {"ben", "cid"}
        desk.event("available", rep="ann")
        assert "ann" in {desk.route(f"N{i}", email=f"a@z{i}.com")["owner"] for i in range(3)}


def test_a_rep_who_goes_away_is_shown_so_before_the_next_decision(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        assert desk.route("L1", email="a@x.com")["owner"] == "ann"  # from here on it is known who is able
        desk.event("unavailable", rep="ann", until="2026-03-09")
        shown = desk.do(lambda desk, at: (200, lambda: asked.rep(desk, "ann", at)))
        assert (shown["takes_records"], shown["pools"]["inbound"]["next"]) == (False, "ben")
        desk.event("available", rep="ann")
        assert desk.do(lambda desk, at: (200, lambda: asked.rep(desk, "ann", at)))["takes_records"] is True


def test_scenario_19_a_rep_who_is_deactivated_gets_nothing_more(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        desk.patch("rep", "ben", active="no")
        assert [desk.route(f"M{i}", email=f"a@y{i}.com")["owner"] for i in range(3)] == ["cid", "ann", "cid"]


def test_scenario_19_a_rep_who_is_deactivated_before_the_crm_has_the_decision(state: str, tmp_path: Path) -> None:
    """What the CRM never saw is decided anew, and the turn is given back; what it has goes to the next in turn, and the turn stays taken."""
    with service(state, tmp_path) as desk:
        assert [desk.route(f"L{i}", email=f"a@x{i}.com")["owner"] for i in range(3)] == ["ann", "ben", "cid"]
        desk.put("lead", id="L0", email="a@x0.com", owner_sdr="ann")  # the CRM has this one
        assert desk.route("L3", email="a@x3.com")["owner"] == "ann"
        desk.patch("rep", "ann", active="no")
        desk.after(seconds=1)
        assert {desk.owner("L0"), desk.owner("L3")} == {"ben", "cid"}
        (back,) = desk.entries("turn-back")
        assert (back.record, back.rep, back.pool) == ("L3", "ann", "inbound")
        counts = desk.do(lambda d, at: (200, lambda: d.state.all("pool")["inbound"]["counts"]))
        assert counts == {"ann": 1, "ben": 2, "cid": 2}
        desk.patch("rep", "ann", active="yes")
        assert desk.route("L4", email="a@x4.com")["owner"] == "ann"  # who is owed a turn


# --- events -----------------------------------------------------------------------------------------------------------


def test_a_lead_that_is_returned_goes_to_somebody_else(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        assert desk.event("returned", id="L1", rep="ann", reason="not mine")["owner"] == "ben"
        assert desk.event("returned", id="L1", rep="ann")["code"] == "R903"
        assert [(x.rep, x.reason) for x in desk.entries("returned")] == [("ann", "not mine")]


def test_an_explanation_takes_no_turn_also_where_a_decision_would(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        desk.do(pausing({"by": "test"}))
        desk.time.at += timedelta(days=1)  # it was not worked in time, and nothing is reassigned while the service is paused

        def ask(d: Desk, at: datetime) -> Reply:
            before = dict(d.records.live.assigned)
            asked.explained(d, "lead", "L1", "")
            return 200, lambda: {"before": before, "after": dict(d.records.live.assigned)}

        answer = desk.do(ask)
        assert answer["before"] == answer["after"] and answer["after"]["lead|L1|sdr"]["rep"] == "ann"
        assert desk.route("L2", email="a@y.com")["owner"] == "ben"


def test_a_lead_that_was_deleted_cannot_be_returned(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        desk.delete("lead", "L1")
        before = len(desk.entries())
        assert desk.event("returned", id="L1", rep="ann")["code"] == "R904"
        assert (desk.owner("L1"), len(desk.entries())) == ("ann", before)


def test_a_lead_that_nobody_has_can_be_claimed_once(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x.com", form="wait")
        assert desk.event("claimed", id="L1", rep="cid")["granted"] is True
        refused = desk.event("claimed", id="L1", rep="ann")
        assert (refused["granted"], refused["reason"], desk.owner("L1")) == (False, "Cid owns it", "cid")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"event": "worked", "id": "L1", "rep": "nobody-known"}, "R903"),
        ({"event": "worked", "id": "L2", "rep": "ann"}, "R904"),
        ({"event": "worked", "id": "L1", "rep": "ann", "role": "csm"}, "R502"),
        ({"event": "worked", "id": "L1", "rep": "ann", "at": "yesterday"}, "R903"),
        ({"event": "worked", "id": "L1", "rep": "ann", "at": "0001-01-01T00:00:00+14:00"}, "R903"),
        ({"event": "danced", "id": "L1"}, "R903"),
        ({"event": "answered", "id": "L1", "rep": "ann"}, "R903"),
        ({"event": "worked", "id": "L1", "rep": "ann", "entity": "lamp"}, "R904"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path, event: dict[str, Any], code: str) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        before = len(desk.entries())
        answer = desk.event(**{"event": event["event"], **{k: x for k, x in event.items() if k != "event"}})
        assert answer["code"] == code and answer["help"], answer
        assert len(desk.entries()) == before


def test_an_exception_is_asked_for_and_answered_once(state: str, tmp_path: Path) -> None:
    """Another server knows of the request, and a page's request counts as well; whoever answers second is told."""
    with service(state, tmp_path) as desk, open_store(state) as store:
        other = Service(state, desk.ready)
        desk.route("L1", email="a@x.com")
        about: dict[str, Any] = {"id": "L1", "by": "rev", "reason": "it is ben's cousin"}
        assert desk.event("declined", **about)["code"] == "R648"
        assert desk.event("requested", rep="ben", **about)["event"] == "requested"
        again = other.event("requested", rep="cid", **about)
        assert (again["status"], again["code"], bool(again["help"])) == (409, "R648", True)
        assert other.event("declined", **about)["event"] == "declined"
        assert desk.event("declined", **about)["status"] == 409
        desk.event("requested", rep="ben", **about)
        desk.event("granted", rep="ben", **about)
        assert other.event("declined", **about)["status"] == 409
        assert [x.KIND for x in desk.entries("requested", "excepted", "declined")] == ["requested", "declined", "requested", "excepted"]
        assert store.rebuild()
        other.close()


def test_a_version_that_is_a_moment_before_the_first_is_refused() -> None:
    with pytest.raises(ValueError, match="no such moment"):
        parse_version("0001-01-01T00:00:00+14:00")


# --- pause ------------------------------------------------------------------------------------------------------------


def pausing(value: Any) -> Act:
    def act(desk: Desk, at: datetime) -> Reply:
        desk.state.put("pause", "all", value)
        return 200, dict

    return act


def test_paused_the_service_routes_and_reassigns_nothing(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        desk.do(pausing({"by": "me"}))
        desk.after(hours=3)
        assert desk.owner("L1") == "ann" and desk.route("L2", email="a@x2.com")["owner"] == "ben"
        desk.do(pausing(None))  # what came due meanwhile is done at once
        assert desk.owner("L1") not in ("ann", None) and desk.shown("L1")["late"] == 3600


def test_a_policy_with_a_longer_service_level_gives_a_record_more_time(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        policy_text(tmp_path / "new", POLICY.replace("2 working hours", "3 working hours").replace("PER_DAY", "1000"))
        later = Service(state, load(tmp_path / "new"), MONDAY + timedelta(hours=2), activate=True)
        later.local.do()
        assert later.owner("L1") == "ann" and later.entries("turn")[-1].rep == "ann"
        later.after(minutes=59)
        assert later.owner("L1") == "ann"
        later.after(minutes=1)
        assert later.owner("L1") == "ben"
        later.close()


def test_a_record_stays_while_the_grace_of_its_service_level_runs(state: str, tmp_path: Path) -> None:
    text = POLICY.replace("within: 2 working hours", "within: 2 working hours, grace: 30 minutes")
    with service(state, tmp_path, text=text) as desk:
        until = desk.route("L1", email="a@x1.com")["until"]
        desk.route("L2", email="a@x2.com")
        assert datetime.fromisoformat(until).astimezone(UTC) == MONDAY + timedelta(hours=2)
        desk.after(hours=2, minutes=29)
        assert desk.owner("L1") == "ann"
        at = (MONDAY + timedelta(hours=1, minutes=59)).isoformat()
        assert desk.event("worked", id="L1", rep="ann", at=at)["worked"] is True
        desk.after(minutes=1)
        assert (desk.owner("L1"), desk.owner("L2")) == ("ann", "cid")
        missed = desk.do(lambda d, at: (200, lambda: {**d.state.owner("lead|L2|sdr")["missed"]}))
        assert datetime.fromisoformat(missed["due"]) == datetime.fromisoformat(until)  # what the rep has missed is the deadline


def test_the_working_hours_of_a_deadline_are_those_of_the_rep(tmp_path: Path) -> None:
    with service(str(tmp_path / "s"), tmp_path, reps=()) as desk:
        desk.put("rep", id="ann", name="Ann", role="SDR", active="yes", timezone="America/New_York", hours="08:00-12:00")
        until = desk.route("L1", email="a@x1.com")["until"]
        assert datetime.fromisoformat(until).astimezone(UTC) == datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # ten o'clock in New York


def test_a_record_that_nothing_touches_keeps_its_owner_whatever_happens(state: str, tmp_path: Path) -> None:
    text = POLICY.replace(
        "pools:", "do_not_route: [{entity: lead, record: L1, reason: a test}, {entity: lead, record: L2, reason: a test}]\npools:", 1
    )
    with service(state, tmp_path) as desk:
        assert desk.route("L1", email="a@x1.com")["owner"] == "ann"
        later = Service(state, load(policy(tmp_path / "new", text)), MONDAY, activate=True)
        later.after(hours=3)
        assert (later.owner("L1"), later.entries("turn-back")) == ("ann", [])
        assert later.event("returned", id="L1", rep="ann")["code"] == "R903"
        found = later.route("L2", email="a@x2.com")
        assert (found["owner"], found["held"], found["sentence"]) == (None, False, "do not route: a test")
        assert later.event("claimed", id="L2", rep="ann")["code"] == "R903"
        later.close()


def test_scenario_18_a_timer_whose_pool_is_gone_is_decided_by_the_rules_of_today(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
        text = POLICY.replace("{route: inbound}", "{assign: '\"boss\"'}").replace("  inbound:", "  other:").replace("PER_DAY", "1000")
        policy_text(tmp_path / "new", text)
        later = Service(state, load(tmp_path / "new"), MONDAY + timedelta(hours=2), activate=True)
        later.local.do()
        assert (later.owner("L1"), later.shown("L1")["gone"]) == ("boss", "inbound")
        assert later.entries("owned")[-1].rep == "boss"
        later.close()


RULE_GONE = POLICY.replace("- {name: rest, then: {route: inbound}}", "- {name: later, then: LATER}")


@pytest.mark.parametrize(
    ("of", "later", "expected"),
    [
        ("sla", "{assign: '\"boss\"'}", [("rest", "ann"), ("later", "boss")]),
        ("sla", "{route: inbound}", [("rest", "ann"), ("later", "ben")]),
        ("sla", "{route: partners}", [("rest", "ann"), ("later", "ann")]),
        ("until", "{assign: '\"boss\"'}", [("trial", "cid"), ("later", "boss")]),
        ("until", "none", [("trial", "cid"), ("", None)]),
        ("referral", "{assign: '\"boss\"'}", [("asks", None), ("later", "boss")]),
        ("referral", "{refer: boss, within: 3 days}", [("asks", None), ("later", None)]),
    ],
)
def test_scenario_18_a_timer_whose_rule_is_gone_is_decided_by_the_rules_of_today(
    of: str, later: str, expected: list[tuple[str, str | None]], state: str, tmp_path: Path
) -> None:
    """The entry names the rule of today, and the answer the one that is gone. Nobody is told that a referral which no rule asks for is overdue."""
    trial = '- {name: trial, when: lead.form = "try", then: {assign: \'"cid"\', until: today + 2 days}}\n      - {name: rest'
    form = {"sla": "", "until": "try", "referral": "ask"}[of]
    with service(state, tmp_path, text=POLICY.replace("- {name: rest", trial)) as desk:
        first = desk.route("L1", email="a@x1.com", form=form)
        rule, due = first["rule"], datetime.fromisoformat(first["until"])
        due = due if due.tzinfo is not None else due.replace(tzinfo=BERLIN)  # a day: it ends as the day begins
        text = RULE_GONE.replace("LATER", later)
        text = "\n".join(line for line in text.splitlines() if "name: asks" not in line and (later != "none" or "name: later" not in line))
        new, crm = load(policy(tmp_path / "new", text)), Receiver("crm", NOWHERE, (), tuple(LETTERS))
        server = Service(state, new, due - timedelta(seconds=1), (crm,), activate=True)
        server.local.do()
        assert (server.shown("L1")["rule"], server.shown("L1").get("gone")) == (rule, None), "its time is not up"
        server.after(seconds=1)
        shown = server.shown("L1")
        assert (shown["rule"] or "", shown["owner"], shown["gone"], shown["policy"]) == (*expected[-1], rule, new.digest)
        assert [(x.rule, x.rep) for x in server.entries("owned")] == expected
        with open_store(state) as store:
            kinds = [kind for (kind,) in store.db.rows("SELECT kind FROM outbox ORDER BY number")]
        assert "overdue" not in kinds and ("missed" in kinds) is (of == "sla")
        server.close()


# --- one ledger with runs ---------------------------------------------------------------------------------------------


def test_a_run_and_the_service_share_turns_and_owners(tmp_path: Path) -> None:
    """Run, service, run: the pool goes on where the other has left it, and each knows the owners that the other has given."""
    import csv

    from click.testing import CliRunner

    from roe.cli import main

    rules, state, data = policy(tmp_path / "policy"), str(tmp_path / "s"), tmp_path / "data"
    data.mkdir()
    (data / "reps.csv").write_text(
        "id,name,role,active\n" + "".join(f"{r},{r.title()},SDR,yes\n" for r in ("ann", "ben", "cid")) + "boss,Boss,head,yes\n"
    )

    def run(day: str, leads: list[str]) -> dict[str, str]:
        (data / "leads.csv").write_text("id,email\n" + "".join(f"{id},a@{id.lower()}.com\n" for id in leads))
        args = ["run", str(rules), "--data", str(data), "--as-of", day, "--state", state, "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(main, args, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        with (tmp_path / "out" / "allocations.csv").open() as file:
            return {row["record"]: row["owner"] for row in csv.DictReader(file)}

    assert run("2026-03-02T09:00", ["L1"]) == {"L1": "ann"}
    with service(state, tmp_path, datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as desk:
        desk.put("lead", id="L1", email="a@l1.com")
        assert desk.route("L1", email="a@l1.com")["known"] is True and desk.owner("L1") == "ann"
        assert [desk.route(f"L{n}", email=f"a@l{n}.com")["owner"] for n in (2, 3)] == ["ben", "cid"]
        assert desk.shown("L1")["until"] is not None
    found = run("2026-03-02T10:30", ["L1", "L2", "L3", "L4"])
    assert (found["L2"], found["L3"], found["L4"]) == ("ben", "cid", "ann")
