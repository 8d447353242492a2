"""One pool in one run: who its members are for a record, who of them can take it, and whose turn it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from roe.dynamic import Json, Saved, Value, Values
from roe.evaluator.able import receiver
from roe.evaluator.alike import CLASSES, NO_KEY, Class, hashed, is_about_rep, is_of_the_day, record_parts
from roe.evaluator.allocation import FALLBACK, LEAST_LOADED, PoolHistory, PoolTurn
from roe.evaluator.together import reason_together
from roe.evaluator.turns import Ledger, Seat, Slots, Standing, TurnHistory
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import Code, Scope
from roe.plan.operators import Allocate, Expr

if TYPE_CHECKING:
    from roe.evaluator.allocate import Pools
    from roe.evaluator.row import Row


OPEN_CAPS = {"open_leads": "lead", "open_accounts": "account"}  # caps on what a rep has, and the entity that they count
OPEN = "is_open"  # the field that says whether a record counts there


class Pool:
    """One pool in one run: who its members are for a record, and whose turn it is."""

    def __init__(self, step: Allocate, pools: Pools) -> None:
        self.step, self.pools, self.world = step, pools, pools.world
        self._begin(pools.state.get("pools", {}).get(step.name, {}))
        self._weight, self._score, self.sticky = (_code(e) for e in (step.weight, step.score, step.sticky))
        self.together = _code(step.together)
        self.company_name = f"$company {step.together.text}" if step.together is not None else ""  # pools that ask alike share the answer
        self._caps = {cap: compile_expression(e.tree) for cap, e in step.caps.items()}
        self._members = compile_expression(step.members.tree) if isinstance(step.members, Expr) else None
        self.record_parts = record_parts(step, self.world.policy)
        self.by_load = step.strategy == LEAST_LOADED
        self.classed = self.record_parts is not None
        self.fixed = self.classed and not self.record_parts and not self.by_load  # all records are alike, and turns a pattern that repeats
        self._part_codes = [compile_expression(tree) for tree in self.record_parts or ()]
        self._static = not isinstance(step.members, Expr) or is_about_rep(step.members)
        self._reps_cached: list[Row] | None = None
        self._classes: dict[Value, Class] = {}
        self._most_kinds = CLASSES

    # --- turns ------------------------------------------------------------------------------------------------------

    def _begin(self, saved: Saved) -> None:
        """Go on from where the turns of a state have led."""
        self._begun_from: Mapping[str, object] | None = saved  # None once turns have been taken
        credits = {str(rep): Fraction(c) for rep, c in saved.get("credits", {}).items()}
        self.counts = Counter({str(rep): int(n) for rep, n in saved.get("counts", {}).items()})
        history = TurnHistory(self.step.debt, credits, dict(self.counts), int(saved.get("turns", 0)))
        self.history = PoolHistory(self.step.strategy, history, self.world.rep_of)
        self._ledger = Ledger(self.step.debt, credits)
        self._unbooked: tuple[Standing, Slots] | None = None  # the turns of the last standing, which are not booked yet

    def recall(self, saved: Mapping[str, object]) -> None:
        """Go on from where turns that were taken elsewhere have led. Members and weights rest on none of them."""
        if saved is not self._begun_from:
            self._begin(saved)
        elif not self._caps:
            return
        self.forget()

    def route(self, row: Row, role: str, before: PoolTurn | None = None, tried: Mapping[str, str] | None = None) -> PoolTurn:
        """The turn of a record, booked. `tried` are reps who must not have it, with the reasons."""
        standing = self.standing(row, role)
        if tried:
            standing = self.history.without(standing, tried)
        turn = self._turn(standing, before)
        if not standing.able:
            return self._fallback(turn, row, role, tried)
        self._remembered(turn, row, role)
        if turn.rep is None:
            turn.rep = self.world.rep(self.next(standing))
        assert turn.rep is not None
        self.pools.took(turn, row, role)
        return turn

    def turn_now(self, row: Row, role: str) -> PoolTurn:
        """The turn that a record would have now; nothing of it is booked."""
        return self._turn(self.standing(row, role), None)

    def _turn(self, standing: Standing, before: PoolTurn | None) -> PoolTurn:
        index = self.history.turns.taken
        turn = PoolTurn(self.step.name, self.step.strategy, None, self.pools.n, index, standing, self.history, before=before)
        if self.by_load:
            turn.loads = {seat.rep: self.pools.open_leads(seat.rep) for seat in standing.seats}
        return turn

    def _remembered(self, turn: PoolTurn, row: Row, role: str) -> None:
        """The rep whom the record belongs with, if that rep can take it: no turn is taken then."""
        assert turn.standing is not None
        able = turn.standing.able_reps
        if self.sticky is not None:
            rep = self.world.assignee(self.sticky(self.world.scope(row)), role)
            if rep is not None and rep["id"] in able:
                turn.rep, turn.why = rep, f"it stays with {rep.label}"
                return
        companion = self.pools.together.companion(self, row, role, able)
        if companion is not None:
            turn.rep, turn.why = self.world.rep(companion[0]), reason_together(companion[1])

    def next(self, standing: Standing) -> str:
        """The rep of the next turn, booked."""
        if self.by_load:
            rep = min((r for r, _ in standing.able), key=self.load)
            self._ledger.settle(standing, 1, {rep: 1})  # credit decides nothing here, and is shown all the same
        else:
            if self._unbooked is None or self._unbooked[0] is not standing:
                self.book()
                self._unbooked = standing, Slots(standing, self._ledger)
            rep = standing.able[self._unbooked[1].next()][0]
        self.took_turn(standing, rep)
        return rep

    def took_turn(self, standing: Standing, rep: str) -> None:
        """Note a turn, whose credit is booked apart."""
        self._begun_from = None
        self.history.turns.log.append((standing, rep))
        self.counts[rep] += 1

    def go_on(self, scale: int, units: Mapping[str, int]) -> None:
        """Credit as it was booked elsewhere."""
        self._ledger.scale, self._ledger.units = scale, dict(units)

    def load(self, rep: str) -> tuple[int, int, str]:
        """What orders the able of a pool that goes by load: open leads, then turns, then the id."""
        return self.pools.open_leads(rep), self.counts[rep], rep

    def book(self) -> None:
        """Settle the turns of the last standing."""
        if self._unbooked is not None:
            standing, slots = self._unbooked
            taken = {rep: n for (rep, _), n in zip(standing.able, slots.taken, strict=True) if n}
            self._ledger.settle(standing, slots.turn, taken)
        self._unbooked = None

    def settle(self, standing: Standing, taken: Mapping[str, int]) -> None:
        """Settle turns that are counted already."""
        self._begun_from = None
        self._ledger.settle(standing, sum(taken.values()), taken)

    def book_all(self, standing: Standing, turns: int, taken: Mapping[str, int]) -> None:
        """Settle turns that were worked out elsewhere."""
        self.book()
        self._begun_from = None
        self._ledger.settle(standing, turns, taken)
        self.counts.update(taken)

    def give_back(self, row: Row, role: str, rep: str) -> None:
        """Book that the turn which a record used is given back. Only before the run's own turns."""
        self._begun_from = None
        self._ledger.give_back(self.standing(row, role), rep)
        if self.counts[rep] > 0:
            self.counts[rep] -= 1
        turns = TurnHistory(self.step.debt, self._ledger.credits(), dict(self.counts), self.history.turns.position)
        self.history = PoolHistory(self.step.strategy, turns, self.world.rep_of)
        self.forget()

    def ledger(self) -> Ledger:
        self.book()
        return self._ledger

    def saved(self) -> Json:
        """The turns taken, and the counts and credits, as a state keeps them."""
        turns = self.history.turns.position + self.history.turns.taken
        return {"turns": turns, "counts": {r: n for r, n in sorted(self.counts.items()) if n}, "credits": self.ledger().written()}

    def _fallback(self, turn: PoolTurn, row: Row, role: str, tried: Mapping[str, str] | None) -> PoolTurn:
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
                seats[alike.place[rep]] = self._seat(self.world.rep_of(rep), row, owners, role, alike)
            if seats != alike.seats:
                return self.history.intern(self._ranked(seats, row))
        return self.interned(row, alike)

    def interned(self, row: Row, alike: Class) -> Standing:
        """Who takes part now in the turn of a record that none of them has; the same object as long as nothing changes."""
        if alike.interned is None:
            standing = self._standing_of(alike, row)
            alike.interned = self.history.intern(standing.seats, standing)
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
        key = self.kind(row)
        if key is None:
            return None
        alike = self._classes.get(key)
        if alike is None:
            if len(self._classes) >= self._most_kinds:
                self._classes.clear()
            alike = self._classes[key] = Class(row, self._reps(row))
        if not alike.is_seated:
            alike.seats = [self._seat(rep, row, alike=alike) for rep in alike.reps]
            alike.place = {seat.rep: i for i, seat in enumerate(alike.seats)}
            alike.is_seated = True
            if self._caps:
                self.pools.heed(self, alike.place)
        return alike

    def tell_apart(self, kinds: int) -> None:
        """Forget no kind that is known, and none of so many more: whoever hands out all records at once knows how many there are."""
        self._most_kinds = max(CLASSES, len(self._classes) + kinds)

    def kind(self, row: Row) -> Value:
        """What the pool reads of a record, as a key; None for values that cannot be one, or if the pool reads more."""
        if not self.classed:
            return None
        if not self._part_codes:
            return ()
        scope = self._scope(row)
        key = tuple(hashed(code(scope)) for code in self._part_codes)
        return None if NO_KEY in key else key

    def changed(self, rep: Row, row: Row) -> None:
        """A rep has taken a record: whether the rep is able may be another, where there are caps."""
        for alike in self._classes.values() if self._caps else ():
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
                for cap, limit in self.terms(self.world.rep_of(seat.rep), alike.row, alike)[1].items():
                    if v.is_number(limit) and OPEN_CAPS.get(cap, entity) == entity:
                        left = math.ceil(limit - self.pools.used(cap, seat.rep))
                        if left > 0:
                            yield seat.rep, left

    def forget(self) -> None:
        """Who is able is to be found out again."""
        for alike in self._classes.values():
            alike.is_seated, alike.standing, alike.interned = False, None, None

    def renew(self, reps: bool) -> None:
        """Begin again where the turns taken so far have led, for a new moment or changed records; earlier turns keep their history.

        Unless `reps` have changed, or the pool asks who is on leave, the members and weights for records that are alike are what they
        were: they read nothing else.
        """
        self.forget()
        if reps or not self.classed or self._members is None or is_of_the_day(self.step, self.world.compiled.steps):
            self._reps_cached = None
            self._classes.clear()
        if self.history.log_is_empty:
            return
        turns = TurnHistory(
            self.step.debt, self.ledger().credits(), dict(self.counts), self.history.turns.position + self.history.turns.taken
        )
        self.history = PoolHistory(self.step.strategy, turns, self.world.rep_of)

    def _reps(self, row: Row) -> list[Row]:
        """The members for a record, by id; found once where membership rests on the rep alone."""
        if self._reps_cached is not None:
            return self._reps_cached
        if self._members is None:
            reps = [rep for name in self._listed() if (rep := self.world.rep(name)) is not None]
        else:
            scope = self._scope(row)
            reps = []
            for rep in self.world.rows["rep"]:
                scope["rep"] = rep
                if self._members(scope) is True:
                    reps.append(rep)
        reps = sorted({rep["id"]: rep for rep in reps}.values(), key=lambda rep: str(rep["id"]))
        if self._static:
            self._reps_cached = reps
        return reps

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

    def terms(self, rep: Row, row: Row, alike: Class | None = None) -> tuple[Fraction, Values]:
        """A rep's weight and limits for a record."""
        terms = alike.terms.get(rep["id"]) if alike is not None else None
        if terms is None:
            scope = self._scope(row)
            scope["rep"] = rep
            weight = Fraction(1)
            if self._weight is not None:
                value = self._weight(scope)
                # to six digits: what a third is in figures is a third again
                weight = Fraction(str(value)).limit_denominator(10**6) if v.is_number(value) and value > 0 else Fraction(0)
            terms = weight, {cap: code(scope) for cap, code in self._caps.items()}
            if alike is not None:
                alike.terms[rep["id"]] = terms
        return terms

    def _capped(self, cap: str, limit: Value, rep: Row, row: Row, own: bool, keeps: bool) -> str:
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
        scores: Values = {}
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


def _code(expr: Expr | None) -> Code | None:
    return compile_expression(expr.tree) if expr else None
