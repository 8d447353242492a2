"""What goes wrong below the service: a database that is gone or fails in the middle of a commit, an older one that comes back."""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient

from databases import Postgres, postgres
from disks import SmallDisk, small_disk
from effort import HEAVY, in_ci, tries
from ledgers import STORES, place
from roe.diagnostics import PolicyError
from roe.evaluator.kept_matches import KeptMatches
from roe.evaluator.trace import trace
from roe.ledger.audit import verify
from roe.ledger.backup import backup, restore
from roe.ledger.erase import ALWAYS, forget
from roe.ledger.export import write as export
from roe.ledger.postgres import PostgresDatabase
from roe.ledger.projections import dump
from roe.ledger.sqlite import SqliteDatabase
from roe.ledger.store import Store, open_store
from roe.serve import intake, queue
from roe.serve.app import build_app
from roe.serve.desk import Desk
from roe.serve.letters import KINDS, Receiver
from roe.serve.server import Server
from roe.serve.settings import Form, Settings
from roe.serve.swap import kept
from roe.serve.sync import sync
from roe.serve.times import SetTime
from roe.serve.writer import Reply
from roe.web.app.kept import beside
from services import MONDAY, POLICY, REPS, Service, feed, fill, held, policy, ready, service
from waiting import until


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


def lead(c: Any, id: str) -> Any:
    return c.post("/v1/leads", json={"id": id, "email": f"a@{id.lower()}.com"}, headers={"Idempotency-Key": f"key-{id}"})


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose database is gone looks for it ten times a second: how long it waits between two attempts is not what tests look at."""
    if not HEAVY:
        monkeypatch.setattr("roe.serve.queue.RETRY", 0.1)


@contextlib.contextmanager
def running(state: str, tmp_path: Path, **more: Any) -> Iterator[tuple[TestClient, Server]]:
    server = Server(Settings(policy(tmp_path / "policy"), state, **more), SetTime(MONDAY))
    with TestClient(build_app(server), raise_server_exceptions=False) as client:
        ready(server)
        fill(client)
        yield client, server


class Ways:
    """A connection to PostgreSQL that counts how often it waits for the server; a pipeline waits once."""

    def __init__(self, con: Any) -> None:
        self.con, self.count = con, 0
        self._together = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.con, name)

    def execute(self, *args: Any) -> Any:
        self.count += not self._together
        return self.con.execute(*args)

    @contextlib.contextmanager
    def pipeline(self) -> Iterator[None]:
        self.count, self._together = self.count + 1, True
        with self.con.pipeline():
            yield
        self._together = False


def test_a_group_of_requests_takes_four_ways_to_the_database(tmp_path: Path) -> None:
    """With the lock it reads what is new; then words and subjects, projections with the writes before them, and the rest with the commit."""
    with service(place("postgres", tmp_path), tmp_path) as desk, service(desk.state, tmp_path) as other:
        for n in range(3):
            desk.route(f"L{n}", email=f"a@x{n}.com")
            other.route(f"M{n}", email=f"a@y{n}.com")
        db = other.local.writer.opened().db
        db.con = ways = Ways(db.con)  # type: ignore[attr-defined]
        desk.route("L9", email="a@x9.com")
        other.route("M9", email="a@y9.com")
        assert ways.count == 4
        other.shown("M9")
        assert ways.count <= 6


def test_a_server_takes_over_what_another_one_knows_of_a_company(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads that another server has decided are not matched while the ledger is locked, and a new one of their company follows them all the same."""
    text = POLICY.replace("roles: [ae, sdr]", "roles: [ae, sdr]\nmatching: default")
    with service(state, tmp_path, text=text) as one, service(state, tmp_path, text=text) as two:
        for n, name in enumerate(("Norrsken Bank", "Halden Energy", "Vetri Foods")):
            one.put("account", id=f"A{n}", name=name, domain=f"d{n}.com")
        for lead, desk in (("K0", one), ("K1", two)):  # the first lead of a pool looks at all leads
            desk.route(lead, company="Kaltmeer", email="a@kaltmeer.com")
        done, database = list[str](), type(two.local.writer.opened().db)  # ids of leads that are matched, and "(" and ")" for the lock

        def noted(owner: type[Any], name: str, note: Callable[..., str]) -> None:
            before = getattr(owner, name)

            def after(*args: Any) -> Any:
                done.append(note(*args))
                return before(*args)

            monkeypatch.setattr(owner, name, after)

        noted(KeptMatches, "_ask", lambda matches, answer, row, scope: row["id"])
        noted(database, "begin", lambda *_: "(")
        noted(database, "commit", lambda *_: ")")
        for id in ("L0", "L1"):
            one.route(id, company="Norrsken Bank AB", email=f"{id}@mail.org")
        done.clear()
        assert "of the same company" in two.route("M1", company="Norrsken Bank", email="b@other.org")["sentence"]
        assert set(done[: done.index("(")]) == {"M1"} and done[done.index("(") :] == ["(", ")"]
        done.clear()
        two.route("M2", company="Halden Energy", email="c@other.org")
        before = set(done[: done.index("(")])
        assert "M2" in before and before & {"L0", "L1"}, "what was taken over is looked up when nobody waits for it"
        assert done[done.index("(") :] == ["(", ")"]
        owners = one.local.writer.desk.state.all("owner")  # type: ignore[union-attr]
        assert owners["lead|L0|sdr"]["company"] == owners["lead|L1|sdr"]["company"]
        one.patch("lead", "L0", company="Zeta")
        assert "company" not in owners["lead|L0|sdr"], "it was that of the record as it was decided"
        one.route("L2", company="Vetri Foods", email="d@mail.org", form="partner")  # of a pool whose own leads M3 does not follow

        def renamed(desk: Desk, at: datetime) -> Reply:
            intake.put(desk, "account", {"id": "A2", "name": "Somebody else", "domain": "d2.com"}, "", at)
            return 200, dict

        def routed(desk: Desk, at: datetime) -> Reply:
            desk.route("lead", {"id": "M3", "company": "Zeta", "email": "e@d2.com"}, "", at)
            return 200, lambda: desk.answer("lead", "M3")

        _, (_, answer) = two.local.do(renamed, routed)
        assert "of the same company" not in answer["sentence"], "what L2 was said to be is of before"


# --- a database that is gone ------------------------------------------------------------------------------------------


COMMIT = b"COMMIT\0"


class Between:
    """Stands between the service and PostgreSQL: can cut the line, also just after a COMMIT was handed on and before its answer."""

    def __init__(self, path: str) -> None:
        self.path, self.cut, self.cut_after_commit, self.mute, self.silent = path, False, False, False, False
        self.pairs: list[socket.socket] = []
        self._lock = threading.Lock()  # whoever connects is dropped, or comes after that and sees that the line is cut
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            with self._lock:
                far = socket.socket(socket.AF_UNIX)
                if self.cut or far.connect_ex(self.path) != 0:
                    near.close()
                    far.close()
                    continue
                self.pairs += [near, far]
            for one, other, asks in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._hand_on, args=(one, other, asks), daemon=True).start()

    def _hand_on(self, one: socket.socket, other: socket.socket, asks: bool) -> None:
        before = b""
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                while self.silent:
                    threading.Event().wait(0.01)
                last = asks and self.cut_after_commit and COMMIT in before + data
                before = data[1 - len(COMMIT) :]  # the word may come in two pieces
                self.mute = self.mute or last
                if asks or not self.mute:
                    other.sendall(data)
                if last:
                    self.cut_after_commit = False
                    self.drop()  # PostgreSQL has the word, and commits; nobody hears of it
                    self.mute = False
        for s in (one, other):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        with self._lock:
            for s in self.pairs:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
            self.pairs.clear()

    def close(self) -> None:
        """End it with its threads: with those of others a process shares no work out."""
        self.cut, self.silent = True, False
        self.drop()
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # to close it wakes nobody
        self.server.close()


@contextlib.contextmanager
def between(tmp_path: Path) -> Iterator[tuple[str, Between]]:
    state = place("postgres", tmp_path)
    host = unquote(state.split("host=")[1].split("&")[0])
    line = Between(f"{host}/.s.PGSQL.5432")
    try:
        yield state.replace(f"host={quote(host, safe='')}", f"host=127.0.0.1&port={line.port}"), line
    finally:
        line.close()


def repeated(c: Any, id: str) -> Any:
    def done() -> Any:
        answer = lead(c, id)
        assert answer.status_code in (200, 201, 409, 503), answer.text
        return answer if answer.status_code < 300 else None

    return until(f"an answer about {id}", done)


def test_scenario_9_a_commit_that_is_cut_off_is_settled_by_its_key(tmp_path: Path) -> None:
    with between(tmp_path) as (state, line), running(state, tmp_path) as (c, _):
        lead(c, "L0")
        replayed = 0
        for n in range(1, 6):
            line.drop()  # on a new connection the word COMMIT is on the line, and not the number of a prepared statement
            lead(c, "L0")
            until("a server that is ready", lambda: c.get("/ready").status_code == 200)
            line.cut_after_commit = True
            replayed += repeated(c, f"L{n}").headers.get("Idempotent-Replayed") == "true"
        assert replayed == 5, "each commit was made, and its answer kept"
        turns = [e for e in c.get("/v1/changes").json()["entries"] if e["kind"] == "turn"]
        assert [t["turn"] for t in turns] == [1, 2, 3, 4, 5, 6] and [t["rep"] for t in turns] == ["ann", "ben", "cid"] * 2


LOOKS = 1200 if HEAVY else 20  # at a server without its database, twenty in a second
ROOM = 8  # requests that may wait


@contextlib.contextmanager
def outage(kind: str, how: str, tmp_path: Path) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """A ledger, and how its outage begins and ends: another program has its lock, or the line is cut, or nobody answers on it."""
    if how == "locked":
        state = place(kind, tmp_path)
        with open_store(state) as other:
            yield state, lambda: other.db.begin(5), other.db.rollback
        return
    with between(tmp_path) as (state, line):

        def begin() -> None:
            line.cut, line.silent = how == "cut", how == "silent"
            if line.cut:
                line.drop()

        def end() -> None:
            line.cut = line.silent = False

        yield state, begin, end


LOCKED = (("postgres", "locked"),)


@pytest.mark.parametrize(("kind", "how"), [("postgres", "cut"), ("postgres", "silent"), ("sqlite", "locked"), *tries((), LOCKED, LOCKED)])
def test_scenario_10_a_database_that_is_gone_for_a_minute(kind: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the service lives, is not ready, lets no more than so many wait, and has every client come again; then it answers all of them, each once."""
    if not HEAVY:
        monkeypatch.setattr("roe.serve.writer.LOCK_WAIT", 0.3)
    with outage(kind, how, tmp_path) as (state, begin, end), running(state, tmp_path, queue=ROOM) as (c, server):
        before = lead(c, "L0").json()
        refused, seen = list[Any](), list[int]()  # answers that are not yet one, and whether the server was ready
        is_over = threading.Event()

        def visitor(n: int) -> Any:
            while (answer := lead(c, f"M{n}")).status_code != 201:
                refused.append(answer)
                is_over.wait(0.1)
            return answer.json()

        def look() -> int:
            assert c.get("/healthz").status_code == 200
            seen.append(c.get("/ready").status_code)
            assert len(server.queue._jobs) <= ROOM
            return seen[-1]

        with ThreadPoolExecutor(24) as pool, monkeypatch.context() as patch:
            with held(server):
                waiting = [pool.submit(visitor, n) for n in range(24)]
                full = f"{ROOM} requests are waiting already"
                until("a full queue", lambda: look() and any(full in r.json()["detail"] for r in refused[:]))
                begin()
            try:
                if not HEAVY:
                    patch.setattr(queue, "PATIENCE", 0.4)
                until("a server that is not ready", lambda: look() == 503)
                for _ in range(LOOKS):
                    assert look() == 503, "and so it stays"
                    time.sleep(0.05)
                assert seen == sorted(seen)
                assert how == "locked" or c.get("/v1/changes").status_code == 503
                assert not any(w.done() for w in waiting)
            finally:  # the visitors do not end before
                end()
                patch.undo()
            answers = [w.result() for w in waiting]
            is_over.set()
        assert {r.status_code for r in refused} == {503} and all(1 <= int(r.headers["Retry-After"]) <= 5 for r in refused)
        assert c.get("/ready").status_code == 200
        turns = [e for e in feed(c) if e["kind"] == "turn"]
        assert [t["turn"] for t in turns] == list(range(1, 26))
        assert {t["record"]: t["rep"] for t in turns} == {"L0": before["owner"], **{a["id"]: a["owner"] for a in answers}}


@in_ci
def test_scenarios_9_and_11_a_real_fail_over_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The primary crashes under load, its synchronous standby takes over, and later the old primary comes back without having heard of that."""
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "cache"))
    psycopg = pytest.importorskip("psycopg")
    old = Postgres().init().start()
    new = Postgres().copy_of(old).start()
    with psycopg.connect(old.address, autocommit=True) as con:
        con.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        con.execute("SELECT pg_reload_conf()")
        count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        until("a standby that follows", lambda: con.execute(count).fetchall() == [(1,)])
    line = Between(f"{old.folder}/.s.PGSQL.5432")
    state = f"postgresql:///postgres?host=127.0.0.1&port={line.port}&user=postgres"
    with running(state, tmp_path) as (c, _), ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(repeated, c, f"L{n}") for n in range(60)]
        until("the first answers", lambda: sum(w.done() for w in waiting) >= 15)
        line.cut = True
        old.stop()
        line.drop()
        new.run("pg_ctl", "-D", str(new.data), "-w", "promote")
        line.path, line.cut = f"{new.folder}/.s.PGSQL.5432", False
        answers = [w.result().json() for w in waiting]
        entries = c.get("/v1/changes?kinds=turn,owned").json()["entries"]
        turns = [e for e in entries if e["kind"] == "turn"]
        assert [t["turn"] for t in turns] == list(range(1, 61)) and [t["rep"] for t in turns] == ["ann", "ben", "cid"] * 20
        owned = {e["record"]: (e["number"], e["rep"]) for e in entries if e["kind"] == "owned"}
        assert owned == {a["id"]: (a["decision"], a["owner"]) for a in answers} and len(owned) == 60

        (old.data / "postgresql.auto.conf").write_text("")  # it waits for no standby
        old.start()
        line.path = f"{old.folder}/.s.PGSQL.5432"
        line.drop()
        assert {lead(c, "M0").status_code for _ in range(5)} == {503}
        until("a server that knows it", lambda: lead(c, "M0") and "old primary" in c.get("/ready").json()["detail"])
        line.path = f"{new.folder}/.s.PGSQL.5432"
        assert repeated(c, "M0").json()["owner"] == "ann"
    line.close()
    for one in (old, new):
        one.remove()


def test_scenario_11_an_older_database_that_comes_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    timeline = [2]
    monkeypatch.setattr("roe.serve.writer.timeline_of", lambda db: timeline[0])
    with between(tmp_path) as (state, line), running(state, tmp_path) as (c, _):
        lead(c, "L0")
        timeline[0] = 1
        line.drop()
        with caplog.at_level(logging.ERROR):
            assert lead(c, "L1").status_code == 503
            until("a server that knows it", lambda: "timeline" in c.get("/ready").json()["detail"])
            assert lead(c, "L1").status_code == 503
        assert "old primary" in caplog.text
        timeline[0] = 3
        assert repeated(c, "L1").status_code == 201


def test_scenario_11_commits_that_are_gone_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with service(str(tmp_path / "s"), tmp_path) as desk:
        desk.route("L1", email="a@x.com")
        shutil.copytree(tmp_path / "s", tmp_path / "backup")
        desk.route("L2", email="a@y.com")
        desk.local.writer.close()
        shutil.rmtree(tmp_path / "s")
        shutil.copytree(tmp_path / "backup", tmp_path / "s")
        with caplog.at_level(logging.ERROR):
            assert desk.route("L2", email="a@y.com")["known"] is False
        assert "older than what this server has seen" in caplog.text


def test_scenario_11_a_server_that_was_started_anew_still_knows_what_this_machine_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "cache"))
    timeline = [2]
    monkeypatch.setattr("roe.serve.writer.timeline_of", lambda db: timeline[0])
    state = str(tmp_path / "s")
    with running(state, tmp_path) as (c, _):
        lead(c, "L0")
        shutil.copytree(state, tmp_path / "older")
        lead(c, "L1")
    timeline[0] = 1
    server = Server(Settings(policy(tmp_path / "policy"), state), SetTime(MONDAY))
    with TestClient(build_app(server), raise_server_exceptions=False) as c:
        until("a server that has looked", lambda: "timeline 1" in c.get("/ready").json()["detail"])
        assert lead(c, "L2").status_code == 503
    timeline[0] = 2
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "older", state)
    with caplog.at_level(logging.ERROR), running(state, tmp_path) as (c, _):
        assert lead(c, "L2").status_code == 201
    assert "entries are missing from the ledger" in caplog.text


def uncompressed(seed: int) -> str:
    """Thirty thousand characters that no database can pack."""
    return random.Random(seed).randbytes(15_000).hex()


@contextlib.contextmanager
def on_small_disk(what: str, tmp_path: Path) -> Iterator[tuple[str, SmallDisk, Callable[[], object]]]:
    """A ledger on a disk that can be filled, and what starts the database again if a full disk has ended it, as a supervisor does."""
    if what == "sqlite":
        with small_disk(tmp_path / "state", 8) as disk:
            yield str(tmp_path / "state"), disk, lambda: None
        return
    database = Postgres()
    owner = "mode=700,uid=postgres,gid=postgres"
    with contextlib.ExitStack() as stack:
        stack.callback(database.remove)
        if what == "the data of postgres":
            log = database.folder / "wal"
            disk = stack.enter_context(small_disk(database.data, 64, owner))
        else:
            log = database.folder / "wal"
            disk = stack.enter_context(small_disk(log, 8, owner))
        database.init("--wal-segsize=1", f"--waldir={log}").start()
        stack.callback(database.end)

        def again() -> None:
            if not (database.data / "postmaster.pid").exists():
                database.start()

        yield f"postgresql:///postgres?host={database.folder}&user=postgres", disk, again


LOG = ("the log of postgres",)


@pytest.mark.parametrize("what", ["sqlite", "the data of postgres", *tries((), LOG, LOG)])
def test_scenario_3_a_full_disk_is_503_and_recovers_by_itself(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with on_small_disk(what, tmp_path) as (state, disk, again), running(state, tmp_path) as (c, _):

        def ask(id: str, big: int = 0) -> Any:
            more = {"campaign": uncompressed(big)} if big else {}
            return c.post("/v1/leads", json={"id": id, "email": f"a@{id.lower()}.com", **more}, headers={"Idempotency-Key": id})

        answers = [ask("L0")]
        disk.fill()
        again_after = queue.RETRY
        monkeypatch.setattr(queue, "RETRY", 3600)  # until the test has looked: where nothing is to be written it may be ready all the same
        while answers[-1].status_code == 201:  # there may be room in what the database has reserved
            assert len(answers) < 500
            answers.append(ask(f"L{len(answers)}", len(answers)))
        refused = [answers.pop(), *(ask(f"M{n}", n + 1) for n in range(3))]
        assert {r.status_code for r in refused} == {503} and all(r.headers["Retry-After"] for r in refused)
        assert c.get("/ready").status_code == 503 and c.get("/healthz").status_code == 200
        disk.free()
        monkeypatch.setattr(queue, "RETRY", again_after)
        ids = [f"L{len(answers)}", "M0", "M1", "M2", "N0"]
        for n, id in enumerate(ids):
            size = (len(answers), 1, 2, 3, 0)[n]

            def done(id: str = id, size: int = size) -> Any:
                answer = ask(id, size)
                assert answer.status_code in (201, 503), answer.text
                if answer.status_code == 503:
                    again()  # it may still have been on its way down when the disk had room again
                return answer if answer.status_code == 201 else None

            answer = until(f"an answer about {id}", done)
            assert "Idempotent-Replayed" not in answer.headers, "what was refused was not done"
            answers.append(answer)
        assert c.get("/ready").status_code == 200
        entries = feed(c)
        owned = [(e["record"], e["number"], e["rep"]) for e in entries if e["kind"] == "owned"]
        assert owned == [(a["id"], a["decision"], a["owner"]) for a in (answer.json() for answer in answers)]
        assert [e["turn"] for e in entries if e["kind"] == "turn"] == list(range(1, len(answers) + 1))
        assert [rep for _, _, rep in owned] == [REPS[n % 3] for n in range(len(owned))]


def test_a_database_that_takes_no_writes_is_503_and_recovers_by_itself(tmp_path: Path) -> None:
    """So providers do whose disk is nearly full, and so a standby is."""
    psycopg = pytest.importorskip("psycopg")
    with between(tmp_path) as (state, line), running(state, tmp_path) as (c, _), psycopg.connect(postgres(), autocommit=True) as admin:
        lead(c, "L0")
        admin.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        try:
            line.drop()
            until("a server that knows it", lambda: lead(c, "L1").status_code == 503 and "read-only" in c.get("/ready").json()["detail"])
            assert lead(c, "L1").status_code == 503 and c.get("/healthz").status_code == 200
        finally:
            admin.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        assert repeated(c, "L1").json()["owner"] == "ben"


# --- what the ledger keeps ----------------------------------------------------------------------------------------------


def test_scenario_22_projections_are_the_entries_replayed_and_an_old_decision_is_explained_by_its_own_policy(
    state: str, tmp_path: Path
) -> None:
    """The rule of the first decision is in no policy of today: the ledger's copy of the policy with the decision's digest decides and explains as then."""
    rules = POLICY.replace("{name: rest, then: {route: inbound}}", "{name: sweets, when: lead.email != null, then: {route: inbound}}")
    with running(state, tmp_path) as (c, _):
        policy(tmp_path / "policy", rules)
        first = c.put("/v1/policy", json={}).json()["policy"]
        old = lead(c, "L1").json()
        policy(tmp_path / "policy", per_day=7)
        new = c.put("/v1/policy", json={}).json()["policy"]
        later = lead(c, "L2").json()
        assert (old["policy"], old["rule"], later["policy"], later["rule"]) == (first, "sweets", new, "rest")
        for answer in (old, later):
            decision = c.get(f"/v1/decisions/{answer['decision']}").json()
            assert [decision[x] for x in ("policy", "rule", "sentence", "rep")] == [
                answer[x] for x in ("policy", "rule", "sentence", "owner")
            ]
    with open_store(state) as store:
        before = dump(store.db)
        assert store.rebuild() and dump(store.db) == before
        reps = [{"id": rep, "name": rep.title(), "role": "SDR", "active": "yes"} for rep in REPS]
        for answer in (old, later):
            leads = [{"id": answer["id"], "email": f"a@{answer['id'].lower()}.com"}]
            (d,) = kept(store, answer["policy"]).evaluator.run({"lead": leads, "rep": reps}, as_of=MONDAY).decisions
            assert d.rule == answer["rule"] == trace(d).steps[0].rules[-1].name


TRACES = ("zaphod", "secret-lead", "secret-rep", "trillian")


def files_of(store: Store) -> list[Path]:
    """The files in which a database keeps tables, indexes and what it notes of their columns; of a folder every file."""
    if store.db.dialect == "sqlite":
        return [path for path in Path(store.url).iterdir() if path.is_file()]
    store.db.run("CHECKPOINT")
    ((data,),) = store.db.rows("SHOW data_directory")
    return [path for path in Path(data, "base").rglob("*") if path.is_file()]


def traces(store: Store) -> dict[str, list[str]]:
    """What is left of the forgotten, by file; ids and texts are not packed where they are looked for."""
    found: dict[str, list[str]] = {}
    for path in files_of(store):
        with contextlib.suppress(FileNotFoundError):  # of a table that was just written anew
            data = path.read_bytes()
            found |= {path.name: texts} if (texts := [x for x in TRACES if x.encode() in data]) else {}
    return found


def test_scenario_24_what_is_forgotten_leaves_no_trace(state: str, tmp_path: Path) -> None:
    """A lead, a rep and an account of which the mirror alone knows: nothing of them is in any table or file, nor in what the service shows and what is
    exported later; the chain verifies.

    The lead came from a form, was worked, returned, claimed, granted and asked about, and nobody has fetched the letters about it; the rep has
    worked, and was away.
    """
    form, crm = Form("website", ("key",)), Receiver("crm", "https://127.0.0.1:9/never", (), tuple(KINDS))
    with running(state, tmp_path, forms={"website": form}, receivers=(crm,)) as (c, server):
        secret = {"id": "secret-lead", "email": "zaphod@beeblebrox.example"}
        body = json.dumps({**secret, "form": "demo"}).encode()
        signed = {"X-Signature": hmac.new(b"key", body, "sha256").hexdigest()}
        assert c.post("/v1/hooks/forms/website", content=body, headers=signed).json()["refused"] == []
        c.put("/v1/reps/secret-rep", json={"name": "Trillian", "role": "SDR", "email": "trillian@beeblebrox.example"})
        c.put("/v1/accounts/secret-lead", json={"name": "zaphod's"})
        c.post("/v1/leads", json=secret, headers={"Idempotency-Key": "k"})
        beside(state).put("plan", "p", {"moves": ["secret-lead"]}, 1e9)
        event: dict[str, Any]
        for event in (
            {"event": "worked", "rep": "ann", "activity": {"subject": "a call with zaphod"}},
            {"event": "returned", "rep": "ann", "reason": "zaphod is in prison"},
            {"event": "claimed", "rep": "cid"},
            {"event": "granted", "rep": "secret-rep", "reason": "zaphod asks for trillian", "by": "zaphod"},
            {"event": "worked", "rep": "secret-rep"},
        ):
            c.post("/v1/events", json={"id": "secret-lead", **event})
        for n in range(8):
            lead(c, f"L{n}")
        c.post("/v1/events", json={"event": "unavailable", "rep": "secret-rep", "reason": "trillian is in space"})
        assert "secret-rep" in {c.get(f"/v1/leads/L{n}").json()["owner"] for n in range(8)}
        with open_store(state) as store:
            if store.db.dialect == "postgres":
                store.db.run("ANALYZE")
            before = traces(store)
            assert set(TRACES) == {text for texts in before.values() for text in texts}
            kept = {name: str(store.db.rows(f"SELECT * FROM {name}")) for name in ("inbox", "outbox", "answer", "mirror")}
            assert all("secret-lead" in rows for rows in kept.values())
            if store.db.dialect == "postgres":
                ((path,),) = store.db.rows("SELECT pg_relation_filepath('pg_statistic')")
                assert Path(path).name in before
            for id in ("secret-lead", "secret-rep"):
                found = forget(store, id, also=["zaphod", "trillian", "Trillian"])
                assert found.subjects == (2 if id == "secret-lead" else 1) and found.unreachable[-len(ALWAYS) :] == ALWAYS
            assert traces(store) == {}
        assert lead(c, "M1").json()["owner"] in REPS
        shown = [
            c.get(f"/v1/{x}").text
            for x in ("changes", "held", "letters", "reps/ann", "leads/L1/history", *(f"leads/L{n}" for n in range(8)))
        ]
        assert not [text for text in TRACES if text in "".join(shown)]
        gone = ("leads/secret-lead", "leads/secret-lead/explain", "leads/secret-lead/history", "accounts/secret-lead", "reps/secret-rep")
        assert {c.get(f"/v1/{x}").status_code for x in gone} == {404}
        assert server.writer.desk is not None and server.writer.desk.records.row("lead", "secret-lead") is None
        server.time.at += timedelta(days=1)  # type: ignore[attr-defined]  # the deadlines of what the rep had are over
        until("timers that are fired", lambda: not server.writer.is_due())
        assert {c.get(f"/v1/leads/L{n}").json()["owner"] for n in range(8)} <= {*REPS, "boss"}
    with open_store(state) as store:
        assert traces(store) == {}
        export(store, tmp_path / "export", "csv", values=True)
        assert not [x for x in TRACES for path in (tmp_path / "export").iterdir() if x in path.read_text("utf-8")]
        assert verify(store).bad is None, verify(store).why
        assert store.rebuild()


@pytest.mark.parametrize("kind", STORES)
def test_scenario_25_a_restored_backup_is_compared_with_the_crm_before_it_decides(kind: str, tmp_path: Path) -> None:
    new = place(kind, tmp_path / "new")
    with service(place(kind, tmp_path), tmp_path) as desk:
        desk.route("L0", email="a@x0.com")
        with open_store(desk.state) as store:
            copy = backup(store, tmp_path / "backups")
        assert desk.route("L1", email="a@x1.com")["owner"] == "ben"  # lost with the disk, after the CRM had it
    with open_store(new) as store:
        restore(copy, store)
    again = Service(new, desk.ready)
    with pytest.raises(PolicyError, match="restored from a backup"):
        again.route("L2", email="a@x2.com")
    assert any("restored" in note for note in sync(again.local, {"rep": []}).notes)
    again.close()
    again = Service(new, desk.ready)
    with pytest.raises(PolicyError, match="restored from a backup"):
        again.route("L2", email="a@x2.com")
    crm = [{"id": "L0", "email": "a@x0.com", "owner_sdr": "cid"}, {"id": "L1", "email": "a@x1.com", "owner_sdr": "ben"}]
    sync(again.local, {"lead": crm})
    assert again.owner("L0") == "cid"  # moved by hand meanwhile
    assert again.route("L1", email="a@x1.com", owner_sdr="ben")["known"] is False
    again.close()


def test_scenario_23_an_older_memory_is_taken_over(tmp_path: Path) -> None:
    """`state.json` of an earlier roe becomes the ledger's first entries, and the service knows its owners."""
    state = tmp_path / "s"
    state.mkdir()
    owners = {"lead|L1|sdr": {"rep": "cid", "since": "2026-02-20"}}
    old = {"version": 2, "as_of": "2026-02-27", "owners": owners, "assigned": {}, "pools": {}, "days": {}}
    (state / "state.json").write_text(json.dumps(old))
    with service(str(state), tmp_path) as desk:
        found = desk.route("L1", email="a@x1.com")
        assert (found["owner"], found["known"]) == ("cid", True)
        assert desk.route("L2", email="a@x2.com")["owner"] == "ann"


def test_scenario_23_a_newer_ledger_is_refused(state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        desk.route("L1", email="a@x1.com")
    with open_store(state) as store:
        store.db.run("INSERT INTO migration (version) VALUES (9999)")
    later = Service(state, desk.ready)
    with pytest.raises(PolicyError) as said:
        later.route("L3", email="a@x3.com")
    assert said.value.diagnostics[0].code == "R643"


@pytest.mark.parametrize("done", range(9))
def test_scenario_23_a_migration_that_stops_halfway_is_made_again(
    done: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that dies while it brings a ledger of an earlier version up to date leaves it as it was; the next one does it whole."""
    database: Any = PostgresDatabase if state.startswith("postgresql:") else SqliteDatabase
    run, left = database.run, [done]

    def dies(self: Any, sql: str, values: Any = ()) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        run(self, sql, values)

    monkeypatch.setattr(database, "run", dies)
    with pytest.raises(KeyboardInterrupt):
        open_store(state)
    monkeypatch.setattr(database, "run", run)
    with service(state, tmp_path) as desk:
        assert [desk.route(f"L{n}", email=f"a@x{n}.com")["owner"] for n in range(3)] == ["ann", "ben", "cid"]
    with open_store(state) as store:
        assert store.rebuild() and verify(store).bad is None


@pytest.mark.parametrize("change", ["UPDATE entry SET at = at + 1 WHERE number = ?", "DELETE FROM entry WHERE number = ?"])
def test_scenario_25_a_changed_or_deleted_entry_of_the_service_is_named(change: str, state: str, tmp_path: Path) -> None:
    with service(state, tmp_path) as desk:
        for n in range(4):
            desk.route(f"L{n}", email=f"a@x{n}.com")
    with open_store(state) as store:
        number = store.db.rows("SELECT min(number) FROM value WHERE number > 4")[0][0]
        store.db.run(change, (number,))
        assert verify(store).bad == number
