"""Records that the CRM has no longer: what the ledger knows of them, and rows from before they were gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from roe.crm.ids import fold
from roe.data.coerce import MODIFIED, modified_text
from roe.data.reading import Reject
from roe.grammar import values as v
from roe.ledger.remembered import Remembered

if TYPE_CHECKING:
    from roe.evaluator.world import World


class Gone(NamedTuple):
    """That a record was deleted, is missing in complete data, or was merged into another one. `read_at`, as text, is when the CRM last
    changed the row that says so, or the last change in the data where no row does.
    """

    kind: str
    into: str = ""
    read_at: str = ""


def gone_by(r: Reject) -> Gone:
    """What a row says that is set aside because the CRM has the record no longer."""
    return Gone("merged", fold(r.value), r.modified_at) if r.field == "merged_into" else Gone("deleted", "", r.modified_at)


def is_later(one: str, other: str) -> bool:
    """Whether the first of two moments is the later one, as far as both are known."""
    return bool(one and other) and v.parse_temporal(one) > v.parse_temporal(other)


def newest(world: World, entity: str, state: Remembered) -> str:
    """The last change in the data of an entity, as text; empty where the data does not say."""
    return state.get("newest", {}).get(entity) or newest_of(world.stamps_of(entity))


def newest_of(stamps: Iterable[datetime | None]) -> str:
    """The last of some stamps, as text; empty if there is none."""
    last = max((x for x in stamps if x is not None), default=None)
    return modified_text(last)


def set_aside_older(world: World, state: Remembered) -> None:
    """Take out the records whose rows are from before the CRM said that they were gone."""
    older = list(_older(world, state))
    if older:
        world.set_aside(older)


def _older(world: World, state: Remembered) -> Iterator[Reject]:
    whole = cache(lambda entity: newest(world, entity, state))
    for key, x in state.get("gone", {}).items():
        entity, record = key.split("|", 1)
        row = world.with_id(entity, record) if x["read_at"] and entity in world.rows else None
        if row is None:
            continue
        modified_at = modified_text(row[MODIFIED])
        if is_later(x["read_at"], whole(entity) if x["kind"] == "missing" else modified_at):
            end = {"merged": f"merged into `{x['into']}`", "missing": "missing in complete data"}.get(x["kind"], "deleted in the CRM")
            yield Reject(
                entity, record, world.line_of(row), MODIFIED, modified_at, f"the row is from before the record was {end}", modified_at
            )


def is_from_before(r: Reject) -> bool:
    """Whether a row was set aside because it is from before its record was gone."""
    return r.field == MODIFIED and bool(r.modified_at)
