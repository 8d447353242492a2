"""A whole run in columns: every decision of every record, and what it says of them.

The order of authority is the row evaluator's. Rules, owners, windows, the turns of pools and sentences are columns; where a
pool looks at the record that it hands out, records go, in their places in the queue, through the row evaluator's allocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Array, Coded, Column, Constant, Dictionary, Lists, Owned, Refs, lookup
from roe.columns.turns import Handed, Turns
from roe.columns.vector import Frame
from roe.columns.world import ColumnWorld, Group, Table, TableRow
from roe.data.write import turn_line
from roe.evaluator.engine import EXCLUSIVE, LIVE, Bound, Decision, Evaluator, claimable, given_by, referred, routed
from roe.evaluator.world import Row
from roe.grammar import values as v
from roe.plan.operators import Action, Choose, Rule
from roe.progress import phase

KINDS = ("unassigned", "keep", "assign", "route", "open", "hold", "return", "refer", "exception")
_CODE = {kind: i for i, kind in enumerate(KINDS)}
_EVEN_NOBODY = {"open", "hold", "return", "refer"}
_SAYS = {  # the row evaluator's sentences for rules that have none of their own
    "keep": "{who} keeps it by rule `{rule}`",
    "assign": "{who} is assigned by rule `{rule}`",
    "open": "open{for_claims}, by rule `{rule}`",
    "hold": "on hold, by rule `{rule}`",
    "return": "returned to the pool, by rule `{rule}`",
    "unassigned": "rule `{rule}` holds, and finds nobody",
}


@dataclass(slots=True)
class Allocations:
    """The decisions on all records of an entity in one role, in the order of the ids.

    `rule` numbers the role's rules, -1 where none held and -2 where an exception decided; `action` numbers `KINDS`;
    `owner` and `previous` are rows of the rep table, -1 for nobody; `until` holds Python dates by row where there are any.
    """

    table: Table
    role: str
    rules: Sequence[Rule]
    rule: Array
    action: Array
    owner: Array
    previous: Array
    until: Array
    untils: list[Any]
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
        calm = (self.action != _CODE["hold"]) & (self.action != _CODE["refer"])
        return np.asarray((self.owner != self.previous) & calm)


class ColumnRun:
    """All allocations of a run, by entity and role, and the world they were made in."""

    def __init__(self, bound: Bound) -> None:
        assert isinstance(bound.world, ColumnWorld)
        self.bound, self.world = bound, bound.world
        self.found: list[Allocations] = []
        self.handed: list[tuple[int, Turns, Handed, list[Any]]] = []  # what was handed out as columns, from which turn on, until when
        for entity in bound.entities():
            self._entity(entity)

    @classmethod
    def of(
        cls, evaluator: Evaluator, tables: Mapping[str, Any], *, as_of: date | datetime | str, state: Mapping[str, Any] | None = None
    ) -> ColumnRun:
        """Decide every record. `tables` are Arrow tables, or raw records, by entity. Raises `Circle` (see there)."""
        return cls(Bound(evaluator, ColumnWorld(evaluator.compiled, tables, evaluator.clock(as_of)), state or {}))

    def state(self) -> dict[str, Any]:
        """What the next run needs; the row evaluator's, from columns."""
        for _, turns, handed, _ in self.handed:
            self.bound.assigned.update(turns.assignments(handed))
        return self.bound.saved(self._decided())

    def _decided(self) -> Iterator[tuple[Any, ...]]:
        """Every decision as the memory takes it."""
        reps = [None if x is None else str(x) for x in self.world.tables["rep"].ids.to_pylist()]
        for part in self.found:
            since = part.table.column(f"owner_since.{part.role}")
            days = [None] * part.table.n if since is None else since.values()
            ids, by = part.table.ids.to_pylist(), [given_by(kind) for kind in KINDS]
            rows = zip(ids, part.owner.tolist(), part.previous.tolist(), days, part.action.tolist(), strict=True)
            for record, owner, previous, day, action in rows:
                who, before = (reps[at] if at >= 0 else None for at in (owner, previous))
                yield part.entity, record, part.role, who, before, day, KINDS[action], by[action]

    def _entity(self, entity: str) -> None:
        table = self.world.tables[entity]
        roles = self.bound.roles(entity)
        parts = [Part(self.bound, table, role) for role in roles]
        self._turns(table, parts)
        done = [part.finish() for part in parts]
        for (e, name), step in self.bound.plan.steps.items():
            if e == entity and isinstance(step, Choose) and step.hit in EXCLUSIVE:
                table.column(name)
        for part in done:
            refer = part.action == _CODE["refer"]
            now = np.where(refer, part.previous, part.owner)
            table.set_owner(part.role, Refs("rep", now.astype(np.int32), self.world))
        self.found += done
        self.world.forget()

    def _turns(self, table: Table, parts: list[Part]) -> None:
        """The turns of all pools, in the order of the queue, and of the roles for one record."""
        if not any(len(rows) for part in parts for rows, _ in part.waiting):
            return
        turns = Turns(table, self.bound.pools, parts)
        if not turns.alike():
            for row, role, action in zip(turns.row.tolist(), turns.role.tolist(), turns.action.tolist(), strict=True):
                parts[role].turn(row, turns.actions[action][1])
            return
        start = self.bound.pools.n
        handed = turns.run()
        now = self.world.clock.now
        until = [self.bound.pools.due(self.bound.pools.pools[name], now) for name in turns.names]
        for i, (k, action) in enumerate(turns.actions):
            parts[k].handed(turns, handed, np.flatnonzero(turns.action == i), action, until)
        self.handed.append((start, turns, handed, until))

    def turn_lines(self) -> list[str]:
        """What pools did, as the run's records have it, in the order in which they did it."""
        bound = self.bound
        found = [(d.turn.n, turn_line(d.turn, bound.key(d))) for part in self.found for d in part.decisions.values() if d.turn is not None]
        columns = [(start, turns.lines(handed, start, until).to_pylist()) for start, turns, handed, until in self.handed]
        if not found:  # those that were handed out as columns are in order already
            return [line for _, lines in columns for line in lines]
        for start, lines in columns:
            found += enumerate(lines, start)
        return [line for _, line in sorted(found)]


class Part:
    """One role of one entity, while it is being decided."""

    def __init__(self, bound: Bound, table: Table, role: str) -> None:
        self.bound, self.table, self.role = bound, table, role
        assert isinstance(bound.world, ColumnWorld)
        self.world: ColumnWorld = bound.world
        n = table.n
        phase(f"deciding {n:,} {table.entity} records as {role}")
        chooser = bound.evaluator.compiled.engagement[table.entity, role]
        self.rules = chooser.step.rules
        owner = table.owner(role)
        self.previous = owner.at.astype(np.int64) if isinstance(owner, Refs) else np.full(n, -1, np.int64)
        self.owner = np.full(n, -1, np.int64)
        self.action = np.zeros(n, np.int8)
        self.until = np.full(n, -1, np.int64)
        self.untils: list[Any] = []
        self.pool = np.full(n, -1, np.int32)
        self.pools: list[str] = []
        self.why = np.full(n, -1, np.int64)
        self.whys: dict[str, int] = {}
        self.follows: pa.Array | None = None  # of each record, the one of its company whose rep it got, in words
        self.waiting: list[tuple[Array, Action]] = []
        self.decisions: dict[int, Decision] = {}
        self.territory = self._territory()
        self.window = self._window()
        fired = self.world.kernel(chooser).first(table.frame.eval, n)
        self.rule = fired.rule.astype(np.int64)
        self.unknown = fired.unknown
        self._exceptions(chooser)
        order = np.argsort(self.rule, kind="stable")
        cuts = np.searchsorted(self.rule[order], np.arange(len(self.rules) + 1))
        self.rows_of = {i: order[cuts[i] : cuts[i + 1]] for i in range(len(self.rules)) if cuts[i + 1] > cuts[i]}
        for i, rows in self.rows_of.items():
            self._act(rows, self.rules[i].value)

    def frame(self, rows: Array) -> Frame:
        """The role's records at some rows."""
        if len(rows) == self.table.n and (rows == np.arange(len(rows))).all():
            return self.table.frame
        records = Refs(self.table.entity, rows.astype(np.int32), self.world)
        return Frame(self.world, len(rows), {self.table.entity: records}, (records,))

    def _territory(self) -> Coded:
        if (self.table.entity, "territory") not in self.bound.plan.steps:
            return _texts(Constant("", self.table.n))
        column = self.table.column("territory")
        assert column is not None
        return _texts(lookup(lambda x: str(x["name"]) if isinstance(x, dict) and x.get("name") else "", [column]))

    def _window(self) -> Coded:
        """The first window of this role that is live, and its end; else the state of the first."""
        n = self.table.n
        owned = self.previous >= 0
        found: Coded | None = None
        decided = np.zeros(n, bool)
        for window in self.bound.plan.windows:
            if window.entity == self.table.entity and window.role == self.role:
                state = self.table.column(window.state)
                assert state is not None
                said = _texts(lookup(lambda x, name=window.name: f"{name}: {x}", [state]))
                now = np.array(lookup(lambda x: LIVE.index(x) if x in LIVE else -1, [state]).values(), np.int8)
                live = (now >= 0) & owned & ~decided
                for i in np.unique(now[live]):
                    rows = np.flatnonzero(live & (now == i))
                    until = self.table.column(window.end(LIVE[i]))
                    assert until is not None
                    self._until(rows, until.take(rows))
                decided |= live
                if found is None:
                    found = Coded(np.where(owned, said.codes, -1).astype(np.int32), said.meaning)
                else:
                    codes = np.where(live, said.codes + len(found.meaning), found.codes).astype(np.int32)
                    found = Coded(codes, Dictionary([*found.meaning.list, *said.meaning.list]))
        return found if found is not None else Coded(np.full(n, -1, np.int32), Dictionary([]))

    def _until(self, rows: Array, values: Column | Any) -> None:
        """Set the end of what was decided: a column, or one value for all."""
        if not isinstance(values, Column):
            self.until[rows] = -1 if values is None else self._number(values)
            return
        codes, meaning = values.encode()
        numbers = np.array([-1 if x is None else self._number(x) for x in meaning.list], np.int64)
        self.until[rows] = numbers[codes] if len(numbers) else -1

    def _number(self, value: Any) -> int:
        self.untils.append(value)
        return len(self.untils) - 1

    def _exceptions(self, chooser: Any) -> None:
        for (entity, record, role), approved in self.bound.exceptions.items():
            if entity == self.table.entity and role == self.role:
                row = self.world.find(entity, record)
                assert isinstance(row, TableRow)
                at = row.at
                for i in chooser(self.world.scope(row)).unknown:
                    self.unknown[i] -= 1
                rep = self.world.rep(approved.owner)
                self.rule[at], self.owner[at] = -2, -1 if rep is None else rep.at  # type: ignore[attr-defined]
                self.action[at] = _CODE["exception" if rep is not None else "unassigned"]
                self.until[at] = self._number(approved.until)

    # --- actions ----------------------------------------------------------------------------------------------------

    def _act(self, rows: Array, action: Action) -> None:
        world = self.world
        if action.kind == "route":
            self.waiting.append((rows, action))
            return
        if action.kind == "keep":
            owner = self.previous[rows]
            closed = self.table.column("is_open")  # what is closed stays as it is, whoever has it
            stays = np.array([x is False for x in closed.take(rows).values()], bool) if closed is not None else np.zeros(len(rows), bool)
            self._own(rows, "keep", np.where(stays, owner, world.receivers(owner, owner)))
            if action.within is not None:
                today, within = world.clock.today, action.within
                since = self.table.column("owner_since") or Constant(None, self.table.n)
                self._until(rows, lookup(lambda x: world.clock.add(x or today, within), [since.take(rows)]))
        elif action.kind == "assign" and action.assign is not None:
            assigned = self.assignee(rows, self.frame(rows).eval(action.assign.tree))
            self._own(rows, "assign", world.receivers(assigned, self.previous[rows]))
        elif action.kind == "refer":
            self._own(rows, "refer", self.previous[rows])
            self._until(rows, world.clock.add(world.clock.today, action.within) if action.within is not None else None)
        elif action.kind == "return":
            self._own(rows, "return", np.full(len(rows), -1))
        else:
            self._own(rows, action.kind, np.full(len(rows), -1) if action.kind == "open" else self.previous[rows])
        if action.kind in ("keep", "assign") and action.otherwise is not None:
            nobody = rows[self.owner[rows] < 0]
            rows = rows[self.owner[rows] >= 0]
            if len(nobody):
                self._act(nobody, action.otherwise)
        self._end(rows)
        if action.kind == "assign" and action.until is not None:
            rows = rows[self.owner[rows] >= 0]
            ends = self.frame(rows).eval(action.until.tree)
            known = ~ends.nulls()
            self._until(rows[known], ends.take(np.flatnonzero(known)))

    def _end(self, rows: Array) -> None:
        """What was protected for one rep is not for another."""
        gone = rows[(self.owner[rows] != self.previous[rows]) & (self.action[rows] != _CODE["refer"])]
        self.until[gone] = -1

    def _own(self, rows: Array, action: str, rep: Array) -> None:
        self.owner[rows] = rep
        some = (rep >= 0) | (action in _EVEN_NOBODY)
        self.action[rows] = np.where(some, _CODE[action], _CODE["unassigned"])

    def assignee(self, rows: Array, values: Column) -> Array:
        """The reps whom the values of an `assign` mean."""
        if isinstance(values, Owned):
            values = self.table.frame.field(values, self.role)
        if isinstance(values, Group):
            values = values.role(self.role)
        if isinstance(values, Refs):
            return values.at.astype(np.int64)
        if isinstance(values, Lists):
            return np.full(len(rows), -1)
        codes, meaning = values.encode()
        found = [self.world.assignee(x, self.role) for x in meaning.list]
        return np.array([-1 if rep is None else rep.at for rep in found], np.int64)[codes]  # type: ignore[attr-defined]

    def turn(self, at: int, action: Action) -> None:
        """One record through the row evaluator's allocation."""
        row = self.table.row(at)
        previous = self.world.rep_row(int(self.previous[at])) if self.previous[at] >= 0 else None
        d = self.decisions.get(at) or Decision(self.table.entity, str(row["id"]), row.label, self.role, "unassigned", row=row)
        d.previous = None if previous is None else previous["id"]
        d.window = self.window.meaning.list[self.window.codes[at]] if self.window.codes[at] >= 0 else ""
        d.until = self.untils[self.until[at]] if self.until[at] >= 0 else None
        self.bound._act(d, action)
        self.decisions[at] = d
        owner = self.world.rep(d.owner)
        self.owner[at] = -1 if owner is None else owner.at  # type: ignore[attr-defined]
        self.action[at] = _CODE[d.action]
        self.until[at] = -1 if d.until is None else self._number(d.until)
        if d.pool:
            self.pool[at] = self._pool(d.pool)
        if d.turn is not None and d.turn.why:
            self.why[at] = self.whys.setdefault(d.turn.why, len(self.whys))

    def _pool(self, name: str) -> int:
        if name not in self.pools:
            self.pools.append(name)
        return self.pools.index(name)

    def handed(self, turns: Turns, handed: Handed, places: Array, action: Action, until: list[Any]) -> None:
        """Take over what became of the records at some places of a queue."""
        rows = turns.row[places]
        self._own(rows, "route", handed.rep[places])
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
        nobody = rows[handed.rep[places] < 0]
        if action.otherwise is not None and len(nobody):
            self._act(nobody, action.otherwise)
            if action.otherwise.kind == "refer":
                self.pool[nobody] = -1
        self._end(rows)
        due = until[turns.names.index(action.pool)]
        if due is not None:
            self.until[rows[handed.rep[places] >= 0]] = self._number(due)

    # --- sentences --------------------------------------------------------------------------------------------------

    def finish(self) -> Allocations:
        return Allocations(
            self.table, self.role, self.rules, self.rule, self.action, self.owner, self.previous, self.until, self.untils,
            self.territory, self.window, self.pool, self.pools, self._reasons(), self.unknown, self.decisions,
        )  # fmt: skip

    def _reasons(self) -> pa.Array:
        phase(f"wording the reasons of {self.table.n:,} {self.table.entity} records")
        pieces: list[pa.Array] = []
        places: list[Array] = []
        plain = []
        for i, rows in self.rows_of.items():
            for sentence, some in self._sentences(self.rules[i], rows):
                if sentence:
                    places.append(some)
                    pieces.append(self._sentence(sentence, some))
                else:
                    plain.append(some)
        if plain:
            rows = np.concatenate(plain)
            places.append(rows)
            pieces.append(self._plain(rows))
        nobody = np.flatnonzero(self.rule == -1)
        if len(nobody):
            places.append(nobody)
            pieces.append(_same(f"no {self.role} rule holds for this {self.table.entity}", len(nobody)))
        for at in np.flatnonzero(self.rule == -2).tolist():
            approved = self.bound.exceptions[self.table.entity, self.table.ids[at].as_py(), self.role]
            places.append(np.array([at]))
            pieces.append(pa.array([f"exception approved by {approved.approved_by}: {approved.reason}"]))
        if not pieces:
            return pa.array([], pa.string())
        where = np.concatenate(places)
        back = np.empty(self.table.n, np.int64)
        back[where] = np.arange(len(where))
        if len(pieces) == 1 and (back == np.arange(len(back))).all():
            return pieces[0]
        return pa.concat_arrays(pieces).take(pa.array(back))

    def _sentences(self, rule: Rule, rows: Array) -> Iterator[tuple[str, Array]]:
        """The sentence for the records that a person must decide on, and for the others of a rule; empty where it has none."""
        refers = self.action[rows] == _CODE["refer"]
        if refers.any():
            yield referred(rule), rows[refers]
        if not refers.all():
            yield rule.because or "", rows[~refers]

    def _sentence(self, template: str, rows: Array) -> pa.Array:
        frame = self.frame(rows)
        parts: list[Any] = []
        for piece, tree in self.bound.evaluator.compiled.pieces(template):
            parts.append(_say(frame.eval(tree), self.world) if tree is not None else pa.scalar(piece))
        if all(isinstance(p, pa.Scalar) for p in parts):
            return _same(template, len(rows))
        return pc.binary_join_element_wise(*parts, "")

    def _plain(self, rows: Array) -> pa.Array:
        """The sentences of rules without one: one for each rule, action and owner."""
        reps = self.world.tables["rep"]
        owners = np.where(self.owner[rows] < 0, reps.n, self.owner[rows])
        key = (self.rule[rows] * len(KINDS) + self.action[rows]) * (reps.n + 1) + owners
        key = key * (len(self.pools) + 1) + self.pool[rows] + 1
        key = key * (len(self.whys) + 1) + self.why[rows] + 1
        whys = ["", *self.whys]
        followed = None if self.follows is None else self.follows.take(pa.array(rows))
        behind = np.zeros(len(rows), np.int64) if followed is None else followed.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
        key = key * 2 + behind
        unique, codes = np.unique(key, return_inverse=True)
        said = []
        for_claims = " for claims" if claimable(self.bound.policy, self.table.entity, self.role) else ""
        for k in unique.tolist():
            k, follows = divmod(k, 2)
            k, why = divmod(k, len(self.whys) + 1)
            k, pool = divmod(k, len(self.pools) + 1)
            k, owner = divmod(k, reps.n + 1)
            number, action = divmod(k, len(KINDS))
            rule = self.rules[number]
            who = reps.row(owner).label if owner < reps.n else "nobody"
            if KINDS[action] == "route":
                said.append(routed(who, self.pools[pool - 1], str(rule.name), "\0" if follows else whys[why]))
            else:
                said.append(_SAYS[KINDS[action]].format(who=who, rule=rule.name, for_claims=for_claims))
        made = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(said)).dictionary_decode()
        if followed is None or not behind.any():
            return made
        some = pa.array(behind == 1)
        whole = pc.binary_join_element_wise(pc.replace_substring(made.filter(some), "\0", ""), followed.filter(some), "")
        return pc.replace_with_mask(made, some, whole)


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

    def say(x: Any) -> str:
        return "(unknown)" if x is None else x.label if isinstance(x, Row) else v.readable(x, world.clock.now.tzinfo)

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array([say(x) for x in meaning.list])).dictionary_decode()
