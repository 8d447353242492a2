"""What a task of a Spark run does: the policy and tables arrive as bytes, some records as Arrow, and a function decides them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from roe.columns.raw import Raw
from roe.data.habits import Habits
from roe.data.scan import TableOrigin
from roe.evaluator.engine import Evaluator
from roe.files import read_text
from roe.policy.model import Policy
from roe.policy.store import PolicyReader, write_policy
from roe.policy.worked_out import WorkedOut, remember
from roe.spark.memory import MEMORY, received_state, state_of
from roe.spark.parcels import KEY, LINE, MOST, Key, as_bytes, buckets_of, keys_in, of_bytes, opened, packed, raw_of, table_of

ROWS_A_TASK = 200_000
HANDED, SAID, WAITING = "$handed", "$said", "$waiting"  # parcels of what pools gave, of what is for the driver, and of records that wait
Decide = Callable[..., pa.Table]  # (evaluator, as of a moment, tables by entity, memory, whole=whether they are all) -> what the task sends
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Shared:
    """A table that is shared out: its file, its columns with `LINE`, how its rows name their record, and what its whole columns settle."""

    shown: str
    schema: pa.Schema
    key: Key
    habits: Mapping[str, Habits] | None

    def raw(self, rows: pa.Table | None) -> Raw:
        """Some of its rows."""
        return raw_of(self.schema.empty_table() if rows is None else rows, TableOrigin(self.shown), self.habits)


@dataclass(frozen=True)
class Piece:
    """Row groups of a Parquet file: of whose records, from which group to which, and the rows before them."""

    entity: str
    path: str
    first: int
    after: int
    before: int

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Its rows with their lines."""
        from pyarrow import parquet

        rows = parquet.ParquetFile(self.path).read_row_groups(list(range(self.first, self.after)), columns=columns)
        rows = rows.replace_schema_metadata(None)  # which would go with every parcel
        return rows.append_column(LINE, pa.array(np.arange(self.before + 1, self.before + rows.num_rows + 1)))


def sent(tables: dict[str, Raw]) -> bytes:
    """Tables as bytes that any process can read."""
    held = []
    for entity, raw in tables.items():
        o = raw.origin
        held.append([entity, as_bytes(table_of(raw)).hex(), [o.shown, o.header, o.rejects, o.blank, o.notes]])
    return json.dumps(held).encode()


def received(text: bytes) -> dict[str, Raw]:
    raws = {}
    for entity, held, (path, header, rejects, blank, notes) in json.loads(text):
        origin = TableOrigin(path, tuple(header), [(line, what, why) for line, what, why in rejects], blank, notes)
        raws[entity] = raw_of(of_bytes(bytes.fromhex(held)), origin)
    return raws


def sent_policy(policy: Policy) -> bytes:
    """A policy as bytes: its plan, the texts in which that stands, and what has been worked out from it. A task need not read it again, which
    takes longer for a thousand rules than to decide a hundred thousand records.
    """
    texts = {
        name: read_text(policy.root / name, name, 1 << 30)[0] or ""
        for name in {"policy.yaml", *policy.files}
        if name.endswith((".yaml", ".yml"))
    }
    known = {} if policy.worked_out is None else policy.worked_out.values
    return json.dumps({"root": str(policy.root), "policy": write_policy(policy), "texts": texts, "known": known}).encode()


@lru_cache(maxsize=2)
def received_policy(text: bytes) -> Evaluator:
    """The policy, ready to decide: once for each Python worker."""
    held = json.loads(text)
    policy = PolicyReader(held["policy"], Path(held["root"]), held["texts"]).policy()
    if held["known"]:
        remember(policy, WorkedOut(None, "", held["known"]))
    return Evaluator(policy)


# --- who gets what ------------------------------------------------------------------------------------------------------


def to_buckets(pieces: list[Piece], tables: Mapping[str, Shared], number: int, keys_alone: bool) -> Task:
    """A task that reads some pieces, and sends their rows on to `number` tasks, or only the keys of these."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for piece in _of(pieces, batches):
            key = tables[piece.entity].key
            rows = piece.read([key.column] if keys_alone and key.column is not None else None)
            yield from parcels_of(piece.entity, key, rows, number, keys_alone).to_batches()

    return task


def parcels_of(entity: str, key: Key, rows: pa.Table, number: int, keys_alone: bool = False) -> pa.Table:
    """The rows of a table, or only their keys, as parcels for `number` tasks."""
    keys = key.of(rows)
    return packed(entity, pa.table({KEY: keys}) if keys_alone else rows, buckets_of(keys, number), MOST)


def of_keys(entity: str) -> Task:
    """A task that looks at the keys of its records (see `keys_in`)."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for found in keys_in(batches, entity):
            yield pa.RecordBatch.from_arrays([pa.array([x]) for x in found], list(KEYS_SAY))

    return task


KEYS_SAY = ("is_own", "is_closed")


def _of(pieces: list[Piece], batches: Iterator[pa.RecordBatch]) -> Iterator[Piece]:
    """The pieces whose numbers a task was given."""
    return (pieces[number] for batch in batches for number in batch.column(0).to_pylist())


# --- deciding -----------------------------------------------------------------------------------------------------------


def of_bucket(
    decide: Decide, policy: bytes, as_of: str, others: bytes, rest: bytes, entity: str, shared: Mapping[str, Shared], sends: str = ""
) -> Task:
    """A task for the records of an entity that one bucket has, with those that refer to them, with what the memory knows of them, and what
    pools gave them. What it finds out goes on as parcels if they have a name (`sends`).
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for bucket, tables in opened(batches):
            own = {of: table.raw(tables.get(of)) for of, table in shared.items()}
            if HANDED in tables:
                own[HANDED] = Raw.of_table(tables[HANDED])
            state = state_of(entity, tables.get(MEMORY), received_state(rest))
            found = decide(received_policy(policy), as_of, {**received(others), **own}, state)
            yield from (packed(sends, found, np.full(len(found), bucket)) if sends else found).to_batches()

    return task


def of_records(decide: Decide, policy: bytes, as_of: str, others: bytes, state: bytes, shared: Shared, entity: str) -> Task:
    """One task for all records of an entity that others sent, with their lines. Whoever sent a record gets what becomes of it."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [(tables[WAITING], np.full(len(tables[WAITING]), bucket)) for bucket, tables in opened(batches)]
        rows = pa.concat_tables([table for table, _ in held]) if held else shared.schema.empty_table()
        lines, buckets = rows[LINE].to_numpy(), np.concatenate([bucket for _, bucket in held]) if held else np.array([], np.int64)
        order = np.argsort(lines)
        raw = raw_of(rows.take(pa.array(order)), TableOrigin(shared.shown), shared.habits)
        given = decide(received_policy(policy), as_of, {**received(others), entity: raw}, received_state(state))
        for of, table in given.items():
            back = (
                buckets[order][np.searchsorted(lines[order], table[LINE].to_numpy())]
                if LINE in table.column_names
                else np.zeros(len(table))
            )
            yield from packed(of, table, back).to_batches()

    return task


def of_all(decide: Decide, policy: bytes, as_of: str, tables: bytes, state: bytes) -> Task:
    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield from decide(received_policy(policy), as_of, received(tables), received_state(state), whole=True).to_batches()

    return task


def of_pieces(decide: Decide, policy: bytes, as_of: str, others: bytes, rest: bytes, shared: Shared, pieces: list[Piece]) -> Task:
    """A task that reads its pieces itself, and decides them in portions: no record goes through the JVM."""

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for piece in _of(pieces, batches):
            rows = piece.read()
            for start in range(0, max(rows.num_rows, 1), ROWS_A_TASK):
                tables = {**received(others), piece.entity: shared.raw(rows.slice(start, ROWS_A_TASK))}
                yield from decide(received_policy(policy), as_of, tables, received_state(rest)).to_batches()

    return task
