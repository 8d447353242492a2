"""Real servers: killed again and again, two beside each other, and without their database for a while."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from clocked import main as clocked
from clocked import set_clock
from effort import tries
from ledgers import STORES, place
from roe.ledger.audit import verify
from roe.ledger.postgres import PostgresDatabase
from roe.ledger.sqlite import SqliteDatabase
from roe.ledger.store import open_store
from roe.serve import intake, shown
from roe.serve.desk import Desk
from roe.serve.local import Local
from roe.serve.policies import Ready, load
from roe.serve.times import SetTime
from roe.serve.writer import Job, Reply
from services import MONDAY, REPS, feed, fill, plain_client, policy, servers
from waiting import LONG, until

KILLS = tries(3, 5, int(os.environ.get("ROE_KILLS", "200")))
LEADS = tries(40, 60, 10_000)


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


CLIENT = plain_client(timeout=20)  # one for all threads


def persistent(url: str, id: str, stop: threading.Event, form: str = "") -> dict[str, Any]:
    """A client that repeats its request, with its key, until it has an answer."""
    while not stop.is_set():
        try:
            answer = CLIENT.post(
                f"{url}/v1/leads",
                json={"id": id, "email": f"a@{id.lower()}.com", "form": form},
                headers={"Idempotency-Key": f"key-{id}"},
            )
        except httpx.HTTPError:
            time.sleep(0.02)
            continue
        if answer.status_code in (200, 201):
            return {**answer.json(), "replayed": answer.headers.get("Idempotent-Replayed") == "true"}
        assert answer.status_code in (409, 503), answer.text
        time.sleep(0.02)
    return {}


def check(answers: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    """Every answer has its entry, no record has two, and turns and numbers have no gap."""
    owned = {e["record"]: e for e in entries if e["kind"] == "owned"}
    turns = [e for e in entries if e["kind"] == "turn"]
    for answer in answers:
        assert owned[answer["id"]]["rep"] == answer["owner"] and owned[answer["id"]]["number"] == answer["decision"]
    assert len(owned) == len([e for e in entries if e["kind"] == "owned"]) == len(turns)
    assert sorted(t["turn"] for t in turns) == list(range(1, len(turns) + 1))
    assert [e["number"] for e in entries] == list(range(1, len(entries) + 1))
    given = Counter(t["rep"] for t in turns)
    assert max(given.values()) - min(given.values()) <= 1, given


def test_scenario_1_a_server_that_is_killed_loses_nothing_it_has_answered(state: str, tmp_path: Path) -> None:
    rules = policy(tmp_path / "policy", per_day=10**6)
    stop = threading.Event()
    with servers(rules, state) as (server,):
        with server.client() as client:
            fill(client)
        answers: list[dict[str, Any]] = []
        numbers = iter(range(10**6))

        def visitor() -> None:
            while not stop.is_set():
                answers.append(persistent(server.url, f"L{next(numbers)}", ended))

        ended = threading.Event()
        visitors = [threading.Thread(target=visitor, daemon=True) for _ in range(6)]
        for v in visitors:
            v.start()
        chance = random.Random(19)
        try:
            for _ in range(KILLS):
                answered = len(answers)
                until("an answer: it dies while it answers", lambda n=answered: len(answers) > n)  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.5))
                server.kill()
                server.start()
            stop.set()
            for v in visitors:
                v.join(LONG)
            assert not any(v.is_alive() for v in visitors), "a client has no answer"
        finally:
            stop.set()
            ended.set()
        with server.client() as client:
            entries = feed(client)
    assert len(answers) >= KILLS
    print(f"{KILLS} kills, {len(answers)} leads, {sum(a['replayed'] for a in answers)} of them committed before and not answered")
    check(answers, entries)
    with open_store(state) as store:
        assert store.rebuild()


def dies_at(step: int, state: str, ready: Ready, lead: str) -> bool:
    """Route a lead in a process that is killed before its statement number `step`; whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [step]

        def counted(call: Any) -> Any:
            def counting(self: Any, *args: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(self, *args)

            return counting

        for database in (SqliteDatabase, PostgresDatabase):
            for name in ("rows", "run", "many", "begin", "commit", "_send"):
                if (call := getattr(database, name, None)) is not None:
                    setattr(database, name, counted(call))
        try:
            Local(state, ready, SetTime(MONDAY)).writer.group([routing(lead)])
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def put(local: Local, rep: str) -> None:
    def act(desk: Desk, at: datetime) -> Reply:
        intake.put(desk, "rep", {"id": rep, "name": rep, "role": "SDR", "active": "yes"}, "", at)
        return 200, dict

    local.do(act)


def routing(lead: str) -> Job:
    def act(desk: Desk, at: datetime) -> Reply:
        desk.route("lead", {"id": lead, "email": f"a@{lead.lower()}.com"}, "", at)
        return 201, lambda: desk.answer("lead", lead)

    return Job(act, [("lead", lead)], f"key-{lead}", lead)


def test_scenario_1_a_server_that_is_killed_at_any_step_leaves_all_of_a_request_or_nothing(state: str, tmp_path: Path) -> None:
    ready = load(policy(tmp_path / "policy"))
    with Local(state, ready, SetTime(MONDAY)) as local:
        for rep in REPS:
            put(local, rep)
    answers = []
    for step in itertools.count(step=tries(3, 1, 1)):
        if not dies_at(step, state, ready, f"L{step}"):
            break
        with open_store(state) as store:
            left = [
                {x.entry.record for x in store.entries(kinds=("owned",))},  # type: ignore[attr-defined]
                {x.entry.record for x in store.entries(kinds=("turn",))},  # type: ignore[attr-defined]
                {str(id) for (id,) in store.db.rows("SELECT id FROM mirror WHERE entity = 'lead'")},
                {str(key).removeprefix("key-") for (key,) in store.db.rows("SELECT key FROM answer")},
                {str(key).split("|")[1] for (key,) in store.db.rows("SELECT key FROM known WHERE kind = 'owner' AND body IS NOT NULL")},
            ]
            assert left.count(left[0]) == len(left), (step, left)
            assert verify(store).bad is None
        with Local(state, ready, SetTime(MONDAY)) as local:  # the client repeats
            ((status, answer, replayed),) = local.writer.group([routing(f"L{step}")])
            assert status == 201 and replayed is (f"L{step}" in left[0])
            answers.append(answer)
    assert step > 10
    with open_store(state) as store:
        turns = [x.entry for x in store.entries(kinds=("turn",))]
        assert [t.number for t in turns] == list(range(1, len(answers) + 2)) and store.rebuild()  # type: ignore[attr-defined]
    assert [a["owner"] for a in answers] == [REPS[n % 3] for n in range(len(answers))]


def test_scenario_4_two_servers_give_turns_without_a_gap(state: str, tmp_path: Path) -> None:
    rules = policy(tmp_path / "policy", per_day=10**6)
    with servers(rules, state, 2) as both:
        with both[0].client() as client:
            fill(client)
        stop = threading.Event()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: persistent(both[n % 2].url, f"L{n}", stop), range(LEADS)))
        with both[1].client() as client:
            entries = feed(client)
    assert len(answers) == LEADS
    check(answers, entries)
    # the order in which turns were taken, played in one process: round robin
    turns = sorted((e for e in entries if e["kind"] == "turn"), key=lambda t: t["turn"])
    assert [t["rep"] for t in turns] == [("ann", "ben", "cid")[i % 3] for i in range(LEADS)]


def test_scenario_7_a_cap_across_pools_and_servers_is_never_exceeded(state: str, tmp_path: Path) -> None:
    rules, clock = policy(tmp_path / "policy", per_day=4), tmp_path / "clock"
    set_clock(clock, MONDAY)  # of whatever day it is, only as long as it is not midnight
    with servers(rules, state, 2, str(clock), run=clocked) as both:
        with both[0].client() as client:
            fill(client)
        stop = threading.Event()
        with ThreadPoolExecutor(8) as pool:
            forms = ("", "partner")
            answers = list(pool.map(lambda n: persistent(both[n % 2].url, f"L{n}", stop, forms[n // 2 % 2]), range(30)))
        given = Counter(a["owner"] for a in answers)
        assert given == {"ann": 4, "ben": 4, "cid": 4, None: 18}
        with both[1].client() as client:
            assert len(client.get("/v1/held").json()["held"]) == 18


def follow(readers: Sequence[httpx.Client], done: threading.Event, kinds: str = "") -> list[dict[str, Any]]:
    """What somebody reads of the feed who asks another server each time, until `done` is set and there is no more."""
    seen: list[dict[str, Any]] = []
    after, pages = 0, itertools.cycle(readers)
    while True:
        is_last = done.is_set()
        page = next(pages).get("/v1/changes", params={"after": after, "limit": 7, "kinds": kinds})
        assert page.status_code == 200, page.text
        seen += page.json()["entries"]
        after = page.json()["next"]
        if is_last and not page.json()["more"]:
            return seen


def test_scenario_8_a_reader_of_the_feed_during_appends_by_three_servers_misses_no_entry(state: str, tmp_path: Path) -> None:
    """Each entry once, in order, and as it stands in the end; whoever asks for some kinds misses none of those either."""
    rules = policy(tmp_path / "policy", per_day=10**6)
    with contextlib.ExitStack() as stack:
        three = stack.enter_context(servers(rules, state, 3))
        clients = [stack.enter_context(one.client()) for one in three]
        fill(clients[0])
        done, stop = threading.Event(), threading.Event()
        with ThreadPoolExecutor(11) as pool:
            readers = [
                pool.submit(follow, clients, done),
                pool.submit(follow, clients[:1], done),
                pool.submit(follow, clients, done, "turn"),
            ]
            try:
                answers = list(pool.map(lambda n: persistent(three[n % 3].url, f"L{n}", stop), range(LEADS)))
            finally:
                done.set()
            every, one, turns = (reader.result() for reader in readers)
        with open_store(state) as store:
            written = [shown.entry(x) for x in store.entries()]
    assert every == one == json.loads(json.dumps(written)), "entries"
    assert [e["number"] for e in every] == list(range(1, len(every) + 1))
    assert turns == [e for e in every if e["kind"] == "turn"] and len(turns) == len(answers) == LEADS
    check(answers, every)


def test_a_stop_answers_what_was_asked_before_it_ends(tmp_path: Path) -> None:
    rules = policy(tmp_path / "policy")
    with servers(rules, str(tmp_path / "s")) as (server,):
        with server.client() as client:
            fill(client)
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(CLIENT.post, f"{server.url}/v1/leads", json={"id": f"L{n}", "email": f"a@x{n}.com"}) for n in range(12)]
            assert server.stop() in (0, -15)  # it ends by the signal once everything is done
            codes: Counter[Any] = Counter()
            for w in waiting:
                try:
                    codes[w.result().status_code] += 1
                except httpx.HTTPError:
                    codes["not taken"] += 1
    with open_store(str(tmp_path / "s")) as store:
        assert len(list(store.entries(kinds=("owned",)))) >= codes[201]
        assert set(codes) <= {201, 503, "not taken"}


def test_workers_of_one_server_share_the_ledger(tmp_path: Path) -> None:
    rules = policy(tmp_path / "policy")
    with servers(rules, str(tmp_path / "s"), 1, "--workers", "2") as (server,):
        with server.client() as client:
            fill(client)
        stop = threading.Event()
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda n: persistent(server.url, f"L{n}", stop), range(30)))
        with server.client() as client:
            check(answers, feed(client))


def test_route_and_sync_work_beside_a_running_server(tmp_path: Path) -> None:
    import subprocess
    import sys

    rules, state = policy(tmp_path / "policy"), str(tmp_path / "s")
    export = tmp_path / "export"
    export.mkdir()
    (export / "reps.csv").write_text("id,name,role,active\nann,Ann,SDR,yes\nben,Ben,SDR,yes\n")
    with servers(rules, state) as (server,), server.client() as client:

        def roe(*args: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "roe", *args, "--state", state], env=server.environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert "2 reps" in roe("sync", str(export), str(rules))
        assert client.post("/v1/leads", json={"id": "L1", "email": "a@x1.com"}).json()["owner"] == "ann"
        (tmp_path / "lead.json").write_text('{"id": "L2", "email": "a@x2.com"}')
        found = json.loads(roe("route", str(tmp_path / "lead.json"), str(rules), "--format", "json"))
        assert found["owner"] == "ben" and found["known"] is False
        assert client.get("/v1/leads/L2").json()["decision"] == found["decision"]
        assert client.post("/v1/leads", json={"id": "L3", "email": "a@x3.com"}).json()["owner"] == "ann"
        roe("pause", str(rules))
        until("a server that is paused: one that nobody asks looks once a second", lambda: client.get("/ready").json()["paused"] is True)
        (export / "reps.csv").write_text("id,name,role,active\nben,Ben,SDR,yes\n")
        roe("sync", str(export), str(rules), "--complete", "rep")
        assert client.post("/v1/leads", json={"id": "L4", "email": "a@x4.com"}).json()["owner"] == "ben"
