"""Numbers with their nouns, and what a newcomer meets in the first hour."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from roe.cli import main
from roe.ledger.store import open_store
from roe.words import counted, plural, verb

HEAD = "Account ID,Account Name,Account Owner,Billing Country\n"


def roe(*args: str) -> str:
    return CliRunner().invoke(main, args).output


@pytest.mark.parametrize(
    "number, noun, shown",
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (1200, "record", "1,200 records"),
        (2, "opportunity", "2 opportunities"),
        (2, "day", "2 days"),
        (2, "person", "2 people"),
        (1, "person", "1 person"),
        (2, "branch", "2 branches"),
        (2, "address", "2 addresses"),
    ],
)
def test_a_number_has_its_noun(number: int, noun: str, shown: str) -> None:
    assert counted(number, noun) == shown


def test_words_go_with_their_number() -> None:
    assert verb(1, "goes", "go") == "goes" and verb(0, "goes", "go") == "go" and plural("activity") == "activities"


def test_the_first_hour_with_accounts_alone(tmp_path: Path) -> None:
    """Owners whom no list of reps has can be asked about, and one record is `1 account`."""
    export = tmp_path / "accounts.csv"
    export.write_text(HEAD + "A1,Acme,Tina Thomas,US\nA2,Blue,Raj Rao,CA\nA3,Core,Raj Rao,CA\nA4,Dune,,US\n", "utf-8")
    policy, out = str(tmp_path / "p"), str(tmp_path / "out")
    said = roe("init", policy, "--from", str(export))
    assert "1 account has no owner: 1 goes to its territory" in said and "roe check" in said
    ran = roe("run", policy, "--out", out)
    assert "4 allocations, 1 changes hands, 0 records rejected" in ran and "Add reps.csv" in ran
    assert "`country` from" in roe("explain", "Dune", policy, "--why-not", "Raj Rao")
    assert "there is no rep `Nobody`" in roe("explain", "Dune", policy, "--why-not", "Nobody")


def test_columns_of_its_own_have_their_type_and_a_readable_name(tmp_path: Path) -> None:
    export = tmp_path / "accounts.csv"
    export.write_text(
        "Account ID,Account Name,Account Owner,Größe,Beitritt,Fällig,顧客,区分\n"
        'A1,Acme,Ann,"12.500,50",31.01.2026 09:30,2026-01-31,x,1\nA2,Blue,Ann,"1.200,00",28.02.2026 10:00,2026-02-28,y,2\n',
        "utf-8",
    )
    roe("init", str(tmp_path / "p"), "--from", str(export))
    own = yaml.safe_load((tmp_path / "p" / "policy.yaml").read_text("utf-8"))["fields"]["account"]
    assert own["groesse"] == {"type": "number", "column": "Größe", "format": "1.234,5"}
    assert own["beitritt"] == {"type": "datetime", "column": "Beitritt", "format": "%d.%m.%Y %H:%M"}
    assert own["faellig"] == {"type": "date", "column": "Fällig"}
    assert own["column_7"] == {"type": "string", "column": "顧客"} and own["column_8"] == {"type": "number", "column": "区分"}


def test_everything_below_the_blank_line_of_a_report_is_the_reports_own(tmp_path: Path) -> None:
    export = tmp_path / "accounts.csv"
    export.write_text(HEAD + 'A1,Acme,Ann,US\n\n"Copyright (c) 2026 salesforce.com, inc."\n"All Accounts"\n"Northwind Inc."\n', "utf-8")
    assert "3 rejected (3: a line of the report, not a record)" in roe("data", str(tmp_path))


def test_a_command_with_another_name_is_pointed_to() -> None:
    assert "use `roe explain RECORD --why-not REP`" in roe("why-not")
    assert "did you mean `history`" in roe("hisory")


def test_a_port_in_use_is_one_finding(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = roe("serve", "--port", str(port), "--state", str(tmp_path / "s"))
    assert f"port {port} is in use" in said and "Traceback" not in said


def test_what_cannot_be_served_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvicorn")
    monkeypatch.chdir(tmp_path)
    said = roe("serve", "--host", "0.0.0.0", "--state", "s")
    assert "since it has no tokens" in said and "serving" not in said and not (tmp_path / "s").exists()


def test_a_service_that_there_is_not_cannot_be_paused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody in a hurry has no policy at hand, and may misspell the ledger."""
    pytest.importorskip("uvicorn")
    monkeypatch.chdir(tmp_path)
    assert "there is no ledger in this folder" in roe("pause", "--state", "s") and not (tmp_path / "s").exists()
    open_store(tmp_path / "s").close()
    assert roe("pause", "--state", "s").startswith("the service is paused")
