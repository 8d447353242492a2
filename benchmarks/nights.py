"""What a ledger costs a nightly run: `python benchmarks/nights.py [ACCOUNTS] [--postgres ADDRESS] [--format csv]`.

Each night 1 % of the accounts have other data, so that other rules decide them, and what the night before decided has been loaded into
the CRM. Every night is run with the ledger and without it, on the same files, in columns, as whole processes; the figure is the ratio
of processor time, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

import made
from measure import BYTECODE

SHARE = 0.01


def write(table: pa.Table, data: Path, form: str) -> None:
    data.mkdir(exist_ok=True)
    if form == "csv":
        csv.write_csv(table, data / "accounts.csv")
    else:
        parquet.write_table(table, data / "accounts.parquet")


def loaded(table: pa.Table, out: Path, form: str) -> pa.Table:
    """The accounts once the CRM has what a run decided."""
    place = out / f"allocations.{form}"
    decided = csv.read_csv(place) if form == "csv" else parquet.read_table(place)
    at = pc.index_in(table["id"], decided["record"].combine_chunks())
    return table.set_column(table.column_names.index("owner"), "owner", decided["owner"].cast(pa.string()).take(at))


def changed(table: pa.Table, night: int) -> pa.Table:
    """The accounts with other countries and segments in one of a hundred."""
    rng = np.random.default_rng(night)
    rows = rng.random(table.num_rows) < SHARE
    for name, values in (("country", made.COUNTRIES), ("segment", made.SEGMENTS)):
        new = pa.array(np.array(values)[rng.integers(0, len(values), table.num_rows)])
        table = table.set_column(table.column_names.index(name), name, pc.if_else(pa.array(rows), new, table[name]))
    return table


def run(policy: Path, data: Path, out: Path, as_of: str, form: str, state: str = "") -> tuple[float, float]:
    """(seconds of processor time, peak MiB) of a whole run."""
    begun = [sys.executable, "-m", "roe", "run", str(policy), "--data", str(data), "--as-of", as_of, "--out", str(out)]
    more = ["--state", state] if state else []
    process = subprocess.Popen([*begun, "--engine", "columns", "--format", form, *more], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the run as of {as_of} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def nights(accounts: int, rules: int, state: str, form: str, count: int, repeat: int) -> list[float]:
    """The ratios of the nights after the first, printed as they come."""
    root, ratios = Path(tempfile.mkdtemp(prefix="roe-nights-")), []
    try:
        made.whole_policy(root / "policy", made.rules(rules))
        table = made.accounts(accounts)
        write(table, root / "data", form)
        run(root / "policy", root / "data", root / "plain", "2026-02-01", form)
        table = loaded(table, root / "plain", form)
        where = state or str(root / "state")
        for night in range(1, count + 1):
            write(table, root / "data", form)
            as_of = f"2026-02-{night:02}"
            without = [run(root / "policy", root / "data", root / "plain", as_of, form) for _ in range(repeat)]
            seconds, size = run(root / "policy", root / "data", root / "out", as_of, form, where)
            least = min(s for s, _ in without)
            print(
                f"night {night}: {seconds:.2f} s with the ledger, {least:.2f} s without, {seconds / least:.2f} times; "
                f"{size:,.0f} MiB with, {without[0][1]:,.0f} without",
                flush=True,
            )
            if night > 1:
                ratios.append(seconds / least)
            assert same(root / "out", root / "plain", form)
            table = changed(loaded(table, root / "out", form), night)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return ratios


def same(one: Path, other: Path, form: str) -> bool:
    """Whether two runs decided alike: the policy asks for nothing that only a ledger knows."""
    return (one / f"allocations.{form}").read_bytes() == (other / f"allocations.{form}").read_bytes()


def main() -> None:
    os.environ["PYTHONPYCACHEPREFIX"] = BYTECODE
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed roe has its bytecode
    parser: Any = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=100_000)
    parser.add_argument("--rules", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=2, help="runs without a ledger, of which the fastest counts")
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--postgres", default="", help="the address of an empty database, instead of a folder")
    given = parser.parse_args()
    found = nights(given.accounts, given.rules, given.postgres, given.format, given.nights, given.repeat)
    print(f"a night that changes {SHARE:.0%} costs {max(found):.2f} times the same night without a ledger, at most")


if __name__ == "__main__":
    main()
