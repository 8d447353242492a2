"""`@node`: a dataclass with slots that type checkers know to be frozen, and that costs little to define.

`roe explain` must feel instant, and an ordinary frozen dataclass takes 0.9 ms to define, 0.3 ms like this; there are a hundred.
So equality and `repr` are shared functions, and freezing is left to mypy, which refuses an assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def node(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def node(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
def node(cls: type[T] | None = None, /, *, kw_only: bool = False) -> type[T] | Callable[[type[T]], type[T]]:
    return partial(_node, kw_only=kw_only) if cls is None else _node(cls)


def _node(cls: type[T], kw_only: bool = False) -> type[T]:
    made = dataclass(slots=True, eq=False, repr=False, kw_only=kw_only)(cls)
    for name, function in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _show)):
        setattr(made, name, function)
    return made


def _equal(self: DataclassInstance, other: object) -> bool:
    """Equal type and equal fields; fields that say `compare=False`, such as places, do not count."""
    if self is other:
        return True
    if type(self) is not type(other):
        return False
    return all(getattr(self, name) == getattr(other, name) for name in _compared(self.__class__))


def _hash(self: DataclassInstance) -> int:
    return hash((type(self), *(getattr(self, name) for name in _compared(self.__class__))))


@cache
def _compared(cls: type[DataclassInstance]) -> tuple[str, ...]:
    """The fields that make two nodes of a class equal or not; `fields` takes longer than a comparison."""
    return tuple(f.name for f in fields(cls) if f.compare)


def _show(self: DataclassInstance) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__name__}({shown})"
