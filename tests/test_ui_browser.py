"""The pages in a real browser, against the real `roe ui`: ten tasks done as a new user would, nothing on the console, nothing for axe.

Needs ROE_HEAVY=1 and Chromium. ROE_SHOTS names a folder for a picture of every page, for somebody to look at.
"""

from __future__ import annotations

import csv
import io
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("playwright")

from helpers import AS_OF, EXAMPLES, policy_text
from roe.web.app.access import digest
from waiting import LONG, until

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not os.environ.get("ROE_HEAVY") or not BROWSER, reason="needs ROE_HEAVY=1 and Chromium")
LOOKS = ("light", "dark", "phone")
USERS = [
    ("hela", "rep", "head-of-sales"),
    ("sky", "rep", "sky"),
    ("cal", "rep", "cal"),
    ("bea", "rep", "bea"),
    ("boss", "manager", "sky"),
    ("rev", "revops", None),
]


class Server:
    """A running `roe ui` about an example."""

    def __init__(
        self,
        name: str,
        folder: Path,
        users: bool = False,
        policy: Path | None = None,
        data: Path | None = None,
        as_of: str = "",
        state: str = "",
    ) -> None:
        policy = policy or EXAMPLES / name
        more = ["--state", state] if state else []
        if users:
            lines = [
                f'[[user]]\nname = "{u}"\nrole = "{role}"\n' + (f'rep = "{rep}"\n' if rep else "") + f'token_sha256 = "{digest(u)}"\n'
                for u, role, rep in USERS
            ]
            (folder / "users.toml").write_text("\n".join(lines), "utf-8")
            more += ["--users", str(folder / "users.toml")]
        command = [
            sys.executable,
            "-m",
            "roe",
            "ui",
            str(policy),
            "--data",
            str(data or policy / "data"),
            "--as-of",
            as_of or AS_OF[name],
            "--no-browser",
            *more,
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            found = re.search(r"open (http://\S+)", line)
            if found:
                self.address = found[1]
                break
        else:
            raise AssertionError("roe ui did not start")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(LONG)
        except subprocess.TimeoutExpired:
            self.process.kill()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    running: dict[tuple[str, bool], Server] = {}

    def server(name: str, users: bool = False) -> Server:
        if (name, users) not in running:
            running[name, users] = Server(name, tmp_path_factory.mktemp("ui"), users)
        return running[name, users]

    yield server
    for found in running.values():
        found.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


class User:
    """Somebody with a browser, who counts clicks and seconds; what the console says is an error."""

    def __init__(self, chromium: Any, address: str, **context: Any) -> None:
        self.page = chromium.new_context(timezone_id="Europe/Berlin", viewport={"width": 1280, "height": 900}, **context).new_page()
        self.page.set_default_timeout(120_000)  # the machine may be busy with others
        self.said: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text))
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.goto(address)
        self.clicks, self.started = 0, time.perf_counter()

    def click(self, where: str) -> None:
        self.clicks += 1
        self.page.click(where)
        self.page.wait_for_load_state("networkidle")

    def link(self, name: str) -> None:
        self.clicks += 1
        self.page.get_by_role("link", name=name, exact=True).first.click()
        self.page.wait_for_load_state("networkidle")

    def button(self, name: str) -> None:
        self.clicks += 1
        self.page.get_by_role("button", name=name, exact=True).first.click()
        self.page.wait_for_load_state("networkidle")

    def type(self, where: str, text: str) -> None:
        self.clicks += 1
        self.page.fill(where, "")
        self.page.locator(where).press_sequentially(text, delay=5)
        if where == "#q":  # what is found for the first letters is there before
            self.reads(f"found for “{text}”")

    def fill_in(self, where: str, text: str) -> None:
        self.clicks += 1
        self.page.fill(where, text)

    def choose(self, where: str, value: str) -> None:
        self.clicks += 1
        self.page.select_option(where, value)

    def reads(self, *texts: str) -> None:
        """The page says these, now or when it has come."""
        until(lambda: f"{self._missing(texts)} in {self._text()[:1500]}", lambda: not self._missing(texts))

    def reads_soon(self, *texts: str) -> None:
        """The same, once the records are decided anew after an act: the page is loaded again and again."""
        until(lambda: f"{self._missing(texts)} in {self._text()[:1500]}", lambda: not self._missing(texts) or self.page.reload() is None)

    def _missing(self, texts: Sequence[str]) -> list[str]:
        text = self._text()
        return [t for t in texts if t not in text]

    def _text(self) -> str:
        return " ".join(self.page.inner_text("body").split())

    def looks_good(self, name: str, dark_too: bool = True) -> None:
        """Axe finds nothing and nothing overflows on the page as it is now: light, dark, and on a phone; with a picture of each."""
        from axe_playwright_python.sync_playwright import Axe

        wrong: list[str] = []
        size = self.page.viewport_size
        for look in LOOKS if dark_too else ("light",):
            width = 390 if look == "phone" else 1280
            self.page.emulate_media(color_scheme="dark" if look == "dark" else "light")
            self.page.set_viewport_size({"width": width, "height": 844 if look == "phone" else 900})
            found = Axe().run(self.page).response["violations"]
            wrong += [f"{name} {look}: {v['id']}: {n['target']} {n['failureSummary']}" for v in found for n in v["nodes"][:3]]
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            wrong += [f"{name} {look}: {wide} wide"] if wide > width else []
            if os.environ.get("ROE_SHOTS"):
                folder = Path(os.environ["ROE_SHOTS"])
                folder.mkdir(parents=True, exist_ok=True)
                self.page.screenshot(path=str(folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}-{look}.png"), full_page=True)
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(size)
        assert not wrong, "\n".join(wrong)

    def done(self, task: str, most: int) -> None:
        print(f"{task}: {self.clicks} clicks, {time.perf_counter() - self.started:.1f} s")
        assert self.said == [] and self.clicks <= most


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`roe ui` about an example with a ledger, in which runs of two days are."""
    folder = tmp_path_factory.mktemp("office")
    for day in ("2026-03-01", "2026-03-02T10:00"):
        command = [sys.executable, "-m", "roe", "run", str(EXAMPLES / "abm"), "--data", str(EXAMPLES / "abm" / "data"), "--as-of", day]
        subprocess.run([*command, "--state", str(folder / "state"), "--out", str(folder / "out")], check=True, capture_output=True)
    server = Server("abm", folder, users=True, state=str(folder / "state"))
    yield server
    server.close()


def signed_in(chromium: Any, server: Server, token: str, **context: Any) -> User:
    user = User(chromium, server.address, **context)
    user.page.fill("#token", token)
    user.page.click("button")
    user.page.wait_for_load_state("networkidle")
    user.clicks, user.started = 0, time.perf_counter()
    return user


def test_whose_is_hooli_until_when_and_why_not_mine(chromium: Any, servers: Callable[..., Server]) -> None:
    user = signed_in(chromium, servers("static", True), "cal")
    user.type("#q", "hooli")
    user.click("#results a")
    user.reads("Hooli Inc.", "Dee Dunn", "until 15 Apr 2026")
    user.button("Ask")
    user.page.wait_for_selector(".whyanswer .headline")
    user.reads("This would give it to Cal Cruz: Wait until 29 April 2026")
    user.done("Whose is Hooli, until when, and why not mine?", 3)


def test_which_customers_a_policy_change_would_move(chromium: Any, servers: Callable[..., Server], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(EXAMPLES / "static", other)
    table = other / "tables" / "staffing.csv"
    table.write_text(table.read_text("utf-8").replace("dach,ae,eva", "dach,ae,gus"), "utf-8")
    user = User(chromium, servers("static").address)
    user.link("Review a change")
    user.type("#old", str(EXAMPLES / "static"))
    user.page.fill("#new", str(other))
    user.clicks += 1
    user.button("Compare")
    user.reads("change hands", "Nordwind AG", "Eva Ebert", "Who gains and loses")
    user.choose("#by-kind", "customer")
    user.button("Show")
    user.done("Which customers would this change move?", 6)
    user.looks_good("a review")


def test_who_would_own_an_account_without_its_ae(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("abm").address)
    user.type("#q", "torrosnor")
    user.click("#results a")
    user.link("What if something changed?")
    user.page.fill('[name="field.owner.ae"]', "")
    user.clicks += 1
    user.button("Who would own it?")
    user.page.wait_for_selector("#answer .decision")
    user.reads("With owner ae empty instead of bob", "Sam Shaw")
    user.done("Who would own Torrosnor if Bob left?", 5)
    user.looks_good("an answer to what if")


def test_where_am_i_in_the_pools_and_why_was_i_skipped(chromium: Any, servers: Callable[..., Server]) -> None:
    user = signed_in(chromium, servers("distribution", True), "bea")
    user.link("My day")
    user.reads("Your place in each pool", "skipped: at the cap of 4 per day", "To be worked", "12:00")
    user.done("Where am I in each pool, and why was I skipped?", 1)


def test_who_is_over_capacity_and_is_the_pool_fair(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("distribution").address)
    user.type("#q", "desk")
    user.click("#results a >> nth=0")
    user.reads("Share due", "Share had", "Credit")
    user.done("Is the pool fair?", 2)


def test_what_ends_soon_and_what_waits_for_a_decision(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("abm").address)
    user.reads("Ends soon", "Somebody must decide", "Farlumfar Energy")
    user.link("Farlumfar Energy")
    user.reads("is qualified", "by 4 Mar 2026")
    user.done("What waits for a decision, and why?", 1)


def test_what_a_run_would_move_away_from_a_rep(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("static").address)
    user.link("Changes")
    user.choose("#by-rep", "cal")
    user.button("Show")
    user.reads("Cal Cruz", "Ann Archer", "Globex Corporation is a named account", "1 change")
    user.done("What would a run take from Cal?", 3)


def test_which_rule_says_so_and_how_often(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("static").address)
    user.link("Policy")
    user.reads("What each rule decided", "protected")
    user.type("#pq", "strategic")
    user.reads("strategic")
    user.done("What do the rules say about strategic accounts?", 2)


def test_what_the_next_cycle_of_books_does(chromium: Any, servers: Callable[..., Server]) -> None:
    pytest.importorskip("ortools")
    user = User(chromium, servers("dynamic-books").address)
    user.link("Books")
    user.button("Plan a cycle")
    user.reads("moves in", "nothing is applied yet")
    user.choose("#by-rep", "ann")
    user.button("Show")
    user.done("What would the next cycle give Ann?", 4)


def test_what_of_the_export_was_not_understood(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("crm").address)
    user.link("Data")
    user.reads("What was read, and what was not", "Account.csv", "Not understood")
    user.done("What of the export was not understood?", 1)


# --- acting, each task by somebody who may ---------------------------------------------------------------------------------


def test_a_rep_decides_what_is_referred_to_them(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "hela")
    user.link("My day")
    user.reads("You must decide", "Alberdan Health")
    user.click("details.act summary >> text=Decide >> nth=0")
    user.fill_in('[name="rep"] >> nth=0', "Bob Bond")
    user.button("Decide")
    user.reads("Your decision is written down")
    user.done("Decide what is referred to me", 4)


def test_a_rep_says_that_they_are_away(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "sky")
    user.link("My day")
    user.click("text=Take no records for a while")
    user.fill_in("#leave-until", "2026-04-01")
    user.button("Take no records")
    user.reads("New records go to others")
    user.reads_soon("On leave, back on 1 Apr 2026")
    user.done("I am away until 1 April", 4)
    user.button("I take records again")
    user.reads("New records come again")


def test_a_rep_asks_for_an_exception_and_revops_grants_it(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "sky")
    user.type("#q", "torrosnor")
    user.click("#results a")
    user.click("text=Ask for an exception >> nth=0")
    user.fill_in("#ask-ae-reason", "they asked for me")
    user.button("Ask RevOps")
    user.reads("Your request is written down", "RevOps has not answered yet")
    user.done("Ask that Torrosnor is mine", 5)
    user = signed_in(chromium, office, "rev")
    user.link("Exceptions")
    user.reads("sky asks that Sky Snow gets it", "they asked for me")
    user.button("Grant it")
    user.reads("The exception is granted", "Nobody asks for an exception")
    user.done("Grant the exception that is asked for", 2)


def test_a_manager_sees_the_team_and_takes_a_rep_out(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "boss")
    user.link("Teams")
    user.link("Strategic")
    user.reads("Load", "Sam Shaw", "Pool tier-1", "Share due", "Coverage of the list target", "34 100 %")
    user.done("Is the target list of my team covered, and its pools fair?", 2)
    user.looks_good("a team")
    user.link("Sam Shaw")
    user.click("text=Give Sam Shaw no records for a while")
    user.fill_in("#leave-until", "2026-04-15")
    user.button("Take no records")
    user.reads("New records go to others")
    user.reads_soon("On leave, back on 15 Apr 2026")
    user.done("Sam is away: nothing new goes there", 6)
    user.button("Sam Shaw takes records again")
    user.page.goto(office.address.partition("/open")[0].rstrip("/") + "/rep/tia")
    user.reads("The day of a rep is open to the rep, their manager and RevOps.")
    user.page.goto(office.address.partition("/open")[0].rstrip("/") + "/team/Growth")
    user.reads("There is no such team among those that you may open")


def test_revops_undoes_a_run_after_a_look(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "rev")
    user.link("Changes")
    user.click("text=Undo… >> nth=0")
    user.reads("Undo this run?", "Nothing is undone yet", "2 owners go back")
    user.looks_good("undo a run", dark_too=False)
    user.fill_in("#reason", "the wrong file")
    user.click("button.danger")
    user.reads("The run is undone")
    user.done("Undo last night's run", 4)


def test_revops_approves_a_change_of_the_policy(chromium: Any, office: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(EXAMPLES / "abm", other)
    text = (other / "policy.yaml").read_text("utf-8")
    (other / "policy.yaml").write_text(text.replace("within: 2 working days", "within: 3 working days"), "utf-8")
    user = signed_in(chromium, office, "rev")
    user.link("Review a change")
    user.type("#old", str(EXAMPLES / "abm"))
    user.fill_in("#new", str(other))
    user.button("Compare")
    user.reads("Nobody has decided yet")
    user.click('label:has-text("Approve")')
    user.button("Write it down")
    user.reads("Your word on this change is written down", "approved")
    user.done("Approve a change of the policy", 6)


def test_revops_holds_a_move_back_and_applies_the_others(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("ortools")
    server = Server("dynamic-books", tmp_path, state=str(tmp_path / "state"))
    try:
        user = User(chromium, server.address)
        user.link("Books")
        user.button("Plan a cycle")
        user.click('[name="account"] >> nth=0')
        user.button("Hold back")
        user.reads("1 is held back and stays where it is")
        user.looks_good("a plan of books")
        user.click(".apply button")
        user.reads("The plan is applied")
        user.done("Hold one move back, apply the others", 5)
    finally:
        server.close()


def test_acting_works_without_script(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "rev", java_script_enabled=False)
    user.page.goto(office.address.partition("/open")[0].rstrip("/") + "/record/account/A005")
    user.page.click("text=Grant an exception >> nth=0")
    user.page.fill("#grant-ae-rep", "Cam Cole")
    user.page.fill("#grant-ae-reason", "agreed")
    user.page.click("text=Grant it >> nth=0")
    user.reads("The exception is granted")
    user.reads_soon("Exception approved by rev: agreed", "Cam Cole")


def test_the_search_works_from_the_keyboard(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("static").address)
    keys = user.page.keyboard
    user.page.click("h1")
    keys.press("/")
    keys.type("hooli", delay=5)
    user.page.wait_for_selector("text=found for “hooli”")
    keys.press("ArrowDown")
    keys.press("Enter")
    user.page.wait_for_url("**/record/account/A04")
    user.reads("Dee Dunn")


def test_a_record_is_opened_and_asked_about_with_the_keyboard_alone(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("static").address)
    keys, here = user.page.keyboard, "document.activeElement"
    user.page.goto(servers("static").address.partition("/open")[0] + "/record/account/A04")
    keys.press("Tab")
    assert user.page.evaluate(f"{here}.textContent") == "Skip to the content"
    keys.press("Enter")
    for _ in range(40):
        keys.press("Tab")
        if user.page.evaluate(f"{here}.id") == "rep-1":
            break
    outline = user.page.evaluate(f"getComputedStyle({here}).outlineStyle")
    assert user.page.evaluate(f"{here}.id") == "rep-1" and outline == "solid"  # people see where they are
    keys.type("Cal Cruz")
    keys.press("Enter")
    user.page.wait_for_selector(".whyanswer .headline")
    user.reads("This would give it to Cal Cruz: Wait until 29 April 2026")
    for _ in range(60):
        keys.press("Tab")
        if user.page.evaluate(f"{here}.textContent.trim()") == "Every rule, value and place":
            break
    keys.press("Enter")
    assert user.page.locator("details.tree[open]").count() == 1 and user.said == []


def test_pages_are_read_without_script(chromium: Any, servers: Callable[..., Server]) -> None:
    user = User(chromium, servers("static").address, java_script_enabled=False)
    user.page.fill("#q", "hooli")
    user.page.press("#q", "Enter")
    user.page.click("#results a")
    user.page.fill("#rep-1", "Cal Cruz")
    user.page.click(".whynot button >> nth=0")
    user.reads("This would give it to Cal Cruz")
    user.page.click("text=What comes after")
    user.reads("if nothing else happens")


def test_a_hostile_organisation_executes_nothing_and_breaks_no_layout(chromium: Any, tmp_path: Path) -> None:
    from test_security import NAMES
    from test_ui import TEAMS

    names = [
        *NAMES,
        "x" * 10_000,
        "W" * 300,
        '"><img src=x onerror=alert(1)>',
        "' onfocus=alert(1) autofocus x='",
        "</script><script>alert(2)</script>",
    ]
    policy_text(tmp_path / "p", TEAMS)
    for file, header in (("reps", ["id", "name", "team"]), ("accounts", ["id", "name", "secret", "owner"])):
        with (tmp_path / f"{file}.csv").open("w", encoding="utf-8", newline="") as out:
            rows = [[f"r{i}", name, name[:60]] if file == "reps" else [f"a{i}", name, name, f"r{i}"] for i, name in enumerate(names)]
            csv.writer(out).writerows([header, *rows])
    from roe.ledger.moment import At
    from roe.run.acts import Grant, Propose, perform

    acts = [
        kind(by=name[:200], entity="account", record=f"a{i}", role="ae", rep=f"r{i}", until=date(2026, 6, 1), reason=name)
        for i, name in enumerate(names)
        for kind in (Grant, Propose)
    ]
    perform(str(tmp_path / "state"), acts, At.of("2026-02-01", "UTC"))
    server = Server("", tmp_path, policy=tmp_path / "p", data=tmp_path, as_of="2026-02-01", state=str(tmp_path / "state"))
    try:
        user = User(chromium, server.address)
        user.page.on("dialog", lambda d: user.said.append(f"a dialog: {d.message}"))
        base = server.address.partition("/open")[0]
        user.page.goto(base + "/teams")
        teams = user.page.eval_on_selector_all("a[href^='/team/']", "links => links.map(x => x.getAttribute('href'))")
        assert len(teams) > 10
        for path in [
            "/",
            "/changes",
            "/teams",
            "/policy",
            "/data",
            "/exceptions",
            "/moves?since=2026-01-01",
            "/audit",
            "/audit/chain",
            "/policy/tests",
            *teams,
            *(f"/record/account/a{i}?role=ae&rep=r{i}" for i in range(len(names))),
            *(f"/rep/r{i}" for i in range(len(names))),
        ]:
            user.page.goto(base + path)
            user.page.wait_for_load_state("networkidle")
            for width in (1280, 390):
                user.page.set_viewport_size({"width": width, "height": 844})
                assert user.page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
        user.page.goto(base)
        user.type("#q", "<script>")
        assert user.said == [], user.said
        for path in ("/audit.csv", "/changes.csv", "/moves.csv?since=2026-01-01"):
            text = user.page.request.get(base + path).text()
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert cells and not [x for x in cells if x[:1] in ("=", "+", "@", "\t", "\r") or (x.startswith("-") and len(x) > 1)], path
    finally:
        server.close()


LARGE = """
roe: 1
name: large
timezone: Europe/Berlin
roles: [ae]
define: {account.big: account.employees >= 1000}
territories:
  rows:
    - {name: dach, country: "DE,AT,CH"}
    - {name: uk, country: GB}
    - {name: rest}
  staffing:
    - {territory: dach, role: ae, rep: r1}
    - {territory: uk, role: ae, rep: r2}
    - {territory: rest, role: ae, rep: r3}
engagement:
  account:
    ae:
      - {name: held, when: account.owner.ae != null and account.big, then: keep, because: "{account.owner.ae.name} works {account.name}"}
      - {name: by-territory, then: {assign: territory_owner}, because: "{account.name} is in {territory.name}"}
"""


def test_tasks_in_a_made_up_organisation_of_twenty_thousand_accounts(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    policy_text(tmp_path / "p", LARGE)
    rng, data = random.Random(5), tmp_path / "data"
    data.mkdir()
    with (data / "reps.csv").open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows(
            [["id", "name", "team", "email"], *([f"r{i}", f"Rep {i} Müller", f"team {i % 9}", f"r{i}@x.com"] for i in range(150))]
        )
    with (data / "accounts.csv").open("w", encoding="utf-8", newline="") as out:
        rows = (
            [f"A{i:05}", f"Firma {i} GmbH & Co", f"firma{i}.example", rng.choice(("DE", "AT", "GB", "US", "")), rng.randrange(5000), rng.choice(("", f"r{rng.randrange(150)}")), "x" * 60]
            for i in range(20_000)
        )  # fmt: skip
        csv.writer(out).writerows([["id", "name", "domain", "country", "employees", "owner", "description"], *rows])
    command = [
        sys.executable,
        "-m",
        "roe",
        "run",
        str(tmp_path / "p"),
        "--data",
        str(data),
        "--as-of",
        "2026-02-01",
        "--state",
        str(tmp_path / "state"),
    ]
    subprocess.run([*command, "--out", str(tmp_path / "out"), "--accept", "first run"], check=True, capture_output=True)
    server = Server("", tmp_path, policy=tmp_path / "p", data=data, as_of="2026-02-02", state=str(tmp_path / "state"))
    try:
        user = User(chromium, server.address)
        user.type("#q", "firma 12345")
        user.click("#results a")
        user.reads("Firma 12345 GmbH & Co")
        user.fill_in("#rep-1", "Rep 7 Müller")
        user.button("Ask")
        user.page.wait_for_selector(".whyanswer .headline")
        user.done("20,000 accounts: whose is it, and why not Rep 7's?", 4)
        user.page.click("text=Grant an exception")
        user.page.fill("#grant-ae-rep", "r7")
        user.page.fill("#grant-ae-reason", "a friend")
        user.button("Grant it")
        user.reads("The exception is granted")
        user.reads_soon("a friend", "Rep 7 Müller")
        for path in (
            "/",
            "/?q=gmbh",
            "/changes",
            "/moves?since=2026-01-01",
            "/policy",
            "/teams",
            "/team/team%203",
            "/rep/r1",
            "/territory/dach",
            "/data",
            "/exceptions",
        ):
            started = time.perf_counter()
            user.page.goto(server.address.partition("/open")[0].rstrip("/") + path)
            user.page.wait_for_load_state("networkidle")
            print(f"  {path}: {time.perf_counter() - started:.2f} s, {len(user.page.content()):,} characters")
            assert len(user.page.content()) < 300_000, path  # pages, and never everything
            user.looks_good(f"20,000 accounts {path}", dark_too=path in ("/", "/teams", "/policy"))
        assert user.said == [], user.said
    finally:
        server.close()


PAGES = {
    "static": [
        "/",
        "/?q=a",
        "/record/account/A04?role=ae&rep=cal",
        "/what-if?entity=account&record=A04",
        "/changes",
        "/policy",
        "/policy/findings",
        "/policy/tests",
        "/policy/coverage",
        "/teams",
        "/team/Team%20of%20Vera%20Pratt",
        "/territory/dach",
        "/rep/ann",
        "/review",
        "/data",
        "/data/rejects",
        "/audit",
        "/nothing",
    ],
    "distribution": ["/record/lead/L03", "/rep/bea", "/pool/desk", "/what-if"],
    "windows": ["/record/account/W1"],
    "dynamic-books": ["/books"],
}
ACTED = ["/", "/record/account/A003", "/record/account/A067", "/moves?since=2026-02-01", "/exceptions", "/policy", "/audit", "/audit/chain", "/review", "/entry/5", "/rep/sky", "/team/Strategic", "/history/account/A003"]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_page_looks_good(chromium: Any, servers: Callable[..., Server], name: str) -> None:
    server = servers(name)
    user = User(chromium, server.address)
    opened_one_by_one(user, server, PAGES[name], name)
    assert [x for x in user.said if "404" not in x] == []


def test_every_page_that_acts_looks_good(chromium: Any, office: Server) -> None:
    user = signed_in(chromium, office, "rev")
    opened_one_by_one(user, office, ACTED, "acting")
    assert user.said == []


def test_what_other_people_see_looks_good(chromium: Any, office: Server) -> None:
    """The page of another team's record, that of another rep, and the way in."""
    user = User(chromium, office.address)
    user.looks_good("sign in")
    user = signed_in(chromium, office, "sky")
    opened_one_by_one(user, office, ["/", "/rep/sky", "/record/account/A001", "/rep/tia", "/audit", "/changes"], "as a rep")


def opened_one_by_one(user: User, server: Server, paths: list[str], name: str) -> None:
    """Open pages with all that is folded in them."""
    for path in paths:
        user.page.goto(server.address.partition("/open")[0].rstrip("/") + path)
        user.page.wait_for_load_state("networkidle")
        user.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        user.looks_good(name + path)
