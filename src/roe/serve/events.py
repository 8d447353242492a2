"""What happens to records outside of the rules: worked, claimed, returned, answered, and reps who are away.

An event becomes a record of the mirror where the rules read it as one (an activity, a claim, a hand-back, a leave), and an
entry of the ledger. An event about the past counts as of its own moment: proof that comes late gives a record back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from roe.crm.ids import fold
from roe.dynamic import Json, Saved
from roe.grammar import values as v
from roe.ledger.entries import Answered, Claimed, Returned, Seen, TurnBack
from roe.ledger.moment import At
from roe.ledger.people import Away, Excepted
from roe.ledger.state import granted_of
from roe.serve import held, intake, people, timers, turns
from roe.serve.desk import Desk
from roe.serve.known import MissedLevel
from roe.serve.problems import Refused, unknown
from roe.serve.times import MOST_AHEAD, first_moment

YEARS = 1900, 9999  # of moments that exist in every time zone
FIELDS = ("event", "entity", "id", "role", "rep", "at", "until", "reason", "answer", "by", "activity")  # of an event
Act = Callable[[Desk, Saved, datetime], Json]  # an event, and when it comes in: what became of it
EVENTS: dict[str, Act] = {}


def handle(desk: Desk, event: Saved, at: datetime) -> Json:
    """Handle one event; returns what became of it."""
    act = EVENTS.get(str(event.get("event")))
    if act is None:
        what = "`event` is missing" if event.get("event") is None else f"`{event['event']}` is not an event"
        raise Refused(422, "R903", what, f"the events are {', '.join(EVENTS)}")
    strange = [name for name in event if name not in FIELDS]
    return {**act(desk, event, at), **({"not_understood": strange} if strange else {})}


def _event(name: str) -> Callable[[Act], Act]:
    def kept(act: Act) -> Act:
        EVENTS[name] = act
        return act

    return kept


@_event("worked")
def worked(desk: Desk, event: Saved, at: datetime) -> Json:
    """A rep has worked a record: an activity, and perhaps the proof that its time was kept."""
    entity, id, role, key = _subject(desk, event)
    owner, rep, when = desk.state.owner(key), _rep(desk, event), _when(event, at)
    number = desk.state.count("activity")
    shown = dict(event.get("activity") or {})
    fields = {"id": f"worked:{number}", "date": str(when.astimezone(desk.tz).date()), "rep": rep, "at": when.isoformat(), **shown}
    if entity in ("lead", "account", "contact"):
        fields[entity] = id
    intake.put(desk, "activity", fields, "", at)
    desk.entries.append(Seen(at=desk.moment(when), entity=entity, record=id, field="worked", value=rep))
    missed = next((m for m in timers.missed_levels(owner) if m["rep"] == rep and _is_disproved(desk, key, m, when, at)), None)
    if missed is not None:
        return _late_proof(desk, key, missed, when, at)
    why_not = _why_not_in_time(desk, key, rep, when, at)
    if not why_not:
        desk.schedule(key, None)
        desk.state.put("owner", key, {**owner, "worked": when.isoformat()})
    is_worked = not why_not or owner.get("worked") is not None
    return {**desk.shown(entity, id, role), "worked": is_worked, "reason": None if is_worked else why_not}


def _why_not_in_time(desk: Desk, key: str, rep: str, when: datetime, at: datetime) -> str:
    """Why an activity keeps no deadline; empty if it does."""
    entity = key.partition("|")[0]
    owner, timer = desk.state.owner(key)["owner"], desk.state.get("timer", key)
    if owner != rep:
        return f"{desk.records.rep_name(owner) if owner else 'nobody'} owns it, and not {desk.records.rep_name(rep)}"
    if timer is None or timer["kind"] != "sla":
        return f"no deadline runs for the {entity}: it is noted as an activity"
    if when >= datetime.fromisoformat(timer["due"]):  # at that moment it is missed, whoever comes first
        return f"the deadline was {timer['due']}"
    return "" if _has_worked(desk, key, at) else "by the pool's `sla:`, this is not yet enough"


def _is_disproved(desk: Desk, key: str, missed: MissedLevel, when: datetime, at: datetime) -> bool:
    """Whether a record was worked in time after all, as the pool's `sla:` wants it; the newest activity is of `when`."""
    entity, id, _ = key.split("|", 2)
    due = datetime.fromisoformat(missed["due"])
    if when >= due:
        return False
    live, row = desk.records.at(due), desk.records.row(entity, id)
    rep, pool = live.world.rep(missed["rep"]), live.pools.pools.get(missed["pool"] or "")
    if row is None or rep is None or pool is None or pool.step.sla is None:
        return False
    is_worked = live.pools.worked(pool, row, rep, v.parse_temporal(missed["since"]))
    desk.records.at(at)
    return is_worked


def _late_proof(desk: Desk, key: str, missed: MissedLevel, when: datetime, at: datetime) -> Json:
    """The record was worked in time, and the proof came late: it goes back, unless the new owner has worked it. It is not missed any more."""
    entity, id, role = key.split("|", 2)
    owner, given, rep = desk.state.owner(key), desk.state.get("assigned", key), missed["rep"]
    who = desk.records.rep_name(rep)
    desk.proofs += 1
    if owner.get("worked") is not None or _has_worked(desk, key, at):
        timers.mark_missed(desk, key, [m for m in timers.missed_levels(owner) if m["since"] != missed["since"]])
        desk.send("proved", key, at, worked_by=who)
        return {**desk.shown(entity, id, role), "worked": True, "given_back": False}
    other = owner["owner"]
    sentence = f"{who} worked it in time, and the proof came later"
    if given is not None and other is not None:
        desk.entries.append(TurnBack(at=desk.moment(at), entity=entity, record=id, role=role, rep=other, pool=given["by"], reason=sentence))
        turns.give_back(desk, given["by"], other, given["on"])
        desk.assign(key, {**given, "rep": rep, "tried": [x for x in given.get("tried", ()) if x != rep]})
    desk.own(key, rep, at, by="correction", action="keep", sentence=sentence, more={"worked": when.isoformat()})
    desk.schedule(key, None)
    desk.send("returned", key, at)
    return {**desk.shown(entity, id, role), "worked": True, "given_back": True}


def _has_worked(desk: Desk, key: str, at: datetime) -> bool:
    """Whether the owner of a record has worked it since it was assigned."""
    entity, id, _ = key.split("|", 2)
    given, owner = desk.state.get("assigned", key), desk.state.owner(key)
    if given is None or owner["owner"] is None:
        return False
    live, row = desk.records.at(at), desk.records.row(entity, id)
    rep, pool = live.world.rep(owner["owner"]), live.pools.pools.get(given["pool"])
    if row is None or rep is None or pool is None or pool.step.sla is None:
        return False
    return live.pools.worked(pool, row, rep, v.parse_temporal(given["at"]))


@_event("claimed")
def claimed(desk: Desk, event: Saved, at: datetime) -> Json:
    """A rep takes a record that nobody owns; accounts by the policy's claims, anything else if it is open."""
    entity, id, role, key = _subject(desk, event, owned=False)
    rep, when = _rep(desk, event), _when(event, at)
    if desk.records.at(at).world.is_untouched(entity, id):
        raise Refused(
            409, "R903", f"`do_not_route:` keeps the {entity} `{id}` where it is", "to move it, change `do_not_route:` in the policy"
        )
    claims = desk.plan.claims
    if entity == "account" and claims is not None and role == claims.role:
        claim = f"claim:{desk.state.count('claim')}"
        intake.put(desk, "claim", {"id": claim, "account": id, "rep": rep, "at": when.isoformat()}, "", at)
        desk.records.at(at)
        outcome = desk.records.row("claim", claim)
        status, reason = (str(outcome["status"]), str(outcome["reason"] or "")) if outcome is not None else ("refused", "")
        granted = status not in ("refused",)
        entry = Claimed(at=desk.moment(when), entity=entity, record=id, role=role, rep=rep, claim=claim, status="granted" if granted else "refused", reason=reason)  # fmt: skip
        desk.entries.append(entry)
        desk.decide(entity, id, at, only=(role,))
        return {**desk.shown(entity, id, role), "granted": granted, "reason": reason or None}
    owner = desk.state.get("owner", key)
    if owner is not None and owner["owner"] not in (None, rep):
        reason = f"{owner['owner_name'] or owner['owner']} owns it"
        desk.entries.append(Claimed(at=desk.moment(when), entity=entity, record=id, role=role, rep=rep, status="refused", reason=reason))
        return {**desk.shown(entity, id, role), "granted": False, "reason": reason}
    who = desk.records.rep_name(rep)
    desk.entries.append(Claimed(at=desk.moment(when), entity=entity, record=id, role=role, rep=rep))
    desk.own(key, rep, at, by="claim", action="claim", sentence=f"{who} has claimed it")
    desk.state.put("held", key, None)
    desk.schedule(key, None)
    desk.send("assigned", key, at)
    return {**desk.shown(entity, id, role), "granted": True, "reason": None}


@_event("returned")
def returned(desk: Desk, event: Saved, at: datetime) -> Json:
    """A rep gives a record back. A pool gives it to somebody else; what came from elsewhere, a rule or a claim, nobody has until somebody decides."""
    entity, id, role, key = _subject(desk, event)
    owner, rep, when, reason = desk.state.owner(key), _rep(desk, event), _when(event, at), str(event.get("reason") or "")
    if desk.records.at(at).world.is_untouched(entity, id):
        raise Refused(
            409, "R903", f"`do_not_route:` keeps the {entity} `{id}` where it is", "to move it, change `do_not_route:` in the policy"
        )
    if owner["owner"] != rep:
        raise Refused(409, "R903", f"`{rep}` does not own the {entity} `{id}`", "only its owner can give a record back")
    if desk.records.row(entity, id) is None:
        raise unknown(f"there is no {entity} `{id}` any more", "send it again with PUT, or leave it")
    desk.entries.append(Returned(at=desk.moment(when), entity=entity, record=id, role=role, rep=rep, by=rep, reason=reason))
    if entity == "account":
        number = desk.state.count("handback")
        day = str(when.astimezone(desk.tz).date())
        intake.put(desk, "handback", {"id": f"handback:{number}", "account": id, "rep": rep, "date": day, "reason": reason}, "", at)
    given = desk.state.get("assigned", key)
    who = desk.records.rep_name(rep)
    desk.own(key, None, at, action="return", sentence=f"{who} gave it back" + (f": {reason}" if reason else ""))
    desk.schedule(key, None)
    desk.assign(key, None)
    if given is not None:
        tried = dict.fromkeys([*given.get("tried", ()), rep], "gave it back")
        desk.decide(entity, id, at, only=(role,), tried=tried)
        again = desk.state.get("assigned", key)
        if again is not None:
            desk.assign(key, {**again, "tried": list(tried)})
    else:
        desk.send("unassigned", key, at)
    return desk.shown(entity, id, role)


@_event("answered")
def answered(desk: Desk, event: Saved, at: datetime) -> Json:
    """Somebody has decided a referral: the owner is the one named, or stays."""
    entity, id, role, key = _subject(desk, event)
    owner, when = desk.state.owner(key), _when(event, at)
    if owner["action"] != "refer":
        raise Refused(409, "R903", f"no decision is asked for on the {entity} `{id}`", "answer a record whose action is `refer`")
    answer, by = str(event.get("answer") or ""), str(event.get("by") or "")
    rep = _rep(desk, event) if event.get("rep") else owner["owner"]
    until = people.until_of(event, desk, at)
    desk.entries.append(Answered(at=desk.moment(when), entity=entity, record=id, role=role, rep=rep, answer=answer, by=by))
    who = desk.records.rep_name(rep) if rep else "nobody"
    decided = f"{by or 'the person asked'} decided: {answer or who}"
    desk.own(key, rep, at, action="answer", sentence=decided)
    desk.schedule(key, None)
    if rep is not None:  # else the rules would only ask again, here or in the next run
        stands = Excepted(
            at=desk.moment(when), entity=entity, record=id, role=role, rep=rep, until=At.of(until, desk.zone), by=by, reason=decided
        )
        desk.entries.append(stands)
        desk.state.put("granted", key, granted_of(stands))
        desk.records.grant(key)
    desk.send("assigned" if rep is not None else "unassigned", key, at)
    return desk.shown(entity, id, role)


@_event("unavailable")
def unavailable(desk: Desk, event: Saved, at: datetime) -> Json:
    """A rep takes nothing until a day or a moment, or until `available`. What the rep owns stays."""
    rep, until = _rep(desk, event), event.get("until")
    end: date | datetime | None = None
    if until is not None:
        end = v.parse_date(str(until)) or _moment(str(until), "until", "a day or ")
        if first_moment(end, desk.tz) <= at:
            raise Refused(422, "R903", "`until` has passed already", "name a later day or moment, or leave it out")
    timers.away(desk, rep, end, at, str(event.get("reason") or ""))
    desk.entries.append(
        Away(
            at=desk.moment(at), entity="rep", record=rep, start=str(at.astimezone(desk.tz).date()),
            until=None if end is None else At.of(end, desk.zone), by=str(event.get("by") or ""), reason=str(event.get("reason") or ""),
        )
    )  # fmt: skip
    return {"rep": rep, "available": False, "until": None if until is None else str(until)}


@_event("available")
def available(desk: Desk, event: Saved, at: datetime) -> Json:
    """A rep takes records again, before the day that was said."""
    rep = _rep(desk, event)
    timers.back_again(desk, rep, at)
    desk.entries.append(Away(at=desk.moment(at), entity="rep", record=rep, up=False, by=str(event.get("by") or "")))
    if not desk.is_paused:
        held.retry(desk, at)
    return {"rep": rep, "available": True}


def _excepted(desk: Desk, event: Saved, at: datetime) -> Json:
    """An exception is asked for, granted, declined or ended."""
    entity, id, role, _ = _subject(desk, event, owned=False)
    return people.excepted(desk, event, (entity, id, role), lambda: _rep(desk, event), at)


EVENTS |= dict.fromkeys(("requested", *people.DECIDES), _excepted)


def _subject(desk: Desk, event: Saved, owned: bool = True) -> tuple[str, str, str, str]:
    """(entity, record, role, key) that an event is about; the role is the first with rules unless it is named."""
    entity = desk.entity(str(event.get("entity") or "lead"))
    desk.decides(entity)
    if event.get("id") in (None, ""):
        raise Refused(422, "R903", "`id` is missing", f"name the {entity} that the event is about")
    id = fold(str(event["id"]))
    roles = desk.roles(entity)
    role = str(event.get("role") or roles[0])
    if role not in roles:
        raise Refused(
            422, "R502", f"the policy has no rules for {entity} records in the role `{role}`", f"the roles are {', '.join(roles)}"
        )
    key = f"{entity}|{id}|{role}"
    if owned and desk.state.get("owner", key) is None:
        raise unknown(f"nothing was decided about the {entity} `{id}`", "route it with POST first")
    if not owned and not desk.record(entity, id).fields:
        raise unknown(f"there is no {entity} `{id}`", "send it with PUT or POST first")
    return entity, id, role, key


def _rep(desk: Desk, event: Saved) -> str:
    """The id of the rep that an event names."""
    text = str(event.get("rep") or "")
    rep = desk.records.known_rep(text)
    if rep is None:
        raise Refused(422, "R903", f"`{text}` is not a rep" if text else "`rep` is missing", "name a rep of the mirror by id or by name")
    return rep


def _when(event: Saved, at: datetime) -> datetime:
    """When it happened: as the event says, not later than now."""
    said = event.get("at")
    if said is None:
        return at
    when = _moment(str(said), "at")
    if when > at + MOST_AHEAD:
        raise Refused(422, "R903", f"`at` is in the future: the time here is {at:%Y-%m-%dT%H:%M:%SZ}", "correct it, or set your clock")
    return min(at, when)


def _moment(text: str, name: str, or_else: str = "") -> datetime:
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not YEARS[0] <= moment.year < YEARS[1]:
        help = "write 2026-03-02, or 2026-03-02T09:30:00Z" if or_else else "write 2026-03-02T09:30:00Z"
        raise Refused(422, "R903", f"`{name}` must be {or_else}a moment with a time zone", help)
    return moment
