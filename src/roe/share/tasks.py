"""What a task does: it gets some records as Arrow and has the policy and the other tables, and a function decides the records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.raw import ALIKE, Raw
from roe.data.habits import Habits
from roe.data.scan import TableOrigin
from roe.dynamic import Array
from roe.evaluator.engine import Evaluator
from roe.ledger.by_record import state_of
from roe.ledger.remembered import Remembered, as_remembered
from roe.share.carrier import Common, Decides, Task
from roe.share.memory import MEMORY
from roe.share.parcels import (
    CLAIMS,
    DECIDED,
    GUEST,
    IDS,
    KEY,
    LINE,
    LINK,
    MOST,
    NAMES_ALIKE,
    RANKS,
    TO,
    Buckets,
    Hashed,
    Key,
    Named,
    each_of,
    flat,
    keys_in,
    opened,
    packed,
    raw_of,
)
from roe.share.result import TaskResult
from roe.share.waiting import GONE, ID, NUMBER, OPEN, REP, Gathered

ROWS_A_TASK = 200_000
HANDED, SAID = "$handed", "$said"  # parcels of what pools gave, and of what is for the driver
T = TypeVar("T", covariant=True)
Batches = Iterator[pa.RecordBatch]


class Decide(Protocol):
    """What decides the records of a task: those of one entity, or, if none is named, all that there are."""

    def __call__(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered, *, entity: str = "") -> TaskResult: ...


Look = Callable[[Evaluator, str, dict[str, Raw], Remembered], T]  # at the records of a task


@dataclass(frozen=True)
class Shared:
    """A table that is shared out: its file, its columns with `LINE`, how its rows name their record, what its whole columns settle, and by
    which columns rules read other records from them (`links`), and them from other records (`back`), and records that are decided before
    theirs (`leads`); and how the rows of another table than that of the records say their own `id`.
    """

    shown: str
    schema: pa.Schema
    key: Key
    habits: Mapping[str, Habits] | None
    links: tuple[Key, ...] = ()
    back: tuple[Key, ...] = ()
    leads: tuple[Key, ...] = ()
    id: Key = field(default_factory=Key)

    def raw(self, rows: pa.Table | None, guests: pa.Table | None = None) -> Raw:
        """Some of its rows, and others that are there to be read."""
        raw = raw_of(self.schema.empty_table() if rows is None else rows, TableOrigin(self.shown), self.habits)
        raw.guests = None if guests is None else self.raw(guests)
        return raw

    def by_name(self, named: Named, of: str, entity: str) -> Shared:
        """The table of `of` where its rows, and those that lead from them, refer to records of the entity by names as well."""
        key = self.key if of == entity else replace(self.key, named=named)
        links, back = (tuple(replace(one, named=named) for one in keys) for keys in (self.links, self.back))
        return replace(self, key=key, links=links, back=back)

    def leading_by_name(self, named: Named) -> Shared:
        """The table where its rows lead by names, too, to records that are decided before theirs."""
        return replace(self, leads=tuple(replace(key, named=named) for key in self.leads))

    @property
    def key_columns(self) -> list[str] | None:
        """The columns of ids; None for whichever there are."""
        columns = [key.column for key in (self.key, *self.links, *self.back, *self.leads, self.id) if key.column is not None]
        return sorted(set(columns)) or None


@dataclass(frozen=True)
class Piece:
    """Row groups of a Parquet file: of whose records, from which group to which, and the rows before them. `has_lines`: the file says itself
    which lines its rows are.
    """

    entity: str
    path: str
    first: int
    after: int
    before: int
    has_lines: bool = False

    def read(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Its rows with their lines, some at a time: a row group may have any number of them. There is at least one table."""
        from pyarrow import parquet

        line, file = self.before + 1, parquet.ParquetFile(self.path)
        wanted = [*columns, LINE] if columns is not None and self.has_lines else columns
        batches = file.iter_batches(ROWS_A_TASK, list(range(self.first, self.after)), wanted)
        for n, batch in enumerate(batches):
            if len(batch) or not n:
                rows = pa.Table.from_batches([batch])
                if not self.has_lines:  # what others say of their file would go with every parcel
                    rows = rows.replace_schema_metadata(None)
                yield rows if self.has_lines else rows.append_column(LINE, pa.array(np.arange(line, line + len(rows))))
                line += len(rows)


# --- who gets what ------------------------------------------------------------------------------------------------------


def to_buckets(pieces: list[Piece], tables: Mapping[str, Shared], buckets: Buckets, keys_alone: bool) -> Task:
    """A task that reads some pieces, and sends their rows on to the tasks of their records, or only the keys of these and what they lead to."""

    def task(batches: Batches) -> Batches:
        for piece in pieces_of(pieces, batches):
            shared = tables[piece.entity]
            for rows in piece.read(shared.key_columns if keys_alone else None):
                for parcels in (
                    keys_of(piece.entity, shared, rows, buckets) if keys_alone else [parcels_of(piece.entity, shared.key, rows, buckets)]
                ):
                    yield from parcels.to_batches()

    return task


def parcels_of(entity: str, key: Key, rows: pa.Table, buckets: Buckets) -> pa.Table:
    """The rows of a table as parcels for tasks."""
    return packed(entity, rows, buckets.of(key.of(rows)), MOST)


def keys_of(entity: str, shared: Shared, rows: pa.Table, buckets: Buckets) -> Iterator[pa.Table]:
    """The keys of some rows as parcels for tasks; their own ids, those that are alike at one task; and where rules read other records from them,
    which record leads to which, at the task of the one that is followed, and what is referred to, at its own.
    """
    own = shared.key.of(rows).cast(pa.string())
    yield packed(entity, pa.table({KEY: own}), buckets.of(own), MOST)
    if shared.id.column is not None:
        ids = shared.id.of(rows).cast(pa.string())
        yield packed(f"{IDS}{entity}", pa.table({KEY: ids, TO: own}), Hashed(buckets.number).of(ids), MOST)
    for key, is_back in [*((key, False) for key in shared.links), *((key, True) for key in shared.back)]:
        there = key.of(rows).cast(pa.string())
        mine, there = own.filter(there.is_valid()), there.drop_null()
        source, target = (there, mine) if is_back else (mine, there)
        yield packed(LINK, pa.table({KEY: source, TO: target}), buckets.of(source), MOST)
        yield packed(f"{LINK} {TO}", pa.table({KEY: there}), buckets.of(there), MOST)


KEYS_SAY = pa.schema([("is_own", pa.bool_()), ("lost", pa.string()), ("at_several", pa.string())])  # lists as JSON


def of_keys(entity: str) -> Task:
    """A task that looks at the keys of its records (see `keys_in`)."""

    def task(batches: Batches) -> Batches:
        for is_own, *lists in keys_in(batches, entity):
            yield pa.RecordBatch.from_arrays([pa.array([is_own]), *(pa.array([json.dumps(x)]) for x in lists)], schema=KEYS_SAY)

    return task


SAMPLE = pa.schema([("is_ascending", pa.bool_()), (KEY, pa.binary())])


def of_sample(pieces: list[Piece], key: Key, every: int) -> Task:
    """A task that takes a sample of the keys in each piece (see `sample_of`)."""

    def task(batches: Batches) -> Batches:
        for piece in pieces_of(pieces, batches):
            for rows in piece.read(None if key.column is None else [key.column]):
                yield sample_of(key.of(rows), every)

    return task


def sample_of(keys: pa.Array, every: int) -> pa.RecordBatch:
    """One of so many keys, and the first and the last one; and whether each row has one that comes after that of the row before it."""
    texts = keys.cast(pa.binary())
    is_ascending = not texts.null_count and pc.all(pc.less(texts[:-1], texts[1:]), min_count=0).as_py()
    at = np.unique(np.append(np.arange(0, len(texts), every), np.arange(max(len(texts) - 1, 0), len(texts))))
    return pa.RecordBatch.from_arrays([pa.repeat(pa.scalar(is_ascending), len(at)), texts.take(pa.array(at))], schema=SAMPLE)


def pieces_of(pieces: list[Piece], batches: Batches) -> Iterator[Piece]:
    """The pieces whose numbers a task was given."""
    return (pieces[number] for batch in batches for number in batch.column(0).to_pylist())


# --- deciding -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """One kind of records that tasks decide: their entity, the tables that are shared out with them, and the entity of their guests, by default
    the same.
    """

    entity: str
    shared: Mapping[str, Shared]
    guests: str = ""


def _of_bucket(look: Look[T], common: Common, kind: Kind, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, T]]:
    """What is found out of the records that each bucket has of a kind, with those that refer to them, those that rules read besides, what
    the memory knows of them all, and what pools gave them.
    """
    guests = kind.guests or kind.entity
    for bucket, tables in opened(batches):
        own = {of: table.raw(tables.get(of), _not_own(tables.get(GUEST + of), tables.get(of))) for of, table in kind.shared.items()}
        if HANDED in tables:
            own[HANDED] = Raw.of_table(tables[HANDED])
        own[guests].ranks, own[guests].decided = tables.get(RANKS if guests == kind.entity else GUEST + RANKS), tables.get(GUEST + DECIDED)
        if guests != kind.entity:  # whoever searches among them has been told which names of all are alike
            own[guests].alike = tables.get(NAMES_ALIKE, ALIKE.empty_table())
        state, known = common.state(), dict[str, list[pa.Table]]()
        for of, rows in ((kind.entity, tables.get(MEMORY)), (guests, tables.get(GUEST + MEMORY))):
            known.setdefault(of, []).extend([] if rows is None else [rows])
        for of, some in known.items():
            state = state_of(of, pa.concat_tables(some, promote_options="default") if some else None, state)
        if CLAIMS in tables:
            state = as_remembered({**state, "claims": dict(zip(*(column.to_pylist() for column in tables[CLAIMS].columns), strict=True))})
        del tables, known
        yield bucket, look(common.evaluator(), common.as_of, {**common.tables(), **own}, state)


def _not_own(guests: pa.Table | None, own: pa.Table | None) -> pa.Table | None:
    """Guests without the rows that are here anyway, as an activity that belongs to a record of a task and to a guest of it."""
    if guests is None or own is None:
        return guests
    return guests.filter(pc.invert(pc.is_in(guests[LINE], value_set=flat(own[LINE]))))


def of_bucket(decide: Decide, common: Common, kind: Kind) -> Decides:
    """A task that decides the records of its buckets."""
    return lambda batches: (result for _, result in _of_bucket(partial(decide, entity=kind.entity), common, kind, batches))


def of_waiting(look: Look[dict[str, pa.Table]], common: Common, kind: Kind) -> Task:
    """A task that sends on, as parcels, which of its records wait, and what else is asked of its records."""

    def task(batches: Batches) -> Batches:
        for bucket, tables in _of_bucket(look, common, kind, batches):
            for of, table in tables.items():
                yield from packed(of, table, np.full(len(table), bucket)).to_batches()

    return task


def of_records(
    give: Look[Iterator[tuple[str, pa.Table]]],
    common: Common,
    shared: Shared,
    entity: str,
    waiting_first: bool,
    read: Mapping[str, Shared] = MappingProxyType({}),
) -> Task:
    """One task for all records of an entity that others sent, and for some of other tables, to be `read`. Whoever sent a record gets what becomes
    of it, by its line.
    """

    def task(batches: Batches) -> Batches:
        gathered = Gathered(waiting_first)
        for parcel in each_of(batches):
            gathered.add(*parcel)
        lines, buckets, given = _given(gathered, shared, entity, give, common, read)
        for of, table in given:
            if LINE not in table.column_names:
                yield from packed(of, table, np.zeros(len(table), np.int32)).to_batches()
                continue
            places = table[LINE].to_numpy()
            own = table.set_column(table.column_names.index(LINE), LINE, pa.array(lines[places]))
            yield from packed(of, own, buckets[places]).to_batches()

    return task


def _given(
    gathered: Gathered,
    shared: Shared,
    entity: str,
    give: Look[Iterator[tuple[str, pa.Table]]],
    common: Common,
    read: Mapping[str, Shared],
) -> tuple[Array, Array, Iterator[tuple[str, pa.Table]]]:
    """The line and the task of each record, and what becomes of all, told by their places."""
    rows, buckets = gathered.tables()
    if not len(rows):
        rows = shared.schema.empty_table()
    lines = rows[LINE].to_numpy()
    rows = rows.set_column(rows.column_names.index(LINE), LINE, pa.array(np.arange(len(rows))))
    of_reps = Raw(
        {REP: pa.array(list(gathered.open), pa.string()), NUMBER: pa.array(list(gathered.open.values()), pa.int64())}, len(gathered.open)
    )
    gone = Raw({ID: pa.array(gathered.gone, pa.string())}, len(gathered.gone))
    others = {of: raw_of(gathered.read(of), TableOrigin(table.shown), table.habits) for of, table in read.items() if gathered.has(of)}
    own = raw_of(rows, TableOrigin(shared.shown), shared.habits)
    tables = {**common.tables(), **others, entity: own, OPEN: of_reps, GONE: gone}
    return lines, buckets, give(common.evaluator(), common.as_of, tables, common.state())


def of_all(decide: Decide, common: Common) -> Decides:
    """A task that decides all records, of which it has the tables."""

    def task(batches: Batches) -> Iterator[TaskResult]:
        for _ in batches:
            pass
        yield decide(common.evaluator(), common.as_of, common.tables(), common.state())

    return task


def of_pieces(decide: Decide, common: Common, shared: Shared, pieces: list[Piece]) -> Decides:
    """A task that reads its pieces itself, and decides them in portions: nobody carries a record."""

    def task(batches: Batches) -> Iterator[TaskResult]:
        for piece in pieces_of(pieces, batches):
            for rows in piece.read():
                tables = {**common.tables(), piece.entity: shared.raw(rows)}
                yield decide(common.evaluator(), common.as_of, tables, common.state(), entity=piece.entity)

    return task
