"""Cases that a list of rules leaves out: any at all, and those that lie beside or between cases that it covers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from roe.analysis.axis import Axis
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.verdicts import MOST, MOST_TRIED, POSSIBLE, UNDECIDED, RuleTable, Verdict, timely
from roe.grammar.closures import compile_expression
from roe.plan.bitsets import bits
from roe.plan.cells import ELSE

if TYPE_CHECKING:
    from roe.evaluator.row import Row


def uncovered(table: RuleTable) -> Iterator[Verdict]:
    """A case that no rule of the list holds for, if there is one."""
    space = table.cases.space
    whole = [table.cases.natural(axis) & cells for axis, cells in zip(space.axes, space.whole, strict=True)]
    try:
        box = space.clear(whole, space.everything)
    except Undecided:
        yield Verdict((), UNDECIDED)
        return
    if box is not None:
        if table.relates_fields and table.impossible((), range(len(table.step.rules))):
            return
        left_out = _left_out(table, space, space.grown(box, space.everything))
        yield left_out or Verdict((), POSSIBLE, touches=_inside(table, space, space.whole))


def gaps(table: RuleTable, within: Callable[[Axis], bool], inner: bool) -> Iterator[Verdict]:
    """Cases that are left out beside cases that are covered: they differ in one subject alone, one that `within` names.

    With `inner`, only what lies between two covered cases.
    """
    count = tried = 0
    for space in table.spaces:
        known: list[Box] = []  # of which all is said: what is left out there, or that nothing is
        covered = [_covered(space, i) for i in range(len(space.axes))]
        for rule, box, i, cells in _beside(space, within, inner):
            whole = [*box[:i], cells & ~covered[i], *box[i + 1 :]]
            if not whole[i]:
                continue
            natural = [table.cases.natural(axis) & c for axis, c in zip(space.axes, whole, strict=True)]
            narrow = [c if k == i else _known_cells(axis, c) for k, (axis, c) in enumerate(zip(space.axes, natural, strict=True))]
            for piece in minus(narrow, known):
                try:
                    clear = space.clear(piece, space.everything)
                except Undecided:
                    yield Verdict((rule,), UNDECIDED)
                    return
                if clear is None:
                    known.append(piece)
                    continue
                left = [a & b for a, b in zip(space.grown(clear, space.everything), natural, strict=True)]
                known.append(left)
                verdict = _left_out(table, space, left, rule)
                tried += verdict is None
                if verdict is not None:
                    count += 1
                    verdict.span = table.span(space.axes[i], left[i])
                    yield verdict
                break
            if count >= MOST or tried > MOST_TRIED:
                return


def _covered(space: Space, i: int) -> int:
    """The cells of an axis in which some rule holds that asks for nothing else: they leave no case out, however long the table is."""
    alone = space.axes[i].uses
    for axis in (*space.axes[:i], *space.axes[i + 1 :]):
        alone &= ~axis.uses
    return space.axes[i].held_by(alone)


def _beside(space: Space, within: Callable[[Axis], bool], inner: bool) -> Iterator[tuple[int, Box, int, int]]:
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


def _left_out(table: RuleTable, space: Space, box: Box, rule: int | None = None) -> Verdict | None:
    """A record of the box for which no rule holds."""
    return table.shown(
        space,
        box,
        () if rule is None else (rule,),
        lambda witness: table.finder.holding(witness, table.chooser) == (),
        _inside(table, space, box),
    )


def _inside(table: RuleTable, space: Space, box: Box) -> Callable[[Row], bool]:
    """Whether a record lies in a box, whatever day it is, and no rule holds for it."""
    asked = [(compile_expression(axis.node), axis, cells) for axis, cells in zip(space.axes, box, strict=True) if not timely(axis)]

    def inside(row: Row) -> bool:
        scope = row.world.scope(row)
        for code, axis, cells in asked:
            cell = axis.cell_of(code(scope))
            if cell is not None and not cells >> cell & 1:
                return False
        return any(map(timely, space.axes)) or not any(table.chooser.truth(i, scope) is True for i in range(len(table.step.rules)))

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
        pieces: list[Box] = []
        for piece in left:
            if not all(a & b for a, b in zip(piece, other, strict=True)):
                pieces.append(piece)
                continue
            inner = list(piece)
            for i, cells in enumerate(other):
                if inner[i] & ~cells:
                    pieces.append([*inner[:i], inner[i] & ~cells, *inner[i + 1 :]])
                inner[i] &= cells
        left = pieces
    return left
