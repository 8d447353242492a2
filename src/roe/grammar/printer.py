"""A syntax tree as text, with the fewest parentheses: `parse(show(tree)) == tree` for every tree that parses.

The printer writes canonical spelling: snake_case function names, `[a..b)` ranges, one space around operators.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from roe.crm.ids import SHORT, fold
from roe.grammar import syntax as s
from roe.grammar.values import Months, WorkingDays, WorkingHours, is_number, literal, quote, show_number

# How tightly a node binds; an operand that binds less is put in parentheses.
TAIL, OR, AND, COMPARISON, SUM, PRODUCT, POWER, NEGATIVE, POSTFIX = range(9)
_BINARY = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "**": POWER}


def show(node: s.Node) -> str:
    return _SHOW[type(node)](node)


def _level(node: s.Node) -> int:
    if isinstance(node, s.Binary):
        return _BINARY[node.op]
    if isinstance(node, s.Literal) and is_number(node.value) and node.value < 0:
        return NEGATIVE
    if isinstance(node, (s.And, s.Or)) and _level(node.items[-1]) == TAIL:
        return TAIL  # it ends in an `if`, which would swallow what follows
    return _LEVELS.get(type(node), POSTFIX)


_LEVELS: dict[type, int] = {
    s.If: TAIL, s.For: TAIL, s.Quantified: TAIL, s.Or: OR, s.And: AND, s.Compare: COMPARISON, s.Between: COMPARISON,
    s.In: COMPARISON, s.Negative: NEGATIVE,
}  # fmt: skip


def _at(node: s.Node, level: int) -> str:
    text = show(node)
    return text if _level(node) >= level else f"({text})"


def _literal(node: s.Literal) -> str:
    value = node.value
    if isinstance(value, str):
        written = node.text.strip('"')  # a long id of Salesforce, whose value is the short one, stays as it is written
        return quote(written if len(value) == SHORT and fold(written) == value else value)
    if isinstance(value, WorkingDays):
        return f"{value.days} working {'day' if value.days == 1 else 'days'}"
    if isinstance(value, WorkingHours):
        return f"{show_number(value.hours)} working {'hour' if value.hours == 1 else 'hours'}"
    if isinstance(value, (timedelta, Months)) and node.text[:1].isdigit():
        return " ".join(node.text.split())
    if is_number(value):
        return show_number(value)
    if value is None or isinstance(value, bool):
        return literal(value)
    return f'@"{literal(value)}"'


def _call(node: s.Call) -> str:
    args = [f"{n}: {show(a)}" if n else show(a) for a, n in zip(node.args, node.names, strict=True)]
    return f"{node.function}({', '.join(args)})"


def _in(node: s.In) -> str:
    word = "not in" if node.negated else "in"
    if len(node.tests) == 1:
        test = node.tests[0]
        return f"{_at(node.value, COMPARISON)} {word} {_test(test) if isinstance(test, s.Unary) else _at(test, SUM)}"
    return f"{_at(node.value, COMPARISON)} {word} ({', '.join(map(_test, node.tests))})"


def _test(node: s.Node) -> str:
    """A test where tests are expected: `> 5` stands bare. Anywhere else it is a value, and needs parentheses."""
    return f"{node.op} {_at(node.operand, SUM)}" if isinstance(node, s.Unary) else show(node)


def _range(node: s.RangeOf) -> str:
    if node.low is None and node.high is not None:
        return f"({'<=' if node.high_closed else '<'} {_at(node.high, SUM)})"
    if node.high is None and node.low is not None:
        return f"({'>=' if node.low_closed else '>'} {_at(node.low, SUM)})"
    assert node.low is not None and node.high is not None
    low, high = _at(node.low, SUM), _at(node.high, SUM)
    return f"{'[' if node.low_closed else '('}{low}..{high}{']' if node.high_closed else ')'}"


def _binding(node: s.Binding) -> str:
    if node.until is None:
        return f"{node.name} in {show(node.source)}"
    return f"{node.name} in {_at(node.source, SUM)}..{_at(node.until, SUM)}"


def _bindings(nodes: tuple[s.Binding, ...]) -> str:
    return ", ".join(map(_binding, nodes))


def _chain(items: tuple[s.Node, ...], word: str, level: int) -> str:
    """Operands of `and`/`or`: an `if`, `for`, `some` needs no parentheses at the very end."""
    bare = _level(items[-1]) == TAIL and not isinstance(items[-1], s.Or)
    last = show(items[-1]) if bare else _at(items[-1], level + 1)
    return f" {word} ".join([*(_at(i, level + 1) for i in items[:-1]), last])


def _binary(node: s.Binary) -> str:
    level = _BINARY[node.op]
    return f"{_at(node.left, level)} {node.op} {_at(node.right, level + 1)}"


def _tests(node: s.Tests) -> str:
    text = ", ".join(map(_test, node.tests))
    return f"not({text})" if node.negated else text


_SHOW: dict[type, Callable[[Any], str]] = {
    s.Literal: _literal,
    s.Name: lambda n: n.id,
    s.Path: lambda n: f"{_at(n.base, POSTFIX)}.{n.field}",
    s.Filter: lambda n: f"{_at(n.base, POSTFIX)}[{show(n.condition)}]",
    s.Call: _call,
    s.Pick: lambda n: f"{n.kind}({show(n.source)}, {show(n.by)})",
    s.Negative: lambda n: f"-{_at(n.operand, NEGATIVE)}",
    s.Binary: _binary,
    s.Compare: lambda n: f"{_at(n.left, COMPARISON)} {n.op} {_at(n.right, SUM)}",
    s.Between: lambda n: f"{_at(n.value, COMPARISON)} between {_at(n.low, SUM)} and {_at(n.high, SUM)}",
    s.In: _in,
    s.Unary: lambda n: f"({_test(n)})",
    s.And: lambda n: _chain(n.items, "and", AND),
    s.Or: lambda n: _chain(n.items, "or", OR),
    s.Not: lambda n: f"not({', '.join(map(_test, n.operands))})",
    s.If: lambda n: f"if {show(n.condition)} then {show(n.then)} else {show(n.otherwise)}",
    s.Quantified: lambda n: f"{n.kind} {_bindings(n.bindings)} satisfies {show(n.condition)}",
    s.For: lambda n: f"for {_bindings(n.bindings)} return {show(n.body)}",
    s.ListOf: lambda n: f"[{', '.join(map(show, n.items))}]",
    s.RangeOf: _range,
    s.Tests: _tests,
    s.Anything: lambda n: "-",
}
