"""The words and subjects of a ledger. Each text that many entries share has a number there, and so has each record, rep and claim."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from roe.ledger.database import Database
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
        self._next_word = self._next_subject = 0  # in an append, once something was added

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
        for number, text in self.db.rows("SELECT id, text FROM word WHERE id > ?", (max(self.texts, default=0),)):
            self._numbers[text], self.texts[number] = number, text

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
        self._next_word = self._next_subject = 0

    def forget(self) -> None:
        """An append was taken back: its numbers were never committed."""
        self.texts, self.subjects, self._numbers = {}, {}, {}

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
        self._learn_subjects([] if subject in self.subjects else [subject])
        return self.subjects[subject][0]

    def learn(self, drafts: Sequence[Draft]) -> dict[str, int]:
        """Add the words and subjects of entries that the ledger does not have; the numbers of words by their text."""
        words = {"", *(d.kind for d in drafts), *(d.name for d in drafts), *(d.grain for d in drafts), *(d.word for d in drafts)}
        subjects = dict.fromkeys(x for d in drafts for x in (d.subject, d.target, d.former) if x is not None)
        words |= {entity for entity, _ in subjects}
        words |= {str(json.loads(w)["queue"]) for w in {d.word for d in drafts} if '"queue"' in w}
        missing = sorted(w for w in words if w not in self._numbers)
        if missing:
            self.read()
            self._add([w for w in missing if w not in self._numbers])
        self._learn_subjects([x for x in subjects if x not in self.subjects])
        return self._numbers

    def _add(self, texts: Sequence[str]) -> None:
        first = self._next_word or (self.db.rows("SELECT max(id) FROM word")[0][0] or 0) + 1
        rows = list(enumerate(texts, first))
        if rows:
            self.db.many("INSERT INTO word (id, text) VALUES (?, ?)", rows)
        for number, text in rows:
            self._numbers[text], self.texts[number] = number, text
        self._next_word = first + len(rows)

    def _learn_subjects(self, wanted: Sequence[Subject]) -> None:
        for at in range(0, len(wanted), 500):
            some = wanted[at : at + 500]
            rows = self.db.rows(
                f"SELECT id, entity, record, digest FROM subject WHERE record IN ({','.join('?' * len(some))})", [r for _, r in some]
            )
            for number, entity, record, digest in rows:
                self.subjects[self.text(entity), record] = (number, bytes(digest))
        new = [x for x in wanted if x not in self.subjects]
        if new:
            self._add_subjects(new)

    def _add_subjects(self, new: Iterable[Subject]) -> None:
        first = self._next_subject or (self.db.rows("SELECT max(id) FROM subject")[0][0] or 0) + 1
        rows = []
        for number, (entity, record) in enumerate(new, first):
            salt = os.urandom(SALT)
            digest = salted(salt, subject_bytes((entity, record)))
            rows.append((number, self._numbers[entity], record, salt, digest))
            self.subjects[entity, record] = (number, digest)
        self.db.many("INSERT INTO subject (id, entity, record, salt, digest) VALUES (?, ?, ?, ?, ?)", rows)
        self._next_subject = first + len(rows)
