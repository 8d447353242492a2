"""A record of a world: a dict of its stored fields, in which every other field is computed when it is asked for, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from roe.data.coerce import WRITTEN
from roe.dynamic import Json, Value, Values
from roe.grammar import values as v
from roe.grammar.functions.history import OWNERS, PER_ROLE
from roe.plan.operators import Fill

if TYPE_CHECKING:
    from roe.evaluator.world import World


DATA_SINCE = "$owner_since"  # what the data says of a record, once `owner_since` says what is known of its first role
UNKNOWN_REP = {"able": True, "may_hold": True}  # of a rep whom the data does not list nothing is known that speaks against it
OWNERSHIP = (
    "owner",
    OWNERS,
    "owner_since",
    "owner_from",
    "owner_by",
    "former_owner",
    "returned_on",
    "referred_on",
    "holds",
)  # fields that say who has, or had, a record
NOT_STORED: object = object()  # in place of the value of a field that is computed


class Circle(Exception):
    """A field rests on itself, through the data: only the row evaluator follows that. `roe.policy.circles` tells it beforehand."""


def nothing(row: Row) -> None:
    """What makes a field that records have or have not: it is never computed, so there is nothing to keep or to forget."""


class Row(dict[str, Value]):
    """One record. Reading a field that is not stored computes it; a field that does not exist is null."""

    __slots__ = ("derived", "entity", "world")
    entity: str
    world: World
    derived: set[str]

    def __init__(self, entity: str, world: World, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.entity, self.world, self.derived = entity, world, set()

    def __missing__(self, name: str) -> object:
        make = self.world.fields[self.entity].get(name)
        if make is None or make is nothing:
            return None
        if not self.derived:
            self.world.touched.append(self)
        self.derived.add(name)
        self[name] = None  # a circle through data, such as an account that is its own parent, ends in null
        value = self[name] = make(self)
        return value

    def get(self, name: str, default: object = None) -> Value:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self.world.fields[self.entity]

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def remember(self, name: str, value: object) -> Value:
        """Keep what was computed of the record until something that it may rest on has changed."""
        if not self.derived:
            self.world.touched.append(self)
        self.derived.add(name)
        self[name] = value
        return value

    def forget(self) -> None:
        """Drop what was computed, since something it rests on has changed."""
        for name in self.derived:
            self.pop(name, None)
        self.derived.clear()

    @property
    def label(self) -> str:
        return str(dict.get(self, "name") or self.written)

    @property
    def written(self) -> str:
        """The id as the data has it."""
        return str(dict.get(self, WRITTEN) or self["id"])

    def as_json(self) -> Json:
        """The record's own values; related records are left out, as are the marks of the loader and what the ledger knows."""
        remembered = {*UNKNOWN_REP, *(f"{name}.{role}" for name in PER_ROLE for role in self.world.policy.roles)}
        stored = {k: x for k, x in self.stored() if k[0] != "$" and k not in remembered and not isinstance(x, (dict, list))}
        return {"entity": self.entity, **{k: v.plain(x) for k, x in stored.items() if x is not None}}

    def is_filled(self, step: Fill) -> bool:
        """Whether a reference that the data does not have was asked for, and so taken from another step."""
        return step.source in self.derived

    def stored_value(self, name: str) -> Value:
        """A field's value where it is not computed; else None."""
        return None if name in self.derived else dict.get(self, name)

    def stored(self) -> Iterable[tuple[str, Value]]:
        """The fields that are not computed, with their values."""
        return ((k, x) for k, x in self.items() if k not in self.derived)


def rows_with(names: Iterable[str], rows: Sequence[Row]) -> list[Row]:
    """Those of many rows in which a field of these is stored or was computed; most rows refer to few others."""
    fields = frozenset(names)
    return [row for row in rows if not fields.isdisjoint(row.keys())] if fields else []


Known = list[tuple[Row, Values]]


class OwnersOfRow(dict[str, Value]):
    """role -> rep of one record."""

    __slots__ = ()

    def as_json(self) -> Json:
        return {role: rep["id"] for role, rep in self.items() if rep is not None}
