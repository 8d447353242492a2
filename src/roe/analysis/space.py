"""Everything that a rule set can be asked about, as boxes of cells: what fires, what is covered, what is left out.

Every subject of the partition index is an *axis*, its cells are places on it, and a rule (each of its alternatives) is a *box*: the
cells, axis by axis, in which it is true. Whatever a record is, it lies in one cell of every axis. So what holds in all cells holds for
all records, and is proven; what holds in some cell is a candidate, which `finder.py` makes a record of.

One question carries all others: `clear(box, avoid)`, a part of a box that none of some boxes touches. It is answered as a
satisfiability solver would: a box that must be left by its only open axis is left at once, and only then is there a choice. Sets of
boxes are integers, so a step costs a few ANDs however many rules there are.

A table of many keys (ZIP codes, domains) is taken apart at its key first: `spaces` gives a small space for each cell of that axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from roe.analysis.axis import Axis
from roe.analysis.date_cells import date_axis
from roe.analysis.dates import DateTest, both_of, of_missing
from roe.analysis.joined import JoinedAxis
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.plan.bitsets import bits
from roe.plan.cells import ELSE, Subject
from roe.plan.subjects import Test, key_of, places_of

BUDGET = 20_000  # steps of one question
SPLIT_FROM = 200  # rules from which a table is taken apart at a key
MOST_COMMON = 64  # rules that are true away from all keys, up to which taking apart pays

MOST_WORK = 4  # times the rules, in all parts together, up to which it pays

Alternative = tuple[int, Mapping[str, Test]]  # (the number of a rule, its tests by subject)
Box = list[int]  # per axis the set of its cells
Possible = Callable[[Axis], int]  # the cells of an axis that can occur
Joining = Callable[[Sequence[Axis], Possible], list[Axis]]  # axes, those put together that belong together; see `together.py`


class Undecided(Exception):
    """A question took more steps than its budget."""


def _two_valued(tests: list[tuple[int, Test]], key: str) -> Iterator[tuple[str, Subject]]:
    """A subject whose constants are of several kinds: each of its tests as a subject of its own, true or not."""
    for number, (bit, test) in enumerate(tests):
        own = Test(test.subject, (True, False), (True, False), (), None, None, test.condition)
        yield f"{key} ({number})", Subject(test.subject, [(bit, own)], 1 << bit, lambda scope: None)


def _with_dates(by_subject: dict[str, list[tuple[int, Test]]]) -> dict[str, list[tuple[int, Test]]]:
    """The tests by subject; whether a date is missing is asked where the date stands beside another, if it does."""
    made = dict(by_subject)
    for key, tested in by_subject.items():
        first = tested[0][1]
        if not isinstance(first, DateTest):
            continue
        for which, date in enumerate(first.subject.items):  # type: ignore[union-attr]
            alone = made.get(show(date), ())
            if alone and not any(test.points or test.gaps for _, test in alone):
                del made[show(date)]
                joined = dict(made[key])
                for bit, test in alone:  # a rule that asks for both has both to hold
                    missing = of_missing(test, which, first)
                    joined[bit] = both_of(joined[bit], missing) if bit in joined else missing
                made[key] = list(joined.items())
    return made


class Space:
    """The axes of some rules. `rule_of` gives the rule of each alternative; `possible` says which cells of an axis can occur.

    `partial` says that other spaces have other cells, and other rules, of the same table; `joining` puts axes together.
    """

    def __init__(
        self, rows: Sequence[Alternative], possible: Possible | None = None, partial: bool = False, joining: Joining | None = None
    ) -> None:
        self.partial = partial
        self.rule_of = [number for number, _ in rows]
        self.everything = (1 << len(rows)) - 1
        by_subject: dict[str, list[tuple[int, Test]]] = {}
        for bit, (_, tests) in enumerate(rows):
            for key, test in tests.items():
                by_subject.setdefault(key, []).append((bit, test))
        self.axes: list[Axis] = []
        for key, tested in _with_dates(by_subject).items():
            dates = [(bit, test) for bit, test in tested if isinstance(test, DateTest)]
            if dates:
                beside = date_axis(key, dates, self.everything)
                self.axes += [beside] if beside is not None else self._apart(tested, key)
                continue
            subject = Subject(tested[0][1].subject, tested, self.everything, lambda scope: None)
            places = subject.places()
            if places is not None:
                self.axes.append(Axis(key, subject.node, places, subject.uses, subject.groups()))
            else:
                self.axes += self._apart(tested, key)
        if joining is not None and possible is not None:
            self.axes = joining(self.axes, possible)
        self.whole: Box = [axis.full if possible is None or isinstance(axis, JoinedAxis) else possible(axis) for axis in self.axes]
        self._bits: dict[int, list[int]] = {}
        for bit, number in enumerate(self.rule_of):
            self._bits.setdefault(number, []).append(bit)
        self._fires: dict[int, bool] = {}
        self.steps = 0

    def _apart(self, tested: list[tuple[int, Test]], key: str) -> Iterator[Axis]:
        """An axis for each test of a subject whose tests have no cells in common."""
        for name, own in _two_valued(tested, key):
            rest = self.everything & ~own.uses
            yield Axis(name, own.node, [(x, true | rest, alone) for x, true, alone in own.places() or ()], own.uses)

    @property
    def rules(self) -> list[int]:
        return list(self._bits)

    def bits_of(self, rule: int) -> list[int]:
        return self._bits.get(rule, [])

    def before(self, rule: int) -> int:
        """The alternatives of the rules before one."""
        own = self.bits_of(rule)
        return (1 << own[0]) - 1 if own else 0

    def box(self, bit: int, within: Box | None = None) -> Box | None:
        """Where an alternative is true; None where that is nowhere."""
        cells_by_axis = [axis.holding(bit) & cells for axis, cells in zip(self.axes, within or self.whole, strict=True)]
        return cells_by_axis if all(cells_by_axis) else None

    def boxes(self, rule: int, within: Box | None = None) -> Iterator[tuple[int, Box]]:
        for bit in self.bits_of(rule):
            box = self.box(bit, within)
            if box is not None:
                yield bit, box

    def touching(self, box: Box, among: int) -> int:
        """The alternatives that are true somewhere in a box."""
        for axis, cells in zip(self.axes, box, strict=True):
            among &= axis.any(cells)
            if not among:
                break
        return among

    def clear(self, box: Box, avoid: int) -> Box | None:
        """A part of the box in which none of the alternatives in `avoid` is true; None if they cover it together."""
        self.steps = 0
        waiting = [(list(box), avoid)]
        while waiting:
            piece, avoid = waiting.pop()
            narrowed = self._narrowed(piece, avoid)
            if narrowed is None:
                continue
            avoid, open_on = narrowed
            if not avoid:
                return piece
            waiting += reversed(list(self._pieces(piece, avoid, open_on)))
        return None

    def _narrowed(self, box: Box, avoid: int) -> tuple[int, list[int]] | None:
        """The alternatives that are true somewhere in the box, and on which axis not everywhere; None if they cover it together.

        What one of them leaves of the box on one axis alone is all that can be clear: the box is made as small as that.
        """
        while True:
            self.steps += 1
            if self.steps > BUDGET:
                raise Undecided
            avoid = self.touching(box, avoid)
            if not avoid:
                return 0, []
            once, twice, open_on = 0, 0, []  # the alternatives that are open on so many axes, or more
            for axis, cells in zip(self.axes, box, strict=True):
                open_ = avoid & ~axis.all(cells)
                open_on.append(open_)
                twice |= once & open_
                once |= open_
            if avoid & ~once:
                return None  # one of them is true all over the box
            forced = once & ~twice
            if not forced:
                return avoid, open_on
            for i, open_ in enumerate(open_on):
                if forced & open_:
                    box[i] &= ~self.axes[i].held_by(forced & open_)
                    if not box[i]:
                        return None

    def _pieces(self, box: Box, avoid: int, open_on: list[int]) -> Iterator[tuple[Box, int]]:
        """The box without one of the alternatives, in parts that share nothing, and the alternatives that are left."""
        once, twice, thrice = 0, 0, 0
        for open_ in open_on:
            thrice |= twice & open_
            twice |= once & open_
            once |= open_
        pairs = avoid & ~thrice
        few = pairs & -pairs  # what is open on fewest axes makes fewest parts
        bit = few.bit_length() - 1 if few else min(bits(avoid), key=lambda b: sum(o >> b & 1 for o in open_on))
        box = list(box)
        for i, open_ in enumerate(open_on):
            if open_ >> bit & 1:
                piece = list(box)
                piece[i] &= ~self.axes[i].holding(bit)
                yield piece, avoid & ~(1 << bit)
                box[i] &= self.axes[i].holding(bit)

    def grown(self, box: Box, avoid: int) -> Box:
        """The box made as large as it goes, axis by axis, without touching what it avoids."""
        box = list(box)
        for i, whole in enumerate(self.whole):
            for cell in bits(whole & ~box[i]):
                wider = [*box[:i], box[i] | 1 << cell, *box[i + 1 :]]
                if not self.touching(wider, avoid):
                    box = wider
        return box

    def firing(self, rule: int) -> Box | None:
        """Where a rule of a first-match list decides."""
        for _, box in self.boxes(rule):
            clear = self.clear(box, self.before(rule))
            if clear is not None:
                return clear
        return None

    def fires(self, rule: int) -> bool:
        """Whether a rule of a first-match list decides anywhere. Raises Undecided, every time it is asked."""
        known = self._fires.get(rule)
        if known is None:
            known = self._fires[rule] = self.firing(rule) is not None
        return known

    def covering(self, rule: int, most: int = 24) -> list[int]:
        """Rules before one that cover it together: none of them can be left out, as far as there are few to try."""
        avoid, alone = 0, None
        for _, box in self.boxes(rule):
            near = self.touching(box, self.before(rule))
            avoid |= near
            for axis, cells in zip(self.axes, box, strict=True):
                near &= axis.all(cells)
            whole = set(self._rules_of(near))  # each of these covers the box by one of its alternatives
            alone = whole if alone is None else alone & whole
        if alone:
            return [min(alone)]
        needed = self._rules_of(avoid)
        for candidate in reversed(needed) if len(needed) <= most else ():
            fewer = self.mask(r for r in needed if r != candidate)
            if all(self.clear(box, fewer) is None for _, box in self.boxes(rule)):
                needed = [r for r in needed if r != candidate]
        return needed

    def mask(self, rules: Iterable[int]) -> int:
        return sum(1 << bit for rule in rules for bit in self.bits_of(rule))

    def _rules_of(self, mask: int) -> list[int]:
        return list(dict.fromkeys(self.rule_of[bit] for bit in bits(mask)))

    def overlaps(self, within: Box | None = None) -> Iterator[tuple[int, int, Box]]:
        """(a rule, an earlier one, the cells in which both hold), each pair once."""
        seen: set[tuple[int, int]] = set()
        for later, number in enumerate(self.rule_of):
            box = self.box(later, within)
            if box is None:
                continue
            for earlier in bits(self.touching(box, (1 << later) - 1)):
                pair = (number, self.rule_of[earlier])
                both = self.box(earlier, box)
                if pair[0] != pair[1] and pair not in seen and both is not None:
                    seen.add(pair)
                    yield *pair, both

    def differing(self, rule: int, same: int, default: bool) -> Box | None:
        """Where a rule decides, and without it something else would be decided; None if it could go and nobody would notice.

        `same` are the alternatives of rules that do the same; `default` says whether no rule at all does.
        """
        before = self.before(rule)
        later = self.everything & ~before & ~self.mask([rule])
        alike = same & later
        for _, box in self.boxes(rule):
            near = self.touching(box, later)
            if not default:
                clear = self.clear(box, before | near & alike)
                if clear is not None:
                    return clear
            for other in bits(near & ~alike):
                shared = self.box(other, box)
                clear = None if shared is None else self.clear(shared, before | alike & ((1 << other) - 1))
                if clear is not None:
                    return clear
        return None


# --- tables of many keys --------------------------------------------------------------------------------------------


def spaces(rows: Sequence[Alternative], possible: Possible | None = None, joining: Joining | None = None) -> Iterator[Space]:
    """The space of the rules; of a long table with a key a space for each of its cells, which together are all of it."""
    key = _key(rows) if len(rows) >= SPLIT_FROM else None
    parts = _split(rows, key) if key is not None else {}
    if not parts or sum(map(len, parts)) > MOST_WORK * len(rows):
        yield Space(rows, possible, joining=joining)
        return
    for together, values in parts.items():

        def within(axis: Axis, values: list[object] = values) -> int:
            cells = axis.full if possible is None else possible(axis)
            if axis.key != key:
                return cells
            allowed = 0
            for value in values:
                cell = len(axis.values) - 1 if value is ELSE else axis.cell_of(value)
                allowed |= 0 if cell is None else 1 << cell
            return cells & allowed

        yield Space([rows[bit] for bit in together], within, partial=True, joining=joining)


def _key(rows: Sequence[Alternative]) -> str | None:
    """The subject that tells most rows apart: nearly all rows are false away from constants of their own."""
    apart: dict[str, int] = {}
    points: dict[str, set[object]] = {}
    kinds: dict[str, set[str]] = {}
    for _, tests in rows:
        for key, test in tests.items():
            kinds.setdefault(key, set()).update(map(v.kind, test.points))
            if test.other is not True and test.points and (not test.gaps or (test.gaps[0], test.gaps[-1]) == (False, False)):
                apart[key] = apart.get(key, 0) + 1
                points.setdefault(key, set()).update(map(key_of, test.points[:2]))
    able = [k for k, n in apart.items() if len(rows) - n <= MOST_COMMON and len(points[k]) * 4 >= len(rows) and len(kinds[k]) == 1]
    return max(able, key=lambda k: len(points[k]), default=None)


def _split(rows: Sequence[Alternative], key: str) -> dict[tuple[int, ...], list[object]]:
    """The alternatives that stand together in some cells of the key, with a value from each of those."""
    always = [bit for bit, (_, tests) in enumerate(rows) if key not in tests]
    tested = [(bit, tests[key]) for bit, (_, tests) in enumerate(rows) if key in tests]
    cells = _ordered_cells(tested) if any(test.gaps for _, test in tested) else _separate_cells(tested)
    groups: dict[tuple[int, ...], list[object]] = {}
    for holding, value in itertools.chain([({bit for bit, test in tested if test.null is True}, None)], cells):
        groups.setdefault(tuple(sorted({*always, *holding})), []).append(value)
    return groups


def _separate_cells(tested: Sequence[tuple[int, Test]]) -> Iterator[tuple[set[int], object]]:
    """(the tests that are true, the value) of each point that tests name, and of all that they do not name."""
    elsewhere = {bit for bit, test in tested if test.other is True}
    at: dict[object, tuple[object, list[tuple[int, bool]]]] = {}
    for bit, test in tested:
        for point, truth in zip(test.points, test.at_points, strict=True):
            at.setdefault(key_of(point), (point, []))[1].append((bit, truth is True))
    for point, truths in at.values():
        untrue = {bit for bit, truth in truths if not truth}
        yield (elsewhere - untrue) | {bit for bit, truth in truths if truth}, point
    yield elsewhere, ELSE


def _ordered_cells(tested: Sequence[tuple[int, Test]]) -> Iterator[tuple[set[int], object]]:
    """(the tests that are true, a value) of each point that tests name, and of what lies between two points, in order."""
    cuts = sorted({key_of(p): p for _, test in tested for p in test.points}.values(), key=v.in_order)
    place = {key_of(c): i for i, c in enumerate(cuts)}
    changes: dict[int, list[tuple[int, bool]]] = {}
    for bit, test in tested:
        gaps = test.gaps or (test.other,) * (len(test.points) + 1)
        changes.setdefault(0, []).append((bit, gaps[0] is True))
        for i, (point, truth) in enumerate(zip(test.points, test.at_points, strict=True)):
            cell = 2 * place[key_of(point)] + 1
            changes.setdefault(cell, []).append((bit, truth is True))
            changes.setdefault(cell + 1, []).append((bit, gaps[i + 1] is True))
    now: set[int] = set()
    between = places_of(tuple(cuts))
    for cell in range(2 * len(cuts) + 1):
        for bit, truth in changes.get(cell, ()):
            (now.add if truth else now.discard)(bit)
        value = cuts[cell // 2] if cell % 2 else between[cell // 2]
        if value is not None:
            yield now, value
