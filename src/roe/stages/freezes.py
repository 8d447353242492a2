"""`freezes:` a value as it was when a period began, while later changes wait for the next; it lowers to a `Derive`.

A segment that is frozen at the start of the fiscal year keeps an account where it is, however it grows. The first run of a
period takes the value, and the state keeps it; a record that comes later has its own from the first run that sees it.
"""

from __future__ import annotations

from typing import Any

from roe.plan.operators import Derive
from roe.policy.context import Context

KINDS = ("string", "number", "boolean")
MONTHS = {"year": 12, "half-year": 6, "quarter": 3, "month": 1}


def declare(policy: dict[str, Any], cx: Context) -> None:
    from roe.grammar import types as t

    for key, raw in (policy.get("freezes") or {}).items():
        field = cx.new_field(key, "write `account.fiscal_segment: {value: …}`")
        if field is None:
            continue
        entity, name = field

        def find(raw: Any = raw, entity: str = entity) -> t.Type:
            before = len(cx.found)
            expr = cx.value(raw["value"], cx.names(entity))
            del cx.found[before:]
            return cx.type_of(expr, cx.names(entity)) if expr else t.ANY

        cx.model.steps[entity, name] = find


def lower(policy: dict[str, Any], cx: Context) -> None:
    for key, raw in (policy.get("freezes") or {}).items():
        entity, _, name = str(key).partition(".")
        if (entity, name) not in cx.model.steps:
            continue
        expr = cx.value(raw["value"], cx.names(entity), *KINDS)
        start = cx.day(raw["from"])
        if expr and start:
            every = MONTHS[str(raw.get("every") or "year")]
            cx.steps[entity, name] = Derive(entity, name, "freeze", expr, frozen=(start, every))
