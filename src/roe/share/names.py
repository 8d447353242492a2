"""References by a name, a domain or an email instead of an id: which of the records that are shared out each of them may mean.

A task finds a record by its name as a run on one machine does, among the records that it has. So it only needs all records that have the name:
what refers to them goes to the task of the first, and each of their tasks gets the others as guests, with all that refers to these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

import pyarrow as pa
import pyarrow.compute as pc

from roe.crm.ids import fold
from roe.data.coerce import PERSON
from roe.policy.model import Policy
from roe.share.carrier import Carrier, Task
from roe.share.parcels import KEY, LINK, MOST, NAMED, TO, Buckets, Named, flat, key_of, packed, table_of
from roe.share.tables import Cut
from roe.share.tasks import Batches, Piece, Shared, pieces_of

NAME = "name"
FOUND = pa.schema([(NAME, pa.string()), (KEY, pa.string())])  # names in small letters, each with a record that has it
MOST_LOST = 1_000_000  # references to no id, of which it is asked whether they are names
MOST_NAMES = 200_000  # which every task is told
MOST_OF_A_NAME = 10  # records: each of their tasks gets all others


@dataclass(frozen=True)
class Names:
    """The records that are meant by names: the first of each name, and those that lead on from one to the other."""

    named: Named
    pairs: pa.Table  # of which record (`KEY`) leads to which (`TO`)

    def links(self, buckets: Buckets) -> pa.Table:
        """Parcels of links, as rows of references give them."""
        return packed(LINK, self.pairs, buckets.of(flat(self.pairs[KEY])), MOST)


def names_of(policy: Policy, entity: str, lost: set[str], cut: Cut, carrier: Carrier) -> Names | str | None:
    """Which records of an entity may be meant by references to no id; None if none is. A text says why these are too many."""
    if len(lost) > MOST_LOST:
        return f"more than {MOST_LOST:,} references to {entity} records are not ids, and may be names"
    found = records_named(policy, entity, lost, cut, carrier)
    meant = {text: sorted(found[text.lower()]) for text in sorted(lost) if text.lower() in found}
    if len(meant) > MOST_NAMES:
        return f"more than {MOST_NAMES:,} different references to {entity} records are names"
    most = max(meant.values(), key=len, default=[])
    if len(most) > MOST_OF_A_NAME:
        return f"more than {MOST_OF_A_NAME} {entity} records have the same name, and others refer to it"
    if not meant:
        return None
    pairs = sorted({pair for ids in meant.values() for pair in permutations(ids, 2)})
    columns = [pa.array([pair[end] for pair in pairs], pa.string()) for end in (0, 1)]
    named = Named(pa.array(meant, pa.string()), pa.array([ids[0] for ids in meant.values()], pa.string()))
    return Names(named, pa.table(columns, [KEY, TO]))


def meant_by_several(policy: Policy, cut: Cut, carrier: Carrier) -> str:
    """Why a task does not know by itself which record an approved exception or a dispute means; empty if each means one record at most. They are
    at every task, and may name a record otherwise than by its id.
    """
    disputes = cut.broadcast.get("dispute")
    disputed = (
        [] if disputes is None else key_of(policy, "dispute", "record", disputes.columns).of(table_of(disputes)).drop_null().to_pylist()
    )
    credited = {credit.entity for credit in policy.plan.credits}
    for entity in cut.shared:
        texts = {str(row.record) for row in policy.plan.exceptions if row.entity == entity} | {*(disputed if entity in credited else ())}
        found = records_named(policy, entity, texts, cut, carrier) if texts else {}
        if any(len(found.get(text.lower(), set()) | found.get(fold(text).lower(), set())) > 1 for text in texts):
            return f"an exception or a dispute gives a name that several {entity} records have"
    return ""


def records_named(policy: Policy, entity: str, texts: Iterable[str], cut: Cut, carrier: Carrier) -> dict[str, set[str]]:
    """The ids of all records of an entity that is shared out which may be meant by one of some texts: by the text in small letters."""
    asked = _of_names(policy, entity, cut.shared[entity], texts)
    if entity in cut.held:
        rows: Iterable[Mapping[str, object]] = asked(cut.held[entity]).to_pylist()
    else:
        pieces = [piece for piece in cut.pieces if piece.entity == entity]
        rows = carrier.numbers(len(pieces)).each(_of_pieces(pieces, asked), FOUND).rows()
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(str(row[NAME]), set()).add(str(row[KEY]))
    return found


def _of_names(policy: Policy, entity: str, shared: Shared, texts: Iterable[str]) -> Callable[[pa.Table], pa.Table]:
    """What finds, among some of an entity's records, those that may be meant by one of these texts (`FOUND`)."""
    fields = policy.model.entities[entity]
    keys = {name: key_of(policy, entity, name, shared.schema.names) for name in NAMED if name in fields}
    own = shared.key if shared.id.column is None else shared.id
    wanted = pa.array(sorted({x.lower() for text in texts for x in (text, fold(text))}), pa.string())

    def asked(rows: pa.Table) -> pa.Table:
        held = {name: key.of(rows).cast(pa.string()) for name, key in keys.items() if key.column is not None}
        if all(name in held for name in PERSON):
            held[" "] = pc.binary_join_element_wise(*(held[name] for name in PERSON), " ")
        ids, found = own.of(rows).cast(pa.string()), [FOUND.empty_table()]
        for texts in (ids, *held.values()):
            small = _in_small_letters(texts)
            is_meant = pc.and_(pc.is_in(small, value_set=wanted, skip_nulls=True), ids.is_valid())
            found.append(pa.table([small.filter(is_meant), ids.filter(is_meant)], schema=FOUND))
        return pa.concat_tables(found)

    return asked


def _in_small_letters(texts: pa.Array) -> pa.Array:
    """Texts as Python's `lower` gives them: Arrow's letters are Python's where they are ASCII."""
    plain = pc.fill_null(pc.string_is_ascii(texts), True)
    if pc.all(plain, min_count=0).as_py():
        return pc.ascii_lower(texts)
    others = pa.array([x.lower() for x in texts.filter(pc.invert(plain)).to_pylist()], pa.string())
    return pc.replace_with_mask(pc.ascii_lower(texts), pc.invert(plain), others)


def _of_pieces(pieces: list[Piece], asked: Callable[[pa.Table], pa.Table]) -> Task:
    """A task that looks for names in pieces."""

    def task(batches: Batches) -> Iterator[pa.RecordBatch]:
        for piece in pieces_of(pieces, batches):
            for rows in piece.read():
                yield from asked(rows).to_batches()

    return task
