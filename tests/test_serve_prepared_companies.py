"""What is known of records' companies outlasts a start, and so it does not ask for all of their matches; it decides as one that knows nothing."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from effort import seeds
from ledgers import STORES, place
from roe.evaluator.relate import Candidate, MatchMethod
from roe.grammar.scopes import Scope
from roe.ledger.erase import forget
from roe.ledger.store import open_store
from roe.serve import intake, prepared
from roe.serve.desk import Desk
from roe.serve.local import Local
from roe.serve.policies import Ready
from roe.serve.store import ServiceStore
from roe.serve.times import SetTime
from roe.serve.writer import Reply
from services import MONDAY
from test_serve_prepared import drop, ready, started

ACCOUNTS, LEADS = 40, 60


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "LEAST", 1)
    monkeypatch.setattr(prepared, "FEW_CHANGED", 0.9)


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


class Life:
    """Starts of a service, some of which are killed, with leads of few companies, and changes of accounts and leads between them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.leads = 0

    def name(self) -> str:
        return f"{self.chance.choice(('Norrsken', 'Halden', 'Vetri', 'Ostrava'))} {self.chance.choice(('Tarn', 'Quill'))} Bank"

    def domain(self) -> str:
        return f"d{self.chance.randrange(30)}.com"

    def account(self, number: int) -> dict[str, str]:
        record = {"id": f"A{number:02d}", "name": self.name(), "state": self.chance.choice(("NY", "TX", "")), "domain": self.domain()}
        return record | ({"owner_ae": f"rep{self.chance.randrange(6)}"} if self.chance.random() < 0.1 else {})

    def routed(self, desk: Desk, at: Any) -> Reply:
        self.leads += 1
        id, domain = f"L{self.leads:04d}", self.domain() if self.chance.random() < 0.4 else f"x{self.leads}.org"
        desk.route("lead", {"id": id, "email": f"p@{domain}", "company": self.name()}, "", at)
        return 200, lambda: dict(desk.answer("lead", id))

    def changed(self, desk: Desk, at: Any) -> Reply:
        """One change."""
        what, id, lead = self.chance.random(), f"A{self.chance.randrange(ACCOUNTS):02d}", f"L{self.chance.randrange(self.leads + 1):04d}"
        if what < 0.2:
            intake.put(desk, "account", self.account(self.chance.randrange(ACCOUNTS)), "", at)
        elif what < 0.4:
            intake.patch(desk, "account", id, {"name": self.name()}, "", at)
        elif what < 0.5:
            intake.delete(desk, "account", id, "", at)
        elif what < 0.6:
            intake.put(desk, "rep", {"id": f"rep{self.chance.randrange(8)}", "name": self.name(), "team": "east", "active": "yes"}, "", at)
        elif what < 0.9 and self.leads:
            intake.patch(desk, "lead", lead, {"company": self.name(), "email": f"p@{self.domain()}"}, "", at)
        elif self.leads:
            intake.delete(desk, "lead", lead, "", at)
        return 200, dict

    def lived(self, local: Local) -> list[Any]:
        """What one start answers. Whether leads or changes come first, and how far it works ahead, is chance."""
        answers = []
        for _ in range(self.chance.randrange(1, 6)):
            act, most = (self.changed, 3) if self.chance.random() < 0.4 else (self.routed, 8)
            answers += [body for _, body in local.do(*[act] * self.chance.randrange(1, most))]
            for _ in range(self.chance.choice((0, 0, 2, 30))):
                local.writer.catch_up()
        return answers


def begin(state: str, policy: Ready, life: Life) -> None:
    def act(desk: Desk, at: Any) -> Reply:
        for n in range(6):
            intake.put(desk, "rep", {"id": f"rep{n}", "name": f"Rep {n}", "team": "east" if n % 2 else "west", "active": "yes"}, "", at)
        for n in range(ACCOUNTS):
            intake.put(desk, "account", life.account(n), "", at)
        return 200, dict

    with started(state, policy) as local:
        local.do(act)


def lives(state: str, policy: Ready, seed: int, keeps: bool) -> tuple[list[Any], list[Any], int]:
    """What a service answers over several starts, all entries of its ledger, and how many companies its starts knew before they looked."""
    life, answers, known = Life(seed), list[Any](), 0
    begin(state, policy, life)
    for start in range(12):
        if not keeps:
            drop(state)
        is_stopped = life.chance.random() < 0.5
        with started(state, policy, start) if is_stopped else Local(state, policy, SetTime(MONDAY + timedelta(minutes=start))) as local:
            local.do()
            known += known_early(local)
            answers += life.lived(local)
        if life.chance.random() < 0.6:
            with Local(state, policy, SetTime(MONDAY + timedelta(minutes=start))) as local:
                answers += [body for _, body in local.do(life.changed)]
    with open_store(state) as store:
        return answers, [x.entry for x in store.entries(0, store.head().number)], known


def known_early(local: Local) -> int:
    assert local.writer.desk is not None
    return sum(len(known.trusted) for known in local.writer.desk.records.live.world.early._known.values())


@pytest.mark.parametrize("together", ["", ", together: lead.account.name", ", together: lead.company"])
@pytest.mark.parametrize("seed", seeds(1, 4, 24))
def test_a_start_that_knows_companies_decides_as_one_that_reads_everything(seed: int, together: str, tmp_path: Path) -> None:
    policy = ready(tmp_path / "policy", together)
    answers, entries, known = lives(str(tmp_path / "whole"), policy, seed, False)
    assert not known and len(entries) > 50
    again, entries_again, known = lives(str(tmp_path / "kept"), policy, seed, True)
    assert again == answers
    assert entries_again == entries
    assert known > 0 or together == ", together: lead.company"  # which needs no match


def routed_leads(state: str, policy: Ready) -> int:
    """How many leads somebody has in a ledger whose server was stopped."""
    life = Life(5)
    begin(state, policy, life)
    with started(state, policy) as local:
        return sum(body["owner"] is not None for _, body in local.do(*[life.routed] * LEADS))


def searches(local: Local, monkeypatch: pytest.MonkeyPatch, company: str) -> int:
    """How many searches for accounts a lead takes."""
    made: list[str] = []
    held = MatchMethod.held

    def counted(self: MatchMethod, scope: Scope) -> list[Candidate]:
        made.append(self.name)
        return held(self, scope)

    local.do()
    with monkeypatch.context() as patched:
        patched.setattr(MatchMethod, "held", counted)
        status, _ = local.route("lead", {"id": company, "email": "a@nowhere.org", "company": company})
    assert status == 201
    return len(made)


def test_the_first_lead_asks_for_no_other_match(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = ready(tmp_path / "policy")
    owned = routed_leads(state, policy)
    with Local(state, policy, SetTime(MONDAY)) as local:
        assert searches(local, monkeypatch, "Nobody Knows This One") < 10
    drop(state)
    with Local(state, policy, SetTime(MONDAY)) as local:
        assert searches(local, monkeypatch, "Nobody Knows This One Either") > owned


def test_a_changed_lead_alone_is_asked_again_and_a_changed_account_has_all_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    owned = routed_leads(state, policy)
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do()
        assert known_early(local) == owned > LEADS / 2
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do(lambda desk, at: (200, lambda: {"stale": intake.patch(desk, "lead", "L0003", {"company": "Halden Tarn Bank"}, "", at)}))
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do()
        assert known_early(local) == owned - 1
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do()
        local.do(lambda desk, at: (200, lambda: {"stale": intake.patch(desk, "account", "A03", {"name": "Halden Tarn Bank"}, "", at)}))
        assert known_early(local) == 0
    with Local(state, policy, SetTime(MONDAY)) as local:
        assert searches(local, monkeypatch, "Nobody Knows This One") > owned


def test_it_is_kept_once_nothing_waits_and_as_a_server_stops(tmp_path: Path) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    life = Life(5)
    begin(state, policy, life)
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do(*[life.routed] * LEADS)
        drop(state)
    with Local(state, policy, SetTime(MONDAY)) as local:  # one that is killed
        local.do()
        assert kept_as_of(state) is None
        while local.writer.is_behind:
            local.writer.catch_up()
        assert kept_as_of(state) == seq_of(state)
    before = kept_as_of(state)
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do(life.routed)
        while local.writer.is_behind:
            local.writer.catch_up()
        local.writer.prepare()
    assert before is not None and kept_as_of(state) == before + 1


def kept_as_of(state: str) -> int | None:
    with open_store(state) as store:
        rows = store.db.rows("SELECT seq FROM prepared WHERE piece = -1")
    return int(rows[0][0]) if rows else None


def seq_of(state: str) -> int:
    with open_store(state) as store:
        return int(store.db.rows("SELECT seq FROM service")[0][0])


def test_a_forgotten_lead_is_not_in_it(state: str, tmp_path: Path) -> None:
    policy = ready(tmp_path / "policy")
    routed_leads(state, policy)
    with open_store(state) as store:
        forget(store, "L0003")
        assert not store.db.rows("SELECT 1 FROM prepared")
    with Local(state, policy, SetTime(MONDAY)) as local:
        local.do()
        assert known_early(local) == 0


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "UPDATE prepared SET body = CAST(substr(body, 1, 90) || x'00' || substr(body, 92) AS BLOB) WHERE piece = -1",
            "it is not as it was written",
        ),
        ("UPDATE prepared SET seq = 999 WHERE piece = -1", "it is of commit 999"),
        ("UPDATE prepared SET seq = 0 WHERE piece = -1", "it is of commit 0"),
    ],
)
def test_what_does_not_fit_is_said_and_not_used(damage: str, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    owned = routed_leads(state, policy)
    with open_store(state) as store:
        store.db.run(damage)
    with caplog.at_level(logging.WARNING), started(state, policy) as local:
        local.do()
        assert known_early(local) == 0
    assert [x.getMessage() for x in caplog.records] == [f"what was known of companies cannot be used: {said}"]
    with started(state, policy) as local:
        local.do()
        assert known_early(local) == owned


@pytest.mark.parametrize("saved", [{"lead": 5}, {"lead": {"x": {"L0001": ["a list"]}}}, [], {"lead": {"x": []}}])
def test_something_else_than_companies_is_not_used(saved: Any, tmp_path: Path) -> None:
    state, policy = str(tmp_path / "state"), ready(tmp_path / "policy")
    routed_leads(state, policy)
    with open_store(state) as store:
        tables = ServiceStore(store.db)
        tables.keep_companies(tables.seq(), prepared._packed(saved), prepared._made_by(policy))
        assert prepared.load(tables, policy).companies == {}
