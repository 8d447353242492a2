"""What this machine has seen of a ledger, kept outside of it: how far its entries went, and on which timeline of the cluster.

A database that comes back from a fail-over or a backup cannot know what it has lost; a server that was started anew would not know either.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time as clock
from dataclasses import asdict, dataclass
from pathlib import Path

from roe.files import cache_folder
from roe.ledger.database import Database
from roe.ledger.stored import Head

EVERY = 5.0  # seconds between two notes


@dataclass(frozen=True, slots=True)
class Seen:
    epoch: str = ""
    number: int = 0
    timeline: int = 0


class Witness:
    """A note in a file; without a place there is none, and nothing is known."""

    def __init__(self, place: Path | None) -> None:
        self.place, self._noted_at = place, 0.0
        self.seen = self._read()

    @classmethod
    def of(cls, state: str) -> Witness:
        folder = cache_folder()
        return cls(None if folder is None else folder / "seen" / f"{hashlib.sha256(state.encode()).hexdigest()[:24]}.json")

    def _read(self) -> Seen:
        if self.place is None:
            return Seen()
        try:
            noted = json.loads(self.place.read_text("utf-8"))
            return Seen(str(noted["epoch"]), int(noted["number"]), int(noted["timeline"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Seen()

    def of_epoch(self, head: Head) -> Seen:
        """What was seen of the ledger with this head; nothing if it has begun a new epoch."""
        return self.seen if head.epoch and head.epoch == self.seen.epoch else Seen(head.epoch)

    def note(self, head: Head, timeline: int, now: bool = False) -> None:
        """Note how far the ledger goes, now and then, and at the end."""
        self.seen = Seen(head.epoch, head.number, timeline)
        if self.place is None or (not now and clock.monotonic() - self._noted_at < EVERY):
            return
        self._noted_at = clock.monotonic()
        with contextlib.suppress(OSError):  # a note that cannot be written is not worth a refusal
            self.place.parent.mkdir(parents=True, exist_ok=True)
            beside = self.place.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(asdict(self.seen)), "utf-8")
            beside.replace(self.place)


def timeline_of(db: Database) -> int:
    """PostgreSQL's timeline, which grows with each fail-over; 0 where it is not told. It is read from the name of the file that is written now:
    what a checkpoint has noted is that of the old primary until the first checkpoint of the new one.
    """
    if db.dialect != "postgres":
        return 0
    try:
        return int(db.rows("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)")[0][0], 16)
    except Exception:  # the role may not ask
        return 0
