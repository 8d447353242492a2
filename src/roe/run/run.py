"""A run from its data to its files: read the memory, choose an engine, decide, check, write, and commit all of it at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from roe import __version__
from roe.data.report import FILE, Report, beside, read_report, write_report
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.dynamic import Json, Value
from roe.files import uncollected
from roe.ledger.remembered import Remembered
from roe.node import node
from roe.run.engine import Engine, Job
from roe.run.engines import choose
from roe.run.entries import Since, Told
from roe.run.files import DELTA, IN_PARTS, KNOWN, Files, Tables, write_rows
from roe.run.folder import OutFolder, files_of, read_mark
from roe.run.guards import activated, another_policy, decides, not_loaded, older_rows, without_a_ledger
from roe.run.inputs import digest_of, inputs_of, policy_files, revision, run_id
from roe.run.invariants import Broken, Tally, told
from roe.run.result import Batch, Portion
from roe.run.source import expected

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.engine import Run as RowRun
    from roe.evaluator.world import World
    from roe.ledger.encode import Drafted
    from roe.ledger.entries import RunEntry
    from roe.ledger.entry import Entry
    from roe.ledger.moment import At
    from roe.run.evidence import Key
    from roe.run.memory import Memory

TRIES = 3  # how often a run decides anew because somebody else has appended to the ledger; the last time it holds the lock


@node(frozen=False)
class RunOptions:
    """Where a run keeps its memory (`state`, a folder or a database address), and how it commits.

    `wait` is for how many seconds it waits for another run. `dry` writes files and commits nothing; `replay` does so on a copy of the
    ledger as it was at as-of. `accepted` says who let the run pass its guards, and why. With `activate` the policy takes over from another one on the same ledger. `now` is the clock that as-of is held against.
    """

    state: str = ""
    engine: str = "auto"
    wait: float = 60
    dry: bool = False
    replay: bool = False
    accepted: str = ""
    activate: bool = False
    now: datetime | None = None
    say: Callable[[str], None] = field(default=lambda note: None)  # what is to be known before it begins


@node(frozen=False)
class Finished:
    """What became of a run: its summary, what was read now and by the run before, notes, and the invariants that do not hold.

    `outcome` says whether the ledger has it: `committed`, `refused` by an invariant, `dry`, or `forgetful` without a ledger. `since` counts
    the changes of owner since the last run by what made them.
    """

    summary: Json
    report: Report
    last: Report
    notes: list[str]
    broken: list[Diagnostic] = field(default_factory=list)
    outcome: Literal["committed", "refused", "dry", "forgetful"] = "forgetful"
    since: Since | None = None


def run(job: Job, out: Path, options: RunOptions | None = None) -> Finished:
    """Decide every record, write the files, and commit. Raises PolicyError for what is wrong with data, options or the ledger, OSError for
    a folder that cannot be written.
    """
    given = options or RunOptions()
    folder = OutFolder(out, apart=job.form in IN_PARTS, delta=job.form == DELTA)
    job.remembers = bool(given.state)
    problems = [] if given.state else without_a_ledger(job.evaluator.policy)
    if problems:
        raise PolicyError(problems)
    for note in choose(given.engine, job).foretold():  # what no engine can do is said before anything is waited for
        given.say(note)
    with folder.locked(given.wait), _memory(job, given) as memory:
        note = folder.recover(lambda mark: memory is None or not mark.get("ledger") or memory.has(str(mark.get("run"))))
        if memory is not None and not given.replay:
            memory.check(_at(job), given.now or datetime.now(UTC))
            problems = [] if given.activate else another_policy(memory.store, job.evaluator.policy)
            if problems:
                raise PolicyError(problems)
        try:
            finished = _decided(job, folder, given, memory)
        except BaseException:
            if not read_mark(folder.staged):  # what was sealed may have happened: the next command will know
                folder.discard()
            raise
        finished.notes = [x for x in (note, *finished.notes) if x]
    return finished


def _memory(job: Job, given: RunOptions) -> Value:
    if not given.state:
        return nullcontext()
    from roe.run.memory import opened

    return opened(given.state, job.evaluator.policy.timezone, given.wait, _at(job) if given.replay else None)


def _at(job: Job) -> At:
    return moment_of(job.evaluator, job.as_of)


def moment_of(evaluator: Evaluator, as_of: str) -> At:
    """An as-of as the ledger has it: midnight is the day."""
    from roe.ledger.moment import At

    now = evaluator.clock(as_of).now
    midnight = (now.hour, now.minute, now.second, now.microsecond) == (0, 0, 0, 0)
    return At.of(now.date() if midnight else now, evaluator.policy.timezone)


def _decided(job: Job, folder: OutFolder, given: RunOptions, memory: Memory | None) -> Finished:
    """Decide until nobody has appended to the ledger meanwhile, and put the files in place."""
    if memory is None:
        return _Draft(job, folder, given, {}).finish("dry" if given.dry else "forgetful")
    digest, looks_back = digest_of(policy_files(job.evaluator.policy)), job.evaluator.policy.plan.past.looks_back
    owners = choose(given.engine, job).owners
    for attempt in range(TRIES):
        if attempt < TRIES - 1:
            draft = _Draft(job, folder, given, memory.read(digest, owners, looks_back), memory)
            if given.dry or given.replay or draft.is_refused:
                return draft.finish("refused" if draft.is_refused else "dry")
        with memory.committing() as commit:
            if attempt == TRIES - 1:
                draft = _Draft(job, folder, given, memory.read(digest, owners, looks_back), memory)
            elif not commit.is_current:
                continue
            if draft.is_refused:
                break
            draft.commit(commit)
        folder.put_in_place()
        draft.remember_report()
        draft.finished.notes += memory.thin_out(_at(job), job.evaluator.policy.plan.retain)
        if owners is not None:
            memory.keep_copy(getattr(draft.before.get("owners"), "size", 0))
        return draft.finished
    return draft.finish("refused")


class _Draft:
    """A run that is decided and written under a temporary name, and not committed yet."""

    def __init__(self, job: Job, folder: OutFolder, given: RunOptions, state: Remembered, memory: Memory | None = None) -> None:
        self.job, self.folder, self.given, self.before, self.memory = job, folder, given, state, memory
        job.state = state
        self.base = memory.store.head().base if memory is not None else {}
        engine = self.engine = choose(given.engine, job)
        policy = job.evaluator.policy
        last = self._last_report()
        place = folder.begin(KNOWN)
        self.watcher = _Watcher(job, place, engine)
        files = Files(place, policy, job.form, job.traces)
        files.turns_form = job.turns
        try:
            engine.fill(files, self.watcher.see)
            report = files.report()
            problems = expected(policy, report, last)
            if problems:
                raise PolicyError(problems)
            summary = files.close(job.evaluator.clock(job.as_of))
            self.watcher.close()
            broken = [*self.watcher.broken(), *engine.broken()]
            if policy.plan.invariants:
                write_rows("invariants.csv", (b.row() for b in broken), place)
        finally:
            files.abandon()
        with uncollected():
            self.after = engine.state() if memory is not None else None
        self.finished = Finished(summary, report, last, [*engine.notes, *self._about_loads()], list(told(broken)))
        self.is_refused = bool(errors(self.finished.broken)) and not given.accepted
        self.about = self._about(engine)

    def _about_loads(self) -> list[str]:
        """What is to be said of earlier decisions that the CRM does not have yet, and of data that is older than what was read before."""
        if self.memory is None:
            return []
        within, today = timedelta(days=self.job.evaluator.policy.plan.crm.load_within), self.job.evaluator.clock(self.job.as_of).today
        said = (older_rows(self.engine.older()), not_loaded(self.engine.late(), within, today))
        return [x for x in said if x]

    def _last_report(self) -> Report:
        """What the run before read: kept with the memory, or where it wrote."""
        folder = beside(self.given.state)
        return read_report(folder if folder is not None and (folder / FILE).is_file() else files_of(self.folder.place))

    def remember_report(self) -> None:
        folder = beside(self.given.state)
        if folder is not None:
            write_report(self.finished.report, folder)

    def _about(self, engine: Engine) -> Json:
        """What run.json says of the run itself."""
        policy, summary = self.job.evaluator.policy, self.finished.summary
        self.files = policy_files(policy)
        digest, inputs = digest_of(self.files), inputs_of(self.job.source)
        base = str(self.memory.number) if self.memory is not None else ""
        name = run_id(str(summary["as_of"]), digest, json.dumps(inputs, sort_keys=True), base, self.job.form, __version__)
        return {
            "run": name,
            "as_of": summary["as_of"],
            "policy": {"name": policy.name, "digest": digest, "revision": revision(policy.root)},
            "version": __version__,
            "engine": engine.name,
            "inputs": inputs,
            "counts": {key: summary[key] for key in ("records", "allocations", "moved", "rejected")},
        }

    def finish(self, outcome: Literal["refused", "dry", "forgetful"]) -> Finished:
        """Put the files in place without a commit."""
        self.finished.outcome = outcome
        if outcome == "dry" and self.memory is not None and not self.given.replay:
            from roe.ledger.encode import draft
            from roe.run.pending import keep

            drafts = (x[1] if isinstance(x, tuple) else draft(x) for x in self._entries())
            keep(self.folder.staged, self.base, self._entry(), self.files, drafts)
        self.engine.discard()
        self.folder.seal({**self.about, "outcome": outcome})
        self.folder.put_in_place()
        return self.finished

    def commit(self, commit: Value) -> None:
        """Append the run and its entries, and seal the files with where they stand in the ledger."""
        with uncollected():
            place = commit.append(self._entry(), self.files, self._entries())
        self.engine.discard()
        self.finished.outcome = "committed"
        self.folder.seal({**self.about, "outcome": "committed", "ledger": place})

    def _entry(self) -> RunEntry:
        """The run's own entry."""
        from roe.ledger.entries import RunEntry

        about = self.about
        return RunEntry(
            at=_at(self.job),
            id=about["run"],
            policy=about["policy"]["name"],
            digest=about["policy"]["digest"],
            revision=about["policy"]["revision"],
            version=__version__,
            engine=about["engine"],
            inputs=about["inputs"],
            counts={
                **{key: about["counts"][key] for key in ("allocations", "moved")},
                "decides": decides(self.job.evaluator.policy),
                **({"activate": True} if self.given.activate else {}),
            },
            accepted=self.given.accepted,
        )

    def _entries(self) -> Iterator[Entry | Drafted]:
        """What the run has to say, in the order of the ledger. At the end it is known what is to be told of it."""
        assert self.after is not None and self.memory is not None
        at, job = _at(self.job), self.job
        explains = self._by_rows is not None or not job.source.is_large()
        told = Told(self.memory, at, with_keys=explains)
        if self.given.activate:
            about = self.about["policy"]
            yield activated(job.evaluator.policy, about["digest"], about["revision"], at, self.given.accepted)
        yield from told.hear(self.engine.entries(self.before, self.after, self.watcher.portions, at))
        if explains:
            yield from self._evidence(told.keys, at)
        self.finished.since = told.since
        self.finished.notes += [x for x in (told.contested.sentence(),) if x]

    @property
    def _by_rows(self) -> RowRun | None:
        """The run, if it was made by rows."""
        from roe.evaluator.engine import Run as RowRun

        run = getattr(self.engine, "run", None)
        return run if isinstance(run, RowRun) else None

    def _evidence(self, keys: set[Key], at: At) -> Iterable[Entry]:
        """What explains the decisions of a run. Traces are made by rows: of data that is too large for them the ledger keeps none."""
        from roe.evaluator.engine import Run as RowRun
        from roe.evaluator.world import World
        from roe.run.evidence import evidence_of

        assert self.memory is not None
        job, run = self.job, self._by_rows
        if run is None:
            bound = job.bound(World(job.evaluator.compiled, job.source.rows(), job.evaluator.clock(job.as_of)))
            run = RowRun(bound, list(bound.decide_all()))
        return evidence_of(run, keys, at, self.about["policy"]["digest"], self.memory.store)


class _Watcher:
    """Sees every batch before it is written: for the invariants, for the ledger, and for explanations made from evidence."""

    def __init__(self, job: Job, place: Path, engine: Engine) -> None:
        self.tally = Tally(job.evaluator.policy, job.state.get("owners", {}))
        self.remembers = job.remembers
        self.portions: list[Portion] = []
        self.world: World | None = None
        self.evidence: EvidenceWriter | None = None
        if job.traces and engine.name == "columns":
            from roe.columns.evidence_writer import EvidenceWriter

            self.evidence = EvidenceWriter(place, job.evaluator, job.as_of, job.state)

    def see(self, batch: Batch, tables: Tables) -> None:
        if self.evidence is not None:
            self.evidence.add(batch.run, tables["allocations"])
        if self.tally.policy.plan.invariants:
            self.tally.add(batch)
            self.world = batch.bound.world
        if self.remembers:
            self.portions += batch.portions

    def close(self) -> None:
        if self.evidence is not None:
            self.evidence.close()

    def broken(self) -> list[Broken]:
        """The invariants that do not hold, of the whole run."""
        return self.tally.close(self.world) if self.world is not None else []
