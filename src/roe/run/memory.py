"""The memory of runs: what one leaves to the next, in the ledger that `--state` names.

A run decides at the number that it has read, without the lock. Under the lock it looks whether anybody has appended since; if so it
reads again and decides anew. So nothing is lost or given twice, and a run that was killed never happened.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from roe.diagnostics import PolicyError, user_error
from roe.dynamic import Json
from roe.grammar import values as v
from roe.grammar.values import Duration
from roe.ledger.audit import anchor
from roe.ledger.changed import differing
from roe.ledger.encode import Drafted
from roe.ledger.entries import Owned, RunEntry
from roe.ledger.entry import Entry
from roe.ledger.holders import OwnerState
from roe.ledger.moment import At
from roe.ledger.remembered import Remembered
from roe.ledger.state import past, remembered
from roe.ledger.store import Store, open_store
from roe.ledger.writing import Writing
from roe.words import counted, verb

UNDO = "undo"  # what an undo is called, as a run and as what gave a record back
AHEAD = timedelta(hours=36)  # how far as-of may lie after the clock: a typing error in it would lock the ledger


@dataclass
class Memory:
    """A ledger, and what a run has read of it. `number` is that of the last entry that it knows."""

    store: Store
    wait: float
    number: int = 0
    last: RunEntry | None = None

    def read(
        self, digest: str = "", owners: Callable[[Store], Mapping[str, OwnerState]] | None = None, looks_back: bool = False
    ) -> Remembered:
        """The memory as of now, all of one moment. `digest` is the policy's: what was undone under another one is no longer held.
        `owners` reads who holds what (see `remembered`). `looks_back` says whether the rules ask for former owners and values.
        """
        while True:
            self.number = self.store.head().number
            state = remembered(self.store, owners) | held(self.store, digest) | (past(self.store) if looks_back else {})
            last = self.store.last_run()
            if self.store.head().number == self.number:
                self.last = last.entry if last is not None and isinstance(last.entry, RunEntry) else None
                return state

    def keep_copy(self, rows: int) -> None:
        """Let the next run in columns read who holds what at once (see `roe.ledger.snapshot`). `rows` of that were there before this run."""
        from roe.ledger.snapshot import keep_copy

        with suppress(PolicyError):  # it is committed: that somebody else has the lock by now changes nothing
            keep_copy(self.store, 1, rows)

    def thin_out(self, at: At, retain: Duration | None) -> list[str]:
        """Erase evidence that was kept long enough: in the first run of each month, since it rewrites the database. What is to be said of it."""
        if retain is None or self.last is None or self.last.at.date.replace(day=1) == at.date.replace(day=1):
            return []
        from roe.ledger.erase import prune

        before = v.subtract(at.date, retain)
        try:
            gone = prune(self.store, At.of(before, at.zone), why="retain:") if before is not None else 0
        except PolicyError as e:  # the run itself is committed
            return [f"old evidence is not erased this month: {e.diagnostics[0].message}; `roe ledger prune` does it"]
        return [f"{counted(gone, 'piece')} of evidence from before {before} {verb(gone, 'is', 'are')} erased (`retain:`)"] if gone else []

    def check(self, at: At, now: datetime) -> None:
        """Raises PolicyError for an as-of before the last run's, or far ahead of the clock."""
        last = self.store.last_run()
        help = "name a later day, or see what it would have decided: --replay"
        if last is not None and at.instant < last.entry.at.instant:
            _refuse(f"the ledger has a run as of {last.entry.at}, which is later than {at}", help)
        if at.utc > now.astimezone(UTC) + AHEAD:
            help = "name the day on which you run it, or see what it would decide: --replay"
            _refuse(f"{at} is more than {AHEAD / timedelta(hours=1):g} hours from now, and no earlier run could follow", help)

    def ended(self, at: At) -> set[tuple[str, str, str]]:
        """(entity, record, role) of every owner whose time, deadline or claim has ended by a moment."""
        return self.store.keys_due(At(at.instant + 1))

    def has(self, run: str) -> bool:
        """Whether a run was committed."""
        return any(isinstance(x.entry, RunEntry) and x.entry.id == run for x in self.store.runs())

    def place_of(self, run: str) -> Json:
        """Where a run that was committed ends in the ledger (see `roe.ledger.audit.anchor`)."""
        return anchor(self.store, self.store.of_run(run)[-1].number)

    @contextmanager
    def committing(self) -> Iterator[Commit]:
        """The lock of the ledger, and one transaction. Raises PolicyError if another writer has it for longer than `wait` seconds."""
        with self.store.writing(self.wait) as tx:
            yield Commit(self, tx)


@dataclass
class Commit:
    """What a run appends: all of it appears as the block ends, or nothing if it raises."""

    memory: Memory
    tx: Writing

    @property
    def is_current(self) -> bool:
        """Whether nobody has appended anything since the memory was read."""
        return self.tx.head.number == self.memory.number

    def append(self, run: RunEntry, policy_files: Mapping[str, bytes], entries: Iterable[Entry | Drafted]) -> Json:
        """The run and its entries; what ties the ledger to the run's files (see `roe.ledger.audit.anchor`)."""
        if run.digest:
            self.tx.keep_policy(run.digest, policy_files)
        self.tx.run(run)
        self.tx.append(entries)
        return self.tx.head.anchor


@contextmanager
def opened(place: str, zone: str, wait: float, replay: At | None = None) -> Iterator[Memory]:
    """The memory of a `--state`. With `replay` it is a copy that has the runs up to a moment, and is thrown away at the end."""
    with open_store(place, wait=wait, zone=zone) as store:
        if replay is None:
            yield Memory(store, wait)
            return
        with tempfile.TemporaryDirectory() as folder, open_store(folder) as copy:
            _copy(store, copy, replay)
            yield Memory(copy, wait)


def _copy(store: Store, to: Store, until: At) -> None:
    """The runs of a ledger up to a moment, entry by entry."""
    runs = [x for x in store.runs() if x.entry.at.instant <= until.instant]
    for run in runs:
        entries = [x.entry for x in store.of_run(run.number)]
        assert isinstance(entries[0], RunEntry)
        to.append(entries[1:], entries[0])


def read_memory(place: Path | str | None, zone: str = "", wait: float = 60, digest: str = "", looks_back: bool = False) -> Remembered:
    """What the last run left, for whoever only reads it; empty where there was none. Raises PolicyError if it cannot be read.

    With the `digest` of a policy also what is held since a run was undone, and with `looks_back` the past, as `Memory.read` has them.
    """
    if place is None or not has_memory(place):
        return {}
    with open_store(place, wait=wait, zone=zone) as store:
        return remembered(store) | (held(store, digest) if digest else {}) | (past(store) if looks_back else {})


def has_memory(place: Path | str) -> bool:
    """Whether there is a ledger in a place, or what a roe before the ledger left there. Raises PolicyError for what cannot be a place."""
    from roe.ledger.legacy import FILE
    from roe.ledger.store import exists

    return exists(place) or (Path(place) / FILE).is_file()


def held(store: Store, digest: str) -> Remembered:
    """`held`: `entity|record|role` -> where a record stays since a run was undone, until when, and who said so."""
    holdings: Json = {}
    for x in store.runs():
        run = x.entry
        if isinstance(run, RunEntry) and run.what == UNDO and (not digest or run.digest == digest):
            for e in store.of_run(x.number):
                if isinstance(e.entry, Owned) and e.entry.until is not None:
                    now = store.holding(e.entry.entity, e.entry.record, e.entry.role)
                    if now is not None and now.by == UNDO:
                        key = f"{e.entry.entity}|{e.entry.record}|{e.entry.role}"
                        holdings[key] = {
                            "rep": now.rep,
                            "until": str(e.entry.until.date),
                            "by": run.accepted,
                            "run": run.counts.get("run", ""),
                        }
    return {"held": dict(sorted(holdings.items()))} if holdings else {}


def in_force(store: Store) -> RunEntry | None:
    """The newest run of a policy; adjustments, plans of books and imports may be of none."""
    return next((x.entry for x in reversed(store.runs()) if isinstance(x.entry, RunEntry) and x.entry.digest), None)


def changed(before: Remembered, after: Remembered) -> set[str]:
    """The keys of `owners`, `entity|record|role`, that a run leaves otherwise than it found them."""
    return differing(before.get("owners", {}), after.get("owners", {}))


def _refuse(message: str, help: str) -> NoReturn:
    raise user_error("R646", message, "--as-of", help)
