"""The entries of a ledger as its rows have them, put together again; and where they end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from roe.dynamic import Json
from roe.ledger.database import Database, Query, Row, SqlValue
from roe.ledger.encode import Draft, entry, unpacked, whole
from roe.ledger.entry import Stored
from roe.ledger.words import Words

COLUMNS = (
    "e.number, e.run, e.kind, e.subject, s.entity, s.record, e.name, e.at, e.grain, e.until, e.recorded, "
    "e.target, t.entity, t.record, e.former, f.entity, f.record, e.word, e.fact, e.digest, v.value, x.value"
)
SUBJECT, TARGET, FORMER = 3, 11, 14  # the places of the subjects' numbers in such a row
JOINS = (
    "LEFT JOIN subject s ON s.id = e.subject LEFT JOIN subject t ON t.id = e.target LEFT JOIN subject f ON f.id = e.former "
    "LEFT JOIN value v ON v.number = e.number LEFT JOIN evidence x ON x.number = e.number"
)
PAGE = 5_000  # entries that are read or written together
_START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain. A cursor is (`epoch`, `number`): a restored backup begins a new epoch."""

    epoch: str
    number: int
    hash: bytes

    @property
    def anchor(self) -> Json:
        """What ties a file outside of the ledger to it (see `roe.ledger.audit.anchored`)."""
        return {"epoch": self.epoch, "number": self.number, "hash": self.hash.hex()}

    @property
    def base(self) -> Json:
        """Where it ends, whatever is in it; the epoch is empty while it has no entry."""
        return {"epoch": self.epoch if self.number else "", "number": self.number}


HEAD: Query = ("SELECT epoch, number, hash FROM head", ())


def read_head(db: Database) -> Head:
    """The end of a ledger."""
    return head_of(db.rows(*HEAD))


def head_of(rows: Sequence[Row]) -> Head:
    """What the rows of `HEAD` say; of a ledger without entries, the number 0 and no epoch."""
    return Head(rows[0][0], rows[0][1], bytes(rows[0][2])) if rows else Head("", 0, b"")


def entry_rows(db: Database, where: str, values: Sequence[SqlValue]) -> list[Row]:
    """The rows of the entries for which a condition on the table `entry` holds, by number."""
    return db.rows(f"SELECT {COLUMNS} FROM (SELECT * FROM entry WHERE {where}) e {JOINS} ORDER BY e.number", values)


def entries_where(db: Database, words: Words, where: str, values: Sequence[SqlValue]) -> list[Stored]:
    """The same as entries."""
    return [stored_of(row, words)[0] for row in entry_rows(db, where, values)]


def entries_after(db: Database, words: Words, after: int, upto: int, kinds: Sequence[str] = ()) -> Iterator[Stored]:
    """The entries after a number and up to another one; read in pages, so that no transaction stays open."""
    some, numbers = some_kinds(words, kinds)
    while after < upto:
        end = min(after + PAGE, upto)
        yield from entries_where(db, words, "number > ? AND number <= ?" + some, (after, end, *numbers))
        after = end


def some_kinds(words: Words, kinds: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The condition that an entry is of one of some kinds, and its values; nothing for no kinds, which means all."""
    numbers = tuple(words.number(kind) for kind in kinds)
    return (f" AND kind IN ({','.join('?' * len(numbers))})", numbers) if kinds else ("", ())


def stored_of(row: Row, words: Words) -> tuple[Stored, Draft]:
    """The entry of a row, and what it was put together from."""
    (number, run, kind, s, s_entity, s_record, name, at, grain, until, recorded, t, t_entity, t_record, f, f_entity, f_record,
     word, fact, digest, value, evidence) = row  # fmt: skip
    text = words.text
    content = whole(bytes(value)) if value is not None else unpacked(bytes(evidence)) if evidence is not None else None
    d = Draft(
        text(kind), words.named(s, s_entity, s_record), text(name), at, text(grain), until, words.named(t, t_entity, t_record),
        words.named(f, f_entity, f_record), text(word), fact, content,
    )  # fmt: skip
    erased = digest is not None and content is None
    is_forgotten = erased or any(i is not None and record is None for i, record in ((s, s_record), (t, t_record), (f, f_record)))
    return Stored(number, run, utc(recorded), entry(d, erased), is_forgotten), d


def utc(instant: int) -> datetime:
    """A moment in microseconds since 1970 UTC."""
    return _START + timedelta(microseconds=instant)
