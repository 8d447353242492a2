"""The pages of the service: they show what it has committed, and only to those who may see it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

import httpx

from browsing import said
from roe.web.app.access import digest
from services import fill, policy, servers


def page(client: httpx.Client, path: str) -> str:
    found = client.get(path, follow_redirects=True)
    assert found.status_code == 200, (path, found.status_code, found.text[:400])
    return said(found.text)


def test_the_pages_of_a_service_show_what_it_decided(tmp_path: Path) -> None:
    with servers(policy(tmp_path / "policy"), str(tmp_path / "state")) as (server,), server.client() as client:
        fill(client)
        answer = client.post("/v1/leads", json={"id": "L1", "email": "ada@lovelace.org", "company": "Lovelace"})
        assert answer.status_code == 201, answer.text
        owner = answer.json()["decisions"]["sdr"]["owner_name"] if "decisions" in answer.json() else ""
        assert "Who owns it, and why?" in page(client, "/")
        assert "lead Lovelace L1" in page(client, "/app/?q=lovelace") or "L1" in page(client, "/app/?q=lovelace")
        record = page(client, "/app/record/lead/L1")
        assert owner in record and "ada@lovelace.org" in record
        assert "owns it as sdr" in page(client, "/app/history/lead/L1")
        assert "the chain ends with" in page(client, "/app/audit") and "/app/static/app.css" in client.get("/app/").text
        client.patch("/v1/leads/L1", json={"company": "Babbage"})
        assert "Babbage" in page(client, "/app/record/lead/L1")
        assert client.get("/app/", headers={"host": "evil.test"}).status_code == 421


def test_users_sign_in_to_the_pages_of_a_service(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text(f'[[user]]\nname = "Rev"\nrole = "revops"\ntoken_sha256 = "{digest("t")}"\n', "utf-8")
    with servers(policy(tmp_path / "policy"), str(tmp_path / "state"), 1, "--users", str(users)) as (server,), server.client() as client:
        assert client.get("/v1/held").status_code == 401  # whoever is a user needs a token, also on this machine
        client.headers["authorization"] = "Bearer t"
        fill(client)
        del client.headers["authorization"]
        assert client.get("/app/").headers["location"] == "/app/sign-in?next=%2F"
        assert client.post("/app/sign-in", data={"token": "wrong"}).status_code == 401
        assert client.post("/app/sign-in", data={"token": "t"}).headers["location"] == "/app/"
        assert "RevOps Rev" in page(client, "/app/")


def test_pages_are_closed_where_the_api_has_tokens_and_nobody_is_named(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    from click.testing import CliRunner

    from roe.cli import main

    made = CliRunner().invoke(main, ["token", "crm", "--file", str(tokens)])
    assert made.exit_code == 0, made.output
    with servers(policy(tmp_path / "policy"), str(tmp_path / "state"), 1, "--tokens", str(tokens)) as (server,), server.client() as client:
        assert client.get("/app/").status_code == 404


def test_what_people_do_on_the_pages_of_a_service_is_followed_at_once_by_all_workers(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    users.write_text(f'[[user]]\nname = "Rev"\nrole = "revops"\ntoken_sha256 = "{digest("t")}"\n', "utf-8")
    with (
        servers(policy(tmp_path / "policy"), str(tmp_path / "state"), 2, "--users", str(users)) as running,
        running[0].client() as client,
        running[1].client() as other,
    ):
        client.headers["authorization"] = other.headers["authorization"] = "Bearer t"
        fill(client)
        assert client.post("/v1/leads", json={"id": "L1", "email": "a@b.org", "form": "ask"}).status_code == 201
        assert client.post("/app/sign-in", data={"token": "t"}).status_code == 303
        other.cookies = client.cookies  # one session for both processes
        found = re.search(r'name="csrf" value="([^"]+)"', other.get("/app/record/lead/L1").text)
        assert found is not None
        form = {"csrf": found[1], "role": "sdr", "rep": "ben", "until": "2999-01-01", "text": "his"}
        done = other.post("/app/act/answer/lead/L1", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/app/record/lead/L1?done=answered"), done.text[:300]
        assert client.get("/v1/leads/L1").json()["owner"] == "ben"
        assert "Rev decided: his" in page(client, "/app/record/lead/L1")
        kinds = [x["kind"] for x in client.get("/v1/leads/L1/history").json()["entries"]]
        assert kinds[-3:] == ["answered", "excepted", "owned"]
        assert client.post("/v1/events", json={"event": "ended", "entity": "lead", "id": "L1", "by": "Rev"}).status_code == 200
        assert client.get("/v1/leads/L1").json()["action"] == "refer"
        assert client.post("/v1/events", json={"event": "ended", "entity": "lead", "id": "L1"}).status_code == 409
        wanted = {"event": "granted", "entity": "lead", "id": "L1", "rep": "cid", "until": "2999-01-01", "reason": "agreed"}
        assert client.post("/v1/events", json=wanted).status_code == 200
        assert other.get("/v1/leads/L1").json()["owner"] == "cid"
