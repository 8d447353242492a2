"""The pages of `roe ui`: what they say is what the evaluator decides, and nobody sees more than they may."""

from __future__ import annotations

import csv
import io
import re
import shutil
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("starlette")

import roe
from browsing import Browser, example_snapshot, said, snapshot_of, users
from effort import tries
from helpers import AS_OF, EXAMPLES, example, policy_text, tables
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator, Run
from roe.stages.build import build
from roe.web.app.access import Sessions, Viewer, digest, users_of
from roe.web.app.pages.people import members
from roe.web.app.search import Hit, SearchIndex, plain
from roe.web.app.site import HEADERS, Options
from roe.web.app.snapshot import RowSnapshot, territories
from test_security import NAMES

example_of = cache(example_snapshot)


# --- search -------------------------------------------------------------------------------------------------------------------


def index() -> SearchIndex:
    return SearchIndex(
        [
            Hit("account", "A1", "Hooli Inc.", ("A1", "hooli.com")),
            Hit("account", "A2", "New Hooligan Foods", ("A2", "nhf.org")),
            Hit("account", "A3", "Société Générale", ("A3", "sg.fr", "Old Name SA")),
            Hit("rep", "ana", "Ana Abel", ("ana", "ana@x.com")),
            Hit("account", "A44", "Hoo", ("A44",)),
        ]
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hooli", ["A1", "A2"]),  # the start of a name before the start of a word
        ("HOOLI.COM", ["A1"]),
        ("hoo", ["A44", "A1", "A2"]),  # the whole name first
        ("societe gen", ["A3"]),
        ("old name", ["A3"]),
        ("foods new", ["A2"]),  # words in any order
        ("ana@", ["ana"]),
        ("oogan", []),
        ("oligan", ["A2"]),  # inside a word
        ("a1", ["A1"]),
        ("   ", []),
        ("x" * 5000, []),
    ],
)
def test_search_finds_by_any_name(text: str, found: list[str]) -> None:
    assert [hit.id for hit in index().search(text)] == found


def test_search_proposes_what_is_most_like_a_misspelt_name() -> None:
    assert [hit.id for hit in index().near("Holi Inc")] == ["A1"]
    assert index().near("x") == []


def test_search_agrees_with_a_plain_search_of_every_record() -> None:
    snapshot = example_of("abm")
    for text in ("labs", "an", "tor", "media a", "a001", "dankelquin.com", "@uldan"):
        words = plain(text).split()
        whole = {h.id for h in snapshot.index.hits if any(all(w in plain(k) for w in words) for k in (h.label, *h.keys))}
        spread = {h.id for h in snapshot.index.hits if all(any(w in plain(k) for k in (h.label, *h.keys)) for w in words)}
        found = {h.id for h in snapshot.index.search(text, 10_000)}
        assert whole <= found <= spread, text


def test_the_search_page_gives_the_part_that_the_script_asks_for() -> None:
    browser = Browser(example_of("abm"))
    part = browser.get("/?q=torros", **{"hx-request": "true", "hx-target": "results"}).text
    assert "Torrosnor Labs" in part and "<html" not in part
    assert "Torrosnor Labs" in browser.text("/?q=torros") and "sdr Sam Shaw" in browser.text("/?q=torros")
    assert "Did you mean account Torrosnor Labs" in browser.text("/?q=torosnor+labs")


# --- a record -----------------------------------------------------------------------------------------------------------------


def bare(text: str) -> str:
    """Letters and digits alone, for comparing sentences in which names are shown as code."""
    return re.sub(r"[^\w]+", "", text)


@pytest.mark.parametrize("name", ["abm", "static", "windows", "distribution", "inbound", "wild-west", "crm", "disputes"])
def test_every_record_has_a_page_that_says_what_the_run_decides(name: str) -> None:
    snapshot = example_of(name)
    browser = Browser(snapshot)
    records = sorted({(o.entity, o.id) for o in snapshot.outcomes.all})
    for entity, record in records[:: max(1, len(records) // 12)]:
        text = browser.text(f"/record/{entity}/{quote(record, safe='')}")
        for d in snapshot.decisions(entity, record):
            assert (d.owner_name or "nobody") in text
            assert bare(d.reason)[1:] in bare(text), (record, d.role)
            written = [str(s.place) for s in d.trace.steps if s.place is not None and s.place.file.endswith((".yaml", ".csv"))]
            assert all(place in text for place in written)


def test_why_not_is_the_answer_of_the_explanation() -> None:
    snapshot = example_of("static")
    browser = Browser(snapshot)
    path = "/record/account/A04?role=ae&rep=Cal+Cruz"
    text = browser.text(path)
    assert "This would give it to Cal Cruz: Wait until 29 April 2026, if nothing else happens by rule territory" in text
    part = browser.get("/why-not/account/A04?role=ae&rep=cal", **{"hx-request": "true"}).text
    assert "29 April 2026" in part and "<html" not in part
    assert "There is no rep “Nobody Known”" in browser.text("/record/account/A04?role=ae&rep=Nobody+Known")
    assert "Dee Dunn does own it as ae." in browser.text("/record/account/A04?role=ae&rep=dee")


def test_what_comes_after_the_end_is_replayed() -> None:
    text = said(Browser(example_of("static")).get("/next/account/A04?role=ae", **{"hx-request": "true"}).text)
    bound = example_of("static").bound.evaluator.bind(  # the same records on the day after
        tables(example_of("static").bound.evaluator, EXAMPLES / "static" / "data"), as_of="2026-04-15"
    )
    row = bound.world.find("account", "A04")
    assert row is not None
    after = bound.decide(row, "ae")
    assert text.startswith("After 15 Apr 2026, if nothing else happens: " + (after.owner_name or "nobody"))


def test_the_timeline_has_every_state() -> None:
    from roe.analysis.timeline import timeline

    snapshot = example_of("windows")
    row = snapshot.row("account", "W1")
    assert row is not None
    text = said(Browser(snapshot).get("/timeline/account/W1", **{"hx-request": "true"}).text)
    states = timeline(snapshot.bound, row)
    assert states and all(f"{x.state.replace('_', ' ')} {x.window}" in text and x.cause in text for x in states)


def test_a_page_that_is_not_there_says_so() -> None:
    browser = Browser(example_of("abm"))
    for path in ("/record/account/nope", "/record/nothing/A001", "/record/rep/ana", "/no/such/page", "/what-if?record=nope"):
        assert browser.get(path).status_code == 404, path


# --- what if ------------------------------------------------------------------------------------------------------------------


def what_if(browser: Browser, entity: str, record: str = "", **fields: str) -> str:
    form = {"csrf": browser.csrf(f"/what-if?entity={entity}&record={record}"), "entity": entity, "record": record}
    found = browser.post("/what-if/answer", {**form, **{f"field.{k}": x for k, x in fields.items()}})
    assert found.status_code == 200
    return said(found.text)


def test_what_if_decides_a_changed_record_and_stores_nothing() -> None:
    snapshot = example_of("abm")
    browser = Browser(snapshot)
    before = browser.page("/record/account/A003")
    now = {
        "name": "Torrosnor Labs",
        "domain": "torrosnor.com",
        "employees": "150",
        "owner.ae": "",
        "owner.sdr": "sam",
        "open_pipeline": "0",
    }
    text = what_if(browser, "account", "A003", **now)
    assert "With owner ae empty instead of bob" in text and "nobody Open for claims" not in text
    assert "AE nobody" in text and "SDR Sam Shaw" in text
    assert browser.page("/record/account/A003") == before


def test_what_if_decides_a_record_that_is_only_described() -> None:
    browser = Browser(example_of("inbound"))
    competitor = what_if(browser, "lead", name="X", email="x@rivalsoft.com", country="US", form="demo")
    assert "x@rivalsoft.com is at a competitor" in competitor and "on hold" in competitor
    customer = what_if(browser, "lead", name="Y", email="y@blueridge.org", country="US")
    assert "Blue Ridge Health is a customer of" in customer
    assert "Workspace users `many`:" in what_if(browser, "lead", name="Z", email="z@z.com", workspace_users="many")


# --- who may see what ---------------------------------------------------------------------------------------------------------

TEAMS = """roe: 1
name: teams
roles: [ae]
fields: {account: {secret: {type: string}}}
define: {account.tier: 'if account.employees > 100 then "big" else "small"'}
engagement:
  account:
    ae:
      - {name: big, when: 'account.tier = "big" and account.secret = "never"', then: {assign: '"ann"'}}
      - {name: kept, when: account.owner.ae != null, then: keep, because: "{account.owner.ae.name} has it"}
      - {name: rest, then: {assign: '"bob"'}}
"""


@pytest.fixture
def teams(tmp_path: Path) -> RowSnapshot:
    """Two teams of two, with a manager each, and records whose values are secrets."""
    policy, found = build(policy_text(tmp_path / "p", TEAMS))
    assert policy is not None, found
    data = tmp_path / "d"
    data.mkdir()
    (data / "reps.csv").write_text("id,name,manager\nann,Ann,mia\nabe,Abe,mia\nmia,Mia,\nbob,Bob,max\nmax,Max,\n", "utf-8")
    (data / "accounts.csv").write_text(
        "id,name,employees,secret,owner\nS1,One,200,ours-secret,ann\nS2,Two,77123,theirs-secret,bob\nS3,Three,5,open-secret,\n", "utf-8"
    )
    (data / "activities.csv").write_text("id,type,date,account,rep\nT1,call-secret,2026-01-05,S2,bob\n", "utf-8")
    return snapshot_of(Evaluator(policy), data, "2026-02-01")


SIGNED_IN = users(ann=("rep", "ann"), mia=("manager", "mia"), bob=("rep", "bob"), rev=("revops", None), aud=("auditor", None))
SECRETS = ("theirs-secret", "77123", "call-secret")


def test_of_other_teams_records_only_the_answer_is_in_the_html(teams: RowSnapshot) -> None:
    for name in ("ann", "mia"):
        browser = Browser(teams, Options(users=SIGNED_IN), name)
        page = browser.page("/record/account/S2?role=ae&rep=ann")
        assert "Bob" in page and "Bob has it" in page and "Why not" in page and "Ann" in page
        assert not any(secret in page for secret in SECRETS), name
        assert "<svg" not in page and "policy.yaml" not in page
        for path in ("/timeline/account/S2", "/what-if?entity=account&record=S2"):
            found = browser.get(path)
            assert found.status_code in (403, 404) and not any(secret in found.text for secret in SECRETS)
        form = {"csrf": browser.csrf("/what-if"), "entity": "account", "record": "S2"}
        assert not any(secret in browser.post("/what-if/answer", form).text for secret in SECRETS)
        assert "theirs" not in browser.page("/?q=two")
    for name in ("bob", "rev", "aud"):
        page = Browser(teams, Options(users=SIGNED_IN), name).page("/record/account/S2")
        assert all(secret in page for secret in SECRETS), name


LINKED = """roe: 1
name: linked
roles: [ae]
engagement:
  account:
    ae: [{name: kept, then: keep}]
  lead:
    ae:
      - {name: large, when: lead.account.employees > 99999, then: open}
      - {name: kept, when: lead.owner.ae != null, then: keep}
"""


def test_a_lead_shows_no_values_of_an_account_of_another_team(tmp_path: Path) -> None:
    policy, found = build(policy_text(tmp_path / "p", LINKED))
    assert policy is not None, found
    (tmp_path / "reps.csv").write_text("id,name,team\nann,Ann,A\nbob,Bob,B\n", "utf-8")
    (tmp_path / "accounts.csv").write_text("id,name,employees,type,owner\nS2,Two,77123,theirs-secret,bob\nS1,One,12,ours,ann\n", "utf-8")
    (tmp_path / "leads.csv").write_text("id,name,account,owner\nL1,Lea,S2,ann\nL2,Leo,S1,ann\n", "utf-8")
    (tmp_path / "contacts.csv").write_text("id,name,title,account\nC1,Con,ours-title,S1\nC2,Cor,theirs-secret,S2\n", "utf-8")
    snapshot = snapshot_of(Evaluator(policy), tmp_path, "2026-02-01")
    ann = Browser(snapshot, Options(users=SIGNED_IN), "ann")
    pages = [ann.page(f"/record/lead/L1?role=ae&rep={rep}") for rep in ("bob", "ann")] + [ann.page("/record/contact/C2")]
    form = {
        "csrf": ann.csrf("/what-if?entity=lead&record=L1"),
        "entity": "lead",
        "record": "L1",
        "field.name": "Lea",
        "field.account": "S2",
        "field.owner.ae": "ann",
    }
    pages.append(ann.post("/what-if/answer", form).text)
    assert not any(secret in page for page in pages for secret in SECRETS)
    assert "Two" in pages[0] and "<svg" in pages[0]
    assert "12" in ann.text("/record/lead/L2") and "ours-title" in ann.page("/record/contact/C1")
    assert "77123" in Browser(snapshot, Options(users=SIGNED_IN), "rev").page("/record/lead/L1")


def test_own_teams_records_are_shown_whole(teams: RowSnapshot) -> None:
    for name in ("ann", "mia"):
        page = Browser(teams, Options(users=SIGNED_IN), name).page("/record/account/S1")
        assert "ours-secret" in page and "policy.yaml" in page


def test_nobody_sees_anything_without_signing_in(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(users=SIGNED_IN))
    for path in ("/", "/record/account/S1", "/what-if", "/why-not/account/S1?rep=ann&role=ae", "/nothing"):
        found = browser.get(path)
        assert found.status_code == 303 and found.headers["location"].startswith("/sign-in"), path
    assert browser.post("/sign-in", {"token": "wrong"}).status_code == 401
    assert browser.get("/").status_code == 303
    assert browser.get("/open?token=wrong").headers["location"] == "/sign-in"
    assert browser.get("/open?token=ann").headers["location"] == "/sign-in"  # a link that signs its reader in as somebody else
    for site in ("cross-site", "same-site"):
        assert browser.post("/sign-in", {"token": "ann"}, **{"sec-fetch-site": site}).status_code == 401
    assert browser.get("/").status_code == 303


def test_signing_in_leads_to_the_wanted_page_and_never_elsewhere(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(users=SIGNED_IN))
    asked = browser.get("/record/account/S1?role=ae").headers["location"]
    assert browser.post(asked, {"token": "ann"}).headers["location"] == "/record/account/S1?role=ae"
    for bad in ("https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/x\nset-cookie: a=b"):
        assert browser.post(f"/sign-in?next={quote(bad, safe='')}", {"token": "ann"}).headers["location"] == "/"


def test_a_proxys_header_signs_in_only_where_it_is_trusted(teams: RowSnapshot) -> None:
    people = users_of([{"name": "Ann", "role": "rep", "rep": "ann", "login": "Ann@Example.com"}])
    trusting = Browser(teams, Options(users=people, header="x-login"))
    assert "rep Ann" in said(trusting.get("/", **{"x-login": "ann@example.com"}).text)
    assert trusting.get("/record/account/S2", **{"x-login": "someone@else.com"}).status_code == 303  # the cookie is still Ann's
    assert trusting.get("/record/account/S2", **{"x-login": "ann@example.com"}).status_code == 200
    fresh = Browser(teams, Options(users=people, header="x-login"))
    assert fresh.get("/", **{"x-login": "someone@else.com"}).status_code == 303
    assert Browser(teams, Options(users=people)).get("/", **{"x-login": "ann@example.com"}).status_code == 303


def test_the_token_of_roe_ui_becomes_a_session(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(open_token="secret-of-the-day"))
    assert browser.get("/").status_code == 303
    found = browser.get("/open?token=secret-of-the-day")
    assert found.headers["location"] == "/" and "httponly" in found.headers["set-cookie"].lower()
    assert "samesite=lax" in found.headers["set-cookie"].lower()  # a link in a chat must find its reader signed in
    assert browser.get("/").status_code == 200


def test_sessions_end() -> None:
    now = [0.0]
    sessions = Sessions(clock=lambda: now[0])
    key, _ = sessions.open(Viewer("a", "rep", "a"))
    assert sessions.get(key) is not None and sessions.get("x") is None and sessions.get(None) is None
    now[0] = 11 * 3600
    assert sessions.get(key) is None


def test_a_form_without_its_token_does_nothing(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(users=SIGNED_IN), "ann")
    assert browser.csrf("/what-if")
    for form in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": Browser(teams, Options(users=SIGNED_IN), "ann").csrf("/what-if")}):
        assert browser.post("/what-if/answer", form).status_code == 403


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"role": "rep"}, "a user has no name"),
        ({"name": "a", "role": "boss"}, "the role of `a`"),
        ({"name": "a", "role": "rep", "token_sha256": "0" * 64}, "needs `rep`"),
        ({"name": "a", "role": "revops"}, "neither"),
        ({"name": "a", "role": "revops", "token_sha256": "secret"}, "not a SHA-256"),
    ],
)
def test_users_are_checked(row: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        users_of([row])


def test_a_token_is_known_by_its_digest_alone() -> None:
    known = users_of([{"name": "a", "role": "auditor", "token_sha256": digest("t").upper()}])
    assert known.with_token("t") == Viewer("a", "auditor") and known.with_token(digest("t")) is None and known.with_token("") is None


# --- what a browser is told, and hostile texts ----------------------------------------------------------------------------------


def test_every_answer_binds_the_browser(teams: RowSnapshot) -> None:
    browser = Browser(teams)
    for path in ("/", "/record/account/S1", "/static/app.css", "/nothing", "/sign-in"):
        found = browser.get(path)
        assert all(found.headers[key] == value for key, value in HEADERS.items()), path
        assert found.headers["cache-control"] == ("public, max-age=86400" if "static" in path else "no-store")
    assert "unsafe" not in HEADERS["content-security-policy"]


def test_only_its_own_names_are_answered(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(hosts=("localhost", "::1")))
    for host, status in (
        ("localhost:8000", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("evil.test", 421),
        ("localhost.evil.test:80", 421),
    ):
        assert browser.get("/", host=host).status_code == status, host


class Strict(HTMLParser):
    """Collects what a page could execute or load, and checks that its tags are closed as they were opened."""

    VOID = ("meta", "link", "input", "br", "option", "img", "hr", "rect", "circle", "line", "path")

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.bad.append("script")
        self.bad += [f"{tag} {k}" for k, _ in attrs if k.startswith("on") or k == "style"]
        self.bad += [f"{tag} {k}={x}" for k, x in attrs if k in ("href", "src", "action") and x and not x.startswith(("/", "#", "?"))]
        self.bad += [tag] if tag in ("style", "iframe", "object", "embed", "base", "form action") else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.bad.append(f"</{tag}> closes something else")


def faults(html: str) -> list[str]:
    found = Strict()
    found.feed(html)
    return found.bad + found.open


@pytest.fixture
def hostile(tmp_path: Path) -> RowSnapshot:
    """An organisation whose every text was typed by somebody who means harm."""
    names = [
        *NAMES,
        "x" * 10_000,
        '"><img src=x onerror=alert(1)>',
        "' autofocus onfocus=alert(1) x='",
        "{{ 7 * 7 }}{% include 'x' %}",
        "</script>",
    ]
    policy, found = build(policy_text(tmp_path / "p", TEAMS))
    assert policy is not None, found
    data = tmp_path / "d"
    data.mkdir()

    def write(name: str, rows: list[list[str]]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        (data / name).write_text(text.getvalue(), "utf-8", newline="")

    write("reps.csv", [["id", "name"], *([f"r{i}", name] for i, name in enumerate(names))])
    write(
        "accounts.csv",
        [["id", "name", "secret", "domain", "owner"], *([f"S/{i}?&#", name, name, "x.com", f"r{i}"] for i, name in enumerate(names))],
    )
    write("contacts.csv", [["id", "name", "title", "account"], *([f"C{i}", name, name, f"S/{i}?&#"] for i, name in enumerate(names))])
    return snapshot_of(Evaluator(policy), data, "2026-02-01")


def test_hostile_texts_stay_texts(hostile: RowSnapshot) -> None:
    browser = Browser(hostile)
    pages = ["/", "/what-if", *(f"/?q={quote(name)}" for name in NAMES)]
    for o in hostile.outcomes.all:
        path = f"account/{quote(o.id, safe='')}"
        pages += [f"/record/{path}?role=ae&rep={quote(o.owner_name)[:300]}", f"/what-if?entity=account&record={quote(o.id, safe='')}"]
    for path in pages:
        html = browser.page(path)
        assert faults(html) == [], path
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", html), path
        assert len(html) < 400_000, path
    assert "49" not in said(browser.page(f"/record/account/{quote(hostile.outcomes.all[-2].id, safe='')}"))


def test_every_page_of_an_example_is_well_formed() -> None:
    for name in ("abm", "windows", "distribution"):
        snapshot = example_of(name)
        browser = Browser(snapshot)
        entity, record = snapshot.outcomes.all[0].entity, snapshot.outcomes.all[0].id
        for path in ("/", "/?q=a", f"/record/{entity}/{record}", f"/what-if?entity={entity}&record={record}", "/what-if", "/sign-in"):
            assert faults(browser.page(path)) == [], (name, path)


# --- the other pages ------------------------------------------------------------------------------------------------------------

EVERY = ("/teams", "/changes", "/policy", "/policy/findings", "/policy/tests", "/review", "/books", "/data", "/data/rejects", "/audit")


OPENED = ["static", "distribution", "dynamic-books", "abm", "wild-west", "crm"]


@pytest.mark.parametrize("name", tries(OPENED[:3], OPENED, OPENED))
def test_every_page_opens_and_is_well_formed(name: str) -> None:
    snapshot = example_of(name)
    browser = Browser(snapshot)
    paths = [*EVERY, *(f"/team/{quote(team)}" for team in snapshot.team_names()), *(f"/pool/{pool}" for pool in snapshot.plan.pools)]
    paths += [f"/rep/{rep['id']}" for rep in snapshot.reps()[:6]] + [f"/territory/{t}" for t in territories(snapshot)[:6]]
    for path in paths:
        assert faults(browser.page(path)) == [], path


def test_a_reps_day_has_what_they_hold_and_their_place_in_each_pool() -> None:
    snapshot = example_of("distribution")
    text = Browser(snapshot).text("/rep/bea")
    mine = [o for o in snapshot.outcomes.all if o.owner == "bea"]
    assert mine and all(o.name in text for o in mine) and f"{len(mine)} leads as sdr" in text
    assert "skipped: at the cap of 4 per day" in text
    assert "champions top score" in text
    assert "On leave, back on 14 Feb 2026" in Browser(snapshot).text("/rep/dor")


def test_the_rep_whose_turn_is_said_to_be_next_gets_the_next_record() -> None:
    snapshot = example_of("distribution")
    said_next = [rep for rep, p in members(snapshot, "desk") if p.ahead == 0]
    assert len(said_next) == 1
    entity, record, _ = snapshot.handed("desk")[-1]
    d = snapshot.decisions(entity, record)[0]
    bound = snapshot_of(snapshot.evaluator, EXAMPLES / "distribution" / "data", "2026-02-10T10:00").bound
    values = {k: x for k, x in d.row.items() if k not in d.row.derived and isinstance(x, (str, int, float)) and "$" not in k}
    new = bound.world.restore("lead", [{**values, "id": "zz", "email": "z@elsewhere.org", "company": "Elsewhere"}])[0]
    assert bound.decide_alone(new, "sdr").owner == said_next[0]


def test_who_must_decide_sees_it_on_their_day(tmp_path: Path) -> None:
    text = (
        "roe: 1\nname: x\nroles: [ae]\nengagement:\n  account:\n    ae:\n"
        "      - {name: big, when: account.employees > 10, then: {refer: head-of-sales, within: 2 days}}\n      - {name: rest, then: open}\n"
    )
    policy, found = build(policy_text(tmp_path / "p", text))
    assert policy is not None, found
    (tmp_path / "reps.csv").write_text("id,name,role\nhan,Han,Head-of-Sales\nbob,Bob,AE\n", "utf-8")
    (tmp_path / "accounts.csv").write_text("id,name,employees\nA,Alpha,20\nB,Beta,5\n", "utf-8")
    browser = Browser(snapshot_of(Evaluator(policy), tmp_path, "2026-02-01"))
    assert "To be decided by Han Alpha" in browser.text("/rep/han") and "To be decided by" not in browser.text("/rep/bob")


def test_changes_are_those_of_a_run_with_filters_pages_and_csv() -> None:
    snapshot = example_of("static")
    browser = Browser(snapshot)
    moved = [d for key in snapshot._decisions for d in snapshot.decisions(*key) if d.moved and d.action not in ("hold", "refer")]
    text = browser.text("/changes")
    assert f"{len(moved)} of 32 allocations would change hands" in text
    rows = list(csv.DictReader(io.StringIO(browser.get("/changes.csv").text)))
    assert sorted((r["record"], r["role"], r["to"]) for r in rows) == sorted((d.id, d.role, d.owner_name) for d in moved)
    for name, value in (("role", "ae"), ("rule", "desk"), ("rep", "ann"), ("rep", "-"), ("q", "globex"), ("action", "exception")):
        kept = list(csv.DictReader(io.StringIO(browser.get(f"/changes.csv?{name}={value}").text)))
        wanted = {
            "role": [d for d in moved if d.role == "ae"], "rule": [d for d in moved if d.rule == "desk"], "action": [d for d in moved if d.exception],
            "rep": [d for d in moved if value in (d.owner or "-", d.previous or "-")], "q": [d for d in moved if "globex" in d.name.lower()],
        }[name]  # fmt: skip
        assert len(kept) == len(wanted) > 0, (name, value)


def test_the_policy_is_searched() -> None:
    browser = Browser(example_of("static"))
    assert "protected" in browser.text("/policy?q=protected") and "What each rule decided" in browser.text("/policy")
    assert "No rule says “zzz”" in browser.text("/policy?q=zzz")


def test_a_policys_findings_and_tests_are_shown() -> None:
    browser = Browser(example_of("static"))
    assert "tests pass" in browser.text("/policy/tests")
    assert "What a check finds" in browser.text("/policy/findings")


def test_a_review_shows_what_moves_with_both_reasons(tmp_path: Path) -> None:
    static = EXAMPLES / "static"
    other = tmp_path / "other"
    shutil.copytree(static, other)
    table = other / "tables" / "staffing.csv"
    table.write_text(table.read_text("utf-8").replace("dach,ae,eva", "dach,ae,gus"), "utf-8")
    browser = Browser(example_of("static"), Options(data=static / "data", revision=lambda text, _: Path(text)))
    form = {"csrf": browser.csrf("/review"), "old": str(static), "new": str(other)}
    made = browser.post("/review/start", form)
    assert made.status_code == 303
    text = browser.text(made.headers["location"])
    assert "Nordwind AG" in text and "Eva Ebert" in text and "Gus" in text and "of 32 change hands" in text
    assert faults(browser.page(made.headers["location"])) == []
    rows = list(csv.DictReader(io.StringIO(browser.get(made.headers["location"] + "/moves.csv").text)))
    assert rows and all(r["from"] == "Eva Ebert" for r in rows)
    assert browser.post("/review/start", {**form, "new": str(tmp_path)}).status_code == 400
    assert browser.post("/review/start", {**form, "new": ""}).status_code == 400
    assert browser.get("/review/unknown").status_code == 404
    same = browser.post("/review/start", {**form, "new": str(static)}).headers["location"]
    assert "Equivalent (proven)" in browser.text(same)


def test_books_are_planned_and_filtered() -> None:
    pytest.importorskip("ortools")
    browser = Browser(example_of("dynamic-books"))
    assert browser.post("/books/plan", {"csrf": browser.csrf("/books")}).status_code == 303
    plan = browser.site.kept.get("plan", "current")["books"]
    (name, part), *_ = plan.items()
    assert f"{len(part['moves'])} moves in {name}" in browser.text("/books")
    rep = part["reps"][0]["rep"]
    rows = list(csv.DictReader(io.StringIO(browser.get(f"/books/moves.csv?rep={rep}").text)))
    assert len([r for r in rows if r["book"] == name]) == sum(rep in (m["from"], m["to"]) for m in part["moves"])


def test_rejected_records_have_their_line_and_reason(tmp_path: Path) -> None:
    policy, found = build(policy_text(tmp_path / "p", TEAMS))
    assert policy is not None, found
    (tmp_path / "accounts.csv").write_text("id,name,employees\nA,Alpha,many\nB,Beta,5\nA,Again,1\n", "utf-8")
    evaluator = Evaluator(policy)
    from roe.data.read import read_tables

    bound = evaluator.bind(read_tables(policy, tmp_path)[0], as_of="2026-02-01")
    browser = Browser(RowSnapshot(Run(bound, list(bound.decide_all()))))
    text = browser.text("/data/rejects")
    assert bound.world.rejects and all(r.reason in text and f" {r.line} " in text for r in bound.world.rejects)
    assert "accounts.csv" in browser.text("/data")


@pytest.mark.parametrize("name", ["ann", "mia"])
def test_pages_of_revops_are_closed_to_others(teams: RowSnapshot, name: str) -> None:
    browser = Browser(teams, Options(users=SIGNED_IN), name)
    closed = ["/review", "/data", "/data/rejects", "/audit", "/review/x", "/review/x/moves.csv"] + (["/books"] if name == "ann" else [])
    for path in closed:
        assert browser.get(path).status_code == 403, path
    for path in ("/", "/teams", "/changes", "/policy", "/changes.csv", f"/rep/{name}"):
        page = browser.page(path)
        assert not any(secret in page for secret in SECRETS), path
        assert 'href="/data"' not in page and 'href="/audit"' not in page


def test_a_rep_sees_the_own_day_and_a_manager_the_teams(teams: RowSnapshot) -> None:
    ann, mia = (Browser(teams, Options(users=SIGNED_IN), name) for name in ("ann", "mia"))
    for browser, rep, whole in ((ann, "ann", True), (ann, "abe", False), (ann, "bob", False), (mia, "ann", True), (mia, "bob", False)):
        assert ("All records" in browser.text(f"/rep/{rep}")) == whole, rep
    assert "Bob" not in mia.text("/changes") and "Team of Max" not in mia.text("/teams")
    assert ann.get("/team/Team%20of%20Max").status_code == 404


def test_signing_out_ends_the_session(teams: RowSnapshot) -> None:
    browser = Browser(teams, Options(users=SIGNED_IN), "ann")
    browser.post("/sign-out", {"csrf": browser.csrf("/")})
    assert browser.get("/").status_code == 303


# --- large data -----------------------------------------------------------------------------------------------------------------


SHOWN = ["abm", "static", "distribution", "inbound", "windows", "wild-west", "territories"]


@pytest.mark.parametrize("name", tries(["static", "distribution", "inbound", "wild-west"], SHOWN, SHOWN))
def test_columns_show_what_rows_show(name: str) -> None:
    pytest.importorskip("pyarrow")
    from roe.columns.read import read_columns
    from roe.columns.world import ColumnWorld
    from roe.web.app.columns import ColumnSnapshot

    rows, evaluator = example_of(name), example(name)
    raw, problems = read_columns(evaluator.policy, EXAMPLES / name / "data")
    assert not problems
    columns = ColumnSnapshot(Bound(evaluator, ColumnWorld(evaluator.compiled, raw, evaluator.clock(AS_OF[name])), {}))
    assert sorted(columns.outcomes.all, key=str) == sorted(rows.outcomes.all, key=str)
    one, other = Browser(rows), Browser(columns)
    for o in rows.outcomes.all[:: max(1, len(rows.outcomes.all) // (tries(3, 6, 15)))]:
        path = f"/record/{o.entity}/{quote(o.id, safe='')}"
        both = [re.findall(r'<div class="answer.*?</div>|<svg.*?</svg>', browser.page(path), re.S) for browser in (one, other)]
        assert both[0] == both[1] and both[0], path
        assert name == "inbound" or one.text(path) == other.text(path), path  # of a match made for a rule, only columns say how
    for pool in rows.plan.pools:
        assert one.text(f"/pool/{pool}") == other.text(f"/pool/{pool}")
    for path in EVERY:
        if name == "static" or not path.startswith(
            "/policy/"
        ):  # findings and tests of a policy are long to make, and say the same of any snapshot
            assert other.get(path).status_code == 200, path
    o = next(o for o in rows.outcomes.all if o.entity == rows.entities[0])
    rep = rows.reps()[0]["id"]
    path = f"/why-not/{o.entity}/{quote(o.id, safe='')}?role={o.role}&rep={rep}"
    assert rows.entities[0] == "lead" or one.text(path) == other.text(path)


def test_large_data_is_replayed_with_what_the_ledger_knows(tmp_path: Path) -> None:
    """The CRM has loaded nothing yet: without the ledger the decision would be another one, and no change could be named."""
    pytest.importorskip("pyarrow")
    from roe.columns.world import ColumnWorld
    from roe.web.app.columns import ColumnSnapshot

    rules = """roe: 1
name: large
roles: [ae]
engagement:
  account:
    ae:
      - {name: held, when: account.owner.ae != null, then: keep}
      - {name: german, when: 'account.country = "DE"', then: {assign: ann}}
      - {name: rest, then: {assign: bob}}
"""
    evaluator = roe.compile(roe.load(policy_text(tmp_path, rules)))

    def data() -> dict[str, list[dict[str, str]]]:
        return {
            "account": [
                {"id": "A1", "name": "Acme", "country": "DE", "owner": ""},
                {"id": "A2", "name": "Bolt", "country": "US", "owner": ""},
            ],
            "rep": [{"id": "ann", "name": "Ann"}, {"id": "bob", "name": "Bob"}, {"id": "cy", "name": "Cy"}],
        }

    state = evaluator.run(data(), as_of="2026-02-01").state()
    run = evaluator.run(data(), as_of="2026-02-02", state=state)
    columns = ColumnSnapshot(Bound(evaluator, ColumnWorld(evaluator.compiled, data(), evaluator.clock("2026-02-02")), state))
    for snapshot in (RowSnapshot(run), columns):
        said = Browser(snapshot).text("/why-not/account/A1?role=ae&rep=cy")
        assert "This would give it to Cy" in said and "by rule held" in said, said


# --- the ledger -------------------------------------------------------------------------------------------------------------------


def test_a_long_history_comes_in_pages(tmp_path: Path) -> None:
    from roe.ledger.store import open_store
    from roe.web.app.history import History
    from test_ledger import EXAMPLES as ENTRIES
    from test_ledger import owned

    days = [f"20{year}-{month:02}-10" for year in range(10, 26) for month in range(1, 13)]
    with open_store(tmp_path) as store:
        entries = [x for day in days for x in (owned("A04", "dee", day), owned("A05", "ben", day))]
        store.append(entries, ENTRIES[0])  # type: ignore[arg-type]
    browser = Browser(example_of("static"), Options(history=History(str(tmp_path)), users=SIGNED_IN), "rev")
    path, seen = "/history/account/A04", list[str]()
    for _ in range(len(days)):
        page = browser.page(path)
        assert page.count('class="is-over"') <= 30 and faults(page) == []
        seen += re.findall(r'class="when">([^<]+)<', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if older is None:
            break
        path = unescape(older[1])
    assert len(seen) == len(days) == len(set(seen)) and seen[0] == "10 Dec 2025" and seen[-1] == "10 Jan 2010"
    part = browser.get(path, **{"hx-request": "true"}).text  # what the script puts below the entries that are there
    assert "<ol" in part and "<h2" not in part and "<html" not in part
    assert browser.get("/history/account/A04?before=x").status_code == 200
    assert "nothing older" in browser.text("/history/account/A04?before=1")


def test_moments_in_a_sentence_are_in_the_time_zone_of_whoever_reads() -> None:
    from zoneinfo import ZoneInfo

    from roe.web.app.site_words import moments_in

    york, delhi = ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
    for written, read in (
        ("until 1 February 2026, 18:05", "until 2 February 2026, 04:35"),
        ("from 14 July 2026, 09:00 to 31 December 2026, 23:59.", "from 14 July 2026, 18:30 to 1 January 2027, 10:29."),
        ("until 1 February 2026", "until 1 February 2026"),  # a day is the same day for everybody
        ("31 February 2026, 18:05", "31 February 2026, 18:05"),
        ("1 February 2026, 25:05", "1 February 2026, 25:05"),
        ("31 December 9999, 23:59", "31 December 9999, 23:59"),
    ):
        assert moments_in(delhi, york, written) == read
        assert moments_in(york, york, written) == written


def test_a_moment_that_is_midnight_where_somebody_reads_is_still_a_moment() -> None:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from roe.web.app.site_words import day_in

    chicago, berlin = ZoneInfo("America/Chicago"), ZoneInfo("Europe/Berlin")
    assert day_in(berlin, datetime(2026, 3, 2, 17, tzinfo=chicago)) == "3 Mar 2026, 00:00"
    assert day_in(berlin, datetime(2026, 3, 2, tzinfo=chicago)) == day_in(berlin, date(2026, 3, 2)) == "2 Mar 2026"


def test_a_reason_is_read_in_the_time_zone_of_the_browser() -> None:
    browser = Browser(example_of("distribution"))
    for zone, hour in (("Europe/Berlin", "08:02"), ("Asia/Kolkata", "12:32")):
        browser.cookies.set("roe_zone", zone)
        text = browser.text("/record/lead/L03")
        assert f"created 10 Feb 2026, {hour}" in text, (zone, text)


def test_a_record_has_its_history_and_every_entry_is_in_the_audit(tmp_path: Path) -> None:
    from roe.ledger.store import open_store
    from roe.web.app.history import History
    from test_ledger import EXAMPLES as ENTRIES
    from test_ledger import owned

    with open_store(tmp_path) as store:
        store.append([owned("A04", "dee", "2026-01-10", sentence="<b>worked</b> by Dee"), *ENTRIES[1:]], ENTRIES[0])  # type: ignore[arg-type]
        kinds = {x.kind for x in store.entries()}
    browser = Browser(example_of("static"), Options(history=History(str(tmp_path)), users=SIGNED_IN), "rev")
    text = browser.text("/history/account/A04")
    assert "10 Jan 2026 Dee Dunn owns it as ae" in text and "<b>worked</b> by Dee" in text
    audit = browser.text("/audit")
    assert kinds and all(f" {kind} " in audit for kind in kinds) and "the chain ends with" in audit
    assert faults(browser.page("/audit")) == [] and "Dee Dunn owns it" in browser.text("/audit?kind=owned")
    assert "Show what the ledger knows" in browser.text("/record/account/A04")
    number = re.search(r'href="/entry/(\d+)"', browser.page("/history/account/A04"))
    assert number is not None and "Dee Dunn owns it as ae" in browser.text(f"/entry/{number[1]}")
    people = users(new=("rep", "a-rep-of-no-team"))
    stranger = Browser(example_of("static"), Options(history=History(str(tmp_path)), users=people), "new")
    foreign = stranger.text(f"/entry/{number[1]}")
    assert "Dee Dunn owns it as ae <b>worked</b> by Dee" in foreign and "written" not in foreign and "by a rule" not in foreign
    assert stranger.get("/entry/1").status_code == 403
    assert browser.get("/entry/99999").status_code == 404 == browser.get("/entry/x").status_code
    assert stranger.get("/history/account/A04").status_code == 403 and stranger.get("/audit").status_code == 403
