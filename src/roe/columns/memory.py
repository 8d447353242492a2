"""What a run in columns remembers of owners: the memory of `roe.evaluator.memory`, decided by masks.

The table of `roe.ledger.reconcile` is a function of a few comparisons. Records whose data shows the ledger's holder, or what the CRM showed
before, are settled for all of them at once. The others (changed in the CRM, a late load, given back, referred) are few, and go one by one
through the row evaluator's own function. So do those that a run leaves otherwise than it found them: nothing is worded or saved of the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Column, Refs
from roe.columns.known import show_known
from roe.columns.row import place_of
from roe.data.coerce import MODIFIED
from roe.dynamic import Array, Json, Saved, Value
from roe.evaluator.data_owner import MODIFIED_BY, InData, passed_on_from, stamp_of
from roe.evaluator.memory import Facts, OwnerMemory
from roe.grammar import values as v
from roe.ledger.changed import Changed
from roe.ledger.holders import NOBODY, is_loaded
from roe.ledger.reconcile import Kind, key_parts
from roe.ledger.remembered import Remembered
from roe.ledger.role_tables import RoleTable, of_mapping, places_of, without_records
from roe.node import node

if TYPE_CHECKING:
    from roe.columns.table import RecordTable
    from roe.columns.world import ColumnWorld
    from roe.evaluator.memory import DecisionValues


@node(frozen=False)
class Aligned:
    """The ledger's records of one entity in one role beside those of the data. Arrays are by row of the data's table."""

    held: RoleTable
    at: Array  # the row of the ledger's table, -1 for a record that it does not know
    known: Array  # whether anything is known of an owner
    shown: Array  # the rep whom the data shows, -1 for nobody
    has: bool  # whether the data has a column of that owner
    since: Column | None  # since when the data says that the owner has it
    holder: Array  # who has the record by both together, -1 for nobody
    alike: Array  # whether the record is settled here: in force, pending, or without a column of its owner
    in_force: Array
    in_crm: Array  # whom the CRM shows: as the data, but for rows that are older than what the CRM has shown already
    row: Array  # by row of the ledger's table: the row of the data's, -1 for a record that is not there
    noted: dict[str, int] = field(default_factory=dict)  # those of them that are, by row of the data's table
    singly: dict[int, Facts] = field(default_factory=dict)  # of the rows that are not settled here
    made: dict[int, Facts] = field(default_factory=dict)  # of others that somebody has asked for
    read: dict[int, tuple[str, InData]] = field(default_factory=dict)  # the ids of some rows, and what the data says of them
    absent: dict[str, Facts] = field(default_factory=dict)  # records that were given back, referred or given for a time, and are not there


class ColumnMemory(OwnerMemory):
    """The memory of one run in columns."""

    world: ColumnWorld

    def __init__(self, world: ColumnWorld, state: Remembered) -> None:
        self.world, self.today = world, world.clock.today
        self.returned, self.referred, self.ends = state.get("returned", {}), state.get("referred", {}), state.get("ends", {})
        self.changed, self.older = [], set()
        self._rep_ids: list[str] = []
        self.before: Saved = state.get("owners", {})
        self.held = of_mapping(self.before)
        self.known = _Known(self)  # type: ignore[assignment]
        self.aligned: dict[tuple[str, str], Aligned] = {}
        self.rows_changed: dict[tuple[str, str], list[int]] = {}  # of which the ledger is to have more than that the CRM shows our decision
        world.returned = self.returned
        self._begin_gone(state)
        noted: dict[tuple[str, str], set[str]] = {key: set() for key in self.held.roles}
        for key in (*self.returned, *self.referred, *self.ends):
            entity, record, role = key_parts(key)
            noted.setdefault((entity, role), set()).add(record)
        for (entity, role), records in sorted(noted.items()):  # accounts first, whose owners the CRM may pass on
            if entity in world.rows:
                self._align(entity, role, records)
                self._note_absent(self.aligned[entity, role])
        self.changed = [(key, facts) for key, facts in self.changed if not world.is_guest(*key_parts(key)[:2])]

    # --- the ledger beside the data -----------------------------------------------------------------------------------

    def _align(self, entity: str, role: str, noted: set[str]) -> None:
        world, table = self.world, self.world.tables[entity]
        held = self.held.roles.get((entity, role)) or without_records(entity, role)
        at = places_of(held.records, table.ids)
        owned = np.append(held.is_owned, False)[at]
        owner = table.owner(role)
        shown = owner.at.astype(np.int64) if isinstance(owner, Refs) else np.full(table.n, -1, np.int64)
        has = world._column_of(entity, f"owner.{role}") is not None
        known = owned | ((at >= 0) & (shown >= 0)) if has else owned  # an owner of what nobody had is a change in the CRM
        codes = self._codes(held)[shown]  # the place of whom the data shows among the ledger's holders; -2 for somebody new
        holder, base = (np.append(x, -1)[at] for x in (held.holder, held.base))
        in_force = known & (codes == holder) if has else np.zeros(table.n, bool)
        pending = known & (codes == base) & ~in_force if has else known
        stale = self._stale(
            table, held, at, np.flatnonzero(has & known & (~in_force | (base != holder) | (np.append(held.decided.at, -1)[at] >= 0)))
        )
        in_force[stale], pending[stale] = False, False
        row = np.full(len(held) + 1, -1, np.int64)
        row[at] = np.arange(table.n)
        aligned = Aligned(
            held,
            at,
            known,
            shown,
            has,
            table.column(f"owner_since.{role}"),
            shown.copy(),
            in_force | pending,
            in_force,
            shown.copy(),
            row[:-1],
        )
        self.aligned[entity, role] = aligned
        reps = np.full(len(held.holders) + 1, -1, np.int64)
        for code in np.unique(holder[pending]).tolist():
            reps[code] = world.finder("rep").rep(held.holders[code]) if code >= 0 else -1
        aligned.holder[pending] = reps[holder[pending]]
        rows = _rows_of(table, noted)
        for record in sorted(noted):
            if record in rows:
                place = aligned.noted[record] = rows[record]
                aligned.alike[place] = False
                aligned.known[place] = True
            else:
                key = f"{entity}|{record}|{role}"
                aligned.absent[record] = self._facts(key, self.before.get(key), None)
        some = np.flatnonzero(aligned.known & ~aligned.alike)
        aligned.read |= self._read(aligned, some)
        for place in some.tolist():
            facts = aligned.singly[place] = self._facts_of(aligned, entity, role, place)
            rep = world.rep(facts.holder)
            aligned.holder[place] = place_of(rep)
            if facts.kind is Kind.STALE:
                aligned.in_crm[place] = place_of(world.rep(facts.in_crm))
        show_known(self, table, role, aligned)

    def _stale(self, table: RecordTable, held: RoleTable, at: Array, rows: Array) -> Array:
        """Of some rows those that the CRM last changed before it showed what the ledger knows of it already."""
        base_at = np.append(held.base_at.at, -1)[at[rows]]
        rows, base_at = rows[base_at >= 0], base_at[base_at >= 0]
        if not len(rows):
            return rows
        known = {code: v.parse_temporal(held.base_at.meaning[code]) for code in np.unique(base_at).tolist()}
        stamps = zip(self.stamps(table, rows), base_at.tolist(), strict=True)
        return rows[np.array([stamp is not None and stamp < known[code] for stamp, code in stamps], bool)]

    def stamps(self, table: RecordTable, rows: Array) -> list[datetime | None]:
        """When the CRM last changed some rows (see `roe.evaluator.data_owner`)."""
        column = table.stored.get(MODIFIED)
        values = [None] * len(rows) if column is None else column.take(rows).values()
        return [stamp_of({MODIFIED: x}) for x in values]

    def _note_absent(self, x: Aligned) -> None:
        """Note the records of the ledger that are gone."""
        rows = np.flatnonzero(x.row < 0)
        if not self._is_complete(x.held.entity):  # few are flagged, and every record that is may be asked for
            places = {x.held.find(record) for entity, record in self._flagged if entity == x.held.entity}
            rows = rows[np.isin(rows, list(places))]
        for record in (*x.held.records.take(pa.array(rows)).to_pylist(), *x.absent):
            self._note_gone(x.held.entity, record)

    def _codes(self, held: RoleTable) -> Array:
        """For each rep the place among a table's holders, -2 where it has none; for row -1, which is nobody, -1."""
        place = {holder: code for code, holder in enumerate(held.holders)}
        return np.array([*(place.get(x, -2) for x in self._reps()), -1], np.int64)

    def _facts_of(self, x: Aligned, entity: str, role: str, row: int) -> Facts:
        """A record's facts, as the row evaluator has them."""
        record, in_data = x.read.get(row) or self._read(x, np.array([row]))[row]
        place = int(x.at[row])
        saved = None if place < 0 else x.held.state(place) if x.held.is_owned[place] else NOBODY
        return self._facts(f"{entity}|{record}|{role}", saved, in_data)

    def _read(self, x: Aligned, rows: Array) -> dict[int, tuple[str, InData]]:
        """The ids of some rows, and what the data says of their owners; all at once, which costs little more than one."""
        table, reps = self.world.tables[x.held.entity], self._reps()
        nothing: list[Value] = [None] * len(rows)
        days = nothing if x.since is None else x.since.take(rows).values()
        by = table.stored.get(MODIFIED_BY)
        writers = nothing if by is None else by.take(rows).values()
        passes_on = table.entity in self.world.policy.plan.crm.cascades
        columns = zip(
            rows.tolist(), table.ids.take(pa.array(rows)).to_pylist(), x.shown[rows].tolist(), days, self.stamps(table, rows), writers,
            strict=True,
        )  # fmt: skip
        return {
            row: (
                record,
                InData(
                    reps[shown] if shown >= 0 else None, day, x.has, stamp, str(writer or ""),
                    passed_on_from(self.world, table.row(row)) if passes_on else "",
                ),
            )
            for row, record, shown, day, stamp, writer in columns
        }  # fmt: skip

    def _reps(self) -> list[str]:
        """The ids of all reps, by row; more of them come as records name some whom the data does not list."""
        table = self.world.tables["rep"]
        if len(self._rep_ids) != table.n:
            self._rep_ids = [str(x) for x in table.ids.to_pylist()]
        return self._rep_ids

    def facts_of(self, entity: str, record: str, role: str) -> Facts | None:
        aligned = self.aligned.get((entity, role))
        if aligned is None:
            return None
        if record in aligned.absent:
            return aligned.absent[record]
        place = aligned.held.find(record)
        row = int(aligned.row[place]) if place >= 0 else aligned.noted.get(record, -1)
        facts = self.facts_at(entity, role, row) if row >= 0 else None
        if facts is not None or place < 0 or row >= 0 or not aligned.held.is_owned[place]:
            return facts
        return self._facts(f"{entity}|{record}|{role}", aligned.held.state(place), None)

    def facts_at(self, entity: str, role: str, row: int) -> Facts | None:
        """The facts of a record by its row; None where the ledger knows nothing of it."""
        aligned = self.aligned.get((entity, role))
        if aligned is None or not aligned.known[row]:
            return None
        facts = aligned.singly.get(row) or aligned.made.get(row)
        if facts is None:
            facts = aligned.made[row] = self._facts_of(aligned, entity, role, row)
        return facts

    def without_column(self) -> list[tuple[str, str]]:
        return [key for key, x in self.aligned.items() if not x.has and self.world.tables[key[0]].listed and bool((x.held.base >= 0).any())]

    def pending(self) -> Iterator[tuple[str, date]]:
        for (entity, _), x in self.aligned.items():
            ids = self.world.tables[entity].ids
            pending = (x.known & x.alike & ~x.in_force)[: self.world.tables[entity].listed]
            for row in np.flatnonzero(pending).tolist() if x.has else ():
                since = v.parse_date(x.held.since[int(x.at[row])] or "")
                if since is not None:
                    yield ids[row].as_py(), since

    def since_in_data(self, entity: str, role: str) -> Column | None:
        """Since when the data says that today's owners have their records, whatever the run has decided since."""
        aligned, table, name = self.aligned.get((entity, role)), self.world.tables[entity], f"owner_since.{role}"
        if aligned is not None:
            return aligned.since
        return table.given(name) if name in table.stored else table._of_role("owner_since", role)

    # --- what rules decided -------------------------------------------------------------------------------------------

    def in_crm(self, entity: str, role: str, today: Array) -> Array:
        """The reps whom the CRM shows: today's owners, unless an earlier decision is not loaded yet."""
        aligned = self.aligned.get((entity, role))
        n = len(today)
        return today if aligned is None or not aligned.has else np.where(aligned.known[:n], aligned.in_crm[:n], today)

    def is_left_alone(self, entity: str, role: str, owner: Array, today: Array) -> Array:
        """The rows with nothing new to save: the run and the data leave their owners, and what is known of them, as the ledger has them."""
        aligned, stamps = self.aligned.get((entity, role)), self.world.tables[entity].stored.get(MODIFIED)
        nobodys = (
            owner < 0 if stamps is None else (owner < 0) & stamps.nulls()[: len(owner)]
        )  # else it is new when the CRM showed that nobody has it
        if aligned is None:
            return nobodys & (today < 0)
        n, is_news = len(owner), self._is_news(aligned)
        known = aligned.known[:n]
        same = owner == np.where(known, aligned.holder[:n], today)
        return same & np.where(known, ~is_news[:n], nobodys | ((owner < 0) & (aligned.at[:n] >= 0)))

    def _is_news(self, x: Aligned) -> Array:
        """Where the data alone says something new of a record that the ledger knows."""
        if not len(x.held):
            return x.known
        base, decided, since = (np.append(codes, -1)[x.at] for codes in (x.held.base, x.held.decided.at, x.held.since.at))
        news = x.in_force & ((base != np.append(x.held.holder, -1)[x.at]) | (decided >= 0))
        if (since < 0).any() and x.since is not None:
            news |= x.known & (since < 0) & ~x.since.nulls()
        news[list(x.singly)] = True
        return news & x.known

    def after(self, decisions: Iterable[DecisionValues]) -> Json:
        """As the row evaluator's. Decisions on rows that are left alone may be left out, which `is_left_alone` says."""
        changes: Json = {}
        for (entity, role), x in self.aligned.items():
            is_decided = (entity, role) in self.world.policy.plan.engagement  # then there is a decision on whatever is news
            rows = np.flatnonzero(self._is_news(x)) if not is_decided else np.zeros(0, np.int64)
            records = self.world.tables[entity].ids.take(pa.array(rows)).to_pylist()
            self.learn(entity, role, rows, records)
            for row, record in zip(rows.tolist(), records, strict=True):
                facts = self.facts_at(entity, role, row)
                assert facts is not None
                self._save(changes, f"{entity}|{record}|{role}", facts)
            for record, facts in x.absent.items():
                self._save(changes, f"{entity}|{record}|{role}", facts)
            for record in [record for e, record in (key.split("|", 1) for key in self.gone) if e == entity]:
                changes[f"{entity}|{record}|{role}"] = None
        saved, parts = self._decided(decisions)
        changes |= saved
        before = self.before
        olds = {key: before.get(key) for key in changes}
        changes = {key: x for key, x in changes.items() if olds[key] != x}
        asked = [key for key in parts.get("referred", ()) if key not in self.referred]
        self._note_rows([*(key for key, x in changes.items() if not is_loaded(olds[key], x)), *asked])
        found_owners: Saved = Changed(before, changes)
        return {"owners": found_owners, **parts}

    def learn(self, entity: str, role: str, rows: Array, records: Sequence[str]) -> None:
        """Some rows are about to be asked for by the ids of their records."""
        aligned = self.aligned.get((entity, role))
        if aligned is not None:
            aligned.held.learn(records, aligned.at[rows].tolist())
            aligned.read |= self._read(aligned, np.asarray(rows))

    def _save(self, changes: Json, key: str, facts: Facts) -> None:
        changes[key] = facts.saved() if self.is_kept(key, facts) else None

    def _note_rows(self, keys: Iterable[str]) -> None:
        new: dict[tuple[str, str], set[str]] = {}
        for key in keys:
            entity, record, role = key_parts(key)
            x = self.aligned.get((entity, role))
            place = -1 if x is None else x.held.find(record)
            if x is None or place < 0:
                new.setdefault((entity, role), set()).add(record)
            elif x.row[place] >= 0:
                self.rows_changed.setdefault((entity, role), []).append(int(x.row[place]))
        for (entity, role), records in new.items():
            if entity in self.world.tables:
                self.rows_changed.setdefault((entity, role), []).extend(_rows_of(self.world.tables[entity], records).values())


def _rows_of(table: RecordTable, records: Collection[str]) -> dict[str, int]:
    """The rows of some records, by their ids; of those that are there."""
    if not records:
        return {}
    ids = table.ids.cast(pa.string())  # of a table without records they have no type
    rows = np.flatnonzero(pc.is_in(ids, value_set=pa.array(list(records), pa.string())).to_numpy(zero_copy_only=False))
    return dict(zip(ids.take(pa.array(rows)).to_pylist(), rows.tolist(), strict=True))


class _Known(Mapping[str, Facts]):
    """The facts by `entity|record|role`, made when somebody asks for them."""

    def __init__(self, memory: ColumnMemory) -> None:
        self.memory = memory

    def __getitem__(self, key: str) -> Facts:
        facts = self.memory.facts_of(*key_parts(key))
        if facts is None:
            raise KeyError(key)
        return facts

    def __iter__(self) -> Iterator[str]:
        for entity, role in self.memory.aligned:
            yield from (key for key in self.memory.held if key.startswith(f"{entity}|") and key.endswith(f"|{role}"))

    def __len__(self) -> int:
        return sum(1 for _ in self)
