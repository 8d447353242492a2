"""Leads that are matched to accounts which the same policy decides before them, in tasks: each task matches its leads among a few accounts as all would."""

from __future__ import annotations

from pathlib import Path

import pytest

from effort import tries
from helpers import policy_text

pytest.importorskip("pyarrow")
import roe
from alike import COLUMNS, ROWS, TASKS, allocations, assert_alike, assert_alike_in_nights, by
from made_features import KINDS
from made_matches import MatchedLeads


@pytest.mark.parametrize("first", range(tries(1, 4, 200)))
def test_random_leads_that_are_matched_to_random_accounts(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.share.kind.MANY", 5)  # records of a task
    world = MatchedLeads(KINDS.index("accounts") + len(KINDS) * first, tmp_path / "world")
    name, shared = sorted(TASKS.items())[first % len(TASKS)]
    assert_alike_in_nights(world, {**ROWS, **COLUMNS, name: shared}, first)
    if first < 3:  # in which nothing is that keeps records together
        assert shared.together == ""


SOME = tries({"3 tasks": TASKS["3 tasks"]}, TASKS, TASKS)
RULES = """roe: 1
name: t
roles: [ae, sdr]
fields: {account: {other_domains: string, size: number, met: date, seen: datetime}, lead: {size: number, met: date, seen: datetime}}
matching: %s
%s
engagement:
  account: {ae: [{name: us, when: 'account.country = "US"', then: {assign: ann}}, {name: rest, then: keep}]}
  lead: {sdr: [%s]}
"""
OWNER = "{name: owner, when: account != null, then: {assign: account.owner.ae}, because: 'of {account.name}'}, {name: rest, then: open}"
MAIL = "{methods: [{name: mail, match: 'domain(lead.email) = account.domain', unless: 'is_freemail(lead.email)'}], tie_break: [%s]}"


def together(folder: Path, matching: str, accounts: str, leads: str, sections: str = "", rules: str = OWNER, **data: str) -> str:
    """Why tasks would decide all records of these at once; empty if they do not."""
    return _run(folder, matching, accounts, leads, sections, rules, data)[0]


def owners(folder: Path, matching: str, accounts: str, leads: str, sections: str = "", rules: str = OWNER, **data: str) -> dict[str, str]:
    """Who gets each lead, by its account, in whatever way the records are shared out."""
    why, lines = _run(folder, matching, accounts, leads, sections, rules, data)
    assert why == ""
    return {x["record"]: x["owner"] for x in lines if x["entity"] == "lead"}


def _run(
    folder: Path, matching: str, accounts: str, leads: str, sections: str, rules: str, data: dict[str, str]
) -> tuple[str, list[dict[str, str]]]:
    texts = {f"data__{name}_csv": text for name, text in {"accounts": accounts, "leads": leads, **data}.items()}
    evaluator = roe.compile(roe.load(policy_text(folder, RULES % (matching, sections, rules), **texts)))
    found = assert_alike({**ROWS, **COLUMNS, **SOME}, evaluator, folder / "data", "2026-02-01", folder, remembers=False)
    (why,) = {shared.together for shared in SOME.values()}
    return why, allocations(found)


ACCOUNTS = """id,name,domain,country,owner,employees,deleted
A1,Acme,acme.com,DE,bob,5,
A2,Acme US,acme.com,US,,9,
A3,Bolt,bolt.de,DE,cy,,
A4,Cone,cone.fr,FR,dee,,yes
A5,Dove,dove.it,IT,eve,,
A6,Elk,elk.es,ES,flo,1,
A6,Elk,elk.es,ES,gus,1,
A7,Mail,gmail.com,ES,hal,1,
"""
LEADS = """id,email,account
L1,a@acme.com,
L2,b@bolt.de,
L3,c@cone.fr,
L4,d@elk.es,
L5,e@nobody.org,
L6,f@gmail.com,
L7,,
L8,g@acme.com,A3
L9,h@bolt.de,A4
"""


def test_a_lead_gets_the_owner_of_the_account_that_has_its_domain(tmp_path: Path) -> None:
    """Of two accounts the first by the tiebreaker; not one that is deleted, or of which there are two versions; the account in the data comes first."""
    assert owners(tmp_path, MAIL % "{most: account.employees}", ACCOUNTS, LEADS) == {
        "L1": "ann", "L2": "cy", "L3": "", "L4": "", "L5": "", "L6": "", "L7": "", "L8": "cy", "L9": "cy",
    }  # fmt: skip


@pytest.mark.parametrize(("tie", "owner"), [
    ("", "bob"),  # the lower id
    ("{most: 'if account.owner.ae = null then 0 else 1'}, {least: account.id}", "bob"),  # as they are decided: both have an owner by now
    ("{most: 'if account.owner.ae.name = \"Ann\" then 1 else 0'}", "ann"),
    ("{most: 'count(account.open_opportunities)'}", "ann"), ("{least: account.parent.employees}", "ann"),
])  # fmt: skip
def test_tiebreakers_see_all_that_belongs_to_an_account(tie: str, owner: str, tmp_path: Path) -> None:
    accounts = "id,domain,country,owner,parent,employees\nA1,acme.com,DE,bob,A9,7\nA2,acme.com,US,,A8,3\nA8,,DE,,,3\nA9,,DE,,,7\n"
    more = {"opportunities": "id,account,is_closed\nO1,A2,false\nO2,A1,true\n", "reps": "id,name\nann,Ann\nbob,Bob\n"}
    assert owners(tmp_path, MAIL % tie, accounts, "id,email\nL1,a@acme.com\n", **more) == {"L1": owner}


NAME = "{name: name, similar: [lead.company, account.name], unless: 'contradicts(lead.country, account.country)'}"


def test_names_are_as_rare_as_among_all_accounts(tmp_path: Path) -> None:
    """Of many accounts with `Kortavi` the one that has nothing else is not `Kortavi Trading`, though it would be if there were no others: a task
    of leads has no others, and has that one for another lead.
    """
    others = [
        "Alpen",
        "Birke",
        "Cidre",
        "Dolmen",
        "Eiche",
        "Fjord",
        "Gamma",
        "Hafen",
        "Iris",
        "Jota",
        "Kegel",
        "Lotus",
        "Mango",
        "Nadel",
        "Opal",
        "Pinie",
        "Quarz",
        "Rubin",
        "Salbei",
        "Tulpe",
    ]
    accounts = "id,name,country,owner\n" + "".join(f"B{i:02},Kortavi {word},DE,b{i}\n" for i, word in enumerate(others))
    accounts += "A1,Kortavi,,one\nA2,Memel Bank,DE,two\nA3,Memel Bank,FR,three\nA4,Memel Bank AG,FR,four\nA5,Norbeck Seguros,,five\n"
    leads = "id,company,country\nL1,Kortavi,\nL2,Kortavi Trading,\nL3,Kortavi Kegel GmbH,\nL4,Memel Bank AG,FR\nL5,Memel Bank,DE\nL6,Norbek Seguros,\nL7, ,\n"
    found = owners(tmp_path, f"{{methods: [{NAME}]}}", accounts, leads)
    assert found == {"L1": "one", "L2": "", "L3": "b10", "L4": "four", "L5": "two", "L6": "five", "L7": ""}


def test_the_first_method_that_finds_an_account_decides(tmp_path: Path) -> None:
    accounts = "id,name,domain,country,owner\nA1,Memel Chemie,memel.de,DE,one\nA2,Norbeck Seguros,acme.com,DE,two\n"
    leads = "id,company,email,country\nL1,Memel Chemie,x@acme.com,DE\nL2,Memel Chemie,x@none.com,DE\nL3,Wexmark,x@acme.com,DE\nL4,Memel Chemie,x@acme.com,US\n"
    mail = "{name: mail, match: 'domain(lead.email) = account.domain'}"
    assert owners(tmp_path, f"{{methods: [{NAME}, {mail}]}}", accounts, leads) == {"L1": "one", "L2": "one", "L3": "two", "L4": "two"}
    assert owners(tmp_path, f"{{methods: [{mail}, {NAME}]}}", accounts, leads) == {"L1": "two", "L2": "one", "L3": "two", "L4": "two"}


def test_a_method_may_find_nobody_once_a_lead_has_an_owner(tmp_path: Path) -> None:
    """What is asked after the run goes by the new owners: then the name is looked for, which nobody asked for when the lead was decided."""
    accounts = "id,name,domain,country,owner\nA1,Memel Chemie,acme.com,US,one\nA2,Norbeck Seguros,bolt.de,DE,two\n"
    mail = "{name: mail, match: 'domain(lead.email) = account.domain', unless: lead.owner.sdr != null}"
    asked = "invariants: [{name: german, every: lead, holds: 'account.country = \"DE\"', severity: warn}]"
    found = owners(tmp_path, f"{{methods: [{mail}, {NAME}]}}", accounts, "id,email,company\nL1,x@acme.com,Norbeck Seguros\n", asked)
    assert found == {"L1": "ann"}
    assert "german" not in (tmp_path / "rows" / "out" / "invariants.csv").read_text("utf-8")


def test_the_default_definition_finds_accounts_by_all_that_it_compares(tmp_path: Path) -> None:
    accounts = """id,name,domain,website,other_domains,phone,country,city,owner
A1,Memel Chemie,,https://www.memel.de/x,,,DE,Bonn,one
A2,Norbeck Seguros,norbeck.cl,,nb.cl; norbeck.com,,CL,Lima,two
A3,Zollinger Bank,zb.ch,,,+41 44 123 45 67,CH,Bern,three
A4,Wexmark,,,,,DE,Bonn,four
A5,Wexmark,,,,,DE,Lima,five
"""
    leads = """id,email,website,phone,company,country,city
L1,a@memel.de,,,,,
L2,,memel.de,,,,
L3,a@norbeck.com,,,,,
L4,a@gmail.com,,044 123 45 67,,CH,
L5,,,,Wexmark GmbH,DE,Lima
L6,,,,Wexmark,DE,
L7,,,,Norbeck,US,
"""
    assert owners(tmp_path, "default", accounts, leads) == {
        "L1": "one", "L2": "one", "L3": "two", "L4": "three", "L5": "five", "L6": "four", "L7": "",
    }  # fmt: skip


def test_keys_of_any_kind_meet(tmp_path: Path) -> None:
    """Numbers, days, moments in two zones, lists, beginnings of words, and what is computed: each lead has one of them in common with the account."""
    conditions = (
        "lead.size = account.size", "lead.met = account.met", "lead.seen = account.seen", 'domain(lead.email) in split(account.other_domains, "; *")',
        "similarity(lead.company, account.name) >= 0.8", "lead.size + 1 = account.size * 2 and lead.company != null",
    )  # fmt: skip
    methods = ", ".join(f"{{name: m{i}, match: '{text}'}}" for i, text in enumerate(conditions))
    accounts = "id,name,owner,size,met,seen,other_domains\nA1,Memel Chemie,one,7.0,2026-01-05,2026-01-05T10:00:00+01:00,memel.de; memel.com\nA2,Bolt,two,2,,,\n"
    leads = """id,email,company,size,met,seen
L1,,,7,,
L2,,,,2026-01-05,
L3,,,,,2026-01-05T09:00:00Z
L4,a@memel.com,,,,
L5,,Memel Chemi,,,
L6,,x,13,,
L7,a@none.com,Wexmark,5,2026-01-06,2026-01-05T10:00:00Z
"""
    found = owners(tmp_path, f"{{methods: [{methods}]}}", accounts, leads)
    assert found == {**dict.fromkeys(("L1", "L2", "L3", "L4", "L5", "L6"), "one"), "L7": ""}


def test_pools_know_the_account_of_each_lead(tmp_path: Path) -> None:
    """A pool keeps the leads of one account together, whatever its tiebreakers have looked at: the task that gives out turns is told the accounts."""
    accounts = "id,domain,country,owner,name\nA1,acme.com,DE,,Acme\nA2,acme.com,DE,,Acme Two\nA3,acme.de,DE,,Norbeck\n"
    leads = "id,email,created,company\nL1,a@acme.com,2026-01-01,\nL2,b@acme.de,2026-01-02,Memel\nL3,c@gmail.com,2026-01-03,Norbeck\nL4,d@acme.com,2026-01-04,\nL5,e@acme.de,2026-01-05,\n"
    pool = "pools: {p: {members: [dee, eve, flo, gil]}}"
    both = (
        "{methods: [{name: mail, match: 'domain(lead.email) = account.domain'}, "
        + NAME
        + "], tie_break: [{most: 'count(account.activities)'}]}"
    )
    found = owners(tmp_path, both, accounts, leads, pool, "{name: turn, then: {route: p}}", activities="id,account\nT1,A2\n")
    assert found == {"L1": "dee", "L2": "eve", "L3": "eve", "L4": "dee", "L5": "eve"}


@pytest.mark.parametrize(("method", "reason"), [
    ("match: 'lead.size > account.size'", "the matching method `m` compares each lead with every account"),
    ("match: 'domain(lead.email) = account.owner.ae.id'", "the matching method `m` looks for account records by owners or by the past"),
    ("match: 'lead.size = account.size', similar: [lead.owner.sdr.name, account.name]", "the matching method `m` looks for account records by owners or by the past"),
])  # fmt: skip
def test_what_keeps_leads_and_their_accounts_together_is_named(method: str, reason: str, tmp_path: Path) -> None:
    accounts, leads = "id,name,domain,size,country,owner\nA1,Acme,acme.com,3,US,bob\n", "id,email,size\nL1,a@acme.com,5\nL2,bob@ann,\n"
    assert together(tmp_path, f"{{methods: [{{name: m, {method}}}]}}", accounts, leads) == reason


def test_any_trace_is_made_from_what_the_tasks_of_leads_and_accounts_have_kept(tmp_path: Path) -> None:
    """Each candidate with its score, its tiebreakers and why it lost, though no task of leads has searched all accounts."""
    from roe.columns.evidence import RunEvidence
    from roe.data.read import read_tables

    both = (
        MAIL[: MAIL.index("}]")]
        + "}, "
        + NAME
        + "], tie_break: [{most: account.employees}, {most: 'if account.owner.ae = null then 0 else 1'}]}"
    )
    accounts = ACCOUNTS + "B1,Memel Bank,,DE,one,3,\nB2,Memel Bank,,DE,two,3,\nB3,Memel Bank AG,,FR,three,3,\n"
    leads = "id,email,company,country\nL1,a@acme.com,,\nL2,,Memel Bank GmbH,DE\nL3,x@gmail.com,Memel,\nL4,,,\n"
    evaluator = roe.compile(roe.load(policy_text(tmp_path, RULES % (both, "", OWNER), data__accounts_csv=accounts, data__leads_csv=leads)))
    by(TASKS["3 tasks"], evaluator, tmp_path / "data", "2026-02-01", tmp_path / "run", remembers=False, traces=True)
    evidence = RunEvidence(tmp_path / "run" / "out")
    decisions = evaluator.bind(read_tables(evaluator.policy, tmp_path / "data")[0], as_of="2026-02-01").decide_all()
    assert {d.id for d in decisions if d.entity == "lead"} == {"L1", "L2", "L3", "L4"}
    for d in decisions:
        assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == d.trace.as_json(), (d.id, d.role)
