"""What a ledger knows of records, in words: one line for each entry, for a record's timeline and for the audit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Concatenate, ParamSpec, TypeVar

from roe.dynamic import Value
from roe.ledger.audit import Verified, verify
from roe.ledger.browse import EntryFilter, newest
from roe.ledger.entries import KINDS, Evidence, Owned, Referred, RunEntry
from roe.ledger.entry import Entry, Stored
from roe.ledger.history import told
from roe.ledger.holdings import Holding
from roe.ledger.moment import At
from roe.ledger.movements import Move, count_rules, moves_since, pending
from roe.ledger.people import Away, Excepted, Requested, Weighed
from roe.ledger.store import Store, open_store
from roe.web.app.site_words import day_in

P = ParamSpec("P")
T = TypeVar("T")
QUIET = ("evidence", "standing", "placed")  # kinds that a timeline leaves out
BY = {
    "rule": "by rule", "exception": "by an exception", "claim": "by a claim", "book": "by a book", "pool": "from a pool", "hand": "by hand",
    "system": "by another system", "conversion": "by conversion", "import": "as first seen", "correction": "by a correction",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: what `name` calls a rep, and the time zone that they live in."""

    name: Callable[[str | None], str]
    zone: tzinfo

    def day(self, x: At | date | datetime | str) -> str:
        """A moment of the ledger, or one that a text gives."""
        if isinstance(x, At):
            x = x.date if x.day else x.local
        return day_in(self.zone, x)


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry to read. `at` is when it holds, `recorded` when it was written; `record` is empty where it is about none.

    `answer` says who owns a record, and until when, for those who may know no more.
    """

    number: int
    run: int
    at: date | datetime
    recorded: datetime
    kind: str
    entity: str
    record: str
    role: str
    text: str
    why: str
    answer: str = ""


class History:
    """A ledger to read in: one connection, which threads use one after the other."""

    kinds = tuple(KINDS)

    def __init__(self, place: str) -> None:
        self.place = place
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._answers: dict[str, tuple[tuple[object, ...], Value]] = {}  # the last question of a kind, and its answer

    def of_record(self, entity: str, record: str, before: int | None, most: int, reader: Reader) -> tuple[list[EntryLine], int | None]:
        """What happened to a record, page by page as `browse`."""
        return self.browse(EntryFilter(entity=entity, record=record, without=QUIET), before, most, reader)

    def browse(self, wanted: EntryFilter, before: int | None, most: int, reader: Reader) -> tuple[list[EntryLine], int | None]:
        """(the newest entries below a number that answer to the filters, the number that the next page begins below)."""
        with self._open() as store:
            page = newest(store, wanted, before, most)
        return [line(x, reader) for x in page.entries], page.before

    def entry(self, number: int, reader: Reader) -> EntryLine | None:
        """One entry, or None where there is none with this number."""
        with self._open() as store:
            try:
                return line(store.entry(number), reader)
            except KeyError:
                return None

    def requests(self) -> list[Requested]:
        """The exceptions that are asked for and not answered, the oldest first."""
        with self._open() as store:
            return sorted(store.newest(Requested, True), key=lambda e: e.at.instant)

    def granted(self) -> list[Excepted]:
        """The exceptions that somebody has granted and not ended, those that end first first."""
        with self._open() as store:
            return sorted(store.newest(Excepted, True), key=lambda e: (e.until.instant if e.until else 0, e.entity, e.record))

    def standing(self, entity: str, record: str) -> dict[str, dict[str, Requested | None]]:
        """role -> what is `requested` of a record and what is `excepted`, as far as it stands."""
        by_role: dict[str, dict[str, Requested | None]] = {}
        with self._open() as store:
            for kind in (Requested, Excepted):
                for e in store.newest(kind, True, entity, record):
                    by_role.setdefault(e.role, {"requested": None, "excepted": None})[kind.KIND] = e
        return by_role

    def away(self, rep: str) -> Away | None:
        """The leave that a rep has entered here, or None."""
        with self._open() as store:
            return next(iter(store.newest(Away, True, "rep", rep)), None)

    def runs(self, most: int) -> list[tuple[Stored, bool]]:
        """The last runs, undoes and adjustments, the newest first, each with whether it can be undone."""
        with self._open() as store:
            newest = store.runs(most)  # what undoes a run is newer than the run
        runs = [(x, x.entry) for x in reversed(newest) if isinstance(x.entry, RunEntry)]
        undone = {run.counts.get("run") for _, run in runs if run.what == "undo"}
        return [(x, run.what == "run" and run.id not in undone) for x, run in runs]

    def reviews(self, key: str) -> list[Stored]:
        """What was said of a change of the policy, in order."""
        with self._open() as store:
            return [x for x in store.of_record("review", key) if x.kind == "reviewed"]

    def latest_reviews(self, most: int) -> list[Stored]:
        """The newest word on each change of the policy, the newest first."""
        with self._open() as store:
            newest = sorted((o.stored for o in store.latest("reviewed", True)), key=lambda x: -x.number)
        return newest[:most]

    def weighed(self, plan: str) -> dict[tuple[str, str], Weighed]:
        """(book, account) -> what somebody has last said of a planned move."""
        with self._open() as store:
            return {(e.book, e.record): e for e in store.newest(Weighed, True) if e.plan == plan}

    def evidence(self, number: int) -> Evidence | None:
        """The evidence of the entry with a number: itself, or what its run kept of its decision; None if nothing was kept."""
        with self._open() as store:
            try:
                x = store.entry(number)
            except KeyError:
                return None
            e = x.entry
            if isinstance(e, Evidence):
                return e
            if not isinstance(e, (Owned, Referred)):
                return None
            later = [y.entry for y in store.of_record(e.entity, e.record, ("evidence",), x.run) if y.number > number]
        return next((y for y in later if isinstance(y, Evidence) and y.role == e.role), None)

    def moves(self, since: date, most: int) -> tuple[list[Move], bool]:
        """(the changes of owner that hold from a day on, the newest first; whether there are more than are read)."""
        return self._again("moves", moves_since, since, most)

    def pending(self, most: int) -> tuple[list[Holding], int]:
        """(the newest of the owners that were decided and that the CRM does not show yet, how many there are)."""
        return self._again("pending", pending, most)

    def by_rule(self, since: date) -> dict[tuple[str, str, str], tuple[int, int]]:
        """(entity, role, rule) -> (how often it decided since a day, how often somebody took that back since)."""
        return self._again("rules", count_rules, since)

    def _again(self, kind: str, answer: Callable[Concatenate[Store, P], T], *asked: P.args, **_: P.kwargs) -> T:
        """An answer of the ledger, kept until it goes on or another question of the kind is asked: many ask the same again."""
        with self._open() as store:
            question = store.head().number, *asked
            if kind not in self._answers or self._answers[kind][0] != question:
                self._answers[kind] = question, answer(store, *asked, **_)
            kept: T = self._answers[kind][1]
            return kept

    def head(self) -> tuple[int, str]:
        """(how many entries there are, the hash of the last)."""
        with self._open() as store:
            head = store.head()
        return head.number, head.hash.hex()

    def checked(self, most: int) -> tuple[int, int, Verified]:
        """(the first and the last of the newest entries that are gone through, whether their chain is whole)."""
        with self._open() as store:
            last = store.head().number
            after = max(0, last - most)
            return min(after + 1, last), last, verify(store, after)

    @contextmanager
    def _open(self) -> Iterator[Store]:
        """The one connection, for one question at a time; opened again if a question failed."""
        with self._lock:
            if self._store is None:
                self._store = open_store(self.place, create=False)
            try:
                yield self._store
            except KeyError:
                raise
            except Exception:
                self._store.close()
                self._store = None
                raise


def line(stored: Stored, reader: Reader) -> EntryLine:
    e = stored.entry
    at = e.at
    text, why = _words(e, reader)
    answer = _owns(e, reader) if isinstance(e, Owned) else _decided(e, reader) if isinstance(e, Evidence) else ""
    return EntryLine(
        stored.number, stored.run, at.date if at.day else at.local, stored.recorded, stored.kind, getattr(e, "entity", ""),
        getattr(e, "record", ""), getattr(e, "role", "") or "", text, "erased" if stored.erased else why, answer,
    )  # fmt: skip


def _words(e: Entry, reader: Reader) -> tuple[str, str]:
    """(what happened, why) of an entry."""
    if isinstance(e, Owned):
        how = f"{BY.get(e.by, e.by)}{f' {e.rule}' if e.rule and e.by == 'rule' else ''}{f' {e.pool}' if e.pool and e.by == 'pool' else ''}"
        former = f", after {reader.name(e.former)}" if e.former else ""
        return f"{_owns(e, reader)}, {how}{former}", e.sentence
    if isinstance(e, Evidence):
        outcome = (e.values.get("trace") or {}).get("outcome") or {}
        return f"{_decided(e, reader)}: this entry keeps the values that the decision used", str(outcome.get("reason") or "")
    what, why = told(e, reader.name, reader.day)
    role = getattr(e, "role", "")
    return what + (f" (as {role})" if role else ""), why


def _owns(e: Owned, reader: Reader) -> str:
    holder = f"the queue {e.queue}" if e.queue else reader.name(e.rep) or "nobody"
    return f"{holder} owns it as {e.role}" + (f" until {reader.day(e.until)}" if e.until is not None else "")


def _decided(e: Evidence, reader: Reader) -> str:
    """Who owned a record as an explanation has it, in one sentence that says nothing of its values."""
    trace = e.values.get("trace") or {}
    outcome = trace.get("outcome") or {}
    until = f" until {reader.day(outcome['until'])}" if outcome.get("until") else ""
    return f"{outcome.get('owner_name') or 'nobody'} owns it as {e.role}{until}"
