"""What people do on the pages: each act is an entry with a name, the next run obeys it, and whoever may not act cannot."""

from __future__ import annotations

import math
import re
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")

from browsing import Browser, said, users
from helpers import policy_text, tables
from roe.evaluator.engine import Evaluator
from roe.ledger.store import open_store
from roe.run.engine import Job
from roe.run.memory import read_memory
from roe.run.run import RunOptions, run
from roe.run.source import Source
from roe.stages.build import build
from roe.web.app.acting import LedgerActs
from roe.web.app.history import History, Reader
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

    def __init__(self, folder: Path, policy: str = POLICY, reps: str = REPS, accounts: str = ACCOUNTS) -> None:
        self.folder, self.state = folder, str(folder / "state")
        policy_text(folder / "policy", policy)
        for name, text in (("reps", reps), ("accounts", accounts), ("leads", "id,email\nL1,x@a.com\nL2,y@b.com\n")):
            (folder / f"{name}.csv").write_text(text, "utf-8")
        built, found = build(folder / "policy")
        assert built is not None, found
        self.evaluator = Evaluator(built)
        open_store(self.state).close()
        self.history = History(self.state)
        self.laptop = Laptop(self.bound, "data", lambda: self.history.head()[0], quick=math.inf)  # pages wait, however busy the machine is
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


def test_a_manager_acts_for_their_reps_and_not_for_peers_or_those_above(tmp_path: Path) -> None:
    reps = "id,name,team,manager\nann,Ann Archer,east,mia\nbea,Bea Best,east,cal\ncal,Cal Cruz,west,\nmia,Mia Moss,east,cal\n"
    office = Office(tmp_path, reps=reps)
    form = {"role": "ae", "rep": "ann", "until": "2026-04-01"}
    assert office.send("mia", "/act/answer/account/A1", **form).startswith("403")  # Bea, who is asked, is Mia's peer
    assert "/act/answer" not in office.as_("mia").page("/record/account/A1")
    for rep, status in (("ann", "303"), ("mia", "303"), ("bea", "403"), ("cal", "403")):
        assert office.send("mia", f"/act/leave/{rep}", start=DAY, until="2026-03-01").startswith(status), rep
    for rep in ("bea", "cal"):
        assert "/act/leave/" not in office.as_("mia").page(f"/rep/{rep}"), rep


def test_whoever_asks_for_a_record_of_another_team_is_shown_their_own_request_alone(office: Office) -> None:
    form = {"role": "ae", "rep": "ann", "until": "2026-05-01", "reason": "my old customer"}
    office.send("ann", "/act/ask/account/A3", **form)
    mine, theirs = office.as_("ann").text("/record/account/A3"), office.as_("bea").text("/record/account/A3")
    assert "my old customer" in mine and "RevOps has not answered yet" in mine and "Ask for an exception" not in mine
    assert "my old customer" not in theirs and "Ask for an exception" in theirs


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
    assert "ann asks that Ann Archer gets it until 1 May 2026" in office.as_("rev").text("/exceptions")
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
    assert f"/runs/{name}/undo" in office.as_("rev").page("/moves")
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
        ({"rep": "ann", "until": "9999-12-31", "reason": "x"}, "is too far away"),
        ({"rep": "ann", "until": "2026-05-01", "reason": "x", "start": "9999-12-31"}, "is too far away"),
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


# --- RevOps -------------------------------------------------------------------------------------------------------------------


def test_what_has_moved_is_told_from_the_ledger(office: Office) -> None:
    office.run()
    text = office.as_("rev").text("/moves?since=2026-01-01")
    assert "Beta account ae nobody Cal Cruz 1 Feb 2026 others by rules" in text
    assert "x@a.com lead ae nobody" in text and "inbound by rules" in text
    assert "3 changes" in text and "3 by rules 0 by people 0 by time" in text
    assert "Decided, and not in the CRM yet 1 owner" not in text  # no row of A2's has been read since
    office.send("rev", "/act/grant/account/A2", role="ae", rep="ann", until="2026-03-01", reason="hers")
    office.run("2026-02-02")
    assert "1 by people" in office.as_("rev").text("/moves?since=2026-01-01")
    assert "Beta account ae Cal Cruz Ann Archer 2 Feb 2026 an exception by people" in office.as_("rev").text(
        "/moves?how=hand&since=2026-01-01"
    )
    assert "Cal Cruz Ann Archer" not in office.as_("rev").text("/moves?how=rules&since=2026-01-01")
    office.run("2026-03-01")  # the exception is over, and the rules keep whoever has it
    lines = office.as_("rev").get("/moves.csv?since=2026-01-01&rep=ann").text.splitlines()
    assert lines[0] == "number,day,entity,record,role,from,to,how,rule,pool,reason" and ",Cal Cruz,Ann Archer,by people," in lines[1]
    assert "Gamma" not in office.as_("ann").text("/moves?since=2026-01-01")  # a rep sees the moves of the own team
    assert office.as_("ann").get("/moves.csv?since=2026-01-01").text.count("Cal Cruz,Ann Archer") == 1


def test_what_is_decided_and_not_loaded_is_listed(office: Office) -> None:
    (office.folder / "accounts.csv").write_text(ACCOUNTS.replace("A3,Gamma,,cal", "A3,Gamma,,ann"), "utf-8")
    office.run()
    office.send("rev", "/act/grant/account/A3", role="ae", rep="cal", until="2026-03-01", reason="his")
    assert office.run("2026-02-02")["account", "A3"] == "cal"
    text = office.as_("rev").text("/moves")
    assert "Decided, and not in the CRM yet" in text and "Gamma account ae Cal Cruz 2 Feb 2026 Ann Archer" in text
    assert "Decided, and not" not in office.as_("cal").text("/moves")


def test_rules_are_counted_over_thirty_days(office: Office) -> None:
    office.run()
    office.send("rev", "/act/grant/account/A2", role="ae", rep="ann", until="2026-03-01", reason="hers")
    office.run("2026-02-02")
    text = office.as_("rev").text("/policy")
    # decides now, its share, in 30 days, overridden, unknown
    assert re.search(r"others account ae 0 0 % decides nothing 1 1 ", text), text[-900:]
    assert re.search(r"inbound lead ae 2 100 % 2 0 0", text)


def test_a_link_to_a_decision_shows_it_whole_whatever_happens_later(office: Office) -> None:
    office.run()
    browser = office.as_("cal")
    assert office.send("bea", "/act/keep/account/A3", role="ae").startswith("403")
    done = browser.post("/act/keep/account/A3", {"csrf": browser.csrf("/what-if"), "role": "ae"})
    link = done.headers["location"].partition("?")[0]
    assert re.fullmatch(r"/entry/\d+", link)
    shown = browser.text(link)
    office.send("rev", "/act/grant/account/A3", role="ae", rep="ann", until="2026-03-01", reason="hers")
    office.run("2026-02-02")
    (office.folder / "accounts.csv").write_text("id,name,industry,owner\n", "utf-8")  # and its data is gone
    office.run("2026-02-03")
    now = office.as_("rev").text(link)
    assert "Cal Cruz owns it as ae" in now and "Every rule, value and place, as they were" in now
    assert "account.owner.ae != null" in now and "policy.yaml:" in now
    tree = shown[shown.index("Every rule, value") :]
    assert tree in now or now[now.index("Every rule, value") :] == tree
    other = office.as_("ann").text(link)  # of another team: who owns it, and no values
    assert "Cal Cruz owns it as ae" in other and "account.owner.ae" not in other


def test_a_run_keeps_its_own_decisions_for_their_entries(office: Office) -> None:
    office.run()
    number = next(x.number for x in office.history.of_record("account", "A2", None, 9, Reader(str, UTC))[0] if x.kind == "owned")
    assert "Every rule, value and place, as they were" in office.as_("rev").text(f"/entry/{number}")


def test_a_change_of_the_policy_is_approved_with_a_name(office: Office) -> None:
    other = office.folder / "other"
    policy_text(other, POLICY.replace("{assign: cal}", "{assign: ann}"))
    browser = office.as_("rev")
    browser.site.options.revision = lambda text, scratch: Path(text)
    form = {"csrf": browser.csrf("/what-if"), "old": str(office.folder / "policy"), "new": str(other)}
    link = browser.post("/review/start", form).headers["location"]
    assert "Nobody has decided yet" in browser.text(link)
    assert office.send("rev", f"{link}/verdict", verdict="rejected").startswith("400")
    assert office.send("aud", f"{link}/verdict", verdict="approved").startswith("403")
    assert "/verdict" not in office.as_("aud").page("/review")
    assert "Your word on this change is written down" in office.send("rev", f"{link}/verdict", verdict="commented", comment="Why Ann?")
    assert office.send("rev", f"{link}/verdict", verdict="approved").startswith("303")
    text = browser.text(link)
    assert "commented rev" in text and "Why Ann?" in text and "approved rev" in text
    assert [(e.verdict, e.by) for e in office.entries("reviewed")] == [("commented", "rev"), ("approved", "rev")]
    assert "approved rev" in browser.text("/review") and "rev has approved" in office.as_("aud").text("/audit")
    browser.site.__dict__["reviews"].clear()  # another worker, or the same one after a restart: the link still works
    assert "approved rev" in browser.text(link)
    policy_text(other, POLICY)
    browser.site.__dict__["reviews"].clear()
    assert browser.get(link).status_code == 404  # what it showed is not there any more


BOOKS = """
roe: 1
name: books
roles: [ae]
books:
  smb: {role: ae, accounts: account.employees > 0, reps: rep.active != false, capacity: rep.capacity, value: account.employees, cadence: 28 days}
engagement:
  account:
    ae: [{name: all, then: keep}]
"""


def test_moves_of_a_plan_are_held_back_and_the_others_applied(tmp_path: Path) -> None:
    pytest.importorskip("ortools")
    office = Office(
        tmp_path,
        BOOKS,
        "id,name,capacity\nann,Ann,2\nbea,Bea,2\n",
        "id,name,employees\n" + "".join(f"B{i},Firm {i},{i}0\n" for i in range(1, 5)),
    )
    rev = office.as_("rev")
    rev.post("/books/plan", {"csrf": rev.csrf("/what-if")})
    page = rev.page("/books")
    accounts = re.findall(r'name="account" value="([^"]+)"', page)
    assert len(accounts) == 4 and "Apply 4 moves" in page
    assert office.send("mia", "/books/weigh", book="smb", accepted="no", account=accounts[0]).startswith("403")
    assert office.send("rev", "/books/weigh", book="smb", accepted="no").startswith("400")  # nothing is ticked
    text = office.send("rev", "/books/weigh", book="smb", accepted="no", account=accounts[0], reason="a friend")
    assert "held back rev: a friend" in text and "Apply 3 moves" in text and "3 of 4 moves are made, 1 is held back" in text
    assert office.send("rev", "/books/weigh", book="smb", accepted="no", which="all").startswith("303")
    assert "Apply 0 moves" in rev.text("/books")
    assert office.send("rev", "/books/weigh", book="smb", accepted="yes", which="all", choice="held").startswith("303")
    assert office.send("rev", "/books/weigh", book="smb", accepted="no", account=accounts[1]).startswith("303")
    key = re.search(r'name="plan" value="([^"]+)"', rev.page("/books"))
    assert key is not None
    assert office.send("rev", "/books/apply", plan="another").startswith("400")
    assert "The plan is applied" in office.send("rev", "/books/apply", plan=key[1])
    placed = {e.record: e.rep for e in office.entries("placed")}
    assert set(placed) == set(accounts) - {accounts[1]} and all(placed.values())
    assert [(e.what, e.accepted) for e in office.entries("run") if e.what == "books"] == [("books", "rev")]
    assert office.send("rev", "/books/apply", plan=key[1]).startswith("400")  # the books have changed since


def test_what_the_pages_keep_names_nobody_who_is_forgotten(office: Office) -> None:
    from roe.ledger.erase import forget
    from roe.web.app.kept import beside

    office.run()
    kept = beside(office.state)
    kept.put("plan", "current", {"moves": [{"account": "A2", "name": "Beta"}]}, 1000)
    assert kept.get("plan", "current") is not None
    with open_store(office.state) as store:
        forget(store, "A2", entity="account", by="rev", why="asked for")
    assert kept.get("plan", "current") is None
    assert b"Beta" not in (Path(office.state) / "pages.sqlite").read_bytes()
