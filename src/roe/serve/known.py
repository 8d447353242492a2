"""The shapes of the JSON values that the service remembers beside records (see `roe.serve.state`). Moments are texts in ISO 8601."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NotRequired, Required, TypedDict

from roe.ledger.reconcile import Held, Holder


class MissedLevel(TypedDict):
    """That a rep has not worked a record in time: when the rep got it from which pool, when it was due, and when that was noticed.

    `earlier` are the reps who have missed it before, since nobody has worked it yet.
    """

    rep: Holder
    pool: str | None
    since: str
    due: str
    at: str
    earlier: NotRequired[list[MissedLevel]]


Companies = dict[str, str | int | float | None]  # what pools know of a record's company, by how they ask for it


class Owner(TypedDict):
    """Who has a record in a role, and why. `base` is whom the CRM last showed, and `decided` are the owners that we decided since, before this one."""

    decision: int  # the number of its entry
    owner: Holder
    owner_name: str | None
    former: Holder
    by: str  # what gave it: see `roe.ledger.entries.Owned`
    action: str
    rule: str | None
    sentence: str
    until: str | None
    pool: str | None
    since: str
    at: str  # when it was decided
    policy: str  # the digest
    base: Holder
    decided: NotRequired[list[Holder]]
    late: NotRequired[int]  # how many seconds late the timer was that had it decided
    gone: NotRequired[str]  # the pool or the rule that had given the record, and that the policy does not have any more
    missed: NotRequired[MissedLevel]
    overdue: NotRequired[bool]  # whether a person should have decided by now
    worked: NotRequired[str]  # when the owner worked it in time
    company: NotRequired[Companies]  # of the record as it was decided; gone once the record has changed


class Marks(TypedDict, total=False):
    """What a decision says of its owner beside what every decision says."""

    owner_name: str | None
    rule: str | None
    pool: str | None
    base: Holder
    late: int
    gone: str
    worked: str
    company: Companies


class Assignment(TypedDict):
    """What pools remember of a record. `pool` was asked, and `by` is it or the one that it fell back on; `position` is the turn's place there."""

    rep: Holder
    pool: str
    by: str
    on: str
    at: str
    position: int
    company: NotRequired[str]
    free: NotRequired[bool]
    asked: NotRequired[bool]
    back: NotRequired[str]
    tried: NotRequired[list[str]]


class Timer(TypedDict, total=False):
    """When something ends. `kind` is sla, referral, end, held, digest, available or left; `until` is when the record should have been worked, if not at `due`."""

    due: Required[str]
    kind: Required[str]
    pool: str | None
    rule: str
    policy: str
    until: str


class Waiting(TypedDict):
    """A record that a pool could give to nobody, or a rule only to reps who are `unable` to take it now, in the order of `number`. `asked` is the
    pool that the rules of `policy` named, and `pool` it or the last one that it fell back on; without `policy` the record has changed since it
    was tried. `tried` is when it was last decided itself, give or take `held.AGAIN`.
    """

    pool: str
    since: str
    number: int
    asked: NotRequired[str]
    unable: NotRequired[list[str]]
    policy: NotRequired[str]
    tried: NotRequired[str]


class PoolState(TypedDict):
    """A pool after some turns; `credits` are fractions, such as 1/3."""

    turns: int
    counts: dict[str, int]
    credits: dict[str, str]


def held_of(owner: Owner) -> Held:
    """What an owner says for a comparison with the CRM: who has the record, whom the CRM last showed, and whom we decided in between."""
    return Held(owner["owner"], owner["base"], None, tuple(owner.get("decided", ())))


def with_base(owner: Owner, base: Holder, decided: Iterable[Holder]) -> Owner:
    """An owner of whom the CRM last showed `base`; what we decided since then and it has not shown yet are `decided`."""
    changed: Owner = {**owner, "base": base}
    changed.pop("decided", None)
    if earlier := list(decided):
        changed["decided"] = earlier
    return changed
