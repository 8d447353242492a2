"""`Choose` for one record: the index says which rules hold, the hit policy says what that means."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.files import uncollected
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.scopes import Code, Scope
from roe.node import node
from roe.plan.index import Hits, PartitionIndex
from roe.plan.operators import Choose
from roe.policy.worked_out import index_of

if TYPE_CHECKING:
    from roe.policy.model import Policy

FEW = 8  # decisions that are made without an index


@node
class Choice:
    """What a `Choose` gave: its value, the rules that decided, those that are unknown; `conflict` if too many held."""

    value: Value
    fired: tuple[int, ...]
    unknown: tuple[int, ...]
    conflict: bool = False


class Chooser:
    """A compiled `Choose`. Safe to share between threads: what is made late is made whole before it is seen.

    The partition index pays from the second handful of records on. The first few are asked rule by rule, which is what
    `roe explain` needs: it starts at once, however many rules there are.
    """

    __slots__ = ("_asked", "_codes", "_decide", "_index", "_lists", "_policy", "step")

    def __init__(self, step: Choose, lists: Mapping[str, list[Value]], policy: Policy | None = None) -> None:
        """`policy` is the one that has the step just as it is, if there is one: its index may be known."""
        self.step, self._policy = step, policy
        self._lists = lists
        self._index: PartitionIndex | None = None
        self._asked = 0
        self._codes: dict[int, list[Code]] = {}
        self._decide = HIT_POLICIES[step.hit]

    @property
    def index(self) -> PartitionIndex:
        if self._index is None:
            with uncollected():
                self._index = index_of(self._policy, self.step, self._lists)
        return self._index

    def first(self, scope: Scope) -> Hits:
        """The first rule that holds, and those before it that cannot be decided."""
        if self._few():
            return self._hits((i, self.truth(i, scope)) for i in range(len(self.step.rules)))
        return self.index.first(scope)

    def all(self, scope: Scope) -> Hits:
        """Every rule that holds, and every rule that cannot be decided."""
        if self._few():
            truths = [(i, self.truth(i, scope)) for i in range(len(self.step.rules))]
            return Hits(tuple(i for i, t in truths if t is True), tuple(i for i, t in truths if t is None))
        return self.index.all(scope)

    def _few(self) -> bool:
        if self._index is not None or self._asked >= FEW:
            return False
        self._asked += 1
        return True

    @staticmethod
    def _hits(truths: Iterable[tuple[int, bool | None]]) -> Hits:
        unknown: list[int] = []
        for i, truth in truths:
            if truth is True:
                return Hits((i,), tuple(unknown))
            if truth is None:
                unknown.append(i)
        return Hits((), tuple(unknown))

    def _conditions(self, rule: int) -> list[Code]:
        codes = self._codes.get(rule)
        if codes is None:
            conditions = self.step.rules[rule].conditions
            codes = self._codes[rule] = [compile_expression(tree) for c in conditions for tree in s.conjuncts(c.tree)]
        return codes

    def near(self, scope: Scope, last: int, most: int) -> list[int]:
        """The first rules, up to one, of which all conditions but one hold."""
        if self._index is None or not self._index.plain:
            near = (i for i in range(last + 1) if self.lacks_one(i, scope))
            return list(itertools.islice(near, most))
        index = self._index  # which knows it without asking every rule
        once = twice = 0
        for subject in index.subjects:
            lacking = index.everything & ~subject.masks(subject.code(scope))[0]
            twice |= once & lacking
            once |= lacking
        left = once & ~twice & ((1 << (last + 1)) - 1)
        nearest: list[int] = []
        while left and len(nearest) < most:
            low = left & -left
            nearest.append(low.bit_length() - 1)
            left ^= low
        return nearest

    def lacks_one(self, rule: int, scope: Scope) -> bool:
        """Whether all conditions of a rule hold but one."""
        lacking = 0
        for code in self._conditions(rule):
            lacking += code(scope) is not True
            if lacking > 1:
                return False
        return lacking == 1

    def truth(self, rule: int, scope: Scope) -> bool | None:
        """Whether one rule holds; None if that is unknown."""
        codes = self._conditions(rule)
        result: bool | None = True
        for code in codes:
            value = code(scope)
            if value is False:
                return False
            if value is not True:
                result = None
        return result

    def __call__(self, scope: Scope) -> Choice:
        return self._decide(self, scope)

    def value(self, rule: int) -> Value:
        return self.step.rules[rule].value

    def none(self, hits: Hits) -> Choice:
        return Choice(self.step.default, (), hits.unknown)


def _first(c: Chooser, scope: Scope) -> Choice:
    hits = c.first(scope)
    return Choice(c.value(hits.true[0]), hits.true, hits.unknown) if hits.true else c.none(hits)


def _unique(c: Chooser, scope: Scope) -> Choice:
    hits = c.all(scope)
    if len(hits.true) > 1:
        return Choice(None, hits.true, hits.unknown, conflict=True)
    return Choice(c.value(hits.true[0]), hits.true, hits.unknown) if hits.true else c.none(hits)


def _any(c: Chooser, scope: Scope) -> Choice:
    hits = c.all(scope)
    if not hits.true:
        return c.none(hits)
    value = c.value(hits.true[0])
    same = all(v.equal(value, c.value(r)) is True for r in hits.true[1:])
    return Choice(value if same else None, hits.true, hits.unknown, conflict=not same)


def _priority(c: Chooser, scope: Scope) -> Choice:
    """The rule whose outputs stand first in the declared order; of equals the first in the table."""
    hits = c.all(scope)
    if not hits.true:
        return c.none(hits)
    best = min(hits.true, key=lambda r: (rank(c.value(r), c.step.priority), r))
    return Choice(c.value(best), (best,), hits.unknown)


def rank(value: Value, orders: tuple[Value, ...]) -> tuple[int, ...]:
    values = list(value.values()) if isinstance(value, dict) else [value]
    return tuple(
        next((i for i, o in enumerate(order) if v.equal(o, x) is True), len(order)) for x, order in zip(values, orders, strict=False)
    )


def _collect(total: Callable[[list[Value]], Value]) -> Callable[[Chooser, Scope], Choice]:
    def decide(c: Chooser, scope: Scope) -> Choice:
        hits = c.all(scope)
        if not hits.true:
            return c.none(hits)
        return Choice(total([c.value(r) for r in hits.true]), hits.true, hits.unknown)

    return decide


HIT_POLICIES: dict[str, Callable[[Chooser, Scope], Choice]] = {
    "first": _first,
    "unique": _unique,
    "any": _any,
    "priority": _priority,
    "collect": _collect(list),
    "collect sum": _collect(lambda values: BY_NAME["sum"].invoke([values])),
    "collect min": _collect(lambda values: BY_NAME["min"].invoke([values])),
    "collect max": _collect(lambda values: BY_NAME["max"].invoke([values])),
    "collect count": _collect(len),
}
