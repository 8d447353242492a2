"""Lead-to-account matching by the default definition: what it finds, what it refuses, and what it says."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text
from roe.companies.index import NameIndex
from roe.evaluator.look_ups import needed
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.plan.operators import Relate
from test_cli import roe as command

POLICY = """
roe: 1
name: matching
roles: [ae]
matching: default
engagement:
  lead:
    ae:
      - {name: matched, when: lead.account != null, then: {assign: '"x"'}}
"""

ACCOUNTS: list[dict[str, Any]] = [
    {"id": "A1", "name": "International Business Machines Corp.", "domain": "ibm.com", "country": "US"},
    {"id": "A2", "name": "Müller & Söhne GmbH", "domain": "mueller-soehne.de", "country": "DE", "phone": "+49 30 123456"},
    {"id": "A3", "name": "Газпром нефть", "domain": "gazprom-neft.ru", "country": "RU"},
    {"id": "A4", "name": "Acme Foods Inc", "domain": "acmefoods.com", "country": "US", "city": "Boston"},
    {"id": "A5", "name": "Acme Tools Ltd", "domain": "acme-tools.co.uk", "country": "GB", "other_domains": "acmetools.com; acme.tools"},
    {"id": "A6", "name": "Stadtwerke Lindau", "domain": "sw-lindau.de", "country": "DE", "city": "Lindau", "postal_code": "88131"},
    {"id": "A7", "name": "Stadtwerke Landau", "domain": "sw-landau.de", "country": "DE", "city": "Landau", "postal_code": "76829"},
]

# what a lead says, the account it belongs to, and the method that finds it
LEADS: list[tuple[dict[str, Any], str | None, str]] = [
    ({"email": "jo@ibm.com", "company": "whatever"}, "A1", "email-domain"),
    ({"email": "jo@mail.eu.ibm.com"}, "A1", "email-domain"),
    ({"email": "jo@gmail.com", "company": "Something Else Entirely"}, None, ""),
    ({"website": "https://www.acmefoods.com/about"}, "A4", "web-domain"),
    ({"email": "jo@acmetools.com"}, "A5", "other-domain"),
    ({"email": "jo@acme.tools"}, "A5", "other-domain"),
    ({"phone": "030 123456", "country": "DE"}, "A2", "phone"),
    ({"company": "IBM"}, "A1", "company-name"),
    ({"company": "Mueller und Soehne"}, "A2", "company-name"),
    ({"company": "Gazprom Neft"}, "A3", "company-name"),
    ({"company": "ACME FODS"}, "A4", "company-name"),
    ({"company": "Acme Tools Limited", "country": "GB"}, "A5", "company-name"),
    ({"company": "Acme Foods", "country": "GB"}, None, ""),  # another country is known on both sides
    ({"company": "Stadtwerke", "postal_code": "76829"}, "A7", ""),
    ({"company": "Stadtwerke Lindau (B)"}, "A6", "company-name"),
    ({"company": "Zeta Quantum Logistics"}, None, ""),
    ({"company": ""}, None, ""),
]


def matched(folder: Path, leads: list[dict[str, Any]], accounts: list[dict[str, Any]]) -> Any:
    policy_text(folder, POLICY)
    return roe.compile(roe.load(folder)).bind({"lead": leads, "account": accounts}, as_of="2026-02-01").world


@pytest.mark.parametrize("number", range(len(LEADS)))
def test_the_default_definition(tmp_path: Path, number: int) -> None:
    lead, account, method = LEADS[number]
    world = matched(tmp_path, [{"id": "L", **lead}], ACCOUNTS)
    row = world.rows["lead"][0]
    found = world.matcher(world.policy.plan.steps["lead", "matched_account"]).match(row)
    assert (found.row["id"] if found.row else None) == account
    assert not method or found.method == method
    assert all(c.lost for c in found.candidates if c.row is not found.row)  # every other candidate says why it lost


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    leads = [{"id": f"L{i}", **lead} for i, (lead, _, _) in enumerate(LEADS)]
    rng = random.Random(4)
    results = []
    for _ in range(4):
        world = matched(tmp_path, leads, ACCOUNTS)
        results.append({r["id"]: r["account"] and r["account"]["id"] for r in world.rows["lead"]})
        rng.shuffle(leads)
        rng.shuffle(ACCOUNTS)
    assert all(r == results[0] for r in results)


def test_scores_are_probabilities_and_the_same_name_has_the_highest() -> None:
    names = ["Nordic Steel AB", "Nordic Steel Works", "Steel Nordic", "Pordic Steel", "Bank of Nowhere", "NordicSteel"]
    index = NameIndex(names)
    for name in names:
        found = index.search(name, 0.0)
        assert all(0 <= score <= 1 for score, _ in found)
        assert found[0][1] == names.index(name) or found[0][0] == {i: s for s, i in found}[names.index(name)]
    assert {names[i] for _, i in index.search("Nordic Steel", 0.9)} == {"Nordic Steel AB", "NordicSteel"}
    assert index.search("", 0) == [] and NameIndex([]).search("x", 0) == []


def test_what_columns_find_is_what_rows_find(tmp_path: Path) -> None:
    from roe.columns.run import ColumnRun

    policy_text(tmp_path, POLICY)
    tables = {"lead": [{"id": f"L{i}", **lead} for i, (lead, _, _) in enumerate(LEADS)], "account": ACCOUNTS}
    evaluator = roe.compile(roe.load(tmp_path))
    rows = evaluator.run(tables, as_of="2026-02-01").decisions
    columns = ColumnRun.of(evaluator, tables, as_of="2026-02-01").allocations[0]
    assert [d.owner is not None for d in sorted(rows, key=lambda d: d.id)] == (columns.owner >= 0).tolist()


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(k for row in rows for k in row)))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def test_roe_match_on_any_two_files(tmp_path: Path) -> None:
    leads = write(tmp_path / "l.csv", [{"Nr": "1", "Firma": "IBM", "E-Mail": ""}, {"Nr": "2", "Firma": "", "E-Mail": "x@acmefoods.com"}])
    accounts = write(tmp_path / "a.csv", [{"account_id": a["id"], "Firmenname": a["name"], "Website": a["domain"]} for a in ACCOUNTS])
    out = tmp_path / "out.csv"
    command("match", "--leads", leads, "--accounts", accounts, "--map", "account.name=Firmenname", "--map", "id=Nr", "--out", str(out))
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [(r["lead"], r["account"], r["method"]) for r in rows] == [("1", "A1", "company-name"), ("2", "A4", "email-domain")]
    wrong = command("match", "--leads", leads, "--accounts", accounts, "--map", "company=Firm", "--out", str(out), code=2).output
    assert "there is no column `Firm`" in wrong and "did you mean `Firma`" in wrong
    for args in (["--accounts", "nowhere.csv"], [], ["--accounts", accounts, "--duplicates"]):
        assert "Traceback" not in command("match", "--leads", leads, *args, "--out", str(out), code=2).output
    command("match", "--leads", leads, "--accounts", accounts, "--out", str(tmp_path / "no" / "x.csv"), code=2)


@pytest.mark.parametrize("args", [[], ["--group"], ["--at-least", "0.9"]])
def test_large_files_match_as_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]) -> None:
    rng = random.Random(3)
    words = ["Norrsken", "Kaltmeer", "Vetri", "Halden", "Energy", "Bank", "Chile", "IV"]
    names = [" ".join([*rng.sample(words, rng.randint(1, 3)), rng.choice(("AB", "Inc.", ""))]) for _ in range(60)]
    accounts = [
        {"id": f"A{rng.randrange(90)}", "name": rng.choice(names), "domain": rng.choice(("", f"c{i}.com", "same.com", "x.github.io")),
         "other_domains": rng.choice(("", "", f"o{i}.de; o{i}.at")), "phone": rng.choice(("", f"+1 415 555 01{i:02}")), "city": rng.choice(("", "Lindau", "Landau")),
         "country": rng.choice(("", "DE", "SE", "Nowhere")), "employees": rng.choice(("", "10", "250", "many"))}
        for i in range(80)
    ]  # fmt: skip
    leads = [
        {"id": f"L{i}", "company": rng.choice(names)[: rng.randint(4, 40)], "city": rng.choice(("", "Lindau")), "country": rng.choice(("", "DE", "SE")),
         "email": rng.choice(("", f"x@c{i}.com", f"x@o{i}.at", "x@same.com", "x@gmail.com")), "phone": rng.choice(("", f"(415) 555-01{i:02}"))}
        for i in range(80)
    ]  # fmt: skip
    files = write(tmp_path / "l.csv", leads), write(tmp_path / "a.csv", accounts)
    results = []
    for large in (1 << 30, 0):
        monkeypatch.setattr("roe.cli.match_files.LARGE", large)
        out = tmp_path / "out.csv"
        said = command("match", "--leads", files[0], "--accounts", files[1], "--out", str(out), *args).output
        results.append((said, out.read_text("utf-8"), out.with_suffix(".rejects.csv").read_text("utf-8")))
    assert results[0] == results[1]


def test_roe_match_with_a_policy_tags_as_the_policy_routes(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / "policies" / "examples" / "inbound"
    out = tmp_path / "out.csv"
    data = example / "data"
    command(
        "match", "--leads", str(data / "leads.csv"), "--accounts", str(data / "accounts.csv"), "--policy", str(example), "--out", str(out)
    )
    tagged = {r["lead"]: r["account"] for r in csv.DictReader(out.open(encoding="utf-8"))}
    for lead, account in tagged.items():
        text = command("explain", lead, str(example), "--data", str(data), "--as-of", "2026-02-02", "--format", "json").output
        steps = {s["name"]: s for d in _each(text) for s in d["steps"]}
        if "matched_account" in steps:
            assert (steps["matched_account"]["value"] or "") == account


def _each(text: str) -> list[Any]:
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


def test_duplicate_leads_are_found(tmp_path: Path) -> None:
    rows = [
        {"id": "1", "first_name": "Ada", "last_name": "Ash", "email": "ada@new.com", "company": "New Co", "phone": "+1 415 555 0100"},
        {"id": "2", "first_name": "Bo", "last_name": "Berg", "email": "bo@new.com", "company": "New Co", "phone": ""},
        {"id": "3", "first_name": "Ada", "last_name": "Ash", "email": "ADA@new.com ", "company": "", "phone": ""},
        {"id": "4", "first_name": "Adda", "last_name": "Ash", "email": "a.ash@gmail.com", "company": "New Company", "phone": ""},
        {"id": "5", "first_name": "Ada", "last_name": "Ash", "email": "", "company": "", "phone": "+14155550100"},
    ]
    out = tmp_path / "out.csv"
    command("match", "--leads", write(tmp_path / "l.csv", rows), "--duplicates", "--out", str(out))
    found = {r["lead"]: (r["duplicate_of"], r["method"]) for r in csv.DictReader(out.open(encoding="utf-8"))}
    assert found == {"1": ("", ""), "2": ("", ""), "3": ("1", "same-email"), "4": ("1", "same-person"), "5": ("1", "same-phone")}


# (first name, last name, company, e-mail address) of two leads, and whether they are one person at one company
PAIRS = [
    (("Zoë", "Dubois", "Orchardwerk", ""), ("Ömer", "Dubois", "Juniperfood", ""), False),  # no e-mail address is no address that both have
    (("Ann", "Ash", "Orchardwerk", "a@gmail.com"), ("Ann", "Ash", "Juniperfood", "ann@gmx.de"), False),  # nor is a mail provider's domain
    (("Ann", "Ash", "", ""), ("Ann", "Ash", "", ""), False),  # nobody says that their company is the same
    (("Max", "Mustermann", "Acme", ""), ("Marie", "Mustermann", "Acme", ""), False),
    (("Max", "Öztürk", "Acme", ""), ("M.", "Ozturk", "ACME GmbH", ""), True),
    (("Max", "Öztürk", "", "max@acme.com"), ("MAX", "Öztürk", "", "m.o@acme.com"), True),
    (("Ann", "Ash", "Acme", ""), ("Ash", "Ann", "Acme", ""), True),
    (("", "Ann Lee Ash", "Acme", ""), ("", "Ash, Ann Lee", "Acme", ""), True),
    (("M.", "Berg", "Acme", ""), ("Bo", "Berg", "Acme", ""), False),
]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_a_person_at_a_company_is_found_again(tmp_path: Path, number: int) -> None:
    *leads, same = PAIRS[number]
    named = "name" if not leads[0][0] else "last_name"
    rows = [
        {"id": str(n), "first_name": first, named: last, "company": company, "email": email}
        for n, (first, last, company, email) in enumerate(leads)
    ]
    out = tmp_path / "out.csv"
    command("match", "--leads", write(tmp_path / "l.csv", rows), "--duplicates", "--out", str(out))
    _, second = csv.DictReader(out.open(encoding="utf-8"))
    assert second["method"] == ("same-person" if same else "")
    assert second["reason"] == ("by same-person" if same else second["reason"]) and "account" not in second["reason"]


def test_roe_match_says_what_it_reads(tmp_path: Path) -> None:
    """HubSpot's and Salesforce's own headers are known; what has nothing to go by is told apart from what finds nobody."""
    leads = write(tmp_path / "l.csv", [
        {"Record ID": "1", "Company name": "", "Website URL": "https://www.acme.com/about", "Email": "", "Original Source": "x"},
        {"Record ID": "2", "Company name": "Globex", "Website URL": "", "Email": "", "Original Source": ""},
        {"Record ID": "3", "Company name": "", "Website URL": "", "Email": "x@gmail.com", "Original Source": ""},
    ])  # fmt: skip
    accounts = write(tmp_path / "a.csv", [{"Account ID": "A1", "Account Name": "Acme Foods", "Website": "www.acme.com"}])
    out = tmp_path / "out.csv"
    said = command("match", "--leads", leads, "--accounts", accounts, "--out", str(out)).output
    assert (
        "l.csv: 3 rows; id from `Record ID`, company from `Company name`, email from `Email`, website from `Website URL`\n  not used: Original Source"
        in said
    )
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert [(r["account"], r["reason"]) for r in rows] == [
        ("A1", "by web-domain"), ("", "no account is like it"), ("", "it has nothing that a method compares"),
    ]  # fmt: skip
    assert re.search(r"\(nothing to go by\) +1 +33.3%", said)
    strange = write(tmp_path / "s.csv", [{"x": "1", "y": "2"}])
    assert (
        "--map company=… (there are x, y)" in command("match", "--leads", strange, "--accounts", accounts, "--out", str(out), code=2).output
    )
    for mapped, why in (
        ("web=Website", "there is no field `web`"),
        ("website=Web", "there is no column `Web`"),
        ("x", "is not FIELD=COLUMN"),
    ):
        assert why in command("match", "--leads", leads, "--accounts", accounts, "--map", mapped, "--out", str(out), code=2).output


GROUP_LEADS = [
    ({"company": "Wexmark AG"}, "A1", "company-name"),  # the same company is found as such
    ({"company": "Wexmark Chile SpA", "email": "jo@wexmark.cl"}, "A1", "group-domain"),
    ({"company": "Wexmark Peru SA"}, "A1", "group-name"),
    ({"company": "Quentari Fund IV"}, "A2", "group-name"),
    ({"company": "National Copper Company"}, None, ""),  # a common word is not a brand
    ({"company": "Peru Holding SA"}, None, ""),  # nor is a place
    ({"email": "jo@abc.de"}, None, ""),  # nor three letters of a domain
]
GROUP_ACCOUNTS = [
    {"id": "A1", "name": "Wexmark Chemicals AG", "domain": "wexmark.com"},
    {"id": "A2", "name": "Quentari Fund III"},
    {"id": "A3", "name": "National Steel Company", "domain": "abc.com"},
    {"id": "A4", "name": "Peru Copper SA"},
]


@pytest.mark.parametrize("number", range(len(GROUP_LEADS)))
def test_a_company_of_the_same_group_is_found_where_groups_are_asked_for(tmp_path: Path, number: int) -> None:
    lead, account, method = GROUP_LEADS[number]
    policy_text(tmp_path, POLICY.replace("matching: default", "matching: group"))
    world = roe.compile(roe.load(tmp_path)).bind({"lead": [{"id": "L", **lead}], "account": GROUP_ACCOUNTS}, as_of="2026-02-01").world
    row = world.rows["lead"][0]
    step = world.policy.plan.steps["lead", "matched_account"]
    assert isinstance(step, Relate)
    found = world.matcher(step).match(row)
    assert ((found.row["id"] if found.row else None), found.method) == (account, method)
    exact = matched(tmp_path / "exact", [{"id": "L", **lead}], GROUP_ACCOUNTS)
    alone = exact.rows["lead"][0]["account"]
    assert (alone is not None) == (method == "company-name")  # the default definition does not take one for the other


def test_groups_on_the_command_line(tmp_path: Path) -> None:
    leads = write(tmp_path / "l.csv", [{"id": str(i), "company": "", "email": "", **lead} for i, (lead, _, _) in enumerate(GROUP_LEADS)])
    accounts = write(tmp_path / "a.csv", GROUP_ACCOUNTS)
    out = tmp_path / "out.csv"
    command("match", "--leads", leads, "--accounts", accounts, "--group", "--out", str(out))
    found = [(r["account"] or None, r["method"]) for r in csv.DictReader(out.open(encoding="utf-8"))]
    assert found == [(account, method) for _, account, method in GROUP_LEADS]
    wrong = command("match", "--leads", leads, "--duplicates", "--group", "--out", str(out), code=2).output
    assert "leave out --group" in wrong
    policy_text(tmp_path / "policy", POLICY)
    own = ("match", "--leads", leads, "--accounts", accounts, "--group", "--policy", str(tmp_path / "policy"), "--out", str(out))
    assert "matching: group" in command(*own, code=2).output


@pytest.mark.parametrize(
    ("condition", "asks"),
    [
        ("lead.city != null and lead.city = account.city", "lead.city != null"),
        ("lead.city = account.city", None),
        ("(lead.city != null and lead.city = account.city) or (lead.zip != null and lead.zip = account.zip)", "lead.city != null or lead.zip != null"),
        ("(lead.city != null and lead.city = account.city) or account.country = null", None),
        ("lead.source = \"web\" and not(account.city = lead.city) and lead.size > 3", 'lead.source = "web" and lead.size > 3'),
        ("true", None),
        ("if account.city = null then lead.size > 3 else lead.size > 9", None),
    ],
)  # fmt: skip
def test_what_a_condition_asks_of_the_record_alone(condition: str, asks: str | None) -> None:
    """Where that does not hold, no account is looked for."""
    tree, _ = parse(condition)
    assert tree is not None
    part = needed(tree, "account")
    assert (None if part is None else show(part)) == asks
