"""Writers that are killed at random moments, and writers at once: nothing acknowledged is lost, nothing is half there, nothing given twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledgers import STORES, place
from roe.ledger.audit import verify
from roe.ledger.database import migrations
from roe.ledger.entries import RunEntry, Turn
from roe.ledger.store import Store, open_store

# takes turns of one pool: under the lock it reads the last turn and gives the next; what it prints was committed
WRITER = """
import sys, time
from roe.ledger.entries import RunEntry, Standing, Turn
from roe.ledger.moment import At
from roe.ledger.store import open_store
place, name, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
at = At.of("2026-03-02", "Europe/Berlin")
with open_store(place) as store:
    print("ready", flush=True)
    for n in range(runs):
        with store.writing(wait=120) as tx:
            last = store.latest("standing")
            turn = last[0].stored.entry.turns if last else 0
            tx.run(RunEntry(at=at, id=f"{name}-{n}", counts={"entries": 5}))
            tx.append([Turn(at=at, entity="lead", record=f"{name}-{n}-{i}", role="sdr", rep=f"r{(turn + i) % 3}", pool="p", number=turn + i + 1) for i in range(4)])
            tx.append([Standing(at=at, pool="p", turns=turn + 4)])
        print(n, flush=True)
"""


def start(place_: str, name: str, runs: int) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", WRITER, place_, name, str(runs)], env=env, stdout=subprocess.PIPE, text=True)


def is_whole(store: Store) -> dict[str, int]:
    """Check that runs are complete and turns without gap; the runs of each writer."""
    checked = verify(store)
    assert checked.bad is None, (checked.bad, checked.why)
    runs: dict[str, int] = {}
    for run in store.runs():
        assert isinstance(run.entry, RunEntry)
        assert [x.kind for x in store.of_run(run.number)] == ["run", *["turn"] * 4, "standing"]
        name = run.entry.id.rpartition("-")[0]
        runs[name] = runs.get(name, 0) + 1
    turns = [x.entry.number for x in store.entries(kinds=("turn",)) if isinstance(x.entry, Turn)]
    assert turns == list(range(1, len(turns) + 1))
    return runs


def killed(place_: str, kills: int, rng: random.Random) -> None:
    for n in range(kills):
        with start(place_, f"w{n}", 10_000) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == "ready\n"
                time.sleep(rng.random() * 0.25)
            finally:
                process.send_signal(signal.SIGKILL)
            acknowledged = len(process.stdout.read().split("\n")) - 1
        with open_store(place_) as store:
            committed = is_whole(store).get(f"w{n}", 0)
            assert acknowledged <= committed <= acknowledged + 1  # at most the one that was committed and not yet said
    with open_store(place_) as store:
        assert store.rebuild()


@pytest.mark.parametrize("kind", STORES)
def test_a_writer_that_is_killed(kind: str, tmp_path: Path) -> None:
    killed(place(kind, tmp_path), 3, random.Random(1))


@pytest.mark.heavy
@pytest.mark.parametrize("kind", STORES)
def test_a_writer_that_is_killed_two_hundred_times(kind: str, tmp_path: Path) -> None:
    for n in range(20):  # each on ten kills' worth of entries, so that looking through them stays quick
        killed(place(kind, tmp_path / str(n)), 10, random.Random(n))


def at_once(place_: str, runs: int) -> None:
    pair = [start(place_, name, runs) for name in ("one", "two")]
    for process in pair:
        assert process.wait(timeout=300) == 0
        assert process.stdout is not None
        process.stdout.close()
    with open_store(place_) as store:
        assert is_whole(store) == {"one": runs, "two": runs}


@pytest.mark.parametrize("kind", STORES)
def test_two_writers_at_once(kind: str, tmp_path: Path) -> None:
    at_once(place(kind, tmp_path), 10)


@pytest.mark.heavy
@pytest.mark.parametrize("kind", STORES)
def test_fifty_pairs_of_writers_at_once(kind: str, tmp_path: Path) -> None:
    for n in range(50):
        at_once(place(kind, tmp_path / str(n)), 5)


def test_a_migration_that_is_killed_halfway_is_made_again(tmp_path: Path) -> None:
    """Killed after each statement of the first migration, the next program finds no ledger and makes it."""
    statements = sum(len(found) for _, found in migrations("sqlite"))
    for n in range(0, statements, 5):
        folder = tmp_path / str(n)
        code = (
            "import os, sys\nfrom pathlib import Path\nfrom roe.ledger import database\nfrom roe.ledger.sqlite import SqliteDatabase\n"
            f"db, left, run = SqliteDatabase(Path({str(folder)!r})), [{n}], SqliteDatabase.run\n"
            "def one(self, sql, values=()):\n    left[0] -= 1\n    os._exit(9) if left[0] < 0 else run(self, sql, values)\n"
            "SqliteDatabase.run = one\ndatabase.migrate(db, 5)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        assert done.returncode == 9
        at_once_after = start(str(folder), "after", 2)
        assert at_once_after.wait(timeout=120) == 0
        assert at_once_after.stdout is not None
        at_once_after.stdout.close()
        with open_store(folder) as store:
            assert is_whole(store) == {"after": 2}
