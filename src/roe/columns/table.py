"""One entity's records as columns: stored fields, and steps that are computed when they are first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import ByRow, Coded, Column, Constant, Later, Lists, Refs, opaque
from roe.columns.join import join
from roe.columns.make import from_values
from roe.columns.relate import match_columns
from roe.columns.row import TableRow, place_of
from roe.columns.staffed import StaffedOwners
from roe.columns.typed import TypedColumns
from roe.columns.vector import Frame
from roe.data.coerce import WRITTEN
from roe.dynamic import Array, Value
from roe.evaluator.able import day_of
from roe.evaluator.choose import HIT_POLICIES, Chooser
from roe.evaluator.fields import key_of, maker_of, walk
from roe.evaluator.frozen import frozen_value
from roe.evaluator.row import UNKNOWN_REP, Circle
from roe.plan.index import Hits
from roe.plan.operators import Choose, Derive, Fill, Relate, Settle, Walk
from roe.plan.plan import Step
from roe.plan.standard import BuiltIn
from roe.progress import phase

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld


DEEP = 64  # steps of a walk that are made for all records at once


class RecordTable:
    """One entity's records."""

    def __init__(self, entity: str, world: ColumnWorld, typed: TypedColumns) -> None:
        self.entity, self.world, self.typed = entity, world, typed
        self.n, self.listed = typed.n, typed.listed  # with strangers or guests, and without
        self.strangers: list[str] = []
        self.stranger_names: list[str] = []  # as the data writes them
        self.stored = dict(typed.columns)  # and what is known of records besides; `typed` stays as it was read
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
        if at >= self.typed.n:
            return self.stranger_names[at - self.typed.n]
        text = self.world.listed(self.entity, WRITTEN, column)[at] if column is not None else None
        return str(self.row(at)["id"] if text is None else text)

    @property
    def written_ids(self) -> pa.Array:
        """The ids of all records as the data has them."""
        column = self.stored.get(WRITTEN)
        ids = column.arrow() if isinstance(column, Coded) else self.typed.ids
        return pa.concat_arrays([ids.cast(pa.string()), pa.array(self.stranger_names, pa.string())]) if self.strangers else ids

    def ids_of(self, written: pa.ChunkedArray) -> pa.ChunkedArray:
        """The ids of records that are named as the data has them."""
        if WRITTEN not in self.stored:
            return written
        return pc.take(self.typed.ids.cast(pa.string()), pc.index_in(written.cast(pa.string()), value_set=self.written_ids))

    def given(self, name: str) -> Column:
        """A stored column. Of a stranger only the name is known, and that a rep who is not listed is not active."""
        column = self.stored.get(name)
        if isinstance(column, Later):
            column = self.stored[name] = column.make()
        known = column.n if column is not None else self.typed.n
        if known < self.n and (column is not None or name in ("id", "name", "active")):
            texts = {"id": self.strangers, "name": self.stranger_names}.get(name)
            new = len(self.strangers) - (known - self.typed.n)
            values: list[Value] = texts[-new:] if texts is not None else [not self.listed if name == "active" else None] * new
            column = self.stored[name] = join(column or Constant(None, known), from_values(values), self.world)
        return column if column is not None else Constant(None, self.n)

    def stored_at(self, at: int) -> Iterator[tuple[str, Value]]:
        """The stored fields of a record but for its references."""
        fields = self.world.policy.model.entities[self.entity]
        for name in list(self.stored):
            column = self.given(name)
            if (f := fields.get(name)) is None or f.type.name != "record":
                yield name, column.value if isinstance(column, Constant) else self.world.listed(self.entity, f"\0{name}", column)[at]

    def row(self, at: int) -> TableRow:
        row = self._rows.get(at)
        if row is None:
            row = self._rows[at] = TableRow(self.entity, self.world, at)
        return row

    def forget(self) -> None:
        """Drop what was computed, since something it rests on has changed."""
        self.derived.clear()
        self._frame = None
        for row in self._rows.values():
            row.clear()

    def release(self) -> None:
        """Drop the rows that were read one by one."""
        self._rows.clear()

    def column(self, name: str) -> Column | None:
        """A field's column; None if there is no such field."""
        if name in self.derived:
            return self.derived[name]
        if name in self.busy:
            raise Circle(f"{self.entity}.{name}")
        self.busy.add(name)
        try:
            column = self.derived[name] = self._make(name)
        finally:
            self.busy.discard(name)
        return column

    def _make(self, name: str) -> Column | None:
        step = self.world.compiled.steps.get((self.entity, name))
        if step is not None:
            return self._of_step(name, step)
        in_time = self.world.in_time.get((self.entity, name))
        if in_time is not None:
            return opaque([in_time(self.row(i)) for i in range(self.n)])
        if name == "local_day" and self.entity == "rep":
            return from_values([day_of(self.row(i)) for i in range(self.n)])
        f = self.world.policy.model.entities[self.entity].get(name)
        if f is None:
            return self.given(name) if name in self.world.fields[self.entity] or name in self.stored else None
        if f.via and f.type.item:
            return self._same_key(f.type.item.entity, f.via, f.key) if f.key else self._back(f.type.item.entity, f.via)
        if name in self.decided:
            return self.decided[name]
        base, _, role = name.partition(".")
        if role and name not in self.stored:
            return self._of_role(base, role)
        return self.reference(name, f.type.entity) if f.type.name == "record" else self.given(name)

    def _of_step(self, name: str, step: Step | BuiltIn) -> Column:
        phase(f"computing {name} of {self.n:,} {self.entity} records")
        column = self._step(step)
        if self.entity == "rep" and name in UNKNOWN_REP and self.listed < self.n:
            return from_values([x or i >= self.listed for i, x in enumerate(column.values())])
        return column

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
        live = self.world.settled.live
        for record, outcome in live.items():
            at[self.world.finder(self.entity).one(record)] = place_of(outcome.claim)
            entity = outcome.claim.entity
        return Refs(entity, at, self.world) if entity else Constant(None, self.n)

    def _filled(self, step: Fill) -> Column:
        """A reference, and where the data has none, what another step gives."""
        entity = self.world.policy.model.entities[self.entity][step.name].type.entity
        linked, otherwise = self.reference(step.name, entity), self.column(step.source)
        assert isinstance(otherwise, Refs)
        return Refs(entity, np.where(linked.at >= 0, linked.at, otherwise.at), self.world)

    def reference(self, name: str, entity: str) -> Refs:
        reference = self.world.references.get((self.entity, name))
        if reference is not None and reference.n < self.n:
            reference = None
        if reference is None:
            reference = self.world.references[self.entity, name] = self.world.refer(self.given(name), entity, self.n, (self.entity, name))
        return reference

    def owner(self, role: str) -> Column | None:
        """The rep who owns each record in a role."""
        if role not in self.world.policy.roles:
            return None
        owner = self._owners.get(role)
        if owner is None or owner.n < self.n:
            owner = self._owners[role] = self.world.refer(self.given(f"owner.{role}"), "rep", self.n, None)
        return owner

    def set_owner(self, role: str, owner: Refs) -> None:
        """The owners that a run gave; guests keep theirs, if it says nothing of them."""
        known = self._owners.get(role)
        guests = range(owner.n, self.n)
        if len(guests) and isinstance(known, Refs):
            owner = Refs("rep", np.append(owner.at, known.at[owner.n :]), self.world)
        self._owners[role] = owner

    def _back(self, entity: str, via: str) -> Column:
        """The records of another entity that refer to each of these."""
        other = self.world.tables[entity]
        target = other.column(via)
        if not isinstance(target, Refs):
            return Lists(np.zeros(0, np.int64), Refs(entity, np.zeros(0, np.int32), self.world), self.n)
        referring = np.flatnonzero(target.at >= 0)
        if other.typed.guests:  # each list is in the order of the ids
            referring = referring[pc.sort_indices(other.ids.cast(pa.binary()).take(pa.array(referring))).to_numpy()]
        order = np.argsort(target.at[referring], kind="stable")
        items = referring[order].astype(np.int32)
        return Lists(target.at[items].astype(np.int64), Refs(entity, items, self.world), self.n)

    def _same_key(self, entity: str, via: str, key: str) -> Column:
        """The records of an entity whose `via` is equal to the `key` of each of these."""
        other = self.world.tables[entity]
        theirs, mine = other.column(via), self.column(key)
        by_key: dict[Value, list[int]] = {}
        if theirs is not None:
            codes, meaning = theirs.take(np.arange(other.listed)).encode()
            keys = [key_of(x) for x in meaning.list]
            order = np.argsort(codes, kind="stable")
            for alike in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(order) else ():
                key_of_code = keys[codes[alike[0]]]
                if key_of_code is not None:  # two codes may mean one value
                    by_key[key_of_code] = sorted([*by_key[key_of_code], *alike.tolist()]) if key_of_code in by_key else alike.tolist()
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
        levels: list[tuple[Array, Array]] = [(rows[:0], at[:0])]
        while len(rows) and len(levels) <= DEEP:
            there = at >= 0
            rows, at = rows[there], at[there]
            levels.append((rows, at))
            at = up[at]
        endless = np.unique(rows)  # very deep, or a circle: one by one
        deep = {int(i): [place_of(x) for x in walk(self.row(int(i)), step.along)] for i in endless}
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
            at[i] = ([place_of(x) for x in walk(self.row(i), along)] or [i])[-1]
        return at

    # --- steps ------------------------------------------------------------------------------------------------------

    def _step(self, step: Step | BuiltIn) -> Column:
        try:
            return self._columns_of(step)
        except ByRow:
            make = maker_of(step, self.world.compiled)
            if isinstance(step, Relate):
                records = [make(self.row(i)) for i in range(self.n)]
                return Refs(step.target, np.array([place_of(x) for x in records], np.int32), self.world)
            return from_values([make(self.row(i)) for i in range(self.n)], self.world)

    def _columns_of(self, step: Step | BuiltIn) -> Column:
        if isinstance(step, Derive):
            if step.group is not None:
                return StaffedOwners(self, step, np.arange(self.n, dtype=np.int32))
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
        return match_columns(step, self) if self.typed.matched is None else self._matched(step, self.typed.matched)

    def _matched(self, step: Relate, matched: pa.Table) -> Refs:
        """The related records, where they are known already."""
        ids = matched["id"].combine_chunks().take(pc.index_in(pa.array(self.typed.lines), matched["line"].combine_chunks()))
        at = pc.index_in(ids, self.world.tables[step.target].ids.cast(pa.string()), skip_nulls=True)
        return Refs(step.target, pc.fill_null(at, -1).to_numpy(zero_copy_only=False).astype(np.int32), self.world)

    def _frozen(self, step: Derive, now: Column) -> Column:
        """The values that the records had when the period began; those that are new in it have today's."""
        if not self.world.frozen:
            return now
        values = now.values()
        ids = self.ids.to_pylist()
        frozen = [frozen_value(self.world, step, ids[i], lambda i=i: values[i]) for i in range(len(ids))]  # type: ignore[misc]
        return from_values(frozen, self.world)

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

    def all(self, scope: object) -> Hits:
        return self._hits
