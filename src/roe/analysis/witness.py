"""Witnesses: a smallest record that lies in a box of cells, decided by the evaluator before anybody is shown it.

A subject that is a field of the record, of its owners or of a related record is given a value of its cell; several subjects that rest on
the same fields (`account.revenue > account.cost`, a date against `today`) are tried with the constants that the rules mention. A table's
result is reached through the record that its own rules need for it. What is left, such as a score, is given as it is: then a witness
shows what the rules do, and not that such a record can exist, and a finding says *possible*.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from roe.analysis import scales
from roe.analysis.axis import Axis
from roe.analysis.cases import OTHERS, Cases, Writer
from roe.analysis.date_cells import DateAxis
from roe.analysis.space import Box, Space, Undecided
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.closures import CLOCK, IMPLICIT, Code, compile_expression
from roe.plan.bitsets import bits
from roe.plan.operators import Choose, Derive
from roe.plan.subjects import key_of
from roe.policy.model import Field, Policy

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.row import Row

TODAY = date(2026, 1, 1)  # where no rule asks for the day
MAX_TRIED = 2_000  # combinations of values
MOST_SUMMED = 12  # criteria of a score whose sums are tried
MOST_VALUES = 8  # of a cell
MOST_CELLS = 40  # of an axis, that are looked through
MOST_DAYS = 12  # on which a record is tried
Path = tuple[str, ...]  # of fields, from the record
TODAY_PATH: Path = ("today",)


@dataclass(slots=True)
class Witness:
    """A record by the paths of its fields, and the day; `given` are computed fields that were set, since no record was found for them."""

    entity: str
    facts: dict[Path, Any] = field(default_factory=dict)
    today: date | None = None
    given: dict[Path, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = {**self.facts, **self.given}
        told = [f"{'.'.join(path)} = {v.literal(value)}" for path, value in facts.items() if value is not None]
        told += [f"{'.'.join(path)} missing" for path, value in facts.items() if value is None]
        if self.today is not None:
            told.append(f"on {self.today}")
        return ", ".join(told) or f"any {self.entity}"

    @property
    def possible(self) -> bool:
        """Whether nothing is said of a record that is missing, or of a part of a plain value."""
        known = {**self.facts, **self.given}
        inside = (known[path[:i]] for path, value in known.items() if value is not None for i in range(1, len(path)) if path[:i] in known)
        return all(x is THERE or isinstance(x, dict) for x in inside)

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {".".join(path): v.plain(x) for path, x in {**self.facts, **self.given}.items()}
        return found | ({"as_of": str(self.today)} if self.today is not None else {})

    def tables(self, policy: Policy) -> dict[str, list[dict[str, Any]]]:
        """The record with all that it refers to, as raw records by entity."""
        nested: dict[str, Any] = {}
        for path, value in sorted(self.facts.items()):
            at = nested
            for name in path[:-1]:
                at = at.setdefault(name, {})
            at.setdefault(path[-1], {} if value is THERE else value)
        out: dict[str, list[dict[str, Any]]] = {}
        _record(policy, self.entity, "case", nested, out)
        return out


def _record(policy: Policy, entity: str, key: str, facts: dict[str, Any], out: dict[str, list[dict[str, Any]]]) -> None:
    """A raw record with these facts, and those that it refers to."""
    record: dict[str, Any] = {"id": key}
    out.setdefault(entity, []).append(record)
    fields = policy.model.entities[entity]
    needed = {name: _some(f) for name, f in fields.items() if f.required and name != "id" and f.default is None}
    for name, value in {**needed, **{k: x for k, x in facts.items() if x is not None}}.items():
        known = fields[name].type
        parts = {f"{name}.{role}": x for role, x in value.items()} if known.name == "owners" and isinstance(value, dict) else {name: value}
        for column, x in parts.items():
            if isinstance(x, dict):
                target = "rep" if known.name == "owners" else known.entity
                record[column] = f"{key}-{column}".replace(".", "-")
                _record(policy, target, record[column], x, out)
            elif x is not None:
                own = fields[name]
                column = own.columns[0] if own.columns and not own.standard and column == name else column
                record[column] = x if isinstance(x, (str, bool, int, float)) else v.string(x)


def _some(field: Field) -> Any:
    """Some value of a field that no record may lack."""
    if field.type.name in ("record", "owners"):
        return {}
    some: dict[str, Any] = {"number": 1, "boolean": True, "date": TODAY, "date and time": datetime(2026, 1, 1)}
    return some.get(field.type.name, field.type.values[0] if field.type.values else OTHERS.get(field.normalize, OTHERS[""])[0])


class _There:
    """Some record: a reference that is not null."""

    def __repr__(self) -> str:
        return "some record"


THERE: Any = _There()


class Finder:
    """Finds witnesses for the rules of one policy, and asks its evaluator about them."""

    def __init__(self, evaluator: Evaluator, today: date | None = None) -> None:
        self.evaluator, self.policy = evaluator, evaluator.policy
        self.today = today or TODAY

    # --- from cells to a record -------------------------------------------------------------------------------------

    def records(self, cases: Cases, space: Space, box: Box, most: int = 6) -> Iterator[Witness]:
        """Records in the box, the plainest first."""
        at = zip(space.axes, box, space.whole, strict=True)
        needed = [(axis, cells) for axis, cells, all_ in at if cells != all_ or not (cells & 1 or axis.key == "today")]
        groups = self._groups(needed, cases.entity)
        asked = [(compile_expression(axis.node), axis, cells) for axis, cells in needed]
        for witness in itertools.islice(self._solve(cases, groups), most):
            for grounded in self._grounded(cases, witness):
                if grounded.possible:
                    yield self._without_given(grounded, asked) or grounded

    def _without_given(self, witness: Witness, asked: Sequence[tuple[Code, Axis, int]]) -> Witness | None:
        """The record with nothing given, where what is computed of it lies in the same cells anyway."""
        bare = replace(witness, given={}) if witness.given else None
        row = self.row(bare) if bare is not None else None
        if row is None:
            return None
        scope = row.world.scope(row)
        found = ((axis.cell_of(code(scope)), cells) for code, axis, cells in asked)
        return bare if all(cell is not None and cells >> cell & 1 for cell, cells in found) else None

    def _groups(self, needed: list[tuple[Axis, int]], entity: str) -> list[list[tuple[Axis, int]]]:
        """The axes that share fields, together."""
        groups: list[tuple[set[Path], list[tuple[Axis, int]]]] = []
        for axis, cells in needed:
            paths = set(self._paths(axis.node, entity))
            near = [g for g in groups if any(_same(p, q) for p in g[0] for q in paths)]
            groups = [g for g in groups if g not in near]
            groups.append(({*paths, *(p for g in near for p in g[0])}, [*(x for g in near for x in g[1]), (axis, cells)]))
        return [members for _, members in groups]

    def _path(self, node: s.Node, entity: str) -> Path | None:
        """The path of a subject that a record can be given; None where it asks for a part of a value, such as a date's year."""
        path = path_of(node, entity)
        return path if path is not None and self._stored(entity, path) == path else None

    def _paths(self, node: s.Node, entity: str) -> list[Path]:
        """The fields that a subject rests on, whole."""
        return [self._stored(entity, path) for path in paths_of(node, entity)]

    def _stored(self, entity: str, path: Path) -> Path:
        """The beginning of a path that leads from record to record, and the field it ends in."""
        kind = "record"
        for i, name in enumerate(path):
            if kind not in ("record", "owners", "any", ""):
                return path[:i]
            found = self.policy.model.field_type(entity, name) if kind == "record" else None
            if kind == "owners":
                kind, entity = "record", "rep"
            elif found is not None:
                kind, entity = found.name, "rep" if found.name == "owners" else found.entity
                if found.name == "record" and found.fields is not None:
                    return path[: i + 2]  # a table's row, and a column of it
            else:
                kind = ""
        return path

    def _solve(self, cases: Cases, groups: list[list[tuple[Axis, int]]]) -> Iterator[Witness]:
        options = []
        for group in groups:
            solved = list(itertools.islice(self._group(cases, group), MOST_VALUES))
            if not solved:
                return
            options.append(solved)
        for chosen in itertools.product(*options):
            witness = Witness(cases.entity)
            for facts in chosen:
                for path, value in facts.items():
                    if value == []:
                        continue
                    if path == ("today",):
                        witness.today = value
                    elif self._computed(cases.entity, path):
                        witness.given[path] = value
                    else:
                        witness.facts[path] = value
            yield witness

    def _computed(self, entity: str, path: Path) -> bool:
        """Whether a path passes through a step of the plan, or through what no record can be given."""
        for i, name in enumerate(path):
            if (entity, name) in self.policy.plan.steps:
                return True
            known = self.policy.model.entities.get(entity, {}).get(name)
            if known is None:
                return not (i > 0 and path[i - 1] == "owner") and name != "today"
            if known.via or name in ("ultimate_parent", "leave", "open_opportunities"):
                return True
            if known.type.name == "owners":
                entity = "rep"
                continue
            entity = known.type.entity or entity
        return False

    def _group(self, cases: Cases, group: list[tuple[Axis, int]]) -> Iterator[dict[Path, Any]]:
        """Values for the fields that some axes share."""
        if len(group) == 1:
            path = self._path(group[0][0].node, cases.entity)
            if path is not None:
                axis, cells = group[0]
                for cell in _in_order(axis, cells & cases.natural(axis)) or _in_order(axis, cells):
                    if axis.values[cell] is None or not self._reference(cases.entity, path):
                        values = cases.samples(axis, cell, MOST_VALUES)
                    else:
                        values = [THERE]
                    yield from ({path: x} if x is not None or cells == 1 else {} for x in values)
                return
        paths = sorted({p for axis, _ in group for p in self._paths(axis.node, cases.entity)})
        asked = [(compile_expression(axis.node), axis, cells) for axis, cells in group]
        for day in self._days(group):
            clock = self.evaluator.clock(day)
            options = [self._candidates(cases, group, path, clock) for path in paths]
            for tried in itertools.islice(itertools.product(*options), MAX_TRIED):
                facts = {path: x for path, x in zip(paths, tried, strict=True) if x is not None}
                if day != self.today:
                    facts[TODAY_PATH] = day
                scope = _light(cases.entity, facts, clock, self.policy.plan.lists)
                for code, axis, cells in asked:
                    found = axis.cell_of(code(scope))
                    if found is None or not cells >> found & 1:
                        break
                else:
                    yield facts

    def _days(self, group: list[tuple[Axis, int]]) -> list[date]:
        """Days on which a record may have to be looked at: any, and those that are special of the dates in question."""
        days = [self.today]
        for axis, cells in group:
            if isinstance(axis, DateAxis) and axis.moving:
                moments = [axis.values[cell][1] for cell in itertools.islice(bits(cells), MOST_CELLS)]
                days += [at.date() if isinstance(at, datetime) else at for at in moments]
            elif axis.key == "today":
                days += [axis.values[cell] for cell in itertools.islice(bits(cells), MOST_CELLS)]
        return list(dict.fromkeys(days))[:MOST_DAYS]

    def _value(self, cases: Cases, axis: Axis, cell: int, path: Path) -> Any:
        value = cases.sample(axis, cell)
        if axis.values[cell] is None or not self._reference(cases.entity, path):
            return value
        return THERE

    def _reference(self, entity: str, path: Path) -> bool:
        """Whether a path ends in a record."""
        if len(path) > 1 and path[-2] == "owner":
            return True
        for name in path:
            known = self.policy.model.entities.get(entity, {}).get(name)
            if known is None:
                return False
            entity = "rep" if known.type.name == "owners" else known.type.entity
        return bool(entity)

    def _candidates(self, cases: Cases, group: list[tuple[Axis, int]], path: Path, clock: Clock) -> list[Any]:
        """Values of a field worth trying: what its own axis allows, else the constants nearby and their neighbours."""
        if path == TODAY_PATH:
            return [clock.today]
        beside = [x for axis, cells in group if isinstance(axis, DateAxis) for x in self._dates(axis, cells, cases.entity, path, clock)]
        if beside:
            return list(dict.fromkeys(beside))
        for axis, cells in group:
            if self._path(axis.node, cases.entity) == path:
                return [self._value(cases, axis, c, path) for c in _in_order(axis, cells)[:12]]
        if self._kind(cases.entity, path) == "list":
            return [[]]
        if self._reference(cases.entity, path):
            return [None, THERE]
        constants = [n.value for axis, _ in group for n in s.walk(axis.node) if isinstance(n, s.Literal)]
        kind = self._kind(cases.entity, path)
        if kind == "number":
            numbers = [c for c in constants if v.is_number(c)]
            return list(dict.fromkeys([None, *(x + d for x in numbers for d in (0, 1, -1)), 0, 1, 2, 10, 1000, 1_000_000, -1]))
        if kind in ("date", "date and time"):
            spans = [c for c in constants if isinstance(c, timedelta)] + [
                timedelta(days=30 * c.months) for c in constants if isinstance(c, v.Months)
            ]
            days = [self.today, *(c for c in constants if type(c) is date)]
            near = [d + k * x + timedelta(days=e) for d in days for x in (timedelta(), *spans) for k in (-1, 1) for e in (0, -1, 1)]
            if any(scales.values(axis.node, None) or isinstance(axis.node, s.Path) for axis, _ in group):  # a month, a weekday
                near += [date(self.today.year, 1, 1) + timedelta(days=i) for i in range(365)]
            made = [datetime(d.year, d.month, d.day) for d in near] if kind == "date and time" else near
            return [None, *dict.fromkeys(made)]
        if kind == "boolean":
            return [None, True, False]
        texts = [c for c in constants if isinstance(c, str)]
        return [None, *dict.fromkeys(texts), "other"]

    def _dates(self, axis: DateAxis, cells: int, entity: str, path: Path, clock: Clock) -> Iterator[Any]:
        """Values of a date that put it into some cells beside another date."""
        for which, node in enumerate(axis.node.items):  # type: ignore[union-attr]
            if self._path(node, entity) != path:
                continue
            if axis.moving:
                yield from itertools.islice(axis.at(clock.now if axis.kinds[1] == "date and time" else clock.today, cells), MOST_CELLS)
            else:
                yield from (axis.values[cell][which] for cell in itertools.islice(bits(cells), MOST_CELLS))

    def _kind(self, entity: str, path: Path) -> str:
        kind = ""
        for name in path:
            found = self.policy.model.field_type(entity, name)
            if found is None:
                return "record" if kind == "owners" else ""
            kind, entity = found.name, "rep" if found.name == "owners" else found.entity
        return kind

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

    def _reached(self, entity: str, path: Path, value: Any) -> Iterator[Witness]:
        """Records for which a computed field has a value."""
        step = self.policy.plan.steps.get((entity, path[0]))
        if isinstance(step, Choose):
            cases = Cases(self.policy, step)
            for space, box in self._giving(step, cases, path, value):
                yield from self.records(cases, space, box, 2)
        elif isinstance(step, Derive) and step.expr is not None and len(path) == 1:
            tree = Writer(self.policy, entity).full(step.expr.tree)
            constants = [n.value for n in s.walk(tree) if isinstance(n, s.Literal)]
            for other in dict.fromkeys(self._paths(tree, entity)):
                if self._kind(entity, other) != v.kind(value):
                    continue
                for candidate in [value, *(x for c in constants if (x := v.subtract(value, c)) is not None)]:
                    computed = self._computed(entity, other)
                    made = Witness(entity, {} if computed else {other: candidate}, None, {other: candidate} if computed else {})
                    row = self.row(made)
                    if row is not None and row[path[0]] == value:
                        yield made

    def _giving(self, step: Choose, cases: Cases, path: Path, value: Any) -> Iterator[tuple[Space, Box]]:
        """The cells in which a table gives a value: where a row of it decides, or where criteria add up to it."""
        if step.hit == "collect sum" and len(step.rules) <= MOST_SUMMED and v.is_number(value):
            for chosen in _sums([rule.value for rule in step.rules], value):
                box: Box | None = cases.space.whole
                for number in chosen:
                    box = next((b for _, b in cases.space.boxes(number, box)), None) if box is not None else None
                rest = cases.space.mask(n for n in range(len(step.rules)) if n not in chosen)
                found = cases.space.clear(box, rest) if box is not None else None
                if found is not None:
                    yield cases.space, found
            return
        for number, rule in enumerate(step.rules) if step.hit in ("first", "unique", "any") else ():
            given = rule.value.get(path[1]) if len(path) == 2 and isinstance(rule.value, dict) else rule.value
            if given != value and (value is not THERE or given is None):
                continue
            for space in cases.spaces():
                if number in space.rules:
                    try:
                        found = space.firing(number) if step.hit == "first" else next((b for _, b in space.boxes(number)), None)
                    except Undecided:
                        found = None
                    if found is not None:
                        yield space, found

    # --- what the evaluator says ------------------------------------------------------------------------------------

    def row(self, witness: Witness) -> Row | None:
        """The witness as a record of a world of its own; None if it cannot be loaded."""
        tables = witness.tables(self.policy)
        bound = self.evaluator.bind(tables, as_of=witness.today or self.today)
        if bound.world.rejects:
            return None
        row = bound.world.rows[witness.entity][0]
        for path, value in witness.given.items():
            at: Any = row
            for name in path[:-1]:
                if dict.get(at, name) is None:
                    at[name] = {}
                at = at[name]
            at[path[-1]] = value
        return row

    def asked(self, witness: Witness, chooser: Chooser) -> tuple[tuple[int, ...], Any] | None:
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


def _sums(points: list[Any], wanted: float) -> Iterator[tuple[int, ...]]:
    """The sets of criteria whose points add up to a number, the smallest first."""
    for size in range(len(points) + 1):
        for chosen in itertools.combinations(range(len(points)), size):
            if sum(points[i] for i in chosen) == wanted:
                yield chosen


def path_of(node: s.Node, entity: str) -> Path | None:
    """The path of fields from the record that a subject is; None for anything else."""
    if isinstance(node, s.Name):
        return ("today",) if node.id == "today" else None
    names: list[str] = []
    while isinstance(node, s.Path):
        names.insert(0, node.field)
        node = node.base
    return tuple(names) if isinstance(node, s.Name) and node.id == entity and names else None


def paths_of(node: s.Node, entity: str) -> list[Path]:
    """The fields that a subject rests on."""
    path = path_of(node, entity)
    if path is not None:
        return [path]
    return [p for child in s.children(node) for p in paths_of(child, entity)]


def _same(a: Path, b: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    return a[: len(b)] == b[: len(a)]


def _in_order(axis: Axis, cells: int) -> list[int]:
    """Cells as a smallest record has them: a missing value, then constants, then what lies between."""
    found = list(itertools.islice(bits(cells & ~1), MOST_CELLS))
    plain = [c for c in found if key_of(axis.values[c]) in axis.points]
    return [*([0] if cells & 1 else []), *plain, *(c for c in found if c not in plain)]


def _light(entity: str, facts: Mapping[Path, Any], clock: Clock, lists: Mapping[str, Any]) -> dict[str, Any]:
    """A scope with nothing but some fields in it."""
    record: dict[str, Any] = {}
    for path, value in facts.items():
        if path == TODAY_PATH:
            continue
        at = record
        for name in path[:-1]:
            inner = at.setdefault(name, {})
            at = inner if isinstance(inner, dict) else {}
        at[path[-1]] = {"id": "-".join(path)} if value is THERE else value
    return {**lists, "today": clock.today, "now": clock.now, CLOCK: clock, entity: record, IMPLICIT: record}
