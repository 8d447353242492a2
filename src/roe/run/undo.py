"""Undo of a run: entries that give back what it gave, and hold it for a while.

The run's own entries stay. Records that somebody has decided, moved or answered since are left as they are, and listed. What is undone
stays with its former owner until a day, or until the policy changes: else the next run would decide the same again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NoReturn

from roe import __version__
from roe.diagnostics import suggest, user_error
from roe.dynamic import Json
from roe.ledger.entries import CONFIRMED_BY_CRM, Owned, Raised, RunEntry, Standing, Turn, TurnBack
from roe.ledger.entry import Entry, Stored
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.run.inputs import run_id
from roe.run.memory import UNDO, in_force, opened

HELD_FOR = timedelta(days=30)
REASON = "the run is undone"


@dataclass
class Undone:
    """(entity, record, role, who has it again, who had it) of what was undone, (entity, record, role) of what was touched since, and until
    when it is held.
    """

    id: str
    back: list[tuple[str, str, str, str | None, str | None]] = field(default_factory=list)
    left: list[tuple[str, str, str]] = field(default_factory=list)
    turns: int = 0
    until: date = date.max


def undo(name: str, state: str, who: str, until: date | None, wait: float) -> Undone:
    """Give back what a run gave. `who` says who asks for it, and why. Raises PolicyError if the ledger has no such run."""
    with opened(state, "", wait) as memory, memory.committing() as commit:
        undone, entries, at = _planned(memory.store, name, until)
        undone.id, policy = run_id(str(at), name, str(memory.store.head().number)), in_force(memory.store)
        assert policy is not None
        own = RunEntry(
            at=at, id=undone.id, what=UNDO, policy=policy.policy, digest=policy.digest, version=__version__, accepted=who,
            counts={"run": name, "records": len(undone.back), "left": len(undone.left), "turns": undone.turns},
        )  # fmt: skip
        commit.append(own, {}, entries)
    return undone


def would_undo(name: str, state: str, wait: float) -> Undone:
    """The same without doing it: what `undo` would give back and leave. Raises PolicyError if the ledger has no such run."""
    with opened(state, "", wait) as memory:
        return _planned(memory.store, name)[0]


def _planned(store: Store, name: str, until: date | None = None) -> tuple[Undone, list[Entry], At]:
    """What an undo gives back and leaves, its entries, and the moment at which it stands."""
    run, last = _run(store, name), store.last_run()
    assert last is not None
    at = last.entry.at
    if until is not None and until <= at.date:
        _refuse(f"the last run was on {at.date}, so nothing would be held until {until}", "name a later day, or leave it out for 30 days")
    undone = Undone("", until=until or at.date + HELD_FOR)
    return undone, list(_back(store, run, At.of(undone.until, at.zone), at, undone)), at


def _run(store: Store, name: str) -> Stored:
    every = store.runs()
    runs = {x.entry.id: x for x in every if isinstance(x.entry, RunEntry) and x.entry.what == "run"}
    if name not in runs:
        help = suggest(name, runs, f"the last ones are {', '.join(list(runs)[-3:])}" if runs else "the ledger has no run")
        _refuse(f"the ledger has no run `{name}`", help)
    undone = {x.entry.counts.get("run") for x in every if isinstance(x.entry, RunEntry) and x.entry.what == UNDO}
    if name in undone:
        _refuse(f"the run `{name}` is undone already", "see roe history, or undo another run")
    return runs[name]


def _back(store: Store, run: Stored, until: At, at: At, undone: Undone) -> Iterator[Entry]:
    """The entries that give back what a run gave, in the order in which it gave."""
    stored = store.of_run(run.number)
    own = {x.number for x in stored}
    for x in stored:
        e = x.entry
        if isinstance(e, Owned) and e.by not in CONFIRMED_BY_CRM:
            yield from _owner(store, e, own, until, undone)
        elif isinstance(e, Turn):
            latest = [o for o in store.latest("turn", True, e.entity, e.record) if o.stored.number == x.number]
            if latest:
                undone.turns += 1
                yield TurnBack(at=at, entity=e.entity, record=e.record, role=e.role, rep=e.rep, pool=e.pool, number=e.number, reason=REASON)
        elif isinstance(e, Standing):
            if any(o.stored.number == x.number for o in store.latest("standing")):
                yield _standing(store, e.pool, run.number, at)
        elif isinstance(e, Raised):
            if any(o.stored.number == x.number for o in store.latest("raised", None, e.entity, e.record)):
                yield Raised(at=at, entity=e.entity, record=e.record, event=e.event, up=not e.up)


def _owner(store: Store, e: Owned, own: set[int], until: At, undone: Undone) -> Iterator[Owned]:
    """Whoever had a record before, since when she had it; nothing if somebody has decided it since."""
    now = store.holding(e.entity, e.record, e.role)
    if now is None or now.decision not in own:
        undone.left.append((e.entity, e.record, e.role))
        return
    before = [h for h in store.history_of(e.entity, e.record) if h.role == e.role and h.start.instant < now.start.instant]
    had = before[-1] if before else None
    undone.back.append((e.entity, e.record, e.role, None if had is None else had.rep, now.rep))
    more: Json = {"entity": e.entity, "record": e.record, "role": e.role, "by": UNDO, "until": until, "sentence": REASON}
    if had is None:
        yield Owned(at=now.start, rep=None, former=now.rep, **more)
    else:
        yield Owned(at=had.start, rep=had.rep, queue=had.queue, former=had.former, since_unknown=had.since_unknown, **more)


def _standing(store: Store, pool: str, run: int, at: At) -> Standing:
    """A pool's standing before a run; nothing if it had none."""
    earlier = [x.entry for x in store.entries(0, run - 1, ("standing",)) if isinstance(x.entry, Standing) and x.entry.pool == pool]
    if not earlier:
        return Standing(at=at, pool=pool)
    last = earlier[-1]
    return Standing(at=at, pool=pool, turns=last.turns, counts=last.counts, credits=last.credits)


def _refuse(message: str, help: str) -> NoReturn:
    raise user_error("R604", message, "RUN", help)
