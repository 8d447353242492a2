"""Holdings of one record from its entries alone: the ledger as it stood at an earlier number."""

from __future__ import annotations

from collections.abc import Sequence

from roe.ledger.entries import Deleted, Loaded, Merged, Owned
from roe.ledger.entry import Stored
from roe.ledger.holdings import Holding
from roe.ledger.moment import At
from roe.ledger.projections import Hold, Noted, hold, loaded


def holding_from(entries: Sequence[Stored], role: str, on: At | None) -> Holding | None:
    """Who held the record of some entries in a role: at a moment, or last."""
    holds: list[Hold] = []
    by_number: dict[int, Owned] = {}
    ids: dict[str | None, int] = {}  # of reps and queues, as in a store

    def number(text: str | None) -> int:
        return ids.setdefault(text, len(ids))

    for x in entries:
        e = x.entry
        if isinstance(e, Owned) and e.role == role:
            by_number[x.number] = e
            hold(holds, Noted(x.number, e, 0, 0, number(e.rep), None, number(e.queue), number("")), e)
        elif isinstance(e, Loaded) and e.role == role:
            loaded(holds, Noted(x.number, e, 0, 0, number(e.rep), None, number(e.queue), number("")), e)
        elif isinstance(e, (Merged, Deleted)) and holds and holds[-1].stop is None:
            holds[-1].stop = max(e.at.instant, holds[-1].start)
    for h in reversed(holds):
        here = h.stop is None if on is None else h.start <= on.instant and (h.stop is None or on.instant < h.stop)
        if here:
            e, newest = by_number[h.entry], by_number[h.decision]
            stop = None if h.stop is None else At(h.stop, e.at.day, e.at.zone)
            return Holding(
                e.entity, e.record, role, At(h.start, e.at.day, e.at.zone), stop, e.by, e.since_unknown, newest.rule, newest.pool,
                e.rep, e.queue, h.entry, h.decision, e.former, newest.action, newest.until,
            )  # fmt: skip
    return None
