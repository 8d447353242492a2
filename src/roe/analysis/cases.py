"""A step's rules made ready for analysis: every name in full, small definitions written out, and what values can occur.

Written out, `account.big` is `account.employees > 1000`, and `account.tier = "A"` is the rows of the table that give A, where none
before them holds: then both are about the same subjects as the other rules, and what is proven of cells is proven of records. What is
too long to write out, or looks at related records, stays a subject of its own. Its cells are more than can occur together with the
others': enough to prove that something never happens, not that it does. That takes a witness.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import ParamSpec, TypeVar

from roe.analysis import scales
from roe.analysis.axis import Axis
from roe.analysis.date_cells import DateAxis
from roe.analysis.dates import Dates
from roe.analysis.space import Alternative, Space, Undecided, spaces
from roe.analysis.subject_fields import field_of, type_of, whole
from roe.analysis.together import Together
from roe.analysis.writing_out import Key, WritingOut, sums
from roe.data.makers import NORMALIZERS
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.bitsets import of_bits
from roe.plan.cells import ELSE, MOST_POINTS
from roe.plan.index import KnownTests, as_tests
from roe.plan.operators import Choose, Rule
from roe.plan.subjects import Test
from roe.policy.model import Policy
from roe.policy.reads import names_of

MAX_WRITTEN = 256  # alternatives of one rule
MOST_REPEATS = 3  # rules that repeat another, up to which each is looked at by itself
MOST_LIVING = 3_000  # rules of a list of which it is asked which can decide
OTHERS = {  # values beyond all that rules mention
    "": tuple(f"other{n}" for n in ("", *range(2, 99))), "country": ("FR", "BR", "JP", "ZA", "AU", "PL", "NO", "KE", "PE", "VN", "IS", "MT", "FJ"),
    "domain": tuple(f"other{n}.example" for n in ("", *range(2, 99))), "state": ("TX", "OH", "UT", "ME", "HI", "ID"), "phone": ("+12025550123", "+442079460123"),
    "upper": tuple(f"OTHER{n}" for n in ("", *range(2, 99))), "hours": ("08:00-16:00", "10:00-18:00"),
}  # fmt: skip
P = ParamSpec("P")
T = TypeVar("T")
Known = dict[int, tuple[Rule, list[dict[str, Test]]]]  # by the rule's identity
Domain = tuple[tuple[Value, ...] | None, bool]  # the values of a subject, None for any; whether it can be missing


class Cases:
    """One `Choose` of a policy as alternatives over axes. `known` keeps what is made of each rule, for lists that share most of them.
    `spell` gives written conditions the spelling in which they are compared with another policy's, where lists may have the names that
    `lists` has for them; `keep` are computed fields that are not written out.
    """

    def __init__(
        self,
        policy: Policy,
        step: Choose,
        known: Known | None = None,
        spell: Callable[[s.Node], s.Node] | None = None,
        keep: Container[Key] = (),
        lists: Mapping[str, list[object]] | None = None,
    ) -> None:
        self.policy, self.step, self.entity = policy, step, step.entity
        self._known: Known = {} if known is None else known
        self.writer = WritingOut(policy, step.entity, keep)
        self._spell = spell
        self.lists = policy.plan.lists if lists is None else lists
        self._domains: dict[str, Domain] = {}
        self._made: KnownTests = {}
        self._naturals: dict[int, tuple[Axis, int]] = {}
        self._dates = Dates(policy, step.entity, names_of(policy, step.entity))
        self.joining = Together(policy, step.entity, self.implies)

    def written(self, tree: s.Node) -> s.Node:
        """A condition with its definitions written out."""
        written = self.writer(tree)
        return written if self._spell is None else self._spell(written)

    @cached_property
    def rows(self) -> list[Alternative]:
        return list(self.alternatives(self.step.rules, without=self.repeats))

    @cached_property
    def repeats(self) -> dict[int, int]:
        """Rules that ask for just what an earlier one asks for, with the number of that: looked at as one, if there are many of them.

        Not where every rule that holds counts.
        """
        if self.step.hit.startswith("collect"):
            return {}
        firsts: dict[tuple[str, ...], int] = {}
        same = {i: firsts.setdefault(tuple(show(c.tree) for c in rule.conditions), i) for i, rule in enumerate(self.step.rules)}
        repeated = {i: first for i, first in same.items() if i != first}
        return repeated if len(repeated) > MOST_REPEATS else {}

    def alternatives(self, rules: Iterable[Rule], first: int = 0, without: Container[int] = ()) -> Iterator[Alternative]:
        for number, rule in enumerate(rules, first):
            if number in without:
                continue
            known = self._known.get(id(rule))
            if known is None or known[0] is not rule:
                made = self._tests([c.tree for c in rule.conditions])
                known = self._known[id(rule)] = (rule, made)
            yield from ((number, tests) for tests in known[1])

    def _tests(self, conditions: list[s.Node]) -> list[dict[str, Test]]:
        """The alternatives of a conjunction. Most conditions are one test, which is made once however many rules have it."""
        trees = [self.written(tree) for tree in conditions]
        return [self._dates(alternative) for alternative in as_tests(trees, self.lists, MAX_WRITTEN, self._made)[0]]

    def test_of(self, condition: s.Node) -> Test | None:
        """The one test that a condition of the rows is; None if it is several, or stands among others."""
        made = self._made.get(show(self.written(condition)))
        return next(iter(made[0].values())) if made is not None and len(made) == 1 and len(made[0]) == 1 else None

    @cached_property
    def space(self) -> Space:
        return Space(self.rows, self.possible, joining=self.joining)

    def space_of(self, condition: s.Node) -> Space:
        """The space of one condition."""
        return Space([(0, tests) for tests in self._tests([condition])], self.possible, joining=self.joining)

    def implies(self, entity: str, first: tuple[s.Node, ...], second: tuple[s.Node, ...]) -> bool:
        """Whether the cells prove that a record of an entity that meets the first conditions meets the second ones."""
        if entity not in self.policy.model.entities:
            return False
        known = _implied(self.policy)
        key = f"{entity}: {' and '.join(map(show, first))}: {' and '.join(map(show, second))}"
        if key not in known:
            items = Cases(self.policy, Choose(entity, "", "", "first", ()))
            rows = [(number, tests) for number, trees in enumerate((second, first)) for tests in items._tests(list(trees))]
            try:
                known[key] = not Space(rows, items.possible, joining=items.joining).fires(1)
            except Undecided:
                known[key] = False
        return known[key]

    def spaces(self) -> Iterator[Space]:
        if "space" in self.__dict__:
            yield self.space
        else:
            for space in spaces(self.rows, self.possible, self.joining):
                if not space.partial:
                    self.space = space  # of the whole table, and not made a second time
                yield space

    def domain(self, axis: Axis) -> Domain:
        known = self._domains.get(axis.key)
        if known is None:
            known = self._domains[axis.key] = domain(self.policy, self.entity, axis.node)
        return known

    def possible(self, axis: Axis) -> int:
        """The cells of an axis that records can be in: declared values alone, null only where something may be missing."""
        if isinstance(axis, DateAxis):
            cells = axis.full
            for which, node in enumerate(axis.node.items):  # type: ignore[union-attr]
                cells &= axis.full if domain(self.policy, self.entity, node)[1] else ~axis.missing(which)
            return cells
        values, nullable = self.domain(axis)
        cells = axis.full & -2 | nullable  # null is the first cell
        if values is None:
            scale = scales.bounds(axis.node, _base(self.policy, self.entity, axis.node))
            return cells & ~self._unclean(axis) & ~(scales.outside(axis, *scale) if scale is not None else 0)
        known = [cell for x in values if (cell := axis.cell_of(x)) is not None]
        return cells & of_bits(sorted({*known, 0}))

    def _unclean(self, axis: Axis) -> int:
        """The cells of constants that no record has, since values are cleaned when they are loaded: `Germany` is DE."""
        field = field_of(self.policy, self.entity, axis.node)
        clean = NORMALIZERS.get(field.normalize) if field is not None else None
        if clean is None or len(axis.points) > MOST_POINTS:
            return 0
        return of_bits(sorted(i for x, i in axis.points.items() if isinstance(x, str) and clean(x) != x))

    def natural(self, axis: Axis) -> int:
        """The cells that somebody would call a case: nothing between 499 and 500, below a count, or beyond a scale from 0 to 100."""
        known = self._naturals.get(id(axis))
        if known is None or known[0] is not axis:
            known = self._naturals[id(axis)] = (axis, self._natural(axis))
        return known[1]

    def _natural(self, axis: Axis) -> int:
        cells = self.possible(axis)
        if not axis.ordered():
            return cells
        points = [x for x in axis.values if x is not None and x in axis.points]
        if not points or not all(v.is_number(p) for p in points):
            return cells
        counts = points[0] in (0, 1)  # what begins at 0 or 1
        is_scale = counts and points[-1] == 100
        none_below = counts or whole(axis.node)
        for i, below, above in _gaps(axis):
            follows = v.is_number(below) and v.is_number(above) and float(below).is_integer() and above == below + 1
            if follows or (below is None and none_below) or (above is None and is_scale):
                cells &= ~(1 << i)
        return cells

    def samples(self, axis: Axis, cell: int, most: int) -> list[object]:
        """Values of a cell: of a field that has few, several; else one that reads well."""
        values, _ = self.domain(axis)
        if values is None or axis.values[cell] is None:
            return [self.sample(axis, cell)]
        return [x for x in values if axis.cell_of(x) == cell][:most]

    def sample(self, axis: Axis, cell: int) -> object:
        """A value of a cell that reads well."""
        value = axis.values[cell]
        values, _ = self.domain(axis)
        if value is not None and values is not None:
            return next((x for x in values if axis.cell_of(x) == cell), value)
        if value is ELSE:
            field = field_of(self.policy, self.entity, axis.node)
            known = OTHERS.get(field.normalize if field is not None else "", OTHERS[""])
            return next((x for x in known if x not in axis.points), None)
        if v.is_number(value) and value not in axis.points:
            below, above = _neighbours(axis, cell)
            low = int(below // 1) + 1 if v.is_number(below) else None
            high = -int(-above // 1) - 1 if above is not None and v.is_number(above) else None
            if low is not None and (high is None or low <= high):
                return low
            if high is not None and low is None:
                return high
        return value


def _gaps(axis: Axis) -> Iterator[tuple[int, object, object]]:
    """(cell, the point below, the point above) of every cell of values that no rule names, None where there is no such point."""
    for i, value in enumerate(axis.values):
        if value is not None and value not in axis.points:
            yield i, *_neighbours(axis, i)


def _neighbours(axis: Axis, cell: int) -> tuple[object, object]:
    """The values of the cells before and after one; None after the last."""
    return axis.values[cell - 1], axis.values[cell + 1] if cell + 1 < len(axis.values) else None


def domain(policy: Policy, entity: str, node: s.Node) -> Domain:
    """The values that a subject of rules about an entity can have, and whether it can be missing."""
    if isinstance(node, s.Name):
        return None, node.id not in ("today", "now")
    few = scales.values(node, _base(policy, entity, node))
    if few is not None or not isinstance(node, s.Path):
        return few, True
    base = node.base
    if isinstance(base, s.Name) and base.id == entity:
        step = policy.plan.steps.get((entity, node.field))
        if isinstance(step, Choose):
            return _given(policy, step, None)
        field = policy.model.entities.get(entity, {}).get(node.field)
        if step is None and field is not None:
            return field.type.values or None, field.type.name == "record" or (not field.required and field.default is None)
    if isinstance(base, s.Path) and isinstance(base.base, s.Name) and base.base.id == entity:
        step = policy.plan.steps.get((entity, base.field))
        if isinstance(step, Choose):
            return _given(policy, step, node.field)
    kind = type_of(policy, entity, node)
    return (kind.values or None) if kind is not None else None, True


def _base(policy: Policy, entity: str, node: s.Node) -> t.Type | None:
    """The type of what an expression is a part of."""
    return type_of(policy, entity, node.base) if isinstance(node, s.Path) else None


def _given(policy: Policy, step: Choose, column: str | None) -> Domain:
    """What a table gives, or a column of what it gives; rows that can never decide give nothing."""
    alive, default = _living(policy, step)
    if step.hit == "collect sum":
        totals = sums([step.rules[i].value for i in sorted(alive)])
        return (totals if totals is None or step.default is None else (*totals, step.default)), step.default is None
    if step.hit == "collect":
        return None, True
    values: list[object] = [step.rules[i].value for i in sorted(alive)]
    if step.hit == "collect count":
        values = [*range(1, len(values) + 1)]
    if default and step.default is not None:
        values.append(step.default)
    missing = default and step.default is None
    if column is not None:
        values = [x.get(column) if isinstance(x, dict) else None for x in values]
    elif any(isinstance(x, dict) for x in values):
        return None, missing
    nullable = missing or None in values or (step.hit in ("unique", "any") and _can_clash(policy, step))
    return tuple(dict.fromkeys(x for x in values if x is not None)), nullable


def _can_clash(policy: Policy, step: Choose) -> bool:
    """Whether two rules of a list can hold for one record, as far as cells can tell; of a very long list that is taken for granted."""
    return len(step.rules) > MOST_LIVING or _clashing(policy, step)


def by_identity(most: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: what a function gives for things is kept for those very things, and not for others that are equal to them."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @lru_cache(maxsize=most)
        def known(things: _Identical) -> T:
            return function(*things.value)  # type: ignore[arg-type, call-arg]

        return lambda *things, **_: known(_Identical(things))

    return decorate


class _Identical:
    """Some things that are equal to themselves alone."""

    __slots__ = ("value",)

    def __init__(self, value: tuple[object, ...]) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identical) and all(a is b for a, b in zip(self.value, other.value, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.value)))


@by_identity(8)
def _implied(policy: Policy) -> dict[str, bool]:
    """What is known to follow from what in a policy, by the texts of both; see `Cases.implies`."""
    return {}


@by_identity(256)
def _living(policy: Policy, step: Choose) -> tuple[frozenset[int], bool]:
    """The rules of a list that decide some record, as far as cells can tell, and whether its default does."""
    n = len(step.rules)
    always = n > 0 and (not step.rules[-1].conditions or _always(step))
    if n > MOST_LIVING:
        return frozenset(range(n)), not always
    alive: set[int] = set()
    default = False
    cases = Cases(policy, step)
    for space in cases.spaces():
        for rule in space.rules:
            if rule not in alive and _fires(space, rule, step.hit):
                alive.add(rule)
        default = default or _uncovered(space)
    return frozenset(alive) | frozenset(
        i for i, first in cases.repeats.items() if first in alive and step.hit != "first"
    ), default and not always


@by_identity(256)
def _clashing(policy: Policy, step: Choose) -> bool:
    """Whether some pair of them can; the first is enough, where a long table has millions."""
    cases = Cases(policy, step)
    return bool(cases.repeats) or any(True for space in cases.spaces() for _ in space.overlaps(space.whole))


@by_identity(256)
def overlapping(policy: Policy, step: Choose) -> frozenset[frozenset[int]]:
    """The pairs of a list's rules that can hold for one record, as far as cells can tell."""
    cases = Cases(policy, step)
    rules = range(len(step.rules))
    if cases.repeats:
        return frozenset(frozenset(pair) for pair in itertools.combinations(rules, 2))
    return frozenset(frozenset((a, b)) for space in cases.spaces() for a, b, _ in space.overlaps(space.whole))


def _fires(space: Space, rule: int, hit: str) -> bool:
    try:
        return (space.firing(rule) if hit == "first" else next(space.boxes(rule), None)) is not None
    except Undecided:
        return True


def _uncovered(space: Space) -> bool:
    try:
        return space.clear(space.whole, space.everything) is not None
    except Undecided:
        return True


def _always(step: Choose) -> bool:
    last = step.rules[-1].conditions if len(step.rules) else ()
    return len(last) == 1 and isinstance(last[0].tree, s.Literal) and last[0].tree.value is True
