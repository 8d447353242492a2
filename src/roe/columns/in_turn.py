"""Turns one after the other, of pools that look at the record, or of records whose owners count.

What is known of its kind of record says who takes part. A record that has an owner, or that some reps must not have, is looked at alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import Refs, occurring
from roe.columns.limits import Limits
from roe.columns.row import place_of
from roe.dynamic import Array
from roe.evaluator.allocation import FALLBACK
from roe.evaluator.pool import Pool
from roe.evaluator.together import reason_together
from roe.progress import advance

if TYPE_CHECKING:
    from roe.columns.handed import Handed
    from roe.columns.kinds import PoolKinds
    from roe.columns.turns import Turns
    from roe.evaluator.turns import Standing

SHOWN = 4096  # records between two words to whoever watches
ANYBODY: Mapping[str, str] = {}  # who must not have a record, with the reasons


class InTurn:
    """All waiting records, in the order of the queue. `alone` says which are not like others of their kind."""

    def __init__(self, turns: Turns, kinds: dict[str, PoolKinds], handed: Handed, alone: Array) -> None:
        self.turns, self.handed, self.pools, self.table = turns, handed, turns.pools, turns.table
        self.kinds = list(kinds.values())
        self.number = {name: i for i, name in enumerate(turns.names)}
        self.chains = {i: [[kinds[name] for name in turns.chain(pool)] for pool in turns.asks[i]] for i in occurring(turns.asked).tolist()}
        self.limits = Limits(turns, [of.pool for of in kinds.values()])
        self.position = {rep: i for i, rep in enumerate(turns.rep_ids)}
        self.by_load = [of.loads for of in kinds.values() if of.loads is not None]
        self.row, self.role, self.asked = turns.row, turns.role.tolist(), turns.asked.tolist()
        self.holder, self.alone = turns.holder(slice(None)), alone
        self.held = self._held()
        self.is_open = self.table.world.is_open(self.table.entity) if turns.counts_open else None
        self.is_noted = len(turns.parts) > 1 or any(pool.step.together is not None for pool in turns.pools.pools.values())
        again = turns.waiting_again()
        self.without = {
            (place, ask): x.found.without
            for place, x in again.items()
            for ask, pool in enumerate(turns.asks[self.asked[place]])
            if pool == turns.asks[self.asked[place]][x.ask] and x.found.without
        }
        self.stands = {place: x.ask for place, x in again.items() if x.stands}  # which pool's assignment stands if those before find nobody
        self.nobody, self.first = turns.why(FALLBACK, handed), turns.tried([], handed)

    def _held(self) -> dict[str, Array]:
        """role -> who has each record of the table, as rows of the rep table; the turns of those that are looked at alone will be added."""
        owners = {role: self.table.owner(role) for role in self.table.world.policy.roles} if self.alone.any() else {}
        nobody = np.full(self.table.n, -1, np.int32)
        return {role: (owner.at if isinstance(owner, Refs) else nobody).astype(np.int32) for role, owner in owners.items()}

    def _owners(self, place: int) -> dict[str, str]:
        """Who has a record that is looked at alone, by role."""
        row, reps = int(self.row[place]), self.turns.rep_ids
        return {role: reps[rep] for role, held in self.held.items() if (rep := int(held[row])) >= 0}

    def run(self) -> None:
        """Hand out every waiting record."""
        for place in range(len(self.row)):
            self._one(place)
            if place % SHOWN == SHOWN - 1:
                advance(SHOWN)
        for loads in self.by_load:
            loads.settle()
        for of in self.kinds:
            if of.credit is not None:
                of.credit.close()

    def _one(self, place: int) -> None:
        handed, stands = self.handed, self.stands.get(place)
        owners = self._owners(place) if self.alone[place] else None
        for failed, chain in enumerate(self.chains[self.asked[place]][:stands]):
            tried = list[tuple[Pool, int]]()
            self.pools.n += 1
            for of in chain:
                standing, known, able = of.now(place) if owners is None else self._alone(of, place, failed, owners)
                if able:
                    break
                tried.append((of.pool, known))
            fallback = -1 if able else self._fallback(of, place)
            if able or fallback >= 0:
                break
        else:
            if stands is not None:
                handed.failed[place], self.pools.n = stands, self.pools.n + 1
                return
        if failed:
            handed.failed[place] = failed
        tried = tried if able else tried[:-1]
        handed.before[place] = self.turns.tried(tried, handed) if tried else self.first
        if self.by_load:
            asking = [pool.history.made[n] for pool, n in (*tried, (of.pool, known)) if pool.by_load]
            if asking:
                handed.loads[place] = self.by_load[0].shown(asking)
        handed.pool[place], handed.standing[place] = self.number[of.pool.step.name], known
        handed.index[place] = of.pool.history.turns.taken
        if not able:
            handed.rep[place], handed.why[place] = fallback, self.nobody
            return
        rep = self._of_others(of, place, able)
        if rep < 0:
            rep = self._next(of, standing)
        handed.rep[place] = rep
        company = of.companies[place] if of.companies is not None else -1
        if company >= 0 and of.column.companion[company] < 0:  # later records of the company follow this one
            of.column.companion[company], of.column.leader[company] = rep, self.row[place]
        if owners is None:
            self._count(rep, self.holder[place] != rep)
        else:
            self._count_alone(place, rep, owners)

    def _alone(self, of: PoolKinds, place: int, failed: int, owners: Mapping[str, str]) -> tuple[Standing, int, frozenset[int]]:
        role = self.turns.parts[self.role[place]].role
        return of.alone(place, partial(self.table.row, int(self.row[place])), role, owners, self.without.get((place, failed), ANYBODY))

    def _next(self, of: PoolKinds, standing: Standing) -> int:
        taker = of.loads or of.credit
        assert taker is not None
        return self.position[taker.next(standing)]

    def _fallback(self, of: PoolKinds, place: int) -> int:
        """The rep who receives a record where nobody of a pool can take it; -1 for nobody."""
        at = np.array([place_of(self.pools.world.rep(of.pool.step.fallback))])
        return int(self.table.world.receivers(at, self.turns.holder(slice(place, place + 1)))[0])

    def _of_others(self, of: PoolKinds, place: int, able: frozenset[int]) -> int:
        """The rep whom a record belongs with, if that rep can take it; -1 for nobody."""
        column, handed = of.column, self.handed
        if of.sticky is not None and of.sticky[place] in able:
            rep = of.sticky[place]
            label = self.pools.world.rep_of(self.turns.rep_ids[rep]).label
            handed.why[place] = self.turns.why(f"it stays with {label}", handed)
            return rep
        company = of.companies[place] if of.companies is not None else -1
        if company < 0:
            return -1
        followed = column.followed[self.role[place]]
        at = -1 if followed is None else followed.owned.companion(company, able, int(self.row[place]))
        if followed is not None and at >= 0:
            handed.leader[place] = followed.owned.rows[at]
            return int(followed.owned.reps[at])
        if int(column.companion[company]) not in able:
            return -1
        if column.leader[company] >= 0:
            handed.leader[place] = column.leader[company]
        else:  # it was in an earlier run, or among another entity's records
            given = self.pools.together.given[of.pool.step.name, column.names[company]]
            handed.why[place] = self.turns.why(reason_together(given.record), handed)
        return int(column.companion[company])

    def _count(self, rep: int, is_new: bool) -> None:
        """A rep has got a record of which no owner counts. It `is_new` to a rep who did not have it before."""
        if is_new:
            self.pools.count(self.table.entity, self.turns.rep_ids[rep], 1)
        self.limits.take(rep)
        for loads in self.by_load:
            loads.changed(self.turns.rep_ids[rep], 1)

    def _count_alone(self, place: int, rep: int, owners: dict[str, str]) -> None:
        """A rep has got a record that somebody may have had."""
        pools, row, entity, new = self.pools, int(self.row[place]), self.table.entity, self.turns.rep_ids[rep]
        role = self.turns.parts[self.role[place]].role
        counted = pools.count_taken(entity, owners, role, new, self.is_open is not None and bool(self.is_open[row]))
        if self.is_noted:
            pools.note_given(entity, str(self.table.ids[row].as_py()), role, new)
        self.held[role][row] = rep
        self.turns.owners.move(self.role[place], row, rep)
        self.limits.take(rep)
        for _, one, n in counted:
            if n < 0 and one in self.position:
                self.limits.lost(self.position[one])
            for loads in self.by_load:
                loads.changed(one, n)
