"""What is so now, and what was so on a day: made from the entries alone, so that it can be made again and compared.

`holding` has who holds a record in a role from when to when. An entry says who holds from its `at` on, as far as anybody knows: what was
known of later times before gives way. One that names the same holder again confirms the holding and does not begin another. An entry about the `past` fills in only the time until the next holding that is known.
`latest` has of each key the entry that counts, whether it is still open, and when it falls due. `day` has what caps count.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from roe.ledger.database import Database, Row
from roe.ledger.entries import CONFIRMED_BY_CRM, Claimed, Loaded, Owned, RunEntry, Turn
from roe.ledger.entry import Entry
from roe.ledger.moment import At

CHUNK = 500  # records whose projections are read and written together
GONE = ("merged", "deleted")  # what ends all that is open of a record, in every role
CLOSES: Mapping[str, tuple[str, ...]] = {  # kind -> the kinds of the same key that it ends
    "turn-back": ("turn",), "returned": ("claimed", "turn"), "answered": ("referred",), "restored": ("gone",),
    "excepted": ("requested",), "declined": ("requested",),
    "merged": ("turn", "claimed", "referred", "until"), "deleted": ("turn", "claimed", "referred", "until"),
}  # fmt: skip
KEPT = (
    "turn", "returned", "referred", "answered", "frozen", "raised", "seen", "standing", "placed", "cycle", "activated", "evidence", "requested",
    "excepted", "away", "weighed", "reviewed",
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
    word: int = 0
    grain: int = 0


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
    word: int  # of the entry that began it, as is the grain: what a rep's book says of it, with no entry read
    grain: int
    last_word: int  # of the newest that confirmed it
    entry: int  # that began it
    decision: int  # the newest that confirmed it
    base: Base = NO_BASE
    decided: tuple[Holder, ...] = ()  # our decisions since the base, before this one

    @property
    def holder(self) -> Holder:
        return self.rep, self.queue


Key = tuple[int, int]  # subject, role
LatestKey = tuple[int, int, int]  # kind, subject, name
Latest = tuple[int, int, int | None]  # entry, open, due
HoldRow = tuple[
    int, int | None, int | None, int, int, int, int, int, int, int | None, int | None, int | None, str | None
]  # the columns of HOLDING from `start`
HOLDING = "subject, role, start, stop, rep, queue, word, grain, last_word, entry, decision, base_rep, base_queue, base_at, decided"
INDEXED = 7  # of the columns from `start` on those that an index has, or that say who holds: where they stay, no index is written
_INDEXED = "stop = ?, rep = ?, queue = ?, word = ?, grain = ?, last_word = ?"
_OTHERS = "entry = ?, decision = ?, base_rep = ?, base_queue = ?, base_at = ?, decided = ?"
_THIS = "WHERE subject = ? AND role = ? AND start = ?"


class Holds(dict[Key, list[Hold]]):
    """The holdings of some records by time. They are made from their `rows` when somebody asks for them, so those that are here may have changed."""

    def __init__(self, rows: Mapping[Key, Sequence[HoldRow]]) -> None:
        super().__init__()
        self.rows = rows

    def __missing__(self, key: Key) -> list[Hold]:
        holds = self[key] = [_hold(row) for row in self.rows.get(key, ())]
        return holds


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
        these = f"subject IN ({','.join('?' * len(subjects))})"
        holdings, latest = self.db.together(
            [
                (f"SELECT {HOLDING} FROM holding WHERE {these} ORDER BY subject, role, start", subjects),
                (f"SELECT kind, subject, name, entry, open, due FROM latest WHERE {these}", subjects),
            ]
        )
        chunk = _Chunk(self.word, Holds(_by_key(holdings)), {(k, s, n): (e, o, d) for k, s, n, e, o, d in latest})
        latest_before = dict(chunk.latest)
        for n in noted:
            chunk.take(n)
        self._write_holdings(chunk.held)
        self._write_latest(latest_before, chunk.latest)
        for (rep, day), count in chunk.days.items():
            self.db.run(
                "INSERT INTO day (rep, day, n) VALUES (?, ?, ?) ON CONFLICT (rep, day) DO UPDATE SET n = day.n + excluded.n",
                (rep, day, count),
            )
        if chunk.runs:
            self.db.many("INSERT INTO run (number, id, last) VALUES (?, ?, ?)", chunk.runs)

    # --- writing -------------------------------------------------------------------------------------------------------

    def _write_holdings(self, held: Holds) -> None:
        gone, closed, confirmed, reopened, new = (list[tuple[int | str | None, ...]]() for _ in range(5))
        for key, holds in held.items():
            old = {row[0]: row for row in held.rows.get(key, ())}
            for row in map(_row, holds):
                before = old.pop(row[0], None)
                if before is None:
                    new.append((*key, *row))
                elif before[:INDEXED] != row[:INDEXED]:
                    (reopened if row[1] is None else closed).append((*row[1:], *key, row[0]))
                elif before != row:
                    confirmed.append((*row[INDEXED:], *key, row[0]))
            gone += [(*key, start) for start in old]
        self.db.many(f"DELETE FROM holding {_THIS}", gone)
        self.db.many(f"UPDATE holding SET {_INDEXED}, {_OTHERS} {_THIS}", closed)  # before others open: of a record and role one may be
        self.db.many(f"UPDATE holding SET {_OTHERS} {_THIS}", confirmed)
        self.db.many(f"UPDATE holding SET {_INDEXED}, {_OTHERS} {_THIS}", reopened)
        self.db.many(f"INSERT INTO holding ({HOLDING}) VALUES ({', '.join('?' * 15)})", new)

    def _write_latest(self, before: Mapping[LatestKey, Latest], latest: Mapping[LatestKey, Latest]) -> None:
        changed = [key for key, value in before.items() if latest.get(key) != value]
        self.db.many("DELETE FROM latest WHERE kind = ? AND subject = ? AND name = ?", changed)
        added = [(*key, *value) for key, value in latest.items() if before.get(key) != value]
        self.db.many("INSERT INTO latest (kind, subject, name, entry, open, due) VALUES (?, ?, ?, ?, ?, ?)", added)


@dataclass(slots=True)
class _Chunk:
    """The projections of some subjects in memory, to which entries are applied. `days` counts what caps count by rep and day."""

    word: Callable[[str], int]
    held: Holds
    latest: dict[LatestKey, Latest]
    days: Counter[tuple[int, str]] = field(default_factory=Counter)
    runs: list[tuple[int, str, int]] = field(default_factory=list)  # number, id, the last entry's number

    def take(self, n: Noted) -> None:
        e = n.entry
        if isinstance(e, Owned):
            self._owned(n, e)
        elif isinstance(e, Loaded):
            loaded(self.held[n.subject, n.name], n, e)
        elif isinstance(e, Turn) and e.counted and n.target is not None:
            self.days[n.target, str(e.at.date)] += 1
        elif isinstance(e, Claimed):
            self._claimed(n, e)
        elif isinstance(e, RunEntry):
            self.runs.append((n.number, e.id, n.number))
        if e.KIND in KEPT:
            self._note(e.KIND, n, getattr(e, "until", None), getattr(e, "up", True))
        if e.KIND in GONE:
            self.latest[self.word("gone"), n.subject, 0] = (n.number, 1, None)
        self._close(n)

    def _owned(self, n: Noted, e: Owned) -> None:
        hold(self.held[n.subject, n.name], n, e)
        if e.until is None:
            self.latest.pop((self.word("until"), n.subject, n.name), None)
            return
        self._note("until", n, e.until)
        if e.rule and e.action == "assign":  # the rule's own hold, whatever decides the record later
            self.latest[self.word("hold"), n.subject, self.word(f"{e.role}\t{e.rule}")] = (n.number, 1, None)

    def _note(self, kind: str, n: Noted, until: At | None, is_open: bool = True) -> None:
        self.latest[self.word(kind), n.subject, n.name] = (n.number, int(is_open), None if until is None else until.instant)

    def _claimed(self, n: Noted, e: Claimed) -> None:
        granted = e.status == "granted"
        if granted or (e.status == "ended" and (self.word("claimed"), n.subject, n.name) in self.latest):
            self._note("claimed", n, e.until, granted)
        if n.former is not None:
            self.latest[self.word("claim"), n.former, 0] = (n.number, int(granted), None)

    def _close(self, n: Noted) -> None:
        """End what an entry ends: of the same key, or of the whole record."""
        kind = n.entry.KIND
        if kind not in CLOSES:
            return
        ended = {self.word(k) for k in CLOSES[kind]}
        for key, (entry, is_open, due) in list(self.latest.items()):
            if key[0] in ended and key[1] == n.subject and is_open and (kind in (*GONE, "restored") or key[2] == n.name):
                self.latest[key] = (entry, 0, due)
        if kind in GONE:
            for key in {*self.held.rows, *self.held}:
                holds = self.held[key] if key[0] == n.subject else ()
                if holds and holds[-1].stop is None:
                    holds[-1].stop = max(n.entry.at.instant, holds[-1].start)


def _by_key(rows: Sequence[Row]) -> dict[Key, list[HoldRow]]:
    """Rows with the columns of HOLDING, by record and role."""
    by_key: dict[Key, list[HoldRow]] = {}
    for subject, role, *row in rows:
        by_key.setdefault((subject, role), []).append(tuple(row))
    return by_key


def _hold(row: HoldRow) -> Hold:
    start, stop, rep, queue, word, grain, last_word, entry, decision, base_rep, base_queue, base_at, decided = row
    return Hold(start, stop, rep, queue, word, grain, last_word, entry, decision, (base_rep, base_queue, base_at), _holders(decided))


def _row(h: Hold) -> HoldRow:
    decided = _ENCODER.encode(h.decided) if h.decided else None
    return (h.start, h.stop, h.rep, h.queue, h.word, h.grain, h.last_word, h.entry, h.decision, *h.base, decided)


def _holders(text: str | None) -> tuple[Holder, ...]:
    return tuple((rep, queue) for rep, queue in json.loads(text)) if text else ()


def hold(holds: list[Hold], n: Noted, e: Owned) -> None:
    """Take in who holds from an entry's `at` on."""
    at, last, holder = e.at.instant, holds[-1] if holds else None, (n.target, n.queue)
    if last is not None and last.start > at and e.past:
        _fill(holds, n, at, holder)
        return
    base, decided = _base_after(last, n, e)
    if last is not None and last.stop is None and last.start <= at and last.holder == holder:
        last.decision, last.last_word, last.base, last.decided = n.number, n.word, base, decided
        return
    holds[:] = [h for h in holds if h.start < at]
    for h in holds[-1:]:
        h.base, h.decided = NO_BASE, ()
    if holds and (holds[-1].stop is None or holds[-1].stop > at):
        holds[-1].stop = at
    holds.append(Hold(at, None, n.target, n.queue, n.word, n.grain, n.word, n.number, n.number, base, decided))


def _base_after(last: Hold | None, n: Noted, e: Owned) -> tuple[Base, tuple[Holder, ...]]:
    """What the CRM has shown last, and our decisions since then, once an entry says who holds."""
    if e.by in CONFIRMED_BY_CRM:
        return (n.target, n.queue, None if e.read_at is None else e.read_at.instant), ()
    if last is None or last.stop is not None:  # a record that was gone and is back is seen for the first time again
        return (None, None, None if e.read_at is None else e.read_at.instant), ()
    if last.holder == (n.target, n.queue) or _is_base(last, n.nobody):
        return last.base, last.decided
    return last.base, tuple(dict.fromkeys((*last.decided, last.holder)))


def _fill(holds: list[Hold], n: Noted, at: int, holder: Holder) -> None:
    """What is known of the past: until the next holding that is known, which begins earlier if it is the same holder's and goes on."""
    following = next(h for h in holds if h.start > at)
    holds[:] = [h for h in holds if h.start != at]
    for h in holds:
        if h.start < at and (h.stop is None or h.stop > at):
            h.stop = at
    if following is holds[-1] and following.stop is None and following.holder == holder:
        following.start, following.entry, following.word, following.grain = at, n.number, n.word, n.grain
        return
    holds.append(Hold(at, following.start, *holder, n.word, n.grain, n.word, n.number, n.number))
    holds.sort(key=lambda h: h.start)


def _is_base(h: Hold, nobody: int) -> bool:
    """Whether its holder is what the CRM showed; nobody is, where it never showed anything."""
    return h.holder == ((h.base[0], h.base[1]) if h.base[1] is not None else (None, nobody))


def loaded(holds: list[Hold], n: Noted, e: Loaded) -> None:
    """Take in that the CRM shows a decision of ours: the newest, or an earlier one."""
    if not holds or holds[-1].stop is not None:
        return
    last, shown = holds[-1], (n.target, n.queue)
    later = last.decided[last.decided.index(shown) + 1 :] if shown in last.decided else ()
    last.decided = () if shown == last.holder else later
    last.base = (n.target, n.queue, None if e.read_at is None else e.read_at.instant)


TABLES = ("run", "holding", "latest", "day", "snapshot")  # the last is made from holdings
PROJECTIONS = 4  # one more whenever they keep more, or other things, so that ledgers of before are made to have it too


def dump(db: Database) -> bytes:
    """Every projection as bytes, to be compared."""
    lines: list[str] = []
    for table, columns, order in (
        ("run", "number, id, last", "number"),
        ("holding", HOLDING, "subject, role, start"),
        ("latest", "kind, subject, name, entry, open, due", "kind, subject, name"),
        ("day", "rep, day, n", "rep, day"),
    ):
        lines += [f"{table} {tuple(row)}" for row in db.rows(f"SELECT {columns} FROM {table} ORDER BY {order}")]
    return "\n".join(lines).encode()


def clear(db: Database) -> None:
    for table in TABLES:
        db.run(f"DELETE FROM {table}")
