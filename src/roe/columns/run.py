"""A whole run in columns: every decision of every record, and what it says of them.

The order of authority is the row evaluator's. Rules, owners, windows, the turns of pools and sentences are columns; where a
pool looks at the record that it hands out, records go, in their places in the queue, through the row evaluator's allocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns import turn_files
from roe.columns.column import Coded, Column, Constant, Dictionary, Refs
from roe.columns.make import from_values, lookup
from roe.columns.role import RoleRows
from roe.columns.row import TableRow, place_of
from roe.columns.table import RecordTable
from roe.columns.turns import Handed, Turns
from roe.columns.vector import Frame
from roe.columns.world import ColumnWorld
from roe.dynamic import Array, Json, State, Value
from roe.evaluator.decision import Decision, label
from roe.evaluator.engine import EXCLUSIVE, Bound, Evaluator
from roe.evaluator.memory import Facts, given_by
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.plan.operators import Choose, Expr, Rule
from roe.plan.outcome import ACTIONS, Outcome, Sentence
from roe.progress import phase

if TYPE_CHECKING:
    from roe.evaluator.choose import Chooser
    from roe.evaluator.memory import DecisionValues


NO_RULE, EXCEPTION = -1, -2  # in place of a rule's number


@dataclass(slots=True)
class Allocations:
    """The decisions on all records of an entity in one role, in the order of the ids.

    `rule` numbers the role's rules, -1 where none held and -2 where an exception decided; `action` numbers `ACTIONS`;
    `owner` and `previous` are rows of the rep table, -1 for nobody; `until` holds Python dates by row where there are any.
    """

    table: RecordTable
    role: str
    rules: Sequence[Rule]
    rule: Array
    action: Array
    owner: Array
    previous: Array
    until: Array
    untils: list[Value]
    territory: Coded
    window: Coded
    pool: Array
    pools: list[str]
    reason: pa.Array
    unknown: Array  # per rule, on how many records it could not be decided
    decisions: dict[int, Decision] = field(default_factory=dict)  # those that pools took part in

    @property
    def entity(self) -> str:
        return self.table.entity

    def moved(self) -> Array:
        return np.asarray(self.owner != self.in_crm())

    def in_crm(self) -> Array:
        """The owners whom the CRM shows: today's, unless an earlier decision is not loaded yet."""
        return self.table.world.columns_memory.in_crm(self.entity, self.role, self.previous)


class ColumnRun:
    """All allocations of a run, by entity and role, and the world they were made in."""

    def __init__(self, bound: Bound) -> None:
        assert isinstance(bound.world, ColumnWorld)
        self.bound, self.world = bound, bound.world
        self.found: list[Allocations] = []
        self.handed: list[tuple[int, Turns, Handed, list[Value]]] = []  # what was handed out as columns, from which turn on, until when
        for entity in bound.entities():
            self._entity(entity)

    @classmethod
    def of(cls, evaluator: Evaluator, tables: Mapping[str, object], *, as_of: date | datetime | str, state: State | None = None) -> Self:
        """Decide every record. `tables` are Arrow tables, or raw records, by entity. Raises `Circle` (see there)."""
        return cls(Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of)), state or {}))

    def state(self) -> Json:
        """What the next run needs; the row evaluator's, from columns."""
        for _, turns, handed, _ in self.handed:
            self.bound.assigned.update(turns.assignments(handed))
        return self.bound.saved(self._decided())

    def _decided(self) -> Iterator[DecisionValues]:
        """The decisions that the memory must know: on records that the run leaves otherwise than it found them, gives back or refers."""
        reps = [None if x is None else str(x) for x in self.world.tables["rep"].ids.to_pylist()]
        by = [given_by(kind) for kind in ACTIONS]
        noted = [ACTIONS.index("return"), ACTIONS.index("refer")]
        for part in self.found:
            alone = self.world.columns_memory.is_left_alone(part.entity, part.role, part.owner, part.previous)
            some = np.flatnonzero(~alone | np.isin(part.action, noted))
            since = self.world.columns_memory.since_in_data(part.entity, part.role)
            days = [None] * len(some) if since is None else since.take(some).values()
            stamps = self.world.columns_memory.stamps(part.table, some)
            ids = part.table.ids.take(pa.array(some)).to_pylist()
            self.world.columns_memory.learn(part.entity, part.role, some, ids)
            rows = zip(ids, part.owner[some].tolist(), part.previous[some].tolist(), days, part.action[some].tolist(), stamps, strict=True)
            for record, owner, previous, day, action, read_at in rows:
                who, before = (reps[at] if at >= 0 else None for at in (owner, previous))
                yield part.entity, record, part.role, who, before, day, ACTIONS[action], by[action], read_at

    def _entity(self, entity: str) -> None:
        table = self.world.tables[entity]
        roles = self.bound.roles(entity)
        parts = [RoleRun(self.bound, table, role) for role in roles]
        self._turns(table, parts)
        done = [part.finish() for part in parts]
        for (e, name), step in self.bound.plan.steps.items():
            if e == entity and isinstance(step, Choose) and step.hit in EXCLUSIVE:
                table.column(name)
        self._know(entity, done)
        for part in done:
            table.set_owner(part.role, Refs("rep", part.owner.astype(np.int32), self.world))
        self.found += done
        self.world.forget()

    def _know(self, entity: str, done: list[Allocations]) -> None:
        """Let what is decided later see since when and after whom records have their new owners, where its rules may ask."""
        needed = self.bound.evaluator.compiled.asks_for_history and entity != self.bound.entities()[-1]
        if not needed and not self.bound.plan.holdovers:  # whose credit is shared out once all is decided
            return
        for part, found in [(part, self.moved(part)) for part in done]:
            if found:
                self.world.know_rows(entity, part.role, found)

    def moved(self, part: Allocations) -> dict[int, Facts]:
        """What is known of the new owners of the records that change hands, by row."""
        rows = np.flatnonzero(part.owner != part.previous)
        since = part.table.column(f"owner_since.{part.role}")
        days = [None] * len(rows) if since is None else since.take(rows).values()
        ids, reps = part.table.ids.take(pa.array(rows)).to_pylist(), self.world.tables["rep"].ids.to_pylist()
        found = {}
        for at, record, day in zip(rows.tolist(), ids, days, strict=True):
            owner, previous = (None if i < 0 else str(reps[i]) for i in (int(part.owner[at]), int(part.previous[at])))
            facts = self.bound.memory.of(part.entity, record, part.role, previous, day)
            found[at] = facts.moved_to(owner, self.world.clock.today, given_by(ACTIONS[part.action[at]]))
        return found

    def _turns(self, table: RecordTable, parts: list[RoleRun]) -> None:
        """The turns of all pools, in the order of the queue, and of the roles for one record."""
        if not any(len(rows) for part in parts for rows, _ in part.waiting):
            return
        turns = Turns(table, self.bound.pools, parts)
        if turns.one_by_one():
            for row, role, action in zip(turns.row.tolist(), turns.role.tolist(), turns.action.tolist(), strict=True):
                parts[role].turn(row, turns.actions[action][1])
            return
        start = self.bound.pools.n
        handed = turns.run()
        self.handed.append((start, turns, handed, self._take_over(turns, handed, parts)))

    def _take_over(self, turns: Turns, handed: Handed, parts: list[RoleRun]) -> list[Value]:
        """Let the roles know what became of the records that waited; until when each pool's are to be worked."""
        now = self.world.clock.now
        until = [self.bound.pools.due(self.bound.pools.pools[name], now, None) for name in turns.names]
        for i, (k, action) in enumerate(turns.actions):
            parts[k].handed(turns, handed, np.flatnonzero(turns.action == i), action, until)
        return until

    def turns(self) -> pa.Table:
        """What pools did, as the run's records have it (see `turn_files`), in the order in which they did it."""
        bound = self.bound
        by_row = [d.turn.record(bound.key(d)) for part in self.found for d in part.decisions.values() if d.turn is not None]
        tables = [turns.as_table(handed, start, until) for start, turns, handed, until in self.handed]
        if not by_row:  # those that were handed out as columns are in order already
            return pa.concat_tables(tables) if tables else turn_files.schema().empty_table()
        return pa.concat_tables([*tables, turn_files.table_of(by_row)], promote_options="permissive").unify_dictionaries().sort_by("n")


class RoleRun(RoleRows):
    """One role of one entity, while it is being decided: each row's outcome is one of `outcomes`, whose steps are columns of its rows."""

    def __init__(self, bound: Bound, table: RecordTable, role: str) -> None:
        super().__init__(bound, table, role)
        n = table.n
        phase(f"deciding {n:,} {table.entity} records as {role}")
        chooser = bound.evaluator.compiled.engagement[table.entity, role]
        self.rules = chooser.step.rules
        self.owner = np.full(n, -1, np.int64)
        self.action = np.zeros(n, np.int8)
        self.outcomes: list[Outcome] = []
        self.outcome = np.full(n, -1, np.int32)  # -1 where the row evaluator decided, in `decisions`
        self.until = np.full(n, -1, np.int64)
        self.untils: list[Value] = []
        self.pool = np.full(n, -1, np.int32)
        self.pools: list[str] = []
        self.why = np.full(n, -1, np.int64)
        self.whys: dict[str, int] = {}
        self.follows: pa.Array | None = None  # of each record, the one of its company whose rep it got, in words
        self.due = np.full(n, -1, np.int64)
        self.dues: list[Value] = []
        self.decisions: dict[int, Decision] = {}
        self.territory, self.window = self._label(self.steps.territory), self._label(self.steps.window)
        fired = self.world.kernel(chooser).first(table.frame.eval, n)
        self.rule = fired.rule.astype(np.int64)
        self.unknown = fired.unknown
        self._exceptions(chooser)
        for outcome, rows in self._by_outcome():
            self._give(rows, outcome)

    def _label(self, expr: Expr | None) -> Coded:
        """A text of each record, empty where there is none."""
        return _texts(Constant("", self.table.n) if expr is None else lookup(label, [self.table.frame.eval(expr.tree)]))

    def _by_outcome(self) -> Iterator[tuple[Outcome, Array]]:
        """The records that rules decide, together where their rules say the same; then those that no rule decides."""
        used = np.unique(self.rule[self.rule >= 0])
        numbers: dict[int, int] = {}
        outcomes = [self.steps.of(rule) for rule in used.tolist()]
        of_rule = np.full(len(self.rules) + 1, -1, np.int64)
        of_rule[used] = [numbers.setdefault(id(outcome), len(numbers)) for outcome in outcomes]
        of_row = np.where(self.rule >= 0, of_rule[self.rule], -1)
        order = np.argsort(of_row, kind="stable")
        cuts = np.searchsorted(of_row[order], np.arange(len(numbers) + 1))
        distinct = {numbers[id(outcome)]: outcome for outcome in outcomes}
        for number in range(len(numbers)):
            yield distinct[number], order[cuts[number] : cuts[number + 1]]
        nobody = np.flatnonzero(self.rule == NO_RULE)
        if len(nobody):
            yield self.steps.no_rule, nobody

    def _exceptions(self, chooser: Chooser) -> None:
        for (entity, record, role), approved in self.bound.exceptions.items():
            if entity == self.table.entity and role == self.role:
                row = self.world.find(entity, record)
                assert isinstance(row, TableRow)
                for i in chooser(self.world.scope(row)).unknown:
                    self.unknown[i] -= 1
                self.rule[row.at] = EXCEPTION
                self._give(np.array([row.at]), self.steps.approved(approved))

    # --- owners -----------------------------------------------------------------------------------------------------

    def _give(self, rows: Array, outcome: Outcome) -> None:
        """Compute the owners that an outcome gives to some rows; those that wait for a pool get theirs later."""
        if outcome.pool:
            self.waiting.append((rows, outcome))
        elif outcome.owner is None:
            self._take(rows, outcome, np.full(len(rows), -1))
        else:
            rep = self.assignee(rows, self.frame(rows).eval(outcome.owner.tree))
            self._take(rows, outcome, self.world.receivers(rep, self.previous[rows]) if outcome.asks_if_able else rep)

    def _take(self, rows: Array, outcome: Outcome, rep: Array) -> None:
        """What an outcome gave stands, except where it found nobody and there is another behind it."""
        if outcome.otherwise is not None:
            some = rep >= 0
            if not some.all():
                self._give(rows[~some], outcome.otherwise)
                rows, rep = rows[some], rep[some]
        if not len(rows):
            return
        if outcome not in self.outcomes:
            self.outcomes.append(outcome)
        self.owner[rows] = rep
        self.action[rows] = ACTIONS.index(outcome.action)
        self.outcome[rows] = self.outcomes.index(outcome)
        if not outcome.names_pool:
            self.pool[rows] = -1

    def turn(self, at: int, outcome: Outcome) -> None:
        """One record through the row evaluator's allocation."""
        row = self.table.row(at)
        previous = self.world.rep_row(int(self.previous[at])) if self.previous[at] >= 0 else None
        d = Decision(self.table.entity, str(row["id"]), row.label, self.role, "unassigned", row=row)
        d.previous = None if previous is None else previous["id"]
        d.rule = str(self.rules[int(self.rule[at])].name)
        self.bound.settle(d, self.steps, outcome, self.world.scope(row))
        self.decisions[at] = d
        owner = self.world.rep(d.owner)
        self.owner[at] = place_of(owner)
        self.action[at] = ACTIONS.index(d.action)
        self.until[at] = -1 if d.until is None else _number(d.until, self.untils)
        if d.pool:
            self.pool[at] = self._pool(d.pool)

    def _pool(self, name: str) -> int:
        if name not in self.pools:
            self.pools.append(name)
        return self.pools.index(name)

    def handed(self, turns: Turns, handed: Handed, places: Array, outcome: Outcome, until: list[Value]) -> None:
        """Take over what became of the records at some places of a queue."""
        rows = turns.row[places]
        for number in np.unique(handed.pool[places]).tolist():
            self.pool[rows[handed.pool[places] == number]] = self._pool(turns.names[number])
        numbers = [self.whys.setdefault(why, len(self.whys)) for why in handed.whys]
        self.why[rows] = np.array([*numbers, -1], np.int64)[handed.why[places]]
        if (handed.leader[places] >= 0).any():
            if self.follows is None:
                self.follows = pa.nulls(self.table.n, pa.string())
            at = np.full(self.table.n, -1)
            at[rows] = places
            self.follows = pc.coalesce(turns.following(handed).take(pa.array(at, mask=at < 0)), self.follows)
        due = until[turns.names.index(outcome.pool)]
        self.due[rows] = -1 if due is None else _number(due, self.dues)
        self._take(rows, outcome, handed.rep[places])

    # --- until when, and why ----------------------------------------------------------------------------------------

    def _say_what_is_undone(self, reasons: pa.Array) -> pa.Array:
        """The sentences, with what is said where a decision takes back a change in the CRM."""
        said: dict[int, str] = {}
        for key, _ in self.bound.memory.changed:
            entity, role = key.partition("|")[0], key.rpartition("|")[2]
            mine = (entity, role) == (self.table.entity, self.role)
            at = self.world.finder(entity).exactly(key[len(entity) + 1 : -len(role) - 1]) if mine else -1
            if at >= 0 and at not in self.decisions:
                row, owner = self.table.row(at), int(self.owner[at])
                rep = str(self.world.rep_row(owner)["id"]) if owner >= 0 else None
                said[at] = self.bound.undoes(Decision(entity, str(row["id"]), "", role, "", owner=rep, row=row))
        if not any(said.values()):
            return reasons
        rows = pa.array(sorted(said))
        mask = np.zeros(self.table.n, bool)
        mask[rows] = True
        texts = [text + said[i] for i, text in zip(sorted(said), reasons.take(rows).to_pylist(), strict=True)]
        return pc.replace_with_mask(reasons, pa.array(mask), pa.array(texts, reasons.type))

    def finish(self) -> Allocations:
        self._untils()
        return Allocations(
            self.table, self.role, self.rules, self.rule, self.action, self.owner, self.previous, self.until, self.untils,
            self.territory, self.window, self.pool, self.pools, self._say_what_is_undone(self._reasons()), self.unknown, self.decisions,
        )  # fmt: skip

    def _decided(self, rows: Array) -> Frame:
        """Some rows, with the steps of the role that are computed by now."""
        names = self.steps.names
        rules = Dictionary([str(rule.name) for rule in self.rules])
        steps: dict[str, Column] = {
            names.rule: Coded(np.maximum(self.rule[rows], NO_RULE).astype(np.int32), rules),
            names.owner: Refs("rep", self.owner[rows].astype(np.int32), self.world),
            names.pool: Coded(self.pool[rows], Dictionary(self.pools)),
            names.due: from_values(self.dues or [None]).take(self.due[rows]),
        }
        if self.whys or self.follows is not None:
            why = pa.array(list(self.whys), pa.string()).take(pa.array(self.why[rows], mask=self.why[rows] < 0))
            why = why if self.follows is None else pc.coalesce(self.follows.take(pa.array(rows)), why)
            steps[names.why] = Coded(np.arange(len(rows), dtype=np.int32), Dictionary(why))
        return self._frame_of(rows, steps)

    def _rows_by(self, key: list[Value]) -> Iterator[tuple[Value, Array]]:
        """The rows of all outcomes that have something in common: what `key` holds for each of them."""
        same: dict[int, list[int]] = {}
        for number, common in enumerate(key):
            same.setdefault(id(common), []).append(number)
        for numbers in same.values():
            yield key[numbers[0]], np.flatnonzero(np.isin(self.outcome, numbers))

    def _untils(self) -> None:
        for until, rows in self._rows_by([outcome.until for outcome in self.outcomes]):
            if until is not None and len(rows):
                codes, meaning = self._decided(rows).eval(until.tree).encode()
                numbers = np.array([-1 if x is None else _number(x, self.untils) for x in meaning.list], np.int64)
                self.until[rows] = numbers[codes] if len(numbers) else -1

    def _reasons(self) -> pa.Array:
        phase(f"wording the reasons of {self.table.n:,} {self.table.entity} records")
        by_row = np.array(list(self.decisions), np.int64)
        places = [by_row]
        pieces = [pa.array([d.reason for d in self.decisions.values()], pa.string())]
        for sentence, rows in self._sentences():
            places.append(rows)
            pieces.append(self._worded(sentence, rows))
        where = np.concatenate(places)
        back = np.empty(self.table.n, np.int64)
        back[where] = np.arange(len(where))
        if (back == np.arange(len(back))).all():
            return pa.concat_arrays(pieces)
        return pa.concat_arrays(pieces).take(pa.array(back))

    def _sentences(self) -> Iterator[tuple[Sentence, Array]]:
        """Every sentence with the rows that have it."""
        given = self.why >= 0
        if self.follows is not None:
            given |= self.follows.is_valid().to_numpy(zero_copy_only=False)
        for sentence, rows in self._rows_by([outcome.reason for outcome in self.outcomes]):
            if sentence.instead is not None and given[rows].any():
                yield sentence.instead, rows[given[rows]]
                rows = rows[~given[rows]]
            if len(rows):
                yield sentence, rows

    def _worded(self, sentence: Sentence, rows: Array) -> pa.Array:
        if all(tree is None for _, tree in sentence.pieces):
            return _same("".join(text for text, _ in sentence.pieces), len(rows))
        frame = self._decided(rows)
        parts = [pa.scalar(text) if tree is None else _say(frame.eval(tree), self.world) for text, tree in sentence.pieces]
        return pc.binary_join_element_wise(*parts, "")


def _number(value: Value, into: list[Value]) -> int:
    into.append(value)
    return len(into) - 1


def _same(text: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), n)


def _texts(column: Column) -> Coded:
    if isinstance(column, Coded):
        return column
    assert isinstance(column, Constant)
    return Coded(np.zeros(column.n, np.int32), Dictionary([column.value]))


def _say(column: Column, world: ColumnWorld) -> pa.Array:
    """Values as a sentence has them."""
    if isinstance(column, Refs):
        table = world.tables[column.entity]
        used, codes = np.unique(column.at, return_inverse=True)
        names = [table.row(i).label if i >= 0 else "(unknown)" for i in used.tolist()]
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)).dictionary_decode()
    if isinstance(column, Coded) and isinstance(column.meaning.items, pa.Array):
        return pc.fill_null(column.arrow(), "(unknown)")
    codes, meaning = column.encode()

    def say(x: Value) -> str:
        return "(unknown)" if x is None else x.label if isinstance(x, Row) else v.readable(x, world.clock.now.tzinfo)

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array([say(x) for x in meaning.list])).dictionary_decode()
