"""Service levels of pools: what a rep has still to work and by when, and what was not worked in time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from roe.grammar import values as v
from roe.ledger.reconcile import key_parts
from roe.web.app.outcomes import RecordOutcome, moment
from roe.web.app.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Missed:
    """A record that `reps` (ids) had and did not work in time. `still` says that the last of them has it yet."""

    outcome: RecordOutcome
    reps: tuple[str, ...]
    still: bool


def to_work(snapshot: Snapshot, outcomes: Iterable[RecordOutcome], most: int) -> list[RecordOutcome]:
    """The records that pools gave out and nobody has worked yet, those that are due first first."""
    now = snapshot.clock.now
    given = sorted((o for o in outcomes if o.action == "route" and o.until is not None), key=lambda o: moment(o.until, now))
    return list(islice((o for o in given if not _is_worked(snapshot, o)), most))


def missed(snapshot: Snapshot, reps: Collection[str]) -> Iterator[Missed]:
    """What some reps did not work in time: what they still have, and what their pool took away for that."""
    now = snapshot.clock.now
    for rep in reps:
        for o in snapshot.outcomes.owned(rep):
            if o.action == "route" and o.until is not None and moment(o.until, now) < now and not _is_worked(snapshot, o):
                yield Missed(o, (rep,), True)
    for key, turn in snapshot.assigned.items():
        late = tuple(rep for rep in turn.get("tried", ()) if rep in reps)
        entity, record, role = key_parts(key)
        outcome = next((o for o in snapshot.outcomes.of(entity, record) if o.role == role), None) if late else None
        if outcome is not None:
            yield Missed(outcome, late, False)


def _is_worked(snapshot: Snapshot, o: RecordOutcome) -> bool:
    """Whether its rep has worked a record since a pool gave it to them."""
    assigned, row = snapshot.assigned.get(f"{o.entity}|{o.id}|{o.role}"), snapshot.row(o.entity, o.id)
    pool = snapshot.pools.pools.get(assigned["pool"]) if assigned is not None else None
    if assigned is None or row is None or pool is None or pool.step.sla is None:
        return False
    rep, since = row.world.rep(assigned["rep"]), v.parse_temporal(assigned["at"])
    return rep is not None and isinstance(since, datetime) and snapshot.pools.worked(pool, row, rep, since) is True
