"""The commands as a user types them: output, errors, exit codes; and every option is documented."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from helpers import EXAMPLES, ROOT, policy_text
from roe.cli import COMMANDS, main
from roe.files import schema

STATIC = str(EXAMPLES / "static")
DATA = str(EXAMPLES / "static" / "data")
AT = ("--data", DATA, "--as-of", "2026-02-01")


def roe(*args: str, code: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, list(args), input=stdin)
    assert result.exit_code == code, (args, result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    import click

    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None and f"## roe {name}\n" in text
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (name, parameter.name)
                assert all(o in text for o in parameter.opts)


def test_help_names_every_command_in_a_line_of_its_own() -> None:
    lines = roe("--help").output.splitlines()
    assert max(map(len, lines)) <= 80
    for name in COMMANDS:
        listed = [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"  {name} ")]
        assert len(listed) == 1 and listed[0].endswith((".", "?")) and "..." not in listed[0], name


def test_run_writes_everything(tmp_path: Path) -> None:
    out, state = str(tmp_path / "out"), str(tmp_path / "state")
    result = roe("run", STATIC, *AT, "--out", out, "--state", state, "--trace")
    assert "32 allocations" in result.output
    rows = list(csv.DictReader((tmp_path / "out" / "allocations.csv").open(encoding="utf-8")))
    validator = Draft202012Validator(schema("allocations"))
    for row in rows:
        validator.validate({k: x for k, x in row.items() if x})
    assert len(rows) == 32
    traces = [json.loads(line) for line in (tmp_path / "out" / "trace.jsonl").read_text("utf-8").splitlines()]
    assert len(traces) == 32
    for trace in traces:
        Draft202012Validator(schema("trace")).validate(trace)
    changes = list(csv.DictReader((tmp_path / "out" / "changes.csv").open(encoding="utf-8")))
    back = list(csv.DictReader((tmp_path / "out" / "rollback.csv").open(encoding="utf-8")))
    assert [(c["record"], c["field"], c["value"], c["old_value"]) for c in changes] == [
        (b["record"], b["field"], b["old_value"], b["value"]) for b in back
    ]
    assert {c["field"] for c in changes if c["record"] == "A01"} == {"owner_ae", "owner_csm"}
    assert "1 runs" in roe("ledger", "status", "--state", str(tmp_path / "state")).output
    before = (tmp_path / "out" / "allocations.csv").read_bytes()
    roe("run", STATIC, *AT, "--out", out)
    assert (tmp_path / "out" / "allocations.csv").read_bytes() == before


def test_explain_in_every_format() -> None:
    text = roe("explain", "hooli.com", STATIC, *AT, "--role", "ae").output
    assert text.startswith("Dee Dunn owns Hooli Inc. (account A04) as ae until 15 April 2026:")
    assert "policy.yaml:35:15" in text and "\x1b[" not in text
    assert max(map(len, text.splitlines())) <= 110
    found = json.loads(roe("explain", "A04", STATIC, *AT, "--role", "ae", "--format", "json", "--why-not", "cal").output)
    Draft202012Validator(schema("trace")).validate(found)
    assert found["why_not"]["route"]["rule"] == "territory" and found["outcome"]["owner"] == "dee"
    markdown = roe("explain", "A04", STATIC, *AT, "--format", "md").output
    assert markdown.startswith("**Dee Dunn owns Hooli Inc. (account A04) as ae")
    assert "Why not Cal Cruz" in roe("explain", "A04", STATIC, *AT, "--role", "ae", "--why-not", "cal@northwind.example").output
    assert "does own it" in roe("explain", "A04", STATIC, *AT, "--role", "ae", "--why-not", "dee").output


def test_explain_after_a_run_reads_its_turns(tmp_path: Path) -> None:
    inbound, data = str(EXAMPLES / "inbound"), str(EXAMPLES / "inbound" / "data")
    at = ("--data", data, "--as-of", "2026-02-02T10:00")
    state, out = str(tmp_path / "s"), str(tmp_path / "o")
    roe("run", inbound, *at, "--state", state, "--out", out)
    first = json.loads(roe("explain", "L08", inbound, *at, "--format", "json").output)
    later = json.loads(roe("explain", "L08", inbound, *at, "--state", state, "--run", out, "--format", "json").output)
    repeated = json.loads(roe("explain", "L08", inbound, *at, "--state", state, "--format", "json").output)
    pool = [s for s in later["steps"] if s["stage"] == "pool"]
    assert pool == [s for s in first["steps"] if s["stage"] == "pool"] and pool[0]["details"]["members"]
    assert repeated["outcome"]["owner"] == first["outcome"]["owner"] == later["outcome"]["owner"]


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (("explain", "nobody.com", STATIC, *AT), 2, "R604"),
        (("explain", "a", STATIC, *AT), 2, "R605"),
        (("explain", "A04", STATIC, *AT, "--role", "sdr"), 2, "R502"),
        (("explain", "A04", STATIC, *AT, "--why-not", "nobody"), 2, "R604"),
        (("explain", "A04", STATIC, "--data", "nowhere", "--as-of", "2026-02-01"), 2, "R606"),
        (("explain", "A04", STATIC, "--data", DATA, "--as-of", "yesterday"), 2, "R801"),
        (("explain", "A04", "nowhere", *AT), 2, "R307"),
        (("check", "nowhere"), 2, "R307"),
        (("check", str(ROOT / "tests" / "bad" / "unknown-field")), 1, "R204"),
        (("run", STATIC, *AT, "--out", "/dev/null/x"), 2, "R801"),
        (("eval", "1 +"), 2, "R101"),
        (("eval", "x", "--vars", "nonsense"), 2, "R801"),
        (("eval", "x", "--record", "1"), 2, "R801"),
        (("fmt", "-e", "1 +"), 2, "R101"),
        (("tset",), 2, "did you mean `test`"),
        (("explain",), 2, "Missing argument"),
    ],
)
def test_mistakes_are_told_with_a_next_step(args: tuple[str, ...], code: int, part: str) -> None:
    result = roe(*args, code=code)
    assert part in result.output and "Traceback" not in result.output
    if part.startswith("R"):
        assert "help: " in result.output


def test_errors_go_to_standard_error(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "roe", "explain", "zzz", STATIC, *AT], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and "R604" in done.stderr


@pytest.mark.parametrize("shape", ["text", "json", "github", "sarif", "junit"])
def test_check_formats(shape: str) -> None:
    assert roe("check", STATIC, "--format", shape).output
    bad = roe("check", str(ROOT / "tests" / "bad" / "compared-with-another-type"), "--format", shape, code=1).output
    assert "R205" in bad
    if shape == "junit":
        ElementTree.fromstring(bad)
    if shape == "json":
        json.loads(bad)


def test_policy_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roe("init", str(tmp_path / "p"))
    below = tmp_path / "p" / "tables"
    monkeypatch.chdir(below)
    assert "fine" in roe("check").output
    monkeypatch.chdir(tmp_path)
    assert "R307" in roe("check", code=2).output


def test_init_makes_a_policy_that_passes(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    roe("init", str(folder))
    roe("check", str(folder))
    roe("fmt", str(folder), "--check")
    assert "3 passed, 0 failed" in roe("test", str(folder), "--fail-on-empty").output
    assert {".github", ".vscode", ".roe", "policy.yaml", "tables", "tests", "data", "README.md", ".gitignore"} <= set(os.listdir(folder))
    assert "R802" in roe("init", str(folder), code=2).output


def test_init_from_a_salesforce_export(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "Account.csv").write_text(
        "Id,Name,OwnerId,BillingCountry,Industry,NumberOfEmployees,Website,My Field__c\n"
        + "".join(
            f"001{i:012d},Company {i},{'005A' if i % 3 else '005B'},{'US' if i % 3 else 'Germany'},Tech,{i * 10},www.c{i}.com,{'x' if i % 2 else 'y'}\n"
            for i in range(12)
        )
    )
    (export / "User.csv").write_text("Id,Name,Email,IsActive\n005A,Ann Ash,ann@x.com,true\n005B,Bob Berg,bob@x.com,true\n")
    folder = str(tmp_path / "policy")
    roe("init", folder, "--from", str(export))
    assert "3 passed, 0 failed" in roe("test", folder, "--fail-on-empty").output
    text = (tmp_path / "policy" / "policy.yaml").read_text()
    assert "profile: salesforce" in text and "values:" not in text and "# seen: x, y" in text  # a new value is not a reject
    assert "DE" in (tmp_path / "policy" / "tables" / "territories.csv").read_text()
    audit = roe("audit", folder, "--data", str(export), "--as-of", "2026-01-01")
    assert audit.stdout.startswith("0 of 12 allocations differ")


def test_init_from_an_export_with_owners_per_role(tmp_path: Path) -> None:
    folder = str(tmp_path / "policy")
    roe("init", folder, "--from", DATA)
    assert "roles: [ae]" in (tmp_path / "policy" / "policy.yaml").read_text()
    assert "3 passed, 0 failed" in roe("test", folder, "--fail-on-empty").output
    rows = (tmp_path / "policy" / "tests" / "draft.yaml").read_text()
    assert "A01" not in rows and 'rule: "as-it-is"' in rows


@pytest.mark.parametrize("content", ["", "Id,Name\n", "\x00\x01", 'Id,Name\n1,"x\n', "a;b\n1;2\n"])
def test_init_from_nonsense_tells_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "accounts.csv").write_text(content)
    result = CliRunner().invoke(main, ["init", str(tmp_path / "p"), "--from", str(tmp_path / "e")])
    assert result.exit_code in (0, 2) and (result.exception is None or isinstance(result.exception, SystemExit)), result.exception


def test_audit_groups_by_rule_and_rep() -> None:
    text = roe("audit", STATIC, *AT, code=1).output
    assert "23 of 32 allocations differ" in text and "CRM:    Cal Cruz (cal); column `owner_ae`" in text
    found = json.loads(roe("audit", STATIC, *AT, "--format", "json", code=1).output)
    assert found["reps"]["ann"] == {"name": "Ann Archer", "gains": 2, "loses": 0} and len(found["differ"]) == 23
    rows = list(csv.DictReader(roe("audit", STATIC, *AT, "--format", "csv", code=1).stdout.splitlines()))
    assert len(rows) == 23


def test_a_failing_test_shows_the_values(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    roe("init", str(folder))
    path = folder / "tests" / "first.yaml"
    path.write_text(
        path.read_text().replace("owner: cat, territory: emea", 'owner: amy, territory: emea, values: {account.employees: "5"}')
    )
    result = roe("test", str(folder), "--junit", str(tmp_path / "r.xml"), code=1)
    assert "owner: expected amy, got cat" in result.output and "account.employees: expected 5, got 300" in result.output
    assert 'territory = name "emea"' in result.output
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert "1 passed" in roe("test", str(folder), "-k", "turns").output
    (folder / "tests" / "first.yaml").unlink()
    roe("test", str(folder))
    assert "R703" in roe("test", str(folder), "--fail-on-empty", code=1).output


def test_fmt_changes_spelling_and_nothing_else(tmp_path: Path) -> None:
    text = "# a comment\nroe: 1\nname: x  \nroles: [ae]\ndefine:\n  account.a:   'starts with(account.name,\"A\")   and account.employees>5'   # why\n  account.b: upper case(account.name)\n"
    policy_text(tmp_path, text)
    assert "would change policy.yaml" in roe("fmt", str(tmp_path), "--check", code=1).output
    assert "+  account.b: upper_case(account.name)" in roe("fmt", str(tmp_path), "--diff", code=1).output
    assert (tmp_path / "policy.yaml").read_text() == text
    roe("fmt", str(tmp_path))
    new = (tmp_path / "policy.yaml").read_text()
    assert "# a comment" in new and "# why" in new and "'starts_with(account.name, \"A\") and account.employees > 5'" in new
    roe("fmt", str(tmp_path), "--check")
    assert roe("fmt", "-e", "string length( x )>3").output == "string_length(x) > 3\n"


@pytest.mark.parametrize("args", [("-2 ** 2",), ("--", "-2 ** 2"), ("--format", "text", "- 2 ** 2")])
def test_eval_takes_an_expression_that_begins_with_a_minus(args: tuple[str, ...]) -> None:
    assert roe("eval", *args).output.split()[0] == "4"


def test_what_may_be_an_option_is_not_taken_for_the_expression() -> None:
    given = ("--vars", '{"x": 1}')
    assert "write `--` before it" in roe("eval", "-x", *given, code=2).output
    assert roe("eval", *given, "--", "-x").output.split()[0] == "-1"
    assert "R801" in roe("eval", "-1", "--vars", "-1", code=2).output  # the value of an option is one


def test_eval_shows_every_part() -> None:
    text = roe("eval", "x > 3 and y", "--vars", '{"x": 5, "y": true}').output
    assert text.startswith("true   (boolean)") and "x > 3" in text
    found = json.loads(
        roe("eval", "account.employees * 2", "--data", DATA, "--record", "A04", "--policy", STATIC, "--format", "json").output
    )
    assert found["value"] == 700
    assert "8" in roe("repl", stdin="a := 5\na + 3\n1 +\n").output


def test_cells_cannot_become_formulas(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p",
        "roe: 1\nname: x\nroles: [ae]\nengagement:\n  account:\n    ae:\n      - {name: all, then: open, because: '{account.name}'}\n",
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text('id,name\n1,"=HYPERLINK(""http://x"",""y"")"\n2,+1\n3,@SUM(A1)\n4,-5\n')
    roe("run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01", "--out", str(tmp_path / "o"))
    rows = list(csv.DictReader((tmp_path / "o" / "allocations.csv").open()))
    assert [r["name"][:2] for r in rows] == ["'=", "+1", "'@", "-5"]
    markdown = roe("explain", "1", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-01-01", "--format", "md").output
    assert "=HYPERLINK" in markdown


def test_data_in_every_format(tmp_path: Path) -> None:
    """CSV with semicolons and a mark, JSON, JSON lines and Parquet give the same run."""
    import pyarrow
    from pyarrow import parquet

    rows: list[dict[str, Any]] = list(csv.DictReader((EXAMPLES / "static" / "data" / "accounts.csv").open()))
    others = {n: (EXAMPLES / "static" / "data" / n).read_bytes() for n in ("reps.csv", "activities.csv")}
    outputs = set()
    for shape in ("csv", "json", "jsonl", "parquet"):
        folder = tmp_path / shape
        folder.mkdir()
        for name, content in others.items():
            (folder / name).write_bytes(content)
        if shape == "csv":
            lines = [";".join(rows[0]), *(";".join(r.values()) for r in rows)]
            (folder / "accounts.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
        elif shape == "parquet":
            parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "accounts.parquet")
        else:
            text = json.dumps(rows) if shape == "json" else "\n".join(map(json.dumps, rows))
            (folder / f"accounts.{shape}").write_text(text)
        roe("run", STATIC, "--data", str(folder), "--as-of", "2026-02-01", "--out", str(folder / "out"))
        outputs.add((folder / "out" / "allocations.csv").read_bytes())
    assert len(outputs) == 1


def test_a_spreadsheet_as_a_table(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "West"
    for row in (
        ["name", "country", "employees", "region", "from"],
        ["big", "US", ">= 500", "AMER", None],
        ["dach", "DE,AT", "-", "EMEA", None],
    ):
        sheet.append(row)
    (tmp_path / "t").mkdir()
    book.save(tmp_path / "t" / "carve.xlsx")
    policy = 'roe: 1\nname: x\nroles: [ae]\nterritories: {table: t/carve.xlsx#West}\nengagement:\n  account:\n    ae:\n      - {name: t, when: territory.region = "AMER", then: {assign: \'"ann"\'}}\n'
    policy_text(tmp_path, policy)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "accounts.csv").write_text("id,country,employees\n1,US,700\n2,US,7\n3,AT,1\n")
    at = ("--data", str(tmp_path / "d"), "--as-of", "2026-01-01")
    assert "carve.xlsx:West!C2" in roe("explain", "1", str(tmp_path), *at).output
    assert "ann" not in roe("explain", "2", str(tmp_path), *at).output.split("\n")[0]
    sheet["C2"] = ">= 500 and"
    book.save(tmp_path / "t" / "carve.xlsx")
    assert "t/carve.xlsx:West!C2" in roe("check", str(tmp_path), code=1).output


# --- columns, SQL, runs that kept what they saw ---------------------------------------------------------------------


def run_static(out: Path, *options: str, code: int = 0) -> Result:
    return roe("run", STATIC, *AT, "--out", str(out), *options, code=code)


def test_columns_write_what_rows_write(tmp_path: Path) -> None:
    rows, columns = run_static(tmp_path / "rows", "--engine", "rows"), run_static(tmp_path / "columns", "--engine", "columns")
    assert rows.output.replace("/rows", "/columns") == columns.output
    for path in (tmp_path / "rows").iterdir():
        if path.name == "run.json":  # it names the engine
            continue
        assert (tmp_path / "columns" / path.name).read_text("utf-8") == path.read_text("utf-8")


def test_parquet_and_a_database(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    duckdb = pytest.importorskip("duckdb")
    run_static(tmp_path / "csv")
    run_static(tmp_path / "out", "--format", "parquet")
    found = parquet.read_table(tmp_path / "out" / "allocations.parquet").to_pylist()
    header, *lines = csv.reader((tmp_path / "csv" / "allocations.csv").open(encoding="utf-8", newline=""))
    assert [[row[h] or "" for h in header] for row in found] == lines
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as con:
        for path in Path(DATA).glob("*.csv"):
            con.execute(f"CREATE TABLE {path.stem} AS SELECT * FROM read_csv('{path}', all_varchar = true)")
    roe("run", STATIC, "--data", str(tmp_path / "crm.duckdb"), "--as-of", "2026-02-01", "--out", str(tmp_path / "db"))
    assert (tmp_path / "db" / "changes.csv").read_text() == (tmp_path / "csv" / "changes.csv").read_text()
    at = ("--data", str(tmp_path / "crm.duckdb"), "--as-of", "2026-02-01")
    roe("run", STATIC, *at, "--engine", "rows", "--format", "parquet", "--out", str(tmp_path / "rows"))
    roe("run", STATIC, *at, "--engine", "columns", "--format", "parquet", "--out", str(tmp_path / "columns"))
    texts = [parquet.read_table(tmp_path / engine / "changes.parquet").to_pylist() for engine in ("rows", "columns")]
    assert texts[0] == texts[1]


def test_a_run_explains_itself_without_its_data(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run_static(tmp_path / "out", "--engine", "columns", "--trace")
    asked = ("--role", "ae", "--format", "json")
    assert json.loads(roe("explain", "hooli.com", "--run", out, *asked).output) == json.loads(
        roe("explain", "hooli.com", STATIC, *AT, *asked).output
    )
    assert "R604" in roe("explain", "nobody.example", "--run", out, code=2).output
    assert "R608" in roe("explain", "hooli.com", "--run", str(tmp_path), code=2).output


def test_compile_writes_sql_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    pytest.importorskip("sqlglot")
    text = roe("compile", STATIC, "--dialect", "snowflake", "--source", "account=crm.accounts").output
    assert "FROM crm.accounts" in text and "/* tier" not in text and "WHEN r.ae_rule = 'named'" in text
    out = tmp_path / "leads.sql"
    result = roe("compile", str(EXAMPLES / "inbound"), "--dialect", "bigquery", "--entity", "lead", "--out", str(out))
    assert "R408" in result.output and "(needs roe)" in out.read_text("utf-8")
    for bad in (("--entity", "contact"), ("--source", "nothing"), ("--source", "account=a b; drop("), ("--as-of", "soon")):
        roe("compile", STATIC, "--dialect", "duckdb", *bad, code=2)


def test_what_an_engine_needs_is_said(tmp_path: Path) -> None:
    assert "--data" in roe("explain", "hooli.com", STATIC, code=2).output
    (tmp_path / "data.csv").write_text("id\n", "utf-8")
    spark = roe(
        "run", STATIC, "--data", str(tmp_path / "data.csv"), *AT[2:], "--engine", "spark", "--out", str(tmp_path / "out"), code=2
    ).output
    assert ("R801" if find_spec("pyspark") and find_spec("pandas") else "R406") in spark


@pytest.mark.parametrize("buffered", [True, False])
def test_a_reader_that_has_enough_ends_a_command_quietly(buffered: bool) -> None:
    """`roe explain … | head -1`, whether Python writes each line at once or all of them as it ends."""
    env = {**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"}
    command = subprocess.Popen([sys.executable, "-m", "roe", "check", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    command.wait()


def test_audit_says_since_when_the_crm_s_owner_has_it_and_not_since_the_move(tmp_path: Path) -> None:
    """The move that the policy would make today is not what the CRM says."""
    policy_text(
        tmp_path / "p", "roe: 1\nname: t\nroles: [ae, csm]\nengagement:\n  account:\n"
        "    ae: [{name: all, then: {assign: '\"ann\"'}}]\n    csm: [{name: all, then: {assign: '\"ann\"'}}]\n",
        data__reps_csv="id,name\nann,Ann\nben,Ben\n",
        data__accounts_csv="id,name,owner,owner_csm,owner_since\nA1,Acme,ben,ben,2025-05-01\nA2,Beta,ben,,\n",
    )  # fmt: skip
    done = roe("audit", str(tmp_path / "p"), "--data", str(tmp_path / "p" / "data"), "--as-of", "2026-02-01", code=1)
    said = [line.strip() for line in done.output.splitlines() if "CRM:" in line]
    assert sorted(said) == [
        "CRM:    Ben (ben); column `owner_csm`, since 2025-05-01", "CRM:    Ben (ben); column `owner`", "CRM:    Ben (ben); column `owner`, since 2025-05-01", "CRM:    nobody; column `owner_csm`",
    ]  # fmt: skip


def test_a_record_that_is_not_found_may_be_among_the_rejected(tmp_path: Path) -> None:
    policy_text(
        tmp_path / "p", "roe: 1\nname: t\nroles: [ae]\nengagement: {account: {ae: [{name: all, then: keep}]}}\n",
        data__accounts_csv="id,name,employees\nA1,Acme,many\nA2,Zeta,5\n",
    )  # fmt: skip
    done = roe("explain", "Acme", str(tmp_path / "p"), "--data", str(tmp_path / "p" / "data"), "--as-of", "2026-02-01", code=2)
    assert "1 rejected record is not searched by name" in " ".join(done.output.split())
