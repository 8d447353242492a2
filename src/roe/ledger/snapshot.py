"""The open holdings of a ledger as columns of numbers, and the copy of them that the ledger keeps so that they are read at once.

A million rows take seconds to read one by one, and a twentieth of that as one Arrow message. The copy says up to which entry it goes; the rows of
records about which anything was written since are read from the projection itself. So it is never wrong, and can be thrown away at any time.
Evaluators by rows read the projection; nothing but this module reads the copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.ledger.store import Store

Array = Any
PLAIN = (
    "subject",
    "entity",
    "role",
    "rep",
    "queue",
    "base_rep",
    "base_queue",
    "word",
    "grain",
    "former",
    "last_word",
    "last_grain",
)  # -1 for none
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


@dataclass(slots=True)
class Codes:
    """A column of few distinct values: for each row the place of its value in `meaning`, or -1 for none."""

    at: Array
    meaning: Sequence[Any]

    def __getitem__(self, row: int) -> Any:
        code = int(self.at[row])
        return None if code < 0 else self.meaning[code]


class Rows:
    """Open holdings by entity, role and record. `number` is that of the last entry that they know, `reps` what the ids of reps mean (None: forgotten)."""

    def __init__(self, table: pa.Table, number: int, reps: dict[int, str | None], changed: int = 0) -> None:
        self.table, self.number, self.reps = table, number, reps
        self.changed = changed  # rows that were not in the copy

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> Any:
        column = self.table[name].combine_chunks() if isinstance(self.table[name], pa.ChunkedArray) else self.table[name]
        if name in CODED:
            return Codes(pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False), column.dictionary.to_pylist())
        return column.to_numpy(zero_copy_only=False)

    @property
    def records(self) -> pa.Array:
        column = self.table["record"]
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def part(self, start: int, stop: int) -> Rows:
        return Rows(self.table.slice(start, stop - start), self.number, self.reps)


def read_rows(store: Store) -> Rows:
    """The open holdings as of the ledger's head: from the copy, and what was written since."""
    head = store.head()
    kept = _read_copy(store, head.epoch)
    if kept is None:
        return Rows(_sorted(_read_all(store)), head.number, _reps(store), -1)
    table, number = kept
    if number == head.number:
        return Rows(table, number, _reps(store))
    touched = np.array(
        [s for (s,) in store.db.rows("SELECT DISTINCT subject FROM entry WHERE number > ? AND subject IS NOT NULL", (number,))], np.int32
    )
    newer = _table(
        store.db.rows(
            f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject IN (SELECT subject FROM entry WHERE number > ?)", (number,)
        )
    )
    return Rows(_merged(table, touched, newer), head.number, _reps(store), newer.num_rows)


def keep_rows(store: Store, wait: float) -> bool:
    """Make the copy anew if much has changed since it was made; whether it was. Whoever has the lock for longer than `wait` seconds lets it be."""
    rows = read_rows(store)
    if len(rows) < LEAST or 0 <= rows.changed <= STALE * len(rows):
        return False
    body = _packed(rows.table)
    with store.writing(wait) as tx:
        if tx.head.number != rows.number:  # somebody has appended: what was read may be older than what it says
            return False
        store.db.run("DELETE FROM snapshot")
        pieces = [(i, rows.number, tx.head.epoch, body[at : at + CHUNK]) for i, at in enumerate(range(0, len(body), CHUNK))]
        store.db.many("INSERT INTO snapshot (piece, number, epoch, body) VALUES (?, ?, ?, ?)", pieces)
    return True


def _packed(table: pa.Table) -> bytes:
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


def _reps(store: Store) -> dict[int, str | None]:
    kind = store._word_or_none("rep")
    return dict(store.db.rows("SELECT id, record FROM subject WHERE entity = ?", (kind or 0,)))


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


def _merged(table: pa.Table, touched: Array, newer: pa.Table) -> pa.Table:
    """The rows of a copy with those of some subjects as they are now. Rows that are only newer stay where they were."""
    subjects, roles = (table[name].combine_chunks().to_numpy() for name in ("subject", "role"))
    size = max(int(subjects.max(initial=0)), int(touched.max(initial=0))) + 1
    is_touched = np.zeros(size, bool)
    is_touched[touched] = True
    old = np.flatnonzero(is_touched[subjects])
    places = {(s, r): i for s, r, i in zip(subjects[old].tolist(), roles[old].tolist(), old.tolist(), strict=True)}
    keys = zip(newer["subject"].to_pylist(), newer["role"].to_pylist(), strict=True)
    at = [places.pop(key, -1) for key in keys]
    both = pa.concat_tables([table, newer]).unify_dictionaries()
    order = np.arange(table.num_rows)
    of_new = np.arange(len(at)) + table.num_rows
    there = np.array(at, np.int64)
    order[there[there >= 0]] = of_new[there >= 0]
    gone = np.fromiter(places.values(), np.int64, len(places))
    if not len(gone) and (there >= 0).all():
        return both.take(pa.array(order)).combine_chunks()
    order = np.concatenate([np.delete(order, gone), of_new[there < 0]])
    return _sorted(both.take(pa.array(order)))
