"""Arrow columns: what summaries and files do with them (see `roe.run.lists`)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Value, Values


def counted(values: Value) -> Counter[Value]:
    """value -> how often it stands there; what is missing or empty is not counted."""
    pairs = pc.value_counts(values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values)
    texts, counts = pairs.field("values"), pairs.field("counts").to_pylist()
    total: Counter[Value] = Counter()
    for text, n in zip(texts.to_pylist(), counts, strict=True):
        if text is not None and text != "":
            total[text] += n
    return total


def counted_where(lines: pa.Table, column: str, wanted: list[str], names: tuple[str, ...]) -> Counter[tuple[Value, ...]]:
    """(the values of some columns) -> how many lines have them, of the lines where `column` is one of the `wanted` texts."""
    there = lines.filter(pc.is_in(lines[column].cast(pa.string()), value_set=pa.array(wanted, pa.string())))
    grouped = plain(there.select(names), set(names)).group_by(names).aggregate([([], "count_all")])
    values = zip(*(grouped[name].to_pylist() for name in (*names, "count_all")), strict=True)
    return Counter({tuple(row): n for *row, n in values})


def same(text: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([text]))


def interleaved(tables: list[pa.Table]) -> pa.Table:
    at = np.arange(tables[0].num_rows * len(tables)).reshape(len(tables), tables[0].num_rows).T.ravel()
    return pa.concat_tables([t.unify_dictionaries() for t in alike(tables)]).unify_dictionaries().take(pa.array(at))


def stacked(tables: list[pa.Table], columns: tuple[str, ...]) -> pa.Table:
    return pa.concat_tables([t.select(columns) for t in alike(tables)], promote_options="permissive")


def alike(tables: list[pa.Table]) -> list[pa.Table]:
    """The same, where a column that is plain texts in one of them is so in all."""
    texts = {name for t in tables for name in t.column_names if not pa.types.is_dictionary(t.schema.field(name).type)}
    return [plain(t, texts) for t in tables]


def plain(table: pa.Table, names: set[str]) -> pa.Table:
    for i, name in enumerate(table.column_names):
        if name in names and pa.types.is_dictionary(table.schema.field(i).type):
            table = table.set_column(i, name, table[name].cast(pa.string()))
    return table


def table(values: Values) -> pa.Table:
    return pa.table(values)


def some(values: pa.ChunkedArray, numbers: list[int]) -> list[Value]:
    taken = values.take(pa.array(numbers, pa.int64()))
    if pa.types.is_dictionary(taken.type):  # as lists, dictionaries take twenty times as long as texts
        taken = taken.cast(pa.string())
    return list(taken.to_pylist())


def of_lists(lines: dict[str, list[Value]]) -> pa.Table:
    """Columns of texts as Arrow has them."""
    return pa.table({name: pa.array([None if x is None else str(x) for x in values], pa.string()) for name, values in lines.items()})
