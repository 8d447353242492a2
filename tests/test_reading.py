"""What a file says is what is read: its shape, its habits, what is missing in it, and a report of all that is not understood."""

from __future__ import annotations

import csv
import gzip
import io
import json
import unicodedata
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers import policy_text
from roe.cli import main
from roe.columns.load import typed_columns
from roe.columns.raw import Raw
from roe.columns.read import read_columns
from roe.data.read import read_file, read_tables
from roe.diagnostics import Diagnostic
from roe.evaluator.engine import Evaluator
from roe.policy.model import Policy
from roe.stages.build import build

HEAD = "roe: 1\nname: r\nroles: [ae]\n"
RULES = "engagement:\n  account:\n    ae:\n      - {name: open, then: open}\n"


def policy_of(folder: Path, more: str = "") -> Policy:
    policy_text(folder, HEAD + more + RULES)
    policy, found = build(folder)
    assert policy is not None, found
    return policy


def read(tmp_path: Path, content: bytes | str, more: str = "", name: str = "accounts.csv") -> tuple[Any, list[Diagnostic]]:
    """The typed table of accounts by rows, which must be that of columns; and what was found."""
    policy = policy_of(tmp_path / "p", more)
    data = tmp_path / "d"
    data.mkdir(exist_ok=True)
    (data / name).write_bytes(content.encode() if isinstance(content, str) else content)
    tables, found = read_tables(policy, data)
    raws, also = read_columns(policy, data)
    assert [(d.code, d.message, d.span.line) for d in found] == [(d.code, d.message, d.span.line) for d in also]
    if any(d.severity == "error" for d in found):
        return None, found
    world = Evaluator(policy).bind(tables, as_of="2026-03-01").world
    typed = typed_columns(policy, "account", raws["account"])
    rows = sorted(world.typed["account"].rows, key=lambda r: str(r["id"]))
    names = [n for n in typed.columns if n in typed.names or n in ("id", "name")]
    values = {n: typed.columns[n].values() for n in names}
    assert [{n: r.get(n) for n in names} for r in rows] == [{n: values[n][i] for n in names} for i in range(typed.n)]
    assert world.typed["account"].rejects == typed.rejects
    assert world.typed["account"].reading.as_json() == typed.reading.as_json()
    return world.typed["account"], found


def reasons(typed: Any) -> dict[int, str]:
    return {r.line: r.reason for r in typed.rejects}


# --- shape ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "code", "line", "says"),
    [
        ("", "R631", 1, "empty"),
        ("\n\n  \n", "R631", 1, "empty"),
        ('id,name,country\nA1,Acme,US\nA2,"Beta,DE\nA3,Gamma,FR\n', "R632", 3, "quote"),
        ('id,name,country\nA1,"Acme",US\nA2,"Beta,DE\nA3,Gamma,FR\nA4,"Delta",US\n', "R632", 3, "takes in the lines up to 5"),
        ('id,name,country\nA2,"Beta,DE\nA3,Gamma,FR\nA4,Delta",US\n', "R632", 2, "look like rows"),
        ("Identyfikator,Imię\n1,Jan\n", "R633", 1, "`Identyfikator`"),
        ("id,Name,name\n1,a,b\n", "R635", 1, "two columns for `name`"),
        ("id,name,name\n1,a,b\n", "R635", 1, "twice `name`"),
        ("<!DOCTYPE html><html><body>Log in</body></html>", "R601", 1, "HTML"),
        ("id,name\n1,\0a\n", "R601", 2, "zero bytes"),
        ("id;name\nA1,Acme\nA2,Beta\n", "R602", 2, "no row"),
        ("Id,name,Account ID\n1,a,2\n", "R635", 1, "`Id` and `Account ID`"),
        ('{"error":"invalid_grant","error_description":"expired"}\n', "R601", 1, "JSON"),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(tmp_path: Path, content: str, code: str, line: int, says: str) -> None:
    _, found = read(tmp_path, content)
    assert [(d.code, d.span.line) for d in found] == [(code, line)] and says in found[0].message and "accounts.csv" in str(found[0].span)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"id,name\n1,a\n", mtime=0), "gzip"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\xd0\xcf\x11\xe0rest", "old Excel"),
        (b"%PDF-1.7", "PDF"),
        ("id,name\n1,Müller\n2,Köhl".encode() + "ß".encode()[:1], "ends in the middle of a character"),
        ("id,name\n1,Müller Ärzte Öl Übung ß ä ö ü é è ê ñ ç å ø æ þ ð ý\n2,K".encode() + b"\xff\n", "is not UTF-8, though the rest is"),
    ],
)
def test_what_is_not_a_text_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    _, found = read(tmp_path, content)
    assert found and found[0].code == "R601" and says in found[0].message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A2,Beta", "the row has 2 cells, and the header 3"),
        ("A2,Beta,DE,FR", "the row has 4 cells, and the header 3"),
        ('"A2,Beta,DE"', "the whole row is in one pair of quotes"),
        ('A2","Beta","DE"', "a stray quote"),
        ('A2,Screen 24",DE', "a stray quote"),
        ('A2,"Beta" Corp,DE', "a quote closes in the middle of a cell"),
        ("id,name,country", "the header again"),
        (",Beta,DE", "the record has no id"),
        ("Grand Totals", "a line of the report"),
        ("Copyright (c) 2026 salesforce.com,,", "a line of the report"),
        ("Generated By: Ann,,", "a line of the report"),
        ("-----,,", "a line of the report"),
        ("1 Datensätze insgesamt,,", "a line of the report"),
        ("Vertraulich - nicht weitergeben,,", "a line of the report"),
    ],
)
def test_a_row_that_is_not_a_record_is_a_reject_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    typed, _ = read(tmp_path, f"id,name,country\nA1,Acme,US\n{line}\nA3,Gamma,FR\n")
    assert [r["id"] for r in typed.rows] == ["A1", "A3"]
    assert list(reasons(typed)) == [3] and reason in reasons(typed)[3]


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("Accounts report,,\nFiltered by: country = US,,\n,,\n", "`Accounts report`, `Filtered by: country = US`"),
        ('"Accounts, all","",""\n"","",""\n', "`Accounts, all`"),
        ("\ufeffExported by Ann on 2026-01-01\n", "`Exported by Ann on 2026-01-01`"),
        ("Report\n\n", "`Report`"),
    ],
)
def test_titles_above_the_header_are_passed_over_and_said(tmp_path: Path, above: str, said: str) -> None:
    typed, found = read(tmp_path, above + 'id,name,country\nA1,"Acme, Inc.",US\nA2,Beta,DE\n')
    assert not found and [(r["id"], r["name"]) for r in typed.rows] == [("A1", "Acme, Inc."), ("A2", "Beta")]
    header = above.count("\n") + 1
    assert typed.reading.notes == [f"what stands above its header in line {header} is not read: {said}"]
    assert [r["$line"] for r in typed.rows] == [header + 1, header + 2]


@pytest.mark.parametrize(
    ("content", "ids"),
    [("id\nA1\nA2,x\n", ["A1"]), ("name\nAcme Inc.\nBeta\n", ["Acme Inc.", "Beta"]), ("\n\nid,name\n1,a\n2,b\n", ["1", "2"])],
)
def test_a_header_of_one_name_is_no_title(tmp_path: Path, content: str, ids: list[str]) -> None:
    typed, _ = read(tmp_path, content)
    assert [r["id"] for r in typed.rows] == ids


@pytest.mark.parametrize(
    "line",
    [
        '"Total","","10200"', '"Gesamtsumme","","10.200"', '"Total général","",10200', "Average,,5100", "Count,,2", "Number of records,2,", '"2 rows","",""', '"Report generated: 3/1/2026 by Ann","",""',
        '"Source: Salesforce","",""', '"*** End of report ***","",""', '"Run on 2026-03-01","",""', '"合計","",3', '"Anything, in the first cell alone","",""', '"Downloaded on 3/1/2026"',
    ],
)  # fmt: skip
def test_what_a_report_writes_below_its_records_is_not_one(tmp_path: Path, line: str) -> None:
    typed, _ = read(tmp_path, f"id,name,revenue\nA1,Acme,10000\nA2,Total,200\n\n{line}\n")
    assert [r["id"] for r in typed.rows] == ["A1", "A2"] and list(reasons(typed)) == [5]


def test_records_like_a_report_s_lines_stay(tmp_path: Path) -> None:
    """A company may be called Total, and the last records may lack most of their cells."""
    typed, _ = read(tmp_path, "name,country,city\nCount Basie LLC,US,\nTotal,FR,Paris\nAcme,,\n")
    assert [r["name"] for r in typed.rows] == ["Count Basie LLC", "Total", "Acme"] and not typed.rejects


def test_yes_and_no_in_the_languages_of_the_profiles(tmp_path: Path) -> None:
    words = {
        "Ja": True,
        "WAHR": True,
        "oui": True,
        "Sí": True,
        "sim": True,
        "VERO": True,
        "はい": True,
        "nein": False,
        "FALSCH": False,
        "Faux": False,
        "não": False,
    }
    text = "id,flag\n" + "".join(f"{i},{word}\n" for i, word in enumerate(words))
    typed, _ = read(tmp_path, text, "fields: {account: {flag: {type: boolean}}}\n")
    assert [r["flag"] for r in typed.rows] == list(words.values())


def test_blank_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    typed, _ = read(tmp_path, 'id,name,country\nA1,Acme,US\n\n,,\n"","",""\nA3,Gamma,FR,\n')
    assert [r["id"] for r in typed.rows] == ["A1", "A3"] and not typed.rejects and typed.reading.blank == 3


def test_quotes_that_belong_there_are_read(tmp_path: Path) -> None:
    typed, _ = read(tmp_path, 'id,name,city\n1,"a ""b"" c","x, y"\n2,"two\nlines",z\n3,a "b" c,w\n4,"24"" screens",v\n')
    assert [r["name"] for r in typed.rows] == ['a "b" c', "two\nlines", 'a "b" c', '24" screens'] and not typed.rejects
    assert [r["$line"] for r in typed.rows] == [2, 3, 5, 6]


def test_ids_are_not_made_up(tmp_path: Path) -> None:
    _, found = read(tmp_path, "industry,city\nTech,Bonn\n")
    assert [d.code for d in found] == ["R634"]
    typed, _ = read(tmp_path, "name,city\nAcme,Bonn\n,Ulm\n")
    assert [r["id"] for r in typed.rows] == ["Acme"] and "cannot be told from others" in reasons(typed)[3]


def test_a_crm_s_records_have_ids(tmp_path: Path) -> None:
    _, found = read(tmp_path, "Name,Industry\nAcme,Tech\n", "profile: salesforce\n")
    assert [d.code for d in found] == ["R634"] and "`Id`" in found[0].help


def test_a_file_of_the_decided_records_must_be_there(tmp_path: Path) -> None:
    policy = policy_of(tmp_path / "p")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "reps.csv").write_text("id,name\nann,Ann\n")
    for reader in (read_tables, read_columns):
        assert [d.code for d in reader(policy, tmp_path / "d", complete=True)[1]] == ["R631"]
    policy = policy_of(tmp_path / "p", "data: {account: {optional: true}}\n")
    assert not read_tables(policy, tmp_path / "d", complete=True)[1]


def test_two_files_of_an_entity_are_said(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "account.csv").write_text("id,name\n2,b\n")
    typed, found = read(tmp_path, "id,name\n1,a\n")
    assert [d.code for d in found] == ["R637"] and [r["id"] for r in typed.rows] == ["1"]


# --- encodings and habits of files ----------------------------------------------------------------------------------

PLAIN = "id;name;city\nA1;Müller & Söhne;Köln\nA2;Société;Orléans\n"


def packed(text: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("export/accounts.csv", text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "note"),
    [
        (PLAIN.encode(), "accounts.csv", ""),
        (PLAIN.encode("utf-8-sig"), "ACCOUNTS.CSV", ""),
        (PLAIN.encode("utf-16"), "accounts.csv", "UTF-16"),
        (PLAIN.encode("utf-16-le"), "accounts.csv", "UTF-16"),
        (PLAIN.encode("utf-16-be"), "accounts.csv", "UTF-16"),
        (PLAIN.encode("latin-1"), "accounts.csv", "Windows-1252"),
        (PLAIN.encode("cp1252"), "accounts.csv", "Windows-1252"),
        (PLAIN.replace("\n", "\r\n").encode(), "accounts.csv", ""),
        (PLAIN.replace("\n", "\r").encode(), "accounts.csv", ""),
        (PLAIN.replace(";", "\t").encode(), "accounts.tsv", ""),
        (PLAIN.replace(";", "|").encode(), "accounts.csv", ""),
        (("sep=;\r\n" + PLAIN).encode(), "accounts.csv", ""),
        (("sep=\t\n" + PLAIN.replace(";", "\t")).encode(), "accounts.csv", ""),
        (("\ufeffsep=;\n" + PLAIN).encode(), "accounts.csv", ""),
        (gzip.compress(PLAIN.encode(), mtime=0), "accounts.csv.gz", ""),
        (packed(PLAIN.encode()), "accounts.zip", ""),
        (packed(PLAIN.encode("latin-1")), "accounts.csv.zip", "Windows-1252"),
        (PLAIN.replace("Köln", "\u00a0Köln\u00a0").encode(), "accounts.csv", ""),
        (unicodedata.normalize("NFD", PLAIN).encode(), "accounts.csv", ""),
    ],
)
def test_one_table_in_the_encodings_of_the_world(tmp_path: Path, content: bytes, name: str, note: str) -> None:
    typed, found = read(tmp_path, content, name=name)
    assert not found and [(r["id"], r["name"], r["city"]) for r in typed.rows] == [
        ("A1", "Müller & Söhne", "Köln"),
        ("A2", "Société", "Orléans"),
    ]
    assert any(note in n for n in typed.reading.notes) == bool(note)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Wrocław Świętokrzyskie Łódź przedsiębiorstwo Gdańsk", "cp1250"), ("Москва Общество", "cp1251"), ("日本電気株式会社東京", "cp932")],
)
def test_encodings_that_are_not_western(tmp_path: Path, text: str, encoding: str) -> None:
    typed, _ = read(tmp_path, f"id,name\n1,{text}\n".encode(encoding))
    assert typed.rows[0]["name"] == text and typed.reading.notes
    declared, _ = read(tmp_path, f"id,name\n1,{text}\n".encode(encoding), f"data: {{account: {{encoding: {encoding}}}}}\n")
    assert declared.rows[0]["name"] == text


@pytest.mark.parametrize(("name", "says"), [("M\ufffdller", "1 letter is lost"), ("MÃ¼ller, KÃ¶ln", "2 letters are UTF-8 that was read")])
def test_letters_that_an_earlier_export_has_lost_are_said(tmp_path: Path, name: str, says: str) -> None:
    typed, _ = read(tmp_path, f'id,name\n1,SÃO LUÍS\n2,"{name}"\n')
    (note,) = typed.reading.notes
    assert says in note and "first in line 3" in note and typed.rows[1]["name"] == name


@pytest.mark.parametrize(
    "content",
    [gzip.compress(PLAIN.encode(), mtime=0)[:-9], b"\x1f\x8b\x08nothing", gzip.compress(b"\0" * (100 << 20), mtime=0)],
    ids=["cut off", "not an archive", "unpacks to much"],
)
def test_a_damaged_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    _, found = read(tmp_path, content, name="accounts.csv.gz")
    assert len(found) == 1 and found[0].code in ("R601", "R309")


def test_a_workbook_is_data(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    page = book.active
    assert page is not None
    for row in (
        ["id", "name", "postal_code", "created", "employees"],
        ["A1", "Acme", 2139, date(2026, 1, 2), 12.5],
        ["A2", "Bolt", "02140", None, 7],
    ):
        page.append(row)
    page["C2"].number_format = "00000"
    out = io.BytesIO()
    book.save(out)
    typed, found = read(tmp_path, out.getvalue(), name="accounts.xlsx")
    assert not found
    assert [(r["postal_code"], r.get("created"), r["employees"]) for r in typed.rows] == [
        ("02139", date(2026, 1, 2), 12.5),
        ("02140", None, 7),
    ]


# --- numbers and dates ----------------------------------------------------------------------------------------------


def column(tmp_path: Path, field: str, values: list[str], more: str = "") -> tuple[dict[str, Any], dict[str, str]]:
    """(text -> what it means, text -> why it is rejected) of a column."""
    lines = "".join(f'R{i},"{x}"\n' for i, x in enumerate(values))
    typed, _ = read(tmp_path, f"id,{field}\n{lines}", more)
    by_id = {f"R{i}": x for i, x in enumerate(values)}
    return {by_id[r["id"]]: r.get(field) for r in typed.rows}, {by_id[r.record]: r.reason for r in typed.rejects}


def test_a_column_settles_its_decimal_sign(tmp_path: Path) -> None:
    assert column(tmp_path, "revenue", ["500,50", "2.000,00", "1.500", "1,5", "7"])[0] == {
        "500,50": 500.5,
        "2.000,00": 2000,
        "1.500": 1500,
        "1,5": 1.5,
        "7": 7,
    }
    assert column(tmp_path, "employees", ["1.200", "1.250.000"])[0] == {"1.200": 1200, "1.250.000": 1250000}
    assert column(tmp_path, "employees", ["1,200", "12.5"])[0] == {"1,200": 1200, "12.5": 12.5}
    assert column(tmp_path, "employees", ["1,200", "0.125"])[0] == {"1,200": 1200, "0.125": 0.125}
    assert column(tmp_path, "employees", ["1 200", "1\u202f200\u202f000", "1'200"])[0] == {
        "1 200": 1200,
        "1\u202f200\u202f000": 1200000,
        "1'200": 1200,
    }
    assert column(tmp_path, "employees", ["12,34,567", "1,250"])[0] == {"12,34,567": 1234567, "1,250": 1250}


def test_what_a_column_leaves_open_is_a_reject_that_names_the_declaration(tmp_path: Path) -> None:
    meant, wrong = column(tmp_path, "employees", ["1.200", "500"])
    assert meant == {"500": 500} and "can be read in two ways" in wrong["1.200"] and "data: {account: {numbers:" in wrong["1.200"]
    meant, wrong = column(tmp_path, "employees", ["1.200", "1,5", "1.5"])  # at odds with itself: only what is plain is read
    assert meant == {"1,5": 1.5, "1.5": 1.5} and list(wrong) == ["1.200"]
    assert column(tmp_path, "employees", ["1.200"], 'data: {account: {numbers: "1.234,5"}}\n')[0] == {"1.200": 1200}
    assert column(tmp_path, "employees", ["1.200"], 'data: {account: {numbers: "1,234.5"}}\n')[0] == {"1.200": 1.2}
    assert column(tmp_path, "employees", ["1.200"], 'fields: {account: {employees: {format: "1.234,5"}}}\n')[0] == {"1.200": 1200}
    meant, wrong = column(tmp_path, "employees", ["1.5"], 'data: {account: {numbers: "1.234,5"}}\n')
    assert not meant and "decimal sign" in wrong["1.5"]


@pytest.mark.parametrize(
    "text",
    [
        "<1000",
        ">1000",
        "~50",
        "1000+",
        "v2",
        "Q3 5",
        "/7",
        "no 5",
        "#5",
        "1-10",
        "10k",
        "12%",
        "1.2.3",
        "1,2,3",
        "1e",
        "5 apples",
        "ABC 5",
        "١٢",
        "1.234.56",
        "(500)",
    ],
)
def test_what_is_not_a_number_is_rejected(tmp_path: Path, text: str) -> None:
    meant, wrong = column(tmp_path, "employees", [text, "1"])
    assert meant == {"1": 1} and "is not a number" in wrong[text]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$ 1,000.50", 1000.5),
        ("€500", 500),
        ("500 €", 500),
        ("R$ 1.000,00", 1000),
        ("USD 5", 5),
        ("-5", -5),
        ("−5", -5),
        ("1e3", 1000),
        ("+5", 5),
    ],
)
def test_numbers_as_they_come(tmp_path: Path, text: str, value: float) -> None:
    assert column(tmp_path, "revenue", [text])[0] == {text: value}


@pytest.mark.parametrize(
    ("texts", "several"),
    [
        (["€5", "EUR 5", "5 EUR"], False), (["$5", "US$ 5", "USD 5"], False), (["$5", "CAD 5"], False), (["kr 5", "5 SEK"], False),
        (["$5", "CAD 5", "USD 5"], True), (["A$5", "C$5"], True), (["kr 5", "EUR 5"], True), (["£5", "5 EUR"], True),
    ],
)  # fmt: skip
def test_a_sign_and_its_code_are_one_currency(tmp_path: Path, texts: list[str], several: bool) -> None:
    meant, wrong = column(tmp_path, "revenue", texts)
    assert set(wrong) == (set(texts) if several else set()) and set(meant.values()) == (set() if several else {5})


def test_a_declared_currency_is_known_by_its_sign(tmp_path: Path) -> None:
    meant, wrong = column(tmp_path, "revenue", ["$5", "USD 6", "€7"], "fields: {account: {revenue: {currency: USD}}}\n")
    assert meant == {"$5": 5, "USD 6": 6} and list(wrong) == ["€7"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500-", -500), ("1.234,50-", -1234.5), ("1.000,00- EUR", -1000), ("1.500,-", 1500), ("CHF 1'500.–", 1500), ("5,-- €", 5),
        ("2.5 million", 2500000), ("3 Tsd.", 3000), ("1 billion", 10**9), ("$2 Mrd.", 2 * 10**9),
    ],
)  # fmt: skip
def test_amounts_as_people_write_them(tmp_path: Path, text: str, value: float) -> None:
    assert column(tmp_path, "revenue", [text, "7"], "fields: {account: {revenue: money}}\n")[0] == {text: value, "7": 7}


@pytest.mark.parametrize("text", ["500-", "1.500,-", "(500)"])
def test_a_number_that_would_be_an_amount_is_told_its_type(tmp_path: Path, text: str) -> None:
    assert "`type: money`" in column(tmp_path, "revenue", [text])[1][text]


def test_two_currencies_are_not_one_amount(tmp_path: Path) -> None:
    _, wrong = column(tmp_path, "revenue", ["$5", "€5", "7"])
    assert set(wrong) == {"$5", "€5"} and "currenc" in wrong["$5"]
    meant, wrong = column(tmp_path, "revenue", ["$5", "€5", "7"], "fields: {account: {revenue: {currency: $}}}\n")
    assert meant == {"$5": 5, "7": 7} and list(wrong) == ["€5"]


def test_a_column_settles_its_order_of_day_and_month(tmp_path: Path) -> None:
    assert column(tmp_path, "created", ["1/13/2026", "3/4/2026", "1/1/2026"])[0] == {
        "1/13/2026": date(2026, 1, 13),
        "3/4/2026": date(2026, 3, 4),
        "1/1/2026": date(2026, 1, 1),
    }
    assert column(tmp_path, "created", ["31.12.2025", "03.04.2026", "2026-01-05"])[0]["03.04.2026"] == date(2026, 4, 3)
    meant, wrong = column(tmp_path, "created", ["3/4/2026", "5/5/2026"])
    assert meant == {"5/5/2026": date(2026, 5, 5)} and "dates: day-first" in wrong["3/4/2026"]
    assert column(tmp_path, "created", ["3/4/2026"], "data: {account: {dates: month-first}}\n")[0] == {"3/4/2026": date(2026, 3, 4)}
    assert column(tmp_path, "created", ["3/4/2026"], "fields: {account: {created: {format: day-first}}}\n")[0] == {
        "3/4/2026": date(2026, 4, 3)
    }
    meant, wrong = column(tmp_path, "created", ["1/13/2026", "13/1/2026", "3/4/2026"])  # at odds with itself
    assert len(meant) == 2 and list(wrong) == ["3/4/2026"]


@pytest.mark.parametrize(
    "text",
    [
        "202612",
        "202601",
        "2026121",
        "46054",
        "1769904000",
        "2026-12",
        "12/2026",
        "1 Dec 26",
        "1/13/26",
        "2026-02-30",
        "13/13/2026",
        "2/30/2026",
        "0/1/2026",
        "1/13/2026 25:00",
    ],
)
def test_what_is_not_a_date_is_rejected(tmp_path: Path, text: str) -> None:
    meant, wrong = column(tmp_path, "created", [text, "2026-01-01"])
    assert meant == {"2026-01-01": date(2026, 1, 1)} and text in wrong


@pytest.mark.parametrize(
    ("text", "hour", "minute"),
    [("2026-01-05 14.30", 14, 30), ("13.1.2026 9.05", 9, 5), ("2026-01-05 14.30.15", 14, 30), ("2026-01-05T14:30:00.5", 14, 30)],
)
def test_a_time_may_have_points(tmp_path: Path, text: str, hour: int, minute: int) -> None:
    """`14.30` is half past two, as in Denmark and Finland, and not two o'clock and a fraction."""
    meant, wrong = column(tmp_path, "seen", [text], "fields: {account: {seen: datetime}}\n")
    assert not wrong and (meant[text].hour, meant[text].minute) == (hour, minute)


def test_a_packed_format_is_matched_at_full_width(tmp_path: Path) -> None:
    meant, wrong = column(tmp_path, "created", ["20261201", "202612"], 'fields: {account: {created: {format: "%Y%m%d"}}}\n')
    assert meant == {"20261201": date(2026, 12, 1)} and list(wrong) == ["202612"]


# --- declared types -------------------------------------------------------------------------------------------------


def test_bands_percents_amounts_and_lists(tmp_path: Path) -> None:
    more = "fields: {account: {size: {type: band}, share: percent, arr: {type: money}, products: {type: list}}}\n"
    typed, _ = read(
        tmp_path,
        'id,size,share,arr,products\n1,201-500,"12,5 %",$1.2M,A; B;C\n2,"10,000+",7%,(500),\n3,1 to 10,8,5k,A\n4,few,1,1,A\n',
        more,
    )
    one, two, three = typed.rows
    assert (one["size"].low, one["size"].high, two["size"].low, two["size"].high, two["size"].open_high) == (201, 500, 10000, None, True)
    assert (one["share"], two["share"], three["share"]) == (12.5, 7, 8) and (one["arr"], two["arr"], three["arr"]) == (1200000, -500, 5000)
    assert one["products"] == ["A", "B", "C"] and two.get("products") is None
    assert "is not a band" in reasons(typed)[5]


def test_rules_over_declared_types_decide_alike_in_rows_and_columns(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p",
        HEAD + "fields: {account: {size: {type: band}, products: {type: list}}}\nengagement:\n  account:\n    ae:\n"
        "      - {name: large, when: account.size.start >= 200, then: open}\n"
        "      - {name: holds, when: 50 in account.size, then: open}\n"
        "      - {name: has, when: 'list_contains(account.products, \"A\")', then: open}\n      - {name: rest, then: hold}\n",
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,size,products\n1,201-500,\n2,11-50,\n3,1-10,A;B\n4,1-10,B\n5,1000+,\n6,,\n")
    found = {}
    for engine in ("rows", "columns"):
        out = tmp_path / engine
        done = CliRunner().invoke(
            main,
            ["run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01", "--out", str(out), "--engine", engine],
        )
        assert done.exit_code == 0, done.output
        found[engine] = (out / "allocations.csv").read_text()
        assert (out / "reading.json").read_text()
    assert found["rows"] == found["columns"]
    assert [row["rule"] for row in csv.DictReader(found["rows"].splitlines())] == ["large", "holds", "has", "rest", "large", "rest"]
    assert (tmp_path / "rows" / "reading.json").read_text() == (tmp_path / "columns" / "reading.json").read_text()


# --- missing --------------------------------------------------------------------------------------------------------


def test_words_are_missing_where_no_text_can_be(tmp_path: Path) -> None:
    typed, _ = read(
        tmp_path,
        "id,name,region,employees,created,parent\n1,None,NA,n/a,-,none\n2,Null,-,7,2026-01-01,1\n3,NULL,NULL,#N/A,null,NA\n",
        "fields: {account: {region: string}}\n",
    )
    assert [(r["name"], r.get("region")) for r in typed.rows] == [("None", "NA"), ("Null", "-"), (None, None)]
    assert [(r.get("employees"), r.get("created"), r.get("parent")) for r in typed.rows] == [
        (None, None, None),
        (7, date(2026, 1, 1), "1"),
        (None, None, None),
    ]
    assert typed.reading.unread["employees", "n/a"] == 1 and typed.reading.unread["region", "NULL"] == 1
    assert typed.reading.as_json()["fields"]["employees"]["unread_texts"] == {"#N/A": 1, "n/a": 1}


@pytest.mark.parametrize("others", [0, 1500])  # by columns, many distinct texts are read at once
@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_an_error_of_a_spreadsheet_is_no_text(tmp_path: Path, engine: str, others: int) -> None:
    """A look-up that finds nothing is a missing value; any other error, in Excel's words of several languages, is nothing to rely on."""
    pytest.importorskip("pyarrow")
    (tmp_path / "p").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "p" / "policy.yaml").write_text(
        "roe: 1\nname: t\nroles: [ae]\nfields: {account: {place: string, code: {type: string, missing: ['#WERT!']}, tag: {type: string, aliases: {'#REF!': ref}}}}\n"
        "engagement:\n  account:\n    ae:\n      - {name: has, when: account.place != null and account.code = null, then: {assign: '\"ann\"'}}\n"
        "      - {name: lacks, then: hold}\n",
        "utf-8",
    )
    rejected = ["#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#BEZUG!", "#¡VALOR!", "#NOM?", "######", " #REF! "]
    rows = [f"x{n},{text},,\n" for n, text in enumerate(rejected)]
    rows += ["a,#N/A,,\n", "b,#NV,,\n", "c,#N/D,,\n", "d,#1 Main Street,,\n", "e,#REF,,\n", "f,Place,#WERT!,#REF!\n", "g,##,,\n"]
    rows += [f"o{n},Place {n},," + "\n" for n in range(others)]
    (tmp_path / "d" / "accounts.csv").write_text("id,place,code,tag\n" + "".join(rows), "utf-8")
    (tmp_path / "d" / "reps.csv").write_text("id,name\nann,Ann\n", "utf-8")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        main, ["run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01", "--out", str(out), "--engine", engine]
    )
    assert done.exit_code == 0, done.output
    rejects = list(csv.DictReader((out / "rejects.csv").read_text("utf-8").splitlines()))
    assert [r["value"] for r in rejects] == [x.strip() for x in rejected]
    assert rejects[0]["reason"] == "`#REF!` is an error of a spreadsheet, not a value"
    rules = {r["record"]: r["rule"] for r in csv.DictReader((out / "allocations.csv").read_text("utf-8").splitlines())}
    assert {k: rules[k] for k in "abcdefg"} == dict(zip("abcdefg", ["lacks"] * 3 + ["has"] * 4))
    assert len(rules) == 7 + others
    assert json.loads((out / "reading.json").read_text("utf-8"))["entities"]["account"]["fields"]["place"]["unread_texts"] == {
        "#N/A": 1,
        "#N/D": 1,
        "#NV": 1,
    }


@pytest.mark.parametrize("others", [0, 1500])
def test_what_a_spreadsheet_has_done_to_a_text_is_mended_or_rejected(tmp_path: Path, others: int) -> None:
    """`="02139"` is how an export keeps a text from a spreadsheet; `2.5E+17` is an id that one has rounded."""
    rows = "".join(f"{i},n{i},9{i:04},\n" for i in range(1, others + 1))
    more = "fields: {account: {note: string}}\n"
    typed, _ = read(tmp_path, f'id,name,postal_code,note\n"=""00123""","=""Acme""","=""02139""",1E+05\n2.5E+17,Beta,,\n{rows}', more)
    assert len(typed.rows) == others + 1
    assert [(r["id"], r["name"], r["postal_code"], r["note"]) for r in typed.rows if r["name"] == "Acme"] == [
        ("00123", "Acme", "02139", "1E+05")
    ]
    assert typed.reading.corrected["postal_code", '="02139"', "02139"] == 1 and "rounded, not an id" in reasons(typed)[3]


def test_a_field_declares_what_is_missing(tmp_path: Path) -> None:
    more = "data: {account: {missing: [unknown]}}\nfields: {account: {region: {type: string, missing: [TBD]}, tier: {type: string, values: [NULL, unknown]}}}\n"
    typed, _ = read(tmp_path, "id,name,region,tier\n1,Unknown,TBD,NULL\n2,a,NULL,unknown\n", more)
    assert [(r.get("region"), r.get("tier")) for r in typed.rows] == [(None, "NULL"), ("NULL", "unknown")] and typed.rows[0].get(
        "name"
    ) is None


def test_a_country_that_is_not_understood_is_counted(tmp_path: Path) -> None:
    typed, _ = read(tmp_path, "id,country\n1,Germany\n2,Elbonia\n3,NA\n4,-\n")
    assert [r.get("country") for r in typed.rows] == ["DE", None, "NA", None]
    assert typed.reading.unread["country", "Elbonia"] == 1 and typed.reading.unread["country", "-"] == 1


# --- places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [("Germany", "DE"), ("Deutschland", "DE"), ("Allemagne", "DE"), ("ALEMANIA", "DE"), ("日本", "JP"), ("ドイツ", "DE"), ("Россия", "RU"), ("Kosovo", "XK"), ("XK", "XK"), ("Côte d’Ivoire", "CI"), ("Ivory Coast", "CI"), ("Estados Unidos", "US"), ("U.S.A.", "US"), ("UK", "GB"), ("Türkiye", "TR"), ("Turkey", "TR"), ("Magyarország", "HU"), ("Korea, Republic of", "KR"), ("Namibia", "NA"), ("Großbritannien", "GB"), ("Elfenbeinküste", "CI"), ("Weißrussland", "BY"), ("EUA", "US"), ("アメリカ", "US"), ("República Checa", "CZ"), ("VAE", "AE"), ("nowhere", None), ("y", None)],
)  # fmt: skip
def test_countries_by_their_names(name: str, code: str | None) -> None:
    from roe.grammar.functions.sales import country

    assert country(name) == code


@pytest.mark.parametrize(
    ("state", "country", "code"),
    [("California", "US", "CA"), ("Ontario", "CA", "ON"), ("ON", "CA", "ON"), ("Québec", "CA", "QC"), ("Bavaria", "DE", "BY"), ("Bayern", "DE", "BY"), ("New South Wales", "AU", "NSW"), ("Île-de-France", "FR", "IDF"), ("Lombardia", "IT", "25"), ("Catalonia", "ES", "CT"), ("São Paulo", "BR", "SP"), ("Geneva", "CH", "GE"), ("東京都", "JP", "13"), ("Maharashtra", "IN", "MH"), ("Texas", None, "TX"), ("Calif.", "US", "CA"), ("Cataluña", "ES", "CT"), ("CDMX", "MX", "CMX")],
)  # fmt: skip
def test_states_by_the_record_s_country(tmp_path: Path, state: str, country: str | None, code: str) -> None:
    typed, _ = read(
        tmp_path, f"id,country,state\n1,{country or ''},{state}\n2,DE,Elbe\n", "fields: {account: {state: {normalize: state}}}\n"
    )
    assert typed.rows[0]["state"] == code
    assert typed.rows[1]["state"] == "Elbe" and typed.reading.unread["state", "Elbe"] == 1, "what is not understood stays, and is counted"


def test_zeros_that_a_spreadsheet_dropped(tmp_path: Path) -> None:
    lines = [
        "US,2139,02139",
        "US,501,00501",
        "US,02139,02139",
        "US,94105,94105",
        "US,2139-1234,02139-1234",
        "DE,1067,01067",
        "CH,8001,8001",
        "AU,800,0800",
        ",2139,2139",
        "US,21,21",
        "US,2139.0,02139",
        "FR,75001,75001",
        "GB,SW1A,SW1A",
    ]
    typed, _ = read(tmp_path, "id,country,postal_code\n" + "".join(f"{i},{x.rpartition(',')[0]}\n" for i, x in enumerate(lines)))
    by_id = {r["id"]: r["postal_code"] for r in typed.rows}
    assert [by_id[str(i)] for i in range(len(lines))] == [x.rpartition(",")[2] for x in lines]
    assert typed.reading.corrected["postal_code", "2139", "02139"] == 1 and sum(typed.reading.corrected.values()) == 6


@pytest.mark.parametrize(("text", "help"), [("Germany", "write `DE`"), ("us", "write `US`"), ("United Kingdom", "write `GB`")])
def test_a_rule_that_names_a_country_is_told_its_code(tmp_path: Path, text: str, help: str) -> None:
    policy_text(tmp_path, HEAD + f"territories: {{rows: [{{name: a, country: {text}}}]}}\n" + RULES)
    _, found = build(tmp_path)
    assert [(d.code, d.help) for d in found] == [("R206", help)]


# --- the report -----------------------------------------------------------------------------------------------------


def run(tmp_path: Path, out: str = "out", *more: str) -> Any:
    return CliRunner().invoke(
        main, ["run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-03-01", "--out", str(tmp_path / out), *more]
    )


def test_a_run_says_what_it_read(tmp_path: Path) -> None:
    policy_of(tmp_path / "p")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,name,employees,Foo\n1,a,5,x\n2,b,many,x\n3,c,n/a,x\n4,d\n")
    done = run(tmp_path)
    assert done.exit_code == 0
    assert (
        "accounts.csv: 4 rows, 2 rejected (1: the row has 2 cells, and the header 4; 1: employees: a value is not a number)" in done.output
    )
    assert "not understood: Foo" in done.output and "employees: 1 cell taken for missing: `n/a` 1" in done.output
    kept = json.loads((tmp_path / "out" / "reading.json").read_text())["entities"]["account"]
    assert (kept["rows"], kept["rejected"], kept["not_understood"]) == (4, 2, ["Foo"])
    (tmp_path / "d" / "accounts.csv").write_text("id,name\n1,a\n")
    again = run(tmp_path)
    assert (
        "since the last run: accounts.csv has 1 rows, 75% fewer than 4" in again.output
        and "no column for employees any more" in again.output
    )


def test_a_time_zone_or_calendar_that_is_not_known_is_missing_and_said(tmp_path: Path) -> None:
    """Salesforce writes the zone behind its own words for it."""
    text = "roe: 1\nname: t\nroles: [ae]\nengagement: {account: {ae: [{name: all, then: keep}]}}\n"
    folder = policy_text(tmp_path / "policy", text)
    (folder / "data").mkdir()
    (folder / "data" / "accounts.csv").write_text("id,name,owner\nA,Acme,a\n")
    (folder / "data" / "reps.csv").write_text(
        "id,name,timezone,calendar\na,Ann,(GMT-08:00) Pacific Standard Time (America/Los_Angeles),US-CA\nb,Ben,Europe/Berlin,Berlin\nc,Cy,Pacific,DE\n"
    )
    done = CliRunner().invoke(
        main, ["run", str(folder), "--data", str(folder / "data"), "--as-of", "2026-03-02", "--out", str(tmp_path / "out")]
    )
    assert (
        "timezone: 1 cell taken for missing: `Pacific` 1" in done.output and "calendar: 1 cell taken for missing: `Berlin` 1" in done.output
    )


@pytest.mark.parametrize("engine", ["rows", "columns"])
@pytest.mark.parametrize(
    ("expect", "content", "says"),
    [
        ("rows: 3", "id,name,owner\n1,a,ann\n", "at least 3"),
        ("filled: [owner]", "id,name,owner\n1,a,ann\n2,b,\n", "`owner` is filled in 1 of 2 records"),
        ("filled: {owner: 80 %}", "id,name,owner\n1,a,ann\n2,b,\n", "expects 80%"),
        ("filled: [owner]", "id,name\n1,a\n2,b\n", "`owner` is filled in 0 of 2"),
    ],
)
def test_guards_stop_a_run(tmp_path: Path, engine: str, expect: str, content: str, says: str) -> None:
    policy_of(tmp_path / "p", f"data: {{account: {{expect: {{{expect}}}}}}}\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text(content)
    done = run(tmp_path, "out", "--engine", engine)
    assert done.exit_code == 2 and says in done.output and "R636" in done.output
    assert not (tmp_path / "out").exists()


def test_a_fall_is_held_against_the_last_run(tmp_path: Path) -> None:
    policy_of(tmp_path / "p", "data: {account: {expect: {fall: 20 %}}}\n")
    (tmp_path / "d").mkdir()
    file = tmp_path / "d" / "accounts.csv"
    file.write_text("id,name\n" + "".join(f"{i},a{i}\n" for i in range(10)))
    assert run(tmp_path, "out", "--state", str(tmp_path / "state")).exit_code == 0
    file.write_text("id,name\n" + "".join(f"{i},a{i}\n" for i in range(8)))
    assert run(tmp_path, "other", "--state", str(tmp_path / "state")).exit_code == 0
    file.write_text("id,name\n" + "".join(f"{i},a{i}\n" for i in range(6)))
    done = run(tmp_path, "third", "--state", str(tmp_path / "state"))
    assert done.exit_code == 2 and "25% fewer than the 8 of the last run" in done.output


def test_roe_data_shows_what_an_export_has(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p",
        HEAD
        + 'engagement:\n  account:\n    ae:\n      - {name: tech, when: \'account.industry = "Tech" and account.segment = "SMB"\', then: open}\n      - {name: rest, then: hold}\n',
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,name,industry,created\n1,<b>a</b>,Tech,2026-01-02\n2,b,<i>Retail</i>,2026-02-03\n")
    args = ["data", str(tmp_path / "d"), str(tmp_path / "p")]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 0 and "2026-02-03" in done.output
    assert (
        "rules need, and the data leaves empty: account segment" in done.output
        and "no rule names: account.industry `<i>Retail</i>`" in done.output
    )
    found = json.loads(CliRunner().invoke(main, [*args, "--format", "json"]).output)
    assert found["needed_and_empty"] == {"account": ["segment"]} and found["newest"] == [
        {"entity": "account", "field": "created", "date": "2026-02-03"}
    ]
    page = CliRunner().invoke(main, [*args, "--format", "html"]).output
    assert page.startswith("<!doctype html>") and "&lt;i&gt;Retail" in page and "<i>Retail" not in page


def test_rows_of_an_api_are_read_as_those_of_a_file(tmp_path: Path) -> None:
    policy = policy_of(tmp_path / "p")
    rows: list[dict[str, Any]] = [{"id": "1", "employees": "1.200"}, {"id": "2", "employees": "1.200.000"}, {"id": "3", "employees": 5}]
    assert typed_columns(policy, "account", Raw.of_rows(rows)).columns["employees"].values() == [1200, 1200000, 5]
    records, _ = read_file(tmp_path / "nothing.csv")
    assert not records
