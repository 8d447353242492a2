"""What a row of the data says of a record's owner, before the ledger is asked, and what it says once the ledger was asked."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from roe.data.coerce import MODIFIED, stamp
from roe.dynamic import Values
from roe.evaluator.row import DATA_SINCE, NOT_STORED, Row

if TYPE_CHECKING:
    from roe.evaluator.memory import Facts
    from roe.evaluator.world import World

MODIFIED_BY = "modified_by"  # the field that says which user of the CRM last changed a row


class InData(NamedTuple):
    """The owner in a role, since when, whether the data has a column of that owner, and when the CRM last changed the row.

    `writer` is the user of the CRM who did so, and `parent` the `entity|record` whose owner the CRM passes on to this record.
    """

    holder: str | None
    since: date | None
    has_column: bool
    read_at: datetime | None
    writer: str = ""
    parent: str = ""


def stamp_of(row: Values) -> datetime | None:
    """When the CRM last changed a row, where the data says so to the moment."""
    return stamp(dict.get(row, MODIFIED))


def in_data(world: World, row: Row, role: str) -> InData:
    """What the data says of a record's owner in a role."""
    rep = world.rep(dict.get(row, f"owner.{role}"))
    writer = str(dict.get(row, MODIFIED_BY) or "")
    since, has_column = row[f"owner_since.{role}"], world.has_owner(row.entity, role)
    return InData(None if rep is None else rep["id"], since, has_column, stamp_of(row), writer, passed_on_from(world, row))


def passed_on_from(world: World, row: Row) -> str:
    """The `entity|record` whose owner the CRM passes on to a record, as the policy says; empty where there is none."""
    name = world.policy.plan.crm.cascades.get(row.entity)
    parent = None if name is None else row[name]
    return f"{parent.entity}|{parent['id']}" if isinstance(parent, Row) else ""


def let_own(world: World, row: Row, role: str, facts: Facts) -> None:
    """Let a record have the owner of today, and what is known of that."""
    row.forget()
    row.update(owned_by(world, row, role, facts))


def owned_by(world: World, row: Row, role: str, facts: Facts) -> Values:
    """The fields that say who has a record in a role today, and what is known of that."""
    return {f"owner.{role}": facts.holder, **known_of(world, row, role, facts)}


def known_of(world: World, row: Row, role: str, facts: Facts) -> Values:
    """The fields that say how a record came to its owner in a role."""
    former = world.rep(facts.former)
    fields = {
        f"owner_since.{role}": facts.owner_since, f"owner_from.{role}": facts.start, f"former_owner.{role}": former,
        f"owner_by.{role}": facts.by or None, f"returned_on.{role}": facts.returned_on, f"referred_on.{role}": facts.referred_on,
        f"holds.{role}": facts.holds,
    }  # fmt: skip
    if role != world.first_role(row.entity):
        return fields
    data = dict.get(row, DATA_SINCE, NOT_STORED)
    data = row.stored_value("owner_since") if data is NOT_STORED else data
    return fields | {"owner_since": facts.owner_since, "former_owner": former, DATA_SINCE: data}
