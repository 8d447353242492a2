"""What the rules of one policy can and cannot do: rules that never fire, overlaps, gaps, redundant rules; each proven or shown.

*Proven* is what holds in every cell of the rules' space, and what a witness shows that the evaluator has decided. *Possible* is what
happens in a cell for which no record was found without giving it a computed field. *Undecided* is what took more steps than a budget.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from roe.plan.bitsets import bits
from roe.plan.index import ELSE
from roe.plan.operators import Choose

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.row import Row

PROVEN, POSSIBLE, UNDECIDED = "proven", "possible", "undecided"
MOST = 20  # findings of one kind in one table; a table that is wrong everywhere needs no longer list
MOST_RELATING = 300  # rules of a list in which a solver is asked
MOST_TRIED = 50  # boxes of one table that are tried for a kind of finding without success


@dataclass(slots=True)
class Verdict:
    """What was found: of `rules` (numbers), with a witness; `touches` says which records of the data it is about."""

    rules: tuple[int, ...]
    certainty: str
    witness: Witness | None = None
    others: tuple[int, ...] = ()
    span: str = ""  # of a gap in time or in numbers: from where to where
    touches: Callable[[Row], bool] | None = field(default=None, repr=False)


class Table:
    """One `Choose` under analysis."""

    def __init__(self, finder: Finder, step: Choose, chooser: Chooser) -> None:
        self.finder, self.step, self.chooser = finder, step, chooser
        self.cases = Cases(finder.policy, step)

    @cached_property
    def spaces(self) -> list[Space]:
        with uncollected():
            return [space for space in self.cases.spaces() if space.rule_of]

    # --- first match ------------------------------------------------------------------------------------------------

    def never(self) -> Sequence[Verdict]:
        """Rules that never decide a record: `others` cover them together; none, where no record meets their conditions at all."""
        return self._never

    @cached_property
    def _never(self) -> list[Verdict]:
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
                yield Verdict((rule,), PROVEN, touches=self._holds(rule))

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
        return Verdict(tuple(repeats), PROVEN, None, tuple(dict.fromkeys(repeats.values())), touches=self._holds(min(repeats)))

    # --- where conditions relate two fields -------------------------------------------------------------------------

    @cached_property
    def _relating(self) -> list[bool]:
        """Of each rule whether it sets fields beside each other, which cells know nothing of."""
        if len(self.step.rules) > MOST_RELATING:
            return [False] * len(self.step.rules)
        return [any(smt.relates(self.cases.writer(c.tree)) for c in rule.conditions) for rule in self.step.rules]

    @cached_property
    def _relates(self) -> bool:
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
        if not self._relates:
            return False
        earlier = range(rule) if self.step.hit == "first" else ()
        return (self._relating[rule] or any(self._relating[i] for i in earlier)) and self.impossible([rule], earlier)

    def _covered_by_smt(self, rule: int) -> Verdict:
        """Of a rule whose cells are open and that still decides nothing: as few of the rules before it as it takes, or none."""
        covering = [] if self.impossible([rule], ()) else list(range(rule))
        for other in reversed(covering):
            fewer = [i for i in covering if i != other]
            covering = fewer if self.impossible([rule], fewer) else covering
        return Verdict((rule,), PROVEN, None, tuple(covering), touches=self._holds(rule))

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
        return Verdict((rule,), PROVEN, shown, tuple(sorted(covering)), touches=self._holds(rule))

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

    def dead_values(self) -> Iterator[tuple[Verdict, Axis, Any]]:
        """Texts that a row lists, and that an earlier row takes whatever else holds, while other texts of the row do decide."""
        seen: set[tuple[int, str, Any]] = set()
        for space in self.spaces:
            for rule in space.rules:
                for i, axis in enumerate(space.axes):
                    for _, box in space.boxes(rule):
                        named = [c for c in bits(box[i]) if isinstance(axis.values[c], str) and axis.values[c] in axis.points]
                        if len(named) < 2 or box[i] != sum(1 << c for c in named):
                            continue
                        parts = {c: [*box[:i], 1 << c, *box[i + 1 :]] for c in named}
                        try:
                            dead = [c for c, part in parts.items() if space.clear(part, space.before(rule)) is None]
                        except Undecided:
                            continue
                        for c in dead if len(dead) < len(named) else ():
                            key = (rule, axis.key, axis.values[c])
                            by = [r for r in space.rules if r < rule and space.clear(parts[c], space.mask([r])) is None]
                            if by and key not in seen:
                                seen.add(key)
                                yield (
                                    Verdict((rule,), PROVEN, None, (by[0],), touches=self._with(rule, axis, axis.values[c])),
                                    axis,
                                    axis.values[c],
                                )

    def _with(self, rule: int, axis: Axis, value: Any) -> Callable[[Row], bool]:
        code = compile_expression(axis.node)
        return lambda row: code(row.world.scope(row)) == value and self._holds(rule)(row)

    # --- tables that allow one row ----------------------------------------------------------------------------------

    def overlaps(self, counts: Callable[[int, int], bool] = lambda a, b: True) -> Iterator[Verdict]:
        """Pairs of rules that hold for one record, the later first."""
        seen: set[tuple[int, int]] = set()
        tried = 0
        for space in self.spaces:
            natural = [self.cases.natural(axis) & cells for axis, cells in zip(space.axes, space.whole, strict=True)]
            for later, earlier, box in space.overlaps(natural):
                if (later, earlier) in seen or not counts(later, earlier) or tried > MOST_TRIED:
                    continue
                tried += 1
                found = self._both(space, box, later, earlier)
                if found is not None and found.certainty == POSSIBLE and self.impossible((later, earlier), ()):
                    continue
                if found is not None:
                    tried -= 1
                    seen.add((later, earlier))
                    yield found

    def _both(self, space: Space, box: Box, later: int, earlier: int) -> Verdict | None:
        given: Verdict | None = None
        for witness in self.finder.records(self.cases, space, box):
            if self.finder.meets(witness, self.chooser, (later, earlier)):
                found = Verdict(
                    (later, earlier), POSSIBLE if witness.given else PROVEN, witness, touches=lambda row: self._all(row, (later, earlier))
                )
                if not witness.given:
                    return found
                given = given or found
        return given

    def touching(self) -> Iterator[tuple[int, int, Verdict]]:
        """Pairs of rules that test one ordered subject and nothing else, and share a single value of it: the end of one is in the other."""
        for space in self.spaces:
            for later, earlier, _ in space.overlaps():
                one, other = (space.bits_of(r) for r in (later, earlier))
                tested = [i for i, axis in enumerate(space.axes) if any(axis.uses >> b & 1 for b in (*one, *other))]
                if len(one) != 1 or len(other) != 1 or len(tested) != 1 or not ordered(space.axes[tested[0]]):
                    continue
                axis, at = space.axes[tested[0]], tested[0]
                a, b = axis.holding(one[0]) & space.whole[at], axis.holding(other[0]) & space.whole[at]
                common = a & b
                if (
                    common & (common - 1)
                    or not a & ~common
                    or not b & ~common
                    or axis.values[common.bit_length() - 1] not in axis.points
                    or common == 1
                ):
                    continue
                found = self._both(space, [common if i == at else cells for i, cells in enumerate(space.whole)], later, earlier)
                if found is not None:
                    found.span = self._span(axis, common)
                    yield later, earlier, found

    def decides(self, rule: int) -> Callable[[Row], bool]:
        return lambda row: rule in self.chooser(row.world.scope(row)).fired

    def run_into(self) -> Iterator[tuple[int, int, str, Verdict]]:
        """Pairs of rules that differ in their days alone, whose periods overlap, and neither is part of the other; with the days."""
        for space in self.spaces:
            day = next((i for i, axis in enumerate(space.axes) if timely(axis)), None)
            for later, earlier, _ in space.overlaps() if day is not None else ():
                assert day is not None
                one, other = (next((b for _, b in space.boxes(r)), None) for r in (later, earlier))
                if (
                    one is None
                    or other is None
                    or [c for i, c in enumerate(one) if i != day] != [c for i, c in enumerate(other) if i != day]
                ):
                    continue
                common = one[day] & other[day]
                if common and one[day] & ~common and other[day] & ~common:
                    found = self._both(space, [*one[:day], common, *one[day + 1 :]], later, earlier)
                    if found is not None:
                        yield later, earlier, self._span(space.axes[day], common), found

    # --- what is left out -------------------------------------------------------------------------------------------

    def uncovered(self) -> Iterator[Verdict]:
        """A case that no rule of the list holds for, if there is one."""
        space = self.cases.space
        whole = [self.cases.natural(axis) & cells for axis, cells in zip(space.axes, space.whole, strict=True)]
        try:
            box = space.clear(whole, space.everything)
        except Undecided:
            yield Verdict((), UNDECIDED)
            return
        if box is not None:
            if self._relates and self.impossible((), range(len(self.step.rules))):
                return
            found = self._left_out(space, space.grown(box, space.everything), None)
            yield found or Verdict((), POSSIBLE, touches=self._inside(space, space.whole))

    def gaps(self, within: Callable[[Axis], bool], inner: bool) -> Iterator[Verdict]:
        """Cases that are left out beside cases that are covered: they differ in one subject alone, one that `within` names.

        With `inner`, only what lies between two covered cases.
        """
        count = tried = 0
        for space in self.spaces:
            known: list[Box] = []
            for rule, box, i, cells in self._beside(space, within, inner):
                whole = [*box[:i], cells, *box[i + 1 :]]
                natural = [self.cases.natural(axis) & c for axis, c in zip(space.axes, whole, strict=True)]
                narrow = [c if k == i else _known_cells(axis, c) for k, (axis, c) in enumerate(zip(space.axes, natural, strict=True))]
                for part in minus(narrow, known):
                    try:
                        found = space.clear(part, space.everything)
                    except Undecided:
                        yield Verdict((rule,), UNDECIDED)
                        return
                    if found is None:
                        continue
                    left = [a & b for a, b in zip(space.grown(found, space.everything), natural, strict=True)]
                    known.append(left)
                    verdict = self._left_out(space, left, (i, left[i]), rule)
                    tried += verdict is None
                    if verdict is not None:
                        count += 1
                        yield verdict
                    break
                if count >= MOST or tried > MOST_TRIED:
                    return

    def _beside(self, space: Space, within: Callable[[Axis], bool], inner: bool) -> Iterator[tuple[int, Box, int, int]]:
        """(a rule, where it holds, an axis, the cells there that are to be looked at)."""
        asked = [i for i, axis in enumerate(space.axes) if within(axis)]
        for bit, rule in enumerate(space.rule_of) if asked else ():
            box = space.box(bit)
            if box is None:
                continue
            for i in asked:
                other = space.whole[i] & ~box[i] & ~1
                if not other:
                    continue
                if not inner:
                    yield rule, box, i, other
                    continue
                above = other & -(1 << box[i].bit_length())
                reach = [*box[:i], above, *box[i + 1 :]]
                for beyond in bits(space.touching(reach, space.everything)) if above else ():
                    shared = space.box(beyond, reach)
                    between = above & ((shared[i] & -shared[i]) - 1) if shared is not None else 0
                    if shared is not None and between:
                        yield rule, [*shared[:i], box[i], *shared[i + 1 :]], i, between

    def _left_out(self, space: Space, box: Box, along: tuple[int, int] | None, rule: int | None = None) -> Verdict | None:
        given: Verdict | None = None
        rules = () if rule is None else (rule,)
        for witness in self.finder.records(self.cases, space, box):
            if self.finder.holding(witness, self.chooser) == ():
                span = "" if along is None else self._span(space.axes[along[0]], along[1])
                found = Verdict(rules, POSSIBLE if witness.given else PROVEN, witness, span=span, touches=self._inside(space, box))
                if not witness.given:
                    return found
                given = given or found
        return given

    def _span(self, axis: Axis, cells: int) -> str:
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

    def _holds(self, rule: int) -> Callable[[Row], bool]:
        return lambda row: self.chooser.truth(rule, row.world.scope(row)) is True

    def _all(self, row: Row, rules: Iterable[int]) -> bool:
        scope = row.world.scope(row)
        return all(self.chooser.truth(rule, scope) is True for rule in rules)

    def _inside(self, space: Space, box: Box) -> Callable[[Row], bool]:
        """Whether a record lies in a box, whatever day it is, and no rule holds for it."""
        asked = [(compile_expression(axis.node), axis, cells) for axis, cells in zip(space.axes, box, strict=True) if not timely(axis)]

        def inside(row: Row) -> bool:
            scope = row.world.scope(row)
            for code, axis, cells in asked:
                cell = axis.cell_of(code(scope))
                if cell is not None and not cells >> cell & 1:
                    return False
            return any(map(timely, space.axes)) or not any(self.chooser.truth(i, scope) is True for i in range(len(self.step.rules)))

        return inside


def _known_cells(axis: Axis, cells: int) -> int:
    """The cells of values that rules name, if there are any: that a value is missing, or that nobody names it, is a case of its own."""
    named = cells & ~1
    if axis.values[-1] is ELSE:
        named &= ~(1 << len(axis.values) - 1)
    return named or cells & ~1 or cells


def minus(box: Box, others: Iterable[Box]) -> list[Box]:
    """What is left of a box without some others, in boxes that share nothing."""
    left = [box] if all(box) else []
    for other in others:
        parts: list[Box] = []
        for piece in left:
            if not all(a & b for a, b in zip(piece, other, strict=True)):
                parts.append(piece)
                continue
            inner = list(piece)
            for i, cells in enumerate(other):
                if inner[i] & ~cells:
                    parts.append([*inner[:i], inner[i] & ~cells, *inner[i + 1 :]])
                inner[i] &= cells
        left = parts
    return left


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
