"""Conditions taken apart for the partition index: into alternatives of tests, each of one subject against constants.

A *test* knows its truth at the few places where it can change: at each of its constants, between them, for null, and for
anything else. The truth comes from evaluating the condition itself on a value from each place; nothing about the
meaning of an operator is written a second time here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK
from roe.node import node

Truth = bool | None
MAX_ALTERNATIVES = 32

_STILL = {CLOCK: Clock.at("1970-01-01")}  # constants hold no `today`: any clock will do


@node
class Test:
    """A condition on one subject.

    `points` are the constants where the truth may differ. With `gaps`, the subject is ordered: `gaps[i]` is the truth
    below `points[i]`, `gaps[-1]` above the last. Without, `other` is the truth away from the points. `condition` gives
    the truth of any value at all. A subject that is itself the condition has the points true and false.
    """

    __test__ = False  # pytest: this is not a test class

    subject: s.Node
    points: tuple[Value, ...]
    at_points: tuple[Truth, ...]
    gaps: tuple[Truth, ...]
    other: Truth
    null: Truth
    condition: Callable[[Value], Truth]


def alternatives(tree: s.Node, lists: Mapping[str, list[object]], most: int = MAX_ALTERNATIVES) -> list[list[Test]]:
    """The condition as alternatives (`or`) of tests that must all hold (`and`); one residual test if there are too many."""
    conjunctions = _alternatives(tree, lists, False, most)
    return conjunctions if conjunctions is not None else [[_residual(tree)]]


def _alternatives(tree: s.Node, lists: Mapping[str, list[object]], negated: bool, most: int) -> list[list[Test]] | None:
    if isinstance(tree, s.Literal) and isinstance(tree.value, bool):  # a catch-all tests nothing
        return [[]] if tree.value is not negated else []
    if isinstance(tree, s.Not):
        return _alternatives(tree.operands[0], lists, not negated, most)
    if is_true(tree):
        return _settled(tree.left, lists, True, negated, most)  # type: ignore[union-attr]
    if isinstance(tree, (s.And, s.Or)):
        whole = test_of(tree, lists)
        if whole is not None:  # several tests of the one subject are one test
            return [[_negate(whole) if negated else whole]]
        parts = [_alternatives(item, lists, negated, most) for item in tree.items]
        return _product(parts, most) if isinstance(tree, s.And) is not negated else _joined(parts, most)
    test = test_of(tree, lists) or _residual(tree)
    return [[_negate(test) if negated else test]]


def is_true(tree: s.Node) -> bool:
    """Whether the tree asks of a condition that it is true, `(…) = true`: never unknown, as an `if` or an earlier rule has it."""
    yes = isinstance(tree, s.Compare) and tree.op == "=" and isinstance(tree.right, s.Literal) and tree.right.value is True
    return yes and isinstance(tree.left, (s.And, s.Or, s.Not, s.Compare, s.Between, s.In, s.Literal))  # type: ignore[union-attr]


def _settled(tree: s.Node, lists: Mapping[str, list[object]], wanted: bool, negated: bool, most: int) -> list[list[Test]] | None:
    """Where a condition has exactly the wanted truth (or, negated, has not): two-valued, so De Morgan's laws hold as they are."""
    if isinstance(tree, s.Literal):
        return [[]] if (tree.value is wanted) is not negated else []
    if isinstance(tree, s.Not) and len(tree.operands) == 1:
        return _settled(tree.operands[0], lists, not wanted, negated, most)
    if is_true(tree):
        return _settled(tree.left, lists, True, negated is wanted, most)  # type: ignore[union-attr]
    if isinstance(tree, (s.And, s.Or)) and test_of(tree, lists) is None:
        parts = [_settled(item, lists, wanted, negated, most) for item in tree.items]
        return _product(parts, most) if (isinstance(tree, s.And) is wanted) is not negated else _joined(parts, most)

    def sure(truth: Truth) -> bool:
        return (truth is wanted) is not negated

    test = test_of(tree, lists) or _residual(tree)
    inner = test.condition
    return [[replace(
        test, at_points=tuple(map(sure, test.at_points)), gaps=tuple(map(sure, test.gaps)), other=sure(test.other), null=sure(test.null),
        condition=lambda value: sure(inner(value)),
    )]]  # fmt: skip


def _joined(parts: list[list[list[Test]] | None], most: int) -> list[list[Test]] | None:
    joined = [alternative for alternatives in parts if alternatives is not None for alternative in alternatives]
    return None if None in parts or len(joined) > most else joined


def _product(parts: list[list[list[Test]] | None], most: int) -> list[list[Test]] | None:
    products: list[list[Test]] = [[]]
    said: dict[int, object] = (
        {id(test): _said(test) for alternatives in parts if alternatives for tests in alternatives for test in tests}
        if most > MAX_ALTERNATIVES
        else {}
    )
    for alternatives in parts:
        if alternatives is None or len(products) * len(alternatives) > (most if most <= MAX_ALTERNATIVES else most * most):
            return None
        products = [[*left, *right] for left in products for right in alternatives]
        if most > MAX_ALTERNATIVES:
            products = _absorbed(products, said)
        if len(products) > most:
            return None
    return products


def _absorbed(alternatives: list[list[Test]], said: Mapping[int, object]) -> list[list[Test]]:
    """The alternatives without those that ask for all that another asks for, and more. `said` is what each test says, by its identity."""
    sets = {frozenset(said[id(test)] for test in tests): tests for tests in alternatives}
    smallest: list[frozenset[object]] = []
    for tests in sorted(sets, key=len):
        if not any(other <= tests for other in smallest):
            smallest.append(tests)
    chosen = set(smallest)
    return [list({said[id(test)]: test for test in tests}.values()) for asked, tests in sets.items() if asked in chosen]


def _said(test: Test) -> object:
    return show(test.subject), tuple(map(key_of, test.points)), test.at_points, test.gaps, test.other, test.null


def _negate(test: Test) -> Test:
    def flip(truth: Truth) -> Truth:
        return None if truth is None else not truth

    inner = test.condition
    return replace(
        test,
        at_points=tuple(map(flip, test.at_points)),
        gaps=tuple(map(flip, test.gaps)),
        other=flip(test.other),
        null=flip(test.null),
        condition=lambda value: flip(inner(value)),
    )


def _residual(tree: s.Node) -> Test:
    """A condition that is not a test of one subject against constants: a subject of its own, true, false or unknown."""
    return Test(tree, (True, False), (True, False), (), None, None, lambda value: value if isinstance(value, bool) else None)


_QUESTION = s.Name("?")


def test_of(tree: s.Node, lists: Mapping[str, list[object]]) -> Test | None:
    """The tree as a test of one subject against constants, if it is one."""
    split = _split(tree, lists)
    if split is None:
        return None
    subject, asked, constants, ordered, keys = split
    if isinstance(tree, (s.And, s.Or)) and any(_listed(item, lists) for item in tree.items):
        return _measure(subject, constants, ordered, _of_parts(tree, lists))
    code = compile_expression(asked)
    scope = {**_STILL, **lists}

    def condition(value: object) -> Truth:
        verdict = code({**scope, "?": value})
        return verdict if isinstance(verdict, bool) else None

    if keys is not None:  # membership in a list, perhaps a long one: no need to ask about each key
        inside, outside = (False, True) if isinstance(asked, s.In) and asked.negated else (True, False)
        known, kinds = frozenset(map(key_of, keys)), {v.kind(key) for key in keys}

        def member(value: object) -> Truth:
            if kinds == {v.kind(value)}:
                return inside if key_of(value) in known else outside
            return condition(value)

        return Test(subject, keys, (inside,) * len(keys), (), outside, condition(None), member)
    return _measure(subject, constants, ordered, condition)


def _listed(tree: s.Node, lists: Mapping[str, list[object]]) -> bool:
    return isinstance(tree, s.In) and any(isinstance(test, s.Name) and test.id in lists for test in tree.tests)


def _of_parts(tree: s.And | s.Or, lists: Mapping[str, list[object]]) -> Callable[[object], Truth]:
    """The truth of several tests of one subject, each asked for by itself: a long list is not gone through for every value."""
    parts = [test.condition for item in tree.items if (test := test_of(item, lists)) is not None]
    conjunction = isinstance(tree, s.And)

    def condition(value: object) -> Truth:
        truths = [is_true(value) for is_true in parts]
        if (not conjunction) in truths:
            return not conjunction
        return None if None in truths else conjunction

    return condition


def _measure(subject: s.Node, constants: Iterable[object], ordered: bool, condition: Callable[[object], Truth]) -> Test | None:
    """The test with its truth asked for at every place where it can change."""
    points = tuple({key_of(c): c for c in constants}.values())
    if any(isinstance(p, bool) for p in points):
        points = (True, False)
    cuts = _sorted(points) if points and not isinstance(points[0], bool) else None
    if ordered:
        if cuts is None:
            return None
        gaps = tuple(condition(g) if g is not None else None for g in places_of(cuts))
        return Test(subject, cuts, tuple(map(condition, cuts)), gaps, None, condition(None), condition)
    beside = (_near(cuts[-1], 1), _near(cuts[0], -1), *itertools.starmap(_middle, itertools.pairwise(cuts))) if cuts else ()
    away = next((value for value in beside if value is not None), _Other())  # beyond the last day, and the largest number, is nothing
    return Test(subject, points, tuple(map(condition, points)), (), condition(away), condition(None), condition)


def both(a: Test, b: Test) -> Test:
    """Two tests of one subject that must both hold, as one test."""

    def condition(value: object) -> Truth:
        return v.both(a.condition(value), b.condition(value))

    merged = _measure(a.subject, (*a.points, *b.points), bool(a.gaps or b.gaps), condition)
    if merged is None:  # constants of two kinds: nothing to index, every value is asked about
        return Test(a.subject, (), (), (), None, condition(None), condition)
    return merged


class _Other:
    """A value of no constant's kind, for tests that have no constants: those against null."""


_Split = tuple[s.Node, s.Node, list[Value], bool, tuple[Value, ...] | None]


def _split(tree: s.Node, lists: Mapping[str, list[object]]) -> _Split | None:
    """(subject, the condition with `?` for it, its constants, whether order matters, the keys of a plain membership)."""
    if is_true(tree):
        return None
    if isinstance(tree, s.Compare):
        for subject, constant, asked in (
            (tree.left, tree.right, replace(tree, left=_QUESTION)),
            (tree.right, tree.left, replace(tree, right=_QUESTION)),
        ):
            value = _constant(constant)
            if value is not ... and _constant(subject) is ...:
                if value is None and tree.op in ("=", "!="):
                    return subject, asked, [], False, None
                if _hashable(value):
                    return subject, asked, [value], tree.op not in ("=", "!="), None
        return None
    if isinstance(tree, s.Between):
        low, high = _constant(tree.low), _constant(tree.high)
        if low is ... or high is ... or low is None or high is None:
            return None
        return tree.value, replace(tree, value=_QUESTION), [low, high], True, None
    if isinstance(tree, s.In):
        return _split_in(tree, lists)
    if isinstance(tree, (s.And, s.Or)):
        return _split_chain(tree, lists)
    return None


def _split_in(tree: s.In, lists: Mapping[str, list[object]]) -> _Split | None:
    asked = replace(tree, value=_QUESTION)
    only = tree.tests[0] if len(tree.tests) == 1 else None
    if isinstance(only, s.Name) and only.id in lists:
        return tree.value, asked, [], False, tuple(dict.fromkeys(lists[only.id]))
    constants: list[object] = []
    ordered = False
    todo = list(tree.tests)
    while todo:
        test = todo.pop(0)
        if isinstance(test, s.Not):
            todo += test.operands
        elif isinstance(test, s.ListOf):
            todo += test.items
        elif isinstance(test, s.Unary):
            todo.append(test.operand)
            ordered |= test.op not in ("=", "!=")
        elif isinstance(test, s.RangeOf):
            todo += [e for e in (test.low, test.high) if e is not None]
            ordered = True
        else:
            value = _constant(test)
            if value is ... or not _hashable(value):
                return None
            if value is not None:
                constants.append(value)
            elif ordered:
                return None
    plain = all(isinstance(t, s.Literal) and t.value is not None for t in tree.tests)
    keys = tuple({key_of(c): c for c in constants}.values()) if plain and len({v.kind(c) for c in constants}) == 1 else None
    return tree.value, asked, constants, ordered, keys


def _split_chain(tree: s.And | s.Or, lists: Mapping[str, list[object]]) -> _Split | None:
    parts = [_split(item, lists) for item in tree.items]
    if any(p is None for p in parts):
        return None
    known = [p for p in parts if p is not None]
    if len({show(p[0]) for p in known}) > 1:
        return None
    asked = replace(tree, items=tuple(p[1] for p in known))
    constants = [c for p in known for c in (*p[2], *(p[4] or ()))]
    return known[0][0], asked, constants, any(p[3] for p in known), None


def _constant(node: s.Node) -> object:
    """The value of a constant, `...` for anything else."""
    return node.value if isinstance(node, s.Literal) else ...


def _hashable(value: object) -> bool:
    return not isinstance(value, (list, dict))


def key_of(value: object) -> Value:
    """What a value is found by: Python holds `True` and `1` for one key, the language does not; date-times are found by their moments."""
    if isinstance(value, datetime):
        return ("moment", v.moment(value))
    return (value,) if isinstance(value, bool) else value


def _sorted(constants: Sequence[object]) -> tuple[Value, ...] | None:
    """The distinct constants in order; None if they have none among themselves."""
    unique = list({key_of(c): c for c in constants}.values())
    if any(v.less(unique[0], c) is None for c in unique):
        return None
    return tuple(sorted(unique, key=v.in_order))


def places_of(cuts: tuple[object, ...]) -> list[Value]:
    """A value below, between and above the cuts; None where there is none."""
    return [_near(cuts[0], -1), *(_middle(a, b) for a, b in itertools.pairwise(cuts)), _near(cuts[-1], 1)]


def _near(value: Value, side: int) -> object:
    kind = v.kind(value)
    if kind == "number":
        return v.number(value + side * max(1.0, abs(value)))
    if kind == "string":
        return value + "\0" if side > 0 else ("" if value else None)
    if kind == "years and months duration":
        return v.Months(value.months + side)
    step = timedelta(days=1) if kind == "date" else timedelta(microseconds=1)
    return v.add(value, step * side)


def _middle(a: Value, b: Value) -> object:
    kind = v.kind(a)
    if kind == "number":
        middle = (a + b) / 2
        return middle if a < middle < b else None
    near = _near(a, 1)
    return near if near is not None and v.less(near, b) else None
