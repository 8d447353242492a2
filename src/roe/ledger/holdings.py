"""Who holds and held what, read from the projection that the entries lead to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter

from roe.ledger.database import Database, Row, SqlValue
from roe.ledger.encode import words_of
from roe.ledger.entry import FORGOTTEN
from roe.ledger.moment import At
from roe.ledger.words import Words
from roe.node import node

_BY_RECORD = itemgetter(8, 2, 3)  # subject, role, start
_at = lru_cache(maxsize=4096)(At)  # of moments that many holdings share


@node
class InBook:
    """A record in a role that somebody holds from `start` until `stop` (None while it goes on), and how that came about."""

    entity: str
    record: str
    role: str
    start: At
    stop: At | None
    by: str
    since_unknown: bool
    rule: str
    pool: str


@node
class Holding(InBook):
    """The same with who holds it, a rep, a named queue, or nobody, and all that the ledger knows of it.

    `entry` is the number of the entry that began it: `by`, `former` and `since_unknown` are its. `decision` is the newest that confirmed
    it: `rule`, `pool`, `action` and `until` are its. `base` is what the CRM last showed: (rep, queue, when that was read), or None if it never showed anything.
    """

    rep: str | None
    queue: str
    entry: int
    decision: int
    former: str | None = None
    action: str = ""
    until: At | None = None
    base: tuple[str | None, str, At | None] | None = None
    decided: tuple[tuple[str | None, str], ...] = ()  # our decisions since the base, before this one: (rep, queue)


def book_of(db: Database, words: Words, rep: str, on: At | None) -> list[InBook]:
    """All that a rep holds now, or held at a moment: one question, of which a ledger with years of nights is asked many."""
    when, values = ("h.stop IS NULL", []) if on is None else ("h.start <= ? AND (h.stop IS NULL OR h.stop > ?)", [on.instant, on.instant])
    rows = db.rows(
        "SELECT s.entity, s.record, h.role, h.start, h.stop, h.word, h.grain, h.last_word, h.subject FROM holding h "
        "JOIN subject s ON s.id = h.subject "
        f"WHERE h.rep = (SELECT id FROM subject WHERE record = ? AND entity = ?) AND {when}",
        [rep, words.number("rep"), *values],
    )
    rows.sort(key=_BY_RECORD)  # a database takes longer to sort a few
    return [InBook(*_in_book(row[:8], words)) for row in rows]


def _in_book(row: Row, words: Words) -> tuple[str, str, str, At, At | None, str, bool, str, str]:
    entity, record, role, start, stop, word, grain, last_word = row
    text = words.text
    is_day, zone, by, since_unknown, rule, pool = _how(text(word), text(grain), text(last_word))
    return (
        text(entity), FORGOTTEN if record is None else record, text(role), _at(start, is_day, zone),
        None if stop is None else _at(stop, is_day, zone), by, since_unknown, rule, pool,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _how(word: str, grain: str, last_word: str) -> tuple[bool, str, str, bool, str, str]:
    """(whether a day is meant, the zone, `by`, `since_unknown`, `rule`, `pool`), of which many holdings have the same."""
    began, newest = words_of(word), words_of(last_word)
    zone = grain[grain.index(" ") + 1 :]
    return grain[0] == "d", zone, began.get("by", "rule"), began.get("since_unknown", False), newest.get("rule", ""), newest.get("pool", "")


def holdings_where(db: Database, words: Words, where: str, values: Sequence[SqlValue] = ()) -> list[Holding]:
    """The holdings for which a condition holds, by record, role and time. In it `h` is the holding and `s` its subject."""
    rows = db.rows(
        "SELECT s.entity, s.record, h.role, h.start, h.stop, h.word, h.grain, h.last_word, d.grain, d.until, r.record, h.rep, h.queue, h.entry, "
        "h.decision, f.record, a.former, b.record, h.base_rep, h.base_queue, h.base_at, h.decided FROM holding h "
        "JOIN subject s ON s.id = h.subject JOIN entry a ON a.number = h.entry JOIN entry d ON d.number = h.decision "
        "LEFT JOIN subject r ON r.id = h.rep LEFT JOIN subject f ON f.id = a.former LEFT JOIN subject b ON b.id = h.base_rep "
        f"WHERE {where} ORDER BY h.subject, h.role, h.start", values,
    )  # fmt: skip
    return [_holding(row, db, words) for row in rows]


def _holding(row: Row, db: Database, words: Words) -> Holding:
    last_word, last_grain, until, rep, rep_id, queue, number, decision, former, former_id, base, base_id, base_queue, base_at, decided = (
        row[7:]
    )
    text, rep_of = words.text, words.rep
    in_book = _in_book(row[:8], words)
    zone = in_book[3].zone
    return Holding(
        *in_book, rep_of(rep_id, rep), text(queue), number, decision, rep_of(former_id, former), words_of(text(last_word)).get("action", ""),
        None if until is None else At(until, text(last_grain)[1] == "d", zone),
        _base(rep_of(base_id, base), text(base_queue) if base_queue is not None else None, None if base_at is None else At(base_at, False, zone)),
        _decided(decided, db, words) if decided else (),
    )  # fmt: skip


def _base(rep: str | None, queue: str | None, read_at: At | None) -> tuple[str | None, str, At | None] | None:
    """What the CRM showed last; nobody, where nothing but the time is known, and None where not even that."""
    return None if queue is None and read_at is None else (rep, queue or "", read_at)


def _decided(written: str, db: Database, words: Words) -> tuple[tuple[str | None, str], ...]:
    """(rep, queue) of each decision, from the JSON of their numbers."""
    return tuple((_record(rep, db, words), words.text(queue)) for rep, queue in json.loads(written))


def _record(rep: int | None, db: Database, words: Words) -> str | None:
    return None if rep is None else words.rep(rep, db.rows("SELECT record FROM subject WHERE id = ?", (rep,))[0][0])
