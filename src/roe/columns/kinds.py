"""Turns of pools that look at the record, such as who speaks the lead's language, or that go by load.

What a pool reads of records are columns; records with the same values are of one kind, and of each kind it is known who takes part until
somebody reaches a cap. So one record after another takes its turn from what is known of its kind, and nothing else is asked of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from heapq import heapify, heappush, heapreplace
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.credit import Credit
from roe.dynamic import Array, Value
from roe.evaluator.alike import NO_KEY, Class, hashed
from roe.evaluator.pool import Pool
from roe.evaluator.turns import Standing

if TYPE_CHECKING:
    from roe.columns.pool_column import PoolColumn
    from roe.columns.turns import Turns
    from roe.evaluator.row import Row


KINDS = 1024  # that a pool may tell apart; of many more, where owners count against caps, seating reps anew takes longer than asking for each record


def kinds_of(pool: Pool, turns: Turns) -> tuple[Array, list[int]] | None:
    """(the kind of each waiting record for a pool, the place of one record of each); None where they are too many, or cannot be told."""
    n = len(turns.row)
    code = np.zeros(n, np.int64)
    frame = turns.parts[0].frame(turns.row)
    for part in pool.record_parts or ():
        codes, meaning = frame.eval(part).encode()
        numbers: dict[Value, int] = {}
        keys = [hashed(x) for x in [*meaning.list, None]]
        if NO_KEY in keys:
            return None
        number = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
        code = code * (len(numbers) + 1) + number[codes]
        _, code = np.unique(code, return_inverse=True)
    kinds, first = np.unique(code, return_index=True)
    return (code, first.tolist()) if len(kinds) <= KINDS else None


class PoolKinds:
    """One pool, with what is known of each kind of record."""

    def __init__(self, column: PoolColumn, kind: Array, rows: list[Row]) -> None:
        self.column, self.pool, self.rows = column, column.pool, rows
        self.kind: list[int] = kind.tolist()
        self.alike: list[Class] = [alike for row in rows if (alike := self.pool.alike_with(row)) is not None]
        self._known: list[tuple[Standing, int, frozenset[int]] | None] = [None] * len(rows)
        self.companies: list[int] | None = None if column.companies is None else column.companies.tolist()
        self.sticky: list[int] | None = None if column.sticky is None else column.sticky.tolist()
        self.loads = Loads(self.pool) if self.pool.by_load else None
        self.credit = Credit(self.pool) if self.loads is None else None

    def alone(
        self, place: int, row: Callable[[], Row], role: str, owners: Mapping[str, str], without: Mapping[str, str]
    ) -> tuple[Standing, int, frozenset[int]]:
        """The same for a record that has these owners, if that changes anything, and that some reps must not have."""
        alike = self.alike[self.kind[place]]
        own = (alike.place.get(rep) for rep in set(owners.values())) if self.pool.step.caps else ()
        if any(at is not None and alike.seats[at].skipped for at in own):  # to be at a cap may not keep the owner from it
            standing = self.pool.standing(row(), role)
        elif without:
            standing = self.pool.interned(row(), alike)
        else:
            return self.now(place)
        if without:
            standing = self.pool.history.without(standing, without)
        return standing, self.pool.history.number(standing), frozenset(self.column.reps[rep] for rep, _ in standing.able)

    def now(self, place: int) -> tuple[Standing, int, frozenset[int]]:
        """(who takes part in a record's turn, the number of that, the able as rows of the rep table)."""
        kind = self.kind[place]
        known, alike = self._known[kind], self.alike[kind]
        if known is None or alike.interned is not known[0]:
            standing = self.pool.interned(self.rows[kind], alike)
            able = frozenset(self.column.reps[rep] for rep, _ in standing.able)
            known = self._known[kind] = (standing, self.pool.history.number(standing), able)
        return known


class Loads:
    """Whose turn it is in a pool that goes by load: of those who take part a heap, whose entries are put right as they come up.

    That is enough as long as loads and turns grow; whoever loses a record gets an entry more.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._heaps: dict[int, list[tuple[int, int, str]]] = {}  # by standing
        self._standing: Standing | None = None
        self._taken: Counter[str] = Counter()  # turns of the last standing, which are not settled yet
        self._texts: dict[str, str] = {}

    def next(self, standing: Standing) -> str:
        """The rep of the next turn, booked."""
        if standing is not self._standing:
            self.settle()
            self._standing = standing
        heap = self._heaps.get(id(standing))
        if heap is None:
            heap = self._heaps[id(standing)] = [self.pool.load(rep) for rep, _ in standing.able]
            heapify(heap)
        while (now := self.pool.load(heap[0][2])) != heap[0]:
            heapreplace(heap, now)
        rep = heap[0][2]
        self.pool.took_turn(standing, rep)
        self._taken[rep] += 1
        return rep

    def settle(self) -> None:
        """Book the turns of the last standing: credit decides nothing here, and is shown all the same."""
        if self._standing is not None:
            self.pool.settle(self._standing, self._taken)
            self._taken = Counter()

    def shown(self, standings: list[Standing]) -> str:
        """Everybody's open leads now, as a line of the turns has them."""
        texts = self._texts
        reps = [seat.rep for standing in standings for seat in standing.seats]
        for rep in reps:
            if rep not in texts:
                texts[rep] = f"{json.dumps(rep, ensure_ascii=False)}:{self.pool.pools.open_leads(rep)}"
        return "{" + ",".join([texts[rep] for rep in (reps if len(standings) == 1 else dict.fromkeys(reps))]) + "}"

    def changed(self, rep: str, n: int) -> None:
        """A rep has so many more open leads, from whichever pool."""
        self._texts.pop(rep, None)
        if n < 0:  # an entry that is too high is not put right before it comes up
            for heap in self._heaps.values():
                if any(of == rep for _, _, of in heap):
                    heappush(heap, self.pool.load(rep))
