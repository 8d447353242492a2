"""What the names of an expression mean, for the static check."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Protocol

from roe.grammar import types as t
from roe.grammar.types import Type
from roe.node import node


class KnownFields(Protocol):
    """What the checker asks about records: the type of an entity's field, the names of all of them, and which fields the ledger follows."""

    @property
    def tracked(self) -> Collection[tuple[str, str]]: ...
    def field_type(self, entity: str, name: str) -> Type | None: ...
    def field_names(self, entity: str) -> list[str]: ...
    def roles(self) -> list[str]: ...


@node
class Names:
    """What the names of an expression mean: variables, and the entity whose fields stand without a prefix."""

    model: KnownFields
    variables: Mapping[str, Type] = field(default_factory=dict)
    implicit: tuple[Type, ...] = ()  # innermost last
    tested: Type = t.ANY  # the type of `?` in a cell
    shorthands: Mapping[str, str] = field(default_factory=dict)  # fields that go without their entity: name -> entity
    undeclared: Mapping[str, str] = field(default_factory=dict)  # names that the policy could have: name -> what to declare for it

    def binding(self, **names: Type) -> Names:
        return replace(self, variables={**self.variables, **names})

    def inside(self, item: Type) -> Names:
        return replace(self, implicit=(*self.implicit, item), variables={**self.variables, "item": item})
