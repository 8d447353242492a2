"""`data:` where an entity's records are, how their values are written, and what a file must hold before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from roe.diagnostics import suggest
from roe.policy.context import Context
from roe.policy.model import NUMBERS, DataSource, as_number
from roe.policy.section import Entity, Form, Heading, Section, key, section
from roe.source import Text

Share = Text | float


@section
class ExpectSection(Section):
    """guards: if one is broken, nothing is decided"""

    rows: Annotated[int, Form(minimum=0)] = key("the minimum number of rows", default=0)
    fall: Share | None = key("the largest drop in rows since the last run, such as 20 %", default=None)
    filled: tuple[Text, ...] | Mapping[Text, Share] = key(
        "fields that every record must have, or the minimum share of records with them: {owner: 80 %}", default=()
    )


@section
class DataSection(Section):
    """where the records of an entity are, and how their values are written"""

    file: Text | None = None
    missing: tuple[Text, ...] = key("texts that mean a missing value, in every field", default=())
    format: Text | None = key("the format of dates in the data, such as %d/%m/%Y", default=None)
    numbers: Annotated[Text, Form(enum=list(NUMBERS))] | None = key(
        "how the data writes numbers, if the columns do not settle it", default=None
    )
    dates: Literal["day-first", "month-first"] | None = key("the order of 3/4/2026, if the columns do not settle it", default=None)
    encoding: Text | None = key("the encoding of the file, if roe does not recognise it: cp1250, latin-1, …", default=None)
    optional: bool = key("the file may be missing, though the policy decides these records", default=False)
    complete: bool = key("the file has all records: roe counts a record that it lacks as deleted", default=False)
    expect: ExpectSection | None = key("guards: if one is broken, nothing is decided", default=None)


Data = Mapping[Entity, DataSection]
DATA = Heading("data", Data, "per entity: the file, if it has another name; how values are written, and what the file must contain")


def lower(data: Data, cx: Context) -> dict[str, DataSource]:
    return {str(entity): _source(str(entity), source, cx) for entity, source in data.items()}


def _source(entity: str, source: DataSection, cx: Context) -> DataSource:
    expect = source.expect
    return DataSource(
        str(source.file or ""),
        tuple(map(str, source.missing)),
        str(source.format or ""),
        str(source.numbers or ""),
        str(source.dates or ""),
        str(source.encoding or ""),
        source.optional,
        expect.rows if expect else 0,
        _share(expect.fall, expect, cx) if expect and expect.fall is not None else None,
        _filled(entity, expect, cx) if expect else (),
        source.complete,
    )


def _filled(entity: str, expect: ExpectSection, cx: Context) -> tuple[tuple[str, float], ...]:
    """The least share of records in which each field has a value."""
    known = cx.model.entities.get(entity, {})
    for name in expect.filled:
        if str(name).partition(".")[0] not in known:
            cx.say("R204", name, f"unknown field `{name}` of {entity}", suggest(str(name), known, "declare the field under `fields:`"))
    if not isinstance(expect.filled, Mapping):
        return tuple((str(name), 1.0) for name in expect.filled)
    shares = ((str(name), _share(given, expect, cx)) for name, given in expect.filled.items())
    return tuple((name, share) for name, share in shares if share is not None)


def _share(given: Share, expect: ExpectSection, cx: Context) -> float | None:
    """`20 %`, or 0.2, as a share; None after a diagnostic."""
    written = str(given).strip()
    number = as_number(written.removesuffix("%").strip())
    share = None if number is None else float(number) / (100 if written.endswith("%") else 1)
    if share is None or not 0 <= share <= 1:
        cx.say("R311", given if isinstance(given, Text) else expect.heading, f"`{given}` is not a share", "write `20 %`")
        return None
    return share
