"""`freezes:` a value as it was when a period began, while later changes wait for the next; it lowers to a `Derive`.

A segment that is frozen at the start of the fiscal year keeps an account where it is, however it grows. The first run of a
period takes the value, and the state keeps it; a record that comes later has its own from the first run that sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from roe.grammar import types as t
from roe.plan.operators import Derive
from roe.policy.context import Context
from roe.policy.section import Day, Expression, Heading, Section, section
from roe.source import Text

KINDS = ("string", "number", "boolean")
MONTHS = {"year": 12, "half-year": 6, "quarter": 3, "month": 1}


@section
class FreezeSection(Section):
    """a value as it is on the first day of each period"""

    value: Expression
    from_: Day
    every: Literal["year", "half-year", "quarter", "month"] = "year"
    description: Text | None = None


FREEZES = Heading("freezes", Mapping[Text, FreezeSection], "values kept for a whole period; later changes wait for the next one")


def declare(freezes: Mapping[Text, FreezeSection], cx: Context) -> None:
    for key, freeze in freezes.items():
        field = cx.new_field(key, "write `account.fiscal_segment: {value: …}`")
        if field is None:
            continue
        entity, name = field

        def find(freeze: FreezeSection = freeze, entity: str = entity) -> t.Type:
            with cx.apart():
                expr = cx.value(freeze.value, cx.names(entity))
            return cx.type_of(expr, cx.names(entity)) if expr else t.ANY

        cx.model.steps[entity, name] = find


def lower(freezes: Mapping[Text, FreezeSection], cx: Context) -> None:
    for key, freeze in freezes.items():
        entity, _, name = str(key).partition(".")
        if (entity, name) not in cx.model.steps:
            continue
        expr = cx.value(freeze.value, cx.names(entity), *KINDS)
        start = cx.day(freeze.from_)
        if expr and start:
            cx.steps[entity, name] = Derive(entity, name, "freeze", expr, frozen=(start, MONTHS[freeze.every]))
