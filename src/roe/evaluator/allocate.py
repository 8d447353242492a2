"""`Allocate`: pools that hand records to reps. Who may take a turn is decided here, whose turn it is in `turns`.

What a turn rests on is kept, so that the pool as it was at any of them can be shown: the *standing* (members, weights, who
was skipped and why) and the turn's place in the pool's history. Both go to the run's files and are read back from there.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from roe.evaluator.able import reason_not_here, reason_on_leave, receiver
from roe.evaluator.turns import History, Ledger, Seat, Slots, Standing
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import IMPLICIT, Code, Scope, compile_expression
from roe.grammar.functions import BY_NAME
from roe.plan.operators import Allocate, Expr
from roe.policy.reads import rests_on

if TYPE_CHECKING:
    from roe.evaluator.world import Row, World
    from roe.policy.model import Policy

RECORDS = ("lead", "account", "opportunity", "contact")  # what a pool's expressions may name besides the rep
CLASSES = 256  # kinds of records that a pool tells apart; of more it forgets
NO_KEY: Any = object()
FALLBACK = "nobody in the pool can take it"
OPEN_CAPS = {"open_leads": "lead", "open_accounts": "account"}  # caps on what a rep has, and the entity that they count
OPEN = "is_open"  # the field that says whether a record counts there


@dataclass(slots=True)
class Member:
    """A rep in a turn, as it was just before: weight, turns taken so far, credit, open leads, and why it was skipped."""

    rep: Row
    weight: Fraction
    count: int
    credit: Fraction
    load: int | None
    skipped: str = ""


@dataclass(slots=True)
class Turn:
    """One allocation by a pool. `why` says what took the place of a turn: stickiness, a company's other lead, a repetition."""

    pool: str
    strategy: str
    rep: Row | None
    n: int  # its place among all allocations by pools in the run, from 0
    index: int  # how many turns the pool had taken in the run before it
    standing: Standing | None
    history: PoolHistory | None
    why: str = ""
    before: Turn | None = None  # the pool that this one is the fallback of
    repeated: str = ""  # the day of the earlier run that made this allocation
    until: Any = None  # when it must be worked
    kept_position: int = 0
    loads: Mapping[str, int] | None = None  # open leads of the members just before it, where the strategy asks for them

    @property
    def position(self) -> int:
        """The record's place in the pool's queue, from 1, over all runs."""
        return self.kept_position if self.history is None else self.history.turns.position + self.index + 1

    @property
    def members(self) -> list[Member]:
        return self.history.members(self) if self.history is not None else []

    def as_json(self) -> dict[str, Any]:
        shown = [
            {
                "rep": m.rep["id"], "weight": float(m.weight), "count": m.count, "credit": round(float(m.credit), 4),
                "load": m.load, "skipped": m.skipped or None,
            }
            for m in self.members
        ]  # fmt: skip
        return {
            "pool": self.pool, "strategy": self.strategy, "rep": self.rep["id"] if self.rep is not None else None,
            "position": self.position, "members": shown, "why": self.why or None, "repeated": self.repeated or None,
            "until": v.string(self.until), "before": self.before.as_json() if self.before else None,
        }  # fmt: skip

    def chain(self) -> list[Turn]:
        """The pools that were tried before this one, first to last."""
        return [*self.before.chain(), self.before] if self.before else []

    def record(self, key: str) -> dict[str, Any]:
        """The turn as a line of the run's own records; see `recorded`."""
        return {
            "n": self.n, "pool": self.pool, "standing": self._number(), "index": self.index,
            "rep": self.rep["id"] if self.rep is not None else None, "key": key, "why": self.why, "repeated": self.repeated,
            "until": v.string(self.until), "before": [[t.pool, t._number(), t.index] for t in self.chain()],
            "position": self.position, **({"loads": dict(self.loads)} if self.loads is not None else {}),
        }  # fmt: skip

    def _number(self) -> int:
        return -1 if self.history is None or self.standing is None else self.history.number(self.standing)


@dataclass(slots=True)
class PoolHistory:
    """A pool over a run: its turns, its standings in the order of their first use, and what loads were at the start."""

    strategy: str
    turns: History
    reps: Any  # id -> Row
    standings: dict[tuple[Seat, ...], int] = field(default_factory=dict)
    made: list[Standing] = field(default_factory=list)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> PoolHistory:
        """What `as_json` wrote; its turns are to be added to its log."""
        credits = {str(rep): Fraction(c) for rep, c in kept["credits"].items()}
        counts = {str(rep): int(n) for rep, n in kept["counts"].items()}
        found = cls(kept["strategy"], History(int(kept["debt"]), credits, counts, int(kept["position"])), None)
        for seats in kept["standings"]:
            found.intern(cls.standing_of(seats).seats)
        return found

    @staticmethod
    def standing_of(seats: Iterable[Any]) -> Standing:
        """A standing as `as_json` wrote it."""
        return Standing(Seat(str(rep), Fraction(weight), str(skipped), owed is True) for rep, weight, skipped, owed in seats)

    def intern(self, seats: Sequence[Seat]) -> Standing:
        key = tuple(seats)
        number = self.standings.get(key)
        if number is None:
            number = self.standings[key] = len(self.made)
            self.made.append(Standing(key))
        return self.made[number]

    def number(self, standing: Standing) -> int:
        return self.standings[standing.seats]

    @property
    def log_is_empty(self) -> bool:
        return not self.turns.log and not self.made

    def members(self, turn: Turn) -> list[Member]:
        assert turn.standing is not None
        ledger, counts = self.turns.at(turn.index)
        return [
            Member(
                self.reps(seat.rep), seat.weight, counts[seat.rep], ledger.credit(seat.rep),
                None if turn.loads is None else turn.loads.get(seat.rep, 0), seat.skipped,
            )
            for seat in turn.standing.seats
        ]  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy, "debt": self.turns.limit, "position": self.turns.position,
            "counts": dict(sorted(self.turns.counts.items())),
            "credits": {rep: str(c) for rep, c in sorted(self.turns.credits.items())},
            "standings": [[seat.as_json() for seat in standing.seats] for standing in self.made],
        }  # fmt: skip


@dataclass(slots=True)
class Class:
    """Records that are alike to a pool, such as leads in one language: who may take part, with weights and limits, and who does now."""

    row: Row  # one of them
    reps: list[Row]
    terms: dict[str, tuple[Fraction, dict[str, Any]]] = field(default_factory=dict)
    is_seated: bool = False
    seats: list[Seat] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)
    standing: Standing | None = None
    interned: Standing | None = None


class Pool:
    """One pool in one run: who its members are for a record, and whose turn it is."""

    def __init__(self, step: Allocate, pools: Pools) -> None:
        self.step, self.pools, self.world = step, pools, pools.world
        saved = pools.state.get("pools", {}).get(step.name, {})
        credits = {str(rep): Fraction(c) for rep, c in saved.get("credits", {}).items()}
        self.counts = Counter({str(rep): int(n) for rep, n in saved.get("counts", {}).items()})
        history = History(step.debt, credits, dict(self.counts), int(saved.get("turns", 0)))
        self.history = PoolHistory(step.strategy, history, self.world.rep)
        self._ledger = Ledger(step.debt, credits)
        self._standing: Standing | None = None  # of the turns that are not booked yet
        self._slots: Slots | None = None
        self._weight, self._score, self.sticky = (_code(e) for e in (step.weight, step.score, step.sticky))
        self.together = _code(step.together)
        self.company_name = f"$company {step.together.text}" if step.together is not None else ""  # pools that ask alike share the answer
        self._caps = {cap: compile_expression(e.tree) for cap, e in step.caps.items()}
        self._members = compile_expression(step.members.tree) if isinstance(step.members, Expr) else None
        self.record_parts = record_parts(step, self.world.policy)
        self.classed = self.record_parts is not None and step.strategy != "least_loaded"
        self.fixed = self.classed and not self.record_parts  # all records are alike
        self._part_codes = [compile_expression(tree) for tree in self.record_parts or ()]
        self._static = not isinstance(step.members, Expr) or _about_rep(step.members)
        self._reps_cached: list[Row] | None = None
        self._classes: dict[Any, Class] = {}

    # --- turns ------------------------------------------------------------------------------------------------------

    def route(self, row: Row, role: str, before: Turn | None = None, tried: Mapping[str, str] | None = None) -> Turn:
        """The turn of a record, booked. `tried` are reps who must not have it, with the reasons."""
        standing = self.standing(row, role)
        if tried:
            standing = self.history.intern(standing.without(tried))
        turn = self._turn(standing, before)
        if not standing.able:
            return self._fallback(turn, row, role, tried)
        self._remembered(turn, row, role)
        if turn.rep is None:
            turn.rep = self.world.rep(self.next(standing))
        assert turn.rep is not None
        self.pools.took(turn, row, role)
        return turn

    def _turn(self, standing: Standing, before: Turn | None) -> Turn:
        index = self.history.turns.taken
        found = Turn(self.step.name, self.step.strategy, None, self.pools.n, index, standing, self.history, before=before)
        if self.step.strategy == "least_loaded":
            found.loads = {seat.rep: self.pools.open_leads(seat.rep) for seat in standing.seats}
        return found

    def _remembered(self, turn: Turn, row: Row, role: str) -> None:
        """The rep whom the record belongs with, if that rep can take it: no turn is taken then."""
        assert turn.standing is not None
        able = {rep for rep, _ in turn.standing.able}
        if self.sticky is not None:
            rep = self.world.assignee(self.sticky(self.world.scope(row)), role)
            if rep is not None and rep["id"] in able:
                turn.rep, turn.why = rep, f"it stays with {rep.label}"
                return
        kept = self.pools.companion(self, row, role, able)
        if kept is not None:
            turn.rep, turn.why = self.world.rep(kept[0]), together(kept[1])

    def next(self, standing: Standing) -> str:
        """The rep of the next turn, booked."""
        if self.step.strategy == "least_loaded":
            count = self.counts
            rep = min((r for r, _ in standing.able), key=lambda r: (self.pools.open_leads(r), count[r], r))
            self._ledger.settle(standing, 1, {rep: 1})  # credit decides nothing here, and is shown all the same
        else:
            if self._standing is not standing or self._slots is None:
                self.book()
                self._standing, self._slots = standing, Slots(standing, self._ledger)
            rep = standing.able[self._slots.next()][0]
        self.history.turns.log.append((standing, rep))
        self.counts[rep] += 1
        return rep

    def book(self) -> None:
        """Settle the turns of the last standing."""
        if self._standing is not None and self._slots is not None:
            taken = {rep: n for (rep, _), n in zip(self._standing.able, self._slots.taken, strict=True) if n}
            self._ledger.settle(self._standing, self._slots.turn, taken)
        self._standing = self._slots = None

    def book_all(self, standing: Standing, turns: int, taken: Mapping[str, int]) -> None:
        """Settle turns that were worked out elsewhere."""
        self.book()
        self._ledger.settle(standing, turns, taken)
        self.counts.update(taken)

    def give_back(self, row: Row, role: str, rep: str) -> None:
        """Book that the turn which a record used is given back. Only before the run's own turns."""
        self._ledger.give_back(self.standing(row, role), rep)
        if self.counts[rep] > 0:
            self.counts[rep] -= 1
        turns = History(self.step.debt, self._ledger.credits(), dict(self.counts), self.history.turns.position)
        self.history = PoolHistory(self.step.strategy, turns, self.world.rep)
        self.forget()

    def ledger(self) -> Ledger:
        self.book()
        return self._ledger

    def _fallback(self, turn: Turn, row: Row, role: str, tried: Mapping[str, str] | None) -> Turn:
        name = self.step.fallback
        if name is not None and str(name) in self.pools.pools:
            return self.pools.pools[str(name)].route(row, role, turn, tried)
        turn.why = FALLBACK
        turn.rep = receiver(self.world.rep(name), self.pools.holder(row, role))
        self.pools.n += 1
        return turn

    # --- who takes part -----------------------------------------------------------------------------------------------

    def standing(self, row: Row, role: str) -> Standing:
        """Who takes part in a record's turn, and who is skipped. A record's own place counts against nobody's cap."""
        owners = self.pools.owners(row) if self._caps else {}
        alike = self.alike_with(row)
        if alike is None:
            return self.history.intern(self._ranked([self._seat(rep, row, owners, role) for rep in self._reps(row)], row))
        own = [rep for rep in set(owners.values()) if rep in alike.place]
        if own:
            seats = list(alike.seats)
            for rep in own:
                seats[alike.place[rep]] = self._seat(self.world.rep(rep), row, owners, role, alike)  # type: ignore[arg-type]
            if seats != alike.seats:
                return self.history.intern(self._ranked(seats, row))
        return self.interned(row, alike)

    def interned(self, row: Row, alike: Class | None = None) -> Standing:
        """Who takes part now in the turn of a record that none of them has; the same object as long as nothing changes."""
        alike = alike or self.alike_with(row)
        assert alike is not None
        if alike.interned is None:
            alike.interned = self.history.intern(self._standing_of(alike, row).seats)
        return alike.interned

    def fixed_standing(self, row: Row) -> Standing:
        """Who takes part now, for any record that is like this one to the pool."""
        alike = self.alike_with(row)
        assert alike is not None
        return self._standing_of(alike, row)

    def _standing_of(self, alike: Class, row: Row) -> Standing:
        if alike.standing is None:
            alike.standing = Standing(self._ranked(alike.seats, row))
        return alike.standing

    def alike_with(self, row: Row) -> Class | None:
        """The records that are like this one to the pool; None where it looks at each of them for itself."""
        key = self._key(row) if self.classed else None
        if key is None:
            return None
        found = self._classes.get(key)
        if found is None:
            if len(self._classes) >= CLASSES:
                self._classes.clear()
            found = self._classes[key] = Class(row, self._reps(row))
        if not found.is_seated:
            found.seats = [self._seat(rep, row, alike=found) for rep in found.reps]
            found.place = {seat.rep: i for i, seat in enumerate(found.seats)}
            found.is_seated = True
        return found

    def _key(self, row: Row) -> Any:
        """What the pool reads of a record, as a key; None for values that cannot be one."""
        if not self._part_codes:
            return ()
        scope = self._scope(row)
        found = tuple(hashed(code(scope)) for code in self._part_codes)
        return None if NO_KEY in found else found

    @property
    def has_seats(self) -> bool:
        """Whether it is known who takes part, which caps may change."""
        return bool(self._classes) and bool(self._caps)

    def changed(self, rep: Row, row: Row) -> None:
        """A rep has taken a record: whether the rep is able may be another."""
        for alike in self._classes.values():
            if alike.is_seated and (i := alike.place.get(rep["id"])) is not None:
                again = self._seat(rep, alike.row, alike=alike)
                if again != alike.seats[i]:
                    alike.seats[i] = again
                    alike.standing = alike.interned = None

    def room(self, entity: str, only: str | None = None) -> Iterator[tuple[str, int]]:
        """(a member, how many more records of an entity until a cap is reached), of each kind of record that was met and each cap; of one
        member alone if it is named.

        Whoever is skipped for one cap may reach another: the reason is then another.
        """
        for alike in self._classes.values():
            some = alike.seats if only is None else [alike.seats[alike.place[only]]] if only in alike.place else []
            for seat in some if alike.is_seated else ():
                for cap, limit in self.terms(self.world.rep(seat.rep), alike.row, alike)[1].items():  # type: ignore[arg-type]
                    if v.is_number(limit) and OPEN_CAPS.get(cap, entity) == entity:
                        left = math.ceil(limit - self.pools.used(cap, seat.rep))
                        if left > 0:
                            yield seat.rep, left

    def forget(self) -> None:
        """Who is able is to be found out again."""
        for alike in self._classes.values():
            alike.is_seated, alike.standing, alike.interned = False, None, None

    def renew(self, reps: bool = True) -> None:
        """Begin again where the turns taken so far have led, for a new moment or changed records; earlier turns keep their history.

        Unless `reps` have changed, the members and weights for records that are alike are what they were: they read nothing else.
        """
        self.forget()
        if reps or not self.classed or self._members is None:
            self._reps_cached = None
            self._classes.clear()
        if self.history.log_is_empty:
            return
        turns = History(self.step.debt, self.ledger().credits(), dict(self.counts), self.history.turns.position + self.history.turns.taken)
        self.history = PoolHistory(self.step.strategy, turns, self.world.rep)

    def _reps(self, row: Row) -> list[Row]:
        """The members for a record, by id; found once where membership rests on the rep alone."""
        if self._reps_cached is not None:
            return self._reps_cached
        if self._members is None:
            found = [rep for name in self._listed() if (rep := self.world.rep(name)) is not None]
        else:
            scope = self._scope(row)
            found = []
            for rep in self.world.rows["rep"]:
                scope["rep"] = rep
                if self._members(scope) is True:
                    found.append(rep)
        found = sorted({rep["id"]: rep for rep in found}.values(), key=lambda rep: str(rep["id"]))
        if self._static:
            self._reps_cached = found
        return found

    def _scope(self, row: Row) -> Scope:
        """What an expression about a member and a record can name; `rep` is still to be put there."""
        return {**self.world.scope(row), "account": row if row.entity == "account" else row["account"]}

    def _listed(self) -> list[str]:
        today = self.world.clock.today
        return [] if isinstance(self.step.members, Expr) else [str(m.value) for m in self.step.members if m.holds(today)]

    def _seat(
        self, rep: Row, row: Row, owners: Mapping[str, str] = MappingProxyType({}), role: str = "", alike: Class | None = None
    ) -> Seat:
        """A rep's part in the turn of a record that has these owners."""
        weight, limits = self.terms(rep, row, alike)
        gone = self.pools.gone(rep) or ("weight 0" if weight == 0 else "")
        if gone:
            return Seat(rep["id"], weight, gone)
        away = self.pools.away(rep, self.step.hours)
        own = rep["id"] in owners.values() and self.pools.counts_open(row)
        keeps = owners.get(role) == rep["id"]
        skipped = away or next(filter(None, (self._capped(cap, limit, rep, row, own, keeps) for cap, limit in limits.items())), "")
        return Seat(rep["id"], weight, skipped, bool(skipped))

    def terms(self, rep: Row, row: Row, alike: Class | None = None) -> tuple[Fraction, dict[str, Any]]:
        """A rep's weight and limits for a record."""
        found = alike.terms.get(rep["id"]) if alike is not None else None
        if found is None:
            scope = self._scope(row)
            scope["rep"] = rep
            weight = Fraction(1)
            if self._weight is not None:
                value = self._weight(scope)
                # to six digits: what a third is in figures is a third again
                weight = Fraction(str(value)).limit_denominator(10**6) if v.is_number(value) and value > 0 else Fraction(0)
            found = weight, {cap: code(scope) for cap, code in self._caps.items()}
            if alike is not None:
                alike.terms[rep["id"]] = found
        return found

    def _capped(self, cap: str, limit: Any, rep: Row, row: Row, own: bool, keeps: bool) -> str:
        """Why a cap keeps a rep from taking a record that is among those counted as the rep's `own`, or that the rep `keeps`."""
        if cap in OPEN_CAPS:
            own_place = int(own and OPEN_CAPS[cap] == row.entity)
            full = v.is_number(limit) and self.pools.used(cap, rep["id"]) - own_place >= limit
        else:  # what a rep has already is not given again
            full = v.is_number(limit) and not keeps and self.pools.used(cap, rep["id"]) >= limit
        return f"at the cap of {v.literal(limit)} {cap.replace('_', ' ')}" if full else ""

    def _ranked(self, seats: list[Seat], row: Row) -> list[Seat]:
        """Under `top_score` only those of the able with the highest score take turns."""
        if self._score is None:
            return seats
        scope = self._scope(row)
        scores: dict[str, Any] = {}
        for seat in seats:
            if not seat.skipped:
                scope["rep"] = self.world.rep(seat.rep)
                value = self._score(scope)
                scores[seat.rep] = value if v.is_number(value) else None
        best = max((x for x in scores.values() if x is not None), default=None)

        def lower(seat: Seat) -> Seat:
            if seat.skipped or scores[seat.rep] == best:
                return seat
            return Seat(seat.rep, seat.weight, f"score {v.literal(scores[seat.rep])}, the best has {v.literal(best)}")

        return list(map(lower, seats))


class Existing(NamedTuple):
    """A record that somebody has; such records sort as a queue does."""

    dated: bool
    created: str
    order: str
    rep: str
    id: str
    since: Any  # when it came, or its rep got it


class Companies:
    """Records by company, the oldest first."""

    def __init__(self) -> None:
        self.of: dict[Any, list[Existing]] = {}
        self._company_of: dict[str, tuple[Any, Existing]] = {}

    def add(self, company: Any, record: Existing) -> None:
        insort(self.of.setdefault(company, []), record)
        self._company_of[record.id] = company, record

    def drop(self, record: str) -> None:
        if record in self._company_of:
            company, known = self._company_of.pop(record)
            self.of[company].remove(known)


def queue_place(created: Any, record: Any) -> tuple[bool, str, str]:
    """What orders records that wait for a pool: when they came, those without a date first, then their ids."""
    if isinstance(created, datetime) and created.tzinfo is not None:
        created = created.astimezone(UTC)
    return (created is not None, "" if created is None else v.literal(created), str(record))


def together(label: str) -> str:
    return f"{label} of the same company went there"


def record_parts(step: Allocate, policy: Policy) -> list[s.Node] | None:
    """What tells records apart for a pool: all that it reads of them, beside stored fields of reps; None where it reads more.

    Of records that are alike, members, weights and limits are the same, and only turns change who is able.
    """
    fields, plan = policy.model.entities["rep"], policy.plan
    parts: dict[s.Node, None] = {}
    todo = [e.tree for e in (step.members, step.weight, step.score, *step.caps.values()) if isinstance(e, Expr)]
    while todo:
        node = todo.pop()
        if isinstance(node, (s.Path, s.Filter)):
            root: s.Node = node
            while isinstance(root, (s.Path, s.Filter)):
                root = root.base
            if not isinstance(root, s.Name):
                return None
            if root.id == "rep":
                plain = isinstance(node, s.Path) and node.base is root and (f := fields.get(node.field)) is not None and not f.via
                if not plain:
                    return None
            elif root.id in RECORDS and not any(isinstance(n, s.Name) and n.id in ("rep", "today", "now") for n in s.walk(node)):
                parts[node] = None
            else:
                return None
        elif isinstance(node, s.Name):
            if node.id not in plan.lists or node.id in plan.dated_lists:
                return None
        elif isinstance(node, (s.For, s.Quantified)) or (isinstance(node, s.Call) and not _is_timeless(node)):
            return None
        else:
            todo.extend(s.children(node))
    return list(parts)


def _is_timeless(call: s.Call) -> bool:
    return (row := BY_NAME.get(call.function)) is not None and not row.clock


def hashed(value: Any) -> Any:
    """A value as a part of a key; `NO_KEY` for one that cannot be."""
    if isinstance(value, dict):
        return (value.entity, value["id"]) if hasattr(value, "entity") else NO_KEY
    if isinstance(value, list):
        items = tuple(map(hashed, value))
        return NO_KEY if NO_KEY in items else items
    return type(value).__name__, value


def _code(expr: Expr | None) -> Code | None:
    return compile_expression(expr.tree) if expr else None


def _about_rep(expr: Expr) -> bool:
    return not any(isinstance(n, s.Name) and n.id in RECORDS for n in s.walk(expr.tree))


class Pools:
    """All pools of one run, and what caps count: open records per rep, and assignments per day."""

    def __init__(self, plan: Mapping[str, Allocate], world: World, state: Mapping[str, Any]) -> None:
        self.world, self.state = world, state
        self.days: dict[str, dict[str, int]] = {r: dict(d) for r, d in state.get("days", {}).items()}
        self.n = 0  # how many allocations there were in the run
        self._last: list[tuple[str, str, int]] = []  # what the last record that was taken added to what caps count
        self._given: dict[tuple[str, str], dict[str, str]] = {}  # (entity, record) -> role -> the rep whom the run gave it to
        self._existing: dict[tuple[str, str, str], Companies] = {}  # by what companies have in common, entity and role
        self._rests_on: dict[tuple[str, str], frozenset[tuple[str, str]] | None] = {}
        self._asked: dict[tuple[str, str, str], Pool] = {}  # the same -> a pool that asks so
        self._open: dict[tuple[str, str], int] | None = None
        self._away: dict[tuple[str, Any], str] = {}
        self.pools: dict[str, Pool] = {}
        for name, step in plan.items():
            self.pools[name] = Pool(step, self)
        self.companions: dict[tuple[str, Any], tuple[str, str]] = {}  # (pool, company) -> the rep, and of which record
        for key, kept in state.get("assigned", {}).items():
            if kept.get("company") is not None and kept["rep"]:
                entity, record, _ = key.split("|", 2)
                self.companions.setdefault((kept["by"], kept["company"]), (kept["rep"], f"{entity} {record}"))

    def route(self, pool: str, row: Row, role: str, tried: Mapping[str, str] | None = None) -> Turn:
        return self.pools[pool].route(row, role, None, tried)

    def took(self, turn: Turn, row: Row, role: str) -> None:
        rep = turn.rep
        assert rep is not None
        self.n += 1
        owners = self.owners(row)
        if owners.get(role) != rep["id"]:
            self._count_day(rep["id"], 1)
        after = {**owners, role: rep["id"]}
        self._last = []
        if self.counts_open(row):  # a rep counts once for a record, whatever the roles
            changed = sorted({*owners.values()} ^ {*after.values()})
            self._last = [(row.entity, one, 1 if one == rep["id"] else -1) for one in changed]
            for entity, one, n in self._last:
                self._count_open(entity, one, n)
                other = self.world.rep(one)
                if other is not None and other is not rep:
                    self._seated_anew(other, row)
        self._given.setdefault((row.entity, row["id"]), {})[role] = rep["id"]
        company = self.company(self.pools[turn.pool], row)
        if company is not None:
            self.companions.setdefault((turn.pool, company), (rep["id"], f"{row.entity} {row['id']}"))
        self._seated_anew(rep, row)

    def _seated_anew(self, rep: Row, row: Row) -> None:
        """What counts against a rep's caps has changed."""
        for pool in self.pools.values():
            if pool.has_seats:
                pool.changed(rep, row)

    def again(self) -> None:
        """The next decision at this moment: what the last one gave stands in the data now."""
        self.n = 0
        self._given.clear()

    @cached_property
    def counts_are_asked(self) -> bool:
        """Whether who is able rests on how many open records each rep has."""
        return any(cap in OPEN_CAPS for pool in self.pools.values() for cap in pool.step.caps)

    def renew(self, reps: bool = True) -> None:
        """Another moment, or other records: what was found out of reps is forgotten, turns and days stay. `reps`: whether one has changed."""
        self.again()
        self._open = None
        self._away.clear()
        for pool in self.pools.values():
            pool.renew(reps)

    def uncount(self) -> None:
        """What was taken last now stands in the data as the rep's own, where it is counted."""
        for entity, rep, n in self._last:
            self._count_open(entity, rep, -n)
        self._last = []

    def count(self, entity: str, rep: str, n: int) -> None:
        """Add records that are new to a rep to what caps count."""
        self._count_day(rep, n)
        self._count_open(entity, rep, n)

    def _count_day(self, rep: str, n: int) -> None:
        today = str(self.world.clock.today)
        by_day = self.days.setdefault(rep, {})
        by_day[today] = by_day.get(today, 0) + n

    def _count_open(self, entity: str, rep: str, n: int) -> None:
        counts = self._counts()
        counts[entity, rep] = counts.get((entity, rep), 0) + n

    def owners(self, row: Row) -> dict[str, str]:
        """role -> who has a record now, what the run gave included."""
        found = {role: str(rep["id"]) for role, rep in row["owner"].items() if rep is not None}
        return {**found, **self._given.get((row.entity, row["id"]), {})}

    def counts_open(self, row: Row) -> bool:
        """Whether a record is one of those that caps count."""
        return row.entity in OPEN_CAPS.values() and row[OPEN] is not False

    def company(self, pool: Pool, row: Row) -> Any:
        """What records of one company have in common, or None."""
        if pool.together is None:
            return None
        if pool.company_name in row.derived:
            return dict.get(row, pool.company_name)
        found = pool.together(self.world.scope(row))
        return row.remember(pool.company_name, found if isinstance(found, (str, int, float)) else None)

    def companion(self, pool: Pool, row: Row, role: str, able: Container[str]) -> tuple[str, str] | None:
        """Who of the able has another record of the same company, and which: the oldest record counts, then what the pool gave."""
        company = self.company(pool, row)
        if company is None:
            return None
        for other in self.existing(pool, row.entity, role).of.get(company, ()):
            if other.rep in able and other.id != row["id"] and self._is_recent(pool, other):
                return other.rep, f"{row.entity} {other.id}"
        given = self.companions.get((pool.step.name, company))
        return given if given is not None and given[0] in able else None

    def existing(self, pool: Pool, entity: str, role: str) -> Companies:
        """The companies' records that somebody has in a role already."""
        step = pool.step
        key = (pool.company_name, entity, role)  # pools that ask alike share the answer
        found = self._existing.get(key)
        if found is None:
            found = self._existing[key] = Companies()
            self._asked[key] = pool
            reps = self.world.owner_ids(entity, role) if step.together is not None else ()
            if step.together is None or not any(reps):
                return found
            ids, created = self.world.values(entity, "id"), self.world.values(entity, "created")
            since = self.world.values(entity, "owner_since")
            for i, (rep, company) in enumerate(zip(reps, self.world.evaluated(entity, step.together), strict=True)):
                if rep and isinstance(company, (str, int, float)):
                    found.add(company, Existing(*queue_place(created[i], ids[i]), rep, str(ids[i]), created[i] or since[i]))
        return found

    def askers(self) -> Collection[Pool]:
        """Of the pools that have asked for a record's company, one for each way of asking."""
        return {pool.company_name: pool for pool in self._asked.values()}.values()

    def company_rests_on(self, pool: Pool, entity: str) -> frozenset[tuple[str, str]] | None:
        """Every (entity, field) that the company of an entity's records rests on; None where that cannot be told."""
        key = (pool.company_name, entity)
        if key not in self._rests_on:
            assert pool.step.together is not None
            self._rests_on[key] = rests_on(self.world.policy, entity, pool.step.together)
        return self._rests_on[key]

    def follow(self, row: Row, gone: bool, changed: Collection[str]) -> None:
        """A record has changed in some fields, or is gone: what is known of its company's records follows."""
        for key, found in list(self._existing.items()):
            _, entity, role = key
            pool, record = self._asked[key], str(row["id"])
            if entity != row.entity:
                if pool.step.together is not None:
                    read = self.company_rests_on(pool, entity)
                    if read is None or any((row.entity, name) in read for name in changed):
                        del self._existing[key]
                continue
            found.drop(record)
            rep = None if gone else row["owner"].get(role)
            company = self.company(pool, row) if rep is not None else None
            if rep is not None and company is not None:
                since = row["created"] or row["owner_since"]
                found.add(company, Existing(*queue_place(row["created"], record), str(rep["id"]), record, since))

    def leads_others(self, pool: Pool, company: Any, found: Companies) -> bool:
        """Whether somebody has a record of a company that its others follow now."""
        return any(self._is_recent(pool, one) for one in found.of.get(company, ()))

    def _is_recent(self, pool: Pool, record: Existing) -> bool:
        """Whether a record came within the time in which a company's records stay together; one without a date did not."""
        within = pool.step.together_within
        if within is None:
            return True
        until = None if record.since is None else self.world.clock.add(record.since, within)
        now = self.world.clock.now if isinstance(until, datetime) else self.world.clock.today
        return until is not None and v.less(now, until) is True

    def holder(self, row: Row, role: str) -> str | None:
        """Who has a record in a role."""
        owner = row["owner"].get(role)
        return None if owner is None else str(owner["id"])

    def histories(self) -> dict[str, PoolHistory]:
        return {name: pool.history for name, pool in self.pools.items()}

    # --- what reps can take -------------------------------------------------------------------------------------------

    def gone(self, rep: Row) -> str:
        """Why a rep takes part in no turn at all."""
        return "not active" if rep["active"] is False else reason_not_here(rep)

    def away(self, rep: Row, hours: bool) -> str:
        """Why a rep cannot take a record now: on leave, or outside working hours where the pool heeds them."""
        key = (rep["id"], hours)
        found = self._away.get(key)
        if found is None:
            found = reason_on_leave(rep)
            if not found:
                at = self.world.clock.of(rep["timezone"], rep["calendar"]) if hours else None
                found = "" if at is None or at.is_open(rep["hours"]) else f"outside working hours ({at.now:%a %H:%M} there)"
            self._away[key] = found
        return found

    def used(self, cap: str, rep: str) -> int:
        if cap in OPEN_CAPS:
            return self._counts().get((OPEN_CAPS[cap], rep), 0)
        today = self.world.clock.today
        by_day = self.days.get(rep, {})
        if cap == "per_day":
            return by_day.get(str(today), 0)
        monday = v.subtract(today, timedelta(days=today.weekday()))
        return sum(n for day, n in by_day.items() if str(monday) <= day <= str(today))

    def open_leads(self, rep: str) -> int:
        return self._counts().get(("lead", rep), 0)

    def _counts(self) -> dict[tuple[str, str], int]:
        if self._open is None:
            self._open = self.world.open_records()
        return self._open

    # --- service levels -----------------------------------------------------------------------------------------------

    def due(self, pool: Pool, since: datetime, rep: Row | None) -> Any:
        """When a record that a pool assigned to a rep must be worked; None if there is no such limit. Working time is the rep's own."""
        if pool.step.sla is None:
            return None
        clock, within = self.world.clock, pool.step.sla.within
        if rep is None or not isinstance(within, (v.WorkingHours, v.WorkingDays)):
            return clock.add(clock.here(since), within)
        theirs = clock.of_rep(rep["timezone"], rep["calendar"], rep["hours"])
        due = theirs.add(theirs.here(since), within)
        return clock.here(due) if isinstance(due, datetime) else due

    def over(self, pool: Pool, due: Any) -> Any:
        """When a record is taken away that was not worked until `due`."""
        sla = pool.step.sla
        return due if sla is None or sla.grace is None else self.world.clock.add(due, sla.grace)

    def due_alike(self, pool: Pool) -> bool:
        """Whether a record of a pool is due at the same moment whoever gets it."""
        now = self.world.clock.now
        return pool.step.sla is None or len({self.due(pool, now, rep) for rep in (None, *self.world.all("rep"))}) == 1

    def worked(self, pool: Pool, row: Row, rep: Row, since: datetime) -> bool:
        """Whether the rep has worked a record since it was assigned; what is only planned is not work."""
        assert pool.step.sla is not None
        counts, clock = pool.step.sla.worked_by, self.world.clock
        scope = self.world.scope(row)
        for activity in row["activities"] or ():
            at, day = activity["at"], activity["date"]
            after = since <= at <= clock.now if at is not None else day is not None and since.date() <= day <= clock.today
            scope["activity"] = scope[IMPLICIT] = activity
            if activity["rep"] is rep and after and (counts is None or self.world.compiled.code(counts)(scope) is True):
                return True
        return False

    def kept(self, pool: str, rep: Row | None, earlier: Mapping[str, Any], until: Any) -> Turn:
        """A record that keeps the rep whom an earlier run gave it: no turn is taken."""
        by = str(earlier["by"]) if earlier["by"] in self.pools else pool
        on = str(earlier["on"])
        turn = Turn(
            by, self.pools[by].step.strategy, rep, self.n, 0, None, None, f"assigned on {v.readable(v.parse_date(on))} already", repeated=on
        )
        if earlier.get("back"):
            turn.why += f", and the turn was given back: {earlier['back']}"
        turn.kept_position, turn.until = int(earlier["position"]), until
        self.n += 1
        return turn

    # --- state --------------------------------------------------------------------------------------------------------

    def saved(self) -> dict[str, Any]:
        """The pointers and day counts as they are to be kept; days older than two weeks count nowhere any more."""
        oldest = str(v.subtract(self.world.clock.today, timedelta(days=14)))
        days = {r: {d: n for d, n in by.items() if d >= oldest} for r, by in self.days.items()}
        pools = {}
        for name, p in sorted(self.pools.items()):
            turns = p.history.turns.position + p.history.turns.taken
            credits = {rep: str(c) for rep, c in p.ledger().credits().items()}
            pools[name] = {"turns": turns, "counts": {r: n for r, n in sorted(p.counts.items()) if n}, "credits": credits}
        return {"pools": pools, "days": {r: dict(sorted(by.items())) for r, by in sorted(days.items()) if by}}


def nobody(pool: str, n: int) -> Turn:
    """What a pool gives that finds nobody."""
    return Turn(pool, "", None, n, 0, None, None, FALLBACK)


def recorded(kept: Mapping[str, Any], world: World) -> Turn:
    """A turn read back from the records of the run that made it."""
    histories: Mapping[str, PoolHistory] = kept["histories"]

    def turn(pool: str, number: int, index: int, before: Turn | None) -> Turn:
        history = histories.get(pool)
        if history is not None:
            history.reps = world.rep
        standing = history.made[number] if history is not None and number >= 0 else None
        strategy = world.policy.plan.pools[pool].strategy
        return Turn(pool, strategy, None, kept["n"], index, standing, history if standing is not None else None, before=before)

    before = None
    for pool, number, index in kept["before"]:
        before = turn(pool, number, index, before)
    found = turn(kept["pool"], kept["standing"], kept["index"], before)
    found.rep, found.why, found.repeated = world.rep(kept["rep"]), kept["why"], kept["repeated"]
    found.until = v.parse_temporal(kept["until"]) if kept["until"] else None
    found.kept_position, found.loads = kept["position"], kept.get("loads")
    return found
