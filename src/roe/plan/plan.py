"""The plan that a policy becomes: its steps, its pools, who decides each role, and the parts of stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from roe.dynamic import Value
from roe.grammar.values import Duration
from roe.node import node
from roe.plan.operators import Allocate, Choose, Claims, DatedValue, Derive, Relate, Solve
from roe.plan.parts import Credit, Crm, Event, ExceptionRow, Holdover, Invariant, Kpis, Past, Report, Untouched, Window

Step = Derive | Choose | Relate


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

    @property
    def windows(self) -> tuple[Window, ...]:
        return self.parts.get("windows") or ()

    @property
    def exceptions(self) -> tuple[ExceptionRow, ...]:
        return self.parts.get("exceptions") or ()

    @property
    def untouched(self) -> tuple[Untouched, ...]:
        return self.parts.get("untouched") or ()

    @property
    def claims(self) -> Claims | None:
        return self.parts.get("claims")

    @property
    def reports(self) -> Mapping[str, Report]:
        return self.parts.get("reports") or {}

    @property
    def holdovers(self) -> tuple[Holdover, ...]:
        return self.parts.get("holdovers") or ()

    @property
    def levels(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """entity -> territory -> what it is part of."""
        return self.parts.get("levels") or {}

    @property
    def credits(self) -> tuple[Credit, ...]:
        return self.parts.get("credits") or ()

    @property
    def crm(self) -> Crm:
        return self.parts.get("crm") or _NO_CRM

    @property
    def books(self) -> Mapping[str, Solve]:
        return self.parts.get("books") or {}

    @property
    def events(self) -> tuple[Event, ...]:
        return self.parts.get("events") or ()

    @property
    def by_hand(self) -> Mapping[str, str]:
        """By `entity|role` what rules do about an owner whom somebody changed in the CRM, where the policy says it: keep, decide or refer."""
        return self.parts.get("by_hand") or {}

    @property
    def past(self) -> Past:
        return self.parts.get("past") or _NO_PAST

    @property
    def retain(self) -> Duration | None:
        """For how long the ledger keeps evidence; None for ever."""
        return self.parts.get("retain")

    @property
    def kpis(self) -> Kpis | None:
        return self.parts.get("kpis")

    @property
    def invariants(self) -> tuple[Invariant, ...]:
        return self.parts.get("invariants") or ()


_NO_CRM = Crm()
_NO_PAST = Past()
