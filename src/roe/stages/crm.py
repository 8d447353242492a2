"""`crm:` what the CRM calls nobody, a rep and the territories, and what it calls open; it lowers to a `Crm` and to fields `is_open`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from roe.crm import PROFILES
from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.plan.operators import Choose, Crm, Derive
from roe.policy.context import Context
from roe.policy.model import Keys
from roe.source import Inline, Text

OPEN = "is_open"  # the field that says whether a record is still worked


def declare(policy: dict[str, Any], cx: Context) -> None:
    for entity in _open(policy, cx):
        if OPEN not in cx.model.entities[entity] and (entity, OPEN) not in cx.model.steps:
            cx.model.steps[entity, OPEN] = lambda: t.BOOLEAN


def lower_open(policy: dict[str, Any], cx: Context) -> None:
    """`is_open` of leads and opportunities, as the profile or the policy has it, unless the policy has a field of that name."""
    for entity, text in _open(policy, cx).items():
        if OPEN not in cx.model.entities[entity] and (entity, OPEN) not in cx.steps:
            known = isinstance(text.origin, Inline)  # the profile's own, which needs no check
            expr = cx.parse(text) if known else cx.condition(text, cx.names(entity))
            if expr is not None:
                cx.steps[entity, OPEN] = Derive(entity, OPEN, "crm", expr)


def _open(policy: dict[str, Any], cx: Context) -> dict[str, Text]:
    """Per entity, the condition under which a record is still worked."""
    found = {entity: Text(text, Inline(f"<profile {cx.profile}>")) for entity, text in PROFILES[cx.profile].open.items()}
    for entity, text in ((policy.get("crm") or {}).get("open") or {}).items():
        if entity in found:
            found[str(entity)] = text
        else:
            cx.say(
                "R504", entity, f"a {entity} cannot be closed", suggest(str(entity), found, "`open:` is only for leads and opportunities")
            )
    return found


def lower(policy: dict[str, Any], cx: Context) -> Crm:
    section = policy.get("crm") or {}
    queues = {}
    for entity, given in (section.get("queues") or {}).items():
        if entity not in cx.model.entities:
            cx.say("R504", entity, f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
        by_role = given.items() if hasattr(given, "items") else [(cx.model.roles()[0], given)]
        for role, queue in by_role:
            if role not in cx.model.roles():
                cx.say("R502", role, f"there is no role `{role}`", suggest(role, cx.model.roles(), "add it under `roles:`"))
            names = [queue] if isinstance(queue, str) else queue
            queues[str(entity), str(role)] = tuple(map(str, names))
    territories = {str(name): str(key) for name, key in (section.get("territories") or {}).items()}
    if territories:
        step = cx.steps.get(("account", "territory"))
        known = [str(r.name) for r in step.rules] if isinstance(step, Choose) else []
        for name in section["territories"]:
            if name not in known:
                cx.say("R501", name, f"there is no territory `{name}`", suggest(name, known, "name a row of `territories:`"))
    _read_queues(queues, cx)
    written = {key: names[0] for key, names in queues.items()}
    return Crm(written, territories, str(section.get("owner") or PROFILES[cx.profile].owner))


def _read_queues(queues: dict[tuple[str, str], tuple[str, ...]], cx: Context) -> None:
    """What a queue owns, nobody owns: the fields of owners learn the queues' names."""
    for entity in dict.fromkeys(entity for entity, _ in queues):
        names = tuple(fold(name) for (e, _), found in queues.items() if e == entity for name in found)
        fields = cx.model.entities.get(entity, {})
        for name, f in fields.items():
            if f.type == t.OWNERS or f.normalize == "queue":
                fields[name] = replace(f, keys=replace(f.keys or Keys(), queues=names))
