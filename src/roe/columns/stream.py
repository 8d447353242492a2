"""A large table decided in portions, so that memory does not grow with it.

A record can be decided without the others where no expression, pool or reference leads to another record of its table.
Then portions of the table, in the order of the ids, give what the whole table would. A file that is not in that order
is sorted first by DuckDB, on disk if need be.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.analysis.reads import reads
from roe.columns.load import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.columns.run import ColumnRun
from roe.data.coerce import columns_of
from roe.data.read import file_of
from roe.data.scan import Origin
from roe.data.shape import misshapen
from roe.evaluator.engine import Evaluator
from roe.plan.operators import Action, Derive
from roe.policy.model import Policy

PORTION = 500_000  # rows decided together
LARGE = 1_500_000  # rows from which portions are worth it


class OutOfOrder(Exception):
    """The ids are not in order after all: the table must be taken whole."""


def portions(evaluator: Evaluator, folder: Path, as_of: Any, state: Any) -> Iterator[ColumnRun] | None:
    """The runs of a large table's portions, or None where the data is to be taken whole."""
    policy = evaluator.policy
    if state or not folder.is_dir():
        return None
    decided = {entity for entity, _ in policy.plan.engagement}
    if len(decided) != 1:
        return None
    entity = decided.pop()
    path, _ = file_of(policy, entity, folder)
    if path is None or path.suffix.lower() != ".parquet" or not alone(policy, entity):
        return None
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        if file.metadata.num_rows < LARGE or misshapen(policy, entity, Origin(str(path), tuple(file.schema_arrow.names)), 1):
            return None
    except (pa.ArrowException, OSError):  # whoever reads the whole file says what is wrong with it
        return None
    others, found = read_columns(policy, folder, leave_out=(entity,))
    if found or _referred(policy, entity, others):
        return None
    return _portions(evaluator, entity, path, others, as_of)


def alone(policy: Policy, entity: str) -> bool:
    """Whether no rule or step of the entity leads to another of its records, or to a pool or claims that all share."""
    return (
        not routed(policy)
        and policy.plan.claims is None
        and not policy.plan.credits
        and not ranks(policy)
        and not any(leads_to(policy, entity, of, name) for of, name in reads(policy))
    )


def ranks(policy: Policy) -> bool:
    """Whether a step or an event looks at all records."""
    return bool(policy.plan.events) or any(isinstance(step, Derive) and step.among is not None for step in policy.plan.steps.values())


def routed(policy: Policy) -> bool:
    """Whether a rule hands records to a pool."""
    for step in policy.plan.engagement.values():
        for rule in step.rules:
            action = rule.value
            while isinstance(action, Action):
                if action.kind == "route":
                    return True
                action = action.otherwise
    return False


def leads_to(policy: Policy, entity: str, of: str, name: str) -> bool:
    """Whether a field of some entity is a record of another, or a list of its records."""
    f = policy.model.entities.get(of, {}).get(name)
    if f is None:
        return name in ("ultimate_parent", "matched_account") and entity == "account"
    return (f.type.name == "record" and f.type.entity == entity) or bool(f.via and f.type.item and f.type.item.entity == entity)


def _referred(policy: Policy, entity: str, others: dict[str, Raw]) -> bool:
    """Whether another table's rows name records of the entity."""
    for other, raw in others.items():
        fields = policy.model.entities[other]
        held = columns_of(other, fields, raw.columns, policy.model.roles())
        if any(f.type.name == "record" and f.type.entity == entity and name in held for name, f in fields.items()):
            return True
    return False


def _portions(evaluator: Evaluator, entity: str, path: Path, others: dict[str, Raw], as_of: Any) -> Iterator[ColumnRun]:
    from pyarrow import parquet

    policy = evaluator.policy
    file = parquet.ParquetFile(path)
    shown, names_there = path, file.schema_arrow.names
    names = columns_of(entity, policy.model.entities[entity], names_there, policy.model.roles())
    key = names.get("id")
    if key is None:
        raise OutOfOrder
    with tempfile.TemporaryDirectory() as scratch:
        if not _ordered(file, key):
            path = _sorted(path, key, Path(scratch) / "sorted.parquet")
            file = parquet.ParquetFile(path)
        at, last = 0, None
        habits = habits_of_file(policy, entity, file)
        origin = Origin(str(shown), tuple(names_there))
        numbered = "$line" in file.schema_arrow.names
        for table in _tables(file, key):
            lines = table["$line"].to_numpy() if numbered else np.arange(at + 1, at + table.num_rows + 1)
            at += table.num_rows
            raw = Raw.of_table(table.drop_columns(["$line"]) if numbered else table, lines, origin, habits)
            run = ColumnRun.of(evaluator, {**others, entity: raw}, as_of=as_of)
            ids = run.world.tables[entity].ids
            if len(ids):
                if last is not None and not last < ids[0].as_py():
                    raise OutOfOrder
                last = ids[-1].as_py()
            yield run


def _ordered(file: Any, key: str) -> bool:
    last = None
    for batch in file.iter_batches(batch_size=1 << 20, columns=[key]):
        ids = batch.column(0).cast(pa.string())
        if ids.null_count or not len(ids):
            return False
        raw = ids.cast(pa.binary())
        if not pc.all(pc.less(raw[:-1], raw[1:])).as_py() and len(ids) > 1:
            return False
        if last is not None and not last < ids[0].as_py():
            return False
        last = ids[-1].as_py()
    return True


def _sorted(path: Path, key: str, to: Path) -> Path:
    """The file in the order of its ids, with the records' numbers as `$line`."""
    try:
        import duckdb
    except ImportError as e:
        raise OutOfOrder from e
    quoted = key.replace('"', '""')
    con = duckdb.connect(config={"temp_directory": str(to.parent), "memory_limit": "1GB", "preserve_insertion_order": "false"})
    con.execute("SET enable_progress_bar = false")
    con.execute(
        f'COPY (SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS "$line" FROM read_parquet(?, file_row_number = true) '
        f"ORDER BY encode(\"{quoted}\"::VARCHAR), file_row_number) TO '{to.as_posix()}' (FORMAT parquet)",
        [str(path)],
    )
    con.close()
    return to


def _tables(file: Any, key: str) -> Iterator[pa.Table]:
    """Portions that end between two ids, so that records with one id stay together."""
    rest: pa.Table | None = None
    for batch in file.iter_batches(batch_size=PORTION):
        table = pa.Table.from_batches([batch])
        if rest is not None and rest.num_rows:
            table = pa.concat_tables([rest, table])
        ids = table[key].combine_chunks().cast(pa.string())
        cut = len(ids) - 1
        while cut > 0 and ids[cut - 1].as_py() == ids[len(ids) - 1].as_py():
            cut -= 1
        rest = table.slice(cut)
        if cut:
            yield table.slice(0, cut)
    if rest is not None and rest.num_rows:
        yield rest
