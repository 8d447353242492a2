"""Conditions that set one date beside another: `account.start <= today - 3 months`, `within(account.start, 90 days)`, `a.ends > a.starts`.

Dates, durations and what is added of them are *monotone*: the later the one date, the later the result. So for each day of the one date
there are a few days of the other at which a condition changes, and nowhere else. `date_line.py` finds those days by asking the condition
itself, and `date_cells.py` makes cells of them. Here a condition is recognised: which two dates it is about, and which comparisons it consists of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.check import Checker
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.names import Names
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK, IMPLICIT, Code, Scope
from roe.node import node
from roe.plan.subjects import Test, Truth, _measure
from roe.policy.model import Policy

ONE, OTHER = s.Name("$one"), s.Name("$other")  # the two dates, in a condition that is asked about any two
DATE, MOMENT = "date", "date and time"
_KINDS = {
    timedelta: "span",
    v.Months: "months",
    v.WorkingDays: "working days",
    v.WorkingHours: "working hours",
    date: DATE,
    datetime: MOMENT,
}
_COUNTED = ("working_days_between", "years_and_months_duration")  # how far it is from one date to another
_ROUNDED = ("floor", "ceiling")


@node
class Shape:
    """What kind of value an expression has, and for each date in it whether the value grows (1) or shrinks (-1) with that date."""

    kind: str
    signs: dict[str, int]
    bases: dict[str, s.Node]


@node
class Edge:
    """A comparison by which a condition changes: true of the one side of some day, and of the other side something else."""

    tree: s.Compare
    key: frozenset[str]  # the two sides, whichever way round they are written


@node
class DateTest(Test):
    """A test of two dates at once; its subject is the list of both. `edges` are the comparisons that it consists of.

    `kinds` are the kinds of the two dates; `moving` says that the second is the day, or the moment, of the run.
    """

    edges: tuple[Edge, ...]
    kinds: tuple[str, str]
    moving: bool
    calendar: Calendar


@node
class Calendar:
    """What dates are counted by: the zone, the holidays and the working hours of a policy."""

    zone: str
    holidays: str
    hours: tuple[time, time]

    def clock(self, at: date) -> Clock:
        """The clock of a day, or of a moment where that has a zone of its own."""
        return _clock(self, at, (at.tzinfo, at.fold) if isinstance(at, datetime) else ())


@lru_cache(maxsize=4096)
def _clock(calendar: Calendar, at: date, place: tuple[object, ...]) -> Clock:
    """Moments are equal where their zones differ, or their place in an hour that the clocks repeat; their clocks are not."""
    if isinstance(at, datetime) and at.tzinfo is not None:
        return Clock(at, calendar.holidays, calendar.hours)
    return Clock.at(at, calendar.zone, calendar.holidays, calendar.hours)


class Dates:
    """Finds out which conditions about records of one entity set two dates beside each other."""

    def __init__(self, policy: Policy, entity: str, names: Names) -> None:
        self.entity, self.names = entity, names
        self.calendar = Calendar(policy.timezone, policy.calendar, policy.hours)
        self._known: dict[int, tuple[Test, Test | None]] = {}  # by the identity of the test, which many alternatives share

    def __call__(self, tests: dict[str, Test]) -> dict[str, Test]:
        """The tests of one alternative, those about dates by the dates that they are about."""
        made: dict[str, Test] = {}
        for key, test in tests.items():
            changed = self._changed(test)
            at = key if changed is None else show(changed.subject)
            known = made.get(at)
            made[at] = changed or test if known is None else both_of(known, changed or test)
        return made

    def _changed(self, test: Test) -> Test | None:
        known = self._known.get(id(test))
        if known is None:
            known = self._known[id(test)] = test, self._made(test)
        return known[1]

    def _made(self, test: Test) -> Test | None:
        edges = self._edges(test)
        if edges is None:
            return None
        bases = {key: base for shape in edges[0] for key, base in shape.bases.items()}
        moving = [key for key in bases if key in ("today", "now")]
        fixed = sorted(key for key in bases if key not in ("today", "now"))
        if len(fixed) + bool(moving) == 2 and len(moving) <= 2:
            return self._pair(test, edges[1], bases, fixed, moving)
        if len(bases) == 1 and edges[1]:
            return self._single(test, edges[1], next(iter(bases.values())))
        return None

    def _pair(self, test: Test, edges: tuple[Edge, ...], bases: dict[str, s.Node], fixed: list[str], moving: list[str]) -> Test:
        one = bases[fixed[0]]
        by_moment = "now" in moving or self._kind(one) == MOMENT
        other = s.Name("now" if by_moment else "today") if moving else bases[fixed[1]]
        kinds = self._kind(one), (MOMENT if by_moment else DATE) if moving else self._kind(other)
        return _beside(test, one, other, edges, kinds, bool(moving), self.calendar)

    def _single(self, test: Test, edges: tuple[Edge, ...], base: s.Node) -> Test | None:
        """The test of a date with something added to it, `x + 3 months < @"2026-01-01"`, as a test of the date."""
        from roe.analysis.date_line import changes_of

        if test.subject == base or self._kind(base) != DATE:
            return None
        code, calendar = _code(test.subject, {show(base): ONE}), self.calendar
        clock = calendar.clock(date(2000, 1, 1))

        def condition(value: object) -> Truth:
            return test.condition(code({CLOCK: clock, ONE.id: value}))

        points = changes_of([_code(edge.tree, {show(base): ONE}) for edge in edges], clock)
        return _measure(base, points, True, condition) if points else None

    # --- what an expression is made of ------------------------------------------------------------------------------

    def _edges(self, test: Test) -> tuple[list[Shape], tuple[Edge, ...]] | None:
        """The shapes of all that a test compares, and its comparisons; None where it is about anything but dates."""
        if _is_field(test.subject) or (test.points and isinstance(test.points[0], str)):
            return None
        if test.points and set(map(type, test.points)) != {bool}:
            return self._edges_of_pairs([(test.subject, s.Literal(point, "")) for point in test.points])
        pairs = list(self._compared(test.subject))
        if not test.points and not pairs:  # whether a difference is missing
            shape = self._shape(test.subject)
            return None if shape is None or len(shape.bases) < 2 else ([shape], ())
        return self._edges_of_pairs(pairs)

    def _edges_of_pairs(self, pairs: Sequence[tuple[s.Node, s.Node] | None]) -> tuple[list[Shape], tuple[Edge, ...]] | None:
        """The shapes of both sides of every comparison, and the comparisons; None where one is not about dates, or changes more than once."""
        shapes: list[Shape] = []
        edges: list[Edge] = []
        for pair in pairs:
            if pair is None:
                return None
            left, right = self._shape(pair[0]), self._shape(pair[1])
            if left is None or right is None or not _opposed(left, right):
                return None
            shapes += [left, right]
            edges += [_edge(op, *pair) for op in ("<", "<=")]
        return (shapes, tuple(edges)) if shapes else None

    def _compared(self, tree: s.Node) -> Iterator[tuple[s.Node, s.Node] | None]:
        """The two sides of every comparison that a condition makes; None for a part that is something else."""
        if isinstance(tree, s.Compare):
            yield tree.left, tree.right
        elif isinstance(tree, s.Between):
            yield from ((tree.value, tree.low), (tree.value, tree.high))
        elif isinstance(tree, s.In):
            for test in tree.tests:
                yield from self._tested(tree.value, test)
        elif isinstance(tree, (s.And, s.Or)):
            for item in tree.items:
                yield from self._compared(item)
        elif isinstance(tree, s.Not):
            for item in tree.operands:
                yield from self._compared(item)
        elif isinstance(tree, s.Call) and tree.function == "within" and len(tree.args) == 2 and not any(tree.names):
            at = s.Name("now" if self._kind(tree.args[0]) == MOMENT else "today")
            yield from ((s.Binary("-", at, tree.args[1]), tree.args[0]), (tree.args[0], at))
        else:
            yield None

    def _tested(self, value: s.Node, test: s.Node) -> Iterator[tuple[s.Node, s.Node] | None]:
        if isinstance(test, s.Unary):
            yield value, test.operand
        elif isinstance(test, s.RangeOf):
            yield from ((value, end) for end in (test.low, test.high) if end is not None)
        elif isinstance(test, (s.ListOf, s.Not)):
            for item in test.items if isinstance(test, s.ListOf) else test.operands:
                yield from self._tested(value, item)
        else:
            yield value, test

    def _shape(self, tree: s.Node) -> Shape | None:
        if isinstance(tree, s.Literal):
            kind = "number" if v.is_number(tree.value) else _KINDS.get(type(tree.value), "")
            return Shape(kind, {}, {}) if kind else None
        if isinstance(tree, s.Name) and tree.id in ("today", "now"):
            return _base(tree, DATE if tree.id == "today" else MOMENT)
        if isinstance(tree, s.Negative):
            return _turned(self._shape(tree.operand))
        if isinstance(tree, s.Binary):
            return self._binary(tree)
        if isinstance(tree, s.Call):
            known = self._call(tree)
            if known is not None:
                return known
        if isinstance(tree, s.Path) and tree.field in ("days", "years", "year"):
            inner = self._shape(tree.base)
            if inner is not None and (inner.kind, tree.field) in (("span", "days"), ("months", "years"), (DATE, "year")):
                return replace(inner, kind="number")
        kind = self._kind(tree)
        return _base(tree, kind) if kind in (DATE, MOMENT) and isinstance(tree, (s.Path, s.Call)) else None

    def _call(self, tree: s.Call) -> Shape | None:
        args = [self._shape(x) for x in tree.args] if not any(tree.names) else []
        if tree.function == "date" and len(args) == 1 and args[0] is not None and args[0].kind in (MOMENT, DATE) and args[0].bases:
            return replace(args[0], kind=DATE)
        if tree.function in _ROUNDED and len(args) == 1 and args[0] is not None and args[0].bases:
            return args[0]
        if tree.function in _COUNTED and len(args) == 2 and args[0] is not None and args[1] is not None:
            kind = "number" if tree.function == _COUNTED[0] else "months"
            return _joined(kind, _turned(args[0]), args[1])
        return None

    def _binary(self, tree: s.Binary) -> Shape | None:
        a, b = self._shape(tree.left), self._shape(tree.right)
        if a is None or b is None:
            return None
        if tree.op in ("*", "/"):
            positive = isinstance(tree.right, s.Literal) and (tree.right.value > type(tree.right.value)(0)) if not b.signs and b.kind in ("number", "span") else False  # fmt: skip
            return replace(a, kind="number" if b.kind == "span" else a.kind) if positive and a.kind in ("span", "number") else None
        if tree.op not in "+-":
            return None
        points = (DATE, MOMENT)
        if tree.op == "-":
            b = _turned(b)
            assert b is not None
        if a.kind in points and b.kind in points:
            return _joined("span", a, b) if tree.op == "-" else None
        if b.kind in points:
            a, b = b, a
        kind = MOMENT if b.kind == "working hours" else a.kind
        return _joined(kind, a, b) if a.kind in points or a.kind == b.kind else None

    def _kind(self, tree: s.Node) -> str:
        checker = Checker("")
        try:
            return checker.type_of(tree, self.names).name
        except (AttributeError, KeyError, TypeError):  # what no rule of this entity could ask
            return ""


def _is_field(subject: s.Node) -> bool:
    """Whether a subject is a field itself, and not the days or years between two dates."""
    return isinstance(subject, s.Name) or (isinstance(subject, s.Path) and subject.field not in ("days", "years", "year"))


def _base(tree: s.Node, kind: str) -> Shape:
    return Shape(kind, {show(tree): 1}, {show(tree): tree})


def _turned(shape: Shape | None) -> Shape | None:
    return None if shape is None else replace(shape, signs={key: -sign for key, sign in shape.signs.items()})


def _joined(kind: str, a: Shape | None, b: Shape | None) -> Shape | None:
    """What grows with both; None where a date makes one part grow and the other shrink."""
    if a is None or b is None or any(b.signs.get(key, sign) != sign for key, sign in a.signs.items()):
        return None
    return Shape(kind, {**a.signs, **b.signs}, {**a.bases, **b.bases})


def _opposed(left: Shape, right: Shape) -> bool:
    """Whether a comparison of the two changes once only with each of its dates."""
    return all(right.signs.get(key, -sign) == -sign for key, sign in left.signs.items())


def _edge(op: str, left: s.Node, right: s.Node) -> Edge:
    return Edge(s.Compare(op, left, right), frozenset((show(left), show(right))))


# --- tests of two dates ---------------------------------------------------------------------------------------------


def _code(tree: s.Node, names: dict[str, s.Node]) -> Code:
    return compile_expression(replaced(tree, names))


def replaced(tree: s.Node, names: dict[str, s.Node]) -> s.Node:
    """The expression with some of its parts as names."""
    name = names.get(show(tree)) if isinstance(tree, (s.Path, s.Call, s.Name)) else None
    return name if name is not None else s.mapped(tree, lambda part: replaced(part, names))


def _beside(
    test: Test, one: s.Node, other: s.Node, edges: tuple[Edge, ...], kinds: tuple[str, str], moving: bool, calendar: Calendar
) -> DateTest:
    names: dict[str, s.Node] = {show(one): ONE}
    if not moving:
        names[show(other)] = OTHER
    code = _code(test.subject, names)

    def condition(value: object) -> Truth:
        return test.condition(code(scope_of(calendar, value, moving)))

    own = tuple(Edge(replaced(edge.tree, names), edge.key) for edge in edges)  # type: ignore[arg-type]
    missing = condition((None, None)) if not moving else condition((None, date(2000, 1, 1)))
    return DateTest(s.ListOf((one, other)), (), (), (), None, missing, condition, own, kinds, moving, calendar)


def scope_of(calendar: Calendar, value: Value, moving: bool) -> Scope:
    """What a condition about two dates sees."""
    one, other = value
    clock = calendar.clock(other if moving and other is not None else date(2000, 1, 1))
    scope = {CLOCK: clock, "today": clock.today, "now": clock.now, ONE.id: one, IMPLICIT: {}}
    if not moving:
        scope[OTHER.id] = other
    return scope


def both_of(a: Test, b: Test) -> Test:
    """Two tests of the same dates that must both hold, as one test."""
    from roe.plan.subjects import both

    if not isinstance(a, DateTest) or not isinstance(b, DateTest):
        return both(a, b)
    return replace(
        a, edges=(*a.edges, *b.edges), condition=lambda value: v.both(a.condition(value), b.condition(value)), null=v.both(a.null, b.null)
    )


def of_missing(test: Test, which: int, beside: DateTest) -> DateTest:
    """A test of whether one of two dates is missing, as a test of both."""
    return DateTest(
        beside.subject, (), (), (), None, None, lambda value: test.condition(value[which]), (), beside.kinds, beside.moving, beside.calendar
    )
