"""Paths and small tools that tests share."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import roe
from roe.columns.run import ColumnRun
from roe.data.read import read_tables
from roe.evaluator.engine import Evaluator, Run
from roe.policy.model import Policy
from roe.run.files import Files, Watch
from roe.stages.build import build

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "policies" / "examples"
SHARED = ROOT.parent / "shared"

# example -> the moment its data is about
AS_OF = {
    "crm": "2026-02-01",
    "hubspot": "2026-02-01",
    "windows": "2026-06-10",
    "matching": "2026-02-01T10:00",
    "disputes": "2026-02-01",
    "kpi": "2026-03-31",
    "scoring": "2026-03-01",
    "dynamic-books": "2026-02-01",
    "distribution": "2026-02-10T10:00",
    "abm": "2026-03-02T10:00",
    "static": "2026-02-01",
    "territories": "2026-02-15",
    "wild-west": "2026-02-01",
    "inbound": "2026-02-02T10:00:00",
    "pipeline": "2017-12-31",
}


def write_run(
    run: Run | ColumnRun, folder: Path, traces: bool = False, form: str = "csv", watch: Watch = lambda batch, tables: None
) -> Any:
    """All files of a run that nothing remembers, by rows or in columns; its summary."""
    from roe.run import columns, rows

    files = Files(folder, run.bound.policy, form, traces)
    folder.mkdir(parents=True, exist_ok=True)
    files.add(rows.batch_of(run) if isinstance(run, Run) else columns.batch_of(run), watch)
    return files.close(run.bound.world.clock)


@cache
def example_policy(name: str) -> Policy:
    """The policy of an example, which nobody changes: read once."""
    policy, found = build(EXAMPLES / name)
    assert policy is not None, found
    return policy


def example(name: str) -> Evaluator:
    return Evaluator(example_policy(name))


def tables(evaluator: Evaluator, folder: Path) -> Any:
    found, problems = read_tables(evaluator.policy, folder)
    assert not problems, problems
    return found


def policy_text(folder: Path, text: str, **files: str) -> Path:
    """A policy folder with this policy.yaml and other files (`tables__x.csv` is tables/x.csv)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.yaml").write_text(text, "utf-8")
    for name, content in files.items():
        head, _, rest = name.partition("__")
        path = (
            folder / head / (rest.replace("_csv", ".csv").replace("_yaml", ".yaml"))
            if rest
            else folder / head.replace("_csv", ".csv").replace("_yaml", ".yaml")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return folder


@cache
def compiled(text: str, *files: tuple[str, str]) -> Evaluator:
    """The evaluator of a policy, which nobody changes, made once; of its folder nothing is left."""
    with tempfile.TemporaryDirectory() as folder:
        return roe.compile(roe.load(policy_text(Path(folder), text, **dict(files))))


def interrupted(real: Any, left: list[int]) -> Any:
    """A function that is interrupted instead, once so many calls of it, and of others with the same count, are left."""

    def counted(*given: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(*given, **more)

    return counted
