"""`sources:` the lead source, first match; it lowers to a `Choose` whose value is the rule's name."""

from __future__ import annotations

from typing import Any

from roe.grammar.types import Type
from roe.plan.operators import Choose, Rule
from roe.policy.context import Context


def declare(policy: dict[str, Any], cx: Context) -> None:
    rules = policy.get("sources") or []
    if rules:
        names = tuple(str(rule["name"]) for rule in rules)
        cx.model.steps["lead", "source"] = lambda: Type("string", values=names)


def lower(policy: dict[str, Any], cx: Context) -> None:
    found = policy.get("sources") or []
    if not found:
        return
    names = [raw["name"] for raw in found]
    cx.unique_names(names, "sources")
    rules = []
    for raw in found:
        when = cx.condition(raw["when"], cx.names("lead"))
        conditions = ((when,) if when else ()) + cx.period(raw.get("from"), raw.get("until"))
        overrides = cx.overrides(raw.get("overrides"), raw["name"], names)
        rules.append(Rule(raw["name"], conditions, str(raw["name"]), raw.get("because"), overrides))
    cx.steps["lead", "source"] = Choose("lead", "source", "source", "first", tuple(rules))
