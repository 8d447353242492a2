"""No address of the pages or of the API shows a rep more than the rules allow: every one of them is walked as a rep of another team."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("jinja2")

import httpx

from roe.serve import routes as api
from roe.web.app.access import digest
from roe.web.app.routes import PAGES
from services import policy, servers

SECRET = "S3CRET"  # in every value, activity, reason and rule of a record that only its own team may see
POLICY = """
roe: 1
name: rights
roles: [ae, sdr]
fields:
  account: {plan: {type: string}}
  lead: {budget: {type: string}}
pools: {desk: {members: rep.team = "west", sla: {within: 2 hours, times: 1, escalate: wes}}}
engagement:
  account:
    ae:
      - {name: asks, when: 'contains(account.plan, "ask")', then: {refer: wes, within: 2 days}, because: "somebody must look at {account.name}"}
      - {name: kept, when: account.plan != null, then: keep}
      - {name: rest, then: {assign: wes}}
  lead:
    sdr: [{name: all, when: lead.budget != null, then: {route: desk}}, {name: others, then: {assign: eve}}]
"""
USERS = {"eve": ("rep", "eve"), "wes": ("rep", "wes"), "mag": ("manager", "mag"), "rev": ("revops", None)}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("rights")
    lines = [
        f'[[user]]\nname = "{n}"\nrole = "{role}"\ntoken_sha256 = "{digest(n)}"\n' + (f'rep = "{rep}"\n' if rep else "")
        for n, (role, rep) in USERS.items()
    ]
    (folder / "users.toml").write_text("".join(lines), "utf-8")
    root = policy(folder / "policy", POLICY)
    with servers(root, str(folder / "state"), 1, "--users", str(folder / "users.toml")) as (server,), server.client() as client:
        put(client, "reps", "wes", name="Wes", team="west")
        put(client, "reps", "eve", name="Eve", team="east")
        put(client, "reps", "mag", name="Mag", team="east")
        put(client, "accounts", "A1", name="Acme", plan=SECRET, industry=SECRET, website=f"{SECRET}.com", owner="wes")
        put(client, "accounts", "A2", name="Beta", plan=f"{SECRET} ask", owner="wes")
        put(client, "contacts", "C1", name="Pat Person", account="A1", email=f"{SECRET}@x.com", title=SECRET)
        put(client, "opportunities", "O1", name="A deal", account="A1", stage=SECRET)
        put(client, "activities", "T1", account="A1", rep="wes", date="2026-01-05", type="call", subject=SECRET)
        for id in ("A1", "A2"):
            assert as_(client, "rev", "POST", "/v1/accounts", json={"id": id, "owner": "wes"}).status_code in (200, 201)
        put(client, "accounts", "A1", name="Acme", plan=SECRET, industry=SECRET, owner="wes")
        put(client, "accounts", "A2", name="Beta", plan=f"{SECRET} ask", owner="wes")
        lead = {"id": "L1", "name": "Lee", "budget": SECRET, "email": f"{SECRET}@y.com", "company": "Lee Ltd"}
        assert as_(client, "rev", "POST", "/v1/leads", json=lead).status_code == 201
        asked = {"event": "requested", "entity": "account", "id": "A1", "rep": "wes", "reason": SECRET, "until": "2999-01-01", "by": "wes"}
        assert as_(client, "rev", "POST", "/v1/events", json=asked).status_code == 200
        yield client


def as_(client: httpx.Client, name: str, method: str, path: str, **more: Any) -> httpx.Response:
    return client.request(method, path, headers={"authorization": f"Bearer {name}"}, **more)


def put(client: httpx.Client, entity: str, id: str, **values: str) -> None:
    answer = as_(client, "rev", "PUT", f"/v1/{entity}/{id}", json=values)
    assert answer.status_code == 200, answer.text


def signed_in(client: httpx.Client, name: str) -> tuple[httpx.Cookies, str]:
    done = client.post("/app/sign-in", data={"token": name})
    cookies = httpx.Cookies(done.cookies)
    found = re.search(r'name="csrf" value="([^"]+)"', ask(client, "GET", "/app/what-if", cookies).text)
    assert found is not None
    return cookies, found[1]


def ask(client: httpx.Client, method: str, path: str, cookies: httpx.Cookies, **more: Any) -> httpx.Response:
    client.cookies = cookies
    try:
        return client.request(method, path, **more)
    finally:
        client.cookies = httpx.Cookies()


HEAVY = bool(os.environ.get("ROE_HEAVY"))  # every entity with every id, and all questions; every day the ones that belong together
RECORDS = [
    ("account", "A1"),
    ("account", "A2"),
    ("lead", "L1"),
    ("contact", "C1"),
    ("opportunity", "O1"),
    ("activity", "T1"),
    ("rep", "wes"),
]
PARAMETERS = {
    "id": ("wes", "A1"), "name": ("west", "desk", "east"), "number": tuple(str(n) for n in range(1, 21)), "run": ("serve-1", "nothing"), "key": ("x",), "plan": ("x",),
    "entity": ("account", "lead"),
}  # fmt: skip


def filled(path: str) -> Iterator[str]:
    """A route's path with every other value in its parameters."""
    names = re.findall(r"{(\w+)(?::\w+)?}", path)
    choices: Iterable[tuple[str, ...]] = itertools.product(*(PARAMETERS[name] for name in names))
    if names == ["entity", "id"]:
        choices = itertools.product((e for e, _ in RECORDS), (i for _, i in RECORDS)) if HEAVY else RECORDS
    for values in choices:
        found = path
        for name, value in zip(names, values, strict=True):
            found = re.sub("{" + name + r"(:\w+)?}", value, found)
        yield found


QUERIES = (
    "",
    "?rep=eve&role=ae&q=S3C&entity=account&record=A1&since=2000-01-01",
    *(("?rep=eve&role=sdr", "?q=S3C", "?kind=seen") if HEAVY else ()),
)


def walk_pages(client: httpx.Client, name: str) -> dict[str, str]:
    """Every page and part of a page that has the secret in it, by its address; what people send is sent, too."""
    cookies, csrf = signed_in(client, name)
    told: dict[str, str] = {}
    for page in PAGES:
        if page.path == "/sign-out":
            continue
        for path in filled(page.path):
            if page.posts:
                form = {
                    "csrf": csrf,
                    "role": "ae",
                    "rep": "eve",
                    "until": "2999-01-01",
                    "reason": "x",
                    "entity": "account",
                    "record": "A1",
                    "start": "",
                }
                if name == "rev":
                    continue  # RevOps would change what the others are to see
                answers = [ask(client, "POST", f"/app{path}", cookies, data=form)]
            else:
                answers = [ask(client, "GET", f"/app{path}{q}", cookies, headers=h) for q in QUERIES for h in ({}, {"hx-request": "true"})]
            for answer in answers:
                assert answer.status_code < 500, (path, answer.text[:300])
                body = answer.text.replace("“S3C”", "").replace('value="S3C"', "")  # what was typed
                if SECRET in body:
                    at = body.index(SECRET)
                    told[path] = body[max(0, at - 120) : at + 60]
    return told


def walk_api(client: httpx.Client, name: str) -> dict[str, str]:
    told: dict[str, str] = {}
    for route in api.routes():
        if "GET" not in (route.methods or ()) or "hooks" in route.path:
            continue
        for path in filled(route.path):
            for query in ("", "?why_not=eve", "?after=0", "?state=waiting"):
                answer = as_(client, name, "GET", path + query)
                assert answer.status_code < 500, (path, answer.text[:300])
                if SECRET in answer.text:
                    at = answer.text.index(SECRET)
                    told[path + query] = answer.text[max(0, at - 120) : at + 60]
    return told


def test_a_rep_of_another_team_is_shown_no_value_by_any_page(office: httpx.Client) -> None:
    assert not walk_pages(office, "eve")


def test_nor_is_their_manager_or_by_any_address_of_the_api(office: httpx.Client) -> None:
    assert not walk_api(office, "eve")
    assert not walk_api(office, "mag")
    open_part = as_(office, "eve", "GET", "/v1/accounts/A1").json()
    assert open_part["owner"] == "wes" and "sentence" in open_part and "rule" not in open_part


def test_the_walk_finds_what_is_there(office: httpx.Client) -> None:
    """RevOps and the own team are shown it, so that the walk would find it."""
    mine = walk_pages(office, "wes")
    assert {"/record/account/A1", "/record/lead/L1", "/record/contact/C1"} <= set(mine)
    assert {"/v1/account/A1/explain", "/v1/account/A1/history"} <= set(walk_api(office, "wes"))
    every = set(walk_api(office, "rev"))
    assert {"/v1/changes", "/v1/account/A1/explain"} <= every
