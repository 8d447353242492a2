"""A run from its data to its files: choose an engine, decide, check what was read, ask the invariants, write, remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roe.data.report import FILE, Report, read_report, write_report
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.run.engines import Engine, Job, choose
from roe.run.files import Files, Tables, write_rows
from roe.run.invariants import Broken, Tally, told
from roe.run.memory import write_state
from roe.run.result import Batch
from roe.run.source import expected


@dataclass
class Finished:
    """What became of a run: its summary, what was read now and by the run before, notes, and the invariants that do not hold.

    `kept` says whether the next run will know of this one; it does not if an invariant with severity error does not hold.
    """

    summary: dict[str, Any]
    report: Report
    last: Report
    notes: list[str]
    broken: list[Diagnostic] = field(default_factory=list)
    kept: bool = True


def run(job: Job, out: Path, state: Path | None = None, asked: str = "auto") -> Finished:
    """Decide every record, and write the files. Raises PolicyError for what is wrong with data or options, OSError for a folder that
    cannot be written.
    """
    engine = choose(asked, job)
    last = read_report(state if state is not None and (state / FILE).is_file() else out)
    out.mkdir(parents=True, exist_ok=True)
    policy = job.evaluator.policy
    clock = job.evaluator.clock(job.as_of)
    watcher = _Watcher(job, out, engine)
    files = Files(out, policy, job.form, job.traces)
    try:
        engine.fill(files, watcher.see)
        report = files.report()
        problems = expected(policy, report, last)
        if problems:
            raise PolicyError(problems)
        summary = files.close(clock)
    finally:
        files.abandon()
        watcher.close()
    broken = watcher.broken()
    if policy.plan.invariants and engine.name != "spark":
        write_rows("invariants.csv", (b.row() for b in broken), out)
    finished = Finished(summary, report, last, engine.notes, list(told(broken)))
    finished.kept = not errors(finished.broken)
    left = engine.state() if state is not None and finished.kept else None
    if state is not None and left is not None:
        write_state(state, left)
        write_report(report, state)
    return finished


class _Watcher:
    """Sees every batch before it is written: for the invariants, and for explanations made from evidence."""

    def __init__(self, job: Job, out: Path, engine: Engine) -> None:
        self.tally = Tally(job.evaluator.policy)
        self.world: Any = None
        self.evidence: Any = None
        if job.traces and engine.name in ("columns", "portions"):
            from roe.columns.evidence import EvidenceWriter

            self.evidence = EvidenceWriter(out, job.evaluator, job.as_of)

    def see(self, batch: Batch, tables: Tables) -> None:
        if self.evidence is not None:
            self.evidence.add(batch.run, tables["allocations"])
        if self.tally.policy.plan.invariants:
            self.tally.add(batch)
            self.world = batch.bound.world

    def close(self) -> None:
        if self.evidence is not None:
            self.evidence.close()

    def broken(self) -> list[Broken]:
        """The invariants that do not hold, of the whole run."""
        return self.tally.close(self.world) if self.world is not None else []
