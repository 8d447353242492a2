"""The partition index: every rule of a `Choose` at once, by look-ups and ANDs.

Per *subject* (a distinct expression that conditions test) the constants of the rules cut the values into cells. A cell
holds two bitsets over the rules' alternatives: those *true* there, and those *not false* there; what is in the second
and not in the first is unknown. Deciding a record finds each subject's cell and ANDs the bitsets; the first bit that is
left is the first alternative that holds. Bitsets are Python integers, made per cell when the cell is first met: a table
of 40,000 keys costs two dictionary entries a key until somebody asks.

Cheap subjects come first, and a subject is computed only while an alternative that needs it still stands.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import Code, Scope, compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.printer import show
from roe.plan.bitsets import bits, of_bits
from roe.plan.operators import Expr
from roe.plan.subjects import MAX_ALTERNATIVES, Test, Truth, alternatives, both, key_of, places_of

Masks = tuple[int, int]  # (true, not false), over alternatives
KnownTests = dict[str, list[dict[str, Test]]]  # the alternatives of conditions by their text
ELSE: Value = object()  # some value that no constant of a subject is
MOST_ALONE = 16  # conditions that one rule alone has, up to which they are subjects like all others
MOST_POINTS = 1_000  # constants of a subject each of which is a cell of its own in analysis
MAX_KEPT_BITS = 1 << 28  # of the bitsets that a subject keeps; those of further keys are made again when they are met


@dataclass(frozen=True, slots=True)
class Hits:
    """What an index says of one record: the numbers of the rules that hold, and of those that cannot be decided."""

    true: tuple[int, ...]
    unknown: tuple[int, ...]


class Subject:
    """One expression, its cells, and the bitsets in them."""

    __slots__ = (
        "_cells", "_dynamic", "_null", "code", "cost", "cuts", "keep", "kind", "node", "other_masks", "points", "tests", "uses", "zoned",
    )  # fmt: skip

    def __init__(self, node: s.Node, tests: list[tuple[int, Test]], everything: int, code: Code) -> None:
        self.node, self.tests, self.code = node, tests, code
        self.cost = cost_of(node)
        self.uses = _union(1 << bit for bit, _ in tests)
        rest = everything & ~self.uses
        self._null = self._masks(rest, ((bit, t.null) for bit, t in tests))
        self.other_masks = self._masks(rest, ((bit, t.other) for bit, t in tests))
        self._dynamic: Callable[[Value], Masks] = lambda value: self._masks(rest, ((b, t.condition(value)) for b, t in tests))
        self.points: dict[Value, list[tuple[int, Truth]]] = {}
        self._cells: dict[Value, Masks] = {}
        self.keep = MAX_KEPT_BITS // max(1, everything.bit_length())
        self.cuts: list[Value] | None
        kinds = {(v.kind(p), v.zoned(p) if isinstance(p, (datetime, time)) else None) for _, t in tests for p in t.points}
        self.kind, self.zoned = kinds.pop() if len(kinds) == 1 else ("", None)
        self.cuts = None
        if self.kind and any(t.gaps for _, t in tests):
            self._order(rest)
        elif self.kind:
            for bit, test in tests:
                for point, truth in zip(test.points, test.at_points, strict=True):
                    self.points.setdefault(key_of(point), []).append((bit, truth))

    @staticmethod
    def _masks(rest: int, truths: Iterable[tuple[int, Truth]]) -> Masks:
        true = possible = rest
        for bit, truth in truths:
            if truth is not False:
                possible |= 1 << bit
                if truth is True:
                    true |= 1 << bit
        return true, possible

    def _order(self, rest: int) -> None:
        """Sweep over the cells in order; a test changes its mind at its own points only."""
        unique = {key_of(p): p for _, t in self.tests for p in t.points}
        cuts = sorted(unique.values(), key=v.in_order)
        at = {key_of(c): i for i, c in enumerate(cuts)}
        changes: dict[int, list[tuple[int, Truth]]] = {}
        for bit, test in self.tests:
            gaps = test.gaps or (test.other,) * (len(test.points) + 1)
            changes.setdefault(0, []).append((bit, gaps[0]))
            for i, (point, truth) in enumerate(zip(test.points, test.at_points, strict=True)):
                cell = 2 * at[key_of(point)] + 1
                changes.setdefault(cell, []).append((bit, truth))
                changes.setdefault(cell + 1, []).append((bit, gaps[i + 1]))
        true = possible = rest
        for cell in range(2 * len(cuts) + 1):
            for bit, truth in changes.get(cell, ()):
                one = 1 << bit
                true = true | one if truth is True else true & ~one
                possible = possible | one if truth is not False else possible & ~one
            self._cells[cell] = (true, possible)
        self.cuts = cuts

    def places(self) -> list[tuple[Value, int, bool]] | None:
        """(a value, the alternatives true there, whether only that value) of every cell that has a value, null first.

        None where constants of several kinds leave no cells. The value away from all constants is `ELSE`, unless they have an order.
        Very many constants without an order share a cell with others that the same tests name: the first stands for its `groups`.
        """
        if self.cuts is not None:
            between = places_of(tuple(self.cuts))
            cells: list[tuple[Value, int, bool]] = [(None, self._null[0], True)]
            for i, value in enumerate(between):
                if value is not None:
                    cells.append((value, self._cells[2 * i][0], False))
                if i < len(self.cuts):
                    cells.append((self.cuts[i], self._cells[2 * i + 1][0], True))
            return cells
        if not self.kind and any(test.points for _, test in self.tests):
            return None
        groups = self.groups()
        chosen = self.points if groups is None else {group: key for key, group in reversed(groups.items())}.values()
        constants = {key_of(p): p for _, test in self.tests for p in test.points}
        points = {key: constants[key] for key in (chosen if groups is None else sorted(chosen, key=groups.__getitem__))}
        at = [(None, self._null[0], True), *((p, self.point_masks(key)[0], True) for key, p in points.items())]
        return at if any(isinstance(p, bool) for p in points.values()) else [*at, (ELSE, self.other_masks[0], False)]

    def groups(self) -> dict[Value, int] | None:
        """Of very many constants without an order, the group of each: in one are those that the same tests name. None for few."""
        if self.cuts is not None or len(self.points) <= MOST_POINTS:
            return None
        groups: dict[tuple[tuple[int, Truth], ...], int] = {}
        return {key: groups.setdefault(tuple(mentions), len(groups)) for key, mentions in self.points.items()}

    def masks(self, value: Value) -> Masks:
        """The bitsets of the cell that a value falls into."""
        if value is None:
            return self._null
        if not self.fits(value):
            return self._dynamic(value)
        return self.point_masks(key_of(value)) if self.cuts is None else self._cells[self.place(value)]

    def fits(self, value: Value) -> bool:
        """Whether a value compares with the constants: it is of their kind, and has a zone where they have one."""
        return v.kind(value) == self.kind and (self.zoned is None or v.zoned(value) is self.zoned)

    def place(self, value: Value) -> int:
        """The cell of a value that fits, among the ordered cuts."""
        cuts = self.cuts
        assert cuts is not None
        if self.kind == "date and time":
            i = bisect_left(cuts, v.moment(value), key=v.moment)
        else:
            i = bisect_left(cuts, value)
        return 2 * i + (i < len(cuts) and v.equal(cuts[i], value) is True)

    def ordered_masks(self, cell: int) -> Masks:
        return self._cells[cell]

    def point_masks(self, key: Value) -> Masks:
        """The bitsets at a constant, or away from all of them."""
        masks = self._cells.get(key)
        if masks is None:
            mentions = self.points.get(key)
            if mentions is None:
                return self.other_masks
            true, possible = self.other_masks
            for bit, truth in mentions:
                one = 1 << bit
                true = true | one if truth is True else true & ~one
                possible = possible | one if truth is not False else possible & ~one
            masks = (true, possible)
            if len(self._cells) < self.keep:
                self._cells[key] = masks
        return masks


def _union(bits: Iterable[int]) -> int:
    union = 0
    for bit in bits:
        union |= bit
    return union


def cost_of(node: s.Node) -> int:
    """A rank for the order of subjects: a field is cheap, a function has its own cost, a walk over related rows is dear."""
    cost = 1
    for child in s.walk(node):
        if isinstance(child, s.Call):
            cost += BY_NAME[child.function].cost if child.function in BY_NAME else 1
        elif isinstance(child, (s.Quantified, s.For, s.Filter, s.Pick)):
            cost += 200
        elif isinstance(child, s.Path):
            cost += 1
    return cost


def as_tests(
    conditions: Iterable[s.Node], lists: Mapping[str, list[Value]], most: int = MAX_ALTERNATIVES, known: KnownTests | None = None
) -> tuple[list[dict[str, Test]], bool]:
    """The alternatives of a conjunction, each one test per subject; and whether it is one, with a subject for each condition.

    `known` keeps the alternatives of single conditions by their text, for rules that share some.
    """
    items = tuple(i for c in conditions for i in s.conjuncts(c))
    if known is not None:
        apart = _apart(items, lists, most, known)
        if apart is not None:
            return [apart], len(apart) == len(items)
    tree = items[0] if len(items) == 1 else s.And(items)
    conjunctions = alternatives(tree, lists, most) if items else [[]]
    by_subject = []
    for tests in conjunctions:
        here: dict[str, Test] = {}
        for test in tests:
            key = show(test.subject)
            here[key] = both(here[key], test) if key in here else test
        by_subject.append(here)
    return by_subject, len(conjunctions) == 1 and len(by_subject[0]) == len(items)


def _apart(items: Iterable[s.Node], lists: Mapping[str, list[Value]], most: int, known: KnownTests) -> dict[str, Test] | None:
    """The tests of conditions, each taken by itself; None where one has alternatives, or two test one subject."""
    tests: dict[str, Test] = {}
    for item in items:
        text = show(item)
        made = known.get(text)
        if made is None:
            made = known[text] = as_tests([item], lists, most)[0]
        if len(made) != 1 or not tests.keys().isdisjoint(made[0]):
            return None
        tests |= made[0]
    return tests


_Own = tuple[Code, Truth, Truth, Callable[[Value], Truth]]  # a condition, what its being true and false means, and any other value


def _alone(subject: Subject) -> bool:
    """Whether a subject is a condition that one alternative alone has: there is nothing to share, and cells would cost more than they save."""
    return len(subject.tests) == 1 and subject.tests[0][1].points == (True, False) and not subject.tests[0][1].gaps


def _common(trees: Iterable[s.Node]) -> tuple[dict[str, Code], dict[str, s.Name]]:
    """Fields that many conditions ask for: what computes each, by a name for it, and the names by the fields."""
    asked: dict[str, tuple[s.Path, int]] = {}
    for tree in trees:
        for path in _paths(tree):
            key = show(path)
            asked[key] = (path, asked[key][1] + 1 if key in asked else 1)
    often = [key for key, (_, count) in asked.items() if count > MOST_ALONE]
    names = {key: s.Name(f"$field {i}") for i, key in enumerate(often)}
    return {names[key].id: compile_expression(asked[key][0]) for key in often}, names


def _paths(tree: s.Node) -> Iterable[s.Path]:
    """Fields of records, where a name means what it means outside: not inside a filter or a loop."""
    if isinstance(tree, s.Path) and isinstance(tree.base, s.Name):
        yield tree
    elif not isinstance(tree, (s.Filter, s.Quantified, s.For)):
        for child in s.children(tree):
            yield from _paths(child)


def _named(tree: s.Node, names: Mapping[str, s.Name]) -> s.Node:
    """A condition with names for some of its fields."""
    if isinstance(tree, s.Path) and isinstance(tree.base, s.Name):
        return names.get(show(tree), tree)
    if isinstance(tree, (s.Filter, s.Quantified, s.For)):
        return tree
    return s.mapped(tree, lambda part: _named(part, names))


class Index:
    """The partition index over rules, each a conjunction of conditions."""

    def __init__(self, rules: Iterable[tuple[Expr, ...]], lists: Mapping[str, list[Value]]) -> None:
        self.rule_of: list[int] = []
        by_subject: dict[str, tuple[s.Node, list[tuple[int, Test]]]] = {}
        self.plain = True  # each rule is one alternative, and each of its conditions the test of a subject of its own
        known: KnownTests = {}
        for number, conditions in enumerate(rules):
            conjunctions, plain = as_tests([c.tree for c in conditions], lists, known=known)
            self.plain &= plain
            for tests in conjunctions:
                bit = len(self.rule_of)
                self.rule_of.append(number)
                for key, test in tests.items():
                    by_subject.setdefault(key, (test.subject, []))[1].append((bit, test))
        self.everything = (1 << len(self.rule_of)) - 1
        made = [Subject(node, tests, self.everything, compile_expression(node)) for node, tests in by_subject.values()]
        self.subjects = sorted(made, key=lambda subject: subject.cost)
        shared = [subject for subject in self.subjects if not _alone(subject)]
        self._own: list[list[_Own]] = []  # of each alternative, the conditions that no other has
        self._fields: dict[str, Code] = {}  # fields that many of those ask for, by the names that they have there
        later = 0
        if len(self.subjects) - len(shared) > MOST_ALONE:
            self._own = [[] for _ in self.rule_of]
            alone = [subject for subject in self.subjects if _alone(subject)]
            self._fields, names = _common(subject.node for subject in alone)
            for subject in alone:
                bit, test = subject.tests[0]
                code = compile_expression(_named(subject.node, names)) if names else subject.code
                self._own[bit].append((code, test.at_points[0], test.at_points[1], test.condition))
                later |= subject.uses
        else:
            shared = self.subjects
        self._steps: list[tuple[Subject, int]] = []
        for subject in reversed(shared):
            self._steps.insert(0, (subject, later))
            later |= subject.uses

    def first(self, scope: Scope) -> Hits:
        """The first rule that holds, and those before it that cannot be decided."""
        true = possible = self.everything
        for subject, later in self._steps:
            if not possible & subject.uses:
                continue
            t, p = subject.masks(subject.code(scope))
            true &= t
            possible &= p
            low = possible & -possible
            if not low & later and true & low:
                return Hits((self.rule_of[low.bit_length() - 1],), ())
        if self._own:
            return self._hits(*self._asked(scope, true, possible, True))
        low = true & -true
        before = possible & ~true & (low - 1 if low else -1)
        fired = (self.rule_of[low.bit_length() - 1],) if low else ()
        return Hits(fired, tuple(r for r in self.rules_of(before) if r not in fired))

    def all(self, scope: Scope) -> Hits:
        """Every rule that holds, and every rule that cannot be decided."""
        true, possible = self._masks(scope)
        if self._own:
            return self._hits(*self._asked(scope, true, possible, False))
        held = tuple(self.rules_of(true))
        return Hits(held, tuple(r for r in self.rules_of(possible & ~true) if r not in held))

    def first_bits(self, scope: Scope) -> tuple[int, int] | None:
        """The bit of the first alternative that holds, 0 for none, and those of unknown ones before it.

        None where no conditions are asked one by one, so that cells say all there is to say.
        """
        if not self._own:
            return None
        held, unknown = self._asked(scope, *self._masks(scope), True)
        return of_bits(held), of_bits(unknown)

    def _masks(self, scope: Scope) -> tuple[int, int]:
        """The alternatives that are true in the cells of all subjects, and those that are not false."""
        true = possible = self.everything
        for subject, _ in self._steps:
            if possible & subject.uses:
                t, p = subject.masks(subject.code(scope))
                true &= t
                possible &= p
        return true, possible

    def _asked(self, scope: Scope, true: int, possible: int, only_first: bool) -> tuple[list[int], list[int]]:
        """The alternatives that hold, and those that are unknown, where conditions that one alone has are asked in the rules' order.

        `true` and `possible` say what all other conditions leave.
        """
        if self._fields:
            scope = {**scope, **{name: code(scope) for name, code in self._fields.items()}}
        doubtful = set(bits(possible & ~true))
        held: list[int] = []
        unknown: list[int] = []
        places: Iterable[int] = range(len(self._own)) if possible == self.everything else bits(possible)
        for bit in places:
            truth: Truth = None if bit in doubtful else True
            for code, yes, no, condition in self._own[bit]:
                value = code(scope)
                here = yes if value is True else no if value is False else condition(value)
                if here is False:
                    truth = False
                    break
                if here is None:
                    truth = None
            if truth is None:
                unknown.append(bit)
            elif truth:
                held.append(bit)
                if only_first:
                    break
        return held, unknown

    def _hits(self, held: list[int], unknown: list[int]) -> Hits:
        fired = tuple(dict.fromkeys(self.rule_of[bit] for bit in held))
        return Hits(fired, tuple(dict.fromkeys(rule for bit in unknown if (rule := self.rule_of[bit]) not in fired)))

    def rules_of(self, mask: int) -> list[int]:
        """The rules of a bitset's alternatives, each once, in order."""
        rules: list[int] = []
        while mask:
            low = mask & -mask
            rule = self.rule_of[low.bit_length() - 1]
            if not rules or rules[-1] != rule:
                rules.append(rule)
            mask ^= low
        return rules
