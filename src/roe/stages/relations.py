"""`{many: lead, …}`: the records of an entity that belong to a record, by a reference back or because two values are equal.

`{many: lead, via: account}` are the leads that refer to the account. `{many: lead, by: domain(lead.email), equals: domain(account.website)}`
are those whose value is equal to the account's; each side lowers to a `Derive`. `via` may name a field that is not a reference: then it is
`by`, and the record's own field of that name is `equals`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.policy.context import Context
from roe.policy.model import Field


def ends(entity: str, name: str, spec: Any) -> tuple[str, str]:
    """(the other entity's field, this entity's field that it is equal to; empty where the other refers to this record)."""
    if not spec.get("by"):
        via = str(spec.get("via") or entity)
        return via, f"{name}_equals" if spec.get("equals") else ""
    return f"{name}_by", f"{name}_equals"


def _sides(policy: dict[str, Any], cx: Context) -> Iterator[tuple[str, str, Any]]:
    """(entity, the field that is computed, its expression) of every relation by key."""
    for entity, fields in (policy.get("fields") or {}).items():
        for name, spec in fields.items():
            if isinstance(spec, str) or not spec.get("many"):
                continue
            for of, part in ((str(spec["many"]), "by"), (str(entity), "equals")):
                if spec.get(part):
                    yield of, f"{name}_{part}", spec[part]


def declare(policy: dict[str, Any], cx: Context) -> None:
    for entity, name, text in _sides(policy, cx):
        if entity in cx.model.entities:
            if name in cx.model.entities[entity] or (entity, name) in cx.model.steps:
                cx.say("R306", text, f"the field `{entity}.{name}` already exists, and this relation needs its name", "rename the field")
                continue

            def find(text: Any = text, entity: str = entity) -> t.Type:
                expr = cx.parse(text)
                return cx.type_of(expr, cx.names(entity)) if expr else t.ANY

            cx.model.steps[entity, name] = find
    for entity, fields in (policy.get("fields") or {}).items():
        for name, spec in fields.items():
            if not isinstance(spec, str) and spec.get("many") and str(name) in cx.model.entities[str(entity)]:
                _settle(str(entity), str(name), spec, cx)


def _settle(entity: str, name: str, spec: Any, cx: Context) -> None:
    """Say what does not fit of a relation, and find the other side of a `via` that is not a reference."""
    field = cx.model.entities[entity][name]
    if field.type.item is None:
        return
    other = field.type.item.entity
    if spec.get("by"):
        if spec.get("via"):
            cx.say("R304", spec.key("via"), "`via` and `by` mean the same", "keep one of them")
        elif not spec.get("equals"):
            cx.say("R304", spec.key("by"), "`by` needs `equals`", f"name the {entity} field that it equals: `equals: {entity}.domain`")
        return
    via = cx.model.field_type(other, field.via)
    if via is None:
        known = cx.model.field_names(other)
        cx.say(
            "R204", spec.get("via") or spec["many"], f"`{other}` has no field `{field.via}`", suggest(field.via, known, "see its fields")
        )
        return
    if via.name == "record" and not field.key:
        if via.entity != entity:
            cx.say(
                "R205",
                spec.get("via") or spec["many"],
                f"`{other}.{field.via}` refers to a {via.entity}, not to a {entity}",
                "name another field",
            )
        return
    if field.key:
        return
    if via.name in ("record", "list", "owners") or field.via not in cx.model.entities[entity]:
        help = f"name the {entity} field that it equals: `{{many: {other}, via: {field.via}, equals: {entity}.name}}`"
        cx.say(
            "R304", spec.get("via") or spec["many"], f"`{other}.{field.via}` is a {via}, and a {entity} has no field `{field.via}`", help
        )
        return
    cx.model.entities[entity][name] = Field(name, field.type, via=field.via, key=field.via, span=field.span)


def lower(policy: dict[str, Any], cx: Context) -> None:
    for entity, name, text in _sides(policy, cx):
        if (entity, name) in cx.model.steps:
            expr = cx.value(text, cx.names(entity))
            if expr:
                cx.steps[entity, name] = Derive(entity, name, "relation", expr)
    for entity, fields in (policy.get("fields") or {}).items():
        for name, spec in fields.items():
            field = cx.model.entities[str(entity)].get(str(name))
            if field is not None and field.key and field.type.item is not None:
                _comparable(str(entity), field, spec, cx)


def _comparable(entity: str, field: Field, spec: Any, cx: Context) -> None:
    """The two sides of a relation by key must be of one type, and not lists."""
    assert field.type.item is not None
    theirs, mine = cx.model.field_type(field.type.item.entity, field.via), cx.model.field_type(entity, field.key)
    if theirs is None or mine is None:
        return
    place = spec.get("equals") or spec.get("via")
    if not t.fits(theirs, mine):
        cx.say("R205", place, f"a {theirs} and a {mine} are never equal", "compare values of one type")
    elif {theirs.name, mine.name} & {"list", "range", "owners"}:
        cx.say("R205", place, f"records are not found by a {theirs}", "compare single values")
