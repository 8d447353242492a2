"""The service's tables in the ledger's database: the mirror, what is known, stored answers, inbox and outbox.

Everything that one group of requests changes is written in one transaction, under the ledger's lock, before any of them is
answered. `seq` counts these commits. A server that finds a newer one reads what changed since its own before it decides.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from roe.dynamic import Json
from roe.ledger.database import Database, Query, Row, SqlValue
from roe.serve.state import Change, compact
from roe.serve.versions import Mirrored

DAY = 24 * 60 * 60 * 1000  # milliseconds
KEEP_ANSWERS = KEEP_INBOX = 7 * DAY
CHUNK = 500  # values in one `IN` list
_LEARNT = "entity, id, fields, deleted"
_RECORD = "entity, id, fields, versions, deleted"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given: HTTP status and JSON. `digest` is that of the request which had it."""

    key: str
    digest: str
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A message for one receiver. Letters about one subject go in the order of their numbers."""

    number: int
    receiver: str
    kind: str
    subject: str
    body: str
    at: int


@dataclass(slots=True)
class Writes:
    """What one group of requests leaves behind in the service's tables."""

    records: dict[tuple[str, str], Mirrored] = field(default_factory=dict)
    known: list[Change] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    inbox: list[tuple[str, str, str]] = field(default_factory=list)  # source, message, subject
    letters: list[Letter] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.known or self.answers or self.inbox or self.letters)


@dataclass(frozen=True, slots=True)
class News:
    """What a group of requests begins with: the last commit, what changed after the one that the server knows, and what is there for the requests."""

    seq: int
    known: list[Change]
    records: list[Mirrored]
    mirrored: dict[tuple[str, str], Mirrored]  # the records that requests touch
    answers: dict[str, Answer]  # that their keys have had


class Opening:
    """The questions whose answers are `News`, to be asked all at once with the lock that they need."""

    def __init__(self, after: int, touched: Iterable[tuple[str, str]], keys: Sequence[str]) -> None:
        self._records, self._answers = _records_of(touched), _among(_ANSWERS, keys)
        self.queries = [_SEQ, _known_after(after), _records_after(after), *self._records, *self._answers]

    def news(self, found: Sequence[list[Row]]) -> News:
        (((seq,),), known, records), rest = found[:3], found[3:]
        mirrored, answers = rest[: len(self._records)], rest[len(self._records) :]
        return News(
            seq,
            _changes(known),
            _learnt(records),
            {(x.entity, x.id): x for rows in mirrored for x in map(_mirrored, rows)},
            {x.key: x for rows in answers for x in map(_answer, rows)},
        )


class ServiceStore:
    """One connection. Reads need no transaction; `write` belongs into one that `begin` has opened."""

    def __init__(self, db: Database) -> None:
        self.db = db

    # --- reading ----------------------------------------------------------------------------------------------------

    def seq(self) -> int:
        return int(self.db.rows(*_SEQ)[0][0])

    def records_since(self, seq: int) -> list[Mirrored]:
        """Records that changed after a commit, to be learnt; all records after -1."""
        return _learnt(self.db.rows(*_records_after(seq)))

    def records_beside(self, entities: Collection[str], seq: int) -> list[Mirrored]:
        """The records of all other entities up to a commit, to be learnt."""
        marks = ", ".join("?" * len(entities))
        return _learnt(self.db.rows(f"SELECT {_LEARNT} FROM mirror WHERE entity NOT IN ({marks}) AND seq <= ?", (*entities, seq)))

    def texts(self, entity: str, seq: int) -> list[Row]:
        """(id, text) of the records of an entity that have not changed after a commit, in the database's order of ids."""
        return self.db.rows("SELECT id, fields FROM mirror WHERE entity = ? AND deleted = 0 AND seq <= ? ORDER BY id", (entity, seq))

    def changed_since(self, seq: int) -> int:
        """How many records have changed after a commit."""
        return int(self.db.rows("SELECT count(*) FROM mirror WHERE seq > ?", (seq,))[0][0])

    def known_since(self, seq: int) -> list[Change]:
        return _changes(self.db.rows(*_known_after(seq)))

    def records(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Mirrored]:
        """The records of the mirror, deleted ones included, by entity and id."""
        return {(x.entity, x.id): x for x in map(_mirrored, self._rows(_records_of(wanted)))}

    def known(self, wanted: Iterable[tuple[str, str]]) -> list[Change]:
        """The values by kind and key, with None for those that are not there."""
        by_kind: dict[str, list[str]] = {}
        for kind, key in wanted:
            by_kind.setdefault(kind, []).append(key)
        changes: list[Change] = []
        for kind, keys in by_kind.items():
            rows = self._rows(_among("SELECT key, body FROM known WHERE kind = ? AND key IN", keys, (kind,)))
            bodies = {str(key): body for key, body in rows}
            changes += [(kind, key, bodies.get(key)) for key in keys]
        return changes

    def ids(self, entity: str) -> list[str]:
        """The records of an entity that are not deleted."""
        return [str(id) for (id,) in self.db.rows("SELECT id FROM mirror WHERE entity = ? AND deleted = 0", (entity,))]

    def decided(self, entity: str, ids: Iterable[str], roles: Sequence[str]) -> set[str]:
        """Those of some records of an entity whose owner in a role is known."""
        keys = [("owner", f"{entity}|{id}|{role}") for id in ids for role in roles]
        return {key.split("|", 2)[1] for _, key, body in self.known(keys) if body is not None}

    def has(self, kind: str) -> bool:
        """Whether there is a value of a kind."""
        return bool(self.db.rows("SELECT 1 FROM known WHERE kind = ? AND body IS NOT NULL LIMIT 1", (kind,)))

    def received(self, source: str, messages: Sequence[str]) -> set[str]:
        """Those of a source's messages that have come in before."""
        rows = self._rows(_among("SELECT message FROM inbox WHERE source = ? AND message IN", messages, (source,)))
        return {str(row[0]) for row in rows}

    def prepared_by(self, made_by: str) -> int | None:
        """As of which commit a start was prepared for this policy and roe; None if it was not."""
        found = self.db.rows("SELECT seq FROM prepared WHERE piece = 0 AND made_by = ?", (made_by,))
        return int(found[0][0]) if found else None

    def prepared(self) -> bytes:
        return b"".join(bytes(body) for (body,) in self.db.rows("SELECT body FROM prepared WHERE piece >= 0 ORDER BY piece"))

    def prepared_companies(self, made_by: str) -> tuple[int, bytes] | None:
        """What was known of records' companies, and as of which commit; None if nothing was kept for this policy and roe."""
        found = self.db.rows("SELECT seq, body FROM prepared WHERE piece = ? AND made_by = ?", (COMPANIES, made_by))
        return (int(found[0][0]), bytes(found[0][1])) if found else None

    def _rows(self, queries: Sequence[Query]) -> list[Row]:
        return [row for rows in self.db.together(queries) for row in rows]

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, writes: Writes, seq: int, now: int) -> None:
        """Write what a group of requests leaves behind, as commit number `seq`; `now` is in milliseconds since 1970."""
        db = self.db
        if writes.records:
            db.many(
                "INSERT INTO mirror (entity, id, fields, versions, deleted, seq) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity, id) DO UPDATE SET "
                "fields = excluded.fields, versions = excluded.versions, deleted = excluded.deleted, seq = excluded.seq",
                [(r.entity, r.id, compact(r.fields), compact(r.versions), int(r.deleted), seq) for r in writes.records.values()],
            )
        if writes.known:
            db.many(
                "INSERT INTO known (kind, key, body, seq) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, seq = excluded.seq",
                [(kind, key, body, seq) for kind, key, body in writes.known],
            )
        if writes.answers:
            db.many(
                "INSERT INTO answer (key, digest, status, body, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "digest = excluded.digest, status = excluded.status, body = excluded.body, at = excluded.at",
                [(a.key, a.digest, a.status, a.body, now) for a in writes.answers],
            )
        if writes.inbox:
            db.many(
                "INSERT INTO inbox (source, message, subject, at) VALUES (?, ?, ?, ?) ON CONFLICT (source, message) DO NOTHING",
                [(*message, now) for message in writes.inbox],
            )
        if writes.letters:
            db.many(
                "INSERT INTO outbox (number, receiver, kind, subject, body, at, due, attempts, state, problem) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(x.number, x.receiver, x.kind, x.subject, x.body, x.at, x.at, 0, "waiting", "") for x in writes.letters],
            )
        db.run("UPDATE service SET seq = ?", (seq,))

    def keep_companies(self, seq: int, body: bytes, made_by: str) -> None:
        self.db.run("DELETE FROM prepared WHERE piece = ?", (COMPANIES,))
        self.db.run("INSERT INTO prepared (piece, seq, made_by, body) VALUES (?, ?, ?, ?)", (COMPANIES, seq, made_by, body))

    def keep_prepared(self, seq: int, made_by: str, pieces: Iterable[bytes]) -> None:
        self.db.run("DELETE FROM prepared")
        self.db.many(
            "INSERT INTO prepared (piece, seq, made_by, body) VALUES (?, ?, ?, ?)",
            [(n, seq, made_by, piece) for n, piece in enumerate(pieces)],
        )

    def prune(self, now: int) -> None:
        """Drop answers and message ids that are older than seven days."""
        self.db.run("DELETE FROM answer WHERE at < ?", (now - KEEP_ANSWERS,))
        self.db.run("DELETE FROM inbox WHERE at < ?", (now - KEEP_INBOX,))


COMPANIES = -1  # the piece of what is prepared that has the companies; those that find records count from 0
_SEQ: Query = ("SELECT seq FROM service", ())
_ANSWERS = "SELECT key, digest, status, body FROM answer WHERE key IN"


def _records_after(seq: int) -> Query:
    """Their versions are not read: only who changes one asks."""
    return f"SELECT {_LEARNT} FROM mirror WHERE seq > ?", (seq,)


def _known_after(seq: int) -> Query:
    return "SELECT kind, key, body FROM known WHERE seq > ?", (seq,)


def _records_of(wanted: Iterable[tuple[str, str]]) -> list[Query]:
    by_entity: dict[str, list[str]] = {}
    for entity, id in wanted:
        by_entity.setdefault(entity, []).append(id)
    return [
        q for entity, ids in by_entity.items() for q in _among(f"SELECT {_RECORD} FROM mirror WHERE entity = ? AND id IN", ids, (entity,))
    ]


def _among(sql: str, values: Sequence[str], before: Sequence[SqlValue] = ()) -> list[Query]:
    """A query that ends in `IN`, for some values at a time."""
    parts = [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]
    return [(f"{sql} ({', '.join('?' * len(part))})", (*before, *part)) for part in parts]


def _learnt(rows: list[Row]) -> list[Mirrored]:
    """Records to be learnt. They are put in order here: asked for an order, a database may walk through all records in that order to find a few."""
    rows = sorted(rows)
    fields = _all_json([row[2] for row in rows])
    return [Mirrored(entity, id, of_record, {}, deleted == 1) for (entity, id, _, deleted), of_record in zip(rows, fields, strict=True)]


def _changes(rows: list[Row]) -> list[Change]:
    return [(str(kind), str(key), body) for kind, key, body in rows]


def _answer(row: Row) -> Answer:
    key, digest, status, body = row
    return Answer(str(key), str(digest), int(status), str(body))


def _mirrored(row: Row) -> Mirrored:
    entity, id, fields, versions, deleted = row
    return Mirrored(str(entity), str(id), json.loads(fields), json.loads(versions), bool(deleted))


def _all_json(texts: Iterable[str]) -> list[Json]:
    """The values of many JSON texts, read as one: that takes a third of the time."""
    values: list[Json] = json.loads(f"[{','.join(texts)}]")
    return values
