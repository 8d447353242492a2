"""What a manager sees of a team: coverage of target lists and territories, missed service levels, what is on hold; and what tests reach."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("starlette")

from browsing import Browser, example_snapshot, said
from helpers import EXAMPLES, policy_text, tables
from roe.evaluator.engine import Evaluator, Run
from roe.stages.build import build
from roe.web.app.site import Options
from roe.web.app.snapshot import RowSnapshot
from test_ui_acting import USERS, Office

ABM = EXAMPLES / "abm"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_coverage_of_a_target_list_is_that_of_the_teams_records() -> None:
    listed = {row["domain"] for row in rows(ABM / "lists" / "targets.csv")}
    team = {row["id"] for row in rows(ABM / "data" / "reps.csv") if row["team"] == "Strategic"}
    targets = [row for row in rows(ABM / "data" / "accounts.csv") if row["domain"] in listed]
    own = [row for row in targets if row["owner_sdr"] in team]
    browser = Browser(example_snapshot("abm"))
    text = browser.text("/team/Strategic")
    assert f"all {len(own)} {sum(bool(row['owner_ae']) for row in own)} " in text and "match no record" not in text
    text = browser.text("/teams")
    assert f"all {len(targets)} {sum(bool(row['owner_ae']) for row in targets)} " in text
    assert f"{len(listed)} rows are on the list; {len(listed) - len(targets)} of them match no record" in text


def test_territories_say_how_many_of_their_records_somebody_owns() -> None:
    snapshot = example_snapshot("territories")
    text = Browser(snapshot).text("/teams")
    for o in {(o.territory, o.role) for o in snapshot.outcomes.all if o.territory}:
        of = [x for x in snapshot.outcomes.all if (x.territory, x.role) == o]
        without = sum(x.owner is None for x in of)
        assert o[0] in text and (not without or f"{without} without owner" in text)
    assert "Territories Territory account ae Owned account specialist Owned" in text


LATE = """
roe: 1
name: late
roles: [sdr]
pools: {desk: {members: true, sla: {within: 2 hours, times: 1, escalate: boss}}}
engagement:
  lead:
    sdr:
      - {name: held, when: lead.status = "Held", then: hold, because: "{lead.name} waits for its account"}
      - {name: inbound, then: {route: desk}}
"""


def test_a_team_sees_what_was_not_worked_in_time_and_what_is_on_hold(tmp_path: Path) -> None:
    policy, found = build(policy_text(tmp_path / "p", LATE))
    assert policy is not None, found
    evaluator = Evaluator(policy)
    (tmp_path / "reps.csv").write_text("id,name,team\nann,Ann,east\nbob,Bob,east\nboss,Boss,top\n", "utf-8")
    (tmp_path / "leads.csv").write_text("id,name,status\nL1,One,\nL2,Two,\nL3,Three,Held\n", "utf-8")
    (tmp_path / "activities.csv").write_text("id,lead,rep,type,at\nT1,L2,bob,call,2026-02-02T10:30\n", "utf-8")

    def snapshot(as_of: str, state: object) -> RowSnapshot:
        bound = evaluator.bind(tables(evaluator, tmp_path), as_of=as_of, state=state)  # type: ignore[arg-type]
        return RowSnapshot(Run(bound, list(bound.decide_all())))

    first = snapshot("2026-02-02T10:00", None)
    given = {o.id: o.owner for o in first.outcomes.all}
    assert given["L1"] == "ann" and given["L2"] == "bob"
    text = Browser(first).text("/team/east")
    assert "Not worked in time" not in text and "Three waits for its account" in Browser(first).text("/teams")
    assert "One desk by 2 Feb 2026, 12:00" in Browser(first).text("/rep/ann")
    state = Run(first.bound, [d for o in first.outcomes.all for d in first.decisions(o.entity, o.id)]).state()
    later = snapshot("2026-02-02T13:00", state)
    assert {o.id: o.owner for o in later.outcomes.all}["L1"] != "ann"
    text = Browser(later).text("/team/east")
    assert "Not worked in time 1 One desk Ann is now with" in text  # Two was worked, by a call
    assert "Two desk" not in Browser(later).text("/rep/bob")  # nor is it still to be worked


def test_the_page_of_coverage_says_what_roe_test_says() -> None:
    from roe.testing.cases import load_cases
    from roe.testing.coverage import cover
    from roe.web.coverage import coverage_page

    snapshot = example_snapshot("distribution")
    page = said(coverage_page(snapshot.policy, cover(snapshot.evaluator, load_cases(snapshot.policy)[0])))
    browser = Browser(snapshot)
    share = re.search(r"[\d.]+ % of rules and outcomes of conditions, by \d+ tests", page)
    assert share is not None and share[0] in browser.text("/policy/coverage")
    assert browser.page("/policy/tests").count("/policy/coverage") == 1


def test_what_has_moved_is_filtered_by_territory_and_day(tmp_path: Path) -> None:
    policy = """
roe: 1
name: moved
timezone: Europe/Berlin
roles: [ae]
territories:
  rows: [{name: north, industry: Rail}, {name: south}]
  staffing: [{territory: north, role: ae, rep: ann}, {territory: south, role: ae, rep: cal}]
engagement: {account: {ae: [{name: mine, when: account.owner.ae != null, then: keep}, {name: patch, then: {assign: territory_owner}}]}}
"""
    office = Office(tmp_path, policy, accounts="id,name,industry,owner\nA1,Acme,Rail,\nA2,Beta,Food,\n")
    office.run()
    browser = office.as_("rev")
    assert "Acme" in browser.text("/moves") and "Beta" in browser.text("/moves")
    north = browser.text("/moves?territory=north").partition("Runs in the ledger")[0]
    assert "Acme" in north and "Beta" not in north and "1 change" in north
    assert "Acme" in browser.text("/moves?until=2026-02-01") and "Nothing matches" in browser.text(
        "/moves?since=2026-01-01&until=2026-01-31"
    )
    assert browser.get("/moves.csv?territory=south").text.count("\n") == 2 and browser.get("/moves?until=x").status_code == 200


def test_the_audit_says_whether_the_chain_is_whole(tmp_path: Path) -> None:
    office = Office(tmp_path)
    assert "no entries yet" in office.as_("aud").text("/audit/chain")
    office.run()
    assert "Every entry is as it was written" in office.as_("aud").text("/audit/chain")
    assert office.as_("ann").get("/audit/chain").status_code == 403
    ledger = next(x for x in (tmp_path / "state").glob("*.sqlite*") if x.name.startswith("ledger") and x.suffix in (".sqlite", ".db"))
    con = sqlite3.connect(ledger)
    con.execute("UPDATE entry SET at = at + 1 WHERE number = 3")
    con.commit()
    con.close()
    text = office.as_("aud").text("/audit/chain")
    assert "The ledger was changed" in text and "#3" in text


def test_the_newest_entries_are_checked_from_the_hash_before_them(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.run()
    first, last, found = office.history.checked(2)
    assert (first, found.bad, last) == (last - 1, None, office.history.head()[0]) and found.entries == last


def test_the_data_page_compares_with_a_run_whose_files_stand_apart(tmp_path: Path) -> None:
    from roe.data.report import FILE
    from roe.run.folder import OutFolder

    office = Office(tmp_path)
    office.run()
    report = json.loads((tmp_path / "out" / FILE).read_text("utf-8"))
    report["entities"]["account"]["rows"] = 30
    folder = OutFolder(tmp_path / "parts", apart=True)
    with folder.locked(1):
        (folder.begin(()) / FILE).write_text(json.dumps(report), "utf-8")
        folder.seal({"run": "r1"})
        folder.put_in_place()
    assert not (tmp_path / "parts" / FILE).exists()
    page = Browser(office.laptop.current, Options(users=USERS, out=tmp_path / "parts"), "rev").text("/data")
    assert "Since the last run" in page and "30" in page
