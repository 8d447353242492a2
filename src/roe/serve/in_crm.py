"""The owners that the CRM shows of a record, held against those that were decided here."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from roe.ledger.entries import Loaded
from roe.ledger.reconcile import Shown, reconcile
from roe.serve.known import held_of, with_base
from roe.serve.versions import Mirrored

if TYPE_CHECKING:
    from roe.serve.desk import Desk


def compare(desk: Desk, record: Mirrored, at: datetime) -> None:
    """Hold the owners that the CRM shows against those decided here, as a run does: in force, still to be loaded, or changed by hand."""
    keys = list(desk.owner_keys(record.entity, record.id))
    shown = desk.records.owners(record) if keys else {}
    for key in keys:
        role, owner = key.split("|", 2)[2], desk.state.owner(key)
        if role not in shown:
            continue
        verdict = reconcile(Shown(shown[role]), held_of(owner))
        if verdict.is_changed_in_crm:
            _moved_by_hand(desk, key, verdict.holder, at)
        elif verdict.base != owner["base"]:
            desk.entries.append(Loaded(at=desk.moment(at), entity=record.entity, record=record.id, role=role, rep=verdict.base))
            desk.state.put("owner", key, with_base(owner, verdict.base, verdict.decided))


def _moved_by_hand(desk: Desk, key: str, rep: str | None, at: datetime) -> None:
    """The CRM shows an owner whom nobody here has decided. A record of a pool keeps its deadline; one that was cleared is decided anew."""
    entity, id, role = key.split("|", 2)
    given = desk.state.get("assigned", key)
    who = desk.records.rep_name(rep)
    sentence = f"{who} has it since the owner was changed in the CRM" if rep else "the owner was cleared in the CRM"
    desk.own(key, rep, at, by="hand", action="hand", sentence=sentence, more={"base": rep})
    if given is None:
        return
    desk.assign(key, {**given, "rep": rep} if rep else None)
    if rep is None:
        desk.schedule(key, None)
        desk.decide(entity, id, at, only=(role,))
