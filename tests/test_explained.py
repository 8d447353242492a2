"""Explanations: the first sentence, who must decide, everything else that a run writes, and input that must not end in a traceback."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from helpers import EXAMPLES, policy_text
from roe.grammar import values as v
from test_cli import roe

REPS = "id,name,manager\nann,Ann,mia\nben,Ben,\nmia,Mia,mia\n"
POLICY = """
roe: 1
name: t
timezone: Europe/Berlin
roles: [ae]
engagement:
  account:
    ae:
      - {name: big, when: account.employees > 1000, then: {refer: account.owner.ae.manager, within: 2 days}, because: "{account.name} is large."}
      - {name: named, when: account.employees > 500, then: {refer: sales.ops}}
      - {name: nobody, when: account.employees > 100, then: {assign: account.former_owner}, else: {refer: account.owner}}
      - {name: rest, when: account.employees > 50, then: hold}
      - {name: free, when: account.employees > 10, then: return}
      - {name: open, then: open}
"""
ACCOUNTS = """id,name,owner,employees
A1,One,ann,2000
A2,Two,ben,2000
A3,Three,,600
A4,Four,ann,200
A5,Five,ann,60
A6,Six,ann,20
A7,Seven,,1
"""


def made(folder: Path, text: str = POLICY, accounts: str = ACCOUNTS, reps: str = REPS) -> tuple[str, str, str, str, str]:
    root = policy_text(folder, text, data__accounts_csv=accounts, data__reps_csv=reps)
    return str(root), "--data", str(root / "data"), "--as-of", "2026-02-01"


def test_the_first_sentence_names_owner_role_end_reason_and_who_decides(tmp_path: Path) -> None:
    at = made(tmp_path)
    expected = {
        "A1": "Ann owns One (account A1) as ae, to be decided by 3 February 2026: One is large; Mia must decide.",
        "A2": "Ben owns Two (account A2) as ae, to be decided by 3 February 2026: Two is large; (unknown) must decide.",
        "A3": "Nobody owns Three (account A3) as ae, to be decided: sales.ops must decide, by rule `named`.",
        "A4": "Ann owns Four (account A4) as ae, to be decided: Ann must decide, by rule `nobody`.",
        "A5": "Ann owns Five (account A5) as ae, on hold: on hold, by rule `rest`.",
        "A6": "Nobody owns Six (account A6) as ae any more: it goes back to the pool: returned to the pool, by rule `free`.",
        "A7": "Nobody owns Seven (account A7) as ae, and it is open: open, by rule `open`.",
    }
    for record, sentence in expected.items():
        assert json.loads(roe("explain", record, *at, "--format", "json").output)["sentence"] == sentence


def test_rows_and_columns_say_the_same_of_who_decides(tmp_path: Path) -> None:
    at = made(tmp_path / "p")
    for engine in ("rows", "columns"):
        roe("run", *at, "--out", str(tmp_path / engine), "--engine", engine)
    rows, columns = ((tmp_path / engine / "allocations.csv").read_bytes() for engine in ("rows", "columns"))
    assert rows == columns
    lines = {line["record"]: line for line in csv.DictReader(rows.decode().splitlines())}
    assert (lines["A1"]["expires"], lines["A1"]["reason"]) == ("2026-02-03", "One is large; Mia must decide")


def test_refer_reads_an_expression_where_a_text_begins_with_an_entity(tmp_path: Path) -> None:
    at = made(tmp_path, POLICY.replace("account.owner.ae.manager", "account.owner.ae.maneger"))
    assert "R204" in roe("check", at[0], code=1).output or "R202" in roe("check", at[0], code=1).output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-02-24", "24 February 2026"), ("2026-02-24T00:00:00", "24 February 2026"), ("2026-02-24T09:05:00", "24 February 2026, 09:05"),
        ("0001-01-01", "1 January 1"), ("9999-12-31", "31 December 9999"),
    ],
)  # fmt: skip
def test_days_as_people_read_them(value: str, text: str) -> None:
    assert v.readable(v.parse_temporal(value)) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        ("P45D", "45 days"), ("P1D", "1 day"), ("P1DT4H", "1 day 4 hours"), ("PT0S", "0 days"), ("-PT3H", "minus 3 hours"),
        ("PT90S", "1 minute 30 seconds"), ("P1Y6M", "1 year 6 months"), ("P1M", "1 month"), ("P0M", "0 months"),
    ],
)  # fmt: skip
def test_durations_as_people_read_them(duration: str, text: str) -> None:
    assert v.readable(v.parse_duration(duration)) == text


def test_a_duration_in_a_sentence_has_its_units(tmp_path: Path) -> None:
    text = 'roe: 1\nname: t\nroles: [ae]\nengagement:\n  account:\n    ae: [{name: a, then: open, because: "quiet for {@\\"P45D\\"}"}]\n'
    at = made(tmp_path, text)
    assert "quiet for 45 days." in roe("explain", "A1", *at).output.replace("\n", " ")


def test_a_moment_is_said_in_the_zone_of_the_policy(tmp_path: Path) -> None:
    text = 'roe: 1\nname: t\ntimezone: America/New_York\nroles: [ae]\nengagement:\n  account:\n    ae: [{name: a, then: open, because: "since {@\\"2026-02-24T15:30:00Z\\"}"}]\n'
    at = made(tmp_path, text)
    assert "since 24 February 2026, 10:30." in roe("explain", "A1", *at).output.replace("\n", " ")


def of(example: str, as_of: str) -> tuple[str, str, str, str, str]:
    folder = str(EXAMPLES / example)
    return folder, "--data", f"{folder}/data", "--as-of", as_of


@pytest.mark.parametrize(
    ("asked", "example", "as_of", "said"),
    [
        (("C1",), "wild-west", "2026-02-01", "Sven Sand claimed Alpen Werke GmbH (account W1) on 28 January 2026, 10:00, and the claim C1 is refused"),
        (("1",), "disputes", "2026-02-01", "Dispute 1 is about the credit `sourcing` of Bexley renewal (opportunity O2)"),
        (("O2", "--field", "sourcing"), "disputes", "2026-02-01", "sales-ops must decide by 6 February 2026"),
        (("L01", "--field", "lead.source"), "inbound", "2026-02-02T10:00", "`source` of"),
        (("A04", "--field", "account.tier"), "static", "2026-02-01", '`tier` of Hooli Inc. (account A04) is "A"'),
        (("A04", "--field", "country"), "static", "2026-02-01", 'is "US", as the data says'),
        (("dee", "--field", "rep.name"), "static", "2026-02-01", '"Dee Dunn", as the data says'),
    ],
)  # fmt: skip
def test_everything_that_a_run_writes_is_explained(asked: tuple[str, ...], example: str, as_of: str, said: str) -> None:
    assert said in " ".join(roe("explain", *asked, *of(example, as_of)).output.split())
    found = json.loads(roe("explain", *asked, *of(example, as_of), "--format", "json").output)
    assert (found if isinstance(found, dict) else found[0])["sentence"]
    assert roe("explain", *asked, *of(example, as_of), "--format", "md").output.startswith("**")


CLAIMS = """
roe: 1
name: t
roles: [ae]
claims: {lasts: 10 days}
define: {account.large: account.employees > 100}
engagement: {account: {ae: [{name: all, then: keep}]}}
"""


@pytest.mark.parametrize(
    ("record", "field", "said"),
    [
        ("K2", "status", "Ben claimed One (account A1) on 30 January 2026, and the claim K2 is refused: Ann holds it"),
        ("K2", "claim.reason", "Ben claimed One (account A1) on 30 January 2026, and the claim K2 is refused: Ann holds it"),
        ("A1", "claim", "`claim` of One (account A1) is K1."),
        ("A1", "owner.ae", "`owner.ae` of One (account A1) is Ben, as the data says."),
        ("A1", "account.owner.ae.name", '`owner.ae.name` of One (account A1) is "Ben", as the data says.'),
        ("A1", "owner_since.ae", "`owner_since.ae` of One (account A1) is 2 January 2026, as the data says."),
        ("A1", "employees", "`employees` of One (account A1) has no value, as the data says."),
        ("A1", "large", "`large` of One (account A1) has no value: something that it rests on is missing."),
        ("ann", "able", "`able` of Ann (rep ann) is true."),
    ],
)
def test_a_field_is_said_to_be_of_the_data_where_it_is(record: str, field: str, said: str, tmp_path: Path) -> None:
    at = made(tmp_path, CLAIMS, "id,name,owner,owner_since\nA1,One,ben,2026-01-02\n")
    (tmp_path / "data" / "claims.csv").write_text("id,account,rep,at\nK1,A1,ann,2026-01-29\nK2,A1,ben,2026-01-30\n", "utf-8")
    sentence = json.loads(roe("explain", record, *at, "--field", field, "--format", "json").output)["sentence"]
    assert sentence.startswith(said)


@pytest.mark.parametrize(("day", "stage", "share"), [("2026-01-02", 1, 100), ("2026-02-02", 2, 50)])
def test_the_stage_of_a_holdover_is_named(day: str, stage: int, share: int, tmp_path: Path) -> None:
    text = CLAIMS.replace("claims: {lasts: 10 days}", "holdovers: {after: {credit: [100, 50], each: 1 month}}")
    at = made(tmp_path, text, "id,name,owner,owner_since,former_owner\nA1,One,ben,2026-01-02,ann\n")
    said = " ".join(roe("explain", "A1", *at[:-1], day, "--field", "after_credit").output.split())
    assert said.startswith(f"`after_credit` of One (account A1) is {share}, by rule `stage {stage}`.")


@pytest.mark.parametrize(
    ("field", "said"),
    [("owner.sdr", "unknown field `sdr`"), ("acount.large", "did you mean `account`"), ("account.owner.ae.size", "unknown field `size`")],
)
def test_a_path_that_leads_nowhere_is_a_finding(field: str, said: str, tmp_path: Path) -> None:
    at = made(tmp_path, CLAIMS, "id,name,owner\nA1,One,ben\n")
    assert said in roe("explain", "A1", *at, "--field", field, code=2).output


def test_every_event_of_a_run_is_explained(tmp_path: Path) -> None:
    at = of("scoring", "2026-03-01")
    roe("run", *at, "--out", str(tmp_path))
    lines = list(csv.DictReader((tmp_path / "events.csv").open(encoding="utf-8")))
    assert lines
    for line in lines[:3]:
        text = " ".join(roe("explain", line["record"], *at, "--field", line["event"]).output.split())
        assert f"The event `{line['event']}` of" in text and f"is raised by this run: {line['reason']}." in text


def test_every_line_of_credit_is_explained(tmp_path: Path) -> None:
    text = CLAIMS.replace("claims: {lasts: 10 days}", "holdovers: {after: {credit: [100, 50], each: 1 month}}\nexceptions: exceptions.csv")
    at = made(tmp_path, text.replace("then: keep", "then: {assign: account.champion}").replace("define:", "fields: {account: {champion: rep}}\ndefine:"),
              "id,name,owner,owner_since,former_owner,champion\nA1,One,ben,2026-01-02,ann,ben\nA2,Two,ann,2024-01-02,,mia\nA3,Three,ben,,,ben\n")  # fmt: skip
    exceptions = "record,role,owner,approved_by,reason,until,credit\nA3,ae,ann,VP,a friend,2026-07-01,ann 60; ben 40\n"
    (tmp_path / "exceptions.csv").write_text(exceptions, "utf-8")
    roe("run", *at, "--out", str(tmp_path / "out"))
    lines = list(csv.DictReader((tmp_path / "out" / "credits.csv").open(encoding="utf-8")))
    assert {line["credit"] for line in lines} == {"after", "exception"} and {line["record"] for line in lines} == {"A1", "A2", "A3"}
    for line in lines:
        said = " ".join(roe("explain", line["record"], *at, "--field", line["credit"]).output.split())
        assert (
            said.startswith(f"The credit `{line['credit']}` of ")
            and f"{line['rep'].title()} {line['share']} %" in said
            and line["reason"] in said
        )
    assert "today `exception` gives nobody a share of the account `A1`" in roe("explain", "A1", *at, "--field", "exception", code=2).output


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("A04", "--field", "tieer"), "R202"), (("A04", "--field", "acount.tier"), "R504"), (("A04", "--field", "tier", "--role", "ae"), "R801"),
        (("A04", "--field", "tier", "--why-not", "cal"), "R801"), (("nothing", "--field", "tier"), "R604"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_a_finding(asked: tuple[str, ...], code: str) -> None:
    assert code in roe("explain", *asked, *of("static", "2026-02-01"), code=2).output


def test_a_timeline_begins_a_window_at_its_own_start(tmp_path: Path) -> None:
    text = """
roe: 1
name: t
roles: [ae]
windows:
  trial: {lasts: 60 days, starts: account.created}
  work: {lasts: 90 days}
engagement:
  account:
    ae: [{name: a, when: account.trial_state = "protected", then: keep}, {name: b, then: open}]
"""
    accounts = "id,name,owner,created,owner_since\nA1,One,ann,2025-12-01,2026-01-10\n"
    states = json.loads(roe("timeline", "A1", *made(tmp_path, text, accounts), "--format", "json").output)["states"]
    first = {s["window"]: (s["from"][:10], s["cause"]) for s in reversed(states) if s["state"] == "protected"}
    assert first == {"trial": ("2025-12-01", "account created"), "work": ("2026-01-10", "account owner since")}


# --- no traceback -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    ["account.children", "[account, account.parent]", "account.owner", "for x in account.children return x.children", "account"],
)
def test_records_that_refer_to_each_other_have_a_text(tmp_path: Path, expression: str) -> None:
    accounts = "id,name,owner,parent\nA1,One,ann,A2\nA2,Two,ann,A1\n"
    at = made(
        tmp_path,
        "roe: 1\nname: t\nroles: [ae]\nengagement: {account: {ae: [{name: a, then: open, because: 'with {account.children}'}]}}\n",
        accounts,
    )
    for shape in ("text", "json"):
        roe("eval", expression, "--policy", at[0], "--data", at[2], "--record", "A1", "--format", shape)
    assert "with [Two]" in roe("explain", "A1", *at).output


def test_a_state_of_brackets_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("[" * 100_000 + "]" * 100_000, "utf-8")
    assert "R608" in roe("explain", "A04", *of("static", "2026-02-01"), "--state", str(tmp_path), code=2).output


@pytest.mark.parametrize("role", ["owner", "account", "name", "id", "rep", "today", "territory", "in"])
def test_a_role_may_be_called_like_a_field(tmp_path: Path, role: str) -> None:
    text = f"""
roe: 1
name: t
roles: [ae, {role}]
territories:
  rows: [{{name: t, country: US}}]
  staffing: [{{territory: t, role: {role}, rep: ann}}]
engagement:
  account:
    ae: [{{name: a, then: keep}}]
    {role}: [{{name: a, then: {{assign: territory_owner}}, else: open}}]
"""
    at = made(tmp_path / "p", text, "id,name,country\nA1,One,US\nA2,Two,DE\n")
    for engine in ("rows", "columns"):
        roe("run", *at, "--out", str(tmp_path / engine), "--engine", engine)
    rows, columns = ((tmp_path / engine / "allocations.csv").read_bytes() for engine in ("rows", "columns"))
    assert rows == columns
    owners = {(x["record"], x["role"]): x["owner"] for x in csv.DictReader(rows.decode().splitlines())}
    assert (owners["A1", role], owners["A2", role]) == ("ann", "")
    for asked in (
        ("explain", "A1", *at),
        ("explain", "A2", *at, "--why-not", "ann"),
        ("handbook", at[0]),
        ("graph", at[0]),
        ("diff", at[0], at[0]),
    ):
        roe(*asked)
