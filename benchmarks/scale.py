"""How roe does at scale, beside DuckDB and the column engine in the same run: `python benchmarks/scale.py [--rows N] [--only PART,...]`.

Each part is a process of its own that is stopped after `--minutes`; all files go when it ends. A line says a figure, and what is aimed at.
Where the machine does other work as well, compare processor seconds rather than seconds. Parts on Spark need Java, and Linux's /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import made
import roe
from measure import BYTECODE, Cost, whole_process

HERE = Path(__file__).resolve().parent
AS_OF = "2026-02-01"
REPS = 200
DESK = "pools: {desk: {members: 'rep.role = \"SDR\"', strategy: weighted, weight: rep.ramp, together: never}}\n"
MATCHED = """roe: 1
name: matched
roles: [ae, sdr]
matching: {methods: [{name: mail, match: 'company_domain(lead.email) = company_domain(account.domain)'}], tie_break: [{most: account.employees}]}
engagement:
  account: {ae: [{name: large, when: account.employees > 5000, then: {assign: rep1}}, {name: rest, then: keep}]}
  lead: {sdr: [{name: owner, when: account.owner.ae != null, then: {assign: account.owner.ae}, because: 'of {account.name}'}, {name: rest, then: open}]}
"""
AT_ONCE = 5_000_000  # accounts of which all at once fit into memory
WHOLE = "import roe.run.engines as e; e.PORTIONS = 1 << 60; from roe.cli import entry; entry()"  # `roe`, but all records at once
LOOK_UP = "import duckdb, sys; print(duckdb.sql(f\"SELECT * FROM '{sys.argv[1]}' WHERE id = '{sys.argv[2]}'\").fetchall())"


def say(what: str, value: float, unit: str = "", goal: float | None = None) -> None:
    """One figure, and the most that it should be."""
    aim = "" if goal is None else f"   goal: at most {goal:g}   {'reached' if value <= goal else 'MISSED'}"
    print(f"{what:<92}{value:>12,.2f} {unit:<12}{aim}".rstrip(), flush=True)


def compare(what: str, ours: Cost, base: Cost, beside: str, goal: float | None = None, mib: float | None = None) -> None:
    """The processor time of one beside that of another, and what both took."""
    say(what, ours.processor / base.processor, f"x {beside}", goal)
    say("    its seconds; those of processors", ours.seconds, f"{ours.processor:.2f}")
    say(f"    {beside}: seconds; those of processors", base.seconds, f"{base.processor:.2f}")
    say("    its peak", ours.mib, "MiB", mib)


# --- data ---------------------------------------------------------------------------------------------------------------


def accounts(root: Path, rows: int) -> Path:
    """A folder of accounts in Parquet, made once, a million after the other."""
    from pyarrow import parquet

    path = root / f"accounts{rows}" / "accounts.parquet"
    if not path.exists():
        path.parent.mkdir()
        step = 1_000_000
        writer = None
        for first in range(0, rows, step):
            table = made.accounts(min(step, rows - first), seed=2 + first // step, first=first)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table, row_group_size=100_000)
        if writer is not None:
            writer.close()
    return path.parent


def with_activities(root: Path, rows: int) -> Path:
    """The same accounts, and half as many activities."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    folder, n = root / f"worked{rows}", rows // 2
    folder.mkdir()
    os.link(accounts(root, rows) / "accounts.parquet", folder / "accounts.parquet")
    rng = np.random.default_rng(8)
    of = np.char.add("A", np.char.zfill(rng.integers(0, rows, n).astype("U9"), 9))
    days = pa.array(rng.integers(20_300, 20_480, n).astype("datetime64[D]"))
    ids = np.char.add("T", np.arange(n).astype("U9"))
    parquet.write_table(pa.table({"id": ids, "account": of, "date": days}), folder / "activities.parquet", row_group_size=100_000)
    return folder


def leads(root: Path, rows: int) -> Path:
    """A folder of leads that wait for a pool of reps."""
    from pyarrow import parquet

    folder = root / f"leads{rows}"
    if not folder.exists():
        folder.mkdir()
        for entity, table in made.pool_tables(rows, REPS).items():
            parquet.write_table(table, folder / f"{entity}s.parquet", row_group_size=100_000)
    return folder


def policy(root: Path, kind: str = "rules") -> Path:
    """A policy of 1,000 rules; the same whose score looks at activities; one pool."""
    folder = root / kind
    if folder.exists():
        return folder
    if kind == "pool":
        folder.mkdir()
        made.pool_policy(folder)
        return folder
    made.whole_policy(folder, made.rules(1000))
    if kind in ("worked", "shared"):
        path = folder / "policy.yaml"
        text = path.read_text("utf-8").replace("define:\n", "define:\n  account.calls: count(account.activities)\n")
        path.write_text(
            text.replace("    criteria:\n", "    criteria:\n      - {name: calls, when: account.calls > 0, points: 5}\n"), "utf-8"
        )
    if kind == "shared":
        rules = path.read_text("utf-8").replace("engagement:\n", f"{DESK}engagement:\n")
        path.write_text(
            rules.replace("    ae:\n", "    ae:\n      - {name: desk, when: account.calls = 1, then: {route: desk}}\n"), "utf-8"
        )
    return folder


# --- whole commands -----------------------------------------------------------------------------------------------------


def run_in_columns(policy: Path, data: Path, out: Path, *more: str) -> Cost:
    """`roe run` as a process, Parquet to Parquet."""
    command = ("-m", "roe", "run", str(policy), "--data", str(data), "--as-of", AS_OF, "--out", str(out))
    return whole_process(*command, "--engine", "columns", "--format", "parquet", *more)


def run_on_spark(policy: Path, data: Path, out: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "on_spark.py"), str(policy), str(data), str(out), *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr[-4000:]}\n    Spark ended with {done.returncode}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    for note in figures["notes"]:
        print(f"    note: {note}", flush=True)
    return figures


def cost_of(figures: dict[str, Any]) -> Cost:
    return Cost(figures["seconds"], figures["processor"], figures["jvm_mib"] + figures["python_mib"])


# --- parts --------------------------------------------------------------------------------------------------------------


def few(root: Path, rows: int) -> None:
    """Ten rules over a table in memory, beside DuckDB's `CASE`."""
    import duckdb
    import numpy as np

    from roe.columns.kernel import ColumnIndex
    from roe.columns.world import ColumnWorld

    table, rules = made.accounts(rows).select(["id", "country", "segment", "employees"]), made.rules(10)
    (root / "few").mkdir()
    (root / "few" / "policy.yaml").write_text(made.policy_text(rules), "utf-8")
    evaluator = roe.compile(roe.load(root / "few"))
    index = ColumnIndex(evaluator.compiled.engagement["account", "ae"].index)

    def ours() -> Any:
        world = ColumnWorld(evaluator.compiled, {"account": table}, evaluator.clock(AS_OF))
        return index.first(world.tables["account"].frame.eval, rows).rule

    con = duckdb.connect()
    con.register("given", table)
    con.execute("CREATE TABLE account AS SELECT * FROM given")
    query = f"SELECT {made.case_of(rules)} AS r FROM account"

    def theirs() -> Any:
        return con.sql(query).to_arrow_table()["r"].to_numpy()

    assert np.array_equal(theirs(), ours()), "DuckDB and roe must agree before they are timed"
    costs: dict[str, list[tuple[float, float]]] = {"roe": [], "DuckDB": []}
    for _ in range(7):
        for name, act in (("roe", ours), ("DuckDB", theirs)):
            used, start = time.process_time(), time.perf_counter()
            act()
            costs[name].append((time.perf_counter() - start, time.process_time() - used))
    seconds, processor = ({name: min(x[i] for x in found) for name, found in costs.items()} for i in (0, 1))
    say(f"10 rules over {rows:,} records in memory: seconds", seconds["roe"] / seconds["DuckDB"], "x DuckDB", 2)
    say("    processor seconds", processor["roe"] / processor["DuckDB"], "x DuckDB")
    say("    its seconds; those of processors", seconds["roe"], f"{processor['roe']:.3f}")
    say("    DuckDB: seconds; those of processors", seconds["DuckDB"], f"{processor['DuckDB']:.3f}")


def small(root: Path, rows: int) -> None:
    """A whole run of 10,000 accounts, and of the few of an example, by policies that are in the cache."""
    from pyarrow.csv import write_csv

    run = partial(run_in_columns, policy(root), accounts(root, 10_000), root / "out")
    run()
    found = [run() for _ in range(5)]
    say("a whole run of 10,000 accounts and 1,000 rules: processor seconds", statistics.median(x.processor for x in found), "s", 0.6)
    say("    seconds", statistics.median(x.seconds for x in found), "s")
    say("    its peak", max(x.mib for x in found), "MiB")
    alone = [whole_process("-c", "import numpy, pyarrow.compute, pyarrow.parquet", OPENBLAS_NUM_THREADS="1").processor for _ in range(5)]
    say("    a process that imports NumPy and Arrow and ends: processor seconds", statistics.median(alone), "s")
    for n in (1_000, 2_000):  # `auto` takes columns from 128 kilobytes on
        data = root / f"csv{n}"
        data.mkdir()
        write_csv(made.accounts(n), data / "accounts.csv")
        size = (data / "accounts.csv").stat().st_size >> 10
        for engine in ("rows", "columns"):
            given = ("--data", str(data), "--as-of", AS_OF, "--out", str(root / "out"), "--engine", engine)
            seconds = [whole_process("-m", "roe", "run", str(policy(root)), *given).processor for _ in range(5)]
            say(f"    {n:,} accounts in CSV ({size} KB) in {engine}: processor seconds", statistics.median(seconds), "s")
    for name in ("static", "crm"):
        example = HERE.parent / "policies" / "examples" / name
        command = ("-m", "roe", "run", str(example), "--data", str(example / "data"), "--as-of", AS_OF, "--out", str(root / "out"))
        whole_process(*command)
        seconds = [whole_process(*command).processor for _ in range(5)]
        say(f"    a whole run of the example `{name}`: processor seconds", statistics.median(seconds), "s")


def scan(root: Path, rows: int) -> None:
    """Handing out the turns of a pool alone, once its leads are in memory and stand in their queue, by the numbers of their companies."""
    from roe.columns.one_by_one import reason_one_by_one
    from roe.columns.role_run import RoleRun
    from roe.columns.turns import Turns
    from roe.columns.world import ColumnWorld
    from roe.evaluator.bound import Bound

    evaluator = roe.compile(roe.load(policy(root, "pool")))
    world = ColumnWorld(evaluator.compiled, made.pool_tables(rows, REPS), evaluator.clock(AS_OF))
    bound, table = Bound(evaluator, world, {}), world.tables["lead"]
    start = time.process_time()
    turns = Turns(table, bound.pools, [RoleRun(bound, table, "sdr")])
    reason_one_by_one(turns)
    turns.prepare()
    queued = time.process_time()
    turns.run()
    ended = time.process_time()
    millions = rows / 1e6
    say(f"the scan of {rows:,} leads and {REPS} reps: processor seconds a million", (ended - queued) / millions, "s", 0.5)
    say("    their queue and their companies: processor seconds a million", (queued - start) / millions, "s")


def pools(root: Path, rows: int) -> None:
    """The same turns from columns and from 1, 7 and 16 tasks."""
    data, out = leads(root, rows), root / "out"
    alone = run_in_columns(policy(root, "pool"), data, out, "--turns", "parquet")
    say(f"{rows:,} leads and {REPS} reps in columns: seconds; those of processors", alone.seconds, f"{alone.processor:.1f}")
    say("    its peak", alone.mib, "MiB", 2048)
    wanted = digests(out)
    shutil.rmtree(out)
    for buckets in (1, 7, 16):
        figures = run_on_spark(policy(root, "pool"), data, out, "--buckets", str(buckets))
        cost = cost_of(figures)
        different = sum(x != y for x, y in zip(digests(out), wanted, strict=True))
        say(f"    {buckets} tasks: of 4 files, those with another owner, companion, turn or credit", different, "", 0)
        compare(f"    {buckets} tasks", cost, alone, "columns")
        say("    its largest task's peak", figures["task_mib"], "MiB")
        shutil.rmtree(out)


def digests(out: Path, names: Iterable[str] = ("allocations", "changes", "turns")) -> list[Any]:
    """What some files of a run say, whatever the order of their lines, and of one with pools what these leave."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(out)})
    found: list[Any] = []
    for name in names:
        paths = [str(path) for path in out.rglob(f"{name}.parquet/*.parquet")] or [str(next(out.rglob(f"{name}.parquet")))]
        lines = f"(SELECT COLUMNS(*)::VARCHAR FROM read_parquet({paths}, hive_partitioning = false))"  # `run=…` is no column
        found.append(con.sql(f"SELECT count(*), sum(hash(line)::HUGEINT), bit_xor(hash(line)) FROM {lines} line").fetchall())
    return [*found, *(path.read_bytes() for path in out.rglob("pools.json"))]


def explain(root: Path, rows: int) -> None:
    """One lead of a run that has kept its traces, at several places of the queue, beside DuckDB's look-up of its row."""
    data, out = leads(root, rows), root / "out"
    run = run_in_columns(policy(root, "pool"), data, out, "--trace")
    say(f"a run of {rows:,} leads with traces: seconds; those of processors", run.seconds, f"{run.processor:.1f}")
    for place in (0, rows // 2, rows - 1):
        key = f"L{place:08}"
        ours = [whole_process("-m", "roe", "explain", key, "--run", str(out)) for _ in range(3)]
        base = [whole_process("-c", LOOK_UP, str(data / "leads.parquet"), key) for _ in range(3)]
        compare(f"explain --run of lead {place + 1:,} among {rows:,}", typical(ours), typical(base), "DuckDB", 3, 300)
    shutil.rmtree(out)


def export(root: Path, rows: int) -> None:
    """One account of a CSV export, beside DuckDB's look-up of its row in the same file."""
    from pyarrow import csv, parquet

    data = root / "csv"
    data.mkdir()
    source = parquet.ParquetFile(accounts(root, rows) / "accounts.parquet")
    with csv.CSVWriter(data / "accounts.csv", source.schema_arrow) as writer:
        for batch in source.iter_batches():
            writer.write_batch(batch)
    key = f"A{rows * 9 // 10:09}"
    command = ("-m", "roe", "explain", key, str(policy(root)), "--data", str(data), "--as-of", AS_OF)
    whole_process(*command)  # now the policy is in the cache
    ours = [whole_process(*command) for _ in range(3)]
    base = [whole_process("-c", LOOK_UP, str(data / "accounts.csv"), key) for _ in range(3)]
    compare(f"explain on a CSV export of {rows:,} accounts", typical(ours), typical(base), "DuckDB", 2, 300)
    shutil.rmtree(data)


def typical(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(getattr(x, name) for x in costs) for name in ("seconds", "processor")), max(x.mib for x in costs))


def spark(root: Path, rows: int) -> None:
    """Accounts that need nothing else, on Spark and in columns."""
    _beside_columns(root, rows, "rules", accounts(root, rows), f"local[2], {rows:,} accounts without a shuffle", 2)


def shuffle(root: Path, rows: int) -> None:
    """Accounts with their activities, on Spark and in columns."""
    what = f"local[2], {rows:,} accounts and {rows // 2:,} activities, with a shuffle"
    _beside_columns(root, rows, "worked", with_activities(root, rows), what, 3)


def _beside_columns(root: Path, rows: int, kind: str, data: Path, what: str, goal: float) -> None:
    out = root / "out"
    run_in_columns(policy(root, kind), data, out)  # now the policy is in the cache, which Spark's figure leaves out
    shutil.rmtree(out)
    alone = run_in_columns(policy(root, kind), data, out)
    shutil.rmtree(out)
    figures = run_on_spark(policy(root, kind), data, out)
    shutil.rmtree(out)
    cost = cost_of(figures)
    compare(f"{what}: processor seconds", cost, alone, "columns", goal)
    say("    the largest task's peak; columns'", figures["task_mib"], f"MiB; {alone.mib:,.0f}")
    say("    seconds", cost.seconds / alone.seconds, "x columns", goal)
    say("    a billion rows at this rate: processor hours", cost.processor / rows * 1e9 / 3600, "h")


def portions(root: Path, rows: int) -> None:
    """Accounts with activities, of whom a pool gets some, in portions and all at once: memory, what it grows by, and the same files."""
    from pyarrow import parquet

    out, rules = root / "out", policy(root, "shared")
    whole_process("-m", "roe", "check", str(rules), "--no-data")  # now the policy is in the cache
    ways = {"in portions": ("-m", "roe"), "at once": ("-c", WHOLE)}

    def run(rows: int, way: str) -> tuple[Cost, int, list[Any]]:
        """The cost of a run, how many records waited for the pool, and what its files say."""
        more = ("--data", str(root / f"worked{rows}"), "--as-of", AS_OF, "--out", str(out), "--engine", "columns", "--format", "parquet")
        cost = whole_process(*ways[way], "run", str(rules), *more, "--turns", "parquet")
        engine = json.loads((out / "run.json").read_text("utf-8"))["engine"]
        say(f"{rows:,} accounts, {rows // 2:,} activities and a pool, {way} ({engine}): peak", cost.mib, "MiB", 4096)
        say("    seconds; those of processors", cost.seconds, f"{cost.processor:.1f}")
        found = cost, parquet.read_metadata(out / "turns.parquet").num_rows, digests(out) if rows <= AT_ONCE else []
        shutil.rmtree(out)
        return found

    few = max(rows // 4, 1_600_000)
    for n in {few, rows}:
        parquet.write_table(made.pool_tables(1, REPS)["rep"], with_activities(root, n) / "reps.parquet")
    least, waited, _ = run(few, "in portions")
    cost, waits, found = run(rows, "in portions")
    if rows > few:
        grown = (cost.mib - least.mib) * (1 << 20)
        say("    it grows by, for each account", grown / (rows - few), "bytes", 40)
        say("    for each account that waits for the pool", grown / (waits - waited), "bytes")
        say(
            "    50,000,000 accounts at this rate (calculated): peak",
            cost.mib + grown / (rows - few) * (50e6 - rows) / (1 << 20),
            "MiB",
            4096,
        )
    if rows <= AT_ONCE:
        at_once, _, wanted = run(rows, "at once")
        different = sum(x != y for x, y in zip(found, wanted, strict=True))
        say("    of 4 files, those with another owner, turn or credit", different, "", 0)
        say("    in portions: processor seconds", cost.processor / at_once.processor, "x at once")


def matched(root: Path, rows: int) -> None:
    """Accounts, and as many leads, of which two thirds are matched to them by domain, in portions and all at once: memory, time, and the same files."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    data, rules, out = accounts(root, rows), root / "matched", root / "out"
    rules.mkdir()
    (rules / "policy.yaml").write_text(MATCHED, "utf-8")
    rng, text = np.random.default_rng(9), np.arange(rows).astype("U9")
    domains = np.char.add(np.char.add("company-", rng.integers(0, rows * 3 // 2, rows).astype("U9")), ".com")
    leads = {"id": np.char.add("L", np.char.zfill(text, 9)), "email": np.char.add("someone@", domains)}
    parquet.write_table(pa.table(leads), data / "leads.parquet", row_group_size=100_000)
    costs, found = list[Cost](), list[list[Any]]()
    for way, start in {"in portions": ("-m", "roe"), "at once": ("-c", WHOLE)}.items():
        more = ("--data", str(data), "--as-of", AS_OF, "--out", str(out), "--engine", "columns", "--format", "parquet")
        costs.append(whole_process(*start, "run", str(rules), *more))
        engine = json.loads((out / "run.json").read_text("utf-8"))["engine"]
        say(f"{rows:,} accounts and as many leads, {way} ({engine}): peak", costs[-1].mib, "MiB", 4096)
        say("    seconds; those of processors", costs[-1].seconds, f"{costs[-1].processor:.1f}")
        found.append(digests(out, ("allocations", "changes")))
        shutil.rmtree(out)
    say("    of 2 files, those that differ", sum(x != y for x, y in zip(*found, strict=True)), "", 0)
    say("    in portions: processor seconds", costs[0].processor / costs[1].processor, "x at once")


def cluster(root: Path, rows: int) -> None:
    """Two executors of 1 GiB each, beside local[2]."""
    data, out = accounts(root, rows), root / "out"
    base = run_on_spark(policy(root), data, out)
    shutil.rmtree(out)
    cost = run_on_spark(policy(root), data, out, "--master", "local-cluster[2,1,1024]", "--memory", "1g")
    shutil.rmtree(out)
    compare(f"local-cluster, two executors of 1 GiB, {rows:,} accounts", cost_of(cost), cost_of(base), "local[2]", 1.3)
    say("    seconds", cost["seconds"] / base["seconds"], "x local[2]", 1.3)


def driver(root: Path, rows: int) -> None:
    """The driver's memory for ten times as many accounts, with 64 MiB for what tasks send back."""
    least, most = rows // 5, rows * 2
    found = []
    for n in (least, most):
        options = ("--master", "local-cluster[2,1,1024]", "--memory", "512m")
        found.append(run_on_spark(policy(root), accounts(root, n), root / "out", *options))
        shutil.rmtree(root / "out")
    small, large = found
    say(f"the driver's JVM at {most:,} accounts", large["jvm_mib"] / small["jvm_mib"], f"x at {least:,}", 1.1)
    say(f"    at {least:,}", small["jvm_mib"], "MiB")
    say(f"    at {most:,}", large["jvm_mib"], "MiB")
    say(f"the driver's Python at {most:,} accounts", large["python_mib"] / small["python_mib"], f"x at {least:,}", 1.1)
    say(f"    at {most:,}", large["python_mib"], "MiB")


def ledger(root: Path, rows: int) -> None:
    """What the driver pays for a ledger: it appends every entry that tasks wrote on the first night, and none where nothing changes. Beside a run
    without one.
    """
    data, out, state = accounts(root, rows), root / "out", root / "state"
    nights = []
    for more in ((), ("--state", str(state)), ("--state", str(state))):
        nights.append(run_on_spark(policy(root), data, out, *more))
        shutil.rmtree(out)
        if len(nights) == 2:
            size = sum(path.stat().st_size for path in state.iterdir()) / (1 << 20)
    without, first, second = nights
    millions = first["entries"] / 1e6
    say(
        f"a first night on Spark, {first['entries']:,} entries: the driver's Python, processor seconds a million",
        (first["driver"] - without["driver"]) / millions,
        "s",
    )
    say(
        "    its peak, by which it is above that without a ledger, for a million entries",
        (first["python_mib"] - without["python_mib"]) / millions,
        "MiB",
    )
    say("    its peak; that without a ledger", first["python_mib"], f"MiB; {without['python_mib']:,.0f}")
    say("    the JVM's peak; that without a ledger", first["jvm_mib"], f"MiB; {without['jvm_mib']:,.0f}")
    say("    all processor seconds; those without a ledger", first["processor"], f"s; {without['processor']:,.1f}")
    say("    the ledger on disk, for a million entries", size / millions, "MiB")
    say("a second night with the same data: entries", second["entries"] - first["entries"])
    say("    the driver's Python: processor seconds for a million records", (second["driver"] - without["driver"]) / rows * 1e6, "s")


PARTS: dict[str, Callable[[Path, int], None]] = {
    "few": few, "small": small, "scan": scan, "explain": explain, "export": export, "spark": spark, "shuffle": shuffle, "cluster": cluster,
    "portions": portions, "matched": matched,
    "driver": driver, "ledger": ledger, "pools": pools,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of the largest table")
    parser.add_argument("--only", help=f"the parts to run, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--minutes", type=float, default=8, help="after which a part is stopped")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        PARTS[args.part](args.root, args.rows)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that whatever has been started ends as well
    with tempfile.TemporaryDirectory(prefix="roe-scale-") as root:
        os.environ |= {"ROE_CACHE": f"{root}/cache", "TMPDIR": root, "PYTHONPYCACHEPREFIX": BYTECODE}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed roe has its bytecode
        Path(root, "cache").mkdir(mode=0o700)
        for name in args.only.split(",") if args.only else PARTS:
            _within(args.minutes, name, args.rows, root)


def _within(minutes: float, name: str, rows: int, root: str) -> None:
    """One part, with all that it starts, for so long at most."""
    print(f"--- {name}: {PARTS[name].__doc__}", flush=True)
    command = [sys.executable, __file__, "--part", name, "--root", root, "--rows", str(rows)]
    part = subprocess.Popen(command, start_new_session=True)
    try:
        if part.wait(timeout=minutes * 60):
            print(f"    {name} did not finish", flush=True)
    except subprocess.TimeoutExpired:
        print(f"    {name} was stopped after {minutes:g} minutes", flush=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(part.pid, signal.SIGKILL)  # whatever it has left behind
        part.wait()
    shutil.rmtree(Path(root, "out"), ignore_errors=True)


if __name__ == "__main__":
    main()
