"""The words of the static check: how it names a type, and the next step where two of them do not go together."""

from __future__ import annotations

from collections.abc import Iterable

from roe.grammar.types import Type
from roe.source import Span


def with_article(kind: Type) -> str:
    return "the owners of a record" if kind.name == "owners" else f"a {kind}"


def what_to_compare(a: Type, b: Type) -> str:
    names = {a.name, b.name}
    if names == {"date", "date and time"}:
        return "take the day of the date-time: `date(…)`"
    if names == {"number", "string"}:
        return "numbers stand without quotes; `number(…)` makes one of a text"
    if "record" in names and "string" in names:
        return "compare one of the record's fields, such as its `.name` or `.id`"
    if "owners" in names:
        return "name a role, such as `.owner.ae`, and compare one of the rep's fields, such as its `.id`"
    if "number" in names and any("duration" in name or "date" in name for name in names):
        return 'a number of days is written `90 days`, and a day `@"2026-01-31"`'
    if "boolean" in names:
        return "a yes/no field is itself a condition: write it alone, or `= true`"
    return "compare values of one type"


def declared_where(*types: Type) -> tuple[tuple[str, Span], ...]:
    return tuple((f"declared as {x} here", x.declared) for x in types if x.declared)


def some_of(words: Iterable[str]) -> str:
    words = list(words)
    return ", ".join(f"`{w}`" for w in words[:8]) + (", …" if len(words) > 8 else "")
