"""A server that dies at a step of a request which is named here, again and again: from the moment the request comes in until its webhook was sent.

Each server is told at which step it dies, and of which lead. The next one gets the same request again, under its key.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from effort import HEAVY
from forked import roe
from ledgers import STORES, place
from roe.ledger.audit import verify
from roe.ledger.store import Store, open_store
from services import REPS, Process, Receiving, feed, fill, policy, receiving
from waiting import LONG, until


@dataclass(frozen=True)
class Step:
    """Where a server dies: before or after a function that is called once the request has come."""

    name: str
    function: str
    when: str = "after"


DATABASE = {"sqlite": "roe.ledger.sqlite:SqliteDatabase", "postgres": "roe.ledger.postgres:PostgresDatabase"}
UNCOMMITTED = (
    Step("the request has come", "roe.serve.routes:written", "before"),
    Step("it is to be queued", "roe.serve.queue:Queue.submit", "before"),
    Step("it is queued", "roe.serve.queue:Queue.submit"),
    Step("its group begins", "roe.serve.writer:Writer.group", "before"),
    Step("its record is matched", "roe.serve.desk:Desk.expect"),
    Step("the lock is asked for", "DATABASE.begin", "before"),
    Step("the lock is there", "DATABASE.begin"),
    Step("its record is in the mirror's memory", "roe.serve.intake:put"),
    Step("it is decided", "roe.serve.desk:Desk.route"),
    Step("its entries are written", "roe.ledger.writing:Writing.append"),
    Step("its answer is made", "roe.serve.desk:Desk.answer"),
    Step("the service's tables are to be written", "roe.serve.store:ServiceStore.write", "before"),
    Step("the first rows are written", "DATABASE.many"),
    Step("the service's tables are written", "roe.serve.store:ServiceStore.write"),
    Step("the head is written", "roe.ledger.writing:Writing.close"),
    Step("the commit is to be made", "DATABASE.commit", "before"),
)
HANDED_OVER = "the answer is handed over"
COMMITTED = (
    Step("the commit is made", "DATABASE.commit"),
    Step("the desk knows of it", "roe.serve.desk:Desk.written"),
    Step("the group is done", "roe.serve.writer:Writer.group"),
    Step(HANDED_OVER, "roe.serve.queue:Queue._handle"),
    Step("the answer is to be sent", "starlette.responses:JSONResponse.__call__", "before"),
)
ANSWERED = (
    Step("the answer is sent", "roe.serve.app:request_line", "before"),
    Step("the request is in the log", "roe.serve.app:request_line"),
)
SENDING = (
    Step("its letter is taken", "roe.serve.outbox:Sender._send", "before"),
    Step("its letter is sent", "roe.serve.outbox:Sender._send"),
    Step("its letter is noted as sent", "roe.serve.outbox:Sender._note"),
)
LEASE = 500  # milliseconds for which whoever takes a letter has it, so that the next server need not wait for a minute


STEPS = {step.name: step for step in (*UNCOMMITTED, *COMMITTED, *ANSWERED, *SENDING)}


def dying(policy: str, state: str, port: str, config: str, lead: str, step: str) -> None:
    """A server that is killed at a step of the request which routes a lead."""
    from starlette.responses import JSONResponse

    from roe.serve import app, outbox, routes

    outbox.LEASE = LEASE
    begun: list[str] = []
    is_answered = threading.Event()
    if step in STEPS:
        _die_at(STEPS[step], begun, is_answered, DATABASE["postgres" if state.startswith("postgresql:") else "sqlite"])
    written, request_line, respond = routes.written, vars(app)["request_line"], JSONResponse.__call__

    async def responding(*args: Any) -> None:
        if begun and step == HANDED_OVER:
            await asyncio.Event().wait()  # another thread would send it before this one dies, or not
        await respond(*args)

    def answered(*args: Any) -> None:
        request_line(*args)
        if begun:
            is_answered.set()

    def noticed(request: Any, token: Any, value: Any, *more: Any, **others: Any) -> Any:
        if value.get("id") == lead:
            begun.append(lead)
        return written(request, token, value, *more, **others)

    routes.written, vars(app)["request_line"] = noticed, answered
    setattr(JSONResponse, "__call__", responding)  # noqa: B010 - a class's own method
    roe("serve", policy, "--state", state, "--port", port, "--config", config)


def _die_at(step: Step, begun: list[str], is_answered: threading.Event, database: str) -> None:
    """Die there once the request has begun. A letter may be taken as soon as it is committed: whoever is at one dies when the answer is sent."""
    module, _, path = step.function.replace("DATABASE", database).partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    call = getattr(owner, name)

    def dies(*args: Any, **more: Any) -> Any:
        if begun and step.when == "before":
            die()
        result = call(*args, **more)
        if begun and step.when == "after":
            die()
        return result

    def die() -> None:
        if step in SENDING:
            is_answered.wait()
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dies)


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


def route(client: httpx.Client, lead: str) -> httpx.Response:
    return client.post("/v1/leads", json={"id": lead, "email": f"a@{lead.lower()}.com"}, headers={"Idempotency-Key": f"key-{lead}"})


def left_of(store: Store, lead: str) -> set[str]:
    """Where a lead has left something."""
    asked = {
        "mirror": ("SELECT 1 FROM mirror WHERE entity = 'lead' AND id = ?", lead),
        "answer": ("SELECT 1 FROM answer WHERE key LIKE ?", f"%key-{lead}"),
        "owner": ("SELECT 1 FROM known WHERE kind = 'owner' AND body IS NOT NULL AND key = ?", f"lead|{lead}|sdr"),
        "timer": ("SELECT 1 FROM known WHERE kind = 'timer' AND body IS NOT NULL AND key = ?", f"lead|{lead}|sdr"),
        "letter": ("SELECT 1 FROM outbox WHERE subject = ?", f"lead|{lead}"),
    }
    entries = {x.kind for x in store.of_record("lead", lead)}
    return entries | {name for name, (sql, value) in asked.items() if store.db.rows(sql, (value,))}


ALL = {"mirror", "answer", "owner", "timer", "letter", "owned", "turn"}


def all_sent(client: httpx.Client) -> None:
    """Wait until no letter waits."""
    until("no letter that waits", lambda: not client.get("/v1/letters", params={"state": "waiting"}).json()["letters"])


def test_scenario_1_a_server_that_is_killed_at_a_step_of_a_request_has_done_all_of_it_or_nothing(state: str, tmp_path: Path) -> None:
    rules, config = policy(tmp_path / "policy"), tmp_path / "serve.toml"
    names = [*STEPS] if HEAVY else [*STEPS][state.startswith("postgresql:") :: 2]  # each step on one of the stores every day
    names.append("it does not die")
    answers: dict[str, dict[str, Any]] = {}
    with receiving() as there:
        config.write_text(f'[receivers.crm]\nurl = "{there.url}"\nprivate = true\nsecrets = ["env:OUT"]\nkinds = ["assigned"]\n')
        is_kept = False  # whether the answer to the last lead is
        for number, name in enumerate(names):
            lead, before = f"L{number}", f"L{number - 1}"
            server = Process(rules, state, str(config), lead, name, environment={"OUT": "whsec_c2VjcmV0"}, run=dying)
            try:
                server.start()
                with server.client() as client:
                    if number == 0:
                        fill(client)
                    else:
                        again = route(client, before)
                        assert (again.status_code, "Idempotent-Replayed" in again.headers) == (201, is_kept), names[number - 1]
                        assert answers.setdefault(before, again.json()) == again.json()
                    all_sent(client)
                    try:
                        answers[lead] = route(client, lead).json()
                    except httpx.HTTPError:
                        assert name not in [step.name for step in (*ANSWERED, *SENDING)]
                    else:
                        assert name in [*(step.name for step in (*ANSWERED, *SENDING)), names[-1]], name
                    if name == names[-1]:
                        all_sent(client)
                        entries = feed(client)
                if name in STEPS:
                    assert server.process is not None
                    server.process.join(LONG)
                    assert server.process.exitcode == -9, name
            finally:
                server.stop()
            is_kept = name not in [step.name for step in UNCOMMITTED]
            with open_store(state) as store:
                assert left_of(store, lead) == (ALL if is_kept else set()), name
    leads = [f"L{n}" for n in range(len(names))]
    assert [answers[lead]["owner"] for lead in leads] == [REPS[n % 3] for n in range(len(names))]
    owned = [(e["record"], e["rep"], e["number"]) for e in entries if e["kind"] == "owned"]
    assert owned == [(lead, answers[lead]["owner"], answers[lead]["decision"]) for lead in leads]
    assert [e["turn"] for e in entries if e["kind"] == "turn"] == list(range(1, len(leads) + 1))
    sent = sent_by_lead(there)
    assert list(sent) == leads and {len(ids) for ids in sent.values()} == {1}, "each at least once, and always under one id"
    with open_store(state) as store:
        assert verify(store).bad is None and store.rebuild()


def sent_by_lead(there: Receiving) -> dict[str, set[str]]:
    """The ids of the letters that were received about each lead."""
    sent: dict[str, set[str]] = {}
    for (headers, _), data in zip(there.got, there.data(), strict=True):
        sent.setdefault(data["id"], set()).add(headers["webhook-id"])
    return sent
