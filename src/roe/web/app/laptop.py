"""Snapshots of a policy over a folder of data, for `roe ui`: in rows, or in columns where the data is large.

What somebody does on a page is an entry of the ledger, and changes what is decided. So a snapshot is made again when the ledger has
gone on: at once where that is quick, else beside the one that is shown, which then says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from roe.evaluator.bound import Bound
from roe.evaluator.engine import Run
from roe.progress import counted
from roe.web.app.snapshot import RowSnapshot, Snapshot

log = logging.getLogger("roe.ui")
QUICK = 2.0  # seconds that a page may wait for a new snapshot


def snapshot_of(bound: Bound, source: str) -> Snapshot:
    """Decide every record, and keep what the pages ask about."""
    if type(bound.world).__name__ == "ColumnWorld":  # asked by name: without large data its packages are not needed
        from roe.web.app.columns import ColumnSnapshot

        return ColumnSnapshot(bound, source)
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    return RowSnapshot(Run(bound, list(counted(bound.decide_all(), total, "deciding"))), source)


class Laptop:
    """The newest snapshot. `bind` binds the records with what the ledger knows now; `number` is where the ledger ends. Where one takes longer than
    `quick` seconds, a page does not wait for it.
    """

    def __init__(self, bind: Callable[[], Bound], source: str, number: Callable[[], int] = lambda: 0, quick: float = QUICK) -> None:
        self._bind, self._source, self._number, self._quick = bind, source, number, quick
        self._lock = threading.Lock()
        self._made = number()
        began = time.monotonic()
        self._snapshot = snapshot_of(bind(), source)
        self._takes = time.monotonic() - began
        self._making: threading.Thread | None = None

    def current(self) -> Snapshot:
        with self._lock:
            if self._number() == self._made or (self._making is not None and self._making.is_alive()):
                return self._snapshot
            if self._takes > self._quick:
                self._snapshot.outdated = True
                self._making = threading.Thread(target=self._make, name="roe-snapshot", daemon=True)
                self._making.start()
            else:
                self._make()
            return self._snapshot

    def _make(self) -> None:
        """Bind and decide anew. Where the data cannot be read any more the old snapshot stays, and says so."""
        number, began = self._number(), time.monotonic()
        try:
            made = snapshot_of(self._bind(), self._source)
        except (Exception, SystemExit) as e:  # the command line ends where it cannot bind: here somebody is looking
            log.error("the records could not be decided anew: %s", e)
            self._snapshot.outdated, self._made = True, number
            return
        self._takes = time.monotonic() - began
        self._snapshot, self._made = made, number
