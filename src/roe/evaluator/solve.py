"""Accounts to books: the assignment of the greatest total worth, under capacities and mixes.

A problem is arrays. Without fairness it is a transportation problem, which OR-Tools' min-cost flow solves to proven
optimality (a network of accounts, of the classes of a rep's book, and of reps). Fairness, the absolute deviation of the books'
value from their capacity's share of it, is priced: for any prices between -1 and 1 a linear problem bounds it from above, so
a subgradient search gives plans and a bound, and with them the gap. `greedy` is the fallback and the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from roe.dynamic import Array

DIGITS = 6  # of the worth of a pair, where it does not fit into fewer
ROUNDS = 12  # of the search for prices
SECONDS = 50.0  # of a search where accounts take more than one place
ENOUGH = 1e-3  # of the bound: the search for prices ends at a gap as small


@dataclass(slots=True)
class Problem:
    """`account`, `rep` and `worth` are the pairs that are allowed, by account; one account goes to one rep at most.

    `kind` is the class of each account that a mix is about, or -1; `most` and `least` are counts by rep and class. `now` is the
    rep who has the account today, or -1. Fairness, of the weight `fairness`, looks at `value`: `base` is what is in each book
    whatever the plan, `size` says which share of all value a book should have. A pair takes `places` of a capacity and of a mix; without them, one.
    """

    accounts: int
    account: Array
    rep: Array
    worth: Array
    capacity: Array
    kind: Array
    most: Array
    least: Array
    now: Array
    value: Array
    base: Array
    size: Array
    fairness: float = 0.0
    places: Array | None = None

    @property
    def taken(self) -> Array:
        """How many places each pair takes, int[pairs]."""
        return np.ones(len(self.account), np.int64) if self.places is None else self.places


@dataclass(slots=True)
class Solution:
    """`rep` of each account or -1. `objective` counts fairness, `bound` is above every plan's; `short` are mixes that are not full."""

    rep: Array
    objective: float
    bound: float
    spread: float
    method: str
    short: list[tuple[int, int, int]] = field(default_factory=list)  # rep, class, how many are missing

    @property
    def gap(self) -> float:
        """How far the plan may be from the best, as a share of the bound."""
        return 0.0 if self.bound <= self.objective else (self.bound - self.objective) / max(abs(self.bound), 1.0)


def solve(problem: Problem) -> Solution:
    """The best plan; today's, where none is better. Falls back on `greedy` where OR-Tools is not installed or gives up."""
    try:
        best = _linear(problem, problem.worth)
    except (ImportError, ArithmeticError):
        best = greedy(problem)
    else:
        if problem.fairness:
            best = _fair(problem, best)
    return _or_today(problem, best)


def _or_today(problem: Problem, best: Solution) -> Solution:
    """Nothing moves for nothing: today's books stay where they are no worse, to the last digit that counts."""
    today = np.where(_able_today(problem), problem.now, -1)
    if not _feasible(problem, today) or _short(problem, today) != best.short:
        return best
    objective, spread = measure(problem, today)
    return (
        replace(best, rep=today, objective=objective, spread=spread) if objective >= best.objective - 1e-9 * abs(best.objective) else best
    )


def _able_today(problem: Problem) -> Array:
    """Whether an account's pair with its rep of today is allowed."""
    able = np.zeros(problem.accounts, bool)
    able[problem.account[problem.now[problem.account] == problem.rep]] = True
    return able


def _feasible(problem: Problem, rep: Array) -> bool:
    chosen = problem.rep == rep[problem.account]
    full = np.bincount(problem.rep[chosen], weights=problem.taken[chosen], minlength=len(problem.capacity))
    if (full > problem.capacity).any():
        return False
    return bool((_kinds(problem, rep) <= problem.most).all())


def _kinds(problem: Problem, rep: Array) -> Array:
    """The places of each class that each rep has filled."""
    reps, kinds = problem.most.shape
    kind = problem.kind[problem.account]
    chosen = (problem.rep == rep[problem.account]) & (kind >= 0)
    places = problem.rep[chosen] * kinds + kind[chosen]
    return np.bincount(places, weights=problem.taken[chosen], minlength=reps * kinds).astype(np.int64).reshape(reps, kinds)


def _short(problem: Problem, rep: Array) -> list[tuple[int, int, int]]:
    missing = problem.least - _kinds(problem, rep)
    return [(int(r), int(k), int(missing[r, k])) for r, k in np.argwhere(missing > 0)]


def spread(problem: Problem, rep: Array) -> float:
    """The sum over reps of how far the value of a book is from its share of all value."""
    return float(np.abs(_apart(problem, rep)).sum())


def _apart(problem: Problem, rep: Array) -> Array:
    """How far the value of each book is above its share of all value."""
    held = rep >= 0
    value = problem.base + np.bincount(rep[held], weights=problem.value[held], minlength=len(problem.size))
    return value - _share(problem) * value.sum()


def _share(problem: Problem) -> Array:
    return problem.size / max(problem.size.sum(), 1)


def measure(problem: Problem, rep: Array) -> tuple[float, float]:
    """(the objective, the spread) of a plan."""
    chosen = problem.rep == rep[problem.account]
    apart = spread(problem, rep)
    return float(problem.worth[chosen].sum()) - problem.fairness * apart, apart


def greedy(problem: Problem) -> Solution:
    """The pair of the greatest worth first, as long as there is room; mixes that ask for a least get theirs before the rest."""
    rep = np.full(problem.accounts, -1, np.int64)
    room = problem.capacity.copy().tolist()
    most, least = problem.most.copy().tolist(), problem.least.copy().tolist()
    owed = [sum(row) for row in least]
    order = np.lexsort((problem.rep, problem.account, -problem.worth))
    order = order[problem.worth[order] >= 0]
    accounts, reps, kinds = problem.account[order].tolist(), problem.rep[order].tolist(), problem.kind[problem.account[order]].tolist()
    sizes = problem.taken[order].tolist()
    taken = bytearray(problem.accounts)
    for first in (True, False):
        if first and not any(owed):
            continue
        for a, r, k, size in zip(accounts, reps, kinds, sizes, strict=True):
            if taken[a] or room[r] < size or (k >= 0 and most[r][k] < size) or (first and (k < 0 or least[r][k] <= 0)):
                continue
            taken[a], rep[a] = 1, r
            room[r] -= size
            if k >= 0:
                most[r][k] -= size
                least[r][k] = max(least[r][k] - size, 0)
    objective, apart = measure(problem, rep)
    return Solution(rep, objective, float("inf"), apart, "greedy", _short(problem, rep))


def scale_of(worth: Array) -> tuple[float, bool]:
    """What worths are multiplied with to be whole, and whether they are then exact."""
    for digits in range(4):
        scaled = worth * 10**digits
        if (np.abs(scaled - np.rint(scaled)) < 1e-6).all():
            return float(10**digits), True
    return 10.0**DIGITS / max(float(np.abs(worth).max()), 1.0) * 10, False


def _linear(problem: Problem, worth: Array) -> Solution:
    """The plan of the greatest total worth; `ArithmeticError` where the solver does not find it."""
    if (problem.taken != 1).any():
        return _weighted(problem, worth)
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    n, (reps, kinds) = problem.accounts, problem.most.shape
    good = worth >= 0
    account, rep = problem.account[good].astype(np.int32), problem.rep[good].astype(np.int32)
    scale, exact = scale_of(worth)
    cost = -2 * np.rint(worth[good] * scale).astype(np.int64)
    cost[cost == 0] = -1  # an account of no worth is better in a book than in none, and worth nothing else
    bounded = (problem.most < problem.capacity[:, None]) | (problem.least > 0)
    spare = np.full((reps, kinds), -1, np.int64)  # the node of a rep's class, where a mix bounds it
    spare[bounded] = n + reps + 1 + np.arange(int(bounded.sum()))
    kind = problem.kind[account]
    head = n + rep.astype(np.int64)
    own = np.flatnonzero(kind >= 0)
    node = spare[rep[own], kind[own]]
    head[own] = np.where(node >= 0, node, head[own])
    sink = n + reps
    flow = SimpleMinCostFlow()
    ones = np.ones(len(account), np.int64)
    arcs = flow.add_arcs_with_capacity_and_unit_cost(account, head.astype(np.int32), ones, cost)
    r, k = np.nonzero(bounded)
    # a mix is filled before worth counts: to fill a place, one account of each rep changes hands at most
    reward = np.int64(2 * reps * (int(-cost.min()) if len(cost) else 1) + 1)
    least, rest = problem.least[r, k], np.maximum(problem.most[r, k] - problem.least[r, k], 0)
    for room, price in ((least, -reward), (rest, np.int64(0))):
        flow.add_arcs_with_capacity_and_unit_cost(
            spare[r, k].astype(np.int32), (n + r).astype(np.int32), room.astype(np.int64), np.full(len(r), price, np.int64)
        )
    for tails, room in ((n + np.arange(reps), problem.capacity), (np.arange(n), np.ones(n, np.int64))):
        flow.add_arcs_with_capacity_and_unit_cost(
            tails.astype(np.int32), np.full(len(tails), sink, np.int32), room.astype(np.int64), np.zeros(len(tails), np.int64)
        )
    flow.set_nodes_supplies(np.arange(n, dtype=np.int32), np.ones(n, np.int64))
    flow.set_node_supply(sink, -n)
    if flow.solve() != flow.OPTIMAL:
        raise ArithmeticError
    chosen = np.asarray(flow.flows(arcs)) > 0
    rep_of = np.full(n, -1, np.int64)
    rep_of[account[chosen]] = rep[chosen]
    short = _short(problem, rep_of)
    taken = float(worth[good][chosen].sum())
    bound = taken + (
        0.0 if exact else min(len(np.unique(account)), int(problem.capacity.sum())) / scale
    )  # every worth is rounded by half a unit at most
    objective, apart = measure(problem, rep_of)
    return Solution(rep_of, objective, bound, apart, "min-cost flow", short)


def _weighted(problem: Problem, worth: Array) -> Solution:
    """The same where some accounts take more than one place."""
    from roe.evaluator.pairs import Pairs
    from roe.evaluator.weighted import solve_weighted

    good = np.flatnonzero((worth >= 0) & (problem.taken <= problem.capacity[problem.rep]))
    account, rep = problem.account[good], problem.rep[good]
    scale, exact = scale_of(worth)
    pairs = Pairs(
        problem.accounts, account, rep, worth[good], problem.taken[good], problem.capacity, problem.kind, problem.most, problem.least
    )
    chosen, bound = solve_weighted(pairs, scale, SECONDS / (ROUNDS if problem.fairness else 1))
    plan = np.full(problem.accounts, -1, np.int64)
    plan[account[chosen]] = rep[chosen]
    objective, apart = measure(problem, plan)
    worth_of = float(worth[good][chosen].sum())
    bound = max(bound, worth_of) + (0.0 if exact else len(np.unique(account)) / scale)
    return Solution(plan, objective, bound, apart, "branch and bound", _short(problem, plan))


def _fair(problem: Problem, first: Solution) -> Solution:
    """Search prices of the books' value; the plan that is best with fairness counted, and the least bound found."""
    best, bound = first, first.bound
    prices = np.zeros(len(problem.capacity))
    share = _share(problem)
    value = problem.value[problem.account]
    plan = first
    for number in range(1, ROUNDS + 1 if len(prices) else 0):
        apart = _apart(problem, plan.rep)
        prices = np.clip(prices + apart / max(np.abs(apart).max(), 1e-12) / number**0.5, -1, 1)
        extra = prices - (prices * share).sum()
        plan = _linear(problem, problem.worth - problem.fairness * extra[problem.rep] * value)
        bound = min(bound, plan.bound - problem.fairness * float((extra * problem.base).sum()))
        if len(plan.short) <= len(best.short) and plan.objective > best.objective:
            best = plan
        if bound - best.objective <= ENOUGH * abs(bound):
            break
    return replace(best, bound=max(bound, best.objective), method=f"{first.method}, priced for fairness")
