"""The files that say what the pools of a run did: lines of JSON for some turns, Parquet with marks (`turn_marks`) for many.

`turns.parquet` has the columns of a line of turns.jsonl, and a number for each key: whoever looks for one key reads these, and then only the row groups
that have its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from roe.data.files import write_whole
from roe.dynamic import Array, Saved
from roe.evaluator import recorded

if TYPE_CHECKING:
    import pyarrow as pa

    from roe.columns.turn_marks import Taken


MANY = 50_000  # turns from which a run writes Parquet
GROUP = 1 << 16  # turns in a row group
FEW = 64  # marks in a row group: each has what every rep has had
TURNS, MARKS, POOLS = "turns.parquet", "marks.parquet", "pools.json"
HASH = "hash"  # the column with the numbers of keys


def schema() -> pa.Schema:
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("n", pa.int64()), ("pool", words), ("standing", pa.int64()), ("index", pa.int64()), ("rep", words), ("key", pa.string()),
            ("why", pa.string()), ("repeated", pa.string()), ("until", pa.string()), ("before", words), ("position", pa.int64()),
            ("loads", pa.string()),
        ]
    )  # fmt: skip


def hashes_of(keys: pa.Array | pa.ChunkedArray) -> Array:
    """A number for each text, uint32[n]: texts with different numbers are different."""
    import numpy as np
    import pyarrow as pa

    return np.fromiter(map(crc32, keys.cast(pa.binary()).to_pylist()), np.uint32, len(keys))


def table_of(turns: Iterable[Saved]) -> pa.Table:
    """Turns as `PoolTurn.record` gives them, as a table."""
    import pyarrow as pa

    rows = [{**t, "before": _json(t["before"]), "loads": _json(t["loads"]) if "loads" in t else None} for t in turns]
    return pa.Table.from_pylist(rows, schema())


def lines_of(table: pa.Table) -> list[str]:
    """A table of turns as lines of JSON."""
    lines = []
    for row in table.to_pylist():
        row["before"] = json.loads(row["before"])
        loads = row.pop("loads")
        lines.append(_json({**row, **({"loads": json.loads(loads)} if loads is not None else {})}))
    return lines


def _json(item: object) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


# --- writing ----------------------------------------------------------------------------------------------------------


def form_of(turns: int, asked: str = "") -> str:
    """How so many turns are written: as it is asked, or as suits their number."""
    return asked or ("parquet" if turns > MANY and _has_parquet() else "jsonl")


def write_turns(folder: Path, turns: pa.Table | list[str], pools: str, form: str = "") -> None:
    """The files that say what pools did. `turns` are lines or a table; `form` is jsonl or parquet, by default whichever suits their number."""
    if form_of(len(turns), form) == "jsonl":
        recorded.write_turns(folder, turns if isinstance(turns, list) else lines_of(turns), pools)
        return
    from roe.columns.turn_marks import Taken

    table = table_of(map(json.loads, turns)) if isinstance(turns, list) else turns.cast(schema())
    write_parquet(folder, [table], Taken.of(table), pools)


def write_parquet(folder: Path, tables: Iterable[pa.Table], taken: Taken, pools: str) -> None:
    """The same files as Parquet, from tables that come one after the other, so that all turns need not be held as a table."""
    import pyarrow as pa
    from pyarrow import parquet

    from roe.columns.turn_marks import histories_of, marks_of

    write_whole(folder / POOLS, pools + "\n")
    words, stored = ["pool", "rep", "why", "until", "before"], schema().append(pa.field(HASH, pa.uint32()))
    with parquet.ParquetWriter(folder / TURNS, stored, compression="zstd", use_dictionary=words) as writer:
        for table in tables:
            writer.write_table(table.append_column(stored.field(HASH), [hashes_of(table["key"])]), row_group_size=GROUP)
    parquet.write_table(marks_of(taken, histories_of(pools)), folder / MARKS, compression="zstd", row_group_size=FEW)


def _has_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None and find_spec("numpy") is not None
