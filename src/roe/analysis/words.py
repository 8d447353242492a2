"""Conditions and actions in English, for people who read rules and not expressions. What has no good words stays as it is written."""

from __future__ import annotations

import re
from collections.abc import Callable

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.plan.operators import TEMPLATE, Action, Rule

# `account.created > today - 90 days` is created less than 90 days ago
AGO = {"<": "more than", "<=": "at least", ">": "less than", ">=": "at most"}
FROM_NOW = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least"}
COMPARED = {
    "=": "is", "!=": "is not", "<": "is less than", "<=": "is at most", ">": "is more than", ">=": "is at least",
}  # fmt: skip
DAYS = {"<": "is before", "<=": "is not after", ">": "is after", ">=": "is not before"}
_IS = re.compile(r"(?:(.+)'s )?is (.+)")
DATES = ("date", "created", "closed", "since", "until", "starts", "ends", "activity", "at", "seen", "engaged", "today")


def condition(tree: s.Node, entity: str) -> str:
    """A condition as a clause: `employees is at least 500 and country is one of US, CA`."""
    if isinstance(tree, s.Literal) and tree.value is True:
        return "always"
    if isinstance(tree, s.And):
        return " and ".join(_grouped(x, entity) for x in tree.items)
    if isinstance(tree, s.Or):
        return " or ".join(_grouped(x, entity) for x in tree.items)
    if isinstance(tree, s.Not) and len(tree.operands) == 1:
        return f"not ({condition(tree.operands[0], entity)})"
    if isinstance(tree, s.Path):
        return f"{subject(tree, entity)} is true"
    if isinstance(tree, s.Compare):
        return _compare(tree, entity)
    if isinstance(tree, s.Between):
        return f"{subject(tree.value, entity)} is between {value(tree.low, entity)} and {value(tree.high, entity)}"
    if isinstance(tree, s.In):
        return _in(tree, entity)
    if isinstance(tree, s.Quantified):
        return _quantified(tree, entity)
    return f"`{show(tree)}`"


def _grouped(tree: s.Node, entity: str) -> str:
    text = condition(tree, entity)
    return f"({text})" if isinstance(tree, (s.And, s.Or)) else text


def subject(node: s.Node, entity: str) -> str:
    """A field in words: `account.owner.ae` is *owner (ae)*, and `lead.account.country` *account's country*."""
    names: list[str] = []
    at = node
    while isinstance(at, s.Path):
        names.insert(0, at.field)
        at = at.base
    if not isinstance(at, s.Name):
        if isinstance(node, s.Call) and node.function == "count" and len(node.args) == 1:
            return f"the number of {subject(node.args[0], entity)}"
        return f"`{show(node)}`"
    if at.id != entity:
        names.insert(0, at.id)
    if not names:
        return f"the {entity}"
    owners = [i for i, name in enumerate(names[:-1]) if name == "owner" or name.endswith("_owner")]
    for i in reversed(owners):
        names[i : i + 2] = [f"{names[i]} ({names[i + 1]})"]
    if names[-2:] == ["leave", "until"]:
        return f"the end of {_possessive(names[:-1])}"
    return _possessive(names)


def _possessive(names: list[str]) -> str:
    return "'s ".join(n.replace("_", " ") for n in names)


def value(node: s.Node, entity: str = "") -> str:
    if isinstance(node, s.Literal):
        return (
            node.value
            if isinstance(node.value, str)
            else node.text
            if node.text and not node.text.startswith("@")
            else v.literal(node.value)
        )
    if (distance := _from_today(node)) is not None:
        return f"{distance[0]} {'ago' if distance[1] else 'from now'}"
    return f"`{show(node)}`" if not isinstance(node, (s.Path, s.Name)) else subject(node, entity)


def _from_today(node: s.Node) -> tuple[str, bool] | None:
    """`today - 90 days` as its distance, and whether it lies in the past."""
    if isinstance(node, s.Binary) and node.op in "+-" and isinstance(node.right, s.Literal) and node.left == s.Name("today"):
        return node.right.text, node.op == "-"
    return None


def _compare(tree: s.Compare, entity: str) -> str:
    what = subject(tree.left, entity)
    if isinstance(tree.right, s.Literal) and tree.right.value is None:
        return f"{what} is {'missing' if tree.op == '=' else 'known'}"
    if isinstance(tree.right, s.Literal) and isinstance(tree.right.value, bool):
        holds = tree.right.value is (tree.op == "=")
        adjective = _IS.fullmatch(what)  # a field that is named for what it says: `is_open`, `account.is_customer`
        if adjective:
            return f"{adjective[1] or 'it'} is {'' if holds else 'not '}{adjective[2]}"
        return f"{what} is {'true' if holds else 'not true'}"
    if tree.op in DAYS and (distance := _from_today(tree.right)) is not None:
        length, past = distance
        return f"{what} is {(AGO if past else FROM_NOW)[tree.op]} {length} {'ago' if past else 'from now'}"
    if isinstance(tree.right, s.Path) and _root(tree.right) == entity != _root(tree.left):  # `lead.country = rep.country`, said of a rep
        return f"{what} {COMPARED[tree.op]} the {entity}'s {subject(tree.right, entity)}"
    last = what.rpartition(" ")[2].strip("`").rpartition(".")[2]
    days = tree.op in DAYS and (last in DATES or "today" in show(tree.right))
    return f"{what} {(DAYS if days else COMPARED)[tree.op]} {value(tree.right, entity)}"


def _root(node: s.Node) -> str:
    """The name that a path begins with."""
    while isinstance(node, s.Path):
        node = node.base
    return node.id if isinstance(node, s.Name) else ""


def _in(tree: s.In, entity: str) -> str:
    what, no = subject(tree.value, entity), "not " if tree.negated else ""
    tests = [x for test in tree.tests for x in (test.items if isinstance(test, s.ListOf) else (test,))]
    if len(tests) == 1 and isinstance(tests[0], s.Name):
        return f"{what} is {no}on the list {tests[0].id}"
    if all(isinstance(x, s.Literal) for x in tests):
        named = ", ".join(value(x) for x in tests)
        return f"{what} is {no}{'one of ' if len(tests) > 1 else ''}{named}"
    if len(tests) == 1 and isinstance(tests[0], s.Not) and not tree.negated:
        return f"{what} is none of {', '.join(value(x) for x in tests[0].operands)}"
    return f"{what} is {no}" + " or ".join(_test(x) for x in tests)


def _test(node: s.Node) -> str:
    if isinstance(node, s.Unary):
        return f"{COMPARED[node.op].removeprefix('is ')} {value(node.operand)}"
    if isinstance(node, s.RangeOf):
        low = "" if node.low is None else f"{'from' if node.low_closed else 'above'} {value(node.low)}"
        high = "" if node.high is None else f"{'up to' if node.high_closed else 'below'} {value(node.high)}"
        return " ".join(filter(None, (low, high)))
    return value(node)


def _quantified(tree: s.Quantified, entity: str) -> str:
    if len(tree.bindings) != 1:
        return f"`{show(tree)}`"
    binding = tree.bindings[0]
    of = subject(binding.source, entity)
    word = "there is one of the" if tree.kind == "some" else "every one of the"
    return f"{word} {of} where {condition(tree.condition, binding.name)}"


def when(rule: Rule, entity: str) -> str:
    """All of a rule's conditions."""
    trees = [tree for c in rule.conditions for tree in s.conjuncts(c.tree)]
    return " and ".join(_grouped(tree, entity) for tree in trees) or "always"


def _receiver(tree: s.Node, entity: str, called: Callable[[str], str]) -> str:
    if isinstance(tree, s.Literal):
        return called(value(tree))
    named = subject(tree, entity)
    return f"the rep in `{named}`" if named.endswith(" by") else f"the {named}"  # `created by` is not what one is called


def action(given: object, entity: str, called: Callable[[str], str] = str) -> str:
    """What a rule does with a record, in words. `called` gives the name of a rep whom the rule names by the id."""
    if isinstance(given, dict):
        return ", ".join(f"{k.replace('_', ' ')} {x}" for k, x in given.items() if k != "name" and x is not None)
    if not isinstance(given, Action):
        return given if isinstance(given, str) else str(v.literal(given))
    other = f"; if that finds nobody, {action(given.otherwise, entity, called)}" if given.otherwise is not None else ""
    if given.kind == "assign" and given.assign is not None:
        until = f" until {subject(given.until.tree, entity)}" if given.until is not None else ""
        return f"it goes to {_receiver(given.assign.tree, entity, called)}{until}{other}"
    within = f" within {span(given.within)}" if given.within is not None else ""
    return {
        "keep": "its owner keeps it" + (f" for {span(given.within)}" if given.within is not None else ""),
        "route": f"the next in the pool {given.pool} gets it",
        "open": "it is open for anybody to claim",
        "hold": "it is on hold: nothing changes",
        "return": "it goes back to the pool of accounts that nobody owns",
        "refer": f"{TEMPLATE.sub(lambda m: f'the {m[1]}', given.to)} decides{within}",
    }[given.kind] + other


def span(value: Value) -> str:
    """A length of time: `45 days`, `2 working days`, `1 hour 30 minutes`."""
    if isinstance(value, v.WorkingDays):
        return _count(value.days, "working day")
    if isinstance(value, v.WorkingHours):
        return _count(value.hours, "working hour")
    return v.readable(value)


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}{'s' if number != 1 else ''}"


def because(text: str, entity: str) -> str:
    """A reason, with what is filled in per record as code."""

    def part(m: re.Match[str]) -> str:
        tree, _ = parse(m[1])
        return f"`{subject(tree, entity).strip(chr(96))}`" if tree is not None else m[0]

    return TEMPLATE.sub(part, text)


def an(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
