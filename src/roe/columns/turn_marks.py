"""Marks among the turns of a run: the state of each pool every 4,096 turns and where somebody reaches a cap.

So any turn of millions is shown as it was by reading its line, the mark before it, and the few turns between. `marks.parquet` has, by pool and
turn, everybody's credit as units of 1 / `scale`, and turns taken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Array, Json, Value
from roe.evaluator.allocation import PoolHistory
from roe.evaluator.turns import Ledger, Standing, TurnHistory

EVERY = 4096  # turns between two marks


def histories_of(pools: str) -> dict[str, PoolHistory]:
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


def seats_of(history: PoolHistory) -> list[str]:
    """Everybody whom a pool's credit may be about, in order."""
    reps = {str(seat[0]) for seats in history.made.written for seat in seats}  # type: ignore[attr-defined]
    return sorted({*reps, *history.turns.credits, *history.turns.counts})


@dataclass(frozen=True)
class Taken:
    """All turns in their order: of each the pool, the rep and the standing by number, and whether one was taken; a record that follows another,
    or finds nobody, takes none.
    """

    pools: list[str]
    pool: Array
    reps: list[str]
    rep: Array
    standing: Array
    is_taken: Array

    @classmethod
    def of(cls, table: pa.Table) -> Taken:
        """Of turns as a table."""
        pool, rep = (table[name].combine_chunks() for name in ("pool", "rep"))
        pools, reps = (np.asarray(x.indices.fill_null(-1)) for x in (pool, rep))
        standing = np.asarray(table["standing"].combine_chunks())
        is_free = pc.not_equal(table["why"].combine_chunks(), "").to_numpy(zero_copy_only=False)
        return cls(pool.dictionary.to_pylist(), pools, rep.dictionary.to_pylist(), reps, standing, ~is_free & (reps >= 0) & (standing >= 0))


def marks_of(taken: Taken, histories: Mapping[str, PoolHistory]) -> Value:
    """The states of all pools at their marks."""
    marks: list[Json] = []
    for code, name in enumerate(taken.pools):
        rows = np.flatnonzero((taken.pool == code) & taken.is_taken)
        if name not in histories or not len(rows):
            continue
        history, standing, rep = histories[name], taken.standing[rows], taken.rep[rows]
        seats = seats_of(history)
        state: tuple[int, Ledger, Counter[str]] = (0, Ledger(history.turns.limit, history.turns.credits), Counter(history.turns.counts))
        cuts = np.flatnonzero(np.diff(standing)) + 1
        if len(cuts) > len(rows) // 64:  # who takes part changes from record to record: then only every so many turns
            cuts = cuts[:0]
        stops = np.unique(np.concatenate([np.arange(EVERY, len(rows), EVERY), cuts]))
        for stop in stops.tolist():
            state = _on(state, stop, standing, rep, taken.reps, history)
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
