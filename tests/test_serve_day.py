"""The same day through three servers, with commits that fail and servers that come and go, and through one: entry by entry the same.

Every day three writers in one process live a small day. With ROE_HEAVY three real servers live one too, on a clock that they share, while
they are killed again and again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from clocked import main as clocked
from clocked import set_clock
from days import START, Happening, Request, fill, happenings, policies
from effort import tries
from ledgers import STORES, place
from roe.diagnostics import PolicyError
from roe.ledger.database import MISSING, refuse
from roe.ledger.entries import RunEntry, Standing
from roe.ledger.store import open_store
from roe.serve.local import Local
from roe.serve.policies import Ready, load
from roe.serve.swap import warmed
from roe.serve.times import SetTime
from roe.serve.tokens import ANYBODY
from roe.serve.writer import Job, Swap
from services import Process, plain_client, policy
from waiting import LONG

EVENTS = tries(100, 150, int(os.environ.get("ROE_EVENTS", "10000")))
NUMBERS = ("decision", "policy")  # which depend on how many servers there are


class Day:
    """Some servers on one ledger and one clock. With `chaos`, commits fail before or after they are made, and servers start anew."""

    def __init__(self, state: str, ready: list[Ready], servers: int, chaos: random.Random | None) -> None:
        self.state, self.ready, self.chaos, self.time = state, ready, chaos, SetTime(START)
        self.made = self.failed = 0
        self.servers = [self._server() for _ in range(servers)]
        self.settle(self.servers[0], [Job(fill)])

    def _server(self) -> Local:
        return Local(self.state, self.ready[0], self.time)

    def happen(self, some: list[Happening]) -> None:
        """Handle requests of one moment: together, or one after the other; repeated with their keys until they are answered."""
        self.time.at = some[0].at
        jobs = [Job(h.act, key=f"t:{h.name}", digest=h.name) for h in some]
        if self.chaos is None:
            for h, job in zip(some, jobs, strict=True):
                self._swap(self.servers[0], h)
                self.settle(self.servers[0], [job])
            return
        if self.chaos.random() < 0.02:
            number = self.chaos.randrange(len(self.servers))
            self.servers[number].writer.close()
            self.servers[number] = self._server()
        if any(h.policy is not None for h in some):
            for h, job in zip(some, jobs, strict=True):
                server = self.chaos.choice(self.servers)
                self._swap(server, h)
                self.settle(server, [job])
        else:
            self.settle(self.chaos.choice(self.servers), jobs)

    def _swap(self, server: Local, h: Happening) -> None:
        if h.policy is not None:
            self.settle(server, [])  # everything that others have done
            server.writer.swap = Swap(warmed(server.writer.opened(), self.ready[h.policy]), ANYBODY.name)

    def settle(self, server: Local, jobs: list[Job]) -> None:
        while True:
            try:
                self._disturbed(server)
                server.writer.group(jobs)
                while server.writer.is_due():
                    server.writer.group([])
                return
            except PolicyError as e:
                self.failed += 1
                server.writer.take_back()
                server.writer.lost(e)
                server = self.chaos.choice(self.servers) if self.chaos is not None and server.writer.swap is None else server

    def _disturbed(self, server: Local) -> None:
        """Have the next commit fail now and then: before it is made, or after it, when nobody knows whether it was."""
        if self.chaos is None or self.chaos.random() > 0.05:
            return
        db, before = server.writer.opened().db, self.chaos.random() < 0.5
        commit = db.commit

        def cut() -> None:
            db.commit = commit  # type: ignore[method-assign]
            if before:
                db.rollback()
            else:
                commit()
            refuse(MISSING, "the line was cut", self.state, "repeat")

        db.commit = cut  # type: ignore[method-assign]

    def close(self) -> None:
        for server in self.servers:
            server.writer.close()


def told(state: str) -> tuple[list[Any], dict[tuple[str, str], Any]]:
    """The ledger's entries but those about servers and pools' standings, and what the service knows in the end."""
    with open_store(state) as store:
        entries = [x.entry for x in store.entries() if not isinstance(x.entry, (RunEntry, Standing))]
        known = {(k, key): body for k, key, body in store.db.rows("SELECT kind, key, body FROM known WHERE body IS NOT NULL")}
        mirror = sorted(store.db.rows("SELECT entity, id, fields, deleted FROM mirror"))
        assert store.rebuild()

    plain: dict[tuple[str, str], Any] = {}
    for (kind, key), body in known.items():
        value = json.loads(body)
        plain[kind, key] = {n: x for n, x in value.items() if n not in NUMBERS} if kind == "owner" else value
    plain.pop(("source", "ledger"), None)
    return entries, {**plain, ("mirror", "all"): [(entity, id, json.loads(fields), gone) for entity, id, fields, gone in mirror]}


def compare(one: str, three: str) -> None:
    (entries, known), (others, known_too) = told(one), told(three)
    for n, (mine, other) in enumerate(zip(entries, others, strict=False)):
        assert other == mine, f"entry {n} of {len(entries)}"
    assert len(others) == len(entries)
    assert set(known) == set(known_too)
    for key, value in known.items():
        other = known_too[key]
        if key[0] == "owner":  # which servers know a record's company rests on what their pools have been asked, but they know the same
            companies = [owner["company"] for owner in (value, other) if "company" in owner]
            assert companies[1:] == companies[:-1], key
            value, other = ({n: x for n, x in owner.items() if n != "company"} for owner in (value, other))
        assert other == value, key


def seen(server: Local) -> dict[str, Any]:
    """What the rules of a server read of owners, once it has caught up, and what its pools remember."""
    server.writer.group([])
    assert server.writer.desk is not None
    live = server.writer.desk.records.live
    rows = [row for entity in ("account", "lead") for row in live.world.all(entity)]
    owners = {
        f"{row.entity} {row['id']}": (row["owner"].as_json(), row["owner_since"], former and former["id"])
        for row in rows
        for former in [row["former_owner"]]
    }
    return {"owners": owners, "assigned": live.assigned}


@pytest.mark.parametrize(("store", "seed"), list(zip(STORES, (1, 2), strict=True)))
def test_a_day_through_three_servers_is_the_day_in_one_process(store: str, seed: int, tmp_path: Path) -> None:
    ready = [load(policy(tmp_path / f"p{n}", text)) for n, text in enumerate(policies())]
    made = happenings(EVENTS, seed)
    assert any(h.policy is not None for h in made)
    one = Day(str(tmp_path / "one"), ready, 1, None)
    three = Day(place(store, tmp_path), ready, 3, random.Random(seed))
    together: list[Happening] = []
    for h in [*made, None]:
        if together and (h is None or h.at != together[0].at or len(together) == 5):
            one.happen(together)
            three.happen(together)
            together = []
        if h is not None:
            together.append(replace(h))
    known = [seen(server) for server in (*three.servers, three._server(), *one.servers)]
    for other in known[1:]:  # the fourth has just started
        assert other == known[0]
    one.close()
    three.close()
    assert three.failed > EVENTS / 100
    compare(one.state, three.state)


class RealDay:
    """Three servers as processes, on one ledger and one clock. One request after the other goes to any of them, until it is answered;
    now and then the server that has it is killed.
    """

    def __init__(self, state: str, folder: Path, chaos: random.Random) -> None:
        self.chaos, self.clock, self.rules, self.kills = chaos, folder / "clock", folder / "rules", 0
        set_clock(self.clock, START)
        self.take_policy(0)
        self.servers = [Process(self.rules, state, str(self.clock), run=clocked) for _ in range(3)]
        self.killing = threading.Timer(0, lambda: None)
        self.starting: list[threading.Thread] = []
        self.not_started: list[BaseException] = []
        self.client = plain_client(timeout=60)
        self.store = open_store(state)
        self.seq, self.due = -1, dict[str, datetime]()

    def start(self) -> None:
        for one in self.servers:
            one.start()

    def take_policy(self, number: int) -> None:
        policy(self.rules, policies()[number])

    def at(self, at: datetime) -> None:
        """Go to a moment, and wait until every timer that is due by then was fired."""
        set_clock(self.clock, at)
        self.settle(at)

    def settle(self, at: datetime) -> None:
        end = time.monotonic() + LONG
        while True:
            for key, body, seq in self.store.db.rows(
                "SELECT key, body, seq FROM known WHERE kind = 'timer' AND seq > ? ORDER BY seq", (self.seq,)
            ):
                self.seq = seq
                self.due.pop(key, None)
                if body is not None:
                    self.due[key] = datetime.fromisoformat(json.loads(body)["due"])
            late = [key for key, due in self.due.items() if due <= at]
            if not late:
                return
            assert time.monotonic() < end, late
            if self.chaos.random() < ASKED:
                with contextlib.suppress(httpx.HTTPError):
                    self.client.get(self.chaos.choice(self.servers).url + "/v1/held")
            else:
                time.sleep(0.005)

    def send(self, key: str, request: Request) -> int:
        """Have a request answered; its status."""
        method, address, body = request
        kills = self.chaos.random() < KILLED and not self.killing.is_alive() and not any(one.is_alive() for one in self.starting)
        while True:
            server = self.chaos.choice(self.servers)
            if not server.is_alive:
                time.sleep(0.01)
                continue
            if kills:
                kills = False
                self.killing = threading.Timer(self.chaos.uniform(0, 0.03), self._kill, (server,))
                self.killing.start()
            try:
                answer = self.client.request(method, server.url + address, json=body, headers={"Idempotency-Key": f'"{key}"'})
            except httpx.HTTPError:
                continue
            if answer.status_code != 503 and (answer.status_code, answer.json().get("code")) != (409, "R906"):
                assert answer.status_code < 500, answer.text
                return answer.status_code
            time.sleep(0.01)

    def _kill(self, server: Process) -> None:
        server.kill()
        self.kills += 1
        self.starting = [threading.Thread(target=self._start, args=(server,))]
        self.starting[0].start()

    def _start(self, server: Process) -> None:
        try:
            server.start()
        except BaseException as e:
            self.not_started.append(e)
            raise

    def close(self) -> None:
        if self.killing.ident is not None:
            self.killing.join()  # or it would start a server when all have ended
        for thread in self.starting:
            thread.join()
        for one in self.servers:
            one.stop()
        self.client.close()
        self.store.close()
        assert not self.not_started


KILLED = 0.02  # the part of requests in which a server is killed
ASKED = 0.8  # how often a server is asked something while a timer is due: it sees the clock then, and else within a second


def beginning() -> Sequence[Request]:
    """The records of the day's beginning, as requests."""

    class Noted:
        requests: list[Request] = []

        def put(self, entity: str, values: dict[str, Any], version: str, at: datetime) -> None:
            self.requests.append(("PUT", f"/v1/{entity}/{values['id']}", values))

    noted = Noted()
    fill(noted, START)  # type: ignore[arg-type]
    return noted.requests


@pytest.mark.heavy
@pytest.mark.parametrize(("store", "seed"), list(zip(STORES, (3, 4), strict=True)))
def test_a_day_through_three_real_servers_is_the_day_in_one_process(store: str, seed: int, tmp_path: Path) -> None:
    ready = [load(policy(tmp_path / f"p{n}", text)) for n, text in enumerate(policies())]
    made = happenings(EVENTS, seed)
    one = Day(str(tmp_path / "one"), ready, 1, None)
    for h in made:
        one.time.at = h.at
        one.settle(one.servers[0], [])
        one.happen([h])
    one.close()
    state = place(store, tmp_path)
    real = RealDay(state, tmp_path, random.Random(seed))
    try:
        real.start()
        for n, request in enumerate(beginning()):
            assert real.send(f"beginning {n}", request) < 300
        for h in made:
            real.at(h.at)
            if h.policy is not None:
                real.take_policy(h.policy)
                assert real.send(f"policy {h.name}", ("PUT", "/v1/policy", {})) == 200
            if h.sent[0] is not None:
                real.send(h.name, h.sent[0])
            real.settle(h.at)
    finally:
        real.close()
    print(f"{len(made)} events, {real.kills} kills")
    compare(one.state, state)
