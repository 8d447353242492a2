"""What a row of the CRM's data means against what the ledger knows: a three-way comparison of the data, the ledger and the base.

The *base* is the holder that the CRM last showed, and when it first did so. A holder is a rep's id, None for nobody, or the
name of a queue as `queue:NAME`. The first line that fits counts:

    the data says                                    it is              today's holder
    something read before the base                   stale              ours
    our holder                                       in force           ours
    the base, and ours is another                    pending            ours
    an earlier decision of ours, after the base      a late load        ours
    a value that our own push or its cascade wrote   ours               ours
    anything else                                    changed by hand, or by a system that is declared

No row at all is *absent*: the record keeps its place. No entry at all is *first sight*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum

from roe.node import node

Holder = str | None
CASCADE = "cascade"  # what changed a record in the CRM to which the CRM has passed on an owner of ours
CHANGED_IN_CRM = ("hand", "system")  # what gave a record to its holder, or took it away, where rules did not


class Kind(Enum):
    """What a row is, by the table above."""

    FIRST_SIGHT = "first sight"
    ABSENT = "absent"
    STALE = "stale"
    IN_FORCE = "in force"
    PENDING = "pending"
    LATE_LOAD = "late load"
    OURS = "our own cascade"
    BY_HAND = "changed by hand"
    BY_SYSTEM = "changed by a system"


@node
class Shown:
    """What a row says: who holds the record, when that was read (None: now), and which user of the CRM wrote it, where it says so."""

    holder: Holder
    read_at: datetime | None = None
    writer: str = ""


@node
class Held:
    """What the ledger knows: today's `holder`, the `base`, when it was read, and our decisions since then before today's."""

    holder: Holder
    base: Holder = None
    base_at: datetime | None = None
    decided: tuple[Holder, ...] = ()


@node
class Declared:
    """Who writes to the CRM besides people: roe's own user, and the users of integrations by the name of the system.

    `cascaded` is the holder that our push of another record passed on to this one, where the policy declares such a cascade; a
    cascade to nobody is `cascades` with None.
    """

    own: Collection[str] = ()
    systems: Mapping[str, str] = field(default_factory=dict)
    cascades: bool = False
    cascaded: Holder = None


@node
class RowVerdict:
    """What a row is, who holds the record today, and the base and the decisions since then that follow. `by` is hand, system or import."""

    kind: Kind
    holder: Holder
    base: Holder
    base_at: datetime | None
    decided: tuple[Holder, ...] = ()
    by: str = ""
    system: str = ""

    @property
    def is_changed_in_crm(self) -> bool:
        return self.kind in (Kind.BY_HAND, Kind.BY_SYSTEM)


NOTHING_DECLARED = Declared()


def reconcile(shown: Shown | None, held: Held | None, declared: Declared = NOTHING_DECLARED) -> RowVerdict:
    """What a row is; `shown` is None for a record that is not in the data, `held` None for one that the ledger does not know."""
    if shown is None:
        known = held or Held(None)
        return RowVerdict(Kind.ABSENT, known.holder, known.base, known.base_at, known.decided)
    if held is None:
        return RowVerdict(Kind.FIRST_SIGHT, shown.holder, shown.holder, shown.read_at, by="import")
    read_at = shown.read_at or held.base_at
    if shown.read_at is not None and held.base_at is not None and shown.read_at < held.base_at:
        return RowVerdict(Kind.STALE, held.holder, held.base, held.base_at, held.decided)
    since = held.base_at if shown.holder == held.base else read_at  # the base stays of the time at which the CRM first showed it
    if shown.holder == held.holder:
        return RowVerdict(Kind.IN_FORCE, held.holder, held.holder, since)
    if shown.holder == held.base:
        return RowVerdict(Kind.PENDING, held.holder, held.base, since, held.decided)
    if shown.holder in held.decided:
        later = held.decided[held.decided.index(shown.holder) + 1 :]
        return RowVerdict(Kind.LATE_LOAD, held.holder, shown.holder, read_at, later)
    if shown.writer in declared.own or (declared.cascades and shown.holder == declared.cascaded):
        return RowVerdict(Kind.OURS, held.holder, shown.holder, read_at)
    system = declared.systems.get(shown.writer, "")
    kind = Kind.BY_SYSTEM if system else Kind.BY_HAND
    return RowVerdict(kind, shown.holder, shown.holder, read_at, by="system" if system else "hand", system=system)


def decided(held: Held, holder: Holder) -> Held:
    """What the ledger knows after a run decided a holder."""
    if holder == held.holder:
        return held
    earlier = (*held.decided, held.holder) if held.holder != held.base else held.decided
    return Held(holder, held.base, held.base_at, tuple(dict.fromkeys(earlier)))


def key_parts(key: str) -> tuple[str, str, str]:
    """(entity, record, role or other name) of a key. A record's id may itself have a `|`."""
    entity, _, rest = key.partition("|")
    record, _, name = rest.rpartition("|")
    return entity, record, name
