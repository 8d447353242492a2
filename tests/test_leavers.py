"""Reps who have left: the places that still name them, and what became of the records that they held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from helpers import policy_text
from roe.cli import main

POLICY = """roe: 1
name: leavers
roles: [ae, sdr]
tables:
  named: {table: tables/named.csv, hit: first, outputs: [rep]}
territories:
  table: tables/territories.csv
  staffing: tables/staffing.csv
  fallback: {ae: ada}
pools:
  desk:
    members: [Ada Ash, cy, {rep: ben, until: 2030-01-01}]
    fallback: ada
engagement:
  account:
    ae:
      - {name: named, when: account.named != null, then: {assign: account.named}, else: open}
      - {name: closed, when: 'account.country = "FR"', then: {refer: Ada Ash}}
      - {name: staffed, then: {assign: territory_owner.ae}, else: open}
  lead:
    sdr:
      - {name: hers, when: 'lead.country = "US"', then: {assign: ada}, else: {route: desk}}
      - {name: turns, then: {route: desk}}
exceptions: exceptions.csv
"""
FILES = {
    "tables__named_csv": "domain,rep\nacme.com,ada\nbolt.io,cy\n",
    "tables__territories_csv": "name,country\nde,DE\nat,AT\n",
    "tables__staffing_csv": "territory,role,rep,from,until\nde,ae,ada,,2030-01-01\nde,ae,cy,2030-01-01,\nat,ae,dee,,\n",
    "exceptions_csv": "record,role,owner,approved_by,reason,from,until\n2,ae,ada,vp,old,2025-01-01,2026-01-01\n3,ae,ada,vp,new,2025-01-01,2031-01-01\n",
    "data__reps_csv": "id,name,active,ends\nada,Ada Ash,true,2026-01-31\nben,Ben,false,\ncy,Cy,true,\ndee,Dee,true,\neve,Eve,false,\n",
    "data__accounts_csv": (
        "id,name,domain,country,owner.ae\n1,Acme,acme.com,AT,ada\n2,Bolt,bolt.io,AT,ada\n3,Cog,cog.com,AT,ada\n4,Dam,dam.com,AT,ben\n5,Elk,elk.com,DE,cy\n"
    ),
    "data__leads_csv": "id,name,country,created,owner.sdr\nL1,x,US,2026-01-02,ada\nL2,y,DE,2026-01-03,ada\nL3,z,DE,2026-01-04,cy\n",
}
NAMED = [  # where Ada is named, by hand: not in the row of staffing and the exception that end
    ("the pool `desk`", "policy.yaml:12"),
    ("the fallback of the pool `desk`", "policy.yaml:13"),
    ("the rule `hers`", "policy.yaml:22"),
    ("the exception for `3`", "exceptions.csv:3"),
    ("the fallback of the staffing", "policy.yaml:9"),
    ("the referral of the rule `closed`", "policy.yaml:18"),
    ("the table `named`", "tables/named.csv:2"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return policy_text(tmp_path / "policy", POLICY, **FILES)


def run(folder: Path, out: Path, *more: str) -> tuple[str, dict[str, Any]]:
    done = CliRunner().invoke(main, ["run", str(folder), "--data", str(folder / "data"), "--as-of", "2026-03-01", "--out", str(out), *more])
    assert done.exit_code == 0, done.output
    return done.output, json.loads((out / "summary.json").read_text("utf-8"))


def test_check_has_one_finding_for_each_leaver_who_is_still_named(folder: Path) -> None:
    done = CliRunner().invoke(main, ["check", str(folder), "--as-of", "2026-03-01", "--format", "json"])
    (one,) = [d for d in json.loads(done.output) if d["code"] == "R417"]
    assert "`ada`, who left on 31 January 2026" in one["message"] and "6 more places" in one["message"]
    places = [f"{one['file']}:{one['line']}", *(f"{r['file']}:{r['line']}" for r in one["related"])]
    assert sorted(places) == sorted(place for _, place in NAMED)
    assert "`until`" in one["help"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("{refer: Ada Ash}", "{refer: [{to: desk}, {to: ada, after: 5 days}], within: 2 days}"), "the referral of the rule `closed`"),
        (("tables:\n", "by_hand: {account: {ae: {refer: ada}}}\ntables:\n"), "the referral of the rule `by-hand`"),
        (("    fallback: ada\n", "    fallback: ada\n    sla: {within: 2 days, escalate: ada}\n"), "the escalation of the pool `desk`"),
        (("tables:\n", "credits: {main: {for: account, rules: [{name: c, shares: {account.owner.ae: 100}}], disputes: {refer: ada, within: 2 days}}}\ntables:\n"), "the disputes of the credit `main`"),
    ],
)  # fmt: skip
def test_whoever_must_decide_is_named_too(folder: Path, change: tuple[str, str], what: str) -> None:
    text = (folder / "policy.yaml").read_text("utf-8")
    assert change[0] in text
    (folder / "policy.yaml").write_text(text.replace(*change), "utf-8")
    done = CliRunner().invoke(
        main, ["run", str(folder), "--data", str(folder / "data"), "--as-of", "2026-03-01", "--out", str(folder / "out")]
    )
    assert done.exit_code == 0, done.output
    ada = json.loads((folder / "out" / "summary.json").read_text("utf-8"))["leavers"][0]
    assert what in [m["by"] for m in ada["named"]]


def test_a_comment_allows_one_place_and_the_others_are_still_said(folder: Path) -> None:
    text = (
        (folder / "policy.yaml")
        .read_text("utf-8")
        .replace("    fallback: ada\n", "    fallback: ada # roe: allow R417 because she is back in May\n")
    )
    (folder / "policy.yaml").write_text(text, "utf-8")
    done = CliRunner().invoke(main, ["check", str(folder), "--as-of", "2026-03-01", "--format", "json"])
    found = json.loads(done.output)
    (one,) = [d for d in found if d["code"] == "R417"]
    assert "5 more places" in one["message"] and not [d for d in found if d["code"] == "R424"]


def test_nobody_is_named_before_the_last_day(folder: Path) -> None:
    done = CliRunner().invoke(main, ["check", str(folder), "--as-of", "2026-01-30", "--format", "json"])
    assert not [d for d in json.loads(done.output) if d["code"] == "R417" and "ada" in d["message"].lower()]


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_a_run_says_what_became_of_their_records(folder: Path, tmp_path: Path, engine: str) -> None:
    said, summary = run(folder, tmp_path / "out", "--engine", engine)
    ada, ben = summary["leavers"]  # Eve held nothing, and nothing names her
    assert (ada["rep"], ada["name"], ada["why"]) == ("ada", "Ada Ash", "left on 31 January 2026")
    assert sorted((m["by"], m["place"]) for m in ada["named"]) == sorted(NAMED)
    held = {(x["entity"], x["role"], x["owner"], x["rule"]): x["records"] for x in ada["records"]}
    assert held == {
        ("account", "ae", None, "named"): 1,  # the table names Ada herself
        ("account", "ae", "cy", "named"): 1,
        ("account", "ae", "dee", "staffed"): 1,  # the exception for Ada does not decide any more
        ("lead", "sdr", "cy", "hers"): 1,
        ("lead", "sdr", "cy", "turns"): 1,
    }
    assert ben["why"] == "is not active" and ben["named"] == []
    assert [(x["owner"], x["rule"], x["records"]) for x in ben["records"]] == [("dee", "staffed", 1)]
    line = "Ada Ash left on 31 January 2026: 4 records went to 2 others, 1 to nobody; still named in policy.yaml:12, policy.yaml:13, policy.yaml:22, exceptions.csv:3 and 3 more [R417]"
    assert line in said.splitlines() and "Ben is not active: 1 record went to 1 other" in said.splitlines()


def test_both_engines_write_the_same_summary(folder: Path, tmp_path: Path) -> None:
    for engine in ("rows", "columns"):
        run(folder, tmp_path / engine, "--engine", engine)
    rows, columns = ((tmp_path / engine / "summary.json").read_bytes() for engine in ("rows", "columns"))
    assert rows == columns


def test_the_next_night_has_nothing_to_say_of_records_that_are_given_away(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "one", "--state", str(tmp_path / "ledger"))
    _, summary = run(folder, tmp_path / "two", "--state", str(tmp_path / "ledger"), "--as-of", "2026-03-02")
    assert [(x["rep"], x["records"]) for x in summary["leavers"]] == [("ada", [])]


def test_without_leavers_a_summary_has_no_such_list(folder: Path, tmp_path: Path) -> None:
    (folder / "data" / "reps.csv").write_text("id,name\nada,Ada Ash\nben,Ben\ncy,Cy\ndee,Dee\n", "utf-8")
    said, summary = run(folder, tmp_path / "out")
    assert "leavers" not in summary and "still named" not in said


def test_a_name_cannot_speak_to_the_terminal(folder: Path, tmp_path: Path) -> None:
    path = folder / "data" / "reps.csv"
    path.write_text(path.read_text("utf-8").replace(",Ben,", ",B\x1b[31men,"), "utf-8")
    said, _ = run(folder, tmp_path / "out")
    assert "\x1b" not in said and "is not active" in said


def test_the_data_names_leavers_as_managers_and_covers(folder: Path) -> None:
    data = folder / "data"
    (data / "reps.csv").write_text(
        "id,name,ends,manager\nada,Ada Ash,2026-01-31,\ncy,Cy,,ada\ndee,Dee,,ada\neve,Eve,2026-01-31,ada\n", "utf-8"
    )
    (data / "leaves.csv").write_text(
        "id,rep,starts,until,cover\nv,cy,2026-02-20,2026-03-10,ada\nw,dee,2026-02-01,2026-02-10,ada\n", "utf-8"
    )
    output, summary = run(folder, folder / "out")
    ada = next(x for x in summary["leavers"] if x["rep"] == "ada")
    named = {(m["by"], m["place"]) for m in ada["named"]}
    assert {("the manager of 2 reps", "reps.csv"), ("the cover of Cy", "leaves.csv")} <= named
    assert "leaves.csv" in output and not any("cover of Dee" in what for what, _ in named)
