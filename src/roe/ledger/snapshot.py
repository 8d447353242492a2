"""The open holdings of a ledger as columns of numbers, and the copy of them that the ledger keeps so that they are read at once.

A million rows take seconds to read one by one, and a twentieth of that as one Arrow message. The copy says up to which entry it goes; the rows of
records about which anything was written since are read from the projection itself. So it is never wrong, and can be thrown away at any time.
Evaluators by rows read the projection; nothing but this module reads the copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.ledger.role_tables import Codes
from roe.ledger.store import Store

Array = Any
PLAIN = (  # -1 for none
    "subject", "entity", "role", "rep", "queue", "base_rep", "base_queue", "word", "grain", "former", "last_word", "last_grain",
)  # fmt: skip
CODED = {"start": pa.int64(), "base_at": pa.int64(), "until": pa.int64(), "decided": pa.string()}
_FIELDS = (
    "h.subject, s.entity, h.role, h.rep, h.queue, h.base_rep, h.base_queue, a.word, a.grain, a.former, d.word, d.grain, "
    "h.start, h.base_at, d.until, h.decided, s.record"
)
_FROM = "FROM holding h JOIN subject s ON s.id = h.subject JOIN entry a ON a.number = h.entry JOIN entry d ON d.number = h.decision"
STALE = 0.05  # as much of the rows as may differ before the copy is made anew
LEAST = 2_000  # rows below which no copy is worth it
SUBJECTS = 100_000  # whose rows are read together
CHUNK = 1 << 20  # bytes of a piece of the copy


class Rows:
    """Open holdings by entity, role and record. `number` is that of the last entry that they know, `changed` how many rows were not in the copy (-1: there was none)."""

    def __init__(self, records: pa.Array, columns: Mapping[str, Any], number: int, changed: int = 0) -> None:
        self.records, self.columns = records, columns  # those of `PLAIN` are numbers, those of `CODED` are `Codes`
        self.number, self.changed = number, changed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    def part(self, start: int, stop: int) -> Rows:
        columns = {n: Codes(x.at[start:stop], x.meaning) if isinstance(x, Codes) else x[start:stop] for n, x in self.columns.items()}
        return Rows(self.records.slice(start, stop - start), columns, self.number)


def read_rows(store: Store) -> Rows:
    """The open holdings as of the ledger's head: from the copy, and what was written since."""
    head = store.head()
    kept = _read_copy(store, head.epoch)
    if kept is None:
        return Rows(*_columns(_sorted(_read_all(store))), head.number, -1)
    table, number = kept
    if number == head.number:
        return Rows(*_columns(table), number)
    touched = np.array(
        [s for (s,) in store.db.rows("SELECT DISTINCT subject FROM entry WHERE number > ? AND subject IS NOT NULL", (number,))], np.int32
    )
    newer = _table(
        store.db.rows(
            f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject IN (SELECT subject FROM entry WHERE number > ?)", (number,)
        )
    )
    return Rows(*_merged(table, touched, newer), head.number, newer.num_rows)


def keep_rows(store: Store, wait: float, least: int = 0) -> bool:
    """Make the copy anew if much has changed since it was made; whether it was. `least` is how many rows there are at least, as far as known. Whoever has the lock for longer than `wait` seconds lets it be."""
    made = store.db.rows("SELECT max(number) FROM snapshot")
    if made[0][0] is not None and store.head().number - made[0][0] <= STALE * least:
        return False
    rows = read_rows(store)
    if len(rows) < LEAST or 0 <= rows.changed <= STALE * len(rows):
        return False
    body = _packed(rows)
    with store.writing(wait) as tx:
        if tx.head.number != rows.number:  # somebody has appended: what was read may be older than what it says
            return False
        store.db.run("DELETE FROM snapshot")
        pieces = [(i, rows.number, tx.head.epoch, body[at : at + CHUNK]) for i, at in enumerate(range(0, len(body), CHUNK))]
        store.db.many("INSERT INTO snapshot (piece, number, epoch, body) VALUES (?, ?, ?, ?)", pieces)
    return True


def _packed(rows: Rows) -> bytes:
    columns: dict[str, pa.Array] = {name: pa.array(rows[name]) for name in PLAIN}
    for name, kind in CODED.items():
        codes = rows[name]
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(codes.at, mask=codes.at < 0), pa.array(codes.meaning, kind))
    table = pa.table({**columns, "record": rows.records})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    body = bytes(sink.getvalue())
    return hashlib.sha256(body).digest() + body


def _read_copy(store: Store, epoch: str) -> tuple[pa.Table, int] | None:
    pieces = store.db.rows("SELECT number, body FROM snapshot WHERE epoch = ? ORDER BY piece", (epoch,))
    if not pieces:
        return None
    body = b"".join(bytes(x) for _, x in pieces)
    if hashlib.sha256(body[32:]).digest() != body[:32]:
        return None
    return pa.ipc.open_stream(body[32:]).read_all().combine_chunks(), int(pieces[0][0])


def _read_all(store: Store) -> pa.Table:
    last = store.db.rows("SELECT max(id) FROM subject")[0][0] or 0
    sql = f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject > ? AND h.subject <= ?"
    parts = [_table(store.db.rows(sql, (at, at + SUBJECTS))) for at in range(0, last, SUBJECTS)] or [_table([])]
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def _table(rows: Sequence[Any]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(PLAIN) + len(CODED) + 1)
    found: dict[str, pa.Array] = {}
    for name, values in zip(PLAIN, columns, strict=False):
        found[name] = pc.fill_null(pa.array(values, pa.int32()), -1)
    for (name, kind), values in zip(CODED.items(), columns[len(PLAIN) :], strict=False):
        found[name] = pa.array(values, kind).dictionary_encode()
    found["record"] = pa.array(["(forgotten)" if x is None else x for x in columns[-1]], pa.string())
    return pa.table(found)


def _sorted(table: pa.Table) -> pa.Table:
    order = pc.sort_indices(table, sort_keys=[("entity", "ascending"), ("role", "ascending"), ("record", "ascending")])
    return table.take(order).combine_chunks()


def _columns(table: pa.Table) -> tuple[pa.Array, dict[str, Any]]:
    """The ids of the records, and every other column."""
    columns: dict[str, Any] = {}
    for name in (*PLAIN, *CODED):
        column = table[name].combine_chunks()
        if name in CODED:
            columns[name] = Codes(pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False), column.dictionary.to_pylist())
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return table["record"].combine_chunks(), columns


def _merged(table: pa.Table, touched: Array, newer: pa.Table) -> tuple[pa.Array, dict[str, Any]]:
    """The rows of a copy with those of some subjects as they are now, in their places."""
    records, old = _columns(table)
    new_records, new = _columns(newer)
    is_touched = np.zeros(max(int(old["subject"].max(initial=0)), int(touched.max(initial=0))) + 1, bool)
    is_touched[touched] = True
    rows = np.flatnonzero(is_touched[old["subject"]])
    keys = zip(old["subject"][rows].tolist(), old["role"][rows].tolist(), strict=True)
    places = dict(zip(keys, rows.tolist(), strict=True))
    at = np.array([places.pop(key, -1) for key in zip(new["subject"].tolist(), new["role"].tolist(), strict=True)], np.int64)
    there, added = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
    merged = {name: _with(column, new[name], at[there], there) for name, column in old.items()}
    gone = np.fromiter(places.values(), np.int64, len(places))
    if not len(gone) and not len(added):
        return records, merged
    order = np.concatenate([np.delete(np.arange(len(records)), gone), len(records) + np.arange(len(added))])
    every = {name: _longer(column, new[name], added) for name, column in merged.items()}
    names = pa.concat_arrays([records, new_records.take(pa.array(added))])
    by = pa.table({"entity": every["entity"][order], "role": every["role"][order], "record": names.take(pa.array(order))})
    order = order[pc.sort_indices(by, sort_keys=[(name, "ascending") for name in by.column_names]).to_numpy()]
    return names.take(pa.array(order)), {
        name: Codes(x.at[order], x.meaning) if isinstance(x, Codes) else x[order] for name, x in every.items()
    }


def _with(column: Any, new: Any, at: Array, rows: Array) -> Any:
    """A column with some rows of another one at some places."""
    if isinstance(column, Codes):
        codes = column.at.copy()
        codes[at] = np.where(new.at[rows] < 0, -1, new.at[rows] + len(column.meaning))
        return Codes(codes, [*column.meaning, *new.meaning])
    values = column.copy()
    values[at] = new[rows]
    return values


def _longer(column: Any, new: Any, rows: Array) -> Any:
    """A column with some rows of another one after it, whose meaning `_with` has added already."""
    if not isinstance(column, Codes):
        return np.concatenate([column, new[rows]])
    shift = len(column.meaning) - len(new.meaning)
    return Codes(np.concatenate([column.at, np.where(new.at[rows] < 0, -1, new.at[rows] + shift)]), column.meaning)
