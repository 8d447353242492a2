"""What a run appends of owners: what the CRM showed of each record, then what was decided of it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TypedDict

from roe.dynamic import Saved
from roe.grammar import values as v
from roe.ledger.changed import differing
from roe.ledger.decided import Decided, How, HowFields
from roe.ledger.entries import CONFIRMED_BY_CRM, Loaded, Owned
from roe.ledger.entry import Entry
from roe.ledger.holders import NOBODY, TELLING, OwnerState, holder_fields, rep_of
from roe.ledger.moment import At
from roe.ledger.reconcile import CASCADE, key_parts


class RoleFields(TypedDict):
    """The fields of an entry that say what it is about."""

    entity: str
    record: str
    role: str


class NoFields(TypedDict):
    """No fields: nothing was decided."""


class SinceFields(TypedDict, total=False):
    """The fields of an `owned` entry that say since when."""

    at: At
    since_unknown: bool
    source_at: str


def unowned(owners: Saved) -> Container[str]:
    """The records that were decided, and that nobody has: an owner whom the data shows of one of them is a change in the CRM."""
    records: Container[str] = getattr(owners, "unowned", frozenset())
    return records


def owner_entries(
    before: Mapping[str, OwnerState], after: Mapping[str, OwnerState], at: At, details: Mapping[str, Decided], last: Mapping[str, How] | None, known: Saved
) -> Iterator[Entry]:  # fmt: skip
    """Entries about the owners that differ between two memories, and about those of `details`, which are decisions by `entity|record|role`.

    With `last` (see `how_decided`) a record whose owner stays gets an entry, too, if it was decided otherwise. `known` has what else the
    run knows: the records that are `gone`, and of what is new in the CRM `crm_since` and `crm_by`.
    """
    nobodys, gone = unowned(before), known.get("gone", {})
    crm_since, crm_by = known.get("crm_since", {}), known.get("crm_by", {})
    for key in sorted({*differing(before, after), *details}):
        if gone and key.rpartition("|")[0] in gone:
            continue
        old, new, decision = before.get(key), after.get(key), details.get(key)
        if old is None and new is not None and key in nobodys:
            old = NOBODY
        entity, record, role = key_parts(key)
        about: RoleFields = {"entity": entity, "record": record, "role": role}
        how: HowFields | NoFields = {} if decision is None else decision.fields(at)
        newest: Entry | None = None
        if old != new:
            for newest in _changes(old, new or NOBODY, at, about, crm_since.get(key), crm_by.get(key, ""), how):
                yield newest
        if decision is not None and not isinstance(newest, Owned):
            yield from _confirmed(key, old, new, decision, at, about, last)


def _confirmed(
    key: str, old: OwnerState | None, new: OwnerState | None, decision: Decided, at: At, about: RoleFields, last: Mapping[str, How] | None
) -> Iterator[Entry]:  # fmt: skip
    """How a record was decided whose owner stays, as an entry that begins no ownership, if it was decided otherwise before."""
    if last is None or last.get(key) == decision.how(at):
        return
    if new is not None and key in last:  # it confirms the holding
        by = new.get("by", "rule")
        yield Owned(
            at=at, **about, **holder_fields(new["rep"]), former=rep_of(new["rep"]), by="rule" if by in CONFIRMED_BY_CRM else by,
            **decision.fields(at),
        )  # fmt: skip
    elif new is None and old is None:  # nobody has it, and this is why
        yield Owned(at=at, **about, **decision.fields(at))


def _changes(
    old: OwnerState | None, new: OwnerState, at: At, about: RoleFields, crm_since: str | None, crm_by: str, how: HowFields | NoFields
) -> Iterator[Entry]:  # fmt: skip
    """What happened to one record in one role: what the CRM showed, then what was decided. `crm_since` is since when the CRM had its owner,
    where something else was decided at once; `crm_by` is the integration that changed it there, or says that the CRM itself passed it on.
    `how` it was decided goes with the newest owner.
    """
    base, current = new.get("base"), None if old is None else old["rep"]
    read_at = At.of(v.parse_temporal(new["base_at"]), at.zone) if new.get("base_at") else None
    shown = _shown(old, new, crm_by)
    is_from_crm = shown not in ("", "ours")
    is_moved = new["rep"] != (base if is_from_crm else current) or (not is_from_crm and (old is None or _tells_more(old, new)))
    if shown == "ours":
        yield Loaded(at=at, **about, **holder_fields(base), read_at=read_at)
    elif shown:
        is_left = new["rep"] == base and new.get("by", "") in CONFIRMED_BY_CRM  # nothing was decided since
        former = new.get("former") if is_left else current
        since = _since(new, at) if is_left else _crm_since(crm_since, shown, at)
        rest: HowFields | NoFields = {} if is_moved else how
        yield Owned(**about, **holder_fields(base), **since, former=rep_of(former), by=shown, system=crm_by, read_at=read_at, **rest)
    if is_moved:
        seen_at = read_at if old is None and not shown else None  # when the CRM showed nobody: an older row is not news
        yield Owned(
            **about,
            **holder_fields(new["rep"]),
            **_since(new, at),
            former=rep_of(new.get("former")),
            by=new.get("by", "rule"),
            read_at=seen_at,
            **how,
        )


def _shown(old: OwnerState | None, new: OwnerState, crm_by: str) -> str:
    """What the CRM showed of a record: `ours`, a decision that it has loaded; what gave the record to somebody else there, as an `owned` entry
    has it (`import`, `system`, `hand`); or nothing new, as an empty text."""
    base = new.get("base")
    if old is None:
        return "import" if base is not None or new.get("by") == "import" else ""
    if base != old.get("base"):
        is_ours = crm_by == CASCADE or base == old["rep"] or base in old.get("decided", ())
        return "ours" if is_ours else "system" if crm_by else "hand"
    return "ours" if old.get("decided") and not new.get("decided") and new["rep"] == old["rep"] else ""


def _tells_more(old: OwnerState, new: OwnerState) -> bool:
    return "by" in new and any(old.get(name) != new.get(name) for name in TELLING)


def _crm_since(crm_since: str | None, shown: str, at: At) -> SinceFields:
    """Since when the CRM had an owner from whom something else was decided at once."""
    if crm_since:
        return _since({"rep": None, "since": crm_since}, at)
    return {"at": at, "since_unknown": shown == "import"}


def _since(owner: OwnerState, at: At) -> SinceFields:
    """Since when: a fact later than as-of is taken at as-of, and its own time is kept."""
    day, seen = owner["since"], owner.get("seen")
    if not day:
        return {"at": At.of(seen, at.zone) if seen and seen != str(at.date) else at, "since_unknown": bool(seen)}
    since = at if day == str(at.date) else At.of(day, at.zone)
    return {"at": min(since, at), "source_at": "" if since <= at else str(since)}
