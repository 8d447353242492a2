"""The credit of a pool as an array, for turns of which each may be another kind of record's: whose turn it is, and what is booked.

It says what `Ledger` and `Slots` say. What would not fit into 64 bits is asked of `Slots`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from roe.dynamic import Array
from roe.evaluator.pool import Pool
from roe.evaluator.turns import FINE, LARGEST, Ledger, Slots, Standing, finer, is_finest

ROOM = 1 << 62  # of whole numbers in an array
LOOKED_AT = 64  # turns after which all credit is looked at: no turn changes it by more than `scale`


@dataclass(slots=True)
class Seats:
    """One standing in the array: where the able and those who are owed have their credit, and their weights."""

    standing: Standing
    at: Array
    weights: Array
    slowness: Array | None  # None where it is too large
    owed_at: Array
    owed: Array
    slowest: int
    step: int = 0  # units that a turn was worth last, for each unit of weight
    shares: Array | None = None  # and everybody's share then


class Credit:
    """The credit of a pool while turns are taken one by one. `close` gives it back to the pool."""

    def __init__(self, pool: Pool) -> None:
        ledger = pool.ledger()
        self.pool, self.scale, self.limit = pool, ledger.scale, ledger.limit
        self.turns, self.most = 0, max(map(abs, ledger.units.values()), default=0)  # no credit is more
        self.is_closed = self.most >= ROOM >> 1  # then the pool does it alone
        self.place = {rep: i for i, rep in enumerate(ledger.units)}
        self.units = np.array(list(ledger.units.values()) if not self.is_closed else [], np.int64)
        self._seats: dict[int, Seats] = {}  # by standing, which the pool's history keeps

    def next(self, standing: Standing) -> str:
        """The rep of the next turn, booked."""
        if self.is_closed:
            return self.pool.next(standing)
        seats = self._seats.get(id(standing)) or self._seated(standing)
        if seats is None:
            self.close()
            return self.pool.next(standing)
        owed, total = None, standing.total
        if len(seats.owed_at):
            owed = (self.units[seats.owed_at] < self.limit * self.scale).nonzero()[0]
            total += int(seats.owed[owed].sum()) if len(owed) else 0
        self._look()
        if self.most >= ROOM >> 1 or (self.scale % total and not is_finest(self.scale, total) and not self._divide(total)):
            self.close()
            return self.pool.next(standing)
        units, step = self.units[seats.at], self.scale // total
        i = self._pick(seats, units)
        if seats.shares is None or seats.step != step:
            seats.step, seats.shares = step, seats.weights * step
        self.units[seats.at] = units + seats.shares
        if owed is not None and len(owed):
            self.units[seats.owed_at[owed]] += seats.owed[owed] * step
        self.units[seats.at[i]] -= self.scale
        rep = standing.reps[i]
        self.pool.took_turn(standing, rep)
        return rep

    def _seated(self, standing: Standing) -> Seats | None:
        """A standing in the array; None if weights are too large for that."""
        if standing.total + sum(w for _, w in standing.owed) > LARGEST // FINE:
            return None
        for rep in (*standing.reps, *(rep for rep, _ in standing.owed)):
            self.place.setdefault(rep, len(self.place))
        self.units = np.append(self.units, np.zeros(len(self.place) - len(self.units), np.int64))
        slowest = max(standing.slowness)
        seats = self._seats[id(standing)] = Seats(
            standing,
            np.array([self.place[rep] for rep in standing.reps], np.int64),
            np.array(standing.weights, np.int64),
            np.array(standing.slowness, np.int64) if slowest < ROOM else None,
            np.array([self.place[rep] for rep, _ in standing.owed], np.int64),
            np.array([w for _, w in standing.owed], np.int64),
            slowest,
        )
        return seats

    def _pick(self, seats: Seats, units: Array) -> int:
        """The place among the able of whoever is next: what `Slots` says of a first turn."""
        standing, scale = seats.standing, self.scale
        if standing.is_even:
            return int(units.argmax())
        if seats.slowness is not None and (scale + self.most) * seats.slowest < ROOM:
            due = (scale - units) * seats.slowness
            first, rest = int(due.argmin()), scale - int(np.add.reduce(units))
            if int(units[first]) * standing.total + standing.weights[first] * rest > 0:
                return first
            most = max(int(np.maximum.reduce(units)), -int(np.minimum.reduce(units)))
            if most * standing.total + abs(rest) * max(standing.weights) < ROOM:
                due[units * standing.total + seats.weights * rest <= 0] = ROOM
                return int(due.argmin())
        ledger = Ledger(self.limit)
        ledger.scale, ledger.units = scale, dict(zip(standing.reps, units.tolist(), strict=True))
        return Slots(standing, ledger).next()

    def _look(self) -> None:
        """Know what no credit exceeds: seldom exactly."""
        self.turns += 1
        self.most += self.scale
        if not self.turns % LOOKED_AT:
            self.most = int(np.abs(self.units).max())

    def _divide(self, total: int) -> bool:
        """Make each share a whole number of units; whether they still fit."""
        found = finer(self.scale, total, self.units.tolist())
        if found is None:
            return False
        common, factor = found
        if (self.most // common + 1) * factor >= ROOM >> 1:
            return False
        self.most = (self.most // common + 1) * factor
        self.units = self.units // common * factor
        self.scale = self.scale // common * factor
        return True

    def close(self) -> None:
        """Let the pool go on from here."""
        if not self.is_closed:
            self.pool.go_on(self.scale, dict(zip(self.place, self.units.tolist(), strict=True)))
        self.is_closed = True
