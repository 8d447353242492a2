"""Records that somebody has already, by company: whom records of the same company follow before anything that the run gives."""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from roe.dynamic import Array


class Owned:
    """The records that reps have in one role, by the number of their company, the oldest of each first. The last number is for no company.

    Reps and records are rows of their tables.
    """

    def __init__(self, company: Array, rows: Array, reps: Array, companies: int) -> None:
        """Of records in the order of a queue."""
        order = np.argsort(company, kind="stable")
        bounds = np.searchsorted(company[order], np.arange(companies + 1)).astype(np.int32)
        self.start, self.end = np.append(bounds[:-1], np.int32(0)), np.append(bounds[1:], np.int32(0))
        self.rows = np.append(rows[order], -1).astype(np.int32)
        self.reps = np.append(reps[order], -1).astype(np.int32)
        self._order: Array | None = None  # of the rows

    def move(self, row: int, rep: int) -> None:
        """Somebody else has a record that somebody had."""
        rows = self.rows[:-1]
        if self._order is None:
            self._order = np.argsort(rows).astype(np.int32)
        at = int(np.searchsorted(rows, row, sorter=self._order))
        if at < len(rows) and int(rows[self._order[at]]) == row:
            self.reps[self._order[at]] = rep

    def companion(self, company: int, able: Container[int], row: int) -> int:
        """The place of the first record of a company, other than `row`, that one of the able has; -1 for none."""
        for place in range(int(self.start[company]), int(self.end[company])):
            if int(self.reps[place]) in able and int(self.rows[place]) != row:
                return place
        return -1


class Followed:
    """What one pool knows of such records: of each company the first one that somebody has who is able now. Nobody moves them meanwhile."""

    def __init__(self, owned: Owned) -> None:
        self.owned = owned
        self.begin()

    def begin(self) -> None:
        """Look again from the first record of each company on: somebody is able who was not before."""
        self._at = self.owned.start.copy()

    def first(self, company: Array, is_able: Array) -> Array:
        """Of some companies by number, the places of those records; -1 for none."""
        owned, at = self.owned, self._at
        left = np.unique(company)
        while len(left):
            place = at[left]
            left = left[(place < owned.end[left]) & ~is_able[owned.reps[place]]]
            at[left] += 1
        place = at[company]
        return np.where(place < owned.end[company], place, -1)
