"""A run whose records are shared out: what each task sends back, and all of it as the files of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from pathlib import Path

import pyarrow as pa

from roe.columns.evidence import FOLDER
from roe.columns.evidence_writer import begin, seen, stored
from roe.columns.raw import Raw
from roe.columns.world import ColumnWorld
from roe.data.arrow_files import ROW_GROUP
from roe.data.headers import columns_of
from roe.data.reading import Reading
from roe.diagnostics import PolicyError
from roe.dynamic import Json
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.evaluator.extra import COLUMNS as EXTRA
from roe.evaluator.extra import Rows, extra_rows
from roe.evaluator.reps import misnamed
from roe.ledger.by_record import rest_of
from roe.ledger.entry import About
from roe.ledger.remembered import Remembered
from roe.ledger.segment import write_segment
from roe.policy.model import Policy
from roe.run.columns import batch_of
from roe.run.engine import Job
from roe.run.entries import entries_in_sections
from roe.run.files import Files, new_part, tables_of
from roe.run.guards import lacking_owners
from roe.run.invariants import Broken, Tally
from roe.run.result import Batch
from roe.run.run import moment_of
from roe.run.summary import Summary, counts_of
from roe.share.memory import CENTRAL, POOLS, Change, changes_for_all, lost_columns, record_of, with_emptied
from roe.share.out import SharedOut
from roe.share.plan import Share, share
from roe.share.pools import run_of
from roe.share.result import TaskResult

CREDITS = "credits.csv"
SEGMENTS = "ledger.parquet"  # the folder of what tasks have to say to the ledger, until it is written there


@dataclass(frozen=True)
class Wanted:
    """What a task gives besides what it always sends back: files in a folder that all tasks can write to, of the tables (`parts`) and of
    what explains them (`traces`), and what the next run is to know (`remembers`).
    """

    folder: str
    parts: bool = False
    traces: bool = False
    remembers: bool = False


def decide(evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, wanted: Wanted, entity: str = "") -> TaskResult:
    """What one task decides: some records of an entity, or, if none is named, all that there are. Of the files that it writes itself it sends
    back the names. A task that runs twice writes twice, under names of their own: a run has only the files that are sent back.
    """
    how = share(evaluator.policy)
    kinds = how.kinds if entity and isinstance(how, Share) else []
    own = next((kind for kind in kinds if kind.entity == entity), None)
    is_given_turns = own is not None and own.handed_out_by is not None  # by another task
    run = run_of(evaluator, as_of, tables, state, entity if is_given_turns else "")
    batch = batch_of(run)
    if own is not None:
        batch.read["entities"] = said_of(batch.read["entities"], own, kinds, evaluator.policy)
    lines, folder = tables_of(batch.portions, evaluator.policy), Path(wanted.folder)
    parts = [_written(table, folder / f"{name}.parquet", arrow_types=False) for name, table in lines.items()] if wanted.parts else []
    if wanted.traces:
        entities = (
            None if own is None else {own.entity, *own.children} - {of for kind in kinds if kind is own.first for of in kind.children}
        )
        parts += [_written(table, folder / FOLDER / f"{name}.parquet") for name, table in seen(run, lines["allocations"], entities)]
    ids = {} if own is None else {name: run.world.tables[entity].ids_of(table["record"]) for name, table in lines.items()}
    result = TaskResult(
        {} if wanted.parts else lines,
        parts,
        {} if wanted.parts else ids,
        [batch.turns],
        [batch.pools],
        batch.extra if own is None else _of_own(batch.extra, own, kinds),
        [counts_of(batch)],
        [_tally(batch, state, own is None)],
    )
    if wanted.remembers:
        memory, at = run.world.columns_memory, moment_of(evaluator, as_of)
        left_out = CENTRAL if is_given_turns else POOLS if any(kind.handed_out_by is not None for kind in kinds) else ()
        central = (*left_out, *(["claims"] if any(kind.claims for kind in kinds) else ()))
        after = with_emptied(state, run.state())
        result.changes = [change for change in changes_for_all(state, after, central) if not run.world.is_guest(*record_of(change))]
        entries = entries_in_sections(state, after, batch.portions, at, memory, of_all=False)
        own_entries = ((n, e) for n, e in entries if not (isinstance(e, About) and run.world.is_guest(e.entity, e.record)))
        segment = new_part(folder / SEGMENTS)
        result.segments = [segment.name] if write_segment(own_entries, segment) else []
        result.older = sorted(record for record in memory.older if not any(run.world.is_guest(entity, record) for entity in tables))
        result.late = [(record, str(day)) for record, day in memory.pending()]
    return result


def said_of(read: Json, own: Share, kinds: list[Share], policy: Policy) -> Json:
    """What the tasks of one kind of records say of what they read, so that together with those of another kind they say it once. Of tables that
    belong to both, the tasks of the first kind say everything but which references lead to none of the later records.
    """
    if len(kinds) < 2:
        return read
    first, then = kinds
    later = {(of, name) for of, fields in policy.model.entities.items() for name, f in fields.items() if f.type.entity == then.entity}
    said = {}
    for of, x in read.items():
        is_first, is_later = (of in (kind.entity, *kind.children) for kind in kinds)
        if is_first and is_later:
            x = {**x, "dangling": [found for found in x["dangling"] if ((of, found[0]) in later) == (own is then)]}
        unsaid = {"records": 0, "rejects": [], "corrected": [], "reading": Reading(of).kept()}
        if is_first and own is then:
            x = {**x, **unsaid, "dangling": x["dangling"] if is_later else []}
        elif is_later and not is_first and own is first:
            x = {**x, **unsaid, "dangling": []}
        said[of] = x
    return said


def _written(table: pa.Table, folder: Path, arrow_types: bool = True) -> str:
    """The file of one task in the folder of a table, by its name; `arrow_types` as in `ParquetFile`."""
    from pyarrow import parquet

    path = new_part(folder)
    parquet.write_table(table, path, row_group_size=ROW_GROUP, compression="snappy", store_schema=arrow_types)
    return path.name


def _of_own(extra: Rows, own: Share, kinds: list[Share]) -> Rows:
    """The lines of files without credits for records that every task has, or the tasks of the first kind."""
    at, others = EXTRA[CREDITS].index("entity"), {of for kind in kinds if kind is own.first for of in (kind.entity, *kind.children)}
    credited = {own.entity, *own.children} - others
    return {name: [row for row in rows if name != CREDITS or row[at] in credited] for name, rows in extra.items()}


def _tally(batch: Batch, state: Remembered, whole: bool) -> Json:
    """What invariants have met in a task. One that has all records knows what is asked of reps and of the run as well."""
    tally = Tally(batch.bound.policy, state.get("owners", {}))
    if tally.policy.plan.invariants:
        tally.add(batch)
        if whole:
            tally.broken = tally.close(batch.bound.world)
        else:
            tally.facts["vanished"] = tally.vanished(batch.bound.world)  # of the records whose memory is here
    return tally.as_json()


def check(job: Job, tables: Mapping[str, Raw]) -> None:
    """Raises PolicyError where a rep whom the policy names is not one rep of the data, or an owner's column is missing that the ledger has
    seen. Of tables that are shared out only the headers are asked.
    """
    policy, compiled = job.evaluator.policy, job.evaluator.compiled
    reps = {entity: raw for entity, raw in tables.items() if entity == "rep"}
    problems = misnamed(ColumnWorld(compiled, reps, job.evaluator.clock(job.as_of)))
    held = {
        entity: columns_of(entity, policy.model.entities[entity], raw.origin.header or raw.columns, policy.model.roles())
        for entity, raw in tables.items()
    }
    lost = lost_columns(job.state, lambda entity, role: entity not in held or f"owner.{role}" in held[entity]) if job.remembers else []
    problems = problems or lacking_owners(lost)
    if problems:
        raise PolicyError(problems)


@dataclass
class Left:
    """What all tasks of a run leave: invariants that do not hold, and for the ledger the segments, the changes of what concerns all records,
    the earlier decisions that the CRM has not loaded, and records whose rows are older than what the CRM has shown.
    """

    broken: list[Broken] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    segments: list[Path] = field(default_factory=list)
    late: list[tuple[str, date]] = field(default_factory=list)
    older: set[str] = field(default_factory=set)

    def add(self, result: TaskResult) -> None:
        self.changes += result.changes
        self.late += ((record, date.fromisoformat(day)) for record, day in result.late)
        self.older.update(result.older)


def collect(shared: SharedOut, files: Files, job: Job) -> Left:
    """Fill the files of a run with what all tasks have sent back."""
    tally, left = Tally(job.evaluator.policy), Left()
    if files.traced:
        keep_others(shared.others, files.folder, job)
    files.summary = Summary(shared.split, shared.origins)
    parts, pools = set[str](), [""]
    for result in shared.results:
        for name, lines in result.lines.items():
            files.table(name, lines)
        for name, rows in result.extra.items():
            files.extra.setdefault(name, []).extend(rows)
        for counts in result.counts:
            files.summary.add(counts)
        for counted in result.tallies:
            tally.merge(counted)
        parts.update(result.parts, result.segments)
        left.segments += (files.folder / SEGMENTS / name for name in result.segments)
        files.turns += result.turns
        pools += result.pools
        left.add(result)
    _only(files.folder, parts)
    files.pools = max(pools, key=len)  # one of each task; pools take turns in one task alone
    if shared.turns is not None:
        files.turns, files.pools, files.turns_are_written = [shared.turns.turns], shared.turns.pools, shared.turns.are_written
    how = share(job.evaluator.policy)
    if isinstance(how, Share) and not shared.together and any(c.entity not in shared.split for c in job.evaluator.policy.plan.credits):
        world = ColumnWorld(job.evaluator.compiled, shared.others, job.evaluator.clock(job.as_of))
        files.extra[CREDITS] += extra_rows(
            Bound(job.evaluator, world, reduce(rest_of, (kind.entity for kind in how.kinds), job.state)), {}
        )[CREDITS]
    left.changes += shared.changes
    left.broken = _broken(shared, tally, job)
    return left


def _broken(shared: SharedOut, tally: Tally, job: Job) -> list[Broken]:
    """The invariants that do not hold, of what tasks have found and of all of it together."""
    if shared.together or not job.evaluator.policy.plan.invariants:
        return tally.broken
    broken = {(id(b.invariant), b.entity, b.record): b for b in tally.broken}  # what all tasks have is asked in each of them
    tally.broken = sorted(broken.values(), key=lambda b: b.record.encode())
    return tally.close(_world_of(shared.others, job))


def _world_of(others: dict[str, Raw], job: Job) -> ColumnWorld:
    """The tables that all tasks have."""
    world = ColumnWorld(job.evaluator.compiled, others, job.evaluator.clock(job.as_of))
    Bound(job.evaluator, world, {"records": job.state["records"]} if "records" in job.state else {})
    return world


def keep_others(others: dict[str, Raw], folder: Path, job: Job) -> None:
    """What all tasks saw alike, beside what each of them keeps of its own records."""
    from pyarrow import parquet

    own = begin(folder, job.evaluator, job.as_of, job.state)
    world = _world_of(others, job)
    for entity in others:
        if world.tables[entity].listed:
            parquet.write_table(stored(world, entity), own / f"{entity}.parquet", row_group_size=ROW_GROUP, compression="snappy")


def _only(folder: Path, parts: set[str]) -> None:
    """Remove the files of tasks that were run again: only what was sent back belongs to the run."""
    for path in folder.rglob("*.parquet/part-*.parquet"):
        if path.name not in parts:
            path.unlink()
