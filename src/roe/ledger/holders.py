"""Who holds a record, in the three ways in which it is written: a rep's id, `queue:NAME`, or None for nobody; the fields of an entry; a saved owner."""

from __future__ import annotations

from typing import Required, TypedDict

from roe.ledger.reconcile import Holder

QUEUE = "queue:"
TELLING = ("since", "seen", "by", "former")  # of an owner's value: what is an entry when it changes, where it says what gave the record


class HolderFields(TypedDict, total=False):
    rep: str | None
    queue: str


class OwnerState(TypedDict, total=False):
    """A value of `state["owners"]`. `since` is null where nobody knows since when; then `seen` says when the record was first seen. For
    `base`, `base_at` and `decided` see `roe.ledger.reconcile.Held`. What is not known is left out."""

    rep: Required[Holder]
    since: Required[str | None]
    seen: str
    former: str
    by: str
    base: Holder
    base_at: str
    decided: list[Holder]


NOBODY: OwnerState = {"rep": None, "since": None}  # what a record has that nobody has


def nobodys_since(base_at: str) -> OwnerState:
    """What a record has that nobody has, or had, as the CRM showed then."""
    return {"rep": None, "since": None, "base_at": base_at}


def owner_state(
    holder: Holder, since: str | None, *, seen: str | None, former: str | None, by: str | None, base: Holder, base_at: str | None, decided: list[Holder]
) -> OwnerState:  # fmt: skip
    """The value with what is known of it."""
    owner: OwnerState = {"rep": holder, "since": since}
    if seen:
        owner["seen"] = seen
    if former:
        owner["former"] = former
    if by:
        owner["by"] = by
    if base:
        owner["base"] = base
    if base_at:
        owner["base_at"] = base_at
    if decided:
        owner["decided"] = decided
    return owner


def is_loaded(old: OwnerState | None, new: OwnerState | None) -> bool:
    """Whether a record differs in nothing but that the CRM now shows our decision: how it was decided is no news then."""
    return (
        old is not None and new is not None and new["rep"] == old["rep"] == new.get("base") and not any(old.get(x) != new.get(x) for x in TELLING)
    )  # fmt: skip


def holder_of(rep: str | None, queue: str) -> Holder:
    """The holder of an entry's fields `rep` and `queue`."""
    return f"{QUEUE}{queue}" if queue else rep


def holder_fields(holder: Holder) -> HolderFields:
    """The fields of an entry for a holder."""
    return {"queue": holder.removeprefix(QUEUE)} if holder is not None and holder.startswith(QUEUE) else {"rep": holder}


def rep_of(holder: Holder) -> str | None:
    """The rep who is a holder; None for a queue and for nobody."""
    return None if holder is None or holder.startswith(QUEUE) else holder
