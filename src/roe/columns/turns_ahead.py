"""The turns of one standing from now on, many at once: what `Slots` gives one after the other."""

from __future__ import annotations

import heapq

import numpy as np

from roe.dynamic import Array
from roe.evaluator.turns import Ledger, Standing


class TurnsAhead:
    """From when a rep can have a turn, and when it is due, depends on the turns that this rep has had, not on those of others. So all that may come are
    put in order first, and a turn is then the next one of those that are up.

    Of k turns taken before, a rep with weight w and n units of credit is up at the first turn at which the credit is above zero, and is owed the
    turn in proportion to (scale * (1 + k) - n) / w.
    """

    def __init__(self, standing: Standing, ledger: Ledger) -> None:
        self.scale, self.total, self.turn = ledger.scale, standing.total, 0
        units = ledger.of(standing)
        level = sum(units)
        self._behind = [(level * w - n * self.total) // self.scale for n, w in zip(units, standing.weights, strict=True)]
        self._units, self._weights, self._slowness = units, standing.weights, standing.slowness
        self.taken = np.zeros(len(units), np.int64)

    def next(self, count: int) -> Array:
        """The next turns, as places among the able."""
        until = self.turn + count
        unit, slow = max(self.scale, *map(abs, self._units)), max(self._slowness)
        behind, weight = max(map(abs, self._behind)), max(self._weights)
        reach = until + behind // self.total + 3  # more than anybody can have
        fits = reach * max(unit * slow, self.total, weight) + behind < 1 << 63  # else whole numbers of Python, of any size
        units, slowness, weights, begin = (
            np.array(x, np.int64 if fits else object) for x in (self._units, self._slowness, self._weights, self._behind)
        )
        several = (weights * until - begin - 1) // self.total + 1 - self.taken  # that each rep can have until then
        several = np.maximum(several, 0).astype(np.int64)
        rep = np.repeat(np.arange(len(several)), several)
        nth = (self.taken[rep] + np.arange(len(rep)) - np.repeat(np.cumsum(several) - several, several)).astype(weights.dtype)
        up = (nth * self.total + begin[rep]) // weights[rep] + 1
        first_due = np.argsort((self.scale * (1 + nth) - units[rep]) * slowness[rep], kind="stable")  # of two at once, by the rep's id
        rank = np.empty(len(rep), np.int64)
        rank[first_due] = np.arange(len(rep))
        first_up = np.argsort(up, kind="stable")
        turns = rep[first_due[_picked(up[first_up].tolist(), rank[first_up].tolist(), self.turn, until)]]
        self.turn = until
        self.taken += np.bincount(turns, minlength=len(self.taken))
        return turns


def _picked(up: list[int], rank: list[int], start: int, until: int) -> list[int]:
    """At every turn, the lowest rank of those that are up by then, and not taken. Somebody always is: the credits of the able sum to one."""
    up.append(until + 1)
    ready: list[int] = []
    picked, at = [], 0
    for turn in range(start + 1, until + 1):
        while up[at] <= turn:
            heapq.heappush(ready, rank[at])
            at += 1
        picked.append(heapq.heappop(ready))
    return picked
