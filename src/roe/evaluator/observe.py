"""Conditions observed while they are evaluated: the result, and the value of every part that it rests on.

The evaluation is the ordinary one, with a watch on it (see `expressions`). Nothing here knows what an operator means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from roe.evaluator.expressions import Code, Scope, compile_expression
from roe.grammar import syntax as s
from roe.grammar.printer import show
from roe.plan.operators import Expr
from roe.source import Span, Text


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a condition, as text, and what it was."""

    text: str
    value: Any
    node: s.Node


@dataclass(frozen=True, slots=True)
class Observed:
    """A condition, its result (None is unknown), its parts, and its place."""

    text: str
    result: bool | None
    parts: tuple[Part, ...]
    place: Span
    tree: s.Node

    @property
    def missing(self) -> list[str]:
        return [p.text for p in self.parts if p.value is None]


def observe(expr: Expr, scope: Scope, lists: Mapping[str, Any]) -> list[Observed]:
    """Every conjunct of a condition, all of them evaluated, even those after a false one."""
    return [_one(tree, expr.text, scope, lists) for tree in s.conjuncts(expr.tree)]


def _one(tree: s.Node, text: Text, scope: Scope, lists: Mapping[str, Any]) -> Observed:
    value, parts = watch(tree, scope, lists)
    place = text.span() if tree.at == s.NOWHERE else text.span(*tree.at)
    return Observed(show(tree), value if isinstance(value, bool) else None, parts, place, tree)


def watch(tree: s.Node, scope: Scope, lists: Mapping[str, Any]) -> tuple[Any, tuple[Part, ...]]:
    """The value of an expression, and the values of its leaves as they were met."""
    wanted = {id(node): node for node in leaves(tree, frozenset(lists))}
    seen: dict[int, Part] = {}

    def wrap(node: s.Node, code: Code) -> Code:
        if id(node) not in wanted:
            return code

        def watched(inner: Scope) -> Any:
            value = code(inner)
            seen[id(node)] = Part(show(node), value, node)
            return value

        return watched

    value = compile_expression(tree, wrap)(scope)
    unique = {part.text: part for key in wanted if (part := seen.get(key)) is not None}
    return value, tuple(unique.values())


def leaves(tree: s.Node, bound: frozenset[str] = frozenset()) -> Iterator[s.Node]:
    """The parts of an expression that are values of the record: paths, names, calls and filters free of bound names."""
    if isinstance(tree, s.Name):
        if tree.id not in bound and tree.id != "?":
            yield tree
        return
    if isinstance(tree, (s.Path, s.Filter, s.Call, s.For)):
        free = not any(isinstance(n, s.Name) and n.id in bound for n in s.walk(tree))
        if free:
            yield tree
        if isinstance(tree, s.Call) or (isinstance(tree, s.Path) and not free):
            for child in s.children(tree):
                yield from leaves(child, bound)
        return
    if isinstance(tree, s.Quantified):
        for b in tree.bindings:
            yield from leaves(b.source, bound)
            if b.until is not None:
                yield from leaves(b.until, bound)
            bound |= {b.name}
        yield from leaves(tree.condition, bound)
        return
    for child in s.children(tree):
        yield from leaves(child, bound)
