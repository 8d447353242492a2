"""`crm:` what the CRM calls nobody, a rep and the territories, and what it calls open; it lowers to a `Crm` and to fields `is_open`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from roe.crm import PROFILES
from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.plan.parts import LOAD_WITHIN, Crm
from roe.policy.context import Context
from roe.policy.model import Keys
from roe.policy.section import Form, Heading, PositiveDuration, Section, key, section
from roe.source import Inline, Text
from roe.stages.territories import rows_of

OPEN = "is_open"  # the field that says whether a record is still worked

Queues = Text | Annotated[tuple[Text, ...], Form(minItems=1)]


@section
class CrmSection(Section):
    """the CRM's names for queues, territories and reps"""

    queues: Mapping[Text, Queues | Mapping[Text, Queues]] = key(
        "per entity, or per role: the CRM's queues for records that nobody owns; roe writes the first one", default={}
    )
    territories: Mapping[Text, Text] = key("the CRM's id of each territory", default={})
    owner: Literal["id", "name", "email"] | None = key(
        "how the CRM's files name a rep; default: id, or name with the profile hubspot", default=None
    )
    open: Mapping[Text, Text] = key(
        "per entity (lead or opportunity): when a record is still open; closed records stay with their owner and use no turn and no capacity",
        default={},
    )
    load_within: PositiveDuration | None = key(
        "how long before roe warns about a decision that the CRM has not loaded; default: 3 days", default=None
    )
    systems: Mapping[Text, Text | tuple[Text, ...]] = key(
        "integrations that change owners, each with the ids of the CRM users that they act as", default={}
    )
    cascade: Mapping[Text, Text] = key(
        "per entity: the field of the record whose owner the CRM passes on, such as `{opportunity: account}`", default={}
    )


CRM = Heading("crm", CrmSection, "the CRM's own names, for files that load back into it")


def declare(crm: CrmSection | None, cx: Context) -> None:
    for entity in _open(crm, cx):
        if OPEN not in cx.model.entities[entity] and (entity, OPEN) not in cx.model.steps:
            cx.model.steps[entity, OPEN] = t.BOOLEAN


def lower_open(crm: CrmSection | None, cx: Context) -> None:
    """`is_open` of leads and opportunities, as the profile or the policy has it, unless the policy has a field of that name."""
    for entity, text in _open(crm, cx).items():
        if OPEN not in cx.model.entities[entity] and (entity, OPEN) not in cx.steps:
            known = isinstance(text.origin, Inline)  # the profile's own, which needs no check
            expr = cx.parse(text) if known else cx.condition(text, cx.names(entity))
            if expr is not None:
                cx.steps[entity, OPEN] = Derive(entity, OPEN, "crm", expr)


def _open(crm: CrmSection | None, cx: Context) -> dict[str, Text]:
    """Per entity, the condition under which a record is still worked."""
    conditions = {entity: Text(text, Inline(f"<profile {cx.profile}>")) for entity, text in PROFILES[cx.profile].open.items()}
    for entity, text in crm.open.items() if crm else ():
        if entity in conditions:
            conditions[str(entity)] = text
        else:
            cx.say(
                "R504",
                entity,
                f"a {entity} cannot be closed",
                suggest(str(entity), conditions, "`open:` is only for leads and opportunities"),
            )
    return conditions


def lower(crm: CrmSection | None, cx: Context) -> Crm:
    queues: dict[tuple[str, str], tuple[str, ...]] = {}
    for entity, given in crm.queues.items() if crm else ():
        cx.has_entity(entity)
        if not isinstance(given, Mapping):
            queues[str(entity), cx.model.roles()[0]] = _names(given)
            continue
        for role, queue in given.items():
            cx.has_role(role)
            queues[str(entity), str(role)] = _names(queue)
    territories = crm.territories if crm else {}
    if territories:
        step = rows_of("account", cx)
        known = [str(r.name) for r in step.rules] if step else []
        for name in territories:
            if name not in known:
                cx.say("R501", name, f"there is no territory `{name}`", suggest(name, known, "name a row of `territories:`"))
    _read_queues(queues, cx)
    written = {key: names[0] for key, names in queues.items()}
    ids = {str(name): str(key) for name, key in territories.items()}
    days = (cx.day_count(crm.load_within) if crm else None) or LOAD_WITHIN
    return Crm(written, ids, str((crm.owner if crm else None) or PROFILES[cx.profile].owner), days, _systems(crm), _cascades(crm, cx))


def _systems(crm: CrmSection | None) -> dict[str, str]:
    """The users that integrations act as."""
    return {fold(user): str(name) for name, users in (crm.systems.items() if crm else ()) for user in _names(users)}


def _cascades(crm: CrmSection | None, cx: Context) -> dict[str, str]:
    """Per entity, the field of the record that passes its owner on."""
    cascades = {}
    for entity, name in crm.cascade.items() if crm else ():
        if not cx.has_entity(entity):
            continue
        fields = cx.model.entities.get(str(entity), {})
        owned = [
            f for f, x in fields.items() if x.type.name == "record" and not x.via and "owner" in cx.model.entities.get(x.type.entity, {})
        ]
        if name in owned:
            cascades[str(entity)] = str(name)
        else:
            cx.say(
                "R204",
                name,
                f"`{name}` of {entity} is not a record with an owner",
                suggest(str(name), owned, "name a field such as `account`"),
            )
    return cascades


def _names(given: Text | tuple[Text, ...]) -> tuple[str, ...]:
    """One name, or several."""
    return (str(given),) if isinstance(given, Text) else tuple(map(str, given))


def _read_queues(queues: dict[tuple[str, str], tuple[str, ...]], cx: Context) -> None:
    """What a queue owns, nobody owns: the fields of owners learn the queues' names."""
    for entity in dict.fromkeys(entity for entity, _ in queues):
        names = tuple(fold(name) for (e, _), called in queues.items() if e == entity for name in called)
        fields = cx.model.entities.get(entity, {})
        for name, f in fields.items():
            if f.type == t.OWNERS or f.normalize == "queue":
                fields[name] = replace(f, keys=replace(f.keys or Keys(), queues=names))
