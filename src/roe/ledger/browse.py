"""Entries to look through, page by page: filtered, the newest first, and never all of them at once.

What has an index (a record, a run) is found by it. Anything else is looked for among some entries at a time, so that a page takes as long
in a ledger of millions as in a small one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from roe.ledger.entry import Stored
from roe.ledger.moment import At
from roe.ledger.store import Store

LOOKED_AT = 250_000  # entries that are looked at for a page


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries. Empty filters let all pass. `record` is an id, of whatever entity if `entity` is empty; a rep is one who has, had or
    is the record. `without` names kinds that are left out.

    `since` and `until` are the first and the last day on which an entry begins to hold, in `zone`. `run` is an id or a number.
    """

    kind: str = ""
    rep: str = ""
    entity: str = ""
    record: str = ""
    run: str = ""
    since: date | None = None
    until: date | None = None
    zone: str = "UTC"
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries of a page, the newest first. `before` is the number that the next page begins below, None on the last one."""

    entries: list[Stored]
    before: int | None


def newest(store: Store, wanted: EntryFilter, before: int | None, most: int) -> EntryPage:
    """The newest entries below a number that answer to the filters."""
    end = store.head().number + 1 if before is None else before
    chosen = _chosen(store, wanted, end)
    if chosen is None:
        return EntryPage([], None)
    first = chosen.first if wanted.record else max(chosen.first, chosen.end - LOOKED_AT)
    number = "+number" if wanted.record else "number"  # a record has an index of its own, which this leaves to the database
    rows = store.entries_where(
        f"{chosen.where} AND {number} >= ? AND {number} < ? ORDER BY number DESC LIMIT ?", [*chosen.values, first, chosen.end, most + 1]
    )
    rows.reverse()
    if len(rows) > most:
        return EntryPage(rows[:most], rows[most - 1].number)
    return EntryPage(rows, first if first > chosen.first else None)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The filters in SQL, and the numbers from `first` up to `end`, which is not one of them."""

    where: str
    values: list[int]
    first: int
    end: int


def _chosen(store: Store, wanted: EntryFilter, end: int) -> _Chosen | None:
    """None if nothing can answer, such as for a record that the ledger does not know."""
    where, values, first = ["1 = 1"], list[int](), 1
    if wanted.kind:
        where, values = [*where, "kind = ?"], [*values, store.words.number(wanted.kind)]
    if wanted.without and (words := [word for kind in wanted.without if (word := store.words.number(kind))]):
        where, values = [*where, f"kind NOT IN ({','.join('?' * len(words))})"], [*values, *words]
    if wanted.record:
        ids = _subjects(store, wanted)
        if not ids:
            return None
        where, values = [*where, f"subject IN ({','.join('?' * len(ids))})"], [*values, *ids]
    if wanted.rep:
        rep = store.words.subject("rep", wanted.rep)
        if rep is None:
            return None
        where, values = [*where, "(target = ? OR former = ? OR subject = ?)"], [*values, rep, rep, rep]
    if wanted.since is not None:
        where, values = [*where, "at >= ?"], [*values, At.of(wanted.since, wanted.zone).instant]
    if wanted.until is not None:
        where, values = [*where, "at < ?"], [*values, At.of(wanted.until + timedelta(days=1), wanted.zone).instant]
    if wanted.run:
        by = "number" if wanted.run.isdecimal() and len(wanted.run) < 16 else "id"
        runs = store.db.rows(f"SELECT number, last FROM run WHERE {by} = ?", (int(wanted.run) if by == "number" else wanted.run,))
        if not runs:
            return None
        where, values = [*where, "run = ?"], [*values, runs[0][0]]
        first, end = runs[0][0], min(end, runs[0][1] + 1)
    return _Chosen(" AND ".join(where), values, first, end)


def _subjects(store: Store, wanted: EntryFilter) -> list[int]:
    """The numbers of the records with an id: of one entity, or of each that has one."""
    if wanted.entity:
        number = store.words.subject(wanted.entity, wanted.record)
        return [] if number is None else [number]
    return [row[0] for row in store.db.rows("SELECT id FROM subject WHERE record = ?", (wanted.record,))]
