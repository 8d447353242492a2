"""The typed policy: entities with their fields, lists, settings, and the plan that its stages lowered to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from roe.crm import PROFILES
from roe.crm.ids import LONG, SHORT, fold
from roe.crm.profile import Profile
from roe.dynamic import Value
from roe.grammar import types as t
from roe.grammar.clock import CALENDAR_YEAR, Fiscal
from roe.grammar.functions import BY_NAME
from roe.grammar.types import Type
from roe.node import node
from roe.plan.plan import Plan
from roe.policy.standard import STANDARD
from roe.source import Span

if TYPE_CHECKING:
    from roe.policy.worked_out import WorkedOut

NUMBERS = (
    "1,234.5",
    "1.234,5",
    "1 234.5",
    "1 234,5",
    "1'234.5",
    "1234.5",
    "1234,5",
)  # how data writes them: the last mark is the decimal sign


@node
class Keys:
    """How a cell names another record, or an owner, in the data of a CRM."""

    several: str = ""  # what separates several ids; the first of them counts
    left: str = ""  # a regular expression for what stands behind the name of a user who has left
    others: tuple[str, ...] = ()  # first characters of ids that belong to other entities, which this reference does not mean
    queues: tuple[str, ...] = ()  # owners that are queues: what they own, nobody owns
    queue_prefixes: tuple[str, ...] = ()

    def corrected(self, text: str) -> str:
        """The one record that a cell names, by its plain name: the first of several, without what is added to who has left."""
        if self.several and self.several in text:
            text = next((piece.strip() for piece in text.split(self.several) if piece.strip()), "")
        return re.sub(self.left, "", text) if self.left and text.endswith(")") else text

    def read(self, text: str) -> str:
        """The key that a cell names; empty if it names a queue or a record of another entity."""
        named = self.corrected(text)
        return "" if self.is_queue(named) or (len(named) in (SHORT, LONG) and named.startswith(self.others)) else named

    def is_queue(self, text: str) -> bool:
        return fold(text) in self.queues or (len(text) in (SHORT, LONG) and text.startswith(self.queue_prefixes))


@node
class Field:
    """A stored field. `via` names the field of `type`'s entity that refers back, for a to-many relation.

    `reads` is how its cells are written where the type does not say: `percent`, `money`, `band`, `list`. `missing` are texts that mean: no
    value; None leaves that to its entity and type.
    With a `key`, a field of the record itself, the related records are those whose `via` is equal to it.
    """

    name: str
    type: Type
    columns: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    normalize: str = ""
    format: str = ""
    required: bool = False
    default: Value = None
    via: str = ""
    key: str = ""
    standard: bool = False
    reads: str = ""
    missing: tuple[str, ...] | None = None
    currency: str = ""
    profile: str = ""  # the profile whose headers the field has, where the policy names no column
    words: tuple[str, ...] = ()  # of yes or no: texts that mean yes in a column of other texts, where any other means no
    keys: Keys | None = None  # of references and owners: how a cell names one
    span: Span | None = field(default=None, compare=False, repr=False)


@node
class DataSource:
    """Where an entity's records are, how its texts are to be read, and what its file must hold.

    `missing` are texts that mean: no value. `format` is one of dates, `numbers` shows the decimal sign (`1.234,5`), `dates` is `day-first` or
    `month-first`. `rows` is the least number of rows, `fall` the largest share of the last run's rows that may be gone, `filled` the
    least share of records in which a field has a value.
    """

    file: str = ""
    missing: tuple[str, ...] = ()
    format: str = ""
    numbers: str = ""
    dates: str = ""
    encoding: str = ""
    optional: bool = False
    rows: int = 0
    fall: float | None = None
    filled: tuple[tuple[str, float], ...] = ()
    complete: bool = False  # a record that the file lacks is gone


class Model:
    """Entities, their stored fields and their steps, by name; types of definitions are found when first asked for."""

    def __init__(self, roles: list[str]) -> None:
        self._roles = roles
        self.entities: dict[str, dict[str, Field]] = {}
        self.steps: dict[tuple[str, str], Type | Callable[[], Type]] = {}  # (entity, field) -> the type, or what finds it
        self.tracked: set[tuple[str, str]] = set()  # (entity, field) under `track:`
        self._known: dict[tuple[str, str], Type] = {}

    def roles(self) -> list[str]:
        return self._roles

    def field_type(self, entity: str, name: str) -> Type | None:
        key = (entity, name)
        if key in self._known:
            return self._known[key]
        if key in self.steps:
            declared = self.steps[key]
            kind = declared if isinstance(declared, Type) else declared()
        elif name in self.entities.get(entity, {}):
            kind = self.entities[entity][name].type
        else:
            return None
        self._known[key] = kind
        return kind

    def field_names(self, entity: str) -> list[str]:
        return sorted({*self.entities.get(entity, ()), *(n for e, n in self.steps if e == entity)})


@cache
def standard_fields(profile: str) -> Mapping[str, Mapping[str, Field]]:
    """The entities every policy starts with, under the profile's column names."""
    crm = PROFILES[profile]
    by_entity: dict[str, dict[str, Field]] = {}
    for entity, fields in STANDARD.items():
        by_entity[entity] = {}
        for name, spec in fields.items():
            base, _, rest = spec.partition(" ")
            via = rest.removeprefix("via ") if rest.startswith("via ") else ""
            headers = crm.columns.get(entity, {}).get(name, ())
            by_entity[entity][name] = Field(
                name,
                coded(type_named(base), "" if via else rest),
                headers[:1],
                {},
                "" if via else rest,
                via=via,
                standard=True,
                profile=profile if headers else "",
                words=tuple(sorted(crm.true_words.get((entity, name), ()))),
                keys=None if via else keys_of(crm, entity, type_named(base), rest),
            )
    return by_entity


def keys_of(crm: Profile, entity: str, kind: Type, normalize: str) -> Keys | None:
    """How cells of a field name records under a profile; None for fields that name none, and where there is nothing to know."""
    if kind.name == "owners" or normalize == "queue":
        keys = Keys("", crm.left, (), (), crm.queue_prefixes)
    elif kind.name == "record":
        # of the records that a CRM has in one column, such as WhoId, each reference means those of its own entity
        others = tuple(prefix for prefix, other in crm.prefixes.items() if other != kind.entity) if entity == "activity" else ()
        keys = Keys(crm.several, crm.left if kind.entity == "rep" else "", others)
    else:
        return None
    return keys if keys != Keys() else None


def headers_of(entity: str, f: Field) -> tuple[str, ...]:
    """Every header that a field may have in the data, the first that is there counts."""
    known = PROFILES[f.profile].columns[entity][f.name] if f.profile else ()
    return known if f.columns == known[:1] else f.columns


def coded(kind: Type, normalize: str) -> Type:
    """The type of a field whose texts the loader turns into codes."""
    return replace(kind, code=normalize) if normalize in ("country", "state") and kind.name == "string" else kind


def type_named(name: str) -> Type:
    """The type that a policy file means: a scalar type, `owners`, an entity, or `entity[]`."""
    if name.endswith("[]"):
        return t.list_of(t.record(name[:-2]))
    if name == "owners":
        return t.OWNERS
    return t.DECLARABLE.get(name) or t.record(name)


def as_number(text: str) -> float | None:
    """The number that a text is in the language, or None."""
    number: float | None = BY_NAME["number"].invoke([text, None, None])
    return number


@node
class Policy:
    """A loaded, checked policy. `files` are all that it was made of, relative to `root`, for its digest."""

    root: Path
    name: str
    timezone: str
    calendar: str
    hours: tuple[time, time]
    profile: str
    model: Model
    plan: Plan
    data: Mapping[str, DataSource]
    files: tuple[str, ...]
    fiscal: Fiscal = CALENDAR_YEAR
    # what the cache folder has of these very files; a policy with anything else in place of a part has none of it
    worked_out: WorkedOut | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def roles(self) -> list[str]:
        return self.model.roles()
