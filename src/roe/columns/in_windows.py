"""Turns of pools that are the same for every record, many at once: up to the next record at which somebody reaches a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from roe.columns.column import occurring
from roe.columns.limits import Limits
from roe.columns.pool_column import LEAST, MOST, PoolColumn, span_of
from roe.columns.row import place_of
from roe.dynamic import Array
from roe.evaluator.allocation import FALLBACK
from roe.evaluator.together import reason_together
from roe.progress import advance

if TYPE_CHECKING:
    from roe.columns.handed import Handed
    from roe.columns.turns import Turns


class Asking(NamedTuple):
    """Records of a window, by their places in order, that ask pools alike: those that found nobody, with their fallbacks, then the last pool with its
    fallbacks up to the one that decides; none of these where what an earlier run assigned stands instead.
    """

    places: Array
    failed: Sequence[str]
    chain: Sequence[str]


class InWindows:
    """All waiting records, of which nothing counts but who they follow."""

    def __init__(self, turns: Turns, handed: Handed) -> None:
        self.turns, self.handed, self.pools, self.columns = turns, handed, turns.pools, turns.columns
        for column in self.columns.values():
            column.seats()
        self.limits = Limits(turns, [column.pool for column in self.columns.values()])
        self.left = np.array(self.limits.left)  # how many more records each rep can take
        self.uncounted = np.zeros(len(turns.rep_ids), np.int64)  # what each rep has taken, as far as caps do not know it yet
        again = turns.waiting_again()
        self.stands = np.full(len(turns.row) if again else 0, -1)  # which pool's assignment stands if those before find nobody
        self.stands[list(again)] = [x.ask for x in again.values()]

    def run(self) -> None:
        """Hand out every waiting record, in the order of the queue."""
        at, n = 0, len(self.turns.row)
        while at < n:
            done = self._window(at, min(n, at + self._width()))
            self._took(at, done)
            advance(done - at)
            at = done
        for rep in np.flatnonzero(self.uncounted).tolist():
            self._count(rep)

    def _width(self) -> int:
        """How many records to look at together: a few more than it should take until the first rep reaches a limit."""
        first: float = MOST
        for column in self.columns.values():
            if column.seats().able:
                first = min(first, float((self.left[column.able] / column.shares).min()))
        return int(min(MOST, max(LEAST, first * 1.05 + 64)))

    def _window(self, at: int, end: int) -> int:
        """Hand out the records from `at` on, up to `end` or to the one at which a rep reaches a limit; where that is."""
        window, handed = np.arange(at, end), self.handed
        asked = self.turns.asked[at:end]
        groups: dict[str, list[Array]] = {}
        asking: list[Asking] = []
        for number in (numbers := occurring(asked).tolist()):
            asking += self._ask(self.turns.asks[number], window if len(numbers) == 1 else window[asked == number])
        asking = [of for of in asking if len(of.places)]
        for of in asking:
            if of.chain:
                groups.setdefault(of.chain[-1], []).append(of.places)
        plans = {
            name: self._plan(name, places[0] if len(places) == 1 else np.sort(np.concatenate(places))) for name, places in groups.items()
        }
        done = self._limit(at, end)
        for of in asking:
            places = of.places[: int(np.searchsorted(of.places, done))]
            if len(places):
                for name in of.failed:
                    self.columns[name].standing_number()  # the history has who took part, though nobody was able
                handed.before[places] = self._before(of.chain[:-1])
        for name, plan in plans.items():
            self._commit(name, *plan, int(np.searchsorted(plan[0], done)))
        return done

    def _ask(self, asks: Sequence[str], places: Array) -> Iterator[Asking]:
        """Which pools records ask who wait for some, each if the one before finds nobody, as pools are now. `places` are in order."""
        handed, failed = self.handed, list[str]()
        for ask, pool in enumerate(asks):
            handed.failed[places] = ask
            if ask and len(self.stands):
                stands = places[self.stands[places] == ask]
                handed.rep[stands] = handed.why[stands] = handed.leader[stands] = -1
                yield Asking(stands, failed, [])
                places = places[self.stands[places] != ask]
            chain = self.turns.chain(pool)
            able = next((i for i, name in enumerate(chain) if self.columns[name].seats().able), -1)
            if able >= 0 or ask == len(asks) - 1:
                yield Asking(places, failed, chain[: able + 1] if able >= 0 else chain)
                return
            nobody = self._fallback(chain[-1], places) < 0
            yield Asking(places[~nobody], failed, chain)
            failed, places = [*failed, *chain], places[nobody]

    def _fallback(self, name: str, places: Array | slice) -> Array:
        """The reps who receive some records where nobody of a pool can take them; -1 for nobody."""
        holder = self.turns.holder(places)
        at = np.full(len(holder), place_of(self.pools.world.rep(self.columns[name].pool.step.fallback)))
        return np.asarray(self.turns.table.world.receivers(at, holder))

    def _plan(self, name: str, places: Array) -> tuple[Array, Array, Array]:
        """Reps for some records of a pool as it is now; which of them take a turn, and the numbers of those that others of their companies will follow.
        `places` are in order.
        """
        column, span, handed = self.columns[name], span_of(places), self.handed
        standing = column.seats()
        if not standing.able:
            handed.rep[span] = self._fallback(name, span)
            handed.why[span], handed.leader[span] = self.turns.why(FALLBACK, handed), -1
            return places, np.zeros(len(places), bool), np.empty(0, np.int64)
        rep, why, leader = (np.full(len(places), -1, np.int32) for _ in range(3))
        if column.sticky is not None:
            own = column.sticky[span]
            stays = column.is_able[own]
            rep[stays] = own[stays]
            for one in occurring(own[stays]).tolist():
                label = self.pools.world.rep_of(self.turns.rep_ids[one]).label
                why[stays & (own == one)] = self.turns.why(f"it stays with {label}", handed)
        behind = ahead = leads = np.empty(0, np.int64)
        if column.companies is not None:
            company = column.companies[span]
            self._follow(column, span, company, rep, leader)
            companion = column.companion[company]
            goes = (rep < 0) & column.is_able[companion]
            rep[goes] = companion[goes]
            leader[goes] = column.leader[company[goes]]
            for i in np.flatnonzero(goes & (leader < 0)).tolist():  # it was in an earlier run, or among another entity's records
                label = self.pools.together.given[column.pool.step.name, column.names[int(company[i])]].record
                why[i] = self.turns.why(reason_together(label), handed)
            new = np.flatnonzero((company >= 0) & (companion < 0))
            first = column.first_of(company[new], new)
            leads = new[first == new]
            follows = (first != new) & (rep[new] < 0)
            behind, ahead = new[follows], first[follows]
        turns = rep < 0
        turns[behind] = False
        assert column.slots is not None
        rep[turns] = column.able[column.slots.next(int(np.count_nonzero(turns)))]
        if len(behind):
            rep[behind], leader[behind] = rep[ahead], self.turns.row[places[ahead]]
        handed.rep[span], handed.why[span], handed.leader[span] = rep, why, leader
        return places, turns, leads

    def _follow(self, column: PoolColumn, span: Array | slice, company: Array, rep: Array, leader: Array) -> None:
        """Give records to those who have others of their companies already."""
        for number, followed in enumerate(column.followed):
            if followed is not None:
                some = np.flatnonzero((rep < 0) & (company >= 0) & (self.turns.role[span] == number))
                place = followed.first(company[some], column.is_able)
                some, place = some[place >= 0], place[place >= 0]
                rep[some], leader[some] = followed.owned.reps[place], followed.owned.rows[place]

    def _limit(self, at: int, end: int) -> int:
        """Up to where nobody who is able becomes unable."""
        if not self.limits.pools:
            return end
        left = self.left
        rep = self._counted(at, end)
        full = np.append(np.bincount(rep[rep >= 0], minlength=len(left)) >= left, False)  # the last place is for nobody
        some = np.flatnonzero(full[rep])
        if not len(some):
            return end
        order = some[np.argsort(rep[some].astype(np.int16 if len(left) < 1 << 15 else np.int32), kind="stable")]
        reps = rep[order]
        nth = np.arange(1, len(order) + 1) - np.searchsorted(reps, reps)  # of each record, which one of its rep's it is
        return at + int(order[nth == left[reps]].min()) + 1

    def _counted(self, at: int, end: int) -> Array:
        """The reps for whom allocations count; -1 for those of a pool's fallback, and for records that their reps had before."""
        rep, whys = self.handed.rep[at:end], self.handed.whys
        counts = rep != self.turns.holder(slice(at, end))
        if FALLBACK in whys:
            counts &= self.handed.why[at:end] != whys[FALLBACK]
        return np.where(counts, rep, -1)

    def _commit(self, name: str, places: Array, turns: Array, leads: Array, n: int) -> None:
        """Keep the first `n` of what was planned."""
        if not n:
            return
        places, turns, leads = places[:n], turns[:n], leads[: int(np.searchsorted(leads, n))]
        column, span, handed = self.columns[name], span_of(places), self.handed
        assert column.slots is not None
        handed.pool[span] = self.turns.names.index(name)
        handed.standing[span] = column.standing_number()
        taken = np.cumsum(turns)
        handed.index[span] = column.pool.history.turns.taken + taken - turns
        column.slots.used += int(taken[-1])
        column.pool.history.turns.unlogged += int(taken[-1])
        if len(leads):
            first = places[leads]
            column.lead(first, self.turns.row[first], handed.rep[first])

    def _took(self, at: int, done: int) -> None:
        """Note what reps have taken. Only of somebody who reaches a limit it must be counted at once: others are not asked about."""
        counted = self._counted(at, done)
        counts = np.bincount(counted[counted >= 0], minlength=len(self.turns.rep_ids))
        self.uncounted += counts
        self.left -= counts
        for i in np.flatnonzero(self.left <= 0).tolist():
            self._count(i)
            self.left[i] = self.limits.seated_anew(i)
        self.pools.n += done - at + int(self.handed.failed[at:done].sum())

    def _count(self, rep: int) -> None:
        self.pools.count(self.turns.table.entity, self.turns.rep_ids[rep], int(self.uncounted[rep]))
        self.uncounted[rep] = 0

    def _before(self, tried: Iterable[str]) -> int:
        standings = []
        for name in tried:
            standings.append((self.columns[name].pool, self.columns[name].standing_number()))
        return self.turns.tried(standings, self.handed)
