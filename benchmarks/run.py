"""Every figure that the docs state, from one command: `python benchmarks/run.py [--quick] [--json FILE]`.

Whole processes are timed as a user meets them; decisions and tables of columns beside other engines (`pip install
'roe-policy[bench]'`; those that are not installed are left out), with the same rules and records from one seed. Answers are
compared before anything is timed. Medians of repeated runs, with the least and the most where they matter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import made
import peers
import roe
from measure import BYTECODE, median, times, whole_process

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "policies" / "examples"


def process(*args: str, cache: str) -> Callable[[], Any]:
    env = {**os.environ, "ROE_CACHE": cache, "PYTHONPYCACHEPREFIX": BYTECODE}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed roe has its bytecode
    return lambda: subprocess.run([sys.executable, *args], env=env, check=True, capture_output=True)


# --- whole processes ------------------------------------------------------------------------------------------------


def explain(repeat: int) -> dict[str, float]:
    records = {
        "static": ("hooli.com", "2026-02-01"),
        "wild-west": ("W1", "2026-02-01"),
        "inbound": ("L03", "2026-02-02"),
        "pipeline": ("Linden Online", "2017-12-31"),
    }
    process("-m", "roe", "--version", cache="off")()
    out = {"python_start_ms": median(process("-c", "pass", cache="off"), repeat) * 1000}
    with tempfile.TemporaryDirectory() as cache:
        for name, (record, as_of) in records.items():
            folder = str(EXAMPLES / name)
            args = ("-m", "roe", "explain", record, folder, "--data", f"{folder}/data", "--as-of", as_of)
            out[f"explain_{name}_first_ms"] = median(process(*args, cache="off"), max(3, repeat // 3)) * 1000
            process(*args, cache=cache)()
            found = times(process(*args, cache=cache), repeat)
            out[f"explain_{name}_ms"], out[f"explain_{name}_least_ms"] = statistics.median(found) * 1000, min(found) * 1000
    return out


# --- one decision ---------------------------------------------------------------------------------------------------


def decisions(sizes: list[int], count: int, repeat: int) -> dict[str, float]:
    """Microseconds for one decision by rules on eleven fields, through the public API and through the others'."""
    out: dict[str, float] = {}
    rows = made.wide_records(count)
    for size in sizes:
        found = made.wide_rules(size)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policy.yaml").write_text(made.wide_policy(found), "utf-8")
            evaluator = roe.compile(roe.load(folder))
        rules = evaluator.rules("account", "ae", as_of="2026-02-01")
        number = {id(rule): i for i, rule in enumerate(rules.rules)}
        answers = [None if (r := rules(row)) is None else number[id(r)] for row in rows]
        out[f"decide_{size}_us"] = median(lambda c=rules: [c(x) for x in rows], repeat) / count * 1e6
        out[f"decide_{size}_explained_us"] = median(lambda c=rules: [c.explain(x) for x in rows], repeat) / count * 1e6
        few = rows[: min(200, count)]

        def tree(c: Any = rules, few: list[dict[str, Any]] = few) -> None:
            for x in few:
                json.dumps(c.explain(x).trace.as_json())

        tree()
        out[f"decide_{size}_tree_us"] = median(tree, 3) / len(few) * 1e6
        for name, make in peers.PEERS.items():
            if name in peers.SLOW and size > 1000:
                continue
            with contextlib.suppress(ImportError):
                decide = make(found)
                start = time.perf_counter()
                assert decide(rows[:5]) == answers[:5], f"{name} and roe must agree before they are timed"
                each = (time.perf_counter() - start) / 5
                asked = rows[: max(5, min(count, int(0.5 / each)))]  # half a second a round
                assert decide(asked) == answers[: len(asked)], f"{name} and roe must agree before they are timed"
                rounds = repeat if len(asked) == count else 3
                us = median(lambda d=decide, a=asked: d(a), rounds) / len(asked) * 1e6
                out[f"peer_{name}_{size}_us"] = us
                out[f"ratio_{name}_{size}"] = us / out[f"decide_{size}_us"]
    out["ratio_decide_most_to_least_rules"] = out[f"decide_{sizes[-1]}_us"] / out[f"decide_{sizes[0]}_us"]
    return out


def opaque(rules: int, count: int) -> dict[str, float]:
    """Milliseconds of processor time for a decision by so many rules of one condition each that no cells help with, beside other engines."""
    found, rows = made.opaque_rules(rules), made.opaque_records(count, rules)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "policy.yaml").write_text(made.wide_policy(found), "utf-8")
        evaluator = roe.compile(roe.load(folder))
    decide = evaluator.rules("account", "ae", as_of="2026-02-01")
    number = {id(rule): i for i, rule in enumerate(decide.rules)}
    answers = [None if (r := decide(row)) is None else number[id(r)] for row in rows]

    def cpu(act: Callable[[], Any]) -> float:
        seconds = []
        for _ in range(3):
            start = time.process_time()
            act()
            seconds.append(time.process_time() - start)
        return min(seconds) / count * 1000

    out = {f"opaque_{rules}_ms": cpu(lambda: [decide(row) for row in rows])}
    for name, make in peers.PEERS.items():
        if name in peers.SLOW and rules > 1000:
            continue
        with contextlib.suppress(ImportError):
            other = make(found)
            assert other(rows[:5]) == answers[:5], f"{name} and roe must agree before they are timed"
            out[f"peer_{name}_opaque_{rules}_ms"] = cpu(partial(other, rows))
    engines = {name: ms for name, ms in out.items() if name.startswith("peer_") and "if_elif" not in name}
    if engines:
        out["ratio_opaque_to_fastest_engine"] = out[f"opaque_{rules}_ms"] / min(engines.values())
    return out


def compiling(sizes: list[int]) -> dict[str, float]:
    """Seconds from the text of a policy to a ready evaluator, every check included, nothing cached."""
    out = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policy.yaml").write_text(made.policy_text(made.rules(size)), "utf-8")
            script = (
                f"import roe, time; t = time.perf_counter(); e = roe.compile(roe.load({folder!r})); u = time.perf_counter();"
                "e.compiled.engagement['account', 'ae'].index; print(u - t, time.perf_counter() - t)"
            )
            env = {**os.environ, "ROE_CACHE": "off"}
            found = [subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True) for _ in range(3)]
            ready, indexed = zip(*(map(float, f.stdout.split()) for f in found), strict=True)
            out[f"compile_{size}_rules_s"] = statistics.median(ready)
            out[f"compile_and_index_{size}_rules_s"] = statistics.median(indexed)
    return out


# --- tables of columns ----------------------------------------------------------------------------------------------


def columns(sizes: list[int], counts: list[int], repeat: int) -> dict[str, float]:
    """Seconds to find the rule of every record of an Arrow table in memory, encoding included, and DuckDB's `CASE`."""
    import duckdb
    import numpy as np
    import polars as pl

    from roe.columns.kernel import ColumnIndex
    from roe.columns.world import ColumnWorld

    out: dict[str, float] = {}
    table = made.accounts(counts[-1]).select(["id", "country", "segment", "employees"])
    for size in sizes:
        found = made.rules(size)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policy.yaml").write_text(made.policy_text(found), "utf-8")
            evaluator = roe.compile(roe.load(folder))
        index = ColumnIndex(evaluator.compiled.engagement["account", "ae"].index)

        def ours(given: Any, index: Any = index, evaluator: Any = evaluator) -> Any:
            world = ColumnWorld(evaluator.compiled, {"account": given}, evaluator.clock("2026-02-01"))
            return index.first(world.tables["account"].frame.eval, given.num_rows).rule

        for count in counts if size == 1000 else counts[-1:]:
            part = table.slice(0, count)
            ours(part)
            out[f"columns_{size}_rules_{count}_s"] = median(lambda p=part: ours(p), repeat)
        con = duckdb.connect()
        con.execute("SET disabled_optimizers='in_clause'")
        con.register("given", table)
        con.execute("CREATE TABLE account AS SELECT * FROM given")
        query = f"SELECT {made.case_of(found)} AS r FROM account"
        answer = con.sql(query).to_arrow_table()["r"].to_numpy()
        assert np.array_equal(answer, ours(table)), "DuckDB and roe must agree before they are timed"
        slow = median(lambda: con.sql(query).to_arrow_table(), 1 if size > 100 else 3)  # noqa: B023
        key = f"{size}_rules_{counts[-1]}"
        out[f"duckdb_case_{key}_s"] = slow
        out[f"ratio_duckdb_case_{key}"] = slow / out[f"columns_{key}_s"]
        if size <= 100:
            frame = pl.from_arrow(table)
            rule = [
                pl.when(
                    (pl.col("country") == c) & (pl.col("segment") == s) & (pl.col("employees") >= low) & (pl.col("employees") < high)
                ).then(i)
                for i, (c, s, low, high, _) in enumerate(found)
            ]
            out[f"polars_{key}_s"] = median(lambda: frame.select(pl.min_horizontal(rule)), 1)  # noqa: B023
    return out


def keyed(count: int, repeat: int) -> dict[str, float]:
    """Seconds for a table of 42,000 ZIP codes and 1,000 domains, and for DuckDB's hash joins."""
    import duckdb
    import numpy as np

    from roe.columns.kernel import ColumnIndex
    from roe.columns.world import ColumnWorld

    with tempfile.TemporaryDirectory() as folder:
        made.keyed_policy(Path(folder), 42_000, 1_000)
        start = time.perf_counter()
        evaluator = roe.compile(roe.load(folder))
        index = ColumnIndex(evaluator.compiled.choosers["account", "territory"].index)
        loaded = time.perf_counter() - start
    table = made.keyed_accounts(count, 42_000)

    def typed() -> Any:
        return ColumnWorld(evaluator.compiled, {"account": table}, evaluator.clock("2026-02-01")).tables["account"]

    account = typed()

    def ours() -> Any:
        account.forget()
        return index.first(account.frame.eval, count).rule

    con = duckdb.connect()
    con.register("given", table)
    con.execute("CREATE TABLE account AS SELECT * FROM given")
    con.execute("CREATE TABLE named AS SELECT i::INT AS rule, 'company-' || i * 7 || '.com' AS domain FROM range(1000) t(i)")
    con.execute("CREATE TABLE zip AS SELECT (i + 1000)::INT AS rule, lpad(i::VARCHAR, 5, '0') AS postal_code FROM range(42000) t(i)")
    query = """SELECT coalesce(named.rule, zip.rule, -1) AS r FROM account LEFT JOIN named USING (domain) LEFT JOIN zip USING (postal_code)
               ORDER BY account.id"""
    assert np.array_equal(con.sql(query).to_arrow_table()["r"].to_numpy(), ours()), "the two must agree before they are timed"
    unordered = query.replace("ORDER BY account.id", "").replace("SELECT coalesce", "SELECT account.id, coalesce")
    seconds, join = median(ours, repeat), median(lambda: con.sql(unordered).to_arrow_table(), repeat)
    typing = median(typed, repeat)  # reading texts as fields: normalized domains, unique ids
    return {
        "keyed_load_s": loaded,
        "keyed_typing_s": typing,
        "keyed_s": seconds,
        "duckdb_join_s": join,
        "ratio_keyed_to_join": seconds / join,
    }


# --- whole runs -----------------------------------------------------------------------------------------------------


def peak(*args: str) -> tuple[float, float]:
    """(seconds, peak MiB) of a whole process."""
    cost = whole_process(*args)
    return cost.seconds, cost.mib


def whole(counts: list[int], repeat: int, matched: int) -> dict[str, float]:
    """`roe run`, Parquet to Parquet, beside DuckDB copying the same file; and with leads matched by domain."""
    from pyarrow import parquet

    out: dict[str, float] = {}
    root = Path(tempfile.mkdtemp())
    copy = "import duckdb, sys; duckdb.sql(f\"COPY (SELECT * FROM '{sys.argv[1]}') TO '{sys.argv[2]}' (FORMAT parquet)\")"
    try:
        for size in (10, 1000, 5000):
            made.whole_policy(root / f"policy{size}", made.rules(size))
        made.whole_policy(root / "matched", made.rules(1000), leads=True)
        for count in counts:
            data = root / f"data{count}"
            data.mkdir()
            parquet.write_table(made.accounts(count), data / "accounts.parquet")
            begun = ("-m", "roe", "run", str(root / "policy1000"), "--data", str(data), "--as-of", "2026-02-01", "--out", str(root / "out"))
            run = (*begun, "--engine", "columns", "--format", "parquet")
            found = [peak(*run) for _ in range(repeat)]
            base = [peak("-c", copy, str(data / "accounts.parquet"), str(root / "copy.parquet")) for _ in range(repeat)]
            out[f"run_{count}_s"], out[f"run_{count}_mib"] = statistics.median(s for s, _ in found), max(m for _, m in found)
            out[f"duckdb_copy_{count}_s"] = statistics.median(s for s, _ in base)
            out[f"ratio_run_to_copy_{count}"] = out[f"run_{count}_s"] / out[f"duckdb_copy_{count}_s"]
        last = root / f"data{min(counts, key=lambda n: abs(n - 1_000_000))}"
        for size in (10, 5000):
            args: tuple[str, ...] = (
                "-m",
                "roe",
                "run",
                str(root / f"policy{size}"),
                "--data",
                str(last),
                "--as-of",
                "2026-02-01",
                "--out",
                str(root / "out"),
            )
            out[f"run_with_{size}_rules_s"] = statistics.median(
                peak(*args, "--engine", "columns", "--format", "parquet")[0] for _ in range(repeat)
            )
        parquet.write_table(made.leads(matched, matched), last / "leads.parquet")
        args = ("-m", "roe", "run", str(root / "matched"), "--data", str(last), "--as-of", "2026-02-01", "--out", str(root / "out"))
        out["run_with_matched_leads_s"], out["run_with_matched_leads_mib"] = peak(*args, "--engine", "columns", "--format", "parquet")
    finally:
        shutil.rmtree(root)
    return out


def explain_large(repeat: int) -> dict[str, float]:
    """`roe explain` as a whole process, on a policy of 1,000 rules that is in the cache."""
    with tempfile.TemporaryDirectory() as root:
        folder, cache = Path(root, "policy"), str(Path(root, "cache"))
        made.whole_policy(folder, made.rules(1000))
        (Path(root) / "accounts.csv").write_text("id,name,country,segment,employees,industry\nA1,Acme,US,SMB,700,Software\n", "utf-8")
        act = process("-m", "roe", "explain", "A1", str(folder), "--data", root, "--as-of", "2026-02-01", cache=cache)
        act()
        found = times(act, repeat)
    return {"explain_1000_rules_ms": statistics.median(found) * 1000, "explain_1000_rules_least_ms": min(found) * 1000}


def one_record(count: int, repeat: int) -> dict[str, float]:
    """Processor time of `roe explain` of one record among many, beside DuckDB's own look-up of that row in the same file; whole processes."""
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    look_up = "import duckdb, sys; print(duckdb.sql(f\"SELECT * FROM '{sys.argv[1]}' WHERE id = '{sys.argv[2]}'\").fetchall())"
    out: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        root, cache = Path(place), str(Path(place, "cache"))
        Path(cache).mkdir(mode=0o700)
        made.whole_policy(root / "policy", made.rules(1000))
        accounts, record = made.accounts(count), f"A{count * 9 // 10:09}"
        for form in ("csv", "parquet", "pool"):
            (root / form).mkdir()
        arrow_csv.write_csv(accounts, root / "csv" / "accounts.csv")
        parquet.write_table(accounts, root / "parquet" / "accounts.parquet")
        made.pool_policy(root)
        for entity, table in made.pool_tables(count, 200).items():
            parquet.write_table(table, root / "pool" / f"{entity}s.parquet")
        asked = {
            "csv": (root / "policy", root / "csv" / "accounts.csv", record),
            "parquet": (root / "policy", root / "parquet" / "accounts.parquet", record),
            "pool": (root, root / "pool" / "leads.parquet", f"L{count * 9 // 10:08}"),
        }
        env = {"ROE_CACHE": cache, "PYTHONPYCACHEPREFIX": BYTECODE}
        os.environ.update(env)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for name, (policy, file, key) in asked.items():
            ours = ("-m", "roe", "explain", key, str(policy), "--data", str(file.parent), "--as-of", "2026-02-01")
            out[f"one_{name}_first_cpu_s"] = whole_process(*ours).processor
            both = ((whole_process(*ours), whole_process("-c", look_up, str(file), key)) for _ in range(repeat))
            found, base = zip(*both, strict=True)
            out[f"one_{name}_cpu_s"], out[f"one_{name}_mib"] = statistics.median(x.processor for x in found), max(x.mib for x in found)
            out[f"one_{name}_duckdb_cpu_s"] = statistics.median(x.processor for x in base)
            out[f"ratio_one_{name}"] = out[f"one_{name}_cpu_s"] / out[f"one_{name}_duckdb_cpu_s"]
    return out


def kinds(count: int, reps: int) -> dict[str, float]:
    """Processor seconds to hand out leads to pools that look at the lead, and to one that does not, of the same reps."""
    import numpy as np
    import pyarrow as pa

    from roe.columns.run import ColumnRun

    out: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        made.pool_policy(Path(folder))
        text = (Path(folder) / "policy.yaml").read_text("utf-8")
        tables = made.pool_tables(count, reps)
        rng = np.random.default_rng(5)
        tables["lead"] = tables["lead"].append_column("language", pa.array(rng.choice(["en", "de", "fr", "es"], count)))
        tables["rep"] = tables["rep"].append_column("languages", pa.array(rng.choice(["en", "en de", "en de fr", "en es"], reps)))
        fields = "fields: {lead: {language: string}, rep: {languages: string}}\npools:"
        looking = text.replace("pools:", fields).replace('rep.role = "SDR"', 'rep.role = "SDR" and contains(rep.languages, lead.language)')
        for name, policy in (("fixed", text.replace("pools:", fields)), ("looking", looking)):
            (Path(folder) / "policy.yaml").write_text(policy, "utf-8")
            evaluator = roe.compile(roe.load(folder))
            start = time.process_time()
            ColumnRun.of(evaluator, tables, as_of="2026-02-01")
            out[f"kinds_{name}_cpu_s"] = time.process_time() - start
    return {**out, "ratio_kinds_to_fixed": out["kinds_looking_cpu_s"] / out["kinds_fixed_cpu_s"]}


# --- growth ---------------------------------------------------------------------------------------------------------


def growth(repeat: int) -> dict[str, float]:
    """How much longer ten times the input takes: 10 is linear."""
    from roe.grammar.parser import forget

    cases: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
        "list_filter": lambda n: ("count(xs[item > 5])", {"xs": list(range(n * 1000))}),
        "every": lambda n: ("every x in xs satisfies x >= 0", {"xs": list(range(n * 1000))}),
        "nested_parentheses": lambda n: ("(" * (n * 20) + "1" + ")" * (n * 20), {}),
        "long_condition": lambda n: (" or ".join(f"x = {i}" for i in range(n * 50)), {"x": -1}),
        "pathological_regex": lambda n: ('matches(x, "(a*)*b")', {"x": "a" * (n * 5000)}),
    }
    out = {}
    for name, make in cases.items():
        seconds = []
        for n in (1, 10):
            text, variables = make(n)

            def once(text: str = text, variables: dict[str, Any] = variables) -> None:
                forget()
                roe.evaluate(text, variables)

            seconds.append(median(once, max(5, repeat // 2)))
        out[f"growth_{name}"] = seconds[1] / seconds[0]
    return out


def rows_rate(count: int) -> dict[str, float]:
    """Records decided per second by a whole run of the row evaluator in memory, traces not read."""
    evaluator = roe.compile(roe.load(EXAMPLES / "static"))
    rows = made.accounts(count).select(["id", "name", "country", "state", "segment", "employees"]).to_pylist()
    seconds = median(lambda: evaluator.run({"account": rows}, as_of="2026-02-01"), 3)
    return {"rows_accounts_per_s": count / seconds}


def pools(count: int) -> dict[str, float]:
    """Seconds to hand out leads to a weighted, capped pool of 200 reps, and microseconds a lead one by one."""
    from roe.columns.run import ColumnRun
    from roe.run.columns import batch_of
    from roe.run.files import Files

    with tempfile.TemporaryDirectory() as folder:
        made.pool_policy(Path(folder))
        evaluator = roe.compile(roe.load(folder))
        tables = made.pool_tables(count, 200)
        start = time.perf_counter()
        run = ColumnRun.of(evaluator, tables, as_of="2026-02-01")
        handed = time.perf_counter() - start
        files = Files(Path(folder), evaluator.policy)
        files.add(batch_of(run))
        files.close(run.world.clock)
        written = time.perf_counter() - start
        few = made.pool_tables(2_000, 200)
        by_rows = evaluator.run({e: x.to_pylist() for e, x in few.items()}, as_of="2026-02-01")
        columns_ = ColumnRun.of(evaluator, few, as_of="2026-02-01").allocations[0]
        reps = columns_.table.world.tables["rep"].ids.to_pylist()
        assert {d.id: d.owner for d in by_rows.decisions} == {
            i: reps[o] if o >= 0 else None for i, o in zip(columns_.table.ids.to_pylist(), columns_.owner.tolist(), strict=True)
        }, "rows and columns must agree before they are timed"
        rows = median(lambda: evaluator.run({e: x.to_pylist() for e, x in few.items()}, as_of="2026-02-01"), 1) / 2_000
    print(f"{count:,} leads, 200 reps with weights and caps: handed out in {handed:.1f} s, files written after {written:.1f} s")
    print(f"one by one {rows * 1e6:.0f} us a lead: {rows * count / handed:.0f} times as long")
    return {"pool_s": handed, "pool_whole_s": written, "pool_row_us": rows * 1e6, "pool_rows_to_columns": rows * count / handed}


def matching(accounts: int, leads: int) -> dict[str, float]:
    """Company names: the rate of the search, and how well it does on labelled names beside rapidfuzz, with counterparts taken away.

    Names are accepted at the default probability of 0.5. The peer has its best threshold on each set, which nobody knows beforehand.
    Only the pairs that the weights were not fitted to are asked.
    """
    from roe.companies.index import NameIndex

    names, asked = made.company_names(accounts, leads)
    start = time.process_time()
    index = NameIndex(names)
    built = time.process_time() - start
    start = time.process_time()
    found = sum(bool(index.search(name, 0.5)) for name in asked)
    each = (time.process_time() - start) / leads
    compared = sum(len(index.candidates(x)) for x in asked) / leads
    out = {"names_build_cpu_s": built, "names_search_cpu_ms": each * 1e3, "names_compared": compared, "names_found": found / leads}
    few = asked[: max(10, leads // 10)]
    out |= {f"names_{key}": value for key, value in made.blocks_by_cdist(index, few).items()}
    out["ratio_search_to_cdist"] = each * 1e3 / out["names_cdist_cpu_ms"]
    print(
        f"{accounts:,} names: {built:.1f} s of a processor to index; {each * 1e3:.2f} ms a search, which compares {compared:.0f} names in full "
        f"of {out['names_block']:.0f} that share rare letters; rapidfuzz's cdist of these {out['names_cdist_cpu_ms']:.2f} ms"
    )
    for name, pairs in made.name_pairs().items():
        for removed in (0.0, 0.5, 0.9):
            labelled = left, right, truth = made.without_counterparts(pairs[1::2], removed)
            answers = made.searched(NameIndex(right), left)
            ours = made.agreement(right, truth, answers, 0.5)
            right_labels = made.agreement(right, made.rightly_labelled(name, labelled)[2], answers, 0.5)
            peer = max(made.agreement(right, truth, made.peer_search(right, left), t / 50) for t in range(25, 51))
            for who, (f1, precision, recall) in (("roe", ours), ("roe, wrong labels left out", right_labels), ("rapidfuzz", peer)):
                print(f"{name}, {removed:.0%} removed, {who}: F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}", flush=True)
            out |= {f"{name}_{removed:g}_f1": ours[0], f"{name}_{removed:g}_precision": ours[1], f"{name}_{removed:g}_peer_f1": peer[0]}
            out[f"{name}_{removed:g}_right_labels_f1"] = right_labels[0]
    return out | registers()


def registers() -> dict[str, float]:
    """The scanned registers with their cities, file to file by `roe match`, beside rapidfuzz on names with cities."""
    out: dict[str, float] = {}
    pairs = made.register_pairs()[1::2]
    for removed in (0.0, 0.5, 0.9) if pairs else ():
        _, kept, truth = made.without_counterparts([("", str(i)) for i in range(len(pairs))], removed)
        right = [pairs[int(i)][1] for i in kept]
        names = [row["name"] for row in right]
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            made.write_records(root / "leads.csv", [{**row, "company": row["name"]} for row, _ in pairs])
            made.write_records(root / "accounts.csv", right)
            command = ("match", "--leads", f"{root}/leads.csv", "--accounts", f"{root}/accounts.csv", "--out", f"{root}/out.csv")
            process("-m", "roe", *command, cache=str(root / "cache"))()
            place = {row["id"]: i for i, row in enumerate(right)}
            found = {row["lead"]: row["account"] for row in made.rows_of(root / "out.csv")}
        answers = [(1.0, place[found[a["id"]]]) if found.get(a["id"]) else (0.0, -1) for a, _ in pairs]
        ours = made.agreement(names, truth, answers, 0.5)
        texts = [[f"{row['name']} {row['city']}" for row in rows] for rows in (right, [a for a, _ in pairs])]
        peer = max(made.agreement(names, truth, made.peer_search(*texts), t / 50) for t in range(25, 51))
        for who, (f1, precision, recall) in (("roe", ours), ("rapidfuzz", peer)):
            print(
                f"registers with cities, {removed:.0%} removed, {who}: F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}",
                flush=True,
            )
        out |= {
            f"registers_{removed:g}_f1": ours[0],
            f"registers_{removed:g}_precision": ours[1],
            f"registers_{removed:g}_peer_f1": peer[0],
        }
    return out


def live(counts: list[int], leads: int) -> dict[str, float]:
    """Milliseconds of processor time for one lead after another beside many accounts that change, and seconds to load them."""
    out: dict[str, float] = {}
    for count in counts:
        tables, incoming = made.live_records(count, leads)
        with tempfile.TemporaryDirectory() as folder:
            made.live_policy(Path(folder))
            evaluator = roe.compile(roe.load(folder))
        start = time.process_time()
        binding = evaluator.live(tables, as_of="2026-02-01")
        out[f"live_{count}_load_s"] = time.process_time() - start
        took, owned = [], 0
        for n, lead in enumerate(incoming):
            if n % 20 == 0:
                binding.put("account", {**tables["account"][n], "city": "Rome"})
            start = time.process_time()
            owned += binding.decide(lead, as_of=f"2026-02-01T10:{n % 60:02}").rule == "owned"
            took.append((time.process_time() - start) * 1e3)
        took.sort()
        out |= {
            f"live_{count}_p50_ms": took[leads // 2],
            f"live_{count}_p99_ms": took[leads * 99 // 100],
            f"live_{count}_matched": owned / leads,
        }
    start = time.process_time()
    for _ in range(3_000_000):
        pass
    out["three_million_turns_of_a_loop_s"] = time.process_time() - start  # how fast the machine is now, for comparison
    return out


def match_large(accounts: int, leads: int) -> dict[str, float]:
    """`roe match` as a whole process, file to file, on the default definition: with a new index of the names, and with the one that it kept."""
    root, out = Path(tempfile.mkdtemp()), dict[str, float]()
    try:
        left, right = made.match_files(root, accounts, leads)
        command = ("-m", "roe", "match", "--leads", str(left), "--accounts", str(right), "--out")
        results = []
        for index in ("new", "kept"):
            cost = whole_process(*command, str(root / f"{index}.csv"), ROE_CACHE=str(root / "cache"))
            out |= {f"match_{index}_s": cost.seconds, f"match_{index}_cpu_s": cost.processor, f"match_{index}_mib": cost.mib}
            results.append((root / f"{index}.csv").read_bytes())
        assert results[0] == results[1]
        rows = made.rows_of(root / "kept.csv")
        right_ones = sum(row["lead"].endswith(f"-{row['account']}") for row in rows if row["account"])
        # several accounts have one name, so half of the right ones are a guess
        return out | {"match_found": sum(bool(row["account"]) for row in rows) / leads, "match_right": right_ones / leads}
    finally:
        shutil.rmtree(root)


def weighted(accounts: int, reps: int) -> dict[str, float]:
    """Books whose accounts take several places, beside one call of CP-SAT that has as long."""
    out: dict[str, float] = {}
    for name in ("bare", "ours"):
        script = f"import sys; sys.path.insert(0, 'benchmarks'); import made; made.weighted_solver({name!r}, {accounts}, {reps})"
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=Path(__file__).resolve().parent.parent
        )
        for figure, value in zip(("s", "worth", "gap"), map(float, done.stdout.split()), strict=True):
            out[f"weighted_{name}_{figure}"] = value
    return out


def books(accounts: int, reps: int, places: int, able: int) -> dict[str, float]:
    """The solver of dynamic books beside a bare call of OR-Tools on the same problem, and a greedy plan; and a whole cycle of a policy."""
    out: dict[str, float] = {}
    for name in ("bare", "ours", "greedy"):
        script = (
            f"import sys; sys.path.insert(0, 'benchmarks'); import made; made.book_solver({name!r}, {accounts}, {reps}, {places}, {able})"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=Path(__file__).resolve().parent.parent
        )
        seconds, size, worth, gap = map(float, done.stdout.split())
        out |= {f"books_{name}_s": seconds, f"books_{name}_mib": size, f"books_{name}_worth": worth}
        if name == "ours":
            out["books_gap"] = gap
    out["ratio_books_to_bare"] = out["books_ours_s"] / out["books_bare_s"]
    out["books_greedy_share"] = out["books_greedy_worth"] / out["books_ours_worth"]
    root = Path(tempfile.mkdtemp())
    try:
        made.book_policy(root, accounts, reps, places, able)
        args = ("-m", "roe", "books", "plan", str(root), "--data", str(root / "data"), "--as-of", "2026-02-01", "--out", str(root / "plan"))
        out["books_plan_s"], out["books_plan_mib"] = peak(*args)
        found = json.loads((root / "plan" / "plan.json").read_text("utf-8"))["books"]["core"]["solution"]
        out["books_plan_gap"] = found["gap"]
    finally:
        shutil.rmtree(root)
    return out


def analysis(sizes: list[int], keys: int, plot: Path) -> dict[str, float]:
    """All checks of `roe check` on lists of rules that overlap, and on a table of keys; two versions compared; and growth, as a chart."""
    from roe.analysis.equivalence import compare

    out: dict[str, float] = {}
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        for n in sizes:
            folder = Path(scratch) / str(n)
            made.overlapping_policy(folder, n)
            evaluator = roe.compile(roe.load(folder))
            seconds.append(median(partial(_findings, evaluator), 1 if n > 1000 else 3))
            start = time.process_time()
            out[f"check_{n}_rules_s"], out[f"check_{n}_rules_findings"] = seconds[-1], len(_findings(evaluator))
            out[f"check_{n}_rules_cpu_s"] = time.process_time() - start
            path = folder / "policy.yaml"
            path.write_text(path.read_text("utf-8").replace("then: keep", "then: hold", 3), "utf-8")
            other = roe.compile(roe.load(folder))
            out[f"diff_{n}_rules_s"] = median(partial(compare, evaluator, other), 1)
            out[f"diff_{n}_rules_cases"] = len(compare(evaluator, other).differences)
        made.keyed_policy(Path(scratch) / "keyed", keys, 0)
        evaluator = roe.compile(roe.load(Path(scratch) / "keyed"))
        out[f"check_{keys}_keys_s"] = median(partial(_findings, evaluator), 1)
    _plot(plot, sizes, seconds)
    return out


def long_checks(values: int, rows: int) -> dict[str, float]:
    """Seconds of processor time for all checks of a long list, and of a table whose rows are all alike."""
    out: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, count, make in (("list", values, made.listed_policy), ("repeats", rows, made.repeated_policy)):
            make(Path(scratch) / name, count)
            evaluator = roe.compile(roe.load(Path(scratch) / name))
            start = time.process_time()
            found = _findings(evaluator)
            out[f"check_{name}_{count}_cpu_s"], out[f"check_{name}_{count}_findings"] = time.process_time() - start, len(found)
    return out


def _findings(evaluator: Any) -> list[Any]:
    from roe.analysis.check import findings
    from roe.analysis.checked import CheckedPolicy

    return findings(CheckedPolicy(evaluator))


def _plot(path: Path, sizes: list[int], seconds: list[float]) -> None:
    from roe.web.page import ReportPage, lines

    page = ReportPage("Growth of roe check", "seconds for all checks of a first-match list of rules that overlap on purpose")
    points = [float(n) for n in sizes]
    page.charts(
        [
            lines(
                "Checks",
                {"measured": (points, seconds), "linear": (points, [seconds[0] * n / sizes[0] for n in sizes])},
                x="rules",
                y="s",
                dots=True,
            )
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.html(), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and smaller tables; ends within a minute")
    parser.add_argument("--json", type=Path, help="write every figure under its name")
    parser.add_argument("--only", help="the sections to run, such as decisions,columns")
    args = parser.parse_args()
    quick = args.quick
    sections: dict[str, Callable[[], dict[str, float]]] = {
        "explain": lambda: explain(3 if quick else 21),
        "explain_large": lambda: explain_large(3 if quick else 11),
        "decisions": lambda: decisions([10, 1000] if quick else [10, 100, 1000, 5000], 500 if quick else 2000, 3 if quick else 11),
        "opaque": lambda: opaque(1_000 if quick else 8_000, 20 if quick else 40),
        "compiling": lambda: compiling([1000] if quick else [1000, 5000]),
        "columns": lambda: columns(
            [10, 100] if quick else [10, 100, 1000, 5000], [10_000, 100_000] if quick else [10_000, 100_000, 1_000_000], 3
        ),
        "keyed": lambda: keyed(100_000 if quick else 1_000_000, 3),
        "whole": lambda: whole(
            [100_000] if quick else [10_000, 100_000, 1_000_000, 10_000_000], 1 if quick else 3, 10_000 if quick else 1_000_000
        ),
        "one_record": lambda: one_record(100_000 if quick else 1_000_000, 1 if quick else 3),
        "kinds": lambda: kinds(20_000 if quick else 1_000_000, 200),
        "pools": lambda: pools(100_000 if quick else 1_000_000),
        "matching": lambda: matching(20_000 if quick else 200_000, 300 if quick else 3_000),
        "books": lambda: books(*((10_000, 50, 100, 20) if quick else (200_000, 500, 200, 20))),
        "live": lambda: live([10_000] if quick else [100_000, 1_000_000], 200 if quick else 2_000),
        "weighted": lambda: weighted(*((100, 10) if quick else (400, 40))),
        "match_large": lambda: match_large(20_000 if quick else 1_000_000, 1_000 if quick else 100_000),
        "analysis": lambda: analysis(
            [250, 1000] if quick else [250, 500, 1000, 2000, 4000],
            5_000 if quick else 40_000,
            ROOT / "benchmarks" / "results" / "analysis.html",
        ),
        "long_checks": lambda: long_checks(100_000, 8_000),
        "growth": lambda: growth(3 if quick else 21),
        "rows": lambda: rows_rate(2_000 if quick else 20_000),
    }
    figures: dict[str, float] = {}
    for name, act in sections.items():
        if args.only and name not in args.only.split(","):
            continue
        try:
            found = act()
        except ImportError as e:
            print(f"{name}: left out, {e.name} is not installed")
            continue
        for key, value in found.items():
            print(f"{key:<44} {value:>14.3f}", flush=True)
        figures |= found
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
