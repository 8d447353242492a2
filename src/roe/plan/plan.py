"""The plan that a policy becomes: its steps, its pools, who decides each role, and the parts of stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Generic, TypeVar

from roe.dynamic import Value
from roe.grammar.values import Duration
from roe.node import node
from roe.plan.operators import Allocate, Choose, Claims, DatedValue, Derive, Expr, Relate, Solve
from roe.plan.parts import Credit, Crm, Event, ExceptionRow, Holdover, Invariant, Kpis, Past, Report, Untouched, Window

Step = Derive | Choose | Relate
T = TypeVar("T")


class _Part(Generic[T]):
    """A part of a plan under its own name, with what stands for it where the policy has none."""

    def __init__(self, none: T) -> None:
        self.none = none

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, plan: Plan, owner: type) -> T:
        part: T | None = plan.parts.get(self.name)
        return part or self.none


def expressions_of(step: Step) -> Iterator[Expr]:
    """The expressions that a step's value is made of; of rules their conditions."""
    if isinstance(step, Derive):
        if step.expr is not None:
            yield step.expr
    elif isinstance(step, Choose):
        for rule in step.rules:
            yield from rule.conditions
    else:
        for method in step.methods:
            yield from (expr for expr in (method.match, *(method.similar or ()), method.unless) if expr is not None)
        yield from (expr for _, expr in step.tie_break)


@node
class Plan:
    """All steps by (entity, name), the pools, per (entity, role) the step whose value is an `Action`, lists, and the parts of stages by name.

    A part is what a stage says besides steps, under the name that `roe.stages.STAGES` has for it. Those that other code reads have a typed
    name here; a part that nobody else reads needs none.
    """

    steps: Mapping[tuple[str, str], Step]
    pools: Mapping[str, Allocate]
    engagement: Mapping[tuple[str, str], Choose]
    lists: Mapping[str, list[Value]] = field(default_factory=dict)
    dated_lists: Mapping[str, list[DatedValue]] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)

    def with_part(self, name: str, part: object) -> Plan:
        """The same plan with another part of a stage."""
        return Plan(self.steps, self.pools, self.engagement, self.lists, self.dated_lists, {**self.parts, name: part})

    def takes_turns(self, entity: str = "") -> bool:
        """Whether a rule may hand records to a pool, of an entity or of any, so that the order of all of them counts."""
        rules = (rule for (of, _), chooser in self.engagement.items() if entity in ("", of) for rule in chooser.rules)
        return any(action.kind == "route" for rule in rules for action in rule.value.with_otherwise())

    windows = _Part[tuple[Window, ...]](())
    exceptions = _Part[tuple[ExceptionRow, ...]](())
    untouched = _Part[tuple[Untouched, ...]](())
    claims = _Part[Claims | None](None)
    reports = _Part[Mapping[str, Report]]({})
    holdovers = _Part[tuple[Holdover, ...]](())
    levels = _Part[Mapping[str, Mapping[str, tuple[str, ...]]]]({})  # entity -> territory -> what it is part of
    credits = _Part[tuple[Credit, ...]](())
    crm = _Part(Crm())
    books = _Part[Mapping[str, Solve]]({})
    events = _Part[tuple[Event, ...]](())
    by_hand = _Part[Mapping[str, str]](
        {}
    )  # `entity|role` -> what rules do about an owner whom somebody changed in the CRM: keep, decide, refer
    past = _Part(Past())
    retain = _Part[Duration | None](None)  # for how long the ledger keeps evidence; None for ever
    kpis = _Part[Kpis | None](None)
    invariants = _Part[tuple[Invariant, ...]](())
