"""Conditions that relate two fields, for an SMT solver (z3, the extra `smt`): can they hold together for any record at all?

The cells of `account.revenue > account.cost` are true, false and unknown, and say nothing of `account.cost >= account.revenue`. Here
both become formulas over the fields themselves: a value and whether it is missing. A test of one subject against constants is encoded
from its own cells, so no operator's meaning is written again; only comparison and arithmetic between fields is. What the solver has no
words for is a variable of its own: then more is possible than can be, so *impossible* stays a proof. Numbers are taken as exact, which
floats are to 2^53 for whole ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from roe.analysis.cases import Cases
from roe.analysis.subject_fields import type_of
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.subjects import Test, is_true, test_of

if TYPE_CHECKING:
    from z3 import ExprRef as Term

STEPS = 20_000_000  # of the solver, about two seconds: a policy has the same findings on a busy machine
EPOCH = date(1970, 1, 1)
FIRST, LAST = (date.min - EPOCH).days, (date.max - EPOCH).days  # a sum beyond them has no value
Pair = tuple["Term", "Term"]  # a condition's (true, false), or a value's (term, missing)


@cache
def available() -> bool:
    from importlib.util import find_spec

    return find_spec("z3") is not None


def relates(tree: s.Node) -> bool:
    """Whether a condition sets fields beside each other, which cells know nothing of."""
    return any(isinstance(n, s.Compare) and not isinstance(n.left, s.Literal) and not isinstance(n.right, s.Literal) for n in s.walk(tree))


class Relations:
    """Conditions about records of one entity, numbered, encoded once for any number of questions."""

    def __init__(self, cases: Cases, conditions: Sequence[s.Node]) -> None:
        import z3

        self._z3 = z3
        trees = [cases.writer(tree) for tree in conditions]
        self._encoder = _Encoder(cases, z3, trees)
        self._trees = trees
        self._held: dict[int, Term] = {}

    def impossible(self, holds: Iterable[int], fails: Iterable[int]) -> bool:
        """Whether no record meets the first conditions and none of the second; False where the solver cannot tell."""
        solver = self._z3.Solver()
        solver.set("rlimit", STEPS)
        solver.add(*(self._holds(i) for i in holds), *(self._z3.Not(self._holds(i)) for i in fails))
        solver.add(*self._encoder.facts)
        return bool(solver.check() == self._z3.unsat)

    def _holds(self, number: int) -> Term:
        term = self._held.get(number)
        if term is None:
            term = self._held[number] = self._encoder.condition(self._trees[number])[0]
        return term


class _Encoder:
    """Conditions as (true, false) and values as (term, missing); a real stands for a number, a day, or a text's place in order."""

    def __init__(self, cases: Cases, z3: ModuleType, trees: list[s.Node]) -> None:
        self.cases, self.z3 = cases, z3
        self.lists = cases.policy.plan.lists
        texts = {n.value for t in trees for n in s.walk(t) if isinstance(n, s.Literal) and isinstance(n.value, str)}
        for tree in trees:
            for n in s.walk(tree):
                if isinstance(n, s.Name) and n.id in self.lists:
                    texts |= set(map(str, self.lists[n.id]))
        self.places = {text: 2 * i for i, text in enumerate(sorted(texts))}
        self.known: dict[str, Pair] = {}
        self.facts: list[Term] = []

    # --- conditions -------------------------------------------------------------------------------------------------

    def condition(self, node: s.Node) -> Pair:
        z3 = self.z3
        if isinstance(node, s.Literal):
            return z3.BoolVal(node.value is True), z3.BoolVal(node.value is False)
        if isinstance(node, s.Not) and len(node.operands) == 1:
            true, false = self.condition(node.operands[0])
            return false, true
        if isinstance(node, (s.And, s.Or)):
            parts = [self.condition(x) for x in node.items]
            true, false = [p[0] for p in parts], [p[1] for p in parts]
            return (z3.And(true), z3.Or(false)) if isinstance(node, s.And) else (z3.Or(true), z3.And(false))
        if is_true(node):
            true, _ = self.condition(node.left)  # type: ignore[union-attr]
            return true, z3.Not(true)
        test = test_of(node, self.lists)
        if test is not None:
            return self._test(test)
        if isinstance(node, s.Compare):
            compared = self._compare(node)
            if compared is not None:
                return compared
        return self._boolean(show(node))

    def _boolean(self, key: str) -> Pair:
        """A condition of which nothing is known: true, false or unknown."""
        true, false = self.z3.Bool(f"{key} is true"), self.z3.Bool(f"{key} is false")
        self.facts.append(self.z3.Not(self.z3.And(true, false)))
        return true, false

    def _test(self, test: Test) -> Pair:
        """A test of one subject against constants, from its cells."""
        z3 = self.z3
        kinds = {v.kind(p) for p in test.points}
        if kinds == {"boolean"}:
            known = isinstance(test.subject, (s.Name, s.Path, s.Call, s.Filter, s.Pick, s.Quantified))
            subject = self._boolean(show(test.subject)) if known else self.condition(test.subject)
            at = dict(zip(test.points, test.at_points, strict=True))
            missing = z3.Not(z3.Or(*subject))
            return tuple(
                z3.Or(
                    *(c for c, truth in ((subject[0], at[True]), (subject[1], at[False]), (missing, test.null)) if truth is wanted), False
                )
                for wanted in (True, False)
            )
        constants = [self._constant(p) for p in test.points]
        if len(kinds) > 1 or None in constants:
            return self._boolean(f"{show(test.subject)} {test.at_points} {test.points}")
        term, missing = self.value(test.subject)
        cells = [(missing, test.null)]
        if test.gaps:
            for i, truth in enumerate(test.gaps):
                low = [term > constants[i - 1]] if i else []
                high = [term < constants[i]] if i < len(constants) else []
                cells.append((z3.And(z3.Not(missing), *low, *high), truth))
        else:
            cells.append((z3.And(z3.Not(missing), *(term != c for c in constants)), test.other))
        cells += [(z3.And(z3.Not(missing), term == c), truth) for c, truth in zip(constants, test.at_points, strict=True)]
        true, false = (z3.Or(*(c for c, truth in cells if truth is wanted), False) for wanted in (True, False))
        return true, false

    def _compare(self, node: s.Compare) -> Pair | None:
        """A comparison of two fields: equality of what is missing is a real test, and order of it is unknown."""
        z3 = self.z3
        if self._kind(node.left) == "" or self._kind(node.left) != self._kind(node.right):
            return None
        (a, no_a), (b, no_b) = self.value(node.left), self.value(node.right)
        if node.op in ("=", "!="):
            same = z3.Or(z3.And(no_a, no_b), z3.And(z3.Not(no_a), z3.Not(no_b), a == b))
            return (same, z3.Not(same)) if node.op == "=" else (z3.Not(same), same)
        there = z3.And(z3.Not(no_a), z3.Not(no_b))
        held = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[node.op]
        return z3.And(there, held), z3.And(there, z3.Not(held))

    # --- values -----------------------------------------------------------------------------------------------------

    def value(self, node: s.Node) -> Pair:
        z3 = self.z3
        key = show(node)
        known = self.known.get(key)
        if known is not None:
            return known
        made = None
        if isinstance(node, s.Literal):
            constant = self._constant(node.value)
            made = None if constant is None else (z3.RealVal(constant), z3.BoolVal(False))
        elif isinstance(node, s.Negative) and self._kind(node) == "number":
            a, missing = self.value(node.operand)
            made = (-a, missing)
        elif isinstance(node, s.Binary):
            made = self._binary(node)
        elif isinstance(node, s.If):
            (yes, _), (a, no_a), (b, no_b) = self.condition(node.condition), self.value(node.then), self.value(node.otherwise)
            made = (z3.If(yes, a, b), z3.If(yes, no_a, no_b))
        elif isinstance(node, s.Path) and (tree := self.cases.writer.definition(node)) is not None:
            made = self.value(tree)
        if made is None:
            made = (z3.Real(key), z3.Bool(f"{key} is missing"))
            if key == "today":
                self.facts.append(z3.Not(made[1]))
            if self._kind(node) == "date":
                self.facts += [z3.IsInt(made[0]), made[0] >= FIRST, made[0] <= LAST]
        self.known[key] = made
        return made

    def _binary(self, node: s.Binary) -> Pair | None:
        z3 = self.z3
        kinds = self._kind(node.left), self._kind(node.right)
        numbers = kinds == ("number", "number")
        days = kinds in (("date", "days and time duration"), ("days and time duration", "date"), ("date", "date"))
        if not numbers and not (days and node.op in "+-"):
            return None
        (a, no_a), (b, no_b) = self.value(node.left), self.value(node.right)
        missing = z3.Or(no_a, no_b)
        if node.op == "/":
            return a / b, z3.Or(missing, b == 0)
        made = {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b}.get(node.op)
        if made is None:
            return None
        value = made()
        if self._kind(node) == "date":
            missing = z3.Or(missing, value < FIRST, value > LAST)
        return value, missing

    def _constant(self, value: Term) -> Term:
        """A constant as a number; None for what has no place among numbers."""
        if v.is_number(value):
            return value
        if isinstance(value, str):
            return self.places.get(value)
        if type(value) is date:
            return (value - EPOCH).days
        if isinstance(value, timedelta) and value % timedelta(days=1) == timedelta():
            return value.days
        return None

    def _kind(self, node: s.Node) -> str:
        """The type of a value that can be encoded; '' for any other."""
        if isinstance(node, s.Literal):
            return v.kind(node.value) if self._constant(node.value) is not None else ""
        if isinstance(node, s.Name):
            return "date" if node.id == "today" else ""
        if isinstance(node, s.Path):
            kind = type_of(self.cases.policy, self.cases.entity, node)
            return kind.name if kind is not None and kind.name in ("number", "string", "date") else ""
        if isinstance(node, s.Negative):
            return self._kind(node.operand)
        if isinstance(node, s.Binary):
            kinds = {self._kind(node.left), self._kind(node.right)}
            return "number" if kinds == {"number"} else "date" if kinds == {"date", "days and time duration"} else ""
        if isinstance(node, s.If):
            return self._kind(node.then) if self._kind(node.then) == self._kind(node.otherwise) else ""
        return ""
