"""Records that the CRM has no longer: what the ledger knows of them, and rows from before they were gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from roe.crm.ids import fold
from roe.data.coerce import MODIFIED, modified_text
from roe.data.reading import Reject
from roe.dynamic import Saved
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.evaluator.world import World


class Gone(NamedTuple):
    """That a record was deleted, or merged into another one. `read_at` is when the CRM last changed the row that says so, as text."""

    kind: str
    into: str = ""
    read_at: str = ""


def gone_by(r: Reject) -> Gone:
    """What a row says that is set aside because the CRM has the record no longer."""
    return Gone("merged", fold(r.value), r.modified_at) if r.field == "merged_into" else Gone("deleted", "", r.modified_at)


def is_later(one: str, other: str) -> bool:
    """Whether the first of two moments is the later one, as far as both are known."""
    return bool(one and other) and v.parse_temporal(one) > v.parse_temporal(other)


def set_aside_older(world: World, gone: Saved) -> None:
    """Take out the records whose rows are from before the CRM said that they were gone (`gone` is that of the ledger)."""
    older = list(_older(world, gone))
    if older:
        world.set_aside(older)


def _older(world: World, gone: Saved) -> Iterator[Reject]:
    for key, x in gone.items():
        entity, record = key.split("|", 1)
        row = world.with_id(entity, record) if x["read_at"] and entity in world.rows else None
        modified_at = "" if row is None else modified_text(row[MODIFIED])
        if row is not None and is_later(x["read_at"], modified_at):
            end = f"merged into `{x['into']}`" if x["kind"] == "merged" else "deleted in the CRM"
            yield Reject(
                entity, record, world.line_of(row), MODIFIED, modified_at, f"the row is from before the record was {end}", modified_at
            )


def is_from_before(r: Reject) -> bool:
    """Whether a row was set aside because it is from before its record was gone."""
    return r.field == MODIFIED and bool(r.modified_at)
