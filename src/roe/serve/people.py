"""What people decide, in the service: granted exceptions and reps who are away, followed as soon as the ledger has them.

They are entries of their own (`roe.run.acts`), whoever appends them: a page, the API, or `roe ui` on somebody's laptop.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from roe.dynamic import Json, Saved
from roe.grammar import values as v
from roe.ledger.entry import Entry
from roe.ledger.people import Away, Excepted, Requested
from roe.ledger.state import granted_of
from roe.ledger.store import Store
from roe.run.acts import STANDS, Act, Decline, End, Grant, Propose
from roe.serve import timers
from roe.serve.desk import Desk, WasAsked
from roe.serve.problems import Refused

KINDS = ("excepted", "away")
DECIDES = ("granted", "declined", "ended")  # events that need the scope `admin`


def follow(desk: Desk, e: Entry, at: datetime) -> None:
    """Heed an entry that says what somebody has decided."""
    if isinstance(e, Excepted):
        key = f"{e.entity}|{e.record}|{e.role}"
        desk.state.put("granted", key, granted_of(e) if e.up and e.until is not None else None)
        desk.records.grant(key)
        if desk.records.row(e.entity, e.record) is not None and e.role in desk.roles(e.entity):
            desk.decide(e.entity, e.record, at, only=(e.role,))
    elif isinstance(e, Away) and desk.records.row("rep", e.record) is not None:
        if e.up:
            timers.away(desk, e.record, None if e.until is None else e.until.date, at, e.reason, e.start)
        else:
            timers.back_again(desk, e.record, at)


def excepted(desk: Desk, event: Saved, subject: tuple[str, str, str], rep: Callable[[], str], at: datetime) -> Json:
    """An exception is asked for, granted, declined or ended."""
    entity, id, role = subject
    by, reason = str(event.get("by") or ""), str(event.get("reason") or "")
    about = {"by": by, "entity": entity, "record": id, "role": role, "reason": reason}
    what = event["event"]
    act: Act
    if what in ("requested", "granted"):
        if not reason:
            raise Refused(422, "R903", "`reason` is missing", "say why; everybody who sees the record can read it")
        if what == "requested" and desk.is_asked(entity, id, role):
            raise Refused(
                409,
                "R648",
                f"somebody has already asked for an exception for the {entity} `{id}`",
                "wait for the answer: `granted` or `declined`",
            )
        act = (Grant if what == "granted" else Propose)(**about, rep=rep(), until=until_of(event, desk, at), start=None)
    else:
        if what == "ended" and desk.state.get("granted", f"{entity}|{id}|{role}") is None:
            raise Refused(
                409, "R648", f"there is no exception for the {entity} `{id}` to end", "to end one from a policy file, change the file"
            )
        if what == "declined" and not desk.is_asked(entity, id, role):
            raise Refused(
                409, "R648", f"nobody waits for an exception for the {entity} `{id}`", "somebody may have answered already; see its history"
            )
        act = (Decline if what == "declined" else End)(**about)
    append(desk, act, at)
    return {"entity": entity, "id": id, "role": role, "event": what}


def asked_in(store: Store) -> WasAsked:
    """Whether somebody waits for an exception, by what the ledger has."""
    return lambda entity, id, role: any(e.role == role for e in store.newest(Requested, True, entity, id))


def append(desk: Desk, act: Act, at: datetime) -> None:
    """Append the entries of an act, and follow them."""
    for e in act.entries(desk.moment(at)):
        desk.entries.append(e)
        follow(desk, e, at)


def until_of(event: Saved, desk: Desk, at: datetime) -> date:
    """The day up to which it stands: the event's `until`, else some months from now."""
    today = at.astimezone(desk.tz).date()
    said = event.get("until")
    if said is None:
        return today + STANDS
    day = v.parse_date(str(said))
    if day is None or day <= today:
        raise Refused(422, "R903", f"`{str(said)[:40]}` is not a future date", "write `until` as 2026-03-31")
    return day
