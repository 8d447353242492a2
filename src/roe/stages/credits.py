"""`credits:` who is credited with a record, in which shares: sourcing, splits, and what happens while somebody disputes it.

Each lowers to a `Choose` whose value is the name of the rule that holds, a field of the record, and to a `Credit` with
the shares of each rule. Disputes are records (`disputes.csv`); an open one must be decided by a person, by a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from roe.grammar.types import Type
from roe.plan.operators import Choose, Expr, Rule
from roe.plan.parts import Credit
from roe.policy.context import Context
from roe.policy.section import Day, Duration, Entity, Expression, Form, Heading, Identifier, Name, Percent, Section, key, section
from roe.source import Text


@section
class CreditRuleSection(Section):
    """the shares of a record that a rule takes"""

    name: Name
    when: Expression | None = None
    shares: Annotated[Mapping[Text, Percent], Form(minProperties=1)] = key("a rep, as an expression, and the percent")
    because: Text | None = None
    from_: Day | None = None
    until: Day | None = None


@section
class DisputesSection(Section):
    """who decides a dispute, and how soon"""

    refer: Text = key("who decides")
    within: Duration


@section
class CreditSection(Section):
    """who gets credit for a record"""

    for_: Entity | None = None
    rules: Annotated[tuple[CreditRuleSection, ...], Form(minItems=1)]
    disputes: DisputesSection | None = None
    description: Text | None = None


CREDITS = Heading("credits", Mapping[Identifier, CreditSection], "who gets credit for a record, in which shares; the first match counts")


def declare(credits: Mapping[Text, CreditSection], cx: Context) -> None:
    for name, credit in credits.items():
        entity = str(credit.for_ or "opportunity")
        if credit.for_ and not cx.has_entity(credit.for_):
            continue
        if cx.is_free(entity, str(name), name):
            names = tuple(str(rule.name) for rule in credit.rules)
            cx.model.steps[entity, str(name)] = Type("string", values=names)


def lower(credits: Mapping[Text, CreditSection], cx: Context) -> tuple[Credit, ...]:
    lowered = []
    for name, credit in credits.items():
        entity = str(credit.for_ or "opportunity")
        if (entity, str(name)) not in cx.model.steps:
            continue
        cx.unique_names([rule.name for rule in credit.rules], "credit rules")
        names = cx.names(entity)
        rules, shares = [], {}
        for rule in credit.rules:
            conditions = cx.conditions(rule.when, names, rule.from_, rule.until)
            cx.sentence(rule.because, names)
            rules.append(Rule(rule.name, conditions, str(rule.name), rule.because))
            shares[str(rule.name)] = _shares(rule, cx, entity)
        cx.steps[entity, str(name)] = Choose(entity, str(name), "credit", "first", tuple(rules))
        refer, within = (credit.disputes.refer, credit.disputes.within) if credit.disputes else ("", None)
        lowered.append(Credit(str(name), entity, shares, refer, cx.lasting(within)))
    return tuple(lowered)


def _shares(rule: CreditRuleSection, cx: Context, entity: str) -> tuple[tuple[Expr, float], ...]:
    shares = [(expr, percent) for who, percent in rule.shares.items() if (expr := cx.value(who, cx.names(entity), "record", "string"))]
    if (total := sum(rule.shares.values())) != 100:
        cx.say("R304", rule.key("shares"), f"the shares add up to {total:g} %", "make them add up to 100 %")
    return tuple(shares)
