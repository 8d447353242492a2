"""`events:` a threshold that raises an event: a lead becomes marketing-qualified, an account product-qualified. Each lowers to a
`Derive`; the state knows which are raised, so that an event is raised once, until it is armed again.
"""

from __future__ import annotations

from collections.abc import Mapping

from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.plan.parts import Event
from roe.policy.context import Context
from roe.policy.section import Expression, Heading, Section, key, section
from roe.source import Text


@section
class EventSection(Section):
    """an event that fires once, until it is armed again"""

    when: Expression
    rearm: Expression | None = key("when the event can fire again; default: as soon as its condition is no longer true", default=None)
    because: Text | None = None
    description: Text | None = None


EVENTS = Heading("events", Mapping[Text, EventSection], "thresholds that fire an event once: `lead.mql: {when: lead.score >= 65}`")


def declare(events: Mapping[Text, EventSection], cx: Context) -> None:
    for name in events:
        field = cx.new_field(name, "write `lead.mql: {when: lead.score >= 65}`")
        if field is not None:
            cx.model.steps[field] = t.BOOLEAN


def lower(events: Mapping[Text, EventSection], cx: Context) -> tuple[Event, ...]:
    lowered = []
    for field, event in events.items():
        entity, _, name = str(field).partition(".")
        if (entity, name) not in cx.model.steps:
            continue
        names = cx.names(entity)
        when = cx.condition(event.when, names)
        rearm = cx.condition(event.rearm, names)
        cx.sentence(event.because, names)
        if when:
            cx.steps[entity, name] = Derive(entity, name, "event", when)
            lowered.append(Event(entity, name, rearm, event.because))
    return tuple(lowered)
