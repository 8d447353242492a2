"""The world of a run in columns: what `roe.evaluator.world` is, with tables of columns behind the rows.

A `Table` computes a step's column when it is first asked for, as a `Row` computes a value. A row of a table is a `Row`
whose fields are read from the columns, so that whatever the columns cannot express is left to the row evaluator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import ByRow, Coded, Column, Constant, Dictionary, Later, Lists, Refs, from_values, opaque
from roe.columns.kernel import ColumnIndex
from roe.columns.load import Raw, TypedColumns, typed_columns
from roe.columns.relate import match_columns
from roe.columns.vector import Frame, join
from roe.crm.ids import fold
from roe.data.coerce import WRITTEN
from roe.data.reading import Reading
from roe.dynamic import Array
from roe.evaluator.able import day_of, staffed
from roe.evaluator.choose import HIT_POLICIES, Chooser
from roe.evaluator.compiled import Compiled
from roe.evaluator.fields import key_of, maker_of, walk
from roe.evaluator.frozen import frozen_value
from roe.evaluator.row import UNKNOWN_REP, Circle, Owners, Row
from roe.evaluator.world import World
from roe.grammar.clock import Clock
from roe.grammar.values import parse_date
from roe.plan.index import Hits
from roe.plan.operators import Choose, Derive, Expr, Fill, Relate, Settle, Walk
from roe.progress import phase

if TYPE_CHECKING:
    from roe.columns.memory import ColumnMemory
    from roe.evaluator.memory import Facts, Memory

DEEP = 64  # steps of a walk that are made for all records at once


class TableRow(Row):
    """A row of a table: its fields are read from the columns when they are asked for."""

    __slots__ = ("at",)
    at: int

    def __init__(self, entity: str, world: World, at: int) -> None:
        super().__init__(entity, world, {})
        self.at = at

    def __bool__(self) -> bool:  # a dict that nobody has read from is empty, and a record all the same
        return True

    @property
    def label(self) -> str:
        return str(self["name"] or self["id"])

    def is_filled(self, step: Fill) -> bool:
        table = self.world.tables[self.entity]  # type: ignore[attr-defined]
        entity = self.world.policy.model.entities[self.entity][step.name].type.entity
        return bool(table.reference(step.name, entity).at[self.at] < 0)

    def stored(self) -> Iterable[tuple[str, Any]]:
        return self.world.tables[self.entity].stored_at(self.at)  # type: ignore[attr-defined, no-any-return]

    @property
    def written(self) -> str:
        return self.world.tables[self.entity].written(self.at)  # type: ignore[attr-defined, no-any-return]


class Table:
    """One entity's records."""

    def __init__(self, entity: str, world: ColumnWorld, typed: TypedColumns) -> None:
        self.entity, self.world, self.typed = entity, world, typed
        self.n, self.listed = typed.n, typed.n  # with strangers, and without
        self.strangers: list[str] = []
        self.stranger_names: list[str] = []  # as the data writes them
        self.stored = typed.columns
        self.data_since: Column | None = None  # `owner_since` of the data, once the field says what is known of the first role
        self.decided: dict[str, Column] = {}  # what a run says of the owners that it gave, in place of what is stored
        self.derived: dict[str, Column | None] = {}
        self.busy: set[str] = set()
        self._frame: Frame | None = None
        self._rows: dict[int, TableRow] = {}
        self._owners: dict[str, Column] = {}

    @property
    def frame(self) -> Frame:
        """What expressions about each of the records see."""
        if self._frame is None:
            everyone = Refs(self.entity, np.arange(self.n, dtype=np.int32), self.world, every=True)
            self._frame = Frame(self.world, self.n, {self.entity: everyone}, (everyone,))
        return self._frame

    @property
    def ids(self) -> pa.Array:
        ids = self.typed.ids
        return pa.concat_arrays([ids.cast(pa.string()), pa.array(self.strangers, pa.string())]) if self.strangers else ids

    def written(self, at: int) -> str:
        """A record's id as the data has it."""
        column = self.stored.get(WRITTEN)
        if at >= self.listed:
            return self.stranger_names[at - self.listed]
        found = self.world.listed(self.entity, WRITTEN, column)[at] if column is not None else None
        return str(self.row(at)["id"] if found is None else found)

    @property
    def written_ids(self) -> pa.Array:
        """The ids of all records as the data has them."""
        column = self.stored.get(WRITTEN)
        ids = column.arrow() if isinstance(column, Coded) else self.typed.ids
        return pa.concat_arrays([ids.cast(pa.string()), pa.array(self.stranger_names, pa.string())]) if self.strangers else ids

    def given(self, name: str) -> Column:
        """A stored column. Of a stranger only the name is known, and that a rep who is not listed is not active."""
        column = self.stored.get(name)
        if isinstance(column, Later):
            column = self.stored[name] = column.make()
        known = column.n if column is not None else self.listed
        if known < self.n and (column is not None or name in ("id", "name", "active")):
            new = self.strangers[known - self.listed :]
            named = self.stranger_names[known - self.listed :]
            values = (
                list(new)
                if name == "id"
                else list(named)
                if name == "name"
                else [not self.listed] * len(new)
                if name == "active"
                else [None] * len(new)
            )
            column = self.stored[name] = join(column or Constant(None, known), from_values(values), self.world)
        return column if column is not None else Constant(None, self.n)

    def stored_at(self, at: int) -> Iterator[tuple[str, Any]]:
        """The stored fields of a record but for its references."""
        fields = self.world.policy.model.entities[self.entity]
        for name in list(self.stored):
            column = self.given(name)
            if (f := fields.get(name)) is None or f.type.name != "record":
                yield name, column.value if isinstance(column, Constant) else self.world.listed(self.entity, f"\0{name}", column)[at]

    def row(self, at: int) -> TableRow:
        found = self._rows.get(at)
        if found is None:
            found = self._rows[at] = TableRow(self.entity, self.world, at)
        return found

    def forget(self) -> None:
        """Drop what was computed, since something it rests on has changed."""
        self.derived.clear()
        self._frame = None
        for row in self._rows.values():
            row.clear()

    def column(self, name: str) -> Column | None:
        """A field's column; None if there is no such field."""
        if name in self.derived:
            return self.derived[name]
        if name in self.busy:
            raise Circle(f"{self.entity}.{name}")
        self.busy.add(name)
        try:
            found = self.derived[name] = self._make(name)
        finally:
            self.busy.discard(name)
        return found

    def _make(self, name: str) -> Column | None:
        step = self.world.compiled.steps.get((self.entity, name))
        if step is not None:
            phase(f"computing {name} of {self.n:,} {self.entity} records")
            found = self._step(step)
            if self.entity == "rep" and name in UNKNOWN_REP and self.listed < self.n:
                return from_values([x or i >= self.listed for i, x in enumerate(found.values())])
            return found
        in_time = self.world.in_time.get((self.entity, name))
        if in_time is not None:
            return opaque([in_time(self.row(i)) for i in range(self.n)])
        makers = self.world.fields[self.entity]
        f = self.world.policy.model.entities[self.entity].get(name)
        if name == "local_day" and self.entity == "rep":
            return from_values([day_of(self.row(i)) for i in range(self.n)])
        if f is None:
            return self.given(name) if name in makers or name in self.stored else None
        if f.via and f.type.item:
            return self._same_key(f.type.item.entity, f.via, f.key) if f.key else self._back(f.type.item.entity, f.via)
        if name in self.decided:
            return self.decided[name]
        base, _, role = name.partition(".")
        if role and name not in self.stored:
            return self._of_role(base, role)
        if f.type.name == "record":
            return self.reference(name, f.type.entity)
        return self.given(name)

    def _of_role(self, name: str, role: str) -> Column | None:
        """What the data says of an owner in a role, where it says it of the record alone."""
        if name in ("owner_since", "owner_from"):
            if name == "owner_since" and self.data_since is not None:
                return self.data_since
            return self.column("owner_since" if name == "owner_since" else f"owner_since.{role}")
        first = name == "former_owner" and role == self.world.policy.roles[0]
        if name == "former_owner":
            return self.column(name) if first else Refs("rep", np.full(self.n, -1, np.int32), self.world)
        return Constant(None, self.n)

    def _settled(self, step: Settle) -> Column:
        """What became of claims, or which claim is live."""
        if step.gives:
            return from_values([self.world.settled.given(self.row(i), step.gives) for i in range(self.n)], self.world)
        at, entity = np.full(self.n, -1, np.int32), ""
        live: dict[str, Any] = self.world.settled.live
        for record, outcome in live.items():
            at[self.world.finder(self.entity).one(record)] = outcome.claim.at
            entity = outcome.claim.entity
        return Refs(entity, at, self.world) if entity else Constant(None, self.n)

    def _filled(self, step: Fill) -> Column:
        """A reference, and where the data has none, what another step gives."""
        entity = self.world.policy.model.entities[self.entity][step.name].type.entity
        linked, found = self.reference(step.name, entity), self.column(step.source)
        assert isinstance(found, Refs)
        return Refs(entity, np.where(linked.at >= 0, linked.at, found.at), self.world)

    def reference(self, name: str, entity: str) -> Refs:
        found = self.world.references.get((self.entity, name))
        if found is not None and found.n < self.n:
            found = None
        if found is None:
            found = self.world.references[self.entity, name] = self.world.refer(self.given(name), entity, self.n, (self.entity, name))
        return found

    def owner(self, role: str) -> Column | None:
        """The rep who owns each record in a role."""
        if role not in self.world.policy.roles:
            return None
        found = self._owners.get(role)
        if found is None or found.n < self.n:
            found = self._owners[role] = self.world.refer(self.given(f"owner.{role}"), "rep", self.n, None)
        return found

    def set_owner(self, role: str, owner: Refs) -> None:
        self._owners[role] = owner

    def _back(self, entity: str, via: str) -> Column:
        """The records of another entity that refer to each of these."""
        other = self.world.tables[entity]
        target = other.column(via)
        if not isinstance(target, Refs):
            return Lists(np.zeros(0, np.int64), Refs(entity, np.zeros(0, np.int32), self.world), self.n)
        kept = np.flatnonzero(target.at >= 0)
        order = np.argsort(target.at[kept], kind="stable")
        items = kept[order].astype(np.int32)
        return Lists(target.at[items].astype(np.int64), Refs(entity, items, self.world), self.n)

    def _same_key(self, entity: str, via: str, key: str) -> Column:
        """The records of an entity whose `via` is equal to the `key` of each of these."""
        other = self.world.tables[entity]
        theirs, mine = other.column(via), self.column(key)
        by_key: dict[Any, list[int]] = {}
        if theirs is not None:
            codes, meaning = theirs.take(np.arange(other.listed)).encode()
            keys = [key_of(x) for x in meaning.list]
            order = np.argsort(codes, kind="stable")
            for part in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else ():
                found = keys[codes[part[0]]]
                if found is not None:  # two codes may mean one value
                    by_key[found] = sorted([*by_key[found], *part.tolist()]) if found in by_key else part.tolist()
        if mine is None or not by_key:
            return Lists(np.zeros(0, np.int64), Refs(entity, np.zeros(0, np.int32), self.world), self.n)
        codes, meaning = mine.encode()
        lists = [by_key.get(key_of(x), []) for x in meaning.list]
        counts = np.array([len(x) for x in lists], np.int64)
        begin = np.cumsum(counts) - counts
        flat = np.array([i for x in lists for i in x], np.int32)
        rows = np.repeat(np.arange(self.n), counts[codes])
        first = np.cumsum(counts[codes]) - counts[codes]
        items = flat[np.repeat(begin[codes], counts[codes]) + np.arange(len(rows)) - np.repeat(first, counts[codes])]
        return Lists(rows, Refs(entity, items, self.world), self.n)

    def _walked(self, step: Walk) -> Column:
        """The records that a reference leads to one after the other, the nearest first; a circle ends where it closes."""
        after = self.column(step.along)
        assert isinstance(after, Refs)
        up = after.at.astype(np.int64)
        if step.last:
            return Refs(after.entity, self._last(up, step.along).astype(np.int32), self.world)
        rows, at = np.arange(self.n), up
        levels: list[tuple[Array, Array]] = []
        while len(rows) and len(levels) < DEEP:
            there = at >= 0
            rows, at = rows[there], at[there]
            levels.append((rows, at))
            at = up[at]
        endless = np.unique(rows)  # very deep, or a circle: one by one
        deep = {int(i): [x.at for x in walk(self.row(int(i)), step.along)] for i in endless}  # type: ignore[attr-defined]
        rows = np.concatenate([*(r[~np.isin(r, endless)] for r, _ in levels), *(np.full(len(x), i) for i, x in deep.items())])
        at = np.concatenate([*(a[~np.isin(r, endless)] for r, a in levels), *(np.array(x, np.int64) for x in deep.values())])
        order = np.argsort(rows, kind="stable")
        return Lists(rows[order].astype(np.int64), Refs(after.entity, at[order].astype(np.int32), self.world), self.n)

    def _last(self, up: Array, along: str) -> Array:
        """The last record of each walk, itself where it leads nowhere; `up` is where each leads next, -1 for nowhere."""
        at = np.arange(self.n)
        for _ in range(DEEP):
            above = up[at]
            if (above < 0).all():
                return at
            at = np.where(above < 0, at, above)
        for i in np.flatnonzero(up[at] >= 0).tolist():  # very deep, or a circle
            at[i] = ([x.at for x in walk(self.row(i), along)] or [i])[-1]  # type: ignore[attr-defined]
        return at

    # --- steps ------------------------------------------------------------------------------------------------------

    def _step(self, step: Any) -> Column:
        try:
            return self._columns_of(step)
        except ByRow:
            make = maker_of(step, self.world.compiled)
            if isinstance(step, Relate):
                found: list[Any] = [make(self.row(i)) for i in range(self.n)]
                return Refs(step.target, np.array([-1 if x is None else x.at for x in found], np.int32), self.world)
            return from_values([make(self.row(i)) for i in range(self.n)], self.world)

    def _columns_of(self, step: Any) -> Column:
        if isinstance(step, Derive):
            if step.group is not None:
                return Group(self, step, np.arange(self.n, dtype=np.int32))
            if step.among is not None:
                places = self.world.ranked(step)
                return from_values([places.get(x) for x in self.ids.to_pylist()], self.world)
            assert step.expr is not None
            now = self.frame.eval(step.expr.tree)
            return now if step.frozen is None else self._frozen(step, now)
        if isinstance(step, Choose):
            chooser = self.world.compiled.choosers[step.entity, step.name]
            return self.choose(step, chooser)
        if isinstance(step, Walk):
            return self._walked(step)
        if isinstance(step, Fill):
            return self._filled(step)
        if isinstance(step, Settle):
            return self._settled(step)
        assert isinstance(step, Relate)
        return match_columns(step, self)

    def _frozen(self, step: Derive, now: Column) -> Column:
        """The values that the records had when the period began; those that are new in it have today's."""
        if not self.world.frozen:
            return now
        values = now.values()
        ids = self.ids.to_pylist()
        found = [frozen_value(self.world, step, ids[i], lambda i=i: values[i]) for i in range(len(ids))]  # type: ignore[misc]
        return from_values(found, self.world)

    def choose(self, step: Choose, chooser: Chooser) -> Column:
        index = self.world.kernel(chooser)
        values = [rule.value for rule in step.rules]
        if step.hit == "first":
            fired = index.first(self.frame.eval, self.n)
            return from_values([*values, step.default]).take(np.where(fired.rule < 0, len(values), fired.rule))
        held = index.all(self.frame.eval, self.n)
        decide = HIT_POLICIES[step.hit]
        results = []
        for number, (true, unknown) in enumerate(held.groups):
            choice = decide(_Decided(chooser, Hits(true, unknown)), {})  # type: ignore[arg-type]
            results.append(choice.value)
            if choice.conflict:
                names = ", ".join(str(step.rules[i].name) for i in choice.fired)
                rows = np.flatnonzero(held.group == number)
                self.world.conflicts.setdefault((step.entity, step.name, names), []).extend(self.ids.take(pa.array(rows)).to_pylist())
        return from_values(results).take(held.group)


class _Decided:
    """A chooser whose index has already answered."""

    def __init__(self, chooser: Chooser, hits: Hits) -> None:
        self.step, self.value, self.none = chooser.step, chooser.value, chooser.none
        self._hits = hits

    def all(self, scope: Any) -> Hits:
        return self._hits


class Group(Column):
    """A step that reads other steps as one record of owners."""

    def __init__(self, table: Table, step: Derive, at: Array) -> None:
        self.table, self.step, self.at = table, step, at
        self.group = step.group or {}

    @property
    def n(self) -> int:  # type: ignore[override]
        return len(self.at)

    def role(self, role: str) -> Column:
        name = self.group.get(role)
        if name is None:
            return Constant(None, self.n)
        world = self.table.world
        key = (self.table.entity, f"{name}\0rep")
        found = world.references.get(key)
        if found is None:
            texts = self.table.column(name)
            named = world.refer(texts, "rep", self.table.n, None)
            owner = self.table.owner(role)
            holder = owner.at if isinstance(owner, Refs) else np.full(self.table.n, -1, np.int32)
            n = world.tables["rep"].n + 1
            pairs, codes = np.unique((named.at.astype(np.int64) + 1) * n + holder + 1, return_inverse=True)
            rows = [[world.rep_row(i - 1) if i else None for i in divmod(pair, n)] for pair in pairs.tolist()]
            reps: list[Any] = [staffed(world, self.step, role, *pair) for pair in rows]
            stand_in = np.array([-1 if rep is None else rep.at for rep in reps], np.int32)
            found = Refs("rep", stand_in[codes] if len(reps) else named.at, world)
            world.references[key] = found
        return found.take(self.at)

    def take(self, at: Array) -> Column:
        if (at < 0).any():
            raise ByRow
        return Group(self.table, self.step, self.at[at])

    def values(self) -> list[Any]:
        roles = {role: self.role(role).values() for role in self.group}
        return [Owners({role: roles[role][i] for role in roles}) for i in range(self.n)]

    def encode(self) -> tuple[Array, Dictionary]:
        return np.arange(self.n), Dictionary(self.values())

    def nulls(self) -> Array:
        return np.zeros(self.n, bool)


class ColumnWorld(World):
    """The records of a run as columns. Everything that a `World` answers, it answers."""

    def __init__(self, compiled: Compiled, raw: Mapping[str, Any], clock: Clock) -> None:
        super().__init__(compiled, {}, clock)
        self.tables: dict[str, Table] = {}
        self.references: dict[tuple[str, str], Refs] = {}
        self._finders: dict[str, _Finder] = {}
        self._may: dict[str, Array] = {}
        self.columns_memory: ColumnMemory  # as soon as a policy is bound to the records
        self.columns_of: dict[str, TypedColumns] = {}
        reads = {entity: typed_columns(self.policy, entity, given) for entity in self.rows if (given := _raw(raw.get(entity))) is not None}
        for entity in self.rows:
            typed = reads.get(entity) or typed_columns(self.policy, entity, Raw({}, 0))
            self.columns_of[entity] = typed
            self.rejects += typed.rejects
            self.tables[entity] = Table(entity, self, typed)
        self.fields = {entity: {name: self._reader(entity, name) for name in self.fields[entity]} for entity in self.fields}
        for entity in self.fields:  # the marks and columns that a row may be asked for besides its fields
            for name in ("id", "name"):
                self.fields[entity].setdefault(name, self._reader(entity, name))
            for role in self.policy.roles:
                self.fields[entity].setdefault(f"owner.{role}", self._reader(entity, f"owner.{role}"))
        self.rows["rep"] = [self.tables["rep"].row(i) for i in range(self.tables["rep"].n)]

    @property
    def readings(self) -> dict[str, Reading]:
        return {entity: typed.reading for entity, typed in self.columns_of.items()}

    def take(self, entity: str, typed: Sequence[dict[str, Any]]) -> None:
        before = self.columns_of.get(entity)
        known = set() if before is None else set(before.ids.to_pylist())
        new = [x for x in typed if x["id"] not in known]
        if before is None or not new:
            return
        ids = [*before.ids.to_pylist(), *(x["id"] for x in new)]
        order = sorted(range(len(ids)), key=ids.__getitem__)
        columns = {}
        for name in dict.fromkeys((*before.columns, *(name for x in new for name in x if name != "$line"))):
            stored = before.columns.get(name, Constant(None, before.n)).values()
            values = [*stored, *(x.get(name) for x in new)]
            columns[name] = from_values([values[i] for i in order])
        lines = np.append(before.lines, np.zeros(len(new), np.int64))[order]
        own = replace(before, n=len(ids), columns=columns, ids=pa.array([ids[i] for i in order], pa.string()), lines=lines)
        self.columns_of[entity], self.tables[entity] = own, Table(entity, self, own)

    def _reader(self, entity: str, name: str) -> Callable[[Row], Any]:
        if name == "owner":
            return lambda row: Owners({role: self._owner(row, role) for role in self.policy.roles})

        def read(row: Row) -> Any:
            column = self.tables[entity].column(name)
            if column is None:
                return None
            assert isinstance(row, TableRow)
            if isinstance(column, Constant):
                return column.value
            return self.listed(entity, name, column)[row.at]

        return read

    def listed(self, entity: str, name: str, column: Column) -> Any:
        """A column's values for reading one at a time; made once while the column stands."""
        cache = self.__dict__.setdefault("_listed", {})
        found = cache.get((entity, name))
        if found is None or found[0] is not column:
            found = cache[entity, name] = (column, _OneByOne(column))
        return found[1]

    def _owner(self, row: Row, role: str) -> Row | None:
        assert isinstance(row, TableRow)
        owner = self.tables[row.entity].owner(role)
        assert isinstance(owner, Refs)
        at = int(owner.at[row.at])
        return None if at < 0 else self.rep_row(at)

    def rep_row(self, at: int) -> Row:
        return self.tables["rep"].row(at)

    def may(self, what: str) -> Array:
        """Whether each rep is `able`, or `may_hold` records."""
        n = self.tables["rep"].n  # strangers may have come since
        known = self._may.get(what, np.zeros(0, bool))
        if len(known) < n:
            column = self.tables["rep"].column(what)
            assert column is not None
            known = self._may[what] = np.array([x is True for x in column.values()], bool)
        return known

    def receivers(self, rep: Array, holder: Array) -> Array:
        """The reps, by row, of those who are able to have a record, or who have it and may hold it; -1 for the others."""
        able, may_hold = np.append(self.may("able"), False), np.append(self.may("may_hold"), False)
        return np.where(np.where(rep == holder, may_hold[rep], able[rep]), rep, -1)

    def kernel(self, chooser: Chooser) -> ColumnIndex:
        found = self.compiled.kernels.get(id(chooser))
        if found is None:
            found = self.compiled.kernels[id(chooser)] = ColumnIndex(chooser.index)
        return found

    # --- references -------------------------------------------------------------------------------------------------

    def refer(self, texts: Column | None, entity: str, n: int, told: tuple[str, str] | None) -> Refs:
        """Texts as the records that they mean; those that mean none are counted under `told`. A rep is never missing."""
        if texts is None or (isinstance(texts, Constant) and texts.value is None):
            return Refs(entity, np.full(n, -1, np.int32), self)
        if isinstance(texts, Refs):
            return texts
        codes, meaning = texts.encode() if not isinstance(texts, Coded) else (texts.codes, texts.meaning)
        finder = self.finder(entity)
        if entity == "rep":
            items = meaning.list
            found = np.array([-1 if x is None or x == "" else finder.rep(x) for x in items], np.int32)
        else:
            found = finder.find(meaning)
        at = np.append(found, np.int32(-1))[codes]
        if told is not None:
            lost = np.flatnonzero(np.append(found < 0, False)[codes] & (codes >= 0))
            if len(lost):
                counts = np.bincount(codes[lost], minlength=len(meaning))
                for code in np.flatnonzero(counts).tolist():
                    value = meaning.list[code]
                    if value is not None:
                        where = (*told, value)
                        self.dangling[where] = self.dangling.get(where, 0) + int(counts[code])
        return Refs(entity, at.astype(np.int32), self)

    def spelling(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for table in self.tables.values():
            column = table.stored.get(WRITTEN)
            if column is not None:
                pairs = zip(table.typed.ids.to_pylist(), column.values(), strict=False)
                found |= {short: long for short, long in pairs if long is not None and long != short}
            found |= {short: long for short, long in zip(table.strangers, table.stranger_names, strict=True) if long != short}
        return found

    def finder(self, entity: str) -> _Finder:
        found = self._finders.get(entity)
        if found is None:
            found = self._finders[entity] = _Finder(self.tables[entity])
        return found

    def all(self, entity: str) -> Sequence[Row]:
        table = self.tables[entity]
        return [table.row(i) for i in range(table.listed)]

    def find(self, entity: str, key: str) -> Row | None:
        at = self.finder(entity).one(str(key))
        return None if at < 0 else self.tables[entity].row(at)

    def search(self, entity: str, text: str, partly: bool = False) -> list[Row]:
        exact = self.find(entity, text)
        if exact is not None:
            return [exact]
        table, wanted = self.tables[entity], text.lower()
        rows: dict[int, None] = {}
        for name in ("name", "email", "domain"):
            column = table.stored.get(name)
            if isinstance(column, Coded):
                lowered = pc.utf8_lower(column.arrow())
                held = pc.match_substring(lowered, wanted) if partly else pc.equal(lowered, wanted)
                rows |= dict.fromkeys(np.flatnonzero(pc.fill_null(held, False).to_numpy(zero_copy_only=False)).tolist())
        return [table.row(i) for i in sorted(rows) if i < table.listed]

    def rep(self, key: Any) -> Row | None:
        if key is None or key == "":
            return None
        if isinstance(key, Row):
            return key
        return self.rep_row(self.finder("rep").rep(str(key)))

    def is_stranger(self, rep: Row) -> bool:
        assert isinstance(rep, TableRow)
        return rep.at >= self.tables["rep"].listed

    def stranger(self, key: str) -> int:
        """A rep whom the data does not list: a new row of the table, known by name alone, not active."""
        table = self.tables["rep"]
        table.strangers.append(fold(key))
        table.stranger_names.append(key)
        table.n += 1
        table.derived.clear()
        table._frame = None
        return table.n - 1

    def resolve_all(self) -> None:
        for table in self.tables.values():
            for name, f in self.policy.model.entities[table.entity].items():
                if f.type.name == "record" and not f.via and name in table.stored:
                    table.reference(name, f.type.entity)

    def _column_of(self, entity: str, name: str) -> str | None:
        return self.columns_of[entity].names.get(name)

    def values(self, entity: str, name: str) -> list[Any]:
        table = self.tables[entity]
        found = table.column(name)
        return [None] * table.listed if found is None else found.values()[: table.listed]

    def evaluated(self, entity: str, expr: Expr) -> list[Any]:
        return self.tables[entity].frame.eval(expr.tree).values()

    def owner_ids(self, entity: str, role: str) -> list[str | None]:
        owner = self.tables[entity].owner(role)
        if not isinstance(owner, Refs):
            return [None] * self.tables[entity].n
        ids = self.tables["rep"].ids.to_pylist()
        return [None if at < 0 else str(ids[at]) for at in owner.at.tolist()]

    def recall(self, name: str, found: Mapping[str, Any]) -> None:
        table = self.tables["account"]
        kind = self.policy.model.entities["account"][name].type
        values = table.stored.get(name, Constant(None, table.n)).values()
        for at, account in enumerate(table.ids.to_pylist()):
            value = found.get(account)
            if value is not None and values[at] is None:
                values[at] = parse_date(value) if kind.name == "date" else value
        table.stored[name] = from_values(values)
        self.references.pop(("account", name), None)

    def remember(self, state: Mapping[str, Any]) -> Memory:
        from roe.columns.memory import ColumnMemory

        self.columns_memory = ColumnMemory(self, state)
        return self.columns_memory

    def know_rows(self, entity: str, role: str, rows: Mapping[int, Facts]) -> None:
        """What is known of the owners of some rows once the run has decided them."""
        from roe.columns.memory import KNOWN

        table = self.tables[entity]
        first = role == self.first_role(entity)
        if first and table.data_since is None:
            table.data_since = table.given("owner_since")
        for name, read in KNOWN.items():
            for full in (name, f"{name}.{role}") if first and name in ("owner_since", "former_owner") else (f"{name}.{role}",):
                column = table.column(full)
                now = [None] * table.n if column is None else [x["id"] if isinstance(x, Row) else x for x in column.values()]
                for i, found in rows.items():
                    now[i] = read(found)
                decided = from_values(now)
                table.decided[full] = self.refer(decided, "rep", table.n, None) if name == "former_owner" else decided

    def open_records(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        reps = self.tables["rep"]
        for entity in ("lead", "account"):
            table = self.tables[entity]
            flags = table.column("is_open") if entity == "lead" else None
            open_ = np.array([x is not False for x in flags.values()], bool) if flags is not None else np.ones(table.n, bool)
            pairs = []
            for role in self.policy.roles:
                owner = table.owner(role)
                if isinstance(owner, Refs):
                    rows = np.flatnonzero((owner.at >= 0) & open_)
                    pairs.append(rows * reps.n + owner.at[rows])
            if pairs:  # a rep counts once for a record, whatever the roles
                counts = np.bincount(np.unique(np.concatenate(pairs)) % max(reps.n, 1), minlength=reps.n)
                for i in np.flatnonzero(counts).tolist():
                    found[entity, str(reps.row(i)["id"])] = int(counts[i])
        return found

    def forget(self) -> None:
        self._ranks = {}
        self.touched.clear()
        for table in self.tables.values():
            table.forget()
        self.references = {k: r for k, r in self.references.items() if "\0" not in k[1]}
        self.__dict__.pop("_listed", None)
        self.rows["rep"] = [self.tables["rep"].row(i) for i in range(self.tables["rep"].listed)]


def _raw(given: Any) -> Raw | None:
    if given is None or isinstance(given, Raw):
        return given
    if isinstance(given, pa.Table):
        return Raw.of_table(given)
    return Raw.of_rows(given)


class _OneByOne:
    """A column that is read here and there."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.block: dict[int, list[Any]] = {}

    def __getitem__(self, at: int) -> Any:
        start = at >> 6
        found = self.block.get(start)
        if found is None:
            rows = np.arange(start << 6, min(self.column.n, (start + 1) << 6))
            found = self.block[start] = self.column.take(rows).values()
        return found[at & 63]


class _Finder:
    """Records by id, in the short or the long form, or by a name that only one has."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.strangers: dict[str, int] = {}
        self._ids: dict[str, int] | None = None
        self._names: dict[str, list[int]] | None = None
        self._known: dict[str, int] = {}

    def find(self, meaning: Dictionary) -> Array:
        """The row of every text of a dictionary; -1 where there is none."""
        items = meaning.items
        texts = items if isinstance(items, pa.Array) else pa.array([None if x is None else str(x) for x in meaning.list], pa.string())
        ids = self.table.ids.cast(pa.string())  # of a table without records they have no type
        found = pc.index_in(texts.cast(pa.string()), ids).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        lost = np.flatnonzero(found < 0)
        if len(lost):
            some = texts.take(pa.array(lost)).to_pylist()
            found[lost] = [-1 if x is None else self.otherwise(x) for x in some]
        return found

    def one(self, text: str) -> int:
        known = self._known.get(text)
        if known is None:
            if self._ids is None:
                self._ids = {x: i for i, x in enumerate(self.table.ids.to_pylist())}
            known = self._known[text] = self._ids.get(fold(text), -1)
            if known < 0:
                known = self._known[text] = self.otherwise(text)
        return known

    def exactly(self, record: str) -> int:
        """The row of a record by its id alone; -1 for none."""
        if self._ids is None:
            self._ids = {x: i for i, x in enumerate(self.table.ids.to_pylist())}
        return self._ids.get(fold(record), -1)

    def otherwise(self, text: str) -> int:
        if self._names is None:
            self._names = {}
            n = self.table.typed.n
            for name in ("name", "email", "domain"):
                column = self.table.stored.get(name)
                if column is not None:
                    for i, x in enumerate(column.values()[:n]):
                        if x:
                            self._names.setdefault(str(x).lower(), []).append(i)
        rows = self._names.get(text.lower(), ())
        return rows[0] if len(rows) == 1 else -1

    def rep(self, text: Any) -> int:
        """The row of a rep; one whom nobody lists becomes a stranger."""
        text = str(text)
        at = self.one(text)
        if at < 0:
            at = self.strangers.get(fold(text), -1)
            if at < 0:
                at = self.strangers[fold(text)] = self.table.world.stranger(text)
        return at
