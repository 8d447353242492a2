"""Records that come in: taken over as a whole or field by field, or marked as deleted, as far as they are newer than what the desk has."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from roe.dynamic import Json, Record
from roe.serve import held, in_crm, timers
from roe.serve.known import Owner
from roe.serve.problems import Refused
from roe.serve.records import LONGEST_ID, wrong_id
from roe.serve.versions import Mirrored, deleted, patched, replaced

if TYPE_CHECKING:
    from roe.serve.desk import Desk

MAKES_ABLE = ("rep", "leave")  # a change of these may let somebody take a held record


def put(desk: Desk, entity: str, values: Record, version: str, at: datetime) -> tuple[str, bool]:
    """Take the whole of a record over; returns its id and whether it was too old to count."""
    typed = desk.records.typed(entity, values)
    id = str(typed["id"])
    desk.not_read = desk.records.not_read()
    _refuse_wrong(entity, values, id)
    new = replaced(desk.record(entity, id), values, version)
    return id, not _take(desk, new, at, typed if new is not None and new.fields == values else None)


def patch(desk: Desk, entity: str, id: str, values: Record, version: str, at: datetime) -> bool:
    """Take some fields of a record over; returns whether all of them were too old to count."""
    _refuse_wrong(entity, values, id)
    new = patched(desk.record(entity, id), values, version)
    if new is None:
        return True
    if "id" not in {name.lower() for name in new.fields}:
        new.fields["id"] = id
    typed = desk.records.typed(entity, new.fields)
    desk.not_read = desk.records.not_read()
    if typed["id"] != id:
        raise Refused(422, "R602", f"the record's id is `{typed['id']}`, and the address says `{id}`", "send one id")
    return not _take(desk, new, at, typed)


def delete(desk: Desk, entity: str, id: str, version: str, at: datetime) -> bool:
    """Mark a record as deleted; returns whether it was changed after that."""
    _refuse_wrong(entity, {}, id)
    return not _take(desk, deleted(desk.record(entity, id), version), at)


def _take(desk: Desk, new: Mirrored | None, at: datetime, typed: Json | None = None) -> bool:
    if new is None:
        return False
    desk.writes.records[new.entity, new.id] = new
    desk.records.learn(new, typed)
    desk.able_changed |= new.entity in MAKES_ABLE
    if new.entity == "rep":
        timers.left(desk, new.id, at)
    if not new.deleted:
        for key in desk.owner_keys(new.entity, new.id):
            held.changed(desk, key)
            _forget_company(desk, key)
        in_crm.compare(desk, new, at)
        return True
    for key in list(desk.owner_keys(new.entity, new.id)):
        desk.schedule(key, None)
        desk.state.put("held", key, None)
    return True


def _forget_company(desk: Desk, key: str) -> None:
    """A record has changed: what its owner says of its company is of before."""
    owner = desk.state.owner(key)
    if "company" in owner:
        now: Owner = {**owner}
        del now["company"]
        desk.state.put("owner", key, now)


def _refuse_wrong(entity: str, values: Record, id: str) -> None:
    """Refuse a record whose id cannot be one, from whichever sender it comes."""
    if why := wrong_id(values, id):
        raise Refused(422, "R602", f"the {entity} cannot be read: {why}", "send another id", field="id", value=id[:LONGEST_ID])
