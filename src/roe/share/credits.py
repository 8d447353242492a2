"""Credits for records that are shared out: each task says who is credited with its own records, and disputes about them are at every task."""

from __future__ import annotations

from roe.policy.model import Policy
from roe.share.carrier import Carrier
from roe.share.names import records_named
from roe.share.parcels import key_of, table_of
from roe.share.tables import Cut


def disputed_by_name(policy: Policy, cut: Cut, carrier: Carrier) -> bool:
    """Whether a dispute may mean a record by something else than its id: a task that has not all records cannot tell which one it means."""
    disputes = cut.broadcast.get("dispute")
    texts = [] if disputes is None else key_of(policy, "dispute", "record", disputes.columns).of(table_of(disputes)).drop_null().to_pylist()
    credited = {credit.entity for credit in policy.plan.credits} & cut.shared.keys()
    return bool(texts) and any(records_named(policy, entity, texts, cut, carrier) for entity in sorted(credited))
