"""The files that say what the pools of a run did: lines of JSON for some turns, Parquet with marks (`turn_marks`) for many.

`turns.parquet` has the columns of a line of turns.jsonl.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from roe.data.files import write_whole
from roe.dynamic import Saved
from roe.evaluator import recorded

if TYPE_CHECKING:
    import pyarrow as pa


MANY = 50_000  # turns from which a run writes Parquet
GROUP = 1 << 16  # turns in a row group
TURNS, MARKS, POOLS = "turns.parquet", "marks.parquet", "pools.json"


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


def write_turns(folder: Path, turns: pa.Table | list[str], pools: str, form: str = "") -> None:
    """The files that say what pools did. `turns` are lines or a table; `form` is jsonl or parquet, by default whichever suits their number."""
    if (form or ("parquet" if len(turns) > MANY and _has_parquet() else "jsonl")) == "jsonl":
        recorded.write_turns(folder, turns if isinstance(turns, list) else lines_of(turns), pools)
        return
    from pyarrow import parquet

    from roe.columns.turn_marks import histories_of, marks_of

    table = table_of(map(json.loads, turns)) if isinstance(turns, list) else turns.cast(schema())
    write_whole(folder / POOLS, pools + "\n")
    parquet.write_table(
        table, folder / TURNS, row_group_size=GROUP, compression="zstd", use_dictionary=["pool", "rep", "why", "until", "before"]
    )
    parquet.write_table(marks_of(table, histories_of(pools)), folder / MARKS, compression="zstd")


def _has_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None and find_spec("numpy") is not None
