"""Who may receive, who may hold, what counts against a cap, and which records go together: rows and columns say the same."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text

pytest.importorskip("pyarrow")
from roe.columns.run import ColumnRun
from roe.plan.outcome import ACTIONS

NOW = "2026-03-02T12:00"
HEAD = "roe: 1\nname: t\ntimezone: America/New_York\n"
REPS: list[dict[str, Any]] = [
    {"id": "ann", "role": "SDR"},
    {"id": "off", "role": "SDR", "active": False},
    {"id": "left", "role": "SDR", "ends": "2026-01-31"},
    {"id": "today", "role": "SDR", "ends": "2026-03-02"},
    {"id": "soon", "role": "SDR", "starts": "2026-03-03"},
    {"id": "away", "role": "SDR"},
    {"id": "desk", "role": "Desk"},
    {"id": "west", "role": "SDR", "ends": "2026-03-02", "timezone": "Pacific/Honolulu"},
]
LEAVES = [
    {"id": "l", "rep": "away", "starts": "2026-03-01", "until": "2026-03-09"},
    {"id": "of a rep whom no record lists", "rep": "nobody-lists", "starts": "2026-03-01"},
]
HOLD = {"ann", "soon", "away", "desk", "nobody-lists"}
RECEIVE = {"ann", "desk", "nobody-lists"}


def both(folder: Path, text: str, tables: dict[str, Any], as_of: str = NOW, state: Any = None) -> dict[tuple[str, str], Any]:
    """(record, role) -> the row engine's decision; the column engine's is the same."""
    evaluator = roe.compile(roe.load(policy_text(folder, HEAD + text)))
    run = evaluator.run(tables, as_of=as_of, state=state)
    columns = ColumnRun.of(evaluator, tables, as_of=as_of, state=state)
    reps = [str(x) for x in columns.world.tables["rep"].ids.to_pylist()]
    found = {}
    for part in columns.allocations:
        for i, record in enumerate(part.table.ids.to_pylist()):
            owner = int(part.owner[i])
            until = part.untils[part.until[i]] if part.until[i] >= 0 else None
            found[record, part.role] = (reps[owner] if owner >= 0 else None, ACTIONS[part.action[i]], until, part.reason[i].as_py())
    assert found == {(d.id, d.role): (d.owner, d.action, d.until, d.reason) for d in run.decisions}
    assert columns.state() == run.state()
    return {(d.id, d.role): d for d in run.decisions}


def owners(found: dict[tuple[str, str], Any]) -> dict[str, str | None]:
    return {record: d.owner for (record, _), d in found.items()}


EVERYONE = [*(str(r["id"]) for r in REPS), "nobody-lists"]


def test_who_keeps_what_she_has(tmp_path: Path) -> None:
    """Leave takes nothing away; the day of leaving, and the first day elsewhere, are those of the rep's own zone."""
    text = "roles: [ae]\nengagement: {account: {ae: [{name: mine, then: keep, else: open}]}}"
    accounts = [{"id": rep, "owner": rep} for rep in EVERYONE]
    found = both(tmp_path, text, {"account": accounts, "rep": REPS, "leave": LEAVES})
    assert {r for r, owner in owners(found).items() if owner} == HOLD
    later = both(
        tmp_path / "later", text, {"account": accounts, "rep": REPS, "leave": LEAVES}, "2026-03-02T03:00"
    )  # still 1 March in Hawaii
    assert {r for r, owner in owners(later).items() if owner} == HOLD | {"west"}


def test_who_is_given_a_record(tmp_path: Path) -> None:
    text = """roles: [ae]
fields: {account: {wants: rep}}
engagement: {account: {ae: [{name: wanted, then: {assign: account.wants}, else: {assign: desk}}]}}"""
    accounts = [{"id": rep, "wants": rep} for rep in EVERYONE]
    mine = [{"id": f"my-{rep}", "wants": rep, "owner": rep} for rep in EVERYONE]
    found = owners(both(tmp_path, text, {"account": accounts + mine, "rep": REPS, "leave": LEAVES}))
    assert {rep for rep in EVERYONE if found[rep] == rep} == RECEIVE
    assert {rep for rep in EVERYONE if found[f"my-{rep}"] == rep} == HOLD
    assert {found[rep] for rep in EVERYONE} == RECEIVE


@pytest.mark.parametrize("cover", [False, True])
def test_who_has_a_territory(tmp_path: Path, cover: bool) -> None:
    """A leaver's is vacant, whoever covers stands in, leave alone takes nothing away, and an unable fallback is nobody."""
    rows = ", ".join(f'{{name: {rep}, city: "c{i}"}}' for i, rep in enumerate(EVERYONE))
    staffing = ", ".join(f"{{territory: {rep}, role: ae, rep: {rep}}}" for rep in EVERYONE)
    leaves = [{**LEAVES[0], "cover": "ann"}]
    for fallback, expected in (("desk", "desk"), ("left", None), ("away", "ann" if cover else None)):
        text = f"""roles: [ae]
territories: {{rows: [{rows}], staffing: [{staffing}], fallback: {{ae: {fallback}}}{", cover: leave" if cover else ""}}}
engagement: {{account: {{ae: [{{name: t, then: {{assign: territory_owner}}, else: open}}]}}}}"""
        accounts = [{"id": rep, "city": f"c{i}"} for i, rep in enumerate(EVERYONE)]
        accounts += [{"id": f"my-{rep}", "city": f"c{i}", "owner": rep} for i, rep in enumerate(EVERYONE)]
        found = owners(both(tmp_path / fallback, text, {"account": accounts, "rep": REPS, "leave": leaves}))
        for rep in EVERYONE:
            own = rep in RECEIVE
            assert found[rep] == ("ann" if rep == "away" and cover else rep if own else expected), (rep, fallback)
            mine = "ann" if rep == "away" and cover else rep if rep in HOLD else expected
            assert found[f"my-{rep}"] == mine, (rep, fallback)


@pytest.mark.parametrize(
    ("staffed", "cover", "why"),
    [
        ("left", False, "left left on 31 January 2026: desk is the fallback"),
        ("off", True, "off is not active: desk is the fallback"),
        ("soon", False, "soon starts on 3 March 2026: desk is the fallback"),
        ("away", False, "away is on leave until 9 March 2026: desk is the fallback"),
        ("away", True, "away is on leave until 9 March 2026: ann covers"),
    ],
)
def test_a_trace_says_who_stands_in_for_whom(tmp_path: Path, staffed: str, cover: bool, why: str) -> None:
    text = f"""roles: [ae]
territories: {{rows: [{{name: us, country: US}}], staffing: [{{territory: us, role: ae, rep: {staffed}}}], fallback: {{ae: desk}}{", cover: leave" if cover else ""}}}
engagement: {{account: {{ae: [{{name: t, then: {{assign: territory_owner}}, else: open}}]}}}}"""
    leaves = [{**LEAVES[0], "cover": "ann"}]
    found = both(tmp_path, text, {"account": [{"id": "A", "country": "US"}], "rep": REPS, "leave": leaves})
    assert why in [step.text for step in found["A", "ae"].trace.steps]


def test_a_company_follows_its_oldest_record_to_whom_this_run_gives_it(tmp_path: Path) -> None:
    """The oldest one's owner has left or is moved on by its rule: the others go where it goes, not where it was."""
    text = """roles: [sdr]
pools: {p: {members: [ann, soon, desk], together: domain(lead.email)}}
engagement: {lead: {sdr: [{name: r, then: {route: p}}]}}"""
    leads = [
        {"id": f"L{i}", "created": f"2026-03-01T10:0{i}", "email": f"p{i}@acme.com", "owner": "desk" if i == 1 else None} for i in (1, 2, 3)
    ]
    assert owners(both(tmp_path, text, {"lead": leads, "rep": REPS})) == {"L1": "ann", "L2": "ann", "L3": "ann"}


def test_the_deals_of_an_account_go_together(tmp_path: Path) -> None:
    text = """roles: [ae]
pools: {p: {members: [ann, desk, nobody-lists]}}
engagement: {opportunity: {ae: [{name: has, when: opportunity.owner.ae != null, then: keep}, {name: r, then: {route: p}}]}}"""
    deals = [
        {"id": f"O{i}", "account": account, "owner": owner}
        for i, (account, owner) in enumerate([("A", None), ("B", "desk"), ("A", None), ("B", None), (None, None)])
    ]
    found = owners(both(tmp_path, text, {"account": [{"id": "A"}, {"id": "B"}], "opportunity": deals, "rep": REPS}))
    assert found["O0"] == found["O2"] == "ann" and found["O1"] == found["O3"] == "desk"


@pytest.mark.parametrize(("fallback", "expected"), [("desk", "desk"), ("left", None), ("away", None), ("off", None)])
def test_who_a_pool_falls_back_on(tmp_path: Path, fallback: str, expected: str | None) -> None:
    text = f"""roles: [sdr]
pools: {{p: {{members: [off, left, soon], fallback: {fallback}}}}}
engagement: {{lead: {{sdr: [{{name: all, then: {{route: p}}, else: open}}]}}}}"""
    found = both(tmp_path, text, {"lead": [{"id": "L"}, {"id": "M", "owner": "away"}], "rep": REPS, "leave": LEAVES})
    assert found["L", "sdr"].owner == expected
    assert found["L", "sdr"].action == ("route" if expected else "open")
    assert found["M", "sdr"].owner == ("away" if fallback == "away" else expected)


def test_a_closed_record_keeps_the_owner_of_the_crm(tmp_path: Path) -> None:
    text = """roles: [sdr]
engagement:
  lead: {sdr: [{name: all, then: keep, else: open}]}
  opportunity: {sdr: [{name: all, then: keep, else: open}]}"""
    leads = [{"id": "won", "converted": True, "owner": "left"}, {"id": "live", "converted": False, "owner": "left"}]
    deals = [{"id": "O1", "is_closed": True, "owner": "off"}, {"id": "O2", "is_closed": False, "owner": "off"}]
    found = owners(both(tmp_path, text, {"lead": leads, "opportunity": deals, "rep": REPS}))
    assert found == {"won": "left", "live": None, "O1": "off", "O2": None}


def test_an_exception_for_a_leaver_is_over(tmp_path: Path) -> None:
    text = "roles: [ae]\nexceptions: x.csv\nengagement: {account: {ae: [{name: free, then: open}]}}"
    rows = "record,role,owner,approved_by,reason,until\nA,ae,left,vp,since ever,2027-01-01\nB,ae,away,vp,since ever,2027-01-01\n"
    policy_text(tmp_path, HEAD + text, x_csv=rows)
    found = owners(both(tmp_path, text, {"account": [{"id": "A"}, {"id": "B"}], "rep": REPS, "leave": LEAVES}))
    assert found == {"A": None, "B": "away"}


@pytest.mark.parametrize(
    ("rep", "at", "status"),
    [
        ("ann", "2026-03-01T10:00", "granted"), ("off", "2026-03-01T10:00", "refused"), ("left", "2026-02-20T10:00", "refused"),
        ("left", "2026-01-20T10:00", "ended"), ("soon", "2026-03-01T10:00", "refused"), ("away", "2026-03-01T10:00", "refused"),
        ("away", "2026-02-27T10:00", "granted"), ("today", "2026-03-01T10:00", "ended"),
    ],
)  # fmt: skip
def test_who_can_claim(tmp_path: Path, rep: str, at: str, status: str) -> None:
    text = """roles: [ae]
claims: {lasts: 90 days}
engagement: {account: {ae: [{name: claimed, when: account.claim != null, then: {assign: account.claim.rep}}, {name: free, then: open}]}}"""
    tables = {"account": [{"id": "A"}], "claim": [{"id": "C", "account": "A", "rep": rep, "at": at}], "rep": REPS, "leave": LEAVES}
    evaluator = roe.compile(roe.load(policy_text(tmp_path, HEAD + text)))
    claim = evaluator.bind(tables, as_of=NOW).world.rows["claim"][0]
    assert claim["status"] == status
    # who is away on a later day keeps the claim that is running, and is given no account anew
    assert owners(both(tmp_path, text, tables))["A"] == (rep if status == "granted" and rep != "away" else None)


# --- caps -------------------------------------------------------------------------------------------------------------

CAPS = """roles: [sdr, ae]
pools: {{p: {{members: 'rep.role = "SDR"', caps: {{{caps}}}, sticky: lead.owner, together: never}}}}
engagement: {{lead: {{sdr: [{{name: all, then: {{route: p}}, else: open}}]}}}}"""
TWO = [{"id": "ann", "role": "SDR"}, {"id": "ben", "role": "SDR"}]


@pytest.mark.parametrize("caps", ["open_leads: 2", "per_day: 2", "per_week: 2", "open_leads: 2, per_day: 2"])
def test_what_reps_have_stays_under_any_cap(tmp_path: Path, caps: str) -> None:
    leads = [{"id": f"L{i}", "owner_sdr": "ann" if i < 2 else "ben", "created": f"2026-03-01T10:0{i}"} for i in range(3)]
    found = owners(both(tmp_path, CAPS.format(caps=caps), {"lead": leads, "rep": TWO}))
    assert found == {"L0": "ann", "L1": "ann", "L2": "ben"}


def test_a_cap_that_fell_sheds_what_is_too_much(tmp_path: Path) -> None:
    leads = [{"id": f"L{i}", "owner_sdr": "ann"} for i in range(5)]
    found = owners(both(tmp_path, CAPS.format(caps="open_leads: 3"), {"lead": leads, "rep": TWO}))
    assert Counter(found.values()) == {"ann": 3, "ben": 2}


def test_closed_leads_and_other_roles_count_as_they_are(tmp_path: Path) -> None:
    """A closed lead takes no place; a rep who has a lead in another role has one place for it."""
    leads = [{"id": "C", "owner_sdr": "ann", "converted": True}, {"id": "L1", "owner_ae": "ann"}, {"id": "L2"}]
    found = both(tmp_path, CAPS.format(caps="open_leads: 1"), {"lead": leads, "rep": TWO[:1]})
    assert [found[x, "sdr"].owner for x in ("C", "L1", "L2")] == ["ann", "ann", None]


@pytest.mark.parametrize("seed", range(30))
def test_random_owners_caps_and_companies(tmp_path: Path, seed: int) -> None:
    """Rows and columns agree, no cap is broken but by who had more before, and nobody under the caps loses a lead."""
    rng = random.Random(seed)
    cap = rng.randint(1, 5)
    sticky = "sticky: lead.owner," if rng.random() < 0.6 else ""
    strategy = rng.choice(["round_robin", "least_loaded", "weighted"])
    weight = "weight: rep.ramp, " if strategy == "weighted" else ""
    together = rng.choice(["never", "lead.company", "{by: lead.company, within: 2 months}"])
    text = f"""roles: [sdr, ae]
pools:
  p: {{members: 'rep.role = "SDR"', strategy: {strategy}, {weight}caps: {{open_leads: {cap}}}, {sticky} together: {together}, fallback: q}}
  q: {{members: 'rep.role = "Desk"', together: {together}}}
engagement: {{lead: {{sdr: [{{name: kept, when: lead.rating = "kept", then: keep}}, {{name: all, then: {{route: p}}, else: open}}]}}}}"""
    reps: list[dict[str, Any]] = [
        {"id": f"r{i}", "role": "SDR", "ramp": rng.choice([1, 2, 0.5]), "active": rng.random() > 0.1} for i in range(4)
    ]
    reps.append({"id": "z", "role": "Desk"})
    names = [str(r["id"]) for r in reps]
    leads: list[dict[str, Any]] = [
        {
            "id": f"L{i:02}", "owner_sdr": rng.choice([None, None, *names]), "owner_ae": rng.choice([None, None, None, *names]), "company": rng.choice([None, "x", "y", "z", "w"]),
            "converted": rng.random() < 0.15, "created": rng.choice(["2026-03-01", "2025-11-01", "2026-02-01", None]), "rating": rng.choice([None, None, "kept"]),
        }
        for i in range(rng.randint(3, 24))
    ]  # fmt: skip
    found = both(tmp_path, text, {"lead": leads, "rep": reps})
    still = [x for x in leads if not x["converted"]]

    def load(rep: str, sdr: dict[str, Any]) -> int:
        return sum(rep in (x["owner_ae"], sdr[x["id"]]) for x in still)

    before = {x["id"]: x["owner_sdr"] for x in leads}
    after = owners(found)
    for rep in names[:4]:
        assert load(rep, after) <= max(cap, load(rep, before)), rep
    if sticky:
        for x in still:
            owner = next((r for r in reps if r["id"] == x["owner_sdr"]), None)
            if owner is not None and owner["role"] == "SDR" and owner["active"] and load(owner["id"], before) <= cap:
                others = [y for y in still if y["owner_sdr"] != owner["id"] and after[y["id"]] == owner["id"]]
                assert after[x["id"]] == owner["id"] or others, x


# --- companies --------------------------------------------------------------------------------------------------------

GOES = """roles: [sdr]
pools: {{p: {{members: 'rep.role = "SDR"'{more}}}}}
engagement: {{lead: {{sdr: [{{name: mine, when: lead.owner.sdr != null, then: keep, else: {{route: p}}}}, {{name: next, then: {{route: p}}}}]}}}}"""
THREE = [{"id": "sam", "role": "SDR"}, {"id": "sid", "role": "SDR"}, {"id": "sue", "role": "SDR"}]


@pytest.mark.parametrize(
    ("older", "new", "more", "expected"),
    [
        ([("a@acme.com", "2026-01-01", "sue"), ("b@acme.com", "2026-01-02", "sid")], "c@acme.com", "", "sue"),
        ([("a@acme.com", "2026-01-03", "sue"), ("b@acme.com", "2026-01-02", "sid")], "c@acme.com", "", "sid"),
        ([("a@acme.com", "2026-01-01", "gone"), ("b@acme.com", "2026-01-02", "sid")], "c@acme.com", "", "sid"),
        ([("pat@gmail.com", "2026-01-01", "sue")], "Pat@Gmail.com", "", "sue"),
        ([("pat@gmail.com", "2026-01-01", "sue")], "kim@gmail.com", "", "sam"),
        ([("pat@gmail.com", "2026-01-01", "sue")], "pat@gmail.com", ", together: never", "sam"),
        ([("a@acme.com", "2025-12-01", "sue")], "c@acme.com", ", together: {within: 4 months}", "sue"),
        ([("a@acme.com", "2025-10-01", "sue")], "c@acme.com", ", together: {within: 4 months}", "sam"),
        ([("a@acme.com", "2025-10-01", "sue"), ("b@acme.com", "2026-02-02", "sid")], "c@acme.com", ", together: {by: domain(lead.email), within: 4 months}", "sid"),
        ([("a@acme.com", None, "sue")], "c@acme.com", ", together: {within: 4 months}", "sam"),
        ([("a@acme.com", "2026-01-01", "away")], "c@acme.com", "", "sam"),
    ],
)  # fmt: skip
def test_a_new_lead_goes_to_who_has_its_company(tmp_path: Path, older: Any, new: str, more: str, expected: str) -> None:
    leads: list[dict[str, Any]] = [{"id": f"o{i}", "email": email, "created": at, "owner": rep} for i, (email, at, rep) in enumerate(older)]
    leads.append({"id": "new", "email": new, "created": "2026-03-01"})
    people = [*THREE, {"id": "gone", "role": "SDR", "active": False}, {"id": "away", "role": "SDR"}]
    found = both(tmp_path, GOES.format(more=more), {"lead": leads, "rep": people, "leave": LEAVES})
    assert found["new", "sdr"].owner == expected
    if expected != "sam":
        assert "of the same company" in found["new", "sdr"].reason
