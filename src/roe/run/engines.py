"""The engines of a run, and which of them decides it.

An engine says what it cannot do of a job, asked of the policy, the source and the options before anything is computed. The first one of a
preference that can do all of it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from functools import partial
from heapq import merge
from importlib.util import find_spec
from operator import itemgetter
from shutil import rmtree
from typing import TYPE_CHECKING

from roe.diagnostics import PolicyError, user_error
from roe.evaluator.engine import Run
from roe.evaluator.world import World
from roe.ledger.remembered import Remembered
from roe.progress import counted
from roe.run.engine import Engine, Job, Limit
from roe.run.files import IN_PARTS, Files, Watch
from roe.run.result import Batch, Portion

if TYPE_CHECKING:
    from roe.columns.memory import ColumnMemory
    from roe.columns.run import ColumnRun
    from roe.ledger.encode import Drafted
    from roe.ledger.entry import Entry
    from roe.ledger.holders import OwnerState
    from roe.ledger.moment import At
    from roe.ledger.store import Store
    from roe.run.invariants import Broken
    from roe.share.carrier import Carrier


class AllAtOnce(Engine):
    """An engine that decides every record in one `run`, in this process."""

    run: Run | ColumnRun

    def fill(self, files: Files, watch: Watch) -> None:
        files.add(self.batch(), watch)

    def batch(self) -> Batch:
        """Decide every record."""
        raise NotImplementedError

    def state(self) -> Remembered:
        return self.run.state()

    def entries(self, before: Remembered, after: Remembered, portions: Iterable[Portion], at: At) -> Iterable[Entry]:
        from roe.run.entries import entries_of

        return entries_of(before, after, portions, at, self.columns)

    @property
    def columns(self) -> ColumnMemory | None:
        """Its memory once everything is decided, where that is columns."""
        return None

    def late(self) -> Iterable[tuple[str, date]]:
        return self.run.bound.memory.pending()

    def older(self) -> set[str]:
        return self.run.bound.memory.older


class RowEngine(AllAtOnce):
    """Record by record; it can decide anything that fits into memory."""

    name = "rows"

    def limits(self) -> list[Limit]:
        if (self.job.form != "csv" or self.job.source.is_database) and not _packages("pyarrow", "numpy"):
            return [_lacking("columns", "batch", "numpy", "pyarrow", help=", or write CSV from a folder of files")]
        return []

    def batch(self) -> Batch:
        from roe.run.rows import batch_of

        job = self.job
        bound = job.bound(World(job.evaluator.compiled, job.source.rows(), job.evaluator.clock(job.as_of)))
        total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
        self.run = Run(bound, list(counted(bound.decide_all(), total, "deciding")))
        return batch_of(self.run)


class ColumnEngine(AllAtOnce):
    """All records at once, as Arrow columns."""

    name = "columns"
    run: ColumnRun

    def limits(self) -> list[Limit]:
        if not _packages("numpy", "pyarrow"):
            return [_lacking("columns", "batch", "numpy", "pyarrow", help=", or use --engine rows")]
        limits = [_circle(self.job.circles)] if self.job.circles else []
        # with a ledger or traces, rows also give the traces of single records
        source, is_explained = self.job.source, self.job.remembers or self.job.traces
        if self.job.form == "csv" and not (source.is_large() if is_explained else source.is_quicker_in_columns()):
            limits.append(Limit("size", "the data is so small that columns are not worth their start", weight="quiet"))
        return limits

    def foretold(self) -> list[str]:
        why, rows = not_in_portions(self.job), sum(self.job.source.rows_in_large.values())
        return [f"all records (about {rows:,} rows) are decided at once, because {why}; this needs memory for all of them"] if why else []

    def batch(self) -> Batch:
        from roe.columns.run import ColumnRun
        from roe.columns.world import ColumnWorld
        from roe.run.columns import batch_of

        job = self.job
        world = ColumnWorld(job.evaluator.compiled, job.source.columns(), job.evaluator.clock(job.as_of))
        self.run = ColumnRun(job.bound(world))
        return batch_of(self.run)

    @property
    def owners(self) -> Callable[[Store], Mapping[str, OwnerState]]:
        from roe.ledger.snapshot import owners_of

        return owners_of

    @property
    def columns(self) -> ColumnMemory:
        return self.run.world.columns_memory


class Shared(Engine):
    """Records shared out to tasks, each of which decides its own in columns."""

    def decide_with(self, carrier: Carrier, files: Files, files_of_turns: bool) -> None:
        """Let a carrier's tasks decide every record, and fill the files with what they send back."""
        from roe.run.shared import Wanted, check, collect, decide
        from roe.share.kind import Work
        from roe.share.out import share_out
        from roe.share.pools import TurnFiles

        job = self.job
        folder = str(files.folder.resolve())
        made = partial(decide, wanted=Wanted(folder, job.form in IN_PARTS, job.traces, job.remembers))
        turns, state = TurnFiles(folder, job.turns) if files_of_turns else None, job.state if job.remembers else None
        with closing(carrier):
            work = Work(carrier, job.evaluator, job.source.place, job.as_of, made, state, turns, job.buckets)
            self.shared = share_out(work, partial(check, job))
            self._left = collect(self.shared, files, job)
        job.source.warnings += self.shared.warnings
        self.notes += (f"all of `{name}` was in memory, because {why}" for name, why in self.shared.whole.items())

    def broken(self) -> list[Broken]:
        return self._left.broken

    def state(self) -> Remembered:
        """What concerns all records together. What the next run needs of each of them is in what tasks have written for the ledger."""
        from roe.share.memory import changed_state

        return changed_state(self.job.state, self._left.changes)

    def entries(self, before: Remembered, after: Remembered, portions: Iterable[Portion], at: At) -> Iterable[Entry | Drafted]:
        from roe.ledger.between import in_sections
        from roe.ledger.segment import read_segments

        of_all: Iterator[tuple[int, Entry | Drafted]] = in_sections(before, after, at, of_all=True)
        of_each: Iterator[tuple[int, Entry | Drafted]] = read_segments(self._left.segments)
        return (x for _, x in merge(of_all, of_each, key=itemgetter(0)))

    def discard(self) -> None:
        for folder in {path.parent for path in self._left.segments}:
            rmtree(folder, ignore_errors=True)

    def late(self) -> Iterable[tuple[str, date]]:
        return self._left.late

    def older(self) -> set[str]:
        return self._left.older

    @property
    def owners(self) -> Callable[[Store], Mapping[str, OwnerState]]:
        from roe.ledger.snapshot import owners_of

        return owners_of


class PortionEngine(Shared):
    """Tasks of this process, one after the other, so that memory does not grow with the data."""

    name = "portions"

    def limits(self) -> list[Limit]:
        if any(x.what != "size" for x in ColumnEngine(self.job).limits()):
            return [Limit("portions", "portions are columns, which cannot do it", weight="quiet")]
        why = not_in_portions(self.job)
        return [] if why == "" else [Limit("portions", why or "the data is so small that it is decided at once", weight="quiet")]

    def foretold(self) -> list[str]:
        from roe.share.plan import Share, share

        how, source = share(self.job.evaluator.policy), self.job.source
        return [
            f"all of `{path.name}` (about {source.rows_in_large[entity]:,} rows) is in memory, because it {NOT_IN_PORTIONS}"
            for entity, path in source.files().items()
            if isinstance(how, Share) and entity in how.children and source.is_whole(entity)
        ]

    def fill(self, files: Files, watch: Watch) -> None:
        from roe.share.local import Local

        self.decide_with(Local(files.folder), files, files_of_turns=True)
        if self.shared.together:
            self.notes.append(f"all records were decided at once, because {self.shared.together}")


class SparkEngine(Shared):
    """Tasks on Spark."""

    name = "spark"

    def limits(self) -> list[Limit]:
        job = self.job
        limits = []
        if not _packages("pyspark", "pandas", "pyarrow"):
            limits.append(_lacking("Spark", "spark", "pyspark", "pandas", "pyarrow", help=", and Java 17"))
        if not (job.source.is_folder or job.source.is_database):
            limits.append(Limit("source", "a run on Spark reads a folder", "name the folder of the tables", option="--data"))
        return [*limits, _circle(job.circles)] if job.circles else limits

    def fill(self, files: Files, watch: Watch) -> None:
        from roe.run.spark import wire
        from roe.spark.run import OnSpark
        from roe.spark.trouble import reason, troubles

        try:
            carrier = OnSpark(wire(self.job.form), files.folder, self.job.session)
            self.decide_with(carrier, files, files_of_turns=self.job.form in IN_PARTS)
        except troubles() as e:
            help = "use `--engine columns`, or look into Spark's own log"
            raise user_error("R803", f"Spark did not finish: {reason(e)}", "--engine", help) from e
        if self.shared.together and not self.foretold():
            self.notes.append(f"one task decided all records, because {self.shared.together}")

    def foretold(self) -> list[str]:
        from roe.share.plan import share

        why = share(self.job.evaluator.policy)
        cost = "this takes as long as `--engine columns` on one core, and needs memory for all records"
        return [f"one task decides all records, because {why}; {cost}"] if isinstance(why, str) else []


NOT_IN_PORTIONS = "cannot be read in portions, as Parquet, JSON, and CSV in UTF-8 can (save it as one of these if memory is short)"
PORTIONS = 1_500_000  # rows in large files from which a run is decided in portions


def not_in_portions(job: Job) -> str | None:
    """Why a large run cannot be decided in portions; empty if it can, and None if it is not large."""
    policy, source = job.evaluator.policy, job.source
    if not any(entity in source.files() for entity, _ in policy.plan.engagement):
        return None
    if sum(source.rows_in_large.values()) < PORTIONS:  # most are not, and the policy is not gone through for nothing
        return None
    from roe.share.plan import share

    how = share(policy)
    if isinstance(how, str):
        return how
    if all(source.is_whole(kind.entity) for kind in how.kinds):
        return f"`{source.files()[how.entity].name}` {NOT_IN_PORTIONS}"
    return ""


PREFERENCES: dict[str, tuple[type[Engine], ...]] = {
    "auto": (PortionEngine, ColumnEngine, RowEngine),
    "columns": (PortionEngine, ColumnEngine, RowEngine),
    "rows": (RowEngine,),
    "spark": (SparkEngine, RowEngine),
}


def choose(asked: str, job: Job) -> Engine:
    """The first engine of a preference that can do the job, with notes on why others cannot. Raises PolicyError if none can, or if the
    engine that was asked for lacks more than another one makes up for.
    """
    notes: list[str] = []
    refused: list[Limit] = []
    for kind in PREFERENCES[asked]:
        engine = kind(job)
        limits = [x for x in engine.limits() if asked == "auto" or x.what != "size"]
        if not limits:
            engine.notes += notes
            return engine
        refused = [x for x in limits if x.weight == "error"] or refused
        if refused and asked == engine.name:
            break
        notes += [f"{x.reason}: {_INSTEAD[x.what]}" for x in limits if x.weight == "note"]
    raise PolicyError([x.diagnostic() for x in refused])


_INSTEAD = {"circle": "computing by rows"}


def _packages(*names: str) -> bool:
    return all(find_spec(name) is not None for name in names)


def _lacking(what: str, extra: str, *names: str, help: str = "") -> Limit:
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    needs = "needs" if what == "Spark" else "need"
    return Limit("packages", f"{what} {needs} the packages {listed}", f"pip install 'roe-policy[{extra}]'{help}", code="R406")


def _circle(fields: list[str]) -> Limit:
    return Limit("circle", f"{fields[0]} rests on itself through the data, which only rows can follow", weight="note")
