"""What people do on the pages: each act is an entry with a name, the next run obeys it, and whoever may not act cannot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from browsing import Browser, said, users
from helpers import policy_text, tables
from roe.evaluator.engine import Evaluator
from roe.ledger.store import open_store
from roe.policy.build import build
from roe.run.engines import Job
from roe.run.memory import read_memory
from roe.run.run import Options as RunOptions
from roe.run.run import run
from roe.run.source import Source
from roe.web.app.acting import LedgerActs
from roe.web.app.history import History
from roe.web.app.laptop import Laptop
from roe.web.app.site import Options

POLICY = """
roe: 1
name: acting
timezone: Europe/Berlin
roles: [ae]
pools: {desk: {members: rep.team = "east"}}
engagement:
  account:
    ae:
      - {name: disputed, when: account.industry = "disputed", then: {refer: bea, within: 3 days}, because: "{account.name} is disputed"}
      - {name: mine, when: account.owner.ae != null, then: keep}
      - {name: others, then: {assign: cal}}
  lead:
    ae: [{name: inbound, then: {route: desk}}]
"""
REPS = "id,name,team,manager\nann,Ann Archer,east,mia\nbea,Bea Best,east,mia\ncal,Cal Cruz,west,\nmia,Mia Moss,east,\n"
ACCOUNTS = "id,name,industry,owner\nA1,Acme,disputed,ann\nA2,Beta,,\nA3,Gamma,,cal\n"
USERS = users(
    ann=("rep", "ann"), bea=("rep", "bea"), cal=("rep", "cal"), mia=("manager", "mia"), rev=("revops", None), aud=("auditor", None)
)
DAY = "2026-02-01"


class Office:
    """A policy, a folder of data and a ledger, and the pages about them as each of several people sees them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, str(folder / "state")
        policy_text(folder / "policy", POLICY)
        for name, text in (("reps", REPS), ("accounts", ACCOUNTS), ("leads", "id,email\nL1,x@a.com\nL2,y@b.com\n")):
            (folder / f"{name}.csv").write_text(text, "utf-8")
        policy, found = build(folder / "policy")
        assert policy is not None, found
        self.evaluator = Evaluator(policy)
        open_store(self.state).close()
        self.history = History(self.state)
        self.laptop = Laptop(self.bound, "data", lambda: self.history.head()[0])
        self.people: dict[str, Browser] = {}

    def bound(self) -> Any:
        return self.evaluator.bind(
            tables(self.evaluator, self.folder), as_of=DAY, state=read_memory(self.state, "Europe/Berlin", digest="x")
        )

    def as_(self, name: str) -> Browser:
        if name not in self.people:
            options = Options(users=USERS, history=self.history, acts=LedgerActs(self.state), data=self.folder, state=self.state)
            self.people[name] = Browser(self.laptop.current, options, name)
        return self.people[name]

    def send(self, name: str, path: str, **form: str) -> str:
        """Send a form as somebody; what the page says after it, with the status before it."""
        browser = self.as_(name)
        found = browser.post(path, {"csrf": browser.csrf("/what-if"), **form})
        if found.status_code == 303:
            return "303 " + browser.text(found.headers["location"])
        return f"{found.status_code} {said(found.text)}"

    def run(self, day: str = DAY) -> dict[tuple[str, str], str]:
        """The owners by (entity, record) after a run with the ledger."""
        finished = run(Job(self.evaluator, Source(self.evaluator.policy, self.folder), day), self.folder / "out", RunOptions(self.state))
        assert finished.outcome == "committed"
        with open_store(self.state) as store:
            return {(h.entity, h.record): h.rep or "" for h in store.holdings()}

    def entries(self, *kinds: str) -> list[Any]:
        with open_store(self.state) as store:
            return [x.entry for x in store.entries(kinds=kinds)]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_rep_answers_a_referral_and_the_next_run_obeys(office: Office) -> None:
    assert office.run()["account", "A1"] == "ann"
    assert "You must decide" in office.as_("bea").text("/rep/bea") and "Decide" in office.as_("bea").text("/rep/bea")
    text = office.send("bea", "/act/answer/account/A1", role="ae", rep="Bea Best", until="2026-04-01", text="it is in my patch")
    assert text.startswith("303") and "Your decision is written down" in text and "You must decide" not in text
    answered, granted = office.entries("answered", "excepted")
    assert (answered.by, answered.rep, answered.answer) == ("bea", "bea", "it is in my patch")
    assert (granted.by, granted.rep, str(granted.until.date)) == ("bea", "bea", "2026-04-01")
    assert office.run("2026-02-02")["account", "A1"] == "bea"
    assert "exception approved by bea" in office.as_("bea").text("/record/account/A1")
    assert office.run("2026-04-01")["account", "A1"] == "bea"  # asked again: whoever has it keeps it meanwhile


def test_only_who_is_asked_their_manager_and_revops_may_answer(office: Office) -> None:
    form = {"role": "ae", "rep": "cal", "until": "2026-04-01"}
    for name in ("ann", "cal", "aud"):
        assert office.send(name, "/act/answer/account/A1", **form).startswith("403"), name
        assert "/act/answer" not in office.as_(name).page("/record/account/A1"), name
    assert not office.entries("answered")
    assert "/act/answer" in office.as_("mia").page("/record/account/A1")
    assert office.send("mia", "/act/answer/account/A1", **form).startswith("303")
    assert office.send("rev", "/act/answer/account/A1", **form).startswith("403")  # it is answered


def test_a_rep_on_leave_gets_no_records_until_back(office: Office) -> None:
    assert office.send("ann", "/act/leave/bea", start=DAY, until="2026-03-01").startswith("403")
    text = office.send("ann", "/act/leave/ann", start=DAY, until="2026-03-01", reason="a course")
    assert "New records go to others" in text and "On leave, back on 1 Mar 2026" in text
    assert "on leave until 1 March 2026" in office.as_("mia").text("/pool/desk")
    owners = office.run()
    assert {owners["lead", "L1"], owners["lead", "L2"]} <= {"bea", "mia"}
    assert [(e.record, e.by, e.reason) for e in office.entries("away")] == [("ann", "ann", "a course")]
    assert "takes records again" in office.as_("mia").text("/rep/ann")
    assert office.send("mia", "/act/back/ann").startswith("303")
    assert "On leave" not in office.as_("ann").text("/rep/ann")
    assert office.send("ann", "/act/back/ann").startswith("409")


def test_an_exception_is_asked_for_granted_obeyed_and_ended(office: Office) -> None:
    form = {"role": "ae", "rep": "Ann Archer", "until": "2026-05-01", "reason": "my old customer"}
    assert "Your request is written down" in office.send("ann", "/act/ask/account/A3", **form)
    assert office.send("ann", "/act/ask/account/A3", **form).startswith("409")
    assert "ann asks that Ann Archer has it until 1 May 2026" in office.as_("rev").text("/exceptions")
    assert office.send("ann", "/act/grant/account/A3", **form).startswith("403")
    assert office.as_("ann").get("/exceptions").status_code == 403
    assert "/act/grant" not in office.as_("aud").page("/exceptions") and "my old customer" in office.as_("aud").text("/exceptions")
    assert "comes before every rule" in office.send("rev", "/act/grant/account/A3", **{**form, "from": "exceptions"})
    assert "Nobody asks for an exception" in office.as_("rev").text("/exceptions")
    assert office.run()["account", "A3"] == "ann"
    text = office.as_("cal").text("/record/account/A3")
    assert "Ann Archer" in text and "Exception approved by rev: my old customer" in text
    assert office.send("rev", "/act/end/account/A3", role="ae", reason="settled").startswith("303")
    assert office.run("2026-02-02")["account", "A3"] == "ann"  # the rules keep whoever has it
    assert [e.KIND for e in office.entries("requested", "excepted", "declined")] == ["requested", "excepted", "excepted"]
    assert office.send("rev", "/act/end/account/A3", role="ae").startswith("409")


def test_a_request_can_be_declined(office: Office) -> None:
    office.send("cal", "/act/ask/account/A2", role="ae", rep="cal", until="2026-05-01", reason="I know them")
    assert office.send("rev", "/act/decline/account/A2", role="ae").startswith("400")  # without a reason
    assert office.send("rev", "/act/decline/account/A2", role="ae", reason="no", **{"from": "exceptions"}).startswith("303")
    assert office.entries("declined")[0].by == "rev" and office.send("rev", "/act/decline/account/A2", role="ae", reason="no").startswith(
        "409"
    )


def test_a_run_is_undone_after_a_look_at_what_that_changes(office: Office) -> None:
    assert office.run()["account", "A2"] == "cal"
    name = next(e.id for e in office.entries("run") if e.what == "run")
    assert f"/runs/{name}/undo" in office.as_("rev").page("/changes")
    before = len(office.entries())
    text = office.as_("rev").text(f"/runs/{name}/undo")
    assert "Undo this run?" in text and "Beta account ae Cal Cruz nobody" in text and len(office.entries()) == before
    for other in ("ann", "mia", "aud"):
        assert office.as_(other).get(f"/runs/{name}/undo").status_code == 403
        assert office.send(other, f"/runs/{name}/undo", reason="x").startswith("403")
    assert office.send("rev", f"/runs/{name}/undo").startswith("400")
    assert "The run is undone" in office.send("rev", f"/runs/{name}/undo", reason="wrong file", until="2026-03-01")
    undone = [e for e in office.entries("run") if e.what == "undo"]
    assert [e.accepted for e in undone] == ["rev: wrong file"]
    with open_store(office.state) as store:
        holding = store.holding("account", "A2", "ae")
        assert holding is not None and holding.rep is None
    assert office.as_("rev").get(f"/runs/{name}/undo").status_code in (400, 404)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"rep": "nobody known", "until": "2026-05-01", "reason": "x"}, "There is no one rep"),
        ({"rep": "", "until": "2026-05-01", "reason": "x"}, "Name the rep"),
        ({"rep": "ann", "until": "", "reason": "x"}, "Say until when"),
        ({"rep": "ann", "until": "soon", "reason": "x"}, "is not a day"),
        ({"rep": "ann", "until": "2026-01-01", "reason": "x"}, "is in the past"),
        ({"rep": "ann", "until": "2026-05-01", "reason": " "}, "Say why"),
        ({"rep": "ann", "until": "2026-05-01", "reason": "x", "role": "sdr"}, "decides nothing about"),
    ],
)
def test_a_form_that_cannot_be_read_does_nothing_and_says_why(office: Office, form: dict[str, str], message: str) -> None:
    text = office.send("rev", "/act/grant/account/A3", **{"role": "ae", **form})
    assert text.startswith("400") and message in text and not office.entries("excepted")


def test_without_a_ledger_there_are_no_forms(tmp_path: Path) -> None:
    office = Office(tmp_path)
    browser = Browser(office.laptop.current, Options(users=USERS), "rev")
    assert "/act/" not in browser.page("/record/account/A1") and "No ledger is connected" in browser.text("/exceptions")
    assert browser.post("/act/grant/account/A3", {"csrf": browser.csrf("/what-if")}).status_code == 403


def test_names_from_forms_are_hostile(office: Office) -> None:
    bad = "<script>alert(1)</script>\u202e=cmd|'/c'"
    office.send("rev", "/act/grant/account/A3", role="ae", rep="ann", until="2026-05-01", reason=bad)
    for path in ("/record/account/A3", "/exceptions", "/audit", "/history/account/A3"):
        html = office.as_("rev").page(path)
        assert "<script>alert" not in html and "\u202e" not in html, path
    assert re.search(r"&lt;script&gt;", office.as_("rev").page("/exceptions"))
