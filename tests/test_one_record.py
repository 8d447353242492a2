"""One record of large data, taken out of its files, is decided and explained exactly as it is among all of them."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import roe
from effort import HEAVY, tries
from helpers import AS_OF, EXAMPLES, example, policy_text
from made_policies import make_data, make_policy
from roe.cli.explain import decide_among
from roe.data.lookup import CannotLookUp
from roe.data.read import read_tables
from roe.evaluator.recorded import write_turns
from roe.policy.standard import FILES
from roe.run import record as taken
from roe.run.kept_turns import TurnsOfRun
from roe.run.record import TakenOut
from roe.run.rows import batch_of
from roe.run.source import Source
from test_cli import roe as command

POLICIES = tries(3, 6, 200)


@pytest.fixture(autouse=True)
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "SMALL", 0)
    monkeypatch.setattr(taken, "FEW", 0)
    monkeypatch.setattr("roe.data.lookup.TAIL", 0)


def tables_of(evaluator: Any, data: Path) -> Any:
    return read_tables(evaluator.policy, data)[0] if data.is_dir() else Source(evaluator.policy, data).rows()


def whole(evaluator: Any, data: Path, as_of: str, folder: Path) -> Any:
    """The run over all records; its turns are in the folder."""
    run = evaluator.run(tables_of(evaluator, data), as_of=as_of)
    batch = batch_of(run)
    folder.mkdir(parents=True, exist_ok=True)
    write_turns(folder, batch.turns, batch.pools)
    return run


def compare(evaluator: Any, data: Path, as_of: str, run: Any, folder: Path, some: int = 12) -> tuple[int, list[str]]:
    """(how many decisions are the same, why others cannot be taken out)."""
    same, refused = 0, []
    everything = tables_of(evaluator, data)
    decisions = run.decisions if len(run.decisions) <= some else random.Random(5).sample(run.decisions, some)
    for expected in decisions:
        try:
            bound = TakenOut(evaluator, Source(evaluator.policy, data), as_of, {}).bound(expected.entity, expected.id)
            bound.turns = TurnsOfRun(lambda: folder)
            row = bound.world.find(expected.entity, expected.id)
            assert row is not None
            found = bound.decide(row, expected.role)
        except CannotLookUp as e:
            refused.append(str(e))
            continue
        among = evaluator.bind(everything, as_of=as_of)
        (expected,) = decide_among(among, among.world.find(expected.entity, expected.id), [expected.role])
        assert json.dumps(found.trace.as_json()) == json.dumps(expected.trace.as_json())
        same += 1
    return same, refused


def as_parquet(evaluator: Any, data: Path, to: Path) -> Path:
    """The same data as Parquet, every cell a text."""
    import pyarrow as pa
    from pyarrow import parquet

    tables, _ = read_tables(evaluator.policy, data)
    to.mkdir(parents=True, exist_ok=True)
    for entity, rows in tables.items():
        header = rows.origin.header
        source = evaluator.policy.data.get(entity)
        name = Path(source.file).stem if source and source.file else FILES.get(entity, (entity + "s",))[0]
        parquet.write_table(pa.table({c: pa.array([r.get(c) for r in rows], pa.string()) for c in header}), to / f"{name}.parquet")
    return to


LOOK_AT_ALL = {  # the examples in which some records cannot be taken out, and why
    "hubspot": "account", "inbound": "account", "matching": "account", "scoring": "account",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_examples_from_csv(name: str, tmp_path: Path) -> None:
    evaluator = example(name)
    data = EXAMPLES / name / "data"
    same, refused = compare(evaluator, data, AS_OF[name], whole(evaluator, data, AS_OF[name], tmp_path), tmp_path, tries(5, 12, 12))
    assert set(refused) == ({f"the policy looks at all {LOOK_AT_ALL[name]} records"} if name in LOOK_AT_ALL else set())
    assert same or name in LOOK_AT_ALL


TYPED = {"static": (False, True), "windows": (True,), "territories": (False,), "pipeline": (True,), "distribution": (False,)}  # every day


@pytest.mark.parametrize(("name", "typed"), [(name, x) for name, some in TYPED.items() for x in ((False, True) if HEAVY else some)])
def test_examples_from_a_database(name: str, typed: bool, tmp_path: Path) -> None:
    """Every cell a text, or of the type that DuckDB sees in it."""
    duckdb = pytest.importorskip("duckdb")
    evaluator = example(name)
    database = tmp_path / "data.duckdb"
    with duckdb.connect(str(database)) as con:
        for path in (EXAMPLES / name / "data").glob("*.csv"):
            con.execute(f'CREATE TABLE "{path.stem}" AS SELECT * FROM read_csv(?, header = true, all_varchar = {not typed})', [str(path)])
    same, refused = compare(evaluator, database, AS_OF[name], whole(evaluator, database, AS_OF[name], tmp_path), tmp_path, tries(5, 12, 12))
    assert same and not refused


ODD_IDS = ["A'1", 'A"2', "A%3", "A_4", "A\\5", "A;6 --", "A?7", "$8", "{x}9", "a,b 10", "\u0130\u015f Bank", "日本 12"]


ODD_COLUMN = "it's; -- si\"ze"
ODD_FOLDER, LIKE_IT = "it's 100% [x]*", "it's 100% x and more"  # the other one would be read too if the first were a pattern
ODD_POLICY = """
roe: 1
name: t
roles: [ae]
fields: {account: {size: {type: number, column: COLUMN}, row: {type: string, column: file_row}}}
engagement:
  account:
    ae: [{name: large, when: account.size > 5, then: {assign: ann}, because: "{account.parent.row}"}, {name: rest, then: open}]
"""


@pytest.mark.parametrize("form", ["csv", "parquet", "duckdb"])
def test_odd_ids_columns_and_folders_are_themselves(form: str, tmp_path: Path) -> None:
    """Neither what a record or a column is called nor where the data is can become a part of a query, or a pattern."""
    duckdb = pytest.importorskip("duckdb")
    column = ODD_COLUMN.replace('"', "") if form == "csv" else ODD_COLUMN  # the ordinary reader takes files with such a header
    evaluator = roe.compile(roe.load(policy_text(tmp_path / "policy", ODD_POLICY.replace("COLUMN", json.dumps(column)))))
    rows = [{"id": x, column: str(n), "file_row": f"r{n}", "parent": ODD_IDS[n - 1]} for n, x in enumerate(ODD_IDS)]
    if form == "duckdb":  # Parquet with such a column is for the ordinary reader
        rows = [{**row, "file_row_number": "7"} for row in rows]
    for folder in (tmp_path / ODD_FOLDER, tmp_path / LIKE_IT):
        folder.mkdir()
        _write(folder / "accounts.csv", rows)
        _write(folder / "reps.csv", [{"id": "ann", "name": "Ann"}])
        if form == "parquet":
            as_parquet(evaluator, folder, folder)
            (folder / "accounts.csv").unlink()
            (folder / "reps.csv").unlink()
    data = tmp_path / ODD_FOLDER
    if form == "duckdb":
        files, data = data, tmp_path / "data.duckdb"
        with duckdb.connect(str(data)) as con:
            for entity, table in read_tables(evaluator.policy, files)[0].items():
                header = table.origin.header
                types = ", ".join('"' + c.replace('"', '""') + '" VARCHAR' for c in header)
                con.execute(f"CREATE TABLE {entity}s ({types})")
                con.executemany(
                    f"INSERT INTO {entity}s VALUES ({', '.join('?' * len(header))})", [[row.get(c) for c in header] for row in table]
                )
    run = whole(evaluator, data, "2026-02-01", tmp_path)
    assert {d.id: d.owner for d in run.decisions} == {x: "ann" if n > 5 else None for n, x in enumerate(ODD_IDS)}
    assert compare(evaluator, data, "2026-02-01", run, tmp_path) == (len(ODD_IDS), [])


@pytest.mark.parametrize("name", ["static", "windows", "territories", "distribution"])
def test_what_would_help_one_record_helps_among_all(name: str, tmp_path: Path) -> None:
    """Each change that is found beside one record alone gives it to the rep when it is made in the files and all are decided."""
    from roe.analysis.whynot import why_not
    from test_whynot import Files

    data, as_of = EXAMPLES / name / "data", AS_OF[name]
    files = Files(EXAMPLES / name, as_of, tmp_path / "copies", quick=True)
    run = whole(files.evaluator, data, as_of, tmp_path)
    rng, ways, left_out = random.Random(8), 0, 0
    for d in rng.sample(run.decisions, min(tries(3, 5, 20), len(run.decisions))):
        bound = TakenOut(files.evaluator, Source(files.evaluator.policy, data), as_of, {}).bound(d.entity, d.id)
        bound.turns = TurnsOfRun(lambda: tmp_path)
        row = bound.world.find(d.entity, d.id)
        assert row is not None
        alone = bound.decide(row, d.role)
        rep = rng.choice(bound.world.all("rep"))
        answer = why_not(bound, alone, rep)
        assert answer.owns == (d.owner == rep["id"] and d.action in ("keep", "assign", "route", "exception"))
        for way in answer.as_json()["ways"]:
            assert files.owner(way["changes"], (d.entity, d.id, d.role)) == rep["id"], way
            ways += 1
        left_out += answer.left_out
        assert not answer.left_out or not answer.complete
    assert ways
    assert (left_out > 0) == (name == "distribution")


def test_random_policies_from_parquet(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for seed in range(POLICIES):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        make_policy(rng, folder)
        data = folder / "data"
        data.mkdir()
        for entity, rows in make_data(rng, 30).items():
            if rows:
                _write(data / f"{FILES[entity][0]}.csv", rows)
        evaluator = roe.compile(roe.load(folder))
        parquet = as_parquet(evaluator, data, folder / "parquet")
        try:
            same, refused = compare(evaluator, parquet, "2026-02-01", whole(evaluator, parquet, "2026-02-01", folder), folder, 6)
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e
        counts["same"] += same
        counts.update(refused)
    assert counts["same"] > POLICIES, counts


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    rows = [{k: x for k, x in row.items() if k != "$line"} for row in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


POOLED = """
roe: 1
name: t
timezone: UTC
roles: [sdr]
pools:
  desk: {members: 'rep.team = "SDR"', caps: {open_leads: 8}, strategy: weighted, weight: rep.ramp, fallback: mia}
engagement:
  account:
    sdr: [{name: keep, then: keep}]
  lead:
    sdr:
      - {name: owned, when: account.owner.sdr != null, then: {assign: account.owner.sdr}, because: "{account.name} is {account.owner.sdr}'s"}
      - {name: desk, then: {route: desk}}
"""


def _pooled(folder: Path) -> list[str]:
    rng = random.Random(3)
    accounts = "".join(f'A{i},"Company {i}, Inc",{rng.choice(["ann", "", ""])}\n' for i in range(60))
    leads = "".join(
        f"L{i},jo{i}@x.example,{rng.choice(['', f'A{rng.randrange(60)}', f'company {i}, inc'])},2026-01-{i % 28 + 1:02}\n"
        for i in range(60)
    )
    leads = "".join(
        line if "company" not in line else line.replace(",company", ',"company').replace("inc,", 'inc",') for line in leads.splitlines(True)
    )
    root = policy_text(
        folder, POOLED, data__accounts_csv="id,name,owner\n" + accounts, data__leads_csv="id,email,account,created\n" + leads,
        data__reps_csv="id,name,team,ramp\nann,Ann,SDR,1\nben,Ben,SDR,0.5\ncy,Cy,SDR,0.25\nmia,Mia,,1\n",
    )  # fmt: skip
    return [str(root), "--data", str(root / "data"), "--as-of", "2026-02-01"]


def test_the_command_says_the_same_as_for_small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "cache"))
    at = _pooled(tmp_path / "p")
    asked = ["L7", "L20", "L41", "Company 3, Inc", "JO9@x.example", "L59"]
    expected = [command("explain", text, *at, "--format", "json").output for text in asked]
    command("run", *at, "--out", str(tmp_path / "out"))
    monkeypatch.setattr("roe.run.source.LARGE", 0)
    monkeypatch.setattr("roe.cli.one.bind_large", None)  # nothing may need all records
    notes = 0
    for text, told in zip(asked, expected, strict=True):
        found = command("explain", text, *at, "--format", "json")
        notes += "so roe decides all of them, once" in found.stderr
        assert found.stdout == told
        assert command("explain", text, *at, "--format", "json", "--run", str(tmp_path / "out")).stdout == told
    assert notes == 1  # the turns are kept for this data
    leads = tmp_path / "p" / "data" / "leads.csv"
    leads.write_text(leads.read_text("utf-8") + "L99,jo99@x.example,,2025-12-01\n", "utf-8")
    assert "once" in command("explain", "L41", *at).stderr


def test_a_text_that_names_nothing_or_several_is_said_as_for_small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _pooled(tmp_path / "p")
    expected = {text: command("explain", text, *at, code=2).output for text in ("Company", "nobody at all")}
    monkeypatch.setattr("roe.run.source.LARGE", 0)
    several = command("explain", "Company", *at, code=2).output
    assert "R605" in several
    assert several.splitlines()[-2:] == expected["Company"].splitlines()[-2:]
    none = command("explain", "nobody at all", *at, code=2).output
    assert none.partition("\n")[2] == expected["nobody at all"]
    assert "no record is called `nobody at all`; reading all of them" in none


def test_values_and_timelines_need_one_record_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    static, windows = EXAMPLES / "static", EXAMPLES / "windows"
    asked = [
        ("explain", "A04", str(static), "--data", str(static / "data"), "--as-of", "2026-02-01", "--field", "account.tier"),
        ("timeline", "W2", str(windows), "--data", str(windows / "data"), "--as-of", AS_OF["windows"]),
    ]
    expected = [command(*arguments).stdout for arguments in asked]
    monkeypatch.setattr("roe.run.source.LARGE", 0)
    assert [command(*arguments).stdout for arguments in asked] == expected
    assert not any("reading all" in command(*arguments).stderr for arguments in asked)


@pytest.mark.parametrize(("name", "record"), [("matching", "L2"), ("inbound", "L03"), ("scoring", "A02")])
def test_where_all_records_are_needed_columns_say_the_same(name: str, record: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = EXAMPLES / name
    at = ("explain", record, str(folder), "--data", str(folder / "data"), "--as-of", AS_OF[name], "--format", "json")
    expected = command(*at).stdout
    monkeypatch.setattr("roe.run.source.LARGE", 0)
    found = command(*at)
    assert "reading all of them" in found.stderr
    assert found.stdout == expected
