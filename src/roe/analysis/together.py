"""Subjects that cannot have any two values beside each other, put together into one axis.

The cells of `some a in account.activities satisfies a.date > today - 30 days` know nothing of those of the same with 90 days, although
whoever meets the first meets the second. Here such subjects become one axis, whose cells are the combinations that can occur:

- *Items of one list.* What `some`, `every` and `count` say is how many items meet a condition: at least so many, or at most. Where
  every item that meets one condition meets another, which the cells of the items themselves tell, there are no more of the first.
- *One value and what is computed of it alone.* Where a record's `account.domain` is "mit.edu", `ends_with(account.domain, ".edu")` is true.

Only combinations that never occur are left out, so that what holds in all cells is proven as before.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time

from roe.analysis.axis import Axis
from roe.analysis.constants import kinds
from roe.analysis.joined import JoinedAxis
from roe.analysis.subject_fields import type_of
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK
from roe.node import node
from roe.plan.bitsets import bits
from roe.plan.subjects import key_of
from roe.policy.model import Policy

MOST_CELLS = 2_000  # of an axis that is put together
MOST_RELATED = 16  # subjects of one list, or of one value, that are looked at
IN_TEXT = {"contains": str.__contains__, "starts_with": str.startswith, "ends_with": str.endswith}
Clash = Callable[[int, int], bool]  # whether a cell of one axis and one of another never occur together
Implies = Callable[[str, tuple[s.Node, ...], tuple[s.Node, ...]], bool]  # of an entity's records: whoever meets the first meets the second


class Together:
    """Puts the axes of conditions about one entity's records together where they belong together."""

    def __init__(self, policy: Policy, entity: str, implies: Implies) -> None:
        self.policy, self.entity, self.implies = policy, entity, implies

    def __call__(self, axes: Sequence[Axis], possible: Callable[[Axis], int]) -> list[Axis]:
        """The axes of a space; `possible` says which cells of one can occur at all."""
        clashes, never = self._clashes(axes)
        joined: list[Axis] = []
        done: set[int] = set()
        for first in range(len(axes)):
            if first in done:
                continue
            group, made = _connected(first, clashes), None
            if len(group) > 1 or never[first]:
                own = [[c for c in bits(possible(axes[i])) if c not in never[i]] for i in group]
                made = _joined([axes[i] for i in group], own, [[clashes.get((i, j)) for j in group] for i in group])
            joined += [made] if made is not None else [axes[i] for i in group]
            done |= {*group}
        return joined

    def _clashes(self, axes: Sequence[Axis]) -> tuple[dict[tuple[int, int], Clash], list[set[int]]]:
        """By the places of two axes, the earlier first, which of their cells never occur together; and of each axis, which never occur."""
        clashes: dict[tuple[int, int], Clash] = {}
        never: list[set[int]] = [set() for _ in axes]
        by_list: dict[str, list[tuple[int, Counting]]] = {}
        for i, axis in enumerate(axes):
            counting = counting_of(self.policy, self.entity, axis.node)
            if counting is not None:
                by_list.setdefault(show(counting.source), []).append((i, counting))
                never[i] = self._impossible(axis, counting)
        for counted in by_list.values():
            if len(counted) > MOST_RELATED:
                continue
            for (i, a), (j, b) in itertools.combinations(counted, 2):
                clash = self._items(axes[i], a, axes[j], b)
                if clash is not None:
                    clashes[i, j] = clash
        for i, j in itertools.combinations(range(len(axes)), 2):
            if _is_text_test(axes[i].node) and _is_text_test(axes[j].node) and axes[i].node.args[0] == axes[j].node.args[0]:  # type: ignore[union-attr]
                clashes[i, j] = _of_texts(axes[i], axes[j])
        for i, j in _computed(axes):
            clashes[min(i, j), max(i, j)] = _of_value(axes[i], axes[j], i > j)
        return clashes, never

    def _impossible(self, axis: Axis, counting: Counting) -> set[int]:
        """Cells in which items meet a condition that nothing can meet."""
        amounts = [counting.amounts(axis, c) for c in range(len(axis.values))]
        asked = {x.conditions for own in amounts for x in own if x.least > 0 and x.conditions}
        none = {conditions for conditions in asked if self.implies(counting.entity, conditions, (s.FALSE,))}
        return {c for c, own in enumerate(amounts) if any(x.least > x.most or (x.least > 0 and x.conditions in none) for x in own)}

    def _items(self, one: Axis, a: Counting, other: Axis, b: Counting) -> Clash | None:
        """Cells that would have more items meet a condition than meet one that follows from it."""
        known: dict[tuple[tuple[s.Node, ...], tuple[s.Node, ...]], bool] = {}

        def follows(p: Amount, q: Amount) -> bool:
            key = (p.conditions, q.conditions)
            if key not in known:
                known[key] = not q.conditions or p.conditions == q.conditions or self.implies(a.entity, *key)
            return known[key]

        firsts, seconds = ([x.amounts(axis, c) for c in range(len(axis.values))] for axis, x in ((one, a), (other, b)))
        pairs = {
            (c, d)
            for c, own in enumerate(firsts)
            for d, others in enumerate(seconds)
            if any((p.least > q.most and follows(p, q)) or (q.least > p.most and follows(q, p)) for p in own for q in others)
        }
        return (lambda c, d: (c, d) in pairs) if pairs else None


@node
class Amount:
    """At least and at most so many items of a list meet all of these conditions."""

    conditions: tuple[s.Node, ...]
    least: float
    most: float


@node
class Counting:
    """A subject that says how many items of a list meet a condition: `kind` is some, every or count.

    `within` are the conditions of filters, which are true or not; `condition` is that of `some` and `every`. All are about a record of
    `entity`, called by its name.
    """

    kind: str
    source: s.Node
    entity: str
    within: tuple[s.Node, ...]
    condition: s.Node
    may_be_missing: bool

    def amounts(self, axis: Axis, cell: int) -> list[Amount]:
        """What a cell of the subject says about the items; nothing if it is null."""
        value = axis.values[cell]
        if self.kind == "count" and value is None:  # a filter of a missing list is empty
            return [Amount((), 0, 0)] if self.may_be_missing and not self.within else [Amount((), 1, 0)]
        if self.kind == "count":
            return [Amount(self.within, *_numbers(axis, cell))]
        asked = self.condition if self.kind == "some" else s.Not((self.condition,))
        some, perhaps = (*self.within, asked), (*self.within, s.Not((s.Compare("=", s.Not((asked,)), s.TRUE),)))
        if value is None:  # of some items it is unknown, and it is true of none; of a missing list too
            return [Amount(some, 0, 0), *([] if self.may_be_missing else [Amount(perhaps, 1, math.inf)])]
        if not isinstance(value, bool):
            return []
        return [Amount(some, 1, math.inf) if value is (self.kind == "some") else Amount(perhaps, 0, 0)]


def _numbers(axis: Axis, cell: int) -> tuple[float, float]:
    """The least and the greatest count that lies in a cell."""
    value = axis.values[cell]
    if not axis.ordered():
        others = next(n for n in itertools.count() if n not in axis.points)  # counts that no rule names
        return (value, value) if v.is_number(value) and key_of(value) in axis.points else (others, math.inf)
    if key_of(value) in axis.points:
        return value, value
    below, above = axis.values[cell - 1], axis.values[cell + 1] if cell + 1 < len(axis.values) else None
    least = math.floor(below) + 1 if v.is_number(below) else 0
    return max(0, least), math.ceil(above) - 1 if v.is_number(above) else math.inf


def counting_of(policy: Policy, entity: str, node: s.Node) -> Counting | None:
    """The subject as a count of items of a list of records; None for any other."""
    condition: s.Node = s.TRUE
    if isinstance(node, s.Quantified) and len(node.bindings) == 1 and node.bindings[0].until is None:
        how, source, bound, condition = node.kind, node.bindings[0].source, node.bindings[0].name, node.condition
    elif isinstance(node, s.Call) and node.function == "count" and len(node.args) == 1:
        how, source, bound = "count", node.args[0], ""
    else:
        return None
    within: list[s.Node] = []
    while isinstance(source, s.Filter):
        within.insert(0, source.condition)
        source = source.base
    of = _entity_in(policy, entity, source)
    if not of:
        return None
    inside = [_of_item(policy, of, x, "") for x in within]
    own = _of_item(policy, of, condition, bound)
    conditions = [x for x in inside if x is not None]
    kind_of = kinds(lambda x: kind.name if (kind := type_of(policy, of, x)) is not None else "")
    if own is None or len(conditions) < len(inside) or any(kind_of(x) != "boolean" for x in conditions):  # a number is a place in the list
        return None
    related = isinstance(source, s.Path) and source.base == s.Name(entity) and (entity, source.field) not in policy.plan.steps
    return Counting(how, source, of, tuple(conditions), own, not related)


def _entity_in(policy: Policy, entity: str, source: s.Node) -> str:
    """The entity of the records in a list; '' for anything else."""
    known = type_of(policy, entity, source)
    return known.item.entity if known is not None and known.name == "list" and known.item is not None else ""


def _of_item(policy: Policy, entity: str, node: s.Node, bound: str) -> s.Node | None:
    """A condition about an item, which is called `bound`, or in a filter `item` or nothing, with the item called by its entity's name.

    Names of the record around it that could be taken for the item's are marked. None where loops inside could take a name for another.
    """
    if any(isinstance(n, s.BINDERS) for n in s.walk(node)):
        return None
    lists = {*policy.plan.lists, *policy.plan.dated_lists}
    own = {*policy.model.entities.get(entity, ()), *(name for of, name in policy.plan.steps if of == entity)}

    def named(part: s.Node) -> s.Node:
        if isinstance(part, s.Name):
            if part.id == (bound or "item"):
                return s.Name(entity)
            if part.id in ("today", "now", "?") or (part.id in lists and (bound or part.id not in own)):
                return part
            if not bound and part.id in own:
                return s.Path(s.Name(entity), part.id)
            return s.Name(f"${part.id}")
        return s.mapped(part, named)

    return named(node)


def _is_text_test(node: s.Node) -> bool:
    """Whether a subject says that a text contains a constant, begins with it or ends with it."""
    if not isinstance(node, s.Call) or node.function not in IN_TEXT or len(node.args) != 2 or any(node.names):
        return False
    return isinstance(node.args[1], s.Literal) and isinstance(node.args[1].value, str)


def _of_texts(one: Axis, other: Axis) -> Clash:
    """Cells of two tests of one text of which the first says that it holds, and the second that what follows from it does not."""

    def follows(a: s.Node, b: s.Node) -> bool:
        (has, wanted), (asks, text) = ((n.function, str(n.args[1].value)) for n in (a, b))  # type: ignore[union-attr]
        return text in wanted if asks == "contains" else has == asks and bool(IN_TEXT[asks](wanted, text))

    forward, backward = follows(one.node, other.node), follows(other.node, one.node)

    def clash(c: int, d: int) -> bool:
        first, second = one.values[c], other.values[d]
        return (forward and first is True and second is not True) or (backward and second is True and first is not True)

    return clash


def _computed(axes: Sequence[Axis]) -> Iterator[tuple[int, int]]:
    """(an axis that is a value, another whose value is computed of it alone)."""
    values = {show(axis.node): i for i, axis in enumerate(axes) if isinstance(axis.node, s.Path) and type(axis) is Axis}
    for j, axis in enumerate(axes):
        if type(axis) is not Axis or (isinstance(axis.node, s.Path) and _is_record_path(axis.node)):
            continue
        rests_on = _rests_on(axis.node)
        i = values.get(rests_on) if rests_on is not None else None
        if i is not None and i != j and len(axes[i].values) <= MOST_CELLS:
            yield i, j


def _is_record_path(node: s.Node) -> bool:
    """Whether a path only leads from record to record; a part of a value, such as a date's year, is computed."""
    while isinstance(node, s.Path):
        if node.field in ("year", "month", "day", "weekday"):
            return False
        node = node.base
    return True


def _rests_on(node: s.Node) -> str | None:
    """The one path that an expression is computed of, with constants, without the clock; None for any other."""
    paths: set[str] = set()
    todo = [node]
    while todo:
        n = todo.pop()
        if isinstance(n, (*s.BINDERS, s.Name)) or (isinstance(n, s.Call) and (n.function not in BY_NAME or BY_NAME[n.function].clock)):
            return None
        if isinstance(n, s.Path) and _is_record_path(n):
            paths.add(show(n))
        else:
            todo += s.children(n)
    return paths.pop() if len(paths) == 1 else None


def _of_value(value: Axis, computed: Axis, turned: bool) -> Clash:
    """Cells of a value beside which a computed one has another value than that."""
    text = show(value.node)

    def replaced(node: s.Node) -> s.Node:
        return s.Name("?") if isinstance(node, s.Path) and show(node) == text else s.mapped(node, replaced)

    code, clock = compile_expression(replaced(computed.node)), Clock.at("1970-01-01")
    own = {  # moments are equal in other zones too, where their parts are other ones
        c: computed.cell_of(code({CLOCK: clock, "?": x}))
        for c, x in enumerate(value.values)
        if x is None or (key_of(x) in value.points and not isinstance(x, (datetime, time)))
    }

    def clash(a: int, b: int) -> bool:
        at, beside = (b, a) if turned else (a, b)
        return own.get(at, beside) not in (beside, None)

    return clash


def _joined(axes: list[Axis], possible: list[list[int]], clashes: list[list[Clash | None]]) -> Axis | None:
    """The axes as one, of their possible cells; None where it would have too many, or none."""
    cells: list[tuple[int, ...]] = [()]
    for i, own in enumerate(possible):
        beside = [row[i] for row in clashes[:i]]
        cells = [
            (*before, c)
            for before in cells
            for c in own
            if not any(clash is not None and clash(at, c) for at, clash in zip(before, beside, strict=True))
        ]
        if not 0 < len(cells) <= MOST_CELLS:
            return None
    return JoinedAxis(axes, cells)


def _connected(first: int, clashes: dict[tuple[int, int], Clash]) -> list[int]:
    """The axes that belong together with one, directly or through others, in their order."""
    group, todo = {first}, [first]
    while todo:
        at = todo.pop()
        near = {b if a == at else a for a, b in clashes if at in (a, b)} - group
        group |= near
        todo += near
    return sorted(group)
