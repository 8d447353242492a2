"""`events:` a threshold that raises an event: a lead becomes marketing-qualified, an account product-qualified. Each lowers to a
`Derive`; the state knows which are raised, so that an event is raised once, until it is armed again.
"""

from __future__ import annotations

from typing import Any

from roe.grammar import types as t
from roe.plan.operators import Derive, Event
from roe.policy.context import Context


def declare(policy: dict[str, Any], cx: Context) -> None:
    for key in policy.get("events") or {}:
        field = cx.new_field(key, "write `lead.mql: {when: lead.score >= 65}`")
        if field is not None:
            cx.model.steps[field] = lambda: t.BOOLEAN


def lower(policy: dict[str, Any], cx: Context) -> tuple[Event, ...]:
    found = []
    for key, raw in (policy.get("events") or {}).items():
        entity, _, name = str(key).partition(".")
        if (entity, name) not in cx.model.steps:
            continue
        names = cx.names(entity)
        when = cx.condition(raw["when"], names)
        rearm = cx.condition(raw["rearm"], names) if raw.get("rearm") else None
        cx.sentence(raw.get("because"), names)
        if when:
            cx.steps[entity, name] = Derive(entity, name, "event", when)
            found.append(Event(entity, name, rearm, raw.get("because")))
    return tuple(found)
