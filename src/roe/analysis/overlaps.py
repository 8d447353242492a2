"""Rules that hold for one record where a list allows one row: overlaps, ends that touch, and periods that run into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from roe.analysis.space import Box, Space
from roe.analysis.verdicts import MOST_TRIED, POSSIBLE, RuleTable, Verdict, ordered, timely


def overlaps(table: RuleTable, counts: Callable[[int, int], bool] = lambda a, b: True) -> Iterator[Verdict]:
    """Pairs of rules that hold for one record, the later first."""
    seen: set[tuple[int, int]] = set()
    tried = 0
    for space in table.spaces:
        natural = [table.cases.natural(axis) & cells for axis, cells in zip(space.axes, space.whole, strict=True)]
        for later, earlier, box in space.overlaps(natural):
            if (later, earlier) in seen or not counts(later, earlier) or tried > MOST_TRIED:
                continue
            tried += 1
            verdict = _both_hold(table, space, box, later, earlier)
            if verdict is None or (verdict.certainty == POSSIBLE and table.impossible((later, earlier), ())):
                continue
            tried -= 1
            seen.add((later, earlier))
            yield verdict


def touching(table: RuleTable) -> Iterator[tuple[int, int, Verdict]]:
    """Pairs of rules that test one ordered subject and nothing else, and share a single value of it: the end of one is in the other."""
    for space in table.spaces:
        for later, earlier, _ in space.overlaps():
            shared = _shared_end(space, space.bits_of(later), space.bits_of(earlier))
            if shared is None:
                continue
            at, cell = shared
            box = [cell if i == at else cells for i, cells in enumerate(space.whole)]
            verdict = _both_hold(table, space, box, later, earlier)
            if verdict is not None:
                verdict.span = table.span(space.axes[at], cell)
                yield later, earlier, verdict


def _shared_end(space: Space, one: Sequence[int], other: Sequence[int]) -> tuple[int, int] | None:
    """(the axis, its cell) of the one value that two rules share, each given by its bits; None where they share more, or test more."""
    tested = [i for i, axis in enumerate(space.axes) if any(axis.uses >> b & 1 for b in (*one, *other))]
    if len(one) != 1 or len(other) != 1 or len(tested) != 1 or not ordered(space.axes[tested[0]]):
        return None
    axis, at = space.axes[tested[0]], tested[0]
    a, b = axis.holding(one[0]) & space.whole[at], axis.holding(other[0]) & space.whole[at]
    common = a & b
    is_one_cell = not common & (common - 1)
    if not is_one_cell or not a & ~common or not b & ~common:
        return None
    is_end = axis.values[common.bit_length() - 1] in axis.points and common != 1  # the first cell is that of missing values
    return (at, common) if is_end else None


def run_into(table: RuleTable) -> Iterator[tuple[int, int, str, Verdict]]:
    """Pairs of rules that differ in their days alone, whose periods overlap, and neither is part of the other; with the days."""
    for space in table.spaces:
        day = next((i for i, axis in enumerate(space.axes) if timely(axis)), None)
        for later, earlier, _ in space.overlaps() if day is not None else ():
            assert day is not None
            one, other = (next((b for _, b in space.boxes(r)), None) for r in (later, earlier))
            if one is None or other is None or _without(one, day) != _without(other, day):
                continue
            common = one[day] & other[day]
            if common and one[day] & ~common and other[day] & ~common:
                verdict = _both_hold(table, space, [*one[:day], common, *one[day + 1 :]], later, earlier)
                if verdict is not None:
                    yield later, earlier, table.span(space.axes[day], common), verdict


def _without(box: Box, axis: int) -> Box:
    return [*box[:axis], *box[axis + 1 :]]


def _both_hold(table: RuleTable, space: Space, box: Box, later: int, earlier: int) -> Verdict | None:
    """A record of the box for which both rules hold."""
    rules = (later, earlier)
    return table.shown(
        space,
        box,
        rules,
        lambda witness: table.finder.meets(witness, table.chooser, rules),
        lambda row: table.all_hold(row, rules),
    )
