"""A large table decided in portions, so that memory does not grow with it.

A record can be decided without the others where no expression, pool or reference leads to another record of its table.
Then portions of the table, in the order of the ids, give what the whole table would. A file that is not in that order
is sorted first by DuckDB, on disk if need be.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.raw import Raw
from roe.columns.read import habits_of_file
from roe.columns.run import ColumnRun
from roe.crm.ids import fold_all
from roe.data.headers import columns_of
from roe.data.lookup_sql import quoted, quoted_path, quoted_text
from roe.data.read import file_of
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.evaluator.engine import Evaluator
from roe.plan.operators import Derive, Relate
from roe.policy.model import Policy
from roe.policy.reads import reads_through

if TYPE_CHECKING:
    import pyarrow.parquet as pq


PORTION = 500_000  # rows decided together
LARGE = 1_500_000  # rows from which portions are worth it


@dataclass
class Portioned:
    """A table that can be decided in portions: its file, the other tables, and whether the file must be sorted first."""

    entity: str
    path: Path
    key: str  # the column of the ids
    others: dict[str, Raw]
    sort: bool


def portioned(policy: Policy, entity: str, path: Path, others: dict[str, Raw]) -> Portioned | str:
    """How to take a Parquet file in portions; or, as a text, why that would not give what the whole gives."""
    from pyarrow import parquet

    if _referred(policy, entity, others):
        return "other tables name its records"
    file = parquet.ParquetFile(path)
    key = columns_of(entity, policy.model.entities[entity], file.schema_arrow.names, policy.model.roles()).get("id")
    if key is None:
        return "it has no column of ids"
    order = _order(file, key)
    if order == PLAIN and find_spec("duckdb") is None:
        return "its ids are not in order, and sorting a large file needs the package duckdb"
    return NO_ORDER if order == OTHER else Portioned(entity, path, key, others, order == PLAIN)


def large_file(policy: Policy, entity: str, folder: Path) -> Path | None:
    """The Parquet file of an entity's records, if it is sound and so large that portions are worth it."""
    path, _ = file_of(policy, entity, folder)
    if path is None or path.suffix.lower() != ".parquet":
        return None
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        sound = not misshapen(policy, entity, TableOrigin(str(path), tuple(file.schema_arrow.names)), 1)
        return path if sound and file.metadata.num_rows >= LARGE else None
    except (pa.ArrowException, OSError):  # whoever reads the whole file says what is wrong with it
        return None


def portions(evaluator: Evaluator, table: Portioned, as_of: date | datetime | str) -> Iterator[ColumnRun]:
    """The runs of a table's portions, in the order of the ids."""
    from pyarrow import parquet

    policy, entity = evaluator.policy, table.entity
    with tempfile.TemporaryDirectory() as scratch:
        path = _sorted(table.path, table.key, Path(scratch) / "sorted.parquet") if table.sort else table.path
        names = tuple(parquet.ParquetFile(table.path).schema_arrow.names)
        file = parquet.ParquetFile(path)
        habits = habits_of_file(policy, entity, file)
        at = 0
        for rows in _tables(file, table.key):
            lines = rows["$line"].to_numpy() if table.sort else np.arange(at + 1, at + rows.num_rows + 1)
            at += rows.num_rows
            raw = Raw.of_table(rows.drop_columns(["$line"]) if table.sort else rows, lines, TableOrigin(str(table.path), names), habits)
            yield ColumnRun.of(evaluator, {**table.others, entity: raw}, as_of=as_of)


def alone(policy: Policy, entity: str) -> bool:
    """Whether no rule or step of the entity leads to another of its records, or to a pool or claims that all share."""
    return (
        not policy.plan.takes_turns()
        and policy.plan.claims is None
        and not policy.plan.credits
        and not ranks(policy)
        and not any(leads_to(policy, entity, of, name) for of, name in reads_through(policy))
    )


def ranks(policy: Policy) -> bool:
    """Whether a step or an event looks at all records."""
    return bool(policy.plan.events) or any(isinstance(step, Derive) and step.among is not None for step in policy.plan.steps.values())


def leads_to(policy: Policy, entity: str, of: str, name: str) -> bool:
    """Whether a field of some entity is a record of another, or a list of its records."""
    f = policy.model.entities.get(of, {}).get(name)
    if f is None:
        step = policy.plan.steps.get((of, name))
        return isinstance(step, Relate) and step.target == entity
    return (f.type.name == "record" and f.type.entity == entity) or bool(f.via and f.type.item and f.type.item.entity == entity)


def _referred(policy: Policy, entity: str, others: dict[str, Raw]) -> bool:
    """Whether another table's rows name records of the entity."""
    for other, raw in others.items():
        fields = policy.model.entities[other]
        held = columns_of(other, fields, raw.columns, policy.model.roles())
        if any(f.type.name == "record" and f.type.entity == entity and name in held for name, f in fields.items()):
            return True
    return False


ORDERED, PLAIN, OTHER = "ordered", "plain", "other"
NO_ORDER = "its ids are in no order that portions could follow"
PLAIN_ID = "^([!-~]([ -~]*[!-~])?)?$"  # a text that means itself: nothing is trimmed, folded to another case or recomposed


def _order(file: pq.ParquetFile, key: str) -> str:
    """Whether all ids are plain texts, so that sorting them sorts the records, and whether they are in order already.

    Of one record's two forms of an id the short one comes first, and nothing can stand between them.
    """
    last, ordered = None, True
    for batch in file.iter_batches(batch_size=1 << 20, columns=[key]):
        column = batch.column(0).cast(pa.string())
        ids = column.drop_null()
        ordered = ordered and not column.null_count
        if not pc.all(pc.match_substring_regex(ids, PLAIN_ID), min_count=0).as_py():
            return OTHER
        if len(ids):
            raw = fold_all(ids).cast(pa.binary())
            ordered = ordered and (last is None or last < raw[0].as_py())
            ordered = ordered and (len(ids) == 1 or pc.all(pc.less(raw[:-1], raw[1:])).as_py())
            last = raw[-1].as_py()
    return ORDERED if ordered else PLAIN


def _sorted(path: Path, key: str, to: Path) -> Path:
    """The file in the order of its ids, with the records' numbers as `$line`."""
    import duckdb

    con = duckdb.connect(config={"temp_directory": str(to.parent), "memory_limit": "1GB", "preserve_insertion_order": "false"})
    con.execute("SET enable_progress_bar = false")
    con.execute(
        f'COPY (SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS "$line" FROM read_parquet({quoted_path(path)}, '
        f"file_row_number = true) ORDER BY encode({quoted(key)}::VARCHAR), file_row_number) TO {quoted_text(to.as_posix())} (FORMAT parquet)"
    )
    con.close()
    return to


def _tables(file: pq.ParquetFile, key: str) -> Iterator[pa.Table]:
    """Portions that end between two ids, so that records with one id stay together."""
    rest: pa.Table | None = None
    for batch in file.iter_batches(batch_size=PORTION):
        table = pa.Table.from_batches([batch])
        if rest is not None and rest.num_rows:
            table = pa.concat_tables([rest, table])
        ids = fold_all(table[key].combine_chunks().cast(pa.string()))
        cut = len(ids) - 1
        while cut > 0 and ids[cut - 1].as_py() == ids[len(ids) - 1].as_py():
            cut -= 1
        rest = table.slice(cut)
        if cut:
            yield table.slice(0, cut)
    if rest is not None and rest.num_rows:
        yield rest
