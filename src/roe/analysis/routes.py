"""The routes by which a policy could give a record to a rep in a role, what stands in the way of each, and ways around that.

A route is a rule that assigns, keeps or routes to a pool, taken by its action or by its `else`. In its way can be conditions of its
own, rules before it that hold, an approved exception, an expression that means another rep, or a pool: she is not a member, is
skipped, or it is somebody else's turn. Each obstacle comes with its value and its place for people to read, and with proposals
(`facts.py`) for whoever tries them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from roe.analysis.changes import ExceptionEnds, MemberChange, Wait, Way, best, together
from roe.analysis.facts import Proposals
from roe.analysis.nearby import Accept, above, waiting
from roe.analysis.owned import ways_to_owner
from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision
from roe.evaluator.observe import Observed, observe
from roe.evaluator.render import brief
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.scopes import Scope
from roe.plan.operators import Action, Choose, Expr, Rule
from roe.source import Inline

EARLIER = 4  # rules before a route that may hold as well


@dataclass(slots=True)
class Obstacle:
    """Something that stands in the way: what, its value now, where it is written; `ways` are proposals around it."""

    what: str
    value: str
    place: str
    ways: list[Way] = field(default_factory=list)

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "value": self.value, "place": self.place}


@dataclass(slots=True)
class Route:
    """A rule and how it could give the record to the rep."""

    rule: str
    how: str
    obstacles: list[Obstacle] = field(default_factory=list)

    def as_json(self) -> Json:
        return {"rule": self.rule, "how": self.how, "obstacles": [o.as_json() for o in self.obstacles]}

    def ways(self) -> list[Way]:
        """Ways around all obstacles at once."""
        return together([o.ways for o in self.obstacles]) if self.obstacles else []

    @property
    def rank(self) -> tuple[int, int]:
        """Obstacles that no fact removes first, then how many there are."""
        return sum(not o.ways for o in self.obstacles), len(self.obstacles)


def routes(bound: Bound, d: Decision, rep: Row) -> list[Route]:
    """Every route to the rep in the world of a decision, the one with the fewest obstacles first."""
    with bound.world.as_before(d.entity):
        return sorted(_Router(bound, d, rep).routes(), key=lambda route: route.rank)


class _Router:
    def __init__(self, bound: Bound, d: Decision, rep: Row) -> None:
        self.bound, self.world, self.d, self.rep = bound, bound.world, d, rep
        self.facts = Proposals(bound, rep)
        self.compiled = bound.evaluator.compiled
        self.scope = self.world.scope(d.row)

    def routes(self) -> Iterator[Route]:
        chooser = self.compiled.engagement.get((self.d.entity, self.d.role))
        if chooser is None:
            return
        earlier: list[Obstacle] = []
        for number, rule in enumerate(chooser.step.rules):
            before = self._exception() if self.d.exception is not None else earlier
            own = list(self._unmet(rule.conditions, self.scope))
            built_in = isinstance(rule.name.origin, Inline)  # nobody is advised to close a lead so that it stays
            for how, obstacles in self._actions(rule.value) if len(earlier) <= EARLIER and not built_in else ():
                yield Route(str(rule.name), how, [*before, *own, *obstacles])
            if not own:
                earlier.append(self._earlier(chooser.step, number))

    # --- before and in a rule ---------------------------------------------------------------------------------------------

    def _exception(self) -> list[Obstacle]:
        e = self.d.exception
        assert e is not None and e.until is not None
        place = str(e.record.span())
        change = ExceptionEnds(e.entity, str(e.record), str(e.role), str(e.owner), e.until, place, cost=3.0)
        wait = Wait(e.until, cost=waiting(self.world.clock.now, e.until))
        return [
            Obstacle(
                "an approved exception comes first",
                f"approved by {e.approved_by}, until {v.readable(e.until)}",
                place,
                [(change,), (wait,)],
            )
        ]

    def _earlier(self, step: Choose, number: int) -> Obstacle:
        rule = step.rules[number]
        shown = [x for expr in rule.conditions for o in observe(expr, self.scope, self.world.lists) for x in values_of(o)]
        ways = self.facts.rule(rule, self.scope, False)
        return Obstacle(
            f"the earlier rule `{rule.name}` holds", "; ".join(shown[:4]) or "for every record", str(self.compiled.place(rule.name)), ways
        )

    def _unmet(self, conditions: Iterable[Expr], scope: Scope) -> Iterator[Obstacle]:
        for expr in conditions:
            for o in observe(expr, scope, self.world.lists):
                if o.result is not True:
                    yield Obstacle(o.text, "; ".join(values_of(o)) or str(o.result), str(o.place), self.facts.holds(o.tree, scope))

    # --- actions ------------------------------------------------------------------------------------------------------------

    def _actions(self, first: Action) -> Iterator[tuple[str, list[Obstacle]]]:
        """The ways of an action, and of its `else` where the action before finds nobody."""
        before: list[Obstacle] = []
        for action in first.with_otherwise():
            for how, obstacles in self._action(action):
                yield how, [*before, *obstacles]
            before = [*before, *self._nobody(action)]

    def _action(self, action: Action) -> Iterator[tuple[str, list[Obstacle]]]:
        row = self.d.row
        if action.kind == "keep":
            obstacles = []
            if self.d.previous != self.rep["id"]:
                ways = best(ways_to_owner(self.facts, row, "owner", self.d.role, lambda x: x is self.rep))
                obstacles = [Obstacle("only today's owner keeps it", f"today's owner is {self._name(self.d.previous)}", "", ways)]
            yield "keep", obstacles
        elif action.kind == "assign" and action.assign is not None:
            yield from self._assigned(action.assign)
        elif action.kind == "route":
            yield f"pool {action.pool}", list(self._pool(action.pool))

    def _name(self, key: str | None) -> str:
        rep = self.world.rep(key)
        return rep.label if rep is not None else "nobody"

    def _assigned(self, expr: Expr) -> Iterator[tuple[str, list[Obstacle]]]:
        role, text, tree = self.d.role, str(expr.text), expr.tree
        value = self.world.assignee(self.facts.value(tree, self.scope), role)
        if value is self.rep:
            yield f"assign {text}", []
            return
        ways = best(self._others(expr))
        current = value.label if value is not None else "nobody"
        yield f"assign {text}", [Obstacle(f"`{text}` is another", current, str(expr.text.span()), ways)]

    def _others(self, expr: Expr) -> Iterator[Way]:
        role, tree = self.d.role, expr.tree
        at = self.facts.field_at(tree, self.scope)
        if at is not None and isinstance(self.facts.value(tree, self.scope), dict):
            yield from ways_to_owner(self.facts, *at, role, lambda x: x is self.rep)
        hints: list[object] = [self.rep, self.rep["id"]]
        yield from self.facts.give(tree, self.scope, lambda x: self.world.assignee(x, role) is self.rep, hints)
        if self.d.entity != "account":
            yield from self._through_account(tree)

    def _through_account(self, tree: s.Node) -> Iterator[Way]:
        """Where the expression means an account's owner, what would make the rep own that account."""
        for node in s.walk(tree):
            account = self.facts.value(node, self.scope) if isinstance(node, (s.Name, s.Path)) else None
            if not isinstance(account, Row) or account.entity != "account":
                continue
            for role in self.bound.roles("account"):
                with self.world.as_before("account"):
                    other = self.bound.decide_alone(account, role)
                    if other.owner != self.rep["id"] and other.turn is None:
                        for route in _Router(self.bound, other, self.rep).routes():
                            yield from route.ways()[:2]

    def _nobody(self, action: Action) -> list[Obstacle]:
        """What would make an action find nobody, so that its `else` counts."""
        if self.d.action == "unassigned":
            return []
        ways: list[Way] = []
        if action.kind == "assign" and action.assign is not None:
            value = self.facts.value(action.assign.tree, self.scope)
            if self.world.assignee(value, self.d.role) is None:
                return []
            ways = self.facts.give(action.assign.tree, self.scope, lambda x: self.world.assignee(x, self.d.role) is None)
        elif action.kind == "keep" and self.d.previous is None:
            return []
        return [Obstacle("the rule's first choice finds somebody", "`else` is for when it finds nobody", "", ways)]

    # --- pools ----------------------------------------------------------------------------------------------------------------

    def _pool(self, name: str) -> Iterator[Obstacle]:
        step, row, clock = self.bound.plan.pools[name], self.d.row, self.world.clock
        scope = {**self.scope, "account": row if row.entity == "account" else row["account"], "rep": self.rep}
        place = str(self.compiled.place(step.text))
        if isinstance(step.members, Expr):
            yield from self._unmet([step.members], scope)
        elif not any(self.world.rep(m.value) is self.rep for m in step.members if m.holds(clock.today)):
            later = [m.start for m in step.members if self.world.rep(m.value) is self.rep and m.start and m.start > clock.today]
            ways: list[Way] = [(MemberChange(name, self.rep["id"], cost=4.0),), *((Wait(d, cost=waiting(clock.now, d)),) for d in later)]
            yield Obstacle(f"not a member of the pool `{name}`", self.rep.label, place, ways)
        turn = self.d.turn
        tried = [] if turn is None else [*turn.chain(), turn]
        own = next((t for t in tried if t.pool == name), None)
        member = next((m for m in own.members if m.rep is self.rep), None) if own is not None else None
        if own is None or member is None:
            return
        if member.skipped:
            yield Obstacle(f"skipped in the pool `{name}`", member.skipped, place, best(self._able(name, scope)))
        elif own.rep is not self.rep:
            ways = (
                self.facts.give(step.sticky.tree, self.scope, lambda x: self.world.assignee(x, self.d.role) is self.rep, [self.rep])
                if step.sticky
                else []
            )
            first = own.why or f"it was the turn of {own.rep.label if own.rep is not None else 'nobody'} (turn {own.position})"
            yield Obstacle(f"not next in the pool `{name}`", first, place, ways)

    def _able(self, name: str, scope: Scope) -> Iterator[Way]:
        """What would let a member who is skipped take a turn."""
        step, clock, rep = self.bound.plan.pools[name], self.world.clock, self.rep
        yield from self.facts.field(rep, "active", lambda x: x is not False, [True])
        leave = rep["leave"]
        days = [rep["starts"], leave["until"] if leave is not None else None, clock.today + timedelta(days=1)]
        days += [clock.today + timedelta(days=7 - clock.today.weekday())] if "per_week" in step.caps else []
        opens = opening(self.bound, rep) if step.hours else None
        for day in [*days, opens]:
            if day is not None and v.less(clock.now if isinstance(day, datetime) else clock.today, day) is True:
                yield (Wait(day, cost=waiting(clock.now, day)),)
        if step.weight is not None:
            yield from self.facts.give(step.weight.tree, scope, above(0), [1])
        for cap, expr in step.caps.items():
            used = self.bound.pools.used(cap, rep["id"])
            yield from self.facts.give(expr.tree, scope, _no_cap_at(used), [used + 1])
        if step.score is not None:
            scores = [x for r in self.world.rows["rep"] if v.is_number(x := self.facts.value(step.score.tree, {**scope, "rep": r}))]
            most = max(scores, default=0)
            yield from self.facts.give(step.score.tree, scope, lambda x: v.is_number(x) and x >= most, [most])


def _no_cap_at(used: int) -> Accept:
    return lambda x: x is None or (v.is_number(x) and x > used)


def values_of(outcome: Observed) -> list[str]:
    return [f"{p.text} = {brief(p.value)}" for p in outcome.parts if p.text != outcome.text or p.value is None]


def opening(bound: Bound, rep: Row) -> datetime | None:
    """When a rep's working hours begin next, to half an hour, within ten days."""
    start = bound.world.clock.now.replace(minute=0, second=0, microsecond=0)
    for half in range(1, 480):
        moment = start + timedelta(minutes=30 * half)
        there = bound.evaluator.clock(moment).of(rep["timezone"], rep["calendar"])
        if there.is_open(rep["hours"]):
            return moment
    return None


def days(bound: Bound, d: Decision, rep: Row) -> list[date]:
    """Days after today on which something may be otherwise by itself: an end or a beginning that the policy or the data names."""
    world, row, today = bound.world, d.row, bound.world.clock.today
    dates: set[date] = {today + timedelta(days=1)}
    with world.as_before(d.entity):
        dates |= {day for value in _dates(bound, row, rep) if (day := _day(value)) is not None}
    for choose in (*bound.plan.engagement.values(), *bound.plan.steps.values()):
        if isinstance(choose, Choose) and choose.entity == d.entity:
            dates |= set(_periods(choose.rules[:2000]))
    dates |= {x.until for x in bound.plan.exceptions if x.until and x.entity == d.entity and world.find(d.entity, x.record) is row}
    return sorted(x for x in dates if x > today)


def _periods(rules: Iterable[Rule]) -> Iterator[date]:
    for rule in rules:
        for expr in rule.conditions:
            if isinstance(expr.tree, s.Compare) and isinstance(expr.tree.left, s.Name) and isinstance(expr.tree.right, s.Literal):
                day = _day(expr.tree.right.value)
                if day is not None:
                    yield day


def _dates(bound: Bound, row: Row, rep: Row) -> Iterator[object]:
    from roe.analysis.timeline import ends

    for window in bound.plan.windows:
        if window.entity == row.entity:
            yield from ends(row, window, bound.world.clock)
    claims = bound.plan.claims
    if claims is not None and row.entity == claims.entity and row["claim"] is not None:
        yield row["claim"]["until"]
    people = {id(x): x for x in (rep, *(r for r in row["owner"].values() if r is not None))}
    for person in people.values():
        yield from (person["starts"], person["ends"])
        for leave in person["leaves"] or ():
            yield from (leave["starts"], leave["until"])


def _day(value: object) -> date | None:
    """The first whole day from a moment on."""
    if isinstance(value, datetime):
        day = value.date()
        return day if (value.hour, value.minute, value.second) == (0, 0, 0) else day + timedelta(days=1)
    return value if isinstance(value, date) else None
