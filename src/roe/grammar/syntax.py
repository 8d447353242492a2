"""The syntax tree of an expression: frozen nodes, each with the offsets of its text.

Location is not identity: two nodes are equal when they mean the same text, wherever it stands. Groups `(x)` leave no
node; the printer puts back the parentheses that are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field as slot
from dataclasses import replace

from roe.dynamic import Value
from roe.node import names_of, node

Place = tuple[int, int]
NOWHERE: Place = (0, 0)


@node
class Literal:
    """A constant: null, boolean, number, string, or a temporal value; `text` is how it was written."""

    value: Value
    text: str = slot(compare=False)
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Name:
    id: str
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Path:
    base: Node
    field: str
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Filter:
    base: Node
    condition: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Call:
    """A function call; `names` holds each argument's parameter name, or '' for a positional one."""

    function: str
    args: tuple[Node, ...]
    names: tuple[str, ...]
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Negative:
    operand: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Binary:
    op: str  # + - * / **
    left: Node
    right: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Compare:
    op: str  # = != < <= > >=
    left: Node
    right: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Between:
    value: Node
    low: Node
    high: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class In:
    """`value in tests`: true if any test holds; `negated` for `not in`."""

    value: Node
    tests: tuple[Node, ...]
    negated: bool = False
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Unary:
    """A unary test `>= 500`, which stands in cells and after `in`."""

    op: str
    operand: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class And:
    items: tuple[Node, ...]  # two or more, none of them itself an And
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Or:
    items: tuple[Node, ...]  # two or more, none of them itself an Or
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Not:
    """`not(x)`; at the top of a cell its operands are tests, and there may be several."""

    operands: tuple[Node, ...]
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class If:
    condition: Node
    then: Node
    otherwise: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Pick:
    """`latest(source, by)`, `earliest(source, by)`: the item of a list whose `by` is the greatest or the least.

    Bare names in `by` mean the item's fields, as in a filter. Items without a value do not count; of equals the first is taken.
    """

    kind: str  # latest, earliest
    source: Node
    by: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Binding:
    """`name in source`, or `name in source..until`."""

    name: str
    source: Node
    until: Node | None = None
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Quantified:
    kind: str  # some, every
    bindings: tuple[Binding, ...]
    condition: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class For:
    bindings: tuple[Binding, ...]
    body: Node
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class ListOf:
    items: tuple[Node, ...]
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class RangeOf:
    """`[low..high)`; a `None` end is open to infinity, as in `(> 5)`."""

    low: Node | None
    high: Node | None
    low_closed: bool
    high_closed: bool
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Tests:
    """The content of a table cell: true if any test holds for the cell's input."""

    tests: tuple[Node, ...]
    negated: bool = False
    at: Place = slot(default=NOWHERE, compare=False, repr=False)


@node
class Anything:
    """The cell `-`, which every value passes, null too."""

    at: Place = slot(default=NOWHERE, compare=False, repr=False)


Node = (
    Literal | Name | Path | Filter | Call | Negative | Binary | Compare | Between | In | Unary | And | Or | Not | If
    | Pick | Binding | Quantified | For | ListOf | RangeOf | Tests | Anything
)  # fmt: skip

NODES: dict[str, type] = {
    c.__name__: c
    for c in (Literal, Name, Path, Filter, Call, Negative, Binary, Compare, Between, In, Unary, And, Or, Not, If,
              Pick, Binding, Quantified, For, ListOf, RangeOf, Tests, Anything)
}  # fmt: skip
FIELDS: dict[type, tuple[str, ...]] = {c: names_of(c) for c in NODES.values()}

NULL, TRUE, FALSE = Literal(None, "null"), Literal(True, "true"), Literal(False, "false")  # constants that nobody has written
BINDERS = (Filter, Pick, Quantified, For)  # inside of which a bare name may be a field of an item


def children(node: Node) -> Iterator[Node]:
    """The direct parts of a node, in the order of the text."""
    for name in FIELDS[type(node)]:
        child = getattr(node, name)
        if type(child) in FIELDS:
            yield child
        elif type(child) is tuple:
            yield from (p for p in child if type(p) in FIELDS)


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with its direct parts changed; the node itself where none is."""
    changed: dict[str, Value] = {}
    for name in FIELDS[type(node)]:
        child = getattr(node, name)
        if type(child) in FIELDS:
            made = change(child)
            if made is not child:
                changed[name] = made
        elif type(child) is tuple and any(type(p) in FIELDS for p in child):
            parts = tuple(change(p) if type(p) in FIELDS else p for p in child)
            if any(a is not b for a, b in zip(parts, child, strict=True)):
                changed[name] = parts
    return replace(node, **changed) if changed else node


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, outside first."""
    todo = [node]
    while todo:
        at = todo.pop()
        yield at
        todo.extend(reversed(list(children(at))))


def names(node: Node) -> set[str]:
    """Every name in an expression, but not the fields behind a dot."""
    return {n.id for n in walk(node) if isinstance(n, Name)}


def names_and_fields(node: Node) -> set[str]:
    """Every name in an expression, and every field behind a dot."""
    return names(node) | {n.field for n in walk(node) if isinstance(n, Path)}


def bound_names(node: Node) -> set[str]:
    """The names that loops in an expression give to their items."""
    return {b.name for n in walk(node) if isinstance(n, (For, Quantified)) for b in n.bindings}


def conjuncts(node: Node) -> tuple[Node, ...]:
    """The conditions that must all hold: the operands of `and`, or the node alone."""
    return node.items if isinstance(node, And) else (node,)


def is_missing(node: Node) -> Compare:
    """The condition that an expression has no value."""
    return Compare("=", node, NULL)
