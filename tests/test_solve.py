"""The solver of books against brute force, its bounds, and what it keeps to."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("ortools")

from roe.evaluator.solve import Problem, greedy, measure, solve  # noqa: E402

CASES = 300


def made(rng: random.Random, fairness: float, mixed: bool, weighted: bool = False) -> Problem:
    n, m = rng.randint(1, 5), rng.randint(1, 3)
    pairs = [(a, r) for a in range(n) for r in range(m) if rng.random() < 0.8]
    capacity = np.array([rng.randint(0, 3) for _ in range(m)])
    kind = np.array([rng.choice([-1, 0]) for _ in range(n)]) if mixed else np.full(n, -1)
    most = np.array([[rng.randint(0, int(c))] for c in capacity]) if mixed else np.zeros((m, 0), np.int64)
    least = np.array([[rng.randint(0, int(x[0]))] for x in most]) if mixed else np.zeros((m, 0), np.int64)
    whole = rng.random() < 0.5
    worth = [rng.randint(0, 9) if whole else rng.random() * 9 for _ in pairs]
    now = [rng.choice([-1, *(r for b, r in pairs if b == a)]) for a in range(n)]
    value, base = np.array([rng.random() * 5 for _ in range(n)]), np.array([rng.choice([0.0, 3.0]) for _ in range(m)])
    return Problem(
        n, np.array([a for a, _ in pairs], np.int64), np.array([r for _, r in pairs], np.int64), np.array(worth, float), capacity, kind, most, least,
        np.array(now), value, base, capacity, fairness, np.array([rng.randint(0, 3) for _ in pairs], np.int64) if weighted else None,
    )  # fmt: skip


def plans(p: Problem) -> Any:
    """(missing of the mix, objective) of every plan within capacities and mixes."""
    able = [[-1, *(int(r) for a, r in zip(p.account, p.rep, strict=True) if a == i)] for i in range(p.accounts)]
    for choice in itertools.product(*able):
        rep = np.array(choice)
        size = {(int(a), int(r)): int(n) for a, r, n in zip(p.account, p.rep, p.taken, strict=True)}
        counts = [sum(size[i, r] for i, x in enumerate(choice) if x == r) for r in range(len(p.capacity))]
        kinds = [
            [sum(size[i, r] for i, x in enumerate(choice) if x == r and p.kind[i] == k) for k in range(p.most.shape[1])]
            for r in range(len(p.capacity))
        ]
        if all(c <= m for c, m in zip(counts, p.capacity, strict=True)) and (np.array(kinds).reshape(p.most.shape) <= p.most).all():
            yield int(np.maximum(p.least - np.array(kinds).reshape(p.most.shape), 0).sum()), measure(p, rep)[0], rep


@pytest.mark.parametrize(("mixed", "weighted"), [(False, False), (True, False), (False, True), (True, True)])
def test_the_plan_is_the_best_there_is(mixed: bool, weighted: bool) -> None:
    """Against every plan of 300 small problems each; with weights an account takes none to three places, which depends on the rep."""
    for seed in range(CASES):
        p = made(random.Random(seed), 0.0, mixed, weighted)
        found = solve(p)
        missing, best, _ = min(plans(p), key=lambda x: (x[0], -x[1]))
        assert sum(n for *_, n in found.short) == missing, seed
        assert found.objective == pytest.approx(best, abs=1e-5), seed
        assert found.bound >= best - 1e-5
        assert found.gap < 1e-4
        assert measure(p, found.rep)[0] == found.objective


def test_with_fairness_the_bound_is_above_every_plan_and_the_gap_is_told() -> None:
    gaps = []
    for seed in range(CASES):
        p = made(random.Random(seed), 0.5, False)
        found = solve(p)
        best = max(objective for _, objective, _ in plans(p))
        assert found.objective - 1e-6 <= best <= found.bound + 1e-5, seed
        gaps.append((best - found.objective) / max(abs(best), 1))
    assert sum(gap < 0.02 for gap in gaps) > 0.8 * CASES


@pytest.mark.parametrize("weighted", [False, True])
def test_greedy_keeps_to_capacities_and_mixes_and_is_no_better(weighted: bool) -> None:
    for seed in range(CASES):
        p = made(random.Random(seed), 0.0, True, weighted)
        found = greedy(p)
        allowed = {tuple(rep): objective for _, objective, rep in plans(p)}
        assert allowed[tuple(found.rep)] == pytest.approx(found.objective)


def test_a_plan_that_is_in_force_stays() -> None:
    for seed in range(CASES):
        p = made(random.Random(seed), 0.0, seed % 2 == 0)
        found = solve(p)
        p.now = found.rep
        bonus = p.worth + (p.now[p.account] == p.rep) if len(p.account) else p.worth
        p.worth = bonus
        assert (solve(p).rep == found.rep).all(), seed


@pytest.mark.parametrize("large", [False, True])
def test_prices_bound_every_plan_of_problems_too_large_for_the_proof_at_once(large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The relaxation, the repair and the local search on small problems, where brute force knows the best."""
    from roe.evaluator import prices, weighted

    monkeypatch.setattr(weighted, "SMALL", 0)
    monkeypatch.setattr(prices, "LARGE", 0 if large else 1000)
    near = 0
    for seed in range(60):
        p = made(random.Random(seed), 0.0, False, True)
        if not len(p.account):
            continue
        found = solve(p)
        best = max(objective for _, objective, _ in plans(p))
        assert found.objective - 1e-6 <= best <= found.bound + 1e-5, seed
        near += found.objective >= best - 1e-5
    assert near >= 50


@pytest.mark.parametrize("seed", range(40))
def test_a_knapsack_is_the_best_of_all_subsets(seed: int) -> None:
    from roe.evaluator.prices import knapsack

    rng = random.Random(seed)
    value, size = np.array([rng.randint(1, 20) for _ in range(8)], float), np.array([rng.randint(0, 6) for _ in range(8)])
    room = rng.randint(0, 15)
    chosen, worth = knapsack(value, size, room)
    subsets = [np.array(s, bool) for s in itertools.product((0, 1), repeat=8)]
    assert worth == max(value[s].sum() for s in subsets if size[s].sum() <= room) == value[chosen].sum() and size[chosen].sum() <= room


@pytest.mark.parametrize("seed", range(40))
def test_a_knapsack_with_many_items_is_as_good_as_one_filled_place_by_place(seed: int) -> None:
    from roe.evaluator.prices import knapsack

    rng = np.random.default_rng(seed)
    items = int(rng.integers(1, 80))
    value, size, room = rng.uniform(0, 20, items), rng.integers(0, 15, items), int(rng.integers(0, 150))
    best = [0.0] * (room + 1)  # by places
    for worth, places in zip(value.tolist(), size.tolist(), strict=True):
        for filled in range(room, places - 1, -1):
            best[filled] = max(best[filled], best[filled - places] + worth)
    chosen, worth = knapsack(value, size, room)
    assert worth == pytest.approx(best[room]) and value[chosen].sum() == pytest.approx(worth) and size[chosen].sum() <= room


@pytest.mark.parametrize("seed", range(5))
def test_a_dive_ends_in_an_allowed_plan_near_the_best(seed: int) -> None:
    """Sixteen accounts and three reps with little room, beside the plan that CP-SAT proves the best."""
    import time

    from roe.evaluator.diving import Dive
    from roe.evaluator.pairs import Pairs
    from roe.evaluator.prices import knapsack
    from roe.evaluator.weighted import exact

    rng, accounts, reps = np.random.default_rng(seed), 16, 3
    size = rng.integers(1, 30, accounts * reps)
    worth = size + rng.integers(1, 12, accounts * reps)
    account, rep = np.repeat(np.arange(accounts), reps), np.tile(np.arange(reps), accounts)
    none, room = np.zeros((reps, 0), np.int64), np.full(reps, 55)
    pairs = Pairs(accounts, account, rep, worth.astype(float), size, room, np.full(accounts, -1), none, none)
    best, bound = exact(pairs, worth, np.ones(len(worth), bool), None, 20.0, 0)
    assert bound == worth[best].sum()
    plan = Dive(pairs, pairs.worth).plan((), knapsack, time.monotonic() + 60)
    assert (pairs.filled(plan) <= room).all() and np.bincount(account[plan]).max() == 1
    assert 0.9 * bound <= worth[plan].sum() <= bound
    kept = np.flatnonzero(plan)[::2]
    decided = np.isin(np.arange(len(worth)), kept)
    again = Dive(pairs, pairs.worth).plan((), knapsack, time.monotonic() + 60, decided=decided)
    assert again[kept].all() and (pairs.filled(again) <= room).all()
