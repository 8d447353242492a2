"""The partition index: every rule of a `Choose` at once, by look-ups and ANDs.

Per *subject* (a distinct expression that conditions test) the constants of the rules cut the values into cells. A cell
holds two bitsets over the rules' alternatives: those *true* there, and those *not false* there; what is in the second
and not in the first is unknown. Deciding a record finds each subject's cell and ANDs the bitsets; the first bit that is
left is the first alternative that holds. Bitsets are Python integers, made per cell when the cell is first met: a table
of 40,000 keys costs two dictionary entries a key until somebody asks.

Cheap subjects come first, and a subject is computed only while an alternative that needs it still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import Code, Scope
from roe.node import node
from roe.plan.bitsets import bits, of_bits
from roe.plan.cells import Subject
from roe.plan.operators import Expr
from roe.plan.subjects import MAX_ALTERNATIVES, Test, Truth, alternatives, both

KnownTests = dict[str, list[dict[str, Test]]]  # the alternatives of conditions by their text
MOST_ALONE = 16  # conditions that one rule alone has, up to which they are subjects like all others


@node
class Hits:
    """What an index says of one record: the numbers of the rules that hold, and of those that cannot be decided."""

    true: tuple[int, ...]
    unknown: tuple[int, ...]


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


@node
class RuleTests:
    """Rules as tests: of each its alternatives, of an alternative one test per subject, by the subject's text.

    `plain` says that each rule is one alternative, and each of its conditions the test of a subject of its own.
    """

    alternatives: list[list[dict[str, Test]]]
    plain: bool

    @classmethod
    def of(cls, rules: Iterable[Sequence[Expr]], lists: Mapping[str, list[Value]]) -> RuleTests:
        known: KnownTests = {}
        made = [as_tests([c.tree for c in conditions], lists, known=known) for conditions in rules]
        return cls([alternatives for alternatives, _ in made], all(plain for _, plain in made))


class PartitionIndex:
    """The partition index over rules, each a conjunction of conditions."""

    def __init__(self, rules: Iterable[Sequence[Expr]], lists: Mapping[str, list[Value]], tests: RuleTests | None = None) -> None:
        """`tests` are those of the rules, where they are known already."""
        tests = RuleTests.of(rules, lists) if tests is None else tests
        self.plain = tests.plain
        self.rule_of: list[int] = []
        by_subject: dict[str, tuple[s.Node, list[tuple[int, Test]]]] = {}
        for number, conjunctions in enumerate(tests.alternatives):
            for conjunction in conjunctions:
                bit = len(self.rule_of)
                self.rule_of.append(number)
                for key, test in conjunction.items():
                    by_subject.setdefault(key, (test.subject, []))[1].append((bit, test))
        self.everything = (1 << len(self.rule_of)) - 1
        made = [Subject(tree, own, self.everything, compile_expression(tree)) for tree, own in by_subject.values()]
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
