"""What a task of a Spark run does: the policy and tables arrive as bytes, some records as Arrow, and a function decides them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
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

ROWS_A_TASK = 200_000
LINE = "$line"
Decide = Callable[..., pa.Table]  # (evaluator, as of a moment, tables by entity, memory, whole=whether they are all) -> what the task sends
Task = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
Whole = tuple[Mapping[str, Habits] | None, str]  # what the whole columns of a table settle, and its file
Chunk = tuple[int, int, int]  # the first row group, the one after the last, and the rows before them


def sent(tables: dict[str, Raw]) -> bytes:
    """Tables as bytes that any process can read: Arrow where it can, JSON for columns of mixed values."""
    held = []
    for entity, raw in tables.items():
        arrays = {k: pa.array([json.dumps(x) for x in c]) if isinstance(c, list) else c for k, c in raw.columns.items()}
        table = pa.table({**arrays, "$line": raw.lines}).replace_schema_metadata(
            {"mixed": json.dumps([k for k, c in raw.columns.items() if isinstance(c, list)])}
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        o = raw.origin
        held.append([entity, sink.getvalue().to_pybytes().hex(), [o.shown, o.header, o.rejects, o.blank, o.notes]])
    return json.dumps(held).encode()


def received(text: bytes) -> dict[str, Raw]:
    raws = {}
    for entity, held, (path, header, rejects, blank, notes) in json.loads(text):
        table = pa.ipc.open_stream(bytes.fromhex(held)).read_all()
        mixed = json.loads((table.schema.metadata or {}).get(b"mixed", b"[]"))
        raw = Raw.of_table(table.drop_columns(["$line"]), table["$line"].to_numpy())
        columns = {k: [json.loads(x) for x in pa.array(c).to_pylist()] if k in mixed else c for k, c in raw.columns.items()}
        origin = TableOrigin(path, tuple(header), [(line, what, why) for line, what, why in rejects], blank, notes)
        raws[entity] = Raw(columns, table.num_rows, raw.lines, origin)
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


def of_bucket(decide: Decide, policy: bytes, as_of: str, others: bytes, rest: bytes, entity: str, whole: dict[str, Whole]) -> Task:
    """A task for the records of an entity that one bucket has, with those that refer to them (`whole` has both, in the order of their
    columns), and with what the memory knows of them.
    """

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow.compute as pc

        held = list(batches)
        if not held:
            return
        table = pa.Table.from_batches(held)
        tables = received(others)
        rows = {}
        for number, of in enumerate((*whole, MEMORY)):
            mine = table.filter(pc.equal(table["$entity"], of))
            rows[of] = pa.table({c.split("|", 1)[1]: mine[c] for c in mine.column_names if c.startswith(f"{number}|")})
        for of, (habits, path) in whole.items():
            own = rows[of].sort_by(LINE)
            lines = own[LINE].combine_chunks().to_numpy(zero_copy_only=False)
            tables[of] = Raw.of_table(own.drop_columns([LINE]), lines, TableOrigin(path), habits)
        state = state_of(entity, rows[MEMORY], received_state(rest))
        yield from decide(received_policy(policy), as_of, tables, state).to_batches()

    return task


def of_records(decide: Decide, policy: bytes, as_of: str, others: bytes, state: bytes, whole: Whole, entity: str) -> Task:
    """One task for all records of an entity that others sent, with their lines."""
    habits, path = whole

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = list(batches)
        rows = pa.Table.from_batches(held).sort_by(LINE) if held else pa.table({LINE: pa.array([], pa.int64())})
        lines = rows[LINE].to_numpy()
        raw = Raw.of_table(rows.drop_columns([LINE]), lines, TableOrigin(path, ()), habits)
        yield from decide(received_policy(policy), as_of, {**received(others), entity: raw}, received_state(state)).to_batches()

    return task


def of_all(decide: Decide, policy: bytes, as_of: str, tables: bytes, state: bytes) -> Task:
    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        yield from decide(received_policy(policy), as_of, received(tables), received_state(state), whole=True).to_batches()

    return task


def of_row_groups(
    decide: Decide,
    policy: bytes,
    as_of: str,
    others: bytes,
    rest: bytes,
    whole: Whole,
    place: tuple[str, str, list[Chunk]],
) -> Task:
    """A task that reads its row groups itself, and decides them in portions: no record goes through the JVM."""
    (habits, shown), (entity, path, chunks) = whole, place

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyarrow import parquet

        for number in [n for batch in batches for n in batch.column(0).to_pylist()]:
            first, after, before = chunks[number]
            rows = parquet.ParquetFile(path).read_row_groups(list(range(first, after)))
            for start in range(0, max(rows.num_rows, 1), ROWS_A_TASK):
                some = rows.slice(start, ROWS_A_TASK)
                lines = np.arange(before + start + 1, before + start + some.num_rows + 1)
                tables = {**received(others), entity: Raw.of_table(some, lines, TableOrigin(shown), habits)}
                yield from decide(received_policy(policy), as_of, tables, received_state(rest)).to_batches()

    return task
