"""What the rules of one policy can and cannot do: rules that never fire, overlaps, gaps, redundant rules; each proven or shown.

*Proven* is what holds in every cell of the rules' space, and what a witness shows that the evaluator has decided. *Possible* is what
happens in a cell for which no record was found without giving it a computed field. *Undecided* is what took more steps than a budget.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from roe.analysis import smt
from roe.analysis.axis import Axis
from roe.analysis.cases import Cases
from roe.analysis.finder import Finder
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.witness import Witness, path_of
from roe.files import uncollected
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.node import node
from roe.plan.bitsets import bits
from roe.plan.operators import Choose

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.row import Row

PROVEN, POSSIBLE, UNDECIDED = "proven", "possible", "undecided"
MOST = 20  # findings of one kind in one table; a table that is wrong everywhere needs no longer list
MOST_RELATING = 300  # rules of a list in which a solver is asked
MOST_TRIED = 50  # boxes of one table that are tried for a kind of finding without success


@node(frozen=False)
class Verdict:
    """What was found: of `rules` (numbers), with a witness; `touches` says which records of the data it is about."""

    rules: tuple[int, ...]
    certainty: str
    witness: Witness | None = None
    others: tuple[int, ...] = ()
    span: str = ""  # of a gap in time or in numbers: from where to where
    touches: Callable[[Row], bool] | None = field(default=None, repr=False)


class RuleTable:
    """One `Choose` under analysis."""

    def __init__(self, finder: Finder, step: Choose, chooser: Chooser) -> None:
        self.finder, self.step, self.chooser = finder, step, chooser
        self.cases = Cases(finder.policy, step)

    @cached_property
    def spaces(self) -> list[Space]:
        with uncollected():
            return [space for space in self.cases.spaces() if space.rule_of]

    # --- first match ------------------------------------------------------------------------------------------------

    @cached_property
    def never(self) -> Sequence[Verdict]:
        """Rules that never decide a record: `others` cover them together; none, where no record meets their conditions at all."""
        return list(self._find_never())

    def _find_never(self) -> Iterator[Verdict]:
        fires: set[int] = set()
        doubtful: set[int] = set()
        meets: set[int] = set()
        for space in self.spaces:
            for rule in space.rules:
                if rule in fires:
                    continue
                if rule not in meets and any(True for _ in space.boxes(rule)):
                    meets.add(rule)
                try:
                    if space.fires(rule) if self.step.hit == "first" else next(space.boxes(rule), None) is not None:
                        fires.add(rule)
                except Undecided:
                    doubtful.add(rule)
        for rule in range(len(self.step.rules)):
            if rule in self.cases.repeats:
                continue  # see `repeated`
            if rule in fires:
                if self._never_by_smt(rule):
                    yield self._covered_by_smt(rule)
            elif rule in doubtful:
                yield Verdict((rule,), UNDECIDED)
            elif rule in meets:
                yield self._covered(rule)
            else:
                yield Verdict((rule,), PROVEN, touches=self.holds(rule))

    def never_or_always(self, rule: int, tree: s.Node) -> tuple[bool, bool]:
        """Whether a condition of a rule is true of no record, and whether it is true of every one."""
        test = self.cases.test_of(tree)
        if test is not None and len(self.spaces) == 1 and not self.spaces[0].partial:
            space = self.spaces[0]
            for bit in space.bits_of(rule):  # most conditions are the rule's only test of a subject, whose cells are known
                at = next((i for i, axis in enumerate(space.axes) if self.cases.rows[bit][1].get(axis.key) is test), None)
                if at is not None:
                    holds = space.axes[at].holding(bit) & space.whole[at]
                    return not holds, holds == space.whole[at]
        space = self.cases.space_of(tree)
        if not any(True for number in space.rules for _ in space.boxes(number)):
            return True, False
        return False, bool(space.axes) and space.clear(space.whole, space.everything) is None

    def repeated(self) -> Verdict | None:
        """All rules that repeat the conditions of an earlier one, if they are many: `others` are those that they repeat."""
        repeats = self.cases.repeats
        if not repeats:
            return None
        return Verdict(tuple(repeats), PROVEN, None, tuple(dict.fromkeys(repeats.values())), touches=self.holds(min(repeats)))

    # --- where conditions relate two fields -------------------------------------------------------------------------

    @cached_property
    def _relating(self) -> list[bool]:
        """Of each rule whether it sets fields beside each other, which cells know nothing of."""
        if len(self.step.rules) > MOST_RELATING:
            return [False] * len(self.step.rules)
        return [any(smt.relates(self.cases.writer(c.tree)) for c in rule.conditions) for rule in self.step.rules]

    @cached_property
    def relates_fields(self) -> bool:
        return any(self._relating)

    @cached_property
    def _relations(self) -> smt.Relations:
        trees = [s.And(tuple(t for c in rule.conditions for t in s.conjuncts(c.tree))) for rule in self.step.rules]
        return smt.Relations(self.cases, trees)

    def impossible(self, holds: Iterable[int], fails: Iterable[int]) -> bool:
        """Whether a solver proves that no record meets these rules' conditions, and not those; False without one."""
        holds, fails = list(holds), list(fails)
        if not any(self._relating[i] for i in (*holds, *fails)) or not smt.available():
            return False
        return self._relations.impossible(holds, fails)

    def _never_by_smt(self, rule: int) -> bool:
        if not self.relates_fields:
            return False
        earlier = range(rule) if self.step.hit == "first" else ()
        return (self._relating[rule] or any(self._relating[i] for i in earlier)) and self.impossible([rule], earlier)

    def _covered_by_smt(self, rule: int) -> Verdict:
        """Of a rule whose cells are open and that still decides nothing: as few of the rules before it as it takes, or none."""
        covering = [] if self.impossible([rule], ()) else list(range(rule))
        for other in reversed(covering):
            fewer = [i for i in covering if i != other]
            covering = fewer if self.impossible([rule], fewer) else covering
        return Verdict((rule,), PROVEN, None, tuple(covering), touches=self.holds(rule))

    def _covered(self, rule: int) -> Verdict:
        covering: list[int] = []
        shown: Witness | None = None
        for space in self.spaces:
            if rule not in space.rules:
                continue
            covering += [r for r in space.covering(rule) if r not in covering]
            boxes = (box for _, box in itertools.islice(space.boxes(rule), 3))
            witnesses = (witness for box in boxes for witness in self.finder.records(self.cases, space, box))
            shown = shown or next((witness for witness in witnesses if self._taken(witness, rule, covering)), None)
        return Verdict((rule,), PROVEN, shown, tuple(sorted(covering)), touches=self.holds(rule))

    def _taken(self, witness: Witness, rule: int, covering: Iterable[int]) -> bool:
        """Whether a rule holds for a record, and an earlier one decides it: most often one of those that cover the rule."""
        row = self.finder.row(witness)
        if row is None:
            return False
        scope = row.world.scope(row)
        if self.chooser.truth(rule, scope) is not True:
            return False
        return any(self.chooser.truth(i, scope) is True for i in itertools.chain(covering, range(rule)))

    def redundant(self, does: Sequence[str], default: str) -> Iterator[Verdict]:
        """Rules that decide records, and without which nothing would be decided otherwise: `does` says what each does, `default` what is
        done where none holds.
        """
        needed: set[int] = set()
        fires: set[int] = set()
        for space in self.spaces:
            alike: dict[str, int] = {}
            for bit, rule in enumerate(space.rule_of):
                alike[does[rule]] = alike.get(does[rule], 0) | 1 << bit
            for rule in space.rules:
                if rule in needed:
                    continue
                try:
                    if not space.fires(rule):
                        continue
                    fires.add(rule)
                    if space.differing(rule, alike[does[rule]], does[rule] == default) is not None:
                        needed.add(rule)
                except Undecided:
                    needed.add(rule)
        for rule in sorted(fires - needed):
            yield Verdict((rule,), PROVEN, self._decided(rule), touches=self.decides(rule))

    def _decided(self, rule: int) -> Witness | None:
        """A record that a rule decides."""
        for space in self.spaces:
            box = space.firing(rule) if rule in space.rules else None
            for witness in self.finder.records(self.cases, space, box) if box is not None else ():
                fired = self.finder.asked(witness, self.chooser)
                if fired is not None and fired[0] == (rule,) and not witness.given:
                    return witness
        return None

    def dead_values(self) -> Iterator[tuple[Verdict, Axis, object]]:
        """Texts that a row lists, and that an earlier row takes whatever else holds, while other texts of the row do decide."""
        seen: set[tuple[int, str, object]] = set()
        for space in self.spaces:
            for rule in space.rules:
                for i, axis in enumerate(space.axes):
                    for _, box in space.boxes(rule):
                        for cell, taken_by in _dead_cells(space, rule, i, box):
                            key = (rule, axis.key, axis.values[cell])
                            if key not in seen:
                                seen.add(key)
                                touches = self._with(rule, axis, axis.values[cell])
                                yield Verdict((rule,), PROVEN, None, (taken_by,), touches=touches), axis, axis.values[cell]

    def _with(self, rule: int, axis: Axis, value: object) -> Callable[[Row], bool]:
        code = compile_expression(axis.node)
        return lambda row: code(row.world.scope(row)) == value and self.holds(rule)(row)

    def decides(self, rule: int) -> Callable[[Row], bool]:
        return lambda row: rule in self.chooser(row.world.scope(row)).fired

    # --- what a record shows ----------------------------------------------------------------------------------------

    def shown(
        self,
        space: Space,
        box: Box,
        rules: tuple[int, ...],
        passes: Callable[[Witness], bool],
        touches: Callable[[Row], bool],
        completed: Callable[[Witness], Witness] = lambda witness: witness,
    ) -> Verdict | None:
        """A record of the box that passes, once completed: proven by one that can exist, else possible by one whose computed fields were given."""
        possible: Verdict | None = None
        for witness in map(completed, self.finder.records(self.cases, space, box)):
            if passes(witness):
                verdict = Verdict(rules, POSSIBLE if witness.given else PROVEN, witness, touches=touches)
                if not witness.given:
                    return verdict
                possible = possible or verdict
        return possible

    def span(self, axis: Axis, cells: int) -> str:
        """Neighbouring cells of an ordered axis in words: days up to the first beyond them, numbers with their bounds."""
        run = list(bits(cells))
        if not axis.ordered() or run != list(range(run[0], run[-1] + 1)):
            return ""
        first, last = axis.values[run[0]], axis.values[run[-1]]
        below, above = axis.values[run[0] - 1], axis.values[run[-1] + 1] if run[-1] + 1 < len(axis.values) else None
        if type(first) is date:
            begin = first if first in axis.points else below
            return f"from {begin} to {above}" if begin is not None and above is not None else ""
        if not v.is_number(first):
            return ""
        path = path_of(axis.node, self.step.entity)
        name = ".".join(path) if path else axis.key
        if len(run) == 1 and first in axis.points:
            return f"{name} = {v.literal(first)}"
        low = f"{name} >= {v.literal(first)}" if first in axis.points else f"{name} > {v.literal(below)}" if below is not None else ""
        high = f"{name} <= {v.literal(last)}" if last in axis.points else f"{name} < {v.literal(above)}" if above is not None else ""
        return " and ".join(filter(None, (low, high)))

    # --- records of the data ----------------------------------------------------------------------------------------

    def holds(self, rule: int) -> Callable[[Row], bool]:
        return lambda row: self.chooser.truth(rule, row.world.scope(row)) is True

    def all_hold(self, row: Row, rules: Iterable[int]) -> bool:
        scope = row.world.scope(row)
        return all(self.chooser.truth(rule, scope) is True for rule in rules)


def _dead_cells(space: Space, rule: int, at: int, box: Box) -> Iterator[tuple[int, int]]:
    """(cell, an earlier rule that takes it) of the texts that a box names on one axis, unless all of them are taken."""
    axis = space.axes[at]
    named = [c for c in bits(box[at]) if isinstance(axis.values[c], str) and axis.values[c] in axis.points]
    if len(named) < 2 or box[at] != sum(1 << c for c in named):
        return
    pieces = {c: [*box[:at], 1 << c, *box[at + 1 :]] for c in named}
    try:
        dead = [c for c, piece in pieces.items() if space.clear(piece, space.before(rule)) is None]
    except Undecided:
        return
    for c in dead if len(dead) < len(named) else ():
        taken_by = next((r for r in space.rules if r < rule and space.clear(pieces[c], space.mask([r])) is None), None)
        if taken_by is not None:
            yield c, taken_by


def closed(cases: Cases) -> Callable[[Axis], bool]:
    """Which axes are fields whose values are all known: numbers, days, declared texts, true and false."""

    def known(axis: Axis) -> bool:
        path = path_of(axis.node, cases.entity)
        if path is None or timely(axis):
            return False
        values, _ = cases.domain(axis)
        return values is not None or ordered(axis) or any(isinstance(x, bool) for x in axis.values)

    return known


def ordered(axis: Axis) -> bool:
    """An axis of numbers or days."""
    return axis.ordered() and len(axis.values) > 1 and not isinstance(axis.values[-1], str)


def timely(axis: Axis) -> bool:
    """The axis of days."""
    return axis.key == "today"
