"""The service for tests: in one process on a clock that tests set, and as real servers that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import pytest

from forked import forked, roe
from helpers import policy_text
from roe.ledger.store import open_store
from roe.serve import events, intake
from roe.serve.desk import Desk
from roe.serve.letters import Receiver
from roe.serve.local import Local
from roe.serve.policies import Ready, load
from roe.serve.server import Server
from roe.serve.times import SetTime
from roe.serve.writer import Act, Reply
from waiting import LONG, until

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # ten o'clock in Berlin
REPS = ("ann", "ben", "cid")

POLICY = """
roe: 1
name: desk
timezone: Europe/Berlin
calendar: DE
working_hours: 09:00-17:00
roles: [ae, sdr]
pools:
  inbound:
    members: rep.role = "SDR"
    strategy: round_robin
    caps: {per_day: PER_DAY}
    sla: {within: 2 working hours, times: 1, escalate: boss}
    debt: 3
  partners:
    members: rep.role = "SDR"
    strategy: round_robin
    caps: {per_day: PER_DAY}
  nobody:
    members: rep.role = "ghost"
engagement:
  lead:
    sdr:
      - {name: waits, when: lead.form = "wait", then: {route: nobody}}
      - {name: asks, when: lead.form = "ask", then: {refer: boss, within: 2 days}, because: "a person looks at {lead.email}"}
      - {name: customer, when: account.owner.ae != null, then: {assign: account.owner.ae}, because: "{account.name} is a customer"}
      - {name: partner, when: lead.form = "partner", then: {route: partners}}
      - {name: rest, then: {route: inbound}}
"""


def policy(folder: Path, text: str = POLICY, per_day: int = 1000) -> Path:
    policy_text(folder, text.replace("PER_DAY", str(per_day)))
    return folder


def said(**values: Any) -> Reply:
    return 200, lambda: values


class Service:
    """A desk with its ledger in one process, as of a clock that the test sets."""

    def __init__(
        self, state: str, ready: Ready, at: datetime = MONDAY, receivers: tuple[Receiver, ...] = (), activate: bool = False
    ) -> None:
        self.state, self.ready = state, ready
        self.time = SetTime(at)
        self.local = Local(state, ready, self.time, activate)
        self.local.writer.receivers = receivers

    def do(self, act: Act) -> dict[str, Any]:
        return self.local.do(act)[0][1]

    def put(self, entity: str, version: str = "", **values: Any) -> dict[str, Any]:
        def act(desk: Desk, at: datetime) -> Reply:
            id, stale = intake.put(desk, entity, values, version, at)
            return 200, lambda: {"id": id, "stale": stale}

        return self.do(act)

    def patch(self, entity: str, id: str, version: str = "", **values: Any) -> dict[str, Any]:
        return self.do(lambda desk, at: said(stale=intake.patch(desk, entity, id, values, version, at)))

    def delete(self, entity: str, id: str, version: str = "") -> dict[str, Any]:
        return self.do(lambda desk, at: said(stale=intake.delete(desk, entity, id, version, at)))

    def route(self, id: str, **values: Any) -> dict[str, Any]:
        return self.local.route("lead", {"id": id, **values})[1]

    def event(self, event: str, **values: Any) -> dict[str, Any]:
        def act(desk: Desk, at: datetime) -> Reply:
            outcome = events.handle(desk, {"event": event, **values}, at)
            return 200, lambda: outcome

        return self.do(act)

    def owner(self, id: str) -> str | None:
        found: str | None = self.shown(id)["owner"]
        return found

    def shown(self, id: str) -> dict[str, Any]:
        return self.do(lambda desk, at: (200, lambda: desk.shown("lead", id, "sdr")))

    def to(self, at: datetime) -> None:
        """Set the clock, and let what is due happen."""
        self.time.at = at
        while self.local.writer.desk is None or self.local.writer.is_due():
            self.local.do()
        self.local.do()

    def after(self, **step: float) -> None:
        self.to(self.time.at + timedelta(**step))

    def entries(self, *kinds: str) -> list[Any]:
        with open_store(self.state) as store:
            return [x.entry for x in store.entries(kinds=kinds)]

    def close(self) -> None:
        self.local.writer.close()


def with_reps(service: Service, reps: tuple[str, ...] = REPS) -> Service:
    for rep in reps:
        service.put("rep", id=rep, name=rep.title(), role="SDR", active="yes")
    service.put("rep", id="boss", name="Boss", role="head", active="yes")
    return service


@contextlib.contextmanager
def service(state: str, folder: Path, at: datetime = MONDAY, reps: tuple[str, ...] = REPS, text: str = POLICY, per_day: int = 1000, receivers: tuple[Receiver, ...] = ()) -> Iterator[Service]:  # fmt: skip
    made = Service(state, load(policy(folder / "policy", text, per_day)), at, receivers)
    try:
        yield with_reps(made, reps)
    finally:
        made.close()


# --- a receiver of webhooks --------------------------------------------------------------------------------------------


class Receiving:
    """A receiver on this machine that answers as the test says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiving = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiving.got.append(({k.lower(): x for k, x in self.headers.items()}, body))
                self.send_response(receiving.answers.pop(0) if receiving.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def data(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, body in self.got]


@contextlib.contextmanager
def receiving() -> Iterator[Receiving]:
    made = Receiving()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


# --- real servers -----------------------------------------------------------------------------------------------------


def plain_client(**more: Any) -> httpx.Client:
    """A client without certificates: to read them takes longer than fifty requests."""
    return httpx.Client(verify=False, **more)


def reserved(owner: object) -> int:
    """A port that nobody else is given as long as its owner is there. Whoever reuses addresses can listen on it, as servers do, again and again.

    A port that was free a moment ago may be another server's, or that of a client's connection, by the time that a server asks for it.
    """
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port: int = place.getsockname()[1]
    if sys.platform == "linux":
        weakref.finalize(owner, place.close)
    else:  # where nobody can listen on a port that is somebody's
        place.close()
    return port


def ready(server: Server) -> Server:
    """A server of this process, once it is ready."""
    until(lambda: f"a server that is ready; it says {server.writer.problem}", lambda: server.writer.ready)
    return server


@contextlib.contextmanager
def held(server: Server) -> Iterator[None]:
    """A server whose thread is at something meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def slow(desk: Any, at: Any) -> Any:
        begun.set()
        over.wait()
        return {}

    asked = server.queue.ask(slow)
    try:
        assert begun.wait(LONG)
        yield
    finally:
        over.set()
    asked.result(LONG)


class Process:
    """`roe serve` in a process of its own, or another `run` of the arguments policy, state, port and `args`."""

    ASKED = plain_client(timeout=2)

    def __init__(
        self, policy: Path, state: str, *args: str, environment: Mapping[str, str] | None = None, run: Callable[..., None] | None = None
    ) -> None:
        self.port = reserved(self)
        self.url = f"http://127.0.0.1:{self.port}"
        self.run = run or roe
        self.args: tuple[str, ...] = (str(policy), state, str(self.port), *args)
        if run is None:
            self.args = ("serve", str(policy), "--state", state, "--port", str(self.port), *args)
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **(environment or {})}
        self.log = Path(os.environ.get("ROE_CACHE", "/tmp")) / f"serve-{self.port}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.process: BaseProcess | None = None

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def start(self) -> Process:
        """Start it, and wait until it is ready."""
        self.process = forked(self.log, self.environment, self.run, self.args)

        def is_ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return self.ASKED.get(f"{self.url}/ready").status_code == 200
            assert self.is_alive, self.log.read_text()
            return False

        until(lambda: f"a server that is ready; it says {self.log.read_text()}", is_ready)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.join()

    def stop(self) -> int:
        """End it by the signal that asks for it; its exit code, or -1 where it had ended."""
        if self.process is None or not self.process.is_alive():
            return -1
        self.process.terminate()
        self.process.join(LONG)
        if self.process.is_alive():
            self.kill()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def client(self, **more: Any) -> httpx.Client:
        return plain_client(base_url=self.url, timeout=30, **more)


@contextlib.contextmanager
def servers(policy: Path, state: str, number: int = 1, *args: str, **more: Any) -> Iterator[list[Process]]:
    made = [Process(policy, state, *args, **more) for _ in range(number)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            one.stop()


def fill(client: httpx.Client, reps: tuple[str, ...] = REPS) -> None:
    for rep in reps:
        assert client.put(f"/v1/reps/{rep}", json={"name": rep.title(), "role": "SDR", "active": "yes"}).status_code == 200
    client.put("/v1/reps/boss", json={"name": "Boss", "role": "head", "active": "yes"})


def feed(client: httpx.Client, kinds: str = "") -> list[dict[str, Any]]:
    """All entries, page by page."""
    found: list[dict[str, Any]] = []
    after, more = 0, True
    while more:
        page = client.get("/v1/changes", params={"after": after, "kinds": kinds}).json()
        found += page["entries"]
        after, more = page["next"], page["more"]
    return found


def jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


__all__ = [
    "MONDAY",
    "POLICY",
    "REPS",
    "Process",
    "Receiving",
    "Service",
    "feed",
    "fill",
    "held",
    "plain_client",
    "policy",
    "pytest",
    "ready",
    "receiving",
    "reserved",
    "servers",
    "service",
]
