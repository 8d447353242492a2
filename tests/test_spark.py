"""A run on a real Spark session gives what a local run gives. Heavy: Java and a session take their time."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import AS_OF, EXAMPLES, policy_text, write_run
from roe.data.read import read_tables
from test_spark_pools import two_roles

SERVER = os.environ.get("ROE_CONNECT", "")  # the address of Spark Connect; a session of this process if there is none
IS_SAIL = SERVER.startswith("sc://")
heavy = pytest.mark.skipif(
    not os.environ.get("ROE_HEAVY") or not (IS_SAIL or shutil.which("java")), reason="needs ROE_HEAVY=1, and Java or a server of Sail"
)
WORLDS, BLOCK = int(os.environ.get("ROE_WORLDS", "24")), 12
TOGETHER = re.compile("one task decide[sd] all records, because ([^;]*)")
WHY = {
    "distribution": "",
    "crm": "",
    "dynamic-books": "",
    "scoring": "",
    "kpi": "",
    "windows": "",
    "matching": "",
    "disputes": "",
    "hubspot": "",
    "abm": "contact.activities leads to records of many accounts",
    "static": "",
    "territories": "",
    "wild-west": "",
    "inbound": "",
    "pipeline": "",
}


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Spark in this process, or, with ROE_CONNECT, a server that Spark Connect speaks to: one of this machine, or Sail."""
    sql = pytest.importorskip("pyspark.sql")
    from roe.spark.run import local_session

    connect = sql.SparkSession.builder.remote(SERVER).config("spark.sql.shuffle.partitions", "4")
    spark = connect.getOrCreate() if SERVER else local_session()
    yield spark
    spark.stop()


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_what_can_be_shared_out(name: str) -> None:
    pytest.importorskip("pyarrow")
    from roe.share.plan import Share, share

    found = share(roe.load(EXAMPLES / name))
    more = {
        "crm": ("opportunity",),
        "dynamic-books": ("opportunity", "signal", "handback"),
        "scoring": ("contact", "lead", "signal"),
        "wild-west": ("claim", "opportunity"),
    }.get(name, ())
    children = dict.fromkeys(("activity", *more), "account")
    if name in ("inbound", "distribution"):
        related = {"activity": "lead"} if name == "distribution" else {}
        assert (
            isinstance(found, Share)
            and (found.entity, found.children) == ("lead", related)
            and {"language", "account"} <= (found.handed_out_by or set())
        )
        return
    if name == "disputes":
        assert found == Share("opportunity", {}, first=Share("account", {"activity": "account"}), leads={"opportunity": ("account",)})
        return
    if name == "kpi":
        assert found == Share("lead", {}, first=Share("account", {}), leads={"lead": ("account",)})
        return
    if name == "hubspot":
        accounts = Share("account", {"opportunity": "account"}, links={"account": ("parent",)})
        pools = frozenset({"converted", "status", "created", "is_open"})
        assert found == Share("lead", {}, pools, first=accounts, leads={"lead": ("account",)}, matched="matched_account")
        return
    children = {"pipeline": {"opportunity": "account"}, "territories": {}}.get(name, children)
    links: dict[str, tuple[str, ...]] = {"account": ("parent",)} if name in ("territories", "pipeline") else {}
    assert found == (
        WHY[name]
        or (
            Share("lead", {})
            if name == "matching"
            else Share("account", children, links=links, ranks=("place",) if name == "scoring" else (), claims=name == "wild-west")
        )
    )


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_what_is_not_shared_out_is_said_before_the_run(name: str) -> None:
    from roe.run.engine import Job
    from roe.run.engines import SparkEngine
    from roe.run.source import Source

    evaluator = roe.compile(roe.load(EXAMPLES / name))
    notes = SparkEngine(Job(evaluator, Source(evaluator.policy, EXAMPLES / name / "data"), AS_OF[name])).foretold()
    assert [m[1] for m in map(TOGETHER.match, notes) if m] == [WHY[name]] * bool(WHY[name])


@heavy
@pytest.mark.parametrize("buckets", [1, 3, 7])
@pytest.mark.parametrize("name", sorted(AS_OF))
def test_examples_night_after_night(name: str, buckets: int, tmp_path: Path, session: Any) -> None:
    from alike import ROWS, assert_example_alike, on_spark

    spark = on_spark(session, buckets)
    assert_example_alike(name, tmp_path, {**ROWS, "spark": spark})
    assert WHY[name] in ("", spark.together)


@heavy
@pytest.mark.parametrize("by_number", [False, True])
def test_all_parcels_of_a_number_are_at_one_task(by_number: bool, tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number itself where the session can, and each number has a task of its own; otherwise a task may have several."""
    import pyarrow as pa

    from roe.run.spark import wire
    from roe.share.parcels import BUCKET, PARCEL
    from roe.spark.run import OnSpark

    def numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        met = [number for batch in batches for number in batch.column(BUCKET).to_pylist()]
        yield pa.record_batch([[",".join(map(str, met))]], schema=pa.schema([("met", pa.string())]))

    carrier = OnSpark(wire("csv"), tmp_path, session)
    assert carrier.has_task_numbers == (not IS_SAIL and hasattr(session.range(1), "repartitionById"))  # PySpark 4.0 has no such call
    if not by_number:
        monkeypatch.setattr(carrier, "has_task_numbers", False)
    parcels = carrier.parcels(pa.table([[*range(7)] * 3, ["account"] * 21, [b""] * 21], schema=PARCEL))
    at = [str(row["met"]).split(",") for row in parcels.at_buckets(7).each(numbers, pa.schema([("met", pa.string())])).rows()]
    assert sorted(number for task in at for number in set(task) - {""}) == [*"0123456"]
    assert not carrier.has_task_numbers or all(len(set(task)) == 1 for task in at)
    carrier.close()


@heavy
@pytest.mark.parametrize("kind", ["csv", "database"])
def test_tasks_read_large_csv_files_and_databases(kind: str, tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from alike import files_in
    from roe.run.engine import Job
    from roe.run.run import RunOptions, run
    from roe.run.source import Source
    from test_portions import database, pieces_of, worked, write_csv, write_parquet

    evaluator, data = worked("pool", "with activities", tmp_path), tmp_path / "data"
    (write_csv if kind == "csv" else write_parquet)(data, 3, "with activities")
    data = database(data) if kind == "database" else data
    run(Job(evaluator, Source(evaluator.policy, data), "2026-02-01"), tmp_path / "rows", RunOptions(engine="rows"))
    monkeypatch.setattr("roe.columns.csv_blocks.LARGE", 0)
    taken = pieces_of(monkeypatch)
    job = Job(evaluator, Source(evaluator.policy, data), "2026-02-01", session=session, buckets=3)
    run(job, tmp_path / "spark", RunOptions(engine="spark"))
    assert taken == [{"account", "activity"}]
    assert files_in(tmp_path / "spark") == files_in(tmp_path / "rows")


@heavy
@pytest.mark.parametrize("first", range(0, WORLDS, BLOCK))
def test_random_worlds_night_after_night(first: int, tmp_path: Path, session: Any) -> None:
    """With a ledger, in one, three or seven tasks; each world is one of `test_alike.py`. ROE_WORLDS says how many, 24 by default."""
    from alike import ROWS, assert_alike_in_nights, on_spark
    from made_worlds import world_of

    for seed in range(first, min(first + BLOCK, WORLDS)):
        spark = on_spark(session, (1, 3, 7)[seed // 4 % 3])
        assert_alike_in_nights(world_of(seed, tmp_path / str(seed)), {**ROWS, "spark": spark}, seed)


@heavy
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6, 7])
def test_pools_night_after_night(seed: int, tmp_path: Path, session: Any) -> None:
    """In most of these, rules ask a second pool where the first one finds nobody."""
    from alike import ROWS, allocations, assert_alike, on_spark
    from made_pools import Nights

    nights, spark = Nights(seed, tmp_path / "nights"), on_spark(session, (1, 3, 7)[seed % 3])
    for _ in range(2):
        nights.write()
        found = assert_alike({**ROWS, "spark": spark}, nights.evaluator, nights.data, nights.as_of, nights.folder, remembers=seed % 4 > 0)
        assert spark.together == ""
        nights.a_day_passes(allocations(found))


@heavy
@pytest.mark.parametrize("first", range(8))
def test_random_leads_that_are_matched_to_accounts(first: int, tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from alike import ROWS, assert_alike_in_nights, on_spark
    from made_features import KINDS
    from made_matches import MatchedLeads

    monkeypatch.setattr("roe.share.kind.MANY", 5)
    world = MatchedLeads(KINDS.index("accounts") + len(KINDS) * first, tmp_path / "world")
    assert_alike_in_nights(world, {**ROWS, "spark": on_spark(session, (1, 3, 7)[first % 3])}, first)


@heavy
def test_tasks_write_parts_of_what_pools_gave(tmp_path: Path, session: Any) -> None:
    """Two roles, owners and rejects, from Parquet with dates and numbers of its own."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    from roe.run.engine import Job
    from roe.run.folder import files_of
    from roe.run.run import RunOptions, run
    from roe.run.source import Source

    root = two_roles(tmp_path / "p", random.Random(7))
    data, evaluator = root / "data", roe.compile(roe.load(root))
    leads = arrow_csv.read_csv(data / "leads.csv", convert_options=arrow_csv.ConvertOptions(column_types={"Score": pa.string()}))
    days = pa.array([f"{x[6:]}-{x[:2]}-{x[3:5]}" for x in leads["CreatedDate"].to_pylist()]).cast(pa.timestamp("us"))
    parquet.write_table(
        leads.set_column(leads.column_names.index("CreatedDate"), "CreatedDate", pc.assume_timezone(days, "UTC")), data / "leads.parquet"
    )
    (data / "leads.csv").unlink()
    for engine, form, out in (("columns", "parquet", "columns"), ("spark", "parts", "spark")):
        job = Job(evaluator, Source(evaluator.policy, data), "2026-02-01", session=session, buckets=3, form=form, turns="parquet")
        assert run(job, tmp_path / out, RunOptions(engine=engine)).notes == []
    shared = files_of(tmp_path / "spark")
    for name in ("allocations", "changes", "rollback"):
        parts = list((shared / f"{name}.parquet").iterdir())
        lines = sorted(line for part in parts for line in _lines(part))
        assert lines == sorted(_lines(tmp_path / "columns" / f"{name}.parquet"))
    for name in ("turns.parquet", "marks.parquet"):
        assert parquet.read_table(shared / name) == parquet.read_table(tmp_path / "columns" / name)
    broken = (shared / "invariants.csv").read_text("utf-8")
    assert broken == (tmp_path / "columns" / "invariants.csv").read_text("utf-8") and {"two", "few", "calm"} <= {
        x.partition(",")[0] for x in broken.splitlines()
    }
    assert (shared / "pools.json").read_text() == (tmp_path / "columns" / "pools.json").read_text()


@heavy
def test_tasks_write_parts_of_their_own(tmp_path: Path, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of all parts are those of a run by rows; with and without a shuffle; and nothing but them is in the folder."""
    import pyarrow as pa
    from pyarrow import parquet

    from roe.run.engine import Job
    from roe.run.folder import damaged, files_of, read_mark
    from roe.run.run import RunOptions, run
    from roe.run.source import Source
    from roe.share import tasks

    monkeypatch.setattr(tasks, "ROWS_A_TASK", 3)
    root = EXAMPLES / "static"
    evaluator = roe.compile(roe.load(root))
    tables, _ = read_tables(evaluator.policy, root / "data")
    write_run(evaluator.run(tables, as_of=AS_OF["static"]), tmp_path / "rows", form="parquet")
    data = tmp_path / "data"
    shutil.copytree(root / "data", data)
    header = tables["account"].origin.header
    rows = pa.table({c: pa.array([r.get(c) for r in tables["account"]], pa.string()) for c in header})
    (data / "accounts.csv").unlink()
    parquet.write_table(rows, data / "accounts.parquet", row_group_size=4)
    for what in ("shuffled", "alone"):
        if what == "alone":
            for path in data.iterdir():
                if path.name.startswith(("activities", "opportunities", "leads")):
                    path.unlink()
            tables, _ = read_tables(evaluator.policy, data)
            write_run(evaluator.run(tables, as_of=AS_OF["static"]), tmp_path / "rows", form="parquet")
        out = tmp_path / what
        run(
            Job(evaluator, Source(evaluator.policy, data), AS_OF["static"], session=session, buckets=2, form="parts"),
            out,
            RunOptions(engine="spark"),
        )
        for name in ("allocations", "changes", "rollback"):
            expected = _lines(tmp_path / "rows" / f"{name}.parquet")
            parts = sorted((files_of(out) / f"{name}.parquet").iterdir())
            assert sorted(line for part in parts for line in _lines(part)) == sorted(expected)
            assert {part.relative_to(out).as_posix() for part in parts} <= set(read_mark(out)["files"])
        assert len(list((files_of(out) / "allocations.parquet").iterdir())) > 1
        assert damaged(out) == []


@heavy
def test_tasks_write_the_parts_of_delta_tables(tmp_path: Path, session: Any) -> None:
    pytest.importorskip("deltalake")
    from alike import on_spark
    from roe.run.engines import ColumnEngine
    from test_delta import assert_nights_alike

    assert_nights_alike("windows", tmp_path, on_spark(session, 3), ColumnEngine)


@heavy
@pytest.mark.parametrize(
    ("name", "form", "buckets"), [("static", "csv", 3), ("static", "parts", 1), ("inbound", "parts", 3), ("abm", "parquet", 3)]
)
def test_any_trace_is_made_from_what_tasks_have_kept(name: str, form: str, buckets: int, tmp_path: Path, session: Any) -> None:
    """Records with activities and deals, pools across tasks, and one task for all."""
    from roe.columns.evidence import RunEvidence
    from roe.run.engine import Job
    from roe.run.folder import damaged, files_of
    from roe.run.run import RunOptions, run
    from roe.run.source import Source

    evaluator, data = roe.compile(roe.load(EXAMPLES / name)), EXAMPLES / name / "data"
    out = tmp_path / "out"
    job = Job(evaluator, Source(evaluator.policy, data), AS_OF[name], session=session, buckets=buckets, form=form, traces=True)
    run(job, out, RunOptions(engine="spark"))
    assert damaged(out) == []
    if name != "abm":
        assert len(list((files_of(out) / "trace" / "owners.parquet").iterdir())) == min(buckets, 3)
    evidence = RunEvidence(files_of(out))
    tables, _ = read_tables(evaluator.policy, data)
    for d in evaluator.bind(tables, as_of=AS_OF[name]).decide_all():
        expected = d.trace.as_json()
        assert (d.entity, d.id) in evidence.find(d.id)
        assert evidence.decision(d.entity, d.id, d.role).trace.as_json() == expected, (d.entity, d.id, d.role)


def _lines(path: Path) -> list[str]:
    from pyarrow import parquet

    return [str({k: x or None for k, x in row.items()}) for row in parquet.read_table(path).to_pylist()]


def test_an_empty_table_does_not_end_what_spark_reads(tmp_path: Path) -> None:
    """`createDataFrame` loses every row behind an empty batch: with an empty contacts.csv, records lost their activities without a word."""
    pytest.importorskip("pyspark")
    import pyarrow as pa

    from roe.run.spark import wire
    from roe.share.parcels import PARCEL
    from roe.spark.run import OnSpark

    seen: list[pa.Table] = []

    class Session:
        def createDataFrame(self, table: pa.Table, schema: str) -> None:
            seen.append(table)

    of = [pa.table([[0], [name], [b"x"]], schema=PARCEL) for name in ("account", "activity")]
    session: Any = Session()
    OnSpark(wire("csv"), tmp_path, session).parcels(pa.concat_tables([PARCEL.empty_table(), of[0], PARCEL.empty_table(), of[1]]))
    assert [batch.column("of").to_pylist() for batch in seen[0].to_batches()] == [["account"], ["activity"]]


def test_lines_of_tasks_are_in_the_order_of_the_records_whatever_their_ids_are_called(tmp_path: Path) -> None:
    """Ids of Salesforce are in the data in two forms, and in small letters; the driver ordered lines by these."""
    pytest.importorskip("pyspark")
    from alike import ROWS, allocations, assert_alike
    from roe.columns.raw import Raw
    from roe.run.shared import Wanted, decide
    from roe.run.spark import ID, MARK, PLACE, rows_of

    text = "roe: 1\nname: t\nroles: [ae, sdr]\nengagement: {account: {ae: [{name: all, then: open}], sdr: [{name: all, then: open}]}}\n"
    ids = ["0015g00000Ab002", "0015g00000ab001aab", "0015g00000Ab003AAB", "0015g00000Ab000AAB"]
    policy_text(tmp_path, text, data__accounts_csv="\n".join(["id", *ids]) + "\n")
    evaluator = roe.compile(roe.load(tmp_path))
    expected = [(x["record"], x["role"]) for x in allocations(assert_alike(ROWS, evaluator, tmp_path / "data", "2026-02-01", tmp_path))]
    rows = []
    for own in (ids[:2], ids[2:]):
        account = Raw.of_rows([{"id": id, "$line": 2 + n} for n, id in enumerate(own)])
        rows += rows_of(
            decide(evaluator, "2026-02-01", {"account": account}, {}, wanted=Wanted(str(tmp_path)), entity="account")
        ).to_pylist()
    lines = sorted((row for row in rows if row[MARK] == "allocations"), key=lambda row: (row[ID], row[PLACE]))
    assert [(row["c1"], row["c3"]) for row in lines] == expected


JAVA = ": org.apache.spark.SparkException: Job aborted: Task 0 failed 4 times\n\tat org.apache.spark.A.b(A.scala:1)\n"
LOST = "org.apache.spark.SparkException: Checkpoint block rdd_6_0 not found!"
PYTHON = 'Traceback (most recent call last):\n  File "spark.py", line 1, in f\n    x()\n    ^^^\nValueError: too long\n'


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("checkpoint path is not configured\n"), "checkpoint path is not configured"),
        (ValueError("[UNRESOLVED_COLUMN] no column `x`\n'Filter ('x = 1)\n+- Range (0, 3)"), "[UNRESOLVED_COLUMN] no column `x`"),
        (ValueError(f"An error occurred while calling o9.collect.\n{JAVA}"), JAVA.splitlines()[0].removeprefix(": ")),
        (ValueError(f"An error occurred while calling o9.collect.\n{JAVA}Caused by: java.A: first\nCaused by: {LOST}\n\tat a.B\n"), LOST),
        (ValueError(f"\n  An exception was thrown from the worker.\n{PYTHON}\n\nJVM stacktrace:\n{JAVA}"), "ValueError: too long"),
        (ConnectionRefusedError("[Errno 111] Connection refused"), "its process has ended"),
        (ValueError(""), "ValueError"),
    ],
)
def test_what_spark_says_is_one_line(error: Exception, said: str) -> None:
    from roe.spark.trouble import reason

    assert reason(error) == said
