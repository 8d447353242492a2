"""Pools beside the data: those in which nobody takes a turn, and those whose caps are too small for what is routed to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from roe.analysis.verdicts import POSSIBLE, PROVEN
from roe.diagnostics import Diagnostic
from roe.evaluator.able import reason_left
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Action, Allocate, Expr

if TYPE_CHECKING:
    from roe.analysis.checked import CheckedPolicy
    from roe.evaluator.bound import Bound
    from roe.evaluator.row import Row

LEAST_HISTORY = 10  # routed records from which a pool's load says something
MOST_ASKED = 2_000  # records that a pool's members are asked about


def empty_pools(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R418: pools in which nobody would take a turn, whatever the record."""
    if subject.bound is None or not subject.bound.world.rows["rep"]:
        return
    world = subject.bound.world
    for pool in subject.evaluator.policy.plan.pools.values():
        if isinstance(pool.members, Expr):
            why = _nobody_meets(subject, subject.bound, pool.members)
        else:
            people = [world.rep(m.value) for m in pool.members if m.holds(world.clock.today)]
            everybody_left = all(rep is None or reason_left(rep) for rep in people)
            why = ("everybody in it has left" if people else "nobody is in it today") if everybody_left else None
        if why is not None:
            yield _empty(pool, why)


def _nobody_meets(subject: CheckedPolicy, bound: Bound, members: Expr) -> str | None:
    """Why no rep meets a condition on members; None where one does, for some record of the data."""
    world, code = bound.world, subject.evaluator.compiled.code(members)
    alone = s.names(members.tree) <= {"rep", "today", "now", *world.lists}
    records: list[Row | None] = [None] if alone else [row for e in bound.entities() for row in world.rows[e][:MOST_ASKED]]

    def is_member(rep: Row, record: Row | None) -> bool:
        scope = {**world.base} if record is None else world.scope(record)
        scope["rep"] = rep
        return code(scope) is True

    if not records or any(is_member(rep, record) for record in records for rep in world.rows["rep"] if not reason_left(rep)):
        return None
    gone = [rep for rep in world.rows["rep"] if any(is_member(rep, record) for record in records[:50])]
    return f"only {', '.join(r.label for r in gone[:3])} would be in it, who left" if gone else "no rep in the data meets `members`"


def _empty(pool: Allocate, why: str) -> Diagnostic:
    at = pool.members.text.span() if isinstance(pool.members, Expr) else pool.text.span()
    return Diagnostic(
        "R418", f"the pool `{pool.name}` has no members: {why}", at, "correct `members`, or route elsewhere", certainty=PROVEN
    )


def overloaded_pools(subject: CheckedPolicy) -> Iterator[Diagnostic]:
    """R419: pools that get more records, day by day or week by week, than the caps of all their members let in.

    The load is what the rules route to the pool of the data's own records, over the days on which they were created.
    """
    bound, plan = subject.bound, subject.evaluator.policy.plan
    if bound is None or not any(pool.caps.keys() & {"per_day", "per_week"} for pool in plan.pools.values()):
        return
    for name, days in _routed(subject, bound).items():
        if len(days) < LEAST_HISTORY:
            continue
        pool, first, last = plan.pools[name], min(days), max(days)
        working = max(1, sum(bound.world.clock.is_working(first + timedelta(days=i)) for i in range((last - first).days + 1)))
        for cap, load, unit in (("per_day", len(days) / working, "day"), ("per_week", 5 * len(days) / max(working, 5), "week")):
            room = _room(subject, pool, cap) if cap in pool.caps else None
            if room is not None and load > room:
                busiest, most = Counter(days).most_common(1)[0]
                message = f"the pool `{name}` can take {room:g} a {unit}, but its history brings {load:.1f}"
                help = f"raise `{cap}`, or add members; the busiest day was {busiest} with {most}"
                certainty = POSSIBLE if isinstance(pool.members, Expr) else PROVEN
                yield Diagnostic("R419", message, pool.caps[cap].text.span(), help, certainty=certainty, touches=(len(days), ()))


def _routed(subject: CheckedPolicy, bound: Bound) -> dict[str, list[date]]:
    """By pool, the days on which the records were created that the rules route to it."""
    routed: dict[str, list[date]] = {}
    for (entity, role), rules in subject.evaluator.policy.plan.engagement.items():
        chooser = subject.evaluator.compiled.engagement[entity, role]
        for row in bound.world.rows[entity] if rules.rules else ():
            choice = chooser(bound.world.scope(row))
            day = row["created"]
            if choice.fired and isinstance(choice.value, Action) and choice.value.kind == "route" and isinstance(day, date):
                routed.setdefault(choice.value.pool, []).append(day.date() if isinstance(day, datetime) else day)
    return routed


def _room(subject: CheckedPolicy, pool: Allocate, cap: str) -> float | None:
    """The caps of all members who are there, added up; None where a cap or membership looks at the record."""
    assert subject.bound is not None
    world = subject.bound.world
    free = {"rep", "today", "now", *world.lists}
    asked = [pool.caps[cap], *([pool.members] if isinstance(pool.members, Expr) else [])]
    if any(s.names(expr.tree) - set(free) for expr in asked):
        return None
    total, code = 0.0, subject.evaluator.compiled.code
    if isinstance(pool.members, Expr):
        people = [rep for rep in world.rows["rep"] if code(pool.members)({**world.base, "rep": rep}) is True]
    else:
        people = [rep for m in pool.members if m.holds(world.clock.today) and (rep := world.rep(m.value)) is not None]
    for rep in people:
        value = code(pool.caps[cap])({**world.base, "rep": rep})
        if not reason_left(rep):
            if not v.is_number(value):
                return None
            total += value
    return total
