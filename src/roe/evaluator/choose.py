"""`Choose` for one record: the index says which rules hold, the hit policy says what that means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from roe.evaluator.expressions import Scope
from roe.grammar import values as v
from roe.grammar.functions import BY_NAME
from roe.plan.index import Hits, Index
from roe.plan.operators import Choose


@dataclass(frozen=True, slots=True)
class Choice:
    """What a `Choose` gave: its value, the rules that decided, those that are unknown; `conflict` if too many held."""

    value: Any
    fired: tuple[int, ...]
    unknown: tuple[int, ...]
    conflict: bool = False


class Chooser:
    """A compiled `Choose`. Safe to share between threads: cells are only ever added."""

    __slots__ = ("_decide", "index", "step")

    def __init__(self, step: Choose, lists: Mapping[str, list[Any]]) -> None:
        self.step = step
        self.index = Index((rule.conditions for rule in step.rules), lists)
        self._decide = HIT_POLICIES[step.hit]

    def __call__(self, scope: Scope) -> Choice:
        return self._decide(self, scope)

    def value(self, rule: int) -> Any:
        return self.step.rules[rule].value

    def none(self, hits: Hits) -> Choice:
        return Choice(self.step.default, (), hits.unknown)


def _first(c: Chooser, scope: Scope) -> Choice:
    hits = c.index.first(scope)
    return Choice(c.value(hits.true[0]), hits.true, hits.unknown) if hits.true else c.none(hits)


def _unique(c: Chooser, scope: Scope) -> Choice:
    hits = c.index.all(scope)
    if len(hits.true) > 1:
        return Choice(None, hits.true, hits.unknown, conflict=True)
    return Choice(c.value(hits.true[0]), hits.true, hits.unknown) if hits.true else c.none(hits)


def _any(c: Chooser, scope: Scope) -> Choice:
    hits = c.index.all(scope)
    if not hits.true:
        return c.none(hits)
    value = c.value(hits.true[0])
    same = all(v.equal(value, c.value(r)) is True for r in hits.true[1:])
    return Choice(value if same else None, hits.true, hits.unknown, conflict=not same)


def _priority(c: Chooser, scope: Scope) -> Choice:
    """The rule whose outputs stand first in the declared order; of equals the first in the table."""
    hits = c.index.all(scope)
    if not hits.true:
        return c.none(hits)
    best = min(hits.true, key=lambda r: (rank(c.value(r), c.step.priority), r))
    return Choice(c.value(best), (best,), hits.unknown)


def rank(value: Any, orders: tuple[Any, ...]) -> tuple[int, ...]:
    values = list(value.values()) if isinstance(value, dict) else [value]
    return tuple(
        next((i for i, o in enumerate(order) if v.equal(o, x) is True), len(order)) for x, order in zip(values, orders, strict=False)
    )


def _collect(total: Callable[[list[Any]], Any]) -> Callable[[Chooser, Scope], Choice]:
    def decide(c: Chooser, scope: Scope) -> Choice:
        hits = c.index.all(scope)
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
