"""A run whose records are shared out, by any carrier: tables cut up by record, the batch evaluator in each task, pools in between.

A task gets the records of one bucket with everything that refers to them, the other tables whole, and the policy's own
files. It runs what a local run would on that much data. What cannot be shared out is decided in one task, and is named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from roe.columns.raw import Raw
from roe.columns.read import read_columns
from roe.data.scan import TableOrigin
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.ledger.by_record import RECORD, rest_of, rows_of
from roe.ledger.remembered import Remembered
from roe.policy.model import DataSource, Policy
from roe.share import tasks
from roe.share.carrier import Carrier, Common, Frame
from roe.share.claims import settled, told, without_claims
from roe.share.credits import are_named, disputed_by_name
from roe.share.guests import asked_for, of_copies
from roe.share.memory import MEMORY, Change, others_owned, with_newest
from roe.share.parcels import KEY, LINE, PARCEL, ROWS, Buckets, Hashed, Key, Ranged, of_bytes
from roe.share.plan import Share, share
from roe.share.pools import Said, TurnFiles, hand_out
from roe.share.ranks import INEXACT, of_ranks, ranked
from roe.share.result import TaskResult
from roe.share.tables import Cut, cut_up, dated
from roe.share.tasks import (
    HANDED,
    KEYS_SAY,
    SAID,
    SAMPLE,
    Decide,
    Look,
    keys_of,
    of_all,
    of_bucket,
    of_keys,
    of_pieces,
    of_records,
    of_sample,
    of_waiting,
    parcels_of,
    sample_of,
    to_buckets,
)  # fmt: skip
from roe.share.waiting import BESIDE, GONE, OPEN, WAITING, columns_for_pools, waiting

KEYS_A_TASK = 1_000_000
MANY = 1000  # records of a task, of which there is at least one
MOST_LOST = 1_000_000  # references to no id, of which it is asked whether they are names
SAMPLES = 50  # ids that are looked at for each task, to tell where it begins
Check = Callable[[Mapping[str, Raw]], None]


@dataclass
class SharedOut:
    """What all tasks decide, as it comes; the entities that tasks share out; what the reading of those said, where no task has it; why the
    records stayed together, if they did; and what one task said of all turns, if it gave them out.
    """

    results: Iterable[TaskResult]
    split: set[str]
    origins: dict[str, TableOrigin]
    together: str = ""
    turns: Said | None = None
    others: dict[str, Raw] = field(default_factory=dict)  # the tables that every task has
    warnings: list[Diagnostic] = field(default_factory=list)
    whole: dict[str, str] = field(default_factory=dict)  # large files that were in memory all the same, and why
    changes: list[Change] = field(default_factory=list)  # of the memory, by what was decided for all tasks


@dataclass(frozen=True)
class Work:
    """What all tasks of a run are about. `state` is what the last run left; None where nothing is remembered. `turn_files` is for the turns of
    pools, if these are not to return to the driver. `number` of tasks, if it is not for the data to say.
    """

    carrier: Carrier
    evaluator: Evaluator
    data: Path
    as_of: str
    decide: Decide
    state: Remembered | None = None
    turn_files: TurnFiles | None = None
    number: int | None = None


def share_out(work: Work, check: Check = lambda tables: None) -> SharedOut:
    """Let tasks decide every record. `check` sees the tables first, those that are shared out without their rows. Raises PolicyError for data
    that cannot be read.
    """
    how = share(work.evaluator.policy)
    shared = how if isinstance(how, str) else _in_buckets(work, how, check)
    return _in_one_task(work, shared, check) if isinstance(shared, str) else shared


def _in_one_task(work: Work, reason: str, check: Check) -> SharedOut:
    raws, problems = read_columns(work.evaluator.policy, work.data, complete=True)
    if errors(problems):
        raise PolicyError(problems)
    check(raws)
    common = work.carrier.common(work.evaluator, work.as_of, raws, work.state or {})
    results = work.carrier.numbers(1).results(of_all(work.decide, common))
    return SharedOut(results, set(work.evaluator.policy.model.entities), {}, reason, warnings=problems)


def _in_buckets(work: Work, how: Share, check: Check) -> SharedOut | str:
    """Tasks for some of the records each; or why these must stay together."""
    state, entity, policy, carrier = work.state or {}, how.entity, work.evaluator.policy, work.carrier
    why = kept_together(work.evaluator, state, how)
    if why:
        return why
    cut = cut_up(policy, work.data, how, carrier.scratch)
    if isinstance(cut, str):
        return cut
    check({**cut.broadcast, **{of: Raw({}, 0, None, origin) for of, origin in cut.origins.items()}})
    number = work.number or max(1, cut.rows // tasks.ROWS_A_TASK)
    if policy.data.get(entity, DataSource()).complete:  # a task without a record would not know what is gone
        number = min(number, max(1, cut.rows // MANY))
    memory, keys = rows_of(state, entity), _Keys(work, cut, entity, number)
    if keys.lost and keys.may_be_names(policy):
        return "some references are not ids, and are looked for in all records"
    if keys.at_several:
        return f"some {min(keys.at_several)} rows have one id, and belong to different {entity} records"
    if disputed_by_name(policy, cut, carrier):
        return "some disputes may name their records otherwise than by id"
    state = with_newest(state, policy, entity, dated(cut, policy, entity))
    common = carrier.common(work.evaluator, work.as_of, cut.broadcast, rest_of(without_claims(state) if how.claims else state, entity))
    done = partial(SharedOut, origins=cut.origins, others=cut.broadcast, warnings=cut.warnings, whole=cut.whole)
    is_alone = (
        set(cut.shared) == {entity}
        and not keys.have_links
        and not (how.ranks or how.claims)
        and how.handed_out_by is None
        and not memory.num_rows
    )
    if is_alone and cut.pieces and (keys.are_ascending if carrier.in_order else keys.are_own):
        read = of_pieces(work.decide, common, cut.shared[entity], cut.pieces)
        return done(carrier.numbers(len(cut.pieces)).results(read), {entity})
    buckets = keys.buckets(number)
    parcels = _parcels(carrier, cut, buckets, memory)
    more = _with_others(carrier, how, cut, common, keys, buckets, parcels)
    if isinstance(more, str):
        return more
    parcels, said, changes = more, None, list[Change]()
    if how.claims:
        found = parcels.at_buckets(buckets.number).each(of_waiting(told, common, entity, cut.shared), PARCEL)
        answers, changes = settled(found, entity, common.knowing(state))
        parcels = parcels.joined(answers)
    if how.handed_out_by is not None:
        remembers = work.state is not None
        columns = columns_for_pools(policy, how, [c for c in cut.shared[entity].schema.names if c != LINE], remembers)
        look: Look[dict[str, pa.Table]] = partial(waiting, entity=entity, columns=columns)
        found = parcels.at_buckets(buckets.number).each(of_waiting(look, common, entity, cut.shared), PARCEL)
        if carrier.in_order:
            found = found.kept()
            found = found.only(WAITING).joined(found.only(BESIDE)).joined(found.only(OPEN)).joined(found.only(GONE))
        give: Look[Iterator[tuple[str, pa.Table]]] = partial(hand_out, entity=entity, files=work.turn_files, remembers=remembers)
        task = of_records(give, common.knowing(state), cut.shared[entity], entity, waiting_first=carrier.in_order)
        handed = found.in_one().each(task, PARCEL).kept()
        said = Said.of(of_bytes(bytes(next(iter(handed.only(SAID).rows()))[ROWS])))
        if said.reason:
            return said.reason
        parcels = parcels.joined(handed.only(HANDED))
    results = parcels.at_buckets(buckets.number).results(of_bucket(work.decide, common, entity, cut.shared))
    return done(results, {entity, *how.children}, turns=said, changes=changes + (said.changes if said is not None else []))


def kept_together(evaluator: Evaluator, state: Remembered, how: Share) -> str:
    """Why what the ledger knows keeps the records together; empty if it does not."""
    other = others_owned(state, how.entity)
    if other:
        return f"the ledger knows owners of {other} records, too"
    id_field = evaluator.policy.model.entities[how.entity]["id"]
    if state and (id_field.normalize or id_field.aliases):
        return "the ids of the data are not those of the ledger"
    return ""


def _with_others(carrier: Carrier, how: Share, cut: Cut, common: Common, keys: _Keys, buckets: Buckets, parcels: Frame) -> Frame | str:
    """Parcels with what tasks are told of other tasks' records: those that rules read, and the places among all; or why these are not enough."""
    if keys.have_links:
        asked = asked_for(keys.frame, how.entity, buckets, cut.rows)
        if isinstance(asked, str):
            return asked
        parcels = parcels.kept()
        parcels = parcels.joined(parcels.joined(asked).at_buckets(buckets.number).each(of_copies(how.entity, cut.shared), PARCEL).kept())
    if how.ranks:
        look: Look[dict[str, pa.Table]] = partial(ranked, entity=how.entity, names=how.ranks)
        found = parcels.at_buckets(buckets.number).each(of_waiting(look, common, how.entity, cut.shared), PARCEL).kept()
        if any(True for _ in found.only(INEXACT).rows()):
            return "some numbers that are ranked have more digits than columns"
        parcels = parcels.joined(found.in_one().each(of_ranks(), PARCEL).kept())
    return parcels


class _Keys:
    """What the keys of all rows say: which task gets which record, whether each row of the entity has its own, which of all references are `lost`:
    to no id; of which other tables rows of different records have one id (`at_several`); and, where results are wanted in order, whether the
    records are in the order of their ids. `frame` has the keys, and which record leads to which, at as many tasks as the records will have, if
    rules read other records.
    """

    def __init__(self, work: Work, cut: Cut, entity: str, number: int) -> None:
        self.carrier, self.cut, self.entity = work.carrier, cut, entity
        self.are_ascending, self.sample = self._sampled(work.number or 0) if work.carrier.in_order else (False, [])
        self.have_links = any(table.links or table.back for table in cut.shared.values())
        self.are_own, self.lost, self.at_several = True, set[str](), set[str]()
        if not self.are_ascending or set(cut.shared) != {entity} or self.have_links:
            buckets = self.buckets(number if self.have_links else max(1, cut.rows // KEYS_A_TASK))
            self.frame = _parcels(self.carrier, cut, buckets, None)
            if self.have_links:
                self.frame = self.frame.kept()
            for row in self.frame.at_buckets(buckets.number).each(of_keys(entity), KEYS_SAY).rows():
                self.are_own &= bool(row["is_own"])
                self.lost.update(json.loads(str(row["lost"])))
                self.at_several.update(json.loads(str(row["at_several"])))

    def may_be_names(self, policy: Policy) -> bool:
        """Whether a record may be meant by a reference that is not an id."""
        if len(self.lost) > MOST_LOST:
            return True  # to look for so many takes as much memory as their records
        return are_named(policy, self.entity, self.lost, self.cut, self.carrier)

    def buckets(self, number: int) -> Buckets:
        return Ranged.of_sample(self.sample, number) if self.carrier.in_order else Hashed(number)

    def _sampled(self, number: int) -> tuple[bool, list[bytes]]:
        key, rows = self.cut.shared[self.entity].key, self.cut.rows
        every = max(1, rows // SAMPLES // max(number, rows // tasks.ROWS_A_TASK, 1))
        if self.entity in self.cut.held:
            found = sample_of(key.of(self.cut.held[self.entity]), every).to_pylist()
        else:
            pieces = [piece for piece in self.cut.pieces if piece.entity == self.entity]
            found = list(self.carrier.numbers(len(pieces)).each(of_sample(pieces, key, every), SAMPLE).rows())
        keys = [row[KEY] for row in found if row[KEY] is not None]
        are_ascending = all(row["is_ascending"] for row in found) and all(a < b for a, b in pairwise(keys))
        return are_ascending, keys


def _parcels(carrier: Carrier, cut: Cut, buckets: Buckets, memory: pa.Table | None) -> Frame:
    """All rows that are shared out as parcels, and what the ledger knows of their records. Without a memory only the keys of the rows (`keys_of`)."""
    keys_alone, here = memory is None, list[pa.Table]()
    for entity, rows in cut.held.items():
        shared = cut.shared[entity]
        here += keys_of(entity, shared, rows, buckets) if keys_alone else [parcels_of(entity, shared.key, rows, buckets)]
    if memory is not None and memory.num_rows:
        here.append(parcels_of(MEMORY, Key(RECORD), memory, buckets))
    frames = [carrier.parcels(pa.concat_tables(here))] if here else []
    if cut.pieces:
        frames.append(carrier.numbers(len(cut.pieces)).each(to_buckets(cut.pieces, cut.shared, buckets, keys_alone), PARCEL))
    return reduce(lambda a, b: a.joined(b), frames)
