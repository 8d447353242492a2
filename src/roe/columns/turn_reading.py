"""The turns of a run read back: all of them, or one with what its pools did before it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roe.columns.turn_files import HASH, MARKS, POOLS, TURNS, hashes_of, schema
from roe.diagnostics import Diagnostic, PolicyError
from roe.dynamic import Json, Value
from roe.evaluator import recorded
from roe.source import Span

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    from roe.evaluator.allocation import PoolHistory


def read_turns(folder: Path, only: str = "") -> Json:
    """The turns of a run's pools, by record and role; of one of them alone if it is named. Raises PolicyError if they cannot be read."""
    if not (folder / TURNS).is_file():
        return recorded.read_turns(folder, only)
    try:
        from pyarrow import ArrowException

        from roe.columns.turn_marks import histories_of
    except ImportError:
        help = "pip install 'roe-policy[batch]'"
        raise PolicyError(
            [Diagnostic("R406", "reading a run's turns needs the packages numpy and pyarrow", Span(str(folder), 1, 1, 2), help)]
        ) from None
    try:
        histories = histories_of((folder / POOLS).read_text("utf-8"))
        return _one(folder, histories, only) if only else _all(folder, histories)
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError, RecursionError, ArrowException) as e:
        at, help = Span(str(folder / TURNS), 1, 1, 2), "name the --out folder of a run"
        raise PolicyError([Diagnostic("R608", f"the run's records cannot be read: {e}", at, help)]) from e


def _all(folder: Path, histories: Mapping[str, PoolHistory]) -> Json:
    turns = {}
    for row in _file(folder / TURNS).read(columns=schema().names).sort_by("n").to_pylist():
        turn = _turn(row)
        turns[turn["key"]] = {**turn, "histories": histories}
        if turn["standing"] >= 0 and turn["why"] == "" and turn["rep"] is not None:
            history = histories[turn["pool"]]
            history.turns.log.append((history.made[turn["standing"]], turn["rep"]))
    return turns


def _file(path: Path) -> ParquetFile:
    from pyarrow import parquet

    return parquet.ParquetFile(path)


def _turn(row: Json) -> Json:
    loads = row.pop("loads")
    turn = {**row, "before": json.loads(row["before"]), **({"loads": json.loads(loads)} if loads is not None else {})}
    return recorded.check_turn(turn)


def _one(folder: Path, histories: Mapping[str, PoolHistory], key: str) -> Json:
    """The last turn of a key: of two pools that a rule asks, the last one counts."""
    lines = _Lines(_file(folder / TURNS))
    place, line = lines.last(key)
    if line is None:
        return {}
    turn = _turn(line)
    for name, index in {turn["pool"]: turn["index"], **{pool: index for pool, _, index in turn["before"]}}.items():
        if name in histories:
            start, history = _begin(folder, histories[name], name, index), histories[name]
            history.turns.log.extend((history.made[standing], rep) for standing, rep in lines.taken(start, place, name, index))
    return {key: {**turn, "histories": histories}}


class _Lines:
    """The lines of a file of turns, of which few are read."""

    def __init__(self, file: ParquetFile) -> None:
        self.file = file
        self.whole: dict[int, pa.Table] = {}  # row groups that have been read with all columns
        self.starts = [0]
        for group in range(file.num_row_groups):
            self.starts.append(self.starts[-1] + file.metadata.row_group(group).num_rows)

    def last(self, key: str) -> tuple[int, Json | None]:
        """The last line of a key, and its number. Row groups without the key's number are not read; without numbers, those without the key."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        by, wanted = (HASH, hashes_of(pa.array([key]))[0]) if HASH in self.file.schema_arrow.names else ("key", key)
        for group in reversed(range(self.file.num_row_groups)):
            if not pc.any(pc.equal(self.file.read_row_group(group, columns=[by])[by], wanted)).as_py():
                continue
            lines = self.whole[group] = self.file.read_row_group(group, columns=schema().names)
            places = np.flatnonzero(pc.equal(lines["key"], key))
            if len(places):
                return self.starts[group] + int(places[-1]), lines.slice(places[-1], 1).to_pylist()[0]
        return 0, None

    def between(self, start: int, end: int, columns: list[str]) -> pa.Table:
        """Some columns of the lines from one number up to another."""
        import pyarrow as pa

        lines = [self.file.schema_arrow.empty_table().select(columns)]
        for group, first in enumerate(self.starts[:-1]):
            low, high = max(start, first), min(end, self.starts[group + 1])
            if low < high:
                known = self.whole.get(group)
                some = known.select(columns) if known is not None else self.file.read_row_group(group, columns=columns)
                lines.append(some.slice(low - first, high - low))
        return pa.concat_tables(lines)

    def taken(self, start: int, end: int, pool: str, before: int) -> Iterable[tuple[int, str]]:
        """The standing and the rep of each turn that was taken in a pool, before one of its turns, from one line up to another."""
        import pyarrow as pa
        import pyarrow.compute as pc

        is_taken = (pc.field("why") == "") & pc.field("rep").is_valid() & (pc.field("standing") >= 0)
        lines = self.between(start, end, ["standing", "rep", "pool", "why", "index"])
        turns = lines.filter(is_taken & (pc.field("pool") == pool) & (pc.field("index") < before))
        return zip(turns["standing"].to_pylist(), turns["rep"].cast(pa.string()).to_pylist(), strict=True)


def _begin(folder: Path, history: PoolHistory, pool: str, index: int) -> int:
    """Begin a pool's history at the last mark before a turn; the line of the turn that the mark stands before."""
    from roe.columns.turn_marks import seats_of
    from roe.evaluator.turns import Ledger

    marks = _file(folder / MARKS)
    places = marks.read(columns=["pool", "index"]).to_pylist()
    mine = [(x["index"], at) for at, x in enumerate(places) if x["pool"] == pool and x["index"] <= index]
    if not mine:
        return 0
    mark: Value = _Lines(marks).between(max(mine)[1], max(mine)[1] + 1, marks.schema_arrow.names).to_pylist()[0]
    seats, ledger = seats_of(history), Ledger(history.turns.limit)
    ledger.scale, ledger.units = mark["scale"], dict(zip(seats, mark["units"], strict=True))
    history.turns.begin(mark["index"], ledger, Counter({x: n for x, n in zip(seats, mark["counts"], strict=True) if n}))
    return int(mark["row"])
