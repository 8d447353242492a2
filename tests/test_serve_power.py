"""A loss of power, simulated: what is left is what was acknowledged up to some commit, and with full synchronisation all of it."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from databases import Postgres
from disks import watched
from effort import HEAVY
from roe.ledger.audit import verify
from roe.ledger.sqlite import FILE
from roe.ledger.store import Store, open_store
from services import service

LEADS = 100 if HEAVY else 12
SEGMENT = 1 << 20  # bytes of a file of PostgreSQL's log


def whole(store: Store) -> int:
    """How many leads a ledger has, after it was seen that entries, owners, turns, answers and the mirror end at one commit."""
    owned = [x.entry.record for x in store.entries(kinds=("owned",))]  # type: ignore[attr-defined]
    assert owned == [f"L{n}" for n in range(len(owned))]
    turned = [x.entry.record for x in store.entries(kinds=("turn",))]  # type: ignore[attr-defined]
    known = {row[0].split("|")[1] for row in store.db.rows("SELECT key FROM known WHERE kind = 'owner'")}
    mirrored = {row[0] for row in store.db.rows("SELECT id FROM mirror WHERE entity = 'lead'")}
    assert turned == owned and known == mirrored == set(owned)
    assert verify(store).bad is None and store.rebuild()
    return len(owned)


def test_scenario_2_what_is_left_of_a_torn_log_is_a_prefix(tmp_path: Path) -> None:
    """The write-ahead log of SQLite is cut at many places: entries, owners and answers end at the same commit."""
    state = tmp_path / "state"
    with service(str(state), tmp_path) as desk:
        desk.local.writer._store.db.rows("PRAGMA wal_autocheckpoint = 0")  # type: ignore[union-attr]
        for n in range(LEADS):
            desk.route(f"L{n}", email=f"a@x{n}.com")
        size = (state / f"{FILE}-wal").stat().st_size
        left = []
        for cut in (*range(1, size, size // (10 * LEADS if HEAVY else 20)), size):
            copy = tmp_path / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            for part in ("", "-wal"):
                shutil.copy(state / f"{FILE}{part}", copy / f"{FILE}{part}")
            with (copy / f"{FILE}-wal").open("r+b") as torn:
                torn.truncate(cut)
            with open_store(copy) as store:
                left.append(whole(store))
        assert left == sorted(left) and left[-1] == LEADS and len(set(left)) > LEADS / 2


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_scenario_2_a_loss_of_power_leaves_all_that_was_acknowledged(synchronous: str, tmp_path: Path) -> None:
    """Power is lost at any write or synchronisation of SQLite, while the log goes into the file, too; of what was not safe some sectors are there.

    With `synchronous = NORMAL` commits are lost. roe has it at FULL: that is what this test would see.
    """
    state, chance, lost = tmp_path / "state", random.Random(2), 0
    with watched(state) as disk, service(str(state), tmp_path) as desk:
        db = desk.local.writer.opened().db
        assert db.rows("PRAGMA synchronous") == [(2,)], "as roe opens it"
        db.rows(f"PRAGMA synchronous = {synchronous}")
        db.rows("PRAGMA wal_autocheckpoint = 40")
        answers: list[str] = []
        images: list[tuple[int, dict[str, bytes]]] = []

        def happened() -> None:
            if chance.random() < (0.2 if HEAVY else 0.15):
                images.append((len(answers), disk.after(chance if chance.random() < 0.8 else None)))

        disk.happened = happened
        for n in range(LEADS):
            answers.append(desk.route(f"L{n}", email=f"a@x{n}.com")["owner"])
            images.append((len(answers), disk.after(None)))
        disk.happened = lambda: None
    assert len(images) > LEADS * 1.5 and any(image[f"{FILE}-wal"] != images[-1][1][f"{FILE}-wal"] for _, image in images)
    for answered, image in images:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            (copy / name).write_bytes(image[name])
        with open_store(copy) as store:
            left = whole(store)
        lost += left < answered
        assert left <= answered + 1
    assert (lost > 0) is (synchronous == "NORMAL")
    with sqlite3.connect(state / FILE) as con:  # the files were really written
        assert con.execute("SELECT count(*) FROM mirror WHERE entity = 'lead'").fetchone() == (LEADS,)
    con.close()


def position(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def cut_log(data: Path, at: int) -> None:
    """Leave nothing of PostgreSQL's log from a position on."""
    for path in sorted(data.glob("pg_wal/" + "[0-9A-F]" * 24)):
        high, low = int(path.name[8:16], 16), int(path.name[16:], 16)
        start = high << 32 | low * SEGMENT
        if start >= at:
            path.unlink()
        elif at < start + SEGMENT:
            with path.open("r+b") as log:
                log.seek(at - start)
                log.write(bytes(start + SEGMENT - at))


def test_scenario_2_a_crash_of_postgres_leaves_all_that_was_acknowledged_and_a_torn_log_a_prefix(tmp_path: Path) -> None:
    """PostgreSQL is set not to wait for the disk, and crashes. What it has written to its log by then is all that it finds again; that log is cut, too."""
    cluster = Postgres().init("--wal-segsize=1").start("synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB")
    state = f"postgresql:///postgres?host={quote(str(cluster.folder), safe='')}&user=postgres"
    with service(state, tmp_path) as desk, open_store(state) as other:
        other.db.run("CHECKPOINT")
        ends = []
        for n in range(LEADS):
            desk.route(f"L{n}", email=f"a@x{n}.com")
            ends.append(position(other.db.rows("SELECT pg_current_wal_flush_lsn()")[0][0]))
        cluster.stop()
    saved = cluster.folder / "saved"
    subprocess.run(["cp", "-a", str(cluster.data), str(saved)], check=True)
    chance = random.Random(3)
    cuts = [chance.randrange(ends[0] - 2000, ends[-1]) for _ in range(20 if HEAVY else 2)]
    for cut in (None, *cuts):
        if cut is not None:
            shutil.rmtree(cluster.data)
            subprocess.run(["cp", "-a", str(saved), str(cluster.data)], check=True)
            cut_log(cluster.data, cut)
        cluster.start()
        with open_store(state) as store:
            assert whole(store) == sum(cut is None or end <= cut for end in ends)
        cluster.stop()
    cluster.remove()
