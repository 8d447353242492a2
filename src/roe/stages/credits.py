"""`credits:` who is credited with a record, in which shares: sourcing, splits, and what happens while somebody disputes it.

Each lowers to a `Choose` whose value is the name of the rule that holds, a field of the record, and to a `Credit` with
the shares of each rule. Disputes are records (`disputes.csv`); an open one must be decided by a person, by a day.
"""

from __future__ import annotations

from typing import Any

from roe.diagnostics import suggest
from roe.grammar.types import Type
from roe.plan.operators import Choose, Credit, Expr, Rule
from roe.policy.context import Context


def declare(policy: dict[str, Any], cx: Context) -> None:
    for name, raw in (policy.get("credits") or {}).items():
        entity = str(raw.get("for") or "opportunity")
        if entity not in cx.model.entities:
            cx.say("R504", raw["for"], f"there is no entity `{entity}`", suggest(entity, cx.model.entities, "correct it"))
        elif str(name) in cx.model.entities[entity] or (entity, str(name)) in cx.model.steps:
            cx.say("R306", name, f"`{entity}.{name}` exists already", "choose another name")
        else:
            names = tuple(str(rule["name"]) for rule in raw["rules"])
            cx.model.steps[entity, str(name)] = lambda names=names: Type("string", values=names)  # type: ignore[misc]


def lower(policy: dict[str, Any], cx: Context) -> tuple[Credit, ...]:
    found = []
    for name, raw in (policy.get("credits") or {}).items():
        entity = str(raw.get("for") or "opportunity")
        if (entity, str(name)) not in cx.model.steps:
            continue
        cx.unique_names([r["name"] for r in raw["rules"]], "credit rules")
        names = cx.names(entity)
        rules, shares = [], {}
        for rule in raw["rules"]:
            when = cx.condition(rule["when"], names) if rule.get("when") else None
            conditions = ((when,) if when else ()) + cx.period(rule.get("from"), rule.get("until"))
            cx.sentence(rule.get("because"), names)
            rules.append(Rule(rule["name"], conditions, str(rule["name"]), rule.get("because")))
            shares[str(rule["name"])] = _shares(rule, cx, entity)
        cx.steps[entity, str(name)] = Choose(entity, str(name), "credit", "first", tuple(rules))
        refer = raw.get("disputes") or {}
        found.append(Credit(str(name), entity, shares, str(refer.get("refer") or ""), cx.lasting(refer.get("within"))))
    return tuple(found)


def _shares(rule: Any, cx: Context, entity: str) -> tuple[tuple[Expr, float], ...]:
    shares = []
    for who, percent in rule["shares"].items():
        expr = cx.value(who, cx.names(entity), "record", "string")
        if expr:
            shares.append((expr, percent))
    if (total := sum(rule["shares"].values())) != 100:
        cx.say("R304", rule.key("shares"), f"the shares add up to {total:g} %", "make them add up to 100 %")
    return tuple(shares)
