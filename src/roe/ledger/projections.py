"""What is so now, and what was so on a day: made from the entries alone, so that it can be made again and compared.

`holding` has who holds a record in a role from when to when. An entry says who holds from its `at` on, as far as anybody knows: what was
known of later times before gives way. One that names the same holder again confirms the holding and does not begin another. An entry about the `past` fills in only the time until the next holding that is known.
`latest` has of each key the entry that counts, whether it is still open, and when it falls due. `day` has what caps count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from roe.ledger.database import Database
from roe.ledger.entries import CONFIRMED_BY_CRM, Claimed, Entry, Loaded, Owned, Run, Turn

CHUNK = 500  # records whose projections are read and written together
GONE = ("became", "merged", "absent", "deleted")
CLOSES: Mapping[str, tuple[str, ...]] = {  # kind -> the kinds of the same key that it ends
    "turn-back": ("turn",), "returned": ("claimed", "turn"), "answered": ("referred",), "restored": ("gone",),
    "excepted": ("requested",), "declined": ("requested",),
    "became": ("turn", "claimed", "referred", "until"), "merged": ("turn", "claimed", "referred", "until"),
    "deleted": ("turn", "claimed", "referred", "until"),
}  # fmt: skip
WHOLE = ("became", "merged", "deleted")  # what ends it for every role of a record
KEPT = (
    "turn", "returned", "rested", "referred", "answered", "frozen", "raised", "seen", "credit", "disputed", "standing", "placed", "cycle",
    "activated", "evidence", "requested", "excepted", "away", "weighed", "reviewed",
)  # fmt: skip


@dataclass(slots=True)
class Noted:
    """An entry with the ids that its texts have in this ledger; 0 for no subject."""

    number: int
    entry: Entry
    subject: int
    name: int
    target: int | None
    former: int | None
    queue: int  # the word of its queue; `nobody` is the word of the empty text
    nobody: int


_ENCODER = json.JSONEncoder(separators=(",", ":"))
Holder = tuple[int | None, int]  # a rep, or a queue's word; the word of the empty text for no queue
Base = tuple[int | None, int | None, int | None]  # what the CRM last showed: rep, queue, when it was read
NO_BASE: Base = (None, None, None)


@dataclass(slots=True)
class Hold:
    start: int
    stop: int | None
    rep: int | None
    queue: int
    entry: int  # that began it
    decision: int  # the newest that confirmed it
    base: Base = NO_BASE
    decided: tuple[Holder, ...] = ()  # our decisions since the base, before this one


Key = tuple[int, int]
Latest = tuple[int, int, int | None]  # entry, open, due


class Projector:
    """Applies entries to the projections of a database, some hundred records at a time."""

    def __init__(self, db: Database, word: Callable[[str], int]) -> None:
        self.db, self.word = db, word

    def apply(self, noted: Sequence[Noted]) -> None:
        """The entries must be in the order of their numbers."""
        for at in range(0, len(noted), CHUNK):
            self._chunk(noted[at : at + CHUNK])

    def _chunk(self, noted: Sequence[Noted]) -> None:
        subjects = sorted({s for n in noted for s in (n.subject, n.former or 0 if isinstance(n.entry, Claimed) else 0)} | {0})
        held = self._holdings(subjects)
        latest = self._latests(subjects)
        before_held = {key: [_row(h) for h in holds] for key, holds in held.items()}
        before_latest = dict(latest)
        days: dict[tuple[int, str], int] = {}
        runs: list[tuple[int, str, int]] = []
        for n in noted:
            e = n.entry
            if isinstance(e, Owned):
                hold(held.setdefault((n.subject, n.name), []), n, e)
                self._note(latest, "until", n, e.until)
                if e.until is not None and e.rule and e.action == "assign":  # the rule's own hold, whatever decides the record later
                    key = (self.word("hold"), n.subject, self.word(f"{e.role}\t{e.rule}"))
                    latest[key] = (n.number, 1, None)
            elif isinstance(e, Loaded):
                loaded(held.get((n.subject, n.name), []), n, e)
            elif isinstance(e, Turn) and e.counted and n.target is not None:
                day = (n.target, str(e.at.date))
                days[day] = days.get(day, 0) + 1
            elif isinstance(e, Claimed):
                self._claimed(latest, n, e)
            elif isinstance(e, Run):
                runs.append((n.number, e.id, n.number))
            if e.KIND in KEPT:
                self._note(latest, e.KIND, n, getattr(e, "until", None), getattr(e, "up", True))
            if e.KIND in GONE:
                latest[self.word("gone"), n.subject, 0] = (n.number, 1, None)
            self._close(latest, held, n)
        self._write(before_held, held, before_latest, latest)
        for (rep, day_), count in days.items():
            self.db.run(
                "INSERT INTO day (rep, day, n) VALUES (?, ?, ?) ON CONFLICT (rep, day) DO UPDATE SET n = day.n + excluded.n",
                (rep, day_, count),
            )
        if runs:
            self.db.many("INSERT INTO run (number, id, last) VALUES (?, ?, ?)", runs)

    def _note(self, latest: dict[tuple[int, int, int], Latest], kind: str, n: Noted, until: Any, is_open: bool = True) -> None:
        key = (self.word(kind), n.subject, n.name)
        if kind == "until" and until is None:
            latest.pop(key, None)
            return
        latest[key] = (n.number, int(is_open), None if until is None else until.instant)

    def _claimed(self, latest: dict[tuple[int, int, int], Latest], n: Noted, e: Claimed) -> None:
        due = None if e.until is None else e.until.instant
        granted = e.status == "granted"
        if granted or ((self.word("claimed"), n.subject, n.name) in latest and e.status == "ended"):
            latest[self.word("claimed"), n.subject, n.name] = (n.number, int(granted), due)
        if n.former is not None:
            latest[self.word("claim"), n.former, 0] = (n.number, int(granted), None)

    def _close(self, latest: dict[tuple[int, int, int], Latest], held: Mapping[Key, list[Hold]], n: Noted) -> None:
        kind = n.entry.KIND
        ended = {self.word(k) for k in CLOSES.get(kind, ())}
        if not ended:
            return
        for key, (entry, is_open, due) in list(latest.items()):
            if key[0] in ended and key[1] == n.subject and is_open and (kind in (*WHOLE, "restored") or key[2] == n.name):
                latest[key] = (entry, 0, due)
        if kind in ("merged", "deleted"):
            for (subject, _), holds in held.items():
                if subject == n.subject and holds and holds[-1].stop is None:
                    holds[-1].stop = max(n.entry.at.instant, holds[-1].start)

    # --- reading and writing -------------------------------------------------------------------------------------------

    def _holdings(self, subjects: Sequence[int]) -> dict[Key, list[Hold]]:
        found: dict[Key, list[Hold]] = {}
        marks = ",".join("?" * len(subjects))
        columns = "subject, role, start, stop, rep, queue, entry, decision, base_rep, base_queue, base_at, decided"
        for subject, role, start, stop, rep, queue, entry, decision, base_rep, base_queue, base_at, decided in self.db.rows(
            f"SELECT {columns} FROM holding WHERE subject IN ({marks}) ORDER BY subject, role, start", subjects
        ):
            found.setdefault((subject, role), []).append(
                Hold(start, stop, rep, queue, entry, decision, (base_rep, base_queue, base_at), _holders(decided))
            )
        return found

    def _latests(self, subjects: Sequence[int]) -> dict[tuple[int, int, int], Latest]:
        marks = ",".join("?" * len(subjects))
        rows = self.db.rows(f"SELECT kind, subject, name, entry, open, due FROM latest WHERE subject IN ({marks})", subjects)
        return {(k, s, n): (e, o, d) for k, s, n, e, o, d in rows}

    def _write(
        self, before_held: Mapping[Key, list[Any]], held: Mapping[Key, list[Hold]], before_latest: Mapping[Any, Latest],
        latest: Mapping[Any, Latest],
    ) -> None:  # fmt: skip
        gone, new = [], []
        for key, holds in held.items():
            old, now = before_held.get(key, []), [_row(h) for h in holds]
            gone += [(*key, row[0]) for row in old if row not in now]
            new += [(*key, *row) for row in now if row not in old]
        self.db.many("DELETE FROM holding WHERE subject = ? AND role = ? AND start = ?", gone)
        self.db.many(
            "INSERT INTO holding (subject, role, start, stop, rep, queue, entry, decision, base_rep, base_queue, base_at, decided) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", new,
        )  # fmt: skip
        changed = [key for key, value in before_latest.items() if latest.get(key) != value]
        self.db.many("DELETE FROM latest WHERE kind = ? AND subject = ? AND name = ?", changed)
        added = [(*key, *value) for key, value in latest.items() if before_latest.get(key) != value]
        self.db.many("INSERT INTO latest (kind, subject, name, entry, open, due) VALUES (?, ?, ?, ?, ?, ?)", added)


def _row(h: Hold) -> tuple[Any, ...]:
    return (
        h.start,
        h.stop,
        h.rep,
        h.queue,
        h.entry,
        h.decision,
        *h.base,
        _ENCODER.encode(h.decided) if h.decided else None,
    )


def _holders(text: str | None) -> tuple[Holder, ...]:
    return tuple((rep, queue) for rep, queue in json.loads(text)) if text else ()


def hold(holds: list[Hold], n: Noted, e: Owned) -> None:
    """Take in who holds from an entry's `at` on."""
    at, last, holder = e.at.instant, holds[-1] if holds else None, (n.target, n.queue)
    if last is not None and last.start > at and e.past:
        _fill(holds, n, at, holder)
        return
    goes_on = last is not None and last.stop is None  # one that was gone and is back is seen for the first time again
    base, decided = (last.base, last.decided) if last is not None and goes_on else (NO_BASE, ())
    is_same = last is not None and (last.rep, last.queue) == holder
    if e.by in CONFIRMED_BY_CRM:
        base, decided = (n.target, n.queue, None if e.read_at is None else e.read_at.instant), ()
    elif last is not None and goes_on and not is_same and not _is_base(last, (last.rep, last.queue), n.nobody):
        decided = tuple(dict.fromkeys((*decided, (last.rep, last.queue))))
    if last is not None and last.stop is None and last.start <= at and is_same:
        last.decision, last.base, last.decided = n.number, base, decided
        return
    holds[:] = [h for h in holds if h.start < at]
    for h in holds[-1:]:
        h.base, h.decided = NO_BASE, ()
    if holds and (holds[-1].stop is None or holds[-1].stop > at):
        holds[-1].stop = at
    holds.append(Hold(at, None, n.target, n.queue, n.number, n.number, base, decided))


def _fill(holds: list[Hold], n: Noted, at: int, holder: Holder) -> None:
    """What is known of the past: until the next holding that is known, which begins earlier if it is the same holder's and goes on."""
    following = next(h for h in holds if h.start > at)
    holds[:] = [h for h in holds if h.start != at]
    for h in holds:
        if h.start < at and (h.stop is None or h.stop > at):
            h.stop = at
    if following is holds[-1] and (following.rep, following.queue) == holder:
        following.start, following.entry = at, n.number
        return
    holds.append(Hold(at, following.start, *holder, n.number, n.number))
    holds.sort(key=lambda h: h.start)


def _is_base(h: Hold, holder: Holder, nobody: int) -> bool:
    """Whether a holder is what the CRM showed; nobody is, where it never showed anything."""
    return holder == ((h.base[0], h.base[1]) if h.base[1] is not None else (None, nobody))


def loaded(holds: list[Hold], n: Noted, e: Loaded) -> None:
    """Take in that the CRM shows a decision of ours: the newest, or an earlier one."""
    if not holds or holds[-1].stop is not None:
        return
    last, shown = holds[-1], (n.target, n.queue)
    later = last.decided[last.decided.index(shown) + 1 :] if shown in last.decided else ()
    last.decided = () if shown == (last.rep, last.queue) else later
    last.base = (n.target, n.queue, None if e.read_at is None else e.read_at.instant)


TABLES = ("run", "holding", "latest", "day")
PROJECTIONS = 3  # one more whenever they keep more, so that ledgers of before are made to have it too


def dump(db: Database) -> bytes:
    """Every projection as bytes, to be compared."""
    lines: list[str] = []
    for table, columns, order in (
        ("run", "number, id, last", "number"),
        (
            "holding",
            "subject, role, start, stop, rep, queue, entry, decision, base_rep, base_queue, base_at, decided",
            "subject, role, start",
        ),
        ("latest", "kind, subject, name, entry, open, due", "kind, subject, name"),
        ("day", "rep, day, n", "rep, day"),
    ):
        lines += [f"{table} {tuple(row)}" for row in db.rows(f"SELECT {columns} FROM {table} ORDER BY {order}")]
    return "\n".join(lines).encode()


def clear(db: Database, tables: Iterable[str] = TABLES) -> None:
    for table in tables:
        db.run(f"DELETE FROM {table}")
