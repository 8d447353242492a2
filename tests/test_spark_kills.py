"""A run on Spark that is killed at any moment, with its Java, leaves the run before it or is there, whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers import policy_text
from roe.run.folder import damaged, files_of, read_mark

HEAVY = bool(os.environ.get("ROE_HEAVY")) and shutil.which("java") is not None
KILLS = int(os.environ.get("ROE_KILLS", "20"))
ROWS = 90
RUNS = """
import sys
from pathlib import Path
import roe
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from roe.spark.run import local_session
root, first = Path(sys.argv[1]), int(sys.argv[2])
session, evaluator = local_session(), roe.compile(roe.load(root))
for number in range(first - 1, 1 << 30):
    lines = "".join(f"A{i},{number},ann\\n" for i in range(90))
    (root / "data" / "accounts.csv").write_text("id,name,owner\\n" + lines, "utf-8")
    job = Job(evaluator, Source(evaluator.policy, root / "data"), "2026-02-01", session=session, buckets=3, form="parts")
    if number < first:
        run(job, root / "warm", RunOptions(engine="spark"))
    else:
        print(number, flush=True)
        run(job, root / "out", RunOptions(str(root / "state"), engine="spark"))
"""


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
def test_readers_see_the_run_before_or_this_one_whole(tmp_path: Path) -> None:
    """Every run gives all accounts the name of its own number; readers look all the time, and after each kill. The first process is left alone
    until a run is there: the others are killed within twice that time. Each first makes a run that nobody looks at: Spark takes most of its
    first run to get going, and kills would hardly ever meet a run that writes.
    """
    rules = "engagement: {account: {ae: [{name: all, then: {assign: ben}}]}}\n"
    policy_text(tmp_path, "roe: 1\nname: t\nroles: [ae]\n" + rules, data__accounts_csv="", data__reps_csv="id\nann\nben\n")
    rng, seen, number, took, log = random.Random(3), set[int](), 1, 0.0, tmp_path / "log"
    for _ in range(KILLS):
        command = [sys.executable, "-c", RUNS, str(tmp_path), str(number)]
        with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, start_new_session=True) as process:
            assert process.stdout is not None
            started = process.stdout.readline()
            try:
                assert started, f"the run did not begin: {log.read_text()}"
                begun = time.monotonic()
                until = begun + rng.random() * 2 * took
                while time.monotonic() < until or not seen:
                    assert process.poll() is None, f"the run has ended by itself: {log.read_text()}"
                    seen |= _is_one_run(tmp_path / "out", still=False)
                    time.sleep(0.01)
                took = took or time.monotonic() - begun
            finally:
                os.killpg(process.pid, signal.SIGKILL)
            number = int((started + process.stdout.read()).split()[-1]) + 1
        found = _is_one_run(tmp_path / "out", still=True)
        assert found <= set(range(number)) and max(found, default=0) >= max(seen, default=0)
        seen |= found
    assert len(seen) > 1


def _is_one_run(out: Path, still: bool) -> set[int]:
    """The number of the run that is there: all of its lines have it. Of one that is replaced as it is read, files may be lost."""
    from pyarrow import parquet

    before = read_mark(out)
    if not before:
        return set()
    try:
        broken, folder = damaged(out), files_of(out)
        lines = [row for part in sorted((folder / "allocations.parquet").iterdir()) for row in parquet.read_table(part).to_pylist()]
    except FileNotFoundError:
        broken, lines = ["lost"], []
    if read_mark(out) != before and not still:
        return set()
    names = {int(row["name"]) for row in lines}
    assert not broken and len(names) == 1 and sorted(row["record"] for row in lines) == sorted(f"A{i}" for i in range(ROWS))
    return names
