"""Waiting records that an earlier run has assigned by the same pool: what stands of that, and who is to have the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.row import TableRow
from roe.evaluator.again import Earlier, found_again
from roe.ledger.reconcile import key_parts

if TYPE_CHECKING:
    from roe.columns.turns import Turns


class Before(NamedTuple):
    """What becomes of such a record, and which of the pools that it asks assigned it: 0 is the first, 1 the one behind its `else`."""

    ask: int
    found: Earlier

    @property
    def stands(self) -> bool:
        return self.found.turn is not None


def assigned_before(turns: Turns) -> dict[int, Before]:
    """By place in the queue, what becomes of each such record."""
    bound, table = turns.parts[0].bound, turns.table
    numbers = {part.role: i for i, part in enumerate(turns.parts)}
    keys: dict[int, tuple[list[str], list[str]]] = {}
    for key in bound.assigned:
        entity, record, role = key_parts(key)
        if entity == table.entity and role in numbers:
            records, whole = keys.setdefault(numbers[role], ([], []))
            records.append(record)
            whole.append(key)
    found: dict[int, tuple[int, str]] = {}
    for number, (records, whole) in keys.items():
        places = np.flatnonzero(turns.role == number)
        at = pc.index_in(table.ids.take(pa.array(turns.row[places])).cast(pa.string()), value_set=pa.array(records, pa.string()))
        known = at.is_valid().to_numpy(zero_copy_only=False)
        for place, i in zip(places[known].tolist(), at.drop_null().to_pylist(), strict=True):
            pool, asks = bound.assigned[whole[i]].get("pool"), turns.asks[turns.asked[place]]
            if pool in asks:
                found[place] = asks.index(pool), whole[i]
    return {place: Before(found[place][0], _found(turns, place, *found[place])) for place in sorted(found)}


def _found(turns: Turns, place: int, ask: int, key: str) -> Earlier:
    bound, table, n = turns.parts[0].bound, turns.table, turns.pools.n
    row, earlier = TableRow(table.entity, table.world, int(turns.row[place])), bound.assigned[key]
    found = found_again(bound, row, turns.parts[turns.role[place]].role, earlier)
    if ask:  # it counts once the pools before have found nobody
        turns.pools.n = n
    if found.turn is not None and found.tried is not None:  # it is assigned anew
        pools = turns.pools
        found.turn.until = pools.due(pools.pools[earlier["pool"]], table.world.clock.now, found.turn.rep)
    return found
