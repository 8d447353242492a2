"""A run in portions writes the files of a run in columns, byte for byte, into however many tasks the records go."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import seeds, tries
from helpers import policy_text
from made_policies import make_data
from made_worlds import write_rows
from roe.evaluator.engine import Evaluator
from test_spark_pools import two_roles

pytest.importorskip("pyarrow")
from alike import files_in
from in_tasks import InTasks
from roe.diagnostics import PolicyError
from roe.run import engines
from roe.run.engine import Engine, Job
from roe.run.engines import choose
from roe.run.run import RunOptions, run
from roe.run.source import Source


def same(
    evaluator: Any, data: Path, as_of: str, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int = 3, large: bool = True, **more: Any
) -> str:
    """Run in columns and in portions, and compare all that they write; why the records stayed together, if they did. `large`: for portions every
    CSV file counts as large, with blocks of some lines, and for columns none does.
    """
    monkeypatch.setitem(engines.PREFERENCES, "columns", (engines.ColumnEngine,))
    monkeypatch.setitem(engines.PREFERENCES, "spark", (InTasks,))
    monkeypatch.setattr(InTasks, "number", number)
    monkeypatch.setattr("roe.data.plain.BLOCK", 500)
    said = {}
    for engine in ("columns", "spark"):
        monkeypatch.setattr("roe.columns.csv_blocks.LARGE", 0 if large and engine == "spark" else 1 << 40)
        finished = run(Job(evaluator, Source(evaluator.policy, data), as_of, **more), folder / engine, RunOptions(engine=engine))
        said[engine] = finished.summary, [d.message for d in finished.broken], finished.report
    one, other = files_in(folder / "columns"), files_in(folder / "spark")
    assert one.keys() == other.keys()
    for name, content in one.items():
        assert content == other[name], name
    assert said["columns"] == said["spark"]
    assert not list((folder / "spark").glob("roe-portions-*"))
    return InTasks.together


@pytest.mark.parametrize("number", [1, 4])
def test_two_roles_owners_invariants_and_rejects(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = two_roles(tmp_path / "p", random.Random(4))
    assert same(roe.compile(roe.load(root)), root / "data", "2026-02-01", tmp_path, monkeypatch, number) == ""


TOGETHER = """roe: 1
name: together
roles: [ae]
define: {account.calls: count(account.activities)}
pools:
  desk: {members: 'rep.id in ("pia", "quin")', together: account.domain, caps: {open_accounts: 60}, fallback: rest}
  rest: {members: 'rep.id = "zed"', together: account.name}
engagement: {account: {ae: [{name: new, when: account.calls = 1 and account.owner.ae = null, then: {route: desk}}, {name: kept, then: keep}]}}
"""


@pytest.mark.parametrize("held", ["others", "the same company"])
def test_of_the_records_beside_only_those_of_waiting_companies_come_to_the_pool(
    held: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many accounts each rep has is counted where the accounts are, and nobody else's company matters."""
    from roe.share.waiting import Gathered

    came: list[int] = []
    take = Gathered._take

    def taken(self: Gathered, bucket: int, rows: Any) -> None:
        came.append(len(rows))
        take(self, bucket, rows)

    monkeypatch.setattr(Gathered, "_take", taken)
    rng, accounts, calls = random.Random(5), [], []
    for i in range(300):
        is_new = i % 3 == 0
        domain = f"d{rng.randrange(40)}.com" if is_new else f"d{rng.randrange(100, 140)}.com"
        owner = "" if is_new else ("pia", "ann")[i % 2]
        accounts.append(
            {"id": f"A{i:03}", "name": f"N{i if is_new else -i}", "domain": domain, "created": f"2026-01-{i % 28 + 1:02}", "owner": owner}
        )
        calls += [{"id": f"T{i}", "account": f"A{i:03}"}] if is_new else []
    if held == "the same company":
        accounts.append(
            {
                "id": "B1",
                "name": "N",
                "domain": next(x["domain"] for x in accounts if x["owner"] == ""),
                "created": "2020-01-01",
                "owner": "ann",
            }
        )
    root = policy_text(tmp_path / "policy", TOGETHER)
    (tmp_path / "data").mkdir()
    reps = [{"id": x, "name": x.title()} for x in ("ann", "pia", "quin", "zed")]
    for name, rows in (("accounts", accounts), ("activities", calls), ("reps", reps)):
        write_rows(tmp_path / "data" / f"{name}.csv", rows)
    found = same(roe.compile(roe.load(root)), tmp_path / "data", "2026-02-01", tmp_path, monkeypatch, 4)
    assert (found, sum(came)) == ("", 100 + (held == "the same company"))  # those that wait, and that one


# --- large files --------------------------------------------------------------------------------------------------------

WORKED = """roe: 1
name: portions
roles: [ae]
define: {account.calls: count(account.activities)}
scores: {fit: {criteria: [{name: big, when: "account.employees > 100", points: 10}, {name: calls, when: account.calls > 1, points: 3}]}}
tables: {size: {hit: unique, rows: [{employees: "< 100", size: small}, {employees: ">= 90", size: big}]}}
invariants:
  - {name: worked, every: account, holds: account.calls < 4, severity: warn}
  - {name: calm, every: run, holds: moved_share < 0.1, severity: warn}
pools: {desk: {members: 'rep.id in ("pia", "quin")', caps: {per_day: 40}, fallback: zed}}
engagement:
  account:
    ae:
      - {name: fit, when: 'account.fit > 5 and account.size = "big"', then: {assign: account.country}, else: {route: desk}}
      - {name: pool, when: account.calls = 1, then: {route: desk}}
      - {name: kept, then: keep, because: "{account.name} has {account.employees}"}
"""


def write_parquet(folder: Path, seed: int, what: str) -> None:
    """Accounts with repetitions and rejects, or in the order of their ids with none, in row groups that are larger and smaller than a portion."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    rng = random.Random(seed)
    rows = [{k: x for k, x in row.items() if k not in ("$line", "parent")} for row in make_data(rng, 200)["account"]]
    rows += [dict(row) for row in rng.sample(rows, 20)]
    if "in order" in what:
        rows = sorted({row["id"]: row for row in rows if row["id"]}.values(), key=lambda row: str(row["id"]).strip())
    columns = {key: pa.array([None if (x := row[key]) is None else str(x) for row in rows]) for key in rows[0]}
    parquet.write_table(pa.table(columns), folder / "accounts.parquet", row_group_size=50 if seed % 2 else 7)
    if what == "with activities":
        ids = sorted({row["id"].strip() for row in rows if row["id"] and row["id"].strip()})
        calls = pa.table({"id": [f"T{i}" for i in range(150)], "account": [*rng.choices(ids, k=149), None]})
        parquet.write_table(calls, folder / "activities.parquet", row_group_size=31)
    write_rows(folder / "reps.csv", [{"id": x, "name": x.title()} for x in ("ann", "bob", "pia", "quin", "zed")])


def worked(rules: str, what: str, folder: Path) -> Evaluator:
    """The policy with or without its pool, which looks at activities if there are some."""
    text = WORKED if rules == "pool" else re.sub("pools:.*\n", "", WORKED).replace("{route: desk}", "open")
    if what != "with activities":
        text = text.replace("count(account.activities)", "0")
    return roe.compile(roe.load(policy_text(folder / "policy", text)))


LARGE = [(what, rules) for what in ("alone", "alone, in order", "with activities") for rules in ("pool", "no pool")]


@pytest.mark.parametrize(("what", "rules"), tries(LARGE[::2], LARGE, LARGE))
@pytest.mark.parametrize("seed", seeds(1, 2, 4))
def test_large_files_are_taken_in_pieces(seed: int, what: str, rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 16)
    monkeypatch.setattr("roe.share.kind.KEYS_A_TASK", 40)
    evaluator, data = worked(rules, what, tmp_path), tmp_path / "data"
    write_parquet(data, seed, what)
    found = same(evaluator, data, "2026-02-01", tmp_path, monkeypatch, 0)
    assert found == ""


DAMAGE = (
    ",,,\n",
    "A900,too,few\n",
    'A901,5" pipe{rest}\n',
    'A902,"two\nlines"{rest}\n',
    "\n",
    "Total{rest}\n",
)  # `rest`: as many empty cells as the header asks for


def write_csv(folder: Path, seed: int, what: str) -> None:
    """The same tables as CSV, each with damaged rows among the others and a report's line at the end."""
    from pyarrow import parquet

    write_parquet(folder, seed, what)
    rng = random.Random(seed)
    for path in folder.glob("*.parquet"):
        write_rows(path.with_suffix(".csv"), [{k: x or "" for k, x in row.items()} for row in parquet.read_table(path).to_pylist()])
        path.unlink()
        head, *lines = path.with_suffix(".csv").read_text("utf-8").splitlines(keepends=True)
        for line in DAMAGE if path.stem == "accounts" else DAMAGE[:2]:  # where the other ones would refer to no account
            between = [i for i in range(len(lines)) if "".join(lines[:i]).count('"') % 2 == 0]  # no cell is open
            lines.insert(rng.choice(between), line.replace("{rest}", "," * (head.count(",") - 1)))
        path.with_suffix(".csv").write_text("".join([head, *lines, "Total" + "," * head.count(",")]), "utf-8")


FORMS = [(form, rules) for form in ("csv.gz", "jsonl", "json", "jsonl.gz") for rules in ("no pool", "pool")]
DAMAGED = [(what, rules) for what, rules in LARGE if what != "alone, in order"]


@pytest.mark.parametrize(("what", "rules"), tries([DAMAGED[1], DAMAGED[2]], DAMAGED, DAMAGED))
def test_large_csv_files_are_taken_in_pieces_with_what_is_damaged(
    what: str, rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 16)
    monkeypatch.setattr("roe.share.kind.KEYS_A_TASK", 40)
    taken = pieces_of(monkeypatch)
    evaluator, data = worked(rules, what, tmp_path), tmp_path / "data"
    write_csv(data, 3, what)
    assert same(evaluator, data, "2026-02-01", tmp_path, monkeypatch, 0) == ""
    assert taken == [{"account", "activity"} if what == "with activities" else {"account"}]
    rejects = (tmp_path / "spark" / "rejects.csv").read_text("utf-8")
    assert all(x in rejects for x in ("a stray quote", "a line of the report", "the row has 3 cells"))


def write_as(folder: Path, seed: int, what: str, form: str) -> None:
    """The same tables packed, or as JSON with numbers that are texts here and there."""
    if form == "csv.gz":
        write_csv(folder, seed, what)
        for path in folder.glob("a*.csv"):
            path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()
        return
    from pyarrow import parquet

    write_parquet(folder, seed, what)
    rng = random.Random(seed)
    for path in folder.glob("*.parquet"):
        rows = [
            {k: x for k, x in row.items() if rng.random() < 0.95 or k in ("id", "account")} for row in parquet.read_table(path).to_pylist()
        ]
        for row in rows:
            if str(row.get("employees", "")).isdecimal() and rng.random() < 0.7:
                row["employees"] = int(row["employees"])
        text = json.dumps(rows, indent=1) if "jsonl" not in form else "\n\n".join(json.dumps(row) for row in rows)
        content = text.encode()
        path.with_suffix(f".{form}").write_bytes(gzip.compress(content, mtime=0) if form.endswith(".gz") else content)
        path.unlink()


@pytest.mark.parametrize(("form", "rules"), tries([FORMS[1], FORMS[4]], FORMS, FORMS))
def test_large_packed_files_and_json_are_taken_in_pieces(form: str, rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 60)
    taken = pieces_of(monkeypatch)
    evaluator, data = worked(rules, "with activities", tmp_path), tmp_path / "data"
    write_as(data, 3, "with activities", form)
    assert same(evaluator, data, "2026-02-01", tmp_path, monkeypatch, 0) == ""
    assert taken == [{"account", "activity"}]
    rejects = (tmp_path / "spark" / "rejects.csv").read_text("utf-8")
    assert len(rejects.splitlines()) > 10 and (form != "csv.gz" or "a stray quote" in rejects)


def test_a_packed_file_that_ends_too_early_is_refused_whatever_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.columns.csv_blocks.LARGE", 0)
    monkeypatch.setattr("roe.data.plain.BLOCK", 500)
    evaluator, data = worked("no pool", "alone", tmp_path), tmp_path / "data"
    write_as(data, 3, "alone", "csv.gz")
    text = "id,domain\n" + "".join(f"A{i},{random.Random(i).random()}.com\n" for i in range(4000))  # more than is looked at before
    (data / "accounts.csv.gz").write_bytes(gzip.compress(text.encode())[:-20])
    for kind in (engines.RowEngine, engines.ColumnEngine, engines.PortionEngine):
        monkeypatch.setitem(engines.PREFERENCES, "columns", (kind,))
        monkeypatch.setattr(engines, "PORTIONS", 0)
        with pytest.raises(PolicyError) as refused:
            run(Job(evaluator, Source(evaluator.policy, data), "2026-02-01"), tmp_path / "out", RunOptions(engine="columns"))
        assert [d.message for d in refused.value.diagnostics] == ["`accounts.csv.gz`: the archive ends before its content does"]
        assert not list((tmp_path / "out").glob("**/roe-portions-*"))


def database(folder: Path, more: str = "") -> Path:
    """A DuckDB database with the tables of a folder. `more` is another column of the accounts."""
    path = folder.with_suffix(".duckdb")
    with pytest.importorskip("duckdb").connect(str(path)) as con:
        for name in ("accounts", "activities", "reps"):
            file = next(folder.glob(f"{name}.*"), None)
            read = f"read_csv('{file}', all_varchar = true, ignore_errors = true)" if file and file.suffix == ".csv" else f"'{file}'"
            if file is not None:
                con.execute(f"CREATE TABLE {name} AS SELECT *{more if name == 'accounts' else ''} FROM {read}")
    return path


@pytest.mark.parametrize(("what", "rules"), tries(LARGE[1::2], LARGE, LARGE))
def test_tables_of_a_database_are_taken_in_pieces(what: str, rules: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 16)
    monkeypatch.setattr("roe.columns.database.ROWS_AT_ONCE", 50)
    evaluator = worked(rules, what, tmp_path)
    write_parquet(tmp_path / "data", 5, what)
    taken = pieces_of(monkeypatch)
    assert same(evaluator, database(tmp_path / "data"), "2026-02-01", tmp_path, monkeypatch, 0) == ""
    assert taken == [{"account", "activity"} if what == "with activities" else {"account"}]


def test_a_table_of_a_type_that_parquet_does_not_have_is_held_and_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = worked("no pool", "alone", tmp_path)
    write_parquet(tmp_path / "data", 5, "alone")
    data, taken = database(tmp_path / "data", ", INTERVAL 3 MONTH AS notice"), pieces_of(monkeypatch)
    assert same(evaluator, data, "2026-02-01", tmp_path, monkeypatch) == ""
    assert taken == [set()]
    monkeypatch.setitem(engines.PREFERENCES, "columns", (engines.PortionEngine,))
    monkeypatch.setattr(engines, "PORTIONS", 10)
    notes = run(Job(evaluator, Source(evaluator.policy, data), "2026-02-01"), tmp_path / "out", RunOptions(engine="columns")).notes
    assert notes == ["all of `accounts` was in memory, because it has a column of a type that Parquet does not have"]


def pieces_of(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """A list that gets, of each run, the entities whose tables go in pieces."""
    from roe.share.tables import cut_up

    taken: list[set[str]] = []

    def seen(*given: Any) -> Any:
        found = cut_up(*given)
        assert isinstance(found, list)
        taken.append({piece.entity for cut in found for piece in cut.pieces})
        return found

    monkeypatch.setattr("roe.share.out.cut_up", seen)
    return taken


def test_records_in_a_small_file_have_others_in_a_large_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 16)
    evaluator, data = roe.compile(roe.load(policy_text(tmp_path / "policy", WORKED))), tmp_path / "data"
    write_parquet(data, 1, "with activities")
    rows = [{k: x or "" for k, x in row.items()} for row in parquet.read_table(data / "accounts.parquet").to_pylist()]
    (data / "accounts.parquet").unlink()
    write_rows(data / "accounts.csv", rows)
    assert same(evaluator, data, "2026-02-01", tmp_path, monkeypatch, 0, large=False) == ""
    monkeypatch.setattr(engines, "PORTIONS", 100)
    engine = engines.PortionEngine(Job(evaluator, Source(evaluator.policy, data), "2026-02-01"))
    assert engine.limits() == []


def test_a_large_csv_file_that_cannot_be_taken_in_pieces_is_held_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = WORKED.replace("count(account.activities)", "0")
    evaluator, data = roe.compile(roe.load(policy_text(tmp_path / "policy", rules))), tmp_path / "data"
    write_csv(data, 1, "alone")
    text = (data / "accounts.csv").read_text("utf-8")
    (data / "accounts.csv").write_bytes((text + "\nA999,Zürich\n").encode("cp1252", "replace"))
    assert same(evaluator, data, "2026-02-01", tmp_path, monkeypatch) == ""
    monkeypatch.setattr(engines, "PORTIONS", 10)
    monkeypatch.setitem(engines.PREFERENCES, "columns", (engines.PortionEngine,))
    notes = run(Job(evaluator, Source(evaluator.policy, data), "2026-02-01"), tmp_path / "out", RunOptions(engine="columns")).notes
    assert [x for x in notes if "`accounts.csv`" in x] == [
        "all of `accounts.csv` was in memory, because it is damaged or not in UTF-8; see the notes on its reading"
    ]


@pytest.mark.parametrize("form", ["csv", "cp1252", "duckdb", "json", "gz", "activities"])
def test_of_large_files_only_some_can_be_taken_in_pieces(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run says before it begins."""
    data = tmp_path / "data"
    write_csv(data, 1, "with activities")
    encoding = "data: {account: {encoding: cp1252}}\n" if form == "cp1252" else ""
    worked = roe.compile(roe.load(policy_text(tmp_path / "policy", WORKED + encoding)))
    if form in ("json", "gz"):
        text = (data / "accounts.csv").read_bytes()
        (data / f"accounts.{form if form == 'json' else 'csv.gz'}").write_bytes(gzip.compress(text) if form == "gz" else b"{" + text)
        (data / "accounts.csv").unlink()
    if form == "activities":
        (data / "activities.csv").write_text("A report\n\n" + (data / "activities.csv").read_text("utf-8"), "utf-8")
    if form == "duckdb":
        data = database(data)
    monkeypatch.setattr("roe.columns.csv_blocks.LARGE", 0)

    def chosen() -> Engine:
        return choose("columns", Job(worked, Source(worked.policy, data), "2026-02-01"))

    assert (chosen().name, chosen().foretold()) == ("columns", [])
    monkeypatch.setattr(engines, "PORTIONS", 100)
    whole = {"cp1252": "accounts.csv", "json": "accounts.json"}.get(form)
    assert chosen().name == ("columns" if whole else "portions")
    cannot = "cannot be read in portions, as Parquet, JSON, and CSV in UTF-8 can (save it as one of these if memory is short)"
    foretold = [re.sub("about [0-9]+", "about N", x) for x in chosen().foretold()]
    if form == "activities":
        assert foretold == [f"all of `activities.csv` (about N rows) is in memory, because it {cannot}"]
    else:
        assert foretold == (
            [f"all records (about N rows) are decided at once, because `{whole}` {cannot}; this needs memory for all of them"]
            if whole
            else []
        )


def test_the_size_of_the_data_chooses_portions_and_what_cannot_be_shared_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "data", 1, "with activities")
    worked = roe.compile(roe.load(policy_text(tmp_path / "one", WORKED)))
    lists = roe.compile(
        roe.load(policy_text(tmp_path / "other", WORKED.replace("account.calls = 1", "count(account.owner.ae.activities) = 1")))
    )

    def chosen(evaluator: Any) -> Engine:
        return choose("columns", Job(evaluator, Source(evaluator.policy, tmp_path / "data"), "2026-02-01"))

    assert (chosen(worked).name, chosen(lists).name) == ("columns", "columns")
    assert chosen(lists).foretold() == []
    monkeypatch.setattr(engines, "PORTIONS", 10)
    assert (chosen(worked).name, chosen(lists).name) == ("portions", "columns")
    assert chosen(worked).foretold() == []
    assert chosen(lists).foretold() == [
        "all records (about 370 rows) are decided at once, because rep.activities leads to records of many accounts; this needs memory for all of them"
    ]
    job = Job(worked, Source(worked.policy, tmp_path / "data"), "2026-02-01")
    assert run(job, tmp_path / "out", RunOptions(engine="columns")).notes == []


def test_any_trace_is_made_from_what_portions_have_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from roe.columns.evidence import RunEvidence
    from roe.data.read import read_tables

    monkeypatch.setattr("roe.share.tasks.ROWS_A_TASK", 16)
    evaluator, data = roe.compile(roe.load(policy_text(tmp_path / "policy", WORKED))), tmp_path / "data"
    write_parquet(data, 1, "with activities")
    same(evaluator, data, "2026-02-01", tmp_path, monkeypatch, 3, traces=True)
    evidence, (tables, _) = RunEvidence(tmp_path / "spark"), read_tables(evaluator.policy, data)
    for n, d in enumerate(evaluator.bind(tables, as_of="2026-02-01").decide_all()):
        if n % 7 == 0:
            expected = d.trace.as_json()
            assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == expected, d.id
