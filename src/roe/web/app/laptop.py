"""Snapshots of a policy's folder and a folder of data, for `roe ui`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roe.evaluator.engine import Bound, Run
from roe.progress import counted
from roe.web.app.snapshot import RowSnapshot, Snapshot


def snapshot_of(bound: Bound, source: str) -> Snapshot:
    """Decide every record, and keep what the pages ask about. A world in columns stays in columns."""
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    return RowSnapshot(Run(bound, list(counted(bound.decide_all(), total, "deciding"))), source)


State = Mapping[str, Any]
Folder = Path
