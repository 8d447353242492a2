"""The size of a ledger and the time of its answers: `python benchmarks/ledger.py [ENTRIES] [--postgres ADDRESS]`.

A year of nights on as many accounts as a tenth of the entries: each entry a change, most of them owners, some turns and loads, with sentences.
Times are beside those of the same questions to a bare indexed table in the same database. 10,000,000 entries take about half an hour.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from roe.ledger.entries import Loaded, Owned, RunEntry, Turn
from roe.ledger.entry import Entry
from roe.ledger.moment import At, ticks
from roe.ledger.store import Store, open_store

REPS = 2_000
NIGHTS = 365
START = datetime(2025, 1, 1, tzinfo=UTC)


def night(rng: random.Random, n: int, entries: int, accounts: int) -> Iterator[Entry]:
    """What a night says: of ten entries six owners, three loads of them, one turn."""
    at = At(ticks(START + timedelta(days=n)), True, "UTC")
    for _ in range(entries):
        kind, record = rng.randrange(10), f"0015g00000{rng.randrange(accounts):08d}"
        rep, former = (f"0055g00000{rng.randrange(REPS):05d}" for _ in range(2))
        if kind < 6:
            sentence = (
                f"Rep {rep[-4:]} is assigned, since the account has {rng.randrange(10_000)} employees in territory {rng.randrange(300)}"
            )
            rule = f"territory {rng.randrange(300)}"
            yield Owned(
                at=at, entity="account", record=record, role="ae", rep=rep, former=former, rule=rule, action="assign", sentence=sentence
            )
        elif kind < 9:
            yield Loaded(at=at, entity="account", record=record, role="ae", rep=rep, decision=rng.randrange(1, 10**7))
        else:
            yield Turn(
                at=at,
                entity="lead",
                record=f"L{rng.randrange(accounts)}",
                role="sdr",
                rep=rep,
                pool="emea",
                asked="emea",
                number=rng.randrange(10**6),
            )


def fill(store: Store, entries: int) -> None:
    rng, accounts = random.Random(1), max(100, entries // 10)
    per_night = max(1, entries // NIGHTS)
    for n in range(NIGHTS):
        at = At(ticks(START + timedelta(days=n)), True, "UTC")
        store.append(night(rng, n, per_night, accounts), RunEntry(at=at, id=f"night-{n}", policy="bench", digest="0" * 64))


def bare(store: Store) -> sqlite3.Connection:
    """The holdings as a table with texts and the one index that a rep's book asks for."""
    con = sqlite3.connect(Path(tempfile.mkdtemp(prefix="roe-bare-")) / "bare.sqlite")
    con.execute("CREATE TABLE held (record TEXT, role TEXT, rep TEXT, start INTEGER, stop INTEGER, rule TEXT)")
    rows = store.db.rows(
        "SELECT s.record, 'ae', r.record, h.start, h.stop, 'rule' FROM holding h JOIN subject s ON s.id = h.subject JOIN subject r ON r.id = h.rep"
    )
    con.executemany("INSERT INTO held VALUES (?, ?, ?, ?, ?, ?)", rows)
    con.execute("CREATE INDEX held_rep ON held (rep, start)")
    con.commit()
    return con


def timed(ask: Callable[[Any], Any], about: list[Any]) -> float:
    """The median in milliseconds."""
    found = []
    for x in about:
        start = time.perf_counter()
        ask(x)
        found.append((time.perf_counter() - start) * 1000)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entries", type=int, nargs="?", default=200_000)
    parser.add_argument("--postgres", default="", help="the address of an empty database, instead of a folder")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="roe-ledger-"))
    with open_store(given.postgres or folder) as store:
        start = time.perf_counter()
        fill(store, given.entries)
        took = time.perf_counter() - start
        n = store.head().number
        print(f"{n:,} entries appended in {took:.0f} s, {n / took:,.0f} a second")
        if store.db.dialect == "sqlite":
            store.db.scrub()
            size = (folder / "ledger.sqlite").stat().st_size
        else:
            size = store.db.rows(
                "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
            )[0][0]
        print(f"{size / n:.0f} bytes an entry with its indexes and projections ({size / 1e6:,.0f} MB)")
        rng = random.Random(2)
        accounts = max(100, given.entries // 10)
        records = [f"0015g00000{rng.randrange(accounts):08d}" for _ in range(300)]
        print(f"history of one record: {timed(lambda r: store.of_record('account', r), records):.2f} ms")
        print(
            f"owner of one record on a day: {timed(lambda r: store.holding('account', r, 'ae', At(ticks(START + timedelta(days=200)))), records):.2f} ms"
        )
        reps = [f"0055g00000{rng.randrange(REPS):05d}" for _ in range(100)]
        day = At(ticks(START + timedelta(days=200)))
        con = bare(store)
        sql = "SELECT record, role, start, stop, rule FROM held WHERE rep = ? AND start <= ? AND (stop IS NULL OR stop > ?)"
        asked = timed(lambda r: store.book(r, day), reps)
        plain = timed(lambda r: con.execute(sql, (r, day.instant, day.instant)).fetchall(), reps)
        held = len(store.book(reps[0], day))
        print(
            f"a rep's book on a past day ({held} records): {asked:.2f} ms, {asked / plain:.1f} times a bare indexed table ({plain:.2f} ms)"
        )
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
