"""Whether a ledger is what was appended: every hash again, from the rows as they are.

Somebody who can write to the database can write a whole new chain. That is why the head is anchored elsewhere: each run's `run.json`
has it, and `anchored` holds a ledger against one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from roe.dynamic import Json, Saved
from roe.ledger.database import Row
from roe.ledger.encode import Draft, chained, is_evidence, salted, subject_bytes, unpacked, whole
from roe.ledger.entries import Erased
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.ledger.stored import PAGE


@dataclass(frozen=True, slots=True)
class Verified:
    """How much was looked at; and the first entry that is not what was appended, if there is one, with what is wrong with it."""

    entries: int
    values: int
    erased: int
    bad: int | None = None
    why: str = ""


def anchor(store: Store, number: int | None = None) -> Json:
    """What ties a ledger to a file outside of it: epoch, number and hash of its head, or of an earlier entry."""
    head = store.head()
    if number is None or number == head.number:
        return head.anchor
    rows = store.db.rows("SELECT hash FROM entry WHERE number = ?", (number,))
    return {"epoch": head.epoch, "number": number, "hash": bytes(rows[0][0]).hex() if rows else ""}


def anchored(store: Store, written: Saved) -> str:
    """What is wrong with a ledger that should have an anchor in its chain; empty if nothing is."""
    number, expected = written.get("number"), written.get("hash")
    if type(number) is not int or not isinstance(expected, str):
        return "the file has no number and hash of a ledger"
    if number > store.head().number:
        return f"it ends with entry {store.head().number}, and the file was written at entry {number}"
    if number and anchor(store, number)["hash"] != expected:
        return f"entry {number} is not the one that the file was written at"
    return ""


def verify(store: Store, after: int = 0) -> Verified:
    """Go through the chain from its beginning, or from the entry after a number, whose hash is then taken for granted."""
    head, previous, values, erased = store.head(), bytes(32), 0, 0
    if after:
        known = store.db.rows("SELECT hash FROM entry WHERE number = ?", (after,))
        if not known:
            return Verified(after - 1, values, erased, after, "it is missing")
        previous = bytes(known[0][0])
    allowed = _Allowed(store)
    wrong_subject = _wrong_subjects(store)
    number = after
    for link in _links(store, head.number, after):
        number += 1
        if link.number != number:
            return Verified(number - 1, values, erased, number, "it is missing")
        why = ""
        if not wrong_subject.isdisjoint(link.subjects):
            why = "the record or rep that it names was changed"
        if link.value is not None and (link.digest is None or link.salt is None or salted(link.salt, link.value) != link.digest):
            why = "its values were changed"
        elif link.value is None and link.digest is not None:
            erased += 1
            if not allowed.missing(link):
                why = "its values are missing, and no entry says that they were erased"
        values += link.value is not None
        previous = chained(previous, number, link.run, link.recorded, link.draft, *link.subject_digests, link.digest)
        if not why and previous != link.hash:
            why = "it was changed, or one before it was"
        if why:
            return Verified(number, values, erased, number, why)
    if number != head.number:
        return Verified(number, values, erased, number + 1, "it is missing")
    if number and previous != head.hash:
        return Verified(number, values, erased, number, "the ledger's head does not have its hash")
    return Verified(number, values, erased)


@dataclass(frozen=True, slots=True)
class _Link:
    """An entry as the chain has it. `subjects` are the numbers of its subject, target and former; `value` is what can be erased."""

    number: int
    run: int
    recorded: int
    hash: bytes
    draft: Draft
    digest: bytes | None
    salt: bytes | None
    value: bytes | None
    subjects: tuple[int | None, int | None, int | None]
    subject_digests: tuple[bytes | None, bytes | None, bytes | None]


def _links(store: Store, last: int, after: int) -> Iterator[_Link]:
    while after < last:
        rows = store.db.rows(
            "SELECT e.number, e.run, e.recorded, e.hash, e.kind, e.name, e.at, e.grain, e.until, e.word, e.fact, e.digest, e.subject, "
            "e.target, e.former, s.digest, t.digest, f.digest, v.salt, v.value, x.salt, x.value "
            "FROM (SELECT * FROM entry WHERE number > ? AND number <= ?) e LEFT JOIN subject s ON s.id = e.subject "
            "LEFT JOIN subject t ON t.id = e.target LEFT JOIN subject f ON f.id = e.former LEFT JOIN value v ON v.number = e.number "
            "LEFT JOIN evidence x ON x.number = e.number ORDER BY e.number", (after, after + PAGE),
        )  # fmt: skip
        for row in rows:
            yield _link(store, row)
        after += PAGE


def _link(store: Store, row: Row) -> _Link:
    (number, run, recorded, hash, kind, name, at, grain, until, word, fact, digest, s, t, f, s_digest, t_digest, f_digest, salt, value,
     evidence_salt, evidence) = row  # fmt: skip
    text = store.words.text
    d = Draft(text(kind), None, text(name), at, text(grain), until, None, None, text(word), fact, None)
    if evidence is not None:
        salt, value = evidence_salt, _read(unpacked, bytes(evidence))
    elif value is not None:
        value = _read(whole, bytes(value))
    digests = (_bytes(s_digest), _bytes(t_digest), _bytes(f_digest))
    return _Link(number, run, recorded, bytes(hash), d, _bytes(digest), _bytes(salt), value, (s, t, f), digests)


def _bytes(value: bytes | memoryview | None) -> bytes | None:
    """What a database gives as bytes or as a view of them."""
    return None if value is None else bytes(value)


def _read(unpack: Callable[[bytes], bytes], value: bytes) -> bytes:
    try:
        return unpack(value)
    except zlib.error:
        return b"\0"  # which fits no digest


def _wrong_subjects(store: Store) -> set[int]:
    """Subjects whose text is not the one that the chain covers."""
    rows = store.db.rows("SELECT id, entity, record, salt, digest FROM subject WHERE record IS NOT NULL")
    return {
        id_ for id_, entity, record, salt, digest in rows
        if salt is None or salted(bytes(salt), subject_bytes((store.words.text(entity), record))) != bytes(digest)
    }  # fmt: skip


class _Allowed:
    """Which values may be missing: those that an `erased` entry accounts for."""

    def __init__(self, store: Store) -> None:
        self.subjects: set[int] = set()
        self.others: set[int] = set()
        self.before = ""
        for x in store.entries(kinds=("erased",)):
            e = x.entry
            if isinstance(e, Erased):
                self.subjects |= {e.subject} if e.subject else set()
                self.others |= set(e.others)
                self.before = max(self.before, e.before)

    def missing(self, link: _Link) -> bool:
        """Whether an entry accounts for the missing value of a link."""
        if link.number in self.others or not self.subjects.isdisjoint(link.subjects):
            return True
        return is_evidence(link.draft.kind) and bool(self.before) and str(At(link.draft.at).date) <= self.before
