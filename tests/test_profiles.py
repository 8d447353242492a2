"""What each CRM's profile reads: headers in every spelling, ids, queues, what is closed; the same in rows and in columns."""

from __future__ import annotations

import csv
import json
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import roe
from helpers import policy_text, write_run
from roe.columns.read import read_columns
from roe.columns.run import ColumnRun
from roe.crm import PROFILES
from roe.crm.ids import checksum, fold, fold_all
from roe.crm.profile import label
from roe.data.headers import columns_of
from roe.data.read import read_tables
from roe.policy.model import standard_fields
from roe.policy.standard import STANDARD

AS_OF = "2026-03-02"


def both(tmp_path: Path, policy: str, data: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, str]]]:
    """The files of a run, which are the same from both engines."""
    policy_text(tmp_path, policy)
    evaluator = roe.compile(roe.load(tmp_path))
    write_run(evaluator.run(data, as_of=AS_OF), tmp_path / "rows")
    write_run(ColumnRun.of(evaluator, data, as_of=AS_OF), tmp_path / "columns")
    found = {}
    for path in sorted((tmp_path / "rows").glob("*")):
        if path.suffix in (".csv", ".json") and path.name not in ("state.json",):
            assert path.read_text("utf-8") == (tmp_path / "columns" / path.name).read_text("utf-8"), path.name
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                found[path.stem] = list(csv.DictReader(file))
    return found


# --- profiles as tables ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_names_fields_that_there_are(name: str) -> None:
    profile = PROFILES[name]
    for entity, fields in profile.columns.items():
        assert fields.keys() <= STANDARD[entity].keys(), entity
        for field, headers in fields.items():
            assert headers and all(label(h) for h in headers), (entity, field)
    assert {entity for entity, _ in profile.true_words} <= profile.columns.keys()
    assert all(word == word.casefold() for words in profile.true_words.values() for word in words)


@pytest.mark.parametrize(("name", "entity"), [(p, e) for p, profile in PROFILES.items() for e in profile.columns])
def test_every_header_of_a_profile_is_read(name: str, entity: str) -> None:
    """A file with one header for each field, whichever of its spellings, in any case, finds every field."""
    fields = standard_fields(name)[entity]
    columns = PROFILES[name].columns[entity]
    for n in range(max(map(len, columns.values()))):
        chosen = {f: headers[min(n, len(headers) - 1)].upper() for f, headers in columns.items()}
        found = columns_of(entity, fields, dict.fromkeys(chosen.values()), ["ae"])
        for field in columns:
            assert (f"owner.{'ae'}" if field == "owner" else field) in found, (field, chosen[field])


# --- ids ------------------------------------------------------------------------------------------------------------

# from Salesforce's own documentation and common examples: short form, long form
PAIRS = [("001D000000IqhSL", "001D000000IqhSLIAZ"), ("a0B1a000000XYZ9", "a0B1a000000XYZ9EAO"), ("00530000003xqAb", "00530000003xqAbAAI")]


@pytest.mark.parametrize(("short", "long"), PAIRS)
def test_the_long_form_is_the_short_one_with_its_checksum(short: str, long: str) -> None:
    assert short + checksum(short) == long and fold(long) == short and fold(short) == short


@given(st.text(string.ascii_letters + string.digits, min_size=15, max_size=15))
def test_only_a_right_checksum_folds(short: str) -> None:
    """The checksum is the one that the documentation describes: each five characters, read backwards, as bits of an index."""
    table = string.ascii_uppercase + "012345"
    slow = "".join(table[int("".join("01"[c in string.ascii_uppercase] for c in reversed(short[i : i + 5])), 2)] for i in (0, 5, 10))
    assert checksum(short) == slow and fold(short + slow) == short
    wrong = short + slow[:2] + table[(table.index(slow[2]) + 1) % 32]
    assert fold(wrong) == wrong
    texts = pa.array([short + slow, wrong, short, None, ""])
    assert fold_all(texts).to_pylist() == [short, wrong, short, None, ""]


@pytest.mark.parametrize(("short", "long"), PAIRS[::2])
def test_a_long_id_is_the_same_in_small_letters_and_in_capitals(short: str, long: str) -> None:
    """The last three characters say which ones were capitals; a text that only looks like an id, or is too short to say so, stays."""
    others = [short.lower(), "00q0000000000001aaa"[:17], "0010000000000019aa", "companyofnorthwind", "9" + long[1:].lower()]
    cased = [long.lower(), long.upper()]
    assert list(map(fold, cased)) == [short, short] and list(map(fold, others)) == others
    texts = pa.array([*cased, None, *others, long, short])
    assert fold_all(texts).to_pylist() == [short, short, None, *others, short, short]


IDS = """
roe: 1
name: ids
profile: salesforce
roles: [ae]
fields:
  account: {{record_type: {{column: RecordTypeId, type: string}}}}
lists:
  vip: ["{vip}"]
territories:
  hit: first
  rows:
    - {{name: typed, record_type: "{type}"}}
    - {{name: other, record_type: "-"}}
engagement:
  account:
    ae:
      - {{name: vip, when: account.id in vip, then: {{assign: '"{rep}"'}}}}
      - {{name: typed, when: territory.name = "typed" and account.record_type = "{type}", then: {{assign: {rep}}}}}
      - {{name: rest, then: keep}}
"""


@pytest.mark.parametrize("data_long", [True, False])
@pytest.mark.parametrize("policy_long", [True, False])
def test_both_forms_are_one_id_and_files_keep_that_of_the_data(tmp_path: Path, policy_long: bool, data_long: bool) -> None:
    ids = {k: s + checksum(s) for k, s in {"vip": "0015g00000BBBB2", "one": "0015g00000BBBB1", "type": "0125g000000ABCD", "rep": "0055g00000AAAA2", "x": "0055g00000AAAA9"}.items()}  # fmt: skip
    there = {k: x if data_long else x[:15] for k, x in ids.items()}
    named = {k: x if policy_long else x[:15] for k, x in ids.items()}
    data = {
        "rep": [{"Id": there["rep"], "Name": "Ben"}],
        "account": [
            {"Id": there["vip"], "Name": "Two", "RecordTypeId": "", "OwnerId": there["x"]},
            {"Id": there["one"], "Name": "One", "RecordTypeId": there["type"], "OwnerId": ids["rep"][:15]},
        ],
    }
    files = both(tmp_path, IDS.format(**named), data)
    assert [(r["record"], r["rule"], r["owner"], r["owner_name"], r["previous_owner"]) for r in files["allocations"]] == [
        (there["one"], "typed", there["rep"], "Ben", there["rep"]),
        (there["vip"], "vip", there["rep"], "Ben", there["x"]),
    ]
    assert [(r["record"], r["value"], r["old_value"]) for r in files["changes"]] == [(there["vip"], there["rep"], there["x"])]


def test_the_same_record_in_both_forms_is_one_record(tmp_path: Path) -> None:
    data = {"account": [{"Id": "0015g00000BBBB1", "Name": "One"}, {"Id": "0015g00000BBBB1AAP", "Name": "One"}]}
    files = both(
        tmp_path, "roe: 1\nname: x\nprofile: salesforce\nroles: [ae]\nengagement: {account: {ae: [{name: o, then: open}]}}\n", data
    )
    assert len(files["allocations"]) == 1 and "a repetition" in files["rejects"][0]["reason"]


# --- queues ---------------------------------------------------------------------------------------------------------


def test_a_queue_is_nobody_and_the_way_back_leads_to_it(tmp_path: Path) -> None:
    policy = """
roe: 1
name: queues
profile: salesforce
roles: [sdr]
crm: {queues: {lead: [Inbound, Old queue]}}
engagement:
  lead:
    sdr:
      - {name: in-queue, when: lead.owner.sdr = null and lead.owner_queue != null, then: {assign: u1}}
      - {name: mine, when: lead.owner.sdr != null, then: open}
"""
    rows = [{"Id": f"L{i}", "LastName": "x", "OwnerId": o} for i, o in enumerate(["00G5g00000AAAA2EAP", "Old queue", "Inbound", "u1", ""])]
    files = both(tmp_path, policy, {"lead": rows, "rep": [{"Id": "u1", "Name": "Una"}]})
    back = {r["record"]: (r["value"], r["old_value"]) for r in files["rollback"]}
    assert {k: v[0] for k, v in back.items() if k != "L3"} == {"L0": "00G5g00000AAAA2", "L1": "Old queue", "L2": "Inbound"}
    assert back["L3"] == ("u1", "Inbound")  # open: it goes to the first of the queues
    assert {r["record"]: r["rule"] for r in files["allocations"]}["L4"] == ""


# --- open and closed ------------------------------------------------------------------------------------------------

CLOSED = [
    ("salesforce", {"Id": "1", "LastName": "x", "IsConverted": "true"}, "OwnerId"),
    ("salesforce", {"Id": "1", "LastName": "x", "Status": "Closed - Not Converted"}, "OwnerId"),
    ("salesforce", {"Id": "1", "LastName": "x", "Status": "unqualified"}, "OwnerId"),
    ("hubspot", {"Record ID": "1", "Email": "a@b.c", "Lead Status": "Unqualified"}, "Contact owner"),
    ("zoho", {"Record Id": "1", "Last Name": "x", "Lead Status": "Junk Lead"}, "Lead Owner"),
    ("pipedrive", {"Lead - ID": "1", "Lead - Title": "x", "Lead - Status": "Archived"}, "Lead - Owner"),
    ("dynamics", {"(Do Not Modify) Lead": "1", "Last Name": "x", "Status": "Disqualified"}, "Owner"),
    ("generic", {"id": "1", "name": "x", "converted": "yes"}, "owner"),
]
ROUTED = "roe: 1\nname: x\nprofile: {profile}\nroles: [sdr]\n{crm}pools: {{desk: {{members: [New], caps: {{per_day: 1}}}}}}\nengagement: {{lead: {{sdr: [{{name: all, then: {{route: desk}}}}]}}}}\n"


@pytest.mark.parametrize(("profile", "lead", "owner"), CLOSED)
def test_a_closed_lead_takes_no_turn_and_does_not_move(tmp_path: Path, profile: str, lead: dict[str, str], owner: str) -> None:
    key = next(iter(lead))
    fresh = {key: "2", **{k: "" for k in lead if k != key}, owner: ""}
    files = both(tmp_path, ROUTED.format(profile=profile, crm=""), {"lead": [{**lead, owner: "Old"}, {**fresh, "Email": "n@x.com"}]})
    assert {(r["record"], r["rule"], r["owner"]) for r in files["allocations"]} == {("1", "closed", "Old"), ("2", "all", "New")}
    assert [r["record"] for r in files["changes"]] == ["2"]


def test_what_is_open_can_be_declared(tmp_path: Path) -> None:
    crm = "crm: {open: {lead: 'lead.status != \"Parked\"'}}\n"
    rows = [{"Id": "1", "LastName": "x", "Status": "Parked"}, {"Id": "2", "LastName": "y", "Status": "Unqualified"}]
    files = both(tmp_path, ROUTED.format(profile="salesforce", crm=crm), {"lead": rows})
    assert {r["record"]: r["rule"] for r in files["allocations"]} == {"1": "closed", "2": "all"}


def test_an_exception_does_not_move_a_closed_lead(tmp_path: Path) -> None:
    rule = "{record: '1', entity: lead, role: sdr, owner: New, approved_by: b, reason: r, until: 2027-01-01}"
    files = both(tmp_path, ROUTED.format(profile="salesforce", crm=f"exceptions: [{rule}]\n"), {"lead": [{"Id": "1", "LastName": "x", "IsConverted": "true", "OwnerId": "Old"}]})  # fmt: skip
    assert files["allocations"][0]["owner"] == "Old" and not files["changes"]


@pytest.mark.parametrize(
    ("stage", "is_open"), [("Closed won", False), ("closedlost", False), ("Closed Lost (Sales Pipeline)", False), ("Contract sent", True), ("Cierre perdido", False), ("", True)]
)  # fmt: skip
def test_a_deal_of_hubspot_is_closed_by_its_stage(tmp_path: Path, stage: str, is_open: bool) -> None:
    policy = "roe: 1\nname: x\nprofile: hubspot\nroles: [ae]\nengagement: {account: {ae: [{name: deal, when: count(account.open_opportunities) > 0, then: keep}, {name: o, then: open}]}}\n"
    data = {
        "account": [{"Record ID": "9", "Company name": "Keel"}],
        "opportunity": [{"Record ID": "5", "Deal Name": "d", "Deal Stage": stage, "Associated Company IDs (Primary)": "9"}],
    }
    assert both(tmp_path, policy, data)["allocations"][0]["rule"] == ("deal" if is_open else "o")


# --- cells ----------------------------------------------------------------------------------------------------------


def test_of_several_companies_the_first_counts_and_is_said(tmp_path: Path) -> None:
    policy = "roe: 1\nname: x\nprofile: hubspot\nroles: [ae]\nengagement: {lead: {ae: [{name: c, when: account.owner.ae != null, then: {assign: account.owner.ae}}, {name: o, then: open}]}}\n"
    data = {
        "account": [{"Record ID": "11", "Company name": "A", "Company owner": "Ann Lee (Deactivated User)"}],
        "lead": [{"Record ID": "2", "Email": "b@x.org", "Associated Company IDs": "11;12"}],
        "rep": [{"User ID": "101", "Name": "Ann Lee"}],
    }
    assert both(tmp_path, policy, data)["allocations"][0]["owner"] == "101"
    corrected = json.loads((tmp_path / "rows" / "summary.json").read_text("utf-8"))["corrected"]
    assert {(c["entity"], c["written"], c["meant"]) for c in corrected} == {
        ("lead", "11;12", "11"),
        ("account", "Ann Lee (Deactivated User)", "Ann Lee"),
    }


def test_a_task_of_salesforce_belongs_to_its_account_and_its_who(tmp_path: Path) -> None:
    policy = "roe: 1\nname: x\nprofile: salesforce\nroles: [ae]\nengagement: {account: {ae: [{name: worked, when: count(account.activities) = 2, then: keep}, {name: o, then: open}]}}\n"
    tasks = [
        {"Id": "T1", "WhoId": "0035g00000CCCC1AAP", "WhatId": "0065g00000OOOO1AAP", "AccountId": "0015g00000BBBB1AAP"},
        {"Id": "T2", "WhoId": "00Q5g00000LLLL1", "WhatId": "", "AccountId": "0015g00000BBBB1"},
    ]
    files = both(tmp_path, policy, {"account": [{"Id": "0015g00000BBBB1AAP", "Name": "A"}], "activity": tasks})
    assert files["allocations"][0]["rule"] == "worked"
    dangling = json.loads((tmp_path / "rows" / "summary.json").read_text("utf-8"))["dangling"]
    assert not any(d["value"].startswith(("003", "006")) and d["field"] in ("lead", "account") for d in dangling)


def test_an_id_is_printed_as_it_is_written() -> None:
    from roe.grammar.parser import parse
    from roe.grammar.printer import show

    for text in ('account.id = "0015g00000BBBB1AAP"', 'account.id = "0015g00000BBBB1"'):
        tree, _ = parse(text)
        assert tree is not None and show(tree) == text


def test_deals_without_an_id_of_their_own_may_share_their_name(tmp_path: Path) -> None:
    """Zoho's potentials are called after a person, and have the id of the lead that became them; other exports have no id at all."""
    policy = "roe: 1\nname: z\nprofile: {}\nroles: [ae]\nengagement: {{account: {{ae: [{{name: two, when: count(account.opportunities) = 2, then: open}}, {{name: rest, then: hold}}]}}}}\n"
    zoho: dict[str, list[dict[str, Any]]] = {
        "account": [{"ACCOUNTID": "1", "Account Name": "A"}],
        "opportunity": [{"Potential Name": "Lewis", "ACCOUNTID": "1", "LEADID": n} for n in ("7", "8")],
    }
    plain: dict[str, list[dict[str, Any]]] = {
        "account": [{"id": "1", "name": "A"}],
        "opportunity": [{"name": "Lewis", "account": "1", "amount": n} for n in (7, 8)],
    }
    for profile, data in (("zoho", zoho), ("generic", plain)):
        found = both(tmp_path / profile, policy.format(profile), data)
        assert [r["rule"] for r in found["allocations"]] == ["two"] and not found["rejects"]


def test_a_label_that_the_profile_knows_is_not_another_field_by_its_name() -> None:
    """In reports of Salesforce `Closed` is a check box, and the day is in `Close Date`."""
    fields = standard_fields("salesforce")["opportunity"]
    assert columns_of("opportunity", fields, ["Opportunity ID", "Closed", "Won"], ["ae"]) == {
        "id": "Opportunity ID",
        "is_closed": "Closed",
        "is_won": "Won",
    }
    assert columns_of("opportunity", fields, ["Id", "Closed", "Close Date"], ["ae"])["closed"] == "Close Date"


def test_people_in_a_column_of_owners_are_not_unreadable_queues(tmp_path: Path) -> None:
    policy = "roe: 1\nname: q\nprofile: salesforce\nroles: [ae]\nengagement: {account: {ae: [{name: rest, then: open}]}}\n"
    data = {"account": [{"Id": "001D000000IqhSL", "OwnerId": "00530000003xqAb"}, {"Id": "001D000000IqhSM", "OwnerId": "00G30000003xqAb"}]}
    both(tmp_path, policy, data)
    assert not json.loads((tmp_path / "rows" / "reading.json").read_text("utf-8"))["entities"]["account"]["fields"]["owner_queue"]["unread"]


@pytest.mark.parametrize(
    ("owner", "said", "sdr"),
    [("", ["R638"], None), ("owner: {column: ['-', OwnerId]}, ", [], "u1"), ("owner: {column: [OwnerId]}, ", [], None)],
)
def test_a_crm_s_owner_of_another_role_than_rules_decide_is_said(tmp_path: Path, owner: str, said: list[str], sdr: str | None) -> None:
    """Leads belong to SDRs and accounts to AEs, and the CRM calls both owners `OwnerId`."""
    policy = (
        "roe: 1\nname: t\nprofile: salesforce\nroles: [ae, sdr]\n"
        f"fields: {{lead: {{{owner}company: string}}}}\n"
        "engagement:\n  account: {ae: [{name: keep, then: keep}]}\n  lead: {sdr: [{name: keep, then: keep}]}\n"
    )
    policy_text(
        tmp_path / "p", policy, data__Lead_csv="Id,LastName,OwnerId\nL1,Day,u1\n", data__User_csv="Id,Name\nu1,Ann\n",
        data__Account_csv="Id,Name,OwnerId\nA1,Acme,u1\n",
    )  # fmt: skip
    evaluator = roe.compile(roe.load(tmp_path / "p"))
    for reader in (read_tables, read_columns):
        assert [d.code for d in reader(evaluator.policy, tmp_path / "p" / "data")[1]] == said
    write_run(evaluator.run(read_tables(evaluator.policy, tmp_path / "p" / "data")[0], as_of=AS_OF), tmp_path / "out")
    with (tmp_path / "out" / "allocations.csv").open(encoding="utf-8", newline="") as file:
        owners = {(row["entity"], row["role"]): row["owner"] or None for row in csv.DictReader(file)}
    assert owners == {("account", "ae"): "u1", ("lead", "sdr"): sdr}
