"""Runs on made-up records, night after night, in which two policies decide something differently.

One record alone does not show everything: a pool takes turns, a cap counts, a claim follows another, a frozen value needs a night before.
So whole runs are made up. Their values are the constants of both policies and what lies beside them; their reps are those whom the
policies name, and a few more. Then whatever does not matter is taken away, record by record and field by field.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain
from typing import TypeVar

from roe.analysis.cases import OTHERS
from roe.analysis.witness import TODAY, Witness
from roe.data.coerce import GONE
from roe.data.makers import NORMALIZERS
from roe.diagnostics import PolicyError
from roe.dynamic import Value, Values
from roe.evaluator.engine import Evaluator, Run
from roe.evaluator.leavers import named_reps
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.ledger.remembered import Remembered
from roe.plan.operators import DatedValue, Expr
from roe.plan.parts import ExceptionRow
from roe.policy.model import Field, Policy
from roe.policy.reads import expressions
from roe.words import plural

Tables = Mapping[str, list[Values]]  # entity -> raw records
SPANS = (0, 40, 100, 200)  # days after which a first night may be
LATER = (1, 35, 95, 190, 370)  # days from one night to the next
HOURS = (0, 0, 0, *range(9))  # after ten in the morning
RECORDS, ACTIVITIES, FEW, NAMED = 20, 40, 6, 3
MOST_RECORDS = 70  # as many as it takes to reach a cap
MOST_RUNS = 150  # in which something is taken away
WORLDS = 20
MOSTLY = 0.9  # how often a record is not said to be gone: one that is gone decides nothing
FULL = ("claim", "leave")  # entities whose records are nothing with a field missing
Item = TypeVar("Item")
START = datetime(TODAY.year, TODAY.month, TODAY.day, 10)


@dataclass(frozen=True, slots=True)
class Night:
    """A run: its moment, and the records of that day."""

    at: datetime
    tables: Tables

    def without(self, gone: Iterable[tuple[str, str]]) -> Night:
        names = set(gone)
        return Night(self.at, {e: [x for x in rows if (e, str(x["id"])) not in names] for e, rows in self.tables.items()})


Nights = Sequence[Night]


def runs(evaluators: Sequence[Evaluator], nights: Nights) -> Iterator[list[Run]]:
    """For every night the run of each policy, each with the state that its own runs have left."""
    states: list[Remembered] = [{} for _ in evaluators]
    for night in nights:
        decided = [e.run(night.tables, as_of=night.at, state=state) for e, state in zip(evaluators, states, strict=True)]
        yield decided
        states = [run.state() for run in decided]


def made_nights(old: Policy, new: Policy, seeds: Mapping[str, list[Values]]) -> Iterator[Nights]:
    """Two nights each: with many fields filled, and few; with some reps, and with one. `seeds` are records that meet rules, by entity."""
    constants = _Constants(old, new)
    for number in range(WORLDS):
        rng = random.Random(number)
        maker = _Maker(constants, rng, seeds, missing=0.8 if number % 2 else 0.2, alone=number % 4 >= 2)
        first = START + timedelta(days=SPANS[number % len(SPANS)], hours=rng.choice(HOURS))
        if constants.dates and number % 3 == 2:  # the first day of something, or the day before
            first = datetime.combine(rng.choice(constants.dates), first.time()) - timedelta(days=rng.choice((0, 1)))
        yield maker.nights(first, LATER[number % len(LATER)])


class _Constants:
    """What two policies name: numbers, texts, spans and days of their expressions, and reps."""

    def __init__(self, old: Policy, new: Policy) -> None:
        self.required = {(e, n) for e, known in old.model.entities.items() for n, f in known.items() if f.required}
        self.entities = {e: fields for e, fields in new.model.entities.items() if e in old.model.entities}
        both = (old, new)
        self.decided = {entity for entity, _ in _each(both, lambda policy: policy.plan.engagement)}
        self.roles = tuple(dict.fromkeys(_each(both, lambda policy: policy.roles)))
        dated = list(_each(both, _dated))
        literals = list(_each(both, _literals))
        self.numbers = _nearby(x for x in literals if v.is_number(x)) or [0, 1, 100]
        self.days = [x for x in literals if type(x) is date]
        listed = chain.from_iterable(_each(both, lambda policy: policy.plan.lists.values()))
        self.texts = list(dict.fromkeys(str(x) for x in (*literals, *listed, *(x.value for x in dated)) if isinstance(x, str))) or ["x"]
        spans = [x for x in map(_span, literals) if x is not None]
        self.spans = list(dict.fromkeys([timedelta(), timedelta(days=10), *spans, *_each(both, _spans)]))
        exceptions = list(_each(both, lambda policy: policy.plan.exceptions))
        self.dates = _turning_points([*dated, *exceptions])
        self.most = max(RECORDS, int(max((cap for cap in _each(both, _caps) if cap < MOST_RECORDS), default=0)) + 2)
        self.reps = sorted(set(_each(both, _reps)))
        named = sorted({(x.entity, str(x.record)) for x in exceptions})
        self.named = {entity: [record for e, record in named if e == entity] for entity in self.entities}


def _each(policies: Iterable[Policy], ask: Callable[[Policy], Iterable[Item]]) -> Iterator[Item]:
    return chain.from_iterable(map(ask, policies))


def _nearby(numbers: Iterable[float]) -> list[float]:
    """Numbers, each with one less and one more."""
    return list(dict.fromkeys(x + d for x in numbers for d in (-1, 0, 1)))


def _span(length: object) -> timedelta | None:
    """About how long a duration is."""
    if isinstance(length, timedelta):
        return length
    if isinstance(length, v.Months):
        return timedelta(days=30 * length.months)
    if isinstance(length, v.WorkingDays):
        return timedelta(days=length.days)
    return timedelta(hours=length.hours) if isinstance(length, v.WorkingHours) else None


def _literals(policy: Policy) -> Iterator[object]:
    """The constants of all expressions."""
    yield from (node.value for _, tree in expressions(policy) for node in s.walk(tree) if isinstance(node, s.Literal))


def _turning_points(periods: Iterable[DatedValue | ExceptionRow]) -> list[date]:
    """The days on which something begins or ends."""
    return list(dict.fromkeys(day for x in periods for day in (x.start, x.until) if day is not None))


def _dated(policy: Policy) -> Iterator[DatedValue]:
    """Values of lists and members of pools, each with the days on which it holds."""
    yield from chain.from_iterable(policy.plan.dated_lists.values())
    yield from _members(policy)


def _caps(policy: Policy) -> Iterator[float]:
    plan = policy.plan
    exprs = [e for pool in plan.pools.values() for e in pool.caps.values()] + (list(plan.claims.caps.values()) if plan.claims else [])
    yield from (n.value for e in exprs for n in s.walk(e.tree) if isinstance(n, s.Literal) and v.is_number(n.value))


def _members(policy: Policy) -> Iterator[DatedValue]:
    for pool in policy.plan.pools.values():
        yield from () if isinstance(pool.members, Expr) else pool.members


def _reps(policy: Policy) -> Iterator[str]:
    yield from (str(rep) for rep, _ in named_reps(policy.plan))
    yield from (str(member.value) for member in _members(policy))


def _spans(policy: Policy) -> Iterator[timedelta]:
    """Durations that stand beside the expressions: of claims, and of each stage of a holdover."""
    claims = policy.plan.claims
    lengths: list[object] = [claims.lasts, claims.work_within, claims.wait, claims.rest] if claims is not None else []
    lengths += [x for h in policy.plan.holdovers for x in (h.each,) * len(h.shares)]
    for number, length in enumerate(lengths, 1):
        days = _span(length)
        if days is not None:
            yield days
            if policy.plan.holdovers:
                yield days * number


class _Maker:
    """Makes up the records of two nights."""

    def __init__(self, constants: _Constants, rng: random.Random, seeds: Mapping[str, list[Values]], missing: float, alone: bool) -> None:
        self.known, self.rng, self.seeds, self.missing = constants, rng, seeds, missing
        named = rng.sample(constants.reps, min(NAMED, len(constants.reps)))
        reps = named[:1] or ["rep-1"] if alone else [*sorted(named), "rep-1"]
        self.ids = {entity: self._ids(entity, reps) for entity in constants.entities}

    def _ids(self, entity: str, reps: list[str]) -> list[str]:
        if entity == "rep":
            return reps
        count = self.known.most if entity in (*self.known.decided, "claim") else ACTIVITIES if entity == "activity" else FEW
        named = self.known.named.get(entity, [])
        return [*named, *(f"{entity}-{i}" for i in range(1, count + 1 - len(named)))]

    def nights(self, at: datetime, later: int) -> Nights:
        before = Night(at, self._tables(at))
        changed = {e: [dict(row) for row in rows] for e, rows in before.tables.items()}
        after = at + timedelta(days=later)
        for entity in self.known.decided & changed.keys():
            for row in changed[entity]:
                if self.rng.random() < 0.5:
                    row |= self._record(entity, str(row["id"]), after, references=False)
        return before, Night(after, changed)

    def _tables(self, at: datetime) -> Tables:
        return {entity: [self._record(entity, name, at) for name in names] for entity, names in self.ids.items()}

    def _record(self, entity: str, name: str, at: datetime, references: bool = True) -> Values:
        row: Values = {"id": name}
        for field_name, field in self.known.entities[entity].items():
            must = entity in FULL or (field.required and (entity, field_name) in self.known.required)
            missing = MOSTLY if field_name in GONE else self.missing
            if field_name == "id" or field.via or (not must and self.rng.random() < missing):
                continue
            if field.type.name in ("owners", "record"):
                row |= self._reference(field_name, field) if references else {}
            elif (value := self._value(entity, field_name, field, at)) is not None:
                row[field_name] = value
        seeds = self.seeds.get(entity)
        return row | (self.rng.choice(seeds) if seeds and self.rng.random() < 0.6 else {})

    def _reference(self, name: str, field: Field) -> Values:
        if field.type.name == "owners":
            return {f"{name}.{role}": self.rng.choice(self.ids["rep"]) for role in self.known.roles if self.rng.random() < 0.7}
        among = self.ids.get(field.type.entity or "", [])
        return {name: self.rng.choice(among)} if among else {}

    def _value(self, entity: str, name: str, field: Field, at: datetime) -> Value:
        kind = field.type.name
        if kind == "number":
            return self.rng.choice(self.known.numbers)
        if kind == "boolean":
            return None if entity == "rep" and name == "active" else self.rng.choice([True, False])
        if kind in ("date", "date and time"):
            if entity == "rep":  # or hardly anybody would be there
                return None
            span = self.rng.choice(self.known.spans) * self.rng.choice([-1, -1, -1, 1])
            moment = at + span + timedelta(days=self.rng.choice([-1, 0, 0, 0, 1]))
            moment -= timedelta(hours=self.rng.choice([0] * 8 + [*range(24)]))
            day = self.rng.choice([moment.date(), *self.known.days[:8]]) if kind == "date" else None
            return str(day) if day is not None else moment.isoformat()
        if kind != "string":
            return None
        if name == "email":
            return f"{self.rng.choice('ab')}@{self.rng.choice(self._texts('domain'))}"
        return self.rng.choice(field.type.values or self._texts(field.normalize))

    def _texts(self, normalize: str) -> list[str]:
        """Texts of the policies that are spelt as a field has them; if there are none, any such texts."""
        clean = NORMALIZERS.get(normalize)
        fitting = [x for x in self.known.texts if clean is None or clean(x) == x]
        return fitting or list(OTHERS.get(normalize, OTHERS[""])[:3])


# --- what matters of them -------------------------------------------------------------------------------------------


class Shrinking:
    """Takes away whatever is not needed for two policies to decide something differently."""

    def __init__(self, evaluators: Sequence[Evaluator], nights: Nights) -> None:
        self.evaluators, self.nights, self.left = evaluators, nights, MOST_RUNS

    def differing(self, nights: Nights) -> tuple[int, list[Run]] | None:
        """The first night in which the two differ, and its runs."""
        from roe.analysis.decided import differing

        try:
            for number, decided in enumerate(runs(self.evaluators, nights)):
                if next(differing(*decided), None) is not None:
                    return number, decided
        except PolicyError:  # a policy that refuses such records
            return None
        return None

    def smallest(self) -> tuple[Nights, list[Run]] | None:
        """The nights up to the one in which the two differ, with no more than that takes; and the runs of that night."""
        differing = self.differing(self.nights)
        if differing is None:
            return None
        self.nights = self.nights[: differing[0] + 1]
        if len(self.nights) > 1:
            self._keep(self.nights[-1:])
        records = [(e, str(row["id"])) for e, rows in self.nights[-1].tables.items() for row in rows]
        size = max(1, len(records) // 2)
        while size:
            for start in range(0, len(records), size):
                self._keep([night.without(records[start : start + size]) for night in self.nights])
            left = {(e, str(row["id"])) for e, rows in self.nights[-1].tables.items() for row in rows}
            records = [x for x in records if x in left]
            size //= 2
        self._drop_fields()
        last = self.differing(self.nights)
        assert last is not None
        return self.nights[: last[0] + 1], last[1]

    def _drop_fields(self) -> None:
        for entity in list(self.nights[-1].tables):
            for name in dict.fromkeys(name for night in self.nights for row in night.tables[entity] for name in row if name != "id"):
                self._keep([Night(n.at, {**n.tables, entity: [_bare(row, name) for row in n.tables[entity]]}) for n in self.nights])

    def _keep(self, nights: Nights) -> None:
        """Go on with less, if the two still differ."""
        self.left -= 1
        if self.left >= 0 and self.differing(nights) is not None:
            self.nights = nights


def _bare(row: Values, name: str) -> Values:
    return {key: value for key, value in row.items() if key != name}


def as_witness(nights: Nights, entity: str, record: str) -> Witness:
    """A record of the last night, by its fields, and what else is there."""
    night = nights[-1]
    row = next((x for x in night.tables.get(entity, ()) if str(x["id"]) == record), {})
    facts = {tuple(name.split(".")): value for name, value in row.items() if name != "id" or not record.startswith(f"{entity}-")}
    return Witness(entity, facts, night.at.date(), beside=_beside(nights, entity, record))


def _beside(nights: Nights, entity: str, record: str) -> str:
    counts = {e: sum((e, str(x["id"])) != (entity, record) for x in rows) for e, rows in nights[-1].tables.items()}
    others = [f"{n} {'more ' if e == entity else ''}{e if n == 1 else plural(e)}" for e, n in counts.items() if n]
    before = [f"after a run on {night.at.date()}" for night in nights[:-1]]
    return ", ".join([f"beside {' and '.join(others)}"] * bool(others) + before)
