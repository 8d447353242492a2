"""What every engine of a run has in common: the job, what an engine cannot do of it, and what it gives back once everything is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.reps import misnamed
from roe.evaluator.world import World
from roe.ledger.remembered import Remembered
from roe.node import node
from roe.policy.circles import circles
from roe.run.files import Files, Watch
from roe.run.guards import lacking_owners
from roe.run.result import Portion
from roe.run.source import Source
from roe.source import Span

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from roe.ledger.encode import Drafted
    from roe.ledger.entry import Entry
    from roe.ledger.holders import OwnerState
    from roe.ledger.moment import At
    from roe.ledger.store import Store
    from roe.run.invariants import Broken


@dataclass
class Job:
    """What is to be decided, and what is wanted of it. `state` is what the last run left; `remembers` says that this one leaves something."""

    evaluator: Evaluator
    source: Source
    as_of: str
    state: Remembered = field(default_factory=Remembered)
    remembers: bool = False
    form: str = "csv"
    traces: bool = False
    turns: str = ""  # how the turns of pools are written: jsonl or parquet, or whichever suits their number
    session: SparkSession | None = None  # of Spark, if there is one already
    buckets: int | None = None  # into how many tasks the records are shared out; by default as many as their number asks for

    @cached_property
    def circles(self) -> list[str]:
        """The fields of the policy that rest on themselves through the data."""
        return [f"{entity}.{name}" for entity, name in circles(self.evaluator.policy)]

    def bound(self, world: World) -> Bound:
        """The policy on the records of a world. Raises PolicyError where a rep whom the policy names is not one rep of the data, or
        an owner's column is missing that the ledger has seen.
        """
        problems = misnamed(world)
        if problems:
            raise PolicyError(problems)
        bound = Bound(self.evaluator, world, self.state)
        problems = lacking_owners(bound.memory.without_column()) if self.remembers else []
        if problems:
            raise PolicyError(problems)
        return bound


@node
class Limit:
    """What an engine cannot do of a job. An `error` is for whoever asked for this very engine; a `note` says why another one decides;
    what is `quiet` is only a matter of speed.
    """

    what: str
    reason: str
    help: str = ""
    weight: Literal["error", "note", "quiet"] = "error"
    code: str = "R801"
    option: str = "--engine"

    def diagnostic(self) -> Diagnostic:
        return Diagnostic(self.code, self.reason, Span(self.option, 1, 1, 2), self.help)


class Engine:
    """One way of deciding a job. `limits` is asked before `fill`; the notes are for after."""

    name: ClassVar[str]

    def __init__(self, job: Job) -> None:
        self.job = job
        self.notes: list[str] = []

    def limits(self) -> list[Limit]:
        raise NotImplementedError

    def fill(self, files: Files, watch: Watch) -> None:
        """Decide, and add every batch to the files. `watch` sees each of them before it is written."""
        raise NotImplementedError

    def foretold(self) -> list[str]:
        """What is to be said before anything is computed."""
        return []

    def broken(self) -> list[Broken]:
        """The invariants that do not hold, where the engine has asked for them itself instead of showing its batches."""
        return []

    def state(self) -> Remembered:
        """What the next run needs, once everything is decided."""
        raise NotImplementedError

    def entries(self, before: Remembered, after: Remembered, portions: Iterable[Portion], at: At) -> Iterable[Entry | Drafted]:
        """What the run has to say to the ledger, in its order. `before` and `after` are what the engine was given and what it left; `portions`
        what it has shown.
        """
        raise NotImplementedError

    def discard(self) -> None:
        """Remove what the engine keeps on disk until its entries are written."""

    def late(self) -> Iterable[tuple[str, date]]:
        """The records with decisions that the CRM has not loaded, and the days of these."""
        raise NotImplementedError

    def older(self) -> set[str]:
        """The records of whom the data shows an owner from before what the CRM has shown already."""
        raise NotImplementedError

    @property
    def owners(self) -> Callable[[Store], Mapping[str, OwnerState]] | None:
        """How the engine wants to have who holds what (see `roe.ledger.state.remembered`); None for plain values."""
        return None
