"""The turns of a run as Parquet, with marks: the state of each pool every 4,096 turns and where somebody reaches a cap.

So any turn of millions is shown as it was by reading its line, the mark before it, and the few turns between. `turns.parquet` has the columns
of a line of turns.jsonl; `marks.parquet` has, by pool and turn, everybody's credit as units of 1 / `scale`, and turns taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roe.data.files import write_whole
from roe.data.lookup_sql import connection, quoted_path, rows_of
from roe.diagnostics import user_error
from roe.dynamic import Array, Json, Saved, Value
from roe.evaluator import recorded
from roe.evaluator.allocation import PoolHistory
from roe.evaluator.turns import Ledger, Standing, TurnHistory
from roe.source import Span

if TYPE_CHECKING:
    import pyarrow as pa


MANY = 50_000  # turns from which a run writes Parquet
EVERY = 4096  # turns between two marks
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
    """The pools of a run; their standings are made when somebody looks at them."""
    histories = {}
    for name, written in json.loads(pools)["pools"].items():
        histories[str(name)] = history = PoolHistory.of({**written, "standings": ()})
        history.made = _Standings(written["standings"])  # type: ignore[assignment]
    return histories


class _Standings(Sequence[Standing]):
    """The standings of a pool as they are written down."""

    def __init__(self, written: Sequence[Value]) -> None:
        self.written = written
        self._made: dict[int, Standing] = {}

    def __getitem__(self, number: Value) -> Value:
        if number not in self._made:
            self._made[number] = PoolHistory.standing_of(self.written[number])
        return self._made[number]

    def __len__(self) -> int:
        return len(self.written)


def _seats(history: PoolHistory) -> list[str]:
    """Everybody whom a pool's credit may be about, in order."""
    reps = {str(seat[0]) for seats in history.made.written for seat in seats}  # type: ignore[attr-defined]
    return sorted({*reps, *history.turns.credits, *history.turns.counts})


def _marks(table: pa.Table, histories: Mapping[str, PoolHistory]) -> Value:
    """The states of all pools at their marks."""
    import numpy as np
    import pyarrow as pa

    marks: list[Json] = []
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
            marks.append(
                {
                    "pool": name, "index": index, "row": int(rows[index]), "scale": ledger.scale,
                    "units": [ledger.units.get(x, 0) for x in seats], "counts": [counts[x] for x in seats],
                }
            )  # fmt: skip
    kinds = [("pool", pa.string()), ("index", pa.int64()), ("row", pa.int64()), ("scale", pa.int64())]
    return pa.Table.from_pylist(marks, pa.schema([*kinds, ("units", pa.list_(pa.int64())), ("counts", pa.list_(pa.int64()))]))


def _on(
    state: tuple[int, Ledger, Counter[str]], stop: int, standing: Array, rep: Array, names: list[str], history: PoolHistory
) -> tuple[int, Ledger, Counter[str]]:
    """The state after more turns, settled in the steps in which `TurnHistory` does it."""
    import numpy as np

    start, ledger, counts = state
    while start < stop:
        end = min(stop, (start // TurnHistory.EVERY + 1) * TurnHistory.EVERY)
        cut = np.flatnonzero(standing[start:end] != standing[start])
        end = start + int(cut[0]) if len(cut) else end
        times = np.bincount(rep[start:end], minlength=len(names))
        used = {names[i]: int(times[i]) for i in np.flatnonzero(times).tolist()}
        ledger.settle(history.made[int(standing[start])], end - start, used)
        counts.update(used)
        start = end
    return stop, ledger, counts


def _numbers(column: pa.Array) -> Array:
    import numpy as np

    return np.asarray(column.combine_chunks())


def _taken(table: pa.Table) -> Value:
    """Which lines are turns that were taken, rather than records that follow another, or find nobody."""
    import numpy as np
    import pyarrow.compute as pc

    held = pc.and_(pc.equal(table["why"], ""), pc.is_valid(table["rep"].combine_chunks()))
    return np.asarray(held.combine_chunks()) & (_numbers(table["standing"]) >= 0)


# --- reading ----------------------------------------------------------------------------------------------------------


def read_turns(folder: Path, only: str = "") -> Json:
    """The turns of a run's pools, by record and role; of one of them alone if it is named. Raises PolicyError if they cannot be read."""
    if not (folder / TURNS).is_file():
        return recorded.read_turns(folder, only)
    try:
        from duckdb import Error
    except ImportError:
        help = "pip install 'roe-policy[batch]'"
        raise user_error("R406", "reading a run's turns needs the package duckdb", folder, help) from None
    try:
        histories = _histories((folder / POOLS).read_text("utf-8"))
        return _one(folder, histories, only) if only else _all(folder, histories)
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError, RecursionError, Error) as e:
        at, help = Span(str(folder / TURNS), 1, 1, 2), "name the --out folder of a run"
        raise user_error("R608", f"the run's records cannot be read: {e}", at, help) from e


def _all(folder: Path, histories: Mapping[str, PoolHistory]) -> Json:
    turns = {}
    for row in rows_of(connection(), f"SELECT * FROM read_parquet({quoted_path(folder / TURNS)}) ORDER BY n"):
        turn = _turn(row)
        turns[turn["key"]] = {**turn, "histories": histories}
        if turn["standing"] >= 0 and turn["why"] == "" and turn["rep"] is not None:
            history = histories[turn["pool"]]
            history.turns.log.append((history.made[turn["standing"]], turn["rep"]))
    return turns


def _turn(row: Json) -> Json:
    loads = row.pop("loads")
    turn = {**row, "before": json.loads(row["before"]), **({"loads": json.loads(loads)} if loads is not None else {})}
    return recorded.check_turn(turn)


def _one(folder: Path, histories: Mapping[str, PoolHistory], key: str) -> Json:
    """The last turn of a key: of two pools that a rule asks, the last one counts."""
    line = f"FROM read_parquet({quoted_path(folder / TURNS)}, file_row_number = true)"
    rows = rows_of(connection(), f"SELECT * {line} WHERE key = ? ORDER BY file_row_number DESC LIMIT 1", [key])
    if not rows:
        return {}
    place = rows[0].pop("file_row_number")
    turn = _turn(rows[0])
    for name, index in {turn["pool"]: turn["index"], **{pool: index for pool, _, index in turn["before"]}}.items():
        if name in histories:
            row = _begin(folder, histories[name], name, index)
            history = histories[name].turns
            taken = f"pool = ? AND why = '' AND rep IS NOT NULL AND standing >= 0 AND index < {int(index)}"
            where = f"WHERE file_row_number >= {row} AND file_row_number < {int(place)} AND {taken}"
            between = rows_of(connection(), f"SELECT standing, rep {line} {where} ORDER BY file_row_number", [name])
            history.log.extend((histories[name].made[x["standing"]], x["rep"]) for x in between)
    return {key: {**turn, "histories": histories}}


def _begin(folder: Path, history: PoolHistory, pool: str, index: int) -> int:
    """Begin a pool's history at the last mark before a turn; the line of the turn that the mark stands before."""
    query = (
        f"SELECT * FROM read_parquet({quoted_path(folder / MARKS)}) WHERE pool = ? AND index <= {int(index)} ORDER BY index DESC LIMIT 1"
    )
    for mark in rows_of(connection(), query, [pool]):
        seats, ledger = _seats(history), Ledger(history.turns.limit)
        ledger.scale, ledger.units = mark["scale"], dict(zip(seats, mark["units"], strict=True))
        history.turns.begin(mark["index"], ledger, Counter({x: n for x, n in zip(seats, mark["counts"], strict=True) if n}))
        return int(mark["row"])
    return 0
