"""The open holdings of a ledger as columns of numbers, and the copy of them that the ledger keeps so that they are read at once.

A million rows take seconds to read one by one, and a twentieth of that as one Arrow message. The copy says up to which entry it goes; the rows of
records about which anything was written since are read from the projection itself. So it is never wrong, and can be thrown away at any time.
Evaluators by rows read the projection; nothing but this module reads the copy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Array, Value
from roe.ledger.database import Row
from roe.ledger.entry import FORGOTTEN
from roe.ledger.role_tables import Codes
from roe.ledger.store import Store

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


@dataclass(frozen=True, slots=True)
class Rows:
    """Open holdings by entity, role and record. `numbers` are the columns of `PLAIN` as int[rows], `codes` those of `CODED`.

    `number` is that of the last entry that they know, `changed` how many rows were not in the copy (-1: there was none).
    """

    records: pa.Array
    numbers: Mapping[str, Array]
    codes: Mapping[str, Codes[Value]]
    number: int = 0
    changed: int = 0

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> Array:
        return self.numbers[name]

    def between(self, start: int, stop: int) -> Rows:
        numbers = {name: values[start:stop] for name, values in self.numbers.items()}
        codes = {name: Codes(x.at[start:stop], x.meaning) for name, x in self.codes.items()}
        return Rows(self.records.slice(start, stop - start), numbers, codes, self.number)

    def take(self, order: Array) -> Rows:
        numbers = {name: values[order] for name, values in self.numbers.items()}
        codes = {name: Codes(x.at[order], x.meaning) for name, x in self.codes.items()}
        return Rows(self.records.take(pa.array(order)), numbers, codes)


def read_rows(store: Store) -> Rows:
    """The open holdings as of the ledger's head: from the copy, and what was written since."""
    head = store.head()
    copy = _read_copy(store, head.epoch)
    if copy is None:
        return replace(_rows(_sorted(_read_all(store))), number=head.number, changed=-1)
    table, number = copy
    if number == head.number:
        return replace(_rows(table), number=number)
    subjects = store.db.rows("SELECT DISTINCT subject FROM entry WHERE number > ? AND subject IS NOT NULL", (number,))
    touched = np.array([subject for (subject,) in subjects], np.int32)
    newer = store.db.rows(
        f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject IN (SELECT subject FROM entry WHERE number > ?)", (number,)
    )
    return replace(_merged(_rows(table), touched, _rows(_table(newer))), number=head.number, changed=len(newer))


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
        codes = rows.codes[name]
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


def _table(rows: Sequence[Row]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(PLAIN) + len(CODED) + 1)
    arrays: dict[str, pa.Array] = {}
    for name, values in zip(PLAIN, columns, strict=False):
        arrays[name] = pc.fill_null(pa.array(values, pa.int32()), -1)
    for (name, kind), values in zip(CODED.items(), columns[len(PLAIN) :], strict=False):
        arrays[name] = pa.array(values, kind).dictionary_encode()
    arrays["record"] = pa.array([FORGOTTEN if x is None else x for x in columns[-1]], pa.string())
    return pa.table(arrays)


def _sorted(table: pa.Table) -> pa.Table:
    order = pc.sort_indices(table, sort_keys=[("entity", "ascending"), ("role", "ascending"), ("record", "ascending")])
    return table.take(order).combine_chunks()


def _rows(table: pa.Table) -> Rows:
    numbers = {name: table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in PLAIN}
    coded = {name: table[name].combine_chunks() for name in CODED}
    codes = {name: Codes(pc.fill_null(x.indices, -1).to_numpy(zero_copy_only=False), x.dictionary.to_pylist()) for name, x in coded.items()}
    return Rows(table["record"].combine_chunks(), numbers, codes)


def _merged(old: Rows, touched: Array, new: Rows) -> Rows:
    """The rows of a copy with those of some subjects as they are now, in their places."""
    is_touched = np.zeros(max(int(old["subject"].max(initial=0)), int(touched.max(initial=0))) + 1, bool)
    is_touched[touched] = True
    rows = np.flatnonzero(is_touched[old["subject"]])
    keys = zip(old["subject"][rows].tolist(), old["role"][rows].tolist(), strict=True)
    places = dict(zip(keys, rows.tolist(), strict=True))
    at = np.array([places.pop(key, -1) for key in zip(new["subject"].tolist(), new["role"].tolist(), strict=True)], np.int64)
    there, added = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
    gone = np.fromiter(places.values(), np.int64, len(places))
    every = _with(old, at[there], new, there, added)
    if not len(gone) and not len(added):
        return every
    left = np.concatenate([np.delete(np.arange(len(old)), gone), len(old) + np.arange(len(added))])
    by = pa.table({"entity": every["entity"][left], "role": every["role"][left], "record": every.records.take(pa.array(left))})
    return every.take(left[pc.sort_indices(by, sort_keys=[(name, "ascending") for name in by.column_names]).to_numpy()])


def _with(old: Rows, places: Array, new: Rows, there: Array, added: Array) -> Rows:
    """Rows in which those at `places` are the rows `there` of `new`, and which have the rows `added` of `new` at their end."""
    numbers, codes = {}, {}
    for name, column in old.numbers.items():
        numbers[name] = np.concatenate([column, new[name][added]])
        numbers[name][places] = new[name][there]
    for name, coded in old.codes.items():
        newer = new.codes[name]
        shifted = np.where(newer.at < 0, -1, newer.at + len(coded.meaning))
        at = np.concatenate([coded.at, shifted[added]])
        at[places] = shifted[there]
        codes[name] = Codes(at, [*coded.meaning, *newer.meaning])
    records = pa.concat_arrays([old.records, new.records.take(pa.array(added))]) if len(added) else old.records
    return Rows(records, numbers, codes)
