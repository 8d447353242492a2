"""What a run remembers from night to night: hand moves, loads that are late, and what the policy says of them; rows and columns alike."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from roe.columns.run import ColumnRun
from roe.ledger.remembered import Remembered
from roe.plan.outcome import ACTIONS

HEAD = "roe: 1\nname: t\n"
REPS = [{"id": "ann", "name": "Ann"}, {"id": "ben", "name": "Ben"}, {"id": "cal", "name": "Cal"}]


class Nights:
    """A policy that runs night after night in both engines, which must agree on everything."""

    def __init__(self, folder: Path, text: str) -> None:
        self.evaluator = roe.compile(roe.load(policy_text(folder, HEAD + text)))
        self.state: Remembered = {}

    def __call__(self, as_of: str, **tables: Any) -> dict[str, Any]:
        tables = {"rep": REPS, **tables}
        run = self.evaluator.run(tables, as_of=as_of, state=self.state)
        columns = ColumnRun.of(self.evaluator, tables, as_of=as_of, state=self.state)
        reps = [str(x) for x in columns.world.tables["rep"].ids.to_pylist()]
        found = {}
        for part in columns.allocations:
            moved, in_crm = part.moved(), part.in_crm()
            for i, record in enumerate(part.table.ids.to_pylist()):
                until = part.untils[part.until[i]] if part.until[i] >= 0 else None
                who = [reps[at] if at >= 0 else None for at in (int(part.owner[i]), int(in_crm[i]))]
                found[record, part.role] = (*who, ACTIONS[part.action[i]], until, bool(moved[i]), part.reason[i].as_py())
        assert found == {(d.id, d.role): (d.owner, d.in_crm, d.action, d.until, d.moved, d.reason) for d in run.decisions}
        assert columns.state() == run.state()
        self.state = json.loads(json.dumps(run.state()))
        return {d.id: d for d in run.decisions}


POOL = """roles: [sdr]
{more}pools: {{desk: {{members: [ann, ben], together: never, sla: {{within: 3 days, worked_by: type = "call"}}}}}}
engagement: {{lead: {{sdr: [{{name: all, then: {{route: desk}}}}]}}}}"""


def lead(owner: str | None) -> list[dict[str, Any]]:
    return [{"id": "L", "created": "2026-03-01T08:00", "owner": owner}]


def test_a_record_of_a_pool_that_was_moved_by_hand_stays_and_its_service_level_goes_on(tmp_path: Path) -> None:
    night = Nights(tmp_path, POOL.format(more=""))
    assert night("2026-03-01T12:00", lead=lead(None))["L"].owner == "ann"
    moved = night("2026-03-02T12:00", lead=lead("cal"))["L"]
    assert (moved.owner, moved.moved, str(moved.until)) == ("cal", False, "2026-03-04 12:00:00+00:00")
    late = night("2026-03-04T12:00", lead=lead("cal"))["L"]
    assert late.owner == "ben" and late.moved


def test_a_record_of_a_pool_that_was_cleared_by_hand_is_given_anew(tmp_path: Path) -> None:
    night = Nights(tmp_path, POOL.format(more=""))
    night("2026-03-01T12:00", lead=lead(None))
    assert night("2026-03-02T12:00", lead=lead("ann"))["L"].owner == "ann"  # loaded
    again = night("2026-03-03T12:00", lead=lead(None))["L"]
    assert again.owner == "ben" and again.previous is None


def test_a_record_that_was_cleared_by_hand_does_not_follow_itself(tmp_path: Path) -> None:
    night = Nights(tmp_path, POOL.replace("together: never, ", "").format(more=""))
    mail = {"email": "pat@acme.com"}
    night("2026-03-01T12:00", lead=[{**lead(None)[0], **mail}])
    assert night("2026-03-02T12:00", lead=[{**lead("ann")[0], **mail}])["L"].owner == "ann"
    assert night("2026-03-02T13:00", lead=[{**lead(None)[0], **mail}])["L"].owner == "ben"  # the next in turn


COMPANY = """roles: [sdr]
pools: {desk: {members: [ann, ben], together: {by: domain(lead.email), within: 1 month}}}
engagement: {lead: {sdr: [{name: all, then: {route: desk}}]}}"""


def test_a_company_s_records_stay_together_for_the_time_that_the_pool_says_and_no_longer(tmp_path: Path) -> None:
    night = Nights(tmp_path, COMPANY)

    def leads(*rows: tuple[str, str, str | None]) -> list[dict[str, Any]]:
        return [{"id": id, "created": f"{day}T08:00", "email": f"{id}@acme.com", "owner": owner} for id, day, owner in rows]

    first = ("L1", "2026-03-01", None)
    assert night("2026-03-01T12:00", lead=leads(first))["L1"].owner == "ann"
    assert night("2026-03-20T12:00", lead=leads(("L1", "2026-03-01", "ann"), ("L2", "2026-03-20", None)))["L2"].owner == "ann"
    assert night("2026-04-10T12:00", lead=leads(("L3", "2026-04-10", None)))["L3"].owner == "ann"  # as L2, which the data has no longer
    old = [("L1", "2026-03-01", "ann"), ("L2", "2026-03-20", "ann"), ("L3", "2026-04-10", "ann")]
    assert night("2026-05-11T12:00", lead=leads(*old, ("L4", "2026-05-11", None)))["L4"].owner == "ben"  # all of them are too old


def test_what_the_policy_decides_undoes_a_change_and_says_so(tmp_path: Path) -> None:
    night = Nights(tmp_path, POOL.format(more="by_hand: {lead: {sdr: decide}}\n"))
    night("2026-03-01T12:00", lead=lead(None))
    undone = night("2026-03-02T12:00", lead=lead("cal"))["L"]
    assert undone.owner == "ann" and undone.reason.endswith("; this undoes the change to Cal that was made in the CRM")


RULES = """roles: [ae]
{more}fields: {{account: {{wants: rep}}}}
engagement: {{account: {{ae: [{{name: wanted, then: {{assign: account.wants}}, else: open}}]}}}}"""


def account(owner: str | None, wants: str = "ann", **more: Any) -> list[dict[str, Any]]:
    return [{"id": "A", "owner": owner, "wants": wants, **more}]


def test_rules_decide_about_a_change_by_hand_unless_the_policy_keeps_it(tmp_path: Path) -> None:
    night = Nights(tmp_path / "decide", RULES.format(more=""))
    night("2026-03-01", account=account(None))
    undone = night("2026-03-02", account=account("ben"))["A"]
    assert undone.owner == "ann" and "undoes the change to Ben" in undone.reason
    cleared = night("2026-03-03", account=account(None))["A"]  # and taken away again
    assert cleared.owner == "ann" and cleared.moved

    kept = Nights(tmp_path / "keep", RULES.format(more="by_hand: {account: {ae: {keep: 30 days}}}\n"))
    kept("2026-03-01", account=account(None))
    for day, owner in (("2026-03-02", "ben"), ("2026-03-20", "ben"), ("2026-03-31", "ben"), ("2026-04-01", "ann")):
        decision = kept(day, account=account("ben"))["A"]
        assert decision.owner == owner, day
    assert kept.state["owners"]["account|A|ae"]["former"] == "ben"

    asked = Nights(tmp_path / "refer", RULES.format(more="by_hand: {account: {ae: {refer: vp, within: 2 days}}}\n"))
    asked("2026-03-01", account=account(None))
    for day in ("2026-03-02", "2026-03-05"):
        decision = asked(day, account=account("ben"))["A"]
        assert (decision.action, decision.owner, str(decision.until)) == ("refer", "ben", "2026-03-04")


def test_what_was_cleared_by_hand_stays_as_the_policy_says_night_after_night(tmp_path: Path) -> None:
    kept = Nights(tmp_path / "keep", RULES.format(more="by_hand: {account: {ae: {keep: 30 days}}}\n"))
    kept("2026-03-01", account=account(None))
    kept("2026-03-02", account=account("ann"))
    for day, owner in (("2026-03-03", None), ("2026-03-04", None), ("2026-04-01", None), ("2026-04-02", "ann")):
        decision = kept(day, account=account(None))["A"]
        assert decision.owner == owner, day
    asked = Nights(tmp_path / "refer", RULES.format(more="by_hand: {account: {ae: {refer: vp, within: 2 days}}}\n"))
    asked("2026-03-01", account=account(None))
    asked("2026-03-02", account=account("ann"))
    for day in ("2026-03-03", "2026-03-04", "2026-03-09"):
        decision = asked(day, account=account(None))["A"]
        assert (decision.action, decision.owner, str(decision.until)) == ("refer", None, "2026-03-05"), day


def test_who_had_a_record_before_is_known_for_as_long_as_nobody_has_it(tmp_path: Path) -> None:
    text = """roles: [ae]
engagement: {account: {ae: [{name: idle, when: account.idle, then: open, because: "{account.former_owner.ae.name} had it"}, {name: rest, then: keep}]}}
fields: {account: {idle: boolean}}"""
    night = Nights(tmp_path, text)
    night("2026-03-01", account=[{"id": "A", "owner": "ann", "idle": False}])
    night("2026-03-02", account=[{"id": "A", "owner": "ann", "idle": True}])
    for day in ("2026-03-03", "2026-03-04", "2026-03-05"):  # loaded by then
        assert night(day, account=[{"id": "A", "owner": None, "idle": True}])["A"].reason == "Ann had it", day


def test_a_decision_that_is_not_loaded_yet_is_written_again_and_a_late_load_is_not_a_change(tmp_path: Path) -> None:
    night = Nights(tmp_path, RULES.format(more=""))
    assert night("2026-03-01", account=account("ben"))["A"].moved
    pending = night("2026-03-02", account=account("ben"))["A"]
    assert (pending.owner, pending.previous, pending.in_crm, pending.moved) == ("ann", "ann", "ben", True)
    third = night("2026-03-03", account=account("ben", "cal"))["A"]
    assert (third.owner, third.previous, third.in_crm) == ("cal", "ann", "ben")
    late = night("2026-03-04", account=account("ann", "cal"))["A"]  # the decision of the 1st arrives
    assert (late.owner, late.previous, late.in_crm, late.moved) == ("cal", "cal", "ann", True)
    loaded = night("2026-03-05", account=account("cal", "cal"))["A"]
    assert (loaded.owner, loaded.moved) == ("cal", False)
    assert night.state["owners"]["account|A|ae"] == {"rep": "cal", "since": "2026-03-03", "former": "ann", "by": "rule", "base": "cal"}


def test_a_record_that_is_not_in_the_data_keeps_its_place(tmp_path: Path) -> None:
    night = Nights(tmp_path, RULES.format(more=""))
    night("2026-03-01", account=account(None))
    night("2026-03-02", account=[{"id": "B", "owner": None, "wants": "ben"}])
    assert night.state["owners"]["account|A|ae"]["since"] == "2026-03-01"
    assert night("2026-03-03", account=account("ann"))["A"].previous == "ann"


def test_what_rules_may_ask_of_each_role(tmp_path: Path) -> None:
    text = """roles: [ae, csm]
fields: {account: {wants: rep}}
engagement:
  account:
    ae: [{name: wanted, then: {assign: account.wants}, because: "{account.owner_since.ae}, {account.former_owner.ae.name}, {account.owner_by.ae}"}]
    csm: [{name: mine, then: keep, because: "{account.owner_since.csm}, {account.former_owner.csm.name}, {account.owner_by.csm}"}]"""
    night = Nights(tmp_path, text)
    reasons = []
    for day, ae, csm, wants in (
        ("2026-03-01", None, "cal", "ann"), ("2026-03-02", "ann", "cal", "ben"), ("2026-03-03", "ben", "ann", "ben"),
    ):  # fmt: skip
        rows = [{"id": "A", "owner_ae": ae, "owner_csm": csm, "wants": wants}]
        tables: dict[str, Any] = {"rep": REPS, "account": rows}
        run = night.evaluator.run(tables, as_of=day, state=night.state)
        night(day, account=rows)
        reasons.append([d.reason for d in run.decisions])
    assert reasons == [
        ["(unknown), (unknown), (unknown)", "(unknown), (unknown), (unknown)"],
        ["1 March 2026, (unknown), rule", "(unknown), (unknown), import"],
        ["2 March 2026, Ann, rule", "3 March 2026, Cal, hand"],
    ]


def test_a_referral_keeps_its_day_is_overdue_and_escalates(tmp_path: Path) -> None:
    text = """roles: [ae]
engagement:
  account:
    ae:
      - {name: dispute, when: account.name = "open", then: {refer: [{to: sales-ops}, {to: vp, after: 5 days}, {to: ceo, after: 9 days}], within: 2 days}}
      - {name: settled, then: keep}"""
    night = Nights(tmp_path, text)
    said = []
    for day in ("02", "03", "04", "06", "07", "10", "11", "20"):
        decision = night(f"2026-03-{day}", account=[{"id": "A", "name": "open", "owner": "ann"}])["A"]
        said.append((str(decision.until), decision.reason.split(",")[0].replace(" must decide", ""), "overdue" in decision.reason))
    days = [False, False, True, True, True, True, True, True]
    who = ["sales-ops"] * 4 + ["vp"] * 2 + ["ceo"] * 2
    assert said == [("2026-03-04", w, late) for w, late in zip(who, days, strict=True)]
    assert night("2026-03-21", account=[{"id": "A", "name": "done", "owner": "ann"}])["A"].action == "keep"
    again = night("2026-03-22", account=[{"id": "A", "name": "open", "owner": "ann"}])["A"]  # another question
    assert str(again.until) == "2026-03-24" and "sales-ops" in again.reason


@pytest.mark.parametrize(
    ("asked", "said"),  # on the day before the manager leaves, on that day, and once the next step is due
    [
        ("[{to: account.owner.ae.manager}, {to: vp, after: 3 days}]", ["Dee", "vp", "vp"]),
        ("[{to: ops}, {to: account.owner.ae.manager, after: 1 day}]", ["ops", "Dee, who has left,", "Dee, who has left,"]),
        ("account.owner.ae.manager", ["Dee", "Dee, who has left,", "Dee, who has left,"]),
    ],
)
def test_a_referral_to_a_manager_who_has_left_goes_to_the_next_step(asked: str, said: list[str], tmp_path: Path) -> None:
    night = Nights(tmp_path, f"roles: [ae]\nengagement: {{account: {{ae: [{{name: ask, then: {{refer: {asked}, within: 2 days}}}}]}}}}")
    reps = [{"id": "ann", "name": "Ann", "manager": "dee"}, {"id": "dee", "name": "Dee", "ends": "2026-03-03"}]
    for day, who, late in zip(("2026-03-02", "2026-03-03", "2026-03-05"), said, ("", "", ", which is overdue"), strict=True):
        asks = night(day, rep=reps, account=[{"id": "A", "owner": "ann"}])["A"]
        assert (asks.owner, asks.until, asks.reason) == ("ann", date(2026, 3, 4), f"{who} must decide{late}, by rule `ask`")


def test_a_row_with_an_earlier_stamp_than_what_the_crm_has_shown_changes_nothing(tmp_path: Path) -> None:
    """A was given to Ann and loaded, B was moved to Cal by hand; then an export from before both arrives, and one with A's next owner of old."""
    night = Nights(
        tmp_path,
        """roles: [ae]
fields: {account: {wants: rep}}
engagement: {account: {ae: [{name: w, when: account.wants != null, then: {assign: account.wants}}, {name: k, then: keep}]}}""",
    )

    def rows(a: str | None, wants: str, a_at: int, b: str, b_at: int) -> list[dict[str, Any]]:
        return [
            {"id": "A", "owner": a, "wants": wants, "modified_at": f"2026-02-{a_at:02}T10:00:00Z"},
            {"id": "B", "owner": b, "modified_at": f"2026-02-{b_at:02}T10:00:00Z"},
        ]

    def of(day: str, *shown: Any) -> dict[str, tuple[str | None, str | None, bool]]:
        return {d.id: (d.owner, d.previous, d.moved) for d in night(day, account=rows(*shown)).values()}

    assert of("2026-03-01", None, "ann", 1, "ben", 1) == {"A": ("ann", None, True), "B": ("ben", "ben", False)}
    now = {"A": ("ann", "ann", False), "B": ("cal", "cal", False)}
    assert of("2026-03-02", "ann", "ann", 10, "cal", 11) == now
    assert of("2026-03-03", None, "ann", 1, "ben", 1) == now
    assert of("2026-03-04", "ann", "ann", 10, "cal", 12) == now
    assert of("2026-03-05", "ann", "ben", 12, "cal", 12) == {"A": ("ben", "ann", True), "B": now["B"]}
    assert of("2026-03-06", "ben", "ben", 9, "cal", 12) == {
        "A": ("ben", "ben", True),
        "B": now["B"],
    }  # of an earlier time: it is not loaded
    assert of("2026-03-07", "ben", "ben", 13, "ben", 13) == {"A": ("ben", "ben", False), "B": ("ben", "ben", False)}
