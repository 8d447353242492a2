"""Which fields of which records a policy reads, found by the type checker as it walks every expression."""

from __future__ import annotations

from collections.abc import Iterator

from roe.grammar import check
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.grammar.types import Type
from roe.plan.operators import TEMPLATE, Action, Allocate, Choose, Derive, Expr, Relate
from roe.policy.model import Policy


def reads(policy: Policy) -> set[tuple[str, str]]:
    """Every (entity, field) that some expression of the policy reads; fields of whole records by their names alone."""
    found: set[tuple[str, str]] = set()
    for entity, tree in expressions(policy):
        watcher = _Watcher("", found)
        watcher.type_of(tree, _names(policy, entity))
    if policy.plan.claims is not None:  # which are settled by all that stands there
        found |= {("claim", "account"), ("claim", "rep"), ("account", "activities"), ("activity", "rep"), ("account", "claims")}
    if policy.plan.crm.territories:
        found |= {("account", "territory"), ("association", "account")}
    for window in policy.plan.windows:
        found |= {(window.entity, window.state), (window.entity, window.until)}
    return found


def followed(policy: Policy) -> set[tuple[str, str]]:
    """The references that the policy follows: those that it reads, and those behind the lists that it reads."""
    found = reads(policy)
    lists = [f for of, name in found if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.via]
    out = found | {(f.type.item.entity, f.via) for f in lists if f.type.item is not None}
    return out | ({("account", "parent")} if ("account", "ultimate_parent") in found else set())


def _names(policy: Policy, entity: str) -> Names:
    plan = policy.plan
    variables: dict[str, Type] = {"today": t.DATE, "now": t.DATETIME, "rep": t.record("rep")}
    variables |= {name: t.list_of(t.STRING) for name in (*plan.lists, *plan.dated_lists)}
    if entity in policy.model.entities:
        variables[entity] = t.record(entity)
        if entity in ("lead", "contact", "opportunity", "activity"):
            variables["account"] = t.record("account")
    implicit = (t.record(entity),) if entity in policy.model.entities else ()
    return Names(policy.model, variables, implicit, shorthands={})


def expressions(policy: Policy) -> Iterator[tuple[str, s.Node]]:
    """(the entity it is about, the tree) of every expression of the plan, sentences included."""
    plan = policy.plan
    for step in [*plan.steps.values(), *plan.engagement.values()]:
        if isinstance(step, Derive):
            if step.expr is not None:
                yield step.entity, step.expr.tree
        elif isinstance(step, Relate):
            for method in step.methods:
                yield step.entity, method.match.tree
                yield from ((step.entity, expr.tree) for expr in method.similar or ())
                if method.unless is not None:
                    yield step.entity, method.unless.tree
            for _, expr in step.tie_break:
                yield step.entity, expr.tree
        elif isinstance(step, Choose):
            yield from ((step.entity, tree) for tree in _rules(step))
    if plan.claims is not None:
        yield from (("claim", expr.tree) for expr in plan.claims.caps.values())
        yield from (("account", condition.tree) for rule in plan.claims.blocked_by for condition in rule.conditions)
        if plan.claims.worked_by is not None:
            yield "activity", plan.claims.worked_by.tree
    if plan.kpis is not None:
        yield from (("activity", expr.tree) for expr in (plan.kpis.counts, plan.kpis.meeting) if expr is not None)
    yield from (("rep", i.holds.tree) for i in plan.invariants if i.entity == "rep")
    yield from ((event.entity, event.rearm.tree) for event in plan.events if event.rearm is not None)
    for credit in plan.credits:
        yield from ((credit.entity, expr.tree) for shares in credit.shares.values() for expr, _ in shares)
    for report in plan.reports.values():
        yield from ((report.entity, e.tree) for e in (report.where, report.by, *report.measures.values()) if e is not None)
    for pool in plan.pools.values():
        yield from (("", tree) for tree in _pool(pool))


def _rules(step: Choose) -> Iterator[s.Node]:
    for rule in step.rules:
        yield from (c.tree for c in rule.conditions)
        for i, piece in enumerate(TEMPLATE.split(rule.because or "")):
            if i % 2 and (tree := parse(piece)[0]) is not None:
                yield tree
        action = rule.value
        while isinstance(action, Action):
            yield from (expr.tree for expr in (action.assign, action.until) if expr is not None)
            action = action.otherwise


def _pool(pool: Allocate) -> Iterator[s.Node]:
    worked = pool.sla.worked_by if pool.sla is not None else None
    for expr in (pool.members, pool.weight, pool.score, pool.sticky, pool.together, worked, *pool.caps.values()):
        if isinstance(expr, Expr):
            yield expr.tree


class _Watcher(check.Checker):
    """The checker, which notes every field that it looks up and keeps its findings to itself."""

    def __init__(self, text: str, found: set[tuple[str, str]]) -> None:
        super().__init__(text)
        self.read = found

    def say(self, code: str, node: s.Node, message: str, help: str, related: object = ()) -> Type:
        return t.ANY

    def _field(self, of: Type, name: str, names: Names) -> Type | None:
        known = super()._field(of, name, names)
        if known is not None and of.name == "record" and of.entity:
            self.read.add((of.entity, name))
        return known
