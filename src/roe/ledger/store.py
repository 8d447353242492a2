"""The ledger: open it, read it, append to it.

    store = open_store("state")                       # or "postgresql://…"
    with store.writing(wait=60) as tx:                # the one lock of the whole ledger, and one transaction
        for new in tx.newer(head.number): …           # what others appended since you read
        run = tx.run(Run(at=…, id=…))
        tx.append([Owned(…), …])                      # all of it appears together, or nothing does

Numbers begin with 1 and have no gaps. Every entry's hash covers the one before it.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from roe.ledger.database import FOREIGN, Database, migrate, refuse
from roe.ledger.encode import (
    SALT,
    Clock,
    Draft,
    Subject,
    chained,
    draft,
    entry,
    is_evidence,
    packed,
    salted,
    small,
    subject_bytes,
    unpacked,
    whole,
    words_of,
)
from roe.ledger.entries import FORGOTTEN, Entry, Run, Stored
from roe.ledger.moment import At, ticks
from roe.ledger.projections import PROJECTIONS, Noted, Projector, clear, dump

PAGE = 5_000  # entries that are read or written together
MOST_KNOWN = 300_000  # subjects remembered between appends
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain. A cursor is (`epoch`, `number`): a restored backup begins a new epoch."""

    epoch: str
    number: int
    hash: bytes
    label: str  # the organisation whose data this ledger is about; empty until one is bound


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds a record in a role from `start` until `stop` (None while it goes on): a rep, a named queue, or nobody.

    `entry` is the number of the entry that began it: `by`, `former` and `since_unknown` are its. `decision` is the newest that confirmed
    it: `rule`, `action` and `until` are its. `base` is what the CRM last showed: (rep, queue, when that was read), or None if it never showed anything.
    """

    entity: str
    record: str
    role: str
    rep: str | None
    queue: str
    start: At
    stop: At | None
    entry: int
    decision: int
    by: str = ""
    former: str | None = None
    since_unknown: bool = False
    rule: str = ""
    action: str = ""
    pool: str = ""
    until: At | None = None
    base: tuple[str | None, str, At | None] | None = None
    decided: tuple[tuple[str | None, str], ...] = ()  # our decisions since the base, before this one: (rep, queue)


@dataclass(frozen=True, slots=True)
class Open:
    """The entry that counts for a key; whether it is still open, and when it falls due."""

    stored: Stored
    is_open: bool
    due: datetime | None


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
        self._words: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._subjects: dict[Subject, tuple[int, bytes]] = {}  # id and salted digest

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading entries -----------------------------------------------------------------------------------------------

    def head(self) -> Head:
        rows = self.db.rows("SELECT epoch, number, hash, label FROM head")
        return Head(rows[0][0], rows[0][1], bytes(rows[0][2]), rows[0][3]) if rows else Head("", 0, b"", "")

    def entry(self, number: int) -> Stored:
        """Raises KeyError if there is none with this number."""
        found = self._entries("number = ?", (number,))
        if not found:
            raise KeyError(number)
        return found[0]

    def entries(self, after: int = 0, upto: int | None = None, kinds: Sequence[str] = ()) -> Iterator[Stored]:
        """In the order of their numbers; read in pages, so that no transaction stays open."""
        last = self.head().number if upto is None else upto
        some = self._some_kinds(kinds)
        while after < last:
            end = min(after + PAGE, last)
            yield from self._entries("number > ? AND number <= ?" + some[0], (after, end, *some[1]))
            after = end

    def of_record(
        self, entity: str, record: str, kinds: Sequence[str] = (), run: int | None = None, after: int = 0, most: int | None = None
    ) -> list[Stored]:
        """Everything about a record, or what a run said of it, in the order of the numbers: those `after` a number, the first `most` of them."""
        subject = self._find(entity, record)
        if subject is None:
            return []
        some, of_run = self._some_kinds(kinds), () if run is None else (run,)
        where = "subject = ?" + " AND run = ?" * len(of_run) + some[0] + " AND number > ?"
        limit = "" if most is None else f" ORDER BY number LIMIT {most:d}"
        return self._entries(where + limit, (subject, *of_run, *some[1], after))

    def of_run(self, run: int | str) -> list[Stored]:
        """A run's entries, its own first. `run` is its number or its id; KeyError if there is none."""
        found = self.db.rows(f"SELECT number, last FROM run WHERE {'number' if isinstance(run, int) else 'id'} = ?", (run,))
        if not found:
            raise KeyError(run)
        number, last = found[0]
        return self._entries("number >= ? AND number <= ? AND run = ?", (number, last, number))

    def runs(self, newest: int | None = None) -> list[Stored]:
        """The `run` entries, or the newest of them, oldest first."""
        limit = "" if newest is None else f" ORDER BY number DESC LIMIT {newest:d}"
        return self._entries(f"number IN (SELECT number FROM run{limit})", ())

    def last_run(self) -> Stored | None:
        found = self.db.rows("SELECT max(number) FROM run")
        return self.entry(found[0][0]) if found and found[0][0] is not None else None

    def evidence_of(self, entity: str, record: str, role: str, upto: int | None = None) -> Stored | None:
        """The newest evidence about a record in a role, of the entries up to a number."""
        found = [x for x in self.of_record(entity, record, ("evidence",)) if getattr(x.entry, "role", "") == role]
        found = [x for x in found if upto is None or x.number <= upto]
        return found[-1] if found else None

    def _some_kinds(self, kinds: Sequence[str]) -> tuple[str, tuple[int, ...]]:
        ids = tuple(self._word_or_none(k) or 0 for k in kinds)
        return (f" AND kind IN ({','.join('?' * len(ids))})", ids) if kinds else ("", ())

    _COLUMNS = (
        "e.number, e.run, e.kind, e.subject, s.entity, s.record, e.name, e.at, e.grain, e.until, e.recorded, "
        "e.target, t.entity, t.record, e.former, f.entity, f.record, e.word, e.fact, e.digest, v.value, x.value"
    )
    _JOINS = (
        "LEFT JOIN subject s ON s.id = e.subject LEFT JOIN subject t ON t.id = e.target LEFT JOIN subject f ON f.id = e.former "
        "LEFT JOIN value v ON v.number = e.number LEFT JOIN evidence x ON x.number = e.number"
    )

    def _entries(self, where: str, values: Sequence[Any]) -> list[Stored]:
        inner = f"SELECT * FROM entry WHERE {where}"
        return [
            self._stored(row)[0] for row in self.db.rows(f"SELECT {self._COLUMNS} FROM ({inner}) e {self._JOINS} ORDER BY e.number", values)
        ]

    def _stored(self, row: Sequence[Any]) -> tuple[Stored, Draft]:
        (number, run, kind, s, s_entity, s_record, name, at, grain, until, recorded, t, t_entity, t_record, f, f_entity, f_record,
         word, fact, digest, value, evidence) = row  # fmt: skip
        text = self._text
        held = whole(bytes(value)) if value is not None else unpacked(bytes(evidence)) if evidence is not None else None
        d = Draft(
            text(kind), self._subject(s, s_entity, s_record), text(name), at, text(grain), until, self._subject(t, t_entity, t_record),
            self._subject(f, f_entity, f_record), text(word), fact, held,
        )  # fmt: skip
        erased = digest is not None and held is None
        gone = erased or any(i is not None and record is None for i, record in ((s, s_record), (t, t_record), (f, f_record)))
        return Stored(number, run, _START + timedelta(microseconds=recorded), entry(d, erased), gone), d

    def _subject(self, id_: int | None, entity: int | None, record: str | None) -> Subject | None:
        if id_ is None:
            return None
        return (self._text(entity) if entity is not None else FORGOTTEN, FORGOTTEN if record is None else record)

    # --- reading projections -------------------------------------------------------------------------------------------

    def holdings(self, entity: str | None = None, role: str | None = None) -> Iterator[Holding]:
        """Who holds what now, by record."""
        where, values = "h.stop IS NULL", []
        for column, text in (("s.entity", entity), ("h.role", role)):
            if text is not None:
                where += f" AND {column} = ?"
                values.append(self._word_or_none(text) or 0)
        yield from self._holdings(where, values)

    def every_holding(self) -> Iterator[Holding]:
        """Who holds and held what, by record and role, the earliest first."""
        yield from self._holdings("1 = 1", [])

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
        subject = self._find(entity, record)
        return [] if subject is None else self._holdings("h.subject = ?", [subject])

    def book(self, rep: str, on: At | None = None) -> list[Holding]:
        """All that a rep holds now, or held at a moment."""
        subject = self._find("rep", rep)
        if subject is None:
            return []
        if on is None:
            return self._holdings("h.rep = ? AND h.stop IS NULL", [subject])
        return self._holdings("h.rep = ? AND h.start <= ? AND (h.stop IS NULL OR h.stop > ?)", [subject, on.instant, on.instant])

    def book_ids(self, rep: str, on: At) -> list[tuple[str, str, str, int, int | None]]:
        """The same without why: entity, record, role, start and stop in microseconds since 1970 UTC."""
        rows = self.db.rows(
            "SELECT s.entity, s.record, h.role, h.start, h.stop FROM holding h JOIN subject s ON s.id = h.subject "
            "WHERE h.rep = (SELECT id FROM subject WHERE record = ? AND entity = ?) AND h.start <= ? AND (h.stop IS NULL OR h.stop > ?)",
            (rep, self._word_or_none("rep") or 0, on.instant, on.instant),
        )  # fmt: skip
        text = self._text
        return [
            (text(entity), FORGOTTEN if record is None else record, text(role), start, stop) for entity, record, role, start, stop in rows
        ]

    def _holdings(self, where: str, values: Sequence[Any]) -> list[Holding]:
        rows = self.db.rows(
            "SELECT s.entity, s.record, h.role, r.record, h.rep, h.queue, h.start, h.stop, h.entry, h.decision, a.word, a.grain, f.record, "
            "a.former, d.word, d.grain, d.until, b.record, h.base_rep, h.base_queue, h.base_at, h.decided FROM holding h "
            "JOIN subject s ON s.id = h.subject JOIN entry a ON a.number = h.entry JOIN entry d ON d.number = h.decision "
            "LEFT JOIN subject r ON r.id = h.rep LEFT JOIN subject f ON f.id = a.former LEFT JOIN subject b ON b.id = h.base_rep "
            f"WHERE {where} ORDER BY h.subject, h.role, h.start", values,
        )  # fmt: skip
        return [self._holding(row) for row in rows]

    def _holding(self, row: Sequence[Any]) -> Holding:
        (entity, record, role, rep, rep_id, queue, start, stop, number, decision, word, grain, former, former_id, last_word, last_grain,
         until, base, base_id, base_queue, base_at, decided) = row  # fmt: skip
        text = self._text
        began, newest, grain, last_grain = words_of(text(word)), words_of(text(last_word)), text(grain), text(last_grain)
        zone = grain[grain.index(" ") + 1 :]
        return Holding(
            text(entity), FORGOTTEN if record is None else record, text(role), _rep(rep, rep_id), text(queue), At(start, grain[0] == "d", zone),
            None if stop is None else At(stop, grain[0] == "d", zone), number, decision, began.get("by", "rule"), _rep(former, former_id),
            began.get("since_unknown", False), newest.get("rule", ""), newest.get("action", ""), newest.get("pool", ""),
            None if until is None else At(until, last_grain[1] == "d", zone),
            None if base_queue is None else (_rep(base, base_id), text(base_queue), None if base_at is None else At(base_at, False, zone)),
            self._decided(decided),
        )  # fmt: skip

    def _decided(self, text: str | None) -> tuple[tuple[str | None, str], ...]:
        if not text:
            return ()
        records = "SELECT record FROM subject WHERE id = ?"
        return tuple(
            (None if rep is None else _rep(self.db.rows(records, (rep,))[0][0], rep), self._text(q)) for rep, q in json.loads(text)
        )

    def _as_known(self, entity: str, record: str, role: str, on: At | None, known: int) -> Holding | None:
        """The same from the entries up to a number: an earlier ledger, as it stood then."""
        from roe.ledger.asknown import holding_from

        entries = [x for x in self.of_record(entity, record, ("owned", "loaded", "merged", "deleted")) if x.number <= known]
        return holding_from(entries, role, on)

    def latest(self, kind: str, is_open: bool | None = None, entity: str | None = None, record: str | None = None) -> list[Open]:
        """Of each key of a kind the entry that counts: open claims, referrals, frozen values, credits, standings of pools.

        Kinds beside those of entries: `until` (an owner's end), `hold` (the same by role and rule), `claim` (by the claim's own id), `gone` (absent, deleted, merged, became).
        """
        where, values = "l.kind = ?", [self._word_or_none(kind) or 0]
        if is_open is not None:
            where, values = where + " AND l.open = ?", [*values, int(is_open)]
        if entity is not None and record is not None:
            where, values = where + " AND l.subject = ?", [*values, self._find(entity, record) or -1]
        return self._latest(where, values)

    def due(self, before: At) -> list[Open]:
        """What is open and falls due before a moment: ends, service levels, claims, referrals; the earliest first."""
        return sorted(
            self._latest("l.open = 1 AND l.due IS NOT NULL AND l.due < ?", [before.instant]), key=lambda o: (o.due, o.stored.number)
        )

    def keys_due(self, before: At) -> set[tuple[str, str, str]]:
        """(entity, record, role or other name) of all that is open and falls due before a moment."""
        rows = self.db.rows(
            "SELECT DISTINCT s.entity, s.record, l.name FROM latest l JOIN subject s ON s.id = l.subject "
            "WHERE l.open = 1 AND l.due IS NOT NULL AND l.due < ?", (before.instant,),
        )  # fmt: skip
        return {(self._text(entity), record, self._text(name)) for entity, record, name in rows if record is not None}

    def _latest(self, where: str, values: Sequence[Any]) -> list[Open]:
        inner = f"SELECT l.entry, l.open, l.due, l.kind AS sort_kind, l.subject AS sort_subject, l.name AS sort_name FROM latest l WHERE {where}"
        rows = self.db.rows(
            f"SELECT {self._COLUMNS}, l.open, l.due FROM ({inner}) l JOIN entry e ON e.number = l.entry {self._JOINS} "
            "ORDER BY l.sort_kind, l.sort_subject, l.sort_name", values,
        )  # fmt: skip
        return [Open(self._stored(row[:-2])[0], bool(row[-2]), None if row[-1] is None else _utc(row[-1])) for row in rows]

    def days(self, since: str = "") -> dict[str, dict[str, int]]:
        """rep -> day -> how many records were given that caps count."""
        found: dict[str, dict[str, int]] = {}
        for rep, day, n in self.db.rows(
            "SELECT s.record, d.day, d.n FROM day d JOIN subject s ON s.id = d.rep WHERE d.day >= ? ORDER BY d.rep, d.day", (since,)
        ):
            if rep is not None:
                found.setdefault(rep, {})[day] = n
        return found

    # --- policies ------------------------------------------------------------------------------------------------------

    def policy(self, digest: str) -> dict[str, bytes]:
        """The files of a policy, by name. Raises KeyError if the ledger never saw it."""
        rows = self.db.rows("SELECT files FROM policy WHERE digest = ?", (digest,))
        if not rows:
            raise KeyError(digest)
        return {name: bytes.fromhex(content) for name, content in json.loads(unpacked(bytes(rows[0][0]))).items()}

    # --- writing -------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, wait: float = 60, label: str = "") -> Iterator[Writing]:
        """The one lock and one transaction. What the block appends appears together when it ends, or not at all if it raises.

        `label` is the organisation that the data belongs to: the first binds the ledger, another is refused.
        """
        self.db.begin(wait)
        try:
            tx = Writing(self, label)
            yield tx
            tx.close()
            self.db.commit()
        except BaseException:
            self.db.rollback()
            self._words, self._texts, self._subjects = {}, {}, {}  # ids that were never committed
            raise

    def append(self, entries: Iterable[Entry], run: Run | None = None, wait: float = 60) -> range:
        """Append entries in a transaction of their own, after a `run` entry if one is given; their numbers."""
        with self.writing(wait) as tx:
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

    # --- words and subjects --------------------------------------------------------------------------------------------

    def _text(self, id_: int) -> str:
        found = self._texts.get(id_)
        if found is None:
            self._read_words()
            found = self._texts[id_]
        return found

    def _read_words(self) -> None:
        known = max(self._texts, default=0)
        for id_, text in self.db.rows("SELECT id, text FROM word WHERE id > ?", (known,)):
            self._words[text], self._texts[id_] = id_, text

    def _word_or_none(self, text: str) -> int | None:
        if text not in self._words:
            self._read_words()
        return self._words.get(text)

    def _find(self, entity: str, record: str) -> int | None:
        kind = self._word_or_none(entity)
        rows = self.db.rows("SELECT id FROM subject WHERE record = ? AND entity = ?", (record, kind or 0))
        return rows[0][0] if rows else None


class Writing:
    """An open append: it holds the lock of the ledger. Made by `Store.writing`."""

    def __init__(self, store: Store, label: str) -> None:
        self.store, self.db = store, store.db
        head = store.head()
        if not head.epoch:
            head = Head(uuid.uuid4().hex, 0, bytes(32), label)
            self.db.run("INSERT INTO head (one, epoch, number, hash, label) VALUES (1, ?, 0, ?, ?)", (head.epoch, head.hash, label))
        if label and head.label and label != head.label:
            refuse(
                FOREIGN,
                f"the ledger belongs to `{head.label}`, and this data to `{label}`",
                store.url,
                "name the ledger of this organisation",
            )
        self.head = replace(head, label=head.label or label)
        self.start = head
        self.current: int | None = None  # the run that entries belong to
        self.projector = Projector(self.db, self._word)
        self._next_word: int | None = None
        self._next_subject: int | None = None
        self._last_of: dict[int, int] = {}

    def newer(self, than: int) -> Iterator[Stored]:
        """What was appended after a number, by whomever: to be caught up with before anything is decided."""
        return self.store.entries(than, self.head.number)

    def run(self, run: Run) -> int:
        """Begin a run: the entries that follow belong to it. Its number."""
        self.current = self.head.number + 1
        return self.append([run])[0]

    def keep_policy(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Keep the files of a policy, once per digest."""
        if not self.db.rows("SELECT 1 FROM policy WHERE digest = ?", (digest,)):
            content = packed(json.dumps({name: data.hex() for name, data in sorted(files.items())}).encode())
            self.db.run("INSERT INTO policy (digest, files) VALUES (?, ?)", (digest, content))

    def append(self, entries: Iterable[Entry], run: int | None = None) -> range:
        """Append entries, to the run that was begun or to a `run` by its number; their numbers."""
        first = self.head.number + 1
        of = run if run is not None else self.current if self.current is not None else 0
        page: list[Entry] = []
        for e in entries:
            page.append(e)
            if len(page) == PAGE:
                self._append(page, of)
                page = []
        if page:
            self._append(page, of)
        return range(first, self.head.number + 1)

    def close(self) -> None:
        """Write the new head. Called as the transaction ends."""
        if self.head != self.start:
            self.db.run(
                "UPDATE head SET number = ?, hash = ?, label = ? WHERE one = 1", (self.head.number, self.head.hash, self.head.label)
            )
        for run, last in self._last_of.items():
            self.db.run("UPDATE run SET last = ? WHERE number = ?", (last, run))

    def _append(self, entries: Sequence[Entry], run: int) -> None:
        drafts = [draft(e) for e in entries]
        self._learn_words(drafts)
        self._learn_subjects(drafts)
        words, subjects = self.store._words, self.store._subjects
        recorded, number, previous = self.store.clock(), self.head.number, self.head.hash
        salts = os.urandom(SALT * len(drafts))
        rows, values, evidence, noted = [], [], [], []
        for i, (e, d) in enumerate(zip(entries, drafts, strict=True)):
            number += 1
            subject, target, former = (None if x is None else subjects[x] for x in (d.subject, d.target, d.former))
            digest = None
            if d.value is not None:
                salt = salts[i * SALT : (i + 1) * SALT]
                digest = salted(salt, d.value)
                if is_evidence(d.kind):
                    evidence.append((number, salt, packed(d.value)))
                else:
                    values.append((number, salt, small(d.value)))
            previous = chained(
                previous, number, run, recorded, d, subject and subject[1], target and target[1], former and former[1], digest
            )  # fmt: skip
            s, t, f = subject and subject[0], target and target[0], former and former[0]
            rows.append(
                (number, run, words[d.kind], s, words[d.name], d.at, words[d.grain], d.until, recorded, t, f, words[d.word], d.fact, digest, previous)
            )  # fmt: skip
            noted.append(Noted(number, e, s or 0, words[d.name], t, f, words[getattr(e, "queue", "")], words[""]))
        self.db.many(
            "INSERT INTO entry (number, run, kind, subject, name, at, grain, until, recorded, target, former, word, fact, digest, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
        )  # fmt: skip
        for table, some in (("value", values), ("evidence", evidence)):
            if some:
                self.db.many(f"INSERT INTO {table} (number, salt, value) VALUES (?, ?, ?)", some)
        self.projector.apply(noted)
        self.head = replace(self.head, number=number, hash=previous)
        if run:
            self._last_of[run] = number
        if len(subjects) > MOST_KNOWN:
            subjects.clear()

    def replay(self) -> None:
        """Apply every entry to empty projections."""
        store, after = self.store, 0
        while after < self.head.number:
            rows = self.db.rows(
                f"SELECT {store._COLUMNS} FROM (SELECT * FROM entry WHERE number > ? AND number <= ?) e {store._JOINS} ORDER BY e.number",
                (after, after + PAGE),
            )  # fmt: skip
            noted = []
            for row in rows:
                stored, d = store._stored(row)
                queue = self._word(getattr(stored.entry, "queue", ""))
                noted.append(Noted(stored.number, stored.entry, row[3] or 0, self._word(d.name), row[11], row[14], queue, self._word("")))
            self.projector.apply(noted)
            after += PAGE
        last = self.db.rows("SELECT max(number), run FROM entry WHERE run > 0 GROUP BY run")
        self.db.many("UPDATE run SET last = ? WHERE number = ?", last)

    def _word(self, text: str) -> int:
        found = self.store._word_or_none(text)
        if found is None:
            self._add_words([text])
            found = self.store._words[text]
        return found

    def _learn_words(self, drafts: Sequence[Draft]) -> None:
        wanted = {"", *(d.kind for d in drafts), *(d.name for d in drafts), *(d.grain for d in drafts), *(d.word for d in drafts)}
        wanted |= {x[0] for d in drafts for x in (d.subject, d.target, d.former) if x is not None}
        wanted |= {str(json.loads(w)["queue"]) for w in {d.word for d in drafts} if '"queue"' in w}
        missing = sorted(w for w in wanted if w not in self.store._words)
        if missing:
            self.store._read_words()
            self._add_words([w for w in missing if w not in self.store._words])

    def _add_words(self, texts: Sequence[str]) -> None:
        if self._next_word is None:
            self._next_word = (self.db.rows("SELECT max(id) FROM word")[0][0] or 0) + 1
        rows = [(self._next_word + i, text) for i, text in enumerate(texts)]
        if rows:
            self.db.many("INSERT INTO word (id, text) VALUES (?, ?)", rows)
        for id_, text in rows:
            self.store._words[text], self.store._texts[id_] = id_, text
        self._next_word += len(rows)

    def _learn_subjects(self, drafts: Sequence[Draft]) -> None:
        known, words = self.store._subjects, self.store._words
        wanted = list(dict.fromkeys(x for d in drafts for x in (d.subject, d.target, d.former) if x is not None and x not in known))
        for at in range(0, len(wanted), 500):
            some = wanted[at : at + 500]
            rows = self.db.rows(
                f"SELECT id, entity, record, digest FROM subject WHERE record IN ({','.join('?' * len(some))})", [r for _, r in some]
            )
            for id_, entity, record, digest in rows:
                known[self.store._text(entity), record] = (id_, bytes(digest))
        new = [x for x in wanted if x not in known]
        if not new:
            return
        if self._next_subject is None:
            self._next_subject = (self.db.rows("SELECT max(id) FROM subject")[0][0] or 0) + 1
        added = []
        for subject in new:
            salt = os.urandom(SALT)
            digest = salted(salt, subject_bytes(subject))
            added.append((self._next_subject, words[subject[0]], subject[1], salt, digest))
            known[subject] = (self._next_subject, digest)
            self._next_subject += 1
        self.db.many("INSERT INTO subject (id, entity, record, salt, digest) VALUES (?, ?, ?, ?, ?)", added)


def _utc(instant: int) -> datetime:
    return _START + timedelta(microseconds=instant)


def _rep(record: str | None, id_: int | None) -> str | None:
    return record if record is not None else None if id_ is None else FORGOTTEN
