"""A subject of the partition index and its cells: the values between and at the constants of the rules.

A cell holds two bitsets over the rules' alternatives, made when the cell is first met: a table of 40,000 keys costs two dictionary entries
a key until somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import datetime, time

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions import BY_NAME
from roe.grammar.scopes import Code
from roe.plan.subjects import Test, Truth, key_of, places_of

Masks = tuple[int, int]  # (true, not false), over alternatives
ELSE: object = object()  # some value that no constant of a subject is
PLAIN = ("number", "string", "date")  # kinds whose order is Python's own
MOST_POINTS = 1_000  # constants of a subject each of which is a cell of its own in analysis
MAX_KEPT_BITS = 1 << 28  # of the bitsets that a subject keeps; those of further keys are made again when they are met


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
        self._dynamic: Callable[[object], Masks] = lambda value: self._masks(rest, ((b, t.condition(value)) for b, t in tests))
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
        cuts = sorted(unique.values(), key=None if self.kind in PLAIN else v.in_order)
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
            cells: list[tuple[object, int, bool]] = [(None, self._null[0], True)]
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

    def masks(self, value: object) -> Masks:
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

    def point_masks(self, key: object) -> Masks:
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
