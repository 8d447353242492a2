"""Why a rep does not own a record: the rep's best route through the rules, and what stood in its way.

A *route* is a way in which the policy could give this record to this rep in this role: a rule that assigns or keeps, or
routes to a pool that the rep is in; for a rule that assigns a territory's owner, each territory that the rep staffs. The
best route lacks the fewest conditions. Each obstacle is a condition with its value and the smallest change to it that
would have let the record through, found in the cells of the condition's own test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from roe.evaluator.observe import Observed, observe
from roe.evaluator.render import brief
from roe.evaluator.world import Row
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.operators import Action, Choose, Derive, Expr, Rule
from roe.plan.subjects import Test, places_of, test_of

if TYPE_CHECKING:
    from roe.evaluator.engine import Decision


@dataclass(slots=True)
class Obstacle:
    """Something that stood in the way: what, the actual value, the smallest change, and where it is written."""

    what: str
    value: str
    change: str
    place: str
    mendable: bool = True  # by a change of the record; else only the policy could

    def as_json(self) -> dict[str, str]:
        return {"what": self.what, "value": self.value, "change": self.change, "place": self.place}


@dataclass(slots=True)
class Route:
    rule: str
    how: str
    obstacles: list[Obstacle] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "how": self.how, "obstacles": [o.as_json() for o in self.obstacles]}


def why_not(decision: Decision, rep: Row) -> Route | None:
    """The rep's best route to the record; None if no rule could ever give it to them. No obstacle: they own it."""
    routes = list(_routes(decision, rep))
    return min(routes, key=lambda r: (sum(not o.mendable for o in r.obstacles), len(r.obstacles)), default=None)


def _routes(d: Decision, rep: Row) -> Iterator[Route]:
    world = d.row.world
    chooser = world.compiled.engagement.get((d.entity, d.role))
    if chooser is None:
        return
    scope = world.scope(d.row)
    fired = d.choice.fired[0] if d.choice and d.choice.fired else None
    for number, rule in enumerate(chooser.step.rules):
        own = [o for expr in rule.conditions for o in _unmet(expr, scope, world.lists)]
        if d.exception is not None:
            e = d.exception
            own.insert(
                0,
                Obstacle(
                    "an approved exception comes first", f"approved by {e.approved_by}", f"it ends on {e.until}", str(e.record.span())
                ),
            )
        elif fired is not None and fired < number:
            own.insert(0, _earlier(chooser.step.rules[fired], fired, scope, world.lists))
        for how, obstacles in _through(rule.value, d, rep):
            route = Route(str(rule.name), how, own + obstacles)
            if number == fired and not route.obstacles and d.owner != rep["id"]:
                route.obstacles.append(Obstacle("the rule gave it to another", d.owner_name or "nobody", "none", str(rule.name.span())))
            yield route


def _through(action: Action | None, d: Decision, rep: Row) -> Iterator[tuple[str, list[Obstacle]]]:
    """How an action could give the record to the rep, with what is missing for it."""
    for how, obstacles, depth in _actions(action, d, rep):
        first = [Obstacle("the rule's first choice finds somebody", "`else` is for when it finds nobody", "none", "", False)]
        yield how, (first if depth and not (d.choice and d.action == "unassigned") else []) + obstacles


def _actions(action: Action | None, d: Decision, rep: Row) -> Iterator[tuple[str, list[Obstacle], int]]:
    """The ways of an action and of its `else`, which has depth 1."""
    plan = d.row.world.policy.plan
    depth = 0
    while action is not None:
        if action.kind == "keep":
            obstacles = []
            if d.previous != rep["id"]:
                obstacles = [Obstacle("only today's owner keeps it", f"today's owner is {d.previous or 'nobody'}", "none", "", False)]
            yield "keep", obstacles, depth
        elif action.kind == "assign" and action.assign is not None:
            yield from ((how, found, depth) for how, found in _assigned(action.assign, d, rep))
        elif action.kind == "route":
            pool = action.pool
            turn = d.turn
            if turn is not None and turn.pool == pool:
                member = next((m for m in turn.members if m.rep is rep), None)
                place = str(plan.pools[pool].text.span())
                if member is None:
                    yield f"pool {pool}", list(_not_member(pool, d, rep)), depth
                elif member.skipped:
                    yield f"pool {pool}", [Obstacle("skipped in the pool", member.skipped, "below the cap, or active", place)], depth
                elif turn.rep is not rep:
                    first = f"{turn.rep['id']} was next at turn {turn.position}" if turn.rep else "nobody"
                    yield f"pool {pool}", [Obstacle("not next in turn", first, "a later turn", place)], depth
                else:
                    yield f"pool {pool}", [], depth
            else:
                yield f"pool {pool}", list(_not_member(pool, d, rep)), depth
        action, depth = action.otherwise, depth + 1


def _not_member(pool: str, d: Decision, rep: Row) -> Iterator[Obstacle]:
    step = d.row.world.policy.plan.pools[pool]
    scope = d.row.world.scope(d.row)
    scope["rep"] = rep
    if isinstance(step.members, Expr):
        yield from _unmet(step.members, scope, d.row.world.lists)
    elif not any(d.row.world.rep(m.value) is rep for m in step.members if m.holds(d.row.world.clock.today)):
        yield Obstacle(f"not a member of the pool {pool}", str(rep["id"]), "be listed under `members`", str(step.text.span()))


def _assigned(expr: Expr, d: Decision, rep: Row) -> Iterator[tuple[str, list[Obstacle]]]:
    world, plan = d.row.world, d.row.world.policy.plan
    value = world.compiled.code(expr)(world.scope(d.row))
    found = world.assignee(value, d.role)
    text = str(expr.text)
    if found is rep:
        yield f"assign {text}", []
        return
    name = expr.tree.id if isinstance(expr.tree, s.Name) else expr.tree.field if isinstance(expr.tree, s.Path) else ""
    step = plan.steps.get((d.entity, name))
    if isinstance(step, Derive) and step.group is not None:
        yield from _staffed(step.group[d.role], d, rep)
    if plan.claims is not None and any(isinstance(n, s.Path) and n.field == "claim" for n in s.walk(expr.tree)) and d.entity == "account":
        yield f"assign {text}", list(_refused(d, rep))
        return
    current = found.label if isinstance(found, Row) else "nobody"
    yield f"assign {text}", [Obstacle(f"`{text}` is another", current, f"be {rep.label}", str(expr.text.span()), False)]


def _refused(d: Decision, rep: Row) -> Iterator[Obstacle]:
    """What became of the rep's own claims on an account."""
    claims = d.row.world.policy.plan.claims
    assert claims is not None
    place = str(claims.text.span())
    mine = [o for o in d.row.world.settled.on(d.row) if o.claim["rep"] is rep]
    if not mine:
        yield Obstacle(f"{rep.label} has not claimed it", "no claim", "claim it when it is free", place)
    for outcome in mine[-1:]:
        yield Obstacle(f"the claim {outcome.claim['id']} is {outcome.status}", outcome.reason, "claim it again when it is free", place)


def _staffed(name: str, d: Decision, rep: Row) -> Iterator[tuple[str, list[Obstacle]]]:
    """Through each territory that the rep staffs: what the record lacks to be in it."""
    world, plan = d.row.world, d.row.world.policy.plan
    staffing, territories = plan.steps[d.entity, name], plan.steps.get((d.entity, "territory"))
    assert isinstance(staffing, Choose)
    if not isinstance(territories, Choose):
        return
    scope = world.scope(d.row)
    for row in staffing.rules:
        if row.value is None or world.rep(row.value) is not rep:
            continue
        territory = str(row.conditions[0].text)
        dates = [o for expr in row.conditions[1:] for o in _unmet(expr, scope, world.lists)]
        for rule in territories.rules:
            if rule.name == territory:
                unmet = [o for expr in rule.conditions for o in _unmet(expr, scope, world.lists)]
                if not unmet and d.territory != territory and territories.hit == "first":
                    held = next(r for r in territories.rules if r.name == d.territory)
                    unmet = [_earlier(held, 0, scope, world.lists)]
                yield f"territory {territory}", unmet + dates


def _earlier(rule: Rule, number: int, scope: dict[str, Any], lists: Mapping[str, Any]) -> Obstacle:
    """A rule that decided before; the smallest change is the one that would have made it not hold."""
    changes = [c for expr in rule.conditions for o in observe(expr, scope, lists) if (c := change(o, scope, lists, False))]
    help = " or ".join(changes[:3]) if changes else "none: it always holds"
    return Obstacle(f"the earlier rule `{rule.name}` decides", "it holds", help, str(rule.name.span()), bool(changes))


def _unmet(expr: Expr, scope: dict[str, Any], lists: Mapping[str, Any]) -> Iterator[Obstacle]:
    for o in observe(expr, scope, lists):
        if o.result is not True:
            shown = "; ".join(f"{p.text} = {brief(p.value)}" for p in o.parts) or str(o.result)
            yield Obstacle(o.text, shown, change(o, scope, lists) or "make it true", str(o.place))


# --- the smallest change --------------------------------------------------------------------------------------------


def change(o: Observed, scope: dict[str, Any], lists: Mapping[str, Any], wanted: bool = True) -> str:
    """The smallest change of one value that gives a condition the wanted result, in words; '' if there is no telling."""
    test = test_of(o.tree, lists)
    if test is None:
        return ""
    from roe.evaluator.expressions import compile_expression

    value = compile_expression(test.subject)(scope)
    best = _nearest(test, value, wanted)
    return "" if best is None else f"{show(test.subject)} from {brief(value)} to {best}"


def _nearest(test: Test, value: Any, wanted: bool) -> str | None:
    hits = [p for p, truth in zip(test.points, test.at_points, strict=True) if truth is wanted]
    if not test.gaps:
        if hits:
            shown = ", ".join(v.literal(h) for h in hits[:3])
            return shown if len(hits) <= 3 else f"{shown} or {len(hits) - 3} more"
        if test.other is wanted and test.points:
            return "anything but " + ", ".join(v.literal(p) for p in test.points[:3])
        return "missing" if test.null is wanted else "any value" if test.other is wanted else None
    candidates: list[tuple[float, str]] = [(_distance(value, h), v.literal(h)) for h in hits]
    middles = places_of(test.points)
    for i, truth in enumerate(test.gaps):
        if truth is wanted and middles[i] is not None:
            if i < len(test.points) and test.at_points[i] is not wanted:
                candidates.append((_distance(value, test.points[i]), f"less than {v.literal(test.points[i])}"))
            if i > 0 and test.at_points[i - 1] is not wanted:
                candidates.append((_distance(value, test.points[i - 1]), f"more than {v.literal(test.points[i - 1])}"))
    return min(candidates)[1] if candidates else None


def _distance(a: Any, b: Any) -> float:
    """How far two values are apart, for ranking alone."""
    gap = v.subtract(a, b)
    if v.is_number(gap):
        return abs(float(gap))
    if isinstance(gap, timedelta):
        return abs(gap.total_seconds())
    return 0.0
