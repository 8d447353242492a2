"""The ledger: open it, read it, append to it.

    store = open_store("state")                       # or "postgresql://…"
    with store.writing(wait=60) as tx:                # the one lock of the whole ledger, and one transaction
        run = tx.run(Run(at=…, id=…))
        tx.append([Owned(…), …])                      # all of it appears together, or nothing does

Numbers begin with 1 and have no gaps. Every entry's hash covers the one before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from roe.ledger.database import Database, Query, SqlValue, migrate, refuse
from roe.ledger.encode import Clock, mark_of, unpacked
from roe.ledger.entries import RunEntry
from roe.ledger.entry import Entry, Stored
from roe.ledger.holdings import Holding, InBook, book_of, holdings_where
from roe.ledger.moment import At, ticks
from roe.ledger.projections import PROJECTIONS, clear, dump
from roe.ledger.stored import COLUMNS, HEAD, JOINS, Head, entries_after, entries_where, head_of, read_head, some_kinds, stored_of
from roe.ledger.words import Words
from roe.ledger.writing import Writing

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Open:
    """The entry that counts for a key, and whether it is still open."""

    stored: Stored
    is_open: bool


def open_store(place: str | Path, *, create: bool = True, wait: float = 60, clock: Clock | None = None, zone: str = "") -> Store:
    """The ledger of a `--state`: a folder, or an address that starts with `postgresql://`. Raises PolicyError if it cannot be used.

    The memory of a roe before the ledger, in the folder's `state.json`, is taken over once; `zone` is the
    policy's, in which its days are meant. `clock` gives the time that entries are recorded at, in microseconds since 1970 UTC; nothing else reads a clock.
    """
    text = str(place)
    if _is_postgres(text):
        from roe.ledger.postgres import PostgresDatabase

        db: Database = PostgresDatabase(text, create)
    else:
        from roe.ledger.sqlite import SqliteDatabase

        db = SqliteDatabase(Path(text), create)
    try:
        migrate(db, wait)
        store = Store(db, clock or _now)
        store.renew()
        if db.dialect == "sqlite" and (Path(text) / "state.json").is_file():
            from roe.ledger.legacy import take_over

            take_over(store, Path(text), zone)
        if db.dialect == "sqlite" and (Path(text) / "forgotten.jsonl").is_file():
            from roe.ledger.erase import forget_again

            forget_again(store, Path(text) / "forgotten.jsonl")
        return store
    except BaseException:
        db.close()
        raise


def store_in_memory() -> Store:
    """A ledger that is on no disk and ends with the object: for policy tests in steps."""
    from roe.ledger.sqlite import SqliteDatabase

    db = SqliteDatabase(None)
    migrate(db, 0)
    return Store(db, _now)


def exists(place: str | Path) -> bool:
    """Whether a folder has a ledger; of an address that is not known without asking, so it counts as one."""
    from roe.ledger.sqlite import FILE

    return _is_postgres(str(place)) or (Path(place) / FILE).is_file()


def _is_postgres(place: str) -> bool:
    """Whether a `--state` is an address rather than a folder. Raises PolicyError for an address of something else."""
    kind, is_address, _ = place.partition("://")
    if is_address and kind not in ("postgresql", "postgres"):
        refuse("R801", f"`{kind}` is not a kind of ledger", "--state", "name a folder, or postgresql://user@host/database")
    return place.startswith(("postgresql:", "postgres:"))


def _now() -> int:
    return ticks(datetime.now(UTC))


class Store:
    """One connection to a ledger. Readers and the writer of a service each open their own."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock
        self.url = db.url
        self.words = Words(db)

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading entries -----------------------------------------------------------------------------------------------

    def head(self) -> Head:
        return read_head(self.db)

    def entry(self, number: int) -> Stored:
        """Raises KeyError if there is none with this number."""
        entries = self.entries_where("number = ?", (number,))
        if not entries:
            raise KeyError(number)
        return entries[0]

    def entries(self, after: int = 0, upto: int | None = None, kinds: Sequence[str] = ()) -> Iterator[Stored]:
        """In the order of their numbers; read in pages, so that no transaction stays open."""
        return entries_after(self.db, self.words, after, self.head().number if upto is None else upto, kinds)

    def of_record(
        self, entity: str, record: str, kinds: Sequence[str] = (), run: int | None = None, after: int = 0, most: int | None = None
    ) -> list[Stored]:
        """Everything about a record, or what a run said of it, in the order of the numbers: those `after` a number, the first `most` of them."""
        subject = self.words.subject(entity, record)
        if subject is None:
            return []
        some, of_run = some_kinds(self.words, kinds), () if run is None else (run,)
        where = "subject = ?" + " AND run = ?" * len(of_run) + some[0] + " AND number > ?"
        limit = "" if most is None else f" ORDER BY number LIMIT {most:d}"
        return self.entries_where(where + limit, (subject, *of_run, *some[1], after))

    def told(self, kind: type[E], entity: str, record: str) -> list[E]:
        """The entries of one class about a record, in the order of their numbers."""
        return [x.entry for x in self.of_record(entity, record, (kind.KIND,)) if isinstance(x.entry, kind)]

    def of_run(self, run: int | str) -> list[Stored]:
        """A run's entries, its own first. `run` is its number or its id; KeyError if there is none."""
        runs = self.db.rows(f"SELECT number, last FROM run WHERE {'number' if isinstance(run, int) else 'id'} = ?", (run,))
        if not runs:
            raise KeyError(run)
        number, last = runs[0]
        return self.entries_where("number >= ? AND number <= ? AND run = ?", (number, last, number))

    def runs(self, newest: int | None = None) -> list[Stored]:
        """The `run` entries, or the newest of them, oldest first."""
        limit = "" if newest is None else f" ORDER BY number DESC LIMIT {newest:d}"
        return self.entries_where(f"number IN (SELECT number FROM run{limit})", ())

    def last_run(self) -> Stored | None:
        newest = self.db.rows("SELECT max(number) FROM run")
        return self.entry(newest[0][0]) if newest and newest[0][0] is not None else None

    def entries_where(self, where: str, values: Sequence[SqlValue]) -> list[Stored]:
        """The entries for which a condition on the table `entry` holds, by number."""
        return entries_where(self.db, self.words, where, values)

    # --- reading projections -------------------------------------------------------------------------------------------

    def holdings(self) -> list[Holding]:
        """Who holds what now, by record."""
        return self.holdings_where("h.stop IS NULL")

    def every_holding(self) -> list[Holding]:
        """Who holds and held what, by record and role, the earliest first."""
        return self.holdings_where("1 = 1")

    def holding(self, entity: str, record: str, role: str, on: At | None = None, known: int | None = None) -> Holding | None:
        """Who holds a record in a role now, or held it at a moment: as it was, or with `known` as entries up to that number had it."""
        if known is not None:
            return self._as_known(entity, record, role, on, known)
        past = [h for h in self.history_of(entity, record) if h.role == role]
        if on is None:
            return past[-1] if past and past[-1].stop is None else None
        return next((h for h in past if h.start.instant <= on.instant and (h.stop is None or on.instant < h.stop.instant)), None)

    def history_of(self, entity: str, record: str) -> list[Holding]:
        """Every holding of a record as it was, by role and time."""
        subject = self.words.subject(entity, record)
        return [] if subject is None else self.holdings_where("h.subject = ?", [subject])

    def book(self, rep: str, on: At | None = None) -> list[InBook]:
        """All that a rep holds now, or held at a moment."""
        return book_of(self.db, self.words, rep, on)

    def holdings_where(self, where: str, values: Sequence[SqlValue] = ()) -> list[Holding]:
        """The holdings for which a condition holds, by record, role and time. In it `h` is the holding and `s` its subject."""
        return holdings_where(self.db, self.words, where, values)

    def _as_known(self, entity: str, record: str, role: str, on: At | None, known: int) -> Holding | None:
        """The same from the entries up to a number: an earlier ledger, as it stood then."""
        from roe.ledger.asknown import holding_from

        entries = [x for x in self.of_record(entity, record, ("owned", "loaded", "merged", "deleted")) if x.number <= known]
        return holding_from(entries, role, on)

    def latest(self, kind: str, is_open: bool | None = None, entity: str | None = None, record: str | None = None) -> list[Open]:
        """Of each key of a kind the entry that counts: open claims, referrals, frozen values, standings of pools.

        Kinds beside those of entries: `until` (an owner's end), `hold` (the same by role and rule), `claim` (by the claim's own id), `gone` (deleted, merged).
        """
        where, values = "l.kind = ?", [self.words.number(kind)]
        if is_open is not None:
            where, values = where + " AND l.open = ?", [*values, int(is_open)]
        if entity is not None and record is not None:
            where, values = where + " AND l.subject = ?", [*values, self.words.subject(entity, record) or -1]
        inner = f"SELECT l.entry, l.open, l.kind AS sort_kind, l.subject AS sort_subject, l.name AS sort_name FROM latest l WHERE {where}"
        rows = self.db.rows(
            f"SELECT {COLUMNS}, l.open FROM ({inner}) l JOIN entry e ON e.number = l.entry {JOINS} "
            "ORDER BY l.sort_kind, l.sort_subject, l.sort_name", values,
        )  # fmt: skip
        return [Open(stored_of(row[:-1], self.words)[0], bool(row[-1])) for row in rows]

    def newest(self, kind: type[E], is_open: bool | None = None, entity: str | None = None, record: str | None = None) -> list[E]:
        """The same of the entries of one class, without what is said beside them."""
        entries = (o.stored.entry for o in self.latest(kind.KIND, is_open, entity, record))
        return [e for e in entries if isinstance(e, kind)]

    def keys_due(self, before: At) -> set[tuple[str, str, str]]:
        """(entity, record, role or other name) of all that is open and falls due before a moment."""
        rows = self.db.rows(
            "SELECT DISTINCT s.entity, s.record, l.name FROM latest l JOIN subject s ON s.id = l.subject "
            "WHERE l.open = 1 AND l.due IS NOT NULL AND l.due < ?", (before.instant,),
        )  # fmt: skip
        return {(self.words.text(entity), record, self.words.text(name)) for entity, record, name in rows if record is not None}

    def evidence_marks(self) -> dict[tuple[str, str, str], str]:
        """(entity, record, role) -> what tells the values that its newest evidence read from others (see `mark_of`)."""
        rows = self.db.rows(
            "SELECT s.entity, s.record, l.name, x.value FROM latest l JOIN subject s ON s.id = l.subject JOIN evidence x ON x.number = l.entry "
            "WHERE l.kind = ?", (self.words.number("evidence"),),
        )  # fmt: skip
        text = self.words.text
        return {(text(entity), record, text(role)): mark_of(bytes(value)) for entity, record, role, value in rows if record is not None}

    def days(self, since: str = "") -> dict[str, dict[str, int]]:
        """rep -> day -> how many records were given that caps count."""
        counts: dict[str, dict[str, int]] = {}
        for rep, day, n in self.db.rows(
            "SELECT s.record, d.day, d.n FROM day d JOIN subject s ON s.id = d.rep WHERE d.day >= ? ORDER BY d.rep, d.day", (since,)
        ):
            if rep is not None:
                counts.setdefault(rep, {})[day] = n
        return counts

    # --- policies ------------------------------------------------------------------------------------------------------

    def policy(self, digest: str) -> dict[str, bytes]:
        """The files of a policy, by name. Raises KeyError if the ledger never saw it."""
        rows = self.db.rows("SELECT files FROM policy WHERE digest = ?", (digest,))
        if not rows:
            raise KeyError(digest)
        return {name: bytes.fromhex(content) for name, content in json.loads(unpacked(bytes(rows[0][0]))).items()}

    # --- writing -------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, wait: float = 60, queries: Sequence[Query] = ()) -> Iterator[Writing]:
        """The one lock and one transaction. What the block appends appears together when it ends, or not at all if it raises.

        The rows of some queries are read with the lock; see `Writing.found`.
        """
        try:
            head, *found = self.db.begin(wait, [HEAD, *queries])
            tx = Writing(self.db, self.words, self.clock, head_of(head), found)
            yield tx
            tx.close()
            self.db.commit()
        except BaseException:
            self.db.rollback()
            self.words.forget()
            raise

    def append(self, entries: Iterable[Entry], run: RunEntry | None = None) -> range:
        """Append entries in a transaction of their own, after a `run` entry if one is given; their numbers."""
        with self.writing() as tx:
            if run is not None:
                tx.run(run)
            return tx.append(entries)

    def rebuild(self) -> bool:
        """Make every projection again from the entries; whether they are byte for byte what they were."""
        with self.writing() as tx:
            before = dump(self.db)
            clear(self.db)
            tx.replay()
            return dump(self.db) == before

    def renew(self) -> None:
        """Make the projections again if an earlier roe made them, which kept less in them."""
        if self._projected() == PROJECTIONS:
            return
        with self.writing() as tx:
            if self._projected() < PROJECTIONS:  # another program may have done it while this one waited for the lock
                clear(self.db)
                tx.replay()
                self.db.run("UPDATE projected SET version = ?", (PROJECTIONS,))

    def _projected(self) -> int:
        return int(self.db.rows("SELECT version FROM projected")[0][0])
