"""Arithmetic that changes nothing, and expressions of constants: `x + 0` is `x`, `2 * 3` is 6, `date(2025, 1, 1)` is that day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.scopes import CLOCK

KindOf = Callable[[s.Node], str]  # the type of an expression; '' where it is not known
_CLOCKED = (v.WorkingDays, v.WorkingHours, datetime, time)  # values whose arithmetic asks the run's clock, calendar or zone
_SPANS = ("days and time duration", "years and months duration")
_NEUTRAL = {  # operator -> (the value that changes nothing on the right, whether on the left too)
    "+": (0, True),
    "-": (0, False),
    "*": (1, True),
    "/": (1, False),
    "**": (1, False),
}


def simplified(node: s.Node, kind_of: KindOf) -> s.Node:
    """The expression, whose parts are simple already, without what changes nothing; a constant where it is one.

    It has the same value for every record, null included.
    """
    if isinstance(node, s.Not) and len(node.operands) == 1:
        inner = node.operands[0]
        twice = isinstance(inner, s.Not) and len(inner.operands) == 1
        return inner.operands[0] if twice and kind_of(inner.operands[0]) == "boolean" else node  # type: ignore[union-attr]
    if isinstance(node, s.If) and isinstance(node.condition, s.Literal):
        return node.then if node.condition.value is True else node.otherwise
    if isinstance(node, s.Negative) and isinstance(node.operand, s.Negative):
        return node.operand.operand if kind_of(node.operand.operand) in ("number", *_SPANS) else node
    return folded(_without_neutral(node, kind_of) if isinstance(node, s.Binary) else node)


def _without_neutral(node: s.Binary, kind_of: KindOf) -> s.Node:
    neutral, either = _NEUTRAL[node.op]
    for part, other in ((node.left, node.right), (node.right, node.left)):
        if part is node.right and not either:
            break
        if not isinstance(other, s.Literal):
            continue
        kind = kind_of(part)
        if kind == "number" and v.is_number(other.value) and other.value == neutral:
            return part
        if node.op == "+" and kind == "string" and other.value == "":
            return part
        if node.op in "+-" and kind in ("date", "days and time duration") and other.value == timedelta():
            return part
    return _one_span(node, kind_of)


def _one_span(node: s.Binary, kind_of: KindOf) -> s.Node:
    """`day + 10 days + 20 days` as `day + 30 days`. Both go one way: else a day before the year 1 might come back from there."""
    inner = node.left
    if not isinstance(inner, s.Binary) or inner.op != node.op or node.op not in "+-" or kind_of(inner.left) != "date":
        return node
    spans = [x.value for x in (inner.right, node.right) if isinstance(x, s.Literal) and isinstance(x.value, timedelta)]
    if len(spans) < 2 or any(x % timedelta(days=1) for x in spans) or (spans[0] < timedelta()) != (spans[1] < timedelta()):
        return node
    return s.Binary(node.op, inner.left, s.Literal(spans[0] + spans[1], ""), node.at)


def folded(node: s.Node) -> s.Node:
    """An expression of constants as the constant that it is. What asks the run's clock stays as it is."""
    if isinstance(node, s.Call):
        known = BY_NAME.get(node.function)
        if known is None or known.clock:
            return node
    elif not isinstance(node, (s.Binary, s.Negative)):
        return node
    parts = list(s.children(node))
    if not parts or not all(isinstance(x, s.Literal) for x in parts):
        return node
    values: list[object] = [x.value for x in parts if isinstance(x, s.Literal)]
    if not isinstance(node, s.Call) and any(isinstance(x, _CLOCKED) for x in values):
        return node
    value = compile_expression(node)({CLOCK: Clock.at("1970-01-01")})
    asks_zone = isinstance(value, _CLOCKED) and not isinstance(node, s.Call)
    return node if value is None or asks_zone or isinstance(value, (list, v.Range)) else s.Literal(value, "", node.at)


def kinds(of_path: KindOf) -> KindOf:
    """The type of expressions, where the type of the paths in them is known."""

    def kind_of(node: s.Node) -> str:
        if isinstance(node, s.Literal):
            return v.kind(node.value)
        if isinstance(node, s.Name) and node.id in ("today", "now"):
            return "date" if node.id == "today" else "date and time"
        if isinstance(node, (s.Path, s.Name)):
            return of_path(node)
        if isinstance(node, s.Call):
            return BY_NAME[node.function].result if node.function in BY_NAME else ""
        if isinstance(node, (s.Compare, s.In, s.Between, s.And, s.Or, s.Not, s.Quantified)):
            return "boolean"
        if isinstance(node, s.Negative):
            return kind_of(node.operand)
        if isinstance(node, s.Binary):
            return "number" if kind_of(node.left) == kind_of(node.right) == "number" else ""
        return ""

    return kind_of
