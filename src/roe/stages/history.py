"""`track:` fields whose values the ledger follows, so that rules can ask what one was on an earlier day (`value_at`).

It also gives every entity with owners the field `owners`: everybody who had a record, from when to when. Both are read from the ledger,
by runs of policies that ask for them.

`retain:` says for how long the ledger keeps what can be erased.
"""

from __future__ import annotations

from datetime import timedelta

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.functions.history import HOLDING, OWNERS
from roe.grammar.values import Duration
from roe.plan.parts import Past
from roe.policy.context import Context
from roe.policy.section import Heading, PositiveDuration, Section, key, section
from roe.source import Text

TRACK = Heading("track", tuple[Text, ...], "fields whose values the ledger follows, such as opportunity.stage, for `value_at`")


@section
class RetainSection(Section):
    """how long the ledger keeps what can be erased"""

    evidence: PositiveDuration | None = key("how long evidence is kept, such as 24 months; the newest of each record stays", default=None)


RETAIN = Heading("retain", RetainSection, "how long the ledger keeps what can be erased")
KINDS = ("string", "number", "boolean", "date", "date and time")


def declare(track: tuple[Text, ...], cx: Context) -> None:
    for entity, fields in cx.model.entities.items():
        if OWNERS not in fields and any(f.type == t.OWNERS for f in fields.values()):
            cx.model.steps[entity, OWNERS] = t.list_of(HOLDING)
    for name in track:
        entity, _, field = str(name).partition(".")
        known = cx.model.entities.get(entity)
        if known is None:
            cx.say("R504", name, f"`{name}` is not a field of an entity", suggest(entity, cx.model.entities, "write `opportunity.stage`"))
        elif field not in known:
            cx.say("R204", name, f"unknown field `{field}` of {entity}", suggest(field, known, "name a field that the data has"))
        elif known[field].type.name not in KINDS or known[field].via:
            cx.say("R205", name, f"a {known[field].type} cannot be tracked", "name a field with a text, a number, a date, or yes and no")
        else:
            cx.model.tracked.add((entity, field))


def lower(track: tuple[Text, ...], cx: Context) -> Past | None:
    return Past(cx.looks_back, tuple(sorted(cx.model.tracked))) if cx.looks_back or cx.model.tracked else None


def retained(retain: RetainSection | None, cx: Context) -> Duration | None:
    """For how long evidence is kept; None for ever."""
    text = retain.evidence if retain is not None else None
    value = cx.lasting(text)
    if text is not None and value is not None and not isinstance(value, (timedelta, v.Months)):
        cx.say("R311", text, f"`{text}` depends on a calendar", "write `24 months` or `730 days`")
        return None
    return value
