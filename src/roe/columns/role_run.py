"""One role of one entity, while columns decide it: whose outcome each record has, until when, and why in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Coded, Column, Constant, Dictionary, Refs, occurring
from roe.columns.make import from_values, lookup
from roe.columns.role import RoleRows
from roe.columns.row import TableRow, place_of
from roe.columns.table import RecordTable
from roe.columns.vector import Frame
from roe.columns.world import ColumnWorld
from roe.dynamic import Array, Value
from roe.evaluator.bound import Bound
from roe.evaluator.decision import Decision, label
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.ledger.reconcile import key_parts
from roe.node import node
from roe.plan.operators import Expr, Rule
from roe.plan.outcome import ACTIONS, Outcome, Sentence
from roe.policy.store import rule_names
from roe.progress import phase

if TYPE_CHECKING:
    from roe.columns.handed import Handed
    from roe.columns.turns import Turns
    from roe.evaluator.choose import Chooser


NO_RULE, EXCEPTION = -1, -2  # in place of a rule's number


@node(frozen=False)
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


class RoleRun(RoleRows):
    """One role of one entity, while it is being decided: each row's outcome is one of `outcomes`, whose steps are columns of its rows."""

    def __init__(self, bound: Bound, table: RecordTable, role: str) -> None:
        super().__init__(bound, table, role)
        n = table.listed
        phase(f"deciding {n:,} {table.entity} records as {role}")
        chooser = bound.evaluator.compiled.engagement[table.entity, role]
        self.everyone = self.frame(np.arange(n))  # whom this role decides
        self.rules = chooser.step.rules
        self.rule_names = Dictionary(rule_names(self.rules))
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
        fired = self.world.kernel(chooser).first(self.everyone.eval, n)
        self.rule = fired.rule.astype(np.int64)
        self.unknown = fired.unknown
        self._exceptions(chooser)
        for outcome, rows in self._by_outcome():
            self._give(rows, outcome)

    def _label(self, expr: Expr | None) -> Coded:
        """A text of each record, empty where there is none."""
        return _texts(Constant("", self.table.listed) if expr is None else lookup(label, [self.everyone.eval(expr.tree)]))

    def _by_outcome(self) -> Iterator[tuple[Outcome, Array]]:
        """The records that rules decide, together where their rules say the same; then those that no rule decides."""
        used = occurring(self.rule[self.rule >= 0])
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

    def handed(self, turns: Turns, handed: Handed, places: Array, outcome: Outcome) -> None:
        """Take over what became of the records at some places of a queue."""
        rows = turns.row[places]
        for number in occurring(handed.pool[places]).tolist():
            self.pool[rows[handed.pool[places] == number]] = self._pool(turns.names[number])
        numbers = [self.whys.setdefault(why, len(self.whys)) for why in handed.whys]
        self.why[rows] = np.array([*numbers, -1], np.int64)[handed.why[places]]
        if (handed.leader[places] >= 0).any():
            if self.follows is None:
                self.follows = pa.nulls(self.table.listed, pa.string())
            at = np.full(self.table.listed, -1)
            at[rows] = places
            self.follows = pc.coalesce(turns.following(handed).take(pa.array(at, mask=at < 0)), self.follows)
        untils = list(handed.untils)
        some = occurring(handed.until[places] + 1).tolist()
        due = np.full(len(untils) + 1, -1, np.int64)
        due[some] = [-1 if i == 0 else _number(untils[i - 1], self.dues) for i in some]
        self.due[rows] = due[handed.until[places] + 1]
        waiting = len(self.waiting)
        for failed, asking in enumerate(outcome.asks()):
            some = handed.failed[places] == failed
            self._take(rows[some], asking, handed.rep[places[some]])
        assert len(self.waiting) == waiting, "all turns are given out"

    # --- until when, and why ----------------------------------------------------------------------------------------

    def _say_what_is_undone(self, reasons: pa.Array) -> pa.Array:
        """The sentences, with what is said where a decision takes back a change in the CRM."""
        said: dict[int, str] = {}
        for key, _ in self.bound.memory.changed:
            entity, record, role = key_parts(key)
            mine = (entity, role) == (self.table.entity, self.role)
            at = self.world.finder(entity).exactly(record) if mine else -1
            if at >= 0 and at not in self.decisions:
                row, owner = self.table.row(at), int(self.owner[at])
                rep = str(self.world.rep_row(owner)["id"]) if owner >= 0 else None
                said[at] = self.bound.undoes(Decision(entity, str(row["id"]), "", role, "", owner=rep, row=row))
        if not any(said.values()):
            return reasons
        rows = pa.array(sorted(said))
        mask = np.zeros(self.table.listed, bool)
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
        steps: dict[str, Column] = {
            names.rule: Coded(np.maximum(self.rule[rows], NO_RULE).astype(np.int32), self.rule_names),
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
        phase(f"wording the reasons of {self.table.listed:,} {self.table.entity} records")
        by_row = np.array(list(self.decisions), np.int64)
        places = [by_row]
        pieces = [pa.array([d.reason for d in self.decisions.values()], pa.string())]
        for sentence, rows in self._sentences():
            places.append(rows)
            pieces.append(self._worded(sentence, rows))
        where = np.concatenate(places)
        back = np.empty(self.table.listed, np.int64)
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
