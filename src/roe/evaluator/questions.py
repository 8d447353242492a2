"""What reviewers ask of a plan: what the mix costs, what ten more places would bring, and how it compares with a greedy plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from roe.dynamic import Array, Json
from roe.evaluator.solve import Problem, Solution, greedy, solve

MORE = 10  # places
PAIRS = 20_000  # up to which a plan is made again for each question
REPS = 12  # of those with a full book, those with the most accounts who could still join it


def questions(problem: Problem, solution: Solution, names: Sequence[str], with_more: Callable[[int, int], Problem]) -> Json:
    """The answers as JSON; `names` are the reps', and `with_more(rep, places)` is the problem if a rep had more places. Questions that would
    take long are left out.
    """
    if len(problem.account) > PAIRS or solution.method == "greedy":
        return {}
    small = problem.places is None or (problem.places == 1).all() or len(problem.account) <= 1500
    answers: Json = {}
    if problem.most.shape[1] and small:
        free = replace(problem, most=np.repeat(problem.capacity[:, None], problem.most.shape[1], 1), least=np.zeros_like(problem.least))
        answers["mix_costs"] = round(max(solve(free).objective - solution.objective, 0.0), 6)
    if small:
        larger = ((r, with_more(r, MORE)) for r in _full(problem, solution.rep))
        answers["more_places"] = [_gain(other, solution, r, names[r]) for r, other in larger if other.capacity[r] > problem.capacity[r]]
    return answers


def _full(problem: Problem, rep: Array) -> list[int]:
    """The reps without room for the smallest of the accounts that they may have and do not, the most wanted first."""
    chosen = problem.rep == rep[problem.account]
    room = problem.capacity - np.bincount(problem.rep[chosen], weights=problem.taken[chosen], minlength=len(problem.capacity))
    waiting = ~chosen & (rep[problem.account] < 0)
    wanted = np.bincount(problem.rep[waiting], minlength=len(problem.capacity))
    blocked = np.bincount(problem.rep[~chosen & (problem.taken > room[problem.rep])], minlength=len(problem.capacity))
    return [int(r) for r in np.lexsort((-blocked, -wanted)) if blocked[r]][:REPS]


def _gain(larger: Problem, solution: Solution, r: int, name: str) -> Json:
    """What the plan of the larger problem is worth more than the plan."""
    other = solve(larger)
    before, after = (int((plan == r).sum()) for plan in (solution.rep, other.rep))
    return {"rep": name, "places": MORE, "gain": round(max(other.objective - solution.objective, 0.0), 6), "accounts": after - before}


def compare_greedy(problem: Problem, solution: Solution) -> Json:
    """What a greedy plan has; `greedy_short`, how many more places of the mix it leaves empty than the plan."""
    plan = greedy(problem)
    missing = sum(n for *_, n in plan.short) - sum(n for *_, n in solution.short)
    return {"greedy": round(plan.objective, 6), "greedy_short": max(missing, 0)}


def sentences(solution: Json) -> list[str]:
    """The answers in words."""
    lines = []
    better, missing = solution.get("greedy"), solution.get("greedy_short", 0)
    if better is not None and missing:
        lines.append(
            f"A greedy plan would be worth {better:,.1f}, but leave {missing} more places of the mix empty, so the two do not compare."
        )
    elif better is not None:
        lines.append(_compared(better, solution["objective"] - better))
    cost = solution.get("mix_costs")
    if cost is not None:
        lines.append(
            f"The mix costs {cost:,.1f}: without it the plan would be worth {solution['objective'] + cost:,.1f}."
            if cost
            else "The mix costs nothing."
        )
    for more in solution.get("more_places", ()):
        gain = (
            f"the plan would be worth {more['gain']:,.1f} more ({more['gain'] / more['places']:,.1f} a place)"
            if more["gain"]
            else "nothing would be gained"
        )
        lines.append(f"With {more['places']} more places for {more['rep']}, {gain}.")
    return lines


def _compared(greedy: float, less: float) -> str:
    """A greedy plan beside the plan, whose objective may be less by a rounding."""
    return (
        f"A greedy plan would be worth {greedy:,.1f}, which is {less:,.1f} less."
        if round(less, 1) > 0
        else f"A greedy plan would be worth as much: {greedy:,.1f}."
    )
