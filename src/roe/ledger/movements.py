"""What moved, as the ledger has it: changes of owner since a day, what the CRM does not show yet, and how often each rule decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice

from roe.dynamic import Saved
from roe.ledger.encode import words_of
from roe.ledger.entries import Owned
from roe.ledger.entry import Entry, Stored
from roe.ledger.holdings import Holding
from roe.ledger.moment import At
from roe.ledger.store import Store

PAGE = 2_000  # entries that are read together
BY_PEOPLE = ("hand", "system", "claim", "exception", "undo", "correction")
ALSO = {
    "hand": "by hand",
    "system": "another system",
    "claim": "a claim",
    "exception": "an exception",
    "undo": "an undo",
    "correction": "a correction",
}


@dataclass(frozen=True, slots=True)
class Move:
    """A change of owner that the ledger has. `how` is rules, hand or time."""

    number: int
    at: date | datetime
    entity: str
    record: str
    role: str
    owner: str | None
    previous: str | None
    how: str
    rule: str
    pool: str
    why: str


def moves_since(store: Store, since: date, most: int) -> tuple[list[Move], bool]:
    """(the changes of owner that hold from a day on, the newest first; whether there are more than are read)."""
    first = _first_since(store, since)
    if first is None:
        return [], False
    moves = list(islice(_moves_from(store, since, first), most + 1))
    more, moves = len(moves) > most, moves[:most]
    ends = _ends_before(store, [x.number for x in moves])
    return [_move(x, ends.get(x.number)) for x in moves], more


def _moves_from(store: Store, since: date, first: int) -> Iterator[Stored]:
    """The entries that change an owner, from the newest back to a number; what is none of them is left to the database as far as it can tell."""
    kind, skipped = store.words.number("owned"), _words(store, lambda w: w.get("by") == "import" or bool(w.get("past")))
    end = store.head().number + 1
    while True:
        rows = store.entries_where(
            "kind = ? AND number >= ? AND number < ? AND at >= ? AND (target IS NULL OR former IS NULL OR target <> former) "
            f"AND word NOT IN ({','.join('?' * len(skipped)) or '-1'}) ORDER BY number DESC LIMIT {PAGE}",
            (kind, first, end, _earliest(since), *skipped),
        )
        yield from (x for x in reversed(rows) if _is_move(x.entry, since))
        if len(rows) < PAGE:
            return
        end = rows[0].number


def _earliest(since: date) -> int:
    """When a day begins anywhere on earth, in microseconds since 1970 UTC."""
    return At.of(since, "+14:00").instant


def _first_since(store: Store, since: date) -> int | None:
    """The number of the first run of a day or later; what came before it is of earlier days."""
    rows = store.db.rows("SELECT min(r.number) FROM run r JOIN entry e ON e.number = r.number WHERE e.at >= ?", (_earliest(since),))
    return None if rows[0][0] is None else int(rows[0][0])


def _words(store: Store, holds: Callable[[Saved], bool]) -> list[int]:
    """The ids of the words of entries for which something holds."""
    store.words.read()
    return [id_ for id_, text in store.words.texts.items() if text.startswith("{") and holds(words_of(text))]


def _ends_before(store: Store, numbers: list[int]) -> dict[int, int | None]:
    """Of each entry about an owner until when the one before it had the record, in microseconds since 1970."""
    ends: dict[int, int | None] = {}
    for at in range(0, len(numbers), 500):
        some = numbers[at : at + 500]
        ends |= dict(store.db.rows(
            "SELECT e.number, (SELECT p.until FROM entry p WHERE p.subject = e.subject AND p.kind = e.kind AND p.name = e.name AND p.number < e.number "
            f"ORDER BY p.number DESC LIMIT 1) FROM entry e WHERE e.number IN ({','.join('?' * len(some))})", some,
        ))  # fmt: skip
    return ends


def pending(store: Store, most: int) -> tuple[list[Holding], int]:
    """(the newest holdings that were decided and that the CRM does not show yet, how many there are)."""
    differs = "COALESCE(h.rep, -1) <> COALESCE(h.base_rep, -1) OR h.queue <> h.base_queue"
    where = f"h.stop IS NULL AND h.base_queue IS NOT NULL AND ({differs})"
    n = int(store.db.rows(f"SELECT count(*) FROM holding h WHERE {where}")[0][0])
    newest = f"h.entry IN (SELECT h.entry FROM holding h WHERE {where} ORDER BY h.entry DESC LIMIT {int(most)})"
    return (sorted(store.holdings_where(f"{where} AND {newest}"), key=lambda h: -h.entry) if n else []), n


def _is_move(e: Entry, since: date) -> bool:
    return isinstance(e, Owned) and (e.rep or e.queue or None) != e.former and e.at.date >= since and not e.past and e.by != "import"


def _move(x: Stored, ended: int | None) -> Move:
    e = x.entry
    assert isinstance(e, Owned)
    at = e.at
    how = "hand" if e.by in BY_PEOPLE else "time" if ended is not None and ended <= at.instant else "rules"
    owner = e.rep or (f"queue {e.queue}" if e.queue else None)
    return Move(
        x.number, at.date if at.day else at.local, e.entity, e.record, e.role, owner, e.former, how, e.rule if how != "hand" else ALSO.get(e.by, e.by), e.pool,
        "erased" if x.erased else e.sentence,
    )  # fmt: skip


def count_rules(store: Store, since: date) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(entity, role, rule) -> (how often it decided since a day, how often somebody took that back since)."""
    first = _first_since(store, since)
    kind = store.words.number("owned")
    if first is None or not kind:
        return {}
    day = At.of(since, "UTC").instant
    decided: Counter[tuple[str, str, str]] = Counter()
    for entity, name, word, n in store.db.rows(
        "SELECT s.entity, e.name, e.word, count(*) FROM entry e JOIN subject s ON s.id = e.subject "
        "WHERE e.number >= ? AND e.kind = ? AND e.at >= ? GROUP BY s.entity, e.name, e.word", (first, kind, day),
    ):  # fmt: skip
        rule = words_of(store.words.text(word)).get("rule", "")
        if rule:
            decided[store.words.text(entity), store.words.text(name), rule] += n
    overridden: Counter[tuple[str, str, str]] = Counter()
    people = _words(store, lambda w: w.get("by", "rule") in BY_PEOPLE)
    if people:
        marks = ",".join("?" * len(people))
        rows = store.db.rows(
            "SELECT s.entity, e.name, (SELECT p.word FROM entry p WHERE p.subject = e.subject AND p.kind = e.kind AND p.name = e.name "
            f"AND p.number < e.number ORDER BY p.number DESC LIMIT 1) FROM entry e JOIN subject s ON s.id = e.subject "
            f"WHERE e.number >= ? AND e.kind = ? AND e.at >= ? AND e.word IN ({marks})", (first, kind, day, *people),
        )  # fmt: skip
        for entity, name, word in rows:
            rule = words_of(store.words.text(word)).get("rule", "") if word is not None else ""
            if rule:
                overridden[store.words.text(entity), store.words.text(name), rule] += 1
    return {key: (decided[key], overridden[key]) for key in {*decided, *overridden}}
