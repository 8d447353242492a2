"""Copies of a whole ledger: a backup is a ledger in a folder, whichever database it was made from, and restoring copies it back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roe.ledger.audit import verify
from roe.ledger.database import CHANGED, MISSING, Database, Row, refuse
from roe.ledger.projections import HOLDING
from roe.ledger.store import Store, open_store
from roe.ledger.stored import PAGE

TABLES = {
    "word": ("id", "id, text"),
    "subject": ("id", "id, entity, record, salt, digest"),
    "entry": ("number", "number, run, kind, subject, name, at, grain, until, recorded, target, former, word, fact, digest, hash"),
    "value": ("number", "number, salt, value"),
    "evidence": ("number", "number, salt, value"),
    "policy": ("digest", "digest, files"),
    "run": ("number", "number, id, last"),
    "holding": ("subject, role, start", HOLDING),
    "latest": ("kind, subject, name", "kind, subject, name, entry, open, due"),
    "day": ("rep, day", "rep, day, n"),
    "setting": ("name", "name, value"),
    "service": ("one", "one, seq"),
    "mirror": ("entity, id", "entity, id, fields, versions, deleted, seq"),
    "known": ("kind, key", "kind, key, body, seq"),
    "answer": ("key", "key, digest, status, body, at"),
    "inbox": ("source, message", "source, message, subject, at"),
    "outbox": ("number", "number, receiver, kind, subject, body, at, due, attempts, state, problem"),
    "head": ("one", "one, epoch, number, hash, label"),
}
KEEP = 30  # days
RESTORED = "restored"  # the setting of a ledger that a backup was copied to, until it has been compared with the CRM


def backup(store: Store, folder: Path, moment: datetime | None = None, keep: int = KEEP) -> Path:
    """Copy a ledger to a folder of its own inside `folder`, named by the time. Backups there that are older than `keep` days go."""
    now = moment or datetime.now(UTC)
    place = folder / f"ledger-{now:%Y%m%dT%H%M%SZ}"
    if place.exists():
        refuse(MISSING, "there is a backup of this name already", str(place), "wait a second, or name another folder")
    with open_store(place) as copy:
        _copy(store.db, copy.db)
    for old in sorted(folder.glob("ledger-*Z")):
        made = _time(old.name)
        if made is not None and made < now - timedelta(days=keep):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
    return place


def _time(name: str) -> datetime | None:
    try:
        return datetime.strptime(name, "ledger-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def restore(place: Path, store: Store) -> None:
    """Copy a backup into an empty ledger. It begins a new epoch: whoever follows its numbers must start again.

    Raises PolicyError for a backup that is not what was appended: what is wrong with it would be found only when the good ones are gone.
    """
    if store.head().number:
        refuse(MISSING, "the ledger to restore to is not empty", store.url, "name a new folder or an empty database")
    with open_store(place, create=False) as copy:
        checked = verify(copy)
        if checked.bad is not None:
            help = "restore an earlier backup; or name this folder itself as --state, which roe can read as it is"
            refuse(
                CHANGED,
                f"the backup is damaged: entry {checked.bad} is the first that is not as it was written: {checked.why}",
                str(place),
                help,
            )
        _copy(copy.db, store.db, epoch=uuid.uuid4().hex)


def is_restored(db: Database) -> bool:
    """Whether a ledger was copied from a backup and not compared with the CRM since."""
    return bool(db.rows("SELECT value FROM setting WHERE name = ?", (RESTORED,)))


def compared(db: Database) -> None:
    """A restored ledger has been compared with the CRM."""
    db.run("DELETE FROM setting WHERE name = ?", (RESTORED,))


def _copy(source: Database, target: Database, epoch: str = "") -> None:
    """All tables, as they are at one moment: nobody appends while they are read."""
    source.begin(60)
    try:
        target.begin(60)
        try:
            for table, (key, columns) in TABLES.items():
                marks = ",".join("?" * len(columns.split(",")))
                target.run(f"DELETE FROM {table}")
                for rows in _pages(source, table, key, columns):
                    target.many(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
            if epoch:
                target.run("UPDATE head SET epoch = ?", (epoch,))
                target.run("DELETE FROM setting WHERE name = ?", (RESTORED,))
                target.run("INSERT INTO setting (name, value) VALUES (?, ?)", (RESTORED, epoch))
            target.commit()
        except BaseException:
            target.rollback()
            raise
    finally:
        source.rollback()


def _pages(db: Database, table: str, key: str, columns: str) -> Iterator[list[Row]]:
    """The rows of a table by its key, which the first columns are."""
    names = key.split(", ")
    after: Row = ()
    while True:
        later = f"WHERE ({key}) > ({', '.join('?' * len(names))})" if after else ""
        rows = db.rows(f"SELECT {columns} FROM {table} {later} ORDER BY {key} LIMIT {PAGE}", after)
        if not rows:
            return
        yield rows
        after = rows[-1][: len(names)]
