"""Conditions observed while they are evaluated: the result, and the value of every part that it rests on.

The evaluation is the ordinary one, with a watch on it (see `expressions`). Nothing here knows what an operator means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import Code, Scope
from roe.node import node
from roe.plan.operators import Expr
from roe.source import Added, Span, Text


@node
class LeafValue:
    """A part of a condition, as text, and what it was."""

    text: str
    value: Value
    node: s.Node


@node
class Observed:
    """A condition, its result (None is unknown), its parts, and its place.

    `asked` is the same condition as it was worked out, with its parts, where people read it in other words.
    """

    text: str
    result: bool | None
    parts: tuple[LeafValue, ...]
    place: Span
    tree: s.Node
    asked: tuple[str, tuple[LeafValue, ...]] | None = None

    def recorded(self) -> tuple[str, tuple[LeafValue, ...]]:
        """The expression and its parts, of which the result can be worked out again."""
        return self.asked or (self.text, self.parts)

    @property
    def missing(self) -> list[str]:
        return [p.text for p in self.parts if p.value is None]


SEEN = "$seen"  # in a scope: what the watched parts of an expression were, by their number


@node(frozen=False)
class WatchedExpression:
    """An expression with a watch on its leaves, compiled once for all records."""

    tree: s.Node
    code: Code
    text: str
    parts: tuple[tuple[str, s.Node], ...]
    places: dict[int, tuple[Text, Span]] = field(
        default_factory=dict
    )  # texts by their identity: a tree is that of every text that reads the same


Kept = dict[int, WatchedExpression]


def watched(tree: s.Node, lists: Mapping[str, Value], cache: Kept) -> WatchedExpression:
    known = cache.get(id(tree))
    if known is None:
        numbers: dict[int, int] = {}
        parts: list[tuple[str, s.Node]] = []
        for node in leaves(tree, frozenset(lists)):
            if id(node) not in numbers:
                numbers[id(node)] = len(parts)
                parts.append((show(node), node))

        def wrap(node: s.Node, code: Code) -> Code:
            number = numbers.get(id(node))
            if number is None:
                return code

            def note(scope: Scope) -> Value:
                value = scope[SEEN][number] = code(scope)
                return value

            return note

        known = cache[id(tree)] = WatchedExpression(tree, compile_expression(tree, wrap), show(tree), tuple(parts))
    return known


def observe(expr: Expr, scope: Scope, lists: Mapping[str, object], cache: Kept | None = None) -> list[Observed]:
    """Every conjunct of a condition, all of them evaluated, even those after a false one.

    `kept` holds what is compiled for watching, by the trees' identity, for as long as the caller keeps the trees.
    """
    return [_one(tree, expr.text, scope, lists, {} if cache is None else cache) for tree in s.conjuncts(expr.tree)]


def _one(tree: s.Node, text: Text, scope: Scope, lists: Mapping[str, object], cache: Kept) -> Observed:
    value, parts = watch(tree, scope, lists, cache)
    own = cache[id(tree)]
    if id(text) not in own.places:
        own.places[id(text)] = (text, text.span() if tree.at == s.NOWHERE else text.span(*tree.at))
    origin, place = getattr(text, "origin", None), own.places[id(text)][1]
    result = value if isinstance(value, bool) else None
    if isinstance(origin, Added):
        said = f"the time of this rule ({origin.text}) is not over"
        return Observed(said, result, _end(tree, scope), place, tree, (own.text, parts))
    return Observed(own.text, result, parts, place, tree)


def _end(tree: s.Node, scope: Scope) -> tuple[LeafValue, ...]:
    """Now, and when the time of a rule ends, of the condition that a stage adds to it: `end = null or today < end`."""
    compared = [n for n in s.children(tree) if isinstance(n, s.Compare) and n.op == "<"]
    nodes = [("today" if n.left == s.Name("today") else "now", n.left) for n in compared] + [("its end", n.right) for n in compared]
    values = [LeafValue(name, compile_expression(node)(scope), node) for name, node in nodes]
    return tuple(x for x in values if x.value is not None)


def watch(tree: s.Node, scope: Scope, lists: Mapping[str, object], cache: Kept | None = None) -> tuple[Value, tuple[LeafValue, ...]]:
    """The value of an expression, and the values of its leaves as they were met."""
    known = watched(tree, lists, {} if cache is None else cache)
    seen: dict[int, object] = {}
    value = known.code({**scope, SEEN: seen})
    unique = {text: LeafValue(text, seen[i], node) for i, (text, node) in enumerate(known.parts) if i in seen}
    return value, tuple(unique.values())


def leaves(tree: s.Node, bound: frozenset[str] = frozenset()) -> Iterator[s.Node]:
    """The parts of an expression that are values of the record: paths, names, calls and filters free of bound names."""
    if isinstance(tree, s.Name):
        if tree.id not in bound and tree.id != "?":
            yield tree
        return
    if isinstance(tree, (s.Path, s.Filter, s.Pick, s.Call, s.For)):
        free = s.names(tree).isdisjoint(bound)
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
