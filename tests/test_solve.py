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


def made(rng: random.Random, fairness: float, mixed: bool) -> Problem:
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
        np.array(now), value, base, capacity, fairness,
    )  # fmt: skip


def plans(p: Problem) -> Any:
    """(missing of the mix, objective) of every plan within capacities and mixes."""
    able = [[-1, *(int(r) for a, r in zip(p.account, p.rep, strict=True) if a == i)] for i in range(p.accounts)]
    for choice in itertools.product(*able):
        rep = np.array(choice)
        counts = [sum(x == r for x in choice) for r in range(len(p.capacity))]
        kinds = [
            [sum(x == r and p.kind[i] == k for i, x in enumerate(choice)) for k in range(p.most.shape[1])] for r in range(len(p.capacity))
        ]
        if all(c <= m for c, m in zip(counts, p.capacity, strict=True)) and (np.array(kinds).reshape(p.most.shape) <= p.most).all():
            yield int(np.maximum(p.least - np.array(kinds).reshape(p.most.shape), 0).sum()), measure(p, rep)[0], rep


@pytest.mark.parametrize("mixed", [False, True])
def test_the_plan_is_the_best_there_is(mixed: bool) -> None:
    for seed in range(CASES):
        p = made(random.Random(seed), 0.0, mixed)
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


def test_greedy_keeps_to_capacities_and_mixes_and_is_no_better() -> None:
    for seed in range(CASES):
        p = made(random.Random(seed), 0.0, True)
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
