"""Conditions with every name in full and what is computed written out: `account.big` becomes `account.employees > 1000`.

A table becomes its rows: `account.tier = "A"` those that give A, where none before them holds. What is too long to write out, or looks
at related records, stays as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Container
from dataclasses import replace

from roe.analysis.constants import kinds, simplified
from roe.analysis.subject_fields import type_of
from roe.dynamic import Value
from roe.evaluator.choose import rank
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import CLOCK, Code
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.subjects import is_true
from roe.policy.model import Policy

MAX_WRITTEN_OUT = 12  # rules of a step that is written out
MAX_DEPTH = 6
MAX_SUMMED = 4  # criteria of a score that is written out
MAX_SUMS = 2_000  # of a score's points
ROW = "(a row)"  # a table's row, of which conditions only ask whether it is there
Key = tuple[str, str]  # (entity, field)
Case = tuple[s.Node, Value]  # (when, value)


class WritingOut:
    """Expressions about a record of an entity with every name in full and small computed fields written out."""

    def __init__(self, policy: Policy, entity: str, keep: Container[Key] = ()) -> None:
        self.policy, self.entity, self.keep = policy, entity, keep
        self.lists = {*policy.plan.lists, *policy.plan.dated_lists}
        self._known: dict[Key, s.Node | None] = {}
        self._kind_of = kinds(self._kind_of_path)

    def __call__(self, tree: s.Node) -> s.Node:
        return self.condition(self.full(tree), 0, False)

    def full(self, node: s.Node) -> s.Node:
        """Fields that stand without their record get it."""
        if isinstance(node, s.Name):
            known = self.policy.model.entities.get(self.entity, {})
            own = node.id in known or (self.entity, node.id) in self.policy.plan.steps
            free = node.id not in ("today", "now", "?", "item", self.entity) and node.id not in self.lists
            return s.Path(s.Name(self.entity, node.at), node.id, node.at) if own and free else node
        return simplified(s.mapped(node, self.full), self._kind_of) if not isinstance(node, s.BINDERS) else node

    def _kind_of_path(self, node: s.Node) -> str:
        kind = type_of(self.policy, self.entity, node)
        return kind.name if kind is not None else ""

    def condition(self, node: s.Node, depth: int, strict: bool) -> s.Node:
        """A condition, with computed fields in it written out where that is short.

        A rule fires on true alone, so that unknown and false are one; not so where it is `strict`, under a `not`.
        """
        if depth > MAX_DEPTH:
            return node
        if isinstance(node, (s.And, s.Or)):
            return replace(node, items=tuple(self.condition(x, depth, strict) for x in node.items))
        if isinstance(node, s.Not) and len(node.operands) == 1:
            return replace(node, operands=(self.condition(node.operands[0], depth, True),))
        asked = without_question(node)
        if asked is not None:
            return self.condition(asked, depth, strict)
        if is_true(node):
            return s.Compare("=", self.condition(node.left, depth, False), node.right, node.at)  # type: ignore[union-attr]
        if isinstance(node, s.Path):
            tree = self.definition(node) or (None if strict else self._of_related(node))
            return node if tree is None else self.condition(tree, depth + 1, strict)
        if isinstance(node, (s.Compare, s.In, s.Between)):
            subject = node.left if isinstance(node, s.Compare) else node.value
            cases = self.cases(subject)
            chosen = _chosen(node, cases, strict) if cases is not None and _constant(node) else None
            if chosen is not None:
                return self.condition(chosen, depth + 1, strict)
            changed = self._substituted(node)
            if changed is not node:
                return self.condition(changed, depth + 1, strict)
        return node

    def _substituted(self, node: s.Compare | s.In | s.Between) -> s.Node:
        """A test of definitions as the test of what they say."""

        def plain(part: s.Node) -> s.Node:
            tree = self.definition(part)
            if tree is None and isinstance(part, s.Binary):
                left, right = plain(part.left), plain(part.right)
                return part if left is part.left and right is part.right else replace(part, left=left, right=right)
            return part if tree is None or isinstance(tree, s.If) else tree

        if isinstance(node, s.Compare):
            left, right = plain(node.left), plain(node.right)
            return node if left is node.left and right is node.right else replace(node, left=left, right=right)
        value = plain(node.value)
        return node if value is node.value else replace(node, value=value)

    def definition(self, node: s.Node) -> s.Node | None:
        """What a definition says."""
        key = self._key(node)
        if key is None or key in self.keep:
            return None
        if key not in self._known:
            step = self.policy.plan.steps.get(key)
            plain = isinstance(step, Derive) and step.expr is not None and step.frozen is None and step.among is None
            self._known[key] = self.full(step.expr.tree) if plain and isinstance(step, Derive) and step.expr is not None else None
        return self._known[key]

    def _of_related(self, node: s.Path) -> s.Node | None:
        """What a condition that is defined of a related record says, where there is that record: else it is unknown, and not true."""
        kind = type_of(self.policy, self.entity, node.base)
        if kind is None or kind.name != "record" or not kind.entity or node.base == s.Name(self.entity):
            return None
        own = s.Name(kind.entity)
        tree = WritingOut(self.policy, kind.entity).definition(s.Path(own, node.field))
        if tree is None or any(isinstance(n, s.BINDERS) for n in s.walk(tree)):
            return None
        return s.And((s.Compare("!=", node.base, s.NULL), _renamed(tree, own, node.base)))

    def _key(self, node: s.Node) -> Key | None:
        own = isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == self.entity
        return (self.entity, node.field) if own and isinstance(node, s.Path) else None

    def cases(self, node: s.Node) -> list[Case] | None:
        """A computed field as (when, value) of a few cases, first match; None if it is not such a thing, or too long."""
        tree = self.definition(node)
        if isinstance(tree, s.If):
            return _branches(tree)
        key, column = self._key(node), None
        if key is None and isinstance(node, s.Path):
            key, column = self._key(node.base), node.field
        step = self.policy.plan.steps.get(key) if key is not None and key not in self.keep else None
        if not isinstance(step, Choose):
            return None
        if step.hit == "collect sum" and len(step.rules) <= MAX_SUMMED and sums([r.value for r in step.rules]) is not None:
            return [self._added(step, chosen) for chosen in itertools.product((True, False), repeat=len(step.rules))]
        if step.hit.startswith("collect") or len(step.rules) > MAX_WRITTEN_OUT:
            return None
        cases = self._ways(step, column)
        return cases if all(x is not ... for _, x in cases) else None

    def _ways(self, step: Choose, column: str | None) -> list[Case]:
        """When a list gives which value. What cannot hold beside a rule need not be denied of its records."""
        from roe.analysis.cases import overlapping  # which asks for written-out conditions itself, those of this list's fields

        whens = [_yes(self._all(rule)) for rule in step.rules]
        beside = overlapping(self.policy, step)
        n, single = len(whens), step.hit in ("unique", "any")
        order = list(range(n)) if step.hit != "priority" else sorted(range(n), key=lambda i: (rank(step.rules[i].value, step.priority), i))
        place = {number: i for i, number in enumerate(order)}

        def masks(other: int, rule: int) -> bool:
            if not single:
                return place[other] < place[rule]
            return step.hit == "unique" or v.equal(step.rules[other].value, step.rules[rule].value) is not True

        cases: list[Case] = []
        for i in order:
            masking = [s.Not((whens[j],)) for j in order if frozenset((i, j)) in beside and masks(j, i)]
            cases.append((_and([*masking, whens[i]]), _constant_of(step.rules[i].value, column)))
        clashes = [sorted(pair) for pair in beside if single and masks(*sorted(pair))]
        cases += [(_and([whens[i], whens[j]]), None) for i, j in sorted(clashes)]
        if s.TRUE not in whens:
            cases.append((_and([s.Not((when,)) for when in whens]), _constant_of(step.default, column)))
        return cases

    def _added(self, step: Choose, chosen: tuple[bool, ...]) -> Case:
        """When just these criteria of a score hold, and what they add up to; without any, the default."""
        parts = [
            _yes(when) if yes else s.Not((_yes(when),)) for rule, yes in zip(step.rules, chosen, strict=True) for when in (self._all(rule),)
        ]
        total = v.number(sum(rule.value for rule, yes in zip(step.rules, chosen, strict=True) if yes)) if any(chosen) else step.default
        return _and(parts), total

    def _all(self, rule: Rule) -> s.Node:
        trees = tuple(self.full(c.tree) for c in rule.conditions)
        return _and(list(trees))


def _constant_of(value: object, column: str | None) -> object:
    """A rule's value as a constant, or a column of it; `...` for a whole row, which has no constant of its own but null."""
    if isinstance(value, dict):
        return value.get(column) if column is not None else ROW
    return value if column is None or value is None else ...


def _yes(when: s.Node) -> s.Node:
    """That a condition is true: unknown is no."""
    return when if when == s.TRUE else s.Compare("=", when, s.TRUE)


def _and(parts: list[s.Node]) -> s.Node:
    conditions = tuple(p for p in parts if p != s.TRUE)
    return s.TRUE if not conditions else conditions[0] if len(conditions) == 1 else s.And(conditions)


def _branches(tree: s.If) -> list[Case] | None:
    """A chain of `if` as cases that exclude each other."""
    cases: list[Case] = []
    before: list[s.Node] = []
    node: s.Node = tree
    while isinstance(node, s.If):
        if not isinstance(node.then, s.Literal) or len(cases) > MAX_WRITTEN_OUT:
            return None
        cases.append((_and([*before, _yes(node.condition)]), node.then.value))
        before.append(s.Not((_yes(node.condition),)))
        node = node.otherwise
    return [*cases, (_and(before), node.value)] if isinstance(node, s.Literal) else None


def without_question(node: s.Node) -> s.Node | None:
    """The condition of a cell, `? >= 500 and ? < 5000`, with the column's value for the `?`; None for any other test."""
    only = node.tests[0] if isinstance(node, s.In) and len(node.tests) == 1 else None
    if not isinstance(node, s.In) or not isinstance(only, (s.Compare, s.In, s.Between, s.And, s.Or)):
        return None
    inner = list(s.walk(only))
    tests = (t for n in inner if isinstance(n, s.In) for test in n.tests for t in s.walk(test))
    if s.Name("?") in tests or any(isinstance(n, s.BINDERS) for n in inner):  # where `?` or the value may mean something else
        return None
    tree = _renamed(only, s.Name("?"), node.value)
    return s.Not((tree,)) if node.negated else tree


def _constant(node: s.Compare | s.In | s.Between) -> bool:
    """Whether everything but the subject is a constant."""
    parts = [x for x in s.children(node) if x is not (node.left if isinstance(node, s.Compare) else node.value)]
    return all(not isinstance(n, (s.Name, s.Path, s.Call, *s.BINDERS)) for p in parts for n in s.walk(p))


def _chosen(node: s.Compare | s.In | s.Between, cases: list[Case], strict: bool) -> s.Node | None:
    """The condition as: one of the cases whose value passes it; None where it has to say unknown."""
    asked = replace(node, left=s.Name("?")) if isinstance(node, s.Compare) else replace(node, value=s.Name("?"))
    test: Code = compile_expression(asked)
    clock = Clock.at("1970-01-01")
    alternatives: list[s.Node] = []
    for when, value in cases:
        truth = test({"?": value, CLOCK: clock})
        if strict and truth is None:
            return None
        if truth is True:
            alternatives.append(when)
    if not alternatives:
        return s.FALSE
    return alternatives[0] if len(alternatives) == 1 else s.Or(tuple(alternatives))


def _renamed(node: s.Node, name: s.Name, to: s.Node) -> s.Node:
    return to if node == name else s.mapped(node, lambda part: _renamed(part, name, to))


def sums(points: list[object]) -> tuple[float, ...] | None:
    """What some of the points can add up to; None if they are too many to say."""
    totals: dict[float, None] = {0: None}
    for x in points:
        if not v.is_number(x) or len(totals) > MAX_SUMS:
            return None
        totals |= {total + x: None for total in totals}
    return tuple(sorted(totals))
