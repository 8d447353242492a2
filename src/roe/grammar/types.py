"""Static types: what a name, a field or an expression can be, and what a record's fields are.

`any` fits everything and comes from untyped variables only. The type of a record names its entity; its fields are looked
up in the `Model`, so that entities may refer to each other in circles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from roe.grammar import values as v
from roe.node import node
from roe.source import Span


@node
class Type:
    """`name` is a FEEL type name, `list`, `range`, `record`, `owners`, `null` or `any`."""

    name: str
    item: Type | None = None  # of a list or a range
    entity: str = ""  # of a record
    fields: Mapping[str, Type] | None = None  # of a record that is not an entity: a table row's outputs
    values: tuple[str, ...] = ()  # the declared values of a string, if any
    code: str = field(default="", compare=False)  # what its texts are codes of, `country` or `state`, if data is read as such
    declared: Span | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        if self.name == "list" and self.item:
            return f"list of {self.item}"
        if self.name == "record":
            return self.entity or "record"
        return self.name


ANY = Type("any")
BOOLEAN = Type("boolean")
NUMBER = Type("number")
STRING = Type("string")
DATE = Type("date")
DATETIME = Type("date and time")
TIME = Type("time")
DURATION = Type("days and time duration")
MONTHS = Type("years and months duration")
OWNERS = Type("owners")

# How a policy file spells the types of fields.
DECLARABLE: dict[str, Type] = {
    "string": STRING,
    "number": NUMBER,
    "boolean": BOOLEAN,
    "date": DATE,
    "datetime": DATETIME,
    "time": TIME,
    "duration": DURATION,
    "months": MONTHS,
    "percent": NUMBER,
    "money": NUMBER,
    "band": Type("range", NUMBER),
    "list": Type("list", STRING),
}
WRITTEN = ("percent", "money", "band", "list")  # types of cells that the type of their values does not tell

PROPERTIES: dict[str, dict[str, Type]] = {
    "date": dict.fromkeys(("year", "month", "day", "weekday"), NUMBER),
    "time": {**dict.fromkeys(("hour", "minute", "second"), NUMBER), "time_offset": DURATION, "timezone": STRING},
    "days and time duration": dict.fromkeys(("days", "hours", "minutes", "seconds"), NUMBER),
    "years and months duration": dict.fromkeys(("years", "months"), NUMBER),
    "range": {"start": ANY, "end": ANY, "start_included": BOOLEAN, "end_included": BOOLEAN},
}
PROPERTIES["date and time"] = PROPERTIES["date"] | PROPERTIES["time"]


def list_of(item: Type) -> Type:
    return Type("list", item)


def record(entity: str) -> Type:
    return Type("record", entity=entity)


def fits(a: Type, b: Type) -> bool:
    """Whether values of the two types can be equal: unknown types and null fit everything."""
    if "any" in (a.name, b.name) or "null" in (a.name, b.name):
        return True
    if a.name != b.name:
        return False
    if a.name == "record":
        return not (a.entity and b.entity) or a.entity == b.entity
    return a.item is None or b.item is None or fits(a.item, b.item)


def join(a: Type, b: Type) -> Type:
    """A type for either of two."""
    if a.name == "null":
        return b
    if b.name == "null" or a == b:
        return a
    return Type(a.name, a.item if a.item == b.item else None, a.entity if a.entity == b.entity else "") if fits(a, b) else ANY


_DT, _DTD, _YMD = "date and time", "days and time duration", "years and months duration"
_WD, _WH = "working days duration", "working hours duration"
ARITHMETIC_TYPES: dict[tuple[str, str, str], str] = {
    **{("number", op, "number"): "number" for op in v.ARITHMETIC},
    ("string", "+", "string"): "string",
    **{(a, op, d): a for a in ("date", _DT) for d in (_DTD, _YMD, _WD) for op in "+-"},
    **{(d, "+", a): a for a in ("date", _DT) for d in (_DTD, _YMD, _WD)},
    **{(a, op, _WH): _DT for a in ("date", _DT) for op in "+-"},
    **{(_WH, "+", a): _DT for a in ("date", _DT)},
    **{("time", op, _DTD): "time" for op in "+-"},
    (_DTD, "+", "time"): "time",
    **{(a, "-", b): _DTD for a in ("date", _DT) for b in ("date", _DT)},
    ("time", "-", "time"): _DTD,
    **{(d, op, d): d for d in (_DTD, _YMD) for op in "+-"},
    **{(d, op, "number"): d for d in (_DTD, _YMD) for op in "*/"},
    **{("number", "*", d): d for d in (_DTD, _YMD)},
    **{(d, "/", d): "number" for d in (_DTD, _YMD)},
}  # fmt: skip
