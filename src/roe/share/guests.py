"""Records that are read by others than the task that decides them: a parent, its parent, their activities.

References are edges between ids, found in the columns that are read anyway. Each task asks the tasks of the ids to which its own records lead
for these, the references of those are followed in their turn, round by round, and at last every task sends copies of what others have asked for.
A copy is a guest where it arrives: it is there to be read, and nobody decides it twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.ledger.by_record import RECORD
from roe.share.carrier import Frame, Task
from roe.share.memory import MEMORY
from roe.share.parcels import DECIDED, FOR, GUEST, KEY, LINE, LINK, MOST, PARCEL, RANKS, TO, WANTED, Buckets, flat, opened, packed
from roe.share.tasks import Batches, Piece, Shared, pieces_of

ROUNDS = 100  # references that are followed one after the other
OFTEN = 8  # guests for each row, above which every task would have most of the records
COUNT = pa.schema([("n", pa.int32())])


# --- who is asked for ---------------------------------------------------------------------------------------------------


def asked_for(keys: Frame, entity: str, buckets: Buckets, rows: int, first: Frame | None = None) -> Frame | str:
    """Parcels at the tasks of the records that others ask for; or why there are too many. `keys` are parcels of keys and links, kept. Tasks of
    the same records ask for those to which theirs lead, unless it is others who ask `first` (`of_links`).
    """
    asked = [] if first is None else [first]
    total, n = 0, 1
    while n:
        if len(asked) == ROUNDS:
            return f"references lead on from one {entity} to another more than {ROUNDS} times"
        known = _all([keys, *asked]).at_buckets(buckets.number)
        asked.append(known.each(_of_round(entity, len(asked), buckets), PARCEL).kept())
        n = sum(_number(row["n"]) for row in asked[-1].each(_counted, COUNT).rows())
        total += n
        if total > OFTEN * rows:
            return f"most {entity} records are read for many others"
    return _all(asked)


def _number(cell: object) -> int:
    assert isinstance(cell, int)
    return cell


def _all(frames: list[Frame]) -> Frame:
    whole = frames[0]
    for more in frames[1:]:
        whole = whole.joined(more)
    return whole


def _of_round(entity: str, number: int, buckets: Buckets) -> Task:
    """A task that follows the references of its records: at first of all, then of those that others have asked for in the last round."""

    def task(batches: Batches) -> Batches:
        for bucket, tables in opened(batches):
            links = tables.get(LINK)
            if links is None:
                continue
            if not number:
                own = pc.is_in(links[KEY], value_set=flat(tables[entity][KEY])) if entity in tables else pa.repeat(False, len(links))
                follow = links.filter(pc.or_(own, pc.is_null(links[KEY])))  # rows that belong to no record are read as well
                asks = follow.append_column(FOR, pa.repeat(pa.scalar(bucket, pa.int32()), len(follow)))
            else:
                new = tables.get(f"{WANTED}{number - 1}")
                if new is None:
                    continue
                new = new.group_by([KEY, FOR]).aggregate([])
                known = [rows for of, rows in tables.items() if of.startswith(WANTED) and of != f"{WANTED}{number - 1}"]
                if known:
                    new = new.join(pa.concat_tables(known), [KEY, FOR], join_type="left anti")
                asks = links.join(new, KEY, join_type="inner")
            asks = asks.select([TO, FOR]).group_by([TO, FOR]).aggregate([]).rename_columns([KEY, FOR])
            at = buckets.of(flat(asks[KEY]))
            elsewhere = at != asks[FOR].to_numpy()
            yield from packed(f"{WANTED}{number}", asks.filter(pa.array(elsewhere)), at[elsewhere], MOST).to_batches()

    return task


def _counted(batches: Batches) -> Batches:
    yield pa.RecordBatch.from_arrays(
        [pa.array([sum(rows.num_rows for _, tables in opened(batches) for rows in tables.values())], pa.int32())], schema=COUNT
    )


def of_links(pieces: list[Piece], shared: Mapping[str, Shared], own: Buckets, buckets: Buckets) -> Task:
    """A task that asks, for records that are decided later, the tasks of those to which these lead (`links_of`)."""

    def task(batches: Batches) -> Batches:
        for piece in pieces_of(pieces, batches):
            table = shared[piece.entity]
            for rows in piece.read(table.key_columns):
                yield from links_of(table, rows, own, buckets).to_batches()

    return task


def links_of(shared: Shared, rows: pa.Table, own: Buckets, buckets: Buckets) -> pa.Table:
    """What some rows of records that are decided later ask the tasks of others for. Their own tasks have numbers of their own: `~number`, which
    none of the others has.
    """
    tasks, parts = own.of(shared.key.of(rows)), [PARCEL.empty_table()]
    for key in shared.leads:
        to = key.of(rows).cast(pa.string())
        asks = pa.table({KEY: to, FOR: pa.array(~tasks, pa.int32())}).filter(to.is_valid()).group_by([KEY, FOR]).aggregate([])
        parts.append(packed(f"{WANTED}0", asks, buckets.of(flat(asks[KEY])), MOST))
    return pa.concat_tables(parts)


# --- who comes ----------------------------------------------------------------------------------------------------------


def of_copies(entity: str, shared: Mapping[str, Shared]) -> Task:
    """A task that sends copies of its rows to the tasks that have asked for their records, with what the memory knows of these."""

    def task(batches: Batches) -> Batches:
        for bucket, tables in opened(batches):
            asked = [tables.pop(of) for of in [*tables] if of.startswith(WANTED)]
            if not asked or entity not in tables:
                continue
            wanted = pa.concat_tables(asked).group_by([KEY, FOR]).aggregate([])
            is_here = pc.is_in(wanted[KEY], value_set=shared[entity].key.of(tables[entity]))
            wanted = wanted.filter(pc.and_(is_here, pc.not_equal(wanted[FOR], bucket)))
            for of, rows in tables.items():
                if of == RANKS:
                    lines = pc.index_in(rows["line"], value_set=flat(tables[entity][LINE]))
                    keys = shared[entity].key.of(tables[entity]).take(flat(lines))
                else:
                    keys = flat(rows[RECORD]) if of in (MEMORY, DECIDED) else shared[of].key.of(rows)
                found = (
                    pa.table({KEY: keys, "at": np.arange(len(rows))})
                    .join(wanted, KEY, join_type="inner")
                    .sort_by([(FOR, "ascending"), ("at", "ascending")])
                )
                to = found[FOR].to_numpy()
                yield from packed(GUEST + of, rows.take(found["at"]), np.where(to < 0, ~to, to), MOST).to_batches()

    return task
