"""The turns of a run as Parquet, with marks: the state of each pool every 4,096 turns and where somebody reaches a cap.

So any turn of millions is shown as it was by reading its line, the mark before it, and the few turns between. `turns.parquet` has the columns
of a line of turns.jsonl; `marks.parquet` has, by pool and turn, everybody's credit as units of 1 / `scale`, and turns taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from roe.data.files import write_whole
from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator import recorded
from roe.evaluator.allocate import PoolHistory
from roe.evaluator.turns import History, Ledger
from roe.source import Span

MANY = 50_000  # turns from which a run writes Parquet
EVERY = 4096  # turns between two marks
GROUP = 1 << 16  # turns in a row group
TURNS, MARKS, POOLS = "turns.parquet", "marks.parquet", "pools.json"


def schema() -> Any:
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("n", pa.int64()), ("pool", words), ("standing", pa.int64()), ("index", pa.int64()), ("rep", words), ("key", pa.string()),
            ("why", pa.string()), ("repeated", pa.string()), ("until", pa.string()), ("before", words), ("position", pa.int64()),
            ("loads", pa.string()),
        ]
    )  # fmt: skip


def table_of(turns: Iterable[Mapping[str, Any]]) -> Any:
    """Turns as `Turn.record` gives them, as a table."""
    import pyarrow as pa

    rows = [{**t, "before": _json(t["before"]), "loads": _json(t["loads"]) if "loads" in t else None} for t in turns]
    return pa.Table.from_pylist(rows, schema())


def lines_of(table: Any) -> list[str]:
    """A table of turns as lines of JSON."""
    lines = []
    for row in table.to_pylist():
        row["before"] = json.loads(row["before"])
        loads = row.pop("loads")
        lines.append(_json({**row, **({"loads": json.loads(loads)} if loads is not None else {})}))
    return lines


def _json(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


# --- writing ----------------------------------------------------------------------------------------------------------


def write_turns(folder: Path, turns: Any, pools: str, form: str = "") -> None:
    """The files that say what pools did. `turns` are lines or a table; `form` is jsonl or parquet, by default whichever suits their number."""
    if (form or ("parquet" if len(turns) > MANY and _has_parquet() else "jsonl")) == "jsonl":
        recorded.write_turns(folder, turns if isinstance(turns, list) else lines_of(turns), pools)
        return
    from pyarrow import parquet

    table = table_of(map(json.loads, turns)) if isinstance(turns, list) else turns.cast(schema())
    write_whole(folder / POOLS, pools + "\n")
    parquet.write_table(
        table, folder / TURNS, row_group_size=GROUP, compression="zstd", use_dictionary=["pool", "rep", "why", "until", "before"]
    )
    parquet.write_table(_marks(table, _histories(pools)), folder / MARKS, compression="zstd")


def _has_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None and find_spec("numpy") is not None


def _histories(pools: str) -> dict[str, PoolHistory]:
    return {str(name): PoolHistory.of(kept) for name, kept in json.loads(pools)["pools"].items()}


def _seats(history: PoolHistory) -> list[str]:
    """Everybody whom a pool's credit may be about, in order."""
    reps = {seat.rep for standing in history.made for seat in standing.seats}
    return sorted({*reps, *history.turns.credits, *history.turns.counts})


def _marks(table: Any, histories: Mapping[str, PoolHistory]) -> Any:
    """The states of all pools at their marks."""
    import numpy as np
    import pyarrow as pa

    found: list[dict[str, Any]] = []
    numbers = {name: _numbers(table[name]) for name in ("standing", "index")}
    pool, rep = (table[name].combine_chunks() for name in ("pool", "rep"))
    pool_codes, rep_codes = (np.asarray(x.indices.fill_null(-1)) for x in (pool, rep))
    names = rep.dictionary.to_pylist()
    taken = _taken(table)
    for code, name in enumerate(pool.dictionary.to_pylist()):
        rows = np.flatnonzero((pool_codes == code) & taken)
        if name not in histories or not len(rows):
            continue
        history, standing = histories[name], numbers["standing"][rows]
        seats = _seats(history)
        state: tuple[int, Ledger, Counter[str]] = (0, Ledger(history.turns.limit, history.turns.credits), Counter(history.turns.counts))
        cuts = np.flatnonzero(np.diff(standing)) + 1
        if len(cuts) > len(rows) // 64:  # who takes part changes from record to record: then only every so many turns
            cuts = cuts[:0]
        stops = np.unique(np.concatenate([np.arange(EVERY, len(rows), EVERY), cuts]))
        for stop in stops.tolist():
            state = _on(state, stop, standing, rep_codes[rows], names, history)
            index, ledger, counts = state
            found.append(
                {
                    "pool": name, "index": index, "row": int(rows[index]), "scale": ledger.scale,
                    "units": [ledger.units.get(x, 0) for x in seats], "counts": [counts[x] for x in seats],
                }
            )  # fmt: skip
    kinds = [("pool", pa.string()), ("index", pa.int64()), ("row", pa.int64()), ("scale", pa.int64())]
    return pa.Table.from_pylist(found, pa.schema([*kinds, ("units", pa.list_(pa.int64())), ("counts", pa.list_(pa.int64()))]))


def _on(
    state: tuple[int, Ledger, Counter[str]], stop: int, standing: Any, rep: Any, names: list[str], history: PoolHistory
) -> tuple[int, Ledger, Counter[str]]:
    """The state after more turns, settled in the steps in which `History` does it."""
    import numpy as np

    start, ledger, counts = state
    while start < stop:
        end = min(stop, (start // History.EVERY + 1) * History.EVERY)
        cut = np.flatnonzero(standing[start:end] != standing[start])
        end = start + int(cut[0]) if len(cut) else end
        times = np.bincount(rep[start:end], minlength=len(names))
        used = {names[i]: int(times[i]) for i in np.flatnonzero(times).tolist()}
        ledger.settle(history.made[int(standing[start])], end - start, used)
        counts.update(used)
        start = end
    return stop, ledger, counts


def _numbers(column: Any) -> Any:
    import numpy as np

    return np.asarray(column.combine_chunks())


def _taken(table: Any) -> Any:
    """Which lines are turns that were taken, rather than records that follow another, or find nobody."""
    import numpy as np
    import pyarrow.compute as pc

    held = pc.and_(pc.equal(table["why"], ""), pc.is_valid(table["rep"].combine_chunks()))
    return np.asarray(held.combine_chunks()) & (_numbers(table["standing"]) >= 0)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_turns(folder: Path, only: str = "") -> dict[str, Any]:
    """The turns of a run's pools, by record and role; of one of them alone if it is named. Raises PolicyError if they cannot be read."""
    if not (folder / TURNS).is_file():
        return recorded.read_turns(folder, only)
    import pyarrow as pa

    try:
        histories = _histories((folder / POOLS).read_text("utf-8"))
        return _one(folder, histories, only) if only else _all(folder, histories)
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError, RecursionError, pa.ArrowException) as e:
        at, help = Span(str(folder / TURNS), 1, 1, 2), "name the --out folder of a run"
        raise PolicyError([Diagnostic("R608", f"the run's records cannot be read: {e}", at, help)]) from e


def _all(folder: Path, histories: Mapping[str, PoolHistory]) -> dict[str, Any]:
    from pyarrow import parquet

    turns = {}
    for row in parquet.read_table(folder / TURNS).to_pylist():
        turn = _turn(row)
        turns[turn["key"]] = {**turn, "histories": histories}
        if turn["standing"] >= 0 and turn["why"] == "" and turn["rep"] is not None:
            history = histories[turn["pool"]]
            history.turns.log.append((history.made[turn["standing"]], turn["rep"]))
    return turns


def _turn(row: dict[str, Any]) -> dict[str, Any]:
    loads = row.pop("loads")
    turn = {**row, "before": json.loads(row["before"]), **({"loads": json.loads(loads)} if loads is not None else {})}
    return recorded.check_turn(turn)


def _one(folder: Path, histories: Mapping[str, PoolHistory], key: str) -> dict[str, Any]:
    from pyarrow import parquet

    file = parquet.ParquetFile(folder / TURNS)
    place = _place(file, key)
    if place < 0:
        return {}
    turn = _turn(_rows(file, place, place + 1).to_pylist()[0])
    marks = parquet.read_table(folder / MARKS, columns=["pool", "index", "row"])
    for name, index in {turn["pool"]: turn["index"], **{pool: index for pool, _, index in turn["before"]}}.items():
        if name in histories:
            _load(file, folder, marks, histories[name], name, index, place)
    return {key: {**turn, "histories": histories}}


def _place(file: Any, key: str) -> int:
    """The last line of a key, -1 if there is none: of two pools that a rule asks, the last one counts."""
    import numpy as np
    import pyarrow.compute as pc

    end = int(file.metadata.num_rows)
    for group in range(file.num_row_groups - 1, -1, -1):
        column = file.read_row_group(group, columns=["key"]).column(0).combine_chunks()
        end -= len(column)
        rows = np.flatnonzero(np.asarray(pc.equal(column, key).cast("uint8")))
        if len(rows):
            return end + int(rows[-1])
    return -1


def _rows(file: Any, start: int, stop: int) -> Any:
    """The lines from one place to another."""
    import pyarrow as pa

    at, found = 0, []
    for group in range(file.num_row_groups):
        n = file.metadata.row_group(group).num_rows
        if at < stop and at + n > start:
            found.append(file.read_row_group(group).slice(max(0, start - at), min(n, stop - at) - max(0, start - at)))
        at += n
    return pa.concat_tables(found) if found else file.schema_arrow.empty_table()


def _load(file: Any, folder: Path, marks: Any, history: PoolHistory, pool: str, index: int, place: int) -> None:
    """Give a pool's history the last mark before a turn, and the turns between."""
    import pyarrow.compute as pc
    from pyarrow import parquet

    own = marks.filter(pc.and_(pc.equal(marks["pool"], pool), pc.less_equal(marks["index"], index)))
    first, row = 0, 0
    if own.num_rows:
        first, row = pc.max(own["index"]).as_py(), pc.max(own["row"]).as_py()
        whole = parquet.read_table(folder / MARKS, filters=[("pool", "=", pool), ("index", "=", first)]).to_pylist()[0]
        seats, ledger = _seats(history), Ledger(history.turns.limit)
        ledger.scale, ledger.units = whole["scale"], dict(zip(seats, whole["units"], strict=True))
        history.turns.begin(first, ledger, Counter({x: n for x, n in zip(seats, whole["counts"], strict=True) if n}))
    between = _rows(file, row, place)
    for line in between.filter(pc.and_(pc.equal(between["pool"], pool), _taken(between))).to_pylist():
        if len(history.turns.log) < index - first:
            history.turns.log.append((history.made[line["standing"]], line["rep"]))
