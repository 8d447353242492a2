"""`@node`: a dataclass with slots that costs next to nothing to define; type checkers know it as frozen, unless it says otherwise.

`roe explain` must feel instant, and an ordinary frozen dataclass takes 0.9 ms to define; a command imports two hundred. So equality and `repr`
are shared functions, freezing is left to mypy, which refuses an assignment, and only with the first instance does a class become a
dataclass: most classes that a command imports have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache, partial
from operator import attrgetter
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, cast, dataclass_transform, overload

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
_NAMES: dict[type, tuple[str, ...]] = {}  # of the fields of each class
_LATER = ("__dataclass_fields__", "__dataclass_params__", "__match_args__")
_DEFINING = RLock()  # a second thread must not find a class half made


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def node(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def node(*, eq: bool = True, frozen: bool = True, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
def node(
    cls: type[T] | None = None, /, *, eq: bool = True, frozen: bool = True, kw_only: bool = False
) -> type[T] | Callable[[type[T]], type[T]]:
    """Without `eq` an instance equals itself alone; one that is not `frozen` may change, and has no hash."""
    if cls is None:
        return partial(_node, eq=eq, frozen=frozen, kw_only=kw_only)
    return _node(cls, eq, frozen, kw_only)


def names_of(cls: type) -> tuple[str, ...]:
    """The names of a node's fields, in order; KeyError for another class."""
    return _NAMES[cls]


def is_node(cls: type) -> bool:
    return cls in _NAMES


class _Later:
    """Something that a dataclass has, until somebody asks for it."""

    def __init__(self, name: str, define: Callable[[], Any]) -> None:
        self.name, self.define = name, define

    def __get__(self, instance: object, owner: type) -> object:
        return getattr(self.define(), self.name)


def _node(cls: type[T], eq: bool, frozen: bool, kw_only: bool) -> type[T]:
    own = [name for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")]
    inherited = {name for base in cls.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
    body = {name: x for name, x in cls.__dict__.items() if name not in own and name not in ("__dict__", "__weakref__")}
    body["__slots__"] = tuple(name for name in own if name not in inherited)
    body["__repr__"] = body.get("__repr__", _show)
    if eq and "__eq__" not in body:
        body["__eq__"] = _equal
        body.setdefault("__hash__", _hash if frozen else None)

    def define() -> Any:
        """Make a dataclass of the class as it was written, and take over what that has."""
        with _DEFINING:
            if isinstance(made.__dict__[_LATER[0]], _Later):
                cls.__doc__ = cls.__doc__ or cls.__name__  # else a dataclass works out its signature
                whole = dataclass(slots=True, eq=False, repr=False, kw_only=kw_only)(cls)
                for name in ("__init__", *_LATER):
                    setattr(made, name, whole.__dict__[name])
        return made

    def first(self: Any, *args: Any, **kwargs: Any) -> None:
        define()
        made.__init__(self, *args, **kwargs)

    body |= {name: _Later(name, define) for name in _LATER} | {"__init__": first}
    made: Any = cast("Any", type(cls))(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    _NAMES[made] = tuple(dict.fromkeys([*(name for base in reversed(cls.__mro__[1:]) for name in _NAMES.get(base, ())), *own]))
    return cast("type[T]", made)


def _equal(self: DataclassInstance, other: object) -> bool:
    """Equal type and equal fields; fields that say `compare=False`, such as places, do not count."""
    if self is other:
        return True
    if type(self) is not type(other):
        return False
    compared = _compared(self.__class__)
    return bool(compared(self) == compared(other))


def _hash(self: DataclassInstance) -> int:
    return hash((type(self), _compared(self.__class__)(self)))


@cache
def _compared(cls: type[DataclassInstance]) -> Callable[[object], object]:
    """Gets the values that make two nodes of a class equal or not."""
    names = [f.name for f in fields(cls) if f.compare]
    return attrgetter(*names) if names else type


def _show(self: DataclassInstance) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__name__}({shown})"
