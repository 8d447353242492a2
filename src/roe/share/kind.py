"""The records of one kind on their way to tasks: keys first, then rows with what tasks are told of other records, and the turns of pools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from roe.columns.decided import decided_of
from roe.columns.raw import Raw
from roe.evaluator.engine import Evaluator
from roe.ledger.by_record import RECORD, rows_of, state_of
from roe.ledger.remembered import Remembered
from roe.plan.operators import Relate
from roe.policy.model import DataSource
from roe.share import tasks
from roe.share.carrier import Carrier, Common, Frame
from roe.share.claims import TOLD, settled, told
from roe.share.guests import asked_for, links_of, of_copies, of_links
from roe.share.matches import NAMES, asked_before_names, keys_had, keys_wanted, met, names_wanted, of_names
from roe.share.memory import MEMORY, Change
from roe.share.names import Names, names_of
from roe.share.parcels import DECIDED, KEY, LINE, NAMES_ALIKE, PARCEL, ROWS, Buckets, Hashed, Key, Ranged, of_bytes
from roe.share.plan import Share
from roe.share.pools import Said, TurnFiles, hand_out, run_of
from roe.share.ranks import INEXACT, of_ranks, ranked
from roe.share.result import TaskResult
from roe.share.tables import Cut
from roe.share.tasks import (
    HANDED,
    KEYS_SAY,
    SAID,
    SAMPLE,
    Decide,
    Kind,
    Look,
    Shared,
    keys_of,
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
from roe.share.waiting import BESIDE, GONE, OPEN, READ, WAITING, columns_for_pools, waiting

KEYS_A_TASK = 1_000_000
MANY = 1000  # records of a task, of which there is at least one
SAMPLES = 50  # ids that are looked at for each task, to tell where it begins


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


@dataclass
class OfKind:
    """The records of one kind. `then` are those that are decided after them, `lenders` the tables of those that are decided before. `rows` are
    parcels with all that is shared out and what the ledger knows of it, `parcels` also with what tasks are told of other records; `ranks` are
    places among all; `claims_before` is what claims on the records say that are decided before; `said` is what the task said that gave out
    turns; `changes` are those of the memory by what was decided for all tasks.
    """

    work: Work
    how: Share
    cut: Cut
    keys: Keys
    buckets: Buckets
    then: OfKind | None
    rows: Frame
    parcels: Frame
    has_memory: bool
    lenders: Mapping[str, Shared] = field(default_factory=dict)
    ranks: Frame | None = None
    claims_before: Frame | None = None
    said: Said | None = None
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, work: Work, how: Share, cut: Cut, then: OfKind | None) -> OfKind | str:
        """The records on their way, before `then` those that are decided after them; or why they must stay together."""
        number = work.number or max(1, cut.rows // tasks.ROWS_A_TASK)
        if work.evaluator.policy.data.get(how.entity, DataSource()).complete:  # a task without a record would not know what is gone
            number = min(number, max(1, cut.rows_of.get(how.entity, 0) // MANY))
        memory = rows_of(work.state or {}, how.entity)
        asking = None if then is None else then.asking
        keys = Keys(work, cut, how.entity, number, asking)
        names = names_of(work.evaluator.policy, how.entity, keys.lost, cut, work.carrier) if keys.lost else None
        if isinstance(names, str):
            return names
        if names is not None:
            cut = cut.by_name(names.named, how.entity)
            if then is not None:
                then.cut = then.cut.leading_by_name(names.named)
            keys = Keys(work, cut, how.entity, number, asking, names)
        if keys.at_several:
            return f"some {min(keys.at_several)} rows share an id, but belong to different {how.entity} records"
        rows = parcels_in(work.carrier, cut, keys.buckets(number), memory)
        rows = rows.kept() if then is not None or how.matched else rows
        if then is not None:
            then.lenders = cut.shared
        return cls(work, how, cut, keys, keys.buckets(number), then, rows, rows, bool(memory.num_rows))

    @property
    def kind(self) -> Kind:
        first = self.how.first
        return Kind(self.how.entity, {**self.lenders, **self.cut.shared}, self.how.entity if first is None else first.entity)

    # --- without a shuffle --------------------------------------------------------------------------------------------

    def is_in_pieces(self) -> bool:
        """Whether tasks can read the records themselves: nothing else is asked of them, and each piece has all rows of its records."""
        alone = set(self.cut.shared) == {self.how.entity} and not self.keys.have_links and not (self.how.ranks or self.how.claims)
        are_apart = self.keys.are_ascending if self.work.carrier.in_order else self.keys.are_own
        return alone and self.how.handed_out_by is None and not self.has_memory and bool(self.cut.pieces) and are_apart

    def decided_in_pieces(self, common: Common) -> Iterable[TaskResult]:
        pieces = self.cut.pieces
        read = of_pieces(self.work.decide, common, self.cut.shared[self.how.entity], pieces)
        return self.work.carrier.numbers(len(pieces)).results(read)

    # --- what tasks are told ------------------------------------------------------------------------------------------

    def fill(self, common: Common, state: Remembered, guests: Frame | None) -> str:
        """Put beside the rows all that tasks are told of other tasks' records: guests, among them records that are decided already, places among
        all, and turns. The reason if that is not enough.
        """
        more = self._with_others(common, self.parcels if guests is None else self.parcels.joined(guests))
        if isinstance(more, str):
            return more
        self.parcels = more
        self._settle_claims(common, state)
        return "" if self.how.handed_out_by is None else self._hand_out(common, state)

    def _settle_claims(self, common: Common, state: Remembered) -> None:
        """Put beside the rows which of their claims are refused. Those on guests that are decided before are asked for again, by other tasks."""
        claimed = self.how if self.how.claims else self.how.first
        if claimed is None or not claimed.claims:
            return
        found = self.parcels.at_buckets(self.buckets.number).each(of_waiting(told, common, self.kind), PARCEL)
        if self.claims_before is not None:
            found = self.claims_before.joined(found)
        elif self.then is not None:
            found = found.kept()
            self.then.claims_before = found.only(TOLD)
        answers, changes = settled(found, claimed.entity, common.knowing(state))
        self.parcels = self.parcels.joined(answers)
        if self.how.claims:
            self.changes = changes

    def _with_others(self, common: Common, parcels: Frame) -> Frame | str:
        """Parcels with the records that rules read, and with the places among all; or why these are not enough."""
        how, n = self.how, self.buckets.number
        if self.keys.have_links:
            asked = asked_for(self.keys.frame, how.entity, self.buckets, self.cut.rows)
            if isinstance(asked, str):
                return asked
            parcels = parcels.kept()
            parcels = parcels.joined(parcels.joined(asked).at_buckets(n).each(of_copies(how.entity, self.cut.shared), PARCEL).kept())
        if how.ranks:
            look: Look[dict[str, pa.Table]] = partial(ranked, entity=how.entity, names=how.ranks)
            found = parcels.at_buckets(n).each(of_waiting(look, common, self.kind), PARCEL).kept()
            if any(True for _ in found.only(INEXACT).rows()):
                return "some numbers that are ranked have more digits than columns"
            self.ranks = found.in_one().each(of_ranks(), PARCEL).kept()
            parcels = parcels.joined(self.ranks)
        return parcels

    def _hand_out(self, common: Common, state: Remembered) -> str:
        """Let one task give out all turns, and put those of each task beside its rows; the reason if it cannot."""
        how, carrier, policy, shared = self.how, self.work.carrier, self.work.evaluator.policy, self.cut.shared[self.how.entity]
        entity, remembers, first = how.entity, self.work.state is not None, how.first
        read: dict[str, list[str]] = {}
        if first is not None:
            lent = replace(first, handed_out_by=how.lent)
            by_name = any(key.named is not None for table in self.cut.shared.values() for key in table.leads)
            read[first.entity] = columns_for_pools(policy, lent, _header(self.lenders[first.entity]), remembers=False, by_name=by_name)
            state = state_of(entity, rows_of(state, entity), common.state())  # its records alone
        columns = columns_for_pools(policy, how, _header(shared), remembers)
        matched = next((name for name in how.handed_out_by or () if isinstance(policy.plan.steps.get((entity, name)), Relate)), "")
        look: Look[dict[str, pa.Table]] = partial(
            waiting, entity=entity, columns=columns, is_first=not self.work.state, read=read, matched=matched
        )
        found = self.parcels.at_buckets(self.buckets.number).each(of_waiting(look, common, self.kind), PARCEL)
        if carrier.in_order:
            found = found.kept()
            parts = (WAITING, BESIDE, OPEN, GONE, *(READ + of for of in read))
            found = reduce(lambda a, b: a.joined(b), map(found.only, parts))
        give: Look[Iterator[tuple[str, pa.Table]]] = partial(hand_out, entity=entity, files=self.work.turn_files, remembers=remembers)
        lenders = {of: self.lenders[of] for of in read}
        task = of_records(give, common.knowing(state), shared, entity, waiting_first=carrier.in_order, read=lenders)
        handed = found.in_one().each(task, PARCEL).kept()
        self.said = Said.of(of_bytes(bytes(next(iter(handed.only(SAID).rows()))[ROWS])))
        self.parcels = self.parcels.joined(handed.only(HANDED))
        self.changes = self.changes + self.said.changes
        return self.said.reason

    # --- what tasks decide --------------------------------------------------------------------------------------------

    def decided(self, common: Common) -> Iterable[TaskResult]:
        return self.parcels.at_buckets(self.buckets.number).results(of_bucket(self.work.decide, common, self.kind))

    # --- between two kinds --------------------------------------------------------------------------------------------

    def asking(self, buckets: Buckets) -> Frame | None:
        """What these records ask the tasks of those for that are decided before them (`links_of`); None if no column refers to one."""
        cut, carrier = self.cut, self.work.carrier
        here = [links_of(cut.shared[of], rows, self.buckets, buckets) for of, rows in cut.held.items() if cut.shared[of].leads]
        pieces = [piece for piece in cut.pieces if cut.shared[piece.entity].leads]
        frames = [carrier.parcels(pa.concat_tables(here))] if here else []
        if pieces:
            frames.append(carrier.numbers(len(pieces)).each(of_links(pieces, cut.shared, self.buckets, buckets), PARCEL))
        return reduce(lambda a, b: a.joined(b), frames).kept() if frames else None

    def lent(self, common: Common) -> Frame | str | None:
        """The guests of the tasks of later records, with the owners that they got; or why these are too many."""
        asks, then = self.keys.asks, self.then
        if then is None or (asks is None and not then.how.matched):
            return None
        entity, matched = self.how.entity, (then.how.entity, then.how.matched)
        step = self.work.evaluator.policy.plan.steps.get(matched)
        look: Look[dict[str, pa.Table]] = partial(
            owners_given, entity=entity, takes_turns=self.how.handed_out_by is not None, matched=None if step is None else matched
        )
        given = self.parcels.at_buckets(self.buckets.number).each(of_waiting(look, common, self.kind), PARCEL)
        if not isinstance(step, Relate):
            return self._guests(given, asks)
        given = given.kept()
        asks = _and_more(asks, met(given, then.looks_for(common, partial(keys_wanted, matched=matched)), self.buckets))
        if not any(method.similar is not None for method in step.methods):
            return self._guests(given, asks)
        first = asked_before_names(self.work.evaluator.policy, step)
        by_keys = self._guests(given, asks) if first else None
        if isinstance(by_keys, str):
            return by_keys
        sought = then.looks_for(common, partial(names_wanted, matched=matched, first=first), by_keys)
        alike = given.only(NAMES).joined(sought).in_one().each(of_names(step), PARCEL).kept()
        guests = self._guests(given, _and_more(asks, met(given, alike, self.buckets)))
        return guests if isinstance(guests, str) else guests.joined(alike.only(NAMES_ALIKE))

    def looks_for(self, common: Common, look: Look[dict[str, pa.Table]], guests: Frame | None = None) -> Frame:
        """What these records look for among those that are decided before them, of which some may be guests already."""
        rows = self.rows if guests is None else self.rows.joined(guests)
        return rows.at_buckets(self.buckets.number).each(of_waiting(look, common, self.kind), PARCEL).kept()

    def _guests(self, given: Frame, asks: Frame | None) -> Frame | str:
        """The records that later ones ask for, with the owners that they were given; or why these are too many."""
        assert self.then is not None
        asked = asked_for(self.keys.frame, self.how.entity, self.buckets, self.cut.rows + self.then.cut.rows, asks)
        if isinstance(asked, str):
            return asked
        known = self.rows.joined(given.only(DECIDED)).joined(asked)
        known = known if self.ranks is None else known.joined(self.ranks)
        return known.at_buckets(self.buckets.number).each(of_copies(self.how.entity, self.cut.shared), PARCEL).kept()


def _and_more(asks: Frame | None, more: Frame) -> Frame:
    return more if asks is None else asks.joined(more)


def owners_given(
    evaluator: Evaluator,
    as_of: str,
    tables: dict[str, Raw],
    state: Remembered,
    *,
    entity: str,
    takes_turns: bool,
    matched: tuple[str, str] | None,
) -> dict[str, pa.Table]:
    """Who gets the records of a task; and the keys by which later records are matched to them, if they are."""
    run = run_of(evaluator, as_of, tables, state, entity if takes_turns else "")
    step = evaluator.policy.plan.steps[matched] if matched is not None else None
    keys = keys_had(run.world.tables[entity], step) if isinstance(step, Relate) else {}
    return {DECIDED: decided_of(of for of in run.allocations if of.entity == entity), **keys}


def _header(shared: Shared) -> list[str]:
    return [name for name in shared.schema.names if name != LINE]


class Keys:
    """What the keys of all rows say: which task gets which record, whether each row of the entity has its own, which of all references are `lost`:
    to no id; of which other tables rows of different records have one id (`at_several`); and, where results are wanted in order, whether the
    records are in the order of their ids. `frame` has the keys, and which record leads to which, at as many tasks as the records will have, if
    rules read other records. `asks` is what later records ask for.
    """

    def __init__(
        self, work: Work, cut: Cut, entity: str, number: int, asking: Callable[[Buckets], Frame | None] | None, names: Names | None = None
    ) -> None:
        self.carrier, self.cut, self.entity = work.carrier, cut, entity
        self.are_ascending, self.sample = self._sampled(work.number or 0) if work.carrier.in_order else (False, [])
        shared_names = names if names is not None and len(names.pairs) else None
        self.have_links = shared_names is not None or any(table.links or table.back for table in cut.shared.values())
        self.are_own, self.lost, self.at_several = True, set[str](), set[str]()
        self.asks: Frame | None = None
        if not self.are_ascending or set(cut.shared) != {entity} or self.have_links or asking is not None:
            buckets = self.buckets(number if self.have_links or asking is not None else max(1, cut.rows // KEYS_A_TASK))
            self.frame = parcels_in(self.carrier, cut, buckets, None)
            if shared_names is not None:
                self.frame = self.frame.joined(self.carrier.parcels(shared_names.links(buckets)))
            if self.have_links or asking is not None:
                self.frame = self.frame.kept()
            self.asks = asking(buckets) if asking is not None else None
            all_keys = self.frame if self.asks is None else self.frame.joined(self.asks)
            for row in all_keys.at_buckets(buckets.number).each(of_keys(entity), KEYS_SAY).rows():
                self.are_own &= bool(row["is_own"])
                self.lost.update(json.loads(str(row["lost"])))
                self.at_several.update(json.loads(str(row["at_several"])))

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


def parcels_in(carrier: Carrier, cut: Cut, buckets: Buckets, memory: pa.Table | None) -> Frame:
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
