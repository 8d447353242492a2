"""The typed policy: entities with their fields, lists, settings, and the plan that its stages lowered to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import time
from pathlib import Path
from typing import Any

from roe.grammar import types as t
from roe.grammar.clock import CALENDAR_YEAR, Fiscal
from roe.grammar.node import node
from roe.grammar.types import Type
from roe.plan.operators import Plan
from roe.policy.standard import PROFILES, STANDARD
from roe.source import Span

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
    default: Any = None
    via: str = ""
    key: str = ""
    standard: bool = False
    reads: str = ""
    missing: tuple[str, ...] | None = None
    currency: str = ""
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


class Model:
    """Entities, their stored fields and their steps, by name; types of definitions are found when first asked for."""

    def __init__(self, roles: list[str]) -> None:
        self._roles = roles
        self.entities: dict[str, dict[str, Field]] = {}
        self.steps: dict[tuple[str, str], Callable[[], Type]] = {}
        self._known: dict[tuple[str, str], Type] = {}

    def roles(self) -> list[str]:
        return self._roles

    def field_type(self, entity: str, name: str) -> Type | None:
        key = (entity, name)
        if key in self._known:
            return self._known[key]
        if key in self.steps:
            found = self.steps[key]()
        elif name in self.entities.get(entity, {}):
            found = self.entities[entity][name].type
        else:
            return None
        self._known[key] = found
        return found

    def field_names(self, entity: str) -> list[str]:
        return sorted({*self.entities.get(entity, ()), *(n for e, n in self.steps if e == entity)})


def standard_fields(profile: str) -> dict[str, dict[str, Field]]:
    """The entities every policy starts with, under the profile's column names."""
    columns = PROFILES[profile]
    out: dict[str, dict[str, Field]] = {}
    for entity, fields in STANDARD.items():
        out[entity] = {}
        for name, spec in fields.items():
            base, _, rest = spec.partition(" ")
            column = columns.get(entity, {}).get(name)
            names = (column,) if column else ()
            via = rest.removeprefix("via ") if rest.startswith("via ") else ""
            normalize = "" if via else rest
            out[entity][name] = Field(name, coded(type_named(base), normalize), names, {}, normalize, via=via, standard=True)
    return out


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

    @property
    def roles(self) -> list[str]:
        return self.model.roles()
