"""Two versions of a list of rules, compared over the cells of both: where they differ, or that they differ nowhere.

Rules that both versions have, in one order, decide alike wherever no other rule holds: so only the boxes of rules that were added, removed,
moved or changed are looked at, and the region that no rule holds in, where the defaults decide. Computed fields that are not written out count
as given; whoever compares has to ask whether they mean the same in both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace

from roe.analysis.axis import Axis
from roe.analysis.cases import Cases, Known
from roe.analysis.diff import effect, said
from roe.analysis.finder import Finder
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.together import Together
from roe.analysis.verdicts import POSSIBLE, PROVEN
from roe.analysis.witness import Witness, path_of
from roe.analysis.writing_out import Key, WritingOut
from roe.dynamic import Json, Value
from roe.evaluator.choose import Chooser, rank
from roe.evaluator.engine import Evaluator
from roe.grammar import syntax as s
from roe.grammar.printer import show
from roe.plan.bitsets import bits
from roe.plan.operators import Action, Choose, Derive, Expr, Rule
from roe.source import Inline, Text

MOST = 20  # witnesses of one list
MOST_APART = 12  # how deep the reps that one rule assigns are told apart
MOST_STEPS = 200_000  # of all questions where two lists differ
MOST_WORK = 6_000_000  # parts of expressions that are worked out in search of records: some seconds
MOST_TRIED = 40  # cases of one list for which no record is found
Given = tuple[str, str]  # what a rule gives, and the name by which the sentence calls it, if it does


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that two versions of a list of rules decide differently: by which rule each, and what each gives.

    `decides` says that the owner, the action, the end or a sentence is another one; otherwise only a field on the way is.
    """

    where: str
    before: str
    after: str
    gives_before: str
    gives_after: str
    certainty: str
    witness: Witness | None = None
    decides: bool = False

    def as_json(self) -> Json:
        return {
            "where": self.where, "rule_before": self.before, "rule_after": self.after, "gives_before": self.gives_before,
            "gives_after": self.gives_after, "certainty": self.certainty, "witness": None if self.witness is None else self.witness.as_json(),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """One version: what finds records for it, the list, how its conditions are spelt, and what its rules and values give."""

    finder: Finder
    chooser: Chooser
    spell: Callable[[s.Node], s.Node] | None = None
    gives: Callable[[Rule], Given] = lambda rule: (effect(rule), "")
    value: Callable[[Value], str] = said
    keep: Container[Key] = ()  # computed fields that are not written out
    same: Container[Key] = ()  # those of them that mean the same in the other policy, under the same name
    lists: Mapping[str, list[object]] | None = None  # of the policy, by the names that conditions have for them when they are spelt

    @property
    def step(self) -> Choose:
        return self.chooser.step

    def of_rule(self, number: int | None) -> Given:
        return self.gives(self.step.rules[number]) if number is not None else (self.value(self.step.default), "")

    def identity(self, fired: tuple[int, ...], value: object) -> Given:
        """What the list gives a record, so that it can be compared."""
        if len(fired) == 1 and not self.step.hit.startswith("collect"):
            return self.of_rule(fired[0])
        return self.value(value), ""

    def shown(self, fired: tuple[int, ...], value: object) -> tuple[str, str]:
        """The rules that decide, and what they give, for people."""
        if len(fired) == 1 and not self.step.hit.startswith("collect"):
            rule = self.step.rules[fired[0]]
            return str(rule.name), effect(rule)
        return ", ".join(str(self.step.rules[i].name) for i in fired), said(value)


def compare_lists(
    where: str, finder: Finder, one: Chooser, other_finder: Finder, other: Chooser, known: Known | None = None
) -> list[Difference]:
    """Records on which the two lists differ; none is a proof that there are none. Raises Undecided where there is no telling.

    `known` is for many comparisons of lists that share rules, where nothing else of their policies differs.
    """
    return list(Pair(where, Side(finder, one), Side(other_finder, other), known).differences())


def as_list(evaluator: Evaluator, step: Derive, constants: bool) -> Choose | None:
    """A definition that is a condition or a chain of `if` as a list of rules; None for any other.

    Unless only `constants` will do, the branches may be any expressions: then each rule gives an `Expr`.
    """
    kind = evaluator.policy.model.field_type(step.entity, step.name)
    if step.expr is None or step.frozen is not None or step.among is not None:
        return None
    rules: list[Rule] = []
    tree = step.expr.tree
    while isinstance(tree, s.If) and (isinstance(tree.then, s.Literal) or not constants):
        rules.append(Rule(Text(show(tree.condition), Inline()), (Expr(tree.condition, step.expr.text),), _branch(tree.then, step)))
        tree = tree.otherwise
    if rules and (isinstance(tree, s.Literal) or not constants):
        return Choose(step.entity, step.name, step.stage, "first", tuple(rules), _branch(tree, step))
    if kind is not None and kind.name == "boolean":
        no = Expr(s.Not((step.expr.tree,)), step.expr.text)  # unknown is neither: under a `not` it makes a difference
        rules = [
            Rule(Text(name, Inline()), (expr,), value)
            for name, expr, value in ((step.name, step.expr, True), (f"not {step.name}", no, False))
        ]
        return Choose(step.entity, step.name, step.stage, "first", tuple(rules))
    return None


def _branch(tree: s.Node, step: Derive) -> object:
    assert step.expr is not None
    return tree.value if isinstance(tree, s.Literal) else Expr(tree, step.expr.text)


def apart(step: Choose, writer: WritingOut) -> Choose:
    """The list with each rule that assigns one of several reps, by an `if` or a table, as a rule for each of them."""
    rules: list[Rule] = []
    for rule in step.rules:
        rules += _apart(rule, writer, 0)
    return step if len(rules) == len(step.rules) else replace(step, rules=tuple(rules))


def _apart(rule: Rule, writer: WritingOut, depth: int) -> list[Rule]:
    assign = rule.value.assign if isinstance(rule.value, Action) else None
    if assign is None or depth > MOST_APART:
        return [rule]
    tree = writer.full(assign.tree)
    tree = writer.definition(tree) or tree
    branches: list[tuple[s.Node | None, s.Node]] | None = None
    if isinstance(tree, s.If):
        branches = [(tree.condition, tree.then), (None, tree.otherwise)]
    elif (known := writer.cases(tree)) is not None and all(isinstance(value, str | None) for _, value in known):
        branches = [(when, s.Literal(value, show(s.Literal(value, "")))) for when, value in known]
    if branches is None:
        return [rule]
    made: list[Rule] = []
    for when, rep in branches:
        conditions = rule.conditions if when is None else (*rule.conditions, Expr(when, assign.text))
        made += _apart(replace(rule, conditions=conditions, value=replace(rule.value, assign=Expr(rep, assign.text))), writer, depth + 1)
    return made


class Pair:
    """Two versions of a list in one space: the old rules first, then the new."""

    def __init__(
        self, where: str, old: Side, new: Side, known: Known | None = None, decides: Callable[[Witness], bool] = lambda witness: False
    ) -> None:
        self.where, self.sides, self._decides = where, (old, new), decides
        cases = [Cases(side.finder.policy, side.step, known, side.spell, side.keep, side.lists) for side in self.sides]
        self.cases = cases
        self.n, self.rules = len(old.step.rules), [*old.step.rules, *new.step.rules]
        self._same = old.same
        rows = [*cases[0].alternatives(old.step.rules), *cases[1].alternatives(new.step.rules, self.n)]
        joining = Together(cases[1].policy, old.step.entity, lambda *asked: all(own.implies(*asked) for own in cases))
        self.space = Space(rows, self._possible, joining=joining)
        self.given = [side.gives(rule) for side in self.sides for rule in side.step.rules]
        texts = [self._text(place) for place in range(len(self.given))]
        self.changed = set(range(len(self.given)))
        for block in difflib.SequenceMatcher(None, texts[: self.n], texts[self.n :], autojunk=False).get_matching_blocks():
            self.changed -= {*range(block.a, block.a + block.size), *range(self.n + block.b, self.n + block.b + block.size)}
        if self._reading(0) != self._reading(1):  # the rest of the list differs: its default, or how it is read
            self.changed = set(range(len(self.given)))
        self._all_looked_at = True
        self.renamed: list[Difference] = []  # records that another rule decides, to the same effect

    def _possible(self, axis: Axis) -> int:
        """The cells that records of either policy can be in; of a field that means the same in both, only one is asked."""
        old, new = self.cases
        path = path_of(axis.node, old.entity)
        is_same = path is not None and (old.entity, path[0]) in self._same
        return old.possible(axis) if is_same else old.possible(axis) | new.possible(axis)

    def _text(self, place: int) -> str:
        """What a rule says, definitions written out and lists by what is in them; where `priority` chooses, the place in its order too."""
        cases = self.cases[place >= self.n]
        trees = [cases.written(c.tree) for c in self.rules[place].conditions]
        lists = cases.lists
        named = {n.id for tree in trees for n in s.walk(tree) if isinstance(n, s.Name) and n.id in lists}
        inside = "".join(f" {name} {hash(tuple(lists[name]))}" for name in sorted(named))
        place_in_order = rank(self.rules[place].value, cases.step.priority)
        return " and ".join(map(show, trees)) + inside + " -> " + " by ".join(self.given[place]) + f" {place_in_order}"

    def _reading(self, side: int) -> str:
        step = self.sides[side].step
        return f"{step.hit} {self.sides[side].value(step.default)} {said(step.priority)}"

    def names(self) -> set[str]:
        """Every field and list that is left in the subjects of the rules."""
        from roe.analysis.meaning import named_in

        return {name for axis in self.space.axes for name in named_in(axis.node, self.sides[0].step.entity)}

    def differences(self) -> Iterator[Difference]:
        seen: set[tuple[int | None, int | None]] = set()
        shown: set[tuple[str, ...]] = set()  # a record may be decided by other rules than its box was looked for
        unsure: Difference | None = None
        self.sides[1].finder.work = MOST_WORK
        count = tried = 0
        for old, new, box in self._candidates(seen):
            if self._given(old, 0)[0] == self._given(new, 1)[0]:
                seen.add((old, new))
                self._rename(old, new, box)
                continue
            difference = self._shown(box, old, new)
            tried += difference is None or difference.certainty != PROVEN
            if tried > MOST_TRIED:
                break
            if difference is None:
                continue
            if difference.certainty == PROVEN:
                seen.add((old, new))
                both = (difference.before, difference.after, difference.gives_before, difference.gives_after)
                if both not in shown:
                    shown.add(both)
                    count += 1
                    yield difference
            else:
                unsure = unsure or difference
            if count >= MOST:
                return
        if unsure is not None and not count:
            yield unsure
        if not count and unsure is None and (tried or not self._all_looked_at or (self._exclusive() and self._overlapping())):
            raise Undecided

    def _exclusive(self) -> bool:
        """Whether one of the lists is read otherwise than by its first rule that holds."""
        return any(side.step.hit != "first" for side in self.sides)

    def _candidates(self, seen: Container[tuple[int | None, int | None]]) -> Iterator[tuple[int | None, int | None, Box]]:
        """(the old rule that decides, the new one, where), as lists of first match have it; not those that have been `seen`.

        Within the boxes of changed rules; then wherever no rule holds.
        """
        space, n = self.space, self.n
        olds, news = space.mask(range(n)), space.mask(range(n, len(self.given)))
        if self._given(None, 0) != self._given(None, 1):
            clear = space.clear(space.whole, olds | news)
            if clear is not None:
                yield None, None, clear
        left = MOST_STEPS
        for rule in sorted(self.changed):
            for _, box in space.boxes(rule):
                here = [*self._deciders(box, olds), None]
                there = [*self._deciders(box, news), None]
                for i in here:
                    for j in there:
                        if (i, j) in seen or self._given(i, 0) == self._given(j, 1):
                            continue
                        for piece in self._both(box, i, j):
                            if left < 0:
                                self._all_looked_at = False
                                return
                            avoid = (olds if i is None else space.before(i) & olds) | (news if j is None else space.before(j) & news)
                            clear = space.clear(piece, avoid)
                            left -= space.steps
                            if clear is not None:
                                yield i, j, clear
                                break

    def _deciders(self, box: Box, among: int) -> list[int]:
        return list(dict.fromkeys(self.space.rule_of[b] for b in bits(self.space.touching(box, among))))

    def _both(self, box: Box, i: int | None, j: int | None) -> Iterator[Box]:
        parts = [box]
        for rule in (i, j):
            if rule is not None:
                parts = [inner for part in parts for _, inner in self.space.boxes(rule, part)]
        yield from parts

    def _given(self, place: int | None, side: int) -> Given:
        return self.given[place] if place is not None else self.sides[side].of_rule(None)

    def _name(self, place: int | None) -> str:
        return str(self.rules[place].name) if place is not None else ""

    def _records(self, box: Box) -> Iterator[Witness]:
        """Records in a box: conditions are spelt in the names of the new policy."""
        return self.sides[1].finder.records(self.cases[1], self.space, box)

    def _rename(self, old: int | None, new: int | None, box: Box) -> None:
        """Note that another rule decides, to the same effect, with a record where there is one."""
        if len(self.renamed) < MOST:
            witness = next((w for w in self._records(box) if not w.given), None)
            certainty = PROVEN if witness is not None else POSSIBLE
            self.renamed.append(Difference(self.where, self._name(old), self._name(new), "", "", certainty, witness))

    def _shown(self, box: Box, old: int | None, new: int | None) -> Difference | None:
        """The difference with a record that both evaluators have decided; best one that gets another owner, action, end or sentence."""
        best: Difference | None = None
        for witness in self._records(box):
            one, other = self.sides
            was, now = one.finder.asked(witness, one.chooser), other.finder.asked(witness, other.chooser)
            if was is None or now is None or one.identity(*was) == other.identity(*now):
                continue
            (before, gives_before), (after, gives_after) = one.shown(*was), other.shown(*now)
            certainty = POSSIBLE if witness.given else PROVEN
            difference = Difference(self.where, before, after, gives_before, gives_after, certainty, witness)
            if certainty == PROVEN and self._decides(witness):
                return replace(difference, decides=True)
            if best is None or (best.certainty != PROVEN and certainty == PROVEN):
                best = difference
        if best is None and old is not None and new is not None and not self._exclusive():
            gives = effect(self.rules[old]), effect(self.rules[new])
            return Difference(self.where, self._name(old), self._name(new), *gives, POSSIBLE)
        return best

    def _overlapping(self) -> bool:
        """Whether, where a changed rule holds, another one of its list does, so that first match says nothing of other hit policies."""
        return any((a < self.n) == (b < self.n) and {a, b} & self.changed for a, b, _ in self.space.overlaps())
