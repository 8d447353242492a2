"""Finds witnesses: a smallest record that lies in a box of cells, decided by the evaluator before anybody is shown it.

A subject that is a field of the record, of its owners or of a related record is given a value of its cell; several subjects that rest on
the same fields (`account.revenue > account.cost`, a date against `today`) are tried with the constants that the rules mention. A table's
result is reached through the record that its own rules need for it. What is left, such as a score, is given as it is: then a witness
shows what the rules do, and not that such a record can exist, and a finding says *possible*.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from roe.analysis import scales
from roe.analysis.axis import Axis
from roe.analysis.cases import Cases, domain
from roe.analysis.date_cells import DateAxis
from roe.analysis.joined import apart
from roe.analysis.paths import Asked, as_expression, asked_by, is_along, is_computed, is_reference, kind_at, path_at, paths_at
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.witness import THERE, TODAY, TODAY_PATH, Path, Witness
from roe.analysis.writing_out import WritingOut
from roe.dynamic import Value, Values
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import CLOCK, IMPLICIT, Scope
from roe.plan.bitsets import bits
from roe.plan.operators import Choose, Derive
from roe.plan.subjects import key_of

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.row import Row

MAX_TRIED = 2_000  # combinations of values on one day, and
MOST_WORK = 400_000  # parts of expressions that are worked out on all days: a score that is written out has thousands
MOST_SUMMED = 12  # criteria of a score whose sums are tried
MOST_POSSIBLE = 200  # of the values that a field can have
MOST_VALUES = 8  # of a cell
MOST_CELLS = 40  # of an axis, that are looked through
MOST_DAYS = 12  # on which a record is tried
MOST_WAYS = 8  # of meeting subjects that are looked at together
Part = tuple[Axis, int]  # some cells of an axis
FieldValues = Mapping[Path, Value]  # of a record


class Finder:
    """Finds witnesses for the rules of one policy, and asks its evaluator about them."""

    def __init__(self, evaluator: Evaluator, today: date | None = None) -> None:
        self.evaluator, self.policy = evaluator, evaluator.policy
        self.today = today or TODAY
        self._of_nothing: dict[int, tuple[Axis, int | None]] = {}  # by the identity of an axis
        self.work = sys.maxsize  # parts of expressions that may still be worked out: whoever asks much sets a limit
        self._subjects: dict[int, Asked] = {}  # by the identity of an axis
        # of each case and its axes with their cells: kept beside what is known by their identity
        self._solved: dict[tuple[int, ...], tuple[Cases, list[Part], list[FieldValues]]] = {}

    # --- from cells to a record -------------------------------------------------------------------------------------

    def records(self, cases: Cases, space: Space, box: Box, most: int = 6) -> Iterator[Witness]:
        """Records in the box, the plainest first."""
        at = zip(space.axes, box, space.whole, strict=True)
        needed = [(axis, cells) for axis, cells, all_ in at if cells != all_ or not (cells & 1 or axis.key == "today")]
        ways = [way for way in apart(needed, MOST_WAYS) if self._is_within_reach(way, cases.entity)]
        solved = (self._solve(cases, self._groups(way, cases.entity)) for way in ways)
        for witness in itertools.islice(itertools.chain.from_iterable(solved), most):
            for grounded in self._grounded(cases, witness):
                if grounded.possible:
                    yield self._without_given(grounded, needed) or grounded

    def _subject(self, axis: Axis, entity: str) -> Asked:
        known = self._subjects.get(id(axis))
        if known is None:
            known = self._subjects[id(axis)] = asked_by(self.policy, axis, entity)
        return known

    def _without_given(self, witness: Witness, needed: list[Part]) -> Witness | None:
        """The record with nothing given, where what is computed of it lies in the same cells anyway."""
        bare = replace(witness, given={}) if witness.given else None
        row = self.row(bare) if bare is not None else None
        if row is None:
            return None
        scope = row.world.scope(row)
        return bare if all(_lies_in(axis, cells, compile_expression(axis.node)(scope)) for axis, cells in needed) else None

    def _is_within_reach(self, needed: list[Part], entity: str) -> bool:
        """Whether a record without any related ones can lie in the cells of what is said of those."""
        for axis, cells in needed:
            known = self._of_nothing.get(id(axis))
            if known is None:
                known = self._of_nothing[id(axis)] = axis, self._cell_of_nothing(axis, entity)
            if known[1] is not None and not cells >> known[1] & 1:
                return False
        return True

    def _cell_of_nothing(self, axis: Axis, entity: str) -> int | None:
        """The cell of a subject that rests on lists of records alone, where they are empty; None for any other subject."""
        paths = paths_at(self.policy, axis.node, entity) if not isinstance(axis, DateAxis) else []
        if not paths or any(kind_at(self.policy, entity, path) != "list" for path in paths):
            return None
        clock = self.evaluator.clock(self.today)
        return axis.cell_of(compile_expression(axis.node)(_light(entity, {path: [] for path in paths}, clock, self.policy.plan.lists)))

    def _groups(self, needed: list[Part], entity: str) -> list[list[Part]]:
        """The axes that share fields, together."""
        groups: list[tuple[set[Path], list[Part]]] = []
        for axis, cells in needed:
            paths = self._subject(axis, entity).paths
            near = [g for g in groups if any(is_along(p, q) for p in g[0] for q in paths)]
            groups = [g for g in groups if g not in near]
            groups.append(({*paths, *(p for g in near for p in g[0])}, [*(x for g in near for x in g[1]), (axis, cells)]))
        return [members for _, members in groups]

    def _solve(self, cases: Cases, groups: list[list[Part]]) -> Iterator[Witness]:
        options = []
        for group in groups:
            key = (id(cases), *(x for axis, cells in group for x in (id(axis), cells)))
            if key not in self._solved:
                self._solved[key] = cases, group, list(itertools.islice(self._group(cases, group), MOST_VALUES))
            solved = self._solved[key][2]
            if not solved:
                return
            options.append(solved)
        for chosen in itertools.product(*options):
            witness = Witness(cases.entity)
            for facts in chosen:
                for path, value in facts.items():
                    if value == []:
                        continue
                    if path == TODAY_PATH:
                        witness.today = value
                    elif is_computed(self.policy, cases.entity, path):
                        witness.given[path] = value
                    else:
                        witness.facts[path] = value
            yield witness

    def _group(self, cases: Cases, group: list[Part]) -> Iterator[FieldValues]:
        """Values for the fields that some axes share."""
        if len(group) == 1:
            axis, cells = group[0]
            path = path_at(self.policy, axis.node, cases.entity)
            if path is not None:
                yield from self._single(cases, axis, cells, path)
                return
        subjects = [self._subject(axis, cases.entity) for axis, _ in group]
        paths = sorted({p for subject in subjects for p in subject.paths})
        asked = [(subject.code, axis, cells) for subject, (axis, cells) in zip(subjects, group, strict=True)]
        size = sum(subject.size for subject in subjects)
        left = min(MOST_WORK, max(self.work, 0)) // size + 1
        for day in self._days(group):
            clock = self.evaluator.clock(day)
            options = [self._candidates(cases, group, path, clock) for path in paths]
            for tried in itertools.islice(itertools.product(*options), min(MAX_TRIED, left)):
                left, self.work = left - 1, self.work - size
                facts = {path: x for path, x in zip(paths, tried, strict=True) if x is not None}
                if day != self.today:
                    facts[TODAY_PATH] = day
                scope = _light(cases.entity, facts, clock, self.policy.plan.lists)
                if all(_lies_in(axis, cells, code(scope)) for code, axis, cells in asked):
                    yield facts

    def _single(self, cases: Cases, axis: Axis, cells: int, path: Path) -> Iterator[FieldValues]:
        """Values for the one field that an axis is."""
        for cell in _in_order(axis, cells & cases.natural(axis)) or _in_order(axis, cells):
            if axis.values[cell] is None or not is_reference(self.policy, cases.entity, path):
                values = cases.samples(axis, cell, MOST_VALUES)
            else:
                values = [THERE]
            yield from ({path: x} if x is not None or cells == 1 else {} for x in values)

    def _days(self, group: list[Part]) -> list[date]:
        """Days on which a record may have to be looked at: any, and those that are special of the dates in question."""
        days = [self.today]
        for axis, cells in group:
            if isinstance(axis, DateAxis) and axis.moving:
                moments = [axis.values[cell][1] for cell in itertools.islice(bits(cells), MOST_CELLS)]
                days += [at.date() if isinstance(at, datetime) else at for at in moments]
            elif axis.key == "today":
                days += [axis.values[cell] for cell in itertools.islice(bits(cells), MOST_CELLS)]
        return list(dict.fromkeys(days))[:MOST_DAYS]

    def _value(self, cases: Cases, axis: Axis, cell: int, path: Path) -> Value:
        value = cases.sample(axis, cell)
        if axis.values[cell] is None or not is_reference(self.policy, cases.entity, path):
            return value
        return THERE

    def _candidates(self, cases: Cases, group: list[Part], path: Path, clock: Clock) -> list[object]:
        """Values of a field worth trying: what its own axis allows, else the constants nearby and their neighbours."""
        if path == TODAY_PATH:
            return [clock.today]
        beside = [x for axis, cells in group if isinstance(axis, DateAxis) for x in self._dates(axis, cells, cases.entity, path, clock)]
        if beside:
            return list(dict.fromkeys(beside))
        for axis, cells in group:
            if path_at(self.policy, axis.node, cases.entity) == path:
                return [self._value(cases, axis, c, path) for c in _in_order(axis, cells)[:12]]
        kind = kind_at(self.policy, cases.entity, path)
        if kind == "list":
            return [[]]
        if is_reference(self.policy, cases.entity, path):
            return [None, THERE]
        values, nullable = domain(self.policy, cases.entity, as_expression(cases.entity, path))
        if values is not None:  # all that it can be, such as the sums of a score's points
            return [*([None] if nullable else []), *values[:MOST_POSSIBLE]]
        constants = [x for axis, _ in group for x in self._subject(axis, cases.entity).constants]
        of_date = any(scales.values(axis.node, None) or isinstance(axis.node, s.Path) for axis, _ in group)  # a month, a weekday
        return _nearby(kind, constants, self.today, 365 if of_date else 0)

    def _dates(self, axis: DateAxis, cells: int, entity: str, path: Path, clock: Clock) -> Iterator[object]:
        """Values of a date that put it into some cells beside another date."""
        for which, node in enumerate(axis.node.items):  # type: ignore[union-attr]
            if path_at(self.policy, node, entity) != path:
                continue
            if axis.moving:
                yield from itertools.islice(axis.at(clock.now if axis.kinds[1] == "date and time" else clock.today, cells), MOST_CELLS)
            else:
                yield from (axis.values[cell][which] for cell in itertools.islice(bits(cells), MOST_CELLS))

    def _grounded(self, cases: Cases, witness: Witness, depth: int = 0) -> Iterator[Witness]:
        """The witness with what tables gave replaced by a record for which they give it, where there is one."""
        for path, value in witness.given.items() if depth <= 3 else ():
            for facts in self._reached(cases.entity, path, value):
                if any(witness.facts.get(p, x) != x for p, x in facts.facts.items()):
                    continue
                if witness.today and facts.today and witness.today != facts.today:
                    continue
                rest = {p: x for p, x in witness.given.items() if p != path}
                made = Witness(cases.entity, {**witness.facts, **facts.facts}, witness.today or facts.today, {**rest, **facts.given})
                yield from self._grounded(cases, made, depth + 1)
                return
        yield witness

    def _reached(self, entity: str, path: Path, value: object) -> Iterator[Witness]:
        """Records for which a computed field has a value."""
        step = self.policy.plan.steps.get((entity, path[0]))
        if isinstance(step, Choose):
            cases = Cases(self.policy, step)
            for space, box in self._giving(step, cases, path, value):
                yield from self.records(cases, space, box, 2)
        elif isinstance(step, Derive) and step.expr is not None and len(path) == 1:
            tree = WritingOut(self.policy, entity).full(step.expr.tree)
            constants = [n.value for n in s.walk(tree) if isinstance(n, s.Literal)]
            for other in dict.fromkeys(paths_at(self.policy, tree, entity)):
                if kind_at(self.policy, entity, other) != v.kind(value):
                    continue
                for candidate in [value, *(x for c in constants if (x := v.subtract(value, c)) is not None)]:
                    computed = is_computed(self.policy, entity, other)
                    made = Witness(entity, {} if computed else {other: candidate}, None, {other: candidate} if computed else {})
                    row = self.row(made)
                    if row is not None and row[path[0]] == value:
                        yield made

    def _giving(self, step: Choose, cases: Cases, path: Path, value: object) -> Iterator[tuple[Space, Box]]:
        """The cells in which a table gives a value: where a row of it decides, or where criteria add up to it."""
        if step.hit == "collect sum":
            if len(step.rules) <= MOST_SUMMED and v.is_number(value):
                yield from _adding_up(step, cases, value)
        elif step.hit in ("first", "unique", "any"):
            for number, rule in enumerate(step.rules):
                given = rule.value.get(path[1]) if len(path) == 2 and isinstance(rule.value, dict) else rule.value
                if given == value or (value is THERE and given is not None):
                    yield from _deciding(step, cases, number)

    # --- what the evaluator says ------------------------------------------------------------------------------------

    def row(self, witness: Witness) -> Row | None:
        """The witness as a record of a world of its own; None if it cannot be loaded."""
        tables = witness.tables(self.policy)
        bound = self.evaluator.bind(tables, as_of=witness.today or self.today)
        if bound.world.rejects:
            return None
        row = bound.world.rows[witness.entity][0]
        _put(row, witness.given)
        return row

    def asked(self, witness: Witness, chooser: Chooser) -> tuple[tuple[int, ...], Value] | None:
        """The rules that decide the witness, and the value that they give; None if it cannot be loaded."""
        row = self.row(witness)
        if row is None:
            return None
        choice = chooser(row.world.scope(row))
        return choice.fired, choice.value

    def holding(self, witness: Witness, chooser: Chooser) -> tuple[int, ...] | None:
        """All rules that hold for a witness, whatever the hit policy makes of them; None if it cannot be loaded."""
        row = self.row(witness)
        if row is None:
            return None
        scope = row.world.scope(row)
        return tuple(i for i in range(len(chooser.step.rules)) if chooser.truth(i, scope) is True)

    def meets(self, witness: Witness, chooser: Chooser, rules: Iterable[int]) -> bool:
        """Whether all of these rules hold for a witness."""
        row = self.row(witness)
        if row is None:
            return False
        scope = row.world.scope(row)
        return all(chooser.truth(i, scope) is True for i in rules)


def _nearby(kind: str, constants: Sequence[object], today: date, days_of_year: int) -> list[object]:
    """Values of a field's type that are worth trying beside some constants: themselves, what lies next to them, and a missing value.

    Of dates so many days of the year too.
    """
    if kind == "number":
        numbers = [c for c in constants if v.is_number(c)]
        return list(dict.fromkeys([None, *(x + d for x in numbers for d in (0, 1, -1)), 0, 1, 2, 10, 1000, 1_000_000, -1]))
    if kind in ("date", "date and time"):
        spans = [c for c in constants if isinstance(c, timedelta)]
        spans += [timedelta(days=30 * c.months) for c in constants if isinstance(c, v.Months)]
        days = [today, *(c for c in constants if type(c) is date)]
        near = [d + k * x + timedelta(days=e) for d in days for x in (timedelta(), *spans) for k in (-1, 1) for e in (0, -1, 1)]
        near += [date(today.year, 1, 1) + timedelta(days=i) for i in range(days_of_year)]
        return [None, *dict.fromkeys([datetime(d.year, d.month, d.day) for d in near] if kind == "date and time" else near)]
    if kind == "boolean":
        return [None, True, False]
    return [None, *dict.fromkeys(c for c in constants if isinstance(c, str)), "other"]


def _adding_up(step: Choose, cases: Cases, total: float) -> Iterator[tuple[Space, Box]]:
    """The cells in which criteria of a score add up to a number: some hold, and no others."""
    for chosen in _sums([rule.value for rule in step.rules], total):
        box: Box | None = cases.space.whole
        for number in chosen:
            box = next((b for _, b in cases.space.boxes(number, box)), None) if box is not None else None
        rest = cases.space.mask(n for n in range(len(step.rules)) if n not in chosen)
        clear = cases.space.clear(box, rest) if box is not None else None
        if clear is not None:
            yield cases.space, clear


def _deciding(step: Choose, cases: Cases, number: int) -> Iterator[tuple[Space, Box]]:
    """The cells in which a row of a table decides."""
    for space in cases.spaces():
        if number not in space.rules:
            continue
        try:
            box = space.firing(number) if step.hit == "first" else next((b for _, b in space.boxes(number)), None)
        except Undecided:
            continue
        if box is not None:
            yield space, box


def _sums(points: list[Value], wanted: float) -> Iterator[tuple[int, ...]]:
    """The sets of criteria whose points add up to a number, the smallest first."""
    for size in range(len(points) + 1):
        for chosen in itertools.combinations(range(len(points)), size):
            if sum(points[i] for i in chosen) == wanted:
                yield chosen


def _lies_in(axis: Axis, cells: int, value: object) -> bool:
    cell = axis.cell_of(value)
    return cell is not None and bool(cells >> cell & 1)


def _in_order(axis: Axis, cells: int) -> list[int]:
    """Cells as a smallest record has them: a missing value, then constants, then what lies between."""
    present = list(itertools.islice(bits(cells & ~1), MOST_CELLS))
    constants = [c for c in present if key_of(axis.values[c]) in axis.points]
    return [*([0] if cells & 1 else []), *constants, *(c for c in present if c not in constants)]


def _light(entity: str, facts: FieldValues, clock: Clock, lists: Mapping[str, object]) -> Scope:
    """A scope with nothing but some fields in it."""
    record: Values = {}
    _put(record, {path: value for path, value in facts.items() if path != TODAY_PATH})
    return {**lists, "today": clock.today, "now": clock.now, CLOCK: clock, entity: record, IMPLICIT: record}


def _put(record: Values, facts: FieldValues) -> None:
    """Give a record fields by their paths. Some record has an id, or what is said of its fields; a plain value has no fields."""
    for path, value in facts.items():
        at = record
        for name in path[:-1]:
            inner = dict.get(at, name)
            if inner is None:
                inner = at[name] = {}
            at = inner if isinstance(inner, dict) else {}
        if value is not THERE:
            at[path[-1]] = value
        elif dict.get(at, path[-1]) is None:
            at[path[-1]] = {"id": "-".join(path)}
