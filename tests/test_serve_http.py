"""The service over HTTP: tokens, keys, problems, limits and what each address answers."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from ledgers import STORES, place
from roe.diagnostics import CODES, PolicyError
from roe.serve.app import build_app
from roe.serve.logs import set_up
from roe.serve.main import settings_of
from roe.serve.queue import Queue
from roe.serve.server import Server
from roe.serve.settings import Settings, read_settings
from roe.serve.times import SetTime
from roe.serve.tokens import SCOPES, made, read_tokens
from services import MONDAY, fill, held, policy, ready, servers
from waiting import until


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


@contextmanager
def client(state: str, tmp_path: Path, **more: Any) -> Iterator[TestClient]:
    server = Server(Settings(policy(tmp_path / "policy"), state, **more), SetTime(MONDAY))
    with TestClient(build_app(server), raise_server_exceptions=False) as made_client:
        ready(server)
        if not server.tokens:
            fill(made_client)
        yield made_client


def lead(c: Any, id: str, key: str = "", **values: Any) -> Any:
    return c.post("/v1/leads", json={"id": id, "email": f"a@{id.lower()}.com", **values}, headers={"Idempotency-Key": key} if key else {})


# --- keys -------------------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_stored_answer(state: str, tmp_path: Path) -> None:
    with client(state, tmp_path) as c:
        first = lead(c, "L1", "k1")
        again = lead(c, "L1", "k1")
        assert first.status_code == again.status_code == 201 and first.json() == again.json()
        assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
        assert lead(c, "L1").status_code == 200  # known, without a key


def test_scenario_6_a_key_with_another_body_and_after_a_restart(state: str, tmp_path: Path) -> None:
    with client(state, tmp_path) as c:
        first = lead(c, "L1", "k1")
        other = lead(c, "L2", "k1")
        assert (other.status_code, other.json()["code"]) == (422, "R905")
    with client(state, tmp_path) as c:
        assert lead(c, "L1", "k1").json() == first.json()
        assert lead(c, "L1", '"k1"').json() == first.json()  # as a structured field has it
        assert lead(c, "L2", "k1").status_code == 422


def test_scenario_5_the_same_key_fifty_times_at_once(state: str, tmp_path: Path) -> None:
    with client(state, tmp_path) as c, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: lead(c, "L1", "k1"), range(50)))
        assert {a.status_code for a in answers} <= {201, 409}
        assert len({a.text for a in answers if a.status_code == 201}) == 1
        assert all(a.headers["Retry-After"] == "1" for a in answers if a.status_code == 409)
        assert len(c.get("/v1/changes", params={"kinds": "turn"}).json()["entries"]) == 1


def test_scenario_5_the_same_key_fifty_times_at_once_at_two_servers(state: str, tmp_path: Path) -> None:
    with client(state, tmp_path) as one, client(state, tmp_path) as two, ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: lead((one, two)[n % 2], "L1", "k1"), range(50)))
        assert {a.status_code for a in answers} <= {201, 409} and len({a.text for a in answers if a.status_code == 201}) == 1
        assert [e["kind"] for e in two.get("/v1/changes", params={"kinds": "turn,owned"}).json()["entries"]] == ["owned", "turn"]


def test_a_refusal_is_kept_under_its_key_too(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        assert lead(c, "L1", "k1", created="soon").status_code == 422
        again = lead(c, "L1", "k1", created="soon")
        assert (again.status_code, again.json()["code"], again.headers["Idempotent-Replayed"]) == (422, "R602", "true")
        assert again.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("key", ["x" * 256, "a\tb"])
def test_a_key_that_cannot_be_one(tmp_path: Path, key: str) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        assert lead(c, "L1", key).status_code == 400


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_each_scope_allows_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    tokens = {scope: made(scope, [scope]) for scope in SCOPES}
    (tmp_path / "tokens.toml").write_text("\n".join(lines for _, lines in tokens.values()))
    asks: list[tuple[str, str, str, Any]] = [
        ("write", "PUT", "/v1/reps/ann", {"name": "Ann", "role": "SDR", "active": "yes"}),
        ("route", "POST", "/v1/leads", {"id": "L1", "email": "a@x.com"}),
        ("route", "POST", "/v1/events", {"event": "worked", "id": "L1", "rep": "ann"}),
        ("read", "GET", "/v1/leads/L1", None),
        ("read", "GET", "/v1/leads/L1/explain", None),
        ("read", "GET", "/v1/leads/L1/history", None),
        ("read", "GET", "/v1/changes", None),
        ("read", "GET", "/v1/reps/ann", None),
        ("read", "GET", "/metrics", None),
        ("admin", "PUT", "/v1/pause", {}),
        ("admin", "DELETE", "/v1/pause", None),
        ("admin", "GET", "/v1/letters", None),
    ]
    with client(str(tmp_path / "s"), tmp_path, tokens=tmp_path / "tokens.toml") as c:
        for needed, method, path, body in asks:
            for scope, (token, _) in sorted(tokens.items(), key=lambda t: t[0] in (needed, "admin")):
                answer = c.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
                assert (answer.status_code < 300) is (scope in (needed, "admin")), (scope, method, path, answer.text)
                if answer.status_code >= 300:
                    assert (answer.status_code, answer.json()["code"]) == (403, "R902")
            for wrong in ({}, {"Authorization": "Bearer roe_guess"}, {"Authorization": f"Basic {token}"}):
                assert c.request(method, path, json=body, headers=wrong).status_code == 401
        assert c.get("/healthz").status_code == c.get("/ready").status_code == 200


def test_a_file_of_tokens_has_digests_only(tmp_path: Path) -> None:
    token, lines = made("web", ["route", "read"])
    (tmp_path / "t.toml").write_text(lines)
    found = read_tokens(tmp_path / "t.toml", {}).find(token)
    assert token not in lines and found is not None and found.scopes == {"route", "read"}
    (tmp_path / "t.toml").write_text(lines, "utf-8-sig")  # as Notepad saves it
    assert read_tokens(tmp_path / "t.toml", {}).find(token) == found
    digest = lines.split('"')[-2]
    assert read_tokens(None, {"ROE_TOKENS": f"web=route+read={digest}"}).find(token) == found
    for wrong in (
        "[a]\n",
        '[a]\nscopes=["rout"]\ndigest="sha256:0"\n',
        "[a]\nscopes=[]\n",
        "[",
        '["a b"]\n',
        '[a]\nscopes=["route"]\ndigest="x"\n',
        "a = " + "[" * 100_000,
        "#" * (1 << 20) + "\n",
    ):
        (tmp_path / "t.toml").write_text(wrong)
        with pytest.raises(PolicyError) as e:
            read_tokens(tmp_path / "t.toml", {})
        assert e.value.diagnostics[0].code == "R908" and e.value.diagnostics[0].help


def test_without_tokens_only_this_machine_is_answered(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        assert c.get("/v1/changes", headers={"Host": "roe.evil.example"}).status_code == 401
    with pytest.raises(PolicyError):
        settings_of({"policy": str(tmp_path / "policy"), "state": "s", "host": "0.0.0.0"})


# --- requests ---------------------------------------------------------------------------------------------------------

UNREADABLE: list[tuple[bytes, dict[str, str], int]] = [
    (b"{", {}, 400),
    (b"[1]", {}, 422),
    (b'"x"', {}, 422),
    (b'{"a": NaN}', {}, 400),
    (b'{"a": {"b": 1}}', {}, 422),
    (b'{"a": [1]}', {}, 422),
    (b'{"id": "\\ud800"}', {}, 400),
    (b'{"id": "a\\u0000b"}', {}, 422),
    (b"{}", {"Content-Type": "text/plain"}, 415),
    (b"[" * 100_000, {}, 400),
    (json.dumps({f"f{i}": 1 for i in range(501)}).encode(), {}, 422),
    (json.dumps({"email": "x" * 40_000}).encode(), {}, 422),
    (b'{"id": "' + b"x" * (1 << 20) + b'"}', {}, 413),
    (b"{}", {}, 422),
    (b'{"id": "L1", "email": 5e400}', {}, 422),
    (b'{"id": "L1", "id": "L2"}', {}, 422),
    (b'{"id": "L1", "Email": "a@x.com", "email": "b@x.com"}', {}, 422),
    (b'{"id": "a|b", "email": "a@x.com"}', {}, 422),
    (b'{"id": true, "email": "a@x.com"}', {}, 422),
    (json.dumps({"id": "x" * 256, "email": "a@x.com"}).encode(), {}, 422),
    (b"{}", {"Content-Encoding": "gzip"}, 415),
]


@pytest.mark.parametrize("number", range(len(UNREADABLE)))
def test_a_body_that_cannot_be_read_is_a_problem_document(tmp_path: Path, number: int) -> None:
    body, headers, status = UNREADABLE[number]
    with client(str(tmp_path / "s"), tmp_path) as c:
        answer = c.post("/v1/leads", content=body, headers={"Content-Type": "application/json", **headers})
        said = answer.json()
        assert answer.status_code == status == said["status"], answer.text
        assert answer.headers["Content-Type"] == "application/problem+json" and said["title"] == CODES[said["code"]][0] and said["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404), ("POST", "/v1/lamps", 404), ("PATCH", "/v1/leads", 405), ("GET", "/v1/leads/NOBODY", 404),
        ("GET", "/v1/leads/NOBODY/explain", 404), ("GET", "/v1/leads/NOBODY/history", 404), ("GET", "/v1/decisions/99", 404),
        ("GET", "/v1/decisions/x", 422), ("GET", "/v1/reps/nobody", 404), ("GET", "/v1/changes?after=x", 422), ("GET", "/v1/changes?after=-1", 422),
        ("DELETE", "/v1/leads/NOBODY", 404), ("PUT", "/v1/leads/a%7Cb", 422), ("PUT", "/v1/leads/L1?version=soon", 422),
        ("POST", "/v1/letters/9/send", 404), ("GET", "/v1/letters?state=x", 422),
    ],
)  # fmt: skip
def test_what_the_service_does_not_know(tmp_path: Path, method: str, path: str, status: int) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        answer = c.request(method, path, json={"id": "L1"} if method in ("PUT", "POST", "PATCH") else None)
        assert answer.status_code == status, answer.text
        assert answer.json()["code"].startswith("R9") and answer.json()["help"]


@pytest.mark.parametrize("id", ["a/b", "https://crm.example/leads/7", "/x", "50% off?", "a b", "ü", "x@y.com", "L1/explained"])
def test_every_id_that_a_record_can_have_can_be_asked_for(tmp_path: Path, id: str) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        assert c.post("/v1/leads", json={"id": id, "email": "a@x.com"}).status_code == 201
        address = f"/v1/leads/{quote(id, safe='')}"
        assert c.get(address).json()["id"] == id
        assert c.get(f"{address}/explain").json()["id"] == id
        assert {x["record"] for x in c.get(f"{address}/history").json()["entries"]} == {id}
        assert c.patch(address, json={"company": "Acme"}).json()["id"] == id
        assert c.delete(address).json()["deleted"]
        assert c.put(f"/v1/reps/{quote(id, safe='')}", json={"name": "Zed"}).status_code == 200
        assert c.get(f"/v1/reps/{quote(id, safe='')}").json()["rep"] == id


def test_an_address_without_an_id_is_refused_and_not_redirected(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        for method, status in (("POST", 405), ("PUT", 422), ("PATCH", 422), ("GET", 422), ("DELETE", 422)):
            answer = c.request(method, "/v1/leads/", json={"email": "a@x.com"}, follow_redirects=False)
            assert answer.status_code == status and answer.json()["help"], answer.text


def test_what_a_library_warns_of_is_a_line_of_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("", "roe", "uvicorn", "uvicorn.error")
    before = [(x := logging.getLogger(name), x.handlers, x.propagate, x.level) for name in names]
    try:
        set_up()
        logging.getLogger("opentelemetry.exporter").warning("the collector\nis gone")
        logging.getLogger("roe.serve").info("ready")
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(x["logger"], x["message"]) for x in said] == [("opentelemetry.exporter", "the collector\nis gone"), ("roe.serve", "ready")]


def test_a_client_that_goes_in_the_middle_of_its_body_is_no_failure(tmp_path: Path) -> None:
    with servers(policy(tmp_path / "policy"), str(tmp_path / "s")) as (s,):
        with socket.create_connection(("127.0.0.1", s.port)) as line:
            line.sendall(b"POST /v1/leads HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}")
        with s.client() as c:
            until(lambda: f"a line about the client in {s.log.read_text()}", lambda: "POST /v1/leads 400" in s.log.read_text())
            assert c.get("/ready").status_code == 200
        assert "Traceback" not in s.log.read_text()


def test_what_is_asked_about_a_record(state: str, tmp_path: Path) -> None:
    with client(state, tmp_path) as c:
        answer = lead(c, "L1").json()
        assert c.get("/v1/leads/L1").json()["decision"] == answer["decision"]
        explained = c.get("/v1/leads/L1/explain", params={"why_not": "Ben"}).json()
        assert explained["traces"]["sdr"]["outcome"]["owner"] == "ann" and "sdr" in explained["why_not"]
        kinds = [e["kind"] for e in c.get("/v1/leads/L1/history").json()["entries"]]
        assert sorted(kinds) == ["owned", "turn"]
        first = c.get("/v1/leads/L1/history", params={"limit": 1}).json()
        second = c.get("/v1/leads/L1/history", params={"limit": 1, "after": first["next"]}).json()
        assert [e["kind"] for x in (first, second) for e in x["entries"]] == kinds
        assert c.get("/v1/leads/L1/history", params={"after": second["next"]}).json()["entries"] == []
        assert c.get("/v1/leads/L1/history", params={"limit": 0}).json()["entries"] == []
        decision = c.get(f"/v1/decisions/{answer['decision']}").json()
        assert (decision["rep"], decision["rule"], decision["policy"]) == ("ann", "rest", answer["policy"])
        rep = c.get("/v1/reps/Ann").json()
        assert [o["id"] for o in rep["book"]] == ["L1"] and rep["due"][0]["what"] == "sla" and rep["takes_records"] is True
        assert rep["pools"]["inbound"] == {"turns": 1, "credit": -0.6667, "skipped": None, "next": "ben"}
        text = c.get("/metrics").text
        assert 'roe_decisions_total{action="route",entity="lead",role="sdr"} 1.0' in text and "roe_request_seconds_bucket" in text


def test_what_people_said_on_the_pages_can_be_read(state: str, tmp_path: Path) -> None:
    from roe.ledger.moment import At
    from roe.run.acts import JudgeChange, Weigh, perform

    at = At.of(MONDAY, "Europe/Berlin")
    with client(state, tmp_path) as c:
        assert c.get("/v1/reviews").json() == {"reviews": []} and c.get("/v1/plans").json() == {"plans": []}
        change = {"key": "k1", "before": "a" * 64, "after": "b" * 64, "old": "main", "new": "west"}
        review = [
            JudgeChange(by="Ann", verdict="commented", comment="what about Ohio?", **change),
            JudgeChange(by="Rev", verdict="approved", **change),
        ]
        moves = [Weigh(by="Rev", plan="p1", moves=[("west", "A1"), ("west", "A2")], accepted=True)]
        moves.append(Weigh(by="Ann", plan="p1", moves=[("west", "A2")], accepted=False, reason="a renewal is open"))
        perform(state, [*review, *moves], at)
        assert [(r["record"], r["verdict"], r["by"]) for r in c.get("/v1/reviews").json()["reviews"]] == [("k1", "approved", "Rev")]
        said = c.get("/v1/reviews/k1").json()["entries"]
        assert [(e["by"], e["verdict"], e.get("comment")) for e in said] == [
            ("Ann", "commented", "what about Ohio?"),
            ("Rev", "approved", None),
        ]
        assert c.get("/v1/plans").json() == {"plans": [{"plan": "p1", "accepted": 1, "held_back": 1}]}
        found = [(m["book"], m["record"], m["accepted"], m["by"], m.get("reason")) for m in c.get("/v1/plans/p1").json()["moves"]]
        assert found == [("west", "A1", True, "Rev", None), ("west", "A2", False, "Ann", "a renewal is open")]
        assert c.get("/v1/reviews/other").status_code == c.get("/v1/plans/other").status_code == 404


# --- trouble ----------------------------------------------------------------------------------------------------------


def test_a_full_queue_is_503_with_a_time_to_repeat(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path, queue=1) as c:
        server: Server = c.app.state.server  # type: ignore[attr-defined]
        with ThreadPoolExecutor(8) as pool, held(server):
            answers = [pool.submit(lead, c, f"L{n}", f"k{n}") for n in range(8)]
            until("an answer to all but the one that waits", lambda: sum(a.done() for a in answers) == 7)
            assert {a.result().status_code for a in answers if a.done()} == {503}
        assert sorted(a.result().status_code for a in answers) == [201] + [503] * 7
        refused = lead(c, "L9", "k3")
        assert refused.status_code in (201, 422)  # a refusal for want of room is not kept under its key


def test_a_request_that_is_not_come_to_in_time_is_503_and_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Queue, "is_stuck", False)  # or it would be refused before it waits
    with client(str(tmp_path / "s"), tmp_path) as c:
        with monkeypatch.context() as patch, held(c.app.state.server):  # type: ignore[attr-defined]
            patch.setattr("roe.serve.queue.PATIENCE", 0.05)
            answer = lead(c, "L1", "k1")
            assert answer.status_code == 503 and "not come to it within 0.05 seconds" in answer.json()["detail"]
            assert answer.headers["Retry-After"] == "2"
        again = lead(c, "L1", "k1")
        assert again.status_code == 201 and "Idempotent-Replayed" not in again.headers


def test_scenario_3_a_full_disk_is_503_and_recovers_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = str(tmp_path / "s")
    monkeypatch.setattr("roe.serve.queue.RETRY", 3600)  # until the test has looked: a new connection has room again
    with client(state, tmp_path) as c:
        server: Server = c.app.state.server  # type: ignore[attr-defined]
        first = lead(c, "L1").json()
        db = server.writer._store.db  # type: ignore[union-attr]
        pages = db.rows("PRAGMA page_count")[0][0]
        db.rows(f"PRAGMA max_page_count = {pages}")  # SQLite says `database or disk is full`
        big = {"campaign": "x" * 30_000}
        answers = [lead(c, f"M{n}", f"m{n}", **big) for n in range(12)]
        assert answers[-1].status_code == 503 and answers[-1].headers["Retry-After"]
        assert c.get("/ready").status_code == 503 and c.get("/healthz").status_code == 200
        acknowledged = {a.json()["id"]: a.json()["owner"] for a in answers if a.status_code == 201}
        monkeypatch.setattr("roe.serve.queue.RETRY", 0.01)
        until("room again", lambda: lead(c, "L2", "l2").status_code == 201)
        assert c.get("/ready").status_code == 200
        assert {id: c.get(f"/v1/leads/{id}").json()["owner"] for id in acknowledged} == acknowledged
        assert c.get("/v1/leads/L1").json()["owner"] == first["owner"]
        turns = c.get("/v1/changes", params={"kinds": "turn"}).json()["entries"]
        assert len(turns) == len(acknowledged) + 2 and len({t["record"] for t in turns}) == len(turns)


def test_settings_are_read_and_secrets_stay_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    file.write_text('[server]\nqueue = 5\n[hubspot]\nsecret = "env:H"\n[forms.web]\nsecrets = ["env:F"]\n[receivers.crm]\nurl = "https://x.example"\nsecrets = ["env:R"]\nkinds = ["assigned"]\n')  # fmt: skip
    found = read_settings(file, {"H": "hs", "F": "fs", "R": "c2VjcmV0"})
    assert (found["queue"], found["hubspot"], found["forms"]["web"].secrets, found["receivers"][0].kinds) == (
        5,
        "hs",
        ("fs",),
        ("assigned",),
    )
    wrong = {
        '[server]\nqueue = "x"\n': "whole number",
        "[servr]\n": "section",
        "[server]\nprot = 1\n": "setting",
        '[hubspot]\nsecret = "plain"\n': "in the file itself",
        '[hubspot]\nsecret = "env:NONE"\n': "no NONE",
        "[forms.web]\n": "no secret",
        '[receivers.crm]\nurl = "https://x"\n': "no secret",
        '[receivers.crm]\nform = "fax"\n': "form of letters",
        '[receivers.crm]\nkinds = ["x"]\n': "kind",
        "[receivers.crm]\nkinds = 5\n": "must be a list",
        '[receivers.crm]\nkinds = "assigned"\n': "must be a list",
        '[receivers.crm]\nsecrets = ["env:H"]\n': "base64",
        "x": "cannot be read",
    }
    for text, said in wrong.items():
        file.write_text(text)
        with pytest.raises(PolicyError) as e:
            read_settings(file, {"H": "not base64!"})
        assert said in e.value.diagnostics[0].message and e.value.diagnostics[0].code == "R908", text


def test_what_a_record_says_in_vain_is_named_in_the_answer(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        found = c.post("/v1/leads", json={"id": "L1", "email": "a@x.com", "emial": "b@x.com", "country": "Atlantis"}).json()
        assert (found["not_understood"], found["unread"]) == (["emial"], {"country": "Atlantis"})
        assert "not_understood" not in c.post("/v1/leads", json={"id": "L2", "email": "a@y.com"}).json()
        assert c.patch("/v1/leads/L2", json={"foo": 1}).json()["not_understood"] == ["foo"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "`event` is missing"),
        ({"event": "worked", "rep": "ann"}, "`id` is missing"),
        ({"event": "worked", "id": "L1", "rep": {"id": "ann"}}, "`rep` is not a text"),
        ({"event": "worked", "id": "L1", "rep": "ann", "activity": "call"}, "`activity` is not an object"),
        ({"event": "worked", "id": "L1", "rep": "ann", "at": "2199-01-01T00:00:00Z"}, "in the future"),
        ({"event": "unavailable", "rep": "ann", "until": "2001-01-01"}, "has passed already"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused_in_plain_words(tmp_path: Path, event: dict[str, Any], words: str) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        c.post("/v1/leads", json={"id": "L1", "email": "a@x.com"})
        answer = c.post("/v1/events", json=event)
        assert answer.status_code == 422 and words in answer.json()["detail"] and answer.json()["help"]


def test_the_feed_refuses_what_it_can_never_give(tmp_path: Path) -> None:
    with client(str(tmp_path / "s"), tmp_path) as c:
        last = c.get("/v1/changes").json()["next"]
        assert c.get(f"/v1/changes?after={last}").json()["entries"] == []
        assert str(last) in c.get(f"/v1/changes?after={last + 1}").json()["detail"]
        assert "owned" in c.get("/v1/changes?kinds=owner").json()["help"]
        assert "it takes POST" in c.patch("/v1/events", json={}).json()["help"]
        assert "no rules for the owners of account" in c.get("/v1/accounts/A1").json()["detail"]


def test_a_request_and_its_commit_are_spans_that_say_nothing_of_persons(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from roe.serve.tracing import Tracing

    provider, spans = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    server = Server(Settings(policy(tmp_path / "policy"), str(tmp_path / "s")), SetTime(MONDAY), tracing=Tracing(provider))
    with TestClient(build_app(server)) as c:
        ready(server)
        fill(c)
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        found = c.post("/v1/leads?secret=x", json={"id": "L1", "email": "ada@x.com"}, headers={"traceparent": parent}).json()
        (routed,) = [s for s in spans.get_finished_spans() if s.name == "POST /v1/{entity}"]
    assert routed.attributes is not None and routed.attributes["roe.decision"] == found["decision"]
    assert routed.attributes["http.response.status_code"] == 201
    assert f"{routed.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert "commit" in {s.name for s in spans.get_finished_spans()}
    assert "ada" not in str([s.attributes for s in spans.get_finished_spans()]) and "secret" not in routed.name
