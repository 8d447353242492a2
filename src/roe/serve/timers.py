"""What happens when the time of a record is up: it was worked or it is missed, a hold ends, a referral is overdue.

One timer per record and role. It fires once, since it fires under the lock and is gone in the same transaction. One that was
due while the service was down fires late, and says so.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from roe.evaluator.able import reason_left
from roe.evaluator.decision import Decision
from roe.ledger.entries import Answered, Referred, TurnBack
from roe.ledger.moment import At
from roe.serve import digests, held, intake, turns
from roe.serve.known import Marks, MissedLevel, Owner, Timer
from roe.serve.times import first_moment, millis

if TYPE_CHECKING:
    from roe.serve.desk import Desk

LATE = 60  # seconds after which a timer counts as late
AVAILABLE = "available"  # the role under which a rep's return is timed
EXCEPTION = "exception"  # what a decision by an exception has for a rule
LEFT = "left"  # the kind of timer by which what a leaver has is decided anew


class TimerQueue:
    """The timers by the moment at which they are due; those that were changed meanwhile are passed over."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []

    def add(self, key: str, due: str) -> None:
        heapq.heappush(self._heap, (millis(datetime.fromisoformat(due)), key))

    def first(self, timers: Mapping[str, Timer]) -> tuple[int, str] | None:
        """(due in milliseconds since 1970, key) of the next timer."""
        while self._heap:
            due, key = self._heap[0]
            timer = timers.get(key)
            if timer is not None and millis(datetime.fromisoformat(timer["due"])) == due:
                return due, key
            heapq.heappop(self._heap)
        return None

    def due(self, timers: Mapping[str, Timer], now: int, most: int) -> Iterable[str]:
        """Take out the keys of timers that are due, the earliest first."""
        for _ in range(most):
            first = self.first(timers)
            if first is None or first[0] > now:
                return
            heapq.heappop(self._heap)
            yield first[1]


def set_for(desk: Desk, key: str, d: Decision, until: datetime | None, at: datetime) -> None:
    """Set the one timer of a record and role, by its newest decision: for the next moment at which something ends."""
    if until is None or until <= at:
        desk.schedule(key, None)
        return
    kind = "referral" if d.action == "refer" else "sla" if d.turn is not None else "end"
    timer: Timer = {"due": until.isoformat(), "kind": kind, "pool": d.pool or None, "rule": d.rule, "policy": desk.policy.digest}
    if kind == "sla" and (over := _over(desk, d, until)) != until:
        timer["due"], timer["until"] = over.isoformat(), until.isoformat()
    if kind == "referral" and desk.state.get("timer", key) is None:
        moment = At.of(until, desk.zone)
        referred = Referred(at=desk.moment(at), entity=d.entity, record=d.id, role=d.role, rule=d.rule, until=moment, sentence=d.reason)
        desk.entries.append(referred)
    desk.schedule(key, timer)


def _over(desk: Desk, d: Decision, until: datetime) -> datetime:
    """When the grace of a service level is over; `until` is when the record should have been worked."""
    pools = desk.records.live.pools
    pool = pools.pools.get(d.pool)
    return until if pool is None else first_moment(pools.over(pool, until) or until, desk.tz)


def fire(desk: Desk, key: str, at: datetime) -> None:
    """A timer's time is up."""
    timer = desk.state.get("timer", key)
    desk.state.put("timer", key, None)
    if key == held.TIMER:
        held.retry(desk, at)
        return
    if key == digests.KEY:
        digests.send(desk, at)
        return
    entity, id, role = key.split("|", 2)
    if role == AVAILABLE:
        back_again(desk, id, at)
        return
    if timer is None or desk.records.row(entity, id) is None or desk.state.get("owner", key) is None:
        return  # deleted, or a run's record that the mirror does not have: the next run looks at it
    if timer["kind"] == LEFT:
        _after_leaving(desk, key, at)
        return
    late = max(0, (millis(at) - millis(datetime.fromisoformat(timer["due"]))) // 1000)
    marks: Marks = {"late": int(late)} if late > LATE else {}
    if is_gone := _rule_is_gone(desk, key, timer):
        marks = {**marks, "gone": timer["rule"]}
    if timer["kind"] == "referral" and not is_gone:
        _overdue(desk, key, at, marks)
    elif timer["kind"] == "sla":
        _service_level(desk, key, timer, at, marks)
    else:
        desk.decide(entity, id, at, only=(role,), marks=marks)


def _rule_is_gone(desk: Desk, key: str, timer: Timer) -> bool:
    """Whether the rule that set a timer is not in the policy any more. What it has begun, the rules of today decide."""
    entity, _, role = key.split("|", 2)
    rules = desk.plan.engagement.get((entity, role))
    return timer["rule"] not in ("", EXCEPTION, *(str(rule.name) for rule in (rules.rules if rules is not None else ())))


def _service_level(desk: Desk, key: str, timer: Timer, at: datetime, marks: Marks) -> None:
    """The time to work a record is up. The engine knows whether it was worked, and who is next if it was not."""
    entity, id, role = key.split("|", 2)
    before, given, pool = desk.state.owner(key), desk.state.get("assigned", key), timer["pool"]
    gone = pool not in desk.plan.pools
    if gone:  # the pool that gave the record is not in the policy any more: today's rules decide
        desk.assign(key, None)
    if gone and pool is not None:
        marks = {**marks, "gone": pool}
    decision = desk.decide(entity, id, at, only=(role,), marks=marks)[0]
    if gone or is_repeated(decision):
        return  # a timer that the decision has set goes on: the policy gives more time now, or another pool gave the record
    if desk.records.live.world.is_untouched(entity, id):
        return  # the policy says that nothing moves it
    desk.missed += 1
    missed: MissedLevel = {
        "rep": before["owner"], "pool": pool if given is None else given["pool"], "since": before["since"] if given is None else given["at"],
        "due": timer.get("until") or timer["due"], "at": at.isoformat(),
    }  # fmt: skip
    mark_missed(desk, key, [*missed_levels(before), missed])
    desk.send("missed", key, at, missed_by=before["owner_name"] or before["owner"])


def missed_levels(owner: Owner) -> list[MissedLevel]:
    """Who has not worked a record in time since somebody did, the first one first."""
    newest = owner.get("missed")
    return [] if newest is None else [*newest.get("earlier", ()), newest]


def mark_missed(desk: Desk, key: str, levels: Sequence[MissedLevel]) -> None:
    """Have a record show who has not worked it in time; nobody, where there is no level."""
    owner: Owner = {**desk.state.owner(key)}
    owner.pop("missed", None)
    if levels:
        *earlier, newest = [_alone(level) for level in levels]
        owner["missed"] = {**newest, "earlier": earlier} if earlier else newest
    desk.state.put("owner", key, owner)


def _alone(level: MissedLevel) -> MissedLevel:
    """A level without those before it."""
    alone: MissedLevel = {**level}
    alone.pop("earlier", None)
    return alone


def is_repeated(d: Decision) -> bool:
    """Whether a pool's record stays with the rep who has it, since it was worked or nothing more can be done."""
    return d.turn is not None and bool(d.turn.repeated)


def _overdue(desk: Desk, key: str, at: datetime, marks: Marks) -> None:
    """A referral's day has passed. It keeps its date and stays open; whoever must decide is told again."""
    entity, id, role = key.split("|", 2)
    owner = desk.state.owner(key)
    desk.state.put("owner", key, {**owner, "overdue": True})
    desk.entries.append(Answered(at=desk.moment(at), entity=entity, record=id, role=role, rep=owner["owner"], lapsed=True))
    desk.send("overdue", key, at, **marks)


def away(desk: Desk, rep: str, until: date | datetime | None, at: datetime, reason: str, start: str = "") -> None:
    """A rep takes nothing from now on, or from a day on, until a day or a moment if one is known."""
    values = {"id": leave_id(rep), "rep": rep, "starts": start or str(at.astimezone(desk.tz).date()), "kind": reason or "unavailable"}
    if until is not None and not isinstance(until, datetime):
        values["until"] = str(until)
    intake.put(desk, "leave", values, "", at)
    key = f"rep|{rep}|{AVAILABLE}"
    desk.schedule(key, None if until is None else {"due": first_moment(until, desk.tz).isoformat(), "kind": AVAILABLE})


def back_again(desk: Desk, rep: str, at: datetime) -> None:
    """A rep takes records again."""
    intake.delete(desk, "leave", leave_id(rep), "", at)
    desk.schedule(f"rep|{rep}|{AVAILABLE}", None)


def left(desk: Desk, rep: str, at: datetime) -> None:
    """A rep has changed. What one who may hold nothing any more has is decided anew before the next request; if it is much, in portions."""
    row = desk.records.row("rep", rep)
    if row is not None and not reason_left(row):
        return
    for key in desk.held_by(rep):
        now: Timer = {"due": at.isoformat(), "kind": LEFT}
        known: Timer = desk.state.get("timer", key) or {**now, "pool": None, "rule": "", "policy": desk.policy.digest}
        desk.schedule(key, {**known, **now})


def _after_leaving(desk: Desk, key: str, at: datetime) -> None:
    """The owner of a record has left: somebody else gets it. A turn that the CRM never saw does not count."""
    entity, id, role = key.split("|", 2)
    owner, given = desk.state.owner(key), desk.state.get("assigned", key)
    row = desk.records.at(at).world.rep(owner["owner"])
    why = reason_left(row) if row is not None else ""
    if not why:
        desk.decide(entity, id, at, only=(role,))  # the rep is back
        return
    tried = {}
    rep = owner["owner"]
    if given is not None and rep is not None and given["rep"] == rep and owner["base"] != rep:
        reason = f"{row.label if row is not None else rep} {why} before the CRM loaded it"
        back = TurnBack(at=desk.moment(at), entity=entity, record=id, role=role, rep=rep, pool=given["by"], reason=reason)
        desk.entries.append(back)
        turns.give_back(desk, given["by"], rep, given["on"])
        desk.assign(key, None)
        tried = {rep: why}
    desk.decide(entity, id, at, only=(role,), tried=tried)


def leave_id(rep: str) -> str:
    return f"unavailable:{rep}"
