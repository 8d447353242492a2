"""A plan of books whose accounts take several places, by column generation (M. Savelsbergh, Operations Research 45, 1997) and diving.

A *bundle* is a whole book of one rep. A linear program shares the reps out among the bundles known so far; its prices of accounts say which
bundle of each rep would be worth more, which is a knapsack problem. When there is none, the pairs with the largest shares are decided, and the
rest is shared out anew, until all accounts are decided.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from roe.evaluator.pairs import Bools, Floats, Ints, Pairs

Knapsack = Callable[[Floats, Ints, int], tuple[Bools, float]]

SURE = 0.999  # of an account: a share that is decided at once
STEP = 0.1  # of the accounts that are left: how many are decided before the rest is shared out anew
TINY = 1e-6
ROUNDS = (60, 12)  # of new bundles, before the first decision and after
FIRST = 0.4  # of the time there is, at most, until the first decision


@dataclass(frozen=True, slots=True)
class Bundle:
    """Accounts that one rep could have together, in order of their numbers."""

    rep: int
    accounts: Ints

    @property
    def key(self) -> tuple[int, bytes]:
        return self.rep, self.accounts.tobytes()


class Dive:
    """The pairs as tables of accounts by reps: `worth` (minus infinity where a pair is not allowed), `size`, and `row`, its place in `pairs`."""

    def __init__(self, pairs: Pairs, worth: Floats) -> None:
        shape = pairs.accounts, len(pairs.capacity)
        at = pairs.account, pairs.rep
        self.pairs = pairs
        self.worth, self.size, self.row = np.full(shape, -np.inf), np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        self.worth[at], self.size[at], self.row[at] = worth, pairs.size, np.arange(len(worth))

    def plan(self, known: Iterable[Bundle], knapsack: Knapsack, until: float, step: float = STEP, decided: Bools | None = None) -> Bools:
        """The pairs that are decided, bool[pairs]: all accounts, or as many as there is time for (`until`, of the monotonic clock).

        Those `decided` before stay as they are.
        """
        decided = np.zeros(len(self.pairs.account), bool) if decided is None else decided.copy()
        is_open = np.ones(self.pairs.accounts, bool)
        is_open[self.pairs.account[decided]] = False
        room = self.pairs.capacity - self.pairs.filled(decided)
        bundles = {b.key: b for b in self._left(known, is_open, room)}
        rounds, now = ROUNDS[0], time.monotonic()
        pause = now + FIRST * (until - now)
        while is_open.any() and time.monotonic() < until:
            shares = self._shared(bundles, is_open, room, knapsack, rounds, pause)
            new = list(self._sure_and_next(shares, is_open, room, step))
            if not new:
                break
            for account, rep in new:
                decided[self.row[account, rep]] = True
            bundles = {b.key: b for b in self._left(bundles.values(), is_open, room)}
            rounds, pause = ROUNDS[1], until
        return decided

    def _shared(
        self, bundles: dict[tuple[int, bytes], Bundle], is_open: Bools, room: Ints, knapsack: Knapsack, rounds: int, until: float
    ) -> Floats:
        """The share of each account that each rep has, [accounts, reps]; `bundles` gains those that are worth more at the prices."""
        master = _Master(self, np.flatnonzero(is_open))
        for bundle in bundles.values():
            master.add(bundle)
        price, of_rep = master.prices()
        for _ in range(rounds):
            better = [b for b in self._better(price, of_rep, is_open, room, knapsack) if b.key not in bundles]
            for bundle in better:
                bundles[bundle.key] = bundle
                master.add(bundle)
            if not better or time.monotonic() > until:
                break
            price, of_rep = master.prices()
        return master.shares()

    def _better(self, price: Floats, of_rep: Floats, is_open: Bools, room: Ints, knapsack: Knapsack) -> Iterator[Bundle]:
        """The best bundle of each rep at these prices, where it is worth more than the rep's price."""
        for rep in range(len(room)):
            net = self.worth[:, rep] - price
            good = np.flatnonzero((net > TINY) & is_open)
            chosen, value = knapsack(net[good], self.size[good, rep], int(room[rep]))
            if value > of_rep[rep] + TINY:
                yield Bundle(rep, good[chosen])

    def _sure_and_next(self, shares: Floats, is_open: Bools, room: Ints, step: float) -> Iterator[tuple[int, int]]:
        """The pairs to decide now, (account, rep): those with a whole share, and the largest others. `is_open` and `room` follow."""
        most, decided = max(1, int(step * is_open.sum())), 0
        for place in np.argsort(-shares, axis=None, kind="stable").tolist():
            account, rep = divmod(place, len(room))
            share = shares[account, rep]
            if share < TINY or (share < SURE and decided >= most):
                return
            if is_open[account] and self.size[account, rep] <= room[rep]:
                is_open[account] = False
                room[rep] -= self.size[account, rep]
                decided += 1
                yield account, rep

    def _left(self, bundles: Iterable[Bundle], is_open: Bools, room: Ints) -> Iterator[Bundle]:
        """What is left of each bundle after the decisions, where the rep still has room for it."""
        for bundle in bundles:
            accounts = bundle.accounts[is_open[bundle.accounts]]
            if self.size[accounts, bundle.rep].sum() <= room[bundle.rep]:
                yield Bundle(bundle.rep, accounts)


class _Master:
    """The linear program that shares reps out among bundles: of each rep and each account at most one."""

    def __init__(self, dive: Dive, accounts: Ints) -> None:
        from ortools.linear_solver import pywraplp

        self.dive = dive
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        self.solver.Objective().SetMaximization()
        self.of_account = {int(a): self.solver.Constraint(0.0, 1.0) for a in accounts}
        self.of_rep = [self.solver.Constraint(0.0, 1.0) for _ in dive.pairs.capacity]
        self.bundles: list[tuple[Bundle, pywraplp.Variable]] = []

    def add(self, bundle: Bundle) -> None:
        share = self.solver.NumVar(0.0, self.solver.infinity(), "")
        self.solver.Objective().SetCoefficient(share, float(self.dive.worth[bundle.accounts, bundle.rep].sum()))
        self.of_rep[bundle.rep].SetCoefficient(share, 1.0)
        for account in bundle.accounts.tolist():
            self.of_account[account].SetCoefficient(share, 1.0)
        self.bundles.append((bundle, share))

    def prices(self) -> tuple[Floats, Floats]:
        """(the price of each account, of each rep)."""
        self.solver.Solve()
        price = np.zeros(self.dive.pairs.accounts)
        for account, row in self.of_account.items():
            price[account] = max(row.dual_value(), 0.0)
        return price, np.maximum([row.dual_value() for row in self.of_rep], 0.0)

    def shares(self) -> Floats:
        self.solver.Solve()
        shares = np.zeros(self.dive.worth.shape)
        for bundle, share in self.bundles:
            shares[bundle.accounts, bundle.rep] += share.solution_value()
        return shares
