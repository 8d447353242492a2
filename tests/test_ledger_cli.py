"""`roe ledger` and `roe history`: what a reader sees, and what every mistake is answered with."""

from __future__ import annotations

import csv
import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from helpers import policy_text
from ledgers import STORES, Ticks, place
from roe.cli import main
from roe.ledger import entries as e
from roe.ledger.audit import anchor, verify
from roe.ledger.entries import RunEntry
from roe.ledger.entry import Entry
from roe.ledger.store import open_store
from test_ledger import EXAMPLES, day, owned


def roe(*args: Any, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [str(a) for a in args])
    assert done.exit_code == code, done.output
    return done


def months(state: str) -> str:
    """Three nights of one account: a territory, a change by hand, and the rule again once its time is over."""
    with open_store(state, clock=Ticks()) as store:
        nights: tuple[tuple[str, list[Entry]], ...] = (
            ("2026-03-02", [owned("A-1", "r3", "2026-01-15", by="import", read_at=day("2026-03-02")), owned("A-1", "r17", "2026-03-02", former="r3", rule="west", action="assign", sentence="Ann has the west")]),
            ("2026-03-10", [owned("A-1", "r2", "2026-03-09", former="r17", by="hand")]),
            ("2026-04-10", [owned("A-1", "r17", "2026-04-10", former="r2", rule="west", action="assign", until=day("2026-05-10"), undoes=5, sentence="Ann has the west")]),
        )  # fmt: skip
        for as_of, entries in nights:
            store.append(
                entries, RunEntry(at=day(as_of), id=f"run-{as_of}", policy="regions", digest="ab12cd34ef56ab78", revision="1f2e3d")
            )
    return state


@pytest.mark.parametrize("kind", STORES)
def test_the_history_reads_like_a_story(kind: str, tmp_path: Path) -> None:
    state = months(place(kind, tmp_path))
    lines = [" ".join(line.split()) for line in roe("history", "A-1", "--state", state).output.splitlines()]
    assert lines[0] == "account A-1"
    assert "2026-01-15 ae r3 has it, as the CRM says" in lines
    assert "2026-03-02 ae r17 takes over from r3 rule `west`: Ann has the west" in lines
    assert "2026-03-09 ae r2 takes over from r17 changed in the CRM by hand" in lines
    assert "2026-04-10 ae r17 takes over from r2, until 2026-05-10 rule `west`, undoing entry 5: Ann has the west" in lines


def test_a_day_is_answered_as_it_was_and_as_it_was_known(tmp_path: Path) -> None:
    state = months(place("sqlite", tmp_path))
    said = roe("history", "A-1", "--on", "2026-03-05", "--state", state).output
    assert "ae: r17, since 2026-03-02, until 2026-03-09; by rule `west`" in said and "regions" in said and "ab12cd34ef56" in said
    late = roe("history", "A-1", "--on", "2026-03-09", "--state", state).output
    assert "ae: r2, since 2026-03-09" in late and "that night roe knew: r17" in late
    (row,) = json.loads(roe("history", "A-1", "--on", "2026-04-12", "--format", "json", "--state", state).output)
    assert (row["rep"], row["since"], row["policy_digest"]) == ("r17", "2026-04-10", "ab12cd34ef56ab78")
    assert "does not know" in roe("history", "A-1", "--on", "2025-01-01", "--state", state).output


def test_history_names_people_and_finds_records_as_explain_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a name, a domain or an e-mail address; reps by their names, where two are not called alike. Machines get ids."""
    monkeypatch.chdir(tmp_path)
    policy = "roe: 1\nname: t\nroles: [ae]\nfields: {account: {wants: rep}}\nengagement: {account: {ae: [{name: w, then: {assign: account.wants}}]}}\n"
    for name, text in {
        "policy.yaml": policy,
        "data/reps.csv": "id,name\nr1,Ann\nr2,Ben\nr3,Kim\nr4,Kim\n",
        "data/accounts.csv": "id,name,domain,owner,wants\nA-1,Acme,acme.com,r2,r1\nA-2,Bolt,bolt.io,r3,r4\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    roe("run", ".", "--data", "data", "--as-of", "2026-03-02", "--state", "state", "--out", "out")
    for called in ("A-1", "Acme", "acme.com"):
        said = roe("history", called, "--state", "state").output
        assert said.startswith("account A-1\n") and "Ann takes over from Ben" in said, called
    assert "Kim (r4) takes over from Kim (r3)" in roe("history", "Bolt", "--state", "state").output
    assert "ae: Ann, since 2026-03-02" in roe("history", "Acme", "--on", "2026-03-02", "--state", "state").output
    assert "Ann owns Acme" in roe("explain", "acme.com", "--on", "2026-03-02", "--state", "state").output
    assert [x["rep"] for x in json.loads(roe("history", "Acme", "--format", "json", "--state", "state").output)] == ["r2", "r1"]
    assert "r1 now has 1 record" in roe("history", "--rep", "Ann", "--state", "state").output
    assert "[R604]" in roe("history", "Acm", "--state", "state", code=2).output


def test_history_as_json_and_csv_and_of_a_part(tmp_path: Path) -> None:
    state = months(place("sqlite", tmp_path))
    found = json.loads(roe("history", "A-1", "--format", "json", "--state", state).output)
    assert [x["rep"] for x in found] == ["r3", "r17", "r2", "r17"] and [x["number"] for x in found] == [2, 3, 5, 7]
    rows = list(csv.DictReader(roe("history", "A-1", "--format", "csv", "--since", "2026-03-09", "--state", state).output.splitlines()))
    assert [x["at"] for x in rows] == ["2026-03-09", "2026-04-10"]
    assert len(json.loads(roe("history", "A-1", "--rep", "r3", "--format", "json", "--state", state).output)) == 2
    assert json.loads(roe("history", "A-1", "--role", "csm", "--format", "json", "--state", state).output) == []
    book = json.loads(roe("history", "--rep", "r17", "--on", "2026-03-05", "--format", "json", "--state", state).output)
    assert [(x["record"], x["since"], x["until"]) for x in book] == [("A-1", "2026-03-02", "2026-03-09")]
    assert "r17 now has 1 record" in roe("history", "--rep", "r17", "--state", state).output


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["history", "A-9"], "R604"),
        (["history"], "R801"),
        (["history", "A-1", "--on", "17 March"], "R801"),
        (["history", "--rep", "nobody"], "R604"),
        (["ledger", "forget", "A-9", "--by", "Ann", "--yes"], "R604"),
        (["ledger", "prune", "--evidence", "a while"], "R801"),
        (["ledger", "verify", "--against", "nowhere"], "R801"),
        (["ledger", "import", "nowhere.csv"], "R601"),
    ],
)
def test_mistakes_are_diagnostics(args: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = months(place("sqlite", tmp_path))
    monkeypatch.chdir(tmp_path)
    said = roe(*args, "--state", state, code=2).output
    assert f"[{code}]" in said and "Traceback" not in said


def test_a_folder_without_a_ledger_is_not_made_into_one(tmp_path: Path) -> None:
    assert "[R641]" in roe("history", "A-1", "--state", tmp_path / "none", code=2).output
    assert not (tmp_path / "none").exists()


def damaged(how: str, folder: Path) -> None:
    """A ledger that something has gone wrong with."""
    file = folder / "ledger.sqlite"
    whole = file.read_bytes()
    if how == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif how == "another file":
        file.write_bytes(b"id,name\n" * 5000)
    elif how == "a foreign database":
        file.unlink()
        with sqlite3.connect(file) as con:
            con.execute("CREATE TABLE migration (a)")
        con.close()
    elif how == "without a table":
        with sqlite3.connect(file) as con:
            con.execute("DROP TABLE holding")
        con.close()
    elif how == "of a newer roe":
        with sqlite3.connect(file) as con:
            con.execute("INSERT INTO migration VALUES (99)")
        con.close()


@pytest.mark.parametrize("how", ["cut", "another file", "a foreign database", "without a table", "of a newer roe"])
def test_a_ledger_that_cannot_be_used_is_a_diagnostic(how: str, tmp_path: Path) -> None:
    state = months(place("sqlite", tmp_path))
    damaged(how, Path(state))
    for args in (["ledger", "status"], ["ledger", "export", "--out", tmp_path / "audit"], ["history", "--rep", "r17"]):
        said = roe(*args, "--state", state, code=2).output
        assert "[R641]" in said or "[R643]" in said, said


@pytest.mark.parametrize(
    ("state", "said"), [("notes.txt", "this is a file; a ledger is a folder"), ("mysql://x/y", "`mysql` is not a kind of ledger")]
)
def test_what_cannot_be_a_ledger(state: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    for args in (["ledger", "status"], ["history", "A-1"]):
        assert said in roe(*args, "--state", state, code=2).output


@pytest.mark.parametrize("kind", STORES)
def test_status_verify_and_a_chain_that_was_changed(kind: str, tmp_path: Path) -> None:
    state = months(place(kind, tmp_path))
    assert "7 entries of 3 runs" in roe("ledger", "status", "--state", state).output
    said = json.loads(roe("ledger", "status", "--format", "json", "--state", state).output)
    assert (said["entries"], said["held"], said["last_run"]["id"]) == (7, 1, "run-2026-04-10")
    with open_store(state) as store:
        (tmp_path / "run.json").write_text(json.dumps({"ledger": anchor(store, 5)}))
    assert "verified: 7 entries" in roe("ledger", "verify", "--projections", "--against", tmp_path / "run.json", "--state", state).output
    with open_store(state) as store:
        store.db.run("UPDATE entry SET at = at + 1 WHERE number = 3")
    said_ = roe("ledger", "verify", "--state", state, code=1).output
    assert "entry 3 is the first" in said_ and "[R644]" in said_


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_export_has_every_entry_and_values_only_if_asked(form: str, tmp_path: Path) -> None:
    state = place("sqlite", tmp_path)
    with open_store(state, clock=Ticks()) as store:
        store.append(EXAMPLES)
    for values in (False, True):
        out = tmp_path / f"out-{values}"
        roe("ledger", "export", "--out", out, "--format", form, *(["--values"] if values else []), "--state", state)
        if form == "csv":
            rows = list(csv.DictReader((out / "entries.csv").open()))
        else:
            pq = pytest.importorskip("pyarrow.parquet")
            rows = pq.read_table(out / "entries.parquet").to_pylist()
        assert [x["kind"] for x in rows] == [x.KIND for x in EXAMPLES]
        assert [int(x["number"]) for x in rows] == list(range(1, len(EXAMPLES) + 1))
        assert ("Ann has it" in repr(rows)) == values
        assert rows[2]["record"] == "A-1" and rows[2]["rep"] == "r1" and rows[2]["at"] == "2026-03-02"


def test_forget_prune_backup_and_restore(tmp_path: Path) -> None:
    state = months(place("sqlite", tmp_path))
    assert "copied 7 entries" in roe("ledger", "backup", tmp_path / "copies", "--state", state).output
    said = roe("ledger", "forget", "A-1", "--by", "Ann", "--why", "request", "--yes", "--state", state).output
    assert "forgotten: 2 values of 1 subject" in said and "git repository" in said and "backups" in said
    assert "[R604]" in roe("history", "A-1", "--state", state, code=2).output
    assert "2 of them erased" in roe("ledger", "verify", "--state", state).output
    assert "0 pieces" in roe("ledger", "prune", "--evidence", "24 months", "--state", state).output
    (copy,) = (tmp_path / "copies").iterdir()
    assert "restored 7 entries" in roe("ledger", "restore", copy, "--state", tmp_path / "new").output
    assert "takes over" in roe("history", "A-1", "--state", tmp_path / "new").output
    assert "[R641]" in roe("ledger", "restore", copy, "--state", state, code=2).output


# --- imports ------------------------------------------------------------------------------------------------------------

ACCOUNTS = """AccountId,Field,OldValue,NewValue,CreatedDate,CreatedById
001000000000001AAA,Owner,Ann Lee,Bob Ray,2026-01-10T09:00:00.000+0000,005000000000009
001000000000001AAA,Owner,005000000000001,005000000000002,2026-01-10T09:00:00.000+0000,005000000000009
001000000000001AAA,Industry,,Retail,2026-01-11T09:00:00.000+0000,005000000000009
001000000000001AAA,Owner,005000000000002,00G000000000007,2026-02-01T09:00:00.000+0000,005000000000009
,Owner,005000000000002,005000000000003,2026-02-01T09:00:00.000+0000,005000000000009
"""
HUBSPOT = """Record ID,Property,Value,Timestamp,Source
17,hubspot_owner_id,81,2026-01-10T09:00:00Z,CRM_UI
17,hubspot_owner_id,82,1769936400000,API
17,lifecyclestage,lead,2026-01-10T09:00:00Z,FORM
"""


def test_salesforce_account_history(tmp_path: Path) -> None:
    path, state = tmp_path / "AccountHistory.csv", place("sqlite", tmp_path)
    path.write_text(ACCOUNTS)
    said = roe("ledger", "import", path, "--role", "ae", "--state", state).output
    assert "4 entries" in said and "1 lines" in said
    assert "0 entries" in roe("ledger", "import", path, "--role", "ae", "--state", state).output
    with open_store(state) as store:
        held = [(h.rep, h.queue, str(h.start.date)) for h in store.history_of("account", "001000000000001")]
        # of the two lines of one change the ids count; the new queue is not a rep; who had it before the first change is known, since when not
        assert held == [
            ("005000000000001", "", "2026-01-10"),
            ("005000000000002", "", "2026-01-10"),
            (None, "00G000000000007", "2026-02-01"),
        ]
        assert [x.entry.value for x in store.of_record("account", "001000000000001", ("seen",))] == ["Retail"]  # type: ignore[attr-defined]


def test_imported_history_does_not_change_today(tmp_path: Path) -> None:
    path, state = tmp_path / "AccountHistory.csv", place("sqlite", tmp_path)
    path.write_text(ACCOUNTS)
    with open_store(state) as store:
        store.append([owned("001000000000001", "005000000000005", "2026-03-01", rule="west")], RunEntry(at=day("2026-03-01"), id="r"))
    roe("ledger", "import", path, "--role", "ae", "--state", state)
    with open_store(state) as store:
        assert store.holding("account", "001000000000001", "ae").rep == "005000000000005"  # type: ignore[union-attr]
        assert store.holding("account", "001000000000001", "ae", day("2026-01-20")).rep == "005000000000002"  # type: ignore[union-attr]
        assert len(store.history_of("account", "001000000000001")) == 4


def test_owners_that_an_export_names(tmp_path: Path) -> None:
    path, reps, state = tmp_path / "LeadHistory.csv", tmp_path / "users.csv", place("sqlite", tmp_path)
    path.write_text(
        "LeadId,Field,OldValue,NewValue,CreatedDate\n00Q1,Owner,Ann Lee,Bob Ray,2026-01-10 09:00\n00Q2,Owner,Ann Lee,Zoe Ott,2026-01-10\n"
    )
    reps.write_text("Id,Name\n005000000000001,Ann Lee\n005000000000002,Bob Ray\n")
    said = roe("ledger", "import", path, "--role", "sdr", "--reps", reps, "--state", state).output
    assert "Zoe Ott" in said
    with open_store(state) as store:
        assert [h.rep for h in store.history_of("lead", "00Q1")] == ["005000000000001", "005000000000002"]
        assert [h.rep for h in store.history_of("lead", "00Q2")] == ["005000000000001", "Zoe Ott"]


def test_hubspot_property_history(tmp_path: Path) -> None:
    path, state = tmp_path / "contact-history.csv", place("sqlite", tmp_path)
    path.write_text(HUBSPOT)
    assert "3 entries" in roe("ledger", "import", path, "--role", "sdr", "--state", state).output
    api = {"results": [{"id": "17", "propertiesWithHistory": {"hubspot_owner_id": [
        {"value": "82", "timestamp": "2026-02-01T09:00:00Z"}, {"value": "81", "timestamp": "2026-01-10T09:00:00Z"}]}}]}  # fmt: skip
    (tmp_path / "contacts.json").write_text(json.dumps(api))
    assert "0 entries" in roe("ledger", "import", tmp_path / "contacts.json", "--role", "sdr", "--state", state).output
    with open_store(state) as store:
        assert [(h.rep, str(h.start.date)) for h in store.history_of("contact", "17")] == [("81", "2026-01-10"), ("82", "2026-02-01")]


def test_earlier_out_folders(tmp_path: Path) -> None:
    state = place("sqlite", tmp_path)
    for n, owner in enumerate(("r1", "r1", "r2")):
        folder = tmp_path / "outs" / f"night-{n}"
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps({"as_of": f"{day('2026-03-01').local.date() + timedelta(days=n)}T00:00:00+01:00"}))
        (folder / "allocations.csv").write_text(
            "entity,record,name,role,owner,owner_name,previous_owner,previous_owner_name,action,rule,territory,pool,window,expires,reason\n"
            f"account,A-1,Acme,ae,{owner},Ann,,,assign,west,,,,2026-06-01,Ann has the west\n"
        )
    assert "2 entries from 3 earlier runs" in roe("ledger", "import", tmp_path / "outs", "--state", state).output
    with open_store(state) as store:
        held = [(h.rep, str(h.start.date), h.rule, h.base) for h in store.history_of("account", "A-1")]
        assert held == [("r1", "2026-02-28", "west", None), ("r2", "2026-03-02", "west", None)]  # days of a ledger without a zone are UTC's


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "AccountId,NewValue\n1,2\n", "{", '{"results": 3}'])
def test_a_file_that_is_no_history(text: str, tmp_path: Path) -> None:
    path = tmp_path / ("x.json" if text.startswith("{") else "x.csv")
    path.write_text(text)
    assert "[R601]" in roe("ledger", "import", path, "--role", "ae", "--state", tmp_path / "state", code=2).output


# --- nights -------------------------------------------------------------------------------------------------------------

POLICY = """roe: 1
name: regions
timezone: Europe/Berlin
roles: [ae]
engagement:
  account:
    ae:
      - {name: large, when: account.employees >= LIMIT, then: {assign: '"r1"'}, because: "{account.name} has {account.employees} employees"}
      - {name: west, when: account.country = "DE", then: {assign: '"r2"'}}
"""
REP_TABLE = "id,name,active\nr1,Ann,true\nr2,Bob,true\n"


@pytest.mark.parametrize("kind", STORES)
def test_a_day_is_explained_from_the_ledger_alone_by_the_policy_of_that_day(kind: str, tmp_path: Path) -> None:
    state, policy, data = place(kind, tmp_path / "ledger"), tmp_path / "policy", tmp_path / "data"
    data.mkdir()
    policy.mkdir()
    (data / "reps.csv").write_text(REP_TABLE)
    nights = (("2026-03-02", 500, 100), ("2026-03-03", 700, 100), ("2026-03-04", 900, 100), ("2026-03-05", 900, 1000))
    for as_of, employees, limit in nights:
        (policy / "policy.yaml").write_text(POLICY.replace("LIMIT", str(limit)))
        (data / "accounts.csv").write_text(f"id,name,country,employees\nA-1,Acme,DE,{employees}\nA-2,Bolt,FR,5\n")
        roe("run", policy, "--data", data, "--as-of", as_of, "--state", state, "--out", tmp_path / as_of)
    for path in (*data.iterdir(), policy / "policy.yaml"):
        path.unlink()
    first = roe("explain", "A-1", "--on", "2026-03-02", "--state", state).output
    assert "Acme has 500 employees" in first and "account.employees >= 100" in first and "decided as of 2026-03-02" in first
    second = roe("explain", "A-1", "--on", "2026-03-03", "--state", state).output
    assert "Acme has 700 employees" in second and "decided as of 2026-03-03" in second  # the same rule and owner, from another value
    last = roe("explain", "A-1", "--on", "2026-05-01", "--state", state).output
    assert "decided as of 2026-03-05" in last and "account.employees >= 1000" in last and "Bob" in last
    trace = json.loads(roe("explain", "A-1", "--on", "2026-03-02", "--format", "json", "--state", state).output)
    assert trace["outcome"]["rule"] == "large" and trace["outcome"]["owner"] == "r1"
    assert "no ae rule holds" in roe("explain", "A-2", "--on", "2026-03-04", "--state", state).output
    assert "[R604]" in roe("explain", "A-1", "--on", "2026-03-01", "--state", state, code=2).output
    assert "[R801]" in roe("explain", "A-1", "--on", "2026-03-02", "--why-not", "r2", "--state", state, code=2).output
    said = roe("history", "A-1", "--state", state).output
    assert "rule `large`: Acme has 500 employees" in said and "Bob takes over from Ann" in said
    roe("ledger", "verify", "--projections", "--against", tmp_path / "2026-03-05", "--state", state)
    with open_store(state) as store:
        digests = {x.entry.digest for x in store.runs()}  # type: ignore[attr-defined]
        assert len(digests) == 2 and all(b"name: regions" in store.policy(d)["policy.yaml"] for d in digests)


@pytest.mark.parametrize("kind", STORES)
def test_evidence_is_written_again_only_where_another_value_was_read(kind: str, tmp_path: Path) -> None:
    state, data = place(kind, tmp_path / "ledger"), tmp_path / "data"
    data.mkdir()
    policy = policy_text(tmp_path / "policy", POLICY.replace("LIMIT", "100"))
    (data / "reps.csv").write_text(REP_TABLE)
    written = []
    for n, (employees, city) in enumerate(((500, "Bonn"), (500, "Ulm"), (600, "Ulm"), (600, "Ulm")), 1):  # no rule reads the city
        (data / "accounts.csv").write_text(
            f"id,name,country,employees,city,owner\nA-1,Acme,DE,{employees},{city},r1\nA-2,Bolt,FR,5,Lyon,\n"
        )
        roe("run", policy, "--data", data, "--as-of", f"2026-03-0{n}", "--state", state, "--out", tmp_path / "out")
        with open_store(state) as store:
            newest = [x.stored.entry for x in store.latest("evidence")]
            written.append(len(list(store.entries(0, None, ("evidence",)))))
            marks = {(x.entity, x.record, x.role): x.values["as_read"] for x in newest if isinstance(x, e.Evidence)}
            assert store.evidence_marks() == marks and len(marks) == 2
    assert written == [2, 2, 3, 3]


def test_evidence_is_erased_once_it_was_kept_as_long_as_the_policy_says(tmp_path: Path) -> None:
    state, data = place("sqlite", tmp_path / "ledger"), tmp_path / "data"
    data.mkdir()
    policy = policy_text(tmp_path / "policy", POLICY.replace("LIMIT", "100") + "retain: {evidence: 1 month}\n")
    (data / "reps.csv").write_text(REP_TABLE)
    nights = {"2026-03-02": 500, "2026-03-20": 600, "2026-04-10": 700, "2026-04-25": 800, "2026-05-01": 900}
    kept, said = [], []
    for as_of, employees in nights.items():
        (data / "accounts.csv").write_text(f"id,name,country,employees\nA-1,Acme,DE,{employees}\n")
        done = roe("run", policy, "--data", data, "--as-of", as_of, "--state", state, "--out", tmp_path / "out")
        said.append("evidence from before" in " ".join(done.output.split()))
        with open_store(state) as store:
            assert verify(store).bad is None
            evidence = [x.entry for x in store.of_record("account", "A-1", ("evidence",))]
        kept.append([x.at.date.isoformat() for x in evidence if isinstance(x, e.Evidence) and x.values])
    days = list(nights)
    assert kept == [days[:1], days[:2], days[1:3], days[1:4], days[2:]]  # on 10 April it goes back to 10 March, and on 1 May to 1 April
    assert said == [False, False, True, False, True]


@pytest.mark.parametrize("kind", STORES)
def test_a_wrong_owner_is_corrected_and_both_entries_stay(kind: str, tmp_path: Path) -> None:
    state = months(place(kind, tmp_path))  # r3 from 15 January, r17 from 2 March, r2 from 9 March, r17 from 10 April
    listed = csv.DictReader(roe("history", "A-1", "--state", state, "--format", "csv").output.splitlines())
    number = {x["at"][:10]: x["number"] for x in listed if x["kind"] == "owned"}
    said = ("--by", "Mia", "--why", "a typing error", "--state", state)
    roe("ledger", "correct", number["2026-03-02"], "--owner", "r2", *said)
    roe("ledger", "correct", number["2026-04-10"], "--nobody", *said)

    def owner(on: str) -> Any:
        (found,) = json.loads(roe("history", "A-1", "--on", on, "--state", state, "--format", "json").output)
        return found["rep"], found["since"], found["until"]

    assert owner("2026-02-01") == ("r3", "2026-01-15", "2026-03-02")
    assert owner("2026-03-05") == ("r2", "2026-03-02", "2026-03-09")
    assert owner("2026-03-20") == ("r2", "2026-03-09", "2026-04-10")
    assert owner("2026-05-01") == (None, "2026-04-10", None)
    story = " ".join(roe("history", "A-1", "--state", state).output.split())
    assert "r17 takes over from r3" in story and f"entry {number['2026-03-02']} is corrected by Mia, a typing error" in story
    with open_store(state) as store:
        assert verify(store).bad is None and store.rebuild()
        assert [x.entry.what for x in store.entries(0, None, ("corrected",)) if isinstance(x.entry, e.Corrected)] == [
            "r2 has A-1",
            "nobody has A-1",
        ]
    for wrong in (
        (number["2026-03-02"], "--owner", "r3"),
        ("999", "--owner", "r3"),
        ("1", "--owner", "r3"),
        (number["2026-03-09"], "--owner", "r99"),
    ):
        assert "R604" in roe("ledger", "correct", *wrong, *said, code=2).output
    assert "R801" in roe("ledger", "correct", "2", *said, code=2).output
