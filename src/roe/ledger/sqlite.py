"""The ledger in a folder: one SQLite file, written through and safe against a crash at any moment.

One writer at a time (`BEGIN IMMEDIATE`), full synchronisation, readers never wait. Each statement outside a transaction stands alone,
so that no read transaction stays open through a run.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from roe.ledger.database import BUSY, MISSING, Query, Row, SqlValue, refuse

FILE = "ledger.sqlite"
NETWORK = ("nfs", "cifs", "smb", "sshfs", "afs", "ceph", "glusterfs", "davfs", "9p", "drvfs")
CACHE = 65_536  # KiB of pages in memory: what a night changes is scattered, and each page is written once
LOG = 10_000  # pages of the write-ahead log until they go into the file: whoever commits then waits long, so few are to do so
SCRUB = 30  # seconds that scrubbing waits for those who read
SYNCHRONISED = ("dropbox", "onedrive", "google drive", "googledrive", "mobile documents", "icloud drive", "box sync", "nextcloud")


class SqliteDatabase:
    dialect = "sqlite"

    def __init__(self, folder: Path | None, create: bool = True) -> None:
        """Without a folder the ledger is in memory, and ends with this object."""
        if folder is None:
            self.url = ":memory:"
            self.con = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
            return
        self.url = str(folder)
        place = folder / FILE
        _refuse_shared(folder)
        if folder.exists() and not folder.is_dir():
            refuse(MISSING, "this is a file; a ledger is a folder", self.url, "name another folder")
        if not create and not place.is_file():
            refuse(MISSING, "there is no ledger in this folder", self.url, "name the --state folder of a `roe run`")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.con = sqlite3.connect(place, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=256)
            self.con.execute("PRAGMA journal_mode = WAL").fetchall()
            self.con.execute("PRAGMA synchronous = FULL")
            self.con.execute(f"PRAGMA cache_size = -{CACHE}")
            self.con.execute(f"PRAGMA wal_autocheckpoint = {LOG}").fetchall()
            self.con.execute("PRAGMA secure_delete = ON").fetchall()
            if sys.platform == "darwin":
                self.con.execute("PRAGMA fullfsync = ON")
        except (OSError, sqlite3.Error) as e:
            refuse(MISSING, f"the ledger cannot be opened: {e}", self.url, "name a folder that you may write to, or restore a backup")

    def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[Row]:
        try:
            return self.con.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as e:
            self._said(e)

    def together(self, queries: Sequence[Query]) -> list[list[Row]]:
        return [self.rows(sql, values) for sql, values in queries]

    def run(self, sql: str, values: Sequence[SqlValue] = ()) -> None:
        try:
            self.con.execute(sql, values)
        except sqlite3.DatabaseError as e:
            self._said(e)

    def many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> None:
        try:
            self.con.executemany(sql, rows)
        except sqlite3.DatabaseError as e:
            self._said(e)

    def _said(self, e: sqlite3.DatabaseError) -> NoReturn:
        """A failure that is the machine's or the file's as a diagnostic; a wrong statement of ours as it is."""
        if isinstance(e, (sqlite3.IntegrityError, sqlite3.ProgrammingError)) or "syntax" in str(e):
            raise e
        if "no such" in str(e):
            refuse(
                MISSING,
                f"{FILE} in this folder is not a ledger of roe, or is damaged: {e}",
                self.url,
                "name another folder, or restore a backup",
            )
        refuse(MISSING, f"the ledger cannot be used: {e}", self.url, "free disk space, or restore the ledger from a backup")

    def begin(self, wait: float, queries: Sequence[Query] = ()) -> list[list[Row]]:
        """SQLite's own waiting gives later comers no turn, so this asks again and again until `wait` seconds are over."""
        until = time.monotonic() + wait
        self.con.execute(f"PRAGMA busy_timeout = {max(0, min(2000, int(wait * 1000)))}").fetchall()
        while True:
            try:
                self.con.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as e:
                if "locked" not in str(e) and "busy" not in str(e):
                    self._said(e)
                if time.monotonic() >= until:
                    refuse(BUSY, f"another run is writing to the ledger, also after {wait:g} seconds", self.url, "try again when it is done, or wait longer: --wait 600")  # fmt: skip
                time.sleep(0.02)
        return self.together(queries)

    def commit(self) -> None:
        try:
            self.con.execute("COMMIT")
        except sqlite3.DatabaseError as e:
            self.rollback()
            self._said(e)

    def rollback(self) -> None:
        if self.con.in_transaction:
            self.con.execute("ROLLBACK")

    def scrub(self) -> list[str]:
        """Leave nothing in the files of what was erased. What stays, since another program reads for long, is said in a line."""
        self.con.execute(f"PRAGMA busy_timeout = {SCRUB * 1000}").fetchall()
        try:
            self.con.execute("VACUUM")
            is_left = self.con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 1
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) and "busy" not in str(e):
                self._said(e)
            is_left = True
        return [f"the free pages of {FILE}, since another program reads it: end it, and run `sqlite3 {FILE} VACUUM`"] if is_left else []

    def close(self) -> None:
        self.con.close()


def _refuse_shared(folder: Path) -> None:
    """SQLite's locks do not hold on network file systems, and synchronised folders copy its files one by one."""
    real = folder.resolve()
    synchronised = next((p for p in real.parts if any(p.lower().startswith(name) for name in SYNCHRONISED)), None)
    kind = _file_system(real)
    if synchronised is None and not any(kind.removeprefix("fuse.").startswith(name) for name in NETWORK):
        return
    what = f"the folder is synchronised by `{synchronised}`" if synchronised is not None else f"the folder is on a network ({kind})"
    refuse(
        MISSING,
        f"{what}, where a ledger can lose entries",
        str(folder),
        "name a folder on this machine's own disk, or use --state postgresql://…",
    )


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, where Linux says so; else empty."""
    try:
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            known = [line.split()[1:3] for line in mounts]
    except OSError:
        return ""
    path, best = str(folder), ("", "")
    for place, kind in known:
        place = place.replace("\\040", " ")
        inside = path == place or path.startswith(place.rstrip(os.sep) + os.sep)
        if inside and len(place) >= len(best[0]):
            best = (place, kind)
    return best[1]
