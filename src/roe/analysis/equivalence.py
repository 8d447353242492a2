"""Whether two policies decide alike: proven rule set by rule set, or shown by records that they decide differently.

Each list of rules is compared with its other version over the cells of both, where computed fields that are not written out count as
given. So if every part is the same, all of it is, whatever a record is; and a part that differs does so for a record, which the
evaluators of both policies have decided. Rules that both versions have, in one order, decide alike wherever no other rule holds: only
the boxes of rules that were added, removed, moved or changed are looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roe.analysis.cases import Cases, Known
from roe.analysis.diff import changes, effect, said
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.verdicts import POSSIBLE, PROVEN, UNDECIDED
from roe.analysis.witness import Finder, Witness
from roe.grammar import syntax as s
from roe.grammar.printer import show
from roe.plan.bitsets import bits
from roe.plan.operators import Choose, Derive, Expr, Rule
from roe.source import Inline, Text

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.engine import Evaluator

MOST = 20  # witnesses of one part
MOST_TRIED = 40  # cases of one part for which no record is found
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that two versions of a list of rules decide differently: by which rule each, and what each gives."""

    where: str
    before: str
    after: str
    gives_before: str
    gives_after: str
    certainty: str
    witness: Witness | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "where": self.where, "rule_before": self.before, "rule_after": self.after, "gives_before": self.gives_before,
            "gives_after": self.gives_after, "certainty": self.certainty, "witness": None if self.witness is None else self.witness.as_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """`same` is proven, `different` shown; neither is undecided, and then `unproven` names the parts that differ in text alone."""

    same: bool
    differences: tuple[Difference, ...]
    unproven: tuple[str, ...]

    @property
    def verdict(self) -> str:
        if self.same:
            return "equivalent"
        return "different" if any(d.certainty == PROVEN for d in self.differences) else UNDECIDED


def compare(old: Evaluator, new: Evaluator) -> Comparison:
    """The two policies, part by part."""
    differing = changes(old.policy, new.policy)
    if not differing:
        return Comparison(True, (), ())
    found: list[Difference] = []
    unproven: list[str] = []
    parts = _lists(old, new)
    done = set()
    alone = all(c.where.startswith("engagement") for c in differing)  # then lists and definitions, which are written out, are the same
    for where, one, other in parts:
        done.add(where)
        if alone and _texts(one.step) == _texts(other.step):
            continue
        try:
            found += compare_lists(where, Finder(old), one, Finder(new), other)
        except Undecided:
            unproven.append(where)
    pools = {
        n
        for n in {*old.policy.plan.pools, *new.policy.plan.pools}
        if said(old.policy.plan.pools.get(n)) != said(new.policy.plan.pools.get(n))
    }
    unproven += [f"pool {n}" for n in sorted(pools)]
    unproven += [
        c.where if c.where != "policy" else c.name for c in differing if c.where not in done and c.where not in ("pools", "lists", "fields")
    ]
    unproven += [f"list {c.name}" for c in differing if c.where == "lists" and not _plain(old, new, c.name)]
    unproven += [c.name for c in differing if c.where == "fields"]
    return Comparison(not found and not unproven, tuple(found), tuple(dict.fromkeys(unproven)))


def _plain(old: Evaluator, new: Evaluator, name: str) -> bool:
    """Whether a list has no dates: then its values are constants of the rules that ask for it."""
    return all(name not in e.policy.plan.dated_lists for e in (old, new))


def _compared(evaluator: Evaluator) -> dict[Key, Chooser]:
    """Definitions that are a condition or a chain of `if`, as lists of rules."""
    from roe.evaluator.choose import Chooser

    out = {}
    for key, step in evaluator.policy.plan.steps.items():
        made = as_list(evaluator, step) if isinstance(step, Derive) else None
        if made is not None:
            out[key] = Chooser(made, evaluator.policy.plan.lists)
    return out


def as_list(evaluator: Evaluator, step: Derive) -> Choose | None:
    """A definition that is a condition or a chain of `if` as a list of rules; None for any other."""
    kind = evaluator.policy.model.field_type(step.entity, step.name)
    if step.expr is None or step.frozen is not None or step.among is not None:
        return None
    rules: list[Rule] = []
    tree = step.expr.tree
    while isinstance(tree, s.If) and isinstance(tree.then, s.Literal):
        rules.append(Rule(Text(show(tree.condition), Inline()), (Expr(tree.condition, step.expr.text),), tree.then.value))
        tree = tree.otherwise
    if rules and isinstance(tree, s.Literal):
        return Choose(step.entity, step.name, step.stage, "first", tuple(rules), tree.value)
    if kind is not None and kind.name == "boolean":
        no = Expr(s.Not((step.expr.tree,)), step.expr.text)  # unknown is neither: under a `not` it makes a difference
        rules = [
            Rule(Text(name, Inline()), (expr,), value)
            for name, expr, value in ((step.name, step.expr, True), (f"not {step.name}", no, False))
        ]
        return Choose(step.entity, step.name, step.stage, "first", tuple(rules))
    return None


def _comparable(old: Evaluator, new: Evaluator) -> tuple[dict[Key, Chooser], dict[Key, Chooser]]:
    """The tables and definitions of each that are lists of rules; one that is something else in the other policy is not compared."""
    one, other = {**old.compiled.choosers, **_compared(old)}, {**new.compiled.choosers, **_compared(new)}
    for key in one.keys() ^ other.keys():
        if key in old.policy.plan.steps and key in new.policy.plan.steps:
            one.pop(key, None)
            other.pop(key, None)
    return one, other


def _lists(old: Evaluator, new: Evaluator) -> list[tuple[str, Chooser, Chooser]]:
    """Every list of rules that either has, with an empty one where the other has none."""
    from roe.evaluator.choose import Chooser

    out = []
    a, b = old.compiled, new.compiled
    for title, x, y in (
        ("engagement of {0} as {1}", a.engagement, b.engagement),
        ("{0}.{1}", *_comparable(old, new)),
    ):
        for key in dict.fromkeys([*y, *x]):
            one, other = x.get(key), y.get(key)
            known = other or one
            assert known is not None
            if key[0] not in old.policy.model.entities or key[0] not in new.policy.model.entities:
                continue
            empty = Choose(key[0], known.step.name, known.step.stage, known.step.hit, ())
            out.append((title.format(*key), one or Chooser(empty, {}), other or Chooser(empty, {})))
    return out


def _texts(step: Choose) -> list[str]:
    return [*(_text(rule, None) for rule in step.rules), step.hit, said(step.default), said(step.priority)]


def _text(rule: Rule, cases: Cases | None) -> str:
    """What a rule says, definitions written out and lists by what is in them."""
    trees = [c.tree if cases is None else cases.writer(c.tree) for c in rule.conditions]
    lists = cases.policy.plan.lists if cases is not None else {}
    named = {n.id for tree in trees for n in s.walk(tree) if isinstance(n, s.Name) and n.id in lists}
    inside = "".join(f" {name} {hash(tuple(lists[name]))}" for name in sorted(named))
    return " and ".join(map(show, trees)) + inside + " -> " + effect(rule)


def compare_lists(
    where: str, finder: Finder, one: Chooser, other_finder: Finder, other: Chooser, known: Known | None = None
) -> list[Difference]:
    """Records on which the two lists differ; none is a proof that there are none. Raises Undecided where there is no telling.

    `known` is for many comparisons of lists that share rules, where nothing else of their policies differs.
    """
    cases, others = Cases(finder.policy, one.step, known), Cases(other_finder.policy, other.step, known)
    n = len(one.step.rules)
    rows = [*cases.alternatives(one.step.rules), *others.alternatives(other.step.rules, n)]
    space = Space(rows, lambda axis: cases.possible(axis) | others.possible(axis))
    return list(_Pair(where, finder, one, other_finder, other, cases, others, space).differences())


class _Pair:
    """Two versions of a list in one space: the old rules first, then the new."""

    def __init__(
        self, where: str, finder: Finder, one: Chooser, other_finder: Finder, other: Chooser, cases: Cases, others: Cases, space: Space
    ) -> None:
        self.where, self.cases, self.space = where, cases, space
        self.finders, self.choosers = (finder, other_finder), (one, other)
        self.n = len(one.step.rules)
        rules = [*one.step.rules, *other.step.rules]
        self.effects = [effect(rule) for rule in rules]
        old = [_text(rule, cases) for rule in rules[: self.n]]
        new = [_text(rule, others) for rule in rules[self.n :]]
        self.changed = set(range(len(rules)))
        for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
            self.changed -= {*range(block.a, block.a + block.size), *range(self.n + block.b, self.n + block.b + block.size)}
        if {_known(one), _known(other)} != {_known(one)}:  # the rest of the list differs: its default, or how it is read
            self.changed = set(range(len(rules)))

    def differences(self) -> Iterator[Difference]:
        seen: set[tuple[int | None, int | None]] = set()
        unsure: Difference | None = None
        count = tried = 0
        for old, new, box in self._candidates():
            if (old, new) in seen:
                continue
            found = self._shown(box, old, new)
            tried += found is None or found.certainty != PROVEN
            if tried > MOST_TRIED:
                break
            if found is None:
                continue
            if found.certainty == PROVEN:
                seen.add((old, new))
                count += 1
                yield found
            else:
                unsure = unsure or found
            if count >= MOST:
                return
        if unsure is not None and not count:
            yield unsure
        if not count and unsure is None and tried:
            raise Undecided
        if not count and unsure is None and self.choosers[0].step.hit != "first" and self._overlapping():
            raise Undecided

    def _candidates(self) -> Iterator[tuple[int | None, int | None, Box]]:
        """(the old rule that decides, the new one, where), as lists of first match have it, within the boxes of changed rules."""
        space, n = self.space, self.n
        olds, news = space.mask(range(n)), space.mask(range(n, len(self.effects)))
        for rule in sorted(self.changed):
            for _, box in space.boxes(rule):
                here = [*self._deciders(box, olds), None]
                there = [*self._deciders(box, news), None]
                for i in here:
                    for j in there:
                        if self._effect(i, 0) == self._effect(j, 1):
                            continue
                        for part in self._both(box, i, j):
                            avoid = (olds if i is None else space.before(i) & olds) | (news if j is None else space.before(j) & news)
                            found = space.clear(part, avoid)
                            if found is not None:
                                yield i, j, found
                                break

    def _deciders(self, box: Box, among: int) -> list[int]:
        return list(dict.fromkeys(self.space.rule_of[b] for b in bits(self.space.touching(box, among))))

    def _both(self, box: Box, i: int | None, j: int | None) -> Iterator[Box]:
        parts = [box]
        for rule in (i, j):
            if rule is not None:
                parts = [inner for part in parts for _, inner in self.space.boxes(rule, part)]
        yield from parts

    def _effect(self, rule: int | None, side: int) -> str:
        return self.effects[rule] if rule is not None else f"default {said(self.choosers[side].step.default)}"

    def _shown(self, box: Box, old: int | None, new: int | None) -> Difference | None:
        """The difference with a record that both evaluators have decided."""
        given: Difference | None = None
        for witness in self.finders[1].records(self.cases, self.space, box):
            asked = [finder.asked(witness, chooser) for finder, chooser in zip(self.finders, self.choosers, strict=True)]
            if asked[0] is None or asked[1] is None:
                continue
            told = [self._told(side, fired, value) for side, (fired, value) in enumerate(x for x in asked if x is not None)]
            if told[0][1] == told[1][1]:
                continue
            certainty = POSSIBLE if witness.given else PROVEN
            found = Difference(self.where, told[0][0], told[1][0], told[0][1], told[1][1], certainty, witness)
            if certainty == PROVEN:
                return found
            given = given or found
        if given is None and old is not None and new is not None and self.choosers[0].step.hit == "first":
            names = [str(self.choosers[side].step.rules[r - side * self.n].name) for side, r in ((0, old), (1, new))]
            return Difference(self.where, names[0], names[1], self.effects[old], self.effects[new], POSSIBLE)
        return given

    def _told(self, side: int, fired: tuple[int, ...], value: Any) -> tuple[str, str]:
        """The rule that decides, and what it gives, with its reason."""
        step = self.choosers[side].step
        if len(fired) == 1 and not step.hit.startswith("collect"):
            rule = step.rules[fired[0]]
            return str(rule.name), effect(rule)
        return ", ".join(str(step.rules[i].name) for i in fired), said(value)

    def _overlapping(self) -> bool:
        """Whether, where a changed rule holds, another one of its list does, so that first match says nothing of other hit policies."""
        return any((a < self.n) == (b < self.n) and {a, b} & self.changed for a, b, _ in self.space.overlaps())


def _known(chooser: Chooser) -> str:
    step = chooser.step
    return f"{step.hit} {said(step.default)} {said(step.priority)}"
