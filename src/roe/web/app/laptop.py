"""Snapshots of a policy over a folder of data, for `roe ui`: in rows, or in columns where the data is large."""

from __future__ import annotations

from roe.evaluator.engine import Bound, Run
from roe.progress import counted
from roe.web.app.snapshot import RowSnapshot, Snapshot


def snapshot_of(bound: Bound, source: str) -> Snapshot:
    """Decide every record, and keep what the pages ask about."""
    if type(bound.world).__name__ == "ColumnWorld":  # asked by name: without large data its packages are not needed
        from roe.web.app.columns import ColumnSnapshot

        return ColumnSnapshot(bound, source)
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    return RowSnapshot(Run(bound, list(counted(bound.decide_all(), total, "deciding"))), source)
