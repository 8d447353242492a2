"""Who holds and held what, read from the projection that the entries lead to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from roe.ledger.database import Database, Row, SqlValue
from roe.ledger.encode import words_of
from roe.ledger.entry import FORGOTTEN
from roe.ledger.moment import At
from roe.ledger.words import Words


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


def holdings_where(db: Database, words: Words, where: str, values: Sequence[SqlValue] = ()) -> list[Holding]:
    """The holdings for which a condition holds, by record, role and time. In it `h` is the holding and `s` its subject."""
    rows = db.rows(
        "SELECT s.entity, s.record, h.role, r.record, h.rep, h.queue, h.start, h.stop, h.entry, h.decision, a.word, a.grain, f.record, "
        "a.former, d.word, d.grain, d.until, b.record, h.base_rep, h.base_queue, h.base_at, h.decided FROM holding h "
        "JOIN subject s ON s.id = h.subject JOIN entry a ON a.number = h.entry JOIN entry d ON d.number = h.decision "
        "LEFT JOIN subject r ON r.id = h.rep LEFT JOIN subject f ON f.id = a.former LEFT JOIN subject b ON b.id = h.base_rep "
        f"WHERE {where} ORDER BY h.subject, h.role, h.start", values,
    )  # fmt: skip
    return [_holding(row, db, words) for row in rows]


def _holding(row: Row, db: Database, words: Words) -> Holding:
    (entity, record, role, rep, rep_id, queue, start, stop, number, decision, word, grain, former, former_id, last_word, last_grain,
     until, base, base_id, base_queue, base_at, decided) = row  # fmt: skip
    text, rep_of = words.text, words.rep
    began, newest, grain, last_grain = words_of(text(word)), words_of(text(last_word)), text(grain), text(last_grain)
    zone = grain[grain.index(" ") + 1 :]
    return Holding(
        text(entity), FORGOTTEN if record is None else record, text(role), rep_of(rep_id, rep), text(queue), At(start, grain[0] == "d", zone),
        None if stop is None else At(stop, grain[0] == "d", zone), number, decision, began.get("by", "rule"), rep_of(former_id, former),
        began.get("since_unknown", False), newest.get("rule", ""), newest.get("action", ""), newest.get("pool", ""),
        None if until is None else At(until, last_grain[1] == "d", zone),
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
