"""One ledger for the service and for runs: what a run has appended is taken over before anything is decided, and the other way round.

The service notes up to which entry it knows the ledger. What lies beyond was appended by a run, a correction or an undo.
"""

from __future__ import annotations

from datetime import datetime

from roe.ledger.entries import CONFIRMED_BY_CRM, Loaded, Owned, Standing, Turn, TurnBack
from roe.ledger.entry import Entry, Stored
from roe.ledger.reconcile import Shown, decided, reconcile
from roe.ledger.state import assigned_of
from roe.ledger.store import Store
from roe.serve import people
from roe.serve.desk import Desk
from roe.serve.known import Owner, Timer, held_of, with_base
from roe.serve.state import State

KNOWN = ("source", "ledger")  # under which the number of the last entry that the service knows is kept
KINDS = ("owned", "loaded", "turn", "turn-back", "standing", *people.KINDS)


def take_over(desk: Desk, store: Store, upto: int, at: datetime) -> set[tuple[str, str]]:
    """Take over the entries that the desk does not know yet, up to a number; returns the records whose owners changed."""
    state: State = desk.state
    after = state.get(*KNOWN) or 0
    if after >= upto:
        return set()
    changed: list[tuple[str, str]] = []
    counted = False
    about_people: list[Entry] = []
    for x in store.entries(after, upto, KINDS):
        e = x.entry
        if isinstance(e, Owned):
            key = f"{e.entity}|{e.record}|{e.role}"
            state.put("owner", key, _owner(x, e, state.get("owner", key), store))
            desk.schedule(
                key,
                None if e.until is None else {"due": e.until.utc.isoformat(), "kind": "end", "pool": None, "rule": e.rule, "policy": ""},
            )
            changed.append(("owner", key))
        elif isinstance(e, Loaded):
            key = f"{e.entity}|{e.record}|{e.role}"
            if (owner := state.get("owner", key)) is not None:
                verdict = reconcile(Shown(e.rep), held_of(owner))
                state.put("owner", key, with_base(owner, e.rep, verdict.decided))
        elif isinstance(e, Turn):
            key, counted = f"{e.entity}|{e.record}|{e.role}", True
            state.put("assigned", key, assigned_of(e))
            if e.until is not None:
                timer: Timer = {"due": e.until.utc.isoformat(), "kind": "sla", "pool": e.asked or e.pool, "rule": "", "policy": ""}
                desk.schedule(key, timer)
            changed.append(("assigned", key))
        elif isinstance(e, TurnBack):
            key = f"{e.entity}|{e.record}|{e.role}"
            state.put("assigned", key, None)
            changed.append(("assigned", key))
        elif isinstance(e, Standing):
            state.put("pool", e.pool, {"turns": e.turns, "counts": dict(e.counts), "credits": dict(e.credits)})
            changed.append(("pool", e.pool))
        else:
            about_people.append(e)
    if counted:
        for rep, days in store.days().items():
            state.put("days", rep, dict(sorted(days.items())[-14:]))
        changed.append(("days", ""))
    state.put(*KNOWN, upto)
    stale = desk.follow(changed)
    for e in about_people:
        people.follow(desk, e, at)
    return stale


def standings(desk: Desk, at: datetime) -> None:
    """Entries with the pools as a group of requests leaves them, which a run begins from."""
    desk.records.keep_pools()
    for name in desk.state.changed("pool"):
        pool = desk.state.get("pool", name)
        if pool is not None:
            desk.entries.append(
                Standing(at=desk.moment(at), pool=name, turns=pool["turns"], counts=pool["counts"], credits=pool["credits"])
            )


def _owner(x: Stored, e: Owned, before: Owner | None, store: Store) -> Owner:
    run = store.entry(x.run).entry if x.run else None
    is_confirmed = e.by in CONFIRMED_BY_CRM
    base = e.rep if is_confirmed else None if before is None else before["base"]
    earlier = () if before is None or is_confirmed else decided(held_of(before), e.rep).decided
    at = e.at.local.isoformat()
    owner: Owner = {
        "decision": x.number, "owner": e.rep, "owner_name": None if e.rep is None else e.rep, "former": e.former, "by": e.by,
        "action": e.action or e.by, "rule": e.rule or None, "sentence": e.sentence, "until": None if e.until is None else str(e.until),
        "pool": e.pool or None, "since": before["since"] if before is not None and before["owner"] == e.rep else at, "at": at, "policy": getattr(run, "digest", "") or "",
        "base": base,
    }  # fmt: skip
    return with_base(owner, base, earlier)
