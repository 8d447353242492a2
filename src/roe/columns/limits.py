"""When reps reach their caps while records are handed out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from roe.evaluator.pool import Pool

if TYPE_CHECKING:
    from roe.columns.turns import Turns

ENDLESS = 1 << 62


class Limits:
    """How many more records each rep can take before somebody's cap is reached, in all pools that are asked; it is known who is seated there."""

    def __init__(self, turns: Turns, pools: Iterable[Pool]) -> None:
        self.turns, self.pools = turns, [pool for pool in pools if pool.step.caps]
        self.place = {rep: i for i, rep in enumerate(turns.rep_ids)}
        self.left = [ENDLESS] * len(turns.rep_ids)  # by the row of the rep
        for rep, n in self._find().items():
            self.left[rep] = n

    def _find(self, only: str | None = None) -> dict[int, int]:
        left: dict[int, int] = {}
        for pool in self.pools:
            for rep, n in pool.room(self.turns.table.entity, only):
                left[self.place[rep]] = min(left.get(self.place[rep], ENDLESS), n)
        return left

    def take(self, rep: int) -> None:
        """A rep has got one more record, which is counted already; whoever reaches a cap by that is seated anew."""
        self.left[rep] -= 1
        if self.left[rep] <= 0:
            self.left[rep] = self.seated_anew(rep)

    def lost(self, rep: int) -> None:
        """A rep has one record less, and may be able again."""
        self.left[rep] = self.seated_anew(rep)

    def seated_anew(self, rep: int) -> int:
        """Seat a rep anew who has reached a cap, or is below it again: how many more records until the next one."""
        row = self.turns.pools.world.rep(self.turns.rep_ids[rep])
        assert row is not None
        for pool in self.pools:
            pool.changed(row, row)
        return self._find(self.turns.rep_ids[rep]).get(rep, ENDLESS)
