"""Who got which records of a kind that is decided before others: what a task of these tells the tasks of the others, whose guests the records are."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.role_run import Allocations
from roe.columns.table import RecordTable
from roe.dynamic import Array
from roe.ledger.by_record import RECORD

DECIDED = pa.schema([(RECORD, pa.string()), ("role", pa.string()), ("owner", pa.string()), ("action", pa.int32())])


def decided_of(allocations: Iterable[Allocations]) -> pa.Table:
    """The owner of each record in each role, as the data names reps, and by which action."""
    tables = [DECIDED.empty_table()]
    for of in allocations:
        reps = of.table.world.tables["rep"].written_ids
        n = len(of.owner)
        columns = [
            of.table.ids[:n].cast(pa.string()), pa.repeat(pa.scalar(of.role), n),
            reps.take(pa.array(of.owner, pa.int32(), mask=of.owner < 0)), pa.array(of.action, pa.int32()),
        ]  # fmt: skip
        tables.append(pa.table(columns, schema=DECIDED))
    return pa.concat_tables(tables)


def given_to_guests(table: RecordTable, role: str) -> tuple[Array, Array, Array] | None:
    """The rows of guests that are decided already, the row of the rep whom each of them got (-1 for nobody), and by which action; None if no
    guest is.
    """
    if table.typed.decided is None:
        return None
    some = table.typed.decided.filter(pc.equal(table.typed.decided["role"], role))
    at = pc.index_in(some[RECORD], table.ids.cast(pa.string())).combine_chunks()
    known = at.is_valid()  # not those that are rejected here as they are there
    some, rows = some.filter(known), at.drop_null().to_numpy().astype(np.int64)
    coded = some["owner"].combine_chunks().dictionary_encode()
    reps = [table.world.finder("rep").rep(text) for text in coded.dictionary.to_pylist()]
    owners = np.array([*reps, -1], np.int32)[pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)]
    return rows, owners, some["action"].to_numpy()
