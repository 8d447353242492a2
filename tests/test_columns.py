"""The batch evaluator against the row evaluator: the same files, byte for byte, whatever the policy and the data."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from helpers import EXAMPLES
from made_policies import make_data, make_policy

import roe
from roe.data.read import read_tables
from roe.data.write import write_run as write_rows

pytest.importorskip("pyarrow")
pytest.importorskip("numpy")
from roe.columns.run import ColumnRun  # noqa: E402
from roe.columns.write import write_run as write_columns  # noqa: E402

POLICIES = 1000 if os.environ.get("ROE_HEAVY") else 200
AS_OF = {"inbound": "2026-02-02", "pipeline": "2017-12-31"}


def both(evaluator: Any, tables: Any, as_of: str, folder: Path, state: Any = None) -> tuple[Any, Any]:
    """Run both engines, and compare everything that they write."""
    rows = evaluator.run(tables, as_of=as_of, state=state)
    columns = ColumnRun.of(evaluator, tables, as_of=as_of, state=state)
    write_rows(rows, folder / "rows")
    write_columns(columns, folder / "columns")
    for path in sorted((folder / "rows").iterdir()):
        assert (folder / "columns" / path.name).read_text("utf-8") == path.read_text("utf-8"), path.name
    assert columns.state() == rows.state()
    return rows, columns


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_examples(name: str, tmp_path: Path) -> None:
    policy = roe.load(EXAMPLES / name)
    tables, _ = read_tables(policy, EXAMPLES / name / "data")
    as_of = AS_OF.get(name, "2026-02-01")
    evaluator = roe.compile(policy)
    rows, _ = both(evaluator, tables, as_of, tmp_path)
    both(evaluator, tables, as_of, tmp_path / "again", rows.state())


@pytest.mark.parametrize("part", range(10))
def test_random_policies(part: int, tmp_path: Path) -> None:
    for seed in range(part, POLICIES, 10):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        make_policy(rng, folder)
        data = make_data(rng)
        evaluator = roe.compile(roe.load(folder))
        as_of = rng.choice(["2026-02-01", "2026-02-01T09:30", "2025-06-15T23:59:59+02:00"])
        try:
            rows, _ = both(evaluator, data, as_of, folder)
            if seed % 5 == 0:
                both(evaluator, data, as_of, folder / "again", rows.state())
        except AssertionError as e:
            raise AssertionError(f"seed {seed}: {e}") from e
