"""Forgetting a subject, and evidence that was kept long enough. The skeleton of each entry stays, and so does the chain.

Values go with their salts, so that nobody can try values against the digest that is left. The list of forgotten subjects is kept beside
the ledger and not in it: a backup that is restored is older than the list, and what the list names is erased again before anything reads it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from roe.ledger.beside import forget_beside, mirrored_as, naming
from roe.ledger.database import Database
from roe.ledger.encode import SALT, canonical, salted, subject_bytes, unpacked, whole
from roe.ledger.entries import Erased
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.ledger.writing import Writing

LIST = "forgotten.jsonl"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased, and what a ledger cannot reach."""

    subjects: int
    values: int
    unreachable: tuple[str, ...]


ALWAYS = (
    "the CRM, and files of earlier runs (allocations.csv and so on): delete them there",
    "the policy's git repository, if a table or a rule names the subject",
    "the write-ahead log of PostgreSQL until it has been written over, archives of it and replicas until they expire, and the log of the server",
    "backups of the ledger, until they expire (30 days); the list of forgotten subjects is applied when one is restored",
)


def forget(
    store: Store, record: str, *, entity: str = "", also: Sequence[str] = (), by: str = "", why: str = "", list_file: Path | None = None
) -> Forgotten:
    """Erase what the ledger and the service have of a record or a rep: its id, and every value that is about it, names it or has `also` in it.

    `list_file` is the list of forgotten subjects; None keeps none. Nothing is left in the files of the database, but for what is said.
    """
    with store.writing() as tx:
        ids = _subjects(tx, record, entity)
        erased = 0
        if ids:
            erased = _erase(tx, ids, [record, *also], by, why)
        unreachable = naming(store.db, [kind for _, kind in ids], record, also)
        unreachable += [*_policies(store, [record, *also]), *_words(store, [record, *also]), *ALWAYS]
        if ids and list_file is not None:
            _remember(list_file, [(kind, record) for _, kind in ids])
            _applied(store, _lines(list_file))
    if ids:
        _forget_pages(store)
        store.words.subjects.clear()
        unreachable += store.db.scrub()
    return Forgotten(len(ids), erased, tuple(unreachable))


def is_known(store: Store, record: str) -> bool:
    """Whether the ledger or the service has something of a record or a rep."""
    return bool(store.db.rows("SELECT 1 FROM subject WHERE record = ?", (record,)) or mirrored_as(store.db, record))


def _forget_pages(store: Store) -> None:
    """Drop what the pages keep beside the ledger: a plan of books may name the subject. Whoever is signed in signs in again."""
    if store.db.dialect == "postgres":
        if store.db.rows("SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'page_kept'"):
            store.db.run("DELETE FROM page_kept")
        return
    path = Path(store.url) / "pages.sqlite"
    if path.is_file():
        with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as con:
            con.execute("PRAGMA secure_delete = ON").fetchall()
            con.execute("DELETE FROM page_kept")
            con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _subjects(tx: Writing, record: str, entity: str) -> list[tuple[int, str]]:
    """(number, entity) of the subjects with an id. What the service alone has of one becomes a subject, so that its erasure is an entry, too."""
    rows = tx.db.rows("SELECT id, entity FROM subject WHERE record = ? ORDER BY id", (record,))
    every = [(id_, tx.words.text(kind)) for id_, kind in rows]
    alone = [kind for kind in mirrored_as(tx.db, record) if kind not in [known for _, known in every]]
    every += [(tx.words.made_subject((kind, record)), kind) for kind in alone if entity in ("", kind)]
    return [x for x in every if entity in ("", x[1])]


def _erase(tx: Writing, ids: Sequence[tuple[int, str]], words: Sequence[str], by: str, why: str) -> int:
    db, erased = tx.db, 0
    for copy in ("snapshot", "prepared"):  # they have ids of records; the next run or start makes them anew
        db.run(f"DELETE FROM {copy}")
    for id_, kind in ids:
        erased += forget_beside(db, kind, words[0], words[1:])
        about = [n for (n,) in db.rows("SELECT number FROM entry WHERE subject = ? OR target = ? OR former = ?", (id_, id_, id_))]
        others = sorted(set(_naming(tx, words)) - set(about))
        gone = _drop(db, [*about, *others])
        db.run("UPDATE subject SET record = NULL, salt = NULL WHERE id = ?", (id_,))
        at = At(tx.clock())
        tx.append([Erased(at=at, subject=id_, values=gone, others=tuple(others), by=by, why=why)])
        erased += gone
    return erased


def _drop(db: Database, numbers: Sequence[int]) -> int:
    gone = 0
    for at in range(0, len(numbers), 500):
        some = numbers[at : at + 500]
        marks = ",".join("?" * len(some))
        for table in ("value", "evidence"):
            gone += db.rows(f"SELECT count(*) FROM {table} WHERE number IN ({marks})", some)[0][0]
            db.run(f"DELETE FROM {table} WHERE number IN ({marks})", some)
    return gone


def _naming(tx: Writing, words: Iterable[str]) -> Iterator[int]:
    """The entries whose values have one of the words: an id as a whole text, anything else wherever it stands."""
    record, *also = words
    needles = [f'"{record}"'.encode(), *(_inside(word) for word in also if word)]
    last = tx.start.number  # what this transaction appends says by whom and why
    for table in ("value", "evidence"):
        after = 0
        while after < last:
            for number, value in tx.db.rows(f"SELECT number, value FROM {table} WHERE number > ? AND number <= ?", (after, after + 5000)):
                text = unpacked(bytes(value)) if table == "evidence" else whole(bytes(value))
                if any(needle in text for needle in needles):
                    yield number
            after += 5000


def _inside(word: str) -> bytes:
    return canonical(word)[1:-1].encode()


def _policies(store: Store, words: Sequence[str]) -> list[str]:
    named = []
    for digest, files in store.db.rows("SELECT digest, files FROM policy ORDER BY digest"):
        content = [bytes.fromhex(x) for x in json.loads(unpacked(bytes(files))).values()]
        if any(word.encode() in x for word in words for x in content):
            named.append(f"the policy {digest[:12]}, whose files name it and are kept to explain decisions")
    return named


def _words(store: Store, words: Sequence[str]) -> list[str]:
    rows = store.db.rows("SELECT text FROM word ORDER BY id")
    named = [text for (text,) in rows if any(_inside(word).decode() in text for word in words[1:] if word)]
    return [f"the name of a rule, queue or pool: {text}" for text in named]


# --- the list of forgotten subjects ---------------------------------------------------------------------------------------


def _remember(path: Path, subjects: Iterable[tuple[str, str]]) -> None:
    """Add subjects to the list, as salted digests: the list itself names nobody."""
    lines = []
    for subject in subjects:
        salt = os.urandom(SALT)
        lines.append(json.dumps({"salt": salt.hex(), "digest": salted(salt, subject_bytes(subject)).hex(), "entity": subject[0], "on": time.strftime("%Y-%m-%d")}) + "\n")  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _lines(path: Path) -> int:
    try:
        with path.open(encoding="utf-8") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return 0


def _applied(store: Store, n: int) -> None:
    store.db.run(
        "INSERT INTO setting (name, value) VALUES ('forgotten', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (str(n),)
    )


def forget_again(store: Store, path: Path) -> int:
    """Erase what the list names and the ledger has again, since it was restored from a backup; how many subjects."""
    n = _lines(path)
    known = store.db.rows("SELECT value FROM setting WHERE name = 'forgotten'")
    if not n or (known and int(known[0][0]) >= n):
        return 0
    with path.open(encoding="utf-8") as file:
        listed = [json.loads(line) for line in file if line.strip()]
    subjects = {(store.words.text(entity), r) for entity, r in store.db.rows("SELECT entity, record FROM subject WHERE record IS NOT NULL")}
    gone = [
        subject
        for subject in sorted(subjects | set(store.db.rows("SELECT entity, id FROM mirror")))
        if any(x["entity"] == subject[0] and salted(bytes.fromhex(x["salt"]), subject_bytes(subject)).hex() == x["digest"] for x in listed)
    ]
    with store.writing() as tx:
        for kind, record in gone:
            _erase(tx, [(tx.words.made_subject((kind, record)), kind)], [record], "", "the ledger was restored from a backup")
        _applied(store, n)
    store.words.subjects.clear()
    if gone:
        store.db.scrub()
    return len(gone)


# --- evidence that was kept long enough -----------------------------------------------------------------------------------


def prune(store: Store, before: At, by: str = "", why: str = "") -> int:
    """Erase the evidence of decisions before a day, but for the newest of each record and role, which explains today; how much."""
    with store.writing() as tx:
        rows = tx.db.rows(
            "SELECT x.number FROM evidence x JOIN entry e ON e.number = x.number "
            "WHERE e.at < ? AND x.number NOT IN (SELECT entry FROM latest WHERE kind = ?)",
            (before.instant, store.words.number("evidence")),
        )
        gone = _drop(tx.db, [n for (n,) in rows])
        if gone:
            tx.append([Erased(at=At(store.clock()), before=str(before.date), values=gone, by=by, why=why)])
    if gone:
        store.db.scrub()
    return gone
