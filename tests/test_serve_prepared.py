"""A start from what the last one prepared decides as one that reads the whole mirror; and what does not fit is said, and made anew."""

from __future__ import annotations

import hashlib
import logging
import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from effort import seeds
from ledgers import STORES, place
from roe.ledger.erase import forget
from roe.ledger.store import Store, open_store
from roe.serve import intake, prepared
from roe.serve.desk import Desk
from roe.serve.local import Local
from roe.serve.policies import Ready, load
from roe.serve.queue import Queue
from roe.serve.store import ServiceStore, Writes
from roe.serve.times import SetTime
from roe.serve.versions import Mirrored
from roe.serve.writer import Job, Reply
from services import MONDAY, policy
from waiting import LONG, until

POLICY = """
roe: 1
name: prepared
roles: [ae, sdr]
matching: default
fields:
  account: {parent: account, tier: string}
pools:
  east: {members: rep.team = "east"TOGETHER}
  rest: {members: rep.team != "none"TOGETHER}
engagement:
  account:
    ae:
      - {name: held, when: account.owner.ae != null, then: {assign: account.owner.ae}}
      - {name: child, when: account.parent.owner.ae != null, then: {assign: account.parent.owner.ae}}
  lead:
    sdr:
      - {name: tiered, when: account.parent.tier = "top", then: {assign: account.owner.ae}}
      - {name: customer, when: account.owner.ae != null, then: {assign: account.owner.ae}, because: "{account.name} is a customer"}
      - {name: east, when: account.state = "NY", then: {route: east}}
      - {name: known, when: account.id != null, then: {route: rest}, because: "{account.name} is known"}
      - {name: all, then: {route: rest}}
"""
WORDS = ("Blue", "Ridge", "Norrsken", "Halden", "Kaltmeer", "Vetri", "Ostrava", "Solberg", "Quill", "Tarn", "Umber", "Wexley")
KINDS = ("Health", "Systems", "Energy", "Foods", "Bank", "Logistics", "Labs", "Media")
ACCOUNTS = 300


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "LEAST", 50)
    monkeypatch.setattr(prepared, "FEW_CHANGED", 0.9)


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


def ready(folder: Path, together: str = "") -> Ready:
    return load(policy(folder, POLICY.replace("TOGETHER", together)))


class Made:
    """Made-up changes and leads: the same from the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.leads = 0

    def name(self) -> str:
        return f"{self.chance.choice(WORDS)} {self.chance.choice(WORDS)} {self.chance.choice(KINDS)}"

    def account(self, number: int) -> dict[str, str]:
        chance = self.chance
        record = {"id": f"A{number:04d}", "name": self.name(), "domain": f"d{chance.randrange(400)}.com"}
        record |= {"state": chance.choice(("NY", "TX", "")), "tier": chance.choice(("top", ""))}
        if chance.random() < 0.4:
            record["owner_ae"] = f"rep{chance.randrange(6)}"
        if chance.random() < 0.3:  # by id, and by a name that another may come to have
            record["parent"] = self.id() if chance.random() < 0.5 else self.name()
        return record

    def id(self) -> str:
        return f"A{self.chance.randrange(ACCOUNTS + 20):04d}"

    def lead(self) -> dict[str, str]:
        chance = self.chance
        self.leads += 1
        return {"id": f"L{self.leads:04d}", "email": f"p{self.leads}@d{chance.randrange(500)}.com", "company": self.name()}

    def act(self, desk: Desk, at: Any) -> Reply:
        """One change."""
        what, number = self.chance.random(), self.chance.randrange(ACCOUNTS + 20)
        id = f"A{number:04d}"
        if what < 0.3:
            intake.put(desk, "account", self.account(number), "", at)
        elif what < 0.5:
            intake.patch(desk, "account", id, {"name": self.name()}, "", at)
        elif what < 0.6:
            intake.delete(desk, "account", id, "", at)
        elif what < 0.7:
            intake.put(desk, "rep", {"id": f"rep{self.chance.randrange(8)}", "name": self.name(), "team": "east", "active": "yes"}, "", at)
        elif what < 0.8:
            desk.route("account", self.account(number), "", at)
            return 200, lambda: dict(desk.answer("account", id))
        elif what < 0.85 and self.leads:
            intake.patch(desk, "lead", f"L{self.chance.randrange(self.leads) + 1:04d}", {"company": self.name()}, "", at)
        else:
            lead = self.lead()
            desk.route("lead", lead, "", at)
            return 200, lambda: dict(desk.answer("lead", lead["id"]))
        return 200, dict


def fill(state: str, policy: Ready) -> None:
    made = Made(1)

    def act(desk: Desk, at: Any) -> Reply:
        for n in range(6):
            rep = {"id": f"rep{n}", "name": f"Rep {n}", "team": "east" if n % 2 else "west", "active": "yes"}
            intake.put(desk, "rep", rep, "", at)
        for n in range(ACCOUNTS):
            intake.put(desk, "account", made.account(n), "", at)
        return 200, dict

    with started(state, policy) as local:
        local.do(act)


@contextmanager
def started(state: str, policy: Ready, minutes: int = 0) -> Iterator[Local]:
    """A process of the service that ends as a server does."""
    with Local(state, policy, SetTime(MONDAY + timedelta(minutes=minutes))) as local:
        yield local
        while local.writer.is_behind:
            local.writer.catch_up()
        local.writer.prepare()


def is_unread(local: Local, entity: str = "account") -> bool:
    local.do()
    assert local.writer.desk is not None
    return entity in local.writer.desk.records.live.world._unread


def drop(state: str) -> None:
    with open_store(state) as store:
        store.db.run("DELETE FROM prepared")


def lived(state: str, policy: Ready, seed: int, starts: int, is_prepared: bool, reads_on: bool) -> list[Any]:
    """What a service answers that starts so often, with changes in between, and what it then knows of every record."""
    fill(state, policy)
    made, answers, unread = Made(seed), list[Any](), 0
    for start in range(starts):
        if not is_prepared:
            drop(state)
        with started(state, policy, start) as local:
            unread += is_unread(local)
            for _ in range(30):
                answers += [body for _, body in local.do(*[made.act] * 3)]
                answers += [body for _, body in local.do(*(partial(decided, made.id()) for _ in range(10)))]
                if reads_on:
                    local.writer.catch_up()
            answers += [body for _, body in local.do(*(partial(decided, f"A{n:04d}") for n in range(ACCOUNTS + 20)))]
    assert unread == (starts if is_prepared else 0)
    return answers


def decided(id: str, desk: Desk, at: Any) -> Reply:
    row = desk.records.row("account", id)
    if row is None:
        return 200, dict
    live = desk.records.at(at)
    d = live.ask(row, "ae")
    shown = {
        "owner": d.owner,
        "since": str(row["owner_since"]),
        "former": str(row["former_owner"]),
        "rule": d.rule,
        "reason": d.reason,
        "parent": row["parent"] and row["parent"]["id"],
        "tier": row["tier"],
    }
    return 200, lambda: shown


@pytest.mark.parametrize("together", ["", ", together: never"])
@pytest.mark.parametrize("reads_on", [False, True])
@pytest.mark.parametrize("seed", seeds(1, 2, 10))
def test_a_prepared_start_decides_as_one_that_reads_everything(seed: int, reads_on: bool, together: str, tmp_path: Path) -> None:
    policy = ready(tmp_path / "policy", together)
    whole = lived(str(tmp_path / "whole"), policy, seed, 4, False, reads_on)
    assert lived(str(tmp_path / "prepared"), policy, seed, 4, True, reads_on) == whole
    assert sum(bool(answer) for answer in whole) > 60


def test_both_databases_keep_it(state: str, tmp_path: Path) -> None:
    policy = ready(tmp_path / "policy")
    fill(state, policy)
    with started(state, policy) as local:
        assert is_unread(local)
        lead = {"id": "L1", "email": "a@nowhere.org", "company": "Nobody Knows This One"}
        assert local.route("lead", lead)[1]["rule"] == "all"
        assert is_unread(local)  # a lead asks for a few accounts


def test_a_server_prepares_the_next_start_as_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "FEW_CHANGED", 0.1)
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    fill(state, policy)
    with open_store(state) as store:
        before = store.db.rows("SELECT seq FROM prepared")[0][0]
    local = Local(state, policy, SetTime(MONDAY))
    queue = Queue(local.writer, 100)
    queue.start()

    def act(desk: Desk, at: Any) -> Reply:
        for n in range(100):
            intake.patch(desk, "account", f"A{n:04d}", {"tier": "other"}, "", at)
        return 200, dict

    queue.submit(Job(act)).result(LONG)
    until("nothing left to be worked out", lambda: not local.writer.is_behind)
    queue.stop()
    with open_store(state) as store:
        assert store.db.rows("SELECT seq FROM prepared")[0][0] > before


def test_what_is_forgotten_is_not_in_it(state: str, tmp_path: Path) -> None:
    policy = ready(tmp_path / "policy")
    fill(state, policy)
    with started(state, policy) as local:
        local.do(
            lambda desk, at: (200, lambda: {"id": intake.put(desk, "account", {"id": "A9999", "name": "Secret Garden GmbH"}, "", at)[0]})
        )
        drop(state)
    with open_store(state) as store:
        assert "A9999" in ids_in(store, policy)
        forget(store, "A9999")
        assert store.db.rows("SELECT count(*) FROM prepared")[0][0] == 0
    with started(state, policy) as local:
        assert not is_unread(local)
    with open_store(state) as store:
        assert "A9999" not in ids_in(store, policy) and "A0001" in ids_in(store, policy)


def ids_in(store: Store, policy: Ready) -> list[str]:
    found = prepared._read(ServiceStore(store.db), policy)
    assert found is not None
    return found[1]["account"].ids


def test_another_policy_or_another_roe_reads_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    fill(state, policy)
    other = ready(tmp_path / "other", ", together: never")
    with Local(state, other, SetTime(MONDAY), activate=True) as local:
        assert not is_unread(local)
    with started(state, other) as local:
        assert is_unread(local)
    monkeypatch.setattr(prepared, "own_digest", lambda: "another version")
    with started(state, other) as local:
        assert not is_unread(local)
    with started(state, other) as local:
        assert is_unread(local)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE prepared SET body = CAST(substr(body, 1, 900) || x'00' || substr(body, 902) AS BLOB)", "it is not as it was written"),
        ("UPDATE prepared SET seq = 999", "it is of commit 999, which the ledger does not have"),
        ("DELETE FROM mirror WHERE id IN ('A0001', 'A0002')", "the mirror does not have 2 of its records"),
    ],
)
def test_what_does_not_fit_is_said_and_made_anew(damage: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    fill(state, policy)
    with open_store(state) as store:
        store.db.run(damage)
    with caplog.at_level(logging.WARNING), started(state, policy) as local:
        assert not is_unread(local)
    assert [x.getMessage() for x in caplog.records] == [f"what the last start prepared cannot be used: {said}"]
    caplog.clear()
    with caplog.at_level(logging.WARNING), started(state, policy) as local:
        assert is_unread(local)
    assert not caplog.records


def test_it_is_data_and_not_code(tmp_path: Path) -> None:
    """Whoever can write to the database can make a start slow or fail, and cannot have it run anything."""
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    fill(state, policy)
    with open_store(state) as store:
        tables = ServiceStore(store.db)
        seq = tables.seq()
        for text in (
            b"cos\nsystem\n",
            b'{"account": 5}',
            b'{"account": {"reading": {}, "ids": [], "called": 7, "keys": {}, "names": {}}}',
            b"[]",
        ):
            packed = zlib.compress(text)
            tables.keep_prepared(seq, prepared._made_by(policy), [hashlib.sha256(packed).digest() + packed])
            assert prepared._read(tables, policy) is None
            assert prepared.load(tables, policy).found == {}


def test_a_record_that_the_policy_cannot_read_is_read_at_every_start(tmp_path: Path) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    fill(state, policy)
    bad = Mirrored("account", "A0003", {"id": "A0003", "name": "Halden", "created": "no day at all"})
    with open_store(state) as store, store.writing():
        tables = ServiceStore(store.db)
        tables.write(Writes(records={(bad.entity, bad.id): bad}), tables.seq() + 1, 0)
    for _ in range(2):
        with started(state, policy) as local:
            assert is_unread(local) and local.writer.desk is not None
            assert ("account", "A0003") in local.writer.desk.records.unreadable
            assert local.writer.desk.records.row("account", "A0003") is None
