"""`{many: lead, …}`: the records of an entity that belong to a record, by a reference back or because two values are equal.

`{many: lead, via: account}` are the leads that refer to the account. `{many: lead, by: domain(lead.email), equals: domain(account.website)}`
are those whose value is equal to the account's; each side lowers to a `Derive`. `via` may name a field that is not a reference: then it is
`by`, and the record's own field of that name is `equals`.
"""

from __future__ import annotations

from collections.abc import Iterator

from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.policy.context import Context
from roe.policy.model import Field
from roe.source import Text
from roe.stages.fields import Fields, FieldSection


def _relations(fields: Fields) -> Iterator[tuple[Text, Text, FieldSection, Text]]:
    """(entity, field, its section, the other entity) of every relation."""
    for entity, declared in fields.items():
        for name, spec in declared.items():
            if isinstance(spec, FieldSection) and spec.many:
                yield entity, name, spec, spec.many


def _sides(fields: Fields) -> Iterator[tuple[str, str, Text]]:
    """(entity, the field that is computed, its expression) of every relation by key."""
    for entity, name, spec, other in _relations(fields):
        if spec.by:
            yield str(other), f"{name}_by", spec.by
        if spec.equals:
            yield str(entity), f"{name}_equals", spec.equals


def declare(fields: Fields, cx: Context) -> None:
    for entity, name, text in _sides(fields):
        if entity in cx.model.entities:
            if name in cx.model.entities[entity] or (entity, name) in cx.model.steps:
                cx.say("R306", text, f"the field `{entity}.{name}` already exists, and this relation needs its name", "rename the field")
                continue

            def find(text: Text = text, entity: str = entity) -> t.Type:
                expr = cx.parse(text)
                return cx.type_of(expr, cx.names(entity)) if expr else t.ANY

            cx.model.steps[entity, name] = find
    for entity, name, spec, other in _relations(fields):
        if name in cx.model.entities[entity]:
            _settle(str(entity), str(name), spec, spec.via or other, cx)


def _settle(entity: str, name: str, spec: FieldSection, place: Text, cx: Context) -> None:
    """Say what does not fit of a relation, and find the other side of a `via` that is not a reference."""
    field = cx.model.entities[entity][name]
    if field.type.item is None:
        return
    other = field.type.item.entity
    if spec.by:
        if spec.via:
            cx.say("R304", spec.key("via"), "`via` and `by` mean the same", "keep one of them")
        elif not spec.equals:
            cx.say("R304", spec.key("by"), "`by` needs `equals`", f"name the {entity} field that it equals: `equals: {entity}.domain`")
        return
    via = cx.model.field_type(other, field.via)
    if via is None:
        known = cx.model.field_names(other)
        cx.say("R204", place, f"`{other}` has no field `{field.via}`", suggest(field.via, known, "see its fields"))
        return
    if via.name == "record" and not field.key:
        if via.entity != entity:
            cx.say("R205", place, f"`{other}.{field.via}` refers to a {via.entity}, not to a {entity}", "name another field")
        return
    if field.key:
        return
    if via.name in ("record", "list", "owners") or field.via not in cx.model.entities[entity]:
        help = f"name the {entity} field that it equals: `{{many: {other}, via: {field.via}, equals: {entity}.name}}`"
        cx.say("R304", place, f"`{other}.{field.via}` is a {via}, and `{entity}` has no field `{field.via}`", help)
        return
    cx.model.entities[entity][name] = Field(name, field.type, via=field.via, key=field.via, span=field.span)


def lower(fields: Fields, cx: Context) -> None:
    for entity, name, text in _sides(fields):
        if (entity, name) in cx.model.steps:
            expr = cx.value(text, cx.names(entity))
            if expr:
                cx.steps[entity, name] = Derive(entity, name, "relation", expr)
    for of, called, spec, other in _relations(fields):
        field = cx.model.entities[of].get(called)
        if field is not None and field.key and field.type.item is not None:
            _comparable(str(of), field, spec.equals or spec.via or other, cx)


def _comparable(entity: str, field: Field, place: Text, cx: Context) -> None:
    """The two sides of a relation by key must be of one type, and not lists."""
    assert field.type.item is not None
    theirs, mine = cx.model.field_type(field.type.item.entity, field.via), cx.model.field_type(entity, field.key)
    if theirs is None or mine is None:
        return
    if not t.fits(theirs, mine):
        cx.say("R205", place, f"a {theirs} and a {mine} are never equal", "compare values of one type")
    elif {theirs.name, mine.name} & {"list", "range", "owners"}:
        cx.say("R205", place, f"records are not found by a {theirs}", "compare single values")
