"""The open holdings of a ledger as columns of numbers, read from its projection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    "h.subject, s.entity, h.role, h.rep, h.queue, h.base_rep, h.base_queue, h.word, h.grain, a.former, h.last_word, d.grain, "
    "h.start, h.base_at, d.until, h.decided, s.record"
)
_FROM = "FROM holding h JOIN subject s ON s.id = h.subject JOIN entry a ON a.number = h.entry JOIN entry d ON d.number = h.decision"
SUBJECTS = 100_000  # whose rows are read together


@dataclass(frozen=True, slots=True)
class OpenRows:
    """Open holdings by entity, role and record. `numbers` are the columns of `PLAIN` as int[rows], `codes` those of `CODED`."""

    records: pa.Array
    numbers: Mapping[str, Array]
    codes: Mapping[str, Codes[Value]]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> Array:
        return self.numbers[name]

    def between(self, start: int, stop: int) -> OpenRows:
        numbers = {name: values[start:stop] for name, values in self.numbers.items()}
        codes = {name: Codes(x.at[start:stop], x.meaning) for name, x in self.codes.items()}
        return OpenRows(self.records.slice(start, stop - start), numbers, codes)


def every_row(store: Store) -> OpenRows:
    """All open holdings."""
    last = store.db.rows("SELECT max(id) FROM subject")[0][0] or 0
    sql = f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject > ? AND h.subject <= ?"
    parts = [_table(store.db.rows(sql, (at, at + SUBJECTS))) for at in range(0, last, SUBJECTS)] or [_table([])]
    return _rows(_sorted(pa.concat_tables(parts).unify_dictionaries()))


def rows_since(store: Store, number: int) -> tuple[list[int], OpenRows]:
    """The subjects about which anything was written after an entry, and their open holdings."""
    subjects = store.db.rows("SELECT DISTINCT subject FROM entry WHERE number > ? AND subject IS NOT NULL", (number,))
    newer = store.db.rows(
        f"SELECT {_FIELDS} {_FROM} WHERE h.stop IS NULL AND h.subject IN (SELECT subject FROM entry WHERE number > ?)", (number,)
    )
    return [subject for (subject,) in subjects], _rows(_sorted(_table(newer)))


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


def _rows(table: pa.Table) -> OpenRows:
    numbers = {name: table[name].combine_chunks().to_numpy(zero_copy_only=False) for name in PLAIN}
    coded = {name: table[name].combine_chunks() for name in CODED}
    codes = {name: Codes(pc.fill_null(x.indices, -1).to_numpy(zero_copy_only=False), x.dictionary.to_pylist()) for name, x in coded.items()}
    return OpenRows(table["record"].combine_chunks(), numbers, codes)
