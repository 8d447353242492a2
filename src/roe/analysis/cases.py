"""A step's rules made ready for analysis: every name in full, small definitions written out, and what values can occur.

Written out, `account.big` is `account.employees > 1000`, and `account.tier = "A"` is the rows of the table that give A, where none
before them holds: then both are about the same subjects as the other rules, and what is proven of cells is proven of records. What is
too long to write out, or looks at related records, stays a subject of its own. Its cells are more than can occur together with the
others': enough to prove that something never happens, not that it does. That takes a witness.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

from roe.analysis import scales
from roe.analysis.axis import Axis
from roe.analysis.date_cells import DateAxis
from roe.analysis.dates import Dates
from roe.analysis.space import Alternative, Space, Undecided, spaces
from roe.data.makers import NORMALIZERS
from roe.evaluator.choose import rank
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.bitsets import of_bits
from roe.plan.index import ELSE, MOST_POINTS, KnownTests, as_tests
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.subjects import Test, is_true
from roe.policy.model import Field, Policy
from roe.policy.reads import names_of

MAX_WRITTEN_OUT = 12  # rules of a step that is written out
MAX_DEPTH = 6
MAX_WRITTEN = 256  # alternatives of one rule
MAX_SUMMED = 4  # criteria of a score that is written out
MOST_REPEATS = 3  # rules that repeat another, up to which each is looked at by itself
MOST_LIVING = 3_000  # rules of a list of which it is asked which can decide
MAX_SUMS = 2_000  # of a score's points
WHOLE = frozenset({"employees", "workspace_users"})  # counts: nobody has half an employee, or fewer than none
OTHERS = {  # values beyond all that rules mention
    "": tuple(f"other{n}" for n in ("", *range(2, 99))), "country": ("FR", "BR", "JP", "ZA", "AU", "PL", "NO", "KE", "PE", "VN", "IS", "MT", "FJ"),
    "domain": tuple(f"other{n}.example" for n in ("", *range(2, 99))), "state": ("TX", "OH", "UT", "ME", "HI", "ID"), "phone": ("+12025550123", "+442079460123"),
    "upper": tuple(f"OTHER{n}" for n in ("", *range(2, 99))), "hours": ("08:00-16:00", "10:00-18:00"),
}  # fmt: skip
BINDERS = (s.Filter, s.Pick, s.Quantified, s.For)  # inside of which names mean something else
Key = tuple[str, str]
Known = dict[int, tuple[Rule, list[dict[str, Test]]]]  # by the rule's identity
Domain = tuple[tuple[Any, ...] | None, bool]  # the values of a subject, None for any; whether it can be missing


class Cases:
    """One `Choose` of a policy as alternatives over axes. `known` keeps what is made of each rule, for lists that share most of them.
    `spell` gives written conditions the spelling in which they are compared with another policy's; `keep` are computed fields that
    are not written out.
    """

    def __init__(
        self,
        policy: Policy,
        step: Choose,
        known: Known | None = None,
        spell: Callable[[s.Node], s.Node] | None = None,
        keep: Container[Key] = (),
    ) -> None:
        self.policy, self.step, self.entity = policy, step, step.entity
        self._known: Known = {} if known is None else known
        self.writer = Writer(policy, step.entity, keep)
        self._spell = spell
        self._domains: dict[str, Domain] = {}
        self._made: KnownTests = {}
        self._naturals: dict[int, tuple[Axis, int]] = {}
        self._dates = Dates(policy, step.entity, names_of(policy, step.entity))

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

    def alternatives(self, rules: Any, first: int = 0, without: Container[int] = ()) -> Iterator[Alternative]:
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
        return [self._dates(alternative) for alternative in as_tests(trees, self.policy.plan.lists, MAX_WRITTEN, self._made)[0]]

    def test_of(self, condition: s.Node) -> Test | None:
        """The one test that a condition of the rows is; None if it is several, or stands among others."""
        made = self._made.get(show(self.written(condition)))
        return next(iter(made[0].values())) if made is not None and len(made) == 1 and len(made[0]) == 1 else None

    @cached_property
    def space(self) -> Space:
        return Space(self.rows, self.possible)

    def space_of(self, condition: s.Node) -> Space:
        """The space of one condition."""
        return Space([(0, tests) for tests in self._tests([condition])], self.possible)

    def spaces(self) -> Iterator[Space]:
        if "space" in self.__dict__:
            yield self.space
        else:
            for space in spaces(self.rows, self.possible):
                if not space.partial:
                    self.space = space  # of the whole table, and not made a second time
                yield space

    def domain(self, axis: Axis) -> Domain:
        found = self._domains.get(axis.key)
        if found is None:
            found = self._domains[axis.key] = domain(self.policy, self.entity, axis.node)
        return found

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
        starts, ends = points[0] in (0, 1), points[0] in (0, 1) and points[-1] == 100  # what begins at 0 or 1 counts; to 100 is a scale
        for i, value in enumerate(axis.values):
            if value is None or value in axis.points:
                continue
            below, above = axis.values[i - 1], axis.values[i + 1] if i + 1 < len(axis.values) else None
            between = v.is_number(below) and v.is_number(above) and float(below).is_integer() and above == below + 1
            if between or (below is None and (starts or whole(axis.node))) or (above is None and ends):
                cells &= ~(1 << i)
        return cells

    def samples(self, axis: Axis, cell: int, most: int) -> list[Any]:
        """Values of a cell: of a field that has few, several; else one that reads well."""
        values, _ = self.domain(axis)
        if values is None or axis.values[cell] is None:
            return [self.sample(axis, cell)]
        return [x for x in values if axis.cell_of(x) == cell][:most]

    def sample(self, axis: Axis, cell: int) -> Any:
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
            below, above = axis.values[cell - 1], axis.values[cell + 1] if cell + 1 < len(axis.values) else None
            low = int(below // 1) + 1 if v.is_number(below) else None
            high = -int(-above // 1) - 1 if above is not None and v.is_number(above) else None
            if low is not None and (high is None or low <= high):
                return low
            if high is not None and low is None:
                return high
        return value


def domain(policy: Policy, entity: str, node: s.Node) -> Domain:
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
        found = policy.model.entities.get(entity, {}).get(node.field)
        if step is None and found is not None:
            return found.type.values or None, found.type.name == "record" or (not found.required and found.default is None)
    if isinstance(base, s.Path) and isinstance(base.base, s.Name) and base.base.id == entity:
        step = policy.plan.steps.get((entity, base.field))
        if isinstance(step, Choose):
            return _given(policy, step, node.field)
    kind = type_of(policy, entity, node)
    return (kind.values or None) if kind is not None else None, True


def _base(policy: Policy, entity: str, node: s.Node) -> t.Type | None:
    """The type of what an expression is a part of."""
    return type_of(policy, entity, node.base) if isinstance(node, s.Path) else None


def _given(policy: Policy, step: Choose, part: str | None) -> Domain:
    """What a table gives, or a column of what it gives; rows that can never decide give nothing."""
    alive, default = _living(_Same((policy, step)))
    if step.hit == "collect sum":
        return sums([step.rules[i].value for i in sorted(alive)]), step.default is None
    if step.hit == "collect":
        return None, True
    values: list[Any] = [step.rules[i].value for i in sorted(alive)]
    if step.hit == "collect count":
        values = [*range(1, len(values) + 1)]
    if default and step.default is not None:
        values.append(step.default)
    missing = default and step.default is None
    if part is not None:
        values = [x.get(part) if isinstance(x, dict) else None for x in values]
    elif any(isinstance(x, dict) for x in values):
        return None, missing
    nullable = (
        missing
        or None in values
        or (step.hit in ("unique", "any") and (len(step.rules) > MOST_LIVING or bool(_overlapping(_Same((policy, step))))))
    )
    return tuple(dict.fromkeys(x for x in values if x is not None)), nullable


class _Same:
    """Something that is equal to itself alone, for what is kept of it."""

    __slots__ = ("value",)

    def __init__(self, value: tuple[Policy, Choose]) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and all(a is b for a, b in zip(self.value, other.value, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(map(id, self.value)))


@lru_cache(maxsize=256)
def _living(of: _Same) -> tuple[frozenset[int], bool]:
    """The rules of a list that decide some record, as far as cells can tell, and whether its default does."""
    policy, step = of.value
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


@lru_cache(maxsize=256)
def _overlapping(of: _Same) -> frozenset[frozenset[int]]:
    """The pairs of a list's rules that can hold for one record, as far as cells can tell."""
    cases = Cases(*of.value)
    rules = range(len(of.value[1].rules))
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


def sums(points: list[Any]) -> tuple[Any, ...] | None:
    """What some of the points can add up to; None if they are too many to say."""
    found: dict[float, None] = {0: None}
    for x in points:
        if not v.is_number(x) or len(found) > MAX_SUMS:
            return None
        found |= {total + x: None for total in found}
    return tuple(sorted(found))


def _always(step: Choose) -> bool:
    last = step.rules[-1].conditions if len(step.rules) else ()
    return len(last) == 1 and isinstance(last[0].tree, s.Literal) and last[0].tree.value is True


def type_of(policy: Policy, entity: str, node: s.Node) -> t.Type | None:
    """The type of a path of fields from a record; None for anything else."""
    if isinstance(node, s.Name):
        return t.record(node.id) if node.id in policy.model.entities else None
    if not isinstance(node, s.Path):
        return None
    base = type_of(policy, entity, node.base)
    if base is None:
        return None
    if base.name == "owners":
        return t.record("rep")
    if base.name != "record":
        return None
    return base.fields.get(node.field) if base.fields is not None else policy.model.field_type(base.entity, node.field)


def field_of(policy: Policy, entity: str, node: s.Node) -> Field | None:
    """The stored field that a subject is, of the record or of a related one."""
    if not isinstance(node, s.Path):
        return None
    base = type_of(policy, entity, node.base)
    return policy.model.entities.get(base.entity, {}).get(node.field) if base is not None and base.name == "record" else None


def whole(node: s.Node) -> bool:
    """Whether a subject counts something."""
    if isinstance(node, s.Call):
        return node.function in scales.COUNTS
    return isinstance(node, s.Path) and node.field in WHOLE


# --- writing out ----------------------------------------------------------------------------------------------------


class Writer:
    """Expressions about a record of an entity with every name in full and small computed fields written out."""

    def __init__(self, policy: Policy, entity: str, keep: Container[Key] = ()) -> None:
        self.policy, self.entity, self.keep = policy, entity, keep
        self.lists = {*policy.plan.lists, *policy.plan.dated_lists}
        self._known: dict[Key, s.Node | None] = {}

    def __call__(self, tree: s.Node) -> s.Node:
        return self.condition(self.full(tree), 0, False)

    def full(self, node: s.Node) -> s.Node:
        """Fields that stand without their record get it."""
        if isinstance(node, s.Name):
            known = self.policy.model.entities.get(self.entity, {})
            own = node.id in known or (self.entity, node.id) in self.policy.plan.steps
            free = node.id not in ("today", "now", "?", "item", self.entity) and node.id not in self.lists
            return s.Path(s.Name(self.entity, node.at), node.id, node.at) if own and free else node
        return s.mapped(node, self.full) if not isinstance(node, BINDERS) else node

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
        asked = _without_question(node)
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
        tree = Writer(self.policy, kind.entity).definition(s.Path(own, node.field))
        if tree is None or any(isinstance(n, BINDERS) for n in s.walk(tree)):
            return None
        return s.And((s.Compare("!=", node.base, s.Literal(None, "null")), _renamed(tree, own, node.base)))

    def _key(self, node: s.Node) -> Key | None:
        own = isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == self.entity
        return (self.entity, node.field) if own and isinstance(node, s.Path) else None

    def cases(self, node: s.Node) -> list[tuple[s.Node, Any]] | None:
        """A computed field as (when, value) of a few cases, first match; None if it is not such a thing, or too long."""
        tree = self.definition(node)
        if isinstance(tree, s.If):
            return _branches(tree)
        key, part = self._key(node), None
        if key is None and isinstance(node, s.Path):
            key, part = self._key(node.base), node.field
        step = self.policy.plan.steps.get(key) if key is not None and key not in self.keep else None
        if not isinstance(step, Choose):
            return None
        if step.hit == "collect sum" and len(step.rules) <= MAX_SUMMED and sums([r.value for r in step.rules]) is not None:
            return [self._added(step, chosen) for chosen in itertools.product((True, False), repeat=len(step.rules))]
        if step.hit.startswith("collect") or len(step.rules) > MAX_WRITTEN_OUT:
            return None
        out = self._ways(step, part)
        return out if all(x is not ... for _, x in out) else None

    def _ways(self, step: Choose, part: str | None) -> list[tuple[s.Node, Any]]:
        """When a list gives which value. What cannot hold beside a rule need not be denied of its records."""
        whens = [_yes(self._all(rule)) for rule in step.rules]
        beside = _overlapping(_Same((self.policy, step)))
        n, single = len(whens), step.hit in ("unique", "any")
        order = list(range(n)) if step.hit != "priority" else sorted(range(n), key=lambda i: (rank(step.rules[i].value, step.priority), i))
        place = {number: i for i, number in enumerate(order)}

        def masks(other: int, rule: int) -> bool:
            if not single:
                return place[other] < place[rule]
            return step.hit == "unique" or v.equal(step.rules[other].value, step.rules[rule].value) is not True

        out: list[tuple[s.Node, Any]] = []
        for i in order:
            masking = [s.Not((whens[j],)) for j in order if frozenset((i, j)) in beside and masks(j, i)]
            out.append((_and([*masking, whens[i]]), _part(step.rules[i].value, part)))
        clashes = [sorted(pair) for pair in beside if single and masks(*sorted(pair))]
        out += [(_and([whens[i], whens[j]]), None) for i, j in sorted(clashes)]
        if YES not in whens:
            out.append((_and([s.Not((when,)) for when in whens]), _part(step.default, part)))
        return out

    def _added(self, step: Choose, chosen: tuple[bool, ...]) -> tuple[s.Node, Any]:
        """When just these criteria of a score hold, and what they add up to; without any, the default."""
        parts = [
            _yes(when) if yes else s.Not((_yes(when),)) for rule, yes in zip(step.rules, chosen, strict=True) for when in (self._all(rule),)
        ]
        total = v.number(sum(rule.value for rule, yes in zip(step.rules, chosen, strict=True) if yes)) if any(chosen) else step.default
        return _and(parts), total

    def _all(self, rule: Rule) -> s.Node:
        trees = tuple(self.full(c.tree) for c in rule.conditions)
        return _and(list(trees))


def _part(value: Any, part: str | None) -> Any:
    """A rule's value as a constant, or a column of it; `...` for a whole row, which has no constant of its own but null."""
    if isinstance(value, dict):
        return value.get(part) if part is not None else ROW
    return value if part is None or value is None else ...


ROW = "(a row)"  # a table's row, of which conditions only ask whether it is there
YES = s.Literal(True, "true")


def _yes(when: s.Node) -> s.Node:
    """That a condition is true: unknown is no."""
    return when if when == YES else s.Compare("=", when, YES)


def _and(parts: list[s.Node]) -> s.Node:
    kept = tuple(p for p in parts if p != YES)
    return YES if not kept else kept[0] if len(kept) == 1 else s.And(kept)


def _branches(tree: s.If) -> list[tuple[s.Node, Any]] | None:
    """A chain of `if` as cases that exclude each other."""
    out: list[tuple[s.Node, Any]] = []
    before: list[s.Node] = []
    node: s.Node = tree
    while isinstance(node, s.If):
        if not isinstance(node.then, s.Literal) or len(out) > MAX_WRITTEN_OUT:
            return None
        out.append((_and([*before, _yes(node.condition)]), node.then.value))
        before.append(s.Not((_yes(node.condition),)))
        node = node.otherwise
    return [*out, (_and(before), node.value)] if isinstance(node, s.Literal) else None


def _without_question(node: s.Node) -> s.Node | None:
    """The condition of a cell, `? >= 500 and ? < 5000`, with the column's value for the `?`; None for any other test."""
    only = node.tests[0] if isinstance(node, s.In) and len(node.tests) == 1 else None
    if not isinstance(node, s.In) or not isinstance(only, (s.Compare, s.In, s.Between, s.And, s.Or)):
        return None
    inner = list(s.walk(only))
    tests = (t for n in inner if isinstance(n, s.In) for test in n.tests for t in s.walk(test))
    if s.Name("?") in tests or any(isinstance(n, BINDERS) for n in inner):  # where `?` or the value may mean something else
        return None
    tree = _renamed(only, s.Name("?"), node.value)
    return s.Not((tree,)) if node.negated else tree


def _constant(node: s.Compare | s.In | s.Between) -> bool:
    """Whether everything but the subject is a constant."""
    parts = [x for x in s.children(node) if x is not (node.left if isinstance(node, s.Compare) else node.value)]
    return all(not isinstance(n, (s.Name, s.Path, s.Call, *BINDERS)) for p in parts for n in s.walk(p))


def _chosen(node: s.Compare | s.In | s.Between, cases: list[tuple[s.Node, Any]], strict: bool) -> s.Node | None:
    """The condition as: one of the cases whose value passes it; None where it has to say unknown."""
    from roe.grammar.clock import Clock
    from roe.grammar.closures import CLOCK, compile_expression

    asked = replace(node, left=s.Name("?")) if isinstance(node, s.Compare) else replace(node, value=s.Name("?"))
    test: Callable[[dict[str, Any]], Any] = compile_expression(asked)
    clock = Clock.at("1970-01-01")
    alternatives: list[s.Node] = []
    for when, value in cases:
        truth = test({"?": value, CLOCK: clock})
        if strict and truth is None:
            return None
        if truth is True:
            alternatives.append(when)
    if not alternatives:
        return s.Literal(False, "false")
    return alternatives[0] if len(alternatives) == 1 else s.Or(tuple(alternatives))


def _renamed(node: s.Node, name: s.Name, to: s.Node) -> s.Node:
    return to if node == name else s.mapped(node, lambda part: _renamed(part, name, to))
