"""What one allocation by a pool rested on, and what a pool keeps of its run, so that any turn can be shown as it was.

A turn points to its *standing* (members, weights, who was skipped and why) and to its place in the pool's history. Both go to the
run's files and are read back from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import TYPE_CHECKING

from roe.dynamic import Json, Saved, Value
from roe.evaluator.turns import Seat, Standing, TurnHistory
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


FALLBACK = "nobody in the pool can take it"
LEAST_LOADED = "least_loaded"  # the strategy that asks how many open leads each member has


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
class PoolTurn:
    """One allocation by a pool. `why` says what took the place of a turn: stickiness, a company's other lead, a repetition."""

    pool: str
    strategy: str
    rep: Row | None
    n: int  # its place among all allocations by pools in the run, from 0
    index: int  # how many turns the pool had taken in the run before it
    standing: Standing | None
    history: PoolHistory | None
    why: str = ""
    before: PoolTurn | None = None  # the pool that this one is the fallback of
    repeated: str = ""  # the day of the earlier run that made this allocation
    until: date | datetime | None = None  # when it must be worked
    saved_position: int = 0
    loads: Mapping[str, int] | None = None  # open leads of the members just before it, where the strategy asks for them

    @property
    def position(self) -> int:
        """The record's place in the pool's queue, from 1, over all runs."""
        return self.saved_position if self.history is None else self.history.turns.position + self.index + 1

    @property
    def members(self) -> list[Member]:
        return self.history.members(self) if self.history is not None else []

    def as_json(self) -> Json:
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

    def chain(self) -> list[PoolTurn]:
        """The pools that were tried before this one, first to last."""
        return [*self.before.chain(), self.before] if self.before else []

    def record(self, key: str) -> Json:
        """The turn as a line of the run's own records; see `recorded`. Its loads are those of all pools that were tried."""
        chain = self.chain()
        loads = {rep: load for t in (*chain, self) for rep, load in (t.loads or {}).items()}
        return {
            "n": self.n, "pool": self.pool, "standing": self._number(), "index": self.index,
            "rep": self.rep["id"] if self.rep is not None else None, "key": key, "why": self.why, "repeated": self.repeated,
            "until": v.string(self.until), "before": [[t.pool, t._number(), t.index] for t in chain],
            "position": self.position, **({"loads": loads} if any(t.loads is not None for t in (*chain, self)) else {}),
        }  # fmt: skip

    def _number(self) -> int:
        if self.history is None:
            return -1
        assert self.standing is not None  # a turn has both, or neither
        return self.history.number(self.standing)


@dataclass(slots=True)
class PoolHistory:
    """A pool over a run: its turns, its standings in the order of their first use, and what loads were at the start."""

    strategy: str
    turns: TurnHistory
    rep_of: Callable[[str], Row] | None  # id -> Row
    standings: dict[tuple[Seat, ...], int] = field(default_factory=dict)
    made: list[Standing] = field(default_factory=list)

    @classmethod
    def of(cls, written: Saved) -> PoolHistory:
        """What `as_json` wrote; its turns are to be added to its log."""
        credits = {str(rep): Fraction(c) for rep, c in written["credits"].items()}
        counts = {str(rep): int(n) for rep, n in written["counts"].items()}
        history = cls(written["strategy"], TurnHistory(int(written["debt"]), credits, counts, int(written["position"])), None)
        for seats in written["standings"]:
            history.intern(cls.standing_of(seats).seats)
        return history

    @staticmethod
    def standing_of(seats: Iterable[Value]) -> Standing:
        """A standing as `as_json` wrote it."""
        return Standing(Seat(str(rep), Fraction(weight), str(skipped), owed is True) for rep, weight, skipped, owed in seats)

    def intern(self, seats: Sequence[Seat], standing: Standing | None = None) -> Standing:
        """The one standing of some seats; `standing` is one of theirs, if it is there already."""
        return self.made[self.numbered(seats, standing)]

    def numbered(self, seats: Sequence[Seat], standing: Standing | None = None) -> int:
        """The number of that standing."""
        key = tuple(seats)
        number = self.standings.setdefault(key, len(self.made))  # asked once: the hash of hundreds of seats takes its time
        if number == len(self.made):
            self.made.append(standing or Standing(key))
        return number

    def without(self, standing: Standing, reps: Mapping[str, str]) -> Standing:
        """A standing for records that some reps cannot take, by their reasons. Many records may have the same ones."""
        key = tuple(reps.items())
        fewer = standing.fewer.get(key)
        if fewer is None:
            fewer = standing.fewer[key] = self.intern(standing.without(reps))
        return fewer

    def number(self, standing: Standing) -> int:
        return self.standings[standing.seats]

    @property
    def log_is_empty(self) -> bool:
        return not self.turns.log and not self.made

    def members(self, turn: PoolTurn) -> list[Member]:
        assert turn.standing is not None and self.rep_of is not None
        ledger, counts = self.turns.at(turn.index)
        return [
            Member(
                self.rep_of(seat.rep), seat.weight, counts[seat.rep], ledger.credit(seat.rep),
                None if turn.loads is None else turn.loads.get(seat.rep, 0), seat.skipped,
            )
            for seat in turn.standing.seats
        ]  # fmt: skip

    def as_json(self) -> Json:
        return {
            "strategy": self.strategy, "debt": self.turns.limit, "position": self.turns.position,
            "counts": dict(sorted(self.turns.counts.items())),
            "credits": {rep: str(c) for rep, c in sorted(self.turns.credits.items())},
            "standings": [[seat.as_json() for seat in standing.seats] for standing in self.made],
        }  # fmt: skip


def nobody(pool: str, n: int) -> PoolTurn:
    """What a pool gives that finds nobody."""
    return PoolTurn(pool, "", None, n, 0, None, None, FALLBACK)


def recorded(written: Saved, world: World) -> PoolTurn:
    """A turn read back from the records of the run that made it."""
    histories: Mapping[str, PoolHistory] = written["histories"]

    def turn(pool: str, number: int, index: int, before: PoolTurn | None) -> PoolTurn:
        history = histories.get(pool)
        if history is not None:
            history.rep_of = world.rep_of
        standing = history.made[number] if history is not None and number >= 0 else None
        strategy = world.policy.plan.pools[pool].strategy
        loads = written.get("loads") if strategy == LEAST_LOADED else None
        return PoolTurn(
            pool, strategy, None, written["n"], index, standing, history if standing is not None else None, before=before, loads=loads
        )

    before = None
    for pool, number, index in written["before"]:
        before = turn(pool, number, index, before)
    allocation = turn(written["pool"], written["standing"], written["index"], before)
    allocation.rep, allocation.why, allocation.repeated = world.rep(written["rep"]), written["why"], written["repeated"]
    allocation.until = v.parse_temporal(written["until"]) if written["until"] else None
    allocation.saved_position = written["position"]
    return allocation
