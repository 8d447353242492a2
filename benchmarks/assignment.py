"""`python benchmarks/assignment.py FILE…`: how far roe's plans are from the best on public generalized assignment problems.

Each file has one problem in the form of the OR-Library (people.brunel.ac.uk/~mastjjb/jeb/orlib/gapinfo.html): the numbers of agents and jobs,
a cost for each agent and job, the room that a job takes of each agent, and each agent's room. A job is worth a constant above its cost.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from roe.evaluator.pairs import Pairs
from roe.evaluator.weighted import solve_weighted


def problem(path: Path) -> Pairs:
    agents, jobs, *numbers = map(int, path.read_text("ascii").split())
    cost, size = (np.array(numbers[i * agents * jobs :][: agents * jobs]).reshape(agents, jobs).T for i in (0, 1))
    room, none = np.array(numbers[2 * agents * jobs :][:agents]), np.zeros((agents, 0), np.int64)
    worth = (cost.max() + 1 - cost).astype(float)
    job, agent = np.repeat(np.arange(jobs), agents), np.tile(np.arange(agents), jobs)
    return Pairs(jobs, job, agent, worth.ravel(), size.ravel(), room, np.full(jobs, -1), none, none)


for name in sys.argv[1:]:
    pairs, start = problem(Path(name)), time.monotonic()
    plan, bound = solve_weighted(pairs, 1.0)
    worth = float(pairs.worth[plan].sum())
    print(f"{Path(name).name}: worth {worth:.0f}, at most {(bound - worth) / bound:.2%} from the best, {time.monotonic() - start:.0f} s")
