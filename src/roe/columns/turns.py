"""`Allocate` over columns: the turns of pools whose members, weights and limits are the same for every record.

Between two moments at which somebody reaches a limit, the turns of a pool are a pattern that repeats: it is worked out once
and laid over the records in the order of their queue. Records that follow another (of their company, or with the rep they
stay with) take no turn. Pools that look at the record, and records whose owners count, take turn after turn (`roe.columns.in_turn`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns import turn_files
from roe.columns.assigned import Before, assigned_before
from roe.columns.column import Days, Instants, Refs, occurring
from roe.columns.handed import Handed, number_in
from roe.columns.in_companies import Companies, Owners
from roe.columns.in_turn import InTurn
from roe.columns.in_windows import InWindows
from roe.columns.kinds import PoolKinds
from roe.columns.pool_column import PoolColumn
from roe.columns.row import place_of
from roe.columns.turn_marks import Taken
from roe.dynamic import Array, Json, Value
from roe.evaluator.allocate import Pools
from roe.evaluator.assigned import assignment
from roe.evaluator.pool import OPEN_CAPS, Pool
from roe.evaluator.together import Given, reason_together
from roe.grammar import values as v
from roe.progress import phase

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


class Queue(NamedTuple):
    """All records that wait, in order; and the places of those among them that wait for a turn now."""

    row: Array
    action: Array
    role: Array
    asked: Array
    left: Array


class Turns:
    """The turns of all records of an entity that wait for pools, over all of its roles."""

    def __init__(self, table: RecordTable, pools: Pools, parts: Sequence[RoleRows]) -> None:
        self.table, self.pools, self.parts = table, pools, parts
        self.start = pools.n  # how many allocations there were before
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
        asks = [tuple(outcome.pool for outcome in action.asks()) for _, action in actions]
        self.asks = sorted(set(asks))  # the pools that records ask, one behind the other where a rule's `else` names a second one
        self.kinds: dict[str, tuple[Array, list[int]]] = {}  # by pool the kind of each record, and the place of one of each
        self.columns: dict[str, PoolColumn] = {}  # of the pools that are asked, once they are prepared
        self.asked = np.array([self.asks.index(pools) for pools in asks], _least_type(len(self.asks)))[self.action]  # numbers of `asks`
        self.earlier: dict[int, Before] = {}  # by place, of records that an earlier run has assigned by one of these pools
        self.all: Queue | None = None  # those too whose earlier assignment stands, while turns are given out

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

    def used(self) -> dict[str, None]:
        """All pools that may be asked, in order."""
        return dict.fromkeys(name for i in occurring(self.asked).tolist() for pool in self.asks[i] for name in self.chain(pool))

    # --- handing out --------------------------------------------------------------------------------------------------

    def leave_out_assigned(self) -> None:
        """Find out what earlier runs have assigned. What stands of that takes no turn, and is out of the queue until all turns are given out,
        unless another pool is asked first.
        """
        self.earlier = assigned_before(self)
        stands = [place for place, x in self.earlier.items() if x.stands and x.ask == 0]
        if stands:
            self.all = Queue(self.row, self.action, self.role, self.asked, np.delete(np.arange(len(self.row)), stands))
            self.row, self.action, self.role, self.asked = (x[self.all.left] for x in self.all[:4])

    def put_back(self) -> None:
        """As if nothing had been left out."""
        self.pools.n, self.earlier = self.start, {}
        if self.all is not None:
            self.row, self.action, self.role, self.asked, _ = self.all
            self.all = None

    def waiting_again(self) -> dict[int, Before]:
        """By place in the queue, the records that an earlier run has assigned, and that wait all the same: for a turn, or for a pool that is asked
        before the one whose assignment stands.
        """
        again = {place: x for place, x in self.earlier.items() if x.ask > 0 or not x.stands}
        if self.all is None or not again:
            return again
        places = np.searchsorted(self.all.left, list(again))
        return dict(zip(places.tolist(), again.values(), strict=True))

    def _with_assigned(self, handed: Handed) -> Handed:
        """What became of all records, those included whose earlier assignment stands."""
        if self.all is None:
            self._let_stand(handed)
            return handed
        self.row, self.action, self.role, self.asked, left = self.all
        handed = handed.among(len(self.row), left)
        for column in self.columns.values():
            if column.companies is not None:
                column.companies, waiting = np.full(len(self.row), -1, np.int32), column.companies
                column.companies[left] = waiting
        self._let_stand(handed)
        return handed

    def _let_stand(self, handed: Handed) -> None:
        """What earlier runs have assigned stands, unless a pool that was asked before has found somebody."""
        for place, (ask, found) in self.earlier.items():
            if found.turn is not None and handed.failed[place] == ask:
                handed.stands(place, found.turn, place_of(found.turn.rep), self.names.index(found.turn.pool))

    def prepare(self) -> None:
        """Everything about pools and waiting records that stays as it is while they are handed out."""
        world = self.table.world
        used = list(self.used())
        any_row = self.table.row(int(self.row[0]))
        for name in used:  # reps whom the data does not list become rows of the table before it is counted
            rows = self.one_of_each(name)
            self.pools.pools[name].tell_apart(len(rows))
            for row in rows:
                self.pools.pools[name].fixed_standing(row)
            world.rep(self.pools.pools[name].step.fallback)
        self.owners = Owners(self.table, self.parts, created)
        asked = {name: self._asked_of_records(self.pools.pools[name]) for name in used}
        self.rep_ids = [str(rep) for rep in world.tables["rep"].ids.to_pylist()]
        reps = {rep: i for i, rep in enumerate(self.rep_ids)}
        self.columns = {name: PoolColumn(self.pools.pools[name], reps, any_row) for name in used}
        for name, column in self.columns.items():
            column.prepare(*asked[name], self.pools.together)

    def run(self) -> Handed:
        """Hand out every waiting record, in the order of the queue."""
        handed, self.rep_ids = Handed.of(len(self.row)), [str(rep) for rep in self.table.world.tables["rep"].ids.to_pylist()]
        if len(self.row):
            if not self.columns:
                self.prepare()
            self._hand_out(handed)
        self._say_until(handed)
        return self._with_assigned(handed)

    def _hand_out(self, handed: Handed) -> None:
        phase("handing records to pools", len(self.row))
        for column in self.columns.values():
            column.pool.forget()  # until now nobody watched what its reps took from other pools
        alone = self._alone()
        if all(column.pool.fixed for column in self.columns.values()) and not alone.any():
            InWindows(self, handed).run()
        else:
            kinds = {name: PoolKinds(column, self.kinds[name][0], self.one_of_each(name)) for name, column in self.columns.items()}
            InTurn(self, kinds, handed, alone).run()
        for pool in self.pools.pools.values():  # what reps took from other pools was not followed everywhere
            pool.forget()
        entities = self.parts[0].bound.entities()
        later = entities[entities.index(self.table.entity) + 1 :]
        for column in self.columns.values():
            column.book()
            if any(self.parts[0].bound.plan.takes_turns(entity) for entity in later):
                self._remember(column)

    def _alone(self) -> Array:
        """The records of which something counts that others of their kind have not: an owner, another role, somebody who must not have them."""
        alone = (self.holder(ALL) >= 0) & self._owners_count()
        alone[[place for place, x in self.waiting_again().items() if not x.stands]] = True
        if self.counts_open:  # a rep counts once for a record, whatever the roles
            for owner in map(self.table.owner, self.table.world.policy.roles):
                alone |= owner.at[self.row] >= 0 if isinstance(owner, Refs) else False
            alone |= ~self.table.world.is_open(self.table.entity)[self.row]
            alone |= np.bincount(self.row)[self.row] > 1 if len(self.parts) > 1 else False
        return alone

    @property
    def counts_open(self) -> bool:
        """Whether these records are among those that reps have open, and anything rests on how many these are."""
        return self.pools.open_is_asked and self.table.entity in OPEN_CAPS.values()

    def _owners_count(self) -> bool:
        """Whether whose turn it is depends on who has the waiting records: by a cap, a load, or a company's records. If not, an owner only
        matters for what is counted that day: a rep who gets a record back has none more.
        """
        pools = self.pools.pools.values()
        return any(pool.step.caps or pool.by_load or pool.step.together is not None for pool in pools)

    def _say_until(self, handed: Handed) -> None:
        """Until when the records must be worked, by the pool that was asked and, if its deadlines are in working time, by the rep."""
        pools, now = self.pools, self.table.world.clock.now
        for number, failed in ((i, failed) for i in occurring(self.asked).tolist() for failed in range(len(self.asks[i]))):
            pool = pools.pools[self.asks[number][failed]]
            if pool.step.sla is None:
                continue
            places = np.flatnonzero((self.asked == number) & (handed.failed == failed) & (handed.rep >= 0))
            reps = occurring(handed.rep[places])
            by_rep = np.full(len(self.rep_ids), -1, np.int32)
            for rep in reps.tolist():
                due = pools.due(pool, now, self.table.world.rep_row(rep))
                by_rep[rep] = -1 if due is None else number_in(due, handed.untils)
            handed.until[places] = by_rep[handed.rep[places]]

    def _remember(self, column: PoolColumn) -> None:
        """Which reps the companies went to, for what comes later in the run."""
        led = np.flatnonzero(column.leader >= 0)
        ids = self.table.ids.take(pa.array(column.leader[led])).to_pylist()
        name, entity, world = column.pool.step.name, self.table.entity, self.table.world
        for i, rep, record in zip(led.tolist(), column.companion[led].tolist(), ids, strict=True):
            self.pools.together.given[name, column.names[i]] = Given(self.rep_ids[rep], f"{entity} {record}", world.clock.now)

    def _asked_of_records(self, pool: Pool) -> tuple[Companies | None, Array | None]:
        """What the waiting records' companies are, and the reps whom they stay with."""
        company = self.owners.companies(pool, self.row, partial(self.pools.together.is_followed, pool))
        if pool.step.sticky is None:
            return company, None
        values = self.parts[0].frame(self.row).eval(pool.step.sticky.tree)
        each = [part.assignee(self.row, values).astype(np.int32) for part in self.parts]
        return company, np.choose(self.role, each) if len(each) > 1 else each[0]

    def assignments(self, handed: Handed) -> Iterator[tuple[str, Json]]:
        """What the state keeps of them."""
        now, together = self.table.world.clock.now, self.pools.together
        ids = self.table.ids.take(pa.array(self.row)).to_pylist()
        position = self._positions(handed).tolist()
        is_free = ((handed.why >= 0) | (handed.leader >= 0)).tolist()
        columns = [self.columns.get(name) for name in self.names]
        for i, (rep, by, failed) in enumerate(zip(handed.rep.tolist(), handed.pool.tolist(), handed.failed.tolist(), strict=True)):
            before, column, pool = self.earlier.get(i), columns[by], self.asks[self.asked[i]][failed]
            earlier = before.found if before is not None and self.asks[self.asked[i]][before.ask] == pool else None
            tried = [] if earlier is None else earlier.tried
            if rep < 0 or tried is None:  # it stays as it was assigned
                continue
            company: Value = None
            if earlier is not None and earlier.turn is not None:
                company = together.company(self.pools.pools[self.names[by]], self.table.row(int(self.row[i])))
            elif column is not None and column.companies is not None and column.companies[i] >= 0:
                company = column.names[column.companies[i]]
            key = f"{self.table.entity}|{ids[i]}|{self.parts[self.role[i]].role}"
            yield (
                key,
                assignment(self.rep_ids[rep], pool, self.names[by], now, position[i], company, tried, is_free[i]),
            )

    def _positions(self, handed: Handed, places: slice = ALL) -> Array:
        start = np.array([self.pools.pools[name].history.turns.position for name in self.names])
        positions = np.asarray(start[handed.pool[places]] + handed.index[places] + 1)
        if handed.positions:
            at, own = np.array(list(handed.positions)), np.array(list(handed.positions.values()))
            inside = (at >= (places.start or 0)) & (at < (len(handed.pool) if places.stop is None else places.stop))
            positions[at[inside] - (places.start or 0)] = own[inside]
        return positions

    # --- words --------------------------------------------------------------------------------------------------------

    def following(self, handed: Handed, places: Array | slice = ALL) -> pa.Array:
        """Of the waiting records at some places, whom each follows, in words; null for most."""
        led = handed.leader[places]
        before, after = reason_together(f"{self.table.entity} \0").split("\0")
        return pc.binary_join_element_wise(before, self.table.ids.take(pa.array(led, mask=led < 0)), after, "")

    def why_given(self, handed: Handed, places: Array | slice = ALL) -> pa.Array:
        """Of the waiting records at some places, why the rep of each got it without a turn; null for most."""
        why = handed.why[places]
        whys = pa.array(list(handed.whys), pa.string()).take(pa.array(why, mask=why < 0))
        return pc.coalesce(self.following(handed, places), whys)

    def why(self, text: str, handed: Handed) -> int:
        return handed.whys.setdefault(text, len(handed.whys))

    def tried(self, tried: Iterable[tuple[Pool, int]], handed: Handed) -> int:
        """The number of what is said of pools that were asked before, with their standings."""
        pools = [[pool.step.name, number, pool.history.turns.taken] for pool, number in tried]
        return handed.befores.setdefault(json.dumps(pools, ensure_ascii=False, separators=(",", ":")), len(handed.befores))

    def as_tables(self, handed: Handed) -> Iterator[pa.Table]:
        """The turns as the run's records have them, some at a time: what `PoolTurn.record` gives, from column to column."""
        n = self.start  # a pool that finds nobody is numbered, too, though another one is asked behind it
        for first in range(0, len(self.row), turn_files.GROUP):
            places = slice(first, min(first + turn_files.GROUP, len(self.row)))
            numbers = n + np.arange(places.stop - first) + np.cumsum(handed.failed[places], dtype=np.int64)
            yield self._as_table(places, numbers, handed)
            n = int(numbers[-1]) + 1

    def _as_table(self, places: slice, numbers: Array, handed: Handed) -> pa.Table:
        ids = self.table.ids.take(pa.array(self.row[places]))
        roles = pa.array([f"|{part.role}" for part in self.parts])
        keys = pc.binary_join_element_wise(f"{self.table.entity}|", ids, roles.take(pa.array(self.role[places])), "")
        columns = {
            "n": numbers, "pool": _words(handed.pool[places], self.names), "standing": handed.standing[places],
            "index": handed.index[places], "rep": _words(handed.rep[places], self.rep_ids), "key": keys,
            "why": pc.fill_null(self.why_given(handed, places), ""),
            "repeated": pc.fill_null(_words(handed.repeated[places], list(handed.days)).dictionary_decode(), ""),
            "until": _words(handed.until[places], [v.literal(x) for x in handed.untils]).dictionary_decode(),
            "before": _words(handed.before[places], list(handed.befores)), "position": self._positions(handed, places),
            "loads": pa.array([handed.loads.get(i) for i in range(places.start, places.stop)] if handed.loads else pa.nulls(len(ids)), pa.string()),
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
