"""Bringing the mirror to what an export has: whole tables, in few transactions.

A table is typed as a whole, so its columns settle what their texts leave open, such as the order of day and month; what a column has
settled is kept with the record. Records that are as the mirror has them are left alone. Those that nothing was decided about are
written together; those that have owners take the way of a single record, since their owners are compared with the ledger's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from roe.data.coerce import RawRecords, coerce_table
from roe.data.reading import Reject
from roe.dynamic import Json, Record, Value
from roe.grammar import values as v
from roe.grammar.clock import zone_of
from roe.ledger.backup import compared, is_restored
from roe.policy.model import DataSource, Policy
from roe.serve import intake
from roe.serve.desk import Desk
from roe.serve.intake import MAKES_ABLE
from roe.serve.problems import Refused
from roe.serve.records import rejected, wrong_id
from roe.serve.store import ServiceStore, Writes
from roe.serve.times import millis
from roe.serve.versions import Mirrored, replaced
from roe.serve.writer import LOCK_WAIT, Act, Reply

if TYPE_CHECKING:
    from roe.serve.local import Local

TOGETHER = 20_000  # records that are compared and written in one transaction
DECIDED_TOGETHER = 2_000  # records with owners that are handled in one transaction
SETTLED = ("date", "date and time", "number")  # types whose texts a column settles
T = TypeVar("T")
Fields = dict[str, Json]  # id -> the record's fields


@dataclass(slots=True)
class Synced:
    """What became of an export's records, by entity, and what is to be said about them."""

    read: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    problems: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def sync(local: Local, tables: Mapping[str, Iterable[Record]], complete: Iterable[str] = ()) -> Synced:
    """Bring the mirror to what an export has. Of the entities in `complete`, records that the export lacks are deleted."""
    done, later = Synced(), []
    makes_able = False
    local.writer.compares = True
    for entity, rows in tables.items():
        fields = typed_fields(local.writer.policy.evaluator.policy, entity, rows, done)
        done.read[entity] = len(fields)
        for some in _portions(fields.items(), TOGETHER):
            later += _written(local, entity, dict(some), done)
        if entity in complete:
            later += _dropped(local, entity, fields, done)
        makes_able |= entity in MAKES_ABLE and bool(done.changed.get(entity) or done.deleted.get(entity))
    for entity in complete:
        if entity not in tables:
            later += _dropped(local, entity, {}, done)
    for records in _portions(later, DECIDED_TOGETHER):
        local.do(_taken(records, done))
    _compared(local, tables, done)
    if makes_able and _waiting(local):
        local.do(_able)
    return done


def _compared(local: Local, tables: Collection[str], done: Synced) -> None:
    """A ledger that was restored from a backup is compared once every entity was there that the policy decides."""
    store = local.writer.opened()
    if not is_restored(store.db):
        return
    lacking = sorted({entity for entity, _ in local.writer.policy.evaluator.policy.plan.engagement} - set(tables))
    if lacking:
        done.notes.append(
            f"the ledger was restored from a backup, and the export has no {' and no '.join(lacking)} records to compare it with"
        )
        return
    with store.writing(LOCK_WAIT):
        compared(store.db)


def typed_fields(policy: Policy, entity: str, rows: Iterable[Record], done: Synced) -> Fields:
    """The fields of every record of a table that can be read, by id; what cannot be read is noted."""
    model = policy.model
    decided = any(entity == e for e, _ in policy.plan.engagement)
    source = policy.data.get(entity, DataSource())
    raw = rows if isinstance(rows, RawRecords) else RawRecords([{**row} for row in rows])
    typed = coerce_table(entity, model.entities[entity], raw, model.roles(), zone_of(policy.timezone), source, decided)
    by_line = {row.get("$line", number): row for number, row in enumerate(raw, 1)}
    open_columns = {
        name: column
        for name, column in typed.columns.items()
        if (f := model.entities[entity].get(name)) is not None and f.type.name in SETTLED
    }
    fields_by_id: Fields = {}
    done.problems += [rejected(reject).document() for reject in typed.rejects]
    done.notes += [f"{entity}: {note}" for note in typed.reading.notes]
    with_ids = "id" in typed.columns
    for row in typed.rows:
        if not with_ids and row["id"] == f"{entity}-{row['$line']}":
            done.problems.append(rejected(Reject(entity, "", row["$line"], "id", "", "the record has no id")).document())
            continue
        fields = {k: _plain(x) for k, x in by_line[row["$line"]].items() if not k.startswith("$")}
        for name, column in open_columns.items():
            if isinstance(fields.get(column), str) and row.get(name) is not None:
                fields[column] = _plain(row[name])
        if why := wrong_id(fields, row["id"]):
            done.problems.append(rejected(Reject(entity, row["id"][:80], row["$line"], "id", row["id"][:80], why)).document())
            continue
        fields_by_id[row["id"]] = fields
    return fields_by_id


def _plain(value: Value) -> Value:
    """A value as JSON has it; days and moments in the one way of writing them that leaves nothing open."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, bool, int, float)) else v.plain(value)


def _written(local: Local, entity: str, fields: Fields, done: Synced) -> list[Mirrored]:
    """Write what has changed, and return the changed records that have owners, which are to be compared."""
    store = local.writer.opened()
    with store.writing(LOCK_WAIT):
        tables = ServiceStore(store.db)
        old = tables.records((entity, id) for id in fields)
        decided = tables.decided(entity, fields, _roles(local))
        changed, later = {}, []
        for id, values in fields.items():
            before = old.get((entity, id))
            if before is not None and not before.deleted and before.fields == values:
                continue
            new = replaced(before or Mirrored(entity, id), values, "")
            if new is None:
                continue
            if id in decided:
                later.append(new)
            else:
                changed[entity, id] = new
        if changed:
            tables.write(Writes(records=changed), tables.seq() + 1, millis(local.writer.time.now()))
    done.changed[entity] = done.changed.get(entity, 0) + len(changed) + len(later)
    return later


def _dropped(local: Local, entity: str, fields: Fields, done: Synced) -> list[Mirrored]:
    """Mark the records that the export lacks as deleted; those that have owners are returned."""
    store = local.writer.opened()
    with store.writing(LOCK_WAIT):
        tables = ServiceStore(store.db)
        gone = [id for id in tables.ids(entity) if id not in fields]
        old, decided = tables.records((entity, id) for id in gone), tables.decided(entity, gone, _roles(local))
        marked = {key: Mirrored(entity, key[1], {}, dict(record.versions), True) for key, record in old.items()}
        later = [record for (_, id), record in marked.items() if id in decided]
        changed = {key: record for key, record in marked.items() if key[1] not in decided}
        if changed:
            tables.write(Writes(records=changed), tables.seq() + 1, millis(local.writer.time.now()))
    done.deleted[entity] = len(gone)
    return later


def _taken(records: Sequence[Mirrored], done: Synced) -> Act:
    """An act that takes over records which have owners, each against what is known by then; one that is refused is noted."""

    def act(desk: Desk, at: datetime) -> Reply:
        for record in records:
            try:
                if record.deleted:
                    intake.delete(desk, record.entity, record.id, "", at)
                else:
                    intake.put(desk, record.entity, record.fields, "", at)
            except Refused as e:
                done.problems.append({**e.document(), "record": record.id})
                done.changed[record.entity] -= not record.deleted
        return 200, dict

    return act


def _able(desk: Desk, at: datetime) -> Reply:
    """An act that has records tried again which wait for somebody able."""
    desk.able_changed = True
    return 200, dict


def _roles(local: Local) -> Sequence[str]:
    return local.writer.policy.evaluator.policy.roles


def _waiting(local: Local) -> bool:
    return ServiceStore(local.writer.opened().db).has("held")


def _portions(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(rows)
    while some := list(islice(rest, size)):
        yield some
