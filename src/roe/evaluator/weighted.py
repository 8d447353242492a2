"""Accounts that take more than one place: a generalized assignment problem.

Small problems go to CP-SAT, which proves the best plan. For larger ones a Lagrangian relaxation prices the accounts: what each rep would take
at these prices is a knapsack problem of its own, and the sum over reps is above every plan (M. L. Fisher, Management Science 27, 1981). The plan
that is near those prices is then improved: parts of it are made anew by CP-SAT, and the relaxation says how far it may be from the best.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from roe.dynamic import Array

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver

SMALL = 1500  # pairs: CP-SAT is asked for the proof at once
SECONDS = 50.0  # of the whole search
LARGE = 200_000  # pairs, from which on a linear program would take too long
ROUNDS = 400  # of prices
CLOSE = 1e-4  # of the bound: near enough
LIKELY = 6  # reps of an account, in the search
CHEAPEST = 3  # reps of an account, in the search of large parts
MOST_REPS = 0.75  # of all, whose books are made anew in a large part
LARGE_PART = 4.0  # seconds for one
FEW = 3  # reps whose books are made anew together
SWAPS = 3000  # accounts, up to which swaps of two are tried
WIDE = 20_000  # places of a rep, from which on its knapsack is only bounded


@dataclass(slots=True)
class Pairs:
    """Allowed pairs by account: `account`, `rep`, `worth` at least 0 and `size` in places, each [n]; `capacity` by rep; `kind` by account.

    `most` and `least` are places by rep and class, [reps, classes].
    """

    accounts: int
    account: Array
    rep: Array
    worth: Array
    size: Array
    capacity: Array
    kind: Array
    most: Array
    least: Array

    @property
    def is_mixed(self) -> bool:
        return bool((self.most < self.capacity[:, None]).any() or (self.least > 0).any())


def solve_weighted(pairs: Pairs, scale: float, seconds: float = SECONDS) -> tuple[Array, float]:
    """(pairs chosen, bool[n]; a bound on the worth of every plan with mixes as full). Worths times `scale` are taken as whole numbers."""
    worth = np.rint(pairs.worth * scale).astype(np.int64)
    every, known = np.ones(len(worth), bool), np.zeros(len(worth), bool)
    until, bound = time.monotonic() + seconds, float("inf")
    if pairs.is_mixed or len(worth) <= SMALL:
        known, bound = exact(pairs, worth, every, None, seconds / 2 if pairs.is_mixed else seconds / 3, 0)
        if pairs.is_mixed or bound <= worth[known].sum() * (1 + CLOSE):
            return known, bound / scale
    prices = Prices(pairs, worth.astype(float))
    plan = prices.search(time.monotonic() + seconds / 3)
    bound = prices.bound = min(prices.bound, bound)
    plan = known if worth[known].sum() > worth[plan].sum() else plan
    if worth[plan].sum() < bound * (1 - CLOSE):
        plan = _searched(pairs, worth, prices, plan, until)
    return plan, max(bound, float(worth[plan].sum())) / scale


def exact(pairs: Pairs, worth: Array, among: Array, hint: Array | None, seconds: float, least: int) -> tuple[Array, float]:
    """CP-SAT: mixes first, then worth; the pairs chosen, and a bound on plans among these pairs."""
    from ortools.sat.python import cp_model

    rows = np.flatnonzero(among).tolist()
    model = cp_model.CpModel()
    x = {k: model.new_bool_var("") for k in rows}
    by_rep = _grouped(rows, pairs.rep)
    for own in _grouped(rows, pairs.account).values():
        model.add_at_most_one(x[k] for k in own)

    def places(own: list[int]) -> cp_model.LinearExpr:
        return cp_model.LinearExpr.weighted_sum([x[k] for k in own], [int(pairs.size[k]) for k in own])

    for r, own in by_rep.items():
        model.add(places(own) <= int(pairs.capacity[r]))
    missing = []
    for r, c in np.argwhere((pairs.most < pairs.capacity[:, None]) | (pairs.least > 0)).tolist():
        own = [k for k in by_rep.get(r, []) if pairs.kind[pairs.account[k]] == c]
        model.add(places(own) <= int(pairs.most[r, c]))
        if pairs.least[r, c]:
            short = model.new_int_var(0, int(pairs.least[r, c]), "")
            model.add(places(own) + short >= int(pairs.least[r, c]))
            missing.append(short)
    value = cp_model.LinearExpr.weighted_sum([x[k] for k in rows], [int(worth[k]) for k in rows])
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2 if len(rows) > SMALL // 5 else 1
    solver.parameters.random_seed = 1
    solver.parameters.relative_gap_limit = 0.0
    if hint is not None:
        for k in rows:
            model.add_hint(x[k], bool(hint[k]))
        model.add(value >= least)
    if missing:
        model.minimize(sum(missing))
        _solved(solver, model)
        model.add(sum(missing) <= round(solver.objective_value))
    model.maximize(value)
    _solved(solver, model)
    chosen = np.zeros(len(worth), bool)
    chosen[[k for k in rows if solver.value(x[k])]] = True
    return chosen, float(solver.best_objective_bound)


def _searched(pairs: Pairs, worth: Array, prices: Prices, plan: Array, until: float) -> Array:
    """The plan after parts of it are made anew, the best way there is, until the time is over (a large neighbourhood search).

    A part is in turn the books of a few reps; those of most, with the cheapest pairs of each account alone; and some accounts with the reps
    that are worth most to them at the prices.
    """
    rng = np.random.default_rng(1)
    plan, bound, near, cheapest, tries = plan.copy(), prices.bound, prices.nearest(LIKELY), prices.nearest(CHEAPEST), 0
    reps = len(pairs.capacity)
    few, idle = min(reps, FEW), 0
    while time.monotonic() < until and worth[plan].sum() < bound * (1 - CLOSE):
        tries += 1
        if tries % 3:
            chosen_reps = np.isin(pairs.rep, rng.permutation(reps)[: few if tries % 3 == 1 else max(few, int(reps * MOST_REPS))])
            elsewhere = np.zeros(pairs.accounts, bool)
            elsewhere[pairs.account[plan & ~chosen_reps]] = True
            free = chosen_reps & ~elsewhere[pairs.account]
        else:
            some = np.isin(pairs.account, rng.permutation(pairs.accounts)[: few * pairs.accounts // reps * 2])
            free = some & (near | plan)
        left = replace(pairs, capacity=pairs.capacity - _filled(pairs, plan & ~free))
        try:
            if tries % 3 == 2:
                free &= cheapest | plan
                better = by_highs(left, worth, free, plan & free, min(LARGE_PART, until - time.monotonic()))
            else:
                better, _ = exact(left, worth, free, plan & free, 1.0, int(worth[plan & free].sum()))
        except ArithmeticError:
            continue
        gained = worth[better].sum() - worth[plan & free].sum()
        idle = 0 if gained > 0 else idle + 1
        if gained >= 0:
            plan = (plan & ~free) | better
        if idle > reps and few < reps:
            few, idle = few + 1, 0
    return plan


def by_highs(pairs: Pairs, worth: Array, among: Array, hint: Array, seconds: float) -> Array:
    """The pairs that HiGHS chooses, without mixes; ArithmeticError if it finds nothing in time, or is not part of this OR-Tools."""
    from datetime import timedelta

    from ortools.math_opt.python import mathopt

    rows = np.flatnonzero(among).tolist()
    model = mathopt.Model()
    x = {k: model.add_binary_variable() for k in rows}
    by_rep = _grouped(rows, pairs.rep)
    for own in _grouped(rows, pairs.account).values():
        model.add_linear_constraint(mathopt.fast_sum(x[k] for k in own) <= 1)
    for r, own in by_rep.items():
        model.add_linear_constraint(mathopt.fast_sum(int(pairs.size[k]) * x[k] for k in own) <= int(pairs.capacity[r]))
    model.maximize(mathopt.fast_sum(int(worth[k]) * x[k] for k in rows))
    known = mathopt.SolutionHint(variable_values={x[k]: float(hint[k]) for k in rows})
    limits = mathopt.SolveParameters(time_limit=timedelta(seconds=max(seconds, 0.1)))
    try:
        with _silent():
            solution = mathopt.solve(
                model, mathopt.SolverType.HIGHS, params=limits, model_params=mathopt.ModelSolveParameters(solution_hints=[known])
            )
    except (ValueError, RuntimeError, NotImplementedError) as e:
        raise ArithmeticError from e
    if not solution.has_primal_feasible_solution():
        raise ArithmeticError
    value = solution.variable_values()
    chosen = np.zeros(len(worth), bool)
    chosen[[k for k in rows if value[x[k]] > 0.5]] = True
    if (_filled(pairs, chosen) > pairs.capacity).any() or np.bincount(pairs.account[chosen], minlength=1).max() > 1:
        raise ArithmeticError  # within its tolerance only
    return chosen


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """HiGHS prints some of its own doubts, whatever it is asked; nobody reads them."""
    stdout, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(nowhere)


def _grouped(rows: list[int], key: Array) -> dict[int, list[int]]:
    """Rows by their account or rep, in the order in which these come."""
    groups: dict[int, list[int]] = {}
    for k in rows:
        groups.setdefault(int(key[k]), []).append(k)
    return groups


def _filled(pairs: Pairs, plan: Array) -> Array:
    """The places of each rep that a plan takes, int[reps]."""
    return np.bincount(pairs.rep[plan], weights=pairs.size[plan], minlength=len(pairs.capacity)).astype(np.int64)


def _solved(solver: CpSolver, model: CpModel) -> None:
    """ArithmeticError if no plan is known when the time is over."""
    status = solver.solve(model)
    if status not in (2, 4):  # feasible, optimal
        raise ArithmeticError


class Prices:
    """A price of each account, lowered and raised until what all reps would take is near a plan. `bound` is the least one found."""

    def __init__(self, pairs: Pairs, worth: Array) -> None:
        self.pairs, self.worth = pairs, worth
        self.rows = [np.flatnonzero(pairs.rep == r) for r in range(len(pairs.capacity))]
        self.bound = float("inf")
        # of accounts, and of a place of each rep
        self.price, self.of_place, self.shares = _relaxed(pairs, worth)

    def search(self, until: float) -> Array:
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

    def nearest(self, most: int) -> Array:
        """The pairs, bool[pairs], that are worth most to each account after the price of their places."""
        net = self.worth - self.of_place[self.pairs.rep] * self.pairs.size
        order = np.lexsort((-net, self.pairs.account))
        first = np.searchsorted(self.pairs.account[order], np.arange(self.pairs.accounts))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - first[self.pairs.account[order]]
        return place < most

    def _reps_take(self, price: Array) -> tuple[Array, float]:
        """(what each rep takes at these prices, bool[pairs]; the bound)."""
        net = self.worth - price[self.pairs.account]
        taken = np.zeros(len(net), bool)
        total = float(price.sum())
        for r, rows in enumerate(self.rows):
            good = rows[net[rows] > 0]
            chosen, value = knapsack(net[good], self.pairs.size[good], int(self.pairs.capacity[r]))
            taken[good[chosen]] = True
            total += value
        return taken, total


def _relaxed(pairs: Pairs, worth: Array) -> tuple[Array, Array, Array]:
    """(the price of each account, of a place of each rep, the share of each pair) where accounts may be split: a linear program's duals."""
    from ortools.linear_solver import pywraplp

    if len(worth) > LARGE:
        return _second_best(pairs, worth), np.zeros(len(pairs.capacity)), np.zeros(len(worth))
    solver = pywraplp.Solver.CreateSolver("GLOP")
    solver.SetTimeLimit(int(SECONDS / 3 * 1000))
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


def _second_best(pairs: Pairs, worth: Array) -> Array:
    """Of each account the second highest worth: where nothing is tight, the price at which one rep takes it."""
    order = np.lexsort((-worth, pairs.account))
    account = pairs.account[order]
    second = np.flatnonzero(np.r_[False, account[1:] == account[:-1]] & np.r_[True, True, account[2:] != account[:-2]][: len(order)])
    price = np.zeros(pairs.accounts)
    price[account[second]] = worth[order][second]
    return price


def knapsack(value: Array, size: Array, room: int) -> tuple[Array, float]:
    """(the items that are worth most together, bool[n]; their worth, or a bound if there is much room)."""
    if not len(value) or size.sum() <= room:
        return np.ones(len(value), bool), float(value.sum())
    order = np.argsort(-value / np.maximum(size, 1e-9), kind="stable")
    if room > WIDE:
        fits = np.cumsum(size[order]) <= room
        chosen = np.zeros(len(value), bool)
        chosen[order[fits]] = True
        edge = order[~fits][0]
        left = room - size[chosen].sum()
        return chosen, float(value[chosen].sum() + left * value[edge] / size[edge])
    best = np.zeros(room + 1)
    takes = np.zeros((len(value), room + 1), bool)
    for k in order.tolist():
        s = int(size[k])
        if s > room:
            continue
        better = best[: room + 1 - s] + value[k]
        takes[k, s:] = better > best[s:]
        best[s:] = np.maximum(best[s:], better)
    chosen, left = np.zeros(len(value), bool), room
    for k in order[::-1].tolist():
        if takes[k, left]:
            chosen[k] = True
            left -= int(size[k])
    return chosen, float(best[room])


def repaired(pairs: Pairs, worth: Array, taken: Array, of_place: Array) -> Array:
    """A plan near what the reps would take: an account of several stays where it is worth most, one of none goes where there is room."""
    net = worth - of_place[pairs.rep] * pairs.size
    holder = np.full(pairs.accounts, -1, np.int64)  # the pair of each account
    room = pairs.capacity.astype(np.int64).copy()
    rows = np.flatnonzero(taken)
    for k in rows[np.argsort(-net[rows], kind="stable")].tolist():
        a, r = int(pairs.account[k]), int(pairs.rep[k])
        if holder[a] < 0 and pairs.size[k] <= room[r]:
            holder[a], room[r] = k, room[r] - pairs.size[k]
    order = np.argsort(-net, kind="stable").tolist()
    for k in order:
        a, r = int(pairs.account[k]), int(pairs.rep[k])
        if holder[a] < 0 and pairs.size[k] <= room[r]:
            holder[a], room[r] = k, room[r] - pairs.size[k]
    plan = np.zeros(len(worth), bool)
    plan[holder[holder >= 0]] = True
    return plan


def improved(pairs: Pairs, worth: Array, plan: Array, until: float) -> Array:
    """The plan after the best moves of one account and the best swaps of two, as long as there are some and there is time."""
    n, reps = pairs.accounts, len(pairs.capacity)
    if n > SWAPS:
        return plan
    value, size, row = np.full((n, reps + 1), -np.inf), np.zeros((n, reps + 1), np.int64), np.full((n, reps + 1), -1, np.int64)
    at = pairs.account, pairs.rep
    value[at], size[at], row[at] = worth, pairs.size, np.arange(len(worth))
    value[:, reps] = 0.0  # the last column: in no book
    holder = np.full(n, reps, np.int64)
    holder[pairs.account[plan]] = pairs.rep[plan]
    room = np.append(
        pairs.capacity - np.bincount(pairs.rep[plan], weights=pairs.size[plan], minlength=reps).astype(np.int64), np.iinfo(np.int32).max
    )
    every = np.arange(n)
    while time.monotonic() < until:
        own, held = value[every, holder], size[every, holder]
        move = np.where(size <= room, value - own[:, None], -np.inf)
        theirs, taken = value[:, holder], size[:, holder]  # of account j, where account k is
        gain = theirs + theirs.T - own[:, None] - own
        fits = taken - held <= room[holder]
        gain[~(fits & fits.T)] = -np.inf
        if max(move.max(initial=-np.inf), gain.max(initial=-np.inf)) <= 1e-9:
            break
        if move.max() >= gain.max():
            j, r = np.unravel_index(int(move.argmax()), move.shape)
            changes = [(int(j), int(r))]
        else:
            j, k = np.unravel_index(int(gain.argmax()), gain.shape)
            changes = [(int(j), int(holder[k])), (int(k), int(holder[j]))]
        for account, r in changes:
            room[holder[account]] += size[account, holder[account]]
            room[r] -= size[account, r]
            holder[account] = r
    better = np.zeros(len(worth), bool)
    chosen = row[every, holder]
    better[chosen[chosen >= 0]] = True
    return better
