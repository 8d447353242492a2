"""`Allocate` over columns: the turns of pools whose members, weights and limits are the same for every record.

Between two moments at which somebody reaches a limit, the turns of a pool are a pattern that repeats: it is worked out once
and laid over the records in the order of their queue. Records that follow another (of their company, or with the rep they
stay with) take no turn. Pools that look at the record hand out by kinds of records (`roe.columns.kinds`); what cannot be told apart like that, and
records that somebody has already, go one by one through the row evaluator's allocation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns import turn_files
from roe.columns.column import Column, Days, Instants, occurring
from roe.columns.kinds import PoolKinds, hand_out
from roe.columns.limits import Limits
from roe.columns.pool_column import LEAST, MOST, Handed, PoolColumn, span_of
from roe.columns.row import place_of
from roe.columns.turn_marks import Taken
from roe.dynamic import Array, Json, Value
from roe.evaluator.allocate import Pools
from roe.evaluator.allocation import FALLBACK
from roe.evaluator.assigned import assignment
from roe.evaluator.pool import Pool
from roe.evaluator.together import Given, reason_together
from roe.grammar import values as v
from roe.progress import advance, phase

if TYPE_CHECKING:
    from roe.columns.role import RoleRows
    from roe.columns.table import RecordTable
    from roe.evaluator.row import Row

ALL = slice(None)


def created(table: RecordTable, rows: Array) -> Array:
    """When some rows were created, as numbers in that order; what is not known comes first."""
    column = table.column("created")
    if column is None:
        return np.zeros(len(rows))
    if isinstance(column, (Instants, Days)):
        return column.data[rows]
    codes, meaning = column.take(rows).encode()
    texts = ["" if x is None else v.literal(x) for x in meaning.list]
    rank = {text: i for i, text in enumerate(sorted(set(texts)))}
    return np.array([rank[text] for text in texts], np.int64)[codes]


class Turns:
    """The turns of all records of an entity that wait for pools, over all of its roles."""

    def __init__(self, table: RecordTable, pools: Pools, parts: Sequence[RoleRows]) -> None:
        self.table, self.pools, self.parts = table, pools, parts
        rows = [np.asarray(rows) for part in parts for rows, _ in part.waiting]
        actions = [(k, action) for k, part in enumerate(parts) for _, action in part.waiting]
        row = np.concatenate(rows)
        action = np.repeat(np.arange(len(actions), dtype=_least_type(len(actions))), [len(r) for r in rows])
        del rows
        self.actions = actions
        # the queue: by the time of creation, then by id (rows are in the order of the ids), of one record by its roles, which are in order
        order = np.lexsort((row, created(table, row)))
        self.row, self.action = row[order].astype(np.int32), action[order]
        del row, action, order
        self.role = np.array([k for k, _ in actions], _least_type(len(parts)))[self.action]
        self.names = sorted(pools.pools)
        self.kinds: dict[str, tuple[Array, list[int]]] = {}  # by pool the kind of each record, and the place of one of each
        self.columns: dict[str, PoolColumn] = {}  # of the pools that are asked, once they are prepared
        self.asked = np.array([self.names.index(action.pool) for _, action in actions], _least_type(len(self.names)))[self.action]

    def holder(self, places: Array | slice) -> Array:
        """Who has the records at some places of the queue."""
        return self._by_role([part.previous for part in self.parts], places)

    def _by_role(self, of_roles: list[Array], places: Array | slice) -> Array:
        """Of what each role has for every row, what is for the records at some places."""
        rows = self.row[places]
        return np.choose(self.role[places], [of_role[rows] for of_role in of_roles]) if len(of_roles) > 1 else of_roles[0][rows]

    def one_of_each(self, name: str) -> list[Row]:
        """A waiting record of each kind that a pool tells apart."""
        return [self.table.row(int(self.row[place])) for place in self.kinds[name][1]]

    def chain(self, name: str) -> list[str]:
        """A pool and those that it falls back on."""
        names = [name]
        while (after := self.pools.pools[names[-1]].step.fallback) is not None and str(after) in self.pools.pools:
            names.append(str(after))
        return names

    # --- handing out --------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Everything about pools and waiting records that stays as it is while they are handed out."""
        world = self.table.world
        used = list(dict.fromkeys(name for i in occurring(self.asked).tolist() for name in self.chain(self.names[i])))
        any_row = self.table.row(int(self.row[0]))
        for name in used:  # reps whom the data does not list become rows of the table before it is counted
            for row in self.one_of_each(name):
                self.pools.pools[name].fixed_standing(row)
            world.rep(self.pools.pools[name].step.fallback)
        asked = {name: self._asked_of_records(self.pools.pools[name]) for name in used}
        self.rep_ids = [str(rep) for rep in world.tables["rep"].ids.to_pylist()]
        reps = {rep: i for i, rep in enumerate(self.rep_ids)}
        self.columns = {name: PoolColumn(self.pools.pools[name], reps, any_row) for name in used}
        for name, column in self.columns.items():
            column.prepare(*asked[name], self.pools.together)

    def run(self) -> Handed:
        """Hand out every waiting record, in the order of the queue."""
        if not self.columns:
            self.prepare()
        n = len(self.row)
        handed = Handed.of(n)
        phase("handing records to pools", n)
        for column in self.columns.values():
            column.pool.forget()  # until now nobody watched what its reps took from other pools
        if all(column.pool.fixed for column in self.columns.values()):
            self._in_windows(handed)
        else:
            hand_out(
                self,
                {name: PoolKinds(column, self.kinds[name][0], self.one_of_each(name)) for name, column in self.columns.items()},
                handed,
            )
        for pool in self.pools.pools.values():  # what reps took from other pools was not followed everywhere
            pool.forget()
        entities = self.parts[0].bound.entities()
        later = entities[entities.index(self.table.entity) + 1 :]
        for column in self.columns.values():
            column.book()
            if any(self.parts[0].bound.plan.takes_turns(entity) for entity in later):
                self._remember(column)
        return handed

    def _in_windows(self, out: Handed) -> None:
        """Many records at once, up to where a rep reaches a limit."""
        for column in self.columns.values():
            column.seats()
        self.limits = Limits(self, [column.pool for column in self.columns.values()])
        self.left = np.array(self.limits.left)  # how many more records each rep can take
        self.uncounted = np.zeros(len(self.rep_ids), np.int64)  # what each rep has taken, as far as caps do not know it yet
        at, n = 0, len(self.row)
        while at < n:
            done = self._window(at, min(n, at + self._width()), out)
            self._took(out.rep[at:done], out.why[at:done], out)
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

    def _remember(self, column: PoolColumn) -> None:
        """Which reps the companies went to, for what comes later in the run."""
        led = np.flatnonzero(column.leader >= 0)
        ids = self.table.ids.take(pa.array(self.row[column.leader[led]])).to_pylist()
        name, entity, world = column.pool.step.name, self.table.entity, self.table.world
        for i, rep, record in zip(led.tolist(), column.companion[led].tolist(), ids, strict=True):
            self.pools.together.given[name, column.names[i]] = Given(self.rep_ids[rep], f"{entity} {record}", world.clock.now)

    def _asked_of_records(self, pool: Pool) -> tuple[Column | None, Array | None]:
        """What the waiting records' companies are, and the reps whom they stay with."""
        frame = self.parts[0].frame(self.row)
        company = frame.eval(pool.step.together.tree) if pool.step.together is not None else None
        if pool.step.sticky is None:
            return company, None
        values = frame.eval(pool.step.sticky.tree)
        each = [part.assignee(self.row, values).astype(np.int32) for part in self.parts]
        return company, np.choose(self.role, each) if len(each) > 1 else each[0]

    def _window(self, at: int, end: int, handed: Handed) -> int:
        """Hand out the records from `at` on, up to `end` or to the one at which a rep reaches a limit; where that is."""
        window = np.arange(at, end)
        asked = self.asked[at:end]
        groups: dict[str, list[Array]] = {}
        tried: dict[int, list[str]] = {}
        for number in (numbers := occurring(asked).tolist()):
            chain = self.chain(self.names[number])
            able = next((i for i, name in enumerate(chain) if self.columns[name].seats().able), len(chain) - 1)
            tried[number] = chain[: able + 1]
            groups.setdefault(chain[able], []).append(window if len(numbers) == 1 else window[asked == number])
        plans = {
            name: self._plan(name, places[0] if len(places) == 1 else np.sort(np.concatenate(places)), handed)
            for name, places in groups.items()
        }
        done = self._limit(at, end, handed)
        for number, chain in tried.items():
            places = window[asked == number]
            places = places[places < done]
            if len(places):
                handed.before[places] = self._before(chain[:-1], handed)
        for name, (places, turns) in plans.items():
            some = int(np.searchsorted(places, done))
            self._commit(name, places[:some], turns[:some], handed)
        return done

    def _plan(self, name: str, places: Array, handed: Handed) -> tuple[Array, Array]:
        """Reps for some records of a pool as it is now; which of them take a turn. `places` are in order."""
        column, span = self.columns[name], span_of(places)
        standing = column.seats()
        if not standing.able:
            fallback = self.pools.world.rep(column.pool.step.fallback)
            at = np.full(len(places), place_of(fallback))
            handed.rep[span] = self.table.world.receivers(at, self.holder(span))
            handed.why[span], handed.leader[span] = self.why(FALLBACK, handed), -1
            return places, np.zeros(len(places), bool)
        rep, why, leader = (np.full(len(places), -1, np.int32) for _ in range(3))
        if column.sticky is not None:
            own = column.sticky[span]
            stays = column.is_able[own]
            rep[stays] = own[stays]
            for one in occurring(own[stays]).tolist():
                label = self.pools.world.rep_of(self.rep_ids[one]).label
                why[stays & (own == one)] = self.why(f"it stays with {label}", handed)
        behind = ahead = np.empty(0, np.int64)
        if column.companies is not None:
            company = column.companies[span]
            companion = column.companion[company]
            goes = (rep < 0) & column.is_able[companion]
            rep[goes] = companion[goes]
            leader[goes] = column.leader[company[goes]]
            for i in np.flatnonzero(goes & (leader < 0)).tolist():  # it was in an earlier run, or among another entity's records
                label = self.pools.together.given[column.pool.step.name, column.names[int(company[i])]].record
                why[i] = self.why(reason_together(label), handed)
            new = np.flatnonzero((company >= 0) & (companion < 0))
            first = column.first_of(company[new], new)
            follows = (first != new) & (rep[new] < 0)
            behind, ahead = new[follows], first[follows]
        turns = rep < 0
        turns[behind] = False
        assert column.slots is not None
        rep[turns] = column.able[column.slots.next(int(np.count_nonzero(turns)))]
        rep[behind], leader[behind] = rep[ahead], places[ahead]
        handed.rep[span], handed.why[span], handed.leader[span] = rep, why, leader
        return places, turns

    def _limit(self, at: int, end: int, handed: Handed) -> int:
        """Up to where nobody who is able becomes unable."""
        if not self.limits.pools:
            return end
        left = self.left
        rep = self._counted(handed.rep[at:end], handed.why[at:end], handed)
        full = np.append(np.bincount(rep[rep >= 0], minlength=len(left)) >= left, False)  # the last place is for nobody
        some = np.flatnonzero(full[rep])
        if not len(some):
            return end
        order = some[np.argsort(rep[some].astype(np.int16 if len(left) < 1 << 15 else np.int32), kind="stable")]
        reps = rep[order]
        nth = np.arange(1, len(order) + 1) - np.searchsorted(reps, reps)  # of each record, which one of its rep's it is
        return at + int(order[nth == left[reps]].min()) + 1

    def _counted(self, rep: Array, why: Array, handed: Handed) -> Array:
        """The reps for whom allocations count; -1 for those of a pool's fallback."""
        return rep if FALLBACK not in handed.whys else np.where(why != handed.whys[FALLBACK], rep, -1)

    def _commit(self, name: str, places: Array, turns: Array, handed: Handed) -> None:
        if not len(places):
            return
        column, span = self.columns[name], span_of(places)
        assert column.slots is not None
        handed.pool[span] = self.names.index(name)
        handed.standing[span] = column.standing_number()
        taken = np.cumsum(turns)
        handed.index[span] = column.pool.history.turns.taken + taken - turns
        n = int(taken[-1]) if len(taken) else 0
        column.slots.used += n
        column.pool.history.turns.unlogged += n
        if column.companies is not None and column.slots.standing.able:
            column.lead(places, handed.rep[span])

    def _took(self, rep: Array, why: Array, handed: Handed) -> None:
        """Note what reps have taken. Only of somebody who reaches a limit it must be counted at once: others are not asked about."""
        counted = self._counted(rep, why, handed)
        counts = np.bincount(counted[counted >= 0], minlength=len(self.rep_ids))
        self.uncounted += counts
        self.left -= counts
        for i in np.flatnonzero(self.left <= 0).tolist():
            self._count(i)
            self.left[i] = self.limits.seated_anew(i)
        self.pools.n += len(rep)

    def _count(self, rep: int) -> None:
        self.pools.count(self.table.entity, self.rep_ids[rep], int(self.uncounted[rep]))
        self.uncounted[rep] = 0

    def assignments(self, handed: Handed) -> Iterator[tuple[str, Json]]:
        """What the state keeps of them."""
        now = self.table.world.clock.now
        ids = self.table.ids.take(pa.array(self.row)).to_pylist()
        position = self._positions(handed).tolist()
        is_free = ((handed.why >= 0) | (handed.leader >= 0)).tolist()
        columns = [self.columns.get(name) for name in self.names]
        for i, (rep, by) in enumerate(zip(handed.rep.tolist(), handed.pool.tolist(), strict=True)):
            if rep >= 0:
                column = columns[by]
                assert column is not None
                company = column.names[column.companies[i]] if column.companies is not None and column.companies[i] >= 0 else None
                key = f"{self.table.entity}|{ids[i]}|{self.parts[self.role[i]].role}"
                yield (
                    key,
                    assignment(self.rep_ids[rep], self.names[self.asked[i]], self.names[by], now, position[i], company, [], is_free[i]),
                )

    def _positions(self, handed: Handed, places: slice = ALL) -> Array:
        start = np.array([self.pools.pools[name].history.turns.position for name in self.names])
        return np.asarray(start[handed.pool[places]] + handed.index[places] + 1)

    # --- words --------------------------------------------------------------------------------------------------------

    def following(self, handed: Handed, places: Array | slice = ALL) -> pa.Array:
        """Of the waiting records at some places, whom each follows, in words; null for most."""
        leader = handed.leader[places]
        led = np.where(leader >= 0, self.row[leader], -1)
        before, after = reason_together(f"{self.table.entity} \0").split("\0")
        return pc.binary_join_element_wise(before, self.table.ids.take(pa.array(led, mask=led < 0)), after, "")

    def why_given(self, handed: Handed, places: Array | slice = ALL) -> pa.Array:
        """Of the waiting records at some places, why the rep of each got it without a turn; null for most."""
        why = handed.why[places]
        whys = pa.array(list(handed.whys), pa.string()).take(pa.array(why, mask=why < 0))
        return pc.coalesce(self.following(handed, places), whys)

    def why(self, text: str, handed: Handed) -> int:
        return handed.whys.setdefault(text, len(handed.whys))

    def _before(self, tried: Iterable[str], handed: Handed) -> int:
        standings = []
        for name in tried:
            standings.append((self.columns[name].pool, self.columns[name].standing_number()))
        return self.tried(standings, handed)

    def tried(self, tried: Iterable[tuple[Pool, int]], handed: Handed) -> int:
        """The number of what is said of pools that were asked before, with their standings."""
        pools = [[pool.step.name, number, pool.history.turns.taken] for pool, number in tried]
        return handed.befores.setdefault(json.dumps(pools, ensure_ascii=False, separators=(",", ":")), len(handed.befores))

    def as_tables(self, handed: Handed, start: int, until: Value) -> Iterator[pa.Table]:
        """The turns as the run's records have them, some at a time: what `PoolTurn.record` gives, from column to column."""
        for first in range(0, len(self.row), turn_files.GROUP):
            yield self._as_table(slice(first, min(first + turn_files.GROUP, len(self.row))), handed, start, until)

    def _as_table(self, places: slice, handed: Handed, start: int, until: Value) -> pa.Table:
        ids = self.table.ids.take(pa.array(self.row[places]))
        roles = pa.array([f"|{part.role}" for part in self.parts])
        keys = pc.binary_join_element_wise(f"{self.table.entity}|", ids, roles.take(pa.array(self.role[places])), "")
        rep, n = handed.rep[places], np.arange(places.start, places.stop)
        ends = pa.array([v.string(x) for x in until], pa.string()).take(pa.array(self.asked[places], mask=rep < 0))
        columns = {
            "n": start + n, "pool": _words(handed.pool[places], self.names), "standing": handed.standing[places],
            "index": handed.index[places], "rep": _words(rep, self.rep_ids), "key": keys,
            "why": pc.fill_null(self.why_given(handed, places), ""), "repeated": pa.repeat(pa.scalar(""), len(n)), "until": ends,
            "before": _words(handed.before[places], list(handed.befores)), "position": self._positions(handed, places),
            "loads": pa.array([handed.loads.get(i) for i in n.tolist()] if handed.loads else pa.nulls(len(n)), pa.string()),
        }  # fmt: skip
        return pa.table(columns).cast(turn_files.schema())

    def taken(self, handed: Handed) -> Taken:
        """Which rep took a turn of which pool."""
        is_taken = (handed.why < 0) & (handed.leader < 0) & (handed.rep >= 0) & (handed.standing >= 0)
        return Taken(self.names, handed.pool, self.rep_ids, handed.rep, handed.standing, is_taken)


def _words(codes: Array, words: list[str]) -> pa.Array:
    """Words by their numbers; -1 is none."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), pa.array(words or [""], pa.string()))


def _least_type(n: int) -> np.dtype[np.signedinteger]:
    """The smallest type of the numbers from 0 to n."""
    return np.min_scalar_type(-n - 1)
