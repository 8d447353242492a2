"""Turns of pools that look at the record, such as who speaks the lead's language, or that go by load.

What a pool reads of records are columns; records with the same values are of one kind, and of each kind it is known who takes part until
somebody reaches a cap. So one record after another takes its turn from what is known of its kind, and nothing else is asked of it.
"""

from __future__ import annotations

import json
from collections import Counter
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import occurring
from roe.columns.limits import Limits
from roe.columns.row import place_of
from roe.dynamic import Array, Value
from roe.evaluator.alike import CLASSES, NO_KEY, Class, hashed
from roe.evaluator.allocation import FALLBACK
from roe.evaluator.pool import Pool
from roe.evaluator.together import reason_together
from roe.evaluator.turns import Standing
from roe.progress import advance

if TYPE_CHECKING:
    from roe.columns.pool_column import Handed, PoolColumn
    from roe.columns.turns import Turns
    from roe.evaluator.row import Row

SHOWN = 4096  # records between two words to whoever watches


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
    return (code, first.tolist()) if len(kinds) <= CLASSES else None


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

    That is enough because loads and turns only grow while records are handed out.
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
        self.pool.history.turns.log.append((standing, rep))
        self.pool.counts[rep] += 1
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

    def took(self, rep: str) -> None:
        """A rep has got a record, from whichever pool."""
        self._texts.pop(rep, None)


def hand_out(turns: Turns, kinds: dict[str, PoolKinds], handed: Handed) -> None:
    """Hand out every waiting record, in the order of the queue."""
    number = {name: i for i, name in enumerate(turns.names)}
    chains = {i: [kinds[name] for name in turns.chain(turns.names[i])] for i in occurring(turns.asked).tolist()}
    limits = Limits(turns, [of.pool for of in kinds.values()])
    position = {rep: i for i, rep in enumerate(turns.rep_ids)}
    nobody, first = turns.why(FALLBACK, handed), turns.tried([], handed)
    asked, by_load = turns.asked.tolist(), [of.loads for of in kinds.values() if of.loads is not None]
    for i in range(len(asked)):
        tried: list[tuple[Pool, int]] = []
        for of in chains[asked[i]]:
            standing, known, able = of.now(i)
            if able:
                break
            tried.append((of.pool, known))
        tried = tried if able else tried[:-1]
        handed.before[i] = turns.tried(tried, handed) if tried else first
        if by_load:
            asking = [pool.history.made[n] for pool, n in (*tried, (of.pool, known)) if pool.by_load]
            if asking:
                handed.loads[i] = by_load[0].shown(asking)
        handed.pool[i], handed.standing[i], handed.index[i] = number[of.pool.step.name], known, of.pool.history.turns.taken
        if not able:
            handed.rep[i], handed.why[i] = _fallback(turns, of, i), nobody
        else:
            rep = _rep_of_others(turns, of, i, able, handed)
            if rep < 0:
                rep = position[of.loads.next(standing) if of.loads is not None else of.pool.next(standing)]
            handed.rep[i] = rep
            if of.companies is not None:
                _lead(of, of.companies[i], i, rep)
            turns.pools.count(turns.table.entity, turns.rep_ids[rep], 1)
            limits.take(rep)
            for loads in by_load:
                loads.took(turns.rep_ids[rep])
        turns.pools.n += 1
        if i % SHOWN == SHOWN - 1:
            advance(SHOWN)
    for loads in by_load:
        loads.settle()


def _fallback(turns: Turns, of: PoolKinds, i: int) -> int:
    """The rep who receives a record where nobody of a pool can take it; -1 for nobody."""
    at = np.array([place_of(turns.pools.world.rep(of.pool.step.fallback))])
    return int(turns.table.world.receivers(at, turns.holder(slice(i, i + 1)))[0])


def _rep_of_others(turns: Turns, of: PoolKinds, i: int, able: frozenset[int], handed: Handed) -> int:
    """The rep whom a record belongs with, if that rep can take it; -1 for nobody."""
    column = of.column
    if of.sticky is not None and of.sticky[i] in able:
        rep = of.sticky[i]
        label = turns.pools.world.rep_of(turns.rep_ids[rep]).label
        handed.why[i] = turns.why(f"it stays with {label}", handed)
        return rep
    company = of.companies[i] if of.companies is not None else -1
    if company < 0 or int(column.companion[company]) not in able:
        return -1
    if column.leader[company] >= 0:
        handed.leader[i] = column.leader[company]
    else:  # it was in an earlier run, or among another entity's records
        handed.why[i] = turns.why(reason_together(turns.pools.together.given[of.pool.step.name, column.names[company]].record), handed)
    return int(column.companion[company])


def _lead(of: PoolKinds, company: int, i: int, rep: int) -> None:
    """Let later records of a company follow record `i` to its rep, if it is the first of them."""
    if company >= 0 and of.column.companion[company] < 0:
        of.column.companion[company], of.column.leader[company] = rep, i
