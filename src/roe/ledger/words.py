"""The words and subjects of a ledger. Each text that many entries share has a number there, and so has each record, rep and claim."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from roe.ledger.database import Database, Query, Row
from roe.ledger.encode import SALT, Draft, Subject, salted, subject_bytes
from roe.ledger.entry import FORGOTTEN

MOST_KNOWN = 300_000  # subjects remembered between appends


class Words:
    """What one connection knows of the numbers. `texts` are the words by number, `subjects` the numbers and salted digests of subjects."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.texts: dict[int, str] = {}
        self.subjects: dict[Subject, tuple[int, bytes]] = {}
        self._numbers: dict[str, int] = {}
        self._last_word = 0  # the highest number of a word that is known here; all up to it are
        self._last_subject: int | None = None  # in an append, once it was asked for: the highest number of a subject

    # --- reading -----------------------------------------------------------------------------------------------------

    def text(self, number: int) -> str:
        """The word of a number."""
        text = self.texts.get(number)
        if text is None:
            self.read()
            text = self.texts[number]
        return text

    def number(self, text: str) -> int:
        """The number of a word, 0 for one that the ledger does not have."""
        if text not in self._numbers:
            self.read()
        return self._numbers.get(text, 0)

    def read(self) -> None:
        """Read the words that were added since."""
        self._note(self.db.rows(*self._newer()))

    def _newer(self) -> Query:
        return "SELECT id, text FROM word WHERE id > ?", (self._last_word,)

    def _note(self, words: Iterable[Row]) -> None:
        for number, text in words:
            self._numbers[text], self.texts[number] = number, text
            self._last_word = max(self._last_word, number)

    def subject(self, entity: str, record: str) -> int | None:
        """The number of a record, a rep or a claim; None for one that the ledger does not have."""
        rows = self.db.rows("SELECT id FROM subject WHERE record = ? AND entity = ?", (record, self.number(entity)))
        return rows[0][0] if rows else None

    def named(self, number: int | None, entity: int | None, record: str | None) -> Subject | None:
        """The subject of a row, by its number, the number of its entity, and its id, which is gone where it was erased."""
        if number is None:
            return None
        return (self.text(entity) if entity is not None else FORGOTTEN, FORGOTTEN if record is None else record)

    def rep(self, number: int | None, record: str | None) -> str | None:
        """The rep of a row, by number and id."""
        return record if record is not None else None if number is None else FORGOTTEN

    # --- writing: under the lock of the ledger -----------------------------------------------------------------------

    def begin(self) -> None:
        """An append begins: others may have added words and subjects since the last one."""
        self._last_subject = None

    def forget(self) -> None:
        """An append was taken back: its numbers were never committed."""
        self.texts, self.subjects, self._numbers, self._last_word = {}, {}, {}, 0

    def keep_few(self) -> None:
        """Hold no more subjects in memory than it is worth."""
        if len(self.subjects) > MOST_KNOWN:
            self.subjects.clear()

    def made(self, text: str) -> int:
        """The number of a word, which is added if the ledger does not have it."""
        if not self.number(text):
            self._add([text])
        return self._numbers[text]

    def made_subject(self, subject: Subject) -> int:
        """The number of a subject, which is added if the ledger does not have it."""
        self.made(subject[0])
        self._learn_subjects([subject])
        return self.subjects[subject][0]

    def learn(self, drafts: Sequence[Draft]) -> dict[str, int]:
        """Add the words and subjects of entries that the ledger does not have; the numbers of words by their text."""
        words = {"", *(d.kind for d in drafts), *(d.name for d in drafts), *(d.grain for d in drafts), *(d.word for d in drafts)}
        subjects = dict.fromkeys(x for d in drafts for x in (d.subject, d.target, d.former) if x is not None)
        words |= {entity for entity, _ in subjects}
        words |= {str(json.loads(w)["queue"]) for w in {d.word for d in drafts} if '"queue"' in w}
        self._learn_subjects(subjects, words)
        return self._numbers

    def _learn_subjects(self, subjects: Iterable[Subject], words: Iterable[str] = ()) -> None:
        missing, unknown = sorted(w for w in words if w not in self._numbers), [x for x in subjects if x not in self.subjects]
        if missing or unknown:
            self._read_both(unknown)
            self._add([w for w in missing if w not in self._numbers])
            self._add_subjects([x for x in unknown if x not in self.subjects])

    def _read_both(self, wanted: Sequence[Subject]) -> None:
        """Read the words that were added since, and those of some subjects that the ledger has."""
        queries = [self._newer()]
        for at in range(0, len(wanted), 500):
            some = [record for _, record in wanted[at : at + 500]]
            queries.append((f"SELECT id, entity, record, digest FROM subject WHERE record IN ({','.join('?' * len(some))})", some))
        if self._last_subject is None:
            queries.append(("SELECT max(id) FROM subject", ()))
        words, *subjects = self.db.together(queries)
        self._note(words)
        if self._last_subject is None:
            self._last_subject = subjects.pop()[0][0] or 0
        for number, entity, record, digest in (row for rows in subjects for row in rows):
            self.subjects[self.text(entity), record] = (number, bytes(digest))

    def _add(self, texts: Sequence[str]) -> None:
        """Add words. Those that others have added were read before, so the next number is free."""
        rows = list(enumerate(texts, self._last_word + 1))
        if rows:
            self.db.many("INSERT INTO word (id, text) VALUES (?, ?)", rows)
            self._note(rows)

    def _add_subjects(self, new: Sequence[Subject]) -> None:
        assert self._last_subject is not None
        rows = []
        for number, (entity, record) in enumerate(new, self._last_subject + 1):
            salt = os.urandom(SALT)
            digest = salted(salt, subject_bytes((entity, record)))
            rows.append((number, self._numbers[entity], record, salt, digest))
            self.subjects[entity, record] = (number, digest)
        self.db.many("INSERT INTO subject (id, entity, record, salt, digest) VALUES (?, ?, ?, ?, ?)", rows)
        self._last_subject += len(rows)
