"""Ways to an owner: today's of a record, and whoever staffs its territory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from roe.analysis.changes import StaffingChange, Way
from roe.analysis.nearby import RECORDS, TRIED, Accept
from roe.evaluator.row import OwnersOfRow, Row
from roe.plan.operators import Choose, Derive

if TYPE_CHECKING:
    from roe.analysis.facts import Proposals


def as_owner(row: Row, role: str, accept: Accept) -> Accept:
    """Whether the owners of a record are accepted once a rep is the one in a role."""
    return lambda rep: accept(OwnersOfRow({**row["owner"], role: rep}))


def ways_to_owner(facts: Proposals, row: Row, name: str, role: str, accept: Accept) -> Iterator[Way]:
    """Today's owner of a record, or whoever staffs its territory."""
    step = facts.plan.steps.get((row.entity, name))
    if isinstance(step, Derive) and step.group is not None and role in step.group:
        yield from _staffed(facts, row, step, role, accept)
    elif name == "owner":
        now = row["owner"].get(role)
        for rep in dict.fromkeys([facts.rep, *facts.world.rows["rep"][:RECORDS], None]):
            if rep is not now and accept(rep):
                change = facts.change(row, f"owner.{role}", rep)
                if change is not None:
                    yield (change,)


def _staffed(facts: Proposals, row: Row, step: Derive, role: str, accept: Accept) -> Iterator[Way]:
    """Through each territory that an accepted rep staffs; and another rep where somebody staffs it now."""
    assert step.group is not None
    staffing = facts.plan.steps[row.entity, step.group[role]]
    assert isinstance(staffing, Choose)
    scope, of = facts.world.scope(row), step.name.removesuffix("_owner")
    now = row[of]
    territory = now.get("name") if isinstance(now, dict) else None
    if territory is not None and accept(facts.rep) and not any(facts.is_met(rule, scope) for rule in staffing.rules[: TRIED * 5]):
        yield (StaffingChange(of, str(territory), role, None, facts.rep["id"], cost=7.0),)
    for rule in staffing.rules[: TRIED * 5]:
        rep = facts.world.rep(rule.value)
        if rep is not None and accept(rep):
            yield from facts.rule(rule, scope)
        elif rule.value is not None and accept(facts.rep) and facts.is_met(rule, scope):
            place = str(facts.compiled.place(rule.name))
            yield (StaffingChange(of, str(rule.conditions[0].text), role, rule.value, facts.rep["id"], place, cost=7.0),)
