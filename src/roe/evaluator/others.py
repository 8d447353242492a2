"""What the other books hold, while one of them is planned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from roe.dynamic import Saved, Value
from roe.evaluator.bound import Bound
from roe.grammar import values as v
from roe.plan.operators import Solve


class Others:
    """What the other books hold, as this run has planned them already, or as the last cycle left them."""

    def __init__(self, bound: Bound, step: Solve, books: Mapping[str, Saved]) -> None:
        self.bound, self.step, self.books = bound, step, books
        steps = bound.plan.books
        self.of_role = [name for name in books if steps[name].role == step.role]
        self.accounts = {account for name in self.of_role for account, _ in self._held(name)}

    def places(self) -> dict[str, int]:
        """The places of each rep in the books that share a total with this one."""
        places: dict[str, int] = {}
        for name in self.books if self.step.total is not None else ():
            other = self.bound.plan.books[name]
            if other.total is None:
                continue
            for account, rep in self._held(name):
                places[rep] = places.get(rep, 0) + self._taken(other, account, rep)
        return places

    def _held(self, name: str) -> list[tuple[str, str]]:
        return [(account, x["rep"]) for account, x in self.books[name].get("accounts", {}).items() if x["rep"] is not None]

    def _taken(self, step: Solve, account: str, rep: str) -> int:
        """The places of one account with a rep; 1 if the policy does not say, or if one of them has left the data."""
        world = self.bound.world
        row, owner = world.find("account", account), world.rep(rep)
        if step.places is None or row is None or owner is None:
            return 1
        return _whole(world.compiled.code(step.places)({**world.scope(row), "rep": owner}))


def _whole(places: Value) -> int:
    """How many places an answer to `places` is: a part of one is one, and what is not a number is none."""
    return max(int(np.ceil(float(places) - 1e-9)), 0) if v.is_number(places) else 0
