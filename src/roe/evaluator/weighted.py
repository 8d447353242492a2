"""Accounts that take more than one place: a generalized assignment problem.

Small problems go to CP-SAT, which proves the best plan. For larger ones prices of accounts give a bound (see `prices`), and dives give plans (see
`diving`). The best of them is then improved: parts of it are made anew. The bound says how far it may be from the best there is.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from roe.evaluator.diving import Dive
from roe.evaluator.pairs import Bools, Ints, Pairs
from roe.evaluator.prices import CLOSE, WIDE, Prices, knapsack
from roe.evaluator.repair import improved, repaired

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver

SMALL = 1500  # pairs: CP-SAT is asked for the proof at once
SECONDS = 50.0  # of the whole search
STEPS = (0.2, 0.1, 0.05)  # of the first dives
HALF = 0.5  # of the reps, whose books are made anew by a dive
FEW = 3  # reps whose books are made anew by CP-SAT


def solve_weighted(pairs: Pairs, scale: float, seconds: float = SECONDS) -> tuple[Bools, float]:
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


def exact(pairs: Pairs, worth: Ints, among: Bools, hint: Bools | None, seconds: float, least: int) -> tuple[Bools, float]:
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


def _searched(pairs: Pairs, worth: Ints, prices: Prices, plan: Bools, until: float) -> Bools:
    """The plan after dives, and then after parts of it are made anew until the time is over (a large neighbourhood search).

    A part is in turn the books of half of the reps, by a dive, and those of a few, by CP-SAT.
    """
    rng, reps, tries = np.random.default_rng(1), len(pairs.capacity), 0
    dive = Dive(pairs, worth.astype(float)) if not prices.is_large and pairs.capacity.max(initial=0) <= WIDE else None
    few, idle = min(reps, FEW), 0
    while time.monotonic() < until and worth[plan].sum() < prices.bound * (1 - CLOSE):
        if dive is not None and (tries < len(STEPS) or tries % 2):
            stays = (
                np.isin(pairs.rep, rng.permutation(reps)[int(HALF * reps) :]) if tries >= len(STEPS) else np.zeros(reps, bool)[pairs.rep]
            )
            step = STEPS[min(tries, len(STEPS) - 1)]
            dived = dive.plan(prices.bundles.values(), knapsack, until, step, plan & stays)
            other = improved(pairs, prices.worth, repaired(pairs, prices.worth, dived, prices.of_place), until)
        else:
            other = _few_anew(pairs, worth, plan, np.isin(pairs.rep, rng.permutation(reps)[:few]), until)
            idle = 0 if worth[other].sum() > worth[plan].sum() else idle + 1
            if idle > reps and few < reps:
                few, idle = few + 1, 0
        tries += 1
        plan = other if worth[other].sum() >= worth[plan].sum() else plan
    return plan


def _few_anew(pairs: Pairs, worth: Ints, plan: Bools, theirs: Bools, until: float) -> Bools:
    """The plan after the pairs of a few reps, bool[pairs], are chosen anew among the accounts that no other rep has."""
    elsewhere = np.zeros(pairs.accounts, bool)
    elsewhere[pairs.account[plan & ~theirs]] = True
    free = theirs & ~elsewhere[pairs.account]
    smaller = replace(pairs, capacity=pairs.capacity - pairs.filled(plan & ~free))
    try:
        seconds = max(min(1.0, until - time.monotonic()), 0.1)
        better, _ = exact(smaller, worth, free, plan & free, seconds, int(worth[plan & free].sum()))
    except ArithmeticError:
        return plan
    return (plan & ~free) | better


def _solved(solver: CpSolver, model: CpModel) -> None:
    """ArithmeticError if no plan is known when the time is over."""
    status = solver.solve(model)
    if status not in (2, 4):  # feasible, optimal
        raise ArithmeticError


def _grouped(rows: list[int], key: Ints) -> dict[int, list[int]]:
    """Rows by their account or rep, in the order in which these come."""
    groups: dict[int, list[int]] = {}
    for k in rows:
        groups.setdefault(int(key[k]), []).append(k)
    return groups
