"""What invariants ask of a run in columns: its figures by array operations, and the rows of those records alone that change hands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from roe.analysis.invariants import Tally
from roe.columns.run import Allocations, ColumnRun


def add(tally: Tally, run: ColumnRun) -> None:
    """Add a run, or a portion of one."""
    reps = run.world.tables["rep"].ids.to_pylist()
    for part in run.found:
        settled = part.owner
        owners, counts = np.unique(settled[settled >= 0], return_counts=True)
        owned = Counter({(part.role, str(reps[o])): int(n) for o, n in zip(owners.tolist(), counts.tolist(), strict=True)})
        tally.add(len(settled), int((settled < 0).sum()), owned if part.entity == "account" else Counter(), _moves(part, settled))
    tally.look(run.world)


def _moves(part: Allocations, settled: Any) -> Iterator[tuple[Any, str]]:
    at = np.flatnonzero(settled != part.previous)
    windows = part.window.values()
    for row in at.tolist():
        yield part.table.row(row), str(windows[row] or "")
