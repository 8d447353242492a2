"""`roe init --from`: exports in the languages and habits that people have, each drafted into a policy that stands on its own."""

from __future__ import annotations

import csv
import gzip
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from helpers import policy_text
from roe.cli import main

Files = dict[str, str]

# name -> (files, profile, a record that nobody owns and who gets it (empty: anybody), a record's name)
EXPORTS: dict[str, tuple[Files, str, tuple[str, str], str]] = {
    "german Excel, semicolons": (
        {
            "Kunden.csv": "Kundennummer;Firma;Land;Branche;Betreuer\n1;Müller AG;Deutschland;Chemie;Eva Braun\n2;Weber;Deutschland;Chemie;Eva Braun\n"
            "3;Huber;Österreich;Handel;Max Kurz\n4;Gruber;Österreich;Handel;Max Kurz\n5;Neu GmbH;Österreich;Handel;\n"
        },
        "generic", ("5", "Max Kurz"), "Neu GmbH",
    ),
    "HubSpot in Spanish": (
        {
            "todos-empresas.csv": "ID de registro,Nombre de la empresa,Nombre de dominio de la empresa,Propietario de la empresa,País/región,Sector\n"
            "11,Uno,uno.es,Ann Lee,España,Software\n12,Dos,dos.es,Ann Lee,España,Software\n13,Tres,tres.mx,Bo Roe,México,Retail\n14,Cuatro,cuatro.mx,Bo Roe,México,Retail\n15,Cinco,cinco.mx,,México,Retail\n",
            "todos-contactos.csv": "ID de registro,Nombre,Apellidos,Correo,Propietario del contacto,Associated Company IDs (Primary)\n21,Eva,Sol,eva@uno.es,,11\n22,Ana,Mar,ana@cinco.mx,,15;11\n",
        },
        "hubspot", ("15", "Bo Roe"), "Cinco",
    ),
    "Salesforce report labels": (
        {
            "report1.csv": "Account ID,Account Name,Billing Country,Account Owner\n0015g00000AAAA1,Acme,United States,Ann\n0015g00000AAAA2,Bolt,United States,Ann\n"
            "0015g00000AAAA3,Cie,Germany,Ben\n0015g00000AAAA4,Dx,Germany,Ben\n0015g00000AAAA5,Ex,Germany,\n"
        },
        "salesforce", ("0015g00000AAAA5", "Ben"), "Ex",
    ),
    "Salesforce API names and users": (
        {
            "Account.csv": "Id,Name,OwnerId,BillingCountry\n0015g00000BBBB1AAP,One,0055g00000AAAA1AAP,US\n0015g00000BBBB2AAP,Two,0055g00000AAAA1AAP,US\n"
            "0015g00000BBBB3AAP,Three,0055g00000AAAA2AAP,DE\n0015g00000BBBB4AAP,Four,00G5g00000AAAA2EAP,DE\n",
            "User.csv": "Id,Name,Email,IsActive\n0055g00000AAAA1AAP,Ines,i@x.com,true\n0055g00000AAAA2AAP,Jo,j@x.com,true\n",
        },
        "salesforce", ("0015g00000BBBB4AAP", "0055g00000AAAA2AAP"), "Four",
    ),
    "Pipedrive": (
        {
            "organizations-1.csv": "Organization - ID,Organization - Name,Organization - Owner,Organization - Country of Address\n1,Alpha,Kim,France\n2,Beta,Kim,France\n3,Gamma,Lou,Spain\n4,Delta,Lou,Spain\n5,Eps,,Spain\n",
            "deals-1.csv": "Deal - ID,Deal - Title,Deal - Organization,Deal - Owner,Deal - Status\n7,Big,Alpha,Kim,Open\n8,Old,Beta,Kim,Won\n",
        },
        "pipedrive", ("5", "Lou"), "Eps",
    ),
    "Dynamics": (
        {
            "Active Accounts.csv": "(Do Not Modify) Account,(Do Not Modify) Row Checksum,Account Name,Owner,Address 1: Country/Region\n"
            "a-1,x,North,Pat,Canada\na-2,y,South,Pat,Canada\na-3,z,East,Sam,Japan\na-4,w,West,Sam,Japan\na-5,v,Mid,,Japan\n"
        },
        "dynamics", ("a-5", "Sam"), "Mid",
    ),
    "three rows": ({"accounts.csv": "id,name,owner\n1,A Co,Ann\n2,B Co,Ben\n3,C Co,\n"}, "generic", ("3", ""), "C Co"),
    "owners by e-mail": (
        {
            "companies.csv": "id,name,owner email,industry\n1,A Co,ann@x.com,Tech\n2,B Co,ann@x.com,Tech\n3,C Co,ben@x.com,Law\n4,D Co,ben@x.com,Law\n5,E Co,,Law\n",
            "users.csv": "id,name,email\nu1,Ann,ann@x.com\nu2,Ben,ben@x.com\n",
        },
        "generic", ("5", "u2"), "E Co",
    ),
    "French, by commercial": (
        {
            "clients.csv": "N° client;Raison sociale;Pays;Commercial;Effectif\n1;Durand;France;Luc;12\n2;Petit;France;Luc;50\n3;Peeters;Belgique;Zoé;7\n4;Claes;Belgique;Zoé;90\n5;Maes;Belgique;;4\n"
        },
        "generic", ("5", ""), "Maes",
    ),
    "no owner at all": (
        {"customers.csv": "Customer ID,Customer Name,Sector\n" + "".join(f"{i},Co {i},{'Tech' if i % 2 else 'Law'}\n" for i in range(1, 9))},
        "generic", ("3", ""), "Co 3",
    ),
    "leads alone, reps beside them": (
        {
            "leads.csv": "Lead ID,First Name,Last Name,Email,Company,Country,Created\nL1,Al,B,al@a.com,A,United Kingdom,3/14/2026\nL2,Cy,D,cy@c.com,C,Ireland,3/9/2026\n",
            "sales_team.csv": "Name,Email,Region\nAnn,ann@x.com,EMEA\nBen,ben@x.com,AMER\n",
        },
        "generic", ("L2", ""), "Cy D",
    ),
}  # fmt: skip


def roe(*args: str) -> Result:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def export(tmp_path: Path, files: Files) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", EXPORTS)
def test_a_draft_stands_on_its_own(name: str, tmp_path: Path) -> None:
    """It checks clean, passes its own tests, rejects nothing, places what nobody owns, and explains a record by its name."""
    files, profile, (unowned, owner), called = EXPORTS[name]
    folder, policy, out = export(tmp_path, files), str(tmp_path / "policy"), tmp_path / "out"
    said = roe("init", policy, "--from", str(folder))
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert len(lines) <= 25 and lines[-5] == "next:" and "every row was read" in said.output
    assert yaml.safe_load((tmp_path / "policy" / "policy.yaml").read_text("utf-8"))["profile"] == profile
    checked = roe("check", policy)
    assert checked.exit_code == 0 and ": fine (" in checked.output and "warning" not in checked.output, checked.output
    assert roe("test", policy, "--fail-on-empty").exit_code == 0, roe("test", policy).output
    data = ("--data", str(folder), "--as-of", "2026-03-20")
    ran = roe("run", policy, *data, "--out", str(out))
    assert ran.exit_code == 0, ran.output
    assert not rows(out / "rejects.csv")
    decided = {row["record"]: row for row in rows(out / "allocations.csv")}
    assert unowned in decided
    if owner:
        assert decided[unowned]["owner"] == owner
    elif "owner" in "".join(files.values()).lower() or "team" in "".join(files):
        assert decided[unowned]["owner"]
    explained = roe("explain", called, policy, *data)
    assert explained.exit_code == 0 and called in explained.output, explained.output


def test_the_export_stays_where_it_is_unless_a_copy_is_asked_for(tmp_path: Path) -> None:
    folder = export(tmp_path, EXPORTS["three rows"][0])
    roe("init", str(tmp_path / "a"), "--from", str(folder))
    written = "".join(p.read_text("utf-8") for p in (tmp_path / "a").rglob("*") if p.is_file() and p.suffix in (".yaml", ".csv"))
    assert "A Co" not in written and "C Co" not in written and not (tmp_path / "a" / "data").exists()
    roe("init", str(tmp_path / "b"), "--from", str(folder), "--copy-data")
    assert (tmp_path / "b" / "data" / "accounts.csv").is_file()
    assert "data/" in (tmp_path / "b" / ".gitignore").read_text("utf-8").split()


def test_a_value_that_looks_like_a_slip_is_proposed_as_an_alias(tmp_path: Path) -> None:
    text = "id,name,industry,country\n" + "".join(f"{i},C{i},Manufacturing,Germany\n" for i in range(9)) + "9,C9,Manufacturng,Germny\n"
    folder = export(tmp_path, {"accounts.csv": text})
    said = roe("init", str(tmp_path / "p"), "--from", str(folder)).output
    drafted = yaml.safe_load((tmp_path / "p" / "policy.yaml").read_text("utf-8"))["fields"]["account"]
    assert drafted["industry"]["aliases"] == {"Manufacturng": "Manufacturing"} and drafted["country"]["aliases"] == {"Germny": "DE"}
    assert "`Manufacturng` is read as `Manufacturing`" in said


@pytest.mark.parametrize(("one", "other"), [("Tier 1", "Tier 2"), ("Retail", "Rental"), ("Q1", "Q2")])
def test_values_that_differ_in_more_than_a_slip_stay(one: str, other: str, tmp_path: Path) -> None:
    text = "id,name,segment\n" + "".join(f"{i},C{i},{one}\n" for i in range(9)) + f"9,C9,{other}\n"
    roe("init", str(tmp_path / "p"), "--from", str(export(tmp_path, {"accounts.csv": text})))
    assert "aliases" not in (tmp_path / "p" / "policy.yaml").read_text("utf-8")


def packed(folder: Path) -> dict[str, dict[str, str]]:
    """An export as it is downloaded: gzip, a ZIP with one file, a workbook. Returns what must be decided for some records."""
    folder.mkdir()
    accounts = "Record ID,Company name,Company owner,Country/Region,Number of Employees\n1,Acme,ann@x.com,Germany,201-500\n2,Bo,ann@x.com,Germany,1-10\n3,Cy,bo@x.com,France,10000+\n4,Free,,France,1-10\n"
    (folder / "companies.csv.gz").write_bytes(gzip.compress(accounts.encode(), mtime=0))
    with zipfile.ZipFile(folder / "contacts.zip", "w") as archive:
        archive.writestr("all-contacts.csv", "Record ID,First Name,Last Name,Email,Associated Company IDs (Primary)\n21,A,B,a@acme.de,1\n")
    return {"4": {"rule": "territory", "owner": "bo@x.com"}, "21": {"rule": "with-account", "owner": "ann@x.com"}}


def workbook(folder: Path) -> dict[str, dict[str, str]]:
    """A report as a workbook: a title, a blank row, and a sum below."""
    import openpyxl

    folder.mkdir()
    book = openpyxl.Workbook()
    rows = [
        ["会社一覧"],
        [],
        ["顧客ID", "会社名", "担当者", "国"],
        ["C1", "A", "田中", "日本"],
        ["C2", "B", "田中", "日本"],
        ["C3", "C", "佐藤", "アメリカ"],
        ["C4", "D", "佐藤", "アメリカ"],
        ["C5", "無主", None, "アメリカ"],
    ]
    for row in rows:
        book.active.append(row)
    book.save(folder / "取引先.xlsx")
    return {"C5": {"rule": "territory", "owner": "佐藤"}}


def german(folder: Path) -> dict[str, dict[str, str]]:
    """What Excel saves in Germany, with a sum below the records and a name that looks like an option."""
    folder.mkdir()
    text = "sep=;\r\nKundennr;Firmenname;Land;PLZ;Umsatz;Betreuer\r\n1;Müller GmbH;Großbritannien;;1.200;Eva Groß\r\n2;Öl AG;Großbritannien;;2.500.000,50;Eva Groß\r\n3;Weiß KG;Deutschland;1067;500;Max Über\r\n4;-Frei;Deutschland;;n/a;\r\n\r\nSumme;;;;2.501.700,50;\r\n"
    (folder / "Kundenliste.csv").write_bytes(text.encode("cp1252"))
    return {"4": {"rule": "territory", "owner": "Max Über"}}


def american(folder: Path) -> dict[str, dict[str, str]]:
    """Numbers that have two readings, and dates with the month first."""
    folder.mkdir()
    text = 'Account ID,Account Name,Account Owner,Billing State,Employees,Last Activity\n0015g00000BBB01,Acme,Tina,California,"1,200",1/13/2026\n0015g00000BBB02,Bolt,Tina,California,250,1/2/2026\n0015g00000BBB03,Cy,Bob O\'Neil,New York,"3,000",\n0015g00000BBB04,O\'Free,,New York,12,2/1/2026\n'
    (folder / "report.csv").write_text(text, "utf-8")
    return {"0015g00000BBB04": {"rule": "territory", "owner": "Bob O'Neil"}}


@pytest.mark.parametrize("make", [packed, workbook, german, american])
def test_the_printed_commands_work_as_they_are_printed(
    make: Callable[[Path], dict[str, dict[str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`roe.toml` knows where the export is and of which day, so the commands are short."""
    monkeypatch.chdir(tmp_path)
    expected = make(tmp_path / "export")
    said = roe("init", "rules", "--from", "export")
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    commands = [shlex.split(line)[1:] for line in lines[lines.index("next:") + 1 :]]
    assert [c[0] for c in commands] == ["check", "test", "run", "explain"] and not any("--data" in c for c in commands)
    assert roe("check", "rules", "--strict").exit_code == 0
    for command in commands:
        assert roe(*command).exit_code == 0, command
    decided = {row["record"]: row for row in rows(tmp_path / "out" / "allocations.csv")}
    assert all(wanted.items() <= decided[record].items() for record, wanted in expected.items()), decided
    assert all("report" in row["reason"] for row in rows(tmp_path / "out" / "rejects.csv"))


def test_a_draft_says_how_the_export_was_read(tmp_path: Path) -> None:
    german(tmp_path / "export")
    said = roe("init", str(tmp_path / "p"), "--from", str(tmp_path / "export")).output
    for line in (
        "read as Windows-1252",
        "revenue: 1 cell taken for missing: `n/a` 1",
        "Umsatz: its decimal sign is `,`",
        "`1067` to `01067`",
        "a line of the report",
    ):
        assert line in said, line
    american(tmp_path / "us")
    assert "`1,200` is taken for 1200" in roe("init", str(tmp_path / "q"), "--from", str(tmp_path / "us")).output
    packed(tmp_path / "gz")
    roe("init", str(tmp_path / "r"), "--from", str(tmp_path / "gz"))
    assert yaml.safe_load((tmp_path / "r" / "policy.yaml").read_text("utf-8"))["fields"]["account"]["employees"] == {"type": "band"}


def test_one_file_is_an_export(tmp_path: Path) -> None:
    folder = export(tmp_path, {"customers of 2026.csv": "Customer,Rep\nA Co,Ann\nB Co,\n", "leads.csv": "id,name\n1,x\n"})
    said = roe("init", str(tmp_path / "p"), "--from", str(folder / "customers of 2026.csv"))
    assert said.exit_code == 0 and "leads" not in said.output
    assert roe("run", str(tmp_path / "p"), "--out", str(tmp_path / "out")).exit_code == 0
    assert [r["record"] for r in rows(tmp_path / "out" / "allocations.csv")] == ["A Co", "B Co"]


def test_a_draft_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = export(tmp_path, {"accounts.csv": 'id,name\n1,"open\n'})
    assert roe("init", str(tmp_path / "p"), "--from", str(folder)).exit_code == 2
    (folder / "accounts.csv").write_text("id,name\n1,closed\n", "utf-8")
    assert roe("init", str(tmp_path / "p"), "--from", str(folder)).exit_code == 0


def test_records_of_reps_who_have_left_go_to_others(tmp_path: Path) -> None:
    """A draft never takes a record from one rep who has left to give it to nobody."""
    data = tmp_path / "d"
    data.mkdir()
    (data / "accounts.csv").write_text("id,name,owner\n1,Acme,u1\n2,Bolt,u2\n3,Cie,\n", "utf-8")
    (data / "reps.csv").write_text("id,name,active\nu1,Ann,true\nu2,Ben,false\n", "utf-8")
    done = CliRunner().invoke(main, ["init", str(tmp_path / "p"), "--from", str(data)])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "1 of 3 accounts has an owner and keeps it" in said and "2 accounts have no owner, or one who has left: 2 go to the pool" in said
    ran = CliRunner().invoke(main, ["run", str(tmp_path / "p"), "--data", str(data), "--as-of", "2026-03-01", "--out", str(tmp_path / "o")])
    assert ran.exit_code == 0, ran.output
    with (tmp_path / "o" / "allocations.csv").open(encoding="utf-8", newline="") as file:
        assert {row["record"]: (row["owner"], row["rule"]) for row in csv.DictReader(file)} == {
            "1": ("u1", "as-it-is"), "2": ("u1", "the-rest"), "3": ("u1", "the-rest"),
        }  # fmt: skip


def test_a_rule_that_finds_nobody_does_not_say_what_it_would_have_found(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p", "roe: 1\nname: t\nroles: [ae]\nengagement: {account: {ae: [{name: stays, then: keep, because: 'its owner keeps it'}]}}\n",
        data__accounts_csv="id,name,owner\n1,Acme,u2\n", data__reps_csv="id,name,active\nu2,Ben,false\n",
    )  # fmt: skip
    for engine in ("rows", "columns"):
        out = tmp_path / engine
        args = [
            "run",
            str(tmp_path / "p"),
            "--data",
            str(tmp_path / "p" / "data"),
            "--as-of",
            "2026-03-01",
            "--out",
            str(out),
            "--engine",
            engine,
        ]
        assert CliRunner().invoke(main, args).exit_code == 0
        with (out / "allocations.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["action"], row["owner"], row["reason"]) == ("unassigned", "", "rule `stays` holds, and finds nobody")


def test_an_export_of_two_crms_keeps_the_owners_of_both(tmp_path: Path) -> None:
    """Accounts of Salesforce beside HubSpot's contacts: each file is read by the headers of its own CRM."""
    export = tmp_path / "export"
    export.mkdir()
    (export / "accounts.csv").write_text(
        "Account ID,Account Name,Billing Country,Account Owner\n0015g00000AAAA1,Acme,US,Ann Ash\n0015g00000AAAA2,Bolt,US,Ben Bo\n"
    )
    (export / "contacts.csv").write_text(
        "Record ID;Email;Company name;Website URL;Contact owner\n7;x@zeta.com;Zeta;;ben@x.com\n8;y@zeta.com;Zeta;https://zeta.com;Ann Ash\n9;y@zeta.com;Eta;;Ann Ash\n"
    )
    (export / "users.csv").write_text("User ID,Full Name,Email\nu1,Ann Ash,ann@x.com\nu2,Ben Bo,ben@x.com\n")
    said = roe("init", str(tmp_path / "rules"), "--from", str(export)).output
    assert "contacts.csv (HubSpot): 3 rows" in said and "owner from `Contact owner`" in said and "every row was read" in said
    out = tmp_path / "out"
    assert roe("run", str(tmp_path / "rules"), "--out", str(out)).exit_code == 0
    owners = {r["record"]: r["owner"] for r in csv.DictReader((out / "allocations.csv").open(encoding="utf-8"))}
    assert owners == {"0015g00000AAAA1": "u1", "0015g00000AAAA2": "u2", "7": "u2", "8": "u1", "9": "u1"}


def test_owners_by_name_and_by_address_without_users_are_reported(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    rows = ["Jörg Müller", "joerg.mueller@x.com", "Renée Roe", "renee_roe@x.com", "ben@x.com", "Bo Berg"]
    (export / "accounts.csv").write_text("id,name,owner\n" + "".join(f"{n},Co {n},{owner}\n" for n, owner in enumerate(rows)), "utf-8")
    said = roe("init", str(tmp_path / "rules"), "--from", str(export)).output
    assert (
        "perhaps one person under two names: `joerg.mueller@x.com` and `Jörg Müller`, `renee_roe@x.com` and `Renée Roe`; export the users"
        in said
    )
    (export / "users.csv").write_text("id,name,email\nu1,Jörg Müller,joerg.mueller@x.com\n", "utf-8")
    assert "two names" not in roe("init", str(tmp_path / "other"), "--from", str(export)).output
