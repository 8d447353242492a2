"""Conditions spelt one way: operands in one order, `not` pushed inwards, equalities of one subject as one `in`."""

from __future__ import annotations

from dataclasses import replace

from roe.grammar import syntax as s
from roe.grammar.printer import show

OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "=": "!=", "!=": "="}
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}
BOOLEAN = (s.Compare, s.And, s.Or, s.Not, s.In, s.Between, s.Quantified)


def plainly(node: s.Node) -> s.Node:
    """Operands whose order changes nothing, in one order; a constant stands on the right."""
    if isinstance(node, s.Compare):
        left, right = isinstance(node.left, s.Literal), isinstance(node.right, s.Literal)
        swapped = (left and not right) or (left == right and node.op in ("=", "!=") and show(node.right) < show(node.left))
        if swapped or (left == right and node.op in (">", ">=")):
            return s.Compare(MIRRORED[node.op], node.right, node.left)
    if isinstance(node, s.Binary) and node.op == "*":
        first, second = sorted((node.left, node.right), key=show)
        return s.Binary("*", first, second)
    return node


def spelt(node: s.Node, truth: bool) -> s.Node:
    """A condition spelt one way; with `truth`, where unknown and false are one."""
    if isinstance(node, s.Not) and len(node.operands) == 1:
        return _negated(spelt(node.operands[0], False))
    if isinstance(node, (s.And, s.Or)):
        return _of_parts(node, truth)
    if isinstance(node, s.Between) and isinstance(node.low, s.Literal) and isinstance(node.high, s.Literal):
        return s.And((s.Compare("<=", node.value, node.high), s.Compare(">=", node.value, node.low)))
    if isinstance(node, s.In):
        return _among(node, truth)
    if truth:
        return existence(plainly(node))
    return plainly(node)


def _of_parts(node: s.And | s.Or, truth: bool) -> s.Node:
    """`and` or `or` of parts in one order, each of them once, without those that change nothing."""
    kind = type(node)
    parts = [spelt(x, truth) for x in node.items]
    items = [y for x in parts for y in (x.items if isinstance(x, kind) else (x,))]
    if any(_is(x, kind is s.Or) for x in items):
        return s.TRUE if kind is s.Or else s.FALSE
    items = [x for x in items if not _is(x, kind is s.And)] or [s.TRUE if kind is s.And else s.FALSE]
    if isinstance(node, s.Or):
        items = _joined(items)
    unique = sorted({show(x): x for x in items}.items())
    return kind(tuple(x for _, x in unique)) if len(unique) > 1 else unique[0][1]


def _is(node: s.Node, truth: bool) -> bool:
    return isinstance(node, s.Literal) and node.value is truth


def _negated(node: s.Node) -> s.Node:
    """The opposite, null where the condition is null."""
    if isinstance(node, s.Not) and len(node.operands) == 1 and isinstance(node.operands[0], BOOLEAN):
        return node.operands[0]
    if isinstance(node, s.Compare):
        return plainly(replace(node, op=OPPOSITE[node.op]))
    if isinstance(node, (s.And, s.Or)) and all(isinstance(x, BOOLEAN) for x in node.items):
        return spelt((s.Or if isinstance(node, s.And) else s.And)(tuple(map(_negated, node.items))), False)
    return s.Not((node,))


def _among(node: s.In, truth: bool) -> s.Node:
    plain = not node.negated and all(isinstance(x, s.Literal) and x.value is not None for x in node.tests)
    if plain:
        tests = tuple(x for _, x in sorted({show(x): x for x in node.tests}.items()))
        return s.Compare("=", node.value, tests[0]) if len(tests) == 1 else replace(node, tests=tests)
    only = node.tests[0] if len(node.tests) == 1 and not node.negated else None
    if isinstance(only, s.Unary):
        return plainly(s.Compare(only.op, node.value, only.operand))
    # a range that ends before it begins is unknown, two comparisons are not
    if truth and isinstance(only, s.RangeOf) and isinstance(only.low, s.Literal) and isinstance(only.high, s.Literal):
        low = s.Compare(">=" if only.low_closed else ">", node.value, only.low)
        return s.And((s.Compare("<=" if only.high_closed else "<", node.value, only.high), low))
    return node


def _joined(items: list[s.Node]) -> list[s.Node]:
    """Equalities of one subject with constants as one `in`."""
    groups: dict[str, tuple[s.Node, list[s.Node]]] = {}
    rest: list[s.Node] = []
    for x in items:
        if isinstance(x, s.Compare) and x.op == "=" and isinstance(x.right, s.Literal) and x.right.value is not None:
            groups.setdefault(show(x.left), (x.left, []))[1].append(x.right)
        elif isinstance(x, s.In) and not x.negated and all(isinstance(y, s.Literal) and y.value is not None for y in x.tests):
            groups.setdefault(show(x.value), (x.value, []))[1].extend(x.tests)
        else:
            rest.append(x)
    return [*rest, *(_among(s.In(subject, tuple(values)), False) for subject, values in groups.values())]


def existence(node: s.Node) -> s.Node:
    """`some x in xs satisfies …` where only its truth matters: that a filter keeps more than none."""
    if isinstance(node, s.Quantified) and node.kind == "some" and len(node.bindings) == 1 and node.bindings[0].name == "item":
        count = s.Call("count", (s.Filter(node.bindings[0].source, node.condition),), ("",))
        return s.Compare(">", count, s.Literal(0, "0"))
    if (
        isinstance(node, s.Compare)
        and isinstance(node.left, s.Call)
        and node.left.function == "count"
        and isinstance(node.right, s.Literal)
    ):
        if (node.op, node.right.value) in ((">=", 1), ("!=", 0)) and isinstance(node.left.args[0], s.Filter):
            return s.Compare(">", node.left, s.Literal(0, "0"))
    return node
