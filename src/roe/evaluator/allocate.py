"""`Allocate`: pools that hand records to reps. Who may take a turn is decided here, whose turn it is in `turns`.

What a turn rests on is kept, so that the pool as it was at any of them can be shown: the *standing* (members, weights, who
was skipped and why) and the turn's place in the pool's history. Both go to the run's files and are read back from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from roe.dynamic import Saved, Value
from roe.evaluator.able import reason_not_here, reason_on_leave
from roe.evaluator.allocation import PoolHistory, PoolTurn
from roe.evaluator.assigned import days_that_count
from roe.evaluator.pool import OPEN, OPEN_CAPS, Pool
from roe.evaluator.together import Together
from roe.grammar import values as v
from roe.grammar.scopes import IMPLICIT
from roe.ledger.remembered import Remembered
from roe.plan.operators import Allocate

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


class Pools:
    """All pools of one run, and what caps count: open records per rep, and assignments per day."""

    def __init__(self, plan: Mapping[str, Allocate], world: World, state: Remembered) -> None:
        self.world, self.state = world, state
        self.days: dict[str, dict[str, int]] = {r: dict(d) for r, d in state.get("days", {}).items()}
        self.n = 0  # how many allocations there were in the run
        self._last: list[tuple[str, str, int]] = []  # what the last record that was taken added to what caps count
        self._given: dict[tuple[str, str], dict[str, str]] = {}  # (entity, record) -> role -> the rep whom the run gave it to
        self.together = Together(world, state)
        self._open: dict[tuple[str, str], int] | None = None
        self._away: dict[tuple[str, bool], str] = {}
        self._heeding: dict[str, dict[Pool, None]] = {}  # rep -> the pools in which what counts against the rep's caps may matter
        self.pools: dict[str, Pool] = {}
        for name, step in plan.items():
            self.pools[name] = Pool(step, self)

    def route(self, pool: str, row: Row, role: str, tried: Mapping[str, str] | None = None) -> PoolTurn:
        return self.pools[pool].route(row, role, None, tried)

    def kind(self, name: str | None, row: Row) -> Value:
        """What tells records apart for a pool and those that it falls back on; None where one of them looks at each for itself."""
        kind: list[Value] = []
        while name in self.pools:
            pool = self.pools[name]
            kind.append((name, pool.kind(row)))
            name = pool.step.fallback
        return None if any(of_pool is None for _, of_pool in kind) else tuple(kind)

    def took(self, turn: PoolTurn, row: Row, role: str) -> None:
        rep = turn.rep
        assert rep is not None
        self.n += 1
        self._last = self.count_taken(row.entity, self.owners(row), role, rep["id"], self.counts_open(row))
        self.note_given(row.entity, row["id"], role, rep["id"])
        self.together.gave(self.pools[turn.pool], row, role, rep)
        for one in {rep["id"], *(one for _, one, _ in self._last)}:
            self._seated_anew(self.world.rep_of(one), row)

    def count_taken(self, entity: str, owners: Mapping[str, str], role: str, rep: str, is_open: bool) -> list[tuple[str, str, int]]:
        """Count for caps that a rep has got a record of these owners: (entity, rep, how many more open records), of all whose number changes."""
        if owners.get(role) != rep:
            self._count_day(rep, 1)
        changed: Iterable[str] = ()
        if is_open:  # a rep counts once for a record, whatever the roles
            changed = sorted({*owners.values()} ^ {*{**owners, role: rep}.values()})
        counted = [(entity, one, 1 if one == rep else -1) for one in changed]
        for _, one, n in counted:
            self._count_open(entity, one, n)
        return counted

    def note_given(self, entity: str, record: str, role: str, rep: str) -> None:
        """The run has given a record to a rep, who has it from now on."""
        self._given.setdefault((entity, record), {})[role] = rep

    def given_in(self, entity: str, role: str) -> Iterator[tuple[str, str]]:
        """(record, rep) of all that the run has given in a role."""
        return ((record, by_role[role]) for (of, record), by_role in self._given.items() if of == entity and role in by_role)

    def _seated_anew(self, rep: Row, row: Row) -> None:
        """What counts against a rep's caps has changed."""
        for pool in self._heeding.get(rep["id"], ()):
            pool.changed(rep, row)

    def heed(self, pool: Pool, reps: Iterable[str]) -> None:
        """A pool has looked at the caps of some reps: it is told when they change."""
        for rep in reps:
            self._heeding.setdefault(rep, {})[pool] = None

    def again(self) -> None:
        """The next decision at this moment: what the last one gave stands in the data now."""
        self.n = 0
        self._given.clear()

    @cached_property
    def open_is_asked(self) -> bool:
        """Whether anything rests on how many open records each rep has: who is able, or who is next."""
        return self.counts_are_asked or any(pool.by_load for pool in self.pools.values())

    @cached_property
    def counts_are_asked(self) -> bool:
        """Whether who is able rests on how many open records each rep has."""
        return any(cap in OPEN_CAPS for pool in self.pools.values() for cap in pool.step.caps)

    def renew(self, reps: bool) -> None:
        """Another moment, or other records: what was found out of reps is forgotten, turns and days stay. `reps`: whether one has changed."""
        self.again()
        self._open = None
        self._away.clear()
        for pool in self.pools.values():
            pool.renew(reps)

    def recall(self, pools: Saved, days: Saved) -> None:
        """Go on from where turns that were taken elsewhere have led. What is known of the companies' records stays."""
        self.state = {**self.state, "pools": pools, "days": days}
        self.days = {rep: dict(by_day) for rep, by_day in days.items()}
        self.again()
        self._last, self._open = [], None
        for name, pool in self.pools.items():
            pool.recall(pools.get(name, {}))

    def uncount(self) -> None:
        """What was taken last now stands in the data as the rep's own, where it is counted."""
        for entity, rep, n in self._last:
            self._count_open(entity, rep, -n)
        self._last = []

    def count(self, entity: str, rep: str, n: int) -> None:
        """Add records that are new to a rep to what caps count."""
        self._count_day(rep, n)
        if self.open_is_asked:
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
        in_data = {role: str(rep["id"]) for role, rep in row["owner"].items() if rep is not None}
        return {**in_data, **self._given.get((row.entity, row["id"]), {})}

    def counts_open(self, row: Row) -> bool:
        """Whether a record is one of those that caps count, if any cap does."""
        return self.open_is_asked and row.entity in OPEN_CAPS.values() and row[OPEN] is not False

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
        reason = self._away.get(key)
        if reason is None:
            reason = reason_on_leave(rep)
            if not reason:
                at = self.world.clock.of(rep["timezone"], rep["calendar"]) if hours else None
                reason = "" if at is None or at.is_open(rep["hours"]) else f"outside working hours ({at.now:%a %H:%M} there)"
            self._away[key] = reason
        return reason

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

    def due(self, pool: Pool, since: datetime, rep: Row | None) -> datetime | None:
        """When a record that a pool assigned to a rep must be worked; None if there is no such limit. Working time is the rep's own."""
        if pool.step.sla is None:
            return None
        clock, within = self.world.clock, pool.step.sla.within
        if rep is not None and isinstance(within, (v.WorkingHours, v.WorkingDays)):
            clock = clock.of_rep(rep["timezone"], rep["calendar"], rep["hours"])
        due = clock.add(clock.here(since), within)
        return self.world.clock.here(due) if isinstance(due, datetime) else None

    def over(self, pool: Pool, due: datetime | None) -> datetime | None:
        """When a record is taken away that was not worked until `due`."""
        sla = pool.step.sla
        if due is None or sla is None or sla.grace is None:
            return due
        over: datetime | None = self.world.clock.add(due, sla.grace)
        return over

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

    def kept(self, pool: str, rep: Row | None, earlier: Saved, until: date | datetime | None) -> PoolTurn:
        """A record that keeps the rep whom an earlier run gave it: no turn is taken."""
        by = str(earlier["by"]) if earlier["by"] in self.pools else pool
        on = str(earlier["on"])
        turn = PoolTurn(
            by, self.pools[by].step.strategy, rep, self.n, 0, None, None, f"assigned on {v.readable(v.parse_date(on))} already", repeated=on
        )
        if earlier.get("back"):
            turn.why += f", and the turn was given back: {earlier['back']}"
        turn.saved_position, turn.until = int(earlier["position"]), until
        self.n += 1
        return turn

    # --- state --------------------------------------------------------------------------------------------------------

    def saved(self) -> Remembered:
        """The pointers and day counts as they are to be kept."""
        pools = {name: pool.saved() for name, pool in sorted(self.pools.items())}
        return {"pools": pools, "days": days_that_count(self.days, self.world.clock.today)}
