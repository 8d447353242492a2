"""What stands in a policy file, as classes: one for each mapping, a stage's own beside the stage.

A class says for each key its type, whether it must be there, and a description. From these `tools/schema.py` writes the JSON Schema that
editors use and that `roe.policy.loader` checks a file against; `read` makes instances of what has passed that check, so it cannot fail.
A key that is a word of Python's, such as `from`, is an attribute with `_` behind it. Texts stay `Text` and know their place.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, ClassVar, Literal, TypeVar, Union, cast, dataclass_transform, get_args, get_origin, get_type_hints

from roe.dynamic import Value, Written
from roe.policy.loader import Map, Seq
from roe.source import Inline, Text

T = TypeVar("T")
TypeForm = object  # a type as it stands in an annotation: a class, or one with arguments, such as tuple[Text, ...]


class Form:
    """What JSON Schema says of a value beside its type. One with a name is a definition that other places refer to."""

    def __init__(self, name: str = "", /, **keywords: object) -> None:
        self.name, self.keywords = name, keywords


Name = Annotated[Text, Form("name", pattern=r"^[^\s.]([^\n]{0,98}[^\s])?$", description="a name")]
Identifier = Annotated[
    Text, Form("identifier", pattern=r"^[^\W\d]\w{0,63}$", description="a name that expressions can use: letters, digits and _")
]
Expression = Annotated[Text, Form("expression", description="an expression, see docs/language.md", minLength=1)]
Day = Annotated[Text, Form("day", description="a date, such as 2026-02-01", pattern=r"^\d{4}-\d{2}-\d{2}$")]
Duration = Annotated[Text, Form("duration", description="a duration, such as 90 days, 48 hours, 5 working days", pattern=r"^\d")]
PositiveDuration = Annotated[
    Text,
    Form(
        "positive_duration",
        description="a duration longer than zero, such as 90 days, 48 hours, 5 working days",
        pattern=r"^0*(\.0*)?[1-9]",
    ),
]
FilePath = Annotated[Text, Form("path", description="a file in the policy folder, with / between folders", minLength=1, maxLength=500)]
Entity = Annotated[
    Text,
    Form("entity", description="account, lead, contact, opportunity, activity, rep, or one of your own", pattern="^[a-z][a-z0-9_]{0,40}$"),
]
Overrides = Annotated[
    Name | Annotated[tuple[Name, ...], Form(minItems=1)],
    Form(
        "overrides",
        description="earlier rules that must not take this rule's records with a different outcome, or `all`; `roe check` proves it",
    ),
]
Percent = Annotated[float, Form(minimum=0, maximum=100)]


def key(description: str = "", *, default: object = MISSING, **keywords: object) -> Value:
    """A key of a section with what an editor shows of it; with a default it may be left out. `keywords` are JSON Schema's."""
    if keywords or description:
        keywords = {"description": description, **keywords} if description else keywords
    metadata = {"keywords": keywords}
    return field(default_factory=dict, metadata=metadata) if default == {} else field(default=default, metadata=metadata)


class Section:
    """A mapping of the policy. `given` is what was read: it knows where each key stands; `heading` is the key that the mapping stands under."""

    __slots__ = ("given", "heading")
    given: Map
    heading: Text
    KEYWORDS: ClassVar[Mapping[str, object]] = {}  # what JSON Schema says of the mapping as a whole

    def key(self, name: str) -> Text:
        """A key as it is written, which knows its place; the key of the section itself where it is not given."""
        written = self.given.key(name)
        return written if isinstance(written, Text) else self.heading

    def texts(self) -> Mapping[Text, Text]:
        """The section as a row of a table: its texts by key."""
        return {name: value for name, value in self.given.items() if isinstance(name, Text) and isinstance(value, Text)}

    def items(self) -> list[tuple[str, Value]]:
        """The keys that are given, in the order of the file, with their values."""
        return [(str(name), getattr(self, keys(type(self))[name][0])) for name in self.given]


S = TypeVar("S", bound=Section)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(key,))
def section(cls: type[T]) -> type[T]:
    """A dataclass with slots, frozen for type checkers, that costs little to define; see `roe.node`."""
    made: type[T] = dataclass(slots=True, eq=False, repr=False, kw_only=True)(cls)
    return made


@dataclass(frozen=True, slots=True)
class Heading:
    """A key at the top of a policy file, and the type of what stands under it."""

    name: str
    kind: TypeForm
    description: str = ""

    def read(self, policy: Map) -> Value:
        """What stands under this key; where nothing does, an empty mapping or list, and None for anything else."""
        given = policy.get(self.name)
        if not given:
            origin = get_origin(self.kind)
            return {} if origin is Mapping else () if origin is tuple else None
        heading = policy.key(self.name)
        assert isinstance(heading, Text)
        return _reader(self.kind)(given, heading)


_KEYS: dict[type[Section], Mapping[str, tuple[str, TypeForm]]] = {}


def keys(cls: type[Section]) -> Mapping[str, tuple[str, TypeForm]]:
    """The keys of a section's class in their order: the attribute of each, and its type."""
    if cls not in _KEYS:
        hints = get_type_hints(cls, include_extras=True)
        _KEYS[cls] = {f.name.removesuffix("_"): (f.name, hints[f.name]) for f in fields(cls)}  # type: ignore[arg-type]
    return _KEYS[cls]


def read(cls: type[S], given: Map) -> S:
    """A mapping that the schema has passed, as the class that the schema was made from; keys of other classes are left aside."""
    return _section(cls, given, Text("", Inline()))


_Reader = Callable[[Written, Text], Value]  # what was given, the key it stands under -> the same as its type


@cache
def _reader(kind: TypeForm) -> _Reader:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _reader(arguments[0])
    if origin in (Union, types.UnionType):
        return _of_one(arguments)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda given, heading: tuple(item(inner, heading) for inner in given)
    if origin is Mapping:
        value = _reader(arguments[1])
        return lambda given, _: {name: value(inner, name) for name, inner in given.items()}
    if isinstance(kind, type) and issubclass(kind, Section):
        return lambda given, heading: _section(kind, given, heading)
    return lambda given, _: given


def _section(cls: type[S], given: Map, heading: Text) -> S:
    known = keys(cls)
    made = cls(**{known[name][0]: _reader(known[name][1])(value, cast(Text, name)) for name, value in given.items() if name in known})
    made.given, made.heading = given, heading
    return made


def _of_one(kinds: tuple[TypeForm, ...]) -> _Reader:
    """A reader of a value that may have one of several types: the first that has its shape."""

    def reader(given: object, heading: Text) -> Value:
        kind = next((kind for kind in kinds if _has_shape(kind, given)), object)
        return _reader(kind)(given, heading)

    return reader


def _has_shape(kind: TypeForm, given: object) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _has_shape(arguments[0], given)
    if origin is Literal:
        return given in arguments
    if origin is tuple or kind is Seq:
        return isinstance(given, Seq)
    if origin is Mapping or kind is Map:
        return isinstance(given, Map)
    if isinstance(kind, type) and issubclass(kind, Section):
        return isinstance(given, Map) and set(given) <= set(keys(kind)) and set(required(kind)) <= set(given)
    return isinstance(given, kind) if isinstance(kind, type) else False


def required(cls: type[Section]) -> list[str]:
    """The keys that a section must have."""
    must = {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}  # type: ignore[arg-type]
    return [name for name, (attribute, _) in keys(cls).items() if attribute in must]
