"""One pool while records are handed out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import Dictionary
from roe.columns.owned import Followed
from roe.columns.turns_ahead import TurnsAhead
from roe.dynamic import Array
from roe.evaluator.pool import Pool
from roe.evaluator.turns import Standing

if TYPE_CHECKING:
    from roe.columns.in_companies import Companies
    from roe.evaluator.row import Row
    from roe.evaluator.together import Together


LEAST, MOST = 256, 1 << 18  # records looked at together
ROUND = 4096  # turns up to which those of a whole round are worked out at once


class SlotTable:
    """The turns of one standing, worked out as far as they are asked for; once they repeat, without any further work."""

    def __init__(self, standing: Standing, pool: Pool) -> None:
        self.standing = standing
        self._ahead = TurnsAhead(standing, pool.ledger())
        self._picks = np.empty(0, np.int32)
        self._repeats: Array | None = None
        self.used = 0
        self.number = -1  # of the standing in the pool's history, once it has been used there

    def next(self, n: int) -> Array:
        """The next turns, as places among the able, without using them."""
        need = self.used + n
        while len(self._picks) < need and self._repeats is None:
            before, missing = self._ahead.taken.copy(), need - len(self._picks)
            count = self.standing.total if self.standing.total <= max(missing, ROUND) else missing  # a whole round, if it is worth it
            turns = self._ahead.next(count).astype(np.int32)
            self._picks = np.concatenate([self._picks, turns])
            if count == self.standing.total and tuple((self._ahead.taken - before).tolist()) == self.standing.weights:
                self._repeats = turns  # everybody has had their share: it all begins again
        known = len(self._picks)
        if need <= known:
            return self._picks[self.used : need]
        assert self._repeats is not None
        later = self._repeats[np.arange(max(self.used - known, 0), need - known) % len(self._repeats)]
        return np.concatenate([self._picks[self.used :], later])

    def counts(self) -> dict[str, int]:
        """Turns used by each rep."""
        able = len(self.standing.able)
        counts = np.bincount(self._picks[: self.used], minlength=able)
        if self._repeats is not None and self.used > len(self._picks):
            rounds, rest = divmod(self.used - len(self._picks), len(self._repeats))
            counts += rounds * np.bincount(self._repeats, minlength=able) + np.bincount(self._repeats[:rest], minlength=able)
        return {rep: n for (rep, _), n in zip(self.standing.able, counts.tolist(), strict=True) if n}


class PoolColumn:
    """One pool while records are handed out."""

    def __init__(self, pool: Pool, reps: Mapping[str, int], row: Row) -> None:
        self.pool, self.reps, self.row = pool, reps, row
        self.width = len(reps)
        self.slots: SlotTable | None = None
        self.companies: Array | None = None  # of each waiting record by number, -1 for none
        self.companion = np.empty(0, np.int32)  # of each company, the rep; -1 for none yet. The last place is for no company
        self.leader = np.empty(0, np.int32)  # of each company, the row of the record that the run gave first; -1 for an earlier run's
        self.followed: list[Followed | None] = []  # by role, of the companies' records that somebody has already
        self.names = Dictionary([])  # of the companies
        self.sticky: Array | None = None
        self.is_able = np.zeros(self.width + 1, bool)

    def prepare(self, company: Companies | None, sticky: Array | None, together: Together) -> None:
        self.sticky = sticky
        if company is None:
            return
        self.companies, self.names, known = company.codes, company.names, company.known
        self.followed = [None if owned is None else Followed(owned) for owned in company.owned]
        self.companion, self.leader, self._first = (np.full(len(self.names) + 1, -1, np.int32) for _ in range(3))
        if together.given:
            for i in np.flatnonzero(known).tolist():
                given = together.given_to(self.pool, self.names[i])
                if given is not None:
                    self.companion[i] = self.reps.get(given.rep, self.width)  # who is not there any more is never able

    def first_of(self, companies: Array, places: Array) -> Array:
        """Of some records' companies, the first of the records; `places` are in order."""
        self._first[companies[::-1]] = places[::-1]  # of several records of a company, the one that is written last stays
        return self._first[companies]

    def lead(self, places: Array, rows: Array, reps: Array) -> None:
        """Let later records of a company follow one of these, of which each is the first of its company that somebody of the pool got."""
        assert self.companies is not None
        company = self.companies[places]
        self.companion[company], self.leader[company] = reps, rows

    def seats(self) -> Standing:
        """Who takes part now."""
        standing = self.pool.fixed_standing(self.row)
        if self.slots is None or (self.slots.standing is not standing and self.slots.standing.seats != standing.seats):
            self.book()
            self.slots = SlotTable(standing, self.pool)
            self.able = np.array([self.reps[rep] for rep, _ in standing.able], np.int64)
            self.shares = np.array([w for _, w in standing.able], np.float64) / max(standing.total, 1)
            before, self.is_able = self.is_able, np.zeros(self.width + 1, bool)  # the last place is for nobody
            self.is_able[self.able] = True
            for followed in self.followed:
                if followed is not None and (self.is_able & ~before).any():
                    followed.begin()
        return self.slots.standing

    def standing_number(self) -> int:
        """The number of who takes part now, in the history of the pool."""
        assert self.slots is not None
        if self.slots.number < 0:
            self.slots.number = self.pool.history.numbered(self.slots.standing.seats, self.slots.standing)
        return self.slots.number

    def book(self) -> None:
        """Settle the turns used so far."""
        if self.slots is not None and self.slots.used:
            self.pool.book_all(self.slots.standing, self.slots.used, self.slots.counts())
        self.slots = None


def span_of(places: Array) -> Array | slice:
    """Places in order as an index: as a slice where none is left out, which copies nothing."""
    is_whole = len(places) and int(places[-1]) - int(places[0]) + 1 == len(places)
    return slice(int(places[0]), int(places[-1]) + 1) if is_whole else places
