"""`fields:` the fields of entities beyond the standard ones: their types, how the data writes them, and relations (`relations.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from roe.crm import PROFILES
from roe.crm.ids import fold
from roe.diagnostics import suggest
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.functions.history import PER_ROLE
from roe.grammar.types import Type
from roe.policy.context import Context
from roe.policy.loader import Map
from roe.policy.model import NUMBERS, Field, Keys, as_number, coded, keys_of, standard_fields, type_named
from roe.policy.section import Entity, Expression, Form, Heading, Identifier, Section, key, section
from roe.source import Text, span_of


@section
class FieldSection(Section):
    """a field: its type, and how the data writes its values"""

    type: Text | None = key(
        "string, number, boolean, date, datetime, time, duration, percent, money, band, list, or an entity that the field refers to",
        default=None,
    )
    values: tuple[Text, ...] = key("the only values allowed; others are rejected", default=())
    aliases: Mapping[Text, Text] = key("spellings in the data, and the value that each one means", default={})
    normalize: Literal["country", "state", "domain", "company", "phone", "lower", "upper", "trim", "postal_code"] | None = key(
        "how values are cleaned when they are loaded", default=None
    )
    column: (
        Annotated[Text, Form(description="the column's name in the data")]
        | Annotated[tuple[Text, ...], Form(description="the column's names, the first one present counts")]
        | None
    ) = None
    format: Text | None = key(
        "the format of dates in the data, such as %d/%m/%Y, day-first or month-first; of numbers, such as 1.234,5", default=None
    )
    required: bool = key("reject records without it", default=False)
    default: Text | float | bool | None = None
    many: Text | None = key("the entity whose records refer to this one", default=None)
    via: Text | None = key(
        "with `many`: the field that refers back; if it is not a reference, it must equal this record's field with the same name",
        default=None,
    )
    by: Expression | None = key("with `many` and `equals`: the expression on the other records to compare", default=None)
    equals: Expression | None = key("with `many`: the expression on this record that it must equal", default=None)
    description: Text | None = None
    missing: tuple[Text, ...] | None = key("texts that mean a missing value, instead of those of its type", default=None)
    currency: Text | None = key("the only currency allowed in cells, such as USD or $", default=None)


TypeName = Annotated[
    Text, Form(description="a type: string, number, boolean, date, datetime, time, duration, percent, money, band, list, or an entity")
]
Fields = Mapping[Entity, Mapping[Identifier, TypeName | FieldSection]]
FIELDS = Heading("fields", Fields, "fields of entities beyond the standard ones")


def declare(fields: Fields, cx: Context) -> None:
    cx.model.entities.update({entity: dict(known) for entity, known in standard_fields(cx.profile).items()})
    for entity in fields:
        cx.model.entities.setdefault(str(entity), {"id": Field("id", t.STRING), "name": Field("name", t.STRING)})
    for entity, declared in fields.items():
        for name, given in declared.items():
            made = _field(str(entity), name, given, cx)
            if made:
                cx.model.entities[str(entity)][str(name)] = made
    for known in cx.model.entities.values():
        if any(f.type == t.OWNERS for f in known.values()):
            for base, kind in PER_ROLE.items():
                for role in cx.model.roles():
                    known.setdefault(f"{base}.{role}", Field(f"{base}.{role}", type_named(kind), standard=True))


def written_out(name: Text, given: Text | FieldSection) -> FieldSection:
    """A field as a mapping, where the policy gives its type alone."""
    if isinstance(given, FieldSection):
        return given
    made = FieldSection(type=given)
    made.given, made.heading = Map({"type": given}), name
    return made


def relation_ends(entity: str, name: str, spec: FieldSection) -> tuple[str, str]:
    """(the other entity's field, this entity's field that it is equal to; empty where the other refers to this record)."""
    if not spec.by:
        return str(spec.via or entity), f"{name}_equals" if spec.equals else ""
    return f"{name}_by", f"{name}_equals"


def _field(entity: str, name: Text, given: Text | FieldSection, cx: Context) -> Field | None:
    spec = written_out(name, given)
    if spec.many:
        if not cx.has_entity(spec.many, "declare it under `fields:`"):
            return None
        via, key = relation_ends(entity, str(name), spec)
        return Field(str(name), t.list_of(t.record(str(spec.many))), via=via, key=key, span=span_of(name))
    old, blank = cx.model.entities[entity].get(str(name)), Field(str(name), t.STRING)
    standard = old or blank  # what is not said of a standard field stays as it is
    kind = type_named(str(spec.type)) if spec.type else standard.type
    if not _is_sound(spec, kind, cx):
        return None
    values = tuple(fold(str(x)) for x in spec.values)
    normalize = _normalize(spec, standard)
    columns = _columns(spec)
    headers = blank if columns else standard  # the profile's columns count where the policy names none
    return Field(
        str(name),
        coded(
            Type(kind.name, kind.item, kind.entity, kind.fields, values, declared=span_of(name)),
            "" if values or spec.aliases else normalize,
        ),
        columns or headers.columns,
        {str(k): str(v) for k, v in spec.aliases.items()},
        normalize,
        str(spec.format or ""),
        spec.required,
        spec.default,
        standard=old is not None,
        reads=str(spec.type) if spec.type in t.WRITTEN else "" if spec.type else standard.reads,
        missing=None if spec.missing is None else tuple(map(str, spec.missing)),
        currency=str(spec.currency or ""),
        profile=headers.profile,
        words=headers.words,
        keys=_keys(entity, kind, old, cx),
        span=span_of(name),
    )


def _normalize(spec: FieldSection, standard: Field) -> str:
    """How values are cleaned; a standard column of queues is an ordinary one where the policy names it."""
    return str(spec.normalize or ("" if spec.column and standard.normalize == "queue" else standard.normalize))


def _columns(spec: FieldSection) -> tuple[str, ...]:
    return (str(spec.column),) if isinstance(spec.column, Text) else tuple(map(str, spec.column or ()))


def _is_sound(spec: FieldSection, kind: Type, cx: Context) -> bool:
    """Whether a field can be read as its type says; says so where it cannot."""
    if kind.name in ("number", "range") and spec.format and spec.format not in NUMBERS:
        help = "write one of " + ", ".join(f"`{x}`" for x in NUMBERS)
        cx.say("R311", spec.format, f"`{spec.format}` is not a format of numbers", help)
        return False
    if spec.type and kind.name == "record" and kind.entity not in cx.model.entities:
        known = [*t.DECLARABLE, *cx.model.entities]
        help = suggest(kind.entity, known, "declare the entity under `fields:`")
        cx.say("R504", spec.type, f"there is no type or entity `{kind.entity}`", help)
        return False
    values = tuple(fold(str(x)) for x in spec.values)
    if values and kind.name not in ("string", "list"):
        cx.say("R304", spec.key("values"), f"a {kind} cannot have a list of values", "only strings can have one")
    if not _default_fits(spec.default, kind, values):
        of = f" among {', '.join(values)}" if values else ""
        cx.say("R311", spec.key("default"), f"the default `{spec.default}` is not a {kind}{of}", "write a value of the field's type")
        return False
    return True


def _keys(entity: str, kind: Type, old: Field | None, cx: Context) -> Keys | None:
    """How cells of a declared field name records: as the standard field of this name and type does, else as the profile has it."""
    return old.keys if old and old.type == kind else keys_of(PROFILES[cx.profile], entity, kind, "")


def _default_fits(default: Text | float | bool | None, kind: Type, values: tuple[str, ...]) -> bool:
    """Whether a field's default is a value of its type: records take it as it is."""
    if default is None:
        return True
    text = str(default)
    if kind.name == "number":
        return as_number(text) is not None
    if kind.name == "boolean":
        return text in ("true", "false", "yes", "no")
    if kind.name in ("date", "date and time", "time") or "duration" in kind.name:
        return v.kind(v.parse_temporal(text)) == kind.name
    return kind.name not in ("record", "owners") and (not values or text in values)
