"""`matching:` lead to account; it lowers to a `Relate`. A lead that the data itself links keeps that account."""

from __future__ import annotations

from typing import Any

from roe.grammar import types as t
from roe.plan.operators import Method, Relate
from roe.policy.context import Context

ENTITY, NAME = "lead", "matched_account"


def declare(policy: dict[str, Any], cx: Context) -> None:
    if policy.get("matching"):
        cx.model.steps[ENTITY, NAME] = lambda: t.record("account")


def lower(policy: dict[str, Any], cx: Context) -> None:
    section = policy.get("matching")
    if not section:
        return
    names = cx.names("lead")
    methods = []
    cx.unique_names([m["name"] for m in section["methods"]], "matching methods")
    for raw in section["methods"]:
        match = cx.condition(raw["match"], names)
        unless = cx.condition(raw["unless"], names) if raw.get("unless") else None
        if match:
            methods.append(Method(raw["name"], match, unless))
    ties = []
    for raw in section.get("tie_break") or []:
        for kind in ("most", "least"):
            if kind in raw:
                expr = cx.value(raw[kind], names)
                if expr:
                    ties.append((kind, expr))
    cx.steps[ENTITY, NAME] = Relate(ENTITY, NAME, "matching", "account", tuple(methods), tuple(ties))
