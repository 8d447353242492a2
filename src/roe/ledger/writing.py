"""Appending to a ledger: entries become rows, each with the hash of the chain, and the projections follow them."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from roe.ledger.database import Database, Row
from roe.ledger.encode import SALT, Clock, Drafted, chained, draft, is_evidence, packed, salted, small
from roe.ledger.entries import RunEntry
from roe.ledger.entry import Entry
from roe.ledger.projections import Noted, Projector
from roe.ledger.stored import FORMER, PAGE, SUBJECT, TARGET, Head, entry_rows, stored_of
from roe.ledger.words import Words


class Writing:
    """An open append: it holds the lock of the ledger. Made by `Store.writing`."""

    def __init__(self, db: Database, words: Words, clock: Clock, head: Head, found: Sequence[list[Row]]) -> None:
        """`found` is what was read with the lock."""
        self.db, self.clock, self.found = db, clock, found
        if not head.epoch:
            head = Head(uuid.uuid4().hex, 0, bytes(32))
            self.db.run("INSERT INTO head (one, epoch, number, hash, label) VALUES (1, ?, 0, ?, '')", (head.epoch, head.hash))
        self.head = self.start = head
        self.current: int | None = None  # the run that entries belong to
        self.words = words
        words.begin()
        self.projector = Projector(self.db, words.made)
        self._last_of: dict[int, int] = {}

    def run(self, run: RunEntry) -> int:
        """Begin a run: the entries that follow belong to it. Its number."""
        self.current = self.head.number + 1
        return self.append([run])[0]

    def keep_policy(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Keep the files of a policy, once per digest."""
        if not self.db.rows("SELECT 1 FROM policy WHERE digest = ?", (digest,)):
            content = packed(json.dumps({name: data.hex() for name, data in sorted(files.items())}).encode())
            self.db.run("INSERT INTO policy (digest, files) VALUES (?, ?)", (digest, content))

    def append(self, entries: Iterable[Entry | Drafted], run: int | None = None) -> range:
        """Append entries, which may be taken apart already, to the run that was begun or to a `run` by its number; their numbers."""
        first = self.head.number + 1
        of = run if run is not None else self.current if self.current is not None else 0
        page: list[Drafted] = []
        for e in entries:
            page.append(e if isinstance(e, tuple) else (e, draft(e)))
            if len(page) == PAGE:
                self._append(page, of)
                page = []
        if page:
            self._append(page, of)
        return range(first, self.head.number + 1)

    def close(self) -> None:
        """Write the new head. Called as the transaction ends."""
        if self.head != self.start:
            self.db.run("UPDATE head SET number = ?, hash = ? WHERE one = 1", (self.head.number, self.head.hash))
        for run, last in self._last_of.items():
            self.db.run("UPDATE run SET last = ? WHERE number = ?", (last, run))

    def _append(self, entries: Sequence[Drafted], run: int) -> None:
        drafts = [d for _, d in entries]
        words, subjects = self.words.learn(drafts), self.words.subjects
        recorded, number, previous = self.clock(), self.head.number, self.head.hash
        salts = os.urandom(SALT * len(drafts))
        rows, values, evidence, noted = [], [], [], []
        for i, (e, d) in enumerate(entries):
            number += 1
            subject = None if d.subject is None else subjects[d.subject]
            target = None if d.target is None else subjects[d.target]
            former = None if d.former is None else subjects[d.former]
            digest = None
            if d.value is not None:
                salt = salts[i * SALT : (i + 1) * SALT]
                digest = salted(salt, d.value)
                if is_evidence(d.kind):
                    evidence.append((number, salt, packed(d.value)))
                else:
                    values.append((number, salt, small(d.value) if d.kept is None else d.kept))
            previous = chained(
                previous, number, run, recorded, d, subject and subject[1], target and target[1], former and former[1], digest
            )  # fmt: skip
            s, t, f = subject and subject[0], target and target[0], former and former[0]
            rows.append(
                (number, run, words[d.kind], s, words[d.name], d.at, words[d.grain], d.until, recorded, t, f, words[d.word], d.fact, digest, previous)
            )  # fmt: skip
            noted.append(
                Noted(number, e, s or 0, words[d.name], t, f, words[getattr(e, "queue", "")], words[""], words[d.word], words[d.grain])
            )
        self.db.many(
            "INSERT INTO entry (number, run, kind, subject, name, at, grain, until, recorded, target, former, word, fact, digest, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
        )  # fmt: skip
        for table, some in (("value", values), ("evidence", evidence)):
            if some:
                self.db.many(f"INSERT INTO {table} (number, salt, value) VALUES (?, ?, ?)", some)
        self.projector.apply(noted)
        self.head = replace(self.head, number=number, hash=previous)
        if run:
            self._last_of[run] = number
        self.words.keep_few()

    def replay(self) -> None:
        """Apply every entry to empty projections."""
        after, word = 0, self.words.made
        while after < self.head.number:
            noted = []
            for row in entry_rows(self.db, "number > ? AND number <= ?", (after, after + PAGE)):
                stored, d = stored_of(row, self.words)
                queue = word(getattr(stored.entry, "queue", ""))
                noted.append(
                    Noted(
                        stored.number,
                        stored.entry,
                        row[SUBJECT] or 0,
                        word(d.name),
                        row[TARGET],
                        row[FORMER],
                        queue,
                        word(""),
                        word(d.word),
                        word(d.grain),
                    )
                )
            self.projector.apply(noted)
            after += PAGE
        last = self.db.rows("SELECT max(number), run FROM entry WHERE run > 0 GROUP BY run")
        self.db.many("UPDATE run SET last = ? WHERE number = ?", last)
