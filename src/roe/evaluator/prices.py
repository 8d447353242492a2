"""Prices of accounts that take several places, and the bound on the worth of every plan that follows from them.

At fixed prices of accounts the best book of each rep is a knapsack problem of its own; the sum of these books and of the prices is above every
plan (M. L. Fisher, Management Science 27, 1981). A subgradient search lowers it.
"""

from __future__ import annotations

import time

import numpy as np

from roe.evaluator.diving import Bundle
from roe.evaluator.pairs import Bools, Floats, Ints, Pairs
from roe.evaluator.repair import improved, repaired

LARGE = 200_000  # pairs, from which on a linear program would take too long
SECONDS = 15.0  # for the linear program
ROUNDS = 400  # of prices
CLOSE = 1e-4  # of the bound: near enough
WIDE = 20_000  # places of a rep, from which on its knapsack is only bounded


class Prices:
    """A price of each account, lowered and raised until what all reps would take is near a plan.

    `bound` is the least one found; `bundles` is what reps would have taken on the way.
    """

    def __init__(self, pairs: Pairs, worth: Floats) -> None:
        self.pairs, self.worth = pairs, worth
        self.rows = [np.flatnonzero(pairs.rep == r) for r in range(len(pairs.capacity))]
        self.is_large = len(worth) > LARGE
        self.bound = float("inf")
        self.bundles: dict[tuple[int, bytes], Bundle] = {}
        # of accounts, and of a place of each rep
        self.price, self.of_place, self.shares = _relaxed(pairs, worth, self.is_large)

    def search(self, until: float) -> Bools:
        """The best plan seen, bool[pairs]. Step lengths: Held, Wolfe and Crowder (1974)."""
        best = improved(self.pairs, self.worth, repaired(self.pairs, self.worth, self.shares > 0.5, self.of_place), until)
        price, length, idle = self.price, 0.5, 0
        for number in range(ROUNDS):
            taken, value = self._reps_take(price)
            if value < self.bound * (1 - 1e-7):
                idle = 0
            else:
                idle += 1
            if value < self.bound:
                self.bound, self.price = value, price
            if number % 4 == 0 or idle == 0:
                plan = repaired(self.pairs, self.worth, taken, self.of_place)
                if self.worth[plan].sum() > self.worth[best].sum():
                    best = improved(self.pairs, self.worth, plan, until)
            reached = float(self.worth[best].sum())
            if self.bound - reached <= CLOSE * max(abs(self.bound), 1.0) or time.monotonic() > until or length < 1e-3:
                break
            if idle >= 8:
                length, idle, price = length / 2, 0, self.price
                taken, value = self._reps_take(price)
            slope = 1.0 - np.bincount(self.pairs.account[taken], minlength=self.pairs.accounts)
            slope[(price <= 0) & (slope > 0)] = 0
            size = float((slope**2).sum())
            if size == 0:
                break
            price = np.maximum(price - length * max(value - reached, 1e-9) / size * slope, 0)
        return best

    def _reps_take(self, price: Floats) -> tuple[Bools, float]:
        """(what each rep takes at these prices, bool[pairs]; the bound)."""
        net = self.worth - price[self.pairs.account]
        taken = np.zeros(len(net), bool)
        total = float(price.sum())
        for r, rows in enumerate(self.rows):
            good = rows[net[rows] > 0]
            chosen, value = knapsack(net[good], self.pairs.size[good], int(self.pairs.capacity[r]))
            taken[good[chosen]] = True
            bundle = Bundle(r, self.pairs.account[good[chosen]])
            self.bundles[bundle.key] = bundle
            total += value
        return taken, total


def _relaxed(pairs: Pairs, worth: Floats, is_large: bool) -> tuple[Floats, Floats, Floats]:
    """(the price of each account, of a place of each rep, the share of each pair) where accounts may be split: a linear program's duals."""
    from ortools.linear_solver import pywraplp

    if is_large:
        return _second_best(pairs, worth), np.zeros(len(pairs.capacity)), np.zeros(len(worth))
    solver = pywraplp.Solver.CreateSolver("GLOP")
    solver.SetTimeLimit(int(SECONDS * 1000))
    objective = solver.Objective()
    objective.SetMaximization()
    accounts = [solver.Constraint(0.0, 1.0) for _ in range(pairs.accounts)]
    reps = [solver.Constraint(0.0, float(c)) for c in pairs.capacity]
    rows = zip(pairs.account.tolist(), pairs.rep.tolist(), pairs.size.tolist(), worth.tolist(), strict=True)
    shares = []
    for a, r, size, value in rows:
        share = solver.NumVar(0.0, solver.infinity(), "")
        shares.append(share)
        accounts[a].SetCoefficient(share, 1.0)
        reps[r].SetCoefficient(share, float(size))
        objective.SetCoefficient(share, value)
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        return np.zeros(pairs.accounts), np.zeros(len(reps)), np.zeros(len(worth))
    price, of_place = (np.maximum([c.dual_value() for c in rows], 0.0) for rows in (accounts, reps))
    return price, of_place, np.array([share.solution_value() for share in shares])


def _second_best(pairs: Pairs, worth: Floats) -> Floats:
    """Of each account the second highest worth: where nothing is tight, the price at which one rep takes it."""
    order = np.lexsort((-worth, pairs.account))
    account = pairs.account[order]
    second = np.flatnonzero(np.r_[False, account[1:] == account[:-1]] & np.r_[True, True, account[2:] != account[:-2]][: len(order)])
    price = np.zeros(pairs.accounts)
    price[account[second]] = worth[order][second]
    return price


def knapsack(value: Floats, size: Ints, room: int) -> tuple[Bools, float]:
    """(the items that are worth most together, bool[n]; their worth, or a bound if there is much room).

    Only the core is searched: items whose place does not follow from the bound where the last item is split (Dembo and Hammer, 1980).
    """
    if not len(value) or size.sum() <= room:
        return np.ones(len(value), bool), float(value.sum())
    dense = value / np.maximum(size, 1e-9)
    order = np.argsort(-dense, kind="stable")
    filled = np.cumsum(size[order])
    first = int(np.searchsorted(filled, room, side="right"))  # the item that would have to be split
    chosen = np.zeros(len(value), bool)
    chosen[order[:first]] = True
    left = room - int(filled[first - 1] if first else 0)
    split = float(dense[order[first]])
    bound = float(value[chosen].sum()) + left * split
    if room > WIDE:
        return chosen, bound
    for k in order[first:].tolist():
        if size[k] <= left:
            chosen[k] = True
            left -= int(size[k])
    lost = np.abs(value - size * split)  # of the bound, if the item goes where the bound does not have it
    is_core = (bound - lost > value[chosen].sum()) & (size <= room)
    in_bound = np.zeros(len(value), bool)
    in_bound[order[:first]] = True
    return _better_core(value, size, room, chosen, in_bound & ~is_core, np.flatnonzero(is_core))


def _better_core(value: Floats, size: Ints, room: int, chosen: Bools, stays: Bools, core: Ints) -> tuple[Bools, float]:
    """The better one of the items `chosen` and of those that stay with the best of the core, by dynamic programming over places."""
    left = room - int(size[stays].sum())
    best = np.zeros(left + 1)
    takes = np.zeros((len(core), left + 1), bool)
    for place, k in enumerate(core.tolist()):
        s = int(size[k])
        if s > left:
            continue
        more = best[: left + 1 - s] + value[k]
        takes[place, s:] = more > best[s:]
        best[s:] = np.maximum(best[s:], more)
    other = stays.copy()
    for place in range(len(core) - 1, -1, -1):
        if takes[place, left]:
            other[core[place]] = True
            left -= int(size[core[place]])
    other_is_better = value[other].sum() > value[chosen].sum()
    return (other, float(value[other].sum())) if other_is_better else (chosen, float(value[chosen].sum()))
