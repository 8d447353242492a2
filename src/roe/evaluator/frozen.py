"""Frozen values: what a field was when its period began, which stays until the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

from roe.dynamic import JsonObject, Value
from roe.grammar import values as v
from roe.plan.operators import Derive

if TYPE_CHECKING:
    from roe.evaluator.world import World


def frozen_value(world: World, step: Derive, record: str, now: Callable[[], Value]) -> object:
    """The value that a record had when the period began, or has now if it is new in it."""
    frozen = world.frozen.get(f"{step.entity}|{record}|{step.name}")
    return frozen["value"] if frozen is not None and frozen["on"] == str(period(world, step)) else now()


def period(world: World, step: Derive) -> date:
    """The first day of a frozen value's period."""
    assert step.frozen is not None
    first, months = step.frozen
    today = world.clock.today
    count = (today.year * 12 + today.month - first.year * 12 - first.month) // months
    start: date = v.add_months(first, count * months)
    return start if start <= today else v.add_months(first, (count - 1) * months)


def freeze(world: World) -> JsonObject:
    """The frozen values as they are to be kept, those of earlier periods gone."""
    frozen: JsonObject = {}
    for (entity, name), step in world.policy.plan.steps.items():
        if isinstance(step, Derive) and step.frozen is not None:
            on = str(period(world, step))
            for row in world.all(entity):
                frozen[f"{entity}|{row['id']}|{name}"] = {"on": on, "value": row[name]}
    return dict(sorted(frozen.items()))
