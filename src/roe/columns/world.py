"""The world of a run in columns: what `roe.evaluator.world` is, with tables of columns behind the rows.

A `RecordTable` computes a step's column when it is first asked for, as a `Row` computes a value. A row of a table is a `Row`
whose fields are read from the columns, so that whatever the columns cannot express is left to the row evaluator itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Coded, Column, Constant, Refs, Truths
from roe.columns.finder import RecordFinder
from roe.columns.kernel import ColumnIndex
from roe.columns.load import coded, stamps_in, typed_columns
from roe.columns.look_ups import ColumnKeys, ColumnNames
from roe.columns.make import from_values
from roe.columns.raw import Raw
from roe.columns.row import OneByOne, TableRow, place_of
from roe.columns.table import RecordTable
from roe.columns.typed import TypedColumns
from roe.crm.ids import fold
from roe.data.coerce import MODIFIED, WRITTEN
from roe.data.reading import Reading, Reject
from roe.dynamic import Array, Saved, Value, Values
from roe.evaluator.choose import Chooser
from roe.evaluator.compiled import Compiled
from roe.evaluator.fields import place
from roe.evaluator.look_ups import KeyLookUp, NameLookUp
from roe.evaluator.relate import Matcher
from roe.evaluator.row import OwnersOfRow, Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.clock import Clock
from roe.grammar.values import parse_date
from roe.ledger.remembered import Remembered
from roe.plan.operators import Derive, Expr

if TYPE_CHECKING:
    from roe.columns.memory import ColumnMemory
    from roe.evaluator.memory import Facts, OwnerMemory


class ColumnWorld(World):
    """The records of a run as columns. Everything that a `World` answers, it answers."""

    def __init__(self, compiled: Compiled, raw: Mapping[str, object], clock: Clock) -> None:
        super().__init__(compiled, {}, clock)
        self.tables: dict[str, RecordTable] = {}
        self.references: dict[tuple[str, str], Refs] = {}
        self._listed: dict[tuple[str, str], OneByOne] = {}
        self._finders: dict[str, RecordFinder] = {}
        self._may: dict[str, Array] = {}
        self.columns_memory: ColumnMemory  # as soon as a policy is bound to the records
        self.columns_of: dict[str, TypedColumns] = {}
        reads = {
            entity: typed_columns(self.policy, entity, given) for entity in self.rows if (given := Raw.of(raw.get(entity))) is not None
        }
        for entity in self.rows:
            typed = reads.get(entity) or typed_columns(self.policy, entity, Raw({}, 0))
            self.columns_of[entity] = typed
            self.rejects += typed.rejects
            self.tables[entity] = RecordTable(entity, self, typed)
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

    def take(self, entity: str, typed: Sequence[Values]) -> None:
        before = self.columns_of.get(entity)
        known = set() if before is None else set(before.ids.to_pylist())
        new = [x for x in typed if x["id"] not in known]
        if before is None or not new:
            return
        ids = [*before.ids.to_pylist(), *(x["id"] for x in new)]
        own = [*range(before.listed), *range(before.n, len(ids))]
        order = [*sorted(own, key=ids.__getitem__), *range(before.listed, before.n)]
        columns = {}
        for name in dict.fromkeys((*before.columns, *(name for x in new for name in x if name != "$line"))):
            stored = before.columns.get(name, Constant(None, before.n)).values()
            values = [*stored, *(x.get(name) for x in new)]
            columns[name] = from_values([values[i] for i in order])
        lines = np.append(before.lines, np.zeros(len(new), np.int64))[order]
        table = replace(before, n=len(ids), columns=columns, ids=pa.array([ids[i] for i in order], pa.string()), lines=lines)
        self.columns_of[entity], self.tables[entity] = table, RecordTable(entity, self, table)

    def _take_out(self, entity: str, rejects: Sequence[Reject]) -> None:
        before = self.columns_of[entity]
        gone = [r for r in rejects if not self.is_guest(entity, r.record)]
        rows = np.flatnonzero(~pc.is_in(before.ids, value_set=pa.array([r.record for r in rejects])).to_numpy(zero_copy_only=False))
        ids = before.ids.take(pa.array(rows))
        columns = {name: column.take(rows) for name, column in before.columns.items()} | {"id": coded(ids)}
        guests, lines = int((rows >= before.listed).sum()), before.lines[rows]
        own = replace(before, n=len(rows), columns=columns, ids=ids, lines=lines, rejects=[*gone, *before.rejects], guests=guests)
        self.columns_of[entity], self.tables[entity] = own, RecordTable(entity, self, own)
        self._finders.pop(entity, None)

    def _stamps(self, entity: str) -> Iterable[datetime | None]:
        column = self.columns_of[entity].columns.get(MODIFIED)
        return () if column is None else stamps_in(column)

    def is_guest(self, entity: str, record: str) -> bool:
        typed = self.columns_of.get(entity)
        return typed is not None and record in typed.guest_ids

    def line_of(self, row: Row) -> int:
        return int(self.columns_of[row.entity].lines[place_of(row)])

    def _reader(self, entity: str, name: str) -> Callable[[Row], Value]:
        if name == "owner":
            return lambda row: OwnersOfRow({role: self._owner(row, role) for role in self.policy.roles})

        def read(row: Row) -> Value:
            column = self.tables[entity].column(name)
            if column is None:
                return None
            assert isinstance(row, TableRow)
            if isinstance(column, Constant):
                return column.value
            return self.listed(entity, name, column)[row.at]

        return read

    def listed(self, entity: str, name: str, column: Column) -> OneByOne:
        """A column's values for reading one at a time; made once while the column stands."""
        cell = self._listed.get((entity, name))
        if cell is None or cell.column is not column:
            cell = self._listed[entity, name] = OneByOne(column)
        return cell

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
        index = self.compiled.kernels.get(id(chooser))
        if index is None:
            index = self.compiled.kernels[id(chooser)] = ColumnIndex(chooser.index)
        return index

    # --- references -------------------------------------------------------------------------------------------------

    def refer(self, texts: Column | None, entity: str, n: int, counted_under: tuple[str, str] | None) -> Refs:
        """Texts as the records that they mean; those that mean none are counted under it. A rep is never missing."""
        if texts is None or (isinstance(texts, Constant) and texts.value is None):
            return Refs(entity, np.full(n, -1, np.int32), self)
        if isinstance(texts, Refs):
            return texts
        codes, meaning = texts.encode() if not isinstance(texts, Coded) else (texts.codes, texts.meaning)
        finder = self.finder(entity)
        if entity == "rep":
            items = meaning.list
            rows = np.array([-1 if x is None or x == "" else finder.rep(x) for x in items], np.int32)
        else:
            rows = finder.find(meaning)
        at = np.append(rows, np.int32(-1))[codes]
        if counted_under is not None:
            own = codes[: self.tables[counted_under[0]].listed]
            lost = np.flatnonzero(np.append(rows < 0, False)[own] & (own >= 0))
            if len(lost):
                counts = np.bincount(own[lost], minlength=len(meaning))
                for code in np.flatnonzero(counts).tolist():
                    value = meaning.list[code]
                    if value is not None:
                        where = (*counted_under, value)
                        self.dangling[where] = self.dangling.get(where, 0) + int(counts[code])
        return Refs(entity, at.astype(np.int32), self)

    def spelling(self) -> dict[str, str]:
        spelling: dict[str, str] = {}
        for table in self.tables.values():
            column = table.stored.get(WRITTEN)
            if column is not None:
                pairs = zip(table.typed.ids.to_pylist(), column.values(), strict=False)
                spelling |= {short: long for short, long in pairs if long is not None and long != short}
            spelling |= {short: long for short, long in zip(table.strangers, table.stranger_names, strict=True) if long != short}
        return spelling

    def finder(self, entity: str) -> RecordFinder:
        finder = self._finders.get(entity)
        if finder is None:
            finder = self._finders[entity] = RecordFinder(self.tables[entity])
        return finder

    def all(self, entity: str) -> Sequence[Row]:
        table = self.tables[entity]
        return [table.row(i) for i in range(table.listed)]

    def present(self, entity: str) -> Sequence[Row]:
        table = self.tables[entity]
        return [table.row(i) for i in range(table.typed.n)]

    def key_look_up(self, kind: str, theirs: s.Node, matcher: Matcher) -> KeyLookUp:
        return ColumnKeys(kind, theirs, matcher, self.tables[matcher.step.target])

    def name_look_up(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None) -> NameLookUp:
        return ColumnNames(theirs, matcher, meanwhile, self.tables[matcher.step.target])

    def line_numbers(self, entity: str) -> list[int]:
        return list(self.columns_of[entity].lines.tolist())

    def release(self, entity: str) -> None:
        self.touched = [row for row in self.touched if row.entity != entity]
        self._listed = {key: cell for key, cell in self._listed.items() if key[0] != entity}
        self.tables[entity].release()

    def first(self, entity: str) -> Row | None:
        return self.tables[entity].row(0) if self.tables[entity].listed else None

    def find(self, entity: str, key: str) -> Row | None:
        at = self.finder(entity).one(str(key))
        return None if at < 0 else self.tables[entity].row(at)

    def with_id(self, entity: str, key: str) -> Row | None:
        row = self.find(entity, key)
        return row if row is not None and row["id"] == fold(key) else None

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

    def rep(self, key: Value) -> Row | None:
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

    def values(self, entity: str, name: str) -> list[Value]:
        table = self.tables[entity]
        column = table.column(name)
        return [None] * table.listed if column is None else column.values()[: table.listed]

    def evaluated(self, entity: str, expr: Expr) -> list[Value]:
        return self.tables[entity].frame.eval(expr.tree).values()[: self.tables[entity].listed]

    def ranked(self, step: Derive) -> dict[str, Values]:
        typed = self.columns_of[step.entity]
        if typed.ranks is None:
            return super().ranked(step)
        ranks = self._ranks.get((step.entity, step.name))
        if ranks is None:
            assert step.among is not None
            records = dict(zip(typed.lines.tolist(), typed.ids.to_pylist(), strict=True))
            own = typed.ranks.filter(pc.equal(typed.ranks["name"], step.name))
            places = zip(*(own[name].to_pylist() for name in ("line", "rank", "of", "below")), strict=True)
            ranks = {records[line]: place(rank, n, below, step.among) for line, rank, n, below in places if line in records}
            self._ranks[step.entity, step.name] = ranks
        return ranks

    def owner_ids(self, entity: str, role: str) -> list[str | None]:
        owner = self.tables[entity].owner(role)
        if not isinstance(owner, Refs):
            return [None] * self.tables[entity].listed
        ids = self.tables["rep"].ids.to_pylist()
        return [None if at < 0 else str(ids[at]) for at in owner.at[: self.tables[entity].listed].tolist()]

    def recall(self, name: str, saved: Saved) -> None:
        table = self.tables["account"]
        kind = self.policy.model.entities["account"][name].type
        values = table.stored.get(name, Constant(None, table.n)).values()
        for at, account in enumerate(table.ids.to_pylist()):
            value = saved.get(account)
            if value is not None and values[at] is None:
                values[at] = parse_date(value) if kind.name == "date" else value
        table.stored[name] = from_values(values)
        self.references.pop(("account", name), None)

    def remember(self, state: Remembered) -> OwnerMemory:
        from roe.columns.memory import ColumnMemory

        self.columns_memory = ColumnMemory(self, state)
        return self.columns_memory

    def know_rows(self, entity: str, role: str, rows: Mapping[int, Facts]) -> None:
        """What is known of the owners of some rows once the run has decided them."""
        from roe.columns.known import KNOWN

        table = self.tables[entity]
        first = role == self.first_role(entity)
        if first and table.data_since is None:
            table.data_since = table.given("owner_since")
        for name, read in KNOWN.items():
            for full in (name, f"{name}.{role}") if first and name in ("owner_since", "former_owner") else (f"{name}.{role}",):
                column = table.column(full)
                now = [None] * table.n if column is None else [x["id"] if isinstance(x, Row) else x for x in column.values()]
                for i, facts in rows.items():
                    now[i] = read(facts)
                decided = from_values(now)
                table.decided[full] = self.refer(decided, "rep", table.n, None) if name == "former_owner" else decided

    def open_records(self) -> dict[tuple[str, str], int]:
        return {(entity, rep): n for entity in ("lead", "account") for rep, n in self.open_of(entity).items()}

    def is_open(self, entity: str) -> Array:
        """Whether each record counts as one that its owners have open."""
        table = self.tables[entity]
        flags = table.column("is_open") if entity == "lead" else None
        if isinstance(flags, Truths):
            open_ = np.asarray(flags.data != 0)
        else:
            open_ = np.ones(table.n, bool) if flags is None else np.array([x is not False for x in flags.values()], bool)
        open_[table.listed :] = False
        return open_

    def open_of(self, entity: str) -> Mapping[str, int]:
        """How many open records of an entity each rep has."""
        reps, table, open_ = self.tables["rep"], self.tables[entity], self.is_open(entity)
        pairs = []
        for role in self.policy.roles:
            owner = table.owner(role)
            if isinstance(owner, Refs):
                rows = np.flatnonzero((owner.at >= 0) & open_)
                pairs.append(rows * reps.n + owner.at[rows])
        if not pairs:
            return {}
        # a rep counts once for a record, whatever the roles
        counts = np.bincount(np.unique(np.concatenate(pairs)) % max(reps.n, 1), minlength=reps.n)
        return {str(reps.row(i)["id"]): int(counts[i]) for i in np.flatnonzero(counts).tolist()}

    def forget(self) -> None:
        self._ranks = {}
        self.touched.clear()
        for table in self.tables.values():
            table.forget()
        self.references = {k: r for k, r in self.references.items() if "\0" not in k[1]}
        self._listed.clear()
        self.rows["rep"] = [self.tables["rep"].row(i) for i in range(self.tables["rep"].listed)]
