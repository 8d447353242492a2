"""A copy of who holds what, as the columns that engines read, which the ledger keeps so that they are read at once.

A million rows take seconds to read one by one, and a fiftieth of that as one Arrow message of codes. The copy says up to which entry it goes; the rows of
records about which anything was written since are read from the projection itself. So it is never wrong, and can be thrown away at any time.
Evaluators by rows read the projection; nothing but this module reads the copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Array, Saved, Values
from roe.ledger.columns import tables_of
from roe.ledger.open_rows import every_row, rows_since
from roe.ledger.role_tables import CODED, HOLDERS, Codes, Owners, RoleKey, RoleTable, T, without_records
from roe.ledger.store import Store

STALE = 0.05  # as much of the rows as may differ before the copy is made anew
LEAST = 2_000  # rows below which no copy is worth it
PAIRED = ("decided", "how")  # of the columns with codes those whose values are tuples
CHUNK = 1 << 20  # bytes of a piece of the copy
DIGEST = 32  # bytes of SHA-256 before a copy: one that is damaged is not read
Tables = Mapping[RoleKey, RoleTable]


def owners_of(store: Store) -> Owners:
    """Everybody who holds anything now: from the copy, and what was written since."""
    return _read(store)[0]


def _read(store: Store) -> tuple[Owners, int]:
    """The same, and how many rows were not in the copy; -1 where there is none."""
    head = store.head()
    copy = _read_copy(store, head.epoch)
    if copy is None:
        return Owners(tables_of(store, every_row(store)), head.number), -1
    tables, number = copy
    if number == head.number:
        return Owners(tables, number), 0
    touched, newer = rows_since(store, number)
    return Owners(_merged(tables, touched, tables_of(store, newer)), head.number), len(newer)


def keep_copy(store: Store, wait: float, least: int = 0) -> bool:
    """Make the copy anew if much has changed since it was made; whether it was. `least` is how many rows there are at least, as far as known. Whoever has the lock for longer than `wait` seconds lets it be."""
    made = store.db.rows("SELECT max(number) FROM snapshot")
    if made[0][0] is not None and store.head().number - made[0][0] <= STALE * least:
        return False
    owners, changed = _read(store)
    if owners.size < LEAST or 0 <= changed <= STALE * owners.size:
        return False
    body = _packed(owners.roles)
    with store.writing(wait) as tx:
        if tx.head.number != owners.number:  # somebody has appended: what was read may be older than what it says
            return False
        store.db.run("DELETE FROM snapshot")
        pieces = [(i, owners.number, tx.head.epoch, body[at : at + CHUNK]) for i, at in enumerate(range(0, len(body), CHUNK))]
        store.db.many("INSERT INTO snapshot (piece, number, epoch, body) VALUES (?, ?, ?, ?)", pieces)
    return True


# --- as bytes ---------------------------------------------------------------------------------------------------------


def _packed(tables: Tables) -> bytes:
    """Tables one below the other as columns of codes; the head says which lines are whose, and what the codes of each mean."""
    heads = [
        {"key": key, "rows": len(t), "holders": t.holders} | {name: getattr(t, name).meaning for name in CODED} for key, t in tables.items()
    ]
    schema = pa.schema([("record", pa.string()), *((name, pa.int32()) for name in ("subjects", *HOLDERS, *CODED))])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, schema.with_metadata({"tables": json.dumps(heads)}), options=pa.ipc.IpcWriteOptions(compression="lz4")
    ) as writer:
        for t in tables.values():
            codes = [t.subjects, *(getattr(t, name) for name in HOLDERS), *(getattr(t, name).at for name in CODED)]
            writer.write_table(pa.table([t.records, *(pa.array(x.astype(np.int32)) for x in codes)], schema=schema))
    body = bytes(sink.getvalue())
    return hashlib.sha256(body).digest() + body


def _read_copy(store: Store, epoch: str) -> tuple[Tables, int] | None:
    pieces = store.db.rows("SELECT number, body FROM snapshot WHERE epoch = ? ORDER BY piece", (epoch,))
    body = b"".join(bytes(x) for _, x in pieces)
    if not body or hashlib.sha256(memoryview(body)[DIGEST:]).digest() != body[:DIGEST]:
        return None
    rows = pa.ipc.open_stream(pa.py_buffer(body)[DIGEST:]).read_all()
    tables, start = {}, 0
    for head in json.loads(rows.schema.metadata[b"tables"]):
        entity, role = head["key"]
        tables[entity, role] = _unpacked(entity, role, head, rows.slice(start, head["rows"]).combine_chunks())
        start += head["rows"]
    return tables, int(pieces[0][0])


def _unpacked(entity: str, role: str, head: Saved, rows: pa.Table) -> RoleTable:
    columns: Values = {name: rows[name].to_numpy() for name in ("subjects", *HOLDERS)}
    for name in CODED:
        meaning = head[name] if name not in PAIRED else [tuple(x) for x in head[name]]  # JSON has no tuples
        columns[name] = Codes(rows[name].to_numpy(), meaning)
    return RoleTable(entity, role, rows["record"].combine_chunks(), head["holders"], **columns)


# --- with what was written since --------------------------------------------------------------------------------------


def _merged(old: Tables, touched: list[int], new: Tables) -> Tables:
    """Tables with the rows of the subjects that were `touched` as they are in `new`."""
    last = max([*touched, *(int(t.subjects.max(initial=0)) for t in old.values())], default=0)
    is_touched = np.zeros(last + 1, bool)
    is_touched[touched] = True
    every = {
        key: _with_newer(old.get(key) or without_records(*key), is_touched, new.get(key) or without_records(*key)) for key in {**old, **new}
    }
    return {key: table for key, table in sorted(every.items()) if len(table)}


def _with_newer(old: RoleTable, is_touched: Array, new: RoleTable) -> RoleTable:
    """A table with the rows of `new` in their places, and without those of other subjects that were touched."""
    rows = np.flatnonzero(is_touched[old.subjects])
    if not len(rows) and not len(new):
        return old
    places = dict(zip(old.subjects[rows].tolist(), rows.tolist(), strict=True))
    at = np.array([places.pop(subject, -1) for subject in new.subjects.tolist()], np.int64)
    there, added = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
    records, order = old.records, None
    if len(added) or places:  # otherwise the rows are where they were
        records = pa.concat_arrays([records, new.records.take(pa.array(added))])
        left = np.delete(np.arange(len(records)), list(places.values()))
        order = left[pc.sort_indices(records.take(pa.array(left))).to_numpy()]
        records = records.take(pa.array(order))

    def joined(one: Array, other: Array) -> Array:
        every = np.concatenate([one, other[added]])
        every[at[there]] = other[there]
        return every if order is None else every[order]

    def coded(one: Codes[T], other: Codes[T]) -> Codes[T]:
        numbers = {x: i for i, x in enumerate(one.meaning)}
        again = np.array([*(numbers.setdefault(x, len(numbers)) for x in other.meaning), -1], np.int32)
        return Codes(joined(one.at, again[other.at]), list(numbers))

    holders = {name: coded(Codes(getattr(old, name), old.holders), Codes(getattr(new, name), new.holders)) for name in HOLDERS}
    columns: Values = {name: x.at for name, x in holders.items()} | {name: coded(getattr(old, name), getattr(new, name)) for name in CODED}
    columns["subjects"] = joined(old.subjects, new.subjects)
    return replace(old, records=records, holders=list(holders["holder"].meaning), **columns)
